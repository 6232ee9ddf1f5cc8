//! Reviews of results over HTTP and by command line: who sees a result before it leaves, who decides, and that nobody learns
//! anything of it while it waits.

use std::path::Path;

use obscura_tests::server::Answer;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use obscura_tests::world::code;
use serde_json::Value;
use serde_json::json;

/// A server whose policy over people and visits asks for `one` reviewer or `two`.
fn server(review: &str) -> Server {
    let server = Server::start();
    put_in_force(&server, 2, review);
    server
}

fn put_in_force(server: &Server, version: u32, review: &str) {
    let text = super::access::policy(version).replace("review: none", &format!("review: {review}"));
    server.post(Some("stella"), "/api/v1/policies", &text, &[]).must_be(201);
    let wish = json!({ "version": version }).to_string();
    server.post(Some("sven"), "/api/v1/policies/corpus-statistics/activate", &wish, &[]).must_be(200);
}

/// Asks as ana; gives the job, which waits.
fn ask(server: &Server) -> String {
    let waiting = server.ask("ana", COUNT).must_be(202);
    assert_eq!(waiting.header("retry-after"), Some("60"));
    let job = waiting.json();
    assert_eq!(job["state"], "in_review", "{job}");
    job["id"].as_str().unwrap().to_owned()
}

fn decide(server: &Server, person: &str, job: &str, decision: &str, comment: Option<&str>) -> Answer {
    let wish = json!({ "decision": decision, "comment": comment }).to_string();
    server.post(Some(person), &format!("/api/v1/reviews/{job}/decision"), &wish, &[])
}

fn job(server: &Server, job: &str) -> Value {
    server.get(Some("ana"), &format!("/api/v1/jobs/{job}"), &[]).must_be(200).json()
}

fn reviews(server: &Server, person: &str) -> Vec<Value> {
    let list = server.get(Some(person), "/api/v1/reviews", &[]).must_be(200).json();
    list["reviews"].as_array().unwrap().clone()
}

fn csv(server: &Server, job: &str) -> Answer {
    server.get(Some("ana"), &format!("/api/v1/jobs/{job}/result"), &[("accept", "text/csv")])
}

