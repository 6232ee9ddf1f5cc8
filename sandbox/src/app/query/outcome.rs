//! The outcome of a question, for the person who asked it.

use crate::app::query::verdict::Verdict;
use crate::ids::JobId;
use crate::jobs::JobFailure;
use crate::jobs::JobState;

/// The outcome of a question.
#[derive(Debug)]
pub enum Submitted {
    /// The statement was `EXPLAIN`: the verdict, nothing else, and no job.
    Explained(Verdict),
    /// A rule said no.
    Refused {
        /// The job.
        job: JobId,
        /// The verdict, with the reasons and what would be admitted.
        verdict: Verdict,
    },
    /// It waits for the approval of a request.
    Pending {
        /// The job.
        job: JobId,
    },
    /// It was admitted, and its job has ended.
    Ended(JobEnd),
}

/// The end of a job that was admitted.
#[derive(Debug)]
pub enum JobEnd {
    /// A protected result has left.
    Released(Box<ReleasedQuery>),
    /// Its protected result waits for reviewers.
    InReview {
        /// The job.
        job: JobId,
        /// The number of people who look at it.
        reviewers: u8,
    },
    /// Controls or reviewers let nothing out.
    Withheld {
        /// The job.
        job: JobId,
    },
    /// It met a limit of a job, or something of ours broke.
    Failed {
        /// The job.
        job: JobId,
        /// As much as its owner is told of why.
        failure: JobFailure,
    },
    /// It was stopped before anything left.
    Cancelled {
        /// The job.
        job: JobId,
        /// The reason, where it was not its owner's wish.
        code: Option<&'static str>,
    },
}

impl JobEnd {
    /// The state that the job has now.
    #[must_use]
    pub fn state(&self) -> JobState {
        match self {
            Self::Released(_) => JobState::Released,
            Self::InReview { .. } => JobState::InReview,
            Self::Withheld { .. } => JobState::Withheld,
            Self::Failed { .. } => JobState::Failed,
            Self::Cancelled { .. } => JobState::Cancelled,
        }
    }
}

/// A released result with everything that vouches for it.
#[derive(Debug)]
pub struct ReleasedQuery {
    /// The job.
    pub job: JobId,
    /// The verdict that admitted it.
    pub verdict: Verdict,
    /// The table as an Arrow stream.
    pub table: Vec<u8>,
    /// Its SHA-256.
    pub sha256: String,
    /// The signed release record.
    pub release: String,
    /// Index of the decision in the audit log.
    pub decided_index: u64,
    /// Index of the release in the audit log.
    pub released_index: u64,
}
