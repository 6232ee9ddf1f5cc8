//! Reads the fold's argument columns into exact whole numbers: one value per row and atom, zero where nothing is contributed.
//! Measures become fixed point at their declared scale and are clamped to their declared range; NaN and infinities are missing.

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::ArrowPrimitiveType;
use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::array::PrimitiveArray;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use datafusion_common::DataFusionError;
use datafusion_common::Result;

use super::Subjects;

/// What one atom adds up, as the fold needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum AtomSpec {
    /// Rows: one boolean argument (TRUE counts), or none when every row counts.
    Rows {
        /// Whether there is a condition argument.
        conditional: bool,
    },
    /// One measure argument.
    Measure(MeasureSpec),
    /// Two measure arguments, multiplied.
    Product(MeasureSpec, MeasureSpec),
}

impl AtomSpec {
    /// True when no row's contribution can cancel another's.
    pub(super) fn keeps_its_sign(&self) -> bool {
        let keeps = |spec: &MeasureSpec| spec.low >= 0 || spec.high <= 0;
        match self {
            AtomSpec::Rows { .. } => true,
            AtomSpec::Measure(spec) => keeps(spec),
            AtomSpec::Product(left, right) => keeps(left) && keeps(right),
        }
    }
}

/// Fixed-point reading of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MeasureSpec {
    /// Decimal places kept.
    pub(crate) scale: u8,
    /// Declared lower end, in units of the last place.
    pub(crate) low: i128,
    /// Declared upper end, in units of the last place.
    pub(crate) high: i128,
}

/// Reader of argument columns.
#[derive(Debug)]
pub(super) struct CellColumns {
    subjects: Subjects,
    atoms: Vec<AtomSpec>,
}

/// One batch, read.
pub(super) struct CellBatch {
    rows: usize,
    subjects: Option<Int64Array>,
    values: Vec<AtomValues>,
}

/// One atom's contribution of each row.
enum AtomValues {
    /// Every row contributes one.
    One,
    /// Rows that are TRUE contribute one.
    Truths(BooleanBuffer),
    /// Contributions so small that no batch of them adds up beyond 64 bits: nearly all.
    Narrow(Vec<i64>),
    /// Contributions of wider ranges.
    Wide(Vec<i128>),
}

impl CellColumns {
    pub(super) fn new(subjects: Subjects, atoms: &[AtomSpec]) -> Self {
        CellColumns { subjects, atoms: atoms.to_vec() }
    }

    pub(super) fn read(&self, arrays: &[ArrayRef]) -> Result<CellBatch> {
        let mut rest = arrays.iter();
        let rows = arrays.first().map_or(0, |array| array.len());
        let first = rest.next().ok_or_else(missing_argument)?;
        let subjects = match self.subjects {
            // The first argument is always there, so that every fold knows its number of rows.
            Subjects::EachRow => None,
            Subjects::Mapped | Subjects::Clustered => {
                Some(first.as_primitive_opt::<Int64Type>().ok_or_else(missing_argument)?.clone())
            }
        };
        let mut values = Vec::with_capacity(self.atoms.len());
        for atom in &self.atoms {
            values.push(match atom {
                AtomSpec::Rows { conditional: false } => AtomValues::One,
                AtomSpec::Rows { conditional: true } => truths(rest.next().ok_or_else(missing_argument)?)?,
                AtomSpec::Measure(spec) => fixed_point(rest.next().ok_or_else(missing_argument)?, *spec)?,
                AtomSpec::Product(left, right) => product(
                    fixed_point(rest.next().ok_or_else(missing_argument)?, *left)?,
                    fixed_point(rest.next().ok_or_else(missing_argument)?, *right)?,
                    is_narrow_product(*left, *right),
                ),
            });
        }
        Ok(CellBatch { rows, subjects, values })
    }
}

/// Most rows of a batch that is added up in 64 bits.
const NARROW_ROWS_MAX: usize = 1 << 20;
/// Largest contribution of such a batch.
const NARROW_MAX: u128 = (1 << 63) / (1 << 20) - 1;

/// Largest contribution that a measure may make.
fn size(spec: MeasureSpec) -> u128 {
    spec.low.unsigned_abs().max(spec.high.unsigned_abs())
}

/// Whether no product of values in these ranges is too large.
fn is_narrow_product(left: MeasureSpec, right: MeasureSpec) -> bool {
    size(left).checked_mul(size(right)).is_some_and(|size| size <= NARROW_MAX)
}

