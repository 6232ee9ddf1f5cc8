//! Makes post-processing total: released numbers divided by zero, or not of the type they are cast to, are NULL.
//! Quotients of released numbers are rounded to what these can bear: three significant digits, as means are.
//! A failure would only say what the released numbers say already, but it would cost the analyst the whole result.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::ExprSchemable;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use datafusion_expr::TryCast;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;

use crate::finding::Refused;
use crate::finding::not_built;
use crate::scalar::three_digits;

/// The same plan, whose divisions and casts yield NULL where they would fail, and whose quotients are rounded where they
/// are of released numbers.
///
/// A failure tells no more than the released numbers do, and would cost the analyst the whole result. A quotient of two
/// rounded numbers, printed to sixteen digits, seems exact; three digits are what a mean has
/// (`sandbox/docs/disclosure-model.md`, sections 5.4 and 7).
///
/// # Errors
/// `query-not-understood` when the plan cannot be put together again.
pub(crate) fn total(plan: LogicalPlan, has_stages: bool) -> Result<LogicalPlan, Refused> {
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|inner| match inner {
                Expr::Cast(cast) => {
                    let target = cast.field.data_type().clone();
                    Ok(Transformed::yes(Expr::TryCast(TryCast::new(cast.expr, target))))
                }
                Expr::BinaryExpr(BinaryExpr {
                    left,
                    op: op @ (Operator::Divide | Operator::Modulo),
                    right,
                }) => {
                    let zero = ScalarValue::new_zero(&right.get_type(&schema)?)?;
                    let zero = Expr::Literal(zero, None);
                    let is_zero = datafusion_expr::binary_expr((*right).clone(), Operator::Eq, zero);
                    let null = Expr::Literal(ScalarValue::Null, None);
                    let both_released =
                        op == Operator::Divide && [&left, &right].into_iter().all(|side| reads(side));
                    let divisor = Case::new(None, vec![(Box::new(is_zero), Box::new(null))], Some(right));
                    let quotient = datafusion_expr::binary_expr(*left, op, Expr::Case(divisor));
                    let target = quotient.get_type(&schema)?;
                    let is_rounded = both_released && has_stages && !target.is_integer();
                    Ok(Transformed::yes(if is_rounded { bearable(quotient, &target) } else { quotient }))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    })
    .map(|transformed| transformed.data)
    .map_err(not_built)
}

/// True if an expression reads a column or a subquery: a constant is known to every digit, so that a quotient by one is
/// as precise as the released number is (`sandbox/docs/disclosure-model.md`, section 5.4).
fn reads(expr: &Expr) -> bool {
    expr.exists(|inner| Ok(matches!(inner, Expr::Column(_) | Expr::ScalarSubquery(_)))).unwrap_or(true)
}

/// A quotient to three significant digits, in its own type: no more digits than a mean has, which is such a quotient too
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn bearable(quotient: Expr, target: &DataType) -> Expr {
    let as_double = |expr: Expr| match target {
        DataType::Float64 => expr,
        _ => Expr::TryCast(TryCast::new(Box::new(expr), DataType::Float64)),
    };
    let rounded = three_digits().call(vec![as_double(quotient)]);
    match target {
        DataType::Float64 => rounded,
        other => Expr::TryCast(TryCast::new(Box::new(rounded), other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::admitted;

    #[test]
    fn quotients_of_released_numbers_are_rounded_and_others_are_not() {
        let is_rounded =
            |sql: &str| admitted(sql).post().display_indent().to_string().contains("three_digits");
        for sql in [
            "SELECT dept, COUNT(*) * 1.0 / SUM(COUNT(*)) OVER () FROM persons GROUP BY dept",
            "SELECT day, SUM(cost) / COUNT(*) FROM visits GROUP BY day",
            "SELECT AVG(salary) / (SELECT AVG(salary) FROM persons) FROM persons",
            "SELECT day FROM visits GROUP BY day HAVING SUM(cost) / COUNT(*) > 10",
        ] {
            assert!(is_rounded(sql), "{sql}");
        }
        for sql in [
            "SELECT SUM(cost) / 12 FROM visits",
            "SELECT COUNT(*) / 7 FROM visits",
            "SELECT level / 3.0, level * 1.0 / (level + 1) FROM zones",
        ] {
            assert!(!is_rounded(sql), "{sql}");
        }
    }
}
