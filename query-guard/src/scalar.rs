//! Scalar functions that the engine lacks: `age_years` and `width_bucket` of the shape rule, and what quotients of released
//! values are rounded by.
//! Both are total: what they cannot answer is NULL, and no argument is ever quoted in an error.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Date32Array;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::datatypes::DataType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use datafusion_common::Result;
use datafusion_common::internal_err;
use datafusion_expr::ColumnarValue;
use datafusion_expr::ScalarFunctionArgs;
use datafusion_expr::ScalarUDF;
use datafusion_expr::ScalarUDFImpl;
use datafusion_expr::Signature;
use datafusion_expr::TypeSignature;
use datafusion_expr::Volatility;
use obscura_policies::day::Day;

/// `age_years(date)`: completed years from a date to the job's day, which the guard puts in as a second argument.
pub(crate) const AGE_YEARS: &str = "age_years";
/// `width_bucket(number, low, high, count)`: which of `count` equal intervals from low to high the number lies in, from 1;
/// 0 below them and `count + 1` from `high` on (ISO/IEC 9075-2, 6.29).
pub(crate) const WIDTH_BUCKET: &str = "width_bucket";

/// Rounds to the three significant digits that means have too; in plans alone, no analyst can write it.
pub(crate) const THREE_DIGITS: &str = "obscura_three_digits";

/// Most intervals of `width_bucket`.
pub(crate) const BUCKETS_MAX: i64 = 1_000_000;

/// The function that quotients of released numbers are rounded by; no analyst can write it
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
pub(crate) fn three_digits() -> ScalarUDF {
    let signature = Signature::new(TypeSignature::Exact(vec![DataType::Float64]), Volatility::Immutable);
    ScalarUDF::new_from_impl(OwnFunction { which: Which::ThreeDigits, signature })
}

