//! AVG: the means of its parts, three significant digits of each, clamped to the argument's declared interval.
//! A mean that tells what a count tells (of an indicator, or of few values) is made of rounded counts.

use obscura_policies::fixed::Fixed;

use crate::aggregate::dominance;
use crate::control::Control;
use crate::control::Group;
use crate::control::number::Number;
use crate::control::number::round_half_up;
use crate::control::number::to_f64;
use crate::plan::StageAtom;
use crate::plan::StageControls;
use crate::plan::Term;
use crate::scalar::three_significant_digits;

/// The mean; `count` is the atom of the rows whose argument is present.
pub(super) fn number(
    group: &Group<'_>,
    parts: &[Vec<Term>],
    count: usize,
    (low, high): (f64, f64),
) -> Option<Number> {
    let rows = group.value(count)?;
    let mut mean = 0.0;
    for part in parts {
        // Each part is rounded by itself: an offset inside would otherwise show further digits.
        mean += three_significant_digits(of_part(group, part, rows)?);
    }
    // `clamp` panics where the ends are not in order; the guard admits no such interval.
    Some(Number::Real(significant(mean).max(low).min(high)))
}

/// Means are rounded whatever the policy says.
pub(super) fn controls(stage: &StageControls) -> Vec<Control> {
    dominance(stage).into_iter().chain([Control::Rounded]).collect()
}

/// The mean of one part. One that tells what a count tells is made of what the rounded counts tell.
fn of_part(group: &Group<'_>, part: &[Term], rows: i128) -> Option<f64> {
    let rounding = group.rounding();
    let atoms = part
        .iter()
        .map(|term| Some((term.factor, group.spec(term.atom)?, group.value(term.atom)?)))
        .collect::<Option<Vec<_>>>()?;
    let is_count = atoms.iter().any(|(_, spec, _)| spec.counts || spec.few.is_some());
    let rows = if is_count { rounding.count(rows) } else { rows };
    let total = |spec: &StageAtom, total: i128| {
        if is_count {
            return rounding.atom(spec, total).real();
        }
        // Whole numbers of a wide range may be few all the same.
        let least = (spec.scale == 0).then(|| rounding.least_sum(spec, Fixed::ONE)).flatten();
        to_f64(round_half_up(total, least.unwrap_or(1)), spec.scale)
    };
    let total: f64 = atoms.iter().map(|(factor, spec, value)| factor * total(spec, *value)).sum();
    (rows > 0).then(|| total / to_f64(rows, 0))
}

/// Takes off what adding up binary fractions leaves behind (`0.30000000000000004`).
fn significant(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(0.0)
}
