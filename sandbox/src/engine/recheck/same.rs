//! The physical plan of a stage against the optimised one that was looked at: the same folds, joins and conditions, no further
//! table, and no limit.
//!
//! Names of columns are left out of the comparison of conditions, since the engine renames columns where it moves projections;
//! their functions, operators and constants are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::JoinType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TransformedResult as _;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::aggregates::AggregateInputMode;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::CrossJoinExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::SortMergeJoinExec;

use crate::engine::EngineError;

const OTHER: EngineError = EngineError::Recheck("another physical plan");

/// The parts that both forms of a plan have in common, each with how often it is there.
#[derive(Debug, Default)]
struct Outline {
    parts: BTreeMap<String, usize>,
    /// Of released values the engine may know an answer without reading them, so that there may be fewer.
    tables: usize,
}

impl Outline {
    fn note(&mut self, part: String) {
        *self.parts.entry(part).or_default() += 1;
    }
}

/// Compares a physical plan with the optimised one that it was made from.
///
/// # Errors
/// [`EngineError::Recheck`] where they differ.
pub(super) fn same(
    physical: &Arc<dyn ExecutionPlan>,
    optimised: &LogicalPlan,
    state: &SessionState,
) -> Result<(), EngineError> {
    let (mut wanted, mut found) = (Outline::default(), Outline::default());
    of_logical(optimised, state, &mut wanted)?;
    of_physical(physical, &mut found)?;
    if wanted.parts == found.parts && found.tables <= wanted.tables { Ok(()) } else { Err(OTHER) }
}

fn of_logical(plan: &LogicalPlan, state: &SessionState, outline: &mut Outline) -> Result<(), EngineError> {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) => outline.tables += 1,
        LogicalPlan::Filter(filter) => {
            let predicate = physical(&filter.predicate, filter.input.schema(), state)?;
            for part in split_conjunction(&predicate) {
                outline.note(nameless(part)?);
            }
        }
        LogicalPlan::Join(join) => {
            outline.note(join_of(join.join_type, join.on.len()));
            if let Some(filter) = &join.filter {
                let schema = join.left.schema().join(join.right.schema()).map_err(|_quotes| OTHER)?;
                residual(Some(&physical(filter, &schema, state)?), outline);
            }
        }
        LogicalPlan::Aggregate(aggregate) => {
            for call in &aggregate.aggr_expr {
                if let Expr::AggregateFunction(call) = call.clone().unalias() {
                    let (keys, args) = (aggregate.group_expr.len(), call.params.args.len());
                    fold(&call.func, keys, args, call.params.filter.is_some(), outline);
                }
            }
        }
        _ => {}
    }
    plan.inputs().into_iter().try_for_each(|input| of_logical(input, state, outline))?;
    // The plans of scalar subqueries stand beside it.
    let mut inner = Vec::new();
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Expr::ScalarSubquery(subquery) = part {
                inner.push(Arc::clone(&subquery.subquery));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.map_err(|_quotes| OTHER)?;
    inner.iter().try_for_each(|subquery| of_logical(subquery, state, outline))
}

fn of_physical(plan: &Arc<dyn ExecutionPlan>, outline: &mut Outline) -> Result<(), EngineError> {
    if plan.fetch().is_some() {
        return Err(EngineError::Recheck("limit within a stage"));
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        for part in split_conjunction(filter.predicate()) {
            outline.note(nameless(part)?);
        }
    } else if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        outline.note(join_of(*join.join_type(), join.on().len()));
        residual(join.filter().map(|filter| filter.expression()), outline);
    } else if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        outline.note(join_of(join.join_type(), join.on().len()));
        residual(join.filter().as_ref().map(|filter| filter.expression()), outline);
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        outline.note(join_of(*join.join_type(), 0));
        residual(join.filter().map(|filter| filter.expression()), outline);
    } else if plan.downcast_ref::<CrossJoinExec>().is_some() {
        outline.note(join_of(JoinType::Inner, 0));
    } else if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        // Of the phases of one aggregation the one that reads its rows is compared.
        if aggregate.mode().input_mode() == AggregateInputMode::Raw {
            for (call, filter) in aggregate.aggr_expr().iter().zip(aggregate.filter_expr()) {
                let (keys, args) = (aggregate.group_expr().expr().len(), call.expressions().len());
                fold(call.fun(), keys, args, filter.is_some(), outline);
            }
        }
    } else if plan.name() == "DataSourceExec" {
        outline.tables += 1;
    }
    plan.children().into_iter().try_for_each(|child| of_physical(child, outline))
}

/// Conditions within a join: how many there are.
fn residual(filter: Option<&Arc<dyn PhysicalExpr>>, outline: &mut Outline) {
    if let Some(filter) = filter {
        outline.note(format!("residual of {}", split_conjunction(filter).len()));
    }
}

/// A fold with all of its parameters; any other aggregate the engine may compute by another one.
fn fold(function: &AggregateUDF, keys: usize, arguments: usize, is_filtered: bool, outline: &mut Outline) {
    if function.name().starts_with("obscura_") {
        outline.note(format!("{:?} of {arguments} by {keys}, filtered {is_filtered}", function.inner()));
    }
}

/// A join of a kind, whichever of its sides stands on the left, with so many keys.
fn join_of(kind: JoinType, keys: usize) -> String {
    let kind = match kind {
        JoinType::Inner => "inner",
        JoinType::Left | JoinType::Right => "outer",
        JoinType::Full => "full",
        JoinType::LeftSemi | JoinType::RightSemi => "semi",
        JoinType::LeftAnti | JoinType::RightAnti => "anti",
        JoinType::LeftMark | JoinType::RightMark => "mark",
    };
    format!("{kind} join by {keys}")
}

/// A condition as the engine computes it. A subquery is planned beside it; a missing value stands for it here.
fn physical(
    expr: &Expr,
    schema: &DFSchema,
    state: &SessionState,
) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
    let alone = expr.clone().transform_up(|inner| match inner {
        Expr::ScalarSubquery(_) => Ok(Transformed::yes(Expr::Literal(ScalarValue::Null, None))),
        other => Ok(Transformed::no(other)),
    });
    let alone = alone.data().map_err(|_quotes| OTHER)?;
    let context = PhysicalPlanningContext::default();
    create_physical_expr(&alone, schema, state.execution_props(), &context).map_err(|_quotes| OTHER)
}

/// A condition as text, without the names of its columns.
fn nameless(expr: &Arc<dyn PhysicalExpr>) -> Result<String, EngineError> {
    let nameless = Arc::clone(expr).transform_up(|inner| {
        Ok(if inner.downcast_ref::<Column>().is_some() {
            Transformed::yes(Arc::new(Column::new("column", 0)) as Arc<dyn PhysicalExpr>)
        } else if inner.downcast_ref::<ScalarSubqueryExpr>().is_some() {
            Transformed::yes(lit(ScalarValue::Null))
        } else {
            Transformed::no(inner)
        })
    });
    nameless.data().map(|expr| format!("where {expr}")).map_err(|_quotes| OTHER)
}
