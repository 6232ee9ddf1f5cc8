//! Use case: after a start, settle what a killed process left between database, log and disk.
//! The log decides every time; nothing is guessed and nothing is run again.

use jiff::SignedDuration;

use crate::app::data::open_version::opening_note;
use crate::app::query::end::fail_job;
use crate::app::reviews::conclude::settle_reviews;
use crate::app::reviews::logged::LoggedReview;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::DatasetOpeningBody;
use crate::context::Door;
use crate::error::AppError;
use crate::error::During as _;
use crate::installation::Installation;
use crate::installation::openings::never_opened;
use crate::installation::openings::today;
use crate::installation::results;
use crate::installation::sealed;
use crate::installation::sealed::storage_failure;
use crate::jobs::JobFailure;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// The numbers of changes and jobs that were settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Records put in force or ended as the log says.
    pub completed: u64,
    /// Records whose event never reached the log, taken back.
    pub discarded: u64,
    /// Jobs whose release had been logged, finished.
    pub jobs_released: u64,
    /// Jobs whose other end had been logged, finished, and those that wait for reviewers by the log.
    pub jobs_ended: u64,
    /// Jobs of dead processes, marked as failed.
    pub jobs_failed: u64,
    /// Sealed versions that no event vouches for, removed.
    pub versions_removed: u64,
    /// Charges to budgets whose row was gone or altered, restored from the log.
    pub charges_restored: u64,
}

/// Forgets results that were kept as long as the settings say. Their releases stay in the log for ever.
///
/// # Errors
/// When database or disk cannot be written.
pub async fn expire_results(installation: &Installation) -> Result<u64, AppError> {
    let kept = SignedDuration::from_hours(24 * i64::from(installation.settings().result_days));
    let before = installation.now().checked_sub(kept).during("count days")?;
    let mut forgotten = 0;
    for job in installation.jobs.released_before(before).await.during("list old results")? {
        // The key first: without it the file cannot be opened.
        installation.jobs.forget_result(job).await.during("forget a result")?;
        results::remove(installation, job)?;
        forgotten += 1;
    }
    Ok(forgotten)
}

/// Settles what was left behind, before a command does anything.
///
/// # Errors
/// When database, log or disk cannot be read or written.
pub async fn recover(installation: &Installation) -> Result<Recovered, AppError> {
    let mut recovered = Recovered::default();
    settle_records(installation, &mut recovered).await?;
    installation.note_all_missing().await?;
    recovered.charges_restored += installation.restore_charges().await?;
    settle_jobs(installation, Door::CommandLine, &mut recovered).await?;
    settle_reviews(installation, Door::CommandLine).await?;
    settle_versions(installation, &mut recovered).await?;
    settle_openings(installation).await?;
    Ok(recovered)
}

async fn settle_records(installation: &Installation, recovered: &mut Recovered) -> Result<(), AppError> {
    if installation.catalog.undecided().await.during("list undecided records")?.is_empty() {
        return Ok(());
    }
    // A process that holds the right to change is alive, so once we hold it, undecided changes are those of dead processes.
    let _guard = installation.change().await?;
    let settled = installation.settle_while_changing().await?;
    recovered.completed += settled.completed;
    recovered.discarded += settled.discarded;
    Ok(())
}

pub(crate) async fn settle_jobs(
    installation: &Installation,
    door: Door,
    recovered: &mut Recovered,
) -> Result<(), AppError> {
    if installation.jobs.abandoned().await.during("list abandoned jobs")?.is_empty() {
        return Ok(());
    }
    // One at a time, or two starting processes would both end the same job.
    let _guard = installation.change().await?;
    for job in installation.jobs.abandoned().await.during("list abandoned jobs")? {
        if job.state == JobState::Checking
            && let Some(review) = LoggedReview::of(installation, job.id).await?
            && review.ended.is_none()
        {
            let index = review.awaited.index;
            installation
                .jobs
                .settle_into_review(job.id, index)
                .await
                .during("let a job wait for reviewers")?;
            recovered.jobs_ended += 1;
            continue;
        }
        match logged_end(installation, &job)? {
            Some(LoggedEnd { state, code, index }) => {
                let (code, now) = (code.as_deref(), installation.now());
                installation.jobs.settle(job.id, (state, code), index, now).await.during("finish a job")?;
                if state == JobState::Released {
                    recovered.jobs_released += 1;
                } else {
                    results::remove(installation, job.id)?;
                    recovered.jobs_ended += 1;
                }
            }
            None => {
                // Its sealed result never left, and never will.
                results::remove(installation, job.id)?;
                fail_job(installation, door, job.id, JobFailure::Interrupted, installation.now()).await?;
                recovered.jobs_failed += 1;
            }
        }
    }
    Ok(())
}

/// The end of a job, by the log.
struct LoggedEnd {
    state: JobState,
    /// The reason that it failed or was cancelled, as its owner is told.
    code: Option<String>,
    /// The entry that says so.
    index: u64,
}

/// Looks behind a job's decision for the event of its end.
fn logged_end(installation: &Installation, job: &JobRow) -> Result<Option<LoggedEnd>, AppError> {
    let Some(decided) = job.decided_index else { return Ok(None) };
    let size = installation.audit.checkpoint().during("read the audit log")?.checkpoint.size();
    let id = job.id.to_string();
    for index in decided.saturating_add(1)..size {
        let event = installation.audit.event(index).during("read the audit log")?;
        if event.correlation.as_deref() != Some(&id) {
            continue;
        }
        let logged = event.detail.get("result_sha256").and_then(|value| value.as_str());
        let ends = [
            (Action::ResultReleased, JobState::Released),
            (Action::ResultWithheld, JobState::Withheld),
            (Action::JobCancelled, JobState::Cancelled),
            (Action::JobFailed, JobState::Failed),
        ];
        let end = ends.into_iter().find(|(action, _)| event.action == action.name());
        match end {
            // The release of another table is none of this job's.
            Some((_, JobState::Released)) if logged.is_none() || logged != job.result_sha256.as_deref() => {}
            Some((_, state)) => {
                let code = event.detail.get("code").and_then(|value| value.as_str()).map(str::to_owned);
                return Ok(Some(LoggedEnd { state, code, index }));
            }
            None => {}
        }
    }
    Ok(None)
}

async fn settle_versions(installation: &Installation, recovered: &mut Recovered) -> Result<(), AppError> {
    installation.data.sweep().map_err(|error| storage_failure(&error))?;
    for dataset in installation.data.datasets().map_err(|error| storage_failure(&error))? {
        let on_disk = installation.data.versions(&dataset).map_err(|error| storage_failure(&error))?;
        let recorded = sealed::vouched_for(installation, &dataset).await?;
        if on_disk.iter().all(|version| recorded.contains(version)) {
            continue;
        }
        // A process that is sealing right now has published and is about to append.
        if let Some(_lock) = sealed::sealing_lock(installation, &dataset)? {
            recovered.versions_removed += sealed::discard_unrecorded(installation, &dataset).await?;
        }
    }
    Ok(())
}

/// Of a dataset of which analysts have seen no version, the newest opens: it was sealed by a program that knew of no openings.
async fn settle_openings(installation: &Installation) -> Result<(), AppError> {
    let today = today(installation);
    for (dataset, version) in never_opened(installation).await? {
        let opening = DatasetOpeningBody { dataset, version, opens: today, since: today };
        let note = opening_note(ActorName::program(Door::CommandLine), Action::DatasetOpened, &opening);
        installation.begin(&opening, note).await?;
    }
    Ok(())
}
