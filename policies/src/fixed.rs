//! Exact decimals for ranges, bins and mask edges: a whole number of millionths.
//! It is no general arithmetic type: nothing rounds silently and every operation that could overflow says so.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;

use crate::form::Phrase;

/// Decimal places that a [`Fixed`] keeps.
pub const FIXED_SCALE: u32 = 6;
const _: () = assert!(FIXED_SCALE == 6, "`Phrase::Decimal` says so");

const MICROS_PER_ONE: i128 = 1_000_000;

/// An exact decimal number, held in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(i128);

/// The text is not a decimal number with at most six places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", Phrase::NotADecimal)]
pub struct FixedError;

impl Fixed {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(MICROS_PER_ONE);

    /// Makes a number from millionths.
    #[must_use]
    pub const fn from_micros(micros: i128) -> Self {
        Self(micros)
    }

    /// Makes a whole number.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        // INVARIANT: an i64 times a million always fits an i128.
        Self(i128::from(value) * MICROS_PER_ONE)
    }

    /// Makes a number from an unscaled integer and its decimal places, when it can be held exactly.
    #[must_use]
    pub fn from_scaled(unscaled: i128, scale: u8) -> Option<Self> {
        let scale = u32::from(scale);
        if scale <= FIXED_SCALE {
            let factor = 10_i128.checked_pow(FIXED_SCALE - scale)?;
            return unscaled.checked_mul(factor).map(Self);
        }
        let divisor = 10_i128.checked_pow(scale - FIXED_SCALE)?;
        (unscaled % divisor == 0).then_some(Self(unscaled / divisor))
    }

    /// Makes a number from a float by its shortest decimal text, when that has at most six places.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_finite() { format!("{value}").parse().ok() } else { None }
    }

    /// Millionths.
    #[must_use]
    pub const fn micros(self) -> i128 {
        self.0
    }

    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // The decimal text is parsed so that 0.1 becomes the float 0.1 and not a neighbour of it.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number, if it is one that fits.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        if self.0 % MICROS_PER_ONE == 0 { i64::try_from(self.0 / MICROS_PER_ONE).ok() } else { None }
    }

    /// The unscaled integer at `scale` decimal places, if that loses nothing.
    #[must_use]
    pub fn to_scaled(self, scale: u8) -> Option<i128> {
        let scale = u32::from(scale);
        if scale >= FIXED_SCALE {
            return self.0.checked_mul(10_i128.checked_pow(scale - FIXED_SCALE)?);
        }
        let divisor = 10_i128.checked_pow(FIXED_SCALE - scale)?;
        (self.0 % divisor == 0).then_some(self.0 / divisor)
    }

    /// True if the number is greater than zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// True if the number is a whole multiple of `step`; nothing is a multiple of a step that is not positive.
    #[must_use]
    pub const fn is_multiple_of(self, step: Self) -> bool {
        step.0 > 0 && self.0 % step.0 == 0
    }

    /// The largest multiple of `step` that is not above the number.
    #[must_use]
    pub fn floor_to(self, step: Self) -> Option<Self> {
        if step.0 <= 0 {
            return None;
        }
        self.0.div_euclid(step.0).checked_mul(step.0).map(Self)
    }

    /// The smallest multiple of `step` that is not below the number.
    #[must_use]
    pub fn ceil_to(self, step: Self) -> Option<Self> {
        let floor = self.floor_to(step)?;
        if floor == self { Some(self) } else { floor.checked_add(step) }
    }

    /// The multiple of `step` nearest to the number; halves go away from zero.
    #[must_use]
    pub fn round_to(self, step: Self) -> Option<Self> {
        let low = self.floor_to(step)?;
        let high = low.checked_add(step)?;
        let below = self.checked_sub(low)?;
        let above = high.checked_sub(self)?;
        let up = below > above || (below == above && self.0 >= 0);
        Some(if up { high } else { low })
    }

    /// Sum, unless it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, unless it overflows.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Product with a whole number, unless it overflows.
    #[must_use]
    pub fn checked_mul_i64(self, factor: i64) -> Option<Self> {
        self.0.checked_mul(i128::from(factor)).map(Self)
    }

    /// Negation, unless it overflows.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// Absolute value, unless it overflows.
    #[must_use]
    pub fn checked_abs(self) -> Option<Self> {
        self.0.checked_abs().map(Self)
    }

    /// The larger of the absolute values of both.
    #[must_use]
    pub fn larger_abs(self, other: Self) -> Self {
        Self(self.0.saturating_abs().max(other.0.saturating_abs()))
    }

    /// The smallest positive number that is a multiple of both, unless it overflows or either is not positive.
    #[must_use]
    pub fn least_common_multiple(self, other: Self) -> Option<Self> {
        if self.0 <= 0 || other.0 <= 0 {
            return None;
        }
        let (mut a, mut b) = (self.0, other.0);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        (self.0 / a).checked_mul(other.0).map(Self)
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let one = MICROS_PER_ONE.unsigned_abs();
        let (whole, part) = (magnitude / one, magnitude % one);
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Fixed {
    type Err = FixedError;

    fn from_str(text: &str) -> Result<Self, FixedError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !is_digits(whole) || !is_digits(part) {
            return Err(FixedError);
        }
        let part = part.trim_end_matches('0');
        if part.len() > FIXED_SCALE as usize {
            return Err(FixedError);
        }
        let micros: i128 = format!("0{whole}{part:0<width$}", width = FIXED_SCALE as usize)
            .parse()
            .map_err(|_| FixedError)?;
        Ok(Self(if negative { -micros } else { micros }))
    }
}

