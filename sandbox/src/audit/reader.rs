//! Reading a log by its folder and public key alone: entries are given out only after they have been led back to the
//! signed checkpoint. It writes nothing and needs no other secret or database.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use obscura_crypto::Hash;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::merkle;
use obscura_crypto::merkle::NodeSource as _;
use obscura_crypto::note::SignedNote;
use obscura_crypto::sign::Verifier;
use obscura_crypto::tiles;
use obscura_crypto::tiles::Content;
use obscura_crypto::tiles::StoredTree;
use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

use crate::audit::AuditError;
use crate::audit::files::CHECKPOINT;
use crate::audit::files::LOCK;

/// A log's folder and the key it is verified with.
#[derive(Debug, Clone)]
pub struct LogReader {
    folder: PathBuf,
    verifier: Verifier,
}

/// A verified checkpoint with the note that says it.
#[derive(Debug, Clone)]
pub struct SignedCheckpoint {
    /// Size and root.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: SignedNote,
}

/// The entries of one bundle, led back to a checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    pub(super) first: u64,
    pub(super) entries: Vec<Vec<u8>>,
}

impl Bundle {
    /// The entry of this number, if it is in this bundle.
    pub(super) fn entry(&self, index: u64) -> Option<&[u8]> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.entries.get(place).map(Vec::as_slice)
    }
}

impl LogReader {
    /// Looks at the log in a folder. The key's name is the log's origin.
    #[must_use]
    pub fn new(folder: &Path, verifier: Verifier) -> Self {
        Self { folder: folder.to_owned(), verifier }
    }

    /// The key the log is verified with.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The log's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps others from appending while something is read in several steps. A copy of a log that has no lock file
    /// cannot be appended to, so there is nothing to wait for.
    ///
    /// # Errors
    /// When there is a lock file and it cannot be taken.
    pub fn lock_against_appending(&self) -> Result<Option<File>, AuditError> {
        let Ok(file) = File::open(self.folder.join(LOCK)) else {
            return Ok(None);
        };
        file.lock_shared().map_err(AuditError::file("take the lock"))?;
        Ok(Some(file))
    }

    /// Reads and verifies the newest checkpoint.
    ///
    /// # Errors
    /// [`AuditError::Checkpoint`] when it is missing or not signed by the log's key.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, AuditError> {
        let text = fs::read_to_string(self.folder.join(CHECKPOINT)).map_err(|_| AuditError::Checkpoint)?;
        self.verify_checkpoint(&text)
    }

    /// Verifies a checkpoint that was kept elsewhere.
    ///
    /// # Errors
    /// [`AuditError::Checkpoint`] when it is not signed by the log's key.
    pub fn verify_checkpoint(&self, text: &str) -> Result<SignedCheckpoint, AuditError> {
        let note: SignedNote = text.parse().map_err(|_| AuditError::Checkpoint)?;
        let checkpoint = Checkpoint::verify(&note, &self.verifier, self.verifier.name())
            .map_err(|_| AuditError::Checkpoint)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Reads one entry and leads it back to the newest checkpoint.
    ///
    /// # Errors
    /// When there is no such entry, or it does not lead to the checkpoint's root.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let _lock = self.lock_against_appending()?;
        let checkpoint = self.checkpoint()?.checkpoint;
        let bundle = self.bundle_of(index, &checkpoint)?;
        bundle.entry(index).map(<[u8]>::to_vec).ok_or(AuditError::Damaged { index })
    }

    /// The proof that the log of an earlier size is the beginning of the newest one; nothing when it was never of this
    /// size.
    ///
    /// # Errors
    /// When the checkpoint is not signed by the log's key.
    pub fn consistency(&self, from: u64) -> Result<Option<(Vec<Hash>, SignedCheckpoint)>, AuditError> {
        let _lock = self.lock_against_appending()?;
        let signed = self.checkpoint()?;
        let size = signed.checkpoint.size();
        if from == 0 || from > size {
            return Ok(None);
        }
        let hashes = merkle::consistency_proof(&self.tree(size), from, size);
        let hashes = hashes.map_err(|_| AuditError::Damaged { index: from.saturating_sub(1) })?;
        Ok(Some((hashes, signed)))
    }

    /// Verifies that a checkpoint of this log is of its beginning; says the size of the log when it is not.
    ///
    /// # Errors
    /// When the log's own checkpoint is not signed by its key.
    pub fn continues(&self, older: &Checkpoint) -> Result<Result<(), u64>, AuditError> {
        let Some((hashes, newest)) = self.consistency(older.size())? else {
            return Ok(Err(self.checkpoint()?.checkpoint.size()));
        };
        let (size, root) = (newest.checkpoint.size(), newest.checkpoint.root());
        let verified = merkle::verify_consistency(older.size(), &older.root(), size, &root, &hashes);
        Ok(verified.map_err(|_| size))
    }

    /// Reads the bundle that holds an entry and leads all its entries back to a checkpoint.
    pub(super) fn bundle_of(&self, index: u64, checkpoint: &Checkpoint) -> Result<Bundle, AuditError> {
        let size = checkpoint.size();
        if index >= size {
            return Err(AuditError::NoSuchEntry { size });
        }
        let damaged = || AuditError::Damaged { index };
        let number = index / u64::from(TILE_WIDTH);
        let first = number * u64::from(TILE_WIDTH);
        let tile = Tile::at(Content::Entries, number, size).ok_or_else(damaged)?;
        let bytes = self.read_tile(&tile).ok_or_else(damaged)?;
        let entries = tiles::decode_entries(&bytes).map_err(|_| damaged())?;
        if entries.len() != usize::from(tile.width()) {
            return Err(damaged());
        }
        let tree = self.tree(size);
        for (entry, place) in entries.iter().zip(first..) {
            if tree.node(0, place) != Some(merkle::leaf_hash(entry)) {
                return Err(AuditError::Damaged { index: place });
            }
        }
        // The siblings of the bundle's first entry cover every other hash of its tile, so that one inclusion proof
        // authenticates the whole bundle.
        let leaf = tree.node(0, first).ok_or_else(damaged)?;
        let proof = merkle::inclusion_proof(&tree, size, first).map_err(|_| damaged())?;
        merkle::verify_inclusion(&leaf, first, size, &proof, &checkpoint.root()).map_err(|_| damaged())?;
        Ok(Bundle { first, entries: entries.into_iter().map(<[u8]>::to_vec).collect() })
    }

    /// The stored tree as it was at `size`; each tile is read once.
    pub(super) fn tree(&self, size: u64) -> StoredTree<impl Fn(&Tile) -> Option<Vec<u8>> + '_> {
        let read: RefCell<BTreeMap<Tile, Option<Vec<u8>>>> = RefCell::default();
        StoredTree::new(size, move |tile: &Tile| {
            read.borrow_mut().entry(*tile).or_insert_with(|| self.read_tile(tile)).clone()
        })
    }

    /// Reads the file of exactly this tile.
    pub(super) fn read_tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        fs::read(self.folder.join(tile.path())).ok()
    }

    /// The leaf hashes of one tile as stored, if it can be read.
    pub(super) fn leaf_hashes(&self, number: u64, size: u64) -> Option<Vec<Hash>> {
        let tile = Tile::at(Content::Hashes(0), number, size)?;
        tile.hashes(&self.read_tile(&tile)?)
    }
}
