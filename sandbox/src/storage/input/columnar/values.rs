//! One column of an Arrow batch as cells of another type, exactly or not at all.
//! It casts only between widths of one kind; everything else is decided value by value.

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::PrimitiveArray;
use arrow::array::StringArray;
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use obscura_policies::vocabulary::DataType;

use crate::storage::cell::Cell;
use crate::storage::cell::decimal_from_float;
use crate::storage::cell::rescale;
use crate::storage::error::BadRowReason;
use crate::storage::input::CellReader;

const DAY_MICROS: i64 = 86_400_000_000;
/// 2^63 as a float: the first value that a 64-bit whole number cannot hold.
const INT_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// A column whose kind is known.
pub(super) enum Values {
    Missing,
    Text(StringArray),
    Int(PrimitiveArray<Int64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, i8),
    Float(PrimitiveArray<Float64Type>),
    Date(PrimitiveArray<Date32Type>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Bool(BooleanArray),
}

impl Values {
    /// Recognises the column, or nothing when its values are not single values.
    pub(super) fn new(array: &ArrayRef) -> Option<Self> {
        match array.data_type() {
            ArrowType::Null => Some(Self::Missing),
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => {
                Some(Self::Text(exact(array, &ArrowType::Utf8)?.as_string_opt::<i32>()?.clone()))
            }
            ArrowType::Int8
            | ArrowType::Int16
            | ArrowType::Int32
            | ArrowType::Int64
            | ArrowType::UInt8
            | ArrowType::UInt16
            | ArrowType::UInt32 => {
                Some(Self::Int(exact(array, &ArrowType::Int64)?.as_primitive_opt()?.clone()))
            }
            ArrowType::UInt64 => {
                let wide = exact(array, &ArrowType::Decimal128(20, 0))?;
                Some(Self::Decimal(wide.as_primitive_opt()?.clone(), 0))
            }
            ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => {
                Some(Self::Float(exact(array, &ArrowType::Float64)?.as_primitive_opt()?.clone()))
            }
            ArrowType::Decimal32(_, scale)
            | ArrowType::Decimal64(_, scale)
            | ArrowType::Decimal128(_, scale) => {
                let wide = exact(array, &ArrowType::Decimal128(38, *scale))?;
                Some(Self::Decimal(wide.as_primitive_opt()?.clone(), *scale))
            }
            ArrowType::Date32 => Some(Self::Date(array.as_primitive_opt()?.clone())),
            ArrowType::Date64 => {
                let micros = exact(array, &ArrowType::Timestamp(TimeUnit::Microsecond, None))?;
                Some(Self::Timestamp(micros.as_primitive_opt()?.clone()))
            }
            ArrowType::Timestamp(_, zone) => {
                let micros = exact(array, &ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                Some(Self::Timestamp(micros.as_primitive_opt()?.clone()))
            }
            ArrowType::Boolean => Some(Self::Bool(array.as_boolean_opt()?.clone())),
            ArrowType::Dictionary(_, values) => Self::new(&exact(array, values)?),
            _ => None,
        }
    }

    /// One value as a cell of the column it goes to.
    pub(super) fn cell<'a>(&'a self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        if self.is_missing(row) {
            return Ok(Cell::Null);
        }
        if let Self::Text(values) = self {
            return cell.text(values.value(row));
        }
        if cell.column().is_token() {
            return self.to_text(row, cell);
        }
        match cell.column().spec().data_type {
            DataType::Text => self.to_text(row, cell),
            DataType::Int => self.to_int(row),
            DataType::Decimal { scale } => self.to_decimal(row, scale),
            DataType::Float => self.to_float(row, cell),
            DataType::Date => self.to_date(row, cell),
            DataType::Timestamp => self.to_timestamp(row),
            DataType::Bool => self.to_bool(row),
        }
    }

    fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Decimal(values, _) => values.is_null(row),
            // Data frames write NaN where a number is missing.
            Self::Float(values) => values.is_null(row) || values.value(row).is_nan(),
            Self::Date(values) => values.is_null(row),
            Self::Timestamp(values) => values.is_null(row),
            Self::Bool(values) => values.is_null(row),
        }
    }

    fn to_text<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Int(values) => cell.owned_text(&values.value(row).to_string()),
            Self::Decimal(values, _) => cell.owned_text(&values.value_as_string(row)),
            Self::Date(values) => {
                let day = values.value_as_date(row).ok_or(BadRowReason::NotText)?;
                cell.owned_text(&day.to_string())
            }
            _ => Err(BadRowReason::NotText),
        }
    }

    fn to_int<'a>(&self, row: usize) -> Result<Cell<'a>, BadRowReason> {
        let value = match self {
            Self::Int(values) => Some(values.value(row)),
            Self::Decimal(values, scale) => {
                rescale(values.value(row), *scale, 0).and_then(|value| i64::try_from(value).ok())
            }
            Self::Float(values) => whole(values.value(row)),
            _ => None,
        };
        value.map(Cell::Int).ok_or(BadRowReason::NotInt)
    }

    fn to_decimal<'a>(&self, row: usize, to: u8) -> Result<Cell<'a>, BadRowReason> {
        let value = match self {
            Self::Int(values) => rescale(i128::from(values.value(row)), 0, to),
            Self::Decimal(values, scale) => rescale(values.value(row), *scale, to),
            Self::Float(values) => decimal_from_float(values.value(row), to),
            _ => None,
        };
        value.map(Cell::Decimal).ok_or(BadRowReason::NotDecimal)
    }

    fn to_float<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Float(values) => {
                let value = values.value(row);
                value.is_finite().then_some(Cell::Float(value)).ok_or(BadRowReason::NotFloat)
            }
            Self::Int(values) => cell.owned_text(&values.value(row).to_string()),
            Self::Decimal(values, _) => cell.owned_text(&values.value_as_string(row)),
            _ => Err(BadRowReason::NotFloat),
        }
    }

    fn to_date<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Date(values) => Ok(Cell::Date(values.value(row))),
            Self::Timestamp(values) => {
                let micros = values.value(row);
                let day = i32::try_from(micros.div_euclid(DAY_MICROS)).ok();
                day.filter(|_| micros.rem_euclid(DAY_MICROS) == 0)
                    .map(Cell::Date)
                    .ok_or(BadRowReason::NotDate)
            }
            // Registers keep days as whole numbers such as 20210203.
            Self::Int(values) => cell.owned_text(&values.value(row).to_string()),
            _ => Err(BadRowReason::NotDate),
        }
    }

    fn to_timestamp<'a>(&self, row: usize) -> Result<Cell<'a>, BadRowReason> {
        let value = match self {
            Self::Timestamp(values) => Some(values.value(row)),
            Self::Date(values) => i64::from(values.value(row)).checked_mul(DAY_MICROS),
            _ => None,
        };
        value.map(Cell::Timestamp).ok_or(BadRowReason::NotTimestamp)
    }

    fn to_bool<'a>(&self, row: usize) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Bool(values) => Ok(Cell::Bool(values.value(row))),
            Self::Int(values) => match values.value(row) {
                0 => Ok(Cell::Bool(false)),
                1 => Ok(Cell::Bool(true)),
                _ => Err(BadRowReason::NotBool),
            },
            _ => Err(BadRowReason::NotBool),
        }
    }
}

fn whole(value: f64) -> Option<i64> {
    if value.fract() != 0.0 || value.abs() >= INT_LIMIT {
        return None;
    }
    format!("{value:.0}").parse().ok()
}

/// Casts within one kind; a value that the cast would drop makes the column unreadable instead.
fn exact(array: &ArrayRef, to: &ArrowType) -> Option<ArrayRef> {
    let out = cast(array, to).ok()?;
    (out.logical_null_count() == array.logical_null_count()).then_some(out)
}
