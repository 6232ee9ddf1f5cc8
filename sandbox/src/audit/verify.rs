//! Verifying a whole log offline, by its folder and public key: every entry, hash, link and the signed root.
//! It names what it finds; it repairs nothing and asks no database.

use obscura_crypto::Hash;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::merkle;
use obscura_crypto::merkle::Tree;
use obscura_crypto::tiles;
use obscura_crypto::tiles::Content;
use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

use crate::audit::AuditError;
use crate::audit::event::LoggedEvent;
use crate::audit::facts::LogFacts;
use crate::audit::reader::LogReader;

/// Something in a log that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The checkpoint is missing, unreadable, or not signed by the log's key.
    Checkpoint,
    /// This entry is not the one whose hash is in the tree, or it is gone.
    Entry {
        /// Which.
        index: u64,
    },
    /// This entry's hash is gone or damaged.
    Hash {
        /// Which entry's.
        index: u64,
    },
    /// A hash tile above the leaves is gone or damaged.
    Tile {
        /// Its path in the log's folder.
        path: String,
    },
    /// The entries and their hashes agree with each other, but not with the signed root.
    Root,
    /// This entry does not link to the change of records before it.
    Link {
        /// Which.
        index: u64,
    },
    /// A checkpoint that was kept elsewhere covers more entries than the log has.
    Truncated {
        /// How many the kept checkpoint covers.
        kept: u64,
        /// How many the log has.
        size: u64,
    },
    /// The log is not a continuation of the one that a kept checkpoint covers.
    Rewritten {
        /// How many entries the kept checkpoint covers.
        kept: u64,
    },
    /// The kept checkpoint is not signed by the log's key.
    KeptCheckpoint,
}

/// What came of verifying a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries under the signed checkpoint; none when there is no valid one.
    pub size: u64,
    /// Everything that is wrong, in the log's order; empty when all is well.
    pub findings: Vec<Finding>,
    /// What the log says about records, as far as it could be read.
    pub facts: LogFacts,
}

impl Verification {
    /// The first entry that is not as it was written.
    #[must_use]
    pub fn first_bad_entry(&self) -> Option<u64> {
        let index = |finding: &Finding| match finding {
            Finding::Entry { index } | Finding::Hash { index } | Finding::Link { index } => Some(*index),
            Finding::Checkpoint
            | Finding::Tile { .. }
            | Finding::Root
            | Finding::Truncated { .. }
            | Finding::Rewritten { .. }
            | Finding::KeptCheckpoint => None,
        };
        self.findings.iter().filter_map(index).min()
    }
}

/// Verifies everything there is to verify. `kept` is a checkpoint of this log that was stored elsewhere; only with one
/// can a log be told from an older copy of itself.
///
/// # Errors
/// When the folder cannot be locked; whatever is wrong with the log itself is a finding.
pub fn verify(reader: &LogReader, kept: Option<&str>) -> Result<Verification, AuditError> {
    let _lock = reader.lock_against_appending()?;
    let mut walk = Walk { reader, findings: Vec::new(), facts: LogFacts::default(), newest_change: None };
    let kept = kept.map(|text| reader.verify_checkpoint(text).map(|signed| signed.checkpoint));
    let size = match reader.checkpoint() {
        Ok(signed) => {
            let leaves = walk.entries(signed.checkpoint.size());
            walk.tiles_above(&leaves);
            if walk.findings.is_empty() && merkle::root(&leaves) != signed.checkpoint.root() {
                walk.findings.push(Finding::Root);
            }
            if let Some(Ok(kept)) = &kept {
                walk.continues(kept, &leaves);
            }
            signed.checkpoint.size()
        }
        Err(_) => {
            walk.findings.push(Finding::Checkpoint);
            0
        }
    };
    if let Some(Err(_)) = kept {
        walk.findings.push(Finding::KeptCheckpoint);
    }
    Ok(Verification { size, findings: walk.findings, facts: walk.facts })
}

