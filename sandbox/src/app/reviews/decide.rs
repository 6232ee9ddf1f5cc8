//! Use case: decide on a result that waits. The decision is in the log before anything follows from it; the last one that is
//! needed ends the review.

use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::query::show_job::no_job;
use crate::app::reviews::conclude::conclude_while_changing;
use crate::app::reviews::logged::LoggedReview;
use crate::app::reviews::logged::ReviewOutcome;
use crate::app::reviews::reviewers::must_review;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::ReviewDecisionBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::installation::records::Note;
use crate::jobs::JobState;

/// Longest comment, in characters.
pub const COMMENT_MAX: usize = 2000;

/// A decision on a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecideReview {
    /// The decision.
    pub outcome: ReviewOutcome,
    /// A message to the person who asked; needed where the result does not leave.
    pub comment: Option<String>,
}

/// Decides on a result that waits; says how its job stands afterwards.
///
/// # Errors
/// Usage without a comment where one is needed, or with one that is too long; forbidden for all but stewards, and on one's own
/// result; not found when there is no such job that the caller may review; conflict when they decided before, or the review is
/// over.
pub async fn decide_review(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
    wish: DecideReview,
) -> Result<JobState, AppError> {
    must_be(caller, PersonRole::Steward)?;
    let comment = comment(&wish)?;
    let _unchanging = installation.change().await?;
    let row = installation.jobs.job(id).await.during("find a job")?.ok_or_else(no_job)?;
    // Whether a job waits is told to nobody who may not review it.
    must_review(caller, library(installation).await?.as_ref(), &row)?;
    let Some(review) = LoggedReview::of(installation, id).await? else { return Err(no_job()) };
    let reviewer = caller.person().name.to_string();
    if review.said_by(&reviewer).is_some() {
        return Err(decided_before());
    }
    if review.ended.is_none() && review.is_over_time(installation) {
        conclude_while_changing(installation, caller.door(), id).await?;
        return Err(over());
    }
    if review.ended.is_some() || row.state != JobState::InReview {
        return Err(over());
    }
    let body = ReviewDecisionBody { job: id.to_string(), reviewer, outcome: wish.outcome.name().to_owned() };
    let mut note = Note::new(Action::ReviewDecided, ActorName::of(caller))
        .of_job(id)
        .with("outcome", wish.outcome.name());
    if let Some(comment) = comment {
        note = note.with("comment", comment);
    }
    if installation.begin_while_changing(&body, note).await?.is_none() {
        return Err(decided_before());
    }
    match conclude_while_changing(installation, caller.door(), id).await {
        Ok(state) => Ok(state),
        Err(error) => {
            // The decision stands; what follows from it is done by the next look at the job.
            installation.note_failure(&id.to_string(), &error);
            Ok(JobState::InReview)
        }
    }
}

/// The comment as it is kept.
fn comment(wish: &DecideReview) -> Result<Option<String>, AppError> {
    let comment = wish.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
    let is_needed = match wish.outcome {
        ReviewOutcome::Approved => false,
        ReviewOutcome::Returned | ReviewOutcome::Rejected => true,
    };
    let fits = |comment: &str| comment.chars().count() <= COMMENT_MAX;
    if comment.is_none() && is_needed || !comment.is_none_or(fits) {
        return Err(PublicError::new(
            Class::Usage,
            "comment-out-of-range",
            format!(
                "a comment has 1 to {COMMENT_MAX} characters, and a result that does not leave needs one"
            ),
            format!("意见须为 1 至 {COMMENT_MAX} 个字符；退回或否决时必须填写"),
        )
        .into());
    }
    Ok(comment.map(str::to_owned))
}

fn decided_before() -> AppError {
    PublicError::new(
        Class::Conflict,
        "review-decided",
        "you have decided on this result before",
        "您已对该结果作出决定",
    )
    .into()
}

fn over() -> AppError {
    PublicError::new(
        Class::Conflict,
        "review-over",
        "this result waits for no reviewer any more",
        "该结果已不再等待复核",
    )
    .into()
}
