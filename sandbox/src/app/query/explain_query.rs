//! Use case: judge a question without running it. Reads no data, makes no job; says what the question costs its budgets, and
//! spends nothing.

use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::query::charging::weigh;
use crate::app::query::purpose::check_purpose;
use crate::app::query::question::SubmitQuery;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::parsed;
use crate::app::query::review_context::review_context;
use crate::app::query::verdict::Verdict;
use crate::context::Caller;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::reviews::Judging;

/// Judges a question without running it: reads no data, makes no job.
///
/// # Errors
/// Forbidden for all but analysts; failure when documents or manifests cannot be read.
pub async fn explain_query(
    installation: &Installation,
    caller: &Caller,
    question: &SubmitQuery,
) -> Result<Verdict, AppError> {
    must_be(caller, PersonRole::Analyst)?;
    check_purpose(&question.purpose)?;
    let review_context = review_context(installation, caller, &parsed(&question.sql)).await?;
    let judging = Judging::Question(&question.presence);
    let reviewed = review_context.review(installation, question, judging).await?;
    Ok(match weigh(installation, caller, reviewed, &review_context).await? {
        Reviewed::Admitted { verdict, .. } | Reviewed::Refused(verdict) => verdict,
    })
}