struct Walk<'a> {
    reader: &'a LogReader,
    findings: Vec<Finding>,
    facts: LogFacts,
    newest_change: Option<u64>,
}

impl Walk<'_> {
    /// Compares every entry with its stored hash; gives the hashes of the entries, stored ones where an entry is gone.
    fn entries(&mut self, size: u64) -> Vec<Hash> {
        let mut leaves = Vec::new();
        for number in 0..size.div_ceil(u64::from(TILE_WIDTH)) {
            let Some(tile) = Tile::at(Content::Entries, number, size) else {
                break;
            };
            let first = number.saturating_mul(u64::from(TILE_WIDTH));
            let stored = self.reader.leaf_hashes(number, size).unwrap_or_default();
            let bundle = self.reader.read_tile(&tile).unwrap_or_default();
            let entries = readable_entries(&bundle);
            for (place, index) in (0..usize::from(tile.width())).zip(first..) {
                let entry = entries.get(place).copied();
                let hash = entry.map(merkle::leaf_hash);
                match (hash, stored.get(place).copied()) {
                    (Some(hash), Some(stored)) if hash == stored => self.event(index, entry),
                    (_, None) => self.findings.push(Finding::Hash { index }),
                    (_, Some(_)) => self.findings.push(Finding::Entry { index }),
                }
                leaves.push(stored.get(place).copied().or(hash).unwrap_or_else(merkle::empty_root));
            }
            if entries.len() > usize::from(tile.width()) {
                self.findings.push(Finding::Entry { index: first.saturating_add(u64::from(tile.width())) });
            }
        }
        leaves
    }

    fn event(&mut self, index: u64, entry: Option<&[u8]>) {
        let Some(Ok(event)) = entry.map(|entry| LoggedEvent::read(index, entry)) else {
            self.findings.push(Finding::Entry { index });
            return;
        };
        if event.previous_change != self.newest_change {
            self.findings.push(Finding::Link { index });
        }
        if event.record.is_some() {
            self.newest_change = Some(index);
        }
        self.facts.take(event);
    }

    /// Compares every stored hash tile above the leaves with what the leaves make of it.
    fn tiles_above(&mut self, leaves: &[Hash]) {
        let mut nodes = leaves.to_vec();
        let size = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        for level in 1..=7_u8 {
            nodes = nodes.chunks_exact(usize::from(TILE_WIDTH)).map(merkle::root).collect();
            if nodes.is_empty() {
                return;
            }
            for (number, chunk) in (0_u64..).zip(nodes.chunks(usize::from(TILE_WIDTH))) {
                let Some(tile) = Tile::at(Content::Hashes(level), number, size) else {
                    continue;
                };
                let stored = self.reader.read_tile(&tile).and_then(|bytes| tile.hashes(&bytes));
                if stored.as_deref() != Some(chunk) {
                    self.findings.push(Finding::Tile { path: tile.path() });
                }
            }
        }
    }

    fn continues(&mut self, kept: &Checkpoint, leaves: &[Hash]) {
        let size = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        if kept.size() > size {
            self.findings.push(Finding::Truncated { kept: kept.size(), size });
            return;
        }
        let mut tree = Tree::new();
        for leaf in leaves.iter().take(usize::try_from(kept.size()).unwrap_or(usize::MAX)) {
            tree.append(*leaf);
        }
        if tree.root() != kept.root() {
            self.findings.push(Finding::Rewritten { kept: kept.size() });
        }
    }
}

/// The entries up to where the bundle is cut or damaged.
fn readable_entries(bundle: &[u8]) -> Vec<&[u8]> {
    if let Ok(entries) = tiles::decode_entries(bundle) {
        return entries;
    }
    let mut entries = Vec::new();
    let mut rest = bundle;
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((entry, tail)) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        entries.push(entry);
        rest = tail;
    }
    entries
}
