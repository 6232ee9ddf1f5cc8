//! Use cases: one file each, functions over an [`Installation`] that every door calls.
//! The only layer that composes; edges translate to and from it.
//!
//! [`Installation`]: crate::installation::Installation

pub mod access_requests;
pub mod add_person;
pub mod authenticate;
mod authorise;
pub(crate) mod chinese;
pub(crate) mod closed_words;
mod completion;
mod compute;
pub mod cosign;
pub mod create_token;
pub mod datasets;
pub mod departments;
pub(crate) mod described;
pub mod diagnose;
pub mod dictionary;
pub mod evidence;
pub mod explain_job;
pub mod explain_query;
pub mod fetch_result;
pub mod formats;
pub mod grants;
pub mod housekeeping;
pub mod init;
mod job_limits;
pub mod key_generation;
pub mod link_person;
pub mod list_jobs;
mod mask_keys;
mod meant;
pub mod open_catalog;
pub mod open_data;
mod opening;
mod policy_tests;
pub mod publish_documents;
mod purpose;
pub mod purposes;
pub mod query;
pub mod read_question;
pub mod recover;
mod relabelled;
mod release_record;
mod review_context;
pub mod rotate_key;
mod row_filters;
pub mod seal_dataset;
pub mod search_log;
pub mod show_document;
pub mod show_job;
pub mod shred_question;
pub mod suggest_dataset;
pub mod token;
pub mod verdict;
pub mod verify_audit;
pub mod verify_release;
pub mod whoami;
mod without_names;
pub mod witness;

pub use policy_tests::PolicyTestFailure;

#[cfg(test)]
mod tests;
