//! The rows in clear as the witness reads them: CSV files, the types of their columns, and where their subjects stand.
//! The product's tables come from the same rows by another way.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use arrow::csv::WriterBuilder;
use arrow::datatypes::DataType;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::guarded::people::Tables;
use serde_json::Value;
use serde_json::json;

/// Pairs of a column and what it is.
type Columns = &'static [(&'static str, &'static str)];
/// A table of the corpora: its name, its columns of subjects with their kinds, and its columns with their types.
type Known = (&'static str, Columns, Columns);

/// The tables of the corpora, typed as their documents say.
const CORPORA: [Known; 6] = [
    (
        "persons",
        &[("person_id", "resident")],
        &[
            ("person_id", "VARCHAR"),
            ("dept", "VARCHAR"),
            ("zip", "VARCHAR"),
            ("age", "BIGINT"),
            ("sex", "VARCHAR"),
            ("diag", "VARCHAR"),
            ("salary", "DECIMAL(18, 4)"),
            ("name", "VARCHAR"),
            ("birth", "DATE"),
            ("hire", "DATE"),
        ],
    ),
    (
        "visits",
        &[("person_id", "resident")],
        &[("visit_id", "VARCHAR"), ("person_id", "VARCHAR"), ("cost", "DECIMAL(18, 4)"), ("day", "BIGINT")],
    ),
    (
        "staff",
        &[("person_id", "resident"), ("firm", "enterprise")],
        &[
            ("person_id", "VARCHAR"),
            ("firm", "VARCHAR"),
            ("job", "VARCHAR"),
            ("site", "VARCHAR"),
            ("pay", "BIGINT"),
        ],
    ),
    ("firms", &[("firm", "enterprise")], &[("firm", "VARCHAR"), ("sector", "VARCHAR"), ("size", "BIGINT")]),
    ("zones", &[], &[("zip", "VARCHAR"), ("district", "VARCHAR"), ("level", "BIGINT")]),
    ("holidays", &[], &[("first_day", "BIGINT"), ("last_day", "BIGINT"), ("holiday", "VARCHAR")]),
];

/// Writes the tables of the corpora into a folder and describes them.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn of_the_corpora(fixture: &Fixture, folder: &Path) -> anyhow::Result<Value> {
    fixture.write(folder)?;
    let data = environment::tests_folder().join("attacks").join("data");
    let tables: Vec<Value> = CORPORA
        .iter()
        .map(|(name, units, columns)| {
            let units: BTreeMap<_, _> = units.iter().copied().collect();
            let written = folder.join(format!("{name}.csv"));
            let file = if written.is_file() { written } else { data.join(format!("{name}.csv")) };
            json!({ "name": name, "units": units, "columns": columns, "file": file })
        })
        .collect();
    Ok(setup(&tables))
}

/// Writes tables of people in memory into a folder and describes them.
///
/// # Errors
/// When they cannot be written, or a column is of a type that no such table has.
pub(crate) fn of_people(people: &Tables, folder: &Path) -> anyhow::Result<Value> {
    let mut tables = Vec::new();
    for (dataset, batch) in people {
        let (_, name) = dataset.split_once('.').context("a dataset has a department")?;
        let file = folder.join(format!("{name}.csv"));
        WriterBuilder::new().with_header(true).build(File::create(&file)?).write(batch)?;
        let schema = batch.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| Ok((field.name().clone(), type_name(field.data_type())?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let subjects = batch.column_by_name("person_id").map(|_| ("person_id", "resident"));
        let units: BTreeMap<_, _> = subjects.into_iter().collect();
        tables.push(json!({ "name": name, "units": units, "columns": columns, "file": file }));
    }
    Ok(setup(&tables))
}

/// The declarations of the tables: the base of counts, the steps of sums, the bins of masked columns.
fn setup(tables: &[Value]) -> Value {
    json!({
        "rounding": 5,
        "steps": { "salary": 1000, "cost": 10, "pay": 1000 },
        "masks": { "age": 10 },
        "tables": tables,
    })
}

fn type_name(data_type: &DataType) -> anyhow::Result<String> {
    Ok(match data_type {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Utf8 => "VARCHAR".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Decimal128(digits, scale) => format!("DECIMAL({digits}, {scale})"),
        other => bail!("the witness knows no {other}"),
    })
}
