//! Checks that a guarded answer is the plain one but for declared rounding and noise, and withheld values.
//! A benchmark of wrong answers would measure nothing.

use std::collections::BTreeMap;

use anyhow::Context as _;
use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::util::display::array_value_to_string;

use crate::lineitem;
use crate::lineitem::Asked;
use crate::queries::Exactness;
use crate::queries::Query;

/// Share of the plain values that a guarded answer must hold for the comparison to mean something.
const RELEASED_SHARE_MIN: f64 = 0.5;

/// Deviations of its noise that a value may be off.
const DEVIATIONS_MAX: f64 = 7.0;
/// Share of a mean that noise may move it by.
const MEAN_SHARE_MAX: f64 = 0.1;

/// Compares two answers exactly where they are exact, and within rounding and noise where not; returns how many values are
/// missing.
///
/// # Errors
/// When a released value is not the plain one, or a key is not in the plain answer.
pub(crate) fn guarded_is_plain(
    query: &Query,
    asked: Asked,
    plain: &RecordBatch,
    guarded: &RecordBatch,
) -> anyhow::Result<usize> {
    let plain_rows = rows(query, plain)?;
    let guarded_rows = rows(query, guarded)?;
    for key in guarded_rows.keys() {
        anyhow::ensure!(plain_rows.contains_key(key), "{}: the group {key:?} does not exist", query.name);
    }
    let mut values = 0_u32;
    let mut withheld = 0_u32;
    for (key, expected) in &plain_rows {
        let found = guarded_rows.get(key);
        for (column, (exactness, expected)) in value_columns(query).zip(expected).enumerate() {
            values += 1;
            let Some(Some(found)) = found.and_then(|row| row.get(column)) else {
                withheld += 1;
                continue;
            };
            let expected = expected.context("plain answers have no missing values")?;
            let noise = if asked == Asked::Noise { noise(query, exactness, expected) } else { 0.0 };
            let tolerance = tolerance(exactness, expected) + noise;
            anyhow::ensure!(
                (found - expected).abs() <= tolerance,
                "{}: value {column} of group {key:?} is {found}, plain {expected}, tolerance {tolerance}",
                query.name
            );
        }
    }
    let released = f64::from(values - withheld) / f64::from(values.max(1));
    // Noise may withhold a number of a small scale factor altogether.
    let least = if asked == Asked::Noise { 0.0 } else { RELEASED_SHARE_MIN };
    anyhow::ensure!(released >= least, "{}: only {released:.2} of the values leave", query.name);
    Ok(usize::try_from(withheld)?)
}

/// The same rows, value by value.
///
/// # Errors
/// When they differ.
pub(crate) fn same(query: &Query, left: &RecordBatch, right: &RecordBatch) -> anyhow::Result<()> {
    let (left, right) = (rows(query, left)?, rows(query, right)?);
    let close = |a: &Option<f64>, b: &Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= a.abs() * 1e-9,
        (a, b) => a.is_none() && b.is_none(),
    };
    let equal = left.len() == right.len()
        && left
            .iter()
            .zip(&right)
            .all(|((key, a), (other, b))| key == other && a.iter().zip(b).all(|(a, b)| close(a, b)));
    anyhow::ensure!(equal, "{}: two unguarded answers differ", query.name);
    Ok(())
}

fn value_columns(query: &Query) -> impl Iterator<Item = Exactness> {
    query.columns.iter().copied().filter(|column| *column != Exactness::Key)
}

/// Half a rounding step, with a little room for floating point.
fn tolerance(exactness: Exactness, expected: f64) -> f64 {
    let step = match exactness {
        Exactness::Key => 0.0,
        Exactness::Count => f64::from(lineitem::ROUNDING),
        Exactness::Sum(summands) => summands.iter().map(|factors| sum_step(factors)).sum(),
        Exactness::Chosen(factors) => f64::from(lineitem::ROUNDING) * largest(factors),
        // Half a unit of the third significant digit is at most 0.5 % of the value.
        Exactness::Mean => expected.abs() * 0.01,
    };
    step / 2.0 + expected.abs() * 1e-9
}

/// The noise that a value may have, from the names of its cell, the deviation of one and the scale of the quantity.
fn noise(query: &Query, exactness: Exactness, expected: f64) -> f64 {
    // Versions of the dataset are replaced: each has a draw of its own besides, of twice the deviation.
    let of_name = f64::from(lineitem::DEVIATION) * 5.0_f64.sqrt();
    let of_names = DEVIATIONS_MAX * of_name * f64::from(query.names).sqrt();
    match exactness {
        Exactness::Key => 0.0,
        Exactness::Count => of_names * f64::from(lineitem::USUAL_ROWS),
        Exactness::Sum(summands) => {
            of_names * summands.iter().map(|factors| lineitem::usual(factors)).sum::<f64>()
        }
        Exactness::Chosen(factors) => of_names * lineitem::usual(factors),
        Exactness::Mean => expected.abs() * MEAN_SHARE_MAX,
    }
}

