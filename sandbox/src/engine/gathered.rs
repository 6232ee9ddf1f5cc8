//! Collects the output of a plan: it is counted as it arrives, against the job's memory and against the size of a result,
//! and stopped at either limit.

use std::sync::Arc;

use arrow::array::Array;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt as _;
use obscura_query_guard::execution::PlanToRun;

use crate::engine::EngineError;
use crate::engine::engine_error;

/// The limits on the size of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultLimits {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of its values.
    pub bytes: usize,
}

/// The output of a plan, with the memory that it takes.
pub(super) struct Gathered {
    pub(super) batches: Vec<RecordBatch>,
    /// Given back with the batches.
    pub(super) memory: MemoryReservation,
}

/// Runs a plan to its end and takes in all of it.
///
/// # Errors
/// [`EngineError::ResultTooLarge`] as soon as there is more than `most`; [`EngineError::OutOfMemory`] as soon as there is
/// more than the job may hold.
pub(super) async fn gathered(
    plan: Arc<dyn ExecutionPlan>,
    state: &SessionState,
    most: Option<ResultLimits>,
) -> Result<Gathered, EngineError> {
    let context = Arc::new(TaskContext::from(state));
    let memory = MemoryConsumer::new("gathered").register(context.memory_pool());
    let mut stream = execute_stream(plan, context).map_err(|error| engine_error(&error))?;
    let (mut batches, mut rows, mut bytes) = (Vec::new(), 0_usize, 0_usize);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| engine_error(&error))?;
        let size = bytes_of(&batch);
        rows = rows.saturating_add(batch.num_rows());
        bytes = bytes.saturating_add(size);
        if most.is_some_and(|most| rows > most.rows || bytes > most.bytes) {
            return Err(EngineError::ResultTooLarge);
        }
        memory.try_grow(size).map_err(|error| engine_error(&error))?;
        batches.push(batch);
    }
    Ok(Gathered { batches, memory })
}

/// Bytes of a batch's own values, not of other values in the same buffers.
fn bytes_of(batch: &RecordBatch) -> usize {
    let of = |column: &Arc<dyn Array>| match column.data_type() {
        // Their values are not counted as part of a slice.
        DataType::Utf8View | DataType::BinaryView => column.get_array_memory_size(),
        _ => {
            let slice = column.to_data().get_slice_memory_size();
            slice.unwrap_or_else(|_unknown| column.get_array_memory_size())
        }
    };
    batch.columns().iter().map(of).sum()
}

/// True if a plan hands out rows of one open dataset and nothing else: each at most once, and as they are. Its size is
/// the dataset's own.
pub(super) fn hands_out_a_dataset(due: &PlanToRun) -> bool {
    due.released().is_empty() && is_one_table(due.plan())
}

fn is_one_table(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::SubqueryAlias(alias) => is_one_table(&alias.input),
        LogicalPlan::Filter(filter) => is_one_table(&filter.input),
        LogicalPlan::Sort(sort) => is_one_table(&sort.input),
        LogicalPlan::Limit(limit) => is_one_table(&limit.input),
        LogicalPlan::Projection(projection) => {
            // A made-up value may be of any length.
            projection.expr.iter().all(is_column) && is_one_table(&projection.input)
        }
        _ => false,
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_column(&alias.expr),
        _ => false,
    }
}
