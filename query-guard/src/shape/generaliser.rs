//! Generalisers: the coarser forms of one column that conditions and group keys may use.
//! A form that is not recognised here is refused.

use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::expr::ScalarFunction;
use obscura_policies::fixed::Fixed;

use crate::column::computed_widens;
use crate::column::strip_casts;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::constant::exact_number;
use crate::finding::Finding;
use crate::reason::Reason;
use crate::scalar::AGE_YEARS;
use crate::scalar::BUCKETS_MAX;
use crate::scalar::WIDTH_BUCKET;

use super::Calendar;
use super::ShapeCheck;
use crate::column::bare_column;
use crate::column::cast;
use crate::column::total;

/// The generaliser of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// The column itself.
    Bare,
    /// Multiples of a step: `floor(col/c)*c`, `col - col % c`.
    Floor(Fixed),
    /// Number of the step: `floor(col/c)`.
    Step(Fixed),
    /// The beginning of a calendar part.
    Truncated,
    /// The number of a calendar part, or of completed years.
    Part,
    /// Number of the step of such a number: `floor(age_years(col) / c)`.
    PartStep(Fixed),
    /// A prefix of so many characters, or the whole of it in lower case, trimmed.
    Worded { prefix: Option<usize> },
}

/// One column in a coarser form.
#[derive(Debug)]
pub(super) struct Generalised<'a> {
    pub(super) column: Column,
    pub(super) base: &'a ColumnFacts,
    pub(super) form: Form,
    /// True if the mask, if there is one, leaves the form as it is of the raw value.
    pub(super) is_shown: bool,
    /// True if the engine cuts off what is left over, so that the step around zero is twice as wide as the others.
    pub(super) is_cut_off: bool,
    /// Total form of the expression.
    pub(super) expr: Expr,
}

impl Generalised<'_> {
    fn within(&self, calendar: Calendar, made: Expr) -> Expr {
        calendar.within(&self.column, &self.base.data_type, made)
    }
}

/// Calendar parts that may be cut out of or cut to.
const PARTS: &[&str] = &["year", "quarter", "month", "week", "dow", "isodow"];
/// And out of what has a time of day.
const PARTS_OF_TIME: &[&str] = &["hour"];
const TRUNCATIONS: &[&str] = &["year", "quarter", "month", "week", "day"];
/// Longest prefix of a coded column.
const PREFIX_MAX: i64 = 12;
/// Most decimal places of a step, and of what a column is cast to before it is divided by one: with more of them the
/// engine's arithmetic overflows, for some values and not for others.
const PLACES_MAX: i8 = 6;

impl<'a> ShapeCheck<'a> {
    /// Recognises one column, possibly coarsened; every other form is refused.
    ///
    /// `salary % 97` scatters people over its values as a hash does, and each value is a subset at random. A cast to a
    /// smaller type becomes missing for some values and not for others, which is a condition in disguise. A unit key has
    /// no coarser form (`sandbox/docs/disclosure-model.md`, section 4.3; Dinur and Nissim 2003).
    ///
    /// # Errors
    /// `predicate-not-allowed` when the form is not on the list.
    pub(super) fn generalise(&self, expr: &Expr) -> Result<Generalised<'a>, Finding> {
        self.review.budget.spend(expr)?;
        if let Some(column) = bare_column(self.bases, expr) {
            let base = self.known(column)?;
            return Ok(Generalised {
                column: column.clone(),
                base,
                form: Form::Bare,
                is_shown: true,
                is_cut_off: false,
                expr: total(expr.clone()),
            });
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        let found = match expr {
            Expr::Alias(alias) => return self.generalise(&alias.expr),
            Expr::Cast(cast) => self.recast(&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => self.recast(&cast.expr, cast.field.data_type()),
            Expr::BinaryExpr(binary) => self.stepped(binary),
            Expr::ScalarFunction(call) => self.called(call),
            _ => None,
        };
        let found = found.ok_or_else(|| {
            let is_cast = matches!(expr, Expr::Cast(_) | Expr::TryCast(_));
            let reason = if is_cast { Reason::NarrowingCast } else { Reason::FormNotListed };
            self.not_allowed(reason, expr)
        })?;
        if matches!(found.base.kind, ColumnKind::UnitKey { .. }) {
            return Err(self.unit_key(&found.column, found.base));
        }
        Ok(found)
    }

    /// Accepts a cast of a coarsened column that loses nothing, and the day of a point in time.
    ///
    /// Any other cast of the column itself is refused: `CAST(s AS DECIMAL(38, -4))` rounds, and cuts people off the bin
    /// edges, and `CAST(salary AS TINYINT)` fails, or is missing, above 127
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn recast(&self, inner: &Expr, target: &ArrowType) -> Option<Generalised<'a>> {
        let inner = self.generalise(inner).ok()?;
        if inner.form == Form::Bare {
            // The day of a point in time is a generaliser; any other cast of the column itself loses something.
            let day_of =
                matches!((&inner.base.data_type, target), (ArrowType::Timestamp(..), ArrowType::Date32));
            return day_of.then(|| Generalised {
                form: Form::Truncated,
                is_shown: shows(inner.base, "day"),
                expr: inner.within(Calendar::WHOLE, retype(inner.expr.clone(), target)),
                ..inner
            });
        }
        let fits = computed_widens(target) || (*target == ArrowType::Int32 && !inner.base.is_measure());
        fits.then(|| Generalised { expr: retype(inner.expr.clone(), target), ..inner })
    }

