//! Questions under a budget of differential privacy: what they cost, and that neither repetition, nor askers at the same time,
//! nor a kill spends a total twice or gives anything back.

use std::thread;

use obscura_tests::server::Answer;
use obscura_tests::server::Server;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::code;
use serde_json::Value;
use serde_json::json;

use super::budgets::DOCUMENTS;
use super::budgets::budgets;
use super::budgets::entries;
use super::budgets::grant;
use super::budgets::private;

const CELLS: &str = "SELECT district, COUNT(*) AS n FROM secret.patients GROUP BY district";
/// Questions for which a share has room.
const QUESTIONS: usize = 3;

/// The sum of the charges that the lifetime total of patients has.
fn spent(server: &Server) -> u64 {
    budgets(server, "nora")["secret.patients"]["lifetime"]["spent"]["nano_rho"].as_u64().unwrap()
}

fn finding_of(refused: &Answer) -> Value {
    refused.json()["verdict"]["findings"][0].clone()
}

#[test]
fn a_share_is_spent_by_questions_and_by_nothing_else() {
    let server = Server::over(private(), &[]);
    let question = json!({ "sql": CELLS, "purpose": PURPOSE }).to_string();
    let check = || server.post(Some("ana"), "/api/v1/queries/check", &question, &[]).must_be(200).json();
    let checked = check();
    assert_eq!(checked["decision"], "admitted", "{checked}");
    let used = &checked["budget"][0];
    assert_eq!((&used["dataset"], &used["cost"]["epsilon"]), (&json!("secret.patients"), &json!(0.5)));
    assert_eq!(used["left"]["epsilon"], json!(1.0));
    assert_eq!(spent(&server), 0, "a check spends nothing");
    let cost = used["cost"]["nano_rho"].as_u64().unwrap();
    let mut jobs = Vec::new();
    for number in 0..QUESTIONS {
        let key = format!("question-{number}");
        let headers = [("idempotency-key", key.as_str()), ("prefer", "wait=30")];
        let asked = server.post(Some("ana"), "/api/v1/jobs", &question, &headers).must_be(201).json();
        let again = server.post(Some("ana"), "/api/v1/jobs", &question, &headers).must_be(201).json();
        assert_eq!(asked["id"], again["id"]);
        assert_eq!(asked["state"], "released", "{asked}");
        jobs.push(asked["id"].as_str().unwrap().to_owned());
        assert_eq!(
            spent(&server),
            cost * (u64::try_from(number).unwrap() + 1),
            "once, however often it was sent"
        );
    }
    let refused = server.ask("ana", CELLS).must_be(422);
    let finding = finding_of(&refused);
    assert_eq!(finding["code"], "budget-spent");
    let resets = finding["params"]["resets"].as_str().unwrap();
    assert!(finding["message"]["en"].as_str().unwrap().contains(resets), "{finding}");
    assert_eq!(check()["findings"][0]["code"], "budget-spent", "a check says the same");
    let share = budgets(&server, "ana")["secret.patients"]["shares"][0].clone();
    assert_eq!(share["share"]["spent"]["nano_rho"], json!(cost * 3));
    assert!(share["resets"].is_string(), "{share}");
    // The log tells of each charge; a result that was released costs nothing more.
    for person in ["ana", "nora", AUDITOR] {
        let found = entries(&server, person);
        let charged: Vec<&str> = found.iter().map(|entry| entry["job"].as_str().unwrap()).collect();
        assert_eq!(charged.len(), QUESTIONS, "{person}");
        assert!(jobs.iter().rev().map(String::as_str).eq(charged), "newest first");
    }
    server.get(Some("ana"), &format!("/api/v1/jobs/{}/result", jobs[0]), &[]).must_be(200);
    for (person, expected) in [("ana", code::BUDGET_SPENT), ("ben", code::REFUSED)] {
        for command in ["query", "explain"] {
            let outcome = server.world.run(person, &[command, "--purpose", PURPOSE, CELLS]).unwrap();
            assert_eq!(
                outcome.code,
                Some(expected),
                "{person} {command}: {}{}",
                outcome.stdout,
                outcome.stderr
            );
        }
    }
    // Neither another grant, nor the same rows sealed anew or dropped, nor another process begins another share.
    grant(&server.world, "ana");
    let rows = server.world.root().join("patients.csv");
    let seal = ["seal", "secret.patients", rows.to_str().unwrap(), "--replace", "--yes"];
    server.world.run("nora", &seal).unwrap().done().unwrap();
    let server = Server::over(server.kill(), &[]);
    let grants = server.get(Some("ana"), "/api/v1/grants", &[]).must_be(200).json();
    let grants = grants["grants"].as_array().unwrap().iter();
    let grants = grants.filter(|grant| grant["datasets"][0]["dataset"] == "secret.patients");
    for grant in grants.map(|grant| &grant["id"]) {
        let named = json!({ "sql": CELLS, "purpose": PURPOSE, "grants": [grant] }).to_string();
        let refused = server.post(Some("ana"), "/api/v1/jobs", &named, &[]).must_be(422);
        assert_eq!(finding_of(&refused)["code"], "budget-spent");
    }
    assert_eq!(spent(&server), cost * 3);
    // Nor does another name for the same rows.
    let copy =
        DOCUMENTS.replace("secret.patients", "secret.again").replace("secret-statistics", "secret-again");
    let documents = server.world.root().join("copy.yaml");
    std::fs::write(&documents, copy).unwrap();
    server.world.enact("nora", "nils", &documents).unwrap();
    server.world.run("nora", &["seal", "secret.again", rows.to_str().unwrap()]).unwrap().done().unwrap();
    let grant_again =
        ["grant", "create", "--person", "ana", "--purpose", PURPOSE, "--dataset", "secret.again"];
    server
        .world
        .run("nora", &[&grant_again[..], &["--until", "2099-12-31"]].concat())
        .unwrap()
        .done()
        .unwrap();
    let refused = server.ask("ana", &CELLS.replace("patients", "again")).must_be(422);
    assert_eq!(finding_of(&refused)["code"], "budget-spent");
    assert_eq!(budgets(&server, "ana")["secret.again"]["lifetime"]["spent"]["nano_rho"], json!(cost * 3));
    // Another person has a share of their own.
    grant(&server.world, "ben");
    server.ask("ben", CELLS).must_be(201);
    assert_eq!((entries(&server, "ben").len(), entries(&server, "ana").len()), (1, 3), "each sees their own");
    server.world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}

