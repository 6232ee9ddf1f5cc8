//! The budget of one review: nodes of expressions that it builds or looks at, and time that its caller measures.
//! It decides nothing about a question but that judging it costs too much.

use std::cell::Cell;
use std::fmt;

use datafusion_common::tree_node::TreeNode as _;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;

use crate::finding::Finding;
use crate::limits::REVIEW_NODES_MAX;
use crate::limits::too_large;
use crate::reason::Reason;

/// After so many nodes the caller is asked whether the review has lasted too long.
const NODES_BETWEEN_LOOKS: u64 = 4_096;

/// The budget of one review, shared by everything that judges expressions in it.
///
/// COALESCE, NULLIF and CASE with an operand use their arguments twice, so that nesting doubles at every level what a text
/// of some hundred bytes comes to: nodes are counted as they are built, not as they are written.
pub(crate) struct Budget<'a> {
    left: Cell<u64>,
    next_look: Cell<u64>,
    is_over: &'a dyn Fn() -> bool,
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("left", &self.left.get()).finish_non_exhaustive()
    }
}

impl<'a> Budget<'a> {
    /// A whole budget; `is_over` says whether the review has lasted too long.
    ///
    /// A question whose review goes on would hold up the questions of others, because a review cannot be ended from
    /// outside (`sandbox/docs/disclosure-model.md`, section 3).
    pub(crate) fn new(is_over: &'a dyn Fn() -> bool) -> Self {
        let next_look = REVIEW_NODES_MAX.saturating_sub(NODES_BETWEEN_LOOKS);
        Budget { left: Cell::new(REVIEW_NODES_MAX), next_look: Cell::new(next_look), is_over }
    }

    /// Takes the nodes of an expression from the budget.
    ///
    /// Nodes are counted up to what is left: counting an expression that doubles at every level would cost what the
    /// budget is there to save (`sandbox/docs/disclosure-model.md`, section 3).
    ///
    /// # Errors
    /// `query-too-large` when it is spent.
    pub(crate) fn spend(&self, expr: &Expr) -> Result<(), Finding> {
        let most = self.left.get().saturating_add(1);
        self.take(nodes(expr, most))
    }

    /// Takes so many nodes from the budget.
    ///
    /// A spent budget stays spent, so that no later step of the same review goes on. The clock is looked at every 4,096
    /// nodes: time ends a review and never changes a verdict that it reaches
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    ///
    /// # Errors
    /// `query-too-large` when it is spent.
    pub(crate) fn take(&self, nodes: u64) -> Result<(), Finding> {
        let left = self.left.get().saturating_sub(nodes);
        if left <= self.next_look.get() {
            self.next_look.set(left.saturating_sub(NODES_BETWEEN_LOOKS));
            if left == 0 || (self.is_over)() {
                self.left.set(0);
                return Err(spent());
            }
        }
        self.left.set(left);
        Ok(())
    }
}

/// Nodes of an expression, counted up to a number: beyond it the number is enough to refuse
/// (`sandbox/docs/disclosure-model.md`, section 3).
pub(crate) fn nodes(expr: &Expr, most: u64) -> u64 {
    let mut nodes = 0_u64;
    let counted = expr.apply(|_| {
        nodes += 1;
        Ok(if nodes < most { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    if counted.is_ok() { nodes } else { most }
}

/// The refusal of a question whose review costs too much.
///
/// COALESCE, NULLIF and CASE use their arguments twice, so that a text of some hundred bytes can come to any number of
/// nodes (`sandbox/docs/disclosure-model.md`, section 3).
fn spent() -> Finding {
    too_large(
        Reason::ReviewTooCostly,
        "expressions",
        "write fewer conditions, and nest COALESCE, NULLIF and CASE less deeply".to_owned(),
        "请减少条件，并减少 COALESCE、NULLIF 与 CASE 的嵌套层数".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use datafusion_expr::lit;

    use super::*;
    use crate::finding::Code;

    #[test]
    fn a_spent_budget_stays_spent() {
        let budget = Budget::new(&|| false);
        assert!(budget.spend(&lit(1).eq(lit(2))).is_ok());
        assert_eq!(budget.left.get(), REVIEW_NODES_MAX - 3);
        assert_eq!(budget.take(REVIEW_NODES_MAX).unwrap_err().code, Code::QueryTooLarge);
        assert!(budget.take(1).is_err());
    }

    #[test]
    fn a_review_that_lasts_too_long_ends_at_the_next_look() {
        let budget = Budget::new(&|| true);
        assert!(budget.take(NODES_BETWEEN_LOOKS - 1).is_ok(), "nobody is asked for so few");
        assert!(budget.take(1).is_err());
    }
}
