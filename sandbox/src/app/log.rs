//! The audit log: searched, verified and witnessed, and what it proves of a job.

pub mod cosign;
pub mod evidence;
pub mod search_log;
pub mod verify_audit;
pub mod verify_release;
pub mod witness;
mod witness_keys;
