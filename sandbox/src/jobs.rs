//! Jobs: one question and its outcome, as a state machine whose transitions consume the old state.
//! It neither reviews nor runs a query; it makes sure that no job ends without its receipt from the audit log.
//!
//! ```text
//! received -> refused
//!          -> pending_approval -> received
//!          -> queued -> running -> checking -> released -> expired
//!                                  checking -> in_review -> released
//!             pending_approval | queued | running | in_review -> cancelled
//!                      running | checking | in_review -> withheld
//!                      running | checking -> failed
//! ```

use jiff::Timestamp;
use thiserror::Error;

use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::catalog::CatalogError;
use crate::ids::JobId;

pub mod active;
pub mod keys;
pub mod runner;
pub mod store;
mod texts;

/// The state of a job. `refused` (a rule said no), `withheld` (controls let nothing out) and `failed` (we broke, or it met a
/// limit) are different things everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Taken in, no verdict yet.
    Received,
    /// The guard said no.
    Refused,
    /// It would be admitted once an open request for access is approved; then it is judged again.
    PendingApproval,
    /// Admitted, and waiting for room.
    Queued,
    /// Being computed.
    Running,
    /// Computed and sealed; the last check before anything leaves.
    Checking,
    /// Its sealed result waits for the people who look at it before it leaves.
    InReview,
    /// A result has left.
    Released,
    /// Controls or reviewers let nothing out.
    Withheld,
    /// It met a limit of a job, or something of ours broke: [`JobFailure`] says which.
    Failed,
    /// Stopped before anything left: by its owner, or because it is no longer allowed.
    Cancelled,
    /// A result had left, and is no longer kept.
    Expired,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 12] = [
        Self::Received,
        Self::Refused,
        Self::PendingApproval,
        Self::Queued,
        Self::Running,
        Self::Checking,
        Self::InReview,
        Self::Released,
        Self::Withheld,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The word used in the database and in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Refused => "refused",
            Self::PendingApproval => "pending_approval",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Checking => "checking",
            Self::InReview => "in_review",
            Self::Released => "released",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True if the job is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Received
            | Self::PendingApproval
            | Self::Queued
            | Self::Running
            | Self::Checking
            | Self::InReview => false,
            Self::Refused
            | Self::Released
            | Self::Withheld
            | Self::Failed
            | Self::Cancelled
            | Self::Expired => true,
        }
    }
}

/// The reason why a job failed, as its owner is told: a closed list, because any further detail may depend on the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobFailure {
    /// Something of ours broke; the detail may depend on the data.
    Execution,
    /// It needs more memory, time or rows of result than a job may use. No subject decides that: the most that one subject's
    /// rows can become lies a hundred times below every limit.
    Limit,
    /// Its process died.
    Interrupted,
    /// There was no room on the disk.
    DiskFull,
    /// The second look found a plan that is not the admitted one: a bug, which is one of plan and policy and of no row.
    Internal,
}

impl JobFailure {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Execution, Self::Limit, Self::Interrupted, Self::DiskFull, Self::Internal];

    /// The stable code used in the log, the database and answers.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Execution => "execution-failed",
            Self::Limit => "limit-exceeded",
            Self::Interrupted => "interrupted",
            Self::DiskFull => "disk-full",
            Self::Internal => "internal-error",
        }
    }

    /// Reads the code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }
}

/// A job that has been taken in.
#[derive(Debug)]
pub struct ReceivedJob {
    id: JobId,
}

/// A job that was admitted: its decision is in the audit log.
#[derive(Debug)]
pub struct QueuedJob {
    id: JobId,
}

/// A job that is being computed.
#[derive(Debug)]
pub struct RunningJob {
    id: JobId,
}

/// A job whose sealed result lies on disk and has not left.
#[derive(Debug)]
pub struct CheckingJob {
    id: JobId,
}

impl ReceivedJob {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }
}

impl QueuedJob {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }
}

impl RunningJob {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }
}

impl CheckingJob {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }
}

/// A job as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Identifier.
    pub id: JobId,
    /// Name of the person who asked.
    pub person: String,
    /// Purpose they named.
    pub purpose: String,
    /// Its state.
    pub state: JobState,
    /// Stable code of a refusal or failure.
    pub code: Option<String>,
    /// The process that takes care of it.
    pub runner: String,
    /// When it came.
    pub received: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Wrapped key of the SQL; gone once the text was shredded.
    pub sql_key: Option<String>,
    /// The verdict as it was given.
    pub verdict: Option<String>,
    /// Index of the decision in the audit log.
    pub decided_index: Option<u64>,
    /// Index in the audit log of the entry that lets its result wait for reviewers.
    pub review_index: Option<u64>,
    /// Index of the end in the audit log.
    pub finished_index: Option<u64>,
    /// SHA-256 of the released table.
    pub result_sha256: Option<String>,
    /// Wrapped key of the sealed result.
    pub result_key: Option<String>,
    /// The signed release record.
    pub release: Option<String>,
    /// The client's name for the request that it may repeat.
    pub request_key: Option<String>,
    /// The keyed token by which a repeated request is recognised.
    pub request_token: Option<String>,
}

/// A job could not be moved to its next state.
#[derive(Debug, Error)]
pub enum JobError {
    /// The database failed.
    #[error("the job store failed")]
    Catalog(#[from] CatalogError),
    /// The receipt offered is for another job or another kind of event.
    #[error("the receipt does not belong to this step of this job")]
    ForeignReceipt,
    /// A job of this person was asked for under the same key before.
    #[error("this request was made before")]
    Repeated,
    /// The job is not in the state that was expected.
    #[error("the job is not in a state that allows this")]
    WrongState,
    /// The folder in which processes show that they live cannot be used.
    #[error("the folder of running processes cannot be used")]
    Runner(#[source] std::io::Error),
    /// The key service has no key for the texts of rows.
    #[error("the key of the texts of jobs cannot be taken")]
    Keys(#[from] obscura_crypto::kms::KmsError),
    /// A text of a row cannot be sealed or opened: it was changed, or is another row's.
    #[error("a text of a job does not open")]
    Text,
    /// No random bytes.
    #[error("no name could be drawn for this process")]
    Random(#[from] crate::clock::RandomError),
}

/// Checks that a receipt proves this step of this job.
fn must_prove(receipt: &Receipt, action: Action, job: JobId) -> Result<(), JobError> {
    if receipt.action() == action && receipt.correlation() == Some(job.to_string().as_str()) {
        Ok(())
    } else {
        Err(JobError::ForeignReceipt)
    }
}

#[cfg(test)]
mod tests;
