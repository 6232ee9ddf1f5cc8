//! Questions: asked, judged, run, and released or ended otherwise.

mod completion;
mod compute;
pub(crate) mod described;
pub(crate) mod end;
pub mod explain_job;
pub mod explain_query;
pub mod fetch_result;
pub mod formats;
mod job_limits;
pub mod judge;
pub mod list_jobs;
mod mask_keys;
mod meant;
mod opening;
pub mod outcome;
pub mod pending;
mod purpose;
pub mod question;
pub mod read_question;
mod release_record;
mod released;
pub(crate) mod review_context;
pub mod run;
pub mod show_job;
pub mod shred_question;
pub mod submit;
pub mod verdict;
