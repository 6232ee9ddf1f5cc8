//! Documents: published, tested and shown; grants, and requests for them.

pub mod access_requests;
pub mod exposure;
pub mod grants;
pub mod policy_tests;
pub mod publish_documents;
pub mod purposes;
mod row_filters;
pub mod show_document;
mod without_names;
