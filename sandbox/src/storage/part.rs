//! Writes the encrypted Parquet files of one version: one data key per column and for the footer of each file.
//!
//! INVARIANT(every-column-has-a-key): once one column has a key, Parquet stores columns without one in plaintext.
//! Bloom filters stay off, because they would be written in plaintext. It publishes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use obscura_crypto::Sha256;
use obscura_crypto::danger::key_bytes;
use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::sha256_hex;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::basic::ZstdLevel;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::properties::EnabledStatistics;
use parquet::file::properties::WriterProperties;

use crate::storage::cluster::tokens_of;
use crate::storage::error::StorageError;
use crate::storage::naming::FOOTER;
use crate::storage::naming::aad_prefix;
use crate::storage::naming::part_name;
use crate::storage::naming::wrap_context;
use crate::storage::spec::DatasetSpec;

/// Last bytes of a Parquet file with an encrypted footer.
pub(crate) const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";
/// Length of the footer's length and the magic behind it.
pub(crate) const TAIL_BYTES: u64 = 8;
const ZSTD_LEVEL: i32 = 1;
const WRITE_BYTES: usize = 1 << 20;

/// The sizes at which row groups and files end; the next subject begins a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// Rows per row group.
    pub row_group_rows: usize,
    /// Encoded bytes per row group.
    pub row_group_bytes: usize,
    /// Rows per file.
    pub part_rows: usize,
}

impl PartLimits {
    /// Limits that keep memory flat and give every processor a row group.
    pub const STANDARD: Self =
        Self { row_group_rows: 1 << 18, row_group_bytes: 64 << 20, part_rows: 1 << 24 };
}

/// One finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedPart {
    pub(crate) name: String,
    pub(crate) length: u64,
    pub(crate) sha256: String,
    pub(crate) footer_sha256: String,
    pub(crate) rows: u64,
    pub(crate) row_groups: u64,
    pub(crate) footer_key: String,
    pub(crate) column_keys: BTreeMap<String, String>,
}

/// The dataset, folder and keys for which files are written.
pub(crate) struct PartContext<'a> {
    pub(crate) spec: &'a DatasetSpec,
    pub(crate) schema: SchemaRef,
    pub(crate) folder: PathBuf,
    pub(crate) version: u64,
    pub(crate) first_ordinal: u64,
    pub(crate) kms: &'a dyn KeyManagement,
    pub(crate) limits: PartLimits,
    /// Position of the token that the rows are grouped by, if they are.
    pub(crate) cluster_column: Option<usize>,
}

/// Writes batches to one file after another.
pub(crate) struct PartWriter<'a> {
    context: PartContext<'a>,
    open: Option<OpenPart>,
    finished: Vec<FinishedPart>,
    last_token: Option<i64>,
}

struct OpenPart {
    name: String,
    path: PathBuf,
    writer: ArrowWriter<HashingFile>,
    failed: DiskFailure,
    rows: usize,
    group_rows: usize,
    footer_key: String,
    column_keys: BTreeMap<String, String>,
}

impl<'a> PartWriter<'a> {
    pub(crate) fn new(context: PartContext<'a>) -> Self {
        Self { context, open: None, finished: Vec::new(), last_token: None }
    }

