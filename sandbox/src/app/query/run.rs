//! Running an admitted job to its end: it is computed within its limits, and its result released, or its end written down.

use tokio::sync::watch;

use crate::app::query::completion::CompletionGrid;
use crate::app::query::compute::compute;
use crate::app::query::end::Ended;
use crate::app::query::end::Unreleased;
use crate::app::query::judge::Admitted;
use crate::app::query::judge::AdmittedJob;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::judge::is_still_allowed;
use crate::app::query::outcome::JobEnd;
use crate::app::query::outcome::ReleasedQuery;
use crate::app::query::release_record::ReleaseInputs;
use crate::app::query::released::Left;
use crate::app::query::released::clear;
use crate::engine::EngineProgress;
use crate::error::AppError;
use crate::error::During as _;
use crate::installation::Installation;

/// The progress of a job; an observer is told the same for all data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It runs.
    Running(EngineProgress),
    /// It has been computed.
    Checking,
}

/// The means by which a door follows a running job, and stops it.
#[derive(Clone, Copy)]
pub struct JobControl<'a> {
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    cancelled: Option<&'a watch::Receiver<bool>>,
}

impl std::fmt::Debug for JobControl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobControl").finish_non_exhaustive()
    }
}

impl<'a> JobControl<'a> {
    /// Follows a job to its end.
    pub fn following(progress: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self { progress, cancelled: None }
    }

    /// Follows a job that may be stopped until its result is sealed.
    pub fn stoppable(
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: &'a watch::Receiver<bool>,
    ) -> Self {
        Self { progress, cancelled: Some(cancelled) }
    }

    async fn cancelled(&self) {
        if let Some(cancelled) = self.cancelled {
            // A sender that is gone will not cancel any more.
            if cancelled.clone().wait_for(|cancelled| *cancelled).await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }
}

/// Runs an admitted job to its end.
///
/// # Errors
/// When the job's end could not be written down. Any other fault is the job's end, not an error.
pub async fn run_admitted(
    installation: &Installation,
    waiting: AdmittedJob,
    control: JobControl<'_>,
) -> Result<JobEnd, AppError> {
    let AdmittedJob {
        hold: _hold,
        caller,
        question,
        review_context,
        job,
        decided_index,
        reserved,
        admitted,
        ..
    } = waiting;
    let id = job.id();
    let unreleased = Unreleased::of(installation, &caller, &job);
    if !is_still_allowed(installation, &caller, &question, (&review_context, &admitted.verdict)).await? {
        return unreleased.end(Ended::Cancelled(Some(NO_LONGER_ALLOWED)), installation.now()).await;
    }
    let job = installation.jobs.run(job).await.during("run a job")?;
    let least = installation.settings().limits.completion_step;
    let grid = CompletionGrid::begin(installation.now(), least, admitted.plan.cost());
    let computing = async {
        let progress = |progress| (control.progress)(Progress::Running(progress));
        let computed = compute(installation, id, &review_context, (&admitted, &reserved), &progress).await;
        (computed, grid.next().await)
    };
    let (computed, finished) = tokio::select! {
        // Until the step is over no caller learns whether it was computed already: a cancellation by then counts.
        biased;
        () = control.cancelled() => (Err(Ended::Cancelled(None)), grid.next().await),
        computed = computing => computed,
    };
    let (release, unwrapped) = match computed {
        Ok(computed) => computed,
        Err(ended) => return unreleased.end(ended, finished).await,
    };
    (control.progress)(Progress::Checking);
    let Admitted { plan, verdict, keys, noise } = admitted;
    let inputs = ReleaseInputs {
        caller: &caller,
        question: &question,
        review_context: &review_context,
        plan: &plan,
        verdict: &verdict,
        decided_index,
        unwrapped,
        secrets: keys.names().into_iter().chain(noise.names()).collect(),
    };
    let cleared = match clear(installation, &inputs, job, release).await {
        Ok(cleared) => cleared,
        Err(ended) => return unreleased.end(ended, grid.next().await).await,
    };
    let concluded = match cleared.leave(installation, unreleased, finished).await {
        Ok(Left::Released(concluded)) => concluded,
        Ok(Left::InReview) => return Ok(JobEnd::InReview { job: id, reviewers: verdict.reviewers }),
        Err(error) => {
            grid.next().await;
            return Err(error);
        }
    };
    Ok(JobEnd::Released(Box::new(ReleasedQuery {
        job: id,
        verdict,
        table: concluded.table,
        sha256: concluded.sha256,
        release: concluded.record,
        decided_index,
        released_index: concluded.released_index,
    })))
}

/// Ends a job that waits, before it ever ran.
///
/// # Errors
/// When its end could not be written down.
pub async fn cancel_admitted(installation: &Installation, waiting: AdmittedJob) -> Result<(), AppError> {
    let unreleased = Unreleased::of(installation, &waiting.caller, &waiting.job);
    unreleased.end(Ended::Cancelled(None), installation.now()).await.map(|_| ())
}
