//! The conditions of atoms: when an argument is present, and under which condition each branch of a CASE is taken.
//! It judges no condition itself: that is the shape rule's business.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Use;

use super::Normaliser;
use crate::column::branches;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::constant::Constants;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::reason::Reason;

impl Normaliser<'_> {
    /// The condition under which an argument of COUNT is present; `None` when it always is.
    ///
    /// COUNT(x) asks whether x is there, which for an expression depends on single values, and is a condition that no rule has
    /// judged: `count(salary % 7)`, or a result that was computed from released values. So x is a column, or CASE, COALESCE
    /// or NULLIF of columns under conditions of the shape rule. To ask for a column's presence is to compare it, and counts
    /// to its grade and to the comparisons (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.11).
    pub(crate) fn presence(&mut self, arg: &Expr) -> Result<Option<Expr>, Refused> {
        self.review.budget.spend(arg)?;
        if let Some(value) = self.review.constants.value(arg)? {
            return Ok(value.is_null().then(|| Expr::Literal(ScalarValue::Boolean(Some(false)), None)));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what is not CASE must be a bare column, or is refused"
        )]
        match arg {
            Expr::Alias(alias) => self.presence(&alias.expr),
            Expr::ScalarFunction(call) if call.name() == "coalesce" => {
                let mut any: Option<Expr> = None;
                for value in &call.args {
                    let Some(present) = self.presence(value)? else { return Ok(None) };
                    any = Some(any.map_or(present.clone(), |any| any.or(present)));
                }
                Ok(any)
            }
            Expr::Cast(cast) if keeps_numbers(cast.field.data_type()) => self.presence(&cast.expr),
            Expr::Case(_) | Expr::ScalarFunction(_) if has_branches(arg) => {
                let mut rest: Option<Expr> = None;
                let mut any: Option<Expr> = None;
                for (condition, value) in self.branches(arg)? {
                    let here = conjunction(rest.clone(), condition.clone());
                    self.spend(here.as_ref())?;
                    if let Some(reached) = self.reached(here, &value)? {
                        any = Some(any.map_or(reached.clone(), |any| any.or(reached)));
                    }
                    rest = conjunction(rest, condition.map(|condition| Expr::IsNotTrue(Box::new(condition))));
                }
                Ok(Some(any.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None))))
            }
            Expr::Column(column) => {
                let base = self.source_rows.base(column).ok_or_else(fact_missing)?;
                if base.uses.is_empty() {
                    return Err(self.use_not_granted(arg, base, Use::Aggregate).into());
                }
                if matches!(base.kind, ColumnKind::Released { computed: true, .. }) {
                    return Err(self.not_decomposable(Reason::ComputedResultCounted, arg).into());
                }
                self.shape.comparisons += 1;
                self.shape.grade = self.shape.grade.max(base.grade);
                Ok(Some(Expr::IsNotNull(Box::new(Expr::Column(column.clone())))))
            }
            _ => Err(self.not_decomposable(Reason::ExpressionCounted, arg).into()),
        }
    }

    /// The condition under which a CASE branch yields a value, or `None` when it never does
    /// (`sandbox/docs/disclosure-model.md`, section 5.1).
    fn reached(&mut self, here: Option<Expr>, value: &Expr) -> Result<Option<Expr>, Refused> {
        if is_null(self.review.constants, value) {
            return Ok(None);
        }
        let present = self.presence(value)?;
        Ok(Some(conjunction(here, present).unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(true)), None))))
    }

    /// The branches of a CASE in order; the last has no condition (ELSE). Each condition answers to the shape rule, and
    /// all that it refuses is named at once (`sandbox/docs/disclosure-model.md`, sections 4.3 and 5.1).
    pub(super) fn branches(&mut self, expr: &Expr) -> Result<Vec<(Option<Expr>, Expr)>, Refused> {
        let mut accepted = Vec::new();
        let mut refused = Vec::new();
        for (when, value) in branches(expr).into_iter().flatten() {
            match when.map(|when| self.shape.predicate(&when)).transpose() {
                Ok(when) => accepted.push((when, value)),
                Err(findings) => refused.extend(findings),
            }
        }
        Refused::if_any(refused)?;
        Ok(accepted)
    }

    /// Takes a condition that was put together from the budget: every branch repeats the conditions of those before it
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    pub(super) fn spend(&self, condition: Option<&Expr>) -> Result<(), Refused> {
        condition.map_or(Ok(()), |condition| Ok(self.review.budget.spend(condition)?))
    }
}

pub(crate) fn conjunction(left: Option<Expr>, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (Some(left), Some(right)) if left == right => Some(left),
        (Some(left), Some(right)) => Some(left.and(right)),
        (left, right) => left.or(right),
    }
}

/// True for CASE, COALESCE and NULLIF, which have one atom per branch (`sandbox/docs/disclosure-model.md`, section 5.1).
pub(super) fn has_branches(expr: &Expr) -> bool {
    matches!(expr, Expr::Case(_))
        || matches!(expr, Expr::ScalarFunction(call) if matches!(call.name(), "coalesce" | "nullif"))
}

pub(crate) fn is_null(constants: Constants, expr: &Expr) -> bool {
    constants.value(expr).ok().flatten().is_some_and(|value| value.is_null())
}

pub(crate) fn is_present(column: &str) -> Expr {
    Expr::IsNotNull(Box::new(base_column(column)))
}

/// True for casts of computed values that change no number: to floating point, and no narrower
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
pub(crate) fn keeps_numbers(target: &DataType) -> bool {
    *target == DataType::Float64
}
