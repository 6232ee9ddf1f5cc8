//! A mean leaves as a floating-point number, also the mean of decimals: the engine makes that a decimal with four places
//! more than were declared. Inside the plan it stays as it is, for it is compared with decimals.

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::TryCast;

use crate::catalog::ReleasedSource;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::origin::origin;
use crate::plan::Formula;
use crate::plan::Stage;

/// The plan, whose output columns that are means of decimals are numbers of floating point.
///
/// The engine makes the mean of decimals a decimal with four places more than were declared, which would print digits
/// that a mean of three significant ones does not have (`sandbox/docs/disclosure-model.md`, section 5.4).
///
/// # Errors
/// `query-not-understood` when the plan cannot be put together again.
pub(crate) fn means_as_doubles(post: LogicalPlan, stages: &[Stage]) -> Result<LogicalPlan, Refused> {
    let is_changed = |index: usize| {
        matches!(post.schema().field(index).data_type(), DataType::Decimal128(..))
            && is_mean(&post, index, stages)
    };
    if !(0..post.schema().fields().len()).any(is_changed) {
        return Ok(post);
    }
    let columns: Vec<Expr> = post
        .schema()
        .iter()
        .enumerate()
        .map(|(index, (qualifier, field))| {
            let column = Expr::Column(Column::from((qualifier, field)));
            if !is_changed(index) {
                return column;
            }
            Expr::TryCast(TryCast::new(Box::new(column), DataType::Float64))
                .alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    LogicalPlanBuilder::from(post).project(columns).and_then(LogicalPlanBuilder::build).map_err(not_built)
}

/// True if an output column is a mean as it is, of individuals or of results.
///
/// Only such a column changes its type; a sum keeps the exact decimal that its rounding gave it
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn is_mean(plan: &LogicalPlan, index: usize, stages: &[Stage]) -> bool {
    let Some((made_by, index)) = origin(plan, index) else { return false };
    let own = |exprs: &[Expr], others: usize| {
        index.checked_sub(others).and_then(|own| exprs.get(own)).is_some_and(averages)
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "what any other node yields keeps its type")]
    match made_by {
        LogicalPlan::Window(window) => own(&window.window_expr, window.input.schema().fields().len()),
        LogicalPlan::Aggregate(aggregate) => own(&aggregate.aggr_expr, aggregate.group_expr.len()),
        // The sets of keys of one GROUP BY, each with the same column.
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_mean(input, index, stages)),
        LogicalPlan::TableScan(scan) if scan.source.downcast_ref::<ReleasedSource>().is_some() => {
            let name = scan.projected_schema.fields().get(index).map(|field| field.name());
            let stage = stages.iter().find(|stage| stage.name == scan.table_name.table());
            let mut columns = stage.into_iter().flat_map(|stage| &stage.columns);
            columns.any(|column| Some(&column.name) == name && matches!(column.formula, Formula::Mean { .. }))
        }
        _ => false,
    }
}

fn averages(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => averages(&alias.expr),
        Expr::AggregateFunction(call) => call.func.name() == "avg",
        Expr::WindowFunction(call) => call.fun.name() == "avg",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use crate::fixture::admitted;

    #[test]
    fn every_mean_leaves_as_a_number_of_floating_point() {
        for sql in [
            "SELECT AVG(cost) FROM visits",
            "SELECT AVG(salary) FROM persons",
            "SELECT AVG(CASE WHEN sex = 'f' THEN 1.0 ELSE 0.0 END) FROM persons",
            "SELECT AVG(s) FROM (SELECT SUM(cost) AS s FROM visits GROUP BY day) t",
            "SELECT AVG(s) OVER () FROM (SELECT SUM(cost) AS s FROM visits GROUP BY day) t",
            "SELECT m FROM (SELECT day, AVG(cost) AS m FROM visits GROUP BY day) t WHERE m > 20.0 ORDER BY m DESC LIMIT 3",
        ] {
            assert_eq!(admitted(sql).treatments()[0].data_type, DataType::Float64, "{sql}");
        }
        let named = admitted("SELECT AVG(cost), SUM(cost) FROM visits");
        assert_eq!(named.treatments()[0].column, "avg(visits.cost)");
        assert!(
            matches!(named.treatments()[1].data_type, DataType::Decimal128(..)),
            "a sum stays what it is"
        );
    }
}
