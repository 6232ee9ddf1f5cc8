//! Verifying a whole log offline, by its folder and public key: every entry, hash, link and the signed root.
//! It names what it finds; it repairs nothing and asks no database.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use obscura_crypto::Hash;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::cosignature::Cosignature;
use obscura_crypto::cosignature::Witnesses;
use obscura_crypto::merkle;
use obscura_crypto::merkle::Tree;
use obscura_crypto::tiles;
use obscura_crypto::tiles::Content;
use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

use crate::audit::AuditError;
use crate::audit::accounts::KeyAccounts;
use crate::audit::accounts::UnwrapFinding;
use crate::audit::cosigned::Cosigned;
use crate::audit::cosigned::read_kept;
use crate::audit::event::Action;
use crate::audit::event::LoggedEvent;
use crate::audit::facts::LogFacts;
use crate::audit::reader::LogReader;
use crate::audit::reader::SignedCheckpoint;
use crate::audit::stories::JobStories;
use crate::audit::unwraps::read_journal;

/// Seconds that an entry may be behind the one before it: several processes write, each looks at the clock before it waits
/// for its turn, and clocks are corrected by a little.
const BACK_SECONDS: i64 = 5;

/// Something in a log that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The checkpoint is missing, unreadable, or not signed by the log's key.
    Checkpoint,
    /// This entry is not the one whose hash is in the tree, or it is gone.
    Entry {
        /// Index of the entry.
        index: u64,
    },
    /// This entry's hash is gone or damaged.
    Hash {
        /// Index of the entry.
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
        /// Index of the entry.
        index: u64,
    },
    /// A checkpoint that was kept elsewhere covers more entries than the log has.
    Truncated {
        /// Number of entries that the kept checkpoint covers.
        kept: u64,
        /// Number of entries in the log.
        size: u64,
    },
    /// The log is not a continuation of the one that a kept checkpoint covers.
    Rewritten {
        /// Number of entries that the kept checkpoint covers.
        kept: u64,
    },
    /// The kept checkpoint is not signed by the log's key, or a cosignature on it does not match.
    KeptCheckpoint,
    /// The checkpoint that witnesses cosigned is in the log's folder and does not verify.
    Cosigned,
    /// The log says that a checkpoint of this size was cosigned and kept, and it is not there.
    CosignedMissing {
        /// Number of entries that it covers.
        size: u64,
    },
    /// No checkpoint at hand was cosigned by one of the witnesses that are believed.
    NotWitnessed,
    /// The log says something of a job that no job can go through.
    Story {
        /// The job.
        job: String,
        /// The contradiction.
        problem: &'static str,
    },
    /// A key left the keyring that no decision covers, or the journal of keys is not as it was written.
    Unwrap(UnwrapFinding),
}

/// The anchors that a log is compared with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    /// A checkpoint of this log that was stored elsewhere.
    pub kept: Option<&'a str>,
    /// The witnesses that are believed.
    pub witnesses: Option<&'a Witnesses>,
    /// The demand for a cosignature by one of them.
    pub witnessing: Witnessing,
    /// The journal of unwrapped keys.
    pub journal: Option<&'a Path>,
}

/// The demand for a cosigned checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Witnessing {
    /// A cosigned checkpoint must hold if there is one; there need be none.
    #[default]
    Welcome,
    /// A checkpoint must have been cosigned by a witness that is believed.
    Demanded,
}

/// A checkpoint that the log was compared with and that it continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Number of entries that it covers.
    pub size: u64,
    /// The place where it was found.
    pub place: Place,
    /// The cosignatures on it that were verified.
    pub cosignatures: Vec<Cosignature>,
}

/// The place of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Away from the log.
    Elsewhere,
    /// In the log's folder: an attacker who could shorten the log could remove it too.
    Beside,
}

/// The result of verifying a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries under the signed checkpoint; none when there is no valid one.
    pub size: u64,
    /// Everything that is wrong, in the log's order; empty when all is well.
    pub findings: Vec<Finding>,
    /// The log's account of records, as far as it could be read.
    pub facts: LogFacts,
    /// The log's account of each job, as far as it could be read.
    pub stories: JobStories,
    /// Jobs of which the log says that their question's text was destroyed.
    pub shredded: BTreeSet<String>,
    /// The checkpoints that the log was compared with and that it continues; with none, nothing tells a shortened log.
    pub anchors: Vec<Anchor>,
    /// Entries at which time goes back: they are as they were written, but the writing clock was wrong.
    pub backwards: Vec<Backwards>,
}

/// An entry that is older than one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backwards {
    /// Index of the entry.
    pub index: u64,
    /// By how many seconds.
    pub seconds: i64,
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
            | Finding::KeptCheckpoint
            | Finding::Cosigned
            | Finding::CosignedMissing { .. }
            | Finding::NotWitnessed
            | Finding::Story { .. }
            | Finding::Unwrap(_) => None,
        };
        self.findings.iter().filter_map(index).min()
    }
}

