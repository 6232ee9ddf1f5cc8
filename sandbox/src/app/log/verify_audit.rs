//! Use cases: verify the audit log, offline or together with the database it vouches for; read it; prove an entry.
//! Verification needs no token and no key but the public one, and changes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use obscura_crypto::Hash;
use obscura_crypto::note::NOTE_BYTES_MAX;
use obscura_crypto::note::SignedNote;
use obscura_crypto::sign::Verifier;
use obscura_policies::vocabulary::PersonRole;

use crate::app::log::witness_keys::read_witnesses;
use crate::app::people::authorise::must_be;
use crate::audit::AuditError;
use crate::audit::event::Action;
use crate::audit::event::LoggedEvent;
use crate::audit::facts::Fact;
use crate::audit::facts::LogFacts;
use crate::audit::proof::Proven;
use crate::audit::proof::prove;
use crate::audit::proof::verify_proof;
use crate::audit::reader::LogReader;
use crate::audit::stories::JobStory;
use crate::audit::stories::StoryEnd;
use crate::audit::verify::Against;
use crate::audit::verify::Verification;
use crate::audit::verify::Witnessing;
use crate::audit::verify::verify;
use crate::catalog::Catalog;
use crate::catalog::Missing;
use crate::catalog::body;
use crate::catalog::body::DatasetVersionBody;
use crate::catalog::record::Record;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::Layout;
use crate::installation::records::Disagreement;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::jobs::store::Jobs;
use crate::storage::DataFolder;
use crate::storage::Expected;
use crate::storage::SealedVersion;

/// A log to verify.
#[derive(Debug, Clone)]
pub struct LogCopy {
    /// The folder with the log.
    pub folder: PathBuf,
    /// The file with the public key.
    pub key_file: PathBuf,
}

impl LogCopy {
    /// The log and key of a data directory.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self { folder: layout.audit(), key_file: layout.audit_key() }
    }

    pub(crate) fn reader(&self) -> Result<LogReader, AppError> {
        let verifier = read_key(&self.key_file)?;
        Ok(LogReader::new(&self.folder, verifier))
    }
}

/// The evidence that a log is verified against, besides itself.
#[derive(Debug, Clone, Default)]
pub struct LogAgainst {
    /// A file with a checkpoint that was kept elsewhere.
    pub checkpoint: Option<PathBuf>,
    /// A file with the keys of witnesses.
    pub witnesses: Option<PathBuf>,
    /// The demand that one of them has cosigned, or none.
    pub witnessing: Witnessing,
    /// The journal of unwrapped keys.
    pub journal: Option<PathBuf>,
}

/// Verifies a log by its folder and key, against whatever else there is.
///
/// # Errors
/// When the key, a kept checkpoint or the witnesses cannot be read; what is wrong with the log is in the verification.
pub fn verify_log(log: &LogCopy, against: &LogAgainst) -> Result<Verification, AppError> {
    let kept = against.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let witnesses = against.witnesses.as_deref().map(read_witnesses).transpose()?;
    let against = Against {
        kept: kept.as_deref(),
        witnesses: witnesses.as_ref(),
        witnessing: against.witnessing,
        journal: against.journal.as_deref(),
    };
    verify(&log.reader()?, against).during("verify the audit log")
}

fn read_checkpoint(file: &Path) -> Result<String, AppError> {
    let unusable = |what: &str| {
        AppError::from(PublicError::new(
            Class::Usage,
            "checkpoint-unreadable",
            format!("`{}` {what}", file.display()),
            format!("`{}` 不是可读的检查点文件", file.display()),
        ))
    };
    let length = fs::metadata(file).map_err(|_| unusable("cannot be read"))?.len();
    if length > NOTE_BYTES_MAX.try_into().unwrap_or(u64::MAX) {
        return Err(unusable("is longer than a checkpoint"));
    }
    // A file that is no text is no checkpoint either, and is found to be none.
    Ok(String::from_utf8_lossy(&fs::read(file).map_err(|_| unusable("cannot be read"))?).into_owned())
}

/// Compares the records of the database, and the manifests on disk, with what the log says. The newest change may have
/// been left undecided by a crash, which is no finding; each change first settles those that were left before.
///
/// # Errors
/// When the database cannot be read.
pub async fn reconcile(layout: &Layout, verification: &Verification) -> Result<Vec<Disagreement>, AppError> {
    let held = layout.clone();
    let unchanging = tokio::task::spawn_blocking(move || held.lock_changes());
    let unchanging = unchanging.await.during("wait for changes")?.during("wait for changes")?;
    let found = reconcile_unchanging(layout, verification).await;
    drop(unchanging);
    found
}

