//! The controls that a question is held to: the floor of its grade, tightened by the datasets that it reads.
//! It reads policies alone; `control` decides if a result passes them.

use obscura_policies::effective::Controls;
use obscura_policies::effective::DIFFERENTIAL_PRIVACY;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;

use crate::cell::LARGEST_KEPT;

/// Classes of protected subjects are held to the floor of this grade at the least.
const CARRIED_MIN: Level = Level(2);

/// The release and the controls for questions of one grade over some datasets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeldTo {
    /// The form in which data of the grade may leave.
    pub(crate) release: Release,
    /// The floor of the grade and what the datasets add.
    pub(crate) controls: Controls,
}

impl HeldTo {
    /// The controls of a grade; nothing where the scheme has no floor for it.
    ///
    /// A budget of differential privacy takes the place of dominance, rounding and named noise
    /// (`sandbox/docs/disclosure-model.md`, section 5.9); a question that it has no answer for is refused by the boundary.
    ///
    /// The controls of each dataset only tighten the floor: a laxer department cannot release the rows of a stricter
    /// one by a join. `carried` says that protected subjects are in the rows: these are held to the floor of L2 at the
    /// least, at every grade of the columns, because the floor of L1 is one for rows that may leave as they are
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    pub(crate) fn of<'a>(
        policy: &EffectivePolicy,
        datasets: impl IntoIterator<Item = &'a DatasetId>,
        grade: Level,
        carried: bool,
    ) -> Option<Self> {
        let floor = if carried && grade < CARRIED_MIN {
            policy.floors.range(CARRIED_MIN..).next().map(|(_, floor)| floor)
        } else {
            policy.floors.get(&grade)
        }?;
        let mut controls = floor.controls.clone();
        let read: Vec<&EffectiveDataset> =
            datasets.into_iter().filter_map(|id| policy.datasets.get(id)).collect();
        for dataset in &read {
            controls = controls.stricter(&dataset.controls);
        }
        if read.iter().any(|dataset| dataset.privacy_budget.is_some()) {
            // Contributions are clamped, and noise is made for the clamped ones: no exact number is compared.
            (controls.dominance, controls.rounding, controls.perturbation) = (None, None, None);
        }
        // Of datasets whose every policy has a budget, all questions are answered by what such a floor needs.
        if !read.is_empty() && read.iter().all(|dataset| dataset.opens_by_privacy()) {
            controls.unavailable.remove(DIFFERENTIAL_PRIVACY);
        }
        Some(Self { release: floor.release, controls })
    }

    /// True if this build has every control that is asked for.
    ///
    /// A control that is not built would protect nothing, so that a floor with one admits nothing
    /// (`sandbox/docs/disclosure-model.md`, section 4.2). The fold keeps the three largest contributions, and a rule of
    /// dominance over more could not be computed (`sandbox/docs/disclosure-model.md`, section 5.3).
    pub(crate) fn is_available(&self) -> bool {
        let largest = self.controls.dominance.map_or(0, |rule| usize::from(rule.n));
        self.release != Release::None && self.controls.unavailable.is_empty() && largest <= LARGEST_KEPT
    }
}

/// True if the rows of a dataset may leave as they are under this policy.
///
/// Rows leave only where the policy says so, the membership is open and every usable column is: one stricter column in
/// an open dataset would leave with the rows (`sandbox/docs/disclosure-model.md`, section 4.1).
#[must_use]
pub fn is_open(dataset: &EffectiveDataset) -> bool {
    let mut usable = dataset.columns.iter().filter(|column| !column.uses.is_empty());
    dataset.release == Release::RowsOpen
        && dataset.privacy_budget.is_none()
        && dataset.membership <= Level(1)
        && usable.all(|column| column.grade <= Level(1))
}
