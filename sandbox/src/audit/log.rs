//! Appending: many callers, one writer, one durable checkpoint for all that waited together.
//! Other processes may append to the same folder; a file lock orders them and the signed checkpoint tells what they did.

use std::collections::VecDeque;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use obscura_crypto::Hash;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::merkle;
use obscura_crypto::merkle::NodeSource;
use obscura_crypto::merkle::Tree;
use obscura_crypto::sha256_hex;
use obscura_crypto::sign::Signer;
use obscura_crypto::sign::Verifier;
use obscura_crypto::tiles;
use obscura_crypto::tiles::Content;
use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

use crate::audit::AuditError;
use crate::audit::Receipt;
use crate::audit::event::Event;
use crate::audit::event::LoggedEvent;
use crate::audit::files;
use crate::audit::files::CHECKPOINT;
use crate::audit::files::LOCK;
use crate::audit::reader::Bundle;
use crate::audit::reader::LogReader;
use crate::audit::reader::SignedCheckpoint;
use crate::audit::unwraps::JOURNAL_DETAIL;
use crate::audit::unwraps::UnwrapJournal;

/// The audit log of one installation, open for appending.
#[derive(Debug)]
pub struct AuditLog {
    reader: LogReader,
    signer: Signer,
    /// The journal of unwrapped keys; some entries name its newest line.
    journal: Option<UnwrapJournal>,
    waiting: Mutex<VecDeque<Waiting>>,
    known: Mutex<Known>,
    /// True if the log was a continuation of the known one at the last check.
    was_continued: AtomicBool,
    last_read: Mutex<Option<Bundle>>,
}

/// This process's knowledge of the log.
#[derive(Debug, Default)]
struct Known {
    /// The newest checkpoint that it has read or signed. A failure does not make it forget: the log goes on from there,
    /// or not by this process.
    newest: Option<Checkpoint>,
    /// The log under that checkpoint; nothing when what is on disk is unknown.
    state: Option<State>,
}

/// The state of the log when this process last read or wrote it.
#[derive(Debug)]
struct State {
    tree: Tree,
    newest_change: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    answer: mpsc::Sender<Result<Receipt, AuditError>>,
}

impl AuditLog {
    /// Begins an empty log. The signer's name is the log's origin.
    ///
    /// # Errors
    /// [`AuditError::Exists`] when the folder holds a log.
    pub fn create(folder: &Path, signer: Signer) -> Result<Self, AuditError> {
        fs::create_dir_all(folder).map_err(AuditError::file("make the folder"))?;
        let log = Self::over(folder, signer);
        let _lock = log.lock()?;
        if folder.join(CHECKPOINT).exists() {
            return Err(AuditError::Exists);
        }
        log.write_checkpoint(&Tree::new())?;
        Ok(log)
    }

    /// Opens a log and checks its newest entry and its right edge against the checkpoint.
    ///
    /// Entries that a killed process had begun to append are not covered by the checkpoint; they are not read, and are
    /// written over.
    ///
    /// # Errors
    /// When the checkpoint is not signed by this key, or the newest entries do not lead to it.
    pub fn open(folder: &Path, signer: Signer) -> Result<Self, AuditError> {
        let log = Self::over(folder, signer);
        log.newest_change()?;
        Ok(log)
    }

