//! The database against the log: a row that somebody wrote by hand is found and permits nothing.

use std::path::Path;
use std::process::Command;

use obscura_tests::world::AUDITOR;
use obscura_tests::world::code;

use super::QUESTION;
use super::must_be_found;
use super::world;

/// Runs one statement on the database, as somebody with the file would.
fn alter(database: &Path, statement: &str) {
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