impl From<i64> for Fixed {
    fn from(value: i64) -> Self {
        Self::from_i64(value)
    }
}

impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole numbers are written as integers; the rest as text, because a float might not read back exactly.
        match self.to_i64() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_str(&self.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Fixed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Phrase::Decimal.english())
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Fixed, E> {
                Ok(Fixed::from_i64(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Fixed, E> {
                i64::try_from(value).map(Fixed::from_i64).map_err(|_| E::custom(FixedError))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Fixed, E> {
                Fixed::from_f64(value).ok_or_else(|| E::custom(FixedError))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Fixed, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use super::Fixed;

    fn fixed(text: &str) -> Fixed {
        text.parse().unwrap()
    }

    #[test]
    fn decimal_text_is_exact() {
        assert_eq!(fixed("0.1").micros(), 100_000);
        assert_eq!(fixed("-12.500000").to_string(), "-12.5");
        assert_eq!(fixed(".5"), fixed("0.5"));
        assert_eq!(Fixed::from_f64(0.1), Some(fixed("0.1")));
    }

    #[test]
    fn a_seventh_place_is_refused() {
        assert!("0.1234567".parse::<Fixed>().is_err());
        assert!("0.12345600".parse::<Fixed>().is_ok());
        for bad in ["", ".", "-", "1e3", "1,000", "٣", "--1", "1.2.3"] {
            assert!(bad.parse::<Fixed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn floor_goes_down_below_zero_too() {
        assert_eq!(fixed("-1").floor_to(fixed("5")), Some(fixed("-5")));
        assert_eq!(fixed("12").ceil_to(fixed("5")), Some(fixed("15")));
        assert_eq!(fixed("2.5").round_to(fixed("5")), Some(fixed("5")));
        assert_eq!(fixed("-2.5").round_to(fixed("5")), Some(fixed("-5")));
        assert_eq!(fixed("1").floor_to(Fixed::ZERO), None);
    }

    #[test]
    fn scaling_never_drops_a_digit() {
        assert_eq!(fixed("1.25").to_scaled(2), Some(125));
        assert_eq!(fixed("1.25").to_scaled(1), None);
        assert_eq!(Fixed::from_scaled(125, 2), Some(fixed("1.25")));
        assert_eq!(Fixed::from_scaled(1, 7), None);
    }

    #[test]
    fn common_multiple_fits_both() {
        assert_eq!(fixed("0.5").least_common_multiple(fixed("0.3")), Some(fixed("1.5")));
        assert_eq!(fixed("0").least_common_multiple(fixed("1")), None);
    }

    #[test]
    fn the_larger_absolute_value_may_lie_below_zero() {
        assert_eq!(fixed("-12.5").larger_abs(fixed("3")), fixed("12.5"));
        assert_eq!(fixed("-1").larger_abs(fixed("3")), fixed("3"));
        assert_eq!(Fixed::from_micros(i128::MIN).larger_abs(Fixed::ZERO), Fixed::from_micros(i128::MAX));
    }

    proptest! {
        #[test]
        fn text_reads_back(micros in any::<i64>()) {
            let value = Fixed::from_micros(i128::from(micros));
            prop_assert_eq!(fixed(&value.to_string()), value);
        }
    }
}
