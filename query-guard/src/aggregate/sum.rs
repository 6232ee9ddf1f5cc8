//! SUM: a linear combination of atoms, each rounded by itself before they are combined.

use crate::aggregate::dominance;
use crate::control::Control;
use crate::control::Group;
use crate::control::number::Number;
use crate::plan::StageControls;
use crate::plan::Term;

/// The combination; a single atom keeps its exact decimal form.
pub(super) fn number(group: &Group<'_>, terms: &[Term]) -> Option<Number> {
    if let [Term { factor, atom }] = terms
        && (*factor - 1.0).abs() < f64::EPSILON
    {
        return Some(group.rounding().atom(group.spec(*atom)?, group.value(*atom)?));
    }
    let mut total = 0.0;
    for Term { factor, atom } in terms {
        total += factor * group.rounding().atom(group.spec(*atom)?, group.value(*atom)?).real();
    }
    Some(Number::Real(total))
}

/// Sums are rounded whatever the policy says: by the width of the declared range.
pub(super) fn controls(stage: &StageControls) -> Vec<Control> {
    dominance(stage).into_iter().chain([Control::Rounded]).collect()
}
