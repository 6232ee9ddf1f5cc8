//! All that a policy opens of one dataset, as its exposure is computed of: known and secret columns with the nodes that its masks
//! leave of them, the cubes in which they meet, and the leaf of each row in every known column
//! (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! The figures themselves are `exposure`'s, which knows columns by number. It decides nothing, opens no file and runs no plan: its
//! caller reads the columns that it names and hands their rows in.
//!
//! **What stands for a subject.** The bit is one of a row: where a subject has one row, of the subject. A subject of several rows
//! that share the bit shows it in each of them; [`Opening::rows_are_subjects`] says which it is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::array::Array as _;
use arrow::array::AsArray as _;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use datafusion_common::Column as NamedColumn;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use obscura_policies::day::Day;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::KNOWN_COLUMNS_MAX;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::cover::Hierarchy;
use crate::cover::Node;
use crate::domain::Published;
use crate::exposure::Column;
use crate::exposure::Cube;
use crate::exposure::Cubes;
use crate::exposure::ExposureFault;
use crate::exposure::Knowledge;
use crate::exposure::Limits;
use crate::exposure::Opened;
use crate::exposure::Subjects;
use crate::exposure::Versions;
use crate::floor::HeldTo;
use crate::floor::is_open;
use crate::mask::is_keyed;
use crate::mask::masked;
use crate::naming::evaluate::batch;
use crate::naming::evaluate::evaluated;
use crate::row_filter::row_filter;

/// Versions that an attacker waits for where a dataset is updated.
pub const EPOCHS: u32 = 24;

/// The reason why there is nothing to compute for a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NothingOpened {
    /// The policy does not name it.
    #[error("the policy does not open the dataset")]
    NotNamed,
    /// Its rows are open data, or nothing of it leaves.
    #[error("the dataset leaves as it is, or not at all")]
    NoNumbers,
    /// Differential privacy answers, which has a budget and needs no figure.
    #[error("the dataset is answered by differential privacy, whose guarantee is its budget")]
    Budget,
    /// Its numbers have no noise.
    #[error("the numbers of the dataset have no noise")]
    NoNoise,
    /// No known column may be filtered or grouped.
    #[error("no dimension and no quasi-identifier may be filtered or grouped")]
    NoKnownColumn,
}

/// The reason why rows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowsFault {
    /// A column that was asked for is not among them.
    #[error("a column of the rows is missing")]
    ColumnMissing,
    /// A row filter of the policy cannot be applied.
    #[error("a row filter of the policy cannot be applied")]
    RowFilter,
}

/// All that a policy opens of one dataset.
#[derive(Debug)]
pub struct Opening<'a> {
    dataset: &'a EffectiveDataset,
    opened: Opened,
    names: BTreeMap<u16, &'a str>,
    known: Vec<KnownColumn<'a>>,
    /// The row filters with the columns that they read, or that one of them cannot be applied.
    filters: Result<Vec<(Expr, BTreeSet<String>)>, RowsFault>,
    deviation: u32,
    limits: Limits,
}

/// A column that the attacker knows of everybody, with the leaf of what its mask leaves of each leaf of its domain.
#[derive(Debug)]
struct KnownColumn<'a> {
    number: u16,
    column: &'a EffectiveColumn,
    published: Published,
    leaf_of: Vec<u32>,
}

