//! The origin of an output column of a plan over released tables, as far as it is handed on unchanged.

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;

/// The node that makes an output column, and the column's place among that node's outputs. Nodes that only choose, order or
/// rename rows and columns are passed, and so is a cast to floating point, which is missing where its value is.
pub(crate) fn origin(plan: &LogicalPlan, index: usize) -> Option<(&LogicalPlan, usize)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other node makes its columns")]
    match plan {
        LogicalPlan::Sort(sort) => origin(&sort.input, index),
        LogicalPlan::Limit(limit) => origin(&limit.input, index),
        LogicalPlan::Filter(filter) => origin(&filter.input, index),
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, index),
        LogicalPlan::Window(window) if index < window.input.schema().fields().len() => {
            origin(&window.input, index)
        }
        LogicalPlan::Projection(projection) => {
            let column = match projection.expr.get(index)? {
                Expr::Alias(alias) => as_a_number(unaliased(&alias.expr)).try_as_col()?,
                other => other.try_as_col()?,
            };
            origin(&projection.input, projection.input.schema().maybe_index_of_column(column)?)
        }
        other => Some((other, index)),
    }
}

/// The expression under the names of nodes that were merged into one.
fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The value under a cast to floating point.
fn as_a_number(expr: &Expr) -> &Expr {
    match expr {
        Expr::TryCast(cast) if *cast.field.data_type() == DataType::Float64 => &cast.expr,
        other => other,
    }
}
