//! Leaving out the part of a query that a finding points at: a condition, a group key, an output column.
//! The rest is never loosened: leaving out is always by whole conjuncts and whole columns.

use datafusion_common::Span;
use datafusion_sql::sqlparser::ast::BinaryOperator;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::GroupByExpr;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Select;
use datafusion_sql::sqlparser::ast::SelectItem;
use datafusion_sql::sqlparser::ast::SetExpr;
use datafusion_sql::sqlparser::ast::Spanned;
use datafusion_sql::sqlparser::ast::TableFactor;

use crate::finding::Finding;
use crate::finding::SqlSpan;

/// Calls `visit` on every SELECT of a query until one says that it changed something.
pub(super) fn any_select(query: &mut Query, visit: &mut dyn FnMut(&mut Select) -> bool) -> bool {
    if let Some(with) = &mut query.with {
        for cte in &mut with.cte_tables {
            if any_select(&mut cte.query, visit) {
                return true;
            }
        }
    }
    any_in_set(&mut query.body, visit)
}

fn any_in_set(body: &mut SetExpr, visit: &mut dyn FnMut(&mut Select) -> bool) -> bool {
    match body {
        SetExpr::Select(select) => {
            for from in &mut select.from {
                let factors = std::iter::once(&mut from.relation)
                    .chain(from.joins.iter_mut().map(|join| &mut join.relation));
                for factor in factors {
                    if let TableFactor::Derived { subquery, .. } = factor
                        && any_select(subquery, visit)
                    {
                        return true;
                    }
                }
            }
            visit(select)
        }
        SetExpr::Query(query) => any_select(query, visit),
        SetExpr::SetOperation { left, right, .. } => any_in_set(left, visit) || any_in_set(right, visit),
        _ => false,
    }
}

/// True when the finding's place lies within a part of the text.
pub(super) fn within(sql: &str, part: &impl Spanned, finding: &Finding) -> bool {
    let place = Span::try_from_sqlparser_span(part.span()).and_then(|span| SqlSpan::locate(sql, span));
    match (place, finding.span) {
        (Some(part), Some(place)) => part.start <= place.start && place.end <= part.end,
        _ => false,
    }
}

/// Leaves out the conjunct that holds the finding's place, when other conditions remain and it is not about time.
///
/// Without its last condition, or for all years, the number is about other people and no part of the question
/// (`sandbox/docs/disclosure-model.md`, section 3).
pub(super) fn drop_condition(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    any_select(query, &mut |select| {
        let Some(selection) = select.selection.take() else { return false };
        let mut dropped = Vec::new();
        select.selection = without(selection, sql, finding, &mut dropped);
        select.selection.is_some() && !dropped.is_empty() && !dropped.iter().any(is_about_time)
    })
}

fn without(expr: Expr, sql: &str, finding: &Finding, dropped: &mut Vec<Expr>) -> Option<Expr> {
    if !within(sql, &expr, finding) {
        return Some(expr);
    }
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            match (without(*left, sql, finding, dropped), without(*right, sql, finding, dropped)) {
                (Some(left), Some(right)) => Some(Expr::BinaryOp {
                    left: Box::new(left),
                    op: BinaryOperator::And,
                    right: Box::new(right),
                }),
                (left, right) => left.or(right),
            }
        }
        Expr::Nested(inner) => {
            without(*inner, sql, finding, dropped).map(|inner| Expr::Nested(Box::new(inner)))
        }
        other => {
            dropped.push(other);
            None
        }
    }
}

/// True if a condition is a time filter: it names a date, an interval or the clock. Without it the number is one of all
/// times, and no part of the question (`sandbox/docs/disclosure-model.md`, section 3).
fn is_about_time(condition: &Expr) -> bool {
    const WORDS: &[&str] = &["date", "time", "interval", "now(", "current_", "extract(", "to_char("];
    let text = condition.to_string().to_ascii_lowercase();
    let is_date =
        |text: &str| text.len() >= 8 && text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-');
    WORDS.iter().any(|word| text.contains(word)) || text.split('\'').any(is_date)
}

/// Leaves out the group key that the finding is about, and the output column that shows it, when another key remains
/// (`sandbox/docs/disclosure-model.md`, section 3).
pub(super) fn drop_key(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    any_select(query, &mut |select| {
        let outputs: Vec<Expr> = select.projection.iter().filter_map(output_expr).cloned().collect();
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return false };
        let position = keys.iter().position(|key| {
            within(sql, key, finding)
                || ordinal(key)
                    .and_then(|number| outputs.get(number - 1))
                    .is_some_and(|output| within(sql, output, finding))
        });
        let shown = position
            .and_then(|position| keys.get(position).cloned())
            .or_else(|| outputs.iter().find(|output| within(sql, *output, finding)).cloned());
        let Some(key) = shown else { return false };
        let shown = ordinal(&key).and_then(|number| outputs.get(number - 1).cloned()).unwrap_or(key);
        let Some(position) = position.or_else(|| keys.iter().position(|key| same(key, &shown))) else {
            return false;
        };
        // Ordinals count output columns: spell them out before a column goes.
        for key in keys.iter_mut() {
            if let Some(output) = ordinal(key).and_then(|number| outputs.get(number - 1)) {
                *key = output.clone();
            }
        }
        keys.remove(position);
        if keys.is_empty() {
            return false;
        }
        select.projection.retain(|item| output_expr(item).is_none_or(|output| !same(output, &shown)));
        !select.projection.is_empty()
    }) && reset_order(query)
}

/// Leaves out the output column that holds the finding's place, when a figure remains: keys alone answer nothing
/// (`sandbox/docs/disclosure-model.md`, section 3).
pub(super) fn drop_output(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    any_select(query, &mut |select| {
        let before = select.projection.len();
        let spelled: Vec<Expr> = select.projection.iter().filter_map(output_expr).cloned().collect();
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys.iter_mut() {
                if let Some(output) = ordinal(key).and_then(|number| spelled.get(number - 1)) {
                    *key = output.clone();
                }
            }
        }
        select.projection.retain(|item| output_expr(item).is_none_or(|output| !within(sql, output, finding)));
        let keys = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.as_slice(),
            GroupByExpr::All(_) => &[],
        };
        let is_figure = |output: &Expr| !keys.iter().any(|key| same(key, output));
        select.projection.len() < before && select.projection.iter().filter_map(output_expr).any(is_figure)
    }) && reset_order(query)
}

/// An order by what is gone no longer means anything.
pub(super) fn reset_order(query: &mut Query) -> bool {
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    true
}

pub(super) fn output_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// `GROUP BY 2` means the second output column.
pub(super) fn ordinal(key: &Expr) -> Option<usize> {
    match key {
        Expr::Value(value) => value.to_string().parse().ok().filter(|number| *number > 0),
        _ => None,
    }
}

fn same(left: &Expr, right: &Expr) -> bool {
    left.to_string().eq_ignore_ascii_case(&right.to_string())
}
