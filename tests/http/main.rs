//! The HTTP door of the built program: authentication, answers to questions, the life of jobs, and data that must stay in.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod access;
mod broken;
mod budgets;
mod budgets_spent;
mod client;
mod cut_back;
mod description;
mod dictionary;
mod docs;
mod documents;
mod grants;
mod hidden;
mod identity;
mod jobs;
mod misuse;
mod noise;
mod open_data;
mod questions;
mod reviews;
mod roles;
mod shredded;
mod tls;
mod witnesses;
