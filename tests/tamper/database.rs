//! The database against the log: a row that an attacker wrote by hand is found and permits nothing.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use obscura_tests::fixture::Fixture;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use obscura_tests::world::code;

use super::QUESTION;
use super::must_be_found;
use super::world;

/// Runs one statement on the database, as an attacker with the file would.
pub(super) fn alter(database: &Path, statement: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); n = c.execute(sys.argv[2]).rowcount; c.commit(); print(n)";
    let output = Command::new("python3").args(["-c", program]).arg(database).arg(statement).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1", "one row is altered: {statement}");
}

#[test]
fn a_database_row_without_its_event_is_found() {
    let world = world();
    let database = world.data().join("obscura.db");
    let forged = "INSERT INTO record (kind, key, body, state, event_index) \
                  SELECT kind, 'corpus.forged', replace(body, 'ana', 'ben'), state, event_index \
                  FROM record WHERE state = 'in_force' LIMIT 1";
    alter(&database, forged);
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
}

#[test]
fn a_widened_grant_permits_nothing() {
    let world = world();
    let database = world.data().join("obscura.db");
    alter(
        &database,
        "UPDATE record SET body = replace(body, 'official-statistics', 'urban-planning') \
         WHERE kind = (SELECT kind FROM record WHERE body LIKE '%ana-statistics%' LIMIT 1) AND body LIKE '%ana-statistics%'",
    );
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
    let outcome = world.run("ana", &["query", "--purpose", "urban-planning", QUESTION]).unwrap();
    assert_ne!(outcome.code, Some(code::DONE), "{}", outcome.stdout);
    assert!(outcome.stdout.is_empty());
}

#[test]
fn a_deleted_row_is_found() {
    let world = world();
    let database = world.data().join("obscura.db");
    alter(&database, "DELETE FROM record WHERE body LIKE '%ben-statistics%'");
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
}

/// The folders of a dataset's versions.
fn versions(world: &World, dataset: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.data().join("datasets").join("corpus").join(dataset)).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

#[test]
fn a_sealed_version_whose_row_is_deleted_stays_and_nothing_older_answers() {
    let world = world();
    let database = world.data().join("obscura.db");
    let plain = tempfile::tempdir().unwrap();
    Fixture::load().unwrap().write(plain.path()).unwrap();
    let file = plain.path().join("persons.csv");
    let replace = ["seal", "corpus.persons", file.to_str().unwrap(), "--replace"];
    world.run(STEWARD, &replace).unwrap().done().unwrap();
    let sealed = versions(&world, "persons");
    alter(&database, "DELETE FROM record WHERE kind = 'dataset-version' AND key = 'corpus.persons@2'");
    let outcome = world.query("ana", QUESTION).unwrap();
    assert_eq!(outcome.code, Some(code::FAILURE), "{}", outcome.stdout);
    assert!(outcome.stdout.is_empty());
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
    assert_eq!(versions(&world, "persons"), sealed);
    world.run(STEWARD, &replace).unwrap().done().unwrap();
    world.query("ana", QUESTION).unwrap().done().unwrap();
    assert_eq!(versions(&world, "persons").len(), sealed.len() + 1);
}

#[test]
fn a_document_marked_as_staged_is_found_and_stays_in_force() {
    let world = world();
    let database = world.data().join("obscura.db");
    let answer = world.query("ana", QUESTION).unwrap().done().unwrap().stdout;
    alter(
        &database,
        "UPDATE record SET state = 'staged' WHERE kind = 'document' AND key LIKE 'Dataset/corpus.persons@%'",
    );
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
    assert_eq!(world.query("ana", QUESTION).unwrap().done().unwrap().stdout, answer);
}
