//! The control step: opens cells, withholds what must not leave, rounds the rest
//! (`sandbox/docs/disclosure-model.md`, section 5).
//! Pure code over one stage's whole table; what it returns is all that later plans and the analyst ever see.
//!
//! Order: threshold per group, threshold per atom, dominance, rounding. Tested at k-1, k and k+1.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use arrow::compute::SortColumn;
use arrow::compute::SortOptions;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::compute::lexsort_to_indices;
use arrow::compute::partition;
use arrow::compute::take_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;
use obscura_policies::effective::Dominance;
use obscura_policies::fixed::Fixed;

use crate::cell::AtomStatistics;
use crate::cell::decode;
use crate::finding::Code;
use crate::plan::Formula;
use crate::plan::ReleasedColumn;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::Term;
use crate::scalar::three_significant_digits;

/// What an executor came to for a stage: unreadable outside the control step.
pub struct Cells {
    batches: Vec<RecordBatch>,
}

impl Cells {
    /// Takes what a stage's plan came to.
    #[must_use]
    pub fn new(batches: Vec<RecordBatch>) -> Self {
        Cells { batches }
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cells")
    }
}

/// A stage's released table: protected values, sorted by the group keys.
#[derive(Debug, Clone)]
pub struct ReleasedTable {
    batch: RecordBatch,
}

impl ReleasedTable {
    /// The table.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }
}

/// What leaves: the protected result of one admitted query.
#[derive(Debug, Clone)]
pub struct Release {
    batch: RecordBatch,
}

impl Release {
    /// The result.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Takes batches of one schema together, any value of which may be missing.
    pub(crate) fn of(schema: &Schema, batches: Vec<RecordBatch>) -> Result<Self, ControlError> {
        let nullable: Vec<Field> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(nullable));
        let alike = batches.into_iter().map(|batch| {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)
        });
        let alike = alike.collect::<Result<Vec<_>, _>>().map_err(|_| ControlError::NotCells)?;
        concat_batches(&schema, &alike).map(|batch| Release { batch }).map_err(|_| ControlError::NotCells)
    }
}

/// Why nothing is released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// More cells than the policy lets out at once; the whole result is withheld.
    #[error("{}", Code::TooManyCells.slug())]
    Withheld,
    /// What the executor returned is not what its plan comes to.
    #[error("the batches do not fit their plan")]
    NotCells,
    /// The last plan would join what was released to more rows than a query may make.
    #[error("{}", Code::QueryTooLarge.slug())]
    TooManyRows,
    /// A keyed mask of the plan could not be given its secret.
    #[error("a mask could not be bound to its key")]
    Unbound,
}

/// Refuses batches whose columns have other names or types than a plan's: they are of another plan.
pub(crate) fn fits(schema: &Schema, batches: &[RecordBatch]) -> Result<(), ControlError> {
    let same = |batch: &RecordBatch| {
        let columns = |schema: &Schema| -> Vec<_> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        columns(&batch.schema()) == columns(schema)
    };
    if batches.iter().all(same) { Ok(()) } else { Err(ControlError::NotCells) }
}

impl Stage {
    /// Applies the stage's controls to its cells.
    ///
    /// # Errors
    /// [`ControlError::Withheld`] when more cells pass than the policy lets out at once.
    pub(crate) fn release(&self, cells: Cells) -> Result<ReleasedTable, ControlError> {
        let Cells { batches } = cells;
        fits(self.plan.schema().as_arrow(), &batches)?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else {
            // All people are one group, even where there is nobody; without keys no answer is none.
            return if self.keys.is_empty() {
                Err(ControlError::NotCells)
            } else {
                self.table(Vec::new(), &[], 0)
            };
        };
        let batch = concat_batches(&schema, &batches).map_err(|_| ControlError::NotCells)?;
        let groups = self.groups(&batch)?;
        let passes: Vec<bool> = groups.iter().map(|group| self.group_passes(group)).collect();
        if self.keys.is_empty() {
            // An ungrouped query always has one row; what fails is NULL in it.
            if groups.len() != 1 {
                return Err(ControlError::NotCells);
            }
            return self.table(Vec::new(), &[(groups.first(), passes.first() == Some(&true))], 1);
        }
        let keys = self
            .keys
            .iter()
            .map(|key| batch.column_by_name(&key.name).map(Arc::clone).ok_or(ControlError::NotCells))
            .collect::<Result<Vec<_>, _>>()?;
        let kept: Vec<_> = groups.iter().zip(&passes).map(|(group, passes)| (Some(group), *passes)).collect();
        let table = self.table(keys, &kept, batch.num_rows())?;
        let mask = BooleanArray::from(passes);
        let released = filter_record_batch(&table.batch, &mask).map_err(|_| ControlError::NotCells)?;
        let cell_count = released.num_rows().saturating_mul(self.columns.len().max(1));
        if self
            .controls
            .cells_max
            .is_some_and(|most| cell_count > usize::try_from(most).unwrap_or(usize::MAX))
        {
            return Err(ControlError::Withheld);
        }
        let batch = sorted(released, self.keys.len())?;
        // A group in two rows would have been held to its threshold twice, by halves: the engine's fault, and nothing leaves.
        let keys = batch.columns().get(..self.keys.len()).unwrap_or_default();
        let distinct = partition(keys).map_err(|_| ControlError::NotCells)?.len();
        if distinct != batch.num_rows() {
            return Err(ControlError::NotCells);
        }
        Ok(ReleasedTable { batch })
    }

