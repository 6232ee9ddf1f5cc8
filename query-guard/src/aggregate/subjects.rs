//! COUNT(DISTINCT unit key): the subjects of one class that contribute to an atom. Rounded to the policy's base.

use crate::aggregate::rounding;
use crate::control::Control;
use crate::control::Group;
use crate::control::number::Number;
use crate::plan::StageControls;

/// The number of subjects, rounded.
pub(super) fn number(group: &Group<'_>, atom: usize, class: usize) -> Option<Number> {
    Some(Number::Whole(group.rounding().count(group.subjects(atom, class)?)))
}

/// Every subject counts once, so that no dominance applies.
pub(super) fn controls(stage: &StageControls) -> Vec<Control> {
    rounding(stage).into_iter().collect()
}
