//! The HTTP door of the built program: who gets in, what questions come to, results in every form, and what stays in.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::Stdio;
use std::sync::Mutex;

use obscura_tests::canary::Scanner;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use serde_json::Value;
use serde_json::json;

const COUNT: &str = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY dept";

/// A running server over a world of its own.
struct Server {
    world: World,
    process: Child,
    address: String,
    agent: ureq::Agent,
    scanner: Scanner,
    /// Every byte that was served.
    served: Mutex<Vec<u8>>,
}

/// What a request came to.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Server {
    fn start() -> Self {
        let fixture = Fixture::load().unwrap();
        let world = World::with(&fixture).unwrap();
        let mut command = world.command(None).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(process.stderr.take().unwrap());
        while !line.contains("http://") {
            line.clear();
            assert_ne!(told.read_line(&mut line).unwrap(), 0, "the server ended");
        }
        let address = line.split("http://").nth(1).unwrap().split("/api").next().unwrap().to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let scanner = Scanner::new(fixture.canaries.clone()).unwrap();
        Self { world, process, address, agent, scanner, served: Mutex::default() }
    }

    fn token(&self, person: &str) -> String {
        let file = self.world.root().join(format!("{person}.token"));
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, response: ureq::http::Response<ureq::Body>) -> Answer {
        let (parts, mut body) = response.into_parts();
        let body = body.read_to_vec().unwrap();
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers: Vec<(String, String)> =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut served = self.served.lock().unwrap();
        served.extend(headers.iter().flat_map(|(_, value)| value.bytes()));
        served.extend(&body);
        Answer { status: parts.status.as_u16(), headers, body }
    }

    fn get(&self, person: Option<&str>, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(self.url(path));
        if let Some(person) = person {
            request = request.header("authorization", format!("Bearer {}", self.token(person)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.call().unwrap())
    }

    fn post(&self, person: Option<&str>, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.post(self.url(path)).header("content-type", "application/json");
        if let Some(person) = person {
            request = request.header("authorization", format!("Bearer {}", self.token(person)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.send(body).unwrap())
    }

    /// Asks as an analyst and waits for the end.
    fn ask(&self, person: &str, sql: &str) -> Answer {
        let body = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        self.post(Some(person), "/api/v1/jobs", &body, &[("prefer", "wait=30")])
    }

    /// Nothing that was served, and nothing in the folder, holds a canary.
    fn is_clean(&self) {
        let served = self.served.lock().unwrap();
        assert!(!served.is_empty());
        let seen = self.scanner.scan("what was served", &served);
        assert!(seen.is_empty(), "{seen:?}");
        let kept = self.world.sightings().unwrap();
        assert!(kept.is_empty(), "{kept:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _stopped = self.process.kill();
        let _ended = self.process.wait();
    }
}

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
    let record = server.get(Some("ana"), &format!("{path}/release"), &[]).must_be(200).text();
    assert!(record.contains(job["result_sha256"].as_str().unwrap()));
    let list = server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).json();
    assert_eq!(list["jobs"][0]["id"], job["id"]);
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