/// Products row by row. A missing factor was read as zero, and so the product contributes nothing.
fn product(left: AtomValues, right: AtomValues, is_narrow: bool) -> AtomValues {
    match (left, right) {
        (AtomValues::Narrow(left), AtomValues::Narrow(right)) if is_narrow => {
            AtomValues::Narrow(left.into_iter().zip(right).map(|(a, b)| a.saturating_mul(b)).collect())
        }
        (left, right) => {
            let pairs = left.wide().into_iter().zip(right.wide());
            AtomValues::Wide(pairs.map(|(a, b)| a.checked_mul(b).unwrap_or_default()).collect())
        }
    }
}

impl AtomValues {
    fn wide(self) -> Vec<i128> {
        match self {
            AtomValues::Narrow(values) => values.into_iter().map(i128::from).collect(),
            AtomValues::Wide(values) => values,
            AtomValues::One | AtomValues::Truths(_) => Vec::new(),
        }
    }
}

impl CellBatch {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The row's subject; `None` when the row has none and feeds nothing. Each-row folds give every row the subject 0.
    pub(super) fn subject(&self, row: usize) -> Option<i64> {
        match &self.subjects {
            None => Some(0),
            Some(subjects) => subjects.is_valid(row).then(|| subjects.value(row)),
        }
    }

    /// Adds every atom up by group; rows whose group does not exist are left out.
    pub(super) fn add_to(&self, group_of_row: &[usize], totals: &mut [Vec<i128>]) {
        for (values, totals) in self.values.iter().zip(totals) {
            values.add_to(group_of_row, totals);
        }
    }

    /// Adds every atom up by slot; rows whose slot does not exist are left out.
    pub(super) fn sums(&self, slot_of_row: &[usize], slots: usize) -> SlotSums {
        SlotSums { atoms: self.values.iter().map(|values| values.sums(slot_of_row, slots)).collect() }
    }
}

/// Sums of one batch by atom and slot.
pub(super) struct SlotSums {
    atoms: Vec<AtomSums>,
}

enum AtomSums {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

impl SlotSums {
    /// Writes the sums of one slot, atom by atom.
    pub(super) fn take_run(&self, slot: usize, run: &mut [i128]) {
        for (sum, atom) in run.iter_mut().zip(&self.atoms) {
            *sum = match atom {
                AtomSums::Narrow(sums) => sums.get(slot).copied().map_or(0, i128::from),
                AtomSums::Wide(sums) => sums.get(slot).copied().unwrap_or_default(),
            };
        }
    }
}

impl AtomValues {
    fn add_to(&self, group_of_row: &[usize], totals: &mut [i128]) {
        let mut add = |group: &usize, value: i128| {
            if let Some(total) = totals.get_mut(*group) {
                *total = total.saturating_add(value);
            }
        };
        match self {
            AtomValues::One => group_of_row.iter().for_each(|group| add(group, 1)),
            AtomValues::Truths(truths) => {
                group_of_row.iter().zip(truths).for_each(|(group, truth)| add(group, i128::from(truth)));
            }
            AtomValues::Narrow(values) => {
                group_of_row.iter().zip(values).for_each(|(group, value)| add(group, i128::from(*value)));
            }
            AtomValues::Wide(values) => {
                group_of_row.iter().zip(values).for_each(|(group, value)| add(group, *value));
            }
        }
    }

    fn sums(&self, slot_of_row: &[usize], slots: usize) -> AtomSums {
        match self {
            AtomValues::One => {
                let mut sums = vec![0_i64; slots];
                for slot in slot_of_row {
                    if let Some(sum) = sums.get_mut(*slot) {
                        *sum += 1;
                    }
                }
                AtomSums::Narrow(sums)
            }
            AtomValues::Truths(truths) => {
                let mut sums = vec![0_i64; slots];
                for (slot, truth) in slot_of_row.iter().zip(truths) {
                    if let Some(sum) = sums.get_mut(*slot) {
                        *sum += i64::from(truth);
                    }
                }
                AtomSums::Narrow(sums)
            }
            AtomValues::Narrow(values) => {
                let mut sums = vec![0_i64; slots];
                for (slot, value) in slot_of_row.iter().zip(values) {
                    if let Some(sum) = sums.get_mut(*slot) {
                        *sum = sum.saturating_add(*value);
                    }
                }
                AtomSums::Narrow(sums)
            }
            AtomValues::Wide(values) => {
                let mut sums = vec![0_i128; slots];
                for (slot, value) in slot_of_row.iter().zip(values) {
                    if let Some(sum) = sums.get_mut(*slot) {
                        *sum = sum.saturating_add(*value);
                    }
                }
                AtomSums::Wide(sums)
            }
        }
    }
}

fn missing_argument() -> DataFusionError {
    DataFusionError::Internal("cell fold argument missing or of another type".to_owned())
}

fn truths(array: &ArrayRef) -> Result<AtomValues> {
    let array = array.as_boolean_opt().ok_or_else(missing_argument)?;
    let truths = match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    };
    Ok(if truths.count_set_bits() == truths.len() { AtomValues::One } else { AtomValues::Truths(truths) })
}

