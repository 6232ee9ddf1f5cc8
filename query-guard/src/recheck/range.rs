//! The range of a number, from the ranges that the policy declares: contributions are clamped to it.

use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use obscura_policies::fixed::Fixed;

use super::expression::Leaves;
use super::relation::Leaf;
use super::relation::uncast;
use super::treated::treated;

/// The range of a number; nothing where no document declares one.
pub(super) fn range_of(leaves: &Leaves<'_>, expr: &Expr) -> Option<(Fixed, Fixed)> {
    match uncast(expr) {
        Expr::Column(column) => match leaves.get(&column.name)? {
            Leaf::Raw { dataset, column, .. } => {
                let dataset = leaves.terms.dataset(dataset)?;
                dataset.columns.iter().find(|known| known.name == *column)?.range
            }
            Leaf::Own { range, .. } => *range,
            Leaf::United | Leaf::Count { .. } | Leaf::Free => None,
        },
        Expr::ScalarFunction(call) => range_of(leaves, treated(call)?.raw),
        Expr::Case(case) => match leaves.capped_at(case) {
            Some(most) => Some((Fixed::ZERO, Fixed::from_i64(i64::from(most)))),
            None => conditional(expr).and_then(|value| range_of(leaves, value)),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) => {
            // The mean of a subject's own rows.
            match (leaves.of(left)?, leaves.of(right)?) {
                (Leaf::Own { of_one_row, .. }, Leaf::Count { .. }) => *of_one_row,
                _ => None,
            }
        }
        _ => None,
    }
}

/// The value of `CASE WHEN condition THEN value END`.
pub(super) fn conditional(expr: &Expr) -> Option<&Expr> {
    let Expr::Case(case) = uncast(expr) else { return None };
    let [(_, then)] = case.when_then_expr.as_slice() else { return None };
    let is_null = |otherwise: &Expr| matches!(otherwise, Expr::Literal(value, _) if value.is_null());
    let alone = case.expr.is_none() && case.else_expr.as_deref().is_none_or(is_null);
    alone.then_some(then.as_ref())
}
