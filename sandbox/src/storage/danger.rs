//! Functions that weaken a guarantee of sealed storage, gathered so that a reviewer finds them with one search.
//! Only tests of other programs' readers may call them: they hand out raw keys. The product does not.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use obscura_crypto::danger::key_bytes;
use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KeyManagement;
use obscura_policies::vocabulary::DatasetId;
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;

use crate::storage::error::StorageError;
use crate::storage::folder::write_file;
use crate::storage::naming::aad_prefix;
use crate::storage::naming::part_name;
use crate::storage::part::writer_properties;
use crate::storage::version::SealedVersion;

/// The key and the prefix that another program needs to open a file.
pub struct RawAccess {
    /// The footer key, which in a file with one key opens every column.
    pub key: [u8; 32],
    /// The AAD prefix, which is not stored in the file.
    pub aad_prefix: Vec<u8>,
}

impl std::fmt::Debug for RawAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawAccess")
    }
}

/// Writes one file as the sealing writer does, but with one key for footer and columns.
///
/// For the test that PyArrow, which has no per-column keys by value, reads what we write. Nothing may call it on real
/// data: the key is returned to the caller.
///
/// # Errors
///
/// Fails when the batch cannot be encoded or the file not be written.
pub fn seal_with_one_key(
    path: &Path,
    batch: &RecordBatch,
    dataset: &DatasetId,
) -> Result<RawAccess, StorageError> {
    let key = DataKey::generate().map_err(|_no_randomness| StorageError::Keys { step: "make a data key" })?;
    let prefix = aad_prefix(dataset, 1, &part_name(0));
    let encryption = FileEncryptionProperties::builder(key_bytes(&key).to_vec())
        .with_aad_prefix(prefix.clone())
        .with_aad_prefix_storage(false)
        .build()
        .map_err(StorageError::columnar("prepare encryption"))?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(writer_properties(encryption)?))
        .map_err(StorageError::columnar("begin a sealed file"))?;
    writer.write(batch).map_err(StorageError::columnar("write a sealed file"))?;
    writer.close().map_err(StorageError::columnar("end a sealed file"))?;
    write_file(path, &bytes).map_err(StorageError::disk("write a sealed file"))?;
    Ok(RawAccess { key: *key_bytes(&key), aad_prefix: prefix })
}

/// Hands out the key and the prefix that open the footer of one sealed part, and no column of it.
///
/// For the test that another program sees no column of a normally sealed file.
///
/// # Errors
///
/// Fails when the version has no such part or the key service refuses.
pub fn footer_access(
    version: &SealedVersion,
    kms: &dyn KeyManagement,
    part: usize,
) -> Result<RawAccess, StorageError> {
    let missing = || StorageError::Columnar { step: "find a part" };
    let record = version.manifest().parts.get(part).ok_or_else(missing)?;
    let keys = version.unwrap_keys(kms, &[])?;
    let keys = keys.parts.get(&record.name).ok_or_else(missing)?;
    let prefix = aad_prefix(version.dataset(), record.sealed_in, &record.name);
    Ok(RawAccess { key: *key_bytes(&keys.footer), aad_prefix: prefix })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::fs::File;

    use parquet::arrow::arrow_reader::ArrowReaderMetadata;
    use parquet::arrow::arrow_reader::ArrowReaderOptions;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::encryption::decrypt::FileDecryptionProperties;

    use super::RawAccess;
    use super::footer_access;
    use super::seal_with_one_key;
    use crate::storage::SealMode;
    use crate::storage::testing::World;
    use crate::storage::testing::visits;
    use crate::storage::testing::visits_csv;
    use crate::storage::testing::visits_id;

    /// Opens a file as another program would: with the footer key and the prefix, and nothing of ours.
    fn rows(file: &File, access: &RawAccess) -> Result<usize, parquet::errors::ParquetError> {
        let properties = FileDecryptionProperties::builder(access.key.to_vec())
            .with_aad_prefix(access.aad_prefix.clone())
            .build()?;
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let metadata = ArrowReaderMetadata::load(file, options)?;
        let mut rows = 0;
        for batch in
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.try_clone()?, metadata).build()?
        {
            rows += batch?.num_rows();
        }
        Ok(rows)
    }

    #[test]
    fn one_key_opens_a_file_sealed_with_one_key() {
        let world = World::new();
        let sealed = world.seal(&visits(), SealMode::First, visits_csv(50, 2)).unwrap();
        let batches = world.read(&sealed.version, &["visit_date", "icd10"]);
        let path = world.folder.path().join("one-key.parquet");
        let mut access = seal_with_one_key(&path, batches.first().unwrap(), &visits_id()).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(rows(&file, &access).unwrap(), 100);
        access.aad_prefix.push(0);
        assert!(rows(&file, &access).is_err(), "another place has another prefix");
    }

    #[test]
    fn the_footer_key_opens_no_column_of_a_sealed_file() {
        let world = World::new();
        let sealed = world.seal(&visits(), SealMode::First, visits_csv(50, 2)).unwrap();
        let access = footer_access(&sealed.version, &world.kms, 0).unwrap();
        let file = sealed.version.open_parts().unwrap().pop().unwrap().into_file();
        let properties = FileDecryptionProperties::builder(access.key.to_vec())
            .with_aad_prefix(access.aad_prefix.clone())
            .build()
            .unwrap();
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let metadata = ArrowReaderMetadata::load(file.as_ref(), options).unwrap();
        assert_eq!(metadata.metadata().file_metadata().num_rows(), 100);
        assert!(
            metadata.metadata().row_group(0).columns().iter().all(|column| column.statistics().is_none())
        );
        assert!(rows(&file, &access).is_err());
        assert!(footer_access(&sealed.version, &world.kms, 9).is_err());
    }
}