impl<'a> Opening<'a> {
    /// All that a question of one dataset may use, `today` being the day as of which masks count ages.
    ///
    /// # Errors
    /// [`NothingOpened`], where no number with noise leaves.
    pub fn of(policy: &'a EffectivePolicy, id: &DatasetId, today: Day) -> Result<Self, NothingOpened> {
        let dataset = policy.datasets.get(id).ok_or(NothingOpened::NotNamed)?;
        if is_open(dataset) || dataset.release == Release::None {
            return Err(NothingOpened::NoNumbers);
        }
        if dataset.privacy_budget.is_some() {
            return Err(NothingOpened::Budget);
        }
        // No question reads less than that somebody is in the dataset.
        let held = HeldTo::of(policy, [id], dataset.membership, !dataset.units.is_empty());
        let deviation = held.and_then(|held| held.controls.perturbation).ok_or(NothingOpened::NoNoise)?;
        let (mut columns, mut names, mut known) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (number, column) in (0..).zip(&dataset.columns) {
            let Some(side) = side_of(column) else { continue };
            let Some((published, hierarchy, leaf_of)) = shown(column, dataset, today) else { continue };
            // A mask that leaves nothing of a value leaves no cells either.
            if hierarchy.leaves() < 2 {
                continue;
            }
            names.insert(number, column.name.as_str());
            columns.insert(number, Column { hierarchy, knowledge: side });
            known.push(KnownColumn { number, column, published, leaf_of });
        }
        if columns.values().all(|column| column.knowledge == Knowledge::Secret) {
            return Err(NothingOpened::NoKnownColumn);
        }
        let asked = asked(&columns);
        known.retain(|known| Some(known.number) != asked);
        for (number, column) in &mut columns {
            if Some(*number) != asked {
                column.knowledge = Knowledge::Known;
            }
        }
        let versions = if dataset.is_updated { Versions::Updated { epochs: EPOCHS } } else { Versions::Once };
        let cubes = cubes(dataset, &known);
        let opened = Opened { columns, cubes, measures: measures(dataset), versions };
        let filters = dataset.row_filters.iter().map(|filter| row_filter(&filter.sql, dataset));
        let filters = filters.collect::<Result<_, _>>().map_err(|_| RowsFault::RowFilter);
        Ok(Opening { dataset, opened, names, known, filters, deviation, limits: limits(dataset) })
    }

    /// All that is opened, by number of the columns.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The name of a column.
    #[must_use]
    pub fn name(&self, number: u16) -> Option<&'a str> {
        self.names.get(&number).copied()
    }

    /// The least deviation of a question's noise.
    #[must_use]
    pub fn deviation(&self) -> u32 {
        self.deviation
    }

    /// The advantages that the strictest grade of its secrets allows.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// True if every row is a subject; else a subject has several, and the figures are of one of them.
    #[must_use]
    pub fn rows_are_subjects(&self) -> bool {
        self.dataset.units.first().is_none_or(|unit| unit.one_row_per_subject)
    }

    /// The sealed columns that [`Rows`] are read from: known ones, the key of the subjects, and what row filters read.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        let known = self.known.iter().map(|known| known.column.name.clone());
        let key = self.dataset.units.iter().map(|unit| unit.column.clone());
        let filtered = self.filters.iter().flatten().flat_map(|(_, columns)| columns).cloned();
        known.chain(key.take(1)).chain(filtered).collect()
    }

    /// Reads rows; none yet.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        Rows { opening: self, leaves: self.known.iter().map(|known| (known.number, Vec::new())).collect() }
    }
}

/// The leaves of the rows that were read.
#[derive(Debug)]
pub struct Rows<'o> {
    opening: &'o Opening<'o>,
    leaves: BTreeMap<u16, Vec<u32>>,
}

impl Rows<'_> {
    /// Takes rows in, with the columns of [`Opening::columns`] at the least. Those without a subject, and those that a row filter
    /// leaves out, are in no cell.
    ///
    /// # Errors
    /// [`RowsFault`].
    pub fn take(&mut self, rows: &RecordBatch) -> Result<(), RowsFault> {
        let kept = self.kept(rows)?;
        let rows = arrow::compute::filter_record_batch(rows, &kept).map_err(|_| RowsFault::ColumnMissing)?;
        for known in &self.opening.known {
            let values = rows.column_by_name(&known.column.name).ok_or(RowsFault::ColumnMissing)?;
            let leaves = known.published.leaves_of(values);
            let shown = leaves.into_iter().map(|leaf| known.leaf_of.get(leaf as usize).copied().unwrap_or(0));
            self.leaves.entry(known.number).or_default().extend(shown);
        }
        Ok(())
    }

    fn kept(&self, rows: &RecordBatch) -> Result<BooleanArray, RowsFault> {
        let dataset = self.opening.dataset;
        let mut kept = BooleanArray::from(vec![true; rows.num_rows()]);
        if let Some(unit) = dataset.units.first() {
            let key = rows.column_by_name(&unit.column).ok_or(RowsFault::ColumnMissing)?;
            kept = arrow::compute::is_not_null(key).map_err(|_| RowsFault::ColumnMissing)?;
        }
        for (condition, _) in self.opening.filters.as_ref().map_err(|fault| *fault)? {
            let held = evaluated(condition, rows).ok_or(RowsFault::RowFilter)?;
            let held = held.as_boolean_opt().ok_or(RowsFault::RowFilter)?;
            // What is unknown is left out by whoever filters.
            kept = arrow::compute::and_kleene(&kept, held).map_err(|_| RowsFault::RowFilter)?;
        }
        Ok(kept)
    }

    /// The subjects, as their exposure is computed of.
    ///
    /// # Errors
    /// [`ExposureFault::Subjects`] where no row was read.
    pub fn subjects(self) -> Result<Subjects, ExposureFault> {
        Subjects::new(self.leaves)
    }
}