fn fixed_point(array: &ArrayRef, spec: MeasureSpec) -> Result<AtomValues> {
    let factor = 10_i128.pow(u32::from(spec.scale));
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match array.data_type() {
        DataType::Int64 => Ok(units(array.as_primitive::<Int64Type>(), spec, |value| {
            Some(i128::from(value).saturating_mul(factor))
        })),
        DataType::Decimal128(_, scale) => {
            let own = *scale;
            let array = array.as_primitive::<Decimal128Type>();
            // The usual case apart, so that its loop holds no power of ten.
            Ok(if i16::from(own) == i16::from(spec.scale) {
                units(array, spec, Some)
            } else {
                units(array, spec, |value| rescale(value, own, spec.scale))
            })
        }
        DataType::Float64 => {
            Ok(units(array.as_primitive::<Float64Type>(), spec, |value| float_units(value, factor, spec)))
        }
        DataType::Null => Ok(AtomValues::Narrow(vec![0; array.len()])),
        _ => Err(missing_argument()),
    }
}

/// Values clamped to the declared range; what is missing contributes zero.
fn units<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    spec: MeasureSpec,
    read: impl Fn(T::Native) -> Option<i128>,
) -> AtomValues {
    let is_narrow = size(spec) <= NARROW_MAX && array.len() <= NARROW_ROWS_MAX;
    match (i64::try_from(spec.low), i64::try_from(spec.high)) {
        (Ok(low), Ok(high)) if is_narrow => AtomValues::Narrow(contributions(array, |value| {
            read(value).map_or(0, |value| match i64::try_from(value) {
                Ok(value) => value.clamp(low, high),
                Err(_) if value < 0 => low,
                Err(_) => high,
            })
        })),
        _ => AtomValues::Wide(contributions(array, |value| {
            read(value).map_or(0, |value| value.clamp(spec.low, spec.high))
        })),
    }
}

fn contributions<T: ArrowPrimitiveType, V: Default>(
    array: &PrimitiveArray<T>,
    read: impl Fn(T::Native) -> V,
) -> Vec<V> {
    let mut values: Vec<V> = array.values().iter().map(|value| read(*value)).collect();
    if let Some(nulls) = array.nulls() {
        for (value, is_valid) in values.iter_mut().zip(nulls) {
            if !is_valid {
                *value = V::default();
            }
        }
    }
    values
}

