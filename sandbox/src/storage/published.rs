//! Collects the rows of an open table while it is sealed, as long as they are few enough for a manifest.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use obscura_policies::published::PublishedRows;
use obscura_query_guard::open_values::as_texts;

use crate::storage::error::StorageError;
use crate::storage::spec::DatasetSpec;

/// Most bytes of values that a manifest publishes: it is read with every question of the dataset.
pub(crate) const PUBLISHED_BYTES_MAX: usize = 1 << 20;
/// Most values, missing ones among them.
const PUBLISHED_VALUES_MAX: usize = 1 << 17;

/// The open columns, by position and name, with their values so far; nothing once they are too many.
pub(crate) struct Publishing {
    columns: Vec<(usize, String, Vec<Option<String>>)>,
    bytes: usize,
    is_over: bool,
}

impl Publishing {
    pub(crate) fn new(spec: &DatasetSpec) -> Self {
        let columns = spec.columns.iter().enumerate().filter(|(_, column)| column.published);
        let columns: Vec<_> = columns.map(|(at, column)| (at, column.name.clone(), Vec::new())).collect();
        // The rows of subjects are nobody else's to know, whatever their columns say.
        let is_over = columns.is_empty() || !spec.units.is_empty();
        Publishing { columns, bytes: 0, is_over }
    }

    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        let unread = || StorageError::Columnar { step: "publish open rows" };
        if self.is_over {
            return Ok(());
        }
        for (at, _, values) in &mut self.columns {
            let texts = batch.columns().get(*at).and_then(as_texts).ok_or_else(unread)?;
            self.bytes += texts.iter().flatten().map(String::len).sum::<usize>();
            values.extend(texts);
        }
        let values: usize = self.columns.iter().map(|(_, _, values)| values.len()).sum();
        if self.bytes > PUBLISHED_BYTES_MAX || values > PUBLISHED_VALUES_MAX {
            self.is_over = true;
            self.columns.iter_mut().for_each(|(_, _, values)| values.clear());
        }
        Ok(())
    }

    /// All rows; nothing where they are too many or none of the columns is open.
    pub(crate) fn finish(self) -> Option<PublishedRows> {
        let columns = self.columns.into_iter().map(|(_, name, values)| (name, values));
        PublishedRows::new(columns.collect::<BTreeMap<_, _>>()).filter(|_| !self.is_over)
    }
}

/// The rows that stay, and after them the added ones, where both are published and together few enough.
pub(crate) fn appended(old: Option<&PublishedRows>, added: Option<&PublishedRows>) -> Option<PublishedRows> {
    let both = old?.followed_by(added?)?;
    (both.bytes() <= PUBLISHED_BYTES_MAX && both.values() <= PUBLISHED_VALUES_MAX).then_some(both)
}
