//! Questions over HTTP: checked, asked and fetched in every form; refusals as answers; malformed questions and hidden names.

use obscura_tests::server::Answer;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::code;
use serde_json::Value;
use serde_json::json;

#[test]
fn a_question_is_checked_asked_and_fetched_in_every_form() {
    let server = Server::start();
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let verdict = server.post(Some("ana"), "/api/v1/queries/check", &body, &[]).must_be(200).json();
    assert_eq!(verdict["decision"], "admitted");
    let done = server.ask("ana", COUNT).must_be(201);
    let job = done.json();
    assert_eq!(job["state"], "released");
    let path = done.header("location").unwrap().to_owned();
    assert_eq!(path, format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()));
    let seen = server.get(Some("ana"), &format!("{path}?wait=5"), &[]).must_be(200).json();
    assert_eq!(seen, job);
    let result = format!("{path}/result");
    let rows = server.get(Some("ana"), &result, &[]).must_be(200).json();
    assert_eq!(rows.as_array().unwrap().len(), 5);
    assert_eq!(rows[0]["dept"], "health");
    let csv = server.get(Some("ana"), &result, &[("accept", "text/csv")]).must_be(200);
    assert_eq!(csv.header("content-type"), Some("text/csv"));
    assert!(csv.text().starts_with("dept,n\nhealth,"));
    for media in ["application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"] {
        let bytes = server.get(Some("ana"), &result, &[("accept", media)]).must_be(200);
        assert_eq!(bytes.header("content-type"), Some(media));
        assert!(!bytes.body.is_empty());
    }
    let etag = csv.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", job["result_sha256"].as_str().unwrap()));
    server.get(Some("ana"), &result, &[("if-none-match", &etag)]).must_be(304);
    server.get(Some("ana"), &result, &[("accept", "image/png")]).must_be(406);
    let not_json = server.get(Some("ana"), &result, &[("accept", "*/*, application/json;q=0")]).must_be(200);
    assert_eq!(not_json.header("content-type"), Some("text/csv"), "the most specific range decides");
    let record = server.get(Some("ana"), &format!("{path}/release"), &[]).must_be(200).text();
    assert!(record.contains(job["result_sha256"].as_str().unwrap()));
    let list = server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).json();
    assert_eq!(list["jobs"][0]["id"], job["id"]);
    server.is_clean();
}

#[test]
fn evidence_is_verified_without_a_server_and_every_change_of_it_is_found() {
    let server = Server::start();
    let released = server.ask("ana", COUNT).must_be(201).json()["id"].as_str().unwrap().to_owned();
    let refused = server.ask("ana", "SELECT dept, salary FROM persons").must_be(422).json();
    let refused = refused["job"].as_str().unwrap().to_owned();
    let file = server.world.root().join("evidence.json");
    let verify = |evidence: &Value| {
        std::fs::write(&file, evidence.to_string()).unwrap();
        server.world.run("ana", &["release", "evidence", file.to_str().unwrap()]).unwrap()
    };
    for (job, person, documents) in [(&released, "ana", 0), (&released, "aldo", 3), (&refused, "ana", 0)] {
        let path = format!("/api/v1/jobs/{job}/evidence");
        server.get(Some("ben"), &path, &[]).must_be(404);
        let evidence = server.get(Some(person), &path, &[]).must_be(200).json();
        let shown = verify(&evidence).done().unwrap();
        assert!(shown.stderr.contains("The evidence holds"), "{}", shown.stderr);
        assert!(evidence["documents"].as_array().unwrap().len() >= documents, "{evidence}");
        for (place, value) in [
            ("/job", json!("job_01a2000000007000a000000000000000")),
            ("/sql", json!("SELECT 1")),
            ("/sql_salt", json!("00")),
            ("/person", json!("ben")),
            ("/purpose", json!("other")),
            ("/state", json!("withheld")),
            ("/verdict/decision", json!("perhaps")),
            ("/verdict/policy", json!([])),
            ("/release", json!("other")),
            (
                "/decision_proof",
                evidence["end_proof"].as_str().map_or(json!(""), |text| json!(text.replace('A', "B"))),
            ),
            ("/end_proof", json!("")),
            ("/documents", json!(["api_version: obscura/v1"])),
        ] {
            let mut changed = evidence.clone();
            *changed.pointer_mut(place).unwrap() = value;
            let outcome = verify(&changed);
            assert_eq!(outcome.code, Some(code::VERIFICATION), "{place} of {job}: {}", outcome.stderr);
        }
    }
    server.is_clean();
}

