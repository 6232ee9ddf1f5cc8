//! Use cases in wings, one file each: functions over an [`Installation`] that every door calls.
//! The only layer that composes; edges translate to and from it.
//!
//! [`Installation`]: crate::installation::Installation

pub(crate) mod chinese;
pub(crate) mod closed_words;
pub mod data;
pub mod diagnose;
pub mod documents;
pub mod housekeeping;
pub mod init;
pub mod log;
pub mod people;
pub mod query;
pub mod recover;
pub mod reviews;

#[cfg(test)]
mod tests;
