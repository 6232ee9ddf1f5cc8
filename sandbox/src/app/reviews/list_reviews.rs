//! Use case: list the results that wait for one as a reviewer, the oldest first. It shows nothing of a result, and of decisions
//! one's own alone.

use jiff::Timestamp;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::reviews::logged::LoggedReview;
use crate::app::reviews::logged::ReviewOutcome;
use crate::app::reviews::reviewers::may_review;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;

/// Most reviews in one list.
pub const REVIEWS_MAX: u32 = 200;

/// A result that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewSummary {
    /// The job.
    pub job: JobId,
    /// The person who asked.
    pub person: String,
    /// Code of the purpose.
    pub purpose: String,
    /// When it was asked.
    pub asked: Timestamp,
    /// Since when it waits.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The number of people who look at it.
    pub reviewers: usize,
    /// The caller's own decision.
    pub own: Option<ReviewOutcome>,
}

/// Results that wait, the oldest first.
#[derive(Debug)]
pub struct ReviewPage {
    /// The results.
    pub reviews: Vec<ReviewSummary>,
    /// The job behind which there are more.
    pub next: Option<JobId>,
}

/// Lists the results that wait for the caller among others, from the one after `after` on.
///
/// # Errors
/// Forbidden for all but stewards; when the log cannot be read.
pub async fn list_reviews(
    installation: &Installation,
    caller: &Caller,
    after: Option<JobId>,
    most: u32,
) -> Result<ReviewPage, AppError> {
    must_be(caller, PersonRole::Steward)?;
    let most = usize::try_from(most.clamp(1, REVIEWS_MAX)).unwrap_or(usize::MAX);
    let library = library(installation).await?;
    let rows = installation.jobs.in_review(None).await.during("list jobs that wait for reviewers")?;
    let mut page = ReviewPage { reviews: Vec::new(), next: None };
    for row in rows {
        if after.is_some_and(|after| row.id <= after) || !may_review(caller, &library, &row) {
            continue;
        }
        // A row alone lets nothing wait.
        let Some(review) = LoggedReview::of(installation, row.id).await? else { continue };
        if review.ended.is_some() {
            continue;
        }
        if page.reviews.len() == most {
            page.next = page.reviews.last().map(|last| last.job);
            break;
        }
        page.reviews.push(ReviewSummary {
            job: row.id,
            person: row.person,
            purpose: row.purpose,
            asked: row.received,
            since: review.awaited.time,
            until: review.until(installation),
            reviewers: review.reviewers,
            own: review.said_by(caller.person().name.as_str()).map(|said| said.outcome),
        });
    }
    Ok(page)
}
