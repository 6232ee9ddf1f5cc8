//! Turning rows into counts, and aggregates that are not available into ones that are.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::BinaryOperator;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::Function;
use datafusion_sql::sqlparser::ast::FunctionArg;
use datafusion_sql::sqlparser::ast::FunctionArgExpr;
use datafusion_sql::sqlparser::ast::FunctionArguments;
use datafusion_sql::sqlparser::ast::GroupByExpr;
use datafusion_sql::sqlparser::ast::Ident;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::SelectItem;
use datafusion_sql::sqlparser::ast::SetExpr;
use datafusion_sql::sqlparser::ast::visit_expressions_mut;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;

use crate::aggregate::PERCENTS;
use crate::finding::Finding;
use crate::rewrite::parts::any_select;
use crate::rewrite::parts::output_expr;
use crate::rewrite::parts::reset_order;
use crate::rewrite::parts::within;

/// Aggregates of one quantity that a percentile, or else a mean, comes closest to.
const LOCATIONS: &[&str] =
    &["median", "approx_median", "min", "max", "approx_percentile_cont", "percentile_cont", "quantile_cont"];

/// `SELECT a, b FROM t` becomes `SELECT a, b, COUNT(*) AS n FROM t GROUP BY a, b`, over the columns it lists bare.
///
/// Rows about individuals never leave, and groups of them do (`sandbox/docs/disclosure-model.md`, sections 3 and 4.1).
pub(super) fn count_instead_of_rows(query: &mut Query, _finding: &Finding, _sql: &str) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let counted = select
        .projection
        .iter()
        .any(|item| output_expr(item).is_some_and(|output| output.to_string() == "COUNT(*)"));
    if grouped || counted {
        return false;
    }
    let keys: Vec<Expr> = select
        .projection
        .iter()
        .filter_map(output_expr)
        .filter(|output| matches!(output, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
        .cloned()
        .collect();
    let Some(count) = parsed("COUNT(*)") else { return false };
    select.distinct = None;
    select.projection = keys
        .iter()
        .cloned()
        .map(SelectItem::UnnamedExpr)
        .chain([SelectItem::ExprWithAlias { expr: count, alias: Ident::new("n") }])
        .collect();
    select.group_by = GroupByExpr::Expressions(keys, Vec::new());
    reset_order(query)
}

/// An expression from its text.
pub(super) fn parsed(text: &str) -> Option<Expr> {
    Parser::new(&GenericDialect {}).try_with_sql(text).ok()?.parse_expr().ok()
}

/// A minimum or maximum of one quantity becomes its fifth or ninety-fifth percentile, and another percentile the nearest that is
/// released; it loses the name that it had.
///
/// The percentile is another number: under `AS highest` it would be a wrong one
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 5.1).
pub(super) fn percentile_instead(query: &mut Query, finding: &Finding, _sql: &str) -> bool {
    another_number(query, finding, |call, quantity| {
        let level = match call.name.to_string().to_ascii_lowercase().as_str() {
            "min" => PERCENTS.first().copied()?,
            "max" => PERCENTS.last().copied()?,
            _ => nearest_level(call)?,
        };
        parsed(&format!("PERCENTILE_CONT(0.{level:02}) WITHIN GROUP (ORDER BY {quantity}){}", filter(call)))
    })
}

/// A median, percentile, minimum or maximum of one quantity becomes its mean, and loses the name that it had.
///
/// The mean is another number: under `AS median` it would be a wrong one
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 5.1).
pub(super) fn mean_instead(query: &mut Query, finding: &Finding, _sql: &str) -> bool {
    another_number(query, finding, |call, quantity| parsed(&format!("AVG({quantity}){}", filter(call))))
}

/// Puts another aggregate in the place of the refused one, given its call and the text of its quantity, and takes its name off.
fn another_number(
    query: &mut Query,
    finding: &Finding,
    instead: impl Fn(&Function, String) -> Option<Expr>,
) -> bool {
    let Some(name) = finding.params.get("function").filter(|name| LOCATIONS.contains(&name.as_str())) else {
        return false;
    };
    let mut changed = Vec::new();
    let _ = visit_expressions_mut(query, |expr| {
        if let Expr::Function(call) = expr
            && call.name.to_string().eq_ignore_ascii_case(name)
            && let Some(other) = quantity_of(call).and_then(|quantity| instead(call, quantity))
        {
            *expr = other.clone();
            changed.push(other);
        }
        ControlFlow::<()>::Continue(())
    });
    any_select(query, &mut |select| {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { expr, .. } = item
                && changed.contains(expr)
            {
                *item = SelectItem::UnnamedExpr(expr.clone());
            }
        }
        false
    });
    !changed.is_empty()
}

