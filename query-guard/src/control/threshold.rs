//! The threshold: a cell rests on at least k subjects of every class, or it is withheld (k-anonymity of groups; Sweeney,
//! International Journal of Uncertainty, Fuzziness and Knowledge-Based Systems 10 (5), 2002).

use crate::cell::AtomStatistics;
use crate::control::Cell;
use crate::control::Control;
use crate::control::Figure;
use crate::plan::StageClass;
use crate::plan::StageControls;

/// Its name in verdicts and release records.
pub(crate) const NAME: &str = "threshold";

pub(super) const THRESHOLD: Control = Control { name: NAME, holds_for, on_cell: Some(on_cell) };

/// Everything that leaves a stage passes it, and so does the group itself, whose atom is all of its rows.
///
/// A figure left out of it would be the one through which a group of one is asked for
/// (`sandbox/docs/disclosure-model.md`, section 5.2; Sweeney 2002).
fn holds_for(_figure: Figure, _stage: &StageControls) -> bool {
    true
}

/// Withholds a cell to which fewer than k subjects of some class contribute.
///
/// A figure about few subjects is a figure about each of them, and rows are no subjects: one person may have all of them. A
/// join carries several classes, and a cell that hides its residents may show its one enterprise, so that every class is
/// counted (`sandbox/docs/disclosure-model.md`, section 5.2; Hundepool and others 2012, minimum frequency). Where the policy asks for
/// noise it is the perturbed number that is compared (section 5.8).
fn on_cell(value: i128, cell: &Cell<'_>) -> Option<i128> {
    let has_enough = |(index, (class, statistics)): (usize, (&StageClass, &AtomStatistics))| match cell.noise
    {
        None => statistics.contributors >= u64::from(class.subjects_min),
        Some(noise) => noise
            .subjects
            .get(index)
            .is_some_and(|noise| noise.has_enough(statistics.contributors, class.subjects_min)),
    };
    cell.by_class().enumerate().all(has_enough).then_some(value)
}
