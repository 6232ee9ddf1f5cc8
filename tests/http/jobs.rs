//! The life of jobs: asked twice under one key, cancelled, followed, listed page by page, and stopped by a revocation.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use obscura_sandbox::app::people::authenticate::authenticate;
use obscura_sandbox::app::query::judge::Submission;
use obscura_sandbox::app::query::outcome::JobEnd;
use obscura_sandbox::app::query::question::SubmitQuery;
use obscura_sandbox::app::query::run::JobControl;
use obscura_sandbox::app::query::run::run_admitted;
use obscura_sandbox::app::query::submit::submit;
use obscura_sandbox::clock::SystemClock;
use obscura_sandbox::clock::SystemRandom;
use obscura_sandbox::config::Sources;
use obscura_sandbox::context::Door;
use obscura_sandbox::installation::Installation;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

fn question(sql: &str) -> String {
    json!({ "sql": sql, "purpose": PURPOSE }).to_string()
}

/// Asks for access to the persons, for a new analyst who has no grant.
fn hope(server: &Server, person: &str) -> String {
    server.world.add_person(person, "analyst", "corpus").unwrap();
    let wish = json!({
        "purpose": PURPOSE,
        "datasets": [{ "dataset": "corpus.persons" }],
        "until": "2099-12-31",
        "reason": "a yearbook",
    });
    let asked = server.post(Some(person), "/api/v1/requests", &wish.to_string(), &[]).must_be(201).json();
    asked["id"].as_str().unwrap().to_owned()
}

fn wait_for_approval(server: &Server, person: &str) -> String {
    let waiting = server.ask(person, COUNT).must_be(202);
    assert_eq!(waiting.header("retry-after"), Some("60"));
    let waiting = waiting.json();
    assert_eq!((&waiting["state"], &waiting["verdict"]), (&json!("pending_approval"), &Value::Null));
    format!("/api/v1/jobs/{}", waiting["id"].as_str().unwrap())
}

fn decide(server: &Server, request: &str, decision: &str) {
    let path = format!("/api/v1/requests/{request}/decision");
    server.post(Some("stella"), &path, &json!({ "decision": decision }).to_string(), &[]).must_be(200);
}

