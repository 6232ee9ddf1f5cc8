//! Reads the fold's argument columns as exact whole numbers: one value per row and atom, zero where nothing is contributed.
//! Measures become fixed point at their declared scale and are clamped to their declared range; NaN and infinities are missing.

use std::ops::Range;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::buffer::BooleanBuffer;
use arrow::buffer::NullBuffer;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use datafusion_common::DataFusionError;
use datafusion_common::Result;

use super::Subjects;

/// The values that one atom adds up, as the fold reads them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum AtomSpec {
    /// Rows: one boolean argument (TRUE counts), or none when every row counts.
    Rows {
        /// True if there is a condition argument.
        conditional: bool,
    },
    /// One measure argument.
    Measure(MeasureSpec),
    /// Two measure arguments, multiplied.
    Product(MeasureSpec, MeasureSpec),
}

impl AtomSpec {
    /// True when no row's contribution can cancel another's.
    ///
    /// Only then does a subject that contributes once contribute in the end, whatever rows follow
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(super) fn keeps_its_sign(&self) -> bool {
        let keeps = |spec: &MeasureSpec| spec.low >= 0 || spec.high <= 0;
        match self {
            AtomSpec::Rows { .. } => true,
            AtomSpec::Measure(spec) => keeps(spec),
            AtomSpec::Product(left, right) => keeps(left) && keeps(right),
        }
    }
}

impl AtomSpec {
    /// The least and the largest contribution of one row, zero among them: some rows contribute nothing.
    ///
    /// An analyst who compares totals with their parts knows from the declared range that no part is below zero
    /// (`sandbox/docs/disclosure-model.md`, section 5.11).
    pub(crate) fn of_row(&self) -> (i128, i128) {
        let (least, most) = match self {
            AtomSpec::Rows { .. } => (0, 1),
            AtomSpec::Measure(spec) => (spec.low, spec.high),
            AtomSpec::Product(left, right) => {
                let ends = [
                    (left.low, right.low),
                    (left.low, right.high),
                    (left.high, right.low),
                    (left.high, right.high),
                ];
                let ends = ends.map(|(left, right)| left.saturating_mul(right));
                (ends.into_iter().fold(0, i128::min), ends.into_iter().fold(0, i128::max))
            }
        };
        (least.min(0), most.max(0))
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

/// One batch, its columns known but not yet read.
pub(super) struct CellBatch {
    rows: usize,
    subjects: Option<Int64Array>,
    atoms: Vec<AtomColumn>,
    is_wide: bool,
}

/// The source of one atom's contributions.
enum AtomColumn {
    /// Every row contributes one.
    Ones,
    /// Rows that are TRUE contribute one.
    Truths(BooleanBuffer),
    Measure(Measured),
    Product(Measured, Measured),
}

/// One column of a measure.
struct Measured {
    spec: MeasureSpec,
    numbers: Numbers,
    nulls: Option<NullBuffer>,
}

enum Numbers {
    Whole(ScalarBuffer<i64>),
    /// With its decimal places.
    Decimal(ScalarBuffer<i128>, i8),
    Float(ScalarBuffer<f64>),
    Missing,
}

/// The contribution of one row: 64 bits nearly always, 128 where a declared range needs them.
pub(super) trait Contribution: Copy + Default {
    /// A number in units of the last place, clamped to the declared range.
    ///
    /// A value beyond its range would lift a sum by more than its rounding hides, which is 1 % of that range, and show
    /// who has it (`sandbox/docs/disclosure-model.md`, sections 5.2 and 5.4).
    fn clamped(units: i128, spec: &MeasureSpec) -> Self;
    /// One row.
    fn one() -> Self;
    /// The product of two clamped factors, which lies within the product of their ranges
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn times(self, other: Self) -> Self;
    /// Adds it to a sum.
    fn add_to(self, sum: &mut i128);
}

impl Contribution for i64 {
    fn clamped(units: i128, spec: &MeasureSpec) -> Self {
        // 64 bits are chosen only where the range fits into them.
        let units = units.clamp(spec.low, spec.high);
        #[expect(clippy::cast_possible_truncation, reason = "the range fits")]
        let narrow = units as i64;
        narrow
    }

    fn one() -> Self {
        1
    }

    fn times(self, other: Self) -> Self {
        self.saturating_mul(other)
    }

    fn add_to(self, sum: &mut i128) {
        // No number of rows makes this overflow.
        *sum = sum.wrapping_add(i128::from(self));
    }
}

impl Contribution for i128 {
    fn clamped(units: i128, spec: &MeasureSpec) -> Self {
        units.clamp(spec.low, spec.high)
    }

    fn one() -> Self {
        1
    }

    fn times(self, other: Self) -> Self {
        self.checked_mul(other).unwrap_or_default()
    }

    fn add_to(self, sum: &mut i128) {
        *sum = sum.saturating_add(self);
    }
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
        let mut next = || rest.next().ok_or_else(missing_argument);
        let mut atoms = Vec::with_capacity(self.atoms.len());
        for atom in &self.atoms {
            atoms.push(match atom {
                AtomSpec::Rows { conditional: false } => AtomColumn::Ones,
                AtomSpec::Rows { conditional: true } => truths(next()?)?,
                AtomSpec::Measure(spec) => AtomColumn::Measure(Measured::of(next()?, *spec)?),
                AtomSpec::Product(left, right) => {
                    AtomColumn::Product(Measured::of(next()?, *left)?, Measured::of(next()?, *right)?)
                }
            });
        }
        Ok(CellBatch { rows, subjects, atoms, is_wide: self.atoms.iter().any(is_wide) })
    }
}

/// True if a row's contribution may need more than 64 bits.
///
/// The wrong choice would cut a number off in silence, so that everything that is not known to fit is wide
/// (`sandbox/docs/disclosure-model.md`, section 5.2).
fn is_wide(atom: &AtomSpec) -> bool {
    const NARROW_MAX: u128 = i64::MAX.unsigned_abs() as u128;
    let size = |spec: &MeasureSpec| spec.low.unsigned_abs().max(spec.high.unsigned_abs());
    match atom {
        AtomSpec::Rows { .. } => false,
        AtomSpec::Measure(spec) => size(spec) > NARROW_MAX,
        AtomSpec::Product(left, right) => {
            let product = size(left).checked_mul(size(right));
            [Some(size(left)), Some(size(right)), product]
                .iter()
                .any(|size| size.is_none_or(|size| size > NARROW_MAX))
        }
    }
}

impl CellBatch {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// True when contributions need 128 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// The row's subject; `None` when the row has none and feeds nothing. Each-row folds give every row the subject 0.
    ///
    /// Rows without a subject would add to totals that no contributor answers for, and an outer join could make any
    /// number of them (`sandbox/docs/disclosure-model.md`, section 4.7).
    pub(super) fn subject(&self, row: usize) -> Option<i64> {
        match &self.subjects {
            None => Some(0),
            Some(subjects) => subjects.is_valid(row).then(|| subjects.value(row)),
        }
    }