    /// Names the newest line of a journal of keys in the entries that have to name it.
    #[must_use]
    pub fn naming(self, journal: UnwrapJournal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    fn over(folder: &Path, signer: Signer) -> Self {
        let reader = LogReader::new(folder, signer.verifier().clone());
        Self {
            reader,
            signer,
            journal: None,
            waiting: Mutex::default(),
            known: Mutex::default(),
            was_continued: AtomicBool::new(true),
            last_read: Mutex::default(),
        }
    }

    /// Appends events in this order; when it returns they are on disk and covered by a signed checkpoint.
    ///
    /// # Errors
    /// When an event is too long, the log cannot be written, or it is not a continuation of what this process has seen;
    /// then none of them has been appended, unless the failure came after the checkpoint was in place.
    pub fn append(&self, mut events: Vec<Event>) -> Result<Vec<Receipt>, AuditError> {
        for event in &mut events {
            if self.journal.is_some() && event.action.names_journal() {
                // This hash is as long as the one that the entry will name.
                name_line(event, sha256_hex(b""));
            }
            // Checked with the longest possible link, before others' events are in the same write.
            event.entry(self.origin(), Some(u64::MAX))?;
        }
        let mut answers = Vec::with_capacity(events.len());
        {
            let mut waiting = held(&self.waiting);
            for event in events {
                let (answer, receipt) = mpsc::channel();
                waiting.push_back(Waiting { event, answer });
                answers.push(receipt);
            }
        }
        // The thread that locks `known` first writes for all that wait; the others find their answers when they lock it.
        let mut known = held(&self.known);
        let batch: Vec<Waiting> = held(&self.waiting).drain(..).collect();
        if !batch.is_empty() {
            self.write_for(batch, &mut known);
        }
        drop(known);
        answers.into_iter().map(|answer| answer.recv().unwrap_or(Err(AuditError::Group))).collect()
    }

    /// The newest verified checkpoint.
    ///
    /// # Errors
    /// When it is not signed by the log's key.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, AuditError> {
        self.reader.checkpoint()
    }

    /// Reads one event, led back to the checkpoint.
    ///
    /// # Errors
    /// When there is no such entry or it does not verify.
    pub fn event(&self, index: u64) -> Result<LoggedEvent, AuditError> {
        LoggedEvent::read(index, &self.entry(index)?)
    }