#[test]
fn a_job_waits_for_the_approval_of_a_request_and_is_judged_by_what_was_approved() {
    let server = Server::start();
    assert_eq!(server.ask("ana", COUNT).must_be(201).json()["state"], "released");
    let request = hope(&server, "cleo");
    // A request lets no question wait that it would not let in, and serves no other person.
    server.ask("cleo", "SELECT person_id FROM persons").must_be(422);
    server.ask("cleo", "SELECT dept, COUNT(*) FROM visits GROUP BY dept").must_be(422);
    server.ask("cleo", "SELECT COUNT(*) FROM nothing").must_be(422);
    server.world.add_person("dora", "analyst", "corpus").unwrap();
    server.ask("dora", COUNT).must_be(422);
    let job = wait_for_approval(&server, "cleo");
    server.get(Some("cleo"), &format!("{job}/result"), &[]).must_be(404);
    server.get(Some("dora"), &job, &[]).must_be(404);
    decide(&server, &request, "approve");
    let done = server.get(Some("cleo"), &format!("{job}?wait=30"), &[]).must_be(200).json();
    assert_eq!((&done["state"], &done["verdict"]["decision"]), (&json!("released"), &json!("admitted")));
    server.get(Some("cleo"), &format!("{job}/result"), &[]).must_be(200);
    let evidence = server.get(Some("cleo"), &format!("{job}/evidence"), &[]).must_be(200);
    std::fs::write(server.world.root().join("evidence.json"), &evidence.body).unwrap();
    server.world.run("ana", &["release", "evidence", "evidence.json"]).unwrap().done().unwrap();
    server.world.run("ana", &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}

#[test]
fn a_job_that_waits_ends_with_its_request_or_when_it_is_taken_back() {
    let server = Server::start();
    let request = hope(&server, "cleo");
    let declined = wait_for_approval(&server, "cleo");
    let taken_back = wait_for_approval(&server, "cleo");
    server.post(Some("ana"), &format!("{taken_back}/cancel"), "{}", &[]).must_be(404);
    let cancelled = server.post(Some("cleo"), &format!("{taken_back}/cancel"), "{}", &[]).must_be(200).json();
    assert_eq!(cancelled["state"], "cancelled");
    decide(&server, &request, "decline");
    assert_eq!(server.get(Some("cleo"), &declined, &[]).must_be(200).json()["state"], "refused");
    server.ask("cleo", COUNT).must_be(422);
    let request = hope(&server, "dora");
    let withdrawn = wait_for_approval(&server, "dora");
    let path = format!("/api/v1/requests/{request}");
    server.send("DELETE", &path, Some("dora"), &[], None).must_be(200);
    assert_eq!(server.get(Some("dora"), &withdrawn, &[]).must_be(200).json()["state"], "refused");
    hope(&server, "erik");
    for _ in 0..16 {
        wait_for_approval(&server, "erik");
    }
    server.ask("erik", COUNT).must_be(422);
    server.is_clean();
}

#[test]
fn a_job_goes_on_waiting_after_a_crash_and_is_run_when_it_was_approved_meanwhile() {
    let server = Server::start();
    let request = hope(&server, "cleo");
    let job = wait_for_approval(&server, "cleo");
    let world = server.kill();
    let server = Server::over(world, &[]);
    assert_eq!(server.get(Some("cleo"), &job, &[]).must_be(200).json()["state"], "pending_approval");
    let world = server.kill();
    world.run("stella", &["request", "approve", &request]).unwrap().done().unwrap();
    let server = Server::over(world, &[]);
    let done = server.get(Some("cleo"), &format!("{job}?wait=30"), &[]).must_be(200).json();
    assert_eq!(done["state"], "released");
    // A person who was removed gets nothing.
    hope(&server, "dora");
    let job = wait_for_approval(&server, "dora");
    server.world.run("olga", &["person", "remove", "dora"]).unwrap().done().unwrap();
    let world = server.kill();
    let server = Server::over(world, &[]);
    let left = server.get(Some("stella"), "/api/v1/jobs", &[]).must_be(200).json();
    assert_eq!(left["jobs"].as_array().unwrap().len(), 1, "a job without a verdict concerns nobody: {job}");
    let states = server.get(Some("aldo"), "/api/v1/jobs", &[]).must_be(200).json();
    let states: Vec<&Value> = states["jobs"].as_array().unwrap().iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["cancelled", "released"]);
    server.is_clean();
}

#[test]
fn stewards_see_in_outline_who_asked_of_their_data_and_nobody_elses() {
    let server = Server::start();
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    let released = server.ask("ana", COUNT).must_be(201).json();
    let refused = server.ask("ben", "SELECT person_id FROM persons").must_be(422).json();
    let job = released["id"].as_str().unwrap();
    let path = format!("/api/v1/jobs/{job}");
    let seen = server.get(Some("stella"), &path, &[]).must_be(200).json();
    assert_eq!((&seen["person"], &seen["state"]), (&json!("ana"), &json!("released")));
    assert_eq!(seen["verdict"], Value::Null);
    server.get(Some("emil"), &path, &[]).must_be(404);
    assert_eq!(seen["result_sha256"], Value::Null, "a small result is guessed from its hash");
    for part in ["result", "release", "evidence"] {
        server.get(Some("stella"), &format!("{path}/{part}"), &[]).must_be(404);
    }
    // All that was asked of is hers, so she sees how it was decided.
    let explained = server.get(Some("stella"), &format!("{path}/explain"), &[]).must_be(200).json();
    assert_eq!((&explained["sql"], &explained["job"]["result_sha256"]), (&json!(COUNT), &Value::Null));
    assert_eq!(explained["plan"]["stages"][0]["subjects"], json!([{"unit": "resident", "min": 10}]));
    server.get(Some("emil"), &format!("{path}/explain"), &[]).must_be(404);
    server.post(Some("stella"), &format!("{path}/cancel"), "{}", &[]).must_be(404);
    let listed = |person: &str, query: &str| {
        let page = server.get(Some(person), &format!("/api/v1/jobs{query}"), &[]).must_be(200).json();
        let ids = page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next"].as_str().map(str::to_owned))
    };
    let refused = refused["job"].as_str().unwrap().to_owned();
    assert_eq!(listed("stella", ""), (vec![refused.clone(), job.to_owned()], None));
    assert_eq!(listed("emil", ""), (vec![], None));
    assert_eq!(listed("ana", ""), (vec![job.to_owned()], None));
    let (first, next) = listed("stella", "?limit=1");
    assert_eq!(first, [refused]);
    let (second, _) = listed("stella", &format!("?limit=1&cursor={}", next.unwrap()));
    assert_eq!(second, [job]);
    server.is_clean();
}