    /// Writes rows; in a clustered version they come grouped by subject.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        let mut rest = batch.clone();
        while rest.num_rows() > 0 {
            let fits = self.rows_before_break(&rest)?;
            if fits > 0 {
                self.write_whole(&rest.slice(0, fits))?;
            }
            if fits < rest.num_rows() {
                self.end_row_group()?;
            }
            rest = rest.slice(fits, rest.num_rows() - fits);
        }
        Ok(())
    }

    /// Ends the last file.
    pub(crate) fn finish(mut self) -> Result<Vec<FinishedPart>, StorageError> {
        self.end_part()?;
        Ok(self.finished)
    }

    /// Number of these rows that go into the open row group: up to its limit, then on to the end of the subject.
    fn rows_before_break(&self, batch: &RecordBatch) -> Result<usize, StorageError> {
        let rows = batch.num_rows();
        let (used, is_heavy) = match &self.open {
            Some(part) => {
                (part.group_rows, part.writer.in_progress_size() >= self.context.limits.row_group_bytes)
            }
            None => (0, false),
        };
        let room = if is_heavy { 0 } else { self.context.limits.row_group_rows.saturating_sub(used) };
        if room >= rows {
            return Ok(rows);
        }
        let Some(column) = self.context.cluster_column else { return Ok(room) };
        let tokens = tokens_of(batch, column)?;
        let token = |row: usize| (!tokens.is_null(row)).then(|| tokens.value(row));
        // INVARIANT(no-subject-crosses-a-row-group): a break comes only where the token changes.
        let mut previous = match room.checked_sub(1) {
            Some(row) => token(row),
            None if used == 0 => None,
            None => self.last_token,
        };
        for row in room..rows {
            let this = token(row);
            if this.is_none() || this != previous {
                return Ok(row);
            }
            previous = this;
        }
        Ok(rows)
    }

    fn write_whole(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        let part = match &mut self.open {
            Some(part) => part,
            None => {
                let ordinal = self.context.first_ordinal + self.finished.len() as u64;
                self.open.insert(OpenPart::create(&self.context, ordinal)?)
            }
        };
        part.writer.write(batch).map_err(write_failure(&part.failed))?;
        part.rows += batch.num_rows();
        part.group_rows += batch.num_rows();
        if let Some(column) = self.context.cluster_column {
            let tokens = tokens_of(batch, column)?;
            let last = tokens.len().checked_sub(1).filter(|row| !tokens.is_null(*row));
            self.last_token = last.map(|row| tokens.value(row));
        }
        Ok(())
    }

    fn end_row_group(&mut self) -> Result<(), StorageError> {
        let Some(part) = &mut self.open else { return Ok(()) };
        part.writer.flush().map_err(write_failure(&part.failed))?;
        part.group_rows = 0;
        if part.rows >= self.context.limits.part_rows {
            self.end_part()?;
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), StorageError> {
        if let Some(part) = self.open.take() {
            self.finished.push(part.finish()?);
        }
        Ok(())
    }
}

impl OpenPart {
    fn create(context: &PartContext<'_>, ordinal: u64) -> Result<Self, StorageError> {
        let name = part_name(ordinal);
        let path = context.folder.join(&name);
        let keys = PartKeys::make(context, &name)?;
        let prefix = aad_prefix(&context.spec.id, context.version, &name);
        let properties = writer_properties(keys.encryption(prefix)?)?;
        let file = HashingFile::create(&path)?;
        let failed = Arc::clone(&file.failed);
        let writer = ArrowWriter::try_new(file, Arc::clone(&context.schema), Some(properties))
            .map_err(StorageError::columnar("begin a sealed file"))?;
        Ok(Self {
            name,
            path,
            writer,
            failed,
            rows: 0,
            group_rows: 0,
            footer_key: keys.footer_wrapped,
            column_keys: keys.columns.into_iter().map(|(name, (_key, wrapped))| (name, wrapped)).collect(),
        })
    }

    fn finish(mut self) -> Result<FinishedPart, StorageError> {
        let failed = Arc::clone(&self.failed);
        self.writer.flush().map_err(write_failure(&failed))?;
        let row_groups = self.writer.flushed_row_groups().len() as u64;
        let file = self.writer.into_inner().map_err(write_failure(&failed))?;
        let (length, sha256) = file.finish()?;
        let footer =
            read_footer(&File::open(&self.path).map_err(StorageError::disk("read a sealed file"))?, length)?;
        let footer = footer.ok_or(StorageError::Columnar { step: "find the footer of a sealed file" })?;
        Ok(FinishedPart {
            name: self.name,
            length,
            sha256,
            footer_sha256: sha256_hex(&footer),
            rows: self.rows as u64,
            row_groups,
            footer_key: self.footer_key,
            column_keys: self.column_keys,
        })
    }
}

/// Fresh data keys of one file, each with its wrapped text.
struct PartKeys {
    footer: DataKey,
    footer_wrapped: String,
    columns: BTreeMap<String, (DataKey, String)>,
}

