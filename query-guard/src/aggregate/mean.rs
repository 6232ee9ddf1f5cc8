//! AVG: the means of its parts, three significant digits of each, clamped to the argument's declared interval.
//! A mean that tells what a count tells (of an indicator, or of few values) is made of rounded counts.

use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Function;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::numbers::Numbers;
use crate::aggregate::sum::total_error;
use crate::atoms::Atom;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_present;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::control::number::round_half_up;
use crate::control::number::to_f64;
use crate::finding::Refused;
use crate::plan::Formula;
use crate::plan::StageAtom;
use crate::plan::Term;
use crate::scalar::SIGNIFICANT_DIGITS;
use crate::scalar::three_significant_digits;
use crate::stated_error::StatedError;

/// Means are rounded under every policy: to three significant digits.
pub(super) const MEAN: Aggregate = Aggregate { recognises, formula, number, error, figure: Figure::Quantity };

/// AVG of one argument, which is not DISTINCT.
fn recognises(call: &Call<'_>) -> bool {
    matches!((call.name, call.is_distinct, call.args), ("avg", false, [_]))
}

/// One atom for each term of the argument's linear form, and one for the rows in which the argument is present.
///
/// A mean divides by the rows that have a value, as the standard says, and these rows are a cell with a threshold of their
/// own (`sandbox/docs/disclosure-model.md`, section 4.11). Rows are counted here, so that none may be repeated.
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    normaliser.functions.push(Function::Avg);
    let argument = call.argument()?;
    let linear = normaliser.linear(argument)?;
    normaliser.terms_count_once(argument, &linear, true)?;
    let present =
        linear.present.into_iter().fold(call.filter.clone(), |all, one| conjunction(all, Some(one)));
    let terms = normaliser.terms(linear.terms, call.filter.as_ref());
    Ok(Formula::Mean {
        parts: parts(normaliser, terms),
        count: normaliser.atom(Quantity::Rows, present),
        low: linear.low,
        high: linear.high,
    })
}

/// Measures over the very same rows are one quantity of each row, and have one mean. Under different conditions they are
/// two, or the difference of two means would be that of two sets of people
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn parts(normaliser: &Normaliser<'_>, terms: Vec<Term>) -> Vec<Vec<Term>> {
    let mut parts: Vec<(Option<Vec<Expr>>, Vec<Term>)> = Vec::new();
    for term in terms {
        let rows = normaliser.atoms.get(term.atom).and_then(rows_of);
        let same = |known: &Option<Vec<Expr>>| match (known, &rows) {
            (Some(known), Some(rows)) => {
                known.iter().all(|one| rows.contains(one)) && rows.iter().all(|one| known.contains(one))
            }
            _ => false,
        };
        match parts.iter_mut().find(|(known, _)| same(known)) {
            Some((_, part)) => part.push(term),
            None => parts.push((rows, vec![term])),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// The conditions that every row fulfils that a measure is added up over; none are known of rows that are counted.
fn rows_of(atom: &Atom) -> Option<Vec<Expr>> {
    if atom.quantity == Quantity::Rows {
        return None;
    }
    let mut all: Vec<Expr> = atom.quantity.columns().into_iter().map(|name| is_present(name)).collect();
    let mut waiting: Vec<&Expr> = atom.condition.iter().collect();
    while let Some(condition) = waiting.pop() {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                waiting.extend([&**left, &**right])
            }
            other => all.push(other.clone()),
        }
    }
    Some(all)
}

/// The mean: each part is rounded by itself, since an offset inside one would otherwise show further digits of it
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Mean { parts, count, low, high } = formula else { return None };
    let rows = group.value(*count)?;
    let mut mean = 0.0;
    for part in parts {
        mean += three_significant_digits(of_part(group, part, rows)?);
    }
    // `clamp` panics where the ends are not in order; the guard admits no such interval.
    Some(Number::Real(significant(mean).max(*low).min(*high)))
}

/// The mean of one part. One that tells what a count tells is made of what the rounded counts tell: the exact quotient of
/// an indicator would give the exact count away (`sandbox/docs/disclosure-model.md`, section 5.6).
fn of_part(group: &Group<'_>, part: &[Term], rows: i128) -> Option<f64> {
    let rounding = group.rounding();
    let atoms = part
        .iter()
        .map(|term| Some((term.factor, group.spec(term.atom)?, group.value(term.atom)?)))
        .collect::<Option<Vec<_>>>()?;
    let is_count = atoms.iter().any(|(_, spec, _)| spec.counts || spec.few.is_some());
    let rows = if is_count { rounding.count(rows) } else { rows };
    let total: f64 =
        atoms.iter().map(|(factor, spec, value)| factor * total(group, spec, *value, is_count)).sum();
    (rows > 0).then(|| total / to_f64(rows, 0))
}

/// A sum before it is divided: rounded as a sum where it tells what a count tells.
pub(super) fn total(group: &Group<'_>, spec: &StageAtom, value: i128, is_count: bool) -> f64 {
    let rounding = group.rounding();
    if is_count {
        return rounding.atom(spec, value).real();
    }
    // Whole numbers of a wide range may be few all the same.
    let least = (spec.scale == 0).then(|| rounding.least_sum(spec, Fixed::ONE)).flatten();
    to_f64(round_half_up(value, least.unwrap_or(1)), spec.scale)
}

/// Takes off what adding up binary fractions leaves behind (`0.30000000000000004`).
fn significant(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(0.0)
}

/// The error of a mean, as that of its sum and of the number of rows: the error of their quotient is not known without the data.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Mean { parts, count, .. } = formula else { return None };
    let spec = |term: &Term| numbers.spec(term.atom);
    let is_count = parts.iter().flatten().filter_map(spec).any(|spec| spec.counts || spec.few.is_some());
    let terms: Vec<Term> = parts.iter().flatten().copied().collect();
    let (sum, count) = (total_error(&terms, numbers)?, numbers.value(*count)?);
    // What tells no count is divided before it is rounded.
    let (sum, count) = if is_count { (sum, count) } else { (sum.unrounded(), count.unrounded()) };
    Some(StatedError::Mean { significant_digits: SIGNIFICANT_DIGITS, sum, count })
}
