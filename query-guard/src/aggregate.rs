//! The aggregates that are released, one file each: how a column of theirs comes from protected atoms, and which controls
//! it has passed. A further aggregate is a file, a [`Formula`], and a line in each match here.

use crate::control::Control;
use crate::control::Group;
use crate::control::number::Number;
use crate::plan::Formula;
use crate::plan::StageControls;

mod count;
mod mean;
mod subjects;
mod sum;

/// The number that a group releases for a column; nothing where a control withholds it.
pub(crate) fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    match formula {
        Formula::Count { atom } => count::number(group, *atom),
        Formula::Subjects { atom, class } => subjects::number(group, *atom, *class),
        Formula::Sum { terms } => sum::number(group, terms),
        Formula::Mean { parts, count, low, high } => mean::number(group, parts, *count, (*low, *high)),
    }
}

/// The controls that such a column passes besides the threshold of its group.
pub(crate) fn controls(formula: &Formula, stage: &StageControls) -> Vec<Control> {
    match formula {
        Formula::Count { .. } => count::controls(stage),
        Formula::Subjects { .. } => subjects::controls(stage),
        Formula::Sum { .. } => sum::controls(stage),
        Formula::Mean { .. } => mean::controls(stage),
    }
}

/// Dominance, where the policy has such a rule.
fn dominance(stage: &StageControls) -> Option<Control> {
    stage.dominance.map(|_| Control::Dominance)
}

/// Rounding of counts, where the policy has a base.
fn rounding(stage: &StageControls) -> Option<Control> {
    stage.rounding.map(|_| Control::Rounded)
}