/// The names of the sealed results on disk.
fn results(world: &World) -> Vec<String> {
    let folder = world.data().join("results");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn verify(world: &World) {
    world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
}

#[test]
fn a_reviewer_sees_just_what_leaves_and_it_leaves_when_they_let_it() {
    let server = server("one");
    let id = ask(&server);
    let waiting = job(&server, &id);
    assert_eq!((&waiting["verdict"]["reviewers"], &waiting["review"]["reviewers"]), (&json!(1), &json!(1)));
    let listed = reviews(&server, "stella");
    assert_eq!(
        (&listed[0]["job"], &listed[0]["person"], &listed[0]["own"]),
        (&json!(id), &json!("ana"), &json!(null))
    );
    let path = format!("/api/v1/reviews/{id}");
    let shown = server.get(Some("stella"), &path, &[]).must_be(200).json();
    assert_eq!((&shown["sql"], &shown["purpose"]), (&json!(COUNT), &json!(PURPOSE)));
    assert_eq!(shown["controls"]["subjects_min"], 10);
    assert!(shown["output"][1]["treatment"].as_array().unwrap().contains(&json!("rounded")), "{shown}");
    assert_eq!(shown["checklist"].as_array().unwrap().len(), 7);
    assert!(
        shown["checklist"][0]["text"]["zh"].as_str().is_some() && shown["bands"]["zh"].as_str().is_some()
    );
    // Its whole form: nothing of the plan, of documents or of other departments, and no exact count.
    let fields: Vec<&String> = shown.as_object().unwrap().keys().collect();
    let known = [
        "job",
        "state",
        "person",
        "purpose",
        "purpose_title",
        "asked",
        "since",
        "until",
        "reviewers",
        "sql",
        "output",
        "controls",
        "result",
        "bands",
        "checklist",
        "decisions",
    ];
    assert_eq!(fields, known);
    let decided = decide(&server, "stella", &id, "approve", Some("as agreed")).must_be(200).json();
    assert_eq!(decided, json!({ "job": id, "state": "released" }));
    let released = job(&server, &id);
    assert_eq!(
        (&released["state"], &released["review"]["comments"]),
        (&json!("released"), &json!(["as agreed"]))
    );
    assert!(!released.to_string().contains("stella"), "the asker is not told who let it out: {released}");
    assert_eq!(csv(&server, &id).must_be(200).text(), shown["result"].as_str().unwrap());
    let record = server.get(Some("ana"), &format!("/api/v1/jobs/{id}/release"), &[]).must_be(200).text();
    assert!(record.contains("\"reviewers\":1"), "{record}");
    let after = server.get(Some("stella"), &path, &[]).must_be(200).json();
    assert_eq!((&after["result"], &after["decisions"][0]["by"]), (&json!(null), &json!("stella")));
    assert!(reviews(&server, "stella").is_empty());
    let evidence = server.get(Some("ana"), &format!("/api/v1/jobs/{id}/evidence"), &[]).must_be(200);
    std::fs::write(server.world.root().join("evidence.json"), &evidence.body).unwrap();
    server.world.run("ana", &["release", "evidence", "evidence.json"]).unwrap().done().unwrap();
    verify(&server.world);
    let log = server.world.run("aldo", &["audit", "log", "--limit", "200"]).unwrap().done().unwrap().stdout;
    for action in ["review.awaited", "review.viewed", "review.decided", "result.released"] {
        assert!(log.contains(action), "{action}: {log}");
    }
    // The entry that lets it wait names no hash of a table that might never have left.
    let entries = server.get(Some("aldo"), "/api/v1/audit/export", &[]).must_be(200).text();
    let sha256 = released["result_sha256"].as_str().unwrap();
    let names: Vec<&str> = entries.lines().filter(|entry| entry.contains(sha256)).collect();
    assert!(names.len() == 1 && names[0].contains("result.released"), "{names:?}");
    server.is_clean();
}

#[test]
fn nobody_but_its_reviewers_learns_anything_of_a_result_that_waits() {
    let server = server("one");
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let again = [("prefer", "wait=30"), ("idempotency-key", "k")];
    let first = server.post(Some("ana"), "/api/v1/jobs", &body, &again).must_be(202).json();
    let repeated = server.post(Some("ana"), "/api/v1/jobs", &body, &again).must_be(202).json();
    assert_eq!(first, repeated, "a repetition is the same job, and as silent");
    let id = first["id"].as_str().unwrap();
    let path = format!("/api/v1/jobs/{id}");
    // A small result could be guessed from its hash.
    for told in [&first, &job(&server, id)] {
        assert_eq!(
            (&told["result_sha256"], &told["finished"], &told["finished_index"]),
            (&json!(null), &json!(null), &json!(null))
        );
    }
    let shown = server.get(Some("stella"), &format!("/api/v1/reviews/{id}"), &[]).must_be(200).json();
    let result = shown["result"].as_str().unwrap();
    let figures: Vec<&str> = result.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(figures.len(), 5, "{result}");
    for format in [
        "application/json",
        "text/csv",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
    ] {
        server.get(Some("ana"), &format!("{path}/result"), &[("accept", format)]).must_be(404);
    }
    server.get(Some("ana"), &format!("{path}/release"), &[]).must_be(404);
    server.get(Some("ana"), &format!("{path}/evidence"), &[]).must_be(409);
    let mut told = vec![job(&server, id).to_string()];
    told.push(server.get(Some("ana"), &format!("{path}/explain"), &[]).must_be(200).text());
    told.push(server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).text());
    let figure = figures[0];
    assert!(told.iter().all(|text| !text.contains(&format!(":{figure}"))), "{figure} in {told:?}");
    // The question asked anew waits anew: it is no way around.
    let anew = server.ask("ana", COUNT).must_be(202).json();
    assert_ne!(anew["id"], first["id"]);
    for (person, status) in
        [(None, 401), (Some("ana"), 403), (Some("ben"), 403), (Some("aldo"), 403), (Some("olga"), 403)]
    {
        server.get(person, "/api/v1/reviews", &[]).must_be(status);
        server.get(person, &format!("/api/v1/reviews/{id}"), &[]).must_be(status);
        let wish = json!({ "decision": "approve" }).to_string();
        server.post(person, &format!("/api/v1/reviews/{id}/decision"), &wish, &[]).must_be(status);
    }
    // A steward of other data is told what they would be told of a job that is not there.
    assert!(reviews(&server, "emil").is_empty());
    let nothing = "job_01a2000000007000a000000000000000";
    let without_id = |answer: Answer| {
        let mut problem = answer.must_be(404).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    for path in [id, nothing, "nothing"].map(|job| format!("/api/v1/reviews/{job}")) {
        let hidden = without_id(server.get(Some("emil"), &path, &[]));
        assert_eq!(hidden, without_id(server.get(Some("emil"), &format!("/api/v1/reviews/{nothing}"), &[])));
    }
    without_id(decide(&server, "emil", id, "approve", None));
    assert_eq!(job(&server, id)["state"], "in_review");
    server.get(Some("ben"), &path, &[]).must_be(404);
    server.is_clean();
}

#[test]
fn two_reviewers_decide_without_knowing_of_each_other() {
    let server = server("two");
    server.world.add_person("sigrid", "steward", "corpus").unwrap();
    let id = ask(&server);
    let path = format!("/api/v1/reviews/{id}");
    let seen = |person: &str| server.get(Some(person), &path, &[]).must_be(200).json();
    let (before, listed, told) = (seen("sven"), reviews(&server, "sven"), job(&server, &id));
    let first = decide(&server, "stella", &id, "approve", Some("well asked")).must_be(200).json();
    assert_eq!(first["state"], "in_review");
    assert_eq!((seen("sven"), reviews(&server, "sven"), job(&server, &id)), (before, listed, told));
    let own = seen("stella");
    assert_eq!(own["decisions"].as_array().unwrap().len(), 1, "{own}");
    assert_eq!(reviews(&server, "stella")[0]["own"], "approved");
    for decision in ["approve", "return", "reject"] {
        let twice = decide(&server, "stella", &id, decision, Some("again")).must_be(409).json();
        assert_eq!(twice["code"], "review-decided");
    }
    csv(&server, &id).must_be(404);
    assert_eq!(decide(&server, "sven", &id, "approve", None).must_be(200).json()["state"], "released");
    csv(&server, &id).must_be(200);
    let said = seen("sven");
    let by: Vec<&Value> = said["decisions"].as_array().unwrap().iter().map(|said| &said["by"]).collect();
    assert_eq!(by, ["stella", "sven"], "then they see each other's");
    let late = decide(&server, "sigrid", &id, "reject", Some("too late")).must_be(409).json();
    assert_eq!(late["code"], "review-over");
    verify(&server.world);
    server.is_clean();
}

#[test]
fn what_is_returned_or_rejected_never_leaves_and_its_asker_is_told_why() {
    let server = server("one");
    for (decision, code) in [("return", "review-returned"), ("reject", "review-rejected")] {
        let id = ask(&server);
        let without = decide(&server, "stella", &id, decision, None).must_be(400).json();
        assert_eq!(without["code"], "comment-out-of-range");
        decide(&server, "stella", &id, decision, Some(&"x".repeat(2001))).must_be(400);
        decide(&server, "stella", &id, "perhaps", Some("x")).must_be(400);
        assert!(results(&server.world).iter().any(|name| name.contains(&id)));
        let decided = decide(&server, "stella", &id, decision, Some("group by year")).must_be(200).json();
        assert_eq!(decided["state"], "withheld");
        let told = job(&server, &id);
        assert_eq!((&told["state"], &told["code"]), (&json!("withheld"), &json!(code)));
        assert_eq!(told["review"]["comments"], json!(["group by year"]));
        csv(&server, &id).must_be(404);
        server.get(Some("ana"), &format!("/api/v1/jobs/{id}/release"), &[]).must_be(404);
        assert!(!results(&server.world).iter().any(|name| name.contains(&id)), "its bytes are gone");
        server.get(Some("ana"), &format!("/api/v1/jobs/{id}/evidence"), &[]).must_be(200);
        let watched = server.world.run("ana", &["job", "watch", &id]).unwrap();
        assert_eq!(watched.code, Some(code::WITHHELD), "{}", watched.stderr);
    }
    verify(&server.world);
    server.is_clean();
}

#[test]
fn what_was_taken_away_meanwhile_stops_the_release() {
    let server = server("one");
    // Its grant.
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let grant = json!({
        "person": "cleo",
        "purpose": PURPOSE,
        "datasets": [{ "dataset": "corpus.persons" }],
        "until": "2099-12-31",
    });
    let given = server.post(Some("stella"), "/api/v1/grants", &grant.to_string(), &[]).must_be(201).json();
    let waits =
        |person: &str| server.ask(person, COUNT).must_be(202).json()["id"].as_str().unwrap().to_owned();
    let revoked = waits("cleo");
    let grant = given["grants"][0]["id"].as_str().unwrap();
    server.send("DELETE", &format!("/api/v1/grants/{grant}"), Some("stella"), &[], None).must_be(204);
    let ended = decide(&server, "stella", &revoked, "approve", None).must_be(200).json();
    assert_eq!(ended["state"], "cancelled");
    let told = server.get(Some("cleo"), &format!("/api/v1/jobs/{revoked}"), &[]).must_be(200).json();
    assert_eq!(told["code"], "no-longer-allowed");
    server.get(Some("cleo"), &format!("/api/v1/jobs/{revoked}/result"), &[]).must_be(404);
    // Its asker.
    let removed = waits("ben");
    server.world.run("olga", &["person", "remove", "ben"]).unwrap().done().unwrap();
    assert_eq!(decide(&server, "sven", &removed, "approve", None).must_be(200).json()["state"], "cancelled");
    // Its policy: another version asks for more.
    let stricter = waits("ana");
    put_in_force(&server, 3, "two");
    assert_eq!(
        decide(&server, "stella", &stricter, "approve", None).must_be(200).json()["state"],
        "cancelled"
    );
    // Its data.
    let dropped = waits("ana");
    let fixture = obscura_tests::fixture::Fixture::load().unwrap();
    fixture.write(&server.world.root().join("tmp")).unwrap();
    seal_again(&server.world, &server.world.root().join("tmp/persons.csv"));
    let drop = ["dataset", "drop", "corpus.persons", "--version-number", "1"];
    server.world.run("stella", &drop).unwrap().done().unwrap();
    decide(&server, "stella", &dropped, "approve", None).must_be(200);
    assert_eq!(decide(&server, "sven", &dropped, "approve", None).must_be(200).json()["state"], "cancelled");
    assert_eq!(results(&server.world), Vec::<String>::new());
    verify(&server.world);
}

fn seal_again(world: &World, file: &Path) {
    let file = file.to_str().unwrap();
    world.run("stella", &["seal", "corpus.persons", "--replace", file]).unwrap().done().unwrap();
    std::fs::remove_file(file).unwrap();
}

#[test]
fn one_person_has_a_bounded_number_of_results_that_wait() {
    let server = server("one");
    let first = ask(&server);
    for _ in 1..64 {
        ask(&server);
    }
    let refused = server.ask("ana", COUNT).must_be(409).json();
    assert_eq!(refused["code"], "too-many-in-review");
    server.ask("ben", COUNT).must_be(202);
    decide(&server, "stella", &first, "approve", None).must_be(200);
    ask(&server);
    let part = server.get(Some("stella"), "/api/v1/reviews?limit=60", &[]).must_be(200).json();
    let rest = format!("/api/v1/reviews?limit=60&cursor={}", part["next"].as_str().unwrap());
    let rest = server.get(Some("stella"), &rest, &[]).must_be(200).json();
    assert_eq!((rest["reviews"].as_array().unwrap().len(), &rest["next"]), (5, &json!(null)));
    server.get(Some("stella"), "/api/v1/reviews?limit=201", &[]).must_be(400);
    server.is_clean();
}

#[test]
fn an_asker_takes_back_what_waits() {
    let server = server("one");
    let id = ask(&server);
    let path = format!("/api/v1/jobs/{id}/cancel");
    for person in ["ben", "stella"] {
        server.post(Some(person), &path, "{}", &[]).must_be(404);
    }
    for _ in 0..2 {
        assert_eq!(server.post(Some("ana"), &path, "{}", &[]).must_be(200).json()["state"], "cancelled");
    }
    assert_eq!(decide(&server, "stella", &id, "approve", None).must_be(409).json()["code"], "review-over");
    csv(&server, &id).must_be(404);
    assert_eq!(results(&server.world), Vec::<String>::new());
    verify(&server.world);
    server.is_clean();
}

#[test]
fn what_waits_goes_on_waiting_after_a_crash_and_decisions_count_at_every_door() {
    let server = server("two");
    let id = ask(&server);
    decide(&server, "stella", &id, "approve", None).must_be(200);
    let world = server.kill();
    let run = |person: &str, arguments: &[&str]| world.run(person, arguments).unwrap();
    let waiting = run("ana", &["job", "watch", &id]);
    assert_eq!((waiting.code, waiting.stdout.as_str()), (Some(code::WAITS), "in_review\n"));
    assert_eq!(run("ana", &["review", "list"]).code, Some(code::REFUSED));
    assert_eq!(run("stella", &["review", "approve", &id]).code, Some(code::FAILURE), "she has decided");
    let listed = run("sven", &["review", "list", "--output", "csv"]).done().unwrap().stdout;
    assert!(listed.contains(&id), "{listed}");
    let shown = run("sven", &["review", "show", &id]).done().unwrap().stdout;
    for part in [COUNT, "health,400", "Before you decide", "subjects at least 10"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("stella"), "{shown}");
    let shown = run("sven", &["review", "show", &id, "--lang", "zh"]).done().unwrap().stdout;
    assert!(shown.contains("决定之前请确认") && !shown.contains("Before"), "{shown}");
    assert_eq!(run("sven", &["review", "return", &id]).code, Some(code::USAGE), "it needs a comment");
    let approved = run("sven", &["review", "approve", &id, "--comment", "fine"]).done().unwrap();
    assert_eq!(approved.stdout, "released\n", "{}", approved.stderr);
    run("ana", &["job", "result", &id, "--output", "csv"]).done().unwrap();
    let server = Server::over(world, &[]);
    csv(&server, &id).must_be(200);
    // By command line, beside a server that runs.
    let id = ask(&server);
    let by_server = ["--server", &format!("http://{}", server.address)];
    for (person, state) in [("stella", "in_review\n"), ("sven", "withheld\n")] {
        let arguments = ["review", "reject", &id, "--comment", "it tells of one office"];
        let command = [&arguments[..], &by_server].concat();
        assert_eq!(server.world.run(person, &command).unwrap().done().unwrap().stdout, state);
    }
    let told =
        server.world.run("ana", &[&["job", "show", &id][..], &by_server].concat()).unwrap().done().unwrap();
    assert!(
        told.stdout.contains("it tells of one office") && told.stdout.contains("review-rejected"),
        "{}",
        told.stdout
    );
    verify(&server.world);
    server.is_clean();
}

#[test]
fn a_dry_run_and_the_dictionary_say_how_many_people_look_at_a_result() {
    let server = server("two");
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let verdict = server.post(Some("ana"), "/api/v1/queries/check", &body, &[]).must_be(200).json();
    assert_eq!((&verdict["decision"], &verdict["reviewers"]), (&json!("admitted"), &json!(2)));
    let terms = server.get(Some("ana"), "/api/v1/datasets/corpus.persons", &[]).must_be(200).json();
    assert_eq!(terms["terms"][0]["allows"]["controls"][0]["reviewers"], 2, "{terms}");
    // Every dataset of the question counts, also one that is only joined.
    let joined = "SELECT COUNT(*) FROM staff s JOIN persons p ON s.person_id = p.person_id";
    let body = json!({ "sql": joined, "purpose": PURPOSE }).to_string();
    let verdict = server.post(Some("ana"), "/api/v1/queries/check", &body, &[]).must_be(200).json();
    assert_eq!((&verdict["decision"], &verdict["reviewers"]), (&json!("admitted"), &json!(2)), "{verdict}");
    let explained =
        server.world.run("ana", &["explain", "--purpose", PURPOSE, COUNT]).unwrap().done().unwrap();
    assert!(explained.stderr.contains("waits for 2 reviewer(s)"), "{}", explained.stderr);
    let asked = server.world.query("ana", COUNT).unwrap();
    assert_eq!((asked.code, asked.stdout.as_str()), (Some(code::WAITS), ""), "{}", asked.stderr);
    let refused = super::access::policy(3).replace("review: none", "review: three");
    server.post(Some("stella"), "/api/v1/policies/check", &refused, &[]).must_be(400);
    server.is_clean();
}

#[test]
fn events_tell_that_a_result_waits_and_then_how_it_ended() {
    let server = server("one");
    let id = ask(&server);
    let path = format!("/api/v1/jobs/{id}/events");
    let token = server.token("ana");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let follows = std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let told = server.send_bytes(request.as_bytes(), std::time::Duration::from_secs(30));
            String::from_utf8(told).unwrap()
        });
        // The stream ends with the job; it is told of the end whenever it begins.
        decide(&server, "stella", &id, "approve", None).must_be(200);
        let closing = server.get(Some("ana"), &format!("/api/v1/jobs/{id}?wait=1"), &[]).must_be(200).json();
        assert_eq!(closing["state"], "released");
        follower.join().unwrap()
    });
    assert!(follows.contains("\"state\":\"released\""), "{follows}");
    let is_known = |state: &str| ["in_review", "released"].contains(&state);
    let states = follows.split("\"state\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert!(states.into_iter().all(is_known), "{follows}");
    server.is_clean();
}
