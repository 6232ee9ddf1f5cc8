//! Canaries through everything: bytes in which the scanner must see them, and a long session in which it must see none.
//! Every other suite scans its own worlds too; this one walks through every command on purpose.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use obscura_tests::canary::Canary;
use obscura_tests::canary::Scanner;
use obscura_tests::fixture::Fixture;
use obscura_tests::fixture::Plain;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::basic::ZstdLevel;
use parquet::file::properties::WriterProperties;

/// The table as plaintext Parquet, compressed as sealed files are.
fn parquet(table: &Plain) -> Vec<u8> {
    let text = table.to_csv().unwrap();
    let (schema, _) = Format::default().with_header(true).infer_schema(text.as_bytes(), None).unwrap();
    let schema = Arc::new(schema);
    let reader = ReaderBuilder::new(Arc::clone(&schema)).with_header(true).build(text.as_bytes()).unwrap();
    let compression = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    for batch in reader {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn every_canary_is_seen_in_plaintext_csv_and_in_plaintext_parquet() {
    let fixture = Fixture::load().unwrap();
    let scanner = Scanner::new(fixture.canaries.clone()).unwrap();
    let csv = fixture.persons.to_csv().unwrap() + &fixture.visits.to_csv().unwrap();
    assert_eq!(scanner.places_seen("CSV", csv.as_bytes()), scanner.places());
    let mut seen = scanner.places_seen("persons as Parquet", &parquet(&fixture.persons));
    seen.extend(scanner.places_seen("visits as Parquet", &parquet(&fixture.visits)));
    assert_eq!(seen, scanner.places());
}

#[test]
fn no_canary_leaves_in_a_session_through_every_command() {
    let mut fixture = Fixture::load().unwrap();
    fixture.canaries.push(Canary::new("a malformed row", "CANARY-cost-5-77ab01"));
    fixture.canaries.push(Canary::new("a suggested file", "CANARY-name-6-0c91de"));
    let world = World::with(&fixture).unwrap();
    let plain = tempfile::tempdir().unwrap();
    let bad = plain.path().join("bad.csv");
    fs::write(&bad, "visit_id,person_id,cost,day\n7,1,CANARY-cost-5-77ab01,1\n8,2,1.5,1\n").unwrap();
    let unlabelled = plain.path().join("unlabelled.csv");
    fs::write(&unlabelled, "id,who\n11010519491231002X,CANARY-name-6-0c91de\n350627199711275419,Zhang\n")
        .unwrap();
    let (bad, unlabelled) = (bad.to_str().unwrap(), unlabelled.to_str().unwrap());

    let questions = [
        "SELECT * FROM persons",
        "SELECT zip, diag, COUNT(*), SUM(salary) FROM persons GROUP BY zip, diag",
        "SELECT birth, COUNT(*) FROM persons GROUP BY birth",
        "SELECT SUM(CAST(name AS INT)) FROM persons",
        "SELECT day, SUM(cost) FROM visits GROUP BY day",
        "SELECT p.dept, p.zip, p.sex, COUNT(*) FROM persons p JOIN visits v USING (person_id) GROUP BY 1, 2, 3",
    ];
    for question in questions {
        for form in ["table", "json", "csv"] {
            world.run("ana", &["query", "--purpose", PURPOSE, "--output", form, question]).unwrap();
        }
        world.run("ben", &["explain", "--purpose", PURPOSE, question]).unwrap();
    }
    let commands: [(&str, &[&str]); 18] = [
        (STEWARD, &["seal", "corpus.visits", bad, "--append"]),
        (
            STEWARD,
            &["seal", "corpus.visits", bad, "--append", "--on-bad-row", "skip", "--bad-rows-max", "100"],
        ),
        (STEWARD, &["dataset", "suggest", unlabelled, "--dataset", "corpus.unlabelled"]),
        (STEWARD, &["dataset", "list"]),
        (STEWARD, &["dataset", "show", "corpus.persons"]),
        (STEWARD, &["dataset", "verify", "corpus.persons"]),
        (STEWARD, &["grant", "list"]),
        ("ana", &["dataset", "show", "corpus.persons", "--output", "json"]),
        ("ana", &["job", "list"]),
        ("ana", &["job", "list", "--output", "json"]),
        (OPERATOR, &["person", "list"]),
        (OPERATOR, &["token", "list"]),
        (OPERATOR, &["doctor"]),
        (OPERATOR, &["config", "check"]),
        (AUDITOR, &["audit", "log", "--limit", "200"]),
        (AUDITOR, &["audit", "log", "--limit", "200", "--output", "json"]),
        (AUDITOR, &["audit", "verify"]),
        (AUDITOR, &["audit", "prove", "0"]),
    ];
    for (person, arguments) in commands {
        world.run(person, arguments).unwrap();
    }
    let sightings = world.sightings().unwrap();
    assert!(sightings.is_empty(), "{sightings:#?}");
}
