//! The permissions of one job: the outcome of combining scheme floors, policies and grants, as plain data for the guard.
//! It decides nothing by itself and reads no document.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::fixed::Fixed;
use crate::mask::Mask;
use crate::privacy::PrivacyBudget;
use crate::published::PublishedRows;
use crate::vocabulary::DataType;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Epoch;
use crate::vocabulary::Function;
use crate::vocabulary::Level;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Role;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;

/// The published ladder of deviations of named noise (`sandbox/docs/disclosure-model.md`, section 5.8).
///
/// A rung is the rung below and a further draw. Two policies at different rungs share the lower draws, so that both answers
/// together tell no more than the one with less noise.
pub const DEVIATIONS: [u32; 7] = [2, 3, 4, 6, 8, 12, 16];

/// Most known columns that meet in one number with noise. At a deviation of 4 the worst person of a thousand is told with an advantage
/// of 0.18 where any three columns meet, of 0.36 where four do, and of 0.63 where five do (simulated for the design of named noise;
/// `sandbox/docs/disclosure-model.md`, section 5.8).
pub const KNOWN_COLUMNS_MAX: u32 = 3;

/// The word by which the floor of a grade needs differential privacy.
pub const DIFFERENTIAL_PRIVACY: &str = "differential-privacy";

/// The data that one job may read, and the terms on which its result may leave: one purpose, one grant per dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectivePolicy {
    /// Code of the one purpose the job names.
    pub purpose: String,
    /// The datasets the job may name, and what may be done with each.
    pub datasets: BTreeMap<DatasetId, EffectiveDataset>,
    /// Floor of controls for every level of the scheme, strictest scheme when datasets differ.
    /// A level that is missing here is refused.
    pub floors: BTreeMap<Level, Floor>,
    /// The documents this was made from, for the verdict and the audit log.
    pub sources: Vec<PolicySource>,
}

/// One document that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicySource {
    /// Document identifier.
    pub id: String,
    /// Document version.
    pub version: u32,
    /// SHA-256 of the document's text, in hex.
    pub sha256: String,
}

/// One dataset as one job may use it.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveDataset {
    /// Identifier, `department.name`.
    pub id: DatasetId,
    /// Grade of the fact that somebody is in the dataset; every scan carries it.
    pub membership: Level,
    /// Privacy units whose rows these are; the first is the one the file is clustered by.
    pub units: Vec<EffectiveUnit>,
    /// Every column of the dataset, in its order. Those that the grant leaves out have empty `uses`: no question may name
    /// them, and a row filter may read them.
    pub columns: Vec<EffectiveColumn>,
    /// Row filters of policies and grant; all apply, on raw values, before masks.
    pub row_filters: Vec<RowFilter>,
    /// Form in which the result may leave.
    pub release: Release,
    /// Aggregate functions that may be used.
    pub functions: BTreeSet<Function>,
    /// Controls of the matching policies and the grant, combined. The floor of the grades read joins them in the guard.
    pub controls: Controls,
    /// Datasets (and the unit) that this dataset's policies allow to be joined with it.
    pub join_with: BTreeSet<(DatasetId, UnitKind)>,
    /// Most rows of one subject that a per-subject count distinguishes (top-coded).
    pub max_rows_per_subject: u32,
    /// Most groups of one question in which a subject counts, where it is answered by differential privacy.
    pub max_groups_per_subject: u32,
    /// Budget of differential privacy, the strictest of all that policies ask for. Where there is one, every question of the
    /// dataset is answered by differential privacy.
    pub privacy_budget: Option<PrivacyBudget>,
    /// Every policy asks for a budget: only then do columns open whose grade needs differential privacy. One more policy
    /// would else open them.
    pub all_ask_for_privacy: bool,
    /// Rows that a subject usually has, as the document states it: the scale of the noise of counts of rows.
    pub usual_rows: Option<u32>,
    /// Rows that a subject usually has in one month and on one day of a column, as the document states it.
    pub usual_rows_in: Option<UsualRows>,
    /// False only if the document says that the data never changes again, and it was sealed once: its noise then needs no
    /// part of its own for each version.
    pub is_updated: bool,
    /// Rows (from the signed manifest); nothing where it proves nothing.
    pub rows: Option<u64>,
    /// Columns or column sets whose values are unique (from the signed manifest): the N:1 side of a join.
    pub unique: BTreeSet<BTreeSet<String>>,
    /// Columns that span intervals which do not overlap (from the signed manifest): the N:1 side of a range join.
    pub intervals: BTreeSet<Intervals>,
    /// The rows that the signed manifest publishes: all of a small open table, with its open columns.
    pub published: Option<PublishedRows>,
}

impl EffectiveDataset {
    /// True if columns open whose grade needs differential privacy: every policy asks for a budget, and all questions are
    /// answered by it.
    #[must_use]
    pub fn opens_by_privacy(&self) -> bool {
        self.privacy_budget.is_some() && self.all_ask_for_privacy
    }
}

/// The rows that a subject usually has in one month and on one day of a column of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsualRows {
    /// The column.
    pub column: String,
    /// Rows in one month.
    pub month: u32,
    /// Rows on one day.
    pub day: u32,
}

/// Two columns whose values span intervals that do not overlap, one interval a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Intervals {
    /// Column of the lower ends.
    pub low: String,
    /// Column of the upper ends.
    pub high: String,
    /// Neighbours share no end either: a value lies in one interval at most even if both ends belong to it.
    pub closed: bool,
}