    /// Statistics per group, class and atom.
    fn groups(&self, batch: &RecordBatch) -> Result<Vec<Group>, ControlError> {
        let mut groups: Vec<Group> = (0..batch.num_rows())
            .map(|_| Group { classes: Vec::with_capacity(self.classes.len()) })
            .collect();
        for class in &self.classes {
            let column = batch.column_by_name(&class.cells).ok_or(ControlError::NotCells)?;
            for (group, statistics) in groups.iter_mut().zip(statistics(column, class.subjects_min)) {
                let statistics = statistics?;
                if statistics.len() != self.atoms.len() {
                    return Err(ControlError::NotCells);
                }
                group.classes.push(statistics);
            }
        }
        Ok(groups)
    }

    /// At least k subjects of every class stand in the group.
    fn group_passes(&self, group: &Group) -> bool {
        self.atom_has_subjects(group, self.rows_atom)
    }

    fn atom_has_subjects(&self, group: &Group, atom: usize) -> bool {
        self.classes.iter().zip(&group.classes).all(|(class, atoms)| {
            atoms.get(atom).is_some_and(|statistics| statistics.contributors >= u64::from(class.subjects_min))
        })
    }

    /// The atom's value if it passes every control of every class.
    fn atom_value(&self, group: &Group, atom: usize) -> Option<i128> {
        let dominated = self.controls.dominance.is_some_and(|rule| {
            group
                .classes
                .iter()
                .any(|atoms| atoms.get(atom).is_none_or(|statistics| is_dominated(statistics, rule)))
        });
        if dominated || !self.atom_has_subjects(group, atom) {
            return None;
        }
        group.classes.first()?.get(atom).map(|statistics| statistics.total)
    }

