//! The data of one scale factor, three times: sealed, as plaintext Parquet with the sealed file's very rows in the sealed
//! file's order and row groups, and as plaintext Parquet in the order of the generator.
//!
//! It times sealing and writing; it runs no query.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::Int64Type;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_crypto::noise::NoiseKey;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::noise::BYTES_AT_ONCE;
use obscura_query_guard::noise::NoiseSource;
use obscura_sandbox::engine::sealed_table::SealedTable;
use obscura_sandbox::storage::Confirmation;
use obscura_sandbox::storage::DataFolder;
use obscura_sandbox::storage::Expected;
use obscura_sandbox::storage::Format;
use obscura_sandbox::storage::Input;
use obscura_sandbox::storage::InputOptions;
use obscura_sandbox::storage::MEMORY_BYTES_STANDARD;
use obscura_sandbox::storage::PartLimits;
use obscura_sandbox::storage::SealMode;
use obscura_sandbox::storage::SealRequest;
use obscura_sandbox::storage::SealedVersion;
use obscura_sandbox::storage::UnitKeys;
use obscura_sandbox::storage::Unobserved;
use obscura_sandbox::storage::seal;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::basic::ZstdLevel;
use parquet::file::properties::EnabledStatistics;
use parquet::file::properties::WriterProperties;
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::LineItemArrow;

use crate::lineitem;
use crate::samples::Preparation;
use crate::variants;

const SIGNER: &str = "obscura.bench/manifests";
/// The secret that the noise key is derived from.
const NOISE: &str = "noise/tpch";
/// Says that a folder was prepared to the end, and what that took.
const PREPARED: &str = "prepared.json";
const BATCH_ROWS: usize = 8192;

/// A prepared folder.
pub(crate) struct Data {
    folder: PathBuf,
    kms: LocalKeyring,
    version: SealedVersion,
}

impl Data {
    /// Generates, seals and copies.
    ///
    /// # Errors
    /// When the disk or sealing gives way.
    pub(crate) async fn prepare(folder: &Path, scale_factor: f64) -> anyhow::Result<(Self, Preparation)> {
        std::fs::create_dir_all(folder)?;
        let begun = Instant::now();
        let rows = write_arrival(&folder.join("arrival.parquet"), scale_factor)?;
        let plain_write_seconds = begun.elapsed().as_secs_f64();
        let secret = Secret::KeyFile(KeyFile::create(&folder.join("key"))?);
        let kms = LocalKeyring::create(&folder.join("keyring"), &secret)?;
        let begun = Instant::now();
        let version = seal_file(folder, &kms)?;
        let seal_seconds = begun.elapsed().as_secs_f64();
        let data = Self { folder: folder.to_path_buf(), kms, version };
        data.write_clustered().await?;
        let sealed_bytes = data.version.manifest().parts.iter().map(|part| part.length).sum();
        let preparation = Preparation {
            scale_factor,
            rows,
            plain_write_seconds,
            seal_seconds,
            sealed_bytes,
            clustered_bytes: std::fs::metadata(data.clustered())?.len(),
            arrival_bytes: std::fs::metadata(data.arrival())?.len(),
        };
        // Written last: a folder without it was not prepared to the end.
        std::fs::write(folder.join(PREPARED), serde_json::to_string(&preparation)?)?;
        Ok((data, preparation))
    }

    /// Opens a folder that was prepared before.
    ///
    /// # Errors
    /// When it was not, or not by this program.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<(Self, Preparation)> {
        let preparation = serde_json::from_str(&std::fs::read_to_string(folder.join(PREPARED))?)?;
        let secret = Secret::KeyFile(KeyFile::open(&folder.join("key"))?);
        let kms = LocalKeyring::open(&folder.join("keyring"), &secret)?;
        let store = DataFolder::new(folder.join("sealed"));
        let signer = kms.signer(SIGNER)?;
        let version = SealedVersion::open(&store, &lineitem::id()?, Expected::Newest(1), signer.verifier())?;
        Ok((Self { folder: folder.to_path_buf(), kms, version }, preparation))
    }

    /// True if the folder was prepared before.
    pub(crate) fn is_prepared(folder: &Path) -> bool {
        folder.join(PREPARED).is_file()
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Plaintext in the sealed file's order.
    pub(crate) fn clustered(&self) -> PathBuf {
        self.folder.join("clustered.parquet")
    }

    /// Plaintext in the generator's order.
    pub(crate) fn arrival(&self) -> PathBuf {
        self.folder.join("arrival.parquet")
    }

    /// Opens the sealed version with the keys of these columns and no others, as a job does.
    ///
    /// # Errors
    /// When a file or key is not as sealed.
    pub(crate) fn sealed(&self, columns: &[&str]) -> anyhow::Result<SealedTable> {
        let keys = self.version.unwrap_keys(&self.kms, columns)?;
        Ok(SealedTable::open(&self.version, &keys, columns)?)
    }

    /// The source of noise and the digest of the version, as a job takes them.
    ///
    /// # Errors
    /// When the keyring has no secret, or the manifest no rows to digest.
    pub(crate) fn noise(&self) -> anyhow::Result<ExecutionContext> {
        let id = lineitem::id()?;
        let key = NoiseKey::of(&self.kms.hash_key(NOISE)?, &id.to_string());
        let digest = self.version.manifest().content_digest()?;
        Ok(ExecutionContext {
            noise: Some(Arc::new(Noise(key))),
            versions: BTreeMap::from([(id, *digest.as_bytes())]),
            ..ExecutionContext::default()
        })
    }

    /// Copies the sealed rows into plaintext Parquet: same order, same row groups, same properties but for encryption.
    async fn write_clustered(&self) -> anyhow::Result<()> {
        let schema = self.version.schema()?;
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let context = variants::plain_session(1)?;
        context.register_table(lineitem::SQL_NAME, Arc::new(self.sealed(&columns)?))?;
        let frame = context.table(lineitem::SQL_NAME).await?;
        let mut writer = Writer::create(&self.clustered(), &schema)?;
        let mut stream: SendableRecordBatchStream = frame.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            writer.write_clustered(&batch?)?;
        }
        writer.finish()
    }
}