    /// Lays the contributions of some rows side by side, atom by atom within a row; `block` has room for all of them.
    pub(super) fn lay<V: Contribution>(&self, rows: Range<usize>, block: &mut [V]) {
        for (at, atom) in self.atoms.iter().enumerate() {
            let places = block.iter_mut().skip(at).step_by(self.atoms.len());
            match atom {
                AtomColumn::Ones => places.take(rows.len()).for_each(|place| *place = V::one()),
                AtomColumn::Truths(truths) => {
                    let truths = truths.slice(rows.start, rows.len());
                    for (place, truth) in places.zip(&truths) {
                        *place = if truth { V::one() } else { V::default() };
                    }
                }
                AtomColumn::Measure(measured) => {
                    measured.contribute(&rows, places, |place, value| *place = value)
                }
                AtomColumn::Product(left, right) => {
                    left.contribute(&rows, places, |place, value| *place = value);
                    let places = block.iter_mut().skip(at).step_by(self.atoms.len());
                    right.contribute(&rows, places, |place, value| *place = value.times(*place));
                }
            }
        }
    }
}

impl Measured {
    /// Reads a column of a measure; a type that is on no list is an error, and no number is made of it
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn of(array: &ArrayRef, spec: MeasureSpec) -> Result<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
        let numbers = match array.data_type() {
            DataType::Int64 => Numbers::Whole(array.as_primitive::<Int64Type>().values().clone()),
            DataType::Decimal128(_, scale) => {
                Numbers::Decimal(array.as_primitive::<Decimal128Type>().values().clone(), *scale)
            }
            DataType::Float64 => Numbers::Float(array.as_primitive::<Float64Type>().values().clone()),
            DataType::Null => Numbers::Missing,
            _ => return Err(missing_argument()),
        };
        Ok(Measured { spec, numbers, nulls: array.nulls().cloned() })
    }

