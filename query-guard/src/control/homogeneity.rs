//! Homogeneity: enough subjects of a cell's base are not in the cell, or it is withheld (l-diversity of groups; Machanavajjhala and
//! others, ACM Transactions on Knowledge Discovery from Data 1 (1), 2007; "group disclosure" of ESSnet's output checking).
//!
//! The base is the same cell without its conditions on sensitive columns (`base_rows.rs`).

use crate::control::Cell;
use crate::control::Control;
use crate::control::Figure;
use crate::control::noise::Perturbation;
use crate::plan::StageClass;
use crate::plan::StageControls;

/// Its name in verdicts and release records.
const NAME: &str = "homogeneity";

pub(super) const HOMOGENEITY: Control = Control { name: NAME, holds_for, on_cell: Some(on_cell) };

/// The subjects of a class that are in the base of a cell and not in the cell, with the noise of that number where the policy asks for
/// noise. Below zero where the base is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rest {
    pub(super) subjects: i128,
    pub(super) perturbation: Option<Perturbation>,
}

impl Rest {
    /// That of a base that is not known.
    pub(super) const OF_NOBODY: Rest = Rest { subjects: -1, perturbation: None };
}

/// Everything of a stage that chooses by sensitive columns, the presence of its groups too: a row `('HIV', NULL)` beside no other one of a
/// village would say it of all.
fn holds_for(_figure: Figure, stage: &StageControls) -> bool {
    stage.homogeneity
}

/// Withholds a cell whose base has fewer than k subjects of some class beside those of the cell.
///
/// That all 40 residents of a village have a diagnosis tells of each of them, and no threshold sees it: the cell has 40 subjects. A cell that
/// chooses by no sensitive column has no base, and passes (`sandbox/docs/disclosure-model.md`, section 5.12). Where the policy asks for noise
/// it is the perturbed number that is compared (section 5.8).
fn on_cell(value: i128, cell: &Cell<'_>) -> Option<i128> {
    let Some(rest) = cell.rest else { return Some(value) };
    let has_enough = |(class, rest): (&StageClass, &Rest)| match rest.perturbation {
        None => rest.subjects >= i128::from(class.subjects_min),
        Some(noise) => {
            u64::try_from(rest.subjects).is_ok_and(|rest| noise.has_enough(rest, class.subjects_min))
        }
    };
    let is_whole = rest.len() == cell.classes.len();
    (is_whole && cell.classes.iter().zip(rest).all(has_enough)).then_some(value)
}
