//! Moments are those of plain rows to two digits, and are withheld where noise would be most of them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;

use crate::fixture::admitted;
use crate::fixture::execute::run;
use crate::fixture::execute::run_with;
use crate::fixture::noise::Mixed;
use crate::fixture::noise::Silent;
use crate::fixture::noise::context;
use crate::fixture::noise::plain;
use crate::fixture::noise::plan;
use crate::fixture::noise::policy;
use crate::fixture::noise::visits;
use crate::fixture::noise::world;

/// The calls of one column and of two.
const CALLS: &str = "var_samp(a), var_pop(a), stddev(a), stddev_pop(a), covar_samp(a, b), covar_pop(a, b), corr(a, b), \
    regr_slope(a, b), regr_intercept(a, b), regr_r2(a, b), regr_sxx(a, b), regr_syy(a, b), regr_sxy(a, b)";

fn calls(a: &str, b: &str) -> String {
    CALLS.replace("(a, b)", &format!("({a}, {b})")).replace("(a)", &format!("({a})"))
}

fn numbers(batch: &RecordBatch) -> Vec<Option<f64>> {
    let number = |column: &ArrayRef| {
        let numbers = arrow::compute::cast(column, &DataType::Float64).unwrap();
        numbers.as_primitive::<Float64Type>().iter().next().unwrap()
    };
    batch.columns().iter().map(number).collect()
}

#[test]
fn moments_are_those_of_plain_rows_to_two_digits() {
    let rows = world(3_000, 1);
    let within = "CASE WHEN salary > 200000 THEN 200000 ELSE salary END AS pay, \
                  CASE WHEN age > 120 THEN 120 ELSE age END / 10 * 10 AS decade";
    let exact = {
        let sql = format!("SELECT {} FROM (SELECT {within} FROM raw) t", calls("pay", "decade"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let session = plain(&rows);
        let batches = runtime.block_on(async { session.sql(&sql).await.unwrap().collect().await.unwrap() });
        numbers(&batches[0])
    };
    let sql = format!("SELECT {} FROM persons", calls("salary", "age"));
    let released = numbers(&run(&admitted(&sql), &rows).unwrap());
    for (call, (found, exact)) in CALLS.split("), ").zip(released.iter().zip(&exact)) {
        let (found, exact) = (found.unwrap(), exact.unwrap());
        // Salary and age have nothing to do with each other here: what is near zero is compared with what it is made of.
        let scale = match call.split('(').next().unwrap() {
            "covar_samp" | "covar_pop" => (released[1].unwrap() * 36.0 * 36.0).sqrt(),
            "corr" | "regr_r2" => 1.0,
            "regr_slope" => (released[1].unwrap()).sqrt() / 36.0,
            "regr_sxy" => (released[1].unwrap() * 36.0 * 36.0).sqrt() * 3_000.0,
            _ => exact.abs(),
        };
        assert!((found - exact).abs() <= scale * 0.06, "{call}: {found}, plain rows {exact}");
    }
}

#[test]
fn a_deviation_of_few_people_is_withheld() {
    let deviation = |sql: &str, people| numbers(&run(&admitted(sql), &world(people, 1)).unwrap());
    assert_eq!(deviation("SELECT stddev(salary) FROM persons", 9), [None]);
    assert_eq!(deviation("SELECT corr(salary, age) FROM persons", 9), [None]);
    assert!(deviation("SELECT stddev(salary) FROM persons", 60)[0].is_some());
}

#[test]
fn a_condition_of_a_moment_is_a_cell_of_its_own() {
    let rows = world(3_000, 1);
    let of = |sql: &str| numbers(&run(&admitted(sql), &rows).unwrap());
    let filtered = of("SELECT stddev(salary) FILTER (WHERE sex = 'f') FROM persons");
    assert!(filtered[0].is_some());
    assert_eq!(filtered, of("SELECT stddev(salary) FROM persons WHERE sex = 'f'"));
}

#[test]
fn two_columns_are_taken_where_both_have_a_value() {
    let rows = std::collections::BTreeMap::from([("corpus.visits", vec![vec![visits(1_500)]])]);
    let [Some(slope), Some(fit)] = numbers(
        &run(&admitted("SELECT regr_slope(cost, cost), regr_r2(cost, cost) FROM visits"), &rows).unwrap(),
    )[..] else {
        panic!("withheld")
    };
    assert!((slope - 1.0).abs() < 1e-9 && (fit - 1.0).abs() < 1e-9, "{slope} {fit}");
}

#[test]
fn noise_that_is_most_of_a_deviation_withholds_it() {
    let sql = "SELECT stddev(salary) FROM persons";
    let rows = world(3_000, 2);
    let exact = numbers(&run_with(&plan(&policy(), sql), &rows, context(Arc::new(Silent), 1), 2).unwrap());
    let noisy = numbers(&run_with(&plan(&policy(), sql), &rows, context(Arc::new(Mixed), 1), 2).unwrap());
    let (exact, noisy) = (exact[0].unwrap(), noisy[0].unwrap());
    assert!((noisy / exact - 1.0).abs() < 0.3, "{noisy} {exact}");
    // A scale of 200,000 for each sum is more than what sixty people come to.
    let mut wide = policy();
    for dataset in wide.datasets.values_mut() {
        dataset.columns.iter_mut().for_each(|column| column.usual = None);
    }
    assert_eq!(
        numbers(&run_with(&plan(&wide, sql), &world(60, 1), context(Arc::new(Mixed), 1), 1).unwrap()),
        [None]
    );
}
