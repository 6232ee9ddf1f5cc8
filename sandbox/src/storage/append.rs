//! Adding rows to a sealed dataset: the new version shares the old files and adds its own.
//! Old files keep the keys and the associated data they were sealed with; nothing is decrypted but unit keys, to count.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::new_null_array;
use arrow::record_batch::RecordBatch;
use arrow::record_batch::RecordBatchOptions;

use crate::storage::error::StorageError;
use crate::storage::manifest::Clustered;
use crate::storage::manifest::KeysSection;
use crate::storage::manifest::Manifest;
use crate::storage::published::appended;
use crate::storage::reading::read_part;
use crate::storage::seal::RecountKeys;
use crate::storage::seal::column_records;
use crate::storage::spec::DatasetSpec;
use crate::storage::version::SealedVersion;

/// Refuses an append whose columns are not those that are sealed.
///
/// A column whose grade changed is under another key-encryption key and needs a new seal of everything.
pub(crate) fn check_fit(base: &SealedVersion, spec: &DatasetSpec) -> Result<(), StorageError> {
    let mismatch = |reason| Err(StorageError::AppendMismatch { dataset: spec.id.to_string(), reason });
    let manifest = base.manifest();
    if base.is_shredded() {
        return Err(StorageError::Shredded { dataset: spec.id.to_string(), version: manifest.version });
    }
    if manifest.columns != column_records(spec) {
        return mismatch("columns, types or grades differ from the sealed ones");
    }
    let units = manifest.units.iter().map(|unit| (unit.kind.as_str(), unit.column.as_str()));
    if !units.eq(spec.units.iter().map(|unit| (unit.kind.as_str(), unit.column.as_str()))) {
        return mismatch("units differ from the sealed ones");
    }
    Ok(())
}

/// The first part number that no part of the dataset has.
pub(crate) fn next_ordinal(base: &SealedVersion) -> Result<u64, StorageError> {
    let parts = &base.manifest().parts;
    let number = |name: &str| name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse::<u64>().ok();
    let highest = parts.iter().map(|part| number(&part.name)).max().flatten();
    highest.map(|highest| highest + 1).ok_or(StorageError::Columnar { step: "number the parts" })
}

/// The columns of the old rows that appending opens: unit keys, or in a table without units what was proven of it.
#[must_use]
pub fn recounted_columns(manifest: &Manifest) -> Vec<&str> {
    let columns: Vec<&str> = manifest.units.iter().map(|unit| unit.column.as_str()).collect();
    if !columns.is_empty() {
        return columns;
    }
    let ends = manifest.intervals.iter().flat_map(|intervals| [&intervals.low, &intervals.high]);
    let proven: BTreeSet<&str> = manifest.unique.iter().chain(ends).map(String::as_str).collect();
    proven.into_iter().collect()
}

/// Hands the old rows' unit keys (or, for a table without units, all of a small table) to the counters.
pub(crate) fn recount(
    base: &SealedVersion,
    keys: RecountKeys<'_>,
    mut take: impl FnMut(&RecordBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let columns = recounted_columns(base.manifest());
    let keys = keys(base, &columns)?;
    let schema = base.schema()?;
    for part in base.open_parts()? {
        read_part(&part, &keys, &columns, |batch| {
            let rows = batch.num_rows();
            // Columns that were not read are missing everywhere, which proves nothing about them.
            let column = |field: &arrow::datatypes::FieldRef| {
                let read = batch.column_by_name(field.name()).cloned();
                read.unwrap_or_else(|| new_null_array(field.data_type(), rows))
            };
            let arrays = schema.fields().iter().map(column).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let whole = RecordBatch::try_new_with_options(std::sync::Arc::clone(&schema), arrays, &options);
            take(&whole.map_err(StorageError::columnar("count the sealed rows"))?)
        })?;
    }
    Ok(())
}

/// Puts the old files before the new ones: links in the folder, records in the manifest, wrapped keys as they are.
pub(crate) fn join(
    base: &SealedVersion,
    manifest: &mut Manifest,
    keys: &mut KeysSection,
    content: &Path,
) -> Result<(), StorageError> {
    let old = base.manifest();
    for part in &old.parts {
        let from = base.folder().join(&part.name);
        std::fs::hard_link(from, content.join(&part.name))
            .map_err(StorageError::disk("link a sealed file"))?;
        if let Some(record) = base.keys().parts.get(&part.name) {
            keys.parts.insert(part.name.clone(), record.clone());
        }
    }
    manifest.rows += old.rows;
    // Other values would be other names, and the noise of the rows that stay would be drawn anew.
    manifest.domains.clone_from(&old.domains);
    manifest.published = appended(old.published.as_ref(), manifest.published.as_ref());
    manifest.inputs.splice(0..0, old.inputs.iter().cloned());
    manifest.parts.splice(0..0, old.parts.iter().cloned());
    for (unit, old_unit) in manifest.units.iter_mut().zip(&old.units) {
        let both = (unit.clustered, old_unit.clustered);
        unit.clustered = if matches!(both, (Clustered::No, _) | (_, Clustered::No)) {
            Clustered::No
        } else {
            Clustered::PerPart
        };
    }
    Ok(())
}
