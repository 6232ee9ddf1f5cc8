//! Names that a changed query may not keep: what an alias or a constant says of the rows must hold of the new ones.
//!
//! An alias stays when it says nothing but what stands in the query (`AS n`, `AS avg_cost`); any other is left out, for
//! the engine then names the column after its expression. A label that cannot be left out ends the rewrite.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::FunctionArg;
use datafusion_sql::sqlparser::ast::FunctionArgExpr;
use datafusion_sql::sqlparser::ast::FunctionArguments;
use datafusion_sql::sqlparser::ast::Ident;
use datafusion_sql::sqlparser::ast::OrderBy;
use datafusion_sql::sqlparser::ast::OrderByKind;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::SelectItem;
use datafusion_sql::sqlparser::ast::SetExpr;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::ast::visit_expressions;
use datafusion_sql::sqlparser::ast::visit_relations;

use crate::rewrite::parts::any_select;

/// Words that say how something is counted, and nothing of whom.
const NEUTRAL: &[&str] = &[
    "a", "average", "avg", "b", "band", "bucket", "by", "c", "cnt", "count", "date", "day", "group", "grp",
    "k", "key", "label", "m", "mean", "median", "month", "n", "num", "number", "of", "people", "per",
    "percent", "persons", "quarter", "rank", "rate", "ratio", "records", "result", "rows", "s", "share",
    "sum", "total", "v", "value", "week", "x", "y", "year",
];
/// The same in Chinese.
const NEUTRAL_ZH: &[&str] =
    &["人数", "次数", "笔数", "户数", "数量", "总数", "合计", "平均", "均值", "占比", "比例", "总额", "金额"];

/// Leaves out every alias that the changed query may make false; false when a label remains that cannot be left out.
///
/// `SELECT 'minors' AS grp, COUNT(*) ... WHERE age < 18`, moved to 20, would count more people than its label says
/// (`sandbox/docs/disclosure-model.md`, section 3).
pub(super) fn without_false_names(query: &mut Query) -> bool {
    let mut aliases = BTreeSet::new();
    any_select(query, &mut |select| {
        aliases.extend(select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
            _ => None,
        }));
        false
    });
    let words = words_of(query, &aliases);
    order_by_expressions(query, &words);
    let text = query.to_string().to_lowercase();
    let mut fits = true;
    any_select(query, &mut |select| {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                fits &= !is_constant_label(expr) && !has_numbered_label(expr);
            }
            let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
            let is_own_name = expr.to_string().eq_ignore_ascii_case(&alias.value);
            if !is_own_name && !says_nothing_else(&alias.value, &words) {
                // Where another part of the query reads the column by its name, the name cannot go.
                fits &= text.matches(&alias.value.to_lowercase()).count() == 1;
                *item = SelectItem::UnnamedExpr(expr.clone());
            }
        }
        false
    });
    fits
}

/// Orders by what an alias stands for, where the alias will go.
fn order_by_expressions(query: &mut Query, words: &BTreeSet<String>) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let named: Vec<(String, Expr)> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if !says_nothing_else(&alias.value, words) => {
                Some((alias.value.to_lowercase(), expr.clone()))
            }
            _ => None,
        })
        .collect();
    let Some(OrderBy { kind: OrderByKind::Expressions(orders), .. }) = &mut query.order_by else { return };
    for order in orders {
        let Expr::Identifier(ident) = &order.expr else { continue };
        let name = ident.value.to_lowercase();
        if let Some((_, expr)) = named.iter().find(|(alias, _)| *alias == name) {
            order.expr = expr.clone();
        }
    }
}

/// The words of columns, functions and tables that the query reads; a column that is named by an alias is none.
fn words_of(query: &Query, aliases: &BTreeSet<String>) -> BTreeSet<String> {
    let mut names: Vec<String> = Vec::new();
    let mut note = |ident: &Ident| {
        names.extend(Some(ident.value.to_lowercase()).filter(|name| !aliases.contains(name)));
    };
    let _ = visit_expressions(query, |expr| {
        match expr {
            Expr::Identifier(ident) => note(ident),
            Expr::CompoundIdentifier(idents) => idents.iter().for_each(&mut note),
            Expr::Function(call) => {
                call.name.0.iter().filter_map(|part| part.as_ident()).for_each(&mut note);
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_relations(query, |name| {
        names.extend(name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()));
        ControlFlow::<()>::Continue(())
    });
    names.iter().flat_map(|name| parts(name).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn says_nothing_else(alias: &str, words: &BTreeSet<String>) -> bool {
    let alias = alias.to_lowercase();
    let rest = NEUTRAL_ZH.iter().fold(alias, |rest, neutral| rest.replace(neutral, ""));
    parts(&rest).all(|word| NEUTRAL.contains(&word) || words.contains(word))
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty())
}

/// True of a constant beside figures, which says what they are of: `SELECT 'minors' AS grp, COUNT(*) ... WHERE age < 18`.
/// With another bound it would be false (`sandbox/docs/disclosure-model.md`, section 3).
fn is_constant_label(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// A label with a number in it: `'0-14'`.
fn has_numbered_label(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.chars().any(|c| c.is_ascii_digit()),
            _ => false,
        },
        Expr::Case { conditions, else_result, .. } => {
            conditions.iter().any(|branch| has_numbered_label(&branch.result))
                || else_result.as_deref().is_some_and(has_numbered_label)
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => has_numbered_label(inner),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("coalesce") => match &call.args {
            FunctionArguments::List(list) => list.args.iter().any(|argument| {
                matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) if has_numbered_label(inner))
            }),
            FunctionArguments::None | FunctionArguments::Subquery(_) => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::parse;

    fn renamed(sql: &str) -> Option<String> {
        let mut query = parse(sql).unwrap();
        without_false_names(&mut query).then(|| query.to_string())
    }

    #[test]
    fn an_alias_that_says_what_is_counted_stays() {
        for sql in [
            "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept",
            "SELECT AVG(cost) AS avg_cost FROM visits",
            "SELECT COUNT(*) AS total_persons FROM persons",
            "SELECT COUNT(*) AS 人数 FROM persons",
            "SELECT dept, SUM(cost) AS cost_by_dept FROM visits GROUP BY dept ORDER BY cost_by_dept",
        ] {
            assert_eq!(renamed(sql).as_deref(), Some(sql));
        }
    }

    #[test]
    fn an_alias_that_says_more_goes_and_a_label_ends_it() {
        assert_eq!(renamed("SELECT COUNT(*) AS minors FROM t").as_deref(), Some("SELECT COUNT(*) FROM t"));
        assert_eq!(
            renamed("SELECT COUNT(*) AS 未成年人数 FROM t").as_deref(),
            Some("SELECT COUNT(*) FROM t")
        );
        assert_eq!(
            renamed("SELECT dept, COUNT(*) AS minors FROM t GROUP BY dept ORDER BY minors DESC LIMIT 3")
                .as_deref(),
            Some("SELECT dept, COUNT(*) FROM t GROUP BY dept ORDER BY COUNT(*) DESC LIMIT 3")
        );
        for sql in [
            "SELECT minors FROM (SELECT COUNT(*) AS minors FROM t) u",
            "SELECT 'minors' AS grp, COUNT(*) FROM t",
            "SELECT CASE WHEN sex = 'f' THEN 'women 0-14' END AS k, COUNT(*) FROM t GROUP BY 1",
        ] {
            assert_eq!(renamed(sql), None, "{sql}");
        }
    }
}
