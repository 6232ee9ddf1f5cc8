//! The people who may review a result: stewards of a department, or of a node above it, whose dataset the question names, and
//! not the person who asked. Stewards answer for what leaves of their data; auditors look on, and analysts never review.

use obscura_policies::library::Library;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authenticate::in_absence;
use crate::app::people::authorise::must_be;
use crate::app::query::show_job::concerns;
use crate::app::query::show_job::no_job;
use crate::app::reviews::logged::Said;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::jobs::JobRow;

/// Says whether a caller may review the result of a job.
pub(crate) fn may_review(caller: &Caller, library: &Library, row: &JobRow) -> bool {
    caller.holds(PersonRole::Steward)
        && caller.person().name.as_str() != row.person
        && concerns(caller, library, row)
}

/// Refuses unless the caller may review the result of a job.
///
/// # Errors
/// Forbidden for all but stewards, and on one's own result; not found, in the words of a job that is not there, for stewards of
/// other departments.
pub(crate) fn must_review(caller: &Caller, library: &Library, row: &JobRow) -> Result<(), AppError> {
    must_be(caller, PersonRole::Steward)?;
    if !concerns(caller, library, row) {
        return Err(no_job());
    }
    if caller.person().name.as_str() == row.person {
        let en = "nobody reviews their own result";
        return Err(PublicError::new(Class::Forbidden, "not-oneself", en, "不能复核自己的结果").into());
    }
    Ok(())
}

/// Says whether a decision still counts: its reviewer is still here, and may still review the result. What a removed account
/// let out does not leave.
pub(super) async fn still_counts(
    installation: &Installation,
    library: &Library,
    row: &JobRow,
    said: &Said,
) -> Result<bool, AppError> {
    let reviewer = in_absence(installation, &said.reviewer, crate::context::Door::Http).await?;
    Ok(reviewer.is_some_and(|reviewer| may_review(&reviewer, library, row)))
}
