//! Outer joins: the columns of a side that found nothing are missing, also where they are computed.

use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::LogicalPlan;
use datafusion_expr::utils::split_conjunction;

use crate::column::only_where;
use crate::column_facts::base_column;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::reason::Reason;

use super::refusal::join_refusal;

/// The columns of a side, made missing in rows where an outer join found nothing there, also where they would have a
/// value made from missing ones, as a label or COALESCE has.
///
/// Otherwise `LEFT JOIN (SELECT person_id, 'came' AS f FROM visits ...)` would say `came` of people who never came. A
/// made column of a side without a key is refused, because nothing tells whether its row is there
/// (`sandbox/docs/disclosure-model.md`, section 4.7).
pub(super) fn only_where_present(outputs: Vec<Expr>, key: Option<String>) -> Result<Vec<Expr>, Refused> {
    let present = |output: Expr| {
        if is_strict(&output) {
            return Ok(output);
        }
        let key = key.as_deref().ok_or_else(|| join_refusal(Reason::OuterColumnMade))?;
        let found = Expr::IsNotNull(Box::new(base_column(key)));
        Ok(only_where(found, output))
    };
    outputs.into_iter().map(present).collect()
}

/// The same rows, with conditions that do not tell the engine that a column is constant.
///
/// It would take the column for constant above an outer join as well, where it may be missing, and leave out sorts by
/// it (DataFusion 55, `EquivalenceGroup::join`): the first row of a person would then be another one than was asked for
/// (`sandbox/docs/disclosure-model.md`, section 4.7).
pub(super) fn without_constants(plan: LogicalPlan) -> Result<LogicalPlan, Refused> {
    plan.transform_down(|node| match node {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let conditions = split_conjunction(&predicate).into_iter().cloned();
            let opaque = conditions.map(|condition| Expr::IsTrue(Box::new(condition))).reduce(Expr::and);
            let predicate = opaque.unwrap_or(predicate);
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
    .map_err(not_built)
}

/// NULL for certain when its columns are. Any other form is taken for one that has a value of its own, and is guarded
/// (`sandbox/docs/disclosure-model.md`, section 4.7).
fn is_strict(expr: &Expr) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard is taken for one that is not")]
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_strict(&alias.expr),
        Expr::Cast(cast) => is_strict(&cast.expr),
        Expr::TryCast(cast) => is_strict(&cast.expr),
        _ => false,
    }
}