impl PartKeys {
    fn make(context: &PartContext<'_>, part: &str) -> Result<Self, StorageError> {
        let spec = context.spec;
        let fresh =
            || DataKey::generate().map_err(|_no_randomness| StorageError::Keys { step: "make a data key" });
        let refused = |_opaque| StorageError::Keys { step: "wrap a data key" };
        let mut columns = BTreeMap::new();
        for column in &spec.columns {
            let key = fresh()?;
            let place = wrap_context(&spec.id, context.version, part, &column.name);
            let wrapped = context.kms.wrap(&spec.column_kek(column)?, &key, &place).map_err(refused)?;
            columns.insert(column.name.clone(), (key, wrapped.to_string()));
        }
        let footer = fresh()?;
        let place = wrap_context(&spec.id, context.version, part, FOOTER);
        let wrapped = context.kms.wrap(&spec.footer_kek()?, &footer, &place).map_err(refused)?;
        Ok(Self { footer, footer_wrapped: wrapped.to_string(), columns })
    }

    /// Encryption properties for Parquet. Their `Debug` prints the keys: they go into writer properties and nowhere else.
    fn encryption(&self, aad_prefix: Vec<u8>) -> Result<Arc<FileEncryptionProperties>, StorageError> {
        let mut builder = FileEncryptionProperties::builder(key_bytes(&self.footer).to_vec())
            .with_aad_prefix(aad_prefix)
            .with_aad_prefix_storage(false);
        for (name, (key, _wrapped)) in &self.columns {
            builder = builder.with_column_key(name, key_bytes(key).to_vec());
        }
        builder.build().map_err(StorageError::columnar("prepare encryption"))
    }
}

/// The one description of how sealed files are written.
pub(crate) fn writer_properties(
    encryption: Arc<FileEncryptionProperties>,
) -> Result<WriterProperties, StorageError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(StorageError::columnar("choose a compression"))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(false)
        .set_max_row_group_row_count(None)
        .with_file_encryption_properties(encryption)
        .build())
}

/// The footer of a file with its length and magic, or nothing when the file does not end as a sealed file does.
pub(crate) fn read_footer(file: &File, length: u64) -> Result<Option<Vec<u8>>, StorageError> {
    let disk = StorageError::disk("read a sealed file");
    let Some(tail_at) = length.checked_sub(TAIL_BYTES) else { return Ok(None) };
    let mut tail = [0_u8; 8];
    if let Err(error) = file.read_exact_at(&mut tail, tail_at) {
        return if error.kind() == std::io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(disk(error)) };
    }
    let [a, b, c, d, magic @ ..] = tail;
    if &magic != ENCRYPTED_MAGIC {
        return Ok(None);
    }
    let footer_bytes = u64::from(u32::from_le_bytes([a, b, c, d])) + TAIL_BYTES;
    let Some(start) = length.checked_sub(footer_bytes) else { return Ok(None) };
    let mut footer = vec![0; usize::try_from(footer_bytes).unwrap_or_default()];
    file.read_exact_at(&mut footer, start).map_err(disk)?;
    Ok(Some(footer))
}

/// The first error of the disk: Parquet turns some of its errors into text, which is not kept.
type DiskFailure = Arc<OnceLock<std::io::ErrorKind>>;

fn write_failure(failed: &DiskFailure) -> impl FnOnce(ParquetError) -> StorageError {
    let step = "write a sealed file";
    move |error| match failed.get() {
        Some(kind) => StorageError::disk(step)((*kind).into()),
        None => StorageError::columnar(step)(error),
    }
}

/// A file that knows its length and digest when it ends.
struct HashingFile<W: Write = File> {
    inner: BufWriter<W>,
    digest: Sha256,
    length: u64,
    failed: DiskFailure,
}

impl HashingFile {
    fn create(path: &Path) -> Result<Self, StorageError> {
        let options = &mut File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        Ok(Self::over(file.map_err(StorageError::disk("create a sealed file"))?))
    }

    fn finish(mut self) -> Result<(u64, String), StorageError> {
        self.inner.flush().map_err(StorageError::disk("write a sealed file"))?;
        self.inner.get_ref().sync_all().map_err(StorageError::disk("sync a sealed file"))?;
        Ok((self.length, self.digest.finish().to_string()))
    }
}

impl<W: Write> HashingFile<W> {
    fn over(inner: W) -> Self {
        Self {
            inner: BufWriter::with_capacity(WRITE_BYTES, inner),
            digest: Sha256::new(),
            length: 0,
            failed: DiskFailure::default(),
        }
    }

    fn noted<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        if let Err(error) = &result {
            let _first_counts = self.failed.set(error.kind());
        }
        result
    }
}

impl<W: Write> Write for HashingFile<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes);
        let written = self.noted(written)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.inner.flush();
        self.noted(flushed)
    }
}

#[cfg(test)]
mod tests;
