//! Brings all rows of one subject together in flat memory: sorted runs, cut into buckets by the token's leading bits,
//! go to an encrypted temporary file and come back one bucket at a time.
//!
//! Tokens are uniform, so buckets are even; a bucket that is still too large is grouped again by its next bits.
//! Rows of one subject keep the order of the input. It does not write sealed files.

use std::path::PathBuf;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::array::UInt32Array;
use arrow::compute::concat_batches;
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::storage::error::StorageError;
use crate::storage::rows::BATCH_ROWS;
use crate::storage::spill::Block;
use crate::storage::spill::SpillFile;

/// Leading bits that one level of grouping looks at.
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;
/// Of the budget, one share is for rows waiting, the others for joining and sorting them.
const SHARES: usize = 4;

/// Receives grouped batches in order of the token.
pub(crate) trait GroupedSink {
    /// Takes the next batch; rows of one subject may go on in the batch after it.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), StorageError>;
}

impl<F: FnMut(&RecordBatch) -> Result<(), StorageError>> GroupedSink for F {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        self(batch)
    }
}

/// Settings shared by all levels of one grouping.
#[derive(Clone)]
pub(crate) struct GroupingPlan {
    /// Schema of the rows.
    pub(crate) schema: SchemaRef,
    /// Position of the token among its columns.
    pub(crate) column: usize,
    /// Memory that waiting and sorting rows may take together.
    pub(crate) memory_bytes: usize,
    /// Folder of the temporary files.
    pub(crate) folder: PathBuf,
    /// Makes the names of temporary files unique within the folder.
    pub(crate) label: String,
}

/// An external grouping by token.
pub(crate) struct Grouping {
    plan: GroupingPlan,
    /// Leading bits that all rows here share already.
    shared_bits: u32,
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    spill: Option<SpillFile>,
    buckets: Vec<Vec<Block>>,
    /// Rows without a token: they belong to no subject and need no order.
    missing: Vec<Block>,
}

impl Grouping {
    pub(crate) fn new(plan: GroupingPlan) -> Self {
        Self::below(plan, 0)
    }

    fn below(plan: GroupingPlan, shared_bits: u32) -> Self {
        Self {
            plan,
            shared_bits,
            waiting: Vec::new(),
            waiting_bytes: 0,
            spill: None,
            buckets: vec![Vec::new(); BUCKETS],
            missing: Vec::new(),
        }
    }

