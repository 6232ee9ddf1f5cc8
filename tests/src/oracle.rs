//! An independent oracle: the results that the controls must let out, computed slowly and plainly from the rows in clear.
//! It shares no code with the product, no query engine, and no cleverness: lists, maps and loops.
//!
//! The rules it applies, so that a reader can check them against `sandbox/docs/disclosure-model.md`, section 5:
//!
//! * A group needs at least k distinct subjects; else it has no row. An ungrouped question always has one row.
//! * Each atom needs at least k contributing subjects: with a value, and for sums with a value other than zero; else NULL.
//! * Dominance for sums and for counts of rows: the two largest subjects together hold at most 85 % of the absolute
//!   total, and without them at least 10 % of the largest remains; else NULL.
//! * Counts go to the nearest multiple of 5 (there are no ties between whole numbers).
//! * Sums go to the nearest multiple of the largest power of ten not above 1 % of the declared range; ties away from zero.
//! * Means divide the unrounded sum by the unrounded count of values, go to three significant digits (ties away from
//!   zero) and are clamped to the declared range. What tells as much as a count (shares, measures of few values) is the
//!   quotient of the rounded ones.

pub mod amount;
pub mod answers;
pub mod boundary;
pub mod description;

use serde::Deserialize;

use crate::fixture::Fixture;
use crate::table::Table;
use description::Description;

/// The controls of one question, as the documents of the fixture state them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controls {
    /// Fewest distinct subjects of a group and of an atom.
    pub subjects_min: usize,
    /// Most that the two largest subjects hold of a total, in thousandths; nothing where the grade asks for none.
    pub share_max_permille: Option<i128>,
    /// p of the p% rule.
    pub p_percent: i128,
    /// Counts are multiples of this.
    pub rounding: i128,
}

impl Controls {
    /// The floor of grade L3, which the fixture's tables carry by their membership.
    pub const L3: Self = Self { subjects_min: 10, share_max_permille: Some(850), p_percent: 10, rounding: 5 };
}

/// The right answer, as a case gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// The name of a function in [`answers`].
    Named(String),
    /// A small description that [`description`] computes.
    Described(Box<Description>),
}

impl Expected {
    /// Computes the right answer over a fixture.
    ///
    /// # Errors
    /// When the case names what does not exist.
    pub fn answer(&self, fixture: &Fixture) -> anyhow::Result<Table> {
        match self {
            Self::Named(name) => answers::named(name, fixture),
            Self::Described(description) => description.answer(fixture),
        }
    }
}
