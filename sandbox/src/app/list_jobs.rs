//! Use case: list the newest jobs: one's own, or everybody's for an auditor.
//! It shows states and codes; questions and results stay with whoever asked.

use obscura_policies::vocabulary::PersonRole;

use crate::app::installation::Installation;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::jobs::JobRow;

/// Most jobs in one list.
pub const JOBS_MAX: u32 = 1000;

/// Lists jobs, newest first, from the one before `before` on.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_jobs(
    installation: &Installation,
    caller: &Caller,
    before: Option<JobId>,
    most: u32,
) -> Result<Vec<JobRow>, AppError> {
    let own = (!caller.holds(PersonRole::Auditor)).then(|| caller.person().name.as_str());
    installation.jobs.jobs(own, before, most.min(JOBS_MAX)).await.during("list jobs")
}