    /// Takes rows in any order.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), StorageError> {
        self.waiting_bytes += slice_bytes(&batch);
        self.waiting.push(batch);
        if self.waiting_bytes > self.plan.memory_bytes / SHARES {
            self.spill_run()?;
        }
        Ok(())
    }

    /// Hands out all rows, grouped.
    pub(crate) fn finish(mut self, sink: &mut dyn GroupedSink) -> Result<(), StorageError> {
        if self.spill.is_none() {
            let sorted = sort(&self.plan, std::mem::take(&mut self.waiting))?;
            return hand_out(&sorted, sink);
        }
        self.spill_run()?;
        let Some(mut spill) = self.spill.take() else { return Ok(()) };
        spill.flush()?;
        for block in std::mem::take(&mut self.missing) {
            sink.take(&spill.read(block, &self.plan.schema)?)?;
        }
        for (number, blocks) in std::mem::take(&mut self.buckets).into_iter().enumerate() {
            self.finish_bucket(number, &blocks, &spill, sink)?;
        }
        Ok(())
    }

    fn finish_bucket(
        &self,
        number: usize,
        blocks: &[Block],
        spill: &SpillFile,
        sink: &mut dyn GroupedSink,
    ) -> Result<(), StorageError> {
        let bytes: usize = blocks.iter().map(|b| b.memory_bytes).sum();
        if bytes <= self.plan.memory_bytes / SHARES {
            let mut batches = Vec::with_capacity(blocks.len());
            for block in blocks {
                batches.push(spill.read(*block, &self.plan.schema)?);
            }
            return hand_out(&sort(&self.plan, batches)?, sink);
        }
        if self.is_one_subject(blocks, spill)? {
            // One subject is grouped already, however many rows it has.
            for block in blocks {
                sink.take(&spill.read(*block, &self.plan.schema)?)?;
            }
            return Ok(());
        }
        let mut plan = self.plan.clone();
        plan.label = format!("{}-{number}", plan.label);
        let mut below = Self::below(plan, self.shared_bits + LEVEL_BITS);
        for block in blocks {
            below.push(spill.read(*block, &self.plan.schema)?)?;
        }
        below.finish(sink)
    }

    fn is_one_subject(&self, blocks: &[Block], spill: &SpillFile) -> Result<bool, StorageError> {
        let mut only = None;
        for block in blocks {
            let batch = spill.read(*block, &self.plan.schema)?;
            let tokens = tokens_of(&batch, self.plan.column)?;
            for token in tokens.iter().flatten() {
                if *only.get_or_insert(token) != token {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Sorts what waits and writes it out, bucket by bucket.
    fn spill_run(&mut self) -> Result<(), StorageError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting_bytes = 0;
        let sorted = sort(&self.plan, std::mem::take(&mut self.waiting))?;
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => {
                let name = format!("group-{}.tmp", self.plan.label);
                self.spill.insert(SpillFile::create(self.plan.folder.join(name))?)
            }
        };
        let tokens = tokens_of(&sorted, self.plan.column)?;
        let mut start = tokens.null_count();
        if start > 0 {
            for_each_slice(&sorted, 0, start, |slice| {
                self.missing.push(spill.append(slice)?);
                Ok(())
            })?;
        }
        while start < tokens.len() {
            let bucket = bucket_of(tokens.value(start), self.shared_bits);
            let rest = tokens.values().get(start..).unwrap_or_default();
            let length = rest.partition_point(|token| bucket_of(*token, self.shared_bits) == bucket);
            let Some(blocks) = self.buckets.get_mut(bucket) else { break };
            for_each_slice(&sorted, start, length, |slice| {
                blocks.push(spill.append(slice)?);
                Ok(())
            })?;
            start += length;
        }
        Ok(())
    }
}

/// Bucket of a token: its leading bits after those that are shared, in signed order.
fn bucket_of(token: i64, shared_bits: u32) -> usize {
    let ordered = token.cast_unsigned() ^ (1 << 63);
    let shifted = ordered.checked_shl(shared_bits).unwrap_or(0);
    usize::try_from(shifted >> (u64::BITS - LEVEL_BITS)).unwrap_or(0)
}

/// Joins batches and sorts them by token; missing tokens first, equal tokens in the order they came.
fn sort(plan: &GroupingPlan, batches: Vec<RecordBatch>) -> Result<RecordBatch, StorageError> {
    let failed = || StorageError::Columnar { step: "group rows by subject" };
    let joined = concat_batches(&plan.schema, &batches).map_err(|_quotes| failed())?;
    drop(batches);
    let tokens = tokens_of(&joined, plan.column)?;
    let rows = u32::try_from(tokens.len()).map_err(|_too_many| failed())?;
    let (mut order, mut keyed) = (Vec::with_capacity(tokens.len()), Vec::with_capacity(tokens.len()));
    for (row, token) in (0..rows).zip(tokens) {
        match token {
            None => order.push(row),
            // With the row behind the token no two keys are equal, so that the quicker sort keeps the order of rows.
            Some(token) => keyed.push((token, row)),
        }
    }
    keyed.sort_unstable();
    order.extend(keyed.into_iter().map(|(_token, row)| row));
    take_record_batch(&joined, &UInt32Array::from(order)).map_err(|_quotes| failed())
}

fn hand_out(sorted: &RecordBatch, sink: &mut dyn GroupedSink) -> Result<(), StorageError> {
    for_each_slice(sorted, 0, sorted.num_rows(), |slice| sink.take(slice))
}

fn for_each_slice(
    batch: &RecordBatch,
    start: usize,
    length: usize,
    mut take: impl FnMut(&RecordBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut at = start;
    let end = start + length;
    while at < end {
        let rows = BATCH_ROWS.min(end - at);
        take(&batch.slice(at, rows))?;
        at += rows;
    }
    Ok(())
}

/// Bytes that a batch's own rows take; the memory of arrays that share a buffer would be counted once each.
fn slice_bytes(batch: &RecordBatch) -> usize {
    let of_column = |array: &ArrayRef| array.to_data().get_slice_memory_size();
    batch
        .columns()
        .iter()
        .map(|array| of_column(array).unwrap_or_else(|_nested| array.get_array_memory_size()))
        .sum()
}

/// The token column of a batch.
pub(crate) fn tokens_of(batch: &RecordBatch, column: usize) -> Result<&Int64Array, StorageError> {
    let array = batch.columns().get(column).and_then(|c| c.as_primitive_opt::<Int64Type>());
    array.ok_or(StorageError::Columnar { step: "find the token column" })
}

#[cfg(test)]
mod tests;
