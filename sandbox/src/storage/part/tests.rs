//! The traps of encrypted Parquet, and a disk that is full.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "tests may panic")]

use std::io::Write;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::StringArray;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::schema::types::ColumnPath;

use crate::storage::SealMode;
use crate::storage::StorageError;
use crate::storage::part::HashingFile;
use crate::storage::part::WRITE_BYTES;
use crate::storage::part::write_failure;
use crate::storage::part::writer_properties;
use crate::storage::testing::World;
use crate::storage::testing::visits;

const CANARIES: [&str; 3] =
    ["CANARY-person", "CANARY-icd10", "CANARY-long-diagnosis-that-is-truncated-in-statistics"];

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_column_and_no_statistic_is_readable_in_the_files() {
    let world = World::new();
    let mut csv = String::from("person_id,visit_date,icd10,cost\n");
    for row in 0..2000 {
        csv.push_str(&format!("{}-{row},2021/1/1,{},123.45\n", CANARIES[0], CANARIES[1 + row % 2]));
    }
    assert!(CANARIES.iter().all(|canary| contains(csv.as_bytes(), canary)));
    world.seal(&visits(), SealMode::First, csv).unwrap();
    let files = world.files();
    assert!(files.keys().any(|path| path.ends_with("part-00000.parquet")));
    for (path, bytes) in &files {
        let is_part = path.extension().is_some_and(|e| e == "parquet");
        for canary in CANARIES {
            // The longest prefix that truncated statistics would show.
            assert!(!contains(bytes, &canary[..12.min(canary.len())]), "{canary} in {path:?}");
        }
        // Column names stand in the manifest's labels; in the files they are inside the encrypted footer, except where
        // Parquet itself names the column a key belongs to, which is inside it as well.
        assert!(!is_part || !contains(bytes, "visit_date"), "a column name in {path:?}");
    }
}

#[test]
fn bloom_filters_are_off_and_every_column_is_encrypted_under_its_own_key() {
    let world = World::new();
    let sealed =
        world.seal(&visits(), SealMode::First, "person_id,visit_date,icd10,cost\nP1,,A,1\n").unwrap();
    let keys = sealed.version.unwrap_keys(&world.kms, &["person_id", "visit_date", "icd10", "cost"]).unwrap();
    let part = &sealed.version.open_parts().unwrap()[0];
    let metadata = crate::storage::open_metadata(part, &keys).unwrap();
    for column in metadata.row_group(0).columns() {
        assert!(column.bloom_filter_offset().is_none());
        let crypto = format!("{:?}", column.crypto_metadata().unwrap());
        assert!(crypto.contains("ENCRYPTION_WITH_COLUMN_KEY"), "{crypto}");
        assert!(column.column_index_offset().is_some() && column.statistics().is_some());
        assert!(format!("{:?}", column.compression()).starts_with("ZSTD"));
    }
    // Each column has a key of its own: another column's key does not open it.
    let mut bytes = std::collections::BTreeSet::new();
    for part in keys.parts.values() {
        for key in part.columns.values().chain([&part.footer]) {
            assert!(bytes.insert(*obscura_crypto::danger::key_bytes(key)));
        }
    }
    assert_eq!(bytes.len(), 5);
}

#[test]
fn the_library_still_cannot_load_a_page_index_with_a_key_missing() {
    // If this fails the trap is gone, and the engine may keep page pruning on.
    let world = World::new();
    let sealed =
        world.seal(&visits(), SealMode::First, "person_id,visit_date,icd10,cost\nP1,,A,1\n").unwrap();
    let all = ["person_id", "visit_date", "icd10", "cost"];
    for (columns, loads) in [(&all[..], true), (&all[1..], false)] {
        let keys = sealed.version.unwrap_keys(&world.kms, columns).unwrap();
        let part = sealed.version.open_parts().unwrap().pop().unwrap();
        let metadata = crate::storage::open_metadata(&part, &keys).unwrap();
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Optional);
        assert_eq!(reader.read_page_indexes(part.into_file().as_ref()).is_ok(), loads);
    }
}

#[test]
fn the_library_still_takes_a_plaintext_file_from_a_reader_with_keys() {
    // If this fails the trap is gone; our own check of the magic stays all the same.
    let batch =
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let properties = FileDecryptionProperties::builder(vec![7; 32]).build().unwrap();
    let mut reader = ParquetMetaDataReader::new().with_decryption_properties(Some(properties));
    assert!(reader.try_parse(&bytes::Bytes::from(bytes)).is_ok());
}

#[test]
fn writer_properties_keep_bloom_filters_off_for_any_column() {
    let encryption = FileEncryptionProperties::builder(vec![7; 32]).build().unwrap();
    let properties = writer_properties(encryption).unwrap();
    assert!(properties.bloom_filter_properties(&ColumnPath::from("any")).is_none());
    assert!(properties.file_encryption_properties().unwrap().encrypt_footer());
}

#[test]
fn the_library_still_prints_keys_so_that_we_never_print_properties() {
    // If this fails the trap is gone, and its line in `sandbox/docs/reference.md`, section 8, can go.
    let encryption = FileEncryptionProperties::builder(vec![7; 32]).build().unwrap();
    assert!(format!("{encryption:?}").contains("7, 7, 7"));
}

/// Takes a number of bytes and is full.
struct SmallDisk(usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_apart_from_a_defect() {
    let text: StringArray = (0..300_000).map(|row| Some(format!("{:x}", row * 2_654_435_761_u64))).collect();
    let batch = RecordBatch::try_from_iter([("text", Arc::new(text) as ArrayRef)]).unwrap();
    for room in [0, 4, WRITE_BYTES, WRITE_BYTES + 10] {
        let file = HashingFile::over(SmallDisk(room));
        let failed = Arc::clone(&file.failed);
        let encryption = FileEncryptionProperties::builder(vec![7; 32]).build().unwrap();
        let written =
            ArrowWriter::try_new(file, batch.schema(), Some(writer_properties(encryption).unwrap()))
                .and_then(|mut writer| {
                    writer.write(&batch)?;
                    writer.flush()?;
                    let mut file = writer.into_inner()?;
                    file.flush()?;
                    Ok(())
                });
        let error = write_failure(&failed)(written.unwrap_err());
        let StorageError::Disk { source, .. } = error else { unreachable!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "room for {room} bytes");
    }
}