/// As [`reconcile`], while no record can change: a change that is not in both database and log was left so by a crash.
async fn reconcile_unchanging(
    layout: &Layout,
    verification: &Verification,
) -> Result<Vec<Disagreement>, AppError> {
    let facts = &facts_of_now(layout, verification);
    let catalog =
        Catalog::open(&layout.database(), Missing::Fail).await.during("open the metadata database")?;
    let mut rows: BTreeMap<(&'static str, String), Record> = BTreeMap::new();
    for kind in RecordKind::ALL {
        for record in catalog.records(kind).await.during("list records")? {
            rows.insert((kind.name(), record.key.clone()), record);
        }
    }
    let shredded = verification.shredded.iter().map(String::as_str);
    let left = Jobs::with_question(&catalog, shredded).await.during("look for shredded questions")?;
    let jobs = Jobs::as_stored(&catalog).await.during("list jobs")?;
    catalog.close().await;
    let problem = "the log says that its text was destroyed, the database has the key";
    let left = left.into_iter().map(|key| Disagreement { kind: "question", key, problem });
    let mut found: Vec<Disagreement> = left.collect();
    found.extend(job_disagreements(&jobs, verification));
    for ((kind, key), row) in &rows {
        let on_disk = || differs_on_disk(layout, row);
        if let Some(problem) =
            disagreement(row, facts.fact(kind, key), facts.newest_change()).or_else(on_disk)
        {
            found.push(Disagreement { kind, key: key.clone(), problem });
        }
    }
    for (kind, key, _) in facts.all() {
        let kind = RecordKind::from_name(kind).map(RecordKind::name);
        if let Some(kind) = kind.filter(|kind| !rows.contains_key(&(*kind, key.to_owned()))) {
            found.push(Disagreement {
                kind,
                key: key.to_owned(),
                problem: "the log has it, the database does not",
            });
        }
    }
    found.sort();
    Ok(found)
}

/// Compares the rows of jobs with what the log says became of them. A row that is behind the log was left so by a crash,
/// and is settled by the next start; one that is ahead of what was read of the log says nothing yet.
fn job_disagreements(rows: &[Option<JobRow>], verification: &Verification) -> Vec<Disagreement> {
    let stories = &verification.stories;
    let mut found = Vec::new();
    let mut tell = |key: &str, problem| {
        found.push(Disagreement { kind: "job", key: key.to_owned(), problem });
    };
    let mut known = BTreeSet::new();
    for row in rows {
        let Some(row) = row else {
            tell("?", "a row of the database cannot be read");
            continue;
        };
        let id = row.id.to_string();
        let newest = row.finished_index.max(row.decided_index).max(row.review_index);
        if newest.is_none_or(|index| index < verification.size)
            && let Some(problem) = job_disagreement(row, stories.of(&id))
        {
            tell(&id, problem);
        }
        known.insert(id);
    }
    for (job, _) in stories.all().filter(|(job, _)| !known.contains(*job)) {
        tell(job, "the log has it, the database does not");
    }
    found
}

fn job_disagreement(row: &JobRow, story: Option<&JobStory>) -> Option<&'static str> {
    let Some(story) = story else {
        return (row.state != JobState::Received).then_some("the database has it, the log does not");
    };
    let is_theirs = |(person, purpose): &(String, String)| row.person == *person && row.purpose == *purpose;
    if !story.asker.as_ref().is_none_or(is_theirs) {
        return Some("the database names another asker or purpose than the log");
    }
    let decided = row.decided_index;
    if decided.is_some() && decided != story.decided && decided != story.pending {
        return Some("the database names another decision than the log");
    }
    let agrees = match (row.state, story.ended) {
        // Not settled yet.
        (JobState::Received | JobState::Queued | JobState::Running | JobState::Checking, _) => true,
        // One that has ended is behind the log.
        (JobState::InReview, _) => story.awaited.is_some() && row.review_index == story.awaited,
        (JobState::PendingApproval, ended) => ended.is_none() && story.decided.is_none(),
        (JobState::Refused, ended) => ended.is_none() && story.decided.is_some() && !story.admitted,
        (state, Some((end, index))) => {
            let is_it = match end {
                StoryEnd::Released => matches!(state, JobState::Released | JobState::Expired),
                StoryEnd::Withheld => state == JobState::Withheld,
                StoryEnd::Failed => state == JobState::Failed,
                StoryEnd::Cancelled => state == JobState::Cancelled,
            };
            is_it && row.finished_index == Some(index)
        }
        (_, None) => false,
    };
    if !agrees {
        return Some("the database tells another end than the log");
    }
    let has_code = matches!(row.state, JobState::Failed | JobState::Cancelled | JobState::Withheld)
        && row.code.is_some();
    if has_code && row.code != story.code {
        return Some("the database gives another reason for its end than the log");
    }
    let has_result = matches!(row.state, JobState::Released | JobState::Expired);
    (has_result && row.result_sha256 != story.result_sha256)
        .then_some("the database names another result than the log")
}