/// Moves a decimal to another scale, rounding half away from zero.
fn rescale(value: i128, from: i8, to: u8) -> Option<i128> {
    let shift = i16::from(to) - i16::from(from);
    if shift >= 0 {
        return value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?);
    }
    let divisor = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
    let half = divisor / 2;
    Some(if value >= 0 { (value.checked_add(half)?) / divisor } else { (value.checked_sub(half)?) / divisor })
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the declared range first, which fits")]
#[expect(
    clippy::cast_precision_loss,
    reason = "declared ranges are far below 2^53 units or lose only places beyond the declared scale"
)]
fn float_units(value: f64, factor: i128, spec: MeasureSpec) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let units = (value * factor as f64).round();
    Some(units.clamp(spec.low as f64, spec.high as f64) as i128).map(|units| units.clamp(spec.low, spec.high))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::BooleanArray;
    use arrow::array::Decimal128Array;
    use arrow::array::Float64Array;
    use proptest::prelude::*;

    use super::*;

    const RANGE: MeasureSpec = MeasureSpec { scale: 2, low: -500, high: 700 };
    /// So wide that its contributions are not kept in 64 bits.
    const WIDE: MeasureSpec = MeasureSpec { scale: 2, low: -(1 << 100), high: 1 << 100 };

    /// Contributions of each row as the fold adds them up.
    fn read(atom: AtomSpec, columns: Vec<ArrayRef>) -> Vec<i128> {
        let rows = columns[0].len();
        let subjects: ArrayRef = Arc::new(Int64Array::from(vec![7; rows]));
        let columns = [vec![subjects], columns].concat();
        let batch = CellColumns::new(Subjects::Mapped, &[atom]).read(&columns).unwrap();
        (0..batch.rows())
            .map(|row| {
                let mut run = [0];
                let slots: Vec<usize> = (0..batch.rows()).collect();
                batch.sums(&slots, batch.rows()).take_run(row, &mut run);
                run[0]
            })
            .collect()
    }

    fn decimals(values: &[Option<i64>], scale: i8) -> ArrayRef {
        let values = values.iter().map(|value| value.map(i128::from));
        Arc::new(Decimal128Array::from_iter(values).with_precision_and_scale(38, scale).unwrap())
    }

    fn clamped(value: Option<i128>, spec: MeasureSpec) -> i128 {
        value.map_or(0, |value| value.clamp(spec.low, spec.high))
    }

    proptest! {
        #[test]
        fn decimals_are_clamped_and_missing_ones_are_zero(
            values in prop::collection::vec(prop::option::of(-2000..2000_i64), 1..40),
        ) {
            for spec in [RANGE, WIDE] {
                let same: Vec<i128> = values.iter().map(|value| clamped(value.map(i128::from), spec)).collect();
                prop_assert_eq!(read(AtomSpec::Measure(spec), vec![decimals(&values, 2)]), same);
                let finer: Vec<i128> = values
                    .iter()
                    .map(|value| clamped(value.map(|value| i128::from((value.abs() + 5) / 10 * value.signum())), spec))
                    .collect();
                prop_assert_eq!(read(AtomSpec::Measure(spec), vec![decimals(&values, 3)]), finer);
                let coarser: Vec<i128> =
                    values.iter().map(|value| clamped(value.map(|value| i128::from(value) * 10), spec)).collect();
                prop_assert_eq!(read(AtomSpec::Measure(spec), vec![decimals(&values, 1)]), coarser);
            }
        }

        #[test]
        fn whole_and_floating_numbers_take_the_declared_scale(
            values in prop::collection::vec(prop::option::of(-20..20_i64), 1..40),
        ) {
            for spec in [RANGE, WIDE] {
                let expected: Vec<i128> =
                    values.iter().map(|value| clamped(value.map(|value| i128::from(value) * 100), spec)).collect();
                let whole: ArrayRef = Arc::new(Int64Array::from(values.clone()));
                prop_assert_eq!(&read(AtomSpec::Measure(spec), vec![whole]), &expected);
                #[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
                let floats = values.iter().map(|value| value.map(|value| value as f64));
                let floats: ArrayRef = Arc::new(Float64Array::from_iter(floats));
                prop_assert_eq!(&read(AtomSpec::Measure(spec), vec![floats]), &expected);
            }
        }

        #[test]
        fn products_are_of_clamped_factors(
            pairs in prop::collection::vec((prop::option::of(-2000..2000_i64), prop::option::of(-2000..2000_i64)), 1..40),
        ) {
            let (left, right): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            for (a, b) in [(RANGE, RANGE), (RANGE, WIDE), (WIDE, RANGE)] {
                let expected: Vec<i128> = pairs
                    .iter()
                    .map(|(left, right)| clamped(left.map(i128::from), a) * clamped(right.map(i128::from), b))
                    .collect();
                let columns = vec![decimals(&left, 2), decimals(&right, 2)];
                prop_assert_eq!(read(AtomSpec::Product(a, b), columns), expected);
            }
        }

        #[test]
        fn only_true_counts(values in prop::collection::vec(prop::option::of(any::<bool>()), 1..40)) {
            let expected: Vec<i128> = values.iter().map(|value| i128::from(*value == Some(true))).collect();
            let array: ArrayRef = Arc::new(BooleanArray::from(values));
            prop_assert_eq!(read(AtomSpec::Rows { conditional: true }, vec![array]), expected);
        }
    }

    #[test]
    fn values_beyond_64_bits_are_clamped_and_not_cut_off() {
        let huge = [Some(i128::MAX / 4), Some(i128::MIN / 4), None];
        let array: ArrayRef =
            Arc::new(Decimal128Array::from_iter(huge).with_precision_and_scale(38, 2).unwrap());
        assert_eq!(read(AtomSpec::Measure(RANGE), vec![Arc::clone(&array)]), [700, -500, 0]);
        assert_eq!(read(AtomSpec::Measure(WIDE), vec![array]), [1 << 100, -(1 << 100), 0]);
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5]));
        assert_eq!(read(AtomSpec::Measure(RANGE), vec![floats]), [0, 0, 0, 150]);
    }
}
