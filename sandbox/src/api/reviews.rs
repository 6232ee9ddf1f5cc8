//! Reviews of results on the wire: what waits, what a reviewer sees of it, and what they say.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::JobStateWord;
use crate::app::closed_words::ReviewOutcomeWord;
use crate::app::query::verdict::ControlsView;
use crate::app::query::verdict::OutputView;
use crate::app::query::verdict::TextView;
use crate::app::reviews::checklist::checklist;
use crate::app::reviews::list_reviews::ReviewSummary;
use crate::app::reviews::logged::ReviewOutcome;
use crate::app::reviews::logged::Said;
use crate::app::reviews::of_job::JobReview;
use crate::app::reviews::show_review::ShownReview;
use crate::ids::JobId;
use crate::jobs::JobState;

/// The reason why no bands of counts are shown.
const NO_BANDS: (&str, &str) = (
    "the numbers of subjects behind the cells are not kept once the controls have passed them, so no bands are shown: every cell that is here met the thresholds above",
    "单元格背后的主体数在通过输出控制后不予保留，故不显示区间：此处每个单元格均已达到上述阈值",
);

/// A result that waits for reviewers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReviewSummary)]
pub(crate) struct ReviewSummaryView {
    /// The job.
    pub(crate) job: String,
    /// The person who asked.
    pub(crate) person: String,
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// When it was asked.
    #[schema(format = DateTime)]
    pub(crate) asked: String,
    /// Since when it waits.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// Until when; then nothing of it leaves.
    #[schema(format = DateTime)]
    pub(crate) until: String,
    /// The number of people who look at it.
    pub(crate) reviewers: usize,
    /// Your own decision.
    #[schema(value_type = Option<ReviewOutcomeWord>)]
    pub(crate) own: Option<String>,
}

impl ReviewSummaryView {
    pub(crate) fn of(review: ReviewSummary) -> Self {
        Self {
            job: review.job.to_string(),
            person: review.person,
            purpose: review.purpose,
            asked: review.asked.to_string(),
            since: review.since.to_string(),
            until: review.until.to_string(),
            reviewers: review.reviewers,
            own: review.own.map(|own| own.name().to_owned()),
        }
    }
}

/// Results that wait, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReviewList {
    /// The results.
    pub(crate) reviews: Vec<ReviewSummaryView>,
    /// The value to send as `cursor` for newer ones; nothing when there are none.
    pub(crate) next: Option<String>,
}

/// One question of the checklist.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ChecklistItem)]
pub(crate) struct ChecklistItemView {
    /// Stable name.
    pub(crate) id: String,
    /// The question.
    pub(crate) text: TextView,
}

/// A reviewer's decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReviewDecision)]
pub(crate) struct ReviewDecisionView {
    /// The reviewer.
    pub(crate) by: String,
    /// The decision.
    #[schema(value_type = ReviewOutcomeWord)]
    pub(crate) outcome: String,
    /// Their comment.
    pub(crate) comment: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) at: String,
}

impl ReviewDecisionView {
    fn of(said: Said) -> Self {
        let Said { reviewer, outcome, comment, at } = said;
        Self { by: reviewer, outcome: outcome.name().to_owned(), comment, at: at.to_string() }
    }
}

/// A result as its reviewer sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Review)]
pub(crate) struct ReviewView {
    /// The job.
    pub(crate) job: String,
    /// Its state.
    #[schema(value_type = JobStateWord)]
    pub(crate) state: String,
    /// The person who asked.
    pub(crate) person: String,
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// Title of the purpose.
    pub(crate) purpose_title: TextView,
    /// When it was asked.
    #[schema(format = DateTime)]
    pub(crate) asked: String,
    /// Since when it waits.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// Until when; then nothing of it leaves.
    #[schema(format = DateTime)]
    pub(crate) until: String,
    /// The number of people who look at it.
    pub(crate) reviewers: usize,
    /// The question.
    pub(crate) sql: String,
    /// The treatment of each column.
    pub(crate) output: Vec<OutputView>,
    /// The controls that its cells passed.
    pub(crate) controls: Option<ControlsView>,
    /// The protected result in CSV, as it would leave; `*` is a withheld cell. Nothing when the review is over.
    pub(crate) result: Option<String>,
    /// The reason why no bands of counts are shown.
    pub(crate) bands: TextView,
    /// Questions to answer before deciding.
    pub(crate) checklist: Vec<ChecklistItemView>,
    /// The decisions: yours alone, until the review is over.
    pub(crate) decisions: Vec<ReviewDecisionView>,
}

impl ReviewView {
    pub(crate) fn of(shown: ShownReview) -> Self {
        let items = checklist().into_iter();
        let (en, zh) = NO_BANDS;
        Self {
            job: shown.job.to_string(),
            state: shown.state.name().to_owned(),
            person: shown.person,
            purpose: shown.purpose,
            purpose_title: shown.purpose_title.into(),
            asked: shown.asked.to_string(),
            since: shown.since.to_string(),
            until: shown.until.to_string(),
            reviewers: shown.reviewers,
            sql: shown.sql,
            output: shown.output,
            controls: shown.controls,
            result: shown.result,
            bands: TextView { en: en.to_owned(), zh: zh.to_owned() },
            checklist: items
                .map(|item| ChecklistItemView { id: item.id.to_owned(), text: item.text.into() })
                .collect(),
            decisions: shown.said.into_iter().map(ReviewDecisionView::of).collect(),
        }
    }
}

/// A decision on a result.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewWish {
    /// The decision.
    pub(crate) decision: ReviewWord,
    /// A message to the person who asked, up to 2000 characters; needed where the result does not leave.
    pub(crate) comment: Option<String>,
}

/// A decision on a result.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReviewWord {
    /// It may leave.
    Approve,
    /// It does not leave as it is; the comment says what to ask instead.
    Return,
    /// It does not leave.
    Reject,
}

impl From<ReviewWord> for ReviewOutcome {
    fn from(word: ReviewWord) -> Self {
        match word {
            ReviewWord::Approve => Self::Approved,
            ReviewWord::Return => Self::Returned,
            ReviewWord::Reject => Self::Rejected,
        }
    }
}

/// The job after a decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReviewDecided {
    /// The job.
    pub(crate) job: String,
    /// Its state: `in_review` as long as others have not decided.
    #[schema(value_type = JobStateWord)]
    pub(crate) state: String,
}

impl ReviewDecided {
    pub(crate) fn of(job: JobId, state: JobState) -> Self {
        Self { job: job.to_string(), state: state.name().to_owned() }
    }
}

/// The review of a job, for the person who asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobReview)]
pub(crate) struct JobReviewView {
    /// The number of people who look at the result.
    pub(crate) reviewers: usize,
    /// The moment until which it waits; nothing when the review is over.
    #[schema(format = DateTime)]
    pub(crate) until: Option<String>,
    /// The reviewers' comments, once the review is over.
    pub(crate) comments: Vec<String>,
}

impl JobReviewView {
    pub(crate) fn of(review: JobReview) -> Self {
        let JobReview { reviewers, until, comments } = review;
        Self { reviewers, until: until.map(|until| until.to_string()), comments }
    }
}