/// The facts of the log when it was verified, and of the entries that were appended before changes were held.
fn facts_of_now(layout: &Layout, verification: &Verification) -> LogFacts {
    let mut facts = verification.facts.clone();
    let Ok(reader) = LogCopy::of(layout).reader() else { return facts };
    let Ok(signed) = reader.checkpoint() else { return facts };
    for index in verification.size..signed.checkpoint.size() {
        // An entry that does not verify is reported by the verification of the log.
        let event = reader.entry(index).and_then(|entry| LoggedEvent::read(index, &entry));
        let Ok(event) = event else { break };
        facts.take(event);
    }
    facts
}

fn disagreement(row: &Record, fact: Option<&Fact>, newest_change: Option<u64>) -> Option<&'static str> {
    if let RecordState::Staged { event_index: Some(_) } = row.state {
        return Some("staged in the database, with an event that staged rows have not");
    }
    let Some(fact) = fact else {
        return match row.state {
            RecordState::Staged { .. } => None,
            _ => Some("the database has it, the log does not"),
        };
    };
    if fact.sha256 != row.sha256() {
        return Some("the database has other contents than the log");
    }
    match (row.state, fact.ended) {
        (RecordState::Staged { .. }, _) if newest_change > Some(fact.begun) => {
            Some("staged in the database, in the log since before the newest change")
        }
        (RecordState::Staged { .. }, _) | (RecordState::Ending { .. }, _) => None,
        (RecordState::InForce { event_index } | RecordState::Ended { event_index, .. }, _)
            if event_index != fact.begun =>
        {
            Some("the database names another event than the log")
        }
        (RecordState::InForce { .. }, Some(_)) => Some("in force in the database, ended in the log"),
        (RecordState::Ended { .. }, None) => Some("ended in the database, in force in the log"),
        (RecordState::Ended { ended_index, .. }, Some(ended)) if ended_index != ended => {
            Some("the database names another event than the log")
        }
        (RecordState::InForce { .. }, None) | (RecordState::Ended { .. }, Some(_)) => None,
    }
}

/// Compares the manifest of a version in force with the hash that its record, and thus the log, holds.
fn differs_on_disk(layout: &Layout, row: &Record) -> Option<&'static str> {
    if row.kind != RecordKind::DatasetVersion || !matches!(row.state, RecordState::InForce { .. }) {
        return None;
    }
    let differs = Some("the sealed version on disk is not the one in the log");
    let Ok(body) = body::read::<DatasetVersionBody>(row) else { return differs };
    let Ok(dataset) = body.dataset.parse() else { return differs };
    let Ok(verifier) = read_key(&layout.manifest_key()) else { return differs };
    let data = DataFolder::new(layout.root());
    let opened = SealedVersion::open(&data, &dataset, Expected::Exactly(body.version), &verifier);
    let sha256 = opened.and_then(|version| version.manifest().sha256());
    if sha256.is_ok_and(|sha256| sha256 == body.manifest_sha256) { None } else { differs }
}

/// Verifies a signed release record with the public key alone, and gives what it says.
///
/// # Errors
/// Verification failed when it is not signed by this key.
pub fn verify_release(key_file: &Path, record: &str) -> Result<String, AppError> {
    let verifier = read_key(key_file)?;
    let note = record.parse::<SignedNote>().ok();
    let text = note.as_ref().and_then(|note| note.verified_text(&verifier).ok()).map(str::to_owned);
    text.ok_or_else(|| {
        PublicError::new(
            Class::VerificationFailed,
            "release-not-verified",
            "this is no release record signed by that key",
            "这不是由该密钥签名的发布记录",
        )
        .into()
    })
}

/// Entries as they stand in the log, one a line.
///
/// # Errors
/// Forbidden for all but auditors; verification failed when an entry does not verify.
pub fn export_log(
    installation: &Installation,
    caller: &Caller,
    range: LogRange,
) -> Result<Vec<u8>, AppError> {
    must_be(caller, PersonRole::Auditor)?;
    installation.blocking(|| {
        let mut lines = Vec::new();
        for index in range.entries(checkpoint(installation)?.0) {
            lines.extend(installation.audit.entry(index).map_err(log_failure)?);
            lines.push(b'\n');
        }
        Ok(lines)
    })
}

/// The size of the log and its newest signed checkpoint.
///
/// # Errors
/// Verification failed when it is not signed by the log's key.
pub fn checkpoint(installation: &Installation) -> Result<(u64, String), AppError> {
    let signed = installation.audit.checkpoint().map_err(log_failure)?;
    Ok((signed.checkpoint.size(), signed.note.to_string()))
}