/// Verifies everything there is to verify. Only with a checkpoint that others have seen can a log be told from an older
/// copy of itself.
///
/// # Errors
/// When a folder cannot be locked or a file not read; whatever is wrong with the log itself is a finding.
pub fn verify(reader: &LogReader, against: Against<'_>) -> Result<Verification, AuditError> {
    let _lock = reader.lock_against_appending()?;
    let mut walk = Walk::over(reader);
    let mut anchors = Anchors::read(reader, against)?;
    let size = match reader.checkpoint() {
        Ok(signed) => {
            let leaves = walk.entries(signed.checkpoint.size());
            walk.tiles_above(&leaves);
            if walk.findings.is_empty() && merkle::root(&leaves) != signed.checkpoint.root() {
                walk.findings.push(Finding::Root);
            }
            anchors.found.retain(|found| walk.continues(&found.signed.checkpoint, &leaves));
            signed.checkpoint.size()
        }
        Err(_) => {
            walk.findings.push(Finding::Checkpoint);
            anchors.found.clear();
            0
        }
    };
    if let Some(size) = walk.newest_cosigned.filter(|size| anchors.beside.is_none_or(|kept| kept < *size)) {
        walk.findings.push(Finding::CosignedMissing { size });
    }
    walk.findings.append(&mut anchors.findings);
    let impossible = walk.stories.all().filter_map(|(job, story)| Some((job.to_owned(), story.impossible?)));
    walk.findings.extend(impossible.map(|(job, problem)| Finding::Story { job, problem }));
    walk.findings.extend(walk.accounts.unadmitted().into_iter().map(Finding::Unwrap));
    if let Some(journal) = against.journal {
        // The log cannot grow meanwhile, and a decision is in it before the journal has a line: none is missed.
        let lines = read_journal(journal)?;
        walk.findings.extend(walk.accounts.reconcile(lines).into_iter().map(Finding::Unwrap));
    }
    let anchors = anchors.found.into_iter().map(|found| found.anchor).collect();
    let shredded = walk.accounts.shredded().clone();
    let Walk { findings, facts, stories, backwards, .. } = walk;
    Ok(Verification { size, findings, facts, stories, shredded, anchors, backwards })
}

/// The checkpoints to compare with, as far as they hold in themselves.
struct Anchors {
    found: Vec<Found>,
    /// Size of the one in the log's folder, if it holds.
    beside: Option<u64>,
    findings: Vec<Finding>,
}

struct Found {
    signed: SignedCheckpoint,
    anchor: Anchor,
}

impl Anchors {
    fn read(reader: &LogReader, against: Against<'_>) -> Result<Self, AuditError> {
        let mut anchors = Self { found: Vec::new(), beside: None, findings: Vec::new() };
        let beside = read_kept(reader)?;
        for (text, place) in [(against.kept, Place::Elsewhere), (beside.as_deref(), Place::Beside)] {
            let Some(text) = text else { continue };
            match (Cosigned::verify(reader, against.witnesses, text), place) {
                (Ok(Cosigned { signed, cosignatures }), _) => {
                    let size = signed.checkpoint.size();
                    if place == Place::Beside {
                        anchors.beside = Some(size);
                    }
                    anchors.found.push(Found { signed, anchor: Anchor { size, place, cosignatures } });
                }
                (Err(_), Place::Elsewhere) => anchors.findings.push(Finding::KeptCheckpoint),
                (Err(_), Place::Beside) => anchors.findings.push(Finding::Cosigned),
            }
        }
        let is_witnessed = anchors.found.iter().any(|found| !found.anchor.cosignatures.is_empty());
        // One that was kept because witnesses cosigned it must still bear a cosignature.
        let must_be = match against.witnessing {
            Witnessing::Demanded => true,
            Witnessing::Welcome => against.witnesses.is_some() && anchors.beside.is_some(),
        };
        if must_be && !is_witnessed {
            anchors.findings.push(Finding::NotWitnessed);
        }
        Ok(anchors)
    }
}

struct Walk<'a> {
    reader: &'a LogReader,
    findings: Vec<Finding>,
    facts: LogFacts,
    stories: JobStories,
    accounts: KeyAccounts,
    newest_change: Option<u64>,
    /// Size of the newest checkpoint that the log says was cosigned and kept.
    newest_cosigned: Option<u64>,
    /// The latest time so far.
    latest: Option<Timestamp>,
    backwards: Vec<Backwards>,
}

impl<'a> Walk<'a> {
    fn over(reader: &'a LogReader) -> Self {
        Self {
            reader,
            findings: Vec::new(),
            facts: LogFacts::default(),
            stories: JobStories::default(),
            accounts: KeyAccounts::default(),
            newest_change: None,
            newest_cosigned: None,
            latest: None,
            backwards: Vec::new(),
        }
    }

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
        if event.action == Action::CheckpointCosigned.name() {
            let size = event.detail.get("size").and_then(serde_json::Value::as_u64);
            self.newest_cosigned = self.newest_cosigned.max(size);
        }
        self.clock(index, event.time);
        self.stories.take(&event);
        self.accounts.take(&event);
        self.facts.take(event);
    }

    /// Looks whether time goes back. Each step back is told once: later entries are measured from there.
    fn clock(&mut self, index: u64, time: Timestamp) {
        let seconds = self.latest.map_or(0, |latest| latest.duration_since(time).as_secs());
        if seconds > BACK_SECONDS {
            self.backwards.push(Backwards { index, seconds });
            self.latest = Some(time);
        } else {
            self.latest = self.latest.max(Some(time));
        }
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

    /// Compares the log with a checkpoint of its past, and says whether it continues it.
    fn continues(&mut self, kept: &Checkpoint, leaves: &[Hash]) -> bool {
        let size = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        if kept.size() > size {
            self.findings.push(Finding::Truncated { kept: kept.size(), size });
            return false;
        }
        let mut tree = Tree::new();
        for leaf in leaves.iter().take(usize::try_from(kept.size()).unwrap_or(usize::MAX)) {
            tree.append(*leaf);
        }
        if tree.root() != kept.root() {
            self.findings.push(Finding::Rewritten { kept: kept.size() });
            return false;
        }
        true
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
