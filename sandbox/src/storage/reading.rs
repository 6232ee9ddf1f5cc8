//! From checked files and unwrapped keys to Parquet metadata and rows.
//! Parquet keeps its own copies of the keys, which are not wiped: they live as long as the table of one job.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use obscura_crypto::danger::key_bytes;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::metadata::ParquetMetaDataPushDecoder;

use crate::storage::error::StorageError;
use crate::storage::version::ColumnKeys;
use crate::storage::version::SealedPart;
use crate::storage::version::SealedVersion;

const STEP: &str = "open a sealed file with the keys at hand";

/// Opens the footer of a file. The metadata carries the keys that pages are opened with, and must not be printed.
pub(crate) fn open_metadata(part: &SealedPart, keys: &ColumnKeys) -> Result<ParquetMetaData, StorageError> {
    let keys = keys.parts.get(&part.name).ok_or(StorageError::Columnar { step: STEP })?;
    let mut builder = FileDecryptionProperties::builder(key_bytes(&keys.footer).to_vec())
        .with_aad_prefix(part.aad_prefix.clone());
    for (name, key) in &keys.columns {
        builder = builder.with_column_key(name, key_bytes(key).to_vec());
    }
    let properties = builder.build().map_err(StorageError::columnar(STEP))?;
    // The page index of a column whose key is missing cannot be decoded and fails the whole file: never load it here.
    let mut decoder = ParquetMetaDataPushDecoder::try_new(part.length)
        .map_err(StorageError::columnar(STEP))?
        .with_file_decryption_properties(Some(properties))
        .with_page_index_policy(PageIndexPolicy::Skip);
    let start = part.length.saturating_sub(part.footer.len() as u64);
    let footer = Bytes::copy_from_slice(&part.footer);
    decoder.push_range(start..part.length, footer).map_err(StorageError::columnar(STEP))?;
    match decoder.try_decode().map_err(StorageError::columnar(STEP))? {
        DecodeResult::Data(metadata) => Ok(metadata),
        DecodeResult::NeedsData(_) | DecodeResult::Finished => Err(StorageError::Columnar { step: STEP }),
    }
}

/// Reads columns of one file in order, outside the engine: for counting on append and for tests.
pub(crate) fn read_part(
    part: &SealedPart,
    keys: &ColumnKeys,
    columns: &[&str],
    mut take: impl FnMut(&RecordBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let metadata = open_metadata(part, keys)?;
    let options = ArrowReaderOptions::new();
    let metadata =
        ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(StorageError::columnar(STEP))?;
    let file = part.file.try_clone().map_err(StorageError::disk("read a sealed file"))?;
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .build()
        .map_err(StorageError::columnar(STEP))?;
    for batch in reader {
        take(&batch.map_err(StorageError::columnar(STEP))?)?;
    }
    Ok(())
}

/// Reads columns of a whole version, part by part, outside the engine.
///
/// # Errors
/// As those of opening its files, and of what takes the rows.
pub(crate) fn read_columns(
    version: &SealedVersion,
    keys: &ColumnKeys,
    columns: &[&str],
    mut take: impl FnMut(&RecordBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    for part in version.open_parts()? {
        read_part(&part, keys, columns, &mut take)?;
    }
    Ok(())
}
