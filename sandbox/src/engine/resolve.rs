//! Puts real tables in the place of the names in a guarded plan: sealed datasets and released tables.
//! A name that the guard did not put there does not resolve.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::MemTable;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::TableScan;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::ReleasedSource;
use obscura_query_guard::SealedSource;

use crate::engine::EngineError;
use crate::engine::engine_error;

/// What a plan may read besides released tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Rows of individuals: it is a stage, and ends in cells.
    Individuals,
    /// Open data only: its rows leave.
    OpenData,
}

/// The tables of one job.
pub(super) struct Tables {
    sealed: BTreeMap<DatasetId, Arc<dyn TableProvider>>,
    open: BTreeSet<DatasetId>,
    released: BTreeMap<String, Arc<dyn TableProvider>>,
}

impl Tables {
    pub(super) fn new(
        sealed: BTreeMap<DatasetId, Arc<dyn TableProvider>>,
        open: BTreeSet<DatasetId>,
    ) -> Self {
        Self { sealed, open, released: BTreeMap::new() }
    }

    /// Makes a stage's released table known to later plans.
    pub(super) fn release(&mut self, name: &str, batch: &RecordBatch) -> Result<(), EngineError> {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])
            .map_err(|error| engine_error(&error))?;
        self.released.insert(name.to_owned(), Arc::new(table));
        Ok(())
    }

    /// Puts the real tables into a plan.
    ///
    /// # Errors
    /// [`EngineError::Recheck`] when the plan reads what it may not: the guard never makes such a plan.
    pub(super) fn resolve(&self, plan: LogicalPlan, reads: Reads) -> Result<LogicalPlan, EngineError> {
        let mut forbidden = false;
        let resolved = plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => {
                let sealed = scan.source.downcast_ref::<SealedSource>();
                let is_open = sealed.is_none_or(|source| self.open.contains(source.dataset()));
                forbidden |= reads == Reads::OpenData && !is_open;
                self.table(&scan).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        });
        if forbidden {
            return Err(EngineError::Recheck("individuals outside a stage"));
        }
        resolved.map(|resolved| resolved.data).map_err(|error| engine_error(&error))
    }

    fn table(&self, scan: &TableScan) -> Result<LogicalPlan, DataFusionError> {
        let provider = if let Some(source) = scan.source.downcast_ref::<SealedSource>() {
            self.sealed.get(source.dataset())
        } else if scan.source.downcast_ref::<ReleasedSource>().is_some() {
            self.released.get(&scan.table_name.to_string())
        } else {
            None
        };
        let provider = provider.ok_or_else(|| DataFusionError::Plan("unknown table".to_owned()))?;
        let schema = provider.schema();
        let columns = scan
            .projected_schema
            .fields()
            .iter()
            .map(|field| schema.index_of(field.name()))
            .collect::<Result<Vec<_>, _>>()?;
        LogicalPlanBuilder::scan(
            scan.table_name.clone(),
            provider_as_source(Arc::clone(provider)),
            Some(columns),
        )?
        .build()
    }
}
