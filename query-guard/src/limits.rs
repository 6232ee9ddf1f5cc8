//! The size limits of a question, all of them: what is counted, how much of it is accepted, and the refusal.
//! They hold for every question alike and rest on its text and plan alone, so that meeting one tells nothing of the data.

use crate::finding::Finding;
use crate::reason::Reason;

/// Stack for one review: hostile text nests as deep as the limits of `statement` let it, in any build profile.
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Longest accepted text, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most tokens, white space and comments aside.
pub const TOKENS_MAX: usize = 10_000;
/// Deepest nesting of brackets and CASE.
pub const NESTING_MAX: usize = 64;
/// Most levels of functions, CASE, CAST and predicates within one another: the planner, the guard and the engine ask an
/// argument for its type once or twice at every level, so that time doubles with every level.
pub const LEVELS_MAX: usize = 16;
/// Most levels of queries within queries.
pub const QUERY_LEVELS_MAX: usize = 16;
/// Most operators in one statement: bounds the depth of every expression, so that no recursion over it overflows.
pub const OPERATORS_MAX: usize = 256;
/// Depth to which a text is parsed: no text within the limits of nesting and operators is deeper.
pub(crate) const PARSED_DEPTH_MAX: usize = NESTING_MAX + OPERATORS_MAX;
/// Most FROM items in one statement, subqueries and common table expressions included.
pub const TABLES_MAX: usize = 64;
/// Most tables once common table expressions are written out.
pub const WRITTEN_OUT_MAX: usize = 128;
/// Most joins of one statement.
pub(crate) const JOINS_MAX: usize = 16;
/// Most plan nodes, common table expressions written out.
pub(crate) const PLAN_NODES_MAX: usize = 400;
/// Most times that texts may grow by being joined.
pub(crate) const TEXT_GROWTH_MAX: usize = 4096;
/// Most output columns.
pub(crate) const OUTPUT_COLUMNS_MAX: usize = 64;
/// Most sets of keys that one GROUP BY stands for.
pub(crate) const GROUPING_SETS_MAX: usize = 64;
/// Most parts of one expression, names written out and what the engine and the guard write twice counted twice.
pub(crate) const EXPRESSION_PARTS_MAX: u64 = 4_000;
/// Most parts of all expressions of one statement, counted alike.
pub(crate) const STATEMENT_PARTS_MAX: u64 = 100_000;
/// Most nodes of one expression over base columns.
pub(crate) const EXPRESSION_NODES_MAX: u64 = 4_000;
/// Most named cells that the atoms of one boundary are made of together, and one atom of one group.
pub(crate) const NAMES_MAX: usize = 200_000;
/// Most boundaries of one statement.
pub(crate) const BOUNDARIES_MAX: usize = 8;
/// Most group keys of one boundary.
pub(crate) const GROUP_KEYS_MAX: usize = 8;
/// Most comparisons below one boundary.
pub(crate) const COMPARISONS_MAX: usize = 8;
/// Most literals below one boundary.
pub(crate) const LITERALS_MAX: usize = 64;
/// Most literals in one IN list.
pub(crate) const IN_LIST_MAX: usize = 32;
/// Most terms of one argument once products are multiplied out.
pub(crate) const TERMS_MAX: usize = 64;
/// Most nodes of expressions that one review builds or looks at, rewrites included.
pub(crate) const REVIEW_NODES_MAX: u64 = 400_000;
/// Most rows that one subject's rows may become in any operator, unless they are that many in the sealed data.
///
/// INVARIANT(no-subject-meets-a-limit): a job's memory and time are at least a hundred times what so many rows need, so
/// that whether a limit is met says nothing about one subject.
pub const SUBJECT_ROWS_MAX: u64 = 1 << 17;
/// Most rows that open and released tables may become where they are joined.
pub const JOINED_ROWS_MAX: u64 = 1_000_000;

/// Builds the finding for a passed limit.
pub(crate) fn too_large(reason: Reason, what: &'static str, en: String, zh: String) -> Finding {
    Finding::of(reason).with("limit", what).help(en, zh)
}
