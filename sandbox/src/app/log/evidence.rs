//! Use cases: one file that says what was asked, by which rules it was decided, what left, and that all of it is in the
//! audit log; and its verification by anybody with two public keys and no server.

use std::collections::BTreeSet;
use std::path::Path;

use obscura_crypto::sha256_hex;
use obscura_policies::vocabulary::PersonRole;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::closed_words::JobStateWord;
use crate::app::log::verify_audit::verify_entry_proof;
use crate::app::log::verify_audit::verify_release;
use crate::app::query::read_question::read_asked;
use crate::app::query::show_job::no_job;
use crate::app::query::verdict::SourceView;
use crate::app::query::verdict::Verdict;
use crate::audit::event::Action;
use crate::audit::event::LoggedEvent;
use crate::audit::proof::prove;
use crate::catalog::body::DocumentBody;
use crate::catalog::body::GrantBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::parse_one;
use crate::installation::results::QuestionText;
use crate::installation::results::SALT_BYTES;
use crate::jobs::JobState;

/// Name and version of the file's form. A format we keep.
const FORMAT: &str = "obscura-evidence/1";

/// The evidence of one job, as it is filed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Always `obscura-evidence/1`.
    pub format: String,
    /// The job.
    pub job: String,
    /// The person who asked.
    pub person: String,
    /// The purpose.
    pub purpose: String,
    /// The state in which it ended.
    #[schema(value_type = JobStateWord)]
    pub state: String,
    /// The question.
    pub sql: String,
    /// The salt of the log's commitment to the question, in hexadecimal.
    pub sql_salt: Option<String>,
    /// The verdict; it names every document it rests on with its hash.
    pub verdict: Verdict,
    /// Those documents, in YAML, in an auditor's file; others see their names and hashes in the verdict.
    pub documents: Vec<String>,
    /// The signed release record, where a result left.
    pub release: Option<String>,
    /// Proof that the decision is in the audit log, as it was.
    pub decision_proof: String,
    /// Proof that the end is in the audit log, as it was.
    pub end_proof: String,
}

/// The facts that a file of evidence was found to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvidence {
    /// The job.
    pub job: String,
    /// The state in which it ended.
    pub state: String,
    /// The reason that it failed or was stopped, where the log gives one.
    pub code: Option<String>,
    /// Entry of the decision.
    pub decided_index: u64,
    /// Entry of the end.
    pub finished_index: u64,
    /// Documents whose text is in the file and is the one that was decided by.
    pub documents: usize,
    /// Documents of which the file has only name and hash.
    pub named: usize,
}

/// Gathers the evidence of a job that has ended: one's own, or anybody's for an auditor.
///
/// # Errors
/// Not found when there is no such job, it is not the caller's to see, or its question was shredded; conflict when it has
/// not ended.
pub async fn evidence(installation: &Installation, caller: &Caller, id: JobId) -> Result<Evidence, AppError> {
    let audits = caller.holds(PersonRole::Auditor);
    let row = installation.jobs.job(id).await.during("find a job")?;
    let is_theirs = |person: &str| audits || caller.asked_as(person);
    let row = row.filter(|row| is_theirs(&row.person)).ok_or_else(no_job)?;
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let (Some(verdict), Some(decided), Some(finished)) = (verdict, row.decided_index, row.finished_index)
    else {
        return Err(PublicError::new(
            Class::Conflict,
            "job-not-over",
            "there is evidence of a job once it was decided and has ended",
            "任务须已有决定并结束后才有证据",
        )
        .into());
    };
    let asked = read_asked(installation, caller, id).await?;
    let documents = if audits { texts(installation, &verdict.policy).await? } else { Vec::new() };
    let reader = installation.audit.reader();
    Ok(Evidence {
        format: FORMAT.to_owned(),
        job: id.to_string(),
        person: row.person,
        purpose: row.purpose,
        state: row.state.name().to_owned(),
        sql_salt: asked.salt.map(|salt| salt.iter().map(|byte| format!("{byte:02x}")).collect()),
        sql: asked.sql,
        verdict,
        documents,
        release: row.release,
        decision_proof: prove(reader, decided).during("prove a decision")?,
        end_proof: prove(reader, finished).during("prove an end")?,
    })
}

/// The texts of the documents that a verdict rests on, also of those that are no longer in force. Documents that come
/// with the program have no record, and are named only.
async fn texts(installation: &Installation, sources: &[SourceView]) -> Result<Vec<String>, AppError> {
    let mut all: Vec<String> = Vec::new();
    all.extend(installation.all_in_force::<DocumentBody>().await?.into_iter().map(|body| body.text));
    all.extend(installation.ended::<DocumentBody>().await?.into_iter().map(|(body, _)| body.text));
    all.extend(installation.all_in_force::<GrantBody>().await?.into_iter().map(|body| body.text));
    all.extend(installation.ended::<GrantBody>().await?.into_iter().map(|(body, _)| body.text));
    let wanted: BTreeSet<&str> = sources.iter().map(|source| source.sha256.as_str()).collect();
    all.retain(|text| sha256_of(text).is_some_and(|sha256| wanted.contains(sha256.as_str())));
    Ok(all)
}