/// The proof that the log of this size is the beginning of the newest one, and its checkpoint.
///
/// # Errors
/// Usage when the log was never of this size.
pub fn consistency(installation: &Installation, from: u64) -> Result<(Vec<Hash>, String), AppError> {
    let proof = installation.audit.reader().consistency(from).map_err(log_failure)?;
    let (hashes, signed) = proof.ok_or_else(never_of_this_size)?;
    Ok((hashes, signed.note.to_string()))
}

/// The entries of a job that the person who asked may see. Others tell which columns policies add to a plan, how many keys
/// that took, and who has read the question.
const ASKERS_OWN: [Action; 9] = [
    Action::QueryPending,
    Action::QueryDecided,
    Action::BudgetCharged,
    Action::OutputChecked,
    Action::ResultReleased,
    Action::ResultWithheld,
    Action::ResultDownloaded,
    Action::JobFailed,
    Action::JobCancelled,
];

/// Proves an entry: any for an auditor, those of their own jobs for others.
///
/// # Errors
/// Not found when there is no such entry, or it is not the caller's to see.
pub async fn prove_own_entry(
    installation: &Installation,
    caller: &Caller,
    index: u64,
) -> Result<String, AppError> {
    if !caller.holds(PersonRole::Auditor) {
        let not_theirs = || {
            AppError::from(PublicError::new(
                Class::NotFound,
                "entry-not-found",
                "there is no such entry of a job of yours",
                "没有您任务的该条目",
            ))
        };
        let event = installation.audit.event(index).map_err(|_| not_theirs())?;
        if !ASKERS_OWN.iter().any(|action| event.action == action.name()) {
            return Err(not_theirs());
        }
        let job = event.correlation.and_then(|job| job.parse().ok()).ok_or_else(not_theirs)?;
        let row = installation.jobs.job(job).await.during("find a job")?;
        row.filter(|row| caller.asked_as(&row.person)).ok_or_else(not_theirs)?;
    }
    prove(installation.audit.reader(), index).map_err(log_failure)
}

/// A range of events to read.
#[derive(Debug, Clone, Copy)]
pub struct LogRange {
    /// The first; the newest ones when not given.
    pub from: Option<u64>,
    /// The most events to read.
    pub most: u64,
}

impl LogRange {
    fn entries(self, size: u64) -> std::ops::Range<u64> {
        let first = self.from.unwrap_or_else(|| size.saturating_sub(self.most));
        first..size.min(first.saturating_add(self.most))
    }
}

/// Makes the proof that an entry is in a log.
///
/// # Errors
/// When there is no such entry, or the log does not verify.
pub fn prove_entry(log: &LogCopy, index: u64) -> Result<String, AppError> {
    prove(&log.reader()?, index).map_err(log_failure)
}

/// Verifies a proof with the public key alone.
///
/// # Errors
/// Verification failed when the proof does not hold.
pub fn verify_entry_proof(key_file: &Path, proof: &str) -> Result<Proven, AppError> {
    verify_proof(proof, &read_key(key_file)?).map_err(log_failure)
}

pub(crate) fn read_key(path: &Path) -> Result<Verifier, AppError> {
    let unusable = |what: &str| {
        AppError::from(PublicError::new(
            Class::Usage,
            "public-key-unusable",
            format!("`{}` {what}", path.display()),
            format!("`{}` 不是可用的公钥文件", path.display()),
        ))
    };
    let text = fs::read_to_string(path).map_err(|_| unusable("cannot be read"))?;
    text.trim_end().parse().map_err(|_| unusable("holds no public key"))
}

/// The answer to a size that the log never had.
pub(super) fn never_of_this_size() -> AppError {
    PublicError::new(
        Class::Usage,
        "size-out-of-range",
        "the log was never of this size",
        "日志从未达到该长度",
    )
    .into()
}

pub(crate) fn log_failure(error: AuditError) -> AppError {
    match &error {
        AuditError::Checkpoint
        | AuditError::Damaged { .. }
        | AuditError::NotContinued { .. }
        | AuditError::UnreadableEntry { .. } => PublicError::new(
            Class::VerificationFailed,
            "log-not-verified",
            error.to_string(),
            "审计日志校验失败",
        )
        .into(),
        AuditError::NoSuchEntry { size } => PublicError::new(
            Class::NotFound,
            "entry-not-found",
            format!("the log has {size} entries, numbered from 0"),
            format!("日志共有 {size} 条，从 0 开始编号"),
        )
        .into(),
        _ => crate::error::InternalError::new("read the audit log", &error).into(),
    }
}
