//! The second look at what the engine makes of a plan, after its optimiser and after its physical planner.
//!
//! The optimised plan is held to the policy and to what was admitted, by the guard's independent pass
//! ([`obscura_query_guard::recheck`]). Then the physical plan may hold known operators and functions only, and that of a stage is
//! held to the optimised one: the same folds, joins and conditions, no further table and no limit, an end in the guard's fold, and,
//! where the fold relies on clustered rows, nothing between scan and fold that moves rows between partitions.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::TableScan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use obscura_query_guard::AT_LEAST_NAME;
use obscura_query_guard::CELL_FOLD_NAME;
use obscura_query_guard::execution::EndsIn;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::is_known_scalar;
use obscura_query_guard::recheck::Scanned;
use obscura_query_guard::recheck::look_again;

use crate::engine::EngineError;
use crate::engine::SealedTables;

mod same;

use same::same;

/// Operators that may appear in a job. None of them writes, reads a path, or samples.
const KNOWN: &[&str] = &[
    "AggregateExec",
    "BoundedWindowAggExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "DataSourceExec",
    "EmptyExec",
    "FilterExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "InterleaveExec",
    "LocalLimitExec",
    "NestedLoopJoinExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    "SortExec(TopK)",
    "SortMergeJoinExec",
    "SortPreservingMergeExec",
    "UnionExec",
    "WindowAggExec",
];

/// Operators that a default engine may choose and a job may not; named here so that the operator's log can tell which.
const REFUSED: &[&str] = &[
    "AnalyzeExec",
    "AsyncFuncExec",
    "BufferExec",
    "DataSinkExec",
    "ExplainExec",
    "LazyMemoryExec",
    "OutputRequirementExec",
    "PartialSortExec",
    "PartitionedTopKExec",
    "PiecewiseMergeJoinExec",
    "RecursiveQueryExec",
    "StreamingTableExec",
    "SymmetricHashJoinExec",
    "UnnestExec",
    "WorkTableExec",
];

/// Operators that leave rows where they are.
const KEEPS_ROWS_TOGETHER: &[&str] =
    &["CoalesceBatchesExec", "CooperativeExec", "FilterExec", "ProjectionExec"];

/// Holds the optimised plan to the policy and to what the guard admitted.
///
/// # Errors
/// [`EngineError::Recheck`]: nothing may run.
pub(super) fn optimised(
    due: &PlanToRun,
    plan: &LogicalPlan,
    sealed: &SealedTables,
) -> Result<(), EngineError> {
    // A table is known by what it is, and not by the name that the plan calls it.
    let scanned = |scan: &TableScan| {
        let table = source_as_provider(&scan.source).ok()?;
        let is_it =
            |known: &Arc<dyn TableProvider>| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&table));
        match sealed.tables.iter().find(|(_, known)| is_it(known)) {
            Some((id, _)) => Some(Scanned::Dataset(id.clone())),
            None => due.released().contains_key(&scan.table_name.to_string()).then_some(Scanned::Released),
        }
    };
    look_again(due, plan, &scanned).map_err(|breach| EngineError::Recheck(breach.text()))
}

/// Holds the physical plan to the optimised one.
///
/// # Errors
/// [`EngineError::Recheck`]: nothing may run.
pub(super) fn physical(
    plan: &Arc<dyn ExecutionPlan>,
    optimised: &LogicalPlan,
    state: &SessionState,
    ends: EndsIn,
) -> Result<(), EngineError> {
    known_operators(plan)?;
    known_functions(plan)?;
    if ends != EndsIn::Result {
        same(plan, optimised, state)?;
    }
    match ends {
        EndsIn::Result => Ok(()),
        EndsIn::Cells { .. } if has_no_row(plan) => Ok(()),
        EndsIn::Cells { needs_clustered_input: false } => topmost_fold(plan).map(drop),
        EndsIn::Cells { needs_clustered_input: true } => rows_stay_together(topmost_fold(plan)?),
    }
}

fn known_operators(plan: &Arc<dyn ExecutionPlan>) -> Result<(), EngineError> {
    if !KNOWN.contains(&plan.name()) {
        return Err(EngineError::Recheck(
            REFUSED.iter().find(|name| **name == plan.name()).unwrap_or(&"unknown operator"),
        ));
    }
    plan.children().into_iter().try_for_each(known_operators)
}

/// Every scalar function is one that the guard knows; the engine's optimiser may have put in others.
fn known_functions(plan: &Arc<dyn ExecutionPlan>) -> Result<(), EngineError> {
    let mut unknown = false;
    let walked = plan.apply_expressions(&mut |root| {
        root.apply(|expr: &Arc<dyn PhysicalExpr>| {
            let function = expr.downcast_ref::<ScalarFunctionExpr>();
            unknown |= function.is_some_and(|function| !is_known_scalar(function.fun().name()));
            Ok(TreeNodeRecursion::Continue)
        })
    });
    if unknown || walked.is_err() {
        return Err(EngineError::Recheck("unknown function"));
    }
    plan.children().into_iter().try_for_each(known_functions)
}

/// The fold that a stage ends in: above it only projections and merges of partitions.
fn topmost_fold(plan: &Arc<dyn ExecutionPlan>) -> Result<&Arc<dyn ExecutionPlan>, EngineError> {
    if is_fold(plan) {
        return Ok(plan);
    }
    match (plan.name(), plan.children().as_slice()) {
        (
            "ProjectionExec" | "CoalescePartitionsExec" | "CoalesceBatchesExec" | "CooperativeExec",
            [child],
        ) => topmost_fold(child),
        // Released values of earlier stages that the stage compares with stand beside it.
        ("ScalarSubqueryExec", [child, ..]) => topmost_fold(child),
        _ => Err(EngineError::Recheck("stage without fold")),
    }
}

/// True where the engine has found that no row meets the conditions, so that there is nothing to fold.
fn has_no_row(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match (plan.name(), plan.children().as_slice()) {
        ("EmptyExec", _) => true,
        ("ProjectionExec" | "CooperativeExec", [child]) => has_no_row(child),
        _ => false,
    }
}

fn is_fold(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| {
        let calls = aggregate.aggr_expr();
        let folds = [CELL_FOLD_NAME, AT_LEAST_NAME];
        !calls.is_empty() && calls.iter().all(|call| folds.contains(&call.fun().name()))
    })
}

/// From the fold's first phase down to the scan nothing but filters and projections.
fn rows_stay_together(fold: &Arc<dyn ExecutionPlan>) -> Result<(), EngineError> {
    let mut node = first_phase(fold);
    loop {
        let children = node.children();
        let [child] = children.as_slice() else { return Err(EngineError::Recheck("clustering")) };
        if child.name() == "DataSourceExec" {
            return Ok(());
        }
        if !KEEPS_ROWS_TOGETHER.contains(&child.name()) {
            return Err(EngineError::Recheck("clustering"));
        }
        node = child;
    }
}

/// The lowest of the fold's phases: partial states may be moved, rows may not.
fn first_phase(fold: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    let mut lowest = fold;
    let mut node = fold;
    loop {
        let children = node.children();
        let [child] = children.as_slice() else { return lowest };
        let moves_states =
            matches!(child.name(), "RepartitionExec" | "CoalescePartitionsExec" | "CoalesceBatchesExec");
        if is_fold(child) {
            lowest = child;
        } else if !moves_states {
            return lowest;
        }
        node = child;
    }
}
