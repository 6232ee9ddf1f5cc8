//! Use cases: one file each, functions over an [`installation::Installation`] that every door calls.
//! The only layer that composes; edges translate to and from it.

pub mod access_requests;
pub mod add_person;
pub mod authenticate;
mod authorise;
mod completion;
mod compute;
pub mod cosign;
pub mod create_token;
pub mod datasets;
pub mod departments;
pub mod diagnose;
pub mod evidence;
pub mod explain_job;
pub mod explain_query;
pub mod fetch_result;
pub mod formats;
pub mod grants;
mod ground;
mod honoured;
pub mod housekeeping;
pub(crate) mod in_place;
pub mod init;
mod input_failure;
pub mod installation;
pub(crate) mod job_end;
mod job_limits;
pub mod key_generation;
mod library;
pub mod link_person;
pub mod list_jobs;
mod mask_keys;
pub mod open_catalog;
pub mod open_data;
mod opening;
pub mod pending;
mod policy_tests;
pub mod publish_documents;
mod purpose;
pub mod read_question;
pub mod records;
pub mod recover;
mod relabelled;
mod release_record;
mod results;
pub(crate) mod reviews;
mod room;
pub mod rotate_key;
mod rotation_lock;
mod row_filters;
pub mod seal_dataset;
mod sealed;
pub mod show_job;
pub mod shred_question;
pub mod submit_query;
pub mod suggest_dataset;
pub mod token;
mod undecided;
pub mod verdict;
pub mod verify_audit;
pub mod verify_release;
pub mod witness;

pub use policy_tests::PolicyTestFailure;

#[cfg(test)]
mod tests;
