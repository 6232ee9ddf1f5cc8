//! The policy language of Obscura: documents as types, and the pure function from documents to what one job may do.
//! It never does I/O, never reads a clock, and knows neither SQL nor Arrow.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")
)]

pub mod day;
pub mod document;
pub mod effective;
pub mod fixed;
pub mod hierarchy;
pub mod identifiers;
pub mod mask;
pub mod parse;
pub mod vocabulary;
mod words;