    /// Reads one entry as it stands in the log, led back to the checkpoint.
    ///
    /// # Errors
    /// When there is no such entry or it does not verify.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let mut last_read = held(&self.last_read);
        if let Some(entry) = last_read.as_ref().and_then(|bundle| bundle.entry(index)) {
            return Ok(entry.to_vec());
        }
        let _lock = self.reader.lock_against_appending()?;
        let checkpoint = self.reader.checkpoint()?.checkpoint;
        let bundle = self.reader.bundle_of(index, &checkpoint)?;
        let entry = bundle.entry(index).ok_or(AuditError::Damaged { index })?.to_vec();
        *last_read = Some(bundle);
        Ok(entry)
    }

    /// Index of the newest event that began or ended a record.
    ///
    /// # Errors
    /// When the log cannot be read or does not verify.
    pub fn newest_change(&self) -> Result<Option<u64>, AuditError> {
        // Always `known` first and the file lock second, as in `append`, or two threads wait for each other.
        let mut known = held(&self.known);
        let _lock = self.lock()?;
        self.refresh(&mut known)?;
        Ok(known.state.as_ref().and_then(|state| state.newest_change))
    }

    /// True if the log is still the one that this process has seen, or a longer one. It does not wait for a verification of
    /// the log, which may take long.
    pub fn is_continued(&self) -> bool {
        let Ok(_lock) = self.reader.lock_against_appending() else { return false };
        let Ok(now) = self.reader.checkpoint() else { return false };
        // A thread that holds `known` is about to append, and checks this itself.
        let Ok(known) = self.known.try_lock() else { return self.was_continued.load(Ordering::Relaxed) };
        let Some(seen) = &known.newest else { return true };
        *seen == now.checkpoint
            || must_continue(seen, &now.checkpoint, &self.reader.tree(now.checkpoint.size())).is_ok()
    }

    /// The read-only side of this log.
    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// The key the log is verified with.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        self.signer.verifier()
    }

    fn origin(&self) -> &str {
        self.signer.verifier().name()
    }

    fn lock(&self) -> Result<File, AuditError> {
        let path = self.reader.folder().join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(AuditError::file("open the lock"))?;
        file.lock().map_err(AuditError::file("take the lock"))?;
        Ok(file)
    }

    /// Takes in what other processes have appended; the caller holds the file lock.
    fn refresh(&self, known: &mut Known) -> Result<(), AuditError> {
        let signed = self.reader.checkpoint()?.checkpoint;
        if known.state.is_some() && known.newest.as_ref() == Some(&signed) {
            return Ok(());
        }
        let size = signed.size();
        let newest = size.saturating_sub(1);
        let stored = self.reader.tree(size);
        let tree = Tree::resume(&stored, size).ok_or(AuditError::Damaged { index: newest })?;
        if tree.root() != signed.root() {
            return Err(AuditError::Damaged { index: newest });
        }
        if let Some(seen) = &known.newest {
            let continued = must_continue(seen, &signed, &stored);
            self.was_continued.store(continued.is_ok(), Ordering::Relaxed);
            continued?;
        }
        let newest_change = if size == 0 {
            None
        } else {
            let bundle = self.reader.bundle_of(newest, &signed)?;
            let entry = bundle.entry(newest).ok_or(AuditError::Damaged { index: newest })?;
            let event = LoggedEvent::read(newest, entry)?;
            if event.record.is_some() { Some(newest) } else { event.previous_change }
        };
        *known = Known { newest: Some(signed), state: Some(State { tree, newest_change }) };
        Ok(())
    }

    fn write_for(&self, mut batch: Vec<Waiting>, known: &mut Known) {
        match self.write(&mut batch, known) {
            Ok(receipts) => {
                for (waiting, receipt) in batch.into_iter().zip(receipts) {
                    // A caller that no longer listens has lost its receipt, not its entry.
                    let _gone = waiting.answer.send(Ok(receipt));
                }
            }
            Err(error) => {
                // The state on disk is unknown now: read it again next time.
                known.state = None;
                let mut error = Some(error);
                for waiting in batch {
                    let _gone = waiting.answer.send(Err(error.take().unwrap_or(AuditError::Group)));
                }
            }
        }
    }

    /// Entries, then hashes from the leaves up, then the checkpoint; each durable before the next.
    fn write(&self, batch: &mut [Waiting], known: &mut Known) -> Result<Vec<Receipt>, AuditError> {
        let _lock = self.lock()?;
        self.refresh(known)?;
        self.name_lines(batch)?;
        let batch = &*batch;
        let Some(state) = known.state.as_ref() else {
            return Err(AuditError::Checkpoint);
        };
        let old_size = state.tree.size();
        let mut tree = state.tree.clone();
        let mut newest_change = state.newest_change;
        let mut entries = Vec::with_capacity(batch.len());
        for waiting in batch {
            let entry = waiting.event.entry(self.origin(), newest_change)?;
            if waiting.event.record.is_some() {
                newest_change = Some(tree.size());
            }
            tree.append(merkle::leaf_hash(&entry));
            entries.push(entry);
        }
        let grown = self.write_tiles(old_size, &entries)?;
        let signed = self.write_checkpoint(&tree)?;
        for tile in &grown {
            // Old partial tiles are only in the way; the next append tries again.
            let _left_behind = files::remove_superseded(self.reader.folder(), tile);
        }
        let size = tree.size();
        *known = Known { newest: Some(signed.checkpoint), state: Some(State { tree, newest_change }) };
        let receipt = |(waiting, index): (&Waiting, u64)| Receipt {
            index,
            size,
            event: waiting.event.id,
            action: waiting.event.action,
            correlation: waiting.event.correlation.clone(),
        };
        Ok(batch.iter().zip(old_size..).map(receipt).collect())
    }

    /// Names the journal's newest line in the entries that have to name it. The caller holds the lock against appending, so
    /// that the lines follow one another as the entries do.
    fn name_lines(&self, batch: &mut [Waiting]) -> Result<(), AuditError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let naming: Vec<_> =
            batch.iter_mut().filter(|waiting| waiting.event.action.names_journal()).collect();
        if naming.is_empty() {
            return Ok(());
        }
        let newest = journal.newest_line()?;
        naming.into_iter().for_each(|waiting| name_line(&mut waiting.event, newest.clone()));
        Ok(())
    }

    fn write_tiles(&self, old_size: u64, entries: &[Vec<u8>]) -> Result<Vec<Tile>, AuditError> {
        let stored = self.reader.tree(old_size);
        let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf_hash(entry)).collect();
        let new_size = old_size.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
        let grown = Growth { stored: &stored, old_size, leaves: &leaves };
        let tiles = Tile::written_by_growth(old_size, new_size);
        let root = self.reader.folder();
        for tile in &tiles {
            let damaged = || AuditError::Damaged { index: old_size };
            let bytes = match tile.content() {
                Content::Entries => self.bundle_bytes(tile, old_size, entries)?,
                Content::Hashes(_) => tile.hash_bytes(&grown).ok_or_else(damaged)?,
            };
            let path = root.join(tile.path());
            files::replace(&path, &bytes).map_err(AuditError::file("write a tile"))?;
            if let Some(folder) = path.parent() {
                files::sync_folders_up_to(root, folder).map_err(AuditError::file("keep a folder"))?;
            }
        }
        Ok(tiles)
    }

    fn bundle_bytes(&self, tile: &Tile, old_size: u64, entries: &[Vec<u8>]) -> Result<Vec<u8>, AuditError> {
        let first = tile.index().saturating_mul(u64::from(TILE_WIDTH));
        let damaged = AuditError::Damaged { index: old_size };
        let mut bytes = match Tile::at(Content::Entries, tile.index(), old_size) {
            Some(old) => self.reader.read_tile(&old).ok_or(damaged)?,
            None => Vec::new(),
        };
        let from = usize::try_from(first.saturating_sub(old_size)).unwrap_or(usize::MAX);
        let end = first.saturating_add(u64::from(tile.width())).saturating_sub(old_size);
        let until = usize::try_from(end).unwrap_or(usize::MAX);
        let new = entries.get(from..until.min(entries.len())).unwrap_or_default();
        bytes.extend(tiles::encode_entries(new).map_err(|_| AuditError::EntryTooLong)?);
        Ok(bytes)
    }

    fn write_checkpoint(&self, tree: &Tree) -> Result<SignedCheckpoint, AuditError> {
        let checkpoint =
            Checkpoint::new(self.origin(), tree.size(), tree.root()).map_err(|_| AuditError::Checkpoint)?;
        let note = checkpoint.sign(&self.signer).map_err(|_| AuditError::Checkpoint)?;
        files::replace(&self.reader.folder().join(CHECKPOINT), note.to_string().as_bytes())
            .map_err(AuditError::file("write the checkpoint"))?;
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

/// Says in an event which line of the journal is the newest.
fn name_line(event: &mut Event, sha256: String) {
    event.detail.insert(JOURNAL_DETAIL.to_owned(), sha256.into());
}

/// Checks that the log under `now` begins with the one under `seen`: the proof reads a few tiles, however long it is.
fn must_continue(seen: &Checkpoint, now: &Checkpoint, stored: &impl NodeSource) -> Result<(), AuditError> {
    let size = now.size();
    let not_continued = || AuditError::NotContinued { size };
    if seen.size() > size {
        return Err(not_continued());
    }
    let proof = merkle::consistency_proof(stored, seen.size(), size);
    let proof = proof.map_err(|_| AuditError::Damaged { index: seen.size() })?;
    merkle::verify_consistency(seen.size(), &seen.root(), size, &now.root(), &proof)
        .map_err(|_| not_continued())
}

/// The stored tree with new leaves behind it.
struct Growth<'a, S> {
    stored: &'a S,
    old_size: u64,
    leaves: &'a [Hash],
}

impl<S: NodeSource> NodeSource for Growth<'_, S> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let width = 1_u64.checked_shl(u32::from(level))?;
        let start = index.checked_mul(width)?;
        if start.checked_add(width)? <= self.old_size {
            return self.stored.node(level, index);
        }
        match level.checked_sub(1) {
            None => self.leaves.get(usize::try_from(start.checked_sub(self.old_size)?).ok()?).copied(),
            Some(below) => {
                let left = self.node(below, index.checked_mul(2)?)?;
                let right = self.node(below, index.checked_mul(2)?.checked_add(1)?)?;
                Some(merkle::node_hash(&left, &right))
            }
        }
    }
}

/// A thread that panicked while holding the lock left nothing half-done that the next `refresh` would not see.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