    /// Recognises `floor(col/c)*c`, `col - col % c`, and `col / c` on whole numbers.
    ///
    /// Both numbers of a step must be the same: `floor(col / 10) * 7` names no range of the column. The remainder alone
    /// is no form, because it scatters people at random (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn stepped(&self, binary: &BinaryExpr) -> Option<Generalised<'a>> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        match binary.op {
            Operator::Multiply => {
                let (quotient, factor) = self.with_number(binary)?;
                let inner = self.generalise(quotient).ok()?;
                let (step, form) = match inner.form {
                    Form::Step(step) => (step, Form::Floor(step)),
                    Form::PartStep(step) => (step, Form::Part),
                    Form::Bare | Form::Floor(_) | Form::Truncated | Form::Part | Form::Worded { .. } => {
                        return None;
                    }
                };
                (step == factor).then(|| Generalised {
                    form,
                    expr: rebuild(binary, quotient, inner.expr.clone()),
                    ..inner
                })
            }
            Operator::Divide => {
                let step = self.number(&binary.right)?;
                if let Some(inner) = self.counted_part(&binary.left)
                    && step.is_multiple_of(Fixed::ONE)
                {
                    let expr = rebuild(binary, &binary.left, inner.expr.clone());
                    return step.is_positive().then(|| Generalised {
                        form: Form::PartStep(step),
                        expr,
                        ..inner
                    });
                }
                let column = self.divided(&binary.left)?;
                let base = self.known(column).ok()?;
                let whole = base.data_type.is_integer() && is_integer(&binary.left, base);
                (whole && step.is_positive()).then(|| Generalised {
                    column: column.clone(),
                    base,
                    form: Form::Step(step),
                    is_shown: true,
                    is_cut_off: true,
                    expr: total_binary(binary),
                })
            }
            Operator::Minus => {
                let column = self.divided(&binary.left)?;
                let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Modulo, right }) =
                    strip_casts(self.bases, &binary.right)
                else {
                    return None;
                };
                let step = self.number(right)?;
                let same = self.divided(left)?.name == column.name;
                let base = self.known(column).ok()?;
                (same && step.is_positive()).then(|| Generalised {
                    column: column.clone(),
                    base,
                    form: Form::Floor(step),
                    is_shown: true,
                    is_cut_off: true,
                    expr: total_binary(binary),
                })
            }
            _ => None,
        }
    }

    /// Recognises the functions that coarsen one column, with the arguments for which they do.
    ///
    /// A text function beyond a prefix, such as `md5` or `reverse`, picks people by accidents of spelling; a prefix is
    /// one of a coded column only. Ages count to the job's day alone: a second date of the analyst's would move the edges
    /// of a masked column, as in `age_years(birth, DATE '2020-02-02') >= 60`
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn called(&self, call: &ScalarFunction) -> Option<Generalised<'a>> {
        match (call.name(), call.args.as_slice()) {
            ("floor" | "trunc", [inner]) => self.floored(call, inner),
            ("date_trunc", [part, inner]) => {
                let part = self.word(part)?;
                let inner = self.dated(inner)?;
                TRUNCATIONS.contains(&part.as_str()).then(|| Generalised {
                    form: Form::Truncated,
                    is_shown: shows(inner.base, &part),
                    expr: inner
                        .within(Calendar::NANOSECONDS, recall(call, vec![text(&part), inner.expr.clone()])),
                    ..inner
                })
            }
            ("date_part", [part, inner]) => {
                let part = self.word(part)?;
                let inner = self.dated(inner)?;
                let is_timed = matches!(inner.base.data_type, ArrowType::Timestamp(..));
                let is_known =
                    PARTS.contains(&part.as_str()) || is_timed && PARTS_OF_TIME.contains(&part.as_str());
                is_known.then(|| Generalised {
                    form: Form::Part,
                    is_shown: shows(inner.base, &part),
                    expr: inner.within(Calendar::WHOLE, recall(call, vec![text(&part), inner.expr.clone()])),
                    ..inner
                })
            }
            // A second date of the analyst's would move the edges of a masked column.
            (AGE_YEARS, [inner, today]) if self.is_today(today) => {
                let inner = self
                    .generalise(inner)
                    .ok()
                    .filter(|inner| matches!(inner.form, Form::Bare | Form::Truncated))
                    .filter(|inner| inner.base.data_type.is_temporal())?;
                let args = vec![inner.expr.clone(), today.clone()];
                let is_shown = shows(inner.base, "day");
                Some(Generalised { form: Form::Part, is_shown, expr: recall(call, args), ..inner })
            }
            (WIDTH_BUCKET, [inner, low, high, count]) => self.bucketed(call, inner, [low, high, count]),
            ("lower" | "btrim", [inner]) => {
                let inner = self.generalise(inner).ok().filter(|inner| {
                    matches!(inner.form, Form::Bare | Form::Worded { .. }) && is_text(inner.base)
                })?;
                Some(Generalised {
                    form: match inner.form {
                        Form::Worded { prefix } => Form::Worded { prefix },
                        _ => Form::Worded { prefix: None },
                    },
                    expr: recall(call, vec![inner.expr.clone()]),
                    ..inner
                })
            }
            ("substr", [inner, start, length]) => {
                let inner = self
                    .generalise(inner)
                    .ok()
                    .filter(|inner| inner.form == Form::Bare && is_text(inner.base) && inner.base.coded)?;
                let start = self.number(start)?;
                let length = self.number(length)?;
                let fits = start == Fixed::ONE
                    && length.is_positive()
                    && length <= Fixed::from_i64(PREFIX_MAX)
                    && length.is_multiple_of(Fixed::ONE);
                let args = vec![inner.expr.clone(), whole_number(1), whole_number(length.to_i64()?)];
                let prefix = usize::try_from(length.to_i64()?).ok();
                fits.then(|| Generalised { form: Form::Worded { prefix }, expr: recall(call, args), ..inner })
            }
            ("left", [inner, length]) => {
                let inner = self
                    .generalise(inner)
                    .ok()
                    .filter(|inner| inner.form == Form::Bare && is_text(inner.base) && inner.base.coded)?;
                let length = self.number(length)?;
                let fits = length.is_positive()
                    && length <= Fixed::from_i64(PREFIX_MAX)
                    && length.is_multiple_of(Fixed::ONE);
                let args = vec![inner.expr.clone(), whole_number(length.to_i64()?)];
                let prefix = usize::try_from(length.to_i64()?).ok();
                fits.then(|| Generalised { form: Form::Worded { prefix }, expr: recall(call, args), ..inner })
            }
            _ => None,
        }
    }

    /// Recognises `floor(col / c)`, the number of a step.
    ///
    /// The step is kept with the form, so that its edges are held to the column's own
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn floored(&self, call: &ScalarFunction, inner: &Expr) -> Option<Generalised<'a>> {
        let Expr::BinaryExpr(binary @ BinaryExpr { left, op: Operator::Divide, right }) =
            strip_casts(self.bases, inner)
        else {
            return None;
        };
        let step = self.number(right)?;
        if let Some(part) = self.counted_part(left) {
            let quotient = rebuild(binary, left, part.expr.clone());
            let argument = match inner {
                Expr::Cast(cast) => retype(quotient, cast.field.data_type()),
                _ => quotient,
            };
            return step.is_positive().then(|| Generalised {
                form: Form::PartStep(step),
                expr: recall(call, vec![argument]),
                ..part
            });
        }
        let column = self.divided(left)?;
        let base = self.known(column).ok()?;
        let argument = match inner {
            Expr::Cast(cast) => retype(total_binary(binary), cast.field.data_type()),
            _ => total_binary(binary),
        };
        (step.is_positive() && base.data_type.is_numeric()).then(|| Generalised {
            column: column.clone(),
            base,
            form: Form::Step(step),
            is_shown: true,
            is_cut_off: call.name() == "trunc" || base.data_type.is_integer() && is_integer(left, base),
            expr: recall(call, vec![argument]),
        })
    }

    /// Recognises `width_bucket(col, low, high, count)`: steps of equal width whose edges are multiples of it.
    ///
    /// Bounds that are no multiples would make bins that are not the policy's: `width_bucket(age, 5, 105, 10)` cuts tens
    /// in two, and the difference to a grouping in tens shows who is between
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn bucketed(&self, call: &ScalarFunction, inner: &Expr, bounds: [&Expr; 3]) -> Option<Generalised<'a>> {
        let [low, high, count] = bounds.map(|bound| self.number(bound));
        if let Some(part) = self.counted_part(inner) {
            count?.to_i64().filter(|count| (1..=BUCKETS_MAX).contains(count))?;
            let bounds = call.args.iter().skip(1).map(|arg| total_tree(arg.clone()));
            let args =
                std::iter::once(retype(part.expr.clone(), &ArrowType::Float64)).chain(bounds).collect();
            return Some(Generalised { expr: recall(call, args), ..part });
        }
        let column = bare_column(self.bases, inner)?;
        let base = self.known(column).ok().filter(|base| base.data_type.is_numeric())?;
        let (low, width, count) = (
            low?,
            high?.checked_sub(low?)?,
            count?.to_i64().filter(|count| (1..=BUCKETS_MAX).contains(count))?,
        );
        let step = Fixed::from_micros(width.micros().checked_div(i128::from(count))?);
        let even =
            step.is_positive() && step.checked_mul_i64(count) == Some(width) && low.is_multiple_of(step);
        let args = call.args.iter().map(|arg| total_tree(arg.clone())).collect();
        even.then(|| Generalised {
            column: column.clone(),
            base,
            form: Form::Step(step),
            is_shown: true,
            is_cut_off: false,
            expr: recall(call, args),
        })
    }

    /// Reads years, months or completed years as a number, with casts that cut nothing off.
    ///
    /// These have steps of their own, which begin at whole numbers; a step of any other form would be one of single
    /// values (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn counted_part(&self, expr: &Expr) -> Option<Generalised<'a>> {
        self.generalise(expr).ok().filter(|inner| inner.form == Form::Part)
    }

    /// Reads a bare date or timestamp: a calendar part of what was moved or cut before is on no list
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    fn dated(&self, expr: &Expr) -> Option<Generalised<'a>> {
        self.generalise(expr)
            .ok()
            .filter(|inner| inner.form == Form::Bare && inner.base.data_type.is_temporal())
    }

    /// Reads a bare column that may be divided: under no cast to so many decimal places that the engine's arithmetic
    /// overflows.
    ///
    /// With `floor(cost / CAST(100 AS DECIMAL(38, 28)))` the query fails for large amounts alone, and so tells on which
    /// side of an amount a person is (`sandbox/docs/disclosure-model.md`, sections 4.3 and 7).
    fn divided<'e>(&self, expr: &'e Expr) -> Option<&'e Column> {
        let column = bare_column(self.bases, expr)?;
        let most = match self.known(column).ok()?.data_type {
            ArrowType::Decimal128(_, scale) => scale.max(PLACES_MAX),
            _ => PLACES_MAX,
        };
        let is_finer =
            |inner: &Expr| matches!(cast(inner), Some((_, ArrowType::Decimal128(_, scale))) if *scale > most);
        let some_finer = expr.exists(|inner| Ok(is_finer(inner))).unwrap_or(true);
        (!some_finer).then_some(column)
    }

    fn with_number<'e>(&self, binary: &'e BinaryExpr) -> Option<(&'e Expr, Fixed)> {
        match (self.number(&binary.left), self.number(&binary.right)) {
            (None, Some(number)) => Some((&binary.left, number)),
            (Some(number), None) => Some((&binary.right, number)),
            _ => None,
        }
    }

    /// Reads a constant as an exact number with few enough decimal places.
    ///
    /// A divisor with 28 of them makes the engine overflow for some values and not for others, which tells of the value
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    fn number(&self, expr: &Expr) -> Option<Fixed> {
        let value = self.review.constants.value(expr).ok().flatten()?;
        let is_fine = match value.data_type() {
            ArrowType::Decimal128(_, scale) => (0..=PLACES_MAX).contains(&scale),
            ArrowType::Decimal256(..) => false,
            _ => true,
        };
        exact_number(&value).filter(|_| is_fine)
    }

    /// True for the job's day, which the guard itself puts in as the second argument of `age_years`.
    ///
    /// Any other day would move the edges of a masked date by as much as the analyst likes
    /// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 4.4).
    fn is_today(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Literal(ScalarValue::Date32(Some(day)), _) if *day == self.review.constants.today.epoch_days())
    }

    fn word(&self, expr: &Expr) -> Option<String> {
        self.review.constants.value(expr).ok().flatten()?.try_as_str().flatten().map(str::to_ascii_lowercase)
    }
}