#[test]
fn a_refusal_is_an_answer_with_its_verdict() {
    let server = Server::start();
    let refused = server.ask("ana", "SELECT dept, salary FROM persons").must_be(422);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let problem = refused.json();
    assert_eq!(problem["code"], "query-refused");
    assert_eq!(problem["verdict"]["findings"][0]["code"], "row-level-output");
    let job = problem["job"].as_str().unwrap();
    let seen = server.get(Some("ana"), &format!("/api/v1/jobs/{job}"), &[]).must_be(200).json();
    assert_eq!(seen["state"], "refused");
    server.get(Some("ana"), &format!("/api/v1/jobs/{job}/result"), &[]).must_be(404);
    let explained = server.ask("ana", &format!("EXPLAIN {COUNT}")).must_be(200).json();
    assert_eq!(explained["decision"], "admitted");
    server.is_clean();
}

#[test]
fn nobody_gets_in_without_a_token_and_nobody_sees_anothers_job() {
    let server = Server::start();
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let nobody = server.post(None, "/api/v1/jobs", &body, &[]).must_be(401);
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    assert_eq!(nobody.json()["code"], "token-missing");
    for wrong in ["Bearer x", "Basic YTpi", "Bearer obscura1.token_0.00"] {
        let answer = server.get(None, "/api/v1/me", &[("authorization", wrong)]).must_be(401);
        assert_eq!(answer.json()["code"], "token-not-valid");
    }
    server.post(Some("aldo"), "/api/v1/jobs", &body, &[]).must_be(403);
    let job = server.ask("ana", COUNT).must_be(201).json();
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let without_name = |answer: Answer| {
        let mut problem = answer.must_be(404).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    let hidden = without_name(server.get(Some("ben"), &path, &[]));
    let missing =
        without_name(server.get(Some("ben"), "/api/v1/jobs/job_01a2000000007000a000000000000000", &[]));
    let malformed = without_name(server.get(Some("ben"), "/api/v1/jobs/4711", &[]));
    assert_eq!(hidden, missing);
    assert_eq!(hidden, malformed);
    let of_auditor = server.get(Some("aldo"), &path, &[]).must_be(200).json();
    assert_eq!(of_auditor["verdict"], Value::Null, "what was asked stays with whoever asked");
    server.get(Some("aldo"), &format!("{path}/result"), &[]).must_be(404);
    server.is_clean();
}

#[test]
fn malformed_requests_get_problem_documents_that_quote_nothing() {
    let server = Server::start();
    let broken = server.post(Some("ana"), "/api/v1/jobs", "{\"sql\": \"CANARY", &[]).must_be(400);
    assert!(!broken.text().contains("CANARY"));
    assert_eq!(broken.json()["code"], "request-malformed");
    let more = json!({ "sql": COUNT, "purpose": PURPOSE, "person": "ben" }).to_string();
    server.post(Some("ana"), "/api/v1/jobs", &more, &[]).must_be(400);
    let long = json!({ "sql": "x".repeat(600_000), "purpose": PURPOSE }).to_string();
    server.post(Some("ana"), "/api/v1/jobs", &long, &[]).must_be(413);
    server.get(Some("ana"), "/api/v1/nothing", &[]).must_be(404);
    server.post(Some("ana"), "/api/v1/me", "{}", &[]).must_be(405);
    let chinese = server.get(None, "/api/v1/me", &[("accept-language", "zh-CN,en;q=0.5")]).must_be(401);
    assert!(chinese.json()["title"].as_str().unwrap().contains("令牌"));
    assert_eq!(
        (chinese.header("content-language"), chinese.header("vary")),
        (Some("zh"), Some("accept-language"))
    );
    let refused = server.get(None, "/api/v1/me", &[("accept-language", "en;q=0, *;q=0.5")]).must_be(401);
    assert_eq!(refused.json()["title"], chinese.json()["title"], "`q=0` refuses, and `*` is everything else");
    assert_eq!(server.get(None, "/livez", &[]).must_be(200).text(), "alive\n");
    assert_eq!(server.get(None, "/readyz", &[]).must_be(200).text(), "ready\n");
    assert_eq!(server.get(None, "/version", &[]).must_be(200).json()["api"], "v1");
    assert_eq!(server.get(Some("ana"), "/api/v1/me", &[]).must_be(200).json()["roles"], json!(["analyst"]));
}

#[test]
fn many_at_once_get_the_same_answer_and_the_log_still_verifies() {
    let server = Server::start();
    let tables: Vec<String> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12)
            .map(|nth| {
                let server = &server;
                scope.spawn(move || {
                    let person = if nth % 2 == 0 { "ana" } else { "ben" };
                    let job = server.ask(person, COUNT).must_be(201).json();
                    let path = format!("/api/v1/jobs/{}/result", job["id"].as_str().unwrap());
                    server.get(Some(person), &path, &[("accept", "text/csv")]).must_be(200).text()
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(tables.iter().all(|table| *table == tables[0]));
    let verified = server.world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
    assert!(verified.stderr.contains("verifies") || verified.stdout.contains("verifies"));
    server.is_clean();
}