/// The secret column with the most levels, whose bit is asked for: the figure is the largest of all. Of two that meet in one number the
/// other is as known to whoever asks for this one, which is the stronger attacker.
fn asked(columns: &BTreeMap<u16, Column>) -> Option<u16> {
    let secrets = columns.iter().filter(|(_, column)| column.knowledge == Knowledge::Secret);
    let deepest =
        secrets.max_by_key(|(number, column)| (column.hierarchy.leaf_level(), std::cmp::Reverse(**number)));
    deepest.map(|(number, _)| *number)
}

/// The side of the attack that a column is on; nothing where no question uses its values.
fn side_of(column: &EffectiveColumn) -> Option<Knowledge> {
    let is_cut = column.uses.contains(&Use::Filter) || column.uses.contains(&Use::Group);
    match column.role {
        Role::Dimension | Role::QuasiIdentifier => is_cut.then_some(Knowledge::Known),
        Role::Sensitive => is_cut.then_some(Knowledge::Secret),
        Role::Measure => (is_cut || column.uses.contains(&Use::Aggregate)).then_some(Knowledge::Secret),
        Role::UnitKey | Role::Identifier => None,
    }
}

/// The domain of a column, the hierarchy of what its mask leaves, and the leaf there of each leaf of the domain. Nothing where a mask
/// has no values before its key is bound: such a column has no names, and is in no number with noise.
///
/// A mask's values are told in the nodes of the domain that are unions of them. Where a value is no run of neighbours the values
/// have no nodes above them, and where a mask tells values of one leaf apart the domain itself stands for it: both count no fewer
/// names than there are.
fn shown(
    column: &EffectiveColumn,
    dataset: &EffectiveDataset,
    today: Day,
) -> Option<(Published, Hierarchy, Vec<u32>)> {
    let published = Published::of(column, dataset).ok()?;
    let whole = published.hierarchy().clone();
    let as_it_is: Vec<u32> = (0..whole.leaves()).collect();
    let raw = Expr::Column(NamedColumn::from_name(&column.name));
    let expr = masked(raw, column, dataset, today);
    if is_keyed(&expr) {
        return None;
    }
    if column.mask.is_none() || !published.names_values() {
        return Some((published, whole, as_it_is));
    }
    let Some(values) = values_of(&expr, column, &published) else {
        return Some((published, whole, as_it_is));
    };
    let (leaf_of, leaves) = numbered(&values);
    match coarser(&whole, &leaf_of, leaves) {
        Some(hierarchy) => Some((published, hierarchy, leaf_of)),
        None => Some((published, whole, as_it_is)),
    }
}

/// The value of an expression for each leaf; nothing where a leaf has several.
fn values_of(expr: &Expr, column: &EffectiveColumn, published: &Published) -> Option<Vec<ScalarValue>> {
    let points = published.points();
    let rows = points.len();
    let tried = evaluated(expr, &batch([(column.name.as_str(), points)], rows)?)?;
    let values = published.by_leaf(&|point| ScalarValue::try_from_array(&tried, point).ok())?;
    values.into_iter().collect()
}

/// The number of each value, in the order in which they come first, and how many there are. A missing one is the last.
fn numbered(values: &[ScalarValue]) -> (Vec<u32>, u32) {
    let mut numbers = std::collections::HashMap::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        numbers.entry(value.clone()).or_insert(next);
    }
    let missing = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let of = values.iter().map(|value| numbers.get(value).copied().unwrap_or(missing));
    (of.collect(), missing)
}

