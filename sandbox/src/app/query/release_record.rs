//! The signed record of a release: what left, under which controls, from which versions, and that its decision is in the
//! audit log. A format we keep; verifying it is in `verify_release`.

use obscura_crypto::note::SignedNote;
use obscura_query_guard::plan::GuardedPlan;
use serde_json::json;

use crate::app::log::verify_release::FORMAT;
use crate::app::query::opening::Unwrapped;
use crate::app::query::question::SubmitQuery;
use crate::app::query::review_context::ReviewContext;
use crate::app::query::verdict::Verdict;
use crate::audit::proof::prove;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::RELEASE_SIGNER;
use crate::installation::sealed::storage_failure;

/// Everything that is known when a result is about to leave.
pub(crate) struct ReleaseInputs<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) question: &'a SubmitQuery,
    pub(crate) review_context: &'a ReviewContext,
    pub(crate) plan: &'a GuardedPlan,
    pub(crate) verdict: &'a Verdict,
    pub(crate) decided_index: u64,
    pub(crate) unwrapped: Unwrapped,
    /// Names of the secrets that took part.
    pub(crate) secrets: Vec<String>,
}

/// The signed record of what was released, under which controls, from which versions.
pub(crate) fn release_record(
    installation: &Installation,
    inputs: &ReleaseInputs<'_>,
    job: JobId,
    sha256: &str,
) -> Result<String, AppError> {
    let mut datasets = Vec::new();
    for dataset in inputs.plan.scans().keys() {
        let Some(version) = inputs.review_context.sealed.get(dataset) else { continue };
        let manifest = version.manifest();
        let sha256 = manifest.sha256().map_err(|error| storage_failure(&error))?;
        let id = dataset.to_string();
        datasets.push(json!({ "id": id, "version": manifest.version, "manifest_sha256": sha256 }));
    }
    let proof = installation.blocking(|| prove(installation.audit.reader(), inputs.decided_index));
    let record = json!({
        "format": FORMAT,
        "job": job.to_string(),
        "person": inputs.caller.person().name.as_str(),
        "asked_at": inputs.review_context.now.to_string(),
        "decided_index": inputs.decided_index,
        // The decision, and that it is in the log. The release itself cannot be: its entry holds this record's hash.
        "decision_proof": proof.during("prove a decision")?,
        "result_sha256": sha256,
        // Small and dominated cells were left out wherever there were any. The record never says whether there were.
        "suppression": "in force",
        "software": {
            "name": "obscura",
            "version": env!("CARGO_PKG_VERSION"),
            "engine": { "name": "datafusion", "version": datafusion::DATAFUSION_VERSION },
        },
        "output": inputs.verdict.output,
        "controls": inputs.verdict.controls,
        // Keys of masks and of noise by name: what they are stays in the keyring.
        "secrets": inputs.secrets,
        "policy": inputs.verdict.policy,
        "datasets": datasets,
        "audit_log": installation.audit.verifier().name(),
    });
    let mut record = record;
    let reviewers = inputs.verdict.reviewers;
    if let (1.., Some(record)) = (reviewers, record.as_object_mut()) {
        // It left only after so many people had looked at it: the release's entry of the log is the proof.
        record.insert("reviewers".to_owned(), json!(reviewers));
    }
    let text = serde_json_canonicalizer::to_string(&record).during("write a release record")?;
    let signer = installation.keys.signer(RELEASE_SIGNER).during("take the key of releases")?;
    let note = SignedNote::sign(&format!("{text}\n"), &signer).during("sign a release record")?;
    Ok(note.to_string())
}