/// The quantity that an aggregate is of: what WITHIN GROUP orders by, or else the first argument.
fn quantity_of(call: &Function) -> Option<String> {
    match call.within_group.first() {
        Some(order) => Some(order.expr.to_string()),
        None => arguments(call).next().map(ToString::to_string),
    }
}

/// The level nearest to that of a percentile, among those that are released.
fn nearest_level(call: &Function) -> Option<u8> {
    let level: f64 = arguments(call).last()?.to_string().parse().ok()?;
    let is_descending = call.within_group.first().is_some_and(|order| order.options.asc == Some(false));
    let percent = if is_descending { (1.0 - level) * 100.0 } else { level * 100.0 };
    PERCENTS.into_iter().min_by(|a, b| {
        let distance = |listed: &u8| (f64::from(*listed) - percent).abs();
        distance(a).total_cmp(&distance(b))
    })
}

fn arguments(call: &Function) -> impl Iterator<Item = &Expr> {
    let list = match &call.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    list.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

fn filter(call: &Function) -> String {
    call.filter.as_ref().map_or_else(String::new, |filter| format!(" FILTER (WHERE {filter})"))
}

/// `AVG(a / b)` becomes `AVG(a) / AVG(b)`, and loses the name that it had: the mean of quotients is another number
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 5.1).
pub(super) fn ratio_of_means(query: &mut Query, finding: &Finding, sql: &str) -> bool {
    let mut changed = false;
    any_select(query, &mut |select| {
        for item in &mut select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                continue;
            };
            if let Some(ratio) = ratio(expr).filter(|_| within(sql, expr, finding)) {
                *item = SelectItem::UnnamedExpr(ratio);
                changed = true;
            }
        }
        false
    });
    changed
}

fn ratio(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else { return None };
    let FunctionArguments::List(list) = &call.args else { return None };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
            left,
            op: BinaryOperator::Divide,
            right,
        })),
    ] = list.args.as_slice()
    else {
        return None;
    };
    if !call.name.to_string().eq_ignore_ascii_case("avg") || call.filter.is_some() {
        return None;
    }
    parsed(&format!("AVG({left}) / NULLIF(AVG({right}), 0)"))
}

/// `to_char(d, 'YYYY-MM')` as a key or an output becomes `date_trunc('month', d)`, which groups the same dates and is a
/// coarser form that the shape rule knows (`sandbox/docs/disclosure-model.md`, sections 3 and 4.3).
pub(super) fn truncated_instead(query: &mut Query, finding: &Finding, _sql: &str) -> bool {
    if finding.params.get("function").is_none_or(|name| !name.eq_ignore_ascii_case("to_char")) {
        return false;
    }
    let mut changed = false;
    any_select(query, &mut |select| {
        let outputs = select.projection.iter_mut().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let keys = match &mut select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.as_mut_slice(),
            GroupByExpr::All(_) => &mut [],
        };
        for expr in outputs.chain(keys) {
            if let Some(truncated) = truncated(expr) {
                *expr = truncated;
                changed = true;
            }
        }
        false
    });
    changed
}

fn truncated(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else { return None };
    let FunctionArguments::List(list) = &call.args else { return None };
    let [date, format] = list.args.as_slice() else { return None };
    if !call.name.to_string().eq_ignore_ascii_case("to_char") {
        return None;
    }
    let format = format.to_string();
    let holds = |patterns: &[&str]| patterns.iter().any(|pattern| format.contains(pattern));
    let part = if holds(&["DD", "dd", "%d"]) {
        "day"
    } else if holds(&["MM", "mm", "%m"]) {
        "month"
    } else if holds(&["YYYY", "yyyy", "%Y"]) {
        "year"
    } else {
        return None;
    };
    parsed(&format!("date_trunc('{part}', {date})"))
}

/// `ROLLUP (a, b)` and `CUBE (a, b)` become the groups `a, b`.
///
/// Each set of keys is an aggregation of its own, of which one statement has a few; all keys together are one
/// (`sandbox/docs/disclosure-model.md`, section 5.11).
pub(super) fn plain_groups(query: &mut Query, _finding: &Finding, _sql: &str) -> bool {
    any_select(query, &mut |select| {
        let GroupByExpr::Expressions(keys, modifiers) = &mut select.group_by else { return false };
        let mut changed = !modifiers.is_empty();
        modifiers.clear();
        let mut plain: Vec<Expr> = Vec::with_capacity(keys.len());
        for key in keys.drain(..) {
            match key {
                Expr::Rollup(sets) | Expr::Cube(sets) => {
                    changed = true;
                    plain.extend(sets.into_iter().flatten());
                }
                Expr::GroupingSets(sets) => {
                    changed = true;
                    let widest = sets.into_iter().max_by_key(Vec::len).unwrap_or_default();
                    plain.extend(widest);
                }
                other => plain.push(other),
            }
        }
        *keys = plain;
        changed
    })
}
