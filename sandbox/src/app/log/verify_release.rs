//! Use case: verify a release record with public keys alone: who signed it, and that its decision is in the audit log.
//! It says what was not verified: nothing counts as verified because it was not looked at.

use std::path::Path;

use serde_json::Value;

use crate::app::log::verify_audit::verify_entry_proof;
use crate::app::log::verify_audit::verify_release;
use crate::audit::event::Action;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// Name and version of a record's form. A format we keep.
pub(crate) const FORMAT: &str = "obscura-release/2";
/// The form before it, without the proof of its decision.
const FORMAT_WITHOUT_PROOF: &str = "obscura-release/1";

/// A record whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRelease {
    /// Its text, as it was signed.
    pub text: String,
    /// The same in outline.
    pub summary: ReleaseSummary,
    /// The proof of its decision, if it was verified.
    pub decision: DecisionProof,
}

/// The outline of a record, without the fields that the record does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseSummary {
    /// The job.
    pub job: Option<String>,
    /// The person who asked.
    pub person: Option<String>,
    /// When.
    pub asked_at: Option<String>,
    /// The datasets that were read, with their versions.
    pub datasets: Vec<(String, u64)>,
    /// Names of the columns that were released.
    pub columns: Vec<String>,
    /// Fewest subjects that a cell rests on.
    pub subjects_min: Option<u64>,
    /// Counts are rounded to multiples of this number.
    pub rounding: Option<u64>,
    /// Standard deviation of one draw of the noise of counts and sums, in subjects.
    pub perturbation: Option<u64>,
    /// SHA-256 of the released table.
    pub result_sha256: Option<String>,
}

impl ReleaseSummary {
    fn of(fields: &Value) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let control = |name: &str| fields.get("controls")?.get(name)?.as_u64();
        let list = |name: &str| fields.get(name).and_then(Value::as_array).into_iter().flatten();
        Self {
            job: text("job"),
            person: text("person"),
            asked_at: text("asked_at"),
            datasets: list("datasets").filter_map(|dataset| version(dataset, "id")).collect(),
            columns: list("output")
                .filter_map(|column| column.get("name")?.as_str().map(str::to_owned))
                .collect(),
            subjects_min: control("subjects_min"),
            rounding: control("rounding"),
            perturbation: control("perturbation"),
            result_sha256: text("result_sha256"),
        }
    }
}

/// A dataset with its version, where it is named so.
fn version(dataset: &Value, name: &str) -> Option<(String, u64)> {
    Some((dataset.get(name)?.as_str()?.to_owned(), dataset.get("version")?.as_u64()?))
}

/// The proof of a release's decision, if it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionProof {
    /// It is in the log.
    InLog {
        /// Index of the entry.
        index: u64,
        /// Size of the log whose signed checkpoint covers it.
        size: u64,
    },
    /// The log's public key was not given.
    NotVerified,
    /// The record is of a form that holds no proof.
    NotInRecord,
}

/// Verifies a record: its signature with the key of releases, its decision with that of the audit log, if given.
///
/// # Errors
/// Verification failed when the signature, the proof, or what the decision says does not hold, and when the log's key is
/// given and the record holds no proof of its decision.
pub fn verify_release_record(
    release_key: &Path,
    audit_key: Option<&Path>,
    record: &str,
) -> Result<VerifiedRelease, AppError> {
    let text = verify_release(release_key, record)?;
    let fields: Value = serde_json::from_str(text.trim_end())
        .map_err(|_| broken("it is no release record", "这不是发布记录"))?;
    let proof = match fields.get("format").and_then(Value::as_str) {
        Some(FORMAT) => fields.get("decision_proof").and_then(Value::as_str),
        // A caller who gives the log's key wants the decision verified; a form that cannot show one must not pass for that.
        Some(FORMAT_WITHOUT_PROOF) if audit_key.is_some() => return Err(without_decision()),
        Some(FORMAT_WITHOUT_PROOF) => {
            let (summary, decision) = (ReleaseSummary::of(&fields), DecisionProof::NotInRecord);
            return Ok(VerifiedRelease { text, summary, decision });
        }
        _ => return Err(broken("it is of a form that this version does not know", "记录格式版本未知")),
    };
    let proof = proof.ok_or_else(|| broken("it has no proof of its decision", "缺少决定的证明"))?;
    let decision = match audit_key {
        None => DecisionProof::NotVerified,
        Some(audit_key) => verify_decision(&fields, audit_key, proof)?,
    };
    Ok(VerifiedRelease { text, summary: ReleaseSummary::of(&fields), decision })
}

