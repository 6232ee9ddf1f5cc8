//! The logic of SQL that joins conditions: AND, OR, NOT and the tests for true, false and unknown, as a [`Condition`] over what they join.

use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;

use crate::cover::Condition;

/// The condition that an expression joins of others, each of which `of` makes a condition of; nothing where it joins none.
///
/// # Errors
/// Those of `of`.
pub(crate) fn joined<E>(
    expr: &Expr,
    mut of: impl FnMut(&Expr) -> Result<Condition, E>,
) -> Result<Option<Condition>, E> {
    let certain = |condition: Condition| Condition::IsTrue(Box::new(condition));
    let not = |condition: Condition| Condition::Not(Box::new(condition));
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else joins conditions")]
    let condition = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Condition::All(vec![of(left)?, of(right)?])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Condition::Any(vec![of(left)?, of(right)?])
        }
        Expr::Not(inner) => not(of(inner)?),
        Expr::IsTrue(inner) => certain(of(inner)?),
        Expr::IsNotTrue(inner) => not(certain(of(inner)?)),
        Expr::IsFalse(inner) => certain(not(of(inner)?)),
        Expr::IsNotFalse(inner) => not(certain(not(of(inner)?))),
        Expr::IsUnknown(inner) => {
            let inner = of(inner)?;
            Condition::All(vec![not(certain(inner.clone())), not(certain(not(inner)))])
        }
        Expr::IsNotUnknown(inner) => {
            let inner = of(inner)?;
            Condition::Any(vec![certain(inner.clone()), certain(not(inner))])
        }
        _ => return Ok(None),
    };
    Ok(Some(condition))
}

/// The conditions under which each branch is reached, once those before it were not: true or false, and never unknown.
///
/// # Errors
/// Those of `of`.
pub(crate) fn reached<V, E>(
    branches: Vec<(Option<Expr>, V)>,
    mut of: impl FnMut(&Expr) -> Result<Condition, E>,
) -> Result<Vec<(Condition, V)>, E> {
    let mut before: Vec<Condition> = Vec::new();
    let mut cases = Vec::with_capacity(branches.len());
    for (when, value) in branches {
        let mut reached = before.clone();
        if let Some(when) = when {
            let when = Condition::IsTrue(Box::new(of(&when)?));
            before.push(Condition::Not(Box::new(when.clone())));
            reached.push(when);
        }
        cases.push((Condition::All(reached), value));
    }
    Ok(cases)
}
