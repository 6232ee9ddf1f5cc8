//! The audit log: an append-only Merkle log as files, in the open C2SP formats (tiles, checkpoint, signed note).
//! It records what other layers decided; it decides nothing, and it never removes an entry.
//!
//! Appending writes entries and hashes first and the signed checkpoint last, each file whole or not at all, so that a
//! process killed at any instruction leaves the old log or the new one.
//!
//! INVARIANT(no-receipt-no-result): a [`Receipt`] is made only by appending, after the checkpoint that covers its entry
//! is on disk.

use std::io;

use thiserror::Error;

use crate::ids::EventId;

pub mod accounted_keys;
pub mod accounts;
pub mod cosigned;
pub mod event;
pub mod facts;
pub(crate) mod files;
mod log;
pub mod proof;
pub mod reader;
pub mod stories;
pub mod unwraps;
pub mod verify;

#[cfg(test)]
mod tests;

pub use crate::audit::log::AuditLog;

use crate::audit::event::Action;

/// Proof that an event is durably in the log; only appending makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    index: u64,
    size: u64,
    event: EventId,
    action: Action,
    correlation: Option<String>,
}

impl Receipt {
    /// Place of the entry in the log.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Size of the log whose checkpoint first covered the entry.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Identifier of the event.
    #[must_use]
    pub fn event(&self) -> EventId {
        self.event
    }

    /// The kind of event.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The job or command it belongs to.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.correlation.as_deref()
    }
}

/// The audit log could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file could not be read or written.
    #[error("the audit log failed at `{step}`")]
    File {
        /// The step that failed.
        step: &'static str,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// There is a log in this folder already.
    #[error("there is an audit log in this folder already")]
    Exists,
    /// The checkpoint is missing, unreadable, or not signed by the log's key.
    #[error("the audit log's checkpoint is not signed by the log's key")]
    Checkpoint,
    /// Entries or hashes do not lead to the checkpoint's root.
    #[error("the audit log does not agree with its checkpoint near entry {index}")]
    Damaged {
        /// The entry at which the damage was noticed.
        index: u64,
    },
    /// The log is not a continuation of the one that this process has seen.
    #[error(
        "the audit log of {size} entries does not continue the one that was seen before: it was cut back or replaced"
    )]
    NotContinued {
        /// Number of entries that it has now.
        size: u64,
    },
    /// An entry is not one that this version can read.
    #[error("entry {index} of the audit log is unreadable")]
    UnreadableEntry {
        /// Index of the entry.
        index: u64,
    },
    /// There is no entry with this number.
    #[error("the audit log has {size} entries")]
    NoSuchEntry {
        /// Number of entries.
        size: u64,
    },
    /// The event does not fit an entry.
    #[error("the event is longer than an entry of the audit log may be")]
    EntryTooLong,
    /// The event cannot be written as JSON.
    #[error("the event cannot be written")]
    Unwritable,
    /// The journal of unwrapped keys cannot be continued.
    #[error("the journal of unwrapped keys cannot be continued")]
    Journal,
    /// Another thread's write took this event along and failed.
    #[error("the audit log could not be written")]
    Group,
}

impl AuditError {
    pub(crate) fn file(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { step, source }
    }
}
