//! Forms that the engine answers otherwise than the SQL standard says; each is refused, with a form that is answered right.
//!
//! It looks at the plan as it was asked, before subqueries become joins: afterwards the difference is not to be seen.
//! Known of the engine's version (its tracker: "NOT IN" over correlated subqueries, "USING" of outer joins, "count bug").

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::Result;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::ExprSchemable;
use datafusion_expr::JoinConstraint;
use datafusion_expr::JoinType;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;

use crate::column::cast;
use crate::finding::Finding;
use crate::reason::Reason;
use crate::runnable::first_finding;

/// Refuses a plan that holds a form that the engine answers otherwise than the SQL standard says.
///
/// Such a form gives a wrong number under a right name, and the result shows no sign of it
/// (`sandbox/docs/disclosure-model.md`, section 8).
///
/// # Errors
/// `subquery-not-allowed` or `join-not-allowed`.
pub(crate) fn as_the_standard_says(plan: &LogicalPlan) -> std::result::Result<(), Finding> {
    first_finding(plan, |node, schema| Ok(outer_join_using(node).or(subqueries_of(node, schema)?)))
}

/// Refuses USING of a FULL or RIGHT JOIN: its key is the left one for the engine, and missing where only the right side
/// has a row.
///
/// Such rows would stand in the result beside a missing key, as if their key were unknown
/// (`sandbox/docs/disclosure-model.md`, sections 4.7 and 8).
fn outer_join_using(node: &LogicalPlan) -> Option<Finding> {
    let LogicalPlan::Join(join) = node else { return None };
    let loses_keys = matches!(join.join_type, JoinType::Full | JoinType::Right)
        && join.join_constraint == JoinConstraint::Using;
    loses_keys.then(|| {
        Finding::of(Reason::OuterJoinUsing).with("operation", "using").help(
            "write ON a.key = b.key, and COALESCE(a.key, b.key) for the key of a FULL or RIGHT JOIN",
            "FULL 或 RIGHT JOIN 请改用 ON a.key = b.key，并以 COALESCE(a.key, b.key) 取关联字段",
        )
    })
}

