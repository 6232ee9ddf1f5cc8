//! Review of results: a protected result waits for people who are not its author, each of whom decides without knowing what
//! the others say.
//!
//! The log alone tells what waits and who decided how (`logged`); rows of jobs only follow. Everything that ends a review
//! stands in [`conclude`], and can be done again from any instant at which a process was killed.

pub(crate) mod checklist;
pub mod conclude;
pub mod decide;
pub mod list_reviews;
pub(crate) mod logged;
pub mod of_job;
pub(crate) mod reviewers;
pub mod show_review;
