//! Real data: published files that other people made, sealed with documents of ours and asked; the oracle knows the answers.
//! The files are read from the folder that `OBSCURA_REAL_DATA` names and are never part of the project.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic and say why they did not run"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::fixture::Plain;
use obscura_tests::oracle::amount;
use obscura_tests::oracle::description::Description;
use obscura_tests::oracle::description::Record;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use serde::Deserialize;

/// The questions with their answers, and how each file is sealed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    file: Vec<RealFile>,
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RealFile {
    name: String,
    dataset: String,
    /// Column of the file to column of the dataset, where they differ.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Column that holds the subject; nothing where each row is its own.
    subject: Option<String>,
    /// Declared ranges of measures.
    #[serde(default)]
    ranges: BTreeMap<String, (i64, i64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    sql: String,
    answer: Description,
    #[serde(default)]
    tolerance: f64,
}

#[test]
fn real_files_are_answered_as_the_oracle_says() {
    let Some(folder) = environment::real_data() else {
        eprintln!("skipped: OBSCURA_REAL_DATA names no folder of real files");
        return;
    };
    let here = environment::tests_folder().join("real");
    let corpus: Corpus = toml::from_str(&fs::read_to_string(here.join("corpus.toml")).unwrap()).unwrap();
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    world.publish(OPERATOR, &here.join("documents").join("departments.yaml")).unwrap();
    world.add_person("rena", "steward", "census").unwrap();
    world.add_person("rolf", "steward", "census").unwrap();
    world.enact("rena", "rolf", &here.join("documents").join("datasets.yaml")).unwrap();
    let grants = here.join("documents").join("grants.yaml");
    world.run("rena", &["grant", "create", "--file", grants.to_str().unwrap()]).unwrap().done().unwrap();
    for file in &corpus.file {
        seal(&world, &folder, file);
    }

    let plain: BTreeMap<&str, Plain> =
        corpus.file.iter().map(|file| (file.name.as_str(), read(&folder, file))).collect();
    for case in &corpus.case {
        let file = corpus.file.iter().find(|file| case.answer.from.starts_with(&file.name)).unwrap();
        let records = relation(&case.answer.from, &plain);
        let subject = file.subject.as_deref().unwrap_or("row_number");
        let range = |measure: &str| {
            let (low, high) = file.ranges.get(measure).copied().unwrap_or_default();
            Ok((i128::from(low) * amount::ONE, i128::from(high) * amount::ONE))
        };
        let expected = case.answer.answer_over(&records, subject, &range).unwrap();
        assert!(!expected.rows.is_empty(), "nothing is expected of {}", case.sql);
        let outcome = world.run("ana", &["query", "--purpose", PURPOSE, "--output", "csv", &case.sql]);
        let found =
            outcome.unwrap().done().unwrap_or_else(|error| panic!("{}: {error}", case.sql)).table().unwrap();
        let differences = found.differences(&expected, case.tolerance);
        assert!(differences.is_empty(), "{}\n{}", case.sql, differences.join("\n"));
        eprintln!("{} rows agree: {}", expected.rows.len(), case.sql);
    }
    assert!(world.sightings().unwrap().is_empty());
    world.run(STEWARD, &["audit", "verify"]).unwrap().done().unwrap();
}

fn seal(world: &World, folder: &Path, file: &RealFile) {
    let path = folder.join(format!("{}.csv", file.name));
    let mut arguments = vec!["seal".to_owned(), file.dataset.clone(), path.to_str().unwrap().to_owned()];
    for (from, to) in &file.rename {
        arguments.extend(["--rename".to_owned(), format!("{from}={to}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    world.run("rena", &arguments).unwrap().done().unwrap();
}

/// The file as the oracle reads it: trimmed, `?` as missing, columns under their dataset's names, rows numbered.
fn read(folder: &Path, file: &RealFile) -> Plain {
    let text = fs::read_to_string(folder.join(format!("{}.csv", file.name))).unwrap();
    let mut table = Plain::from_csv(&file.name, &text).unwrap();
    for column in &mut table.columns {
        *column = column.trim().to_owned();
        *column = file.rename.get(column).cloned().unwrap_or_else(|| column.to_lowercase());
    }
    table.columns.push("row_number".to_owned());
    for (number, row) in table.rows.iter_mut().enumerate() {
        for value in row.iter_mut() {
            *value = if value.trim() == "?" { String::new() } else { value.trim().to_owned() };
        }
        row.push(number.to_string());
    }
    table
}

/// The rows of one file, or of two joined on `id`: `medical*demographic`.
fn relation<'a>(name: &str, plain: &'a BTreeMap<&str, Plain>) -> Vec<Record<'a>> {
    let Some((left, right)) = name.split_once('*') else { return plain[name].records() };
    let mut others: BTreeMap<&str, Vec<Record<'a>>> = BTreeMap::new();
    for record in plain[right].records() {
        others.entry(record["id"]).or_default().push(record);
    }
    let mut rows = Vec::new();
    for record in plain[left].records() {
        for other in others.get(record["id"]).into_iter().flatten() {
            let mut row = other.clone();
            row.extend(record.clone());
            rows.push(row);
        }
    }
    rows
}
