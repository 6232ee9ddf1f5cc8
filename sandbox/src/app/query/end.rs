//! Ends a job without a release: the entry of the log first, then its row. The asker is told a code from a closed list; the
//! details are for the operator's log.

use jiff::Timestamp;

use crate::app::query::outcome::JobEnd;
use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::event::RecordChange;
use crate::catalog::body::ReviewBody;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::jobs::JobFailure;
use crate::jobs::QueuedJob;

/// The end of a run without a release.
pub(crate) enum Ended {
    /// Controls let nothing out.
    Withheld,
    /// It was stopped; with a reason, where it was not its owner's wish.
    Cancelled(Option<&'static str>),
    /// It failed: its owner is told the first, the operator the second.
    Failed(JobFailure, AppError),
}

impl Ended {
    /// The end of a job that broke: the operator learns what broke, the asker only that something did.
    pub(crate) fn broken(error: AppError) -> Self {
        let failure = match &error {
            AppError::Internal(error) if error.is_disk_full() => JobFailure::DiskFull,
            AppError::Internal(_) | AppError::Public(_) => JobFailure::Execution,
        };
        Self::Failed(failure, error)
    }
}

/// The right to end a run without a release. Each run has one: it is made of the queued job, which running consumes, and
/// logging the release consumes it in turn. An error after that has no way to be recorded as a failure of the job, whose
/// release may be in the log.
pub(crate) struct Unreleased<'a> {
    installation: &'a Installation,
    caller: &'a Caller,
    job: JobId,
}

impl<'a> Unreleased<'a> {
    /// The right to end a job that has not begun to run.
    pub(crate) fn of(installation: &'a Installation, caller: &'a Caller, job: &QueuedJob) -> Self {
        Self { installation, caller, job: job.id() }
    }

    /// Ends the job: its event first, then its row.
    ///
    /// # Errors
    /// When its end could not be written down.
    pub(crate) async fn end(self, ended: Ended, finished: Timestamp) -> Result<JobEnd, AppError> {
        let Self { installation, caller, job } = self;
        match ended {
            Ended::Withheld => {
                withhold_job(installation, caller, job, finished).await?;
                Ok(JobEnd::Withheld { job })
            }
            Ended::Cancelled(code) => {
                cancel_job(installation, job, ActorName::of(caller), code, finished).await?;
                Ok(JobEnd::Cancelled { job, code })
            }
            Ended::Failed(failure, error) => {
                fail_with(installation, caller.door(), job, (failure, &error), finished).await?;
                Ok(JobEnd::Failed { job, failure })
            }
        }
    }

    /// Logs what led to a result that waits for reviewers, and begins the record by which the log lets it wait.
    ///
    /// # Errors
    /// As [`Self::log_release`].
    pub(super) async fn log_review(
        self,
        before: Vec<Note>,
        (review, awaited): (&ReviewBody, Note),
    ) -> Result<Receipt, AppError> {
        self.installation.append(before.into_iter().map(|note| (note, None)).collect()).await?;
        let begun = self.installation.begin_while_changing(review, awaited).await?;
        begun.ok_or_else(|| InternalError::of_kind("let a result wait for reviewers", "waited before").into())
    }

    /// Logs what led to the release of the job's result, and the release itself, which comes last.
    ///
    /// # Errors
    /// When the log cannot be written. An append that fails may still have reached the disk: the log decides at the next
    /// settling, and nothing else may end the job before.
    pub(super) async fn log_release(
        self,
        notes: Vec<(Note, Option<RecordChange>)>,
    ) -> Result<Receipt, AppError> {
        let receipts = self.installation.append(notes).await?;
        let receipt = receipts.into_iter().last();
        receipt.ok_or_else(|| InternalError::of_kind("release a result", "no receipt").into())
    }
}

/// The error that an asker is told of a job that met a limit, with what they can do.
pub(crate) fn limit_exceeded() -> PublicError {
    PublicError::new(
        Class::Conflict,
        JobFailure::Limit.code(),
        "the question needs more memory, time or rows of result than one job may use; nothing was released",
        "该问题所需的内存、时间或结果行数超出单个任务的上限，没有任何结果流出",
    )
    .with_help(
        "narrow the question, aggregate each side per subject before joining, or use fewer joins",
        "请缩小查询范围，或先按主体汇总各表再连接，或减少连接",
    )
}

/// Ends a job of whose result nothing may leave, with its event.
async fn withhold_job(
    installation: &Installation,
    caller: &Caller,
    job: JobId,
    finished: Timestamp,
) -> Result<(), AppError> {
    let note = Note::new(Action::ResultWithheld, ActorName::of(caller)).of_job(job);
    let receipt = installation.append_one(note).await?;
    installation.jobs.withhold(job, None, &receipt, finished).await.during("withhold a result")
}

/// Ends a job that is stopped before anything leaves, with its event.
pub(super) async fn cancel_job(
    installation: &Installation,
    job: JobId,
    actor: ActorName,
    code: Option<&'static str>,
    finished: Timestamp,
) -> Result<(), AppError> {
    let mut note = Note::new(Action::JobCancelled, actor).of_job(job);
    if let Some(code) = code {
        note = note.with("code", code);
    }
    let receipt = installation.append_one(note).await?;
    installation.jobs.cancel(job, code, &receipt, finished).await.during("cancel a job")
}

/// Ends a job as failed, with its event, in the name of the program behind a door.
pub(in crate::app) async fn fail_job(
    installation: &Installation,
    door: Door,
    job: JobId,
    failure: JobFailure,
    finished: Timestamp,
) -> Result<(), AppError> {
    let note =
        Note::new(Action::JobFailed, ActorName::program(door)).of_job(job).with("code", failure.code());
    let receipt = installation.append_one(note).await?;
    installation.jobs.fail(job, failure.code(), &receipt, finished).await.during("fail a job")
}

/// Ends a job that broke: the operator's log is told what broke, the job only of which kind it was.
async fn fail_with(
    installation: &Installation,
    door: Door,
    job: JobId,
    (failure, error): (JobFailure, &AppError),
    finished: Timestamp,
) -> Result<(), AppError> {
    let internal = match error {
        AppError::Internal(internal) => internal,
        AppError::Public(public) => &InternalError::of_kind("run a query", public.code()),
    };
    installation.note(&job.to_string(), internal);
    fail_job(installation, door, job, failure, finished).await
}

/// A job that broke before its decision will never run: said now, as far as it can be, and not by the next start.
pub(super) async fn never_runs(installation: &Installation, door: Door, job: JobId, error: &AppError) {
    let failed = fail_with(installation, door, job, (JobFailure::Execution, error), installation.now()).await;
    if let Err(again) = failed {
        installation.note_failure(&job.to_string(), &again);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_what_may_depend_on_data() {
        let told = |kind: io::ErrorKind| {
            let failed = Err::<(), _>(io::Error::from(kind)).during("write a result");
            match failed.map_err(Ended::broken) {
                Err(Ended::Failed(failure, _)) => Some(failure.code()),
                _ => None,
            }
        };
        assert_eq!(told(io::ErrorKind::StorageFull), Some("disk-full"));
        assert_eq!(told(io::ErrorKind::InvalidData), Some("execution-failed"));
    }
}
