//! One column of an Arrow batch as cells of another type, exactly or not at all.
//! It casts only between widths of one kind; everything else is decided value by value.

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BinaryArray;
use arrow::array::BooleanArray;
use arrow::array::PrimitiveArray;
use arrow::array::StringArray;
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Decimal256Type;
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
use crate::storage::zone::wall_clock;

/// 2^53: whole numbers below it are exact as floats.
const FLOAT_EXACT: f64 = 9_007_199_254_740_992.0;
const DAY_MICROS: i64 = 86_400_000_000;
/// 2^63 as a float: the first value that a 64-bit whole number cannot hold.
const INT_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// A column whose kind is known.
pub(super) enum Values {
    Missing,
    Text(StringArray),
    Bytes(BinaryArray),
    Int(PrimitiveArray<Int64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, i8),
    Wide(PrimitiveArray<Decimal256Type>, i8),
    Float(PrimitiveArray<Float64Type>),
    Date(PrimitiveArray<Date32Type>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Instant(PrimitiveArray<TimestampMicrosecondType>),
    Bool(BooleanArray),
}

impl Values {
    /// Recognises the column, or names the kind of its values if they are no single values.
    pub(super) fn new(array: &ArrayRef) -> Result<Self, &'static str> {
        Self::recognise(array).ok_or_else(|| kind_of(array.data_type()))
    }

    fn recognise(array: &ArrayRef) -> Option<Self> {
        match array.data_type() {
            ArrowType::Null => Some(Self::Missing),
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => {
                Some(Self::Text(exact(array, &ArrowType::Utf8)?.as_string_opt::<i32>()?.clone()))
            }
            // Older writers do not mark their texts as UTF-8.
            ArrowType::Binary
            | ArrowType::LargeBinary
            | ArrowType::BinaryView
            | ArrowType::FixedSizeBinary(_) => {
                Some(Self::Bytes(exact(array, &ArrowType::Binary)?.as_binary_opt::<i32>()?.clone()))
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
            ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => {
                Some(Self::Float(exact(array, &ArrowType::Float64)?.as_primitive_opt()?.clone()))
            }
            ArrowType::UInt64
            | ArrowType::Decimal32(..)
            | ArrowType::Decimal64(..)
            | ArrowType::Decimal128(..)
            | ArrowType::Decimal256(..) => Self::decimal(array),
            ArrowType::Date32 => Some(Self::Date(array.as_primitive_opt()?.clone())),
            ArrowType::Date64 => {
                let micros = exact(array, &ArrowType::Timestamp(TimeUnit::Microsecond, None))?;
                Some(Self::Timestamp(micros.as_primitive_opt()?.clone()))
            }
            // With a zone the values are instants, whatever the zone; without one they are the clock on the wall.
            ArrowType::Timestamp(_, zone) => {
                let micros = exact(array, &ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                let micros: PrimitiveArray<TimestampMicrosecondType> = micros.as_primitive_opt()?.clone();
                Some(if zone.is_some() { Self::Instant(micros) } else { Self::Timestamp(micros) })
            }
            ArrowType::Boolean => Some(Self::Bool(array.as_boolean_opt()?.clone())),
            ArrowType::Dictionary(_, values) => Self::recognise(&exact(array, values)?),
            ArrowType::RunEndEncoded(_, values) => Self::recognise(&exact(array, values.data_type())?),
            _ => None,
        }
    }

    fn decimal(array: &ArrayRef) -> Option<Self> {
        match array.data_type() {
            ArrowType::UInt64 => {
                let wide = exact(array, &ArrowType::Decimal128(20, 0))?;
                Some(Self::Decimal(wide.as_primitive_opt()?.clone(), 0))
            }
            ArrowType::Decimal256(_, scale) => Some(Self::Wide(array.as_primitive_opt()?.clone(), *scale)),
            ArrowType::Decimal32(_, scale)
            | ArrowType::Decimal64(_, scale)
            | ArrowType::Decimal128(_, scale) => {
                let wide = exact(array, &ArrowType::Decimal128(38, *scale))?;
                Some(Self::Decimal(wide.as_primitive_opt()?.clone(), *scale))
            }
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
        if let Self::Bytes(values) = self {
            let text =
                std::str::from_utf8(values.value(row)).map_err(|_quotes_bytes| BadRowReason::Encoding)?;
            return cell.text(text);
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
            DataType::Timestamp => self.to_timestamp(row, cell),
            DataType::Bool => self.to_bool(row),
        }
    }

    fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(values) => values.is_null(row),
            Self::Bytes(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Decimal(values, _) => values.is_null(row),
            Self::Wide(values, _) => values.is_null(row),
            // Data frames write NaN where a number is missing.
            Self::Float(values) => values.is_null(row) || values.value(row).is_nan(),
            Self::Date(values) => values.is_null(row),
            Self::Timestamp(values) | Self::Instant(values) => values.is_null(row),
            Self::Bool(values) => values.is_null(row),
        }
    }

    fn to_text<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Int(values) => cell.owned_text(&values.value(row).to_string()),
            Self::Decimal(values, _) => cell.owned_text(&values.value_as_string(row)),
            Self::Wide(values, _) => cell.owned_text(&values.value_as_string(row)),
            // Data frames turn whole numbers into floats where one is missing.
            Self::Float(values) if cell.column().is_token() && values.value(row).abs() < FLOAT_EXACT => {
                let number = whole(values.value(row)).ok_or(BadRowReason::NotText)?;
                cell.owned_text(&format!("{number}.0"))
            }
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
            Self::Wide(values, scale) => {
                let value = values.value(row).to_i128().and_then(|value| rescale(value, *scale, 0));
                value.and_then(|value| i64::try_from(value).ok())
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
            Self::Wide(values, scale) => {
                values.value(row).to_i128().and_then(|value| rescale(value, *scale, to))
            }
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
            Self::Wide(values, _) => cell.owned_text(&values.value_as_string(row)),
            _ => Err(BadRowReason::NotFloat),
        }
    }

    fn to_date<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        match self {
            Self::Date(values) => Ok(Cell::Date(values.value(row))),
            Self::Timestamp(values) => midnight(values.value(row)),
            Self::Instant(values) => wall_clock(values.value(row), cell.column().zone())
                .ok_or(BadRowReason::NotDate)
                .and_then(midnight),
            // Registers keep days as whole numbers such as 20210203.
            Self::Int(values) => cell.owned_text(&values.value(row).to_string()),
            _ => Err(BadRowReason::NotDate),
        }
    }

