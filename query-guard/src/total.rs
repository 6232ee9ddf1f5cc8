//! Makes post-processing total: released numbers divided by zero, or not of the type they are cast to, are NULL.
//! A failure would only say what the released numbers say already, but it would cost the analyst the whole result.

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Expr;
use datafusion_expr::ExprSchemable;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use datafusion_expr::TryCast;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Refused;

/// The same plan, whose divisions and casts yield NULL where they would fail.
///
/// # Errors
/// `query-not-understood` when the plan cannot be put together again.
pub(crate) fn total(plan: LogicalPlan) -> Result<LogicalPlan, Refused> {
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|inner| match inner {
                Expr::Cast(cast) => {
                    let target = cast.field.data_type().clone();
                    Ok(Transformed::yes(Expr::TryCast(TryCast::new(cast.expr, target))))
                }
                Expr::BinaryExpr(BinaryExpr {
                    left,
                    op: op @ (Operator::Divide | Operator::Modulo),
                    right,
                }) => {
                    let zero = ScalarValue::new_zero(&right.get_type(&schema)?)?;
                    let zero = Expr::Literal(zero, None);
                    let is_zero = datafusion_expr::binary_expr((*right).clone(), Operator::Eq, zero);
                    let null = Expr::Literal(ScalarValue::Null, None);
                    let divisor = Case::new(None, vec![(Box::new(is_zero), Box::new(null))], Some(right));
                    Ok(Transformed::yes(datafusion_expr::binary_expr(*left, op, Expr::Case(divisor))))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    })
    .map(|transformed| transformed.data)
    .map_err(|_| Finding::new(Code::QueryNotUnderstood).into())
}
