//! Row filters of policies and grants: SQL conditions over one dataset's own raw columns, made total.
//! They come from stewards, not analysts, so the shape rule does not bind them; they still cannot fail on data.

use std::collections::BTreeSet;

use datafusion_common::DFSchema;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;
use datafusion_expr::TableSource;
use datafusion_expr::TryCast;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::planner::PlannerContext;
use datafusion_sql::planner::SqlToRel;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;

use crate::catalog::Catalog;
use crate::catalog::sealed_source;
use crate::finding::Code;
use crate::finding::Finding;
use crate::functions::Functions;
use crate::size::condition_within_limits;
use crate::statement::parse_condition;

/// Parses a row filter; also returns the columns it reads.
///
/// # Errors
/// `control-not-available` when the filter cannot be applied: a filter that fails to parse denies the dataset.
pub(crate) fn row_filter(sql: &str, dataset: &EffectiveDataset) -> Result<(Expr, BTreeSet<String>), Finding> {
    let denied = || Finding::new(Code::ControlNotAvailable).with("control", "row filter");
    let functions = Functions::allowed();
    let nothing = EffectivePolicy {
        purpose: String::new(),
        datasets: Default::default(),
        floors: Default::default(),
        sources: Vec::new(),
    };
    let catalog = Catalog::new(&nothing, &functions);
    let schema =
        DFSchema::try_from(sealed_source(dataset).schema().as_ref().clone()).map_err(|_| denied())?;
    let parsed = parse_condition(sql).map_err(|_| denied())?;
    let expr = SqlToRel::new(&catalog)
        .sql_to_expr(parsed, &schema, &mut PlannerContext::new())
        .map_err(|_| denied())?;
    condition_within_limits(sql, &expr).map_err(|_| denied())?;
    let context = SimplifyContext::builder().with_schema(std::sync::Arc::new(schema.clone())).build();
    let coerced = ExprSimplifier::new(context).coerce(expr, &schema).map_err(|_| denied())?;
    let total = coerced
        .transform_up(|inner| match inner {
            Expr::Cast(cast) => {
                Ok(Transformed::yes(Expr::TryCast(TryCast::new(cast.expr, cast.field.data_type().clone()))))
            }
            other => Ok(Transformed::no(other)),
        })
        .map_err(|_| denied())?
        .data;
    if divides(&total) {
        return Err(denied());
    }
    let columns = total.column_refs().into_iter().map(|column| column.name.clone()).collect();
    Ok((total, columns))
}

/// Division and remainder can fail on data.
fn divides(expr: &Expr) -> bool {
    expr.exists(|inner| {
        Ok(matches!(inner, Expr::BinaryExpr(binary) if matches!(binary.op, datafusion_expr::Operator::Divide | datafusion_expr::Operator::Modulo))
            || matches!(inner, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)))
    })
    .unwrap_or(true)
}