    fn to_timestamp<'a>(&self, row: usize, cell: &CellReader<'_>) -> Result<Cell<'a>, BadRowReason> {
        let value = match self {
            Self::Timestamp(values) => Some(values.value(row)),
            Self::Instant(values) => wall_clock(values.value(row), cell.column().zone()),
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

/// The day that begins at a time; a time within a day is no date.
fn midnight<'a>(micros: i64) -> Result<Cell<'a>, BadRowReason> {
    let day = i32::try_from(micros.div_euclid(DAY_MICROS)).ok();
    day.filter(|_| micros.rem_euclid(DAY_MICROS) == 0).map(Cell::Date).ok_or(BadRowReason::NotDate)
}

/// The kind of values in a column that cannot be read.
fn kind_of(data_type: &ArrowType) -> &'static str {
    match data_type {
        ArrowType::List(_)
        | ArrowType::LargeList(_)
        | ArrowType::ListView(_)
        | ArrowType::LargeListView(_)
        | ArrowType::FixedSizeList(..) => "lists",
        ArrowType::Struct(_) | ArrowType::Union(..) => "records",
        ArrowType::Map(..) => "maps",
        ArrowType::Time32(_) | ArrowType::Time64(_) => "times of day",
        ArrowType::Duration(_) | ArrowType::Interval(_) => "lengths of time",
        ArrowType::Timestamp(..) | ArrowType::Date64 => "times beyond the years that can be stored",
        _ => "values that cannot be read exactly",
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