/// Compares what the record says with what the log says was decided.
fn verify_decision(fields: &Value, audit_key: &Path, proof: &str) -> Result<DecisionProof, AppError> {
    let proven = verify_entry_proof(audit_key, proof)?;
    let event = &proven.event;
    let said = |name: &str| event.detail.get(name).unwrap_or(&Value::Null);
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let versions = |list: &Value, name: &str| -> Option<Vec<(String, u64)>> {
        list.as_array()?.iter().map(|dataset| version(dataset, name)).collect()
    };
    let read = fields.get("datasets").and_then(|datasets| versions(datasets, "id"));
    let decided = versions(said("datasets"), "dataset");
    let agrees = event.action == Action::QueryDecided.name()
        && event.correlation.is_some()
        && event.correlation.as_deref() == text("job")
        && Some(event.actor.name.as_str()) == text("person")
        && fields.get("decided_index").and_then(Value::as_u64) == Some(event.index)
        && Some(proven.checkpoint.origin()) == text("audit_log")
        && said("decision").as_str() == Some("admitted")
        && fields.get("policy") == Some(said("policy"))
        && matches!((&read, &decided), (Some(read), Some(decided)) if read.iter().all(|it| decided.contains(it)));
    if !agrees {
        return Err(broken("the decision in the log is another one", "日志中的决定与此不符"));
    }
    Ok(DecisionProof::InLog { index: event.index, size: proven.checkpoint.size() })
}

fn without_decision() -> AppError {
    let (en, zh) = (
        "it is of the older form without its decision, so that nothing shows it to be in the audit log",
        "此旧版记录不含决定，无从证明其决定在审计日志中",
    );
    failed(en, zh)
        .with_help(
            "`--key` without `--audit-key` verifies the signature alone",
            "仅用 `--key`、不用 `--audit-key` 时只校验签名",
        )
        .into()
}

fn broken(en: &str, zh: &str) -> AppError {
    failed(en, zh).into()
}

fn failed(en: &str, zh: &str) -> PublicError {
    PublicError::new(
        Class::VerificationFailed,
        "release-not-verified",
        format!("the release record does not hold: {en}"),
        format!("发布记录不成立：{zh}"),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::fs;

    use obscura_crypto::note::SignedNote;
    use obscura_crypto::sign::Signer;
    use tempfile::TempDir;

    use super::*;

    fn verified(record: &str, audit_key: Option<&str>) -> Result<VerifiedRelease, AppError> {
        let folder = TempDir::new().unwrap();
        let signer = Signer::generate("releases").unwrap();
        let key = folder.path().join("releases.pub");
        fs::write(&key, signer.verifier().to_string()).unwrap();
        let log_key = folder.path().join("audit.pub");
        fs::write(&log_key, audit_key.unwrap_or_default()).unwrap();
        let note = SignedNote::sign(&format!("{record}\n"), &signer).unwrap();
        verify_release_record(&key, audit_key.map(|_| log_key.as_path()), &note.to_string())
    }

    #[test]
    fn record_of_the_older_form_still_verifies_and_says_what_it_lacks() {
        let older = "{\"decided_index\":3,\"format\":\"obscura-release/1\",\"job\":\"job_1\"}";
        let found = verified(older, None).unwrap();
        assert_eq!(found.decision, DecisionProof::NotInRecord);
        assert!(found.text.contains("job_1"));
    }

    #[test]
    fn summary_says_what_the_record_says_and_leaves_out_the_rest() {
        let record = "{\"controls\":{\"perturbation\":4,\"rounding\":5,\"subjects_min\":10},\"datasets\":[{\"id\":\"a.b\",\"version\":3}],\"format\":\"obscura-release/1\",\"job\":\"job_1\",\"output\":[{\"name\":\"n\"}],\"person\":\"lin\"}";
        let expected = ReleaseSummary {
            job: Some("job_1".to_owned()),
            person: Some("lin".to_owned()),
            datasets: vec![("a.b".to_owned(), 3)],
            columns: vec!["n".to_owned()],
            subjects_min: Some(10),
            rounding: Some(5),
            perturbation: Some(4),
            ..ReleaseSummary::default()
        };
        assert_eq!(verified(record, None).unwrap().summary, expected);
        let bare = verified("{\"format\":\"obscura-release/1\"}", None).unwrap().summary;
        assert_eq!(bare, ReleaseSummary::default());
    }

    #[test]
    fn record_without_its_decision_does_not_verify_where_the_log_s_key_is_given() {
        let older = "{\"decided_index\":3,\"format\":\"obscura-release/1\",\"job\":\"job_1\"}";
        let key = Signer::generate("log").unwrap().verifier().to_string();
        let error = verified(older, Some(&key)).unwrap_err().public();
        assert_eq!((error.class(), error.code()), (Class::VerificationFailed, "release-not-verified"));
    }

    #[test]
    fn record_that_claims_the_new_form_needs_its_proof() {
        for record in [
            "{\"format\":\"obscura-release/2\"}",
            "{\"format\":\"obscura-release/3\"}",
            "{\"format\":1}",
            "[]",
            "text",
        ] {
            let error = verified(record, None).unwrap_err();
            assert_eq!(error.public().code(), "release-not-verified", "{record}");
        }
        let signer = Signer::generate("log").unwrap();
        let key = signer.verifier().to_string();
        let record = "{\"format\":\"obscura-release/2\",\"decision_proof\":\"none\"}";
        assert!(verified(record, Some(&key)).is_err());
        assert_eq!(verified(record, None).unwrap().decision, DecisionProof::NotVerified);
    }
}
