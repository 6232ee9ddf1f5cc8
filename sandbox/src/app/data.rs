//! Datasets: sealed and described, opened to everybody, and the keys that they are under.

pub mod datasets;
pub mod departments;
pub mod dictionary;
pub(crate) mod grant_columns;
pub mod key_generation;
pub(crate) mod no_dataset;
pub mod open_catalog;
pub mod open_data;
pub mod open_version;
pub(crate) mod relabelled;
pub mod rotate_key;
pub mod seal_dataset;
pub mod suggest_dataset;
