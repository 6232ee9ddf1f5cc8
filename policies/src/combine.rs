//! Combining: strictest wins. The terms of one policy for one dataset, and the join of two such terms.
//! Every operation here is commutative, associative and idempotent, and never admits more than either side.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::effective::Controls;
use crate::effective::Cubes;
use crate::effective::Dominance;
use crate::effective::Floor;
use crate::effective::RowFilter;
use crate::fixed::Fixed;
use crate::mask::Mask;
use crate::privacy::PrivacyBudget;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Function;
use crate::vocabulary::Level;
use crate::vocabulary::Release;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;

/// Rows of one subject that a count by subject distinguishes when no policy says fewer.
pub const ROWS_PER_SUBJECT_MAX: u32 = 20;
/// Most rows of one subject that a count by subject distinguishes under any policy.
pub const ROWS_PER_SUBJECT_CEILING: u32 = 1_000;

/// Groups of one question in which a subject counts when no policy says fewer.
pub const GROUPS_PER_SUBJECT_MAX: u32 = 5;
/// Most groups of one question in which a subject counts under any policy.
pub const GROUPS_PER_SUBJECT_CEILING: u32 = 1_000;

/// The terms that policies set for one dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Form in which the result may leave.
    pub release: Release,
    /// Aggregate functions that may be used.
    pub functions: BTreeSet<Function>,
    /// Controls on every cell.
    pub controls: Controls,
    /// Datasets that may be joined, and on which subject.
    pub join_with: BTreeSet<(DatasetId, UnitKind)>,
    /// Most rows of one subject that a count by subject distinguishes.
    pub max_rows_per_subject: u32,
    /// Most groups of one question in which a subject counts under differential privacy.
    pub max_groups_per_subject: u32,
    /// Budget of differential privacy, where some policy asks for one.
    pub privacy_budget: Option<PrivacyBudget>,
    /// Every policy asks for a budget.
    pub all_ask_for_privacy: bool,
    /// Conditions on raw rows; all apply.
    pub row_filters: BTreeSet<RowFilter>,
    /// Columns; one that is missing may not be used.
    pub columns: BTreeMap<String, ColumnTerms>,
}

/// The terms that policies set for one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnTerms {
    /// Uses.
    pub uses: BTreeSet<Use>,
    /// Mask at the scan.
    pub mask: Option<Mask>,
    /// Grade once the mask has been applied, else the column's own.
    pub grade_after: Level,
    /// Range that contributions are clamped to; reversed means that no value is left.
    pub range: Option<(Fixed, Fixed)>,
    /// Width of the bins at whose edges the column may be filtered.
    pub bins: Option<Fixed>,
}

/// Wider than any range: no edge is left to filter at.
const BINS_BEYOND: Fixed = Fixed::from_micros(i128::MAX);

impl Terms {
    /// The terms that meet both.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let shared = self.columns.iter().filter_map(|(name, mine)| {
            other.columns.get(name).map(|theirs| (name.clone(), mine.stricter(theirs)))
        });
        Self {
            release: self.release.stricter(other.release),
            functions: self.functions.intersection(&other.functions).copied().collect(),
            controls: self.controls.stricter(&other.controls),
            join_with: self.join_with.intersection(&other.join_with).cloned().collect(),
            max_rows_per_subject: self.max_rows_per_subject.min(other.max_rows_per_subject),
            max_groups_per_subject: self.max_groups_per_subject.min(other.max_groups_per_subject),
            privacy_budget: both(
                self.privacy_budget.as_ref(),
                other.privacy_budget.as_ref(),
                PrivacyBudget::stricter,
            ),
            all_ask_for_privacy: self.all_ask_for_privacy && other.all_ask_for_privacy,
            row_filters: self.row_filters.union(&other.row_filters).cloned().collect(),
            columns: shared.collect(),
        }
    }
}