/// The hash by which verdicts name a document.
fn sha256_of(text: &str) -> Option<String> {
    Some(parse_one(text).ok()?.value.source().ok()?.sha256)
}

/// Verifies a file of evidence with the public keys of the audit log and of releases.
///
/// # Errors
/// Verification failed, with what does not hold.
pub fn verify_evidence(
    text: &str,
    audit_key: &Path,
    release_key: &Path,
) -> Result<VerifiedEvidence, AppError> {
    let evidence: Evidence =
        serde_json::from_str(text).map_err(|_| broken("it is no file of evidence", "这不是证据文件"))?;
    if evidence.format != FORMAT {
        return Err(broken("it is of a form that this version does not know", "文件格式版本未知"));
    }
    let decision = verify_entry_proof(audit_key, &evidence.decision_proof)?.event;
    let end = verify_entry_proof(audit_key, &evidence.end_proof)?.event;
    let is_of_job = |event: &LoggedEvent| event.correlation.as_deref() == Some(evidence.job.as_str());
    let said = |name: &str| decision.detail.get(name).cloned().unwrap_or_default();
    let policy = serde_json::to_value(&evidence.verdict.policy).during("write a verdict")?;
    let agrees = is_of_job(&decision)
        && decision.action == Action::QueryDecided.name()
        && decision.actor.name == evidence.person
        && said("purpose") == evidence.purpose.as_str()
        && said("decision") == evidence.verdict.decision.as_str()
        && said("policy") == policy;
    if !agrees {
        return Err(broken("the decision in the log is another one", "日志中的决定与此不符"));
    }
    let committed = said("query").get("commitment").and_then(Value::as_str).map(str::to_owned);
    let asked = QuestionText { salt: evidence.sql_salt.as_deref().and_then(salt), sql: evidence.sql.clone() };
    if committed.is_none() || committed != asked.commitment() {
        return Err(broken("the question is not the one that was decided on", "问题不是当时所决定的问题"));
    }
    let committed = said("verdict").as_str().map(str::to_owned);
    if committed.is_none() || committed != asked.commitment_to(&evidence.verdict)? {
        return Err(broken("the verdict is not the one that was given", "裁决不是当时给出的裁决"));
    }
    let admitted = evidence.verdict.is_admitted();
    let ends_so = is_of_job(&end)
        && match JobState::from_name(&evidence.state) {
            Some(JobState::Refused) => !admitted && end.index == decision.index,
            Some(JobState::Released | JobState::Expired) => {
                admitted && end.action == Action::ResultReleased.name()
            }
            Some(JobState::Withheld) => admitted && end.action == Action::ResultWithheld.name(),
            Some(JobState::Failed) => end.action == Action::JobFailed.name(),
            Some(JobState::Cancelled) => admitted && end.action == Action::JobCancelled.name(),
            Some(
                JobState::Received
                | JobState::PendingApproval
                | JobState::Queued
                | JobState::Running
                | JobState::Checking
                | JobState::InReview,
            )
            | None => false,
        };
    if !ends_so {
        return Err(broken("the end in the log is another one", "日志中的结局与此不符"));
    }
    let released = end.action == Action::ResultReleased.name();
    match (&evidence.release, released) {
        (None, false) => {}
        (Some(record), true) => {
            let logged = end.detail.get("release_sha256").and_then(Value::as_str);
            let text = verify_release(release_key, record)?;
            let names_job = serde_json::from_str::<Value>(text.trim_end())
                .is_ok_and(|record| record.get("job").and_then(Value::as_str) == Some(evidence.job.as_str()));
            if logged != Some(sha256_hex(record.as_bytes()).as_str()) || !names_job {
                return Err(broken(
                    "the release record is another one than in the log",
                    "发布记录与日志不符",
                ));
            }
        }
        (Some(_), false) | (None, true) => {
            return Err(broken("a release record is missing, or is one too many", "发布记录缺失或多余"));
        }
    }
    let mut named: BTreeSet<&str> =
        evidence.verdict.policy.iter().map(|source| source.sha256.as_str()).collect();
    for document in &evidence.documents {
        let sha256 = sha256_of(document);
        if !sha256.is_some_and(|sha256| named.remove(sha256.as_str())) {
            return Err(broken("a document is not the one that was decided by", "文档不是当时所依据的版本"));
        }
    }
    Ok(VerifiedEvidence {
        job: evidence.job,
        state: evidence.state,
        code: end.detail.get("code").and_then(Value::as_str).map(str::to_owned),
        decided_index: decision.index,
        finished_index: end.index,
        documents: evidence.documents.len(),
        named: named.len(),
    })
}

/// The salt from hexadecimal; nothing from anything else.
fn salt(text: &str) -> Option<[u8; SALT_BYTES]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

fn broken(en: &str, zh: &str) -> AppError {
    PublicError::new(
        Class::VerificationFailed,
        "evidence-not-verified",
        format!("the evidence does not hold: {en}"),
        format!("证据不成立：{zh}"),
    )
    .into()
}