    /// Hands each row's contribution to its place, clamped to the declared range; what is missing contributes zero.
    ///
    /// A subject all of whose values are missing is then no contributor, and is not counted towards the threshold of a
    /// sum that rests on others (`sandbox/docs/disclosure-model.md`, sections 4.11 and 5.2).
    fn contribute<'b, V: Contribution + 'b>(
        &self,
        rows: &Range<usize>,
        places: impl Iterator<Item = &'b mut V>,
        put: impl Fn(&mut V, V),
    ) {
        let spec = &self.spec;
        let factor = 10_i128.pow(u32::from(spec.scale));
        let clamped = |units: i128| V::clamped(units, spec);
        match &self.numbers {
            Numbers::Whole(values) => {
                self.each(rows, values, places, put, |value| {
                    clamped(i128::from(value).saturating_mul(factor))
                });
            }
            // The usual case apart, so that its loop holds no power of ten.
            Numbers::Decimal(values, scale) if i16::from(*scale) == i16::from(spec.scale) => {
                self.each(rows, values, places, put, clamped);
            }
            Numbers::Decimal(values, scale) => {
                let units = |value| rescale(value, *scale, spec.scale);
                self.each(rows, values, places, put, |value| units(value).map_or(V::default(), clamped));
            }
            Numbers::Float(values) => {
                let units = |value| float_units(value, factor, *spec);
                self.each(rows, values, places, put, |value| units(value).map_or(V::default(), clamped));
            }
            Numbers::Missing => places.take(rows.len()).for_each(|place| put(place, V::default())),
        }
    }

    fn each<'b, T: Copy, V: Contribution + 'b>(
        &self,
        rows: &Range<usize>,
        values: &[T],
        places: impl Iterator<Item = &'b mut V>,
        put: impl Fn(&mut V, V),
        read: impl Fn(T) -> V,
    ) {
        let values = values.get(rows.clone()).unwrap_or_default();
        match &self.nulls {
            None => places.zip(values).for_each(|(place, value)| put(place, read(*value))),
            Some(nulls) => {
                let valid = nulls.inner().slice(rows.start, rows.len());
                for ((place, value), is_valid) in places.zip(values).zip(&valid) {
                    put(place, if is_valid { read(*value) } else { V::default() });
                }
            }
        }
    }
}

fn missing_argument() -> DataFusionError {
    DataFusionError::Internal("cell fold argument missing or of another type".to_owned())
}

/// The rows that are TRUE; an unknown condition contributes nothing, as in a WHERE
/// (`sandbox/docs/disclosure-model.md`, section 4.11).
fn truths(array: &ArrayRef) -> Result<AtomColumn> {
    let array = array.as_boolean_opt().ok_or_else(missing_argument)?;
    let truths = match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    };
    Ok(if truths.count_set_bits() == truths.len() { AtomColumn::Ones } else { AtomColumn::Truths(truths) })
}

/// Moves a decimal to another scale, rounding half away from zero; an overflow is a missing value and no failure
/// (`sandbox/docs/disclosure-model.md`, sections 5.2 and 7).
fn rescale(value: i128, from: i8, to: u8) -> Option<i128> {
    let shift = i16::from(to) - i16::from(from);
    if shift >= 0 {
        return value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?);
    }
    let divisor = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
    let half = divisor / 2;
    Some(if value >= 0 { (value.checked_add(half)?) / divisor } else { (value.checked_sub(half)?) / divisor })
}

/// A floating-point number in units of the last place; NaN and infinite numbers are missing.
///
/// One infinite value would make the sum of its group infinite, and tell that it is there
/// (`sandbox/docs/disclosure-model.md`, section 4.11).
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
        let rows = 0..batch.rows();
        if batch.is_wide() {
            let mut block = vec![0_i128; rows.len()];
            batch.lay(rows, &mut block);
            return block;
        }
        let mut block = vec![0_i64; rows.len()];
        batch.lay(rows, &mut block);
        block.into_iter().map(i128::from).collect()
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
