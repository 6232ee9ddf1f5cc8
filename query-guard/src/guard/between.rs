//! Days and years between two dates of one subject, and values that one subject has several of: each answer is computed
//! from the rows a second time, without the engine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::Date32Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::TimestampMicrosecondArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use obscura_policies::day::DatePart;
use obscura_policies::day::Day;

use obscura_policies::mask::Mask;

use obscura_policies::vocabulary::Use;

use crate::finding::Code;
use crate::fixture::admitted;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::policy;
use crate::fixture::review_under;
use crate::verdict::Decision;

const PERSONS: i64 = 600;

/// Births from 1950 on; every seventh person was never hired; the others at 18 to 43 years of age.
fn dates(person: i64) -> (i32, Option<i32>) {
    let person = i32::try_from(person).unwrap();
    let birth = -7_305 + person * 13;
    (birth, (person % 7 != 0).then_some(birth + 6_600 + person * 191 % 9_200))
}

/// Zero to four visits a person: weekday and day since the epoch.
fn visits() -> Vec<(i64, i64, i64)> {
    let of = |person: i64| {
        (0..person % 5).map(move |k| (person, (person * k) % 3, 18_000 + person % 300 + 40 * k))
    };
    (0..PERSONS).flat_map(of).collect()
}

fn rows() -> Rows {
    let days = |make: &dyn Fn(i64) -> Option<i32>| -> ArrayRef {
        Arc::new((0..PERSONS).map(make).collect::<Date32Array>())
    };
    let persons = RecordBatch::try_from_iter(vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(0..PERSONS)) as ArrayRef),
        ("birth", days(&|person| Some(dates(person).0))),
        ("hire", days(&|person| dates(person).1)),
    ]);
    let numbers = |make: &dyn Fn(&(i64, i64, i64)) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(visits().iter().map(make)))
    };
    let times = visits().into_iter().map(|(_, _, at)| at * 86_400_000_000 + 3_600_000_000);
    let visits = RecordBatch::try_from_iter(vec![
        ("person_id", numbers(&|visit| visit.0)),
        ("day", numbers(&|visit| visit.1)),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times)) as ArrayRef),
    ]);
    BTreeMap::from([
        ("corpus.persons", vec![vec![persons.unwrap()]]),
        ("corpus.visits", vec![vec![visits.unwrap()]]),
    ])
}

/// Released rows as numbers; a missing one is not a number.
fn answer(sql: &str) -> Vec<Vec<f64>> {
    let batch = run(&admitted(sql), &rows()).unwrap();
    let columns: Vec<ArrayRef> =
        batch.columns().iter().map(|column| cast(column, &DataType::Float64).unwrap()).collect();
    let cell = |column: &ArrayRef, row: usize| {
        if column.is_valid(row) { column.as_primitive::<Float64Type>().value(row) } else { f64::NAN }
    };
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()).collect()
}

/// People by key, as a release has them: groups of ten and more, counts to the nearest five.
fn counted(keys: impl Iterator<Item = i64>) -> Vec<Vec<f64>> {
    let mut groups: BTreeMap<i64, i32> = BTreeMap::new();
    keys.for_each(|key| *groups.entry(key).or_default() += 1);
    let rounded = |count: i32| f64::from((count + 2) / 5 * 5);
    #[expect(clippy::cast_precision_loss, reason = "keys are small")]
    groups
        .into_iter()
        .filter(|(_, count)| *count >= 10)
        .map(|(key, count)| vec![key as f64, rounded(count)])
        .collect()
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few of them")]
    let count = numbers.len() as f64;
    numbers.iter().sum::<f64>() / count
}

fn hired() -> impl Iterator<Item = (i32, i32)> {
    (0..PERSONS).filter_map(|person| Some((dates(person).0, dates(person).1?)))
}

fn completed_years(from: i32, to: i32) -> i64 {
    let ((year, month, day), (later, later_month, later_day)) =
        (Day::from_epoch_days(from).ymd(), Day::from_epoch_days(to).ymd());
    i64::from(later - year) - i64::from((later_month, later_day) < (month, day))
}

fn calendar_years(from: i32, to: i32) -> i64 {
    i64::from(Day::from_epoch_days(to).ymd().0 - Day::from_epoch_days(from).ymd().0)
}

#[test]
fn the_mean_of_days_between_two_dates_is_that_of_the_rows() {
    let near = |found: f64, right: f64| assert!((found - right).abs() <= right * 0.01, "{found} for {right}");
    let days = mean(hired().map(|(birth, hire)| f64::from(hire - birth)));
    near(answer("SELECT AVG(hire - birth) FROM persons")[0][0], days);
    near(answer("SELECT AVG(t.d) FROM (SELECT hire - birth AS d FROM persons) t")[0][0], days);
    near(answer("SELECT AVG(hire - birth) / 365.25 FROM persons")[0][0], days / 365.25);
    #[expect(clippy::cast_precision_loss, reason = "years are few")]
    let years = mean(hired().map(|(birth, hire)| completed_years(birth, hire) as f64));
    near(answer("SELECT AVG(age_years(birth, hire)) FROM persons")[0][0], years);
}

