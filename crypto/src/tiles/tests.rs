//! Paths and sizes as the specification's own examples have them, and a whole log written and read as tiles.

use std::collections::BTreeMap;

use proptest::prelude::any;
use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::merkle::{self, Tree, leaf_hash};

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

#[test]
fn paths_are_those_of_the_specification() {
    let full = Tile::new(Content::Hashes(0), 1_234_067, 256).unwrap();
    assert_eq!(full.path(), "tile/0/x001/x234/067");
    assert_eq!(Tile::new(Content::Entries, 0, 8).unwrap().path(), "tile/entries/000.p/8");
    assert_eq!(Tile::new(Content::Hashes(1), 1000, 1).unwrap().path(), "tile/1/x001/000.p/1");
}

#[test]
fn paths_read_back_and_other_spellings_do_not() {
    for path in ["tile/0/000", "tile/7/x999/001.p/255", "tile/entries/x001/x234/067", "tile/entries/000.p/1"]
    {
        assert_eq!(path.parse::<Tile>().unwrap().path(), path);
    }
    for path in [
        "",
        "tile/",
        "tile/8/000",
        "tile/00/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/../000",
        "tile/0/x018/x446/x744/x073/x709/x551/x616/000",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
}

#[test]
fn a_tree_of_70000_has_the_tiles_the_specification_counts() {
    let tiles = Tile::written_by_growth(0, 70_000);
    let count = |level: u8, width: u16| {
        tiles.iter().filter(|tile| tile.content() == Content::Hashes(level) && tile.width() == width).count()
    };
    assert_eq!((count(0, 256), count(0, 112)), (273, 1));
    assert_eq!((count(1, 256), count(1, 17)), (1, 1));
    assert_eq!((count(2, 1), count(2, 256)), (1, 0));
    assert_eq!(tiles.iter().filter(|tile| tile.content() == Content::Entries).count(), 274);
    assert_eq!(Tile::written_by_growth(70_000, 70_000), []);
}

#[test]
fn a_tree_of_256_has_one_full_tile_and_a_partial_one_above() {
    let tiles = Tile::written_by_growth(255, 256);
    let paths: Vec<String> = tiles.iter().map(Tile::path).collect();
    assert_eq!(paths, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn a_tile_of_the_wrong_length_is_not_read() {
    let tile = Tile::new(Content::Hashes(0), 0, 2).unwrap();
    assert!(tile.hashes(&[0; 64]).is_some());
    for length in [0, 32, 63, 65, 96] {
        assert!(tile.hashes(&vec![0; length]).is_none(), "{length}");
    }
    assert!(Tile::new(Content::Entries, 0, 2).unwrap().hashes(&[0; 64]).is_none());
}

#[test]
fn a_bundle_holds_entries_up_to_the_limit() {
    let longest = vec![7; ENTRY_BYTES_MAX];
    let bundle = encode_entries([&b""[..], b"a", &longest]).unwrap();
    assert_eq!(decode_entries(&bundle).unwrap(), [&b""[..], b"a", &longest]);
    assert!(encode_entries([vec![7; ENTRY_BYTES_MAX + 1]]).is_err());
    assert!(decode_entries(&bundle[..bundle.len() - 1]).is_err());
    assert!(decode_entries(&[0]).is_err());
}

/// Writes a log in two steps, as a program does that was stopped in between, and reads everything back from tiles.
#[test]
fn a_log_of_66000_entries_is_proven_from_its_tiles_alone() {
    let (first, size) = (300_u64, 66_000_u64);
    let leaves = leaves(size);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (old, new) in [(0, first), (first, size)] {
        for tile in Tile::written_by_growth(old, new) {
            if let Some(bytes) = tile.hash_bytes(&leaves[..new as usize]) {
                files.insert(tile.path(), bytes);
            }
        }
    }
    let root = merkle::root(&leaves);
    let old_root = merkle::root(&leaves[..first as usize]);
    let stored = StoredTree::new(size, |tile: &Tile| files.get(&tile.path()).cloned());
    assert_eq!(Tree::resume(&stored, size).unwrap().root(), root);
    for index in [0, 255, 256, 299, 65_535, 65_536, size - 1] {
        let proof = merkle::inclusion_proof(&stored, size, index).unwrap();
        assert_eq!(proof, merkle::inclusion_proof(&leaves[..], size, index).unwrap());
        merkle::verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
    }
    let proof = merkle::consistency_proof(&stored, first, size).unwrap();
    merkle::verify_consistency(first, &old_root, size, &root, &proof).unwrap();
    // The tree as it was when the first step ended is still there, partial tiles and all.
    let earlier = StoredTree::new(first, |tile: &Tile| files.get(&tile.path()).cloned());
    assert_eq!(Tree::resume(&earlier, first).unwrap().root(), old_root);
    let lacking = StoredTree::new(size, |_tile: &Tile| None);
    assert!(merkle::inclusion_proof(&lacking, size, 0).is_err());
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0_u8..8, index in any::<u64>(), width in 1_u16..=256) {
        let tile = Tile::new(Content::Hashes(level), index, width).unwrap();
        prop_assert_eq!(tile.path().parse::<Tile>().unwrap(), tile);
    }

    #[test]
    fn parsers_take_anything_without_panicking(text in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let parsed = text.parse::<Tile>().map(|tile| tile.path());
        prop_assert_eq!(parsed.as_deref().unwrap_or(&text), &text);
        if let Ok(entries) = decode_entries(&bytes) {
            prop_assert_eq!(encode_entries(entries).unwrap(), bytes);
        }
    }
}
