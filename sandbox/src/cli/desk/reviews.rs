//! Reviews of results.

use crate::api::reviews::ReviewDecided;
use crate::api::reviews::ReviewList;
use crate::api::reviews::ReviewSummaryView;
use crate::api::reviews::ReviewView;
use crate::api::reviews::ReviewWish;
use crate::app::reviews::decide::DecideReview;
use crate::app::reviews::decide::decide_review;
use crate::app::reviews::list_reviews::REVIEWS_MAX;
use crate::app::reviews::list_reviews::list_reviews;
use crate::app::reviews::show_review::show_review;
use crate::cli::client::Sent;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;
use crate::ids::JobId;

impl Desk {
    /// Lists the results that wait for the caller, the oldest.
    pub(crate) async fn reviews(&self) -> Result<Vec<ReviewSummaryView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let page = list_reviews(installation, caller, None, REVIEWS_MAX).await?;
                Ok(page.reviews.into_iter().map(ReviewSummaryView::of).collect())
            }
            Self::Server(client) => {
                Ok(client.get::<ReviewList>(&format!("/reviews?limit={REVIEWS_MAX}")).await?.reviews)
            }
        }
    }

    /// Looks at a result that waits.
    pub(crate) async fn review(&self, id: JobId) -> Result<ReviewView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(ReviewView::of(show_review(installation, caller, id).await?))
            }
            Self::Server(client) => client.get(&format!("/reviews/{id}")).await,
        }
    }

    /// Decides on a result.
    pub(crate) async fn decide_review(&self, id: JobId, wish: ReviewWish) -> Result<ReviewDecided, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let ReviewWish { decision, comment } = wish;
                let wish = DecideReview { outcome: decision.into(), comment };
                Ok(ReviewDecided::of(id, decide_review(installation, caller, id, wish).await?))
            }
            Self::Server(client) => client.post(&format!("/reviews/{id}/decision"), Sent::json(&wish)?).await,
        }
    }
}
