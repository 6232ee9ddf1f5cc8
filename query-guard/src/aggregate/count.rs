//! COUNT: the rows of a group, or those in which its arguments are present. One atom; rounded to the policy's base.

use crate::aggregate::dominance;
use crate::aggregate::rounding;
use crate::control::Control;
use crate::control::Group;
use crate::control::number::Number;
use crate::plan::StageControls;

/// The number of rows, rounded.
pub(super) fn number(group: &Group<'_>, atom: usize) -> Option<Number> {
    Some(Number::Whole(group.rounding().count(group.value(atom)?)))
}

/// Rows may be one subject's for the most part, so that dominance holds for them too.
pub(super) fn controls(stage: &StageControls) -> Vec<Control> {
    dominance(stage).into_iter().chain(rounding(stage)).collect()
}
