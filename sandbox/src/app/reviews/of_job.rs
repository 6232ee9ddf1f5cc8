//! The part of a review that the owner of its job is told: how many people look at it and until when, and afterwards what they
//! said. Not who they are: a reviewer who is known can be pressed.

use jiff::Timestamp;

use crate::app::reviews::conclude::waits_until;
use crate::app::reviews::logged::LoggedReview;
use crate::context::Caller;
use crate::error::AppError;
use crate::installation::Installation;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// A review, for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReview {
    /// The number of people who look at the result.
    pub reviewers: usize,
    /// The moment until which it waits; nothing when the review is over.
    pub until: Option<Timestamp>,
    /// The reviewers' comments, once the review is over.
    pub comments: Vec<String>,
}

/// The review of a job of one's own; nothing where its result needs none, and for anybody else's job.
///
/// # Errors
/// When the log cannot be read.
pub async fn review_of_job(
    installation: &Installation,
    caller: &Caller,
    row: &JobRow,
) -> Result<Option<JobReview>, AppError> {
    if row.review_index.is_none() || !caller.asked_as(&row.person) {
        return Ok(None);
    }
    let Some(review) = LoggedReview::of(installation, row.id).await? else { return Ok(None) };
    let waits = row.state == JobState::InReview;
    let until = if waits { waits_until(installation, row.id).await? } else { None };
    // Until all have decided, a comment would tell that somebody has.
    let comments =
        if waits { Vec::new() } else { review.said.into_iter().filter_map(|said| said.comment).collect() };
    Ok(Some(JobReview { reviewers: review.reviewers, until, comments }))
}
