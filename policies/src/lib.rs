//! The policy language of Obscura: documents as types, and the pure function from documents to what one job may do.
//! It never does I/O, never reads a clock, and knows neither SQL nor Arrow.
//!
//! ```text
//! YAML --parse--> Document --+
//!                            +--> Library (references checked) --evaluate::effective--> EffectivePolicy | PolicyRefusal
//! shipped documents ---------+         ^ person, purpose, grants, datasets, manifest facts, local time
//! ```
//!
//! Reading order: `vocabulary` (the words), `document` (what people write), `library` (what is checked once),
//! `combine` (strictest wins), `evaluate` (the decision), `effective` (its outcome, for the guard), `mask` (what a
//! value becomes), `detect`, `nearest` and `identifiers` (suggestions and check digits).
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use obscura_policies::day::LocalTime;
//! use obscura_policies::evaluate::{Permits, Principal, RefusalCode, effective};
//! use obscura_policies::library::Library;
//! use obscura_policies::vocabulary::PersonRole;
//!
//! // With the shipped documents alone nothing is open: deny by default.
//! let library = Library::new(Vec::new()).map_err(|errors| errors[0].clone())?;
//! let person = Principal {
//!     person: "lin".to_owned(),
//!     roles: [PersonRole::Analyst].into(),
//!     department: "hz-cdc".parse()?,
//!     district: None,
//! };
//! let now = LocalTime { day: "2026-12-24".parse()?, minute: 600 };
//! let datasets = ["hz-health.outpatient_visits".parse()?];
//! let none = Permits::unnamed(&[]);
//! let answer = effective(&library, &person, "epidemic-monitoring", none, &datasets, &BTreeMap::new(), now);
//! assert_eq!(answer.unwrap_err().code, RefusalCode::DatasetNotFound);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "tests may panic"
    )
)]

pub mod combine;
pub mod day;
pub mod detect;
pub mod document;
pub mod effective;
pub mod evaluate;
pub mod fixed;
mod form;
pub mod hierarchy;
pub mod identifiers;
pub mod library;
pub mod mask;
pub mod month;
pub mod nearest;
pub mod parse;
pub mod privacy;
pub mod shipped;
pub mod vocabulary;
mod words;

pub use vocabulary::Text;
pub use words::WordError;