/// The noise key of the one dataset.
#[derive(Debug)]
struct Noise(NoiseKey);

impl NoiseSource for Noise {
    fn fill(&self, _family: &DatasetId, name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
        self.0.fill(name, block, bytes);
        true
    }
}

/// The generator's rows as plaintext Parquet, in the types that sealing stores.
fn write_arrival(path: &Path, scale_factor: f64) -> anyhow::Result<u64> {
    let mut spec = lineitem::specification()?;
    spec.columns.iter_mut().for_each(|column| column.token_of = None);
    let schema = spec.schema();
    let mut writer = Writer::create(path, &schema)?;
    let mut rows = 0;
    let generator = LineItemGenerator::new(scale_factor, 1, 1);
    for batch in LineItemArrow::new(generator).with_batch_size(BATCH_ROWS) {
        let batch = batch?;
        let columns = batch.columns().iter().zip(schema.fields());
        let columns =
            columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
        writer.write_arrival(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        rows += batch.num_rows() as u64;
    }
    writer.finish()?;
    Ok(rows)
}

fn seal_file(folder: &Path, kms: &LocalKeyring) -> anyhow::Result<SealedVersion> {
    let signer = kms.signer(SIGNER)?;
    let options =
        InputOptions { format: Some(Format::Parquet), ..InputOptions::strict(MEMORY_BYTES_STANDARD) };
    let request = SealRequest {
        data: &DataFolder::new(folder.join("sealed")),
        spec: &lineitem::specification()?,
        options: &options,
        mode: SealMode::First,
        newest_known: None,
        in_force: None,
        memory_bytes: MEMORY_BYTES_STANDARD,
        limits: PartLimits::STANDARD,
        unit_keys: UnitKeys::Ask,
        confirmation: Confirmation::Given,
        sealed_at: jiff::Timestamp::UNIX_EPOCH,
        kms,
        recount: &|version, columns| version.unwrap_keys(kms, columns),
        signer: &signer,
        observer: &Unobserved,
    };
    let sealed = seal(&request, Input::Path(folder.join("arrival.parquet"))).context("cannot seal")?;
    Ok(sealed.version)
}

/// Writes plaintext Parquet as the product writes sealed Parquet.
struct Writer {
    writer: ArrowWriter<File>,
    group_rows: usize,
    last_subject: Option<i64>,
}

impl Writer {
    fn create(path: &Path, schema: &SchemaRef) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_bloom_filter_enabled(false)
            .set_max_row_group_row_count(None)
            .build();
        let writer = ArrowWriter::try_new(File::create(path)?, Arc::clone(schema), Some(properties))?;
        Ok(Self { writer, group_rows: 0, last_subject: None })
    }

    fn write_arrival(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        self.append(batch)?;
        if self.group_rows >= PartLimits::STANDARD.row_group_rows {
            self.end_row_group()?;
        }
        Ok(())
    }

    /// A row group ends where it is full and the subject changes, as in the sealed file.
    fn write_clustered(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let subjects = batch.column_by_name(lineitem::UNIT_COLUMN).context("the unit column is read")?;
        let subjects =
            subjects.as_primitive_opt::<Int64Type>().context("the unit column is a token")?.clone();
        let mut written = 0;
        for (row, subject) in subjects.values().iter().enumerate() {
            let rows = self.group_rows + row - written;
            if rows >= PartLimits::STANDARD.row_group_rows && self.last_subject != Some(*subject) {
                self.append(&batch.slice(written, row - written))?;
                self.end_row_group()?;
                written = row;
            }
            self.last_subject = Some(*subject);
        }
        self.append(&batch.slice(written, batch.num_rows() - written))
    }

    fn append(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        self.group_rows += batch.num_rows();
        Ok(self.writer.write(batch)?)
    }

    fn end_row_group(&mut self) -> anyhow::Result<()> {
        self.group_rows = 0;
        Ok(self.writer.flush()?)
    }

    fn finish(self) -> anyhow::Result<()> {
        self.writer.close()?;
        Ok(())
    }
}
