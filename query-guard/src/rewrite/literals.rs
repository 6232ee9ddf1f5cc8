//! Moving literals to edges: the gentlest rewrite, which keeps the condition and its column.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::BinaryOperator;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::ast::visit_expressions_mut;

use crate::finding::Finding;
use crate::rewrite::parts::within;

/// Replaces the first literal between two edges, in a comparison that holds the finding's place, by the nearer edge.
pub(super) fn to_nearest_edge(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    let edge = |name: &str| finding.params.get(name).and_then(|text| text.parse::<f64>().ok());
    let (Some(below), Some(above)) = (edge("below"), edge("above")) else { return false };
    let (Some(below_text), Some(above_text)) = (finding.params.get("below"), finding.params.get("above"))
    else {
        return false;
    };
    let between = |expr: &Expr| number(expr).filter(|number| below < *number && *number < above);
    if end_at_edge(query, finding, sql, above_text, &|high| between(high).is_some()) {
        return true;
    }
    in_comparison(query, finding, sql, &mut |expr| {
        let Some(number) = between(expr) else { return false };
        let Expr::Value(literal) = expr else { return false };
        let Value::Number(_, long) = &literal.value else { return false };
        let nearest = if number - below < above - number { below_text } else { above_text };
        literal.value = Value::Number(nearest.clone(), *long);
        true
    })
}

fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(literal) => match &literal.value {
            Value::Number(text, _) => text.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// `x BETWEEN 20 AND 29`, known in tens, is `(x >= 20 AND x < 30)`.
fn end_at_edge(
    query: &mut Query,
    finding: &Finding,
    sql: &str,
    edge: &str,
    is_off: &dyn Fn(&Expr) -> bool,
) -> bool {
    let mut changed = false;
    let _ = visit_expressions_mut(query, |expr| {
        if !changed && within(sql, expr, finding) {
            let on_low = matches!(expr, Expr::Between { low, high, .. } if !is_off(low) && is_off(high));
            if let Some(range) = half_open(expr, Some(edge)).filter(|_| on_low) {
                *expr = range;
                changed = true;
            }
        }
        ControlFlow::<()>::Continue(())
    });
    changed
}

/// A measure is cut with `<` and `>=` only.
pub(super) fn to_edge_operator(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    if !finding.params.contains_key("column") {
        return false;
    }
    let mut changed = false;
    let _ = visit_expressions_mut(query, |expr| {
        if changed || !within(sql, expr, finding) {
            return ControlFlow::<()>::Continue(());
        }
        if let Some(range) = half_open(expr, None) {
            *expr = range;
            changed = true;
        } else if let Expr::BinaryOp { left, op, right } = expr {
            let literal_first = matches!(**left, Expr::Value(_));
            let replaced = match op {
                BinaryOperator::Gt if !literal_first => Some(BinaryOperator::GtEq),
                BinaryOperator::LtEq if !literal_first => Some(BinaryOperator::Lt),
                BinaryOperator::Lt if literal_first => Some(BinaryOperator::LtEq),
                BinaryOperator::GtEq if literal_first => Some(BinaryOperator::Gt),
                _ => None,
            };
            if let Some(replaced) = replaced {
                *op = replaced;
                changed = true;
                // Where `>= 0` would be everybody, or the next whole number is the next edge, the edge moves too.
                let literal = if literal_first { left } else { right };
                if let (Some(next), Expr::Value(literal)) = (finding.params.get("next"), &mut **literal)
                    && let Value::Number(text, _) = &mut literal.value
                {
                    next.clone_into(text);
                }
            }
        }
        ControlFlow::Continue(())
    });
    changed
}

/// `x BETWEEN a AND b` as `(x >= a AND x < b)`, or up to another number than b.
fn half_open(expr: &Expr, end: Option<&str>) -> Option<Expr> {
    let Expr::Between { expr, negated: false, low, high } = expr else { return None };
    let mut high = (**high).clone();
    if let (Some(end), Expr::Value(literal)) = (end, &mut high) {
        literal.value = Value::Number(end.parse().ok()?, false);
    }
    let compare = |op: BinaryOperator, literal: &Expr| {
        Box::new(Expr::BinaryOp { left: expr.clone(), op, right: Box::new(literal.clone()) })
    };
    Some(Expr::Nested(Box::new(Expr::BinaryOp {
        left: compare(BinaryOperator::GtEq, low),
        op: BinaryOperator::And,
        right: compare(BinaryOperator::Lt, &high),
    })))
}

/// Calls `change` on the direct operands of every comparison that holds the finding's place, until one changes.
fn in_comparison(
    query: &mut Query,
    finding: &Finding,
    sql: &str,
    change: &mut dyn FnMut(&mut Expr) -> bool,
) -> bool {
    let mut changed = false;
    let _ = visit_expressions_mut(query, |expr| {
        if changed || !within(sql, expr, finding) {
            return ControlFlow::<()>::Continue(());
        }
        changed = match expr {
            Expr::BinaryOp { left, right, .. } => change(left) || change(right),
            Expr::Between { low, high, .. } => change(low) || change(high),
            Expr::InList { list, .. } => list.iter_mut().any(&mut *change),
            _ => false,
        };
        ControlFlow::Continue(())
    });
    changed
}