#[test]
fn a_repeated_request_is_the_same_job_and_another_one_under_its_key_is_refused() {
    let server = Server::start();
    let ask = |person: &str, sql: &str, key: &str| {
        let headers = [("idempotency-key", key), ("prefer", "wait=30")];
        server.post(Some(person), "/api/v1/jobs", &question(sql), &headers)
    };
    let first = ask("ana", COUNT, "one").must_be(201).json();
    let again = ask("ana", COUNT, "one").must_be(201).json();
    assert_eq!(first, again);
    assert_ne!(ask("ben", COUNT, "one").must_be(201).json()["id"], first["id"], "keys are one's own");
    let reused = ask("ana", "SELECT COUNT(*) FROM visits", "one").must_be(409).json();
    assert_eq!(reused["code"], "idempotency-key-reused");
    let refused = ask("ana", "SELECT salary FROM persons", "two").must_be(422).json();
    let again = ask("ana", "SELECT salary FROM persons", "two").must_be(422).json();
    assert_eq!((&refused["job"], &refused["verdict"]), (&again["job"], &again["verdict"]));
    for wrong in ["", "with space", &"k".repeat(129)] {
        ask("ana", COUNT, wrong).must_be(400);
    }
    let jobs = server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2, "one for each key");
    server.is_clean();
}

#[test]
fn many_repetitions_at_once_make_one_job() {
    let server = Server::start();
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let server = &server;
                scope.spawn(move || {
                    loop {
                        let headers = [("idempotency-key", "k"), ("prefer", "wait=30")];
                        let answer = server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &headers);
                        // Being judged right now: the client is told to ask again.
                        if answer.status != 409 {
                            return answer.must_be(201).json()["id"].clone();
                        }
                        assert_eq!(answer.json()["code"], "idempotency-in-flight");
                    }
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    let log = server.world.run("aldo", &["audit", "log", "--limit", "1000", "--output", "csv"]).unwrap();
    let log = log.done().unwrap().stdout;
    assert_eq!(log.matches("query.decided").count(), 1);
    assert_eq!(log.matches("result.released").count(), 1);
    server.is_clean();
}

#[test]
fn a_cancelled_job_releases_nothing_and_stays_cancelled() {
    let server = Server::start();
    let outcomes: Vec<(u16, String)> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..14)
            .map(|_| {
                let server = &server;
                scope.spawn(move || {
                    let job = server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &[]).must_be(202);
                    let path = job.header("location").unwrap().to_owned();
                    let first = server.post(Some("ana"), &format!("{path}/cancel"), "", &[]);
                    let again = server.post(Some("ana"), &format!("{path}/cancel"), "", &[]);
                    assert_eq!(first.status, again.status);
                    let job = server.get(Some("ana"), &path, &[]).must_be(200).json();
                    let result = server.get(Some("ana"), &format!("{path}/result"), &[]);
                    assert_eq!(result.status == 200, first.status == 409, "{job}");
                    (first.status, job["state"].as_str().unwrap().to_owned())
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for (status, state) in &outcomes {
        assert_eq!(state, if *status == 200 { "cancelled" } else { "released" });
    }
    assert!(outcomes.iter().any(|(status, _)| *status == 200), "some of fourteen were still waiting");
    let foreign = server.ask("ana", COUNT).must_be(201).header("location").unwrap().to_owned();
    server.post(Some("ben"), &format!("{foreign}/cancel"), "", &[]).must_be(404);
    server.post(Some("aldo"), &format!("{foreign}/cancel"), "", &[]).must_be(404);
    server.is_clean();
}

#[test]
fn more_jobs_than_one_person_may_have_are_turned_away_and_others_are_not() {
    let server = Server::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..40)
            .map(|_| {
                let server = &server;
                scope.spawn(move || server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &[]).status)
            })
            .collect();
        let other = server.ask("ben", COUNT).must_be(201);
        assert_eq!(other.json()["state"], "released");
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&202));
    server.is_clean();
}

/// The events in a stream: name of the event and what it says.
fn events(stream: &[u8]) -> Vec<(String, Value)> {
    let text = String::from_utf8_lossy(stream);
    let mut events = Vec::new();
    let mut id = String::new();
    for line in text.lines() {
        if let Some(found) = line.strip_prefix("id: ") {
            found.clone_into(&mut id);
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((id.clone(), serde_json::from_str(data).unwrap()));
        }
    }
    events
}

