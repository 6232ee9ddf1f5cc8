//! The rows of jobs against the log: a row that an attacker wrote by hand is found, and gives no person another's answer.

use obscura_tests::world::AUDITOR;
use obscura_tests::world::World;
use obscura_tests::world::code;
use serde_json::Value;

use super::QUESTION;
use super::database::alter;
use super::must_be_found;
use super::world;

/// A question of Ana's that was released.
fn asked(world: &World) -> String {
    let asked = ["job", "submit", "--purpose", "official-statistics", "--output", "json", "--", QUESTION];
    world.run("ana", &asked).unwrap().done().unwrap();
    let listed = world.run("ana", &["job", "list", "--output", "json"]).unwrap().done().unwrap().stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    listed[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_that_was_given_to_somebody_else_is_nobodys() {
    let world = world();
    let job = asked(&world);
    let database = world.data().join("obscura.db");
    alter(&database, &format!("UPDATE job SET person = 'ben' WHERE id = '{job}'"));
    for command in ["result", "explain", "evidence"] {
        for person in ["ana", "ben", AUDITOR] {
            let outcome = world.run(person, &["job", command, &job]).unwrap();
            assert_eq!(outcome.code, Some(code::FAILURE), "{person}: {}", outcome.stdout);
            assert!(outcome.stdout.is_empty() && outcome.stderr.contains("-not-found"), "{outcome:?}");
        }
    }
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
}

#[test]
fn a_row_that_tells_another_story_than_the_log_is_found() {
    let world = world();
    let job = asked(&world);
    let database = world.data().join("obscura.db");
    world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
    let whole = std::fs::read(&database).unwrap();
    for change in [
        "purpose = 'urban-planning'",
        "state = 'withheld'",
        "state = 'failed'",
        "state = 'pending_approval'",
        "result_sha256 = '00'",
        "decided_index = 1",
        "finished_index = 1",
        "id = 'job_01900000000070008000000000000000'",
        "id = 'nonsense'",
    ] {
        alter(&database, &format!("UPDATE job SET {change} WHERE id = '{job}'"));
        must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
        std::fs::write(&database, &whole).unwrap();
    }
    alter(&database, &format!("DELETE FROM job WHERE id = '{job}'"));
    must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &database, 0);
}

#[test]
fn evidence_that_tells_another_end_or_verdict_does_not_hold() {
    let world = world();
    let job = asked(&world);
    let filed = world.run("ana", &["job", "evidence", &job]).unwrap().done().unwrap().stdout;
    let filed: Value = serde_json::from_str(&filed).unwrap();
    let verify = |evidence: &Value| {
        std::fs::write(world.root().join("evidence.json"), evidence.to_string()).unwrap();
        world.run("ana", &["release", "evidence", "evidence.json"]).unwrap().code
    };
    assert_eq!(verify(&filed), Some(code::DONE));
    let mut refused = filed.clone();
    refused["state"] = "refused".into();
    refused["end_proof"] = filed["decision_proof"].clone();
    refused["release"] = Value::Null;
    assert_eq!(verify(&refused), Some(code::VERIFICATION));
    for (place, other) in [
        ("/verdict/controls/subjects_min", Value::from(1000)),
        ("/verdict/output", Value::Array(Vec::new())),
        ("/verdict/cost", Value::from("L")),
        ("/sql", Value::from("SELECT 1")),
    ] {
        let mut changed = filed.clone();
        *changed.pointer_mut(place).unwrap() = other;
        assert_eq!(verify(&changed), Some(code::VERIFICATION), "{place}");
    }
}
