//! Constant expressions: folds what holds no column to a literal, so that the rules only meet columns and literals.
//! `now` becomes the job's start, and `current_date` its day in the configured time zone.

use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono::DateTime;
use chrono::Utc;
use datafusion_common::DFSchema;
use datafusion_common::Result;
use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use obscura_policies::day::Day;
use obscura_policies::fixed::Fixed;

use crate::finding::Finding;
use crate::reason::Reason;
use crate::scalar::AGE_YEARS;

/// Folds constant expressions as of one instant, the job's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constants {
    now: DateTime<Utc>,
    /// The job's day in the configured time zone: what masks of dates count from.
    pub(crate) today: Day,
}

impl Constants {
    pub(crate) fn at(now: DateTime<Utc>, today: Day) -> Self {
        Constants { now, today }
    }

    /// The value of an expression without columns, or `None` when it has columns, aggregates or subqueries.
    ///
    /// Rules meet columns and literals alone: `salary >= 20000 + 1` must be seen as the literal 20001, which lies off its
    /// edge. A constant without a value, such as `1 / 0`, would fail in the run where a row reaches it, which tells
    /// whether one does (`sandbox/docs/disclosure-model.md`, sections 3 and 7).
    ///
    /// # Errors
    /// `constant-not-evaluated` when it has no columns and no value either (`1/0`, `CAST('x' AS INT)`).
    pub(crate) fn value(self, expr: &Expr) -> Result<Option<ScalarValue>, Finding> {
        if let Expr::Literal(value, _) = expr {
            return Ok(Some(value.clone()));
        }
        if !is_constant(expr) {
            return Ok(None);
        }
        let context = SimplifyContext::builder()
            .with_config_options(Arc::new(ConfigOptions::default()))
            .with_schema(Arc::new(DFSchema::empty()))
            .with_query_execution_start_time(Some(self.now))
            .build();
        match ExprSimplifier::new(context).simplify(expr.clone()) {
            Ok(Expr::Literal(value, _)) => Ok(Some(value)),
            _ => Err(Finding::of(Reason::ConstantHasNoValue)),
        }
    }

    /// Replaces `now()` all over a plan by the job's start and `current_date` by its day, counts ages to that day, and gives
    /// the decimal places of `ROUND` the type that the function takes.
    ///
    /// A clock that is read in the run would make the verdict, and the answer to the same question, depend on the moment
    /// (`sandbox/docs/disclosure-model.md`, sections 2, 3 and 6).
    pub(crate) fn settle(self, plan: LogicalPlan) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let settled = expr.transform_up(|inner| Ok(self.settled(inner)))?;
                Ok(settled.update_data(|expr| name.restore(expr)))
            })
        })
        .map(|transformed| transformed.data)
    }

    /// Settles one call of a function.
    ///
    /// An age counts to the job's day, which the shape rule then recognises as no choice of the analyst's
    /// (`sandbox/docs/disclosure-model.md`, sections 3 and 4.3).
    fn settled(self, expr: Expr) -> Transformed<Expr> {
        let Expr::ScalarFunction(call) = &expr else { return Transformed::no(expr) };
        match (call.name(), call.args.as_slice()) {
            ("now", _) => match self.value(&expr) {
                Ok(Some(value)) => Transformed::yes(Expr::Literal(value, None)),
                _ => Transformed::no(expr),
            },
            // The engine would take the day in UTC, which is yesterday while ages count to today already.
            ("current_date", _) => Transformed::yes(self.day()),
            (AGE_YEARS, [date]) => {
                let call = ScalarFunction::new_udf(Arc::clone(&call.func), vec![date.clone(), self.day()]);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            // Under a cast the function would have one type while the plan is checked and another one when it runs, since
            // only a literal says how many decimal places there are.
            ("round", [value, Expr::Literal(places, _)]) => match places.cast_to(&DataType::Int32) {
                Ok(places) => {
                    let args = vec![value.clone(), Expr::Literal(places, None)];
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                        Arc::clone(&call.func),
                        args,
                    )))
                }
                Err(_) => Transformed::no(expr),
            },
            _ => Transformed::no(expr),
        }
    }

    /// The job's day.
    fn day(self) -> Expr {
        Expr::Literal(ScalarValue::Date32(Some(self.today.epoch_days())), None)
    }
}

/// True when the expression holds nothing that depends on a row, a group or a subquery.
///
/// The list denies: what is taken for a constant is folded to a literal and passes no further rule, so that a volatile
/// function or a later engine's expression is none (`sandbox/docs/disclosure-model.md`, section 3).
pub(crate) fn is_constant(expr: &Expr) -> bool {
    let mut constant = true;
    let walked = expr.apply(|inner| {
        let allowed = match inner {
            Expr::Literal(..)
            | Expr::Alias(_)
            | Expr::BinaryExpr(_)
            | Expr::Not(_)
            | Expr::Negative(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::Case(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Between(_)
            | Expr::InList(_) => true,
            Expr::ScalarFunction(call) => {
                call.func.signature().volatility != datafusion_expr::Volatility::Volatile
            }
            _ => false,
        };
        if allowed {
            Ok(TreeNodeRecursion::Continue)
        } else {
            constant = false;
            Ok(TreeNodeRecursion::Stop)
        }
    });
    walked.is_ok() && constant
}

/// A numeric literal as an exact decimal; `None` for other types, NULL, and numbers with more than six places.
///
/// A number that was rounded here could be judged to lie on an edge, and cut beside it in the run
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
pub(crate) fn exact_number(value: &ScalarValue) -> Option<Fixed> {
    match value {
        ScalarValue::Int8(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::Int16(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::Int32(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::Int64(Some(v)) => Some(Fixed::from_i64(*v)),
        ScalarValue::UInt8(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::UInt16(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::UInt32(Some(v)) => Some(Fixed::from_i64(i64::from(*v))),
        ScalarValue::UInt64(Some(v)) => i64::try_from(*v).ok().map(Fixed::from_i64),
        ScalarValue::Float32(Some(v)) => Fixed::from_f64(f64::from(*v)),
        ScalarValue::Float64(Some(v)) => Fixed::from_f64(*v),
        ScalarValue::Decimal128(Some(v), _, scale) => Fixed::from_scaled(*v, u8::try_from(*scale).ok()?),
        _ => None,
    }
}
