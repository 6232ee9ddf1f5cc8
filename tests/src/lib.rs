//! The harness of the whole-system suites: a world to act in, fixtures with canaries, corpora, and an independent oracle.
//! It holds no test of its own subject and no product code; the product is the binary `obscura`, run as users run it
//! (`guarded` alone takes the guard as a library).
//!
//! ```text
//! corpus (TOML) ──> World (binary, data folder, people) ──> outcome ──┬──> expectation of the case
//! fixture (CSV + canaries) ──> oracle (plain rows, plain Rust) ───────┤
//!                      └─────> canary scanner over every byte that left ┘
//! ```
//!
//! Read `fixture`, then `corpus`, `oracle`, `canary`, and `world` last.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a harness that panics fails the test that uses it, which is what it is for"
)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic"))]

pub mod canary;
pub mod corpus;
pub mod environment;
pub mod fixture;
pub mod guarded;
pub mod issuer;
pub mod oracle;
pub mod server;
pub mod table;
pub mod world;
