//! The engine's own rules, applied to a plan before and after the guard reads it: types coerced, subqueries made joins,
//! joins given their keys, and columns left out that nothing reads.

use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;
use datafusion_common::JoinType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::Analyzer;
use datafusion_optimizer::Optimizer;
use datafusion_optimizer::OptimizerContext;
use datafusion_optimizer::OptimizerRule;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;

use crate::constant::Constants;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::nulls::joined_where_both_are_missing;

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// Freezes the clock, coerces types, and makes joins of subqueries.
///
/// The zones then judge one form: `WHERE x IN (SELECT ...)` is a semi join and answers to the rules of joins, however it
/// was written. A rule of the engine that fails ends the review, so that no half of a rewrite is judged
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.7).
pub(crate) fn normalise(
    plan: LogicalPlan,
    constants: Constants,
    now: DateTime<Utc>,
) -> datafusion_common::Result<LogicalPlan> {
    let options = Arc::new(ConfigOptions::default());
    let plan = constants.settle(plan)?;
    let plan = Analyzer::new().execute_and_check(plan, &options, |_, _| {})?;
    let plan = joined_where_both_are_missing(plan)?;
    let decorrelate: Rules = vec![
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
    ];
    let context = OptimizerContext::new().with_query_execution_start_time(now).with_skip_failing_rules(false);
    let plan = Optimizer::with_rules(decorrelate).optimize(plan, &context, |_, _| {})?;
    let mut some_keyless = false;
    plan.apply_with_subqueries(|node| {
        some_keyless |= keyless(node).is_some();
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !some_keyless {
        return Ok(plan);
    }
    // `FROM a, b WHERE a.x = b.x` is a join by key as well.
    let joins: Rules = vec![Arc::new(EliminateCrossJoin::new()), Arc::new(ExtractEquijoinPredicate::new())];
    Optimizer::with_rules(joins).optimize(plan, &context, |_, _| {})
}

/// An inner join without equal keys.
///
/// Its rows are all pairs, so that each person meets each other one (`sandbox/docs/disclosure-model.md`, section 4.5).
pub(crate) fn keyless(plan: &LogicalPlan) -> Option<&Join> {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner && join.on.is_empty() => Some(join),
        _ => None,
    }
}

/// Leaves only the columns that are read: the keys a job gets are those of these columns.
///
/// Sides of joins are reduced to distinct rows of what is read, and without it a column that nothing reads would keep a
/// subject's copies apart (`sandbox/docs/disclosure-model.md`, section 4.5).
pub(crate) fn pruned(plan: LogicalPlan) -> Result<LogicalPlan, Refused> {
    let rules: Rules = vec![Arc::new(OptimizeProjections::new())];
    // One pass reaches every scan; further ones would only find that nothing is left to do.
    let context = OptimizerContext::new().with_skip_failing_rules(false).with_max_passes(1);
    Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {}).map_err(not_built)
}
