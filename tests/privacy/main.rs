//! Differential privacy as a whole, with the product's randomness: the sampler draws what it says, and an attacker who knows two
//! neighbouring tables finds no larger epsilon than was charged. It asks the guard and an engine, and no installation.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of tests are small"
)]
#![expect(clippy::panic, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

mod audit;
mod sampler;