impl ColumnTerms {
    /// The terms that meet both.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            uses: self.uses.intersection(&other.uses).copied().collect(),
            mask: both(self.mask.as_ref(), other.mask.as_ref(), Mask::coarser),
            grade_after: self.grade_after.max(other.grade_after),
            range: both(self.range.as_ref(), other.range.as_ref(), |a, b| (a.0.max(b.0), a.1.min(b.1))),
            bins: both(self.bins.as_ref(), other.bins.as_ref(), |a, b| {
                a.least_common_multiple(*b).unwrap_or(BINS_BEYOND)
            }),
        }
    }
}

impl PrivacyBudget {
    /// The budget that meets both: less epsilon and delta, in a longer period.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            epsilon: self.epsilon.min(other.epsilon),
            delta: self.delta.min(other.delta),
            per_query_max: self.per_query_max.min(other.per_query_max),
            period_days: self.period_days.max(other.period_days),
        }
    }
}

impl Controls {
    /// The controls that meet both: larger minimum, smaller maximum, union of the rest.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let units = self.subjects_min_by_unit.keys().chain(other.subjects_min_by_unit.keys());
        let by_unit = units.map(|unit| (unit.clone(), self.declared_min(unit).max(other.declared_min(unit))));
        Self {
            subjects_min: self.subjects_min.max(other.subjects_min),
            subjects_min_by_unit: by_unit.collect(),
            dominance: both(self.dominance.as_ref(), other.dominance.as_ref(), Dominance::stricter),
            rounding: both(self.rounding.as_ref(), other.rounding.as_ref(), |a, b| common_base(*a, *b)),
            // No noise is less than the least deviation.
            perturbation: self.perturbation.max(other.perturbation),
            cubes: self.cubes.stricter(&other.cubes),
            // No epoch is shorter than the shortest.
            epoch: self.epoch.max(other.epoch),
            cells_max: both(self.cells_max.as_ref(), other.cells_max.as_ref(), |a, b| *a.min(b)),
            review: self.review.max(other.review),
            unavailable: self.unavailable.union(&other.unavailable).cloned().collect(),
        }
    }

    /// True if these controls ask for at least as much as the others.
    #[must_use]
    pub fn is_at_least(&self, other: &Self) -> bool {
        // Join and compare: thresholds by unit may be spelt out on one side only, so they are compared by value.
        let joined = self.stricter(other);
        let same_minimum = joined
            .subjects_min_by_unit
            .keys()
            .all(|unit| joined.declared_min(unit) == self.declared_min(unit));
        same_minimum
            && joined.subjects_min == self.subjects_min
            && joined.dominance == self.dominance
            && joined.rounding == self.rounding
            && joined.perturbation == self.perturbation
            && joined.cubes == self.cubes
            && joined.epoch == self.epoch
            && joined.cells_max == self.cells_max
            && joined.review == self.review
            && joined.unavailable == self.unavailable
    }

    fn declared_min(&self, unit: &UnitKind) -> u32 {
        self.subjects_min_by_unit.get(unit).copied().unwrap_or(self.subjects_min)
    }
}

impl Cubes {
    /// The columns that may meet by both: fewer of them, and in a set of each.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let columns_max = both(self.columns_max().as_ref(), other.columns_max().as_ref(), |a, b| *a.min(b));
        let sets = both(self.sets(), other.sets(), |a, b| {
            a.iter().flat_map(|one| b.iter().map(move |other| one & other)).collect()
        });
        Self::new(columns_max, sets)
    }
}

impl Dominance {
    /// The rule that meets both.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            n: self.n.max(other.n),
            share_max_permille: self.share_max_permille.min(other.share_max_permille),
            p_percent: self.p_percent.max(other.p_percent),
        }
    }
}

impl Floor {
    /// The floor that meets both.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            release: self.release.stricter(other.release),
            controls: self.controls.stricter(&other.controls),
        }
    }
}

fn both<T: Clone>(a: Option<&T>, b: Option<&T>, join: impl Fn(&T, &T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (only, None) | (None, only) => only.cloned(),
    }
}

/// A base whose multiples are multiples of both; beyond all counts when there is none that fits.
fn common_base(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a.max(1), b.max(1));
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a.max(1) / x).saturating_mul(b.max(1))
}

#[cfg(test)]
pub(crate) mod tests;