#[test]
fn groups_and_conditions_of_days_and_years_are_those_of_the_rows() {
    let days = || hired().map(|(birth, hire)| i64::from(hire - birth));
    assert_eq!(
        answer(
            "SELECT floor((hire - birth) / 1000) * 1000 AS k, COUNT(*) FROM persons WHERE hire IS NOT NULL GROUP BY 1"
        ),
        counted(days().map(|days| days / 1000 * 1000))
    );
    assert_eq!(
        answer(
            "SELECT floor((extract(year FROM hire) - extract(year FROM birth)) / 10) * 10 AS k, COUNT(*) FROM persons WHERE hire IS NOT NULL GROUP BY 1"
        ),
        counted(hired().map(|(birth, hire)| calendar_years(birth, hire) / 10 * 10))
    );
    assert_eq!(
        answer("SELECT age_years(birth, hire) AS k, COUNT(*) FROM persons WHERE hire IS NOT NULL GROUP BY 1"),
        counted(hired().map(|(birth, hire)| completed_years(birth, hire)))
    );
    let one = |holds: usize| vec![vec![f64::from(u32::try_from((holds + 2) / 5 * 5).unwrap())]];
    for (condition, holds) in [
        ("hire - birth >= 9000", days().filter(|days| *days >= 9000).count()),
        ("hire - birth BETWEEN 8000 AND 9999", days().filter(|days| (8000..10_000).contains(days)).count()),
        ("age_years(birth, hire) < 25", hired().filter(|(a, b)| completed_years(*a, *b) < 25).count()),
        (
            "extract(year FROM hire) - extract(year FROM birth) = 30",
            hired().filter(|(a, b)| calendar_years(*a, *b) == 30).count(),
        ),
    ] {
        assert_eq!(
            answer(&format!("SELECT COUNT(*) FROM persons WHERE {condition}")),
            one(holds),
            "{condition}"
        );
    }
}

#[test]
fn different_values_of_a_subject_are_counted_once_each() {
    let mut days: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    visits().into_iter().for_each(|(person, day, _)| {
        days.entry(person).or_default().insert(day);
    });
    let right = counted(days.values().map(|days| i64::try_from(days.len()).unwrap()));
    assert_eq!(
        answer(
            "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(DISTINCT day) AS n FROM visits GROUP BY person_id) t GROUP BY n"
        ),
        right
    );
}

#[test]
fn dates_of_open_tables_are_computed_with_as_before() {
    let mut policy = policy();
    let holidays =
        policy.datasets.values_mut().find(|dataset| dataset.id.sql_name() == "corpus.holidays").unwrap();
    for column in holidays.columns.iter_mut().filter(|column| column.name.ends_with("day")) {
        column.data_type = obscura_policies::vocabulary::DataType::Date;
    }
    for sql in [
        "SELECT holiday, last_day - first_day AS days FROM holidays",
        "SELECT AVG(last_day - first_day) FROM holidays WHERE last_day - first_day > 1",
    ] {
        let decision = review_under(&policy, sql).decision;
        assert!(matches!(decision, Decision::Admitted(_)), "{sql}: {decision:?}");
    }
}

#[test]
fn what_two_dates_do_not_allow_is_refused() {
    let codes = |change: &dyn Fn(&mut obscura_policies::effective::EffectiveColumn), sql: &str| {
        let mut policy = policy();
        let persons =
            policy.datasets.values_mut().find(|dataset| dataset.id.sql_name() == "corpus.persons").unwrap();
        persons.columns.iter_mut().filter(|column| column.name.as_str() == "birth").for_each(change);
        match review_under(&policy, sql).decision {
            Decision::Admitted(_) => Vec::new(),
            Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.code).collect(),
        }
    };
    let mean = "SELECT AVG(hire - birth) FROM persons";
    let groups = "SELECT hire - birth AS k, COUNT(*) FROM persons GROUP BY 1";
    let condition = "SELECT COUNT(*) FROM persons WHERE hire - birth >= 9000";
    for sql in [mean, groups, condition] {
        assert_eq!(codes(&|_| {}, sql), [], "{sql}");
        let masked = codes(&|column| column.mask = Some(Mask::DateTrunc { part: DatePart::Month }), sql);
        assert_eq!(masked, [Code::PredicateNotAllowed], "{sql}");
    }
    let only = |uses: &'static [Use]| {
        move |column: &mut obscura_policies::effective::EffectiveColumn| {
            column.uses = uses.iter().copied().collect()
        }
    };
    assert_eq!(codes(&only(&[Use::Filter]), groups), [Code::UseNotGranted]);
    assert_eq!(codes(&only(&[Use::Filter]), mean), [Code::UseNotGranted]);
    assert_eq!(codes(&only(&[Use::Group]), condition), [Code::UseNotGranted]);
    for sql in [
        "SELECT SUM(hire - birth) FROM persons",
        "SELECT AVG(hire - birth) FROM persons WHERE hire - birth IN (9000, 9010)",
        "SELECT AVG(hire - birth) FROM persons WHERE hire < birth + INTERVAL '7000 days'",
        "SELECT birth, AVG(hire - birth) FROM persons WHERE hire >= DATE '2000-01-01' GROUP BY birth",
        "SELECT AVG(hire - birth) FILTER (WHERE hire = DATE '2000-01-01' AND birth >= DATE '1970-01-01') FROM persons",
        "SELECT AVG(CAST(v.at AS DATE) - p.birth) FROM persons p JOIN visits v ON p.person_id = v.person_id",
        "SELECT AVG(hire - birth) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)",
        "SELECT AVG((hire - birth) * (hire - birth)) FROM persons WHERE md5(dept) = 'x'",
        "SELECT COUNT(*) FROM persons WHERE (hire - birth) % 97 = 13",
    ] {
        assert!(!codes(&|_| {}, sql).is_empty(), "{sql}");
    }
}
