//! The log's account of a result that waits, or waited, for reviewers: since when, for how many, and who decided how.
//! It reads the log and no row: INVARIANT(log-is-the-truth). It does not decide what follows from it.

use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;

use crate::audit::event::LoggedEvent;
use crate::catalog::record::RecordKind;
use crate::error::AppError;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;

/// The decision of a reviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReviewOutcome {
    /// The result may leave.
    Approved,
    /// It does not leave as it is; the comment says what to ask instead.
    Returned,
    /// It does not leave.
    Rejected,
}

impl ReviewOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Approved, Self::Returned, Self::Rejected];

    /// The word of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Returned => "returned",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// The words of one reviewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Name of the reviewer.
    pub reviewer: String,
    /// Their decision.
    pub outcome: ReviewOutcome,
    /// Their comment.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The log's account of one review.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoggedReview {
    /// The entry that lets the result wait; its facts are those of the release that may follow.
    pub(crate) awaited: LoggedEvent,
    /// The number of people who look at it.
    pub(crate) reviewers: usize,
    /// The decisions, in the order in which they were made.
    pub(crate) said: Vec<Said>,
    /// The entry that ended the review.
    pub(crate) ended: Option<u64>,
}

impl LoggedReview {
    /// The account of a job's review; nothing where it never let the job wait.
    ///
    /// # Errors
    /// When the log cannot be read, or an entry of the review is not as this version writes it.
    pub(crate) async fn of(installation: &Installation, job: JobId) -> Result<Option<Self>, AppError> {
        installation.learn().await?;
        let (begun, ended, decisions) = {
            let facts = installation.facts.lock().await;
            let Some(fact) = facts.fact(RecordKind::Review.name(), &job.to_string()) else { return Ok(None) };
            let under = format!("{job}/");
            let decisions = facts.under(RecordKind::ReviewDecision.name(), &under);
            let mut decisions: Vec<u64> = decisions.map(|(_, fact)| fact.begun).collect();
            decisions.sort_unstable();
            (fact.begun, fact.ended, decisions)
        };
        let event = |index| blocking_io(|| installation.audit.event(index)).during("read the audit log");
        let awaited = event(begun)?;
        let reviewers = awaited.detail.get("reviewers").and_then(Value::as_u64);
        // A number that cannot be read is one that nobody reaches.
        let reviewers = reviewers.and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
        let said = decisions.into_iter().map(|index| event(index).map(|event| said(&event)));
        Ok(Some(Self { awaited, reviewers, said: said.collect::<Result<_, _>>()?, ended }))
    }

    /// The words of a person, if they have decided.
    pub(crate) fn said_by(&self, person: &str) -> Option<&Said> {
        self.said.iter().find(|said| said.reviewer == person)
    }

    /// The moment after which it waits no longer.
    pub(crate) fn until(&self, installation: &Installation) -> Timestamp {
        let days = SignedDuration::from_hours(24 * i64::from(installation.settings().review_days));
        self.awaited.time.checked_add(days).unwrap_or(Timestamp::MAX)
    }

    /// True if it has waited as long as the settings say.
    pub(crate) fn is_over_time(&self, installation: &Installation) -> bool {
        installation.now() > self.until(installation)
    }
}

/// A decision as its entry tells it. One whose word cannot be read lets nothing out.
fn said(event: &LoggedEvent) -> Said {
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str);
    Said {
        reviewer: event.actor.name.clone(),
        outcome: text("outcome").and_then(ReviewOutcome::from_name).unwrap_or(ReviewOutcome::Rejected),
        comment: text("comment").map(str::to_owned),
        at: event.time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_from_its_word() {
        for outcome in ReviewOutcome::ALL {
            assert_eq!(ReviewOutcome::from_name(outcome.name()), Some(outcome));
        }
        assert_eq!(ReviewOutcome::from_name("open"), None);
    }
}
