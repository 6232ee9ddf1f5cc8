//! Use case: list the newest jobs: one's own, in outline everybody's for an auditor, and for a steward those that asked of
//! their department's data. It shows states and codes; questions and results stay with the person who asked.

use obscura_policies::vocabulary::PersonRole;

use crate::app::query::show_job::Visibility;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::jobs::JobRow;

/// Most jobs in one list.
pub const JOBS_MAX: u32 = 1000;
/// Most jobs that are looked through for one list of a steward, who then asks for more.
const LOOKED_THROUGH_MAX: usize = 10_000;

/// Jobs, newest first.
#[derive(Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRow>,
    /// The job before which there may be more.
    pub next: Option<JobId>,
}

/// Lists jobs, newest first, from the one before `before` on.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_jobs(
    installation: &Installation,
    caller: &Caller,
    before: Option<JobId>,
    most: u32,
) -> Result<JobPage, AppError> {
    let most = most.min(JOBS_MAX);
    let is_full = |jobs: &[JobRow]| jobs.len() >= usize::try_from(most).unwrap_or(usize::MAX);
    let sees_others = caller.holds(PersonRole::Auditor) || caller.holds(PersonRole::Steward);
    let own = (!sees_others).then(|| caller.person().name.as_str());
    let visible = Visibility::of(installation, caller).await?;
    let mut page = JobPage { jobs: Vec::new(), next: before };
    let mut looked_through = 0;
    loop {
        let rows = installation.jobs.jobs(own, page.next, most).await.during("list jobs")?;
        let is_last = !is_full(&rows);
        looked_through += rows.len();
        for row in rows {
            if is_full(&page.jobs) {
                return Ok(page);
            }
            page.next = Some(row.id);
            // Callers see their own jobs only while they hold the role that they asked in.
            page.jobs.extend(visible.see(row));
        }
        if is_last {
            return Ok(JobPage { next: None, ..page });
        }
        if is_full(&page.jobs) || looked_through >= LOOKED_THROUGH_MAX {
            return Ok(page);
        }
    }
}
