//! Counts in disguise: sums and means over rows that were chosen by the very values added up tell no more about the number
//! of rows than the rounded count does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::util::display::array_value_to_string;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Role;

use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::policy;
use crate::fixture::review_under;
use crate::verdict::Decision;

/// People with ten visits and of age 45, which are all counted 60: from 58 to 62 of them.
const HIDDEN: std::ops::RangeInclusive<i64> = 58..=62;
/// People with one visit and of age 25.
const OTHERS: i64 = 300;

fn rows(hidden: i64) -> Rows {
    let persons = hidden + OTHERS;
    let numbers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let texts = |make: &dyn Fn(i64) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..persons).map(make)))
    };
    let table = RecordBatch::try_from_iter(vec![
        ("person_id", numbers((0..persons).collect())),
        ("dept", texts(&|person| if person < hidden { "tax" } else { "works" })),
        ("age", numbers((0..persons).map(|person| if person < hidden { 40 } else { 20 }).collect())),
        ("salary", numbers((0..persons).map(|person| 30_000 + person * 17).collect())),
    ]);
    let owners: Vec<i64> = (0..persons)
        .flat_map(|person| std::iter::repeat_n(person, if person < hidden { 10 } else { 1 }))
        .collect();
    let visits = RecordBatch::try_from_iter(vec![
        ("day", numbers((0..owners.len()).map(|row| i64::try_from(row % 3).unwrap()).collect())),
        ("person_id", numbers(owners)),
    ]);
    BTreeMap::from([
        ("corpus.persons", vec![vec![table.unwrap()]]),
        ("corpus.visits", vec![vec![visits.unwrap()]]),
    ])
}

/// Per person: how many visits.
const COUNTS: &str = "(SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t";

#[test]
fn what_is_added_up_over_chosen_rows_counts_them_no_better_than_a_count() {
    let of_counts = |select: &str, rest: &str| format!("SELECT {select} FROM {COUNTS} {rest}");
    let questions = [
        of_counts("n, COUNT(*), SUM(n)", "GROUP BY n"),
        of_counts("n, AVG(n * 7)", "GROUP BY n"),
        of_counts("SUM(n)", "WHERE n = 10"),
        of_counts("SUM(n)", "WHERE n IN (1, 10)"),
        of_counts("AVG(n)", "WHERE n IN (1, 10)"),
        of_counts("SUM(n) FILTER (WHERE n > 5)", ""),
        of_counts("SUM(CASE WHEN n > 5 THEN n ELSE 0 END)", ""),
        of_counts("AVG(CASE WHEN n > 5 THEN n END), SUM(CASE WHEN n > 5 THEN n END)", ""),
        format!(
            "SELECT SUM(t.n) FROM {COUNTS} JOIN (SELECT person_id, COUNT(*) AS m FROM visits GROUP BY person_id) u ON t.person_id = u.person_id WHERE u.m > 5"
        ),
        format!(
            "SELECT SUM(t.n) FROM {COUNTS} WHERE t.person_id IN (SELECT person_id FROM visits GROUP BY person_id HAVING COUNT(*) > 5)"
        ),
        "SELECT SUM(age) FROM persons WHERE age >= 40".to_owned(),
        "SELECT dept, SUM(age) FROM persons GROUP BY dept".to_owned(),
        "SELECT SUM(age) FROM persons WHERE dept = 'tax'".to_owned(),
        "SELECT AVG(age), SUM(age) FROM persons WHERE age >= 20 AND age < 50".to_owned(),
        "SELECT age, SUM(age), AVG(age) FROM persons GROUP BY age".to_owned(),
        "SELECT SUM(age) / 40 FROM persons WHERE age >= 40".to_owned(),
    ];
    tells_no_count(&policy(), &questions);
}

/// A measure whose bins hold one value each is as good as pinned between two edges.
#[test]
fn a_measure_in_fine_bins_counts_no_better_either() {
    let mut fine = policy();
    let persons =
        fine.datasets.values_mut().find(|dataset| dataset.id.sql_name() == "corpus.persons").unwrap();
    for age in persons.columns.iter_mut().filter(|column| column.name.as_str() == "age") {
        (age.role, age.mask, age.bins) = (Role::Measure, None, Some(Fixed::ONE));
    }
    let questions = [
        "SELECT SUM(age) FROM persons WHERE age >= 40 AND age < 41",
        "SELECT COUNT(*), SUM(age) FROM persons WHERE age >= 40",
        "SELECT AVG(age) FROM persons WHERE age < 60",
        "SELECT AVG(age) FILTER (WHERE age >= 20), SUM(age) FILTER (WHERE age >= 30) FROM persons",
        "SELECT floor(age / 10) * 10 AS k, SUM(age) FROM persons GROUP BY 1",
        "SELECT SUM(a) FROM (SELECT person_id, SUM(age) AS a FROM persons GROUP BY person_id) t WHERE a >= 30",
    ];
    tells_no_count(&fine, &questions.map(str::to_owned));
}

/// Every admitted question has one answer, or the two next to where it is rounded, for all numbers of people counted as 60.
fn tells_no_count(policy: &EffectivePolicy, questions: &[String]) {
    for sql in questions {
        let plan = match review_under(policy, sql).decision {
            Decision::Admitted(plan) => plan,
            Decision::Refused { .. } => continue,
        };
        let answers: BTreeSet<String> = HIDDEN
            .map(|hidden| {
                let batch = run(&plan, &rows(hidden)).unwrap();
                let cell = |column: &ArrayRef, row: usize| array_value_to_string(column, row).unwrap();
                (0..batch.num_rows())
                    .map(|row| {
                        batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(",")
                    })
                    .collect::<Vec<_>>()
                    .join(";")
            })
            .collect();
        assert!(answers.len() <= 2, "{} answers to {sql}: {answers:?}", answers.len());
    }
}
