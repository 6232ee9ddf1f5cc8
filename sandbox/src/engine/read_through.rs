//! Reads what a stage has left unread of its tables, so that the tables a job reads are a function of its plan.
//!
//! Danger it answers: a hash join whose build side is empty leaves its probe side unread (DataFusion 55,
//! `HashJoinStream::state_after_build_ready`). The time that a whole second table takes would then tell an attacker whether
//! one person meets a condition.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use futures::StreamExt as _;

use crate::engine::EngineError;
use crate::engine::engine_error;

/// Reads every part of every table from which a plan, after it has run, took no row; keeps nothing of it.
///
/// # Errors
/// When reading fails.
pub(super) async fn read_through(
    plan: &Arc<dyn ExecutionPlan>,
    state: &SessionState,
) -> Result<(), EngineError> {
    let mut tables = Vec::new();
    let walked = plan.apply(|node| {
        if node.children().is_empty() {
            tables.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| engine_error(&error))?;
    for table in tables {
        for part in 0..table.properties().output_partitioning().partition_count() {
            if rows_taken(table.as_ref(), part) > 0 {
                continue;
            }
            let context = Arc::new(TaskContext::from(state));
            let mut rest = table.execute(part, context).map_err(|error| engine_error(&error))?;
            while let Some(batch) = rest.next().await {
                batch.map_err(|error| engine_error(&error))?;
            }
        }
    }
    Ok(())
}

/// Rows that one part of a table has given so far; none when it does not count them.
pub(super) fn rows_taken(table: &dyn ExecutionPlan, part: usize) -> usize {
    let metrics = table.metrics().unwrap_or_default();
    let of_part = metrics.iter().filter(|metric| metric.partition() == Some(part));
    of_part
        .filter_map(|metric| match metric.value() {
            MetricValue::OutputRows(rows) => Some(rows.value()),
            _ => None,
        })
        .sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use arrow::array::Int64Array;
    use arrow::array::RecordBatch;
    use arrow::datatypes::SchemaRef;
    use datafusion::catalog::MemTable;
    use datafusion::catalog::TableProvider;
    use datafusion::catalog::streaming::StreamingTable;
    use datafusion::common::JoinType;
    use datafusion::datasource::provider_as_source;
    use datafusion::execution::SendableRecordBatchStream;
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::logical_expr::col;
    use datafusion::logical_expr::lit;
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::PartitionStream;

    use super::*;
    use crate::engine::EngineLimits;
    use crate::engine::ResultLimits;
    use crate::engine::session;

    fn rows(name: &str) -> RecordBatch {
        let values = Arc::new(Int64Array::from_iter_values(0..50));
        RecordBatch::try_from_iter([(name, values as _)]).unwrap()
    }

    /// A table that counts how often it is read.
    #[derive(Debug)]
    struct Counted(SchemaRef, Arc<AtomicUsize>);

    impl PartitionStream for Counted {
        fn schema(&self) -> &SchemaRef {
            &self.0
        }

        fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
            let read = Arc::clone(&self.1);
            let batches = futures::stream::once(async move {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(rows("v"))
            });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0), batches))
        }
    }

    /// Reads of the second table, before and after [`read_through`], when its join has no person or all on the other side.
    async fn reads(condition: datafusion::logical_expr::Expr) -> (usize, usize) {
        let limits = EngineLimits {
            memory_bytes: 64 << 20,
            time: Duration::from_secs(60),
            partitions: 2,
            result: ResultLimits { rows: 1000, bytes: 1 << 20 },
        };
        let state = session::locked_down(limits).unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let persons = MemTable::try_new(rows("p").schema(), vec![vec![rows("p")]]).unwrap();
        let schema = rows("v").schema();
        let visits =
            StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(Counted(schema, Arc::clone(&read)))])
                .unwrap();
        let scan = |name: &str, table: Arc<dyn TableProvider>| {
            LogicalPlanBuilder::scan(name, provider_as_source(table), None).unwrap()
        };
        let plan = scan("persons", Arc::new(persons))
            .filter(condition)
            .unwrap()
            .join(
                scan("visits", Arc::new(visits)).build().unwrap(),
                JoinType::Inner,
                (vec!["persons.p"], vec!["visits.v"]),
                None,
            )
            .unwrap();
        let physical = state.create_physical_plan(&plan.build().unwrap()).await.unwrap();
        collect(Arc::clone(&physical), Arc::new(TaskContext::from(state.as_ref()))).await.unwrap();
        let before = read.load(Ordering::Relaxed);
        read_through(&physical, &state).await.unwrap();
        (before, read.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_table_is_read_whether_or_not_anybody_meets_a_condition() {
        // This kind of table counts no rows, so it may be read once more; sealed ones do (`sealed_table::tests`).
        assert_eq!(reads(col("persons.p").eq(lit(7_i64))).await.0, 1, "somebody does");
        let nobody = reads(col("persons.p").eq(lit(7000_i64))).await;
        assert_eq!(nobody, (0, 1), "the engine leaves it unread, and it is read then");
    }
}
