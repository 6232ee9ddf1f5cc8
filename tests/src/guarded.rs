//! The guard as a library: a small policy written out by hand, people in memory, and a plain engine that counts its work.
//! For suites that ask more often than a program can be started. The service, its documents and its files stand elsewhere.

pub mod engine;
pub mod people;
pub mod policy;
pub mod questions;
