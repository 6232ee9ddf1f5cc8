//! Repository rules as tests: the rules of `sandbox/docs/style-guide.md` for files, imports, manifests and documents, read
//! from the tree.
//! It judges text and manifests only; it compiles nothing and needs neither Arrow nor the engine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]

mod arguments;
mod citations;
mod comments;
mod corpora;
mod dependencies;
mod documents;
mod invariants;
mod layers;
mod layout;
mod loops;
mod manifests;
mod problems;
mod reasons;
mod sources;
mod tree;
