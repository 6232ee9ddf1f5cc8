//! Reads the fold's argument columns into exact whole numbers: one value per row and atom, zero where nothing is contributed.
//! Measures become fixed point at their declared scale and are clamped to their declared range; NaN and infinities are missing.

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Int64Array;
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

enum AtomValues {
    One,
    Each(Vec<i128>),
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
                AtomSpec::Rows { conditional: true } => {
                    AtomValues::Each(truths(rest.next().ok_or_else(missing_argument)?)?)
                }
                AtomSpec::Measure(spec) => AtomValues::Each(
                    fixed_point(rest.next().ok_or_else(missing_argument)?, *spec)?
                        .into_iter()
                        .map(Option::unwrap_or_default)
                        .collect(),
                ),
                AtomSpec::Product(left, right) => {
                    let left = fixed_point(rest.next().ok_or_else(missing_argument)?, *left)?;
                    let right = fixed_point(rest.next().ok_or_else(missing_argument)?, *right)?;
                    AtomValues::Each(
                        left.into_iter().zip(right).map(|pair| product(pair).unwrap_or_default()).collect(),
                    )
                }
            });
        }
        Ok(CellBatch { rows, subjects, values })
    }
}

fn product(pair: (Option<i128>, Option<i128>)) -> Option<i128> {
    pair.0?.checked_mul(pair.1?)
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

    pub(super) fn add_to(&self, run: &mut [i128], row: usize) {
        for (sum, values) in run.iter_mut().zip(&self.values) {
            *sum = sum.saturating_add(match values {
                AtomValues::One => 1,
                AtomValues::Each(values) => values.get(row).copied().unwrap_or_default(),
            });
        }
    }
}

fn missing_argument() -> DataFusionError {
    DataFusionError::Internal("cell fold argument missing or of another type".to_owned())
}

fn truths(array: &ArrayRef) -> Result<Vec<i128>> {
    let array = array.as_boolean_opt().ok_or_else(missing_argument)?;
    Ok(array.iter().map(|value| i128::from(value == Some(true))).collect())
}

fn fixed_point(array: &ArrayRef, spec: MeasureSpec) -> Result<Vec<Option<i128>>> {
    let factor = 10_i128.pow(u32::from(spec.scale));
    let clamp = |value: i128| value.clamp(spec.low, spec.high);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match array.data_type() {
        DataType::Int64 => Ok(array
            .as_primitive::<Int64Type>()
            .iter()
            .map(|value| value.map(|value| clamp(i128::from(value).saturating_mul(factor))))
            .collect()),
        DataType::Decimal128(_, scale) => {
            let own = *scale;
            Ok(array
                .as_primitive::<Decimal128Type>()
                .iter()
                .map(|value| value.and_then(|value| rescale(value, own, spec.scale)).map(clamp))
                .collect())
        }
        DataType::Float64 => Ok(array
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| value.and_then(|value| float_units(value, factor, spec)))
            .collect()),
        DataType::Null => Ok(vec![None; array.len()]),
        _ => Err(missing_argument()),
    }
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