fn is_integer(expr: &Expr, base: &ColumnFacts) -> bool {
    match expr {
        Expr::Cast(cast) => cast.field.data_type().is_integer(),
        _ => base.data_type.is_integer(),
    }
}

/// True if a query can read a calendar part of a column: its mask, if there is one, keeps the part.
///
/// A part that the mask does not keep would be answered of the masked date, and be a wrong number
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn shows(base: &ColumnFacts, part: &str) -> bool {
    base.mask.as_ref().is_none_or(|mask| mask.keeps_part(part))
}

fn is_text(base: &ColumnFacts) -> bool {
    base.data_type == ArrowType::Utf8
}

/// A cast that yields NULL where it would fail.
///
/// A cast that fails for one person's value would tell of that value by the failure of the query
/// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 7).
pub(crate) fn retype(expr: Expr, target: &ArrowType) -> Expr {
    Expr::TryCast(datafusion_expr::TryCast::new(Box::new(expr), target.clone()))
}

/// The same operation over total sides, so that no value of a row makes it fail
/// (`sandbox/docs/disclosure-model.md`, sections 4.3 and 7).
fn total_binary(binary: &BinaryExpr) -> Expr {
    datafusion_expr::binary_expr(
        total((*binary.left).clone()),
        binary.op,
        total_tree((*binary.right).clone()),
    )
}

/// `col % c` on the right side of a minus keeps its own casts.
fn total_tree(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryExpr(binary) => total_binary(&binary),
        other => total(other),
    }
}

fn rebuild(binary: &BinaryExpr, replaced: &Expr, by: Expr) -> Expr {
    if *binary.left == *replaced {
        datafusion_expr::binary_expr(by, binary.op, (*binary.right).clone())
    } else {
        datafusion_expr::binary_expr((*binary.left).clone(), binary.op, by)
    }
}

pub(crate) fn recall(call: &ScalarFunction, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&call.func), args))
}

fn text(word: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8(Some(word.to_owned())), None)
}

fn whole_number(value: i64) -> Expr {
    Expr::Literal(ScalarValue::Int64(Some(value)), None)
}