#[test]
fn questions_at_once_never_pass_a_share_that_has_room_for_fewer() {
    let server = Server::over(private(), &[]);
    let mut answers: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| server.ask("ana", CELLS).status)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    // The command line is another process over the same folder.
    let here = server.world.run("ana", &["query", "--purpose", PURPOSE, CELLS]).unwrap();
    assert_eq!(here.code, Some(code::BUDGET_SPENT), "{}", here.stderr);
    answers.sort_unstable();
    assert_eq!(answers, [201, 201, 201, 422, 422, 422, 422, 422]);
    assert_eq!(entries(&server, "nora").len(), QUESTIONS);
    server.world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}

#[test]
fn a_kill_between_charge_and_answer_neither_charges_twice_nor_gives_back() {
    let mut server = Server::over(private(), &[]);
    let question = json!({ "sql": CELLS, "purpose": PURPOSE }).to_string();
    let mut before = 0;
    for round in 0..6 {
        let key = format!("round-{round}");
        thread::scope(|scope| {
            let asking = scope
                .spawn(|| server.try_post("ana", "/api/v1/jobs", &question, &[("idempotency-key", &key)]));
            // Killed at another place each round: while it judges, charges, queues or computes.
            for _ in 0..(round * 40_000) {
                thread::yield_now();
            }
            server.kill_now();
            let _answered_or_not = asking.join().unwrap();
        });
        let world = server.kill();
        let verified = world.run(AUDITOR, &["audit", "verify"]).unwrap();
        assert_eq!(verified.code, Some(code::DONE), "round {round}: {}{}", verified.stdout, verified.stderr);
        let next = Server::over(world, &[]);
        let charged = entries(&next, "nora").len();
        assert!(charged == before || charged == before + 1, "round {round}: {before} became {charged}");
        // The same request again is the same job: it is charged now, or was, or there is no room any more.
        let headers = [("idempotency-key", key.as_str()), ("prefer", "wait=30")];
        let again = next.post(Some("ana"), "/api/v1/jobs", &question, &headers);
        let after = entries(&next, "nora").len();
        match (again.status, again.json()["state"].as_str()) {
            (201, Some("released")) => assert_eq!(after, before + 1, "round {round}: {}", again.text()),
            // It was cut off, with its charge or before it had one, and is not run again.
            (201, Some("failed")) => assert_eq!(after, charged, "round {round}: {}", again.text()),
            (422, None) => {
                assert_eq!((after, before), (QUESTIONS, QUESTIONS), "round {round}: {}", again.text())
            }
            other => panic!("round {round}: {other:?} {}", again.text()),
        }
        before = after;
        server = next;
    }
    // Whatever was cut off: a share is three questions, charged or lost.
    let lost = (0..=QUESTIONS).take_while(|_| server.ask("ana", CELLS).status == 201).count();
    assert!(lost <= QUESTIONS, "a share is no more than its questions");
    assert_eq!(entries(&server, "nora").len(), QUESTIONS);
    server.world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}
