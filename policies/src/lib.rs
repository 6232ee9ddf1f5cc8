//! The policy language of Obscura: documents as types, and the pure function from documents to what one job may do.
//! It never does I/O, never reads a clock, and knows neither SQL nor Arrow.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")
)]

pub mod combine;
pub mod day;
pub mod detect;
pub mod document;
pub mod effective;
pub mod evaluate;
pub mod fixed;
pub mod hierarchy;
pub mod identifiers;
pub mod library;
pub mod mask;
pub mod parse;
pub mod shipped;
pub mod vocabulary;
mod words;

pub use vocabulary::Text;
