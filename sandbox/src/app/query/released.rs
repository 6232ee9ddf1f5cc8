//! Releasing a result: sealed on disk first, then in the log, then in the job's row. One that needs reviewers goes the same
//! way and waits for them instead of leaving.
//!
//! [`clear`] comes before the log: an error there ends the job. [`Cleared::leave`] appends to the log and goes on with the
//! row, and gives up the right to end the job otherwise.

use jiff::Timestamp;
use obscura_query_guard::control::Release;

use crate::app::query::described::described;
use crate::app::query::end::Ended;
use crate::app::query::end::Unreleased;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::judge::is_still_allowed;
use crate::app::query::release_record::ReleaseInputs;
use crate::app::query::release_record::release_record;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::ReviewBody;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::ChangeGuard;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::installation::results;
use crate::installation::results::StoredResult;
use crate::jobs::CheckingJob;
use crate::jobs::RunningJob;
use crate::jobs::store::StagedResult;

/// A sealed result that may leave, as long as no record can change. It has not left.
pub(super) struct Cleared<'a> {
    job: CheckingJob,
    stored: StoredResult,
    record: String,
    review: ReviewBody,
    notes: Notes,
    /// A revocation before this was taken stops the release, one after it comes after it in the log.
    unchanged: ChangeGuard<'a>,
}

/// The outcome for a result that may leave.
pub(super) enum Left {
    /// It has left.
    Released(Concluded),
    /// It waits for reviewers.
    InReview,
}

/// The entries of a result: what comes before it, and its own facts, by which it leaves at once or later.
struct Notes {
    before: Vec<Note>,
    result: Note,
}

/// A result that has left.
pub(super) struct Concluded {
    pub(super) table: Vec<u8>,
    pub(super) sha256: String,
    pub(super) record: String,
    pub(super) released_index: u64,
}

/// Seals a result, and makes sure that it may still leave.
pub(super) async fn clear<'a>(
    installation: &'a Installation,
    inputs: &ReleaseInputs<'_>,
    job: RunningJob,
    release: Release,
) -> Result<Cleared<'a>, Ended> {
    match seal_and_check(installation, inputs, job, release).await {
        Ok(Some(cleared)) => Ok(cleared),
        Ok(None) => Err(Ended::Cancelled(Some(NO_LONGER_ALLOWED))),
        Err(error) => Err(Ended::broken(error)),
    }
}

/// As [`clear`]; nothing when it may not leave any more.
async fn seal_and_check<'a>(
    installation: &'a Installation,
    inputs: &ReleaseInputs<'_>,
    job: RunningJob,
    release: Release,
) -> Result<Option<Cleared<'a>>, AppError> {
    let id = job.id();
    let grade = inputs.plan.stages().iter().map(|stage| stage.controls().grade.0).max().unwrap_or(1);
    let batch = described(release.batch(), id, &inputs.question.purpose, inputs.verdict)?;
    drop(release);
    let stored = installation.blocking(|| results::store(installation, id, grade, batch))?;
    let record = release_record(installation, inputs, id, &stored.sha256)?;
    let staged =
        StagedResult { sha256: stored.sha256.clone(), key: stored.key.to_string(), release: record.clone() };
    let job = installation.jobs.check(job, &staged).await.during("stage a result")?;
    let notes = notes(inputs, id, &staged)?;
    let unchanged = installation.change().await?;
    let ReleaseInputs { caller, question, verdict, review_context, .. } = inputs;
    if !is_still_allowed(installation, caller, question, (review_context, verdict)).await? {
        results::remove(installation, id)?;
        return Ok(None);
    }
    let review = ReviewBody {
        job: id.to_string(),
        person: caller.person().name.to_string(),
        reviewers: inputs.plan.review().reviewers(),
    };
    Ok(Some(Cleared { job, stored, record, review, notes, unchanged }))
}

/// The entries of a release: the question was executed, its output checked, and the result released.
fn notes(inputs: &ReleaseInputs<'_>, job: JobId, staged: &StagedResult) -> Result<Notes, AppError> {
    let note = |action| Note::new(action, ActorName::of(inputs.caller)).of_job(job);
    let controls = serde_json::to_value(&inputs.verdict.controls).during("write the controls")?;
    let executed = note(Action::QueryExecuted)
        .with("keys_unwrapped", inputs.unwrapped.keys)
        .with("unwraps_sha256", inputs.unwrapped.line_sha256.clone());
    let checked = note(Action::OutputChecked).with("controls", controls);
    let released = note(Action::ResultReleased)
        .with("purpose", inputs.question.purpose.clone())
        .with("datasets", inputs.plan.scans().keys().map(ToString::to_string).collect::<Vec<_>>())
        .with("result_sha256", staged.sha256.clone())
        .with("release_sha256", obscura_crypto::sha256_hex(staged.release.as_bytes()));
    Ok(Notes { before: vec![executed, checked], result: released })
}

impl Cleared<'_> {
    /// Lets the result leave, or wait for its reviewers: the one way out of here, which asks the plan for their number.
    /// INVARIANT(no-review-no-release): it is that of the plan that ran.
    ///
    /// # Errors
    /// When log or row cannot be written. The row goes on as the log says when what was dropped is settled.
    pub(super) async fn leave(
        self,
        installation: &Installation,
        unreleased: Unreleased<'_>,
        finished: Timestamp,
    ) -> Result<Left, AppError> {
        if self.review.reviewers == 0 {
            return self.release(installation, unreleased, finished).await.map(Left::Released);
        }
        let Self { job, review, notes, unchanged, .. } = self;
        let mut awaited = Note { action: Action::ReviewAwaited, ..notes.result };
        // The log keeps no hash of a table that may never leave, from which a small one can be guessed: the record names it,
        // whose own hash nobody can guess, because it is signed.
        awaited.detail.remove("result_sha256");
        let awaited = awaited.with("reviewers", review.reviewers);
        let receipt = unreleased.log_review(notes.before, (&review, awaited)).await?;
        drop(unchanged);
        let done = installation.jobs.await_review(job, &receipt).await;
        done.map_err(|error| InternalError::new("let a job wait for reviewers", &error))?;
        Ok(Left::InReview)
    }

    /// Logs the release, then finishes the job's row: INVARIANT(no-receipt-no-result).
    async fn release(
        self,
        installation: &Installation,
        unreleased: Unreleased<'_>,
        finished: Timestamp,
    ) -> Result<Concluded, AppError> {
        let Self { job, stored, record, notes, unchanged, .. } = self;
        let notes = notes.before.into_iter().chain([notes.result]).map(|note| (note, None));
        let receipt = unreleased.log_release(notes.collect()).await?;
        drop(unchanged);
        let done = installation.jobs.release(job, &receipt, finished).await;
        done.map_err(|error| InternalError::new("finish a job", &error))?;
        Ok(Concluded { table: stored.table, sha256: stored.sha256, record, released_index: receipt.index() })
    }
}