fn follow(server: &Server, path: &str, last: Option<&str>, most: Duration) -> Vec<(String, Value)> {
    let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n{last}\r\n",
        server.token("ana")
    );
    events(&server.send_bytes(head.as_bytes(), most))
}

#[test]
fn a_job_is_followed_to_its_end_and_read_on_from_any_event() {
    let server = Server::start();
    let path = server
        .post(Some("ana"), "/api/v1/jobs", &question(COUNT), &[])
        .must_be(202)
        .header("location")
        .unwrap()
        .to_owned();
    let followed = follow(&server, &format!("{path}/events"), None, Duration::from_secs(30));
    let states: Vec<&str> = followed.iter().map(|(_, event)| event["state"].as_str().unwrap()).collect();
    assert_eq!(states.last(), Some(&"released"), "the stream ends with the job: {states:?}");
    let order = ["queued", "running", "checking", "released"];
    let places: Vec<_> = states.iter().map(|state| order.iter().position(|known| known == state)).collect();
    assert!(places.is_sorted(), "{states:?}");
    assert!(followed.iter().all(|(_, event)| event.as_object().unwrap().len() == 2), "nothing else is told");
    let (first, _) = &followed[0];
    let rest = follow(&server, &format!("{path}/events"), Some(first), Duration::from_secs(30));
    assert_eq!(rest.last(), followed.last());
    let unknown = follow(&server, &format!("{path}/events"), Some("another.7"), Duration::from_secs(30));
    assert_eq!(unknown.iter().map(|(_, event)| &event["state"]).collect::<Vec<_>>(), ["released"]);
    let all = follow(&server, "/api/v1/events", Some(first), Duration::from_millis(500));
    assert!(all.iter().any(|event| Some(event) == followed.last()), "{all:?}");
    server.get(Some("ben"), &format!("{path}/events"), &[]).must_be(404);
    // A follower who names an event that this process never sent has missed something, and is told.
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nlast-event-id: another.7\r\n\r\n",
        server.token("ana")
    );
    let told = server.send_bytes(head.as_bytes(), Duration::from_millis(500));
    assert!(String::from_utf8_lossy(&told).contains("event: gap\n"), "{}", String::from_utf8_lossy(&told));
    assert_eq!(events(&told)[0].1, json!({ "missed": true }));
    server.is_clean();
}

#[test]
fn a_stream_ends_with_its_token_before_it_tells_anything_more() {
    let server = Server::start();
    let token = |person: &str| {
        let made = server.post(Some(person), "/api/v1/tokens", &json!({ "days": 1 }).to_string(), &[]);
        let made = made.must_be(201).json();
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let open = |token: &str| {
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let mut began = vec![0; 4096];
        let read = stream.read(&mut began).unwrap();
        assert!(String::from_utf8_lossy(&began[..read]).starts_with("HTTP/1.1 200"));
        stream
    };
    let revoke = |person: &str, id: &str| {
        server.send("DELETE", &format!("/api/v1/tokens/{id}"), Some(person), &[], None).must_be(204);
    };
    let (id, its_token) = token("ana");
    let mut busy = open(&its_token);
    server.ask("ana", COUNT).must_be(201);
    let mut told = vec![0; 4096];
    let read = busy.read(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told[..read]).contains("event: job"), "as long as the token is good");
    revoke("ana", &id);
    let again = server.ask("ana", COUNT).must_be(201);
    let mut rest = Vec::new();
    busy.read_to_end(&mut rest).unwrap();
    let again = again.json()["id"].as_str().unwrap().to_owned();
    assert!(!String::from_utf8_lossy(&rest).contains(&again), "{}", String::from_utf8_lossy(&rest));
    // One that has nothing to tell ends as well, at its next look at the token.
    let (id, its_token) = token("ben");
    let mut idle = open(&its_token);
    revoke("ben", &id);
    idle.read_to_end(&mut rest).unwrap();
    server.is_clean();
}

