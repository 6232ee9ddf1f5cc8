//! The query guard of Obscura: decides which SQL may run over sealed records about individuals, and what of its result leaves.
//! It executes nothing, does no I/O, reads no clock and opens no file.
//!
//! ```text
//! SQL -> Statement -> plan -> zones -> boundaries -> GuardedPlan | findings
//! GuardedPlan -> Execution -> (an executor runs one plan) -> Cells -> controls -> Execution ... -> Release
//! ```
//!
//! Reading order: `guard` (the pipeline), `zones` (zones and boundaries), `shape` (conditions and group keys), `aggregate`
//! (the atoms and the number of each aggregate), `atoms` (their normal form), `cell` (the fold), `control` (what is withheld
//! and rounded), `plan` (what may run), `execution` (how it runs),
//! `stated_error` (how far what leaves may be off).

#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )
)]

mod aggregate;
mod at_least;
mod atoms;
mod base_rows;
mod budget;
mod catalog;
mod cell;
mod cell_names;
mod code;
mod column;
mod column_facts;
mod connectives;
mod constant;
mod context;
pub mod control;
pub mod cover;
pub mod dictionary;
mod domain;
pub mod execution;
pub mod explain;
pub mod exposure;
pub mod finding;
#[cfg(test)]
mod fixture;
mod floor;
mod functions;
pub mod guard;
pub mod limits;
mod mask;
mod mean;
pub mod names;
mod naming;
pub mod noise;
mod normalise;
mod nulls;
pub mod open_values;
pub mod opening;
mod order;
mod origin;
mod period;
pub mod plan;
mod planning;
mod pricing;
pub mod privacy;
pub mod reason;
pub mod recheck;
mod release;
mod rewrite;
mod row_filter;
pub mod rows;
mod runnable;
mod scalar;
mod sealed_type;
mod shape;
mod size;
mod source_rows;
mod standard;
pub mod stated_error;
pub mod statement;
mod total;
mod treatment;
pub mod verdict;
mod zones;

pub use at_least::AT_LEAST_NAME;
pub use at_least::at_least_subjects;
pub use catalog::ReleasedSource;
pub use catalog::SealedSource;
pub use cell::CELL_FOLD_NAME;
pub use cell::CellFold;
pub use domain::DOMAIN_NAME;
pub use functions::is_known_scalar;
pub use mask::MASK_NAME;
pub use mask::Secrets;
pub use mask::bind_secrets;
pub use row_filter::RowFilterFault;
pub use row_filter::check_row_filter;
pub use sealed_type::sealed_type;
