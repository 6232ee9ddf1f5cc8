//! The Merkle tree of RFC 9162, section 2.1: hashes, roots, and how a tree grows.
//!
//! Everything here is a pure function over hashes; storage is `tiles`, trust comes from a signed `checkpoint`.
//! Roots of trees that are not powers of two fold their complete subtrees from the right.

use crate::sha256::{Hash, Sha256, sha256};

mod proof;
#[cfg(test)]
mod tests;

pub use proof::{
    ProofError, RangeError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};

/// Hashes one log entry into a leaf: `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    prefixed(0x00, &[entry])
}

/// Hashes two subtrees into their parent: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    prefixed(0x01, &[left.as_bytes(), right.as_bytes()])
}

/// Gives the root of the empty tree: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// Computes the root over leaf hashes that are all in memory.
#[must_use]
pub fn root(leaf_hashes: &[Hash]) -> Hash {
    let mut tree = Tree::new();
    leaf_hashes.iter().for_each(|leaf| tree.append(*leaf));
    tree.root()
}

/// Gives the hashes of complete subtrees, from memory or from stored tiles.
pub trait NodeSource {
    /// Gives the hash over the `2^level` leaves from `index * 2^level`, or nothing when they are not all there.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

/// A list of leaf hashes is the simplest source; an inner node costs one pass over its leaves.
impl NodeSource for [Hash] {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let width = 1_u64.checked_shl(u32::from(level))?;
        let start = index.checked_mul(width)?;
        let end = start.checked_add(width)?;
        let leaves = self.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        Some(root(leaves))
    }
}

/// Holds the right edge of a growing tree: enough to append and to give the root, in memory logarithmic in the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the complete subtrees, largest first: one for each set bit of `size`.
    edge: Vec<Hash>,
}

impl Tree {
    /// Starts an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a stored tree of a known size; nothing when the source lacks a node of its right edge.
    ///
    /// The caller compares [`Tree::root`] with a verified checkpoint before appending.
    #[must_use]
    pub fn resume<S: NodeSource + ?Sized>(source: &S, size: u64) -> Option<Self> {
        let mut edge = Vec::new();
        let mut start = 0_u64;
        for level in (0..64_u8).rev().filter(|level| size >> level & 1 == 1) {
            edge.push(source.node(level, start >> level)?);
            start = start.checked_add(1 << level)?;
        }
        Some(Self { size, edge })
    }

    /// Appends one leaf hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one of the size is a complete subtree that now finds its sibling.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.edge.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// Counts the leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the root over all leaves appended so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.edge).unwrap_or_else(empty_root)
    }
}

/// Folds subtree roots, largest first, into one: the smallest two are joined first.
fn fold_right(roots: &[Hash]) -> Option<Hash> {
    let (last, larger) = roots.split_last()?;
    Some(larger.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

fn prefixed(prefix: u8, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(&[prefix]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}
