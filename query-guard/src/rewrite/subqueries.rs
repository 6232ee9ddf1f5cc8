//! Asking in another way what a subquery or a count of values asks: joins for EXISTS, groups for COUNT(DISTINCT column).

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::BinaryOperator;
use datafusion_sql::sqlparser::ast::DuplicateTreatment;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::FunctionArg;
use datafusion_sql::sqlparser::ast::FunctionArgExpr;
use datafusion_sql::sqlparser::ast::FunctionArguments;
use datafusion_sql::sqlparser::ast::GroupByExpr;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Select;
use datafusion_sql::sqlparser::ast::SelectItem;
use datafusion_sql::sqlparser::ast::SetExpr;
use datafusion_sql::sqlparser::ast::TableFactor;
use datafusion_sql::sqlparser::ast::visit_expressions_mut;

use crate::finding::Finding;
use crate::rewrite::aggregates::parsed;
use crate::rewrite::parse;
use crate::rewrite::parts::any_select;
use crate::rewrite::parts::output_expr;
use crate::rewrite::parts::reset_order;

/// `CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE v.id = p.id AND ...) THEN ...` becomes a LEFT JOIN of those whom the
/// subquery finds, and `found.key IS NOT NULL`.
///
/// The found rows are grouped by their key, so that the join repeats nobody and the figures stay the same
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.7).
pub(super) fn exists_as_join(query: &mut Query, _finding: &Finding, _sql: &str) -> bool {
    any_select(query, &mut |select| {
        let mut joins = Vec::new();
        let outside = select.projection.iter_mut().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let keys = match &mut select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.as_mut_slice(),
            GroupByExpr::All(_) => &mut [],
        };
        for expr in outside.chain(keys) {
            let _ = visit_expressions_mut(expr, |inner| {
                if let Expr::Exists { subquery, negated } = inner
                    && let Some(found) = Found::by(subquery)
                {
                    let name = joins.iter().position(|known| *known == found).unwrap_or_else(|| {
                        joins.push(found);
                        joins.len() - 1
                    });
                    let test = if *negated { "IS NULL" } else { "IS NOT NULL" };
                    if let Some(test) = parsed(&format!("found{name}.k {test}")) {
                        *inner = test;
                    }
                }
                ControlFlow::<()>::Continue(())
            });
        }
        let Some(from) = select.from.last_mut() else { return false };
        for (name, found) in joins.iter().enumerate() {
            let Found { inner, outer, rows } = found;
            let text = format!(
                "SELECT 1 FROM t LEFT JOIN (SELECT {inner} AS k FROM {rows} GROUP BY {inner}) found{name} ON found{name}.k = {outer}"
            );
            let Some(Select { from: mut parsed, .. }) = select_of(&text) else { return false };
            let Some(join) = parsed.pop().and_then(|mut table| table.joins.pop()) else { return false };
            from.joins.push(join);
        }
        !joins.is_empty()
    })
}

/// The rows that an EXISTS looks for: of one table, under a condition, met by equal keys.
#[derive(PartialEq)]
struct Found {
    inner: String,
    outer: String,
    rows: String,
}

impl Found {
    /// One table, one equality between its column and a column from outside, each with its table's name.
    fn by(subquery: &Query) -> Option<Self> {
        let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
        let plain = subquery.limit_clause.is_none() && select.having.is_none() && subquery.with.is_none();
        let [table] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, alias, .. } = &table.relation else { return None };
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if !plain || grouped || !table.joins.is_empty() {
            return None;
        }
        let own = alias.as_ref().map_or_else(|| name.to_string(), |alias| alias.name.value.clone());
        let is_own = |expr: &Expr| match expr {
            Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|part| part.value == own),
            _ => false,
        };
        let mut parts = Vec::new();
        conjuncts(select.selection.as_ref()?, &mut parts);
        let (mut keys, mut rest) = (None, Vec::new());
        for part in parts {
            match part {
                Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
                    if matches!(**right, Expr::CompoundIdentifier(_)) && is_own(left) != is_own(right) =>
                {
                    let (inner, outer) = if is_own(left) { (left, right) } else { (right, left) };
                    if keys.replace((inner.to_string(), outer.to_string())).is_some() {
                        return None;
                    }
                }
                other => rest.push(other.to_string()),
            }
        }
        let (inner, outer) = keys?;
        let condition =
            if rest.is_empty() { String::new() } else { format!(" WHERE {}", rest.join(" AND ")) };
        Some(Self { inner, outer, rows: format!("{}{condition}", table.relation) })
    }
}

