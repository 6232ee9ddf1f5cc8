//! The exposure of what a policy opens: how far an attacker who asks everything tells one secret bit of one person
//! (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! Two attackers are measured. The first knows everybody else, so that the noise alone protects the bit: a closed form
//! ([`all_known()`]). The second knows everybody's known attributes and nobody's bit, and solves all noisy answers by least squares
//! ([`least_squares()`]). The deviation of the noise is the least of the ladder that keeps both within limits
//! ([`least_deviation`]). An *advantage* is the difference of two probabilities: that the bit is called true where it is true,
//! and where it is false. Zero is guessing and one is knowing; at even odds the attacker is right in (1 + advantage) / 2 of all
//! cases.
//!
//! **Model.** The bit is which of two values of a secret column a person has. Everybody is taken to have one of the two, so that
//! of a cell of known nodes each secret node at which the values differ is a noisy count of bits. Withholding and rounding are
//! not counted: all of it is answered. The noise of a name is binomial and is taken as normal; so are the sums of other people's
//! bits. Not modelled are subjects of several rows, contributions above the usual one, and attackers who know that some people's
//! bits go together.
//!
//! Pure: it knows columns by number and values by leaf, and neither SQL nor names of data, clock or secret.

mod advantage;
mod all_known;
mod classes;
mod gradients;
mod ladder;
mod least_squares;
mod opened;
mod tables;

#[cfg(test)]
mod tests;

pub use advantage::Versions;
pub use advantage::advantage;
pub use all_known::AllKnown;
pub use all_known::all_known;
pub use classes::Subjects;
pub use ladder::Closing;
pub use ladder::Limits;
pub use ladder::NoDeviation;
pub use ladder::Rung;
pub use ladder::least_deviation;
pub use least_squares::Exposure;
pub use least_squares::Person;
pub use least_squares::Search;
pub use least_squares::least_squares;
pub use opened::Column;
pub use opened::Cube;
pub use opened::Cubes;
pub use opened::Knowledge;
pub use opened::Opened;
pub use opened::TABLES_MAX;

/// The reason why the exposure of an opening is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExposureFault {
    /// More tables than [`TABLES_MAX`]: no rung of the ladder would suffice for so many.
    #[error("a policy opens more than {TABLES_MAX} tables of named cells")]
    TooManyTables,
    /// A cube holds a column that is none of the known ones.
    #[error("column {0} of a cube is no known column")]
    NotKnown(u16),
    /// A known column that is opened has no leaves, or fewer or more than another.
    #[error("column {0} has not one leaf for each subject")]
    NoLeaves(u16),
    /// A leaf lies outside of its column's hierarchy.
    #[error("column {0} has a leaf that its hierarchy does not have")]
    NoSuchLeaf(u16),
    /// No subject, or more than four thousand million.
    #[error("the number of subjects is zero or too large")]
    Subjects,
    /// A deviation of zero, or a prior variance that no bit has.
    #[error("the deviation is zero, or the prior variance is not above 0 and at most 1/4")]
    NoNoise,
}
