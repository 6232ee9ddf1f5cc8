//! The grammar: a question by a seed, over people, their visits and two open tables.
//!
//! Most of what it writes is of the forms that the guard admits, since only an admitted question is released at all; a few
//! clauses in a hundred are of none (functions on no list, keys off their edges, identifiers), and must be refused.
//! Each file says what it leaves out, and why.

mod cells;
mod column;
mod conditions;
mod dice;
mod forms;
mod results;
mod rows;
mod scalars;

use crate::question::Query;

/// The question of this number in the run of this seed.
pub(crate) fn question(seed: u64, number: u64) -> Query {
    results::question(&mut dice::Dice::of(seed, number))
}