/// The functions that analysts may write: both are immutable and total, so that neither a clock nor a failure tells of a
/// row (`sandbox/docs/disclosure-model.md`, sections 4.3 and 7).
pub(crate) fn own_functions() -> [Arc<ScalarUDF>; 2] {
    let dates = TypeSignature::OneOf(vec![
        TypeSignature::Exact(vec![DataType::Date32]),
        TypeSignature::Exact(vec![DataType::Date32, DataType::Date32]),
    ]);
    let numbers = vec![DataType::Float64, DataType::Float64, DataType::Float64, DataType::Int64];
    [(Which::AgeYears, dates), (Which::WidthBucket, TypeSignature::Exact(numbers))].map(|(which, types)| {
        let signature = Signature::new(types, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(OwnFunction { which, signature }))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    AgeYears,
    WidthBucket,
    ThreeDigits,
}

/// One of them, as the engine knows functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OwnFunction {
    which: Which,
    signature: Signature,
}

impl ScalarUDFImpl for OwnFunction {
    fn name(&self) -> &str {
        match self.which {
            Which::AgeYears => AGE_YEARS,
            Which::WidthBucket => WIDTH_BUCKET,
            Which::ThreeDigits => THREE_DIGITS,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.which {
            Which::AgeYears | Which::WidthBucket => DataType::Int64,
            Which::ThreeDigits => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let computed: Option<ArrayRef> = match (self.which, arrays.as_slice()) {
            (Which::AgeYears, [dates, today]) => {
                age_years(dates, today).map(|ages| Arc::new(ages) as ArrayRef)
            }
            (Which::WidthBucket, [numbers, low, high, count]) => {
                width_bucket(numbers, low, high, count).map(|buckets| Arc::new(buckets) as ArrayRef)
            }
            (Which::ThreeDigits, [numbers]) => rounded(numbers).map(|numbers| Arc::new(numbers) as ArrayRef),
            _ => None,
        };
        match computed {
            Some(numbers) => Ok(ColumnarValue::Array(numbers)),
            None => internal_err!("{} has arguments that its signature does not have", self.name()),
        }
    }
}

fn rounded(numbers: &ArrayRef) -> Option<Float64Array> {
    let numbers = numbers.as_primitive_opt::<Float64Type>()?;
    Some(numbers.iter().map(|number| number.map(three_significant_digits)).collect())
}

/// Significant digits of released means.
pub(crate) const SIGNIFICANT_DIGITS: u8 = 3;

/// A number to the significant digits of a mean.
///
/// A mean of all its digits over a known number of rows tells the exact total, and two such totals tell the value of
/// whoever is in one of them alone (`sandbox/docs/disclosure-model.md`, sections 5.4 and 5.5).
pub(crate) fn three_significant_digits(value: f64) -> f64 {
    to_significant_digits(value, SIGNIFICANT_DIGITS)
}

/// A number to so many significant digits, one at the least; what is not finite is nothing of which digits could be told, and stays.
pub(crate) fn to_significant_digits(value: f64, digits: u8) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Through text, so that the result is the decimal itself and not the product of powers of ten.
    format!("{value:.*e}", usize::from(digits).saturating_sub(1)).parse().unwrap_or(value)
}

fn age_years(dates: &ArrayRef, today: &ArrayRef) -> Option<Int64Array> {
    Some(ages(dates.as_primitive_opt::<Date32Type>()?, today.as_primitive_opt::<Date32Type>()?))
}

fn width_bucket(numbers: &ArrayRef, low: &ArrayRef, high: &ArrayRef, count: &ArrayRef) -> Option<Int64Array> {
    let [numbers, low, high] = [numbers, low, high].map(|array| array.as_primitive_opt::<Float64Type>());
    Some(buckets(numbers?, low?, high?, count.as_primitive_opt::<Int64Type>()?))
}

fn ages(dates: &Date32Array, today: &Date32Array) -> Int64Array {
    dates.iter().zip(today).map(|(date, today)| Some(age(date?, today?))).collect()
}

/// Completed years between two days; somebody born on February 29 has their birthday on March 1 in common years.
///
/// Ages count to the job's day by the calendar, so that an edge of ages is one day of birth for everybody
/// (`sandbox/docs/disclosure-model.md`, section 4.3).
fn age(date: i32, today: i32) -> i64 {
    let (born, born_month, born_day) = Day::from_epoch_days(date).ymd();
    let (year, month, day) = Day::from_epoch_days(today).ymd();
    let had_birthday = (month, day) >= (born_month, born_day);
    i64::from(year) - i64::from(born) - i64::from(!had_birthday)
}

fn buckets(
    numbers: &Float64Array,
    low: &Float64Array,
    high: &Float64Array,
    count: &Int64Array,
) -> Int64Array {
    let present = |array: &Float64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    let rows = 0..numbers.len();
    rows.map(|row| {
        let count = count.is_valid(row).then(|| count.value(row))?;
        bucket(present(numbers, row)?, present(low, row)?, present(high, row)?, count)
    })
    .collect()
}

/// The number of the interval that a number lies in; NULL where there are no such intervals.
///
/// An error in their place would quote its arguments, or tell that some row has such a number
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn bucket(number: f64, low: f64, high: f64, count: i64) -> Option<i64> {
    let interval = low < high && (high - low).is_finite() && !number.is_nan();
    if !interval || !(1..=BUCKETS_MAX).contains(&count) {
        return None;
    }
    if number < low {
        return Some(0);
    }
    if number >= high {
        return Some(count + 1);
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a count of a million at most is exact, and so is the number of an interval below it"
    )]
    let below = ((number - low) * count as f64 / (high - low)).floor() as i64;
    Some(below.min(count - 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(year: i32, month: u8, day: u8) -> i32 {
        Day::from_ymd(year, month, day).unwrap().epoch_days()
    }

    #[test]
    fn a_year_is_completed_on_the_birthday() {
        let today = days(2026, 3, 15);
        assert_eq!(age(days(1966, 3, 14), today), 60);
        assert_eq!(age(days(1966, 3, 15), today), 60);
        assert_eq!(age(days(1966, 3, 16), today), 59);
        assert_eq!(age(days(2027, 1, 1), today), -1);
        assert_eq!(age(days(2000, 2, 29), days(2026, 2, 28)), 25);
        assert_eq!(age(days(2000, 2, 29), days(2026, 3, 1)), 26);
    }

    #[test]
    fn buckets_are_numbered_from_one_and_closed_below() {
        let of = |number| bucket(number, 0.0, 100.0, 10);
        assert_eq!(of(-0.5), Some(0));
        assert_eq!(of(0.0), Some(1));
        assert_eq!(of(9.99), Some(1));
        assert_eq!(of(10.0), Some(2));
        assert_eq!(of(99.99), Some(10));
        assert_eq!(of(100.0), Some(11));
    }

    #[test]
    fn what_has_no_bucket_is_null() {
        assert_eq!(bucket(f64::NAN, 0.0, 1.0, 1), None);
        assert_eq!(bucket(1.0, 1.0, 1.0, 1), None);
        assert_eq!(bucket(1.0, 2.0, 1.0, 1), None);
        assert_eq!(bucket(1.0, 0.0, f64::INFINITY, 1), None);
        assert_eq!(bucket(1.0, 0.0, 2.0, 0), None);
        assert_eq!(bucket(1.0, 0.0, 2.0, i64::MAX), None);
    }

    #[test]
    fn missing_values_stay_missing() {
        let ages = ages(&vec![Some(0), None].into(), &vec![None, Some(0)].into());
        assert_eq!(ages, Int64Array::from(vec![None, None]));
        let none = Float64Array::from(vec![None::<f64>]);
        let one = Float64Array::from(vec![Some(1.0)]);
        assert_eq!(buckets(&none, &one, &one, &vec![Some(1)].into()), Int64Array::from(vec![None]));
    }
}
