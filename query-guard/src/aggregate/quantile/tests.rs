//! A quantile is the middle of the step that plain rows have it in, and shows no step that few people are in or beyond.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use obscura_policies::fixed::Fixed;
use proptest::prelude::*;

use super::PERCENTS;
use crate::fixture::admitted;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::execute::run_with;
use crate::fixture::noise::Mixed;
use crate::fixture::noise::context;
use crate::fixture::noise::plan;
use crate::fixture::noise::policy;
use crate::fixture::noise::visits;
use crate::fixture::noise::world;

/// Subjects that a group needs under the fixture's policy.
const SUBJECTS_MIN: usize = 10;
/// Base that its counts are rounded to.
const ROUNDING: f64 = 5.0;

fn numbers(batch: &RecordBatch, column: usize) -> Vec<Option<f64>> {
    let numbers = arrow::compute::cast(batch.column(column), &DataType::Float64).unwrap();
    numbers.as_primitive::<Float64Type>().iter().collect()
}

/// The salaries of a department as they are, brought into the declared range.
fn salaries(rows: &Rows, dept: &str) -> Vec<f64> {
    let batch = &rows["corpus.persons"][0][0];
    let of_dept = batch.column_by_name("dept").unwrap().as_string::<i32>();
    let salary = batch.column_by_name("salary").unwrap().as_primitive::<Int64Type>();
    let here = (0..batch.num_rows()).filter(|row| of_dept.is_valid(*row) && of_dept.value(*row) == dept);
    here.filter(|row| salary.is_valid(*row))
        .map(|row| f64::from(i32::try_from(salary.value(row)).unwrap()).min(200_000.0))
        .collect()
}

fn count(salaries: &[f64], is: impl Fn(f64) -> bool) -> usize {
    salaries.iter().filter(|salary| is(**salary)).count()
}

#[test]
fn every_percentile_lies_in_the_step_of_plain_rows() {
    let rows = world(3_000, 1);
    let columns =
        PERCENTS.map(|percent| format!("percentile_cont(0.{percent:02}) WITHIN GROUP (ORDER BY salary)"));
    let sql = format!("SELECT dept, median(salary), {} FROM persons GROUP BY dept", columns.join(", "));
    let batch = run(&admitted(&sql), &rows).unwrap();
    let depts = batch.column(0).as_string::<i32>();
    let mut looked_at = 0;
    for row in 0..batch.num_rows() {
        if depts.is_null(row) {
            continue;
        }
        let plain = salaries(&rows, depts.value(row));
        for (column, percent) in std::iter::once(50).chain(PERCENTS).enumerate() {
            let Some(found) = numbers(&batch, column + 1)[row] else { continue };
            let wanted = plain.len() as f64 * f64::from(percent) / 100.0;
            let (start, end) = step(found);
            let below_end = count(&plain, |salary| salary < end || end >= 200_000.0) as f64;
            let below_start = count(&plain, |salary| salary < start) as f64;
            // Each of the two numbers that are compared is off by half a base at the most.
            assert!(below_end >= wanted - ROUNDING, "{percent} %: {below_end} below {end}, wanted {wanted}");
            assert!(
                below_start <= wanted + ROUNDING,
                "{percent} %: {below_start} below {start}, wanted {wanted}"
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 40, "{looked_at} percentiles were released");
}

/// The bin of the fixture that a number is the middle of.
fn step(middle: f64) -> (f64, f64) {
    let width = 20_000.0;
    let start = (middle / width).floor() * width;
    assert!((middle - start - width / 2.0).abs() < 1e-9, "{middle} is the middle of a step");
    (start, start + width)
}

#[test]
fn a_descending_percentile_is_the_other_one() {
    let rows = world(3_000, 1);
    let of = |sql: &str| numbers(&run(&admitted(sql), &rows).unwrap(), 0);
    let rising = of("SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY salary) FROM persons");
    assert!(rising[0].is_some());
    assert_eq!(of("SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY salary DESC) FROM persons"), rising);
    assert_eq!(of("SELECT approx_percentile_cont(salary, 0.25) FROM persons"), rising);
}

#[test]
fn the_median_of_whole_numbers_is_one_of_them() {
    let rows = Rows::from([("corpus.visits", vec![vec![visits(1_500)]])]);
    let sql = "SELECT median(n) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t";
    assert_eq!(numbers(&run(&admitted(sql), &rows).unwrap(), 0), [Some(3.0)]);
}

#[test]
fn the_median_of_a_column_under_a_mask_of_bins_is_the_middle_of_one() {
    let sql = "SELECT median(age) FROM persons WHERE age < 30";
    let [Some(median)] = numbers(&run(&admitted(sql), &world(3_000, 1)).unwrap(), 0)[..] else {
        panic!("withheld")
    };
    // Of ages below thirty, as many in each of three bins.
    assert!((median - 15.0).abs() < 1e-9, "{median}");
}

#[test]
fn steps_are_few_and_lie_on_the_declared_edges() {
    let steps = |range: (i64, i64), own: i64| {
        let (low, high) = (Fixed::from_i64(range.0), Fixed::from_i64(range.1));
        super::step_of(low, high, Fixed::from_i64(own)).and_then(Fixed::to_i64)
    };
    assert_eq!(steps((0, 200_000), 20_000), Some(20_000), "ten bins");
    assert_eq!(steps((0, 120), 1), Some(5));
    assert_eq!(steps((0, 49), 1), Some(1));
    assert_eq!(steps((0, 50), 1), Some(2));
    assert_eq!(steps((0, 100_000), 100), Some(5_000));
    assert_eq!(steps((0, 10), 0), None, "no width");
}

#[test]
fn a_quantile_with_noise_is_the_same_on_any_number_of_partitions() {
    let sql = "SELECT dept, median(salary) FROM persons GROUP BY dept";
    let of = |partitions: usize| {
        let rows = world(4_000, partitions);
        run_with(&plan(&policy(), sql), &rows, context(Arc::new(Mixed), 1), partitions).unwrap()
    };
    let once = of(1);
    assert!(numbers(&once, 1).iter().flatten().count() > 3, "{once:?}");
    assert_eq!(of(7), once);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A step that is shown has as many people up to its end as the threshold asks for, and as many from its beginning on.
    #[test]
    fn no_step_is_shown_that_few_people_are_in_or_beyond(people in 12_i64..200, percent in 0..PERCENTS.len()) {
        let rows = world(people, 1);
        let level = PERCENTS[percent];
        let sql = format!(
            "SELECT dept, percentile_cont(0.{level:02}) WITHIN GROUP (ORDER BY salary) FROM persons GROUP BY dept"
        );
        let batch = run(&admitted(&sql), &rows).unwrap();
        let depts = batch.column(0).as_string::<i32>();
        for row in (0..batch.num_rows()).filter(|row| depts.is_valid(*row)) {
            let Some(found) = numbers(&batch, 1)[row] else { continue };
            let plain = salaries(&rows, depts.value(row));
            let (start, end) = step(found);
            prop_assert!(count(&plain, |salary| salary < end || end >= 200_000.0) >= SUBJECTS_MIN);
            prop_assert!(count(&plain, |salary| salary >= start) >= SUBJECTS_MIN);
        }
    }
}