/// Looks at every expression of a node for subqueries, lists and casts that the engine answers wrongly.
///
/// Of a filter's conjuncts only what is true counts, so that unknown in the place of false makes no difference there; in
/// every other place it does (`sandbox/docs/disclosure-model.md`, section 8).
fn subqueries_of(node: &LogicalPlan, schema: &DFSchema) -> Result<Option<Finding>> {
    let mut found = None;
    node.apply_expressions(|expr| {
        expr.apply(|inner| {
            if compares_fewer_places(inner, schema) {
                found.get_or_insert_with(fewer_places);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        // A condition is true, false or unknown; of conjuncts only what is true counts.
        match node {
            LogicalPlan::Filter(_) => judge_conjuncts(expr, &mut found)?,
            _ => judge(expr, false, &mut found)?,
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Judges a filter conjunct by conjunct: as a conjunct, and without a row outside, the engine takes unknown for what it
/// is.
///
/// `zip NOT IN (SELECT zip FROM zones)` is answered right there and stays admitted; under OR or with a row outside it is
/// not (`sandbox/docs/disclosure-model.md`, sections 4.11 and 8).
fn judge_conjuncts(expr: &Expr, found: &mut Option<Finding>) -> Result<()> {
    match expr {
        Expr::BinaryExpr(binary) if binary.op == Operator::And => {
            judge_conjuncts(&binary.left, found)?;
            judge_conjuncts(&binary.right, found)
        }
        // As a conjunct, and of no row outside, the engine takes unknown for what it is.
        Expr::InSubquery(inner) if inner.subquery.outer_ref_columns.is_empty() => {
            judge(&inner.expr, true, found)
        }
        Expr::Not(inner) => match &**inner {
            Expr::InSubquery(inner) if inner.subquery.outer_ref_columns.is_empty() => {
                judge(&inner.expr, true, found)
            }
            _ => judge(expr, false, found),
        },
        _ => judge(expr, false, found),
    }
}

/// Looks at everything within an expression that is no conjunct. `tells` is true where unknown is another outcome than
/// false: under NOT, in comparisons, in tests for unknown.
///
/// The engine makes a join of IN and EXISTS, which knows no unknown, forgets an OFFSET, and forgets the one row of an
/// aggregate over nothing; each of them is refused where the answer would differ
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn judge(expr: &Expr, tells: bool, found: &mut Option<Finding>) -> Result<()> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other expressions hand on what their parts come to")]
    let within = match expr {
        Expr::InSubquery(inner) => {
            let is_correlated = !inner.subquery.outer_ref_columns.is_empty();
            if inner.negated || tells {
                found.get_or_insert_with(not_in);
            } else if is_correlated && skips_rows(&inner.subquery.subquery) {
                found.get_or_insert_with(offset);
            } else if is_one_row(&inner.subquery.subquery) {
                found.get_or_insert_with(one_row);
            }
            tells
        }
        Expr::Exists(exists) if skips_rows(&exists.subquery.subquery) => {
            found.get_or_insert_with(offset);
            tells
        }
        Expr::Exists(exists) if is_one_row(&exists.subquery.subquery) => {
            found.get_or_insert_with(one_row);
            tells
        }
        Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_) => true,
        Expr::BinaryExpr(binary) if exclude_each_other(binary) => {
            found.get_or_insert_with(memberships);
            tells
        }
        Expr::BinaryExpr(binary) => tells || !matches!(binary.op, Operator::And | Operator::Or),
        _ => tells,
    };
    expr.apply_children(|child| {
        judge(child, within, found)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// True of `x IN (1) AND x IN (2)`, which the engine takes for false, and of `x NOT IN (1) OR x NOT IN (2)`, which it
/// takes for true, also where x is missing.
///
/// The standard has unknown there, so that a CASE or a count over it has another answer
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn exclude_each_other(binary: &BinaryExpr) -> bool {
    let negated = match binary.op {
        Operator::And => false,
        Operator::Or => true,
        _ => return false,
    };
    let mut lists: Vec<&Expr> = Vec::new();
    let mut waiting = vec![&*binary.left, &*binary.right];
    while let Some(expr) = waiting.pop() {
        match expr {
            Expr::BinaryExpr(inner) if inner.op == binary.op => waiting.extend([&*inner.left, &*inner.right]),
            Expr::InList(list) if list.negated == negated => {
                if lists.contains(&&*list.expr) {
                    return true;
                }
                lists.push(&list.expr);
            }
            _ => {}
        }
    }
    false
}

/// True of a comparison with a cast to fewer decimal places, such as `CAST(x AS DECIMAL(20, 0)) = 40`.
///
/// The engine compares x itself, and 40.3 is not 40, where the standard compares the rounded number
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn compares_fewer_places(expr: &Expr, schema: &DFSchema) -> bool {
    let loses = |side: &Expr| {
        let Some((inner, target)) = cast(side) else { return false };
        let Ok(DataType::Decimal128(_, places) | DataType::Decimal256(_, places)) = inner.get_type(schema)
        else {
            return false;
        };
        match target {
            DataType::Decimal128(_, kept) | DataType::Decimal256(_, kept) => *kept < places,
            other => other.is_integer() && places > 0,
        }
    };
    match expr {
        Expr::BinaryExpr(binary) => {
            binary.op.supports_propagation() && (loses(&binary.left) || loses(&binary.right))
        }
        Expr::InList(list) => loses(&list.expr),
        Expr::Between(between) => loses(&between.expr),
        _ => false,
    }
}

/// True if a subquery leaves out its first rows, which is forgotten once it is a join.
///
/// `EXISTS (SELECT 1 ... OFFSET 1)` asks who has two rows and would be answered with who has one
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn skips_rows(plan: &LogicalPlan) -> bool {
    ends_in(plan, &|node| matches!(node, LogicalPlan::Limit(limit) if limit.skip.is_some()))
}

/// True if a subquery is an aggregate without keys: it has one row even of nothing, and as a join it has none.
///
/// `EXISTS (SELECT COUNT(*) ...)` is true of everybody, and would be answered with those who have rows
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn is_one_row(plan: &LogicalPlan) -> bool {
    ends_in(
        plan,
        &|node| matches!(node, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty()),
    )
}

/// True if a plan is such a node, or hands on the rows of one.
fn ends_in(plan: &LogicalPlan, is_such: &dyn Fn(&LogicalPlan) -> bool) -> bool {
    let hands_on = matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
    );
    is_such(plan) || hands_on && plan.inputs().into_iter().any(|input| ends_in(input, is_such))
}

/// The refusal of NOT IN over a correlated subquery, or beside OR.
///
/// The engine takes an unknown value on the right for no match, and would count rows that the standard leaves out
/// (`sandbox/docs/disclosure-model.md`, sections 4.11 and 8).
fn not_in() -> Finding {
    Finding::of(Reason::NotInSubquery).with("operation", "in").help(
        "NOT IN over a subquery that reads the row outside, or beside OR, is not answered: write NOT EXISTS (SELECT 1 ... AND y = x), which takes an unknown y for no match",
        "引用外层行或与 OR 并列的 NOT IN 子查询不予支持：请改写为 NOT EXISTS (SELECT 1 … AND y = x)，其中未知的 y 视为不匹配",
    )
}

/// The refusal of OFFSET within EXISTS or IN: the engine makes a join of the subquery and forgets the OFFSET, so that who
/// has one row is counted as one who has two (`sandbox/docs/disclosure-model.md`, section 8).
fn offset() -> Finding {
    Finding::of(Reason::SubqueryWithOffset).with("operation", "exists").help(
        "OFFSET within EXISTS or IN is not answered: compare a count, as in (SELECT COUNT(*) ...) > 1",
        "EXISTS 或 IN 中的 OFFSET 不予支持：请改为比较计数，例如 (SELECT COUNT(*) …) > 1",
    )
}

/// The refusal of two lists of one value that exclude each other: the engine takes them for false where the value is
/// missing, and the standard for unknown (`sandbox/docs/disclosure-model.md`, section 8).
fn memberships() -> Finding {
    Finding::of(Reason::ListsOfOneValue).with("operation", "in").help(
        "two lists of one value are one list: write x IN (what both hold), or x NOT IN (what both hold)",
        "同一取值的两个列表请合并为一个：写作 x IN（二者共有的值）或 x NOT IN（二者共有的值）",
    )
}

/// The refusal of a comparison with a cast to fewer decimal places: the engine leaves the cast out, and compares another
/// number than the one that was asked about (`sandbox/docs/disclosure-model.md`, section 8).
fn fewer_places() -> Finding {
    Finding::of(Reason::CastToFewerPlaces).with("operation", "cast").help(
        "a cast to fewer decimal places is not compared: compare ROUND(x), or FLOOR(x)",
        "转换为更少小数位的值不能比较：请比较 ROUND(x) 或 FLOOR(x)",
    )
}

/// The refusal of EXISTS or IN over an aggregate without keys: the engine forgets its row of nothing, and would leave out
/// everybody who has no rows (`sandbox/docs/disclosure-model.md`, section 8).
fn one_row() -> Finding {
    Finding::of(Reason::SubqueryOfOneRow).with("operation", "exists").help(
        "an aggregate without GROUP BY always has a row: compare it as (SELECT COUNT(*) ...) > 0, or write EXISTS (SELECT 1 ...)",
        "无 GROUP BY 的聚合总有一行：请改为比较 (SELECT COUNT(*) …) > 0，或写作 EXISTS (SELECT 1 …)",
    )
}

#[cfg(test)]
mod tests {
    use crate::finding::Code;
    use crate::fixture::codes;

    #[test]
    fn what_the_engine_answers_wrong_is_refused() {
        for (sql, code) in [
            (
                "SELECT dept, a.n, b.n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a FULL JOIN (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) b USING (dept)",
                Code::JoinNotAllowed,
            ),
            (
                "SELECT dept, a.n, b.n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a RIGHT JOIN (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) b USING (dept)",
                Code::JoinNotAllowed,
            ),
            (
                "SELECT COUNT(*) FROM persons p WHERE 3 NOT IN (SELECT day FROM visits v WHERE v.person_id = p.person_id)",
                Code::SubqueryNotAllowed,
            ),
            (
                "SELECT COUNT(*) FROM persons p WHERE NOT (3 IN (SELECT day FROM visits v WHERE v.person_id = p.person_id))",
                Code::SubqueryNotAllowed,
            ),
            (
                "SELECT COUNT(*) FROM persons p WHERE dept = 'tax' OR 3 NOT IN (SELECT day FROM visits v WHERE v.person_id = p.person_id)",
                Code::SubqueryNotAllowed,
            ),
            (
                "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id)",
                Code::SubqueryNotAllowed,
            ),
            (
                "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id HAVING COUNT(*) = 0)",
                Code::SubqueryNotAllowed,
            ),
        ] {
            assert_eq!(codes(sql), [code], "{sql}");
        }
        let results = "(SELECT dept, AVG(cost) AS q, COUNT(*) AS x FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY dept) t";
        for (form, code) in [
            ("x IN (400) AND x IN (405)", Code::QueryNotUnderstood),
            ("x NOT IN (400) OR x NOT IN (405)", Code::QueryNotUnderstood),
            ("CAST(SUM(q) OVER () AS DECIMAL(20, 0)) = 40", Code::QueryNotUnderstood),
        ] {
            assert_eq!(codes(&format!("SELECT {form} FROM {results}")), [code], "{form}");
        }
        for sql in [
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id OFFSET 1)",
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id LIMIT 1 OFFSET 2)",
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM zones z WHERE z.zip = p.zip OFFSET 1)",
        ] {
            assert_eq!(codes(sql), [Code::SubqueryNotAllowed], "{sql}");
        }
    }

    #[test]
    fn their_neighbours_are_admitted() {
        for sql in [
            "SELECT COALESCE(a.dept, b.dept), a.n, b.n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a FULL JOIN (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) b ON a.dept = b.dept",
            "SELECT dept, a.n, b.n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a LEFT JOIN (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) b USING (dept)",
            "SELECT COUNT(*) FROM persons p WHERE 3 IN (SELECT day FROM visits v WHERE v.person_id = p.person_id)",
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)",
            "SELECT COUNT(*) FROM persons WHERE zip NOT IN (SELECT zip FROM zones)",
            "SELECT COUNT(*) FROM persons p WHERE NOT (dept = 'tax') OR 3 IN (SELECT day FROM visits v WHERE v.person_id = p.person_id)",
            "SELECT COUNT(*) FROM persons p WHERE (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id) = 0",
        ] {
            assert_eq!(codes(sql), [], "{sql}");
        }
    }
}
