//! The commands, grouped by subject.
//! Each calls one use case and shows its result.

pub(super) mod access;
pub(super) mod ask;
pub(super) mod audit;
pub(super) mod budget;
pub(super) mod data;
pub(super) mod demo;
mod dictionary;
mod document_files;
pub(super) mod documents;
mod events;
mod exposure;
mod job;
pub(super) mod login;
pub(super) mod purposes;
pub(super) mod reviews;
pub(super) mod serve;
pub(super) mod setup;
mod suggest;
pub(super) mod verify;
pub(super) mod whoami;
mod witness;
