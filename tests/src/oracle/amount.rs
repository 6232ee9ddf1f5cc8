//! Exact amounts: whole numbers of ten-thousandths, so that the oracle's sums have no rounding of their own.
//! It is not fast and not general: the fixture's measures fit.

use anyhow::Context as _;

/// Ten-thousandths in one.
pub const ONE: i128 = 10_000;

/// Reads a decimal with at most four places.
///
/// # Errors
/// When the text is no such number.
pub fn parse(text: &str) -> anyhow::Result<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    anyhow::ensure!(!whole.is_empty() && fraction.len() <= 4, "`{text}` is no number of four places");
    let padded = format!("{whole}{fraction:0<4}");
    let value: i128 = padded.parse().with_context(|| format!("`{text}` is no number"))?;
    Ok(if negative { -value } else { value })
}

/// Returns the nearest multiple of a step, ties away from zero.
#[must_use]
pub fn nearest(value: i128, step: i128) -> i128 {
    let rounded = (value.abs() + step / 2) / step * step;
    if value < 0 { -rounded } else { rounded }
}

/// Returns the step of a released sum: the largest power of ten not above 1 % of the range's width.
#[must_use]
pub fn sum_step(range: (i128, i128)) -> i128 {
    let limit = (range.1 - range.0) / 100;
    let mut step = 1;
    while step * 10 <= limit {
        step *= 10;
    }
    step
}

/// Returns a quotient at three significant digits, ties away from zero, as a floating number.
///
/// # Panics
/// When the denominator is not positive.
#[must_use]
pub fn three_digits(numerator: i128, denominator: i128) -> f64 {
    assert!(denominator > 0, "a mean needs at least one value");
    if numerator == 0 {
        return 0.0;
    }
    // Scaled until the quotient has three digits before the point.
    let (mut top, mut bottom, mut exponent) = (numerator.abs(), denominator, 0_i32);
    while top >= bottom * 1000 {
        bottom *= 10;
        exponent += 1;
    }
    while top < bottom * 100 {
        top *= 10;
        exponent -= 1;
    }
    let digits = (top * 2 + bottom) / (bottom * 2);
    let text = format!("{}{digits}e{exponent}", if numerator < 0 { "-" } else { "" });
    text.parse().expect("digits and an exponent are a number")
}

/// Returns an amount as a floating number.
#[must_use]
pub fn to_f64(amount: i128) -> f64 {
    let text = format!("{amount}e-4");
    text.parse().expect("digits and an exponent are a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(parse("31.0").unwrap(), 310_000);
        assert_eq!(parse("-0.0001").unwrap(), -1);
        assert_eq!(parse("123456").unwrap(), 1_234_560_000);
        assert!(parse("1.00001").is_err() && parse("x").is_err() && parse("").is_err());
    }

    #[test]
    fn ties_go_away_from_zero() {
        assert_eq!(nearest(1500, 1000), 2000);
        assert_eq!(nearest(-1500, 1000), -2000);
        assert_eq!(nearest(12, 5), 10);
        assert_eq!(nearest(13, 5), 15);
    }

    #[test]
    fn the_step_is_one_percent_of_the_range_at_most() {
        assert_eq!(sum_step((0, 200_000 * ONE)), 1000 * ONE);
        assert_eq!(sum_step((0, 1000 * ONE)), 10 * ONE);
        assert_eq!(sum_step((0, 999 * ONE)), ONE);
    }

    #[test]
    fn means_have_three_significant_digits() {
        assert!((three_digits(123_456, 1) - 123_000.0).abs() < 1e-9);
        assert!((three_digits(1, 3) - 0.333).abs() < 1e-12);
        assert!((three_digits(-2, 3) + 0.667).abs() < 1e-12);
        assert!((three_digits(99_950, 100) - 1000.0).abs() < 1e-9);
        assert!(three_digits(0, 7).abs() < 1e-12);
    }
}