/// The largest power of ten not above 1 % of the declared width of a product.
fn sum_step(factors: &[&str]) -> f64 {
    10_f64.powf((largest(factors) / 100.0).log10().floor())
}

/// The largest value of a product: all ranges begin at zero.
fn largest(factors: &[&str]) -> f64 {
    factors.iter().map(|factor| lineitem::width(factor)).product()
}

type Rows = BTreeMap<Vec<String>, Vec<Option<f64>>>;

fn rows(query: &Query, batch: &RecordBatch) -> anyhow::Result<Rows> {
    anyhow::ensure!(batch.num_columns() == query.columns.len(), "{}: another number of columns", query.name);
    let mut keys = vec![Vec::new(); batch.num_rows()];
    let mut values = vec![Vec::new(); batch.num_rows()];
    for (exactness, column) in query.columns.iter().zip(batch.columns()) {
        if *exactness == Exactness::Key {
            for (row, key) in keys.iter_mut().enumerate() {
                key.push(array_value_to_string(column, row)?);
            }
        } else {
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            for (row, value) in values.iter_mut().enumerate() {
                value.push(numbers.is_valid(row).then(|| numbers.value(row)));
            }
        }
    }
    Ok(keys.into_iter().zip(values).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use arrow::array::Float64Array;
    use arrow::array::Int64Array;
    use arrow::array::RecordBatch;

    use super::guarded_is_plain;
    use super::same;
    use super::sum_step;
    use crate::lineitem::Asked;
    use crate::queries::Query;
    use crate::queries::by_name;

    fn suppliers() -> &'static Query {
        by_name("suppliers").unwrap()
    }

    fn answer(rows: &[(i64, i64, Option<f64>)]) -> RecordBatch {
        let keys = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
        let counts = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
        let sums = Float64Array::from_iter(rows.iter().map(|row| row.2));
        let columns: [ArrayRef; 3] = [Arc::new(keys), Arc::new(counts), Arc::new(sums)];
        RecordBatch::try_from_iter(["key", "lines", "price"].into_iter().zip(columns)).unwrap()
    }

    #[test]
    fn an_answer_within_rounding_is_the_plain_one() {
        let plain = answer(&[(1, 101, Some(20_400.0)), (2, 99, Some(31_700.0))]);
        let guarded = answer(&[(1, 100, Some(20_000.0)), (2, 100, None)]);
        assert_eq!(guarded_is_plain(suppliers(), Asked::Dominance, &plain, &guarded).unwrap(), 1);
    }

    #[test]
    fn a_value_beyond_rounding_is_found() {
        let plain = answer(&[(1, 101, Some(20_400.0))]);
        assert!(
            guarded_is_plain(suppliers(), Asked::Dominance, &plain, &answer(&[(1, 105, Some(20_000.0))]))
                .is_err()
        );
        assert!(
            guarded_is_plain(suppliers(), Asked::Dominance, &plain, &answer(&[(1, 100, Some(21_000.0))]))
                .is_err()
        );
    }

    #[test]
    fn a_value_within_its_noise_is_found_only_without_noise() {
        let plain = answer(&[(1, 600, Some(23_000_000.0))]);
        let noisy = answer(&[(1, 700, Some(24_000_000.0))]);
        assert!(guarded_is_plain(suppliers(), Asked::Dominance, &plain, &noisy).is_err());
        assert_eq!(guarded_is_plain(suppliers(), Asked::Noise, &plain, &noisy).unwrap(), 0);
        let far = answer(&[(1, 1_600, Some(23_000_000.0))]);
        assert!(guarded_is_plain(suppliers(), Asked::Noise, &plain, &far).is_err());
    }

    #[test]
    fn an_invented_group_is_found() {
        let plain = answer(&[(1, 100, Some(20_000.0))]);
        let guarded = answer(&[(1, 100, Some(20_000.0)), (7, 100, Some(20_000.0))]);
        assert!(guarded_is_plain(suppliers(), Asked::Dominance, &plain, &guarded).is_err());
    }

    #[test]
    fn an_answer_that_withholds_nearly_all_compares_nothing() {
        let plain = answer(&[(1, 100, Some(1.0)), (2, 100, Some(1.0)), (3, 100, Some(1.0))]);
        assert!(guarded_is_plain(suppliers(), Asked::Dominance, &plain, &answer(&[(1, 100, None)])).is_err());
    }

    #[test]
    fn unguarded_answers_must_be_the_same_whatever_their_order() {
        let left = answer(&[(1, 100, Some(1.0)), (2, 50, Some(2.0))]);
        assert!(same(suppliers(), &left, &answer(&[(2, 50, Some(2.0)), (1, 100, Some(1.0))])).is_ok());
        assert!(same(suppliers(), &left, &answer(&[(2, 50, Some(2.1)), (1, 100, Some(1.0))])).is_err());
    }

    #[test]
    fn sums_are_rounded_to_a_power_of_ten_within_one_percent_of_the_width() {
        assert!((sum_step(&["l_extendedprice"]) - 1000.0).abs() < 1e-9);
        assert!((sum_step(&["l_quantity"]) - 0.1).abs() < 1e-9);
    }
}