/// The levels of a hierarchy whose nodes are unions of runs of values; `values` without the missing one.
fn coarser(whole: &Hierarchy, leaf_of: &[u32], values: u32) -> Option<Hierarchy> {
    let present = usize::try_from(whole.missing()).ok()?;
    let runs = leaf_of.get(..present)?;
    let rises = runs.windows(2).all(|pair| matches!(pair, [a, b] if a <= b));
    if !rises || runs.contains(&values) {
        return Hierarchy::values(values).ok();
    }
    let value_at = |leaf: u32| usize::try_from(leaf).ok().and_then(|leaf| runs.get(leaf)).copied();
    let begins = |leaf: u32| leaf.checked_sub(1).is_none_or(|before| value_at(before) != value_at(leaf));
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for level in 1..whole.leaf_level() {
        let (first, after) = whole.nodes_in(level, 0, whole.missing());
        let nodes: Vec<u32> = (first..after).map(|index| whole.span(Node { level, index }).0).collect();
        let starts: Vec<u32> = nodes.iter().filter_map(|leaf| value_at(*leaf)).collect();
        let is_finer = levels.last().map_or(1, Vec::len) < starts.len();
        if nodes.into_iter().all(begins) && is_finer && starts.len() < usize::try_from(values).ok()? {
            levels.push(starts);
        }
    }
    Hierarchy::new(values, levels).ok()
}

/// The columns that meet beside the secret that is asked for, by number.
fn cubes(dataset: &EffectiveDataset, known: &[KnownColumn<'_>]) -> Cubes {
    let most = dataset.controls.cubes.columns_max().unwrap_or(KNOWN_COLUMNS_MAX).min(KNOWN_COLUMNS_MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let Some(sets) = dataset.controls.cubes.sets() else { return Cubes::any(most) };
    let number =
        |name: &String| known.iter().find(|known| known.column.name == *name).map(|known| known.number);
    let mut cubes: BTreeSet<Cube> = BTreeSet::new();
    for set in sets {
        let numbers: Vec<u16> = set.iter().filter_map(number).collect();
        let parts = parts(&numbers, most).into_iter();
        cubes.extend(parts.map(|part| part.into_iter().map(|number| (number, u8::MAX)).collect::<Cube>()));
    }
    Cubes::Listed(cubes.into_iter().collect())
}

/// The parts of so many columns; all of them, where they are no more.
fn parts(columns: &[u16], most: usize) -> Vec<Vec<u16>> {
    match columns {
        _ if columns.len() <= most => vec![columns.to_vec()],
        _ if most == 0 => vec![Vec::new()],
        [] => vec![Vec::new()],
        [first, rest @ ..] => {
            let with = parts(rest, most - 1).into_iter().map(|part| [vec![*first], part].concat());
            with.chain(parts(rest, most)).collect()
        }
    }
}

/// The numbers beside that of the subjects: of rows, where a subject has several, and where anything is added up, the sum of each
/// measure, its square, and each product. A product may be written out where sums are allowed.
fn measures(dataset: &EffectiveDataset) -> u32 {
    let adds = |function: &Function| match function {
        Function::Sum
        | Function::Avg
        | Function::Stddev
        | Function::Var
        | Function::Covar
        | Function::Corr
        | Function::Regr => true,
        Function::Count
        | Function::CountDistinct
        | Function::Min
        | Function::Max
        | Function::Median
        | Function::Quantile
        | Function::BoolAnd
        | Function::BoolOr => false,
    };
    let is_added = |column: &&EffectiveColumn| {
        column.role == Role::Measure && column.uses.contains(&Use::Aggregate) && column.range.is_some()
    };
    let added = dataset.columns.iter().filter(is_added).count();
    let added = if dataset.functions.iter().any(adds) { u32::try_from(added).unwrap_or(u32::MAX) } else { 0 };
    let rows = u32::from(dataset.units.first().is_some_and(|unit| !unit.one_row_per_subject));
    let products = added.saturating_mul(added.saturating_sub(1)) / 2;
    rows.saturating_add(added.saturating_mul(2)).saturating_add(products)
}

/// The advantages that the strictest grade of a secret allows.
fn limits(dataset: &EffectiveDataset) -> Limits {
    let secrets = dataset.columns.iter().filter(|column| side_of(column) == Some(Knowledge::Secret));
    let grade = secrets.map(|column| column.grade_after).fold(dataset.membership, Level::max);
    if grade >= Level(3) { Limits::L3 } else { Limits::L2 }
}

#[cfg(test)]
mod tests;
