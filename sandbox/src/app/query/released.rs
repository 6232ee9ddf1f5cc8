//! Releasing a result: sealed on disk first, then in the log, then in the job's row.

use jiff::Timestamp;
use obscura_query_guard::control::Release;

use crate::app::blocking::blocking;
use crate::app::described::described;
use crate::app::installation::Installation;
use crate::app::query::end::Ended;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::judge::is_still_allowed;
use crate::app::records::Note;
use crate::app::release_record::ReleaseInputs;
use crate::app::release_record::release_record;
use crate::app::results;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::error::During as _;
use crate::error::InternalError;
use crate::jobs::RunningJob;
use crate::jobs::store::StagedResult;

pub(super) struct Concluded {
    pub(super) table: Vec<u8>,
    pub(super) sha256: String,
    pub(super) record: String,
    pub(super) released_index: u64,
}

/// Seals the result, then logs its release: INVARIANT(no-receipt-no-result).
pub(super) async fn conclude(
    installation: &Installation,
    inputs: &ReleaseInputs<'_>,
    job: RunningJob,
    release: Release,
    finished: Timestamp,
) -> Result<Concluded, Ended> {
    let id = job.id();
    let grade = inputs.plan.stages().iter().map(|stage| stage.controls().grade.0).max().unwrap_or(1);
    let batch = described(release.batch(), id, &inputs.question.purpose, inputs.verdict)?;
    drop(release);
    let stored = blocking(|| results::store(installation, id, grade, batch))?;
    let record = release_record(installation, inputs, id, &stored.sha256)?;
    let staged =
        StagedResult { sha256: stored.sha256.clone(), key: stored.key.to_string(), release: record.clone() };
    let job = installation.jobs.check(job, &staged).await.during("stage a result")?;
    let note = |action| Note::new(action, ActorName::of(inputs.caller)).of_job(id);
    let controls = serde_json::to_value(&inputs.verdict.controls).during("write the controls")?;
    let notes = vec![
        (
            note(Action::QueryExecuted)
                .with("keys_unwrapped", inputs.unwrapped.keys)
                .with("unwraps_sha256", inputs.unwrapped.line_sha256.clone()),
            None,
        ),
        (note(Action::OutputChecked).with("controls", controls), None),
        (
            note(Action::ResultReleased)
                .with("purpose", inputs.question.purpose.clone())
                .with("datasets", inputs.plan.scans().keys().map(ToString::to_string).collect::<Vec<_>>())
                .with("result_sha256", stored.sha256.clone())
                .with("release_sha256", obscura_crypto::sha256_hex(record.as_bytes())),
            None,
        ),
    ];
    // What is revoked before this moment stops the release, what is revoked after it comes after it in the log.
    let unchanged = installation.change().await?;
    let ReleaseInputs { caller, question, verdict, review_context, .. } = inputs;
    if !is_still_allowed(installation, caller, question, (review_context, verdict)).await? {
        results::remove(installation, id)?;
        return Err(Ended::Cancelled(Some(NO_LONGER_ALLOWED)));
    }
    // An append that fails may still have reached the disk: the log decides then, and nothing else may end the job before.
    let receipts = installation.append(notes).await.map_err(Ended::Unwritten)?;
    drop(unchanged);
    let receipt = receipts
        .into_iter()
        .last()
        .ok_or_else(|| InternalError::of_kind("release a result", "no receipt"))?;
    if let Err(error) = installation.jobs.release(job, &receipt, finished).await {
        // The log says that it left, so nothing else may end this job; its row is finished when what was dropped is settled.
        return Err(Ended::Unwritten(InternalError::new("finish a job", &error).into()));
    }
    Ok(Concluded { table: stored.table, sha256: stored.sha256, record, released_index: receipt.index() })
}
