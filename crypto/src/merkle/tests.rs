//! The tree against `ct-merkle` as oracle, against the test values of RFC 6962 implementations, and against tampering.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};
use sha2::Sha256 as OracleHash;

use super::*;
use crate::sha256::Hash;

fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&entry(number))).collect()
}

fn oracle(size: u64) -> MemoryBackedTree<OracleHash, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|number| tree.push(entry(number)));
    tree
}

fn joined(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn roots_are_those_of_the_certificate_transparency_test_tree() {
    let entries: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    assert_eq!(root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(
        root(&leaves[..1]).to_string(),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    assert_eq!(root(&leaves).to_string(), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn every_proof_of_every_small_tree_verifies_and_equals_the_oracles() {
    for size in 1..=40_u64 {
        let leaves = leaves(size);
        let oracle = oracle(size);
        let root = root(&leaves);
        assert_eq!(root.as_bytes()[..], oracle.root().as_bytes()[..]);
        for index in 0..size {
            let proof = inclusion_proof(&leaves[..], size, index).unwrap();
            assert_eq!(joined(&proof), oracle.prove_inclusion(index as usize).as_bytes());
            verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
        }
        for old in 1..=size {
            let proof = consistency_proof(&leaves[..], old, size).unwrap();
            let additions = (size - old) as usize;
            if additions > 0 {
                assert_eq!(joined(&proof), oracle.prove_consistency(additions).as_bytes(), "{old} {size}");
            }
            let old_root = super::root(&leaves[..old as usize]);
            verify_consistency(old, &old_root, size, &root, &proof).unwrap();
        }
    }
}

#[test]
fn outside_the_tree_there_is_no_proof() {
    let leaves = leaves(5);
    assert!(matches!(inclusion_proof(&leaves[..], 5, 5), Err(RangeError::Outside { .. })));
    assert!(matches!(inclusion_proof(&leaves[..], 6, 0), Err(RangeError::Missing { .. })));
    assert!(matches!(consistency_proof(&leaves[..], 6, 5), Err(RangeError::Outside { .. })));
    assert!(matches!(consistency_proof(&leaves[..], 3, 9), Err(RangeError::Missing { .. })));
}

#[test]
fn an_empty_old_tree_needs_its_own_root_and_no_proof() {
    let leaves = leaves(3);
    let root = root(&leaves);
    assert!(consistency_proof(&leaves[..], 0, 3).unwrap().is_empty());
    verify_consistency(0, &empty_root(), 3, &root, &[]).unwrap();
    assert!(verify_consistency(0, &root, 3, &root, &[]).is_err());
    assert!(verify_consistency(0, &empty_root(), 3, &root, &leaves[..1]).is_err());
    assert!(verify_consistency(3, &root, 0, &empty_root(), &[]).is_err());
}

#[test]
fn a_proof_too_short_for_the_claimed_size_is_refused() {
    for size in 1..=20_u64 {
        let leaves = leaves(size);
        let root = root(&leaves);
        for index in 0..size {
            let proof = inclusion_proof(&leaves[..], size, index).unwrap();
            assert!(verify_inclusion(&leaves[index as usize], index, size * 4, &proof, &root).is_err());
        }
        for old in 1..size {
            let old_root = super::root(&leaves[..old as usize]);
            let proof = consistency_proof(&leaves[..], old, size).unwrap();
            assert!(verify_consistency(old, &old_root, size * 4, &root, &proof).is_err());
        }
    }
}

#[test]
fn proofs_at_the_largest_sizes_are_refused_without_overflow() {
    let hash = leaf_hash(b"");
    let proof = vec![hash; 64];
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        assert!(verify_inclusion(&hash, size - 1, size, &proof, &hash).is_err());
        assert!(verify_inclusion(&hash, 0, size, &proof, &hash).is_err());
        assert!(verify_consistency(size - 1, &hash, size, &hash, &proof).is_err());
        assert!(verify_consistency(1, &hash, size, &hash, &proof).is_err());
    }
}

proptest! {
    #[test]
    fn large_trees_agree_with_the_oracle(size in 1_u64..700, pick in any::<u64>(), old_pick in any::<u64>()) {
        let leaves = leaves(size);
        let oracle = oracle(size);
        let root = root(&leaves);
        prop_assert_eq!(root.as_bytes().to_vec(), oracle.root().as_bytes().to_vec());
        let index = pick % size;
        let proof = inclusion_proof(&leaves[..], size, index).unwrap();
        let by_oracle = oracle.prove_inclusion(index as usize);
        prop_assert_eq!(joined(&proof), by_oracle.as_bytes());
        oracle.root().verify_inclusion(&entry(index), index, &by_oracle).unwrap();
        verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
        let old = old_pick % size + 1;
        let proof = consistency_proof(&leaves[..], old, size).unwrap();
        if old < size {
            prop_assert_eq!(joined(&proof), oracle.prove_consistency((size - old) as usize).as_bytes().to_vec());
        }
        let old_root = super::root(&leaves[..old as usize]);
        verify_consistency(old, &old_root, size, &root, &proof).unwrap();
    }

    #[test]
    fn any_change_to_a_claim_is_found(size in 2_u64..300, pick in any::<u64>(), bit in 0_usize..256, part in any::<u64>()) {
        let leaves = leaves(size);
        let root = root(&leaves);
        let index = pick % size;
        let leaf = leaves[index as usize];
        let proof = inclusion_proof(&leaves[..], size, index).unwrap();
        let flipped = |hash: &Hash| {
            let mut bytes = *hash.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            Hash::from_bytes(bytes)
        };
        let mut damaged = proof.clone();
        let at = (part % proof.len() as u64) as usize;
        damaged[at] = flipped(&damaged[at]);
        prop_assert!(verify_inclusion(&leaf, index, size, &damaged, &root).is_err());
        prop_assert!(verify_inclusion(&flipped(&leaf), index, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &flipped(&root)).is_err());
        prop_assert!(verify_inclusion(&leaf, (index + 1) % size, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof[1..], &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &[&proof[..], &[root]].concat(), &root).is_err());
    }

    #[test]
    fn a_rewritten_history_is_found(size in 2_u64..200, pick in any::<u64>(), changed in any::<u64>()) {
        let old = pick % (size - 1) + 1;
        let honest = leaves(size);
        let old_root = root(&honest[..old as usize]);
        let mut rewritten = honest.clone();
        rewritten[(changed % old) as usize] = leaf_hash(b"rewritten");
        let new_root = root(&rewritten);
        let proof = consistency_proof(&rewritten[..], old, size).unwrap();
        prop_assert!(verify_consistency(old, &old_root, size, &new_root, &proof).is_err());
        let honest_proof = consistency_proof(&honest[..], old, size).unwrap();
        prop_assert!(verify_consistency(old, &old_root, size, &new_root, &honest_proof).is_err());
    }

    #[test]
    fn a_resumed_tree_grows_like_the_one_that_never_stopped(size in 0_u64..300, more in 0_u64..40) {
        let all = leaves(size + more);
        let mut resumed = Tree::resume(&all[..size as usize], size).unwrap();
        prop_assert_eq!(resumed.root(), root(&all[..size as usize]));
        all[size as usize..].iter().for_each(|leaf| resumed.append(*leaf));
        prop_assert_eq!(resumed.size(), size + more);
        prop_assert_eq!(resumed.root(), root(&all));
        prop_assume!(size > 0);
        prop_assert!(Tree::resume(&all[..size as usize - 1], size).is_none());
    }
}
