//! Puts real tables in the place of the names in a guarded plan: sealed datasets and released tables.
//! A name that the guard did not put there does not resolve.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::TableScan;
use obscura_query_guard::ReleasedSource;
use obscura_query_guard::SealedSource;
use obscura_query_guard::execution::EndsIn;
use obscura_query_guard::execution::PlanToRun;

use crate::engine::EngineError;
use crate::engine::SealedTables;
use crate::engine::engine_error;

/// Puts the real tables into the plan that is due.
///
/// # Errors
/// [`EngineError::Recheck`] when the plan reads a table that it must not read: the guard never makes such a plan.
pub(super) fn resolve(due: &PlanToRun, sealed: &SealedTables) -> Result<LogicalPlan, EngineError> {
    let mut forbidden = false;
    let resolved = due.plan().clone().transform_down_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) => {
            let source = scan.source.downcast_ref::<SealedSource>();
            let is_open = source.is_none_or(|source| sealed.open.contains(source.dataset()));
            forbidden |= due.ends() == EndsIn::Result && !is_open;
            table(&scan, due, sealed).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    });
    if forbidden {
        return Err(EngineError::Recheck("individuals outside a stage"));
    }
    resolved.map(|resolved| resolved.data).map_err(|error| engine_error(&error))
}

fn table(scan: &TableScan, due: &PlanToRun, sealed: &SealedTables) -> Result<LogicalPlan, DataFusionError> {
    let unknown = || DataFusionError::Plan("unknown table".to_owned());
    let provider: Arc<dyn TableProvider> = if let Some(source) = scan.source.downcast_ref::<SealedSource>() {
        Arc::clone(sealed.tables.get(source.dataset()).ok_or_else(unknown)?)
    } else if scan.source.downcast_ref::<ReleasedSource>().is_some() {
        let released = due.released().get(&scan.table_name.to_string()).ok_or_else(unknown)?.batch();
        Arc::new(MemTable::try_new(released.schema(), vec![vec![released.clone()]])?)
    } else {
        return Err(unknown());
    };
    let schema = provider.schema();
    let columns = scan
        .projected_schema
        .fields()
        .iter()
        .map(|field| schema.index_of(field.name()))
        .collect::<Result<Vec<_>, _>>()?;
    LogicalPlanBuilder::scan(scan.table_name.clone(), provider_as_source(provider), Some(columns))?.build()
}
