//! Executors that lie: no answer of theirs makes anything leave that did not pass the controls of its stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::compute::concat_batches;

use super::*;
use crate::fixture::admitted;
use crate::fixture::execute::Rows as Tables;
use crate::fixture::execute::run;
use crate::fixture::execute::run_lying;

const BY_DEPT: &str = "SELECT dept, COUNT(*) AS n, SUM(salary) AS s FROM persons GROUP BY dept";
const OF_ALL: &str = "SELECT COUNT(*) AS n FROM persons";

/// Sixty persons, half of each department and of each sex.
fn tables() -> Tables {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(1..=60))),
        ("dept", Arc::new(StringArray::from_iter_values((0..60).map(|row| ["tax", "works"][row % 2])))),
        ("sex", Arc::new(StringArray::from_iter_values((0..60).map(|row| ["f", "m"][row / 30])))),
        ("salary", Arc::new(Int64Array::from_iter_values((0..60).map(|row| 50_000 + row)))),
        ("name", Arc::new(StringArray::from_iter_values((0..60).map(|_| "Zhang San")))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    BTreeMap::from([("corpus.persons", vec![vec![batch]])])
}

/// The batches of each plan of a query, in order.
fn answers(sql: &str) -> Vec<Vec<RecordBatch>> {
    let mut seen = Vec::new();
    run_lying(&admitted(sql), &tables(), &mut |_due, batches| {
        seen.push(batches.clone());
        batches
    })
    .unwrap();
    seen
}

/// Runs a query whose plans are answered, from the first on, with these batches instead.
fn with_lies(sql: &str, lies: &[Option<Vec<RecordBatch>>]) -> Result<RecordBatch, ControlError> {
    let mut lies = lies.iter();
    run_lying(&admitted(sql), &tables(), &mut |_due, honest| lies.next().cloned().flatten().unwrap_or(honest))
}

fn individuals() -> Vec<RecordBatch> {
    tables()["corpus.persons"][0].clone()
}

/// The columns of individuals by which names and types are those of a result.
fn dressed_up(sql: &str) -> Vec<RecordBatch> {
    let result = run(&admitted(sql), &tables()).unwrap();
    let rows = &individuals()[0];
    let names = rows.column_by_name("name").unwrap();
    let schema = result.schema();
    let columns = schema.fields().iter().map(|field| {
        let column: ArrayRef = match field.name().as_str() {
            "dept" => Arc::clone(names),
            _ => Arc::clone(rows.column_by_name("salary").unwrap()),
        };
        (field.name().clone(), column)
    });
    vec![RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()]
}

fn is_refused(lied: &Result<RecordBatch, ControlError>) -> bool {
    matches!(lied, Err(ControlError::NotCells))
}

#[test]
fn an_honest_executor_is_believed() {
    assert_eq!(with_lies(BY_DEPT, &[]).unwrap(), run(&admitted(BY_DEPT), &tables()).unwrap());
}

#[test]
fn rows_are_no_cells_whatever_they_are_called() {
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(individuals())])));
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(dressed_up(BY_DEPT))])));
    assert!(is_refused(&with_lies(OF_ALL, &[Some(individuals())])));
}

#[test]
fn a_stage_is_not_answered_with_another_stage_or_with_a_result() {
    let other = answers("SELECT COUNT(*) AS n, SUM(salary) AS s FROM persons").swap_remove(0);
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(other)])), "one group of all");
    let other = answers("SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept").swap_remove(0);
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(other)])), "cells of fewer atoms");
    let result = answers(BY_DEPT).swap_remove(1);
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(result)])), "what was released already");
}

#[test]
fn a_last_plan_is_not_answered_with_rows_or_cells() {
    assert!(is_refused(&with_lies(BY_DEPT, &[None, Some(individuals())])));
    let cells = answers(BY_DEPT).swap_remove(0);
    assert!(is_refused(&with_lies(BY_DEPT, &[None, Some(cells)])));
}

#[test]
fn a_group_is_answered_once_and_all_people_are_one_group() {
    let honest = answers(BY_DEPT).swap_remove(0);
    let batch = concat_batches(&honest[0].schema(), &honest).unwrap();
    assert!(is_refused(&with_lies(BY_DEPT, &[Some(vec![batch.clone(), batch])])), "each group twice");
    let honest = answers(OF_ALL).swap_remove(0);
    assert!(is_refused(&with_lies(OF_ALL, &[Some(vec![honest[0].clone(), honest[0].clone()])])));
    assert!(
        is_refused(&with_lies(OF_ALL, &[Some(vec![honest[0].slice(0, 0)])])),
        "nobody is a group as well"
    );
    assert!(is_refused(&with_lies(OF_ALL, &[Some(Vec::new())])));
}

#[test]
fn a_plan_is_due_with_what_its_stages_have_released_and_nothing_else() {
    let mut due_with = Vec::new();
    run_lying(&admitted(BY_DEPT), &tables(), &mut |due, batches| {
        due_with.push((due.ends(), due.released().len()));
        batches
    })
    .unwrap();
    assert_eq!(due_with, [(EndsIn::Cells { needs_clustered_input: false }, 0), (EndsIn::Result, 1)]);
}
