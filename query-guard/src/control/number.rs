//! A released number on its way from whole-number statistics to the type of its column.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;

/// A released number before it takes the column's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// A whole number.
    Whole(i128),
    /// Units of `10^-scale`, and the scale.
    Scaled(i128, u8),
    /// Floating point.
    Real(f64),
}

impl Number {
    /// As floating point.
    pub(crate) fn real(self) -> f64 {
        match self {
            Number::Whole(value) => to_f64(value, 0),
            Number::Scaled(value, scale) => to_f64(value, scale),
            Number::Real(value) => value,
        }
    }

    /// As a value of a column's type; nothing where it does not fit.
    ///
    /// An overflow would be an error or another number; a missing one looks like a withheld figure
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn into_type(self, data_type: &DataType) -> Option<ScalarValue> {
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

/// Units of `10^-scale` as floating point.
#[expect(clippy::cast_precision_loss, reason = "released numbers are rounded far above the last bit")]
pub(crate) fn to_f64(value: i128, scale: u8) -> f64 {
    value as f64 / 10_f64.powi(i32::from(scale))
}

/// Nearest multiple, halves away from zero.
///
/// It draws nothing at random, so that the mean of many answers to one question tells no more than one
/// (`sandbox/docs/disclosure-model.md`, sections 5.4 and 6).
pub(crate) fn round_half_up(value: i128, base: i128) -> i128 {
    if base <= 1 {
        return value;
    }
    let sign = value.signum();
    let size = value.saturating_abs();
    let down = size - size % base;
    let rounded = if (size - down).saturating_mul(2) >= base { down.saturating_add(base) } else { down };
    sign * rounded
}
