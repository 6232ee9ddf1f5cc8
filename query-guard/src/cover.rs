//! Covers: the names of an atom (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! Noise belongs to names, so that the same cell has the same noise however it is asked for. A name is a tuple of nodes, one
//! of each column that a condition rests on; a condition is a signed sum of names. Two conditions that hold for the same
//! values have the same names, in every form they are written in, and two that differ have different ones: their difference
//! would otherwise be an exact number.
//!
//! Pure: it knows columns by number, values by leaf, and neither SQL nor data.

mod column;
mod condition;
mod hierarchy;
mod leaves;
mod links;
mod names;

#[cfg(test)]
mod tests;

pub use column::cover;
pub use condition::Condition;
pub use condition::Test;
pub use hierarchy::Hierarchy;
pub use hierarchy::HierarchyFault;
pub use hierarchy::Node;
pub use leaves::LeafSet;
pub(crate) use links::with_linked;
pub use names::Name;
pub use names::NameFault;
pub use names::Names;
pub use names::names;
