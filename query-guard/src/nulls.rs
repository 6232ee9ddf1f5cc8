//! `ON a.k = b.k OR (a.k IS NULL AND b.k IS NULL)`, which tools write that know of no `IS NOT DISTINCT FROM`: a join by
//! equal keys, where the engine sees none and would compare every row with every other.

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use datafusion_expr::utils::conjunction;
use datafusion_expr::utils::split_conjunction_owned;

/// The plan, whose conditions of joins say IS NOT DISTINCT FROM where they mean it. Of a join nothing but true counts, so
/// that unknown in the one form and false in the other are the same.
///
/// Without it the engine sees no key and compares every row with every other, which nothing bounds; and the rule for keys
/// that match when both are missing, which are not unique, would not see them
/// (`sandbox/docs/disclosure-model.md`, section 4.11).
///
/// # Errors
/// When the plan cannot be walked.
pub(crate) fn joined_where_both_are_missing(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(mut join) = node else { return Ok(Transformed::no(node)) };
        let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        let parts =
            split_conjunction_owned(filter).into_iter().map(|part| not_distinct(&part).unwrap_or(part));
        join.filter = conjunction(parts);
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    })?;
    Ok(changed.data)
}

/// `a IS NOT DISTINCT FROM b` for `a = b OR (a IS NULL AND b IS NULL)`, in either order.
///
/// Both sides must be the same two expressions; of other pairs the forms have different answers
/// (`sandbox/docs/disclosure-model.md`, section 4.11).
fn not_distinct(expr: &Expr) -> Option<Expr> {
    let (one, other) = parts(expr, Operator::Or)?;
    let found = |equal: &Expr, missing: &Expr| {
        let (a, b) = parts(equal, Operator::Eq)?;
        let (first, second) = parts(missing, Operator::And)?;
        let (Expr::IsNull(first), Expr::IsNull(second)) = (first, second) else { return None };
        let are_these = (**first == *a && **second == *b) || (**first == *b && **second == *a);
        are_these.then(|| datafusion_expr::binary_expr(a.clone(), Operator::IsNotDistinctFrom, b.clone()))
    };
    found(one, other).or_else(|| found(other, one))
}

fn parts(expr: &Expr, wanted: Operator) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == wanted => Some((left, right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::finding::Code;
    use crate::fixture::codes;

    #[test]
    fn results_are_joined_where_both_keys_are_missing() {
        let of = |on: &str| {
            let side = "(SELECT dept AS k, COUNT(*) AS n FROM persons GROUP BY dept)";
            format!("SELECT a.k, a.n, b.n FROM {side} a JOIN {side} b ON {on}")
        };
        for on in [
            "a.k = b.k OR (a.k IS NULL AND b.k IS NULL)",
            "(b.k IS NULL AND a.k IS NULL) OR a.k = b.k",
            "a.k IS NOT DISTINCT FROM b.k",
        ] {
            let plan = crate::fixture::admitted(&of(on)).post().display_indent().to_string();
            assert!(plan.contains("Join: a.k = b.k"), "{on}\n{plan}");
        }
        let other = "a.k = b.k OR (a.k IS NULL AND a.n IS NULL)";
        let plan = crate::fixture::admitted(&of(other)).post().display_indent().to_string();
        assert!(!plan.contains("Join: a.k = b.k"), "{plan}");
        let people = "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip OR (p.zip IS NULL AND z.zip IS NULL)";
        assert_eq!(codes(people), [Code::JoinNotAllowed], "individuals meet by equal keys that are there");
    }
}
