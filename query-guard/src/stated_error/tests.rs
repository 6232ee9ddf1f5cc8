//! The stated error of each column holds for what is released: rounding and noise move no number further.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Float64Type;

use super::Inaccuracy;
use super::Noise;
use super::StatedError;
use crate::fixture::admitted;
use crate::fixture::execute::run_with;
use crate::fixture::noise::Mixed;
use crate::fixture::noise::Silent;
use crate::fixture::noise::context;
use crate::fixture::noise::plain;
use crate::fixture::noise::plan;
use crate::fixture::noise::policy;
use crate::fixture::noise::world;
use crate::plan::GuardedPlan;

fn errors(plan: &GuardedPlan) -> Vec<Option<StatedError>> {
    plan.treatments().iter().map(|treatment| treatment.error).collect()
}

fn rounded(rounding: f64) -> Option<StatedError> {
    Some(StatedError::Number(Inaccuracy { rounding, noise: Noise::None }))
}

#[test]
fn counts_and_sums_are_off_by_half_a_step_and_means_have_three_digits() {
    let sql = "SELECT dept, COUNT(*), COUNT(DISTINCT person_id), SUM(salary), SUM(salary * 2), AVG(salary) \
               FROM persons GROUP BY dept";
    let exact = Inaccuracy::default();
    let mean = StatedError::Mean { significant_digits: 3, sum: exact, count: exact };
    // 1 % of a range of 200,000 is 2,000, and the power of ten below it 1,000.
    let wanted = [None, rounded(2.5), rounded(2.5), rounded(500.0), rounded(1_000.0), Some(mean)];
    assert_eq!(errors(&admitted(sql)), wanted);
}

#[test]
fn what_is_computed_and_open_data_state_no_error_of_their_own() {
    let sql = "SELECT n * 2, n FROM (SELECT COUNT(*) AS n FROM persons) t";
    assert_eq!(errors(&admitted(sql)), [None, rounded(2.5)]);
    assert_eq!(errors(&admitted("SELECT zip, district FROM zones")), [None, None]);
}

#[test]
fn a_mean_that_tells_a_count_has_the_error_of_rounded_counts() {
    let [Some(StatedError::Mean { sum, count, .. })] =
        errors(&admitted("SELECT AVG(CASE WHEN sex = 'f' THEN 1 ELSE 0 END) FROM persons"))[..]
    else {
        panic!("a mean")
    };
    assert!((sum.rounding - 2.5).abs() < 1e-9 && (count.rounding - 2.5).abs() < 1e-9, "{sum:?} {count:?}");
}

#[test]
fn noise_is_stated_by_the_names_of_the_widest_group() {
    let deviation = |sql: &str| match errors(&plan(&policy(), sql)).last() {
        Some(Some(StatedError::Number(Inaccuracy { noise: Noise::Deviation(deviation), .. }))) => *deviation,
        other => panic!("{sql}: {other:?}"),
    };
    // Deviation 2, and twice that for the version: 2 * sqrt(5) for one name.
    let one = 2.0 * 5.0_f64.sqrt();
    let close =
        |found: f64, names: f64| assert!((found - one * names.sqrt()).abs() < 1e-9, "{found} {names}");
    close(deviation("SELECT COUNT(*) FROM persons"), 1.0);
    close(deviation("SELECT COUNT(*) FROM persons WHERE dept IN ('art', 'eng')"), 2.0);
    close(deviation("SELECT dept, COUNT(*) FROM persons GROUP BY dept"), 1.0);
    close(deviation("SELECT sex, COUNT(*) FROM persons WHERE dept IN ('art', 'eng') GROUP BY sex"), 2.0);
    // The condition and the key are of one column: a group is one value.
    close(deviation("SELECT dept, COUNT(*) FROM persons WHERE dept IN ('art', 'eng') GROUP BY dept"), 1.0);
}

#[test]
fn groups_too_many_to_look_at_state_no_deviation() {
    // Some 2,400 months and seven codes, of which the filter is on the column of one.
    let sql = "SELECT date_trunc('month', hire), zip, COUNT(*) FROM persons \
               WHERE hire >= DATE '2001-01-01' AND hire < DATE '2002-01-01' GROUP BY date_trunc('month', hire), zip";
    let Some(Some(StatedError::Number(count))) = errors(&plan(&policy(), sql)).last().copied() else {
        panic!("a count")
    };
    assert_eq!(count.noise, Noise::ByGroup);
    assert_eq!(count.within(), None);
}

/// The numbers of a result's columns of numbers, a row each, without rows that miss one.
fn numbers(batch: &RecordBatch, columns: &[usize]) -> Vec<Vec<f64>> {
    let of = |column: &usize| {
        let numbers =
            arrow::compute::cast(batch.column(*column), &arrow::datatypes::DataType::Float64).unwrap();
        numbers.as_primitive::<Float64Type>().clone()
    };
    let columns: Vec<_> = columns.iter().map(of).collect();
    let rows = (0..batch.num_rows()).filter(|row| columns.iter().all(|column| column.is_valid(*row)));
    rows.map(|row| columns.iter().map(|column| column.value(row)).collect()).collect()
}

#[test]
fn released_numbers_are_off_by_no_more_than_is_stated() {
    let sql = "SELECT COUNT(*), COUNT(DISTINCT person_id), SUM(salary), AVG(salary) FROM persons";
    let rows = world(3_000, 2);
    let exact = {
        let sql = "SELECT COUNT(*), COUNT(DISTINCT person_id), SUM(pay), AVG(pay) FROM (SELECT person_id, \
                   CASE WHEN salary > 200000 THEN 200000 ELSE salary END AS pay FROM raw) t";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let session = plain(&rows);
        let batches = runtime.block_on(async { session.sql(sql).await.unwrap().collect().await.unwrap() });
        numbers(&batches[0], &[0, 1, 2, 3]).remove(0)
    };
    let mut rounding = policy();
    rounding.floors.values_mut().for_each(|floor| floor.controls.rounding = Some(5));
    let plan = plan(&rounding, sql);
    let errors = errors(&plan);
    let of_number = |column: usize| match errors[column] {
        Some(StatedError::Number(inaccuracy)) => inaccuracy,
        other => panic!("{other:?}"),
    };
    // Without noise every number is within its rounding; with it most are within the interval, over many versions.
    let silent = run_with(&plan, &rows, context(Arc::new(Silent), 1), 2).unwrap();
    let silent = numbers(&silent, &[0, 1, 2, 3]).remove(0);
    for column in 0..3 {
        let off = (silent[column] - exact[column]).abs();
        assert!(off <= of_number(column).rounding + 1e-6, "column {column}: off by {off}");
    }
    assert!((silent[3] / exact[3] - 1.0).abs() <= 0.005, "three digits");
    let mut within = [0; 3];
    for version in 0..=99 {
        let released = run_with(&plan, &rows, context(Arc::new(Mixed), version), 2).unwrap();
        let released = numbers(&released, &[0, 1, 2]).remove(0);
        for column in 0..3 {
            let off = (released[column] - exact[column]).abs();
            within[column] += usize::from(off <= of_number(column).within().unwrap());
        }
    }
    assert!(within.iter().all(|within| (85..=100).contains(within)), "{within:?} of 100");
}
