//! The rows of every dataset: one function a dataset, from a person or an enterprise to CSV lines.
//! It draws no identity of its own: names and numbers stand in `person` and `firm`.

pub(super) mod firms;
pub(super) mod health;
pub(super) mod leisure;
pub(super) mod open;
pub(super) mod people;
pub(super) mod streets;
pub(super) mod work;