#[test]
fn lists_are_read_page_by_page() {
    let server = Server::start();
    let asked: Vec<Value> =
        (0..5).map(|_| server.ask("ana", COUNT).must_be(201).json()["id"].clone()).collect();
    let mut seen = Vec::new();
    let mut path = "/api/v1/jobs?limit=2".to_owned();
    loop {
        let page = server.get(Some("ana"), &path, &[]).must_be(200).json();
        seen.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/jobs?limit=2&cursor={next}");
    }
    assert_eq!(seen, asked.into_iter().rev().collect::<Vec<_>>());
    for wrong in ["limit=0", "limit=1001", "cursor=x", "limit=-1", "page=2"] {
        server.get(Some("ana"), &format!("/api/v1/jobs?{wrong}"), &[]).must_be(400);
    }
}

#[test]
fn a_job_that_died_with_its_server_is_marked_and_its_request_is_not_run_again() {
    let server = Server::start();
    let done = server.ask("ana", COUNT).must_be(201).json();
    let headers = [("idempotency-key", "k")];
    let open = server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &headers);
    let server = Server::over(server.kill(), &[]);
    let path = format!("/api/v1/jobs/{}", done["id"].as_str().unwrap());
    assert_eq!(server.get(Some("ana"), &path, &[]).must_be(200).json(), done);
    let open = open.json()["id"].clone();
    let again = server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &headers).must_be(201).json();
    assert_eq!(again["id"], open);
    assert!(["released", "failed"].contains(&again["state"].as_str().unwrap()), "{again}");
    server.is_clean();
}

#[test]
fn told_to_end_the_server_finishes_what_runs_and_says_goodbye() {
    let server = Server::start();
    let job = server.post(Some("ana"), "/api/v1/jobs", &question(COUNT), &[]).must_be(202).json();
    let stopped = std::process::Command::new("kill").arg(server.process_id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert!(server.ended_well());
    let server = Server::over(server.kill(), &[]);
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let state = server.get(Some("ana"), &path, &[]).must_be(200).json()["state"].clone();
    assert!(["released", "cancelled"].contains(&state.as_str().unwrap()), "{state}");
}

/// Opens the installation of a world in this process.
async fn open(world: &World) -> Arc<Installation> {
    let mut sources = Sources::default();
    sources.flags.insert("data_dir", world.data().display().to_string());
    let settings = sources.load().unwrap().settings;
    let opened = Installation::open(settings, Arc::new(SystemClock), Arc::new(SystemRandom)).await;
    Arc::new(opened.unwrap())
}

#[tokio::test]
async fn what_is_revoked_while_a_job_runs_stops_its_release() {
    for (person, arguments) in [
        ("stella", &["grant", "revoke", "ana-statistics"][..]),
        ("olga", &["person", "remove", "ana"][..]),
        ("stella", &["dataset", "drop", "corpus.persons"][..]),
    ] {
        let world = World::with(&Fixture::load().unwrap()).unwrap();
        let installation = open(&world).await;
        let token = world.root().join("ana.token");
        let caller = authenticate(&installation, Some(&token), Door::Http).await.unwrap();
        let Submission::Admitted(waiting) =
            submit(&installation, &caller, SubmitQuery::once(COUNT, PURPOSE)).await.unwrap()
        else {
            panic!("the question is admitted")
        };
        let job = waiting.job();
        world.run(person, arguments).unwrap().done().unwrap();
        let ended = run_admitted(&installation, *waiting, JobControl::following(&|_| {})).await.unwrap();
        let JobEnd::Cancelled { code: Some(code), .. } = ended else { panic!("{arguments:?}: {ended:?}") };
        assert_eq!(code, "no-longer-allowed");
        let kept = world.data().join("results").join(format!("{job}.sealed"));
        assert!(!kept.exists(), "the sealed result is gone");
        installation.close().await;
    }
}

#[test]
fn the_asker_has_proofs_of_what_was_decided_and_left_and_of_nothing_else() {
    let server = Server::start();
    let done = server.ask("ana", COUNT).must_be(201).json();
    let entries = done["decided_index"].as_u64().unwrap()..=done["finished_index"].as_u64().unwrap();
    let proof = |person: &str, index: u64| {
        server.get(Some(person), &format!("/api/v1/audit/events/{index}/proof"), &[]).status
    };
    // The decision, the columns that it grants, the keys that its run took, the check, the release.
    let of_ana: Vec<u16> = entries.clone().map(|index| proof("ana", index)).collect();
    assert_eq!(of_ana, [200, 404, 404, 200, 200]);
    assert!(entries.clone().all(|index| proof("ben", index) == 404 && proof("aldo", index) == 200));
}
