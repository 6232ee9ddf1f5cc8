//! Use case: look at one job: one's own, or anybody's for an auditor. Somebody else's is no job at all.

use obscura_policies::vocabulary::PersonRole;

use crate::app::installation::Installation;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::jobs::JobRow;

/// Finds a job that the caller may see.
///
/// # Errors
/// Not found, in the same words, for a job that is not there and for one that is somebody else's.
pub async fn show_job(installation: &Installation, caller: &Caller, id: JobId) -> Result<JobRow, AppError> {
    let row = installation.jobs.job(id).await.during("find a job")?.ok_or_else(no_job)?;
    if caller.asked_as(&row.person) {
        Ok(row)
    } else if caller.holds(PersonRole::Auditor) {
        // What was asked and what came of it stay with whoever asked.
        Ok(JobRow { verdict: None, release: None, ..row })
    } else {
        Err(no_job())
    }
}

/// There is no such job, or it is somebody else's.
pub(crate) fn no_job() -> AppError {
    PublicError::new(Class::NotFound, "job-not-found", "there is no such job of yours", "您没有该任务").into()
}
