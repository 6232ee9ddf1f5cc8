//! Encrypted temporary files of a seal: record batches under a random key that lives in memory only.
//! A file is one sequence of sealed blocks; without the process that wrote it, it is noise.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::BufWriter;
use std::io::Cursor;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use obscura_crypto::aead::Aead;
use obscura_crypto::aead::RingAead;
use obscura_crypto::aead::associated_data;
use obscura_crypto::keys::DataKey;

use crate::storage::error::StorageError;

/// The place of a block in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    number: u64,
    offset: u64,
    sealed_bytes: usize,
    /// Memory its rows took when it was written.
    pub(crate) memory_bytes: usize,
}

/// A temporary file that is being written and read back; it is removed when dropped.
pub(crate) struct SpillFile {
    path: PathBuf,
    writer: BufWriter<File>,
    key: DataKey,
    next: u64,
    offset: u64,
}

impl SpillFile {
    /// Creates the file with a key of its own.
    pub(crate) fn create(path: PathBuf) -> Result<Self, StorageError> {
        let file = private_file(&path).map_err(StorageError::disk("create a temporary file"))?;
        let key = DataKey::generate()
            .map_err(|_no_randomness| StorageError::Keys { step: "make a temporary key" })?;
        Ok(Self { path, writer: BufWriter::new(file), key, next: 0, offset: 0 })
    }

    /// Seals one batch at the end of the file.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<Block, StorageError> {
        let columnar = StorageError::columnar("encode a temporary block");
        let plain = encode(batch).map_err(columnar)?;
        let sealed = RingAead
            .seal(&self.key, &block_context(self.next), &plain)
            .map_err(|_opaque| StorageError::Columnar { step: "seal a temporary block" })?;
        self.writer.write_all(&sealed).map_err(StorageError::disk("write a temporary file"))?;
        let block = Block {
            number: self.next,
            offset: self.offset,
            sealed_bytes: sealed.len(),
            memory_bytes: plain.len(),
        };
        self.next += 1;
        self.offset += sealed.len() as u64;
        Ok(block)
    }

    /// Ends writing.
    pub(crate) fn flush(&mut self) -> Result<(), StorageError> {
        self.writer.flush().map_err(StorageError::disk("write a temporary file"))
    }

    /// Opens one block; call [`SpillFile::flush`] first.
    pub(crate) fn read(&self, block: Block, schema: &SchemaRef) -> Result<RecordBatch, StorageError> {
        let mut sealed = vec![0; block.sealed_bytes];
        let file = self.writer.get_ref();
        file.read_exact_at(&mut sealed, block.offset).map_err(StorageError::disk("read a temporary file"))?;
        let damaged = || StorageError::Columnar { step: "open a temporary block" };
        let plain =
            RingAead.open(&self.key, &block_context(block.number), &sealed).map_err(|_opaque| damaged())?;
        let mut reader =
            StreamReader::try_new(Cursor::new(plain.as_slice()), None).map_err(|_quotes| damaged())?;
        let batch = reader.next().ok_or_else(damaged)?.map_err(|_quotes| damaged())?;
        if batch.schema() == *schema { Ok(batch) } else { Err(damaged()) }
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // The folder it lies in is removed as well; a file that is left is unreadable, and is swept at the next start.
        let _left_for_sweep = std::fs::remove_file(&self.path);
    }
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut plain = Vec::new();
    let mut writer = StreamWriter::try_new(&mut plain, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(plain)
}

fn block_context(number: u64) -> Vec<u8> {
    associated_data("obscura temporary block", &[&number.to_be_bytes()])
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::record_batch::RecordBatch;

    use super::SpillFile;

    fn batch(text: &str) -> RecordBatch {
        let column = Arc::new(StringArray::from(vec![text; 100]));
        RecordBatch::try_from_iter([("text", column as arrow::array::ArrayRef)]).unwrap()
    }

    #[test]
    fn blocks_come_back_in_any_order_and_hold_no_plaintext() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tmp");
        let mut file = SpillFile::create(path.clone()).unwrap();
        let blocks = ["CANARY-a", "CANARY-b"].map(|text| file.append(&batch(text)).unwrap());
        file.flush().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"));
        let [a, b] = blocks;
        let schema = batch("").schema();
        assert_eq!(file.read(b, &schema).unwrap(), batch("CANARY-b"));
        assert_eq!(file.read(a, &schema).unwrap(), batch("CANARY-a"));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_or_exchanged_block_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tmp");
        let mut file = SpillFile::create(path.clone()).unwrap();
        let (a, b) = (file.append(&batch("a")).unwrap(), file.append(&batch("b")).unwrap());
        file.flush().unwrap();
        let sound = std::fs::read(&path).unwrap();
        let schema = batch("").schema();
        let mut damaged = sound.clone();
        *damaged.get_mut(40).unwrap() ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(file.read(a, &schema).is_err() && file.read(b, &schema).is_ok());
        let (first, second) = sound.split_at(a.sealed_bytes);
        std::fs::write(&path, [second, first].concat()).unwrap();
        assert!(file.read(a, &schema).is_err() && file.read(b, &schema).is_err());
    }
}
