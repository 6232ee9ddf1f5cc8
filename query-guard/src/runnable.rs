//! Forms over results that the engine plans and then fails on: each is refused before it runs, with its place.
//! The planner refuses forms that the engine does not plan; forms over individuals are judged elsewhere.

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::Result;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::ExprSchemable;
use datafusion_expr::LogicalPlan;
use datafusion_expr::utils::merge_schema;

use crate::column::cast;
use crate::finding::Finding;
use crate::finding::first_span;
use crate::finding::plan_not_built;
use crate::reason::Reason;

/// Refuses forms over results that the engine plans and cannot run.
///
/// The run would fail after the stages had been computed, and all that the analyst would learn is that something failed:
/// the text of the engine's errors is never shown (`sandbox/docs/disclosure-model.md`, sections 3 and 7).
///
/// # Errors
/// `query-not-understood` for what has no value of that type, or `function-not-allowed` for arguments that a function does
/// not take.
pub(crate) fn runnable(sql: &str, post: &LogicalPlan) -> std::result::Result<(), Finding> {
    first_finding(post, |node, schema| {
        let mut found = None;
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                found = found.take().or_else(|| refused(sql, inner, schema));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(found)
    })
}

/// Looks at every node of a plan and of its subqueries, with the columns that it reads, until one has a finding.
///
/// # Errors
/// That finding, or `internal-error` when the plan cannot be walked.
pub(crate) fn first_finding(
    plan: &LogicalPlan,
    judge: impl Fn(&LogicalPlan, &DFSchema) -> Result<Option<Finding>>,
) -> std::result::Result<(), Finding> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        found = judge(node, &merge_schema(&node.inputs()))?;
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, found) {
        (_, Some(finding)) => Err(finding),
        (Ok(_), None) => Ok(()),
        (Err(_), None) => Err(plan_not_built()),
    }
}

/// The refusal of one expression that the engine plans for types for which it does not run.
///
/// A cast between types without a conversion, the negative of what is no number, a default of LAG that is no constant,
/// and an estimate of distinct values of some types all fail at run time, as `execution-failed` without a reason
/// (`sandbox/docs/disclosure-model.md`, sections 3 and 8).
fn refused(sql: &str, expr: &Expr, schema: &DFSchema) -> Option<Finding> {
    let finding = |reason: Reason| Finding::of(reason).at(first_span(sql, expr));
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not listed runs for every type that is planned"
    )]
    match expr {
        Expr::Cast(_) | Expr::TryCast(_) => {
            let (inner, target) = cast(expr)?;
            let from = type_of(inner, schema)?;
            (!can_cast_types(&from, target)).then(|| {
                finding(Reason::NoSuchCast).with("operation", "cast").help(
                    "there is no cast between these two types: compute the value, or cast by way of text",
                    "这两种类型之间不能转换：请用计算得到该值，或先转换为文本",
                )
            })
        }
        Expr::Negative(inner) => type_of(inner, schema).is_some_and(|it| !it.is_numeric()).then(|| {
            finding(Reason::NoSuchNegative).with("operation", "-").help(
                "only numbers have a negative: subtract dates from one another",
                "只有数值可以取负：日期请使用相减",
            )
        }),
        Expr::WindowFunction(call) => {
            let default = call.params.args.get(2)?;
            let is_shift = matches!(call.fun.name(), "lag" | "lead");
            (is_shift && !matches!(default, Expr::Literal(..))).then(|| {
                finding(Reason::ShiftDefaultNotConstant).with("function", call.fun.name()).help(
                    "the third argument is a constant: write COALESCE(LAG(x, 2) OVER (...), x) instead",
                    "第三个参数须为常量：请改写为 COALESCE(LAG(x, 2) OVER (…), x)",
                )
            })
        }
        Expr::AggregateFunction(call) if call.func.name() == "approx_distinct" => {
            let of = type_of(call.params.args.first()?, schema)?;
            let is_counted =
                of.is_integer() || of.is_temporal() || matches!(of, DataType::Utf8 | DataType::Utf8View);
            (!is_counted).then(|| {
                finding(Reason::DistinctNotEstimated)
                    .with("function", "approx_distinct")
                    .help("write COUNT(DISTINCT x)", "请改用 COUNT(DISTINCT x)")
            })
        }
        _ => None,
    }
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok()
}
