//! Moving literals to edges: the gentlest rewrite, which keeps the condition and its column.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::BinaryOperator;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::ast::visit_expressions_mut;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::Token;
use datafusion_sql::sqlparser::tokenizer::Tokenizer;

use crate::finding::Finding;
use crate::rewrite::parts::any_select;
use crate::rewrite::parts::within;

/// Replaces the first literal between two edges, in a condition `column >= literal` or `column < literal` that holds the
/// finding's place, by the nearer edge. Under another operator the moved literal would mean something else again, and a
/// number that a label of the text says would no longer be the one that is asked about
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.4).
pub(super) fn to_nearest_edge(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    let edge = |name: &str| finding.params.get(name).and_then(|text| text.parse::<f64>().ok());
    let (Some(below), Some(above)) = (edge("below"), edge("above")) else { return false };
    let (Some(below_text), Some(above_text)) = (finding.params.get("below"), finding.params.get("above"))
    else {
        return false;
    };
    let change = |expr: &mut Expr| {
        let Some(number) = number(expr).filter(|number| below < *number && *number < above) else {
            return false;
        };
        let Expr::Value(literal) = expr else { return false };
        let Value::Number(old, long) = &literal.value else { return false };
        if is_named(sql, &old.to_string()) {
            return false;
        }
        let nearest = if number - below < above - number { below_text } else { above_text };
        literal.value = Value::Number(nearest.clone(), *long);
        true
    };
    in_where(query, &|expr| {
        let Expr::BinaryOp { left, op, right } = expr else { return false };
        if !within(sql, left.as_ref(), finding) && !within(sql, right.as_ref(), finding) {
            return false;
        }
        let is_literal_first = matches!(**left, Expr::Value(_));
        match op {
            BinaryOperator::GtEq | BinaryOperator::Lt if !is_literal_first => change(right),
            BinaryOperator::LtEq | BinaryOperator::Gt if is_literal_first => change(left),
            _ => false,
        }
    })
}

/// True if a label of the text says a number: `'0-14'`.
fn is_named(sql: &str, number: &str) -> bool {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    tokens.iter().any(|token| matches!(token, Token::SingleQuotedString(text) if text.contains(number)))
}

/// `zip = 310106` of a text column becomes `zip = '310106'`.
pub(super) fn quoted(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    finding.params.contains_key("quote")
        && in_comparison(query, finding, sql, &|value| {
            let Value::Number(number, _) = &*value else { return false };
            *value = Value::SingleQuotedString(number.to_string());
            true
        })
}

/// `icd10 = 'J06.9'` of a column that is known by category becomes `icd10 = 'J06'`.
///
/// The group is larger then: where a label of the text says the old value, there is no rewrite
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.4).
pub(super) fn as_shown(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    let (Some(asked), Some(shown)) = (finding.params.get("asked"), finding.params.get("shown")) else {
        return false;
    };
    !is_named(&sql.replace(&format!("'{asked}'"), ""), asked)
        && in_comparison(query, finding, sql, &|value| match value {
            Value::SingleQuotedString(text) if text == asked => {
                shown.clone_into(text);
                true
            }
            _ => false,
        })
}

/// Calls `change` on the literals of the comparisons of WHERE that hold the finding's place, until one changes.
fn in_comparison(
    query: &mut Query,
    finding: &Finding,
    sql: &str,
    change: &dyn Fn(&mut Value) -> bool,
) -> bool {
    let of = |expr: &mut Expr| match expr {
        Expr::Value(literal) => change(&mut literal.value),
        _ => false,
    };
    in_where(query, &|expr| {
        within(sql, expr, finding)
            && match expr {
                Expr::BinaryOp { left, right, .. } => of(left) || of(right),
                Expr::InList { list, .. } => list.iter_mut().any(of),
                _ => false,
            }
    })
}

/// Calls `change` on every part of every WHERE, until one changes.
fn in_where(query: &mut Query, change: &dyn Fn(&mut Expr) -> bool) -> bool {
    any_select(query, &mut |select| {
        let Some(condition) = &mut select.selection else { return false };
        let mut changed = false;
        let _ = visit_expressions_mut(condition, |expr| {
            changed = changed || change(expr);
            ControlFlow::<()>::Continue(())
        });
        changed
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

/// Cuts a measure with `<` and `>=` only, and moves the edge where `>= 0` would be everybody.
///
/// Any other operator leaves out or takes in who has exactly the edge's value
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.4).
pub(super) fn to_edge_operator(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    if !finding.params.contains_key("cut") {
        return false;
    }
    let mut changed = false;
    let _ = visit_expressions_mut(query, |expr| {
        if changed || !within(sql, expr, finding) {
            return ControlFlow::<()>::Continue(());
        }
        if let Some(range) = half_open(expr) {
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

/// `x BETWEEN a AND b` as `(x >= a AND x < b)`.
fn half_open(expr: &Expr) -> Option<Expr> {
    let Expr::Between { expr, negated: false, low, high } = expr else { return None };
    let compare = |op: BinaryOperator, literal: &Expr| {
        Box::new(Expr::BinaryOp { left: expr.clone(), op, right: Box::new(literal.clone()) })
    };
    Some(Expr::Nested(Box::new(Expr::BinaryOp {
        left: compare(BinaryOperator::GtEq, low),
        op: BinaryOperator::And,
        right: compare(BinaryOperator::Lt, high),
    })))
}