    fn table(
        &self,
        keys: Vec<ArrayRef>,
        groups: &[(Option<&Group>, bool)],
        rows: usize,
    ) -> Result<ReleasedTable, ControlError> {
        let mut fields: Vec<Field> =
            self.keys.iter().map(|key| Field::new(&key.name, key.data_type.clone(), true)).collect();
        let mut arrays = if keys.is_empty() {
            self.keys.iter().map(|key| arrow::array::new_empty_array(&key.data_type)).collect()
        } else {
            keys
        };
        for column in &self.columns {
            let values: Vec<ScalarValue> =
                groups.iter().map(|(group, passes)| self.value(column, group.filter(|_| *passes))).collect();
            let array = if values.is_empty() {
                Ok(arrow::array::new_empty_array(&column.data_type))
            } else {
                ScalarValue::iter_to_array(values)
            };
            arrays.push(array.map_err(|_| ControlError::NotCells)?);
            fields.push(Field::new(&column.name, column.data_type.clone(), true));
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map(|batch| ReleasedTable { batch })
            .map_err(|_| ControlError::NotCells)
    }

    /// One released value, or NULL of the column's type.
    fn value(&self, column: &ReleasedColumn, group: Option<&Group>) -> ScalarValue {
        let number = group.and_then(|group| self.number(&column.formula, group));
        let null = ScalarValue::try_from(&column.data_type).unwrap_or(ScalarValue::Null);
        number.and_then(|number| number.into_type(&column.data_type)).unwrap_or(null)
    }

    fn number(&self, formula: &Formula, group: &Group) -> Option<Number> {
        match formula {
            Formula::Count { atom } => {
                Some(Number::Whole(self.rounded_count(self.atom_value(group, *atom)?)))
            }
            Formula::Subjects { atom, class } => {
                // A frequency: every subject counts once, so nobody can dominate it.
                if !self.atom_has_subjects(group, *atom) {
                    return None;
                }
                let subjects = group.classes.get(*class)?.get(*atom)?.contributors;
                Some(Number::Whole(self.rounded_count(i128::from(subjects))))
            }
            Formula::Sum { terms } => self.sum(terms, group),
            Formula::Mean { parts, count, low, high } => {
                let rows = self.atom_value(group, *count)?;
                let mut mean = 0.0;
                for part in parts {
                    // Each part is rounded by itself: an offset inside would otherwise show further digits.
                    mean += three_significant_digits(self.mean(part, rows, group)?);
                }
                // `clamp` panics where the ends are not in order; the guard admits no such interval.
                Some(Number::Real(significant(mean).max(*low).min(*high)))
            }
        }
    }

    /// The mean of one part. One that tells what a count tells is made of what the rounded counts tell.
    fn mean(&self, part: &[Term], rows: i128, group: &Group) -> Option<f64> {
        let atoms = part
            .iter()
            .map(|term| Some((term.factor, self.atoms.get(term.atom)?, self.atom_value(group, term.atom)?)))
            .collect::<Option<Vec<_>>>()?;
        let is_count = atoms.iter().any(|(_, spec, _)| spec.counts || spec.few.is_some());
        let rows = if is_count { self.rounded_count(rows) } else { rows };
        let total = |spec: &StageAtom, total: i128| {
            if is_count {
                return self.rounded_atom(spec, total).real();
            }
            // Whole numbers of a wide range may be few all the same.
            let least = (spec.scale == 0).then(|| self.least_sum(spec, Fixed::ONE)).flatten();
            to_f64(round_half_up(total, least.unwrap_or(1)), spec.scale)
        };
        let total: f64 = atoms.iter().map(|(factor, spec, value)| factor * total(spec, *value)).sum();
        (rows > 0).then(|| total / to_f64(rows, 0))
    }

    fn sum(&self, terms: &[Term], group: &Group) -> Option<Number> {
        if let [Term { factor, atom }] = terms
            && (*factor - 1.0).abs() < f64::EPSILON
        {
            let spec = self.atoms.get(*atom)?;
            return Some(self.rounded_atom(spec, self.atom_value(group, *atom)?));
        }
        let mut total = 0.0;
        for Term { factor, atom } in terms {
            let spec = self.atoms.get(*atom)?;
            total += factor * self.rounded_atom(spec, self.atom_value(group, *atom)?).real();
        }
        Some(Number::Real(total))
    }

    fn rounded_atom(&self, spec: &StageAtom, value: i128) -> Number {
        if spec.counts {
            return Number::Whole(self.rounded_count(value));
        }
        // A sum of small whole numbers, of few values, or of one value many times, is as telling as a count.
        let one = spec.few.or(spec.same).or((spec.scale == 0).then_some(Fixed::ONE));
        let least = one.and_then(|one| self.least_sum(spec, one));
        match rounding_units(spec).max(least) {
            Some(base) => Number::Scaled(round_half_up(value, base), spec.scale),
            None => Number::Scaled(value, spec.scale),
        }
    }

    /// What a sum is rounded to where one row's part in it may be `one`: as many of them as counts are rounded to.
    fn least_sum(&self, spec: &StageAtom, one: Fixed) -> Option<i128> {
        let grain = Fixed::from_scaled(1, spec.scale).unwrap_or(Fixed::from_micros(1));
        let units = one.ceil_to(grain)?.to_scaled(spec.scale)?;
        units.checked_mul(i128::from(self.controls.rounding?)).filter(|base| *base > 1)
    }

    fn rounded_count(&self, value: i128) -> i128 {
        self.controls.rounding.map_or(value, |base| round_half_up(value, i128::from(base)))
    }
}

/// What a class's fold came to, group by group: cells, or only whether there are enough subjects.
fn statistics(
    column: &ArrayRef,
    subjects_min: u32,
) -> Box<dyn Iterator<Item = Result<Vec<AtomStatistics>, ControlError>> + '_> {
    if let Some(enough) = column.as_boolean_opt() {
        return Box::new(enough.iter().map(move |enough| {
            let contributors =
                if enough.ok_or(ControlError::NotCells)? { u64::from(subjects_min) } else { 0 };
            Ok(vec![AtomStatistics { contributors, ..AtomStatistics::default() }])
        }));
    }
    match column.as_binary_opt::<i32>() {
        Some(cells) => Box::new(
            cells
                .iter()
                .map(|cell| decode(cell.ok_or(ControlError::NotCells)?).map_err(|_| ControlError::NotCells)),
        ),
        None => Box::new(std::iter::once(Err(ControlError::NotCells))),
    }
}

