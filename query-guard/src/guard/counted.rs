//! Counts in disguise: whatever sums and means say of rows that were chosen by what they add up, they say no more of how
//! many there are than the rounded count does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::util::display::array_value_to_string;

use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::review;
use crate::guard::Decision;

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
    for sql in &questions {
        let plan = match review(sql).decision {
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
