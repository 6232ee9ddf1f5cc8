//! Use case: look at one job: one's own, in outline anybody's for an auditor, and for a steward those that asked of their
//! department's data. Somebody else's is no job at all.

use std::sync::Arc;

use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::authorise::department_of;
use crate::app::authorise::is_steward;
use crate::app::installation::Installation;
use crate::app::library::library;
use crate::app::verdict::Verdict;
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
    let sight = Sight::of(installation, caller).await?;
    let row = installation.jobs.job(id).await.during("find a job")?;
    row.and_then(|row| sight.see(row)).ok_or_else(no_job)
}

/// How far somebody sees jobs. What it takes to find out depends on their roles, and on no job.
pub(crate) struct Sight<'a> {
    caller: &'a Caller,
    /// The departments, for a steward.
    library: Option<Arc<Library>>,
}

impl<'a> Sight<'a> {
    pub(crate) async fn of(installation: &Installation, caller: &'a Caller) -> Result<Self, AppError> {
        let library = match caller.holds(PersonRole::Steward) {
            true => Some(library(installation).await?),
            false => None,
        };
        Ok(Self { caller, library })
    }

    /// A job as far as it is seen; nothing when it is none to them.
    pub(crate) fn see(&self, row: JobRow) -> Option<JobRow> {
        if self.caller.asked_as(&row.person) {
            return Some(row);
        }
        let concerns = |library: &Arc<Library>| concerns(self.caller, library, &row);
        let is_seen = self.caller.holds(PersonRole::Auditor) || self.library.as_ref().is_some_and(concerns);
        // What was asked and what came of it stay with whoever asked.
        is_seen.then_some(JobRow { verdict: None, release: None, ..row })
    }
}

/// Whether a job asked of data of a department whose steward the caller is: the verdict names the documents it rests on.
fn concerns(caller: &Caller, library: &Library, row: &JobRow) -> bool {
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let sources = verdict.map(|verdict| verdict.policy).unwrap_or_default();
    let mut datasets = sources.iter().filter_map(|source| source.id.parse::<DatasetId>().ok());
    datasets.any(|dataset| is_steward(caller, library, department_of(library, &dataset)))
}

/// There is no such job, or it is somebody else's.
pub(crate) fn no_job() -> AppError {
    PublicError::new(Class::NotFound, "job-not-found", "there is no such job of yours", "您没有该任务").into()
}