fn conjuncts<'e>(expr: &'e Expr, found: &mut Vec<&'e Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        Expr::Nested(inner) => conjuncts(inner, found),
        other => found.push(other),
    }
}

/// `SELECT k, COUNT(DISTINCT v) ... GROUP BY k` becomes a count of the groups of k and v.
///
/// COUNT(DISTINCT v) would show whether somebody has a value that nobody else has; the groups of v that are counted have
/// each passed the threshold (`sandbox/docs/disclosure-model.md`, sections 3 and 5.1).
pub(super) fn values_as_groups(query: &mut Query, finding: &Finding, _sql: &str) -> bool {
    if finding.params.get("function").is_none_or(|name| name != "count(distinct)") {
        return false;
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let (mut keys, mut value) = (Vec::new(), None);
    for output in &select.projection {
        match output_expr(output).map(counted_value) {
            Some(Some(counted)) if value.is_none() => value = Some(counted),
            Some(None)
                if matches!(output_expr(output), Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_))) =>
            {
                keys.extend(output_expr(output).map(ToString::to_string));
            }
            _ => return false,
        }
    }
    let plain = select.having.is_none() && query.with.is_none() && select.distinct.is_none();
    let (Some(value), true) = (value, plain) else { return false };
    let mut inner = select.as_ref().clone();
    inner.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    inner.projection.clear();
    let named = keys.iter().enumerate().map(|(at, key)| format!("{key} AS k{at}"));
    let listed = named.chain([format!("{value} AS v")]).collect::<Vec<_>>().join(", ");
    let from = inner.to_string();
    let Some(rows) = from.trim().strip_prefix("SELECT") else { return false };
    let shown: Vec<String> = (0..keys.len()).map(|at| format!("k{at}")).collect();
    let (list, group) = (shown.join(", "), shown.join(", "));
    let text = if keys.is_empty() {
        format!("SELECT COUNT(v) FROM (SELECT DISTINCT {listed} {rows}) t")
    } else {
        format!("SELECT {list}, COUNT(v) FROM (SELECT DISTINCT {listed} {rows}) t GROUP BY {group}")
    };
    match parse(&text) {
        Some(parsed) => {
            *query = parsed;
            reset_order(query)
        }
        None => false,
    }
}

/// The value of `COUNT(DISTINCT value)`.
fn counted_value(expr: &Expr) -> Option<String> {
    let Expr::Function(call) = expr else { return None };
    let FunctionArguments::List(list) = &call.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else { return None };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct) && call.filter.is_none();
    (is_distinct && call.name.to_string().eq_ignore_ascii_case("count")).then(|| value.to_string())
}

fn select_of(text: &str) -> Option<Select> {
    match *parse(text)?.body {
        SetExpr::Select(select) => Some(*select),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::rewrite;

    #[test]
    fn exists_in_a_case_is_offered_as_a_join() {
        assert_eq!(
            rewrite("SELECT CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 2) THEN 'came' ELSE 'stayed' END AS k, COUNT(*) FROM persons p GROUP BY 1").as_deref(),
            Some("SELECT CASE WHEN found0.k IS NOT NULL THEN 'came' ELSE 'stayed' END AS k, COUNT(*) FROM persons p LEFT JOIN (SELECT v.person_id AS k FROM visits v WHERE v.day = 2 GROUP BY v.person_id) found0 ON found0.k = p.person_id GROUP BY 1")
        );
        let share = "SELECT dept, AVG(CASE WHEN NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id) THEN 1.0 ELSE 0.0 END) FROM persons p GROUP BY dept";
        assert!(rewrite(share).is_some_and(|sql| sql.contains("found0.k IS NULL")));
    }

    #[test]
    fn different_values_are_offered_as_groups() {
        assert_eq!(
            rewrite("SELECT COUNT(DISTINCT day) AS days FROM visits WHERE cost >= 100").as_deref(),
            Some("SELECT COUNT(v) FROM (SELECT DISTINCT day AS v FROM visits WHERE cost >= 100) t")
        );
        assert_eq!(
            rewrite("SELECT p.dept, COUNT(DISTINCT v.day) FROM persons p JOIN visits v ON v.person_id = p.person_id GROUP BY p.dept").as_deref(),
            Some("SELECT k0, COUNT(v) FROM (SELECT DISTINCT p.dept AS k0, v.day AS v FROM persons p JOIN visits v ON v.person_id = p.person_id) t GROUP BY k0")
        );
        assert!(rewrite("SELECT h.holiday, COUNT(DISTINCT v.day) FROM visits v JOIN holidays h ON v.day BETWEEN h.first_day AND h.last_day GROUP BY 1").is_some());
    }
}
