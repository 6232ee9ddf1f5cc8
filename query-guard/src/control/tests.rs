//! Controls at their edges, on whole queries over a few rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int32Type;
use arrow::datatypes::Int64Type;
use obscura_policies::effective::Dominance;
use obscura_policies::fixed::Fixed;

use super::*;
use crate::control::dominance::is_dominated;
use crate::control::number::round_half_up;
use crate::control::rounding::rounding_units;
use crate::fixture::admitted;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::noise::plan;
use crate::fixture::policy;
use crate::scalar::three_significant_digits;

/// Persons by (department, salary), one row each; ids count from 1.
fn persons(people: &[(&str, i64)]) -> RecordBatch {
    let count = people.len() as i64;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(1..=count))),
        ("dept", Arc::new(StringArray::from_iter_values(people.iter().map(|person| person.0)))),
        ("zip", Arc::new(StringArray::from_iter_values(people.iter().map(|_| "1000")))),
        ("age", Arc::new(Int64Array::from_iter_values((0..count).map(|index| 20 + index % 60)))),
        (
            "sex",
            Arc::new(StringArray::from_iter_values(
                (0..count).map(|index| if index % 2 == 0 { "f" } else { "m" }),
            )),
        ),
        ("diag", Arc::new(StringArray::from_iter_values(people.iter().map(|_| "none")))),
        ("salary", Arc::new(Int64Array::from_iter_values(people.iter().map(|person| person.1)))),
        ("name", Arc::new(StringArray::from_iter_values(people.iter().map(|_| "somebody")))),
        ("birth", Arc::new(Date32Array::from_iter_values((0..count).map(|_| 0)))),
        ("hire", Arc::new(Date32Array::from_iter_values((0..count).map(|_| 0)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Visits by (person, cost in cents).
fn visits(rows: &[(i64, i128)]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("visit_id", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
        ("person_id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        (
            "cost",
            Arc::new(
                Decimal128Array::from_iter_values(rows.iter().map(|row| row.1))
                    .with_precision_and_scale(18, 2)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| 1)))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|_| 0)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(super) fn world(people: &[(&str, i64)], visited: &[(i64, i128)]) -> Rows {
    BTreeMap::from([
        ("corpus.persons", vec![vec![persons(people)]]),
        ("corpus.visits", vec![vec![visits(visited)]]),
    ])
}

pub(super) fn people(groups: &[(&'static str, usize)]) -> Vec<(&'static str, i64)> {
    groups.iter().flat_map(|(dept, count)| std::iter::repeat_n((*dept, 50_000), *count)).collect()
}

fn ask(sql: &str, rows: &Rows) -> RecordBatch {
    run(&admitted(sql), rows).unwrap()
}

#[test]
fn the_threshold_holds_at_k_minus_one_k_and_k_plus_one() {
    let rows = world(&people(&[("nine", 9), ("ten", 10), ("eleven", 11)]), &[]);
    // Grouping by a column of grade L3 makes k 10.
    let result = ask("SELECT dept, zip, COUNT(*) FROM persons GROUP BY dept, zip", &rows);
    let depts: Vec<_> = result.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(depts, ["eleven", "ten"]);
    assert_eq!(result.column(2).as_primitive::<Int64Type>().values(), &[10, 10]);
}

#[test]
fn keys_alone_need_as_many_subjects_as_counts_do() {
    let staff = people(&[("nine", 9), ("ten", 10), ("eleven", 11)]);
    // Two visits each: rows are not subjects.
    let visited: Vec<(i64, i128)> = (0..60).map(|row| (row % 30 + 1, 100)).collect();
    let sql = "SELECT DISTINCT p.dept, p.zip FROM persons p JOIN visits v ON p.person_id = v.person_id";
    let result = ask(sql, &world(&staff, &visited));
    assert_eq!(result.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["eleven", "ten"]);
}

#[test]
fn set_operations_match_missing_values_as_the_standard_says() {
    let mut rows = world(&people(&[("tax", 30)]), &[]);
    let known = persons(&people(&[("tax", 30)]));
    let mut columns = known.columns().to_vec();
    columns[1] = Arc::new((0..30).map(|row| (row < 10).then_some("tax")).collect::<StringArray>());
    let fields: Vec<Field> =
        known.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let missing = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    rows.insert("corpus.persons", vec![vec![missing]]);
    let both = "SELECT person_id, dept FROM persons";
    let common = ask(&format!("SELECT COUNT(*) FROM ({both} INTERSECT {both} WHERE sex = 'f')"), &rows);
    assert_eq!(common.column(0).as_primitive::<Int64Type>().value(0), 15);
    let rest = ask(&format!("SELECT COUNT(*) FROM ({both} EXCEPT {both} WHERE sex = 'f')"), &rows);
    assert_eq!(rest.column(0).as_primitive::<Int64Type>().value(0), 15);
}

#[test]
fn not_in_treats_missing_values_as_the_standard_says() {
    let known = persons(&people(&[("tax", 30)]));
    let mut columns = known.columns().to_vec();
    columns[2] = Arc::new((0..30).map(|row| (row >= 10).then_some("1000")).collect::<StringArray>());
    let fields: Vec<Field> =
        known.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let missing = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let zones = |zips: Vec<Option<&str>>| {
        let count = zips.len();
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("zip", Arc::new(StringArray::from(zips)), true),
            ("district", Arc::new(StringArray::from(vec!["north"; count])), true),
            ("level", Arc::new(Int64Array::from(vec![1; count])), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let sql = "SELECT COUNT(*) FROM persons WHERE zip NOT IN (SELECT zip FROM zones)";
    let counted = |zips: Vec<Option<&str>>| {
        let rows = BTreeMap::from([
            ("corpus.persons", vec![vec![missing.clone()]]),
            ("corpus.zones", vec![vec![zones(zips)]]),
        ]);
        let result = ask(sql, &rows);
        result.column(0).as_primitive::<Int64Type>().iter().next().flatten()
    };
    assert_eq!(counted(vec![Some("9999")]), Some(20), "who has no zip is not known to be elsewhere");
    assert_eq!(counted(vec![Some("9999"), None]), None, "one NULL on the right leaves nobody");
}

#[test]
fn a_lower_grade_has_a_lower_threshold() {
    let rows = world(&people(&[("four", 4), ("five", 5)]), &[]);
    let result = ask("SELECT dept, COUNT(*) FROM persons GROUP BY dept", &rows);
    assert_eq!(result.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["five"]);
}

#[test]
fn an_atom_below_the_threshold_is_null_in_a_surviving_row() {
    let mut staff = people(&[("tax", 20)]);
    staff.iter_mut().skip(9).for_each(|person| person.1 = 0);
    let rows = world(&staff, &[]);
    let result = ask(
        "SELECT dept, COUNT(*), SUM(salary), COUNT(*) FILTER (WHERE sex = 'f') FROM persons GROUP BY dept",
        &rows,
    );
    assert_eq!(result.column(1).as_primitive::<Int64Type>().value(0), 20);
    assert!(result.column(2).is_null(0), "nine people have a salary");
    assert_eq!(result.column(3).as_primitive::<Int64Type>().value(0), 10);
}

#[test]
fn an_ungrouped_query_always_has_one_row() {
    for count in [0, 9, 10] {
        let rows = world(&people(&[("tax", count)]), &[]);
        let result = ask("SELECT COUNT(*) FROM persons WHERE zip = '1000'", &rows);
        assert_eq!(result.num_rows(), 1);
        assert_eq!(result.column(0).is_null(0), count < 10, "{count}");
    }
}

#[test]
fn suppressed_empty_and_never_existing_look_alike() {
    let suppressed = ask(
        "SELECT dept, zip, COUNT(*) FROM persons GROUP BY dept, zip",
        &world(&people(&[("tax", 9)]), &[]),
    );
    let empty = ask("SELECT dept, zip, COUNT(*) FROM persons GROUP BY dept, zip", &world(&[], &[]));
    assert_eq!(suppressed, empty);
}

#[test]
fn a_sum_that_two_people_dominate_is_withheld() {
    let mut staff: Vec<(&str, i64)> = people(&[("even", 12), ("top", 12)]);
    for person in staff.iter_mut().filter(|person| person.0 == "top") {
        person.1 = 1_000;
    }
    staff[12].1 = 200_000;
    staff[13].1 = 200_000;
    let result = ask(
        "SELECT dept, SUM(salary), AVG(salary), COUNT(*) FROM persons GROUP BY dept",
        &world(&staff, &[]),
    );
    assert_eq!(
        result.column(1).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(600_000), None]
    );
    assert_eq!(
        result.column(2).as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [Some(50_000.0), None]
    );
    assert_eq!(result.column(3).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(10), Some(10)]);
}

#[test]
fn rows_are_counted_per_person_and_frequencies_are_not_dominated() {
    let mut visited: Vec<(i64, i128)> = (1..=12).map(|person| (person, 1000)).collect();
    visited.extend(std::iter::repeat_n((1, 1000), 500));
    let result = ask("SELECT COUNT(*), COUNT(DISTINCT person_id) FROM visits", &world(&[], &visited));
    assert!(result.column(0).is_null(0), "one person holds nearly all rows");
    assert_eq!(result.column(1).as_primitive::<Int64Type>().value(0), 10);
}

#[test]
fn sums_are_rounded_to_a_power_of_ten_below_one_percent_of_the_range() {
    let visited: Vec<(i64, i128)> = (1..=20).map(|person| (person, 1234)).collect();
    // Range 0..1000 with two places: 246.80 to the nearest 10.
    let result = ask("SELECT SUM(cost), AVG(cost) FROM visits", &world(&[], &visited));
    assert_eq!(result.column(0).as_primitive::<Decimal128Type>().value(0), 25_000);
    let mean = arrow::compute::cast(result.column(1), &DataType::Float64).unwrap();
    assert!((mean.as_primitive::<Float64Type>().value(0) - 12.3).abs() < 1e-9);
}

/// The only number of a result.
fn only(result: &RecordBatch) -> f64 {
    let number = arrow::compute::cast(result.column(0), &DataType::Float64).unwrap();
    number.as_primitive::<Float64Type>().value(0)
}

#[test]
fn a_share_tells_no_more_than_the_rounded_counts() {
    // 53 of 98: the counts leave as 55 and 100.
    let rows = world(&people(&[("a", 53), ("b", 45)]), &[]);
    for (share, factor) in [
        ("AVG(CASE WHEN dept = 'a' THEN 1.0 ELSE 0.0 END)", 1.0),
        ("AVG(CASE WHEN dept = 'a' THEN 1 ELSE 0 END) * 100", 100.0),
        ("AVG(CASE WHEN dept = 'a' THEN 7 ELSE 0 END)", 7.0),
        ("AVG(CASE WHEN dept = 'a' THEN 1.0 ELSE 0.0 END * 100)", 100.0),
        ("AVG(COALESCE(CASE WHEN dept = 'a' THEN 1.0 END, 0.0))", 1.0),
        ("AVG(1.0 - CASE WHEN dept = 'b' THEN 1.0 ELSE 0.0 END)", 0.55),
        ("SUM(CASE WHEN dept = 'a' THEN 1.0 ELSE 0.0 END) / COUNT(*)", 1.0),
        ("COUNT(*) FILTER (WHERE dept = 'a') * 1.0 / COUNT(*)", 1.0),
        ("COUNT(CASE WHEN dept = 'a' THEN 1 END) * 1.0 / COUNT(dept)", 1.0),
    ] {
        let result = ask(&format!("SELECT {share} FROM persons"), &rows);
        let expected = if factor < 1.0 { factor } else { 0.55 * factor };
        assert!((only(&result) - expected).abs() < 1e-6, "{share}: {}, not {expected}", only(&result));
    }
}

#[test]
fn a_measure_of_few_values_is_summed_and_averaged_as_a_count() {
    // A declared measure that happens to be yes or no: 53 of 98.
    let mut policy = crate::fixture::policy();
    let persons = policy.datasets.values_mut().find(|dataset| dataset.id.name() == "persons").unwrap();
    let salary = persons.columns.iter_mut().find(|column| column.name == "salary").unwrap();
    salary.range = Some((Fixed::ZERO, Fixed::ONE));
    salary.bins = Some(Fixed::ONE);
    let flags: Vec<(&str, i64)> = (0..98).map(|row| ("tax", i64::from(row < 53))).collect();
    let rows = world(&flags, &[]);
    for (sql, expected) in
        [("SELECT SUM(salary) FROM persons", 55.0), ("SELECT AVG(salary) FROM persons", 0.55)]
    {
        let crate::verdict::Decision::Admitted(plan) = crate::fixture::review_under(&policy, sql).decision
        else {
            panic!("{sql}")
        };
        let result = run(&plan, &rows).unwrap();
        assert!((only(&result) - expected).abs() < 1e-6, "{sql}: {}", only(&result));
    }
}

#[test]
fn the_mean_of_a_difference_over_the_same_rows_is_one_mean() {
    // 1,498 on average between two amounts of some 30,000: two rounded means would be 1,500 or 1,400 apart.
    let paid: Vec<(&str, i64)> = (0..100).map(|row| ("tax", 31_234 + row)).collect();
    let rows = world(&paid, &[]);
    let result = ask("SELECT AVG(salary - age * 100) FROM persons", &rows);
    let exact: f64 =
        (0..100).map(|row: i64| (31_234 + row - (20 + row % 60) / 10 * 10 * 100) as f64).sum::<f64>() / 100.0;
    assert!((only(&result) - exact).abs() <= exact.abs() * 0.005, "{} is not {exact}", only(&result));
    // Over other rows they are two: the difference between two sets of people is no mean over either.
    let two = ask(
        "SELECT AVG(salary - CASE WHEN dept = 'tax' AND sex = 'f' THEN salary ELSE 0 END) FROM persons",
        &rows,
    );
    let digits = format!("{:e}", only(&two));
    assert!(digits.split('e').next().unwrap().len() <= 5, "{digits}: each set's mean has three digits");
}

#[test]
fn rounded_figures_have_the_type_that_was_admitted() {
    let visited: Vec<(i64, i128)> = (1..=20).map(|person| (person, 1234)).collect();
    let rows = world(&people(&[("tax", 20)]), &visited);
    for figure in [
        "ROUND(AVG(cost), 2)",
        "ROUND(SUM(cost), 0)",
        "ROUND(SUM(cost))",
        "ROUND(SUM(cost) / COUNT(*), 1)",
        "ROUND(AVG(cost), -1)",
        "ROUND(CAST(AVG(cost) AS DOUBLE), 2)",
        "TRUNC(AVG(cost), 2)",
        "ROUND(COUNT(*) * 1.0 / 3, 3)",
        "ROUND(COUNT(*), -1)",
    ] {
        let inner = format!("SELECT {figure} AS x FROM visits");
        for sql in [
            inner.clone(),
            format!("SELECT x, x + 1 AS y FROM ({inner}) t WHERE x > 0"),
            format!("SELECT x FROM ({inner}) a UNION ALL SELECT x FROM ({inner}) b"),
            format!("WITH t AS ({inner}) SELECT CASE WHEN x > 1 THEN x ELSE 0 END FROM t"),
        ] {
            let result = run(&admitted(&sql), &rows).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert!(result.num_rows() > 0, "{sql}");
        }
    }
}

#[test]
fn partitions_and_joins_count_every_subject_once() {
    let staff = people(&[("tax", 30)]);
    let visited: Vec<(i64, i128)> =
        (1..=30).flat_map(|person| std::iter::repeat_n((person, 100), 3)).collect();
    let mut rows = world(&staff, &visited);
    let whole = rows["corpus.visits"][0][0].clone();
    rows.insert(
        "corpus.visits",
        vec![vec![whole.slice(0, 31)], vec![whole.slice(31, 30)], vec![whole.slice(61, 29)]],
    );
    let alone = ask("SELECT COUNT(DISTINCT person_id), COUNT(*) FROM visits", &rows);
    let joined = ask(
        "SELECT COUNT(DISTINCT v.person_id), COUNT(*) FROM persons p JOIN visits v ON p.person_id = v.person_id",
        &rows,
    );
    for result in [alone, joined] {
        assert_eq!(result.column(0).as_primitive::<Int64Type>().value(0), 30);
        assert_eq!(result.column(1).as_primitive::<Int64Type>().value(0), 90);
    }
}

#[test]
fn too_many_cells_are_withheld_as_a_whole() {
    let mut few = policy();
    few.floors.values_mut().for_each(|floor| floor.controls.cells_max = Some(1));
    let plan = plan(&few, "SELECT dept, COUNT(*) FROM persons GROUP BY dept");
    let two = run(&plan, &world(&people(&[("a", 10), ("b", 10)]), &[]));
    assert!(matches!(two, Err(ControlError::Withheld)));
    assert!(run(&plan, &world(&people(&[("a", 10)]), &[])).is_ok());
}

#[test]
fn the_dominance_rules_hold_at_their_limits() {
    let rule = Dominance { n: 2, share_max_permille: 850, p_percent: 10 };
    assert!(!is_dominated([50, 35, 5], 100, rule), "85 % exactly");
    assert!(is_dominated([51, 35, 5], 100, rule), "86 %");
    assert!(!is_dominated([0, 0, 0], 0, rule), "nothing to protect");
    let p_only = Dominance { n: 2, share_max_permille: 1000, p_percent: 10 };
    assert!(!is_dominated([100, 100, 10], 210, p_only), "the rest is 10 % of the largest");
    assert!(is_dominated([100, 100, 9], 209, p_only), "the rest is 9 % of the largest");
}

#[test]
fn rounding_goes_to_the_nearest_multiple_and_halves_away_from_zero() {
    assert_eq!([12, 13, -12, -13, 0].map(|value| round_half_up(value, 5)), [10, 15, -10, -15, 0]);
    assert_eq!(round_half_up(25, 10), 30);
    assert_eq!([123_456.0, 0.012_345, -9.999].map(three_significant_digits), [123_000.0, 0.0123, -10.0]);
}

#[test]
fn the_rounding_unit_is_below_one_percent_of_the_range() {
    let unit = |width: i64, scale: u8| {
        rounding_units(&StageAtom {
            counts: false,
            scale,
            width: Fixed::from_i64(width),
            few: None,
            same: None,
            of_row: (0, 1),
            base: None,
        })
    };
    assert_eq!(unit(200_000, 0), Some(1000));
    assert_eq!(unit(100, 0), Some(1));
    assert_eq!(unit(99, 0), None);
    assert_eq!(unit(1000, 2), Some(1000));
}

#[test]
fn ages_are_counted_to_the_jobs_day() {
    // Everybody was born on 1970-01-01; the job runs on day 20,000 of the epoch, 2024-10-04.
    let rows = world(&people(&[("tax", 30)]), &[]);
    let sql = "SELECT age_years(birth), floor(age_years(birth) / 10) * 10, COUNT(*) FROM persons WHERE age_years(birth) >= 54 GROUP BY 1, 2";
    let result = ask(sql, &rows);
    let numbers: Vec<String> = result
        .columns()
        .iter()
        .map(|column| arrow::util::display::array_value_to_string(column, 0).unwrap())
        .collect();
    assert_eq!(numbers, ["54", "50.0", "30"]);
    let older = ask("SELECT COUNT(*) FROM persons WHERE age_years(birth) >= 55", &rows);
    assert!(older.column(0).is_null(0));
}

/// A query that runs over some rows runs over every other row as well: a failure would tell of the row.
#[test]
fn no_form_fails_over_extreme_values() {
    const DATES: [i32; 9] =
        [2_932_896, -719_162, 95_026_601, -96_465_658, i32::MAX, i32::MIN, -106_700, 106_751, 0];
    const TIMES: [i64; 7] = [
        i64::MAX,
        i64::MIN,
        0,
        253_402_300_799_999_999,
        95_617_584_000_000_000,
        -9_223_372_036_854_775,
        9_223_372_036_854_775,
    ];
    const NUMBERS: [i64; 6] = [i64::MAX, i64::MIN, 0, -1, 1, 1 << 53];
    const CENTS: [i128; 4] = [999_999_999_999_999_999, -999_999_999_999_999_999, 0, 1];
    let number = |index: usize| NUMBERS[index % NUMBERS.len()];
    let date = |index: usize| DATES[index % DATES.len()];
    let plain = persons(&people(&[("tax", 36)]));
    let count = plain.num_rows();
    let schema = plain.schema();
    let columns = schema.fields().iter().zip(plain.columns()).map(|(field, column)| {
        let column: ArrayRef = match field.name().as_str() {
            "age" | "salary" => Arc::new(Int64Array::from_iter_values((0..count).map(number))),
            "birth" | "hire" => Arc::new(Date32Array::from_iter_values((0..count).map(date))),
            _ => Arc::clone(column),
        };
        (field.name().clone(), column, true)
    });
    let extreme = RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).unwrap();
    let visited: Vec<(i64, i128)> =
        (0..72).map(|index| (index / 2 + 1, CENTS[usize::try_from(index).unwrap() % CENTS.len()])).collect();
    let plain = visits(&visited);
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(
        (0..plain.num_rows()).map(|index| TIMES[index % TIMES.len()]),
    ));
    let columns = [&plain.columns()[..4], &[at]].concat();
    let schema = plain.schema();
    let columns = schema.fields().iter().zip(columns).map(|(field, column)| (field.name(), column, true));
    let timed = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let rows =
        BTreeMap::from([("corpus.persons", vec![vec![extreme]]), ("corpus.visits", vec![vec![timed]])]);
    let mut forms: Vec<String> = Vec::new();
    for part in ["year", "quarter", "month", "week", "day"] {
        forms.push(format!("SELECT date_trunc('{part}', birth), COUNT(*) FROM persons GROUP BY 1"));
        forms.push(format!("SELECT date_trunc('{part}', at), COUNT(*) FROM visits GROUP BY 1"));
    }
    for part in ["year", "quarter", "month", "dow"] {
        forms.push(format!("SELECT extract({part} FROM birth), COUNT(*) FROM persons GROUP BY 1"));
        forms.push(format!("SELECT extract({part} FROM at), COUNT(*) FROM visits GROUP BY 1"));
    }
    for form in [
        "age_years(birth)",
        "floor(age_years(birth) / 10) * 10",
        "width_bucket(age_years(birth), 0, 100, 5)",
        "floor(age / 10) * 10",
        "floor(age / 10.0) * 10.0",
        "floor(age / CAST(10 AS DECIMAL(38, 6)))",
        "age - age % 10",
        "width_bucket(age, 0, 100, 10)",
        "age / 10",
        "nullif(zip, '1000')",
        "birth < hire",
        "birth + INTERVAL '30 days' < hire",
        "birth - INTERVAL '1200 months' < hire",
    ] {
        forms.push(format!("SELECT {form}, COUNT(*) FROM persons GROUP BY 1"));
    }
    for form in ["CAST(at AS DATE)", "age_years(CAST(at AS DATE))", "at >= TIMESTAMP '2020-01-01 00:00:00'"] {
        forms.push(format!("SELECT {form}, COUNT(*) FROM visits GROUP BY 1"));
    }
    forms.push("SELECT COUNT(*) FROM (SELECT at, LAG(at) OVER (PARTITION BY person_id ORDER BY at) AS before FROM visits) t WHERE before + INTERVAL '30 days' > at".to_owned());
    for condition in [
        "floor(salary / 20000.0) >= 2",
        "salary - salary % 20000 >= 40000",
        "width_bucket(salary, 0, 200000, 10) = 3",
        "salary >= 20000 AND birth >= DATE '2000-01-01'",
        "salary > (SELECT AVG(salary) FROM persons)",
    ] {
        forms.push(format!("SELECT COUNT(*), SUM(salary), AVG(age) FROM persons WHERE {condition}"));
    }
    for own in [
        "SUM(cost)",
        "AVG(cost)",
        "MIN(cost)",
        "MAX(cost)",
        "COUNT(cost)",
        "BOOL_OR(cost >= 100)",
        "MIN(day)",
    ] {
        forms.push(format!("SELECT COUNT(*) FROM (SELECT person_id, {own} AS x FROM visits GROUP BY person_id) t WHERE x IS NOT NULL"));
        for frame in [
            "",
            "ORDER BY cost",
            "ORDER BY cost ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            "ORDER BY cost ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            "ORDER BY cost RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            "ORDER BY cost GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
            "ORDER BY cost ROWS BETWEEN 1000 PRECEDING AND 1000 FOLLOWING",
        ] {
            forms.push(format!("SELECT COUNT(*) FROM (SELECT {own} OVER (PARTITION BY person_id {frame}) AS x FROM visits) t WHERE x IS NOT NULL"));
        }
    }
    for own in [
        "ROW_NUMBER()",
        "RANK()",
        "DENSE_RANK()",
        "LAG(cost)",
        "LEAD(day, 1000)",
        "LAG(cost, -1000)",
        "FIRST_VALUE(cost)",
        "LAST_VALUE(day)",
    ] {
        forms.push(format!("SELECT COUNT(*) FROM (SELECT {own} OVER (PARTITION BY person_id ORDER BY cost) AS x FROM visits) t WHERE x IS NOT NULL"));
    }
    forms.push("SELECT SUM(p.salary * p.age), AVG(v.cost * 2 + 1) FROM persons p JOIN visits v ON p.person_id = v.person_id".to_owned());
    let failing: Vec<&String> = forms
        .iter()
        .filter(|sql| {
            let unwind = std::panic::AssertUnwindSafe(|| run(&admitted(sql), &rows));
            !matches!(std::panic::catch_unwind(unwind), Ok(Ok(_)))
        })
        .collect();
    assert!(failing.is_empty(), "{failing:#?}");
}

#[test]
fn an_open_register_meets_each_subject_once() {
    let mut rows = world(&people(&[("tax", 40)]), &[]);
    let ids = Arc::new(Int64Array::from_iter_values(1..=25));
    let office = Arc::new(StringArray::from_iter_values((1..=25).map(|id| format!("office {id}"))));
    let rank = Arc::new(StringArray::from_iter_values((1..=25).map(|id| if id <= 10 { "a" } else { "b" })));
    let columns: Vec<(&str, ArrayRef)> = vec![("person_id", ids), ("office", office), ("rank", rank)];
    rows.insert("corpus.register", vec![vec![RecordBatch::try_from_iter(columns).unwrap()]]);
    let by_rank = |sql: &str| {
        let result = ask(sql, &rows);
        let ranks = result.column(0).as_string::<i32>().iter().map(|rank| rank.unwrap_or("none").to_owned());
        let counts = result.column(1).as_primitive::<Int64Type>().values().to_vec();
        ranks.zip(counts).collect::<Vec<_>>()
    };
    let inner =
        "SELECT r.rank, COUNT(*) FROM persons p JOIN register r ON p.person_id = r.person_id GROUP BY r.rank";
    assert_eq!(by_rank(inner), [("a".to_owned(), 10), ("b".to_owned(), 15)]);
    let left = inner.replace("JOIN", "LEFT JOIN");
    assert_eq!(by_rank(&left), [("a".to_owned(), 10), ("b".to_owned(), 15), ("none".to_owned(), 15)]);
    let whole = "SELECT 'all', COUNT(*) FROM persons WHERE dept IN (SELECT dept FROM persons GROUP BY dept)";
    assert_eq!(by_rank(whole), [("all".to_owned(), 40)]);
}

#[test]
fn the_last_day_of_the_calendar_is_a_day() {
    let plain = persons(&people(&[("tax", 40)]));
    let columns = plain
        .schema()
        .fields()
        .iter()
        .zip(plain.columns())
        .map(|(field, column)| {
            let endless: ArrayRef = match field.name().as_str() {
                "hire" => Arc::new(Date32Array::from_iter_values((0..40).map(|_| 2_932_896))),
                _ => Arc::clone(column),
            };
            (field.name().clone(), endless)
        })
        .collect::<Vec<_>>();
    let rows = BTreeMap::from([("corpus.persons", vec![vec![RecordBatch::try_from_iter(columns).unwrap()]])]);
    let result = ask("SELECT extract(year FROM hire), COUNT(*) FROM persons GROUP BY 1", &rows);
    assert_eq!(result.column(0).as_primitive::<Int32Type>().values(), &[9999]);
}
