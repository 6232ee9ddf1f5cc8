//! Inclusion and consistency proofs (RFC 9162, sections 2.1.3 and 2.1.4): making and verifying them.
//!
//! Verification trusts nothing but its arguments; a root is worth what the checkpoint it came from is worth.

use super::{NodeSource, fold_right, node_hash};
use crate::sha256::Hash;

/// Says that a proof was asked for outside the tree, or that the source lacks a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The index or size lies outside the tree.
    #[error("the tree has {size} entries and {asked} was asked for")]
    Outside {
        /// Entries in the tree.
        size: u64,
        /// Index or size that was asked for.
        asked: u64,
    },
    /// The source does not hold a node that the tree must have.
    #[error("the stored tree lacks the hashes of entries {start} to {end}")]
    Missing {
        /// First entry under the missing node.
        start: u64,
        /// One past the last entry under the missing node.
        end: u64,
    },
}

/// Says that a proof does not prove its claim.
#[derive(Debug, thiserror::Error)]
#[error("the Merkle proof does not lead to the root")]
pub struct ProofError;

/// Lists the siblings from a leaf up to the root of the tree with `size` leaves.
///
/// # Errors
///
/// Fails when the leaf is outside the tree or the source lacks a node.
pub fn inclusion_proof<S: NodeSource + ?Sized>(
    source: &S,
    size: u64,
    index: u64,
) -> Result<Vec<Hash>, RangeError> {
    if index >= size {
        return Err(RangeError::Outside { size, asked: index });
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Lists the nodes that show the tree with `old_size` leaves to be the beginning of the one with `new_size`.
///
/// The proof is empty for an empty old tree and for equal sizes: there is nothing to show.
///
/// # Errors
///
/// Fails when the old tree is larger than the new one or the source lacks a node.
pub fn consistency_proof<S: NodeSource + ?Sized>(
    source: &S,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, RangeError> {
    if old_size > new_size {
        return Err(RangeError::Outside { size: new_size, asked: old_size });
    }
    let mut proof = Vec::new();
    if old_size == 0 || old_size == new_size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new_size);
    // Descend to the subtree that ends where the old tree ends.
    while end != old_size {
        let middle = start + split(end - start);
        if old_size <= middle {
            proof.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    // The verifier knows that subtree already when it is the whole old tree.
    if start != 0 {
        proof.push(range_root(source, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that a leaf stands at an index of the tree with this size and root.
///
/// # Errors
///
/// Fails when the proof does not lead from the leaf to the root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling moves up unchanged until it has a left one.
            let levels = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            node >>= levels;
            last >>= levels;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError) }
}

/// Verifies that the tree of one size and root is the beginning of the tree of another.
///
/// # Errors
///
/// Fails when the proof does not lead to both roots, or the old tree is the larger one.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size == new_size {
        return if proof.is_empty() && old_root == new_root { Ok(()) } else { Err(ProofError) };
    }
    if old_size == 0 {
        let is_empty_root = *old_root == super::empty_root();
        return if proof.is_empty() && is_empty_root { Ok(()) } else { Err(ProofError) };
    }
    if old_size > new_size {
        return Err(ProofError);
    }
    // A complete old tree is the first node itself and is left out of the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError)?;
        (first, rest)
    };
    let levels = (old_size - 1).trailing_ones();
    let (mut node, mut last) = (shifted(old_size - 1, levels), shifted(new_size - 1, levels));
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            let levels = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            node >>= levels;
            last >>= levels;
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(ProofError) }
}

/// Gives the largest power of two that is smaller than `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (u64::BITS - 1 - (width - 1).leading_zeros())
}

fn shifted(number: u64, levels: u32) -> u64 {
    number.checked_shr(levels).unwrap_or(0)
}

/// Computes the hash over a range that stands where a subtree of some larger tree would: `start` is aligned to it.
fn range_root<S: NodeSource + ?Sized>(source: &S, start: u64, end: u64) -> Result<Hash, RangeError> {
    let missing = || RangeError::Missing { start, end };
    let mut roots = Vec::new();
    let mut next = start;
    while next < end {
        let level = (end - next).ilog2();
        let node = source
            .node(u8::try_from(level).map_err(|_cause| missing())?, next >> level)
            .ok_or_else(missing)?;
        roots.push(node);
        next += 1 << level;
    }
    fold_right(&roots).ok_or_else(missing)
}