/// One group's statistics, per class and atom.
struct Group {
    classes: Vec<Vec<AtomStatistics>>,
}

/// A released number before it takes the column's type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Scaled(i128, u8),
    Real(f64),
}

impl Number {
    fn real(self) -> f64 {
        match self {
            Number::Whole(value) => to_f64(value, 0),
            Number::Scaled(value, scale) => to_f64(value, scale),
            Number::Real(value) => value,
        }
    }

    fn into_type(self, data_type: &DataType) -> Option<ScalarValue> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "no other type is released by an aggregate of ours"
        )]
        match data_type {
            DataType::Int64 => self
                .scaled(0)
                .and_then(|value| i64::try_from(value).ok())
                .map(|value| ScalarValue::Int64(Some(value))),
            DataType::UInt64 => self
                .scaled(0)
                .and_then(|value| u64::try_from(value).ok())
                .map(|value| ScalarValue::UInt64(Some(value))),
            DataType::Float64 => Some(ScalarValue::Float64(Some(self.real()))),
            DataType::Decimal128(precision, scale) => {
                let value = self.scaled(u8::try_from(*scale).ok()?)?;
                Some(ScalarValue::Decimal128(Some(value), *precision, *scale))
            }
            _ => None,
        }
    }

    /// The number in units of `10^-scale`.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the exact range of f64 first")]
    fn scaled(self, scale: u8) -> Option<i128> {
        match self {
            Number::Whole(value) => value.checked_mul(10_i128.checked_pow(u32::from(scale))?),
            Number::Scaled(value, own) if scale >= own => {
                value.checked_mul(10_i128.checked_pow(u32::from(scale - own))?)
            }
            Number::Scaled(value, own) => Some(
                round_half_up(value, 10_i128.checked_pow(u32::from(own - scale))?)
                    / 10_i128.checked_pow(u32::from(own - scale))?,
            ),
            Number::Real(value) => {
                let units = (value * 10_f64.powi(i32::from(scale))).round();
                (units.abs() < 1e30).then_some(units as i128)
            }
        }
    }
}

/// (n, k) and p% over absolute contributions (`sandbox/docs/reference.md`, section 1).
fn is_dominated(statistics: &AtomStatistics, rule: Dominance) -> bool {
    let total = statistics.absolute;
    if total == 0 {
        return false;
    }
    let largest: u128 = statistics.largest.iter().take(usize::from(rule.n)).sum();
    if largest.saturating_mul(1000) > total.saturating_mul(u128::from(rule.share_max_permille)) {
        return true;
    }
    let [first, second, ..] = statistics.largest;
    let rest = total.saturating_sub(first).saturating_sub(second);
    rest.saturating_mul(100) < first.saturating_mul(u128::from(rule.p_percent))
}

/// Largest power of ten not above 1 % of the declared range, in the atom's units; `None` when it is below one unit.
fn rounding_units(spec: &StageAtom) -> Option<i128> {
    let one_percent =
        spec.width.micros().checked_mul(10_i128.checked_pow(u32::from(spec.scale))?)? / 100_000_000;
    let mut base = 1_i128;
    while base.checked_mul(10)? <= one_percent {
        base *= 10;
    }
    (one_percent >= 1).then_some(base)
}

/// Nearest multiple, halves away from zero.
fn round_half_up(value: i128, base: i128) -> i128 {
    if base <= 1 {
        return value;
    }
    let sign = value.signum();
    let size = value.saturating_abs();
    let down = size - size % base;
    let rounded = if (size - down).saturating_mul(2) >= base { down.saturating_add(base) } else { down };
    sign * rounded
}

/// Takes off what adding up binary fractions leaves behind (`0.30000000000000004`).
fn significant(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "released numbers are rounded far above the last bit")]
fn to_f64(value: i128, scale: u8) -> f64 {
    value as f64 / 10_f64.powi(i32::from(scale))
}

fn sorted(batch: RecordBatch, keys: usize) -> Result<RecordBatch, ControlError> {
    if keys == 0 || batch.num_rows() < 2 {
        return Ok(batch);
    }
    let columns: Vec<SortColumn> = batch
        .columns()
        .iter()
        .take(keys)
        .map(|column| SortColumn {
            values: Arc::clone(column),
            options: Some(SortOptions { descending: false, nulls_first: false }),
        })
        .collect();
    let order = lexsort_to_indices(&columns, None).map_err(|_| ControlError::NotCells)?;
    take_record_batch(&batch, &order).map_err(|_| ControlError::NotCells)
}

#[cfg(test)]
mod tests;
