//! Use case: look at one job: one's own, in outline anybody's for an auditor, and for a steward those that asked of their
//! department's data. Any other job is answered as if there were none.

use std::sync::Arc;

use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::department_of;
use crate::app::people::authorise::is_steward;
use crate::app::query::verdict::Verdict;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// Finds a job that the caller may see.
///
/// # Errors
/// Not found, in the same words, for a job that is not there and for one that the caller may not see.
pub async fn show_job(installation: &Installation, caller: &Caller, id: JobId) -> Result<JobRow, AppError> {
    let visible = Visibility::of(installation, caller).await?;
    let row = installation.jobs.job(id).await.during("find a job")?;
    row.and_then(|row| visible.see(row)).ok_or_else(no_job)
}

/// The jobs that a caller sees, and how much of each. The cost of finding out depends on their roles, and on no job.
pub(crate) struct Visibility<'a> {
    caller: &'a Caller,
    /// The departments, for a steward.
    library: Option<Arc<Library>>,
}

impl<'a> Visibility<'a> {
    pub(crate) async fn of(installation: &Installation, caller: &'a Caller) -> Result<Self, AppError> {
        let library = match caller.holds(PersonRole::Steward) {
            true => Some(library(installation).await?),
            false => None,
        };
        Ok(Self { caller, library })
    }

    /// A job as far as the caller sees it; nothing when they may not know of it.
    pub(crate) fn see(&self, row: JobRow) -> Option<JobRow> {
        if self.caller.asked_as(&row.person) {
            // The hash of a result that has not left would let its asker guess a small one.
            let has_left = matches!(row.state, JobState::Released | JobState::Expired);
            return Some(if has_left { row } else { without_result(row) });
        }
        let concerns = |library: &Arc<Library>| concerns(self.caller, library, &row);
        let is_seen = self.caller.holds(PersonRole::Auditor) || self.library.as_ref().is_some_and(concerns);
        is_seen.then(|| JobRow { verdict: None, ..without_result(row) })
    }
}

/// A job without its result and the result's hash, from which a small result can be guessed: only the asker may have them.
pub(crate) fn without_result(row: JobRow) -> JobRow {
    JobRow { release: None, result_key: None, result_sha256: None, ..row }
}

/// Says whether a job asked of data of a department whose steward the caller is, by the documents that its verdict names.
pub(in crate::app) fn concerns(caller: &Caller, library: &Library, row: &JobRow) -> bool {
    datasets_of(row).iter().any(|dataset| is_steward(caller, library, department_of(library, dataset)))
}

/// Says whether a job asked of data of such departments and of no others.
pub(crate) fn concerns_nobody_else(caller: &Caller, library: &Library, row: &JobRow) -> bool {
    let datasets = datasets_of(row);
    let is_theirs = |dataset| is_steward(caller, library, department_of(library, dataset));
    !datasets.is_empty() && datasets.iter().all(is_theirs)
}

/// The datasets whose documents a verdict rests on.
fn datasets_of(row: &JobRow) -> Vec<DatasetId> {
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let sources = verdict.map(|verdict| verdict.policy).unwrap_or_default();
    sources.iter().filter_map(|source| source.id.parse().ok()).collect()
}

/// There is no such job, or the caller may not see it.
pub(crate) fn no_job() -> AppError {
    PublicError::new(Class::NotFound, "job-not-found", "there is no such job of yours", "您没有该任务").into()
}