/// A privacy unit carried by a dataset's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveUnit {
    /// Kind of subject.
    pub kind: UnitKind,
    /// The unit key column (sealed as a 64-bit token).
    pub column: String,
    /// The manifest proves at most one row per subject.
    pub one_row_per_subject: bool,
    /// Most rows of one subject (from the signed manifest); nothing where it proves nothing.
    pub rows_max: Option<u64>,
    /// The sealed files are clustered by this unit (`clustered: whole`).
    pub clustered: bool,
}

/// One column as one job may use it.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveColumn {
    /// Name in SQL.
    pub name: String,
    /// Physical type.
    pub data_type: DataType,
    /// Role.
    pub role: Role,
    /// Grade (ungraded columns are the strictest level of the scheme).
    pub grade: Level,
    /// Grade once the mask has been applied (`grade_after`), else `grade`.
    pub grade_after: Level,
    /// Uses that the job may make of it; empty means that it may not be named.
    pub uses: BTreeSet<Use>,
    /// Mask applied at the scan, if any (the coarsest of all that match).
    pub mask: Option<Mask>,
    /// Declared range of a measure; contributions are clamped to it.
    pub range: Option<(Fixed, Fixed)>,
    /// Width of the bins at whose edges a measure may be filtered and grouped.
    pub bins: Option<Fixed>,
    /// Usual contribution of a subject, as the document states it: the scale of the noise of sums. It is not above the larger
    /// absolute end of `range`.
    pub usual: Option<Fixed>,
    /// All values that the document declares or that it refers to, sorted and each once.
    pub domain: Option<Vec<String>>,
    /// Decimal places a measure is kept at inside sums.
    pub scale: u8,
    /// Codes (administrative, ICD-10): prefixes are meaningful.
    pub coded: bool,
}

/// A condition on raw rows that policy or grant imposes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowFilter {
    /// SQL condition over the dataset's own columns.
    pub sql: String,
    /// A department's or district's own territory: does not taint the grade.
    pub jurisdiction: bool,
}

/// The least that a scheme demands at one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    /// Form in which data of this level may leave.
    pub release: Release,
    /// Controls that must hold.
    pub controls: Controls,
}

/// Output controls. Combining takes the stricter of each (see [`Controls::stricter`]).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Controls {
    /// Fewest subjects of any kind that a cell must rest on.
    pub subjects_min: u32,
    /// Fewest subjects per kind, where it differs.
    pub subjects_min_by_unit: BTreeMap<UnitKind, u32>,
    /// Dominance rule for sums.
    pub dominance: Option<Dominance>,
    /// Counts are rounded to multiples of this.
    pub rounding: Option<u32>,
    /// Deviation of the named noise of counts and sums, a rung of [`DEVIATIONS`].
    pub perturbation: Option<u32>,
    /// Columns that may meet in one number with noise, beside one secret.
    pub cubes: Cubes,
    /// The interval at which a newer version of the data opens to analysts; nothing where each opens when it is sealed.
    pub epoch: Option<Epoch>,
    /// Most cells one statement may release.
    pub cells_max: Option<u32>,
    /// People who look at a result before it leaves.
    pub review: Review,
    /// Controls that the documents ask for and this build does not have; any makes the job a refusal.
    pub unavailable: BTreeSet<String>,
}

/// Columns of a dataset that may meet in one number with noise, beside one secret that is asked for
/// (`sandbox/docs/disclosure-model.md`, section 5.8). The default opens all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cubes {
    columns_max: Option<u32>,
    /// None lies within another, so that two families open the same exactly if they are equal.
    sets: Option<BTreeSet<BTreeSet<String>>>,
}

impl Cubes {
    /// At most so many columns, and all of them in one of these sets.
    #[must_use]
    pub fn new(columns_max: Option<u32>, sets: Option<BTreeSet<BTreeSet<String>>>) -> Self {
        Self { columns_max, sets: sets.map(largest) }
    }

    /// Most columns of one number; nothing where no document says fewer than [`KNOWN_COLUMNS_MAX`].
    #[must_use]
    pub fn columns_max(&self) -> Option<u32> {
        self.columns_max
    }

    /// The largest sets of columns that may meet; nothing where no document lists any.
    #[must_use]
    pub fn sets(&self) -> Option<&BTreeSet<BTreeSet<String>>> {
        self.sets.as_ref()
    }

    /// True if these columns may meet in one number.
    #[must_use]
    pub fn opens(&self, columns: &BTreeSet<String>) -> bool {
        let count = u32::try_from(columns.len()).unwrap_or(u32::MAX);
        self.columns_max.is_none_or(|most| count <= most)
            && self.sets.as_ref().is_none_or(|sets| sets.iter().any(|set| columns.is_subset(set)))
    }
}

/// The sets that lie within no other.
fn largest(sets: BTreeSet<BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let is_within = |set: &BTreeSet<String>| sets.iter().any(|other| set != other && set.is_subset(other));
    sets.iter().filter(|set| !is_within(set)).cloned().collect()
}

/// The (n, k) rule and the p% rule (`sandbox/docs/reference.md`, section 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dominance {
    /// Number of the largest contributors that are taken together.
    pub n: u8,
    /// Most that they may hold of the absolute total, in thousandths.
    pub share_max_permille: u16,
    /// p of the p% rule, in percent.
    pub p_percent: u16,
}

impl Controls {
    /// Fewest subjects of this kind that a cell must rest on.
    #[must_use]
    pub fn subjects_min(&self, unit: &UnitKind) -> u32 {
        self.subjects_min_by_unit.get(unit).copied().unwrap_or(self.subjects_min).max(1)
    }
}
