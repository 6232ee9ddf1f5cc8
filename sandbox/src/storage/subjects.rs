//! Proofs that sealing makes about subjects and values: distinct subjects, most rows of one, unique columns.
//! Exact and in flat memory: tokens are grouped through the same encrypted temporary files as rows.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::Int64Array;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;

use crate::storage::cluster::Grouping;
use crate::storage::cluster::GroupingPlan;
use crate::storage::cluster::tokens_of;
use crate::storage::error::StorageError;

/// Rows up to which single columns of a table without subjects are tried for uniqueness.
pub(crate) const UNIQUE_ROWS_MAX: u64 = 1 << 18;

/// Counts subjects over rows that come grouped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubjectCounts {
    pub(crate) subjects: u64,
    pub(crate) rows_max: u64,
    pub(crate) rows_without: u64,
    last: Option<i64>,
    run: u64,
}

impl SubjectCounts {
    pub(crate) fn take(&mut self, tokens: &Int64Array) {
        for token in tokens {
            match token {
                None => self.rows_without += 1,
                Some(token) => {
                    if self.last != Some(token) {
                        self.subjects += 1;
                        self.run = 0;
                        self.last = Some(token);
                    }
                    self.run += 1;
                    self.rows_max = self.rows_max.max(self.run);
                }
            }
        }
    }
}

/// Counts subjects over rows in any order.
pub(crate) struct SubjectCounter {
    grouping: Grouping,
    schema: Arc<Schema>,
}

impl SubjectCounter {
    /// Counts in the given memory, with temporary files named by the label.
    pub(crate) fn new(folder: &std::path::Path, label: String, memory_bytes: usize) -> Self {
        let schema = Arc::new(Schema::new(vec![Field::new("token", ArrowType::Int64, true)]));
        let plan = GroupingPlan {
            schema: Arc::clone(&schema),
            column: 0,
            memory_bytes,
            folder: folder.to_path_buf(),
            label,
        };
        Self { grouping: Grouping::new(plan), schema }
    }

    pub(crate) fn push(&mut self, tokens: &Int64Array) -> Result<(), StorageError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(tokens.clone())]);
        self.grouping.push(batch.map_err(StorageError::columnar("count subjects"))?)
    }

    pub(crate) fn finish(self) -> Result<SubjectCounts, StorageError> {
        let mut counts = SubjectCounts::default();
        self.grouping.finish(&mut |batch: &RecordBatch| {
            counts.take(tokens_of(batch, 0)?);
            Ok(())
        })?;
        Ok(counts)
    }
}

/// Proves single columns unique, for reference tables that protect no subject.
pub(crate) struct UniqueColumns {
    /// Hashes of the values seen, or nothing once a value came twice or was missing.
    seen: Vec<Option<HashSet<u64>>>,
    hasher: RandomState,
    rows: u64,
}

impl UniqueColumns {
    pub(crate) fn new(columns: usize) -> Self {
        Self { seen: vec![Some(HashSet::new()); columns], hasher: RandomState::new(), rows: 0 }
    }

    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        self.rows += batch.num_rows() as u64;
        if self.rows > UNIQUE_ROWS_MAX {
            self.seen.iter_mut().for_each(|seen| *seen = None);
        }
        for (slot, column) in self.seen.iter_mut().zip(batch.columns()) {
            let Some(seen) = slot else { continue };
            if !all_new(seen, &self.hasher, column)? {
                *slot = None;
            }
        }
        Ok(())
    }

    /// Positions of the columns that are unique. Two values with one hash count as equal: the safe side.
    pub(crate) fn finish(self) -> Vec<usize> {
        let proven = self.seen.iter().enumerate().filter(|(_, seen)| seen.is_some());
        proven.map(|(at, _)| at).collect()
    }
}

fn all_new(seen: &mut HashSet<u64>, hasher: &RandomState, column: &dyn Array) -> Result<bool, StorageError> {
    if column.null_count() > 0 {
        return Ok(false);
    }
    let options = FormatOptions::default();
    let values =
        ArrayFormatter::try_new(column, &options).map_err(StorageError::columnar("prove columns unique"))?;
    Ok((0..column.len()).all(|row| seen.insert(hasher.hash_one(values.value(row).to_string()))))
}
