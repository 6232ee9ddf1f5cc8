//! Permissions: every route of the interface, asked by every role, against a golden table; and the log's entries about it.

use std::fmt::Write as _;

use obscura_tests::environment;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use serde_json::Value;
use serde_json::json;

/// The askers: a caller without a token, the owner of the things, another analyst, a steward of the department, one of
/// another department, the auditor, an operator and an admin.
const ACTORS: [(&str, Option<&str>); 8] = [
    ("nobody", None),
    ("owner", Some("ana")),
    ("analyst", Some("ben")),
    ("steward", Some("sven")),
    ("elsewhere", Some("emil")),
    ("auditor", Some("aldo")),
    ("operator", Some("otto")),
    ("admin", Some("adam")),
];

/// A request to a route: a path and a body, made anew for every asker.
struct Asked {
    path: String,
    body: Option<String>,
}

fn get(path: impl Into<String>) -> Asked {
    Asked { path: path.into(), body: None }
}

fn post(path: impl Into<String>, body: &Value) -> Asked {
    Asked { path: path.into(), body: Some(body.to_string()) }
}

/// Things of the owner, made when they are needed.
struct Things<'a> {
    server: &'a Server,
    owner: &'static str,
    job: String,
    /// A job whose result waits for reviewers.
    waiting: String,
    policies: std::cell::Cell<u32>,
    /// The request for access that was made last.
    request: std::cell::RefCell<String>,
}

/// A job of ana's that waits for a reviewer: visits have a policy besides that asks for one.
fn waiting(server: &Server) -> String {
    let text = super::access::policy(1).replace("id: corpus-statistics", "id: corpus-reviewed");
    let text = text.replace("datasets: [corpus.persons, corpus.visits]", "datasets: [corpus.visits]");
    let text = text.split("\ntests:").next().unwrap().replace("review: none", "review: one");
    // Visits have no age.
    let text: String =
        text.lines().filter(|line| !line.contains("name: age")).map(|line| format!("{line}\n")).collect();
    server.post(Some("stella"), "/api/v1/policies", &text, &[]).must_be(201);
    let wish = json!({ "version": 1 }).to_string();
    server.post(Some("sven"), "/api/v1/policies/corpus-reviewed/activate", &wish, &[]).must_be(200);
    let job = server.ask("ana", "SELECT COUNT(*) FROM visits").must_be(202).json();
    assert_eq!(job["state"], "in_review", "{job}");
    job["id"].as_str().unwrap().to_owned()
}

impl Things<'_> {
    fn request(&self) -> String {
        let wish = json!({
            "purpose": PURPOSE,
            "datasets": [{ "dataset": "corpus.persons" }],
            "until": "2099-12-31",
            "reason": "a yearbook",
        });
        // No person has many open at a time; the one before was asked about, and may be decided.
        let before = self.request.take();
        if !before.is_empty() {
            let path = format!("/api/v1/requests/{before}");
            let withdrawn = self.server.send("DELETE", &path, Some(self.owner), &[], None);
            assert!([200, 409].contains(&withdrawn.status), "{}", withdrawn.text());
        }
        let made =
            self.server.post(Some(self.owner), "/api/v1/requests", &wish.to_string(), &[]).must_be(201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        self.request.replace(id.clone());
        id
    }

    fn grant(&self) -> String {
        let request = self.request();
        let path = format!("/api/v1/requests/{request}/decision");
        let approve = json!({ "decision": "approve" }).to_string();
        let decided = self.server.post(Some("stella"), &path, &approve, &[]).must_be(200);
        decided.json()["grant"]["id"].as_str().unwrap().to_owned()
    }

    fn token(&self) -> String {
        let made =
            self.server.post(Some(self.owner), "/api/v1/tokens", &json!({ "days": 1 }).to_string(), &[]);
        made.must_be(201).json()["id"].as_str().unwrap().to_owned()
    }

    fn policy(&self) -> String {
        let documents = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
        let text = std::fs::read_to_string(documents).unwrap();
        let policy = text.split("\n---\n").find(|part| part.contains("id: corpus-statistics")).unwrap();
        self.policies.set(self.policies.get() + 1);
        policy.replace("version: 1", &format!("version: {}", self.policies.get()))
    }

    /// The version of a policy that stella has proposed.
    fn proposal(&self) -> u32 {
        self.server.post(Some("stella"), "/api/v1/policies", &self.policy(), &[]).must_be(201);
        self.policies.get()
    }

    /// The request to a route; `None` for a route that this table does not know, which fails the test.
    fn asked(&self, route: &str) -> Option<Asked> {
        let job = &self.job;
        let (_, path) = route.split_once(' ').unwrap();
        let question = json!({ "sql": COUNT, "purpose": PURPOSE });
        let version = || json!({ "version": self.proposal() });
        Some(match route {
            "GET /livez" | "GET /readyz" | "GET /version" => get(path),
            "GET /api/v1/me"
            | "GET /api/v1/jobs"
            | "GET /api/v1/datasets"
            | "GET /api/v1/collections"
            | "GET /api/v1/departments"
            | "GET /api/v1/purposes"
            | "GET /api/v1/budgets"
            | "GET /api/v1/catalog"
            | "GET /api/v1/grants"
            | "GET /api/v1/requests"
            | "GET /api/v1/policies"
            | "GET /api/v1/reviews"
            | "GET /api/v1/tokens"
            | "GET /api/v1/audit/events"
            | "GET /api/v1/audit/checkpoint"
            | "GET /api/v1/audit/checkpoint/cosignatures"
            | "GET /api/v1/audit/export" => get(path),
            "GET /api/v1/audit/consistency" => get("/api/v1/audit/consistency?from=1"),
            "GET /api/v1/audit/events/{index}/proof" => get("/api/v1/audit/events/0/proof"),
            "POST /api/v1/audit/checkpoint/cosignatures" => {
                Asked { path: path.to_owned(), body: Some("no checkpoint".to_owned()) }
            }
            "POST /api/v1/queries/check" | "POST /api/v1/jobs" => post(path, &question),
            "GET /api/v1/jobs/{id}" => get(format!("/api/v1/jobs/{job}")),
            "POST /api/v1/jobs/{id}/cancel" => post(format!("/api/v1/jobs/{job}/cancel"), &json!({})),
            "GET /api/v1/jobs/{id}/result" => get(format!("/api/v1/jobs/{job}/result")),
            "GET /api/v1/jobs/{id}/release" => get(format!("/api/v1/jobs/{job}/release")),
            "GET /api/v1/jobs/{id}/explain" => get(format!("/api/v1/jobs/{job}/explain")),
            "GET /api/v1/jobs/{id}/evidence" => get(format!("/api/v1/jobs/{job}/evidence")),
            "GET /api/v1/jobs/{id}/events" => get(format!("/api/v1/jobs/{job}/events")),
            "GET /api/v1/budgets/{id}/entries" => get("/api/v1/budgets/corpus.persons/entries"),
            "GET /api/v1/datasets/{id}" => get("/api/v1/datasets/corpus.secrets"),
            "GET /api/v1/datasets/{id}/download" => get("/api/v1/datasets/corpus.holidays/download"),
            "POST /api/v1/requests" => post(
                "/api/v1/requests",
                &json!({
                    "purpose": PURPOSE,
                    "datasets": [{ "dataset": "corpus.persons" }],
                    "until": "2099-12-31",
                    "reason": "a yearbook",
                }),
            ),
            "GET /api/v1/requests/{id}" | "DELETE /api/v1/requests/{id}" => {
                get(format!("/api/v1/requests/{}", self.request()))
            }
            "GET /api/v1/reviews/{id}" => get(format!("/api/v1/reviews/{}", self.waiting)),
            "POST /api/v1/reviews/{id}/decision" => {
                post(format!("/api/v1/reviews/{}/decision", self.waiting), &json!({ "decision": "approve" }))
            }
            "POST /api/v1/requests/{id}/decision" => post(
                format!("/api/v1/requests/{}/decision", self.request()),
                &json!({ "decision": "decline" }),
            ),
            "POST /api/v1/grants" => post(
                "/api/v1/grants",
                &json!({
                    "person": "ben",
                    "purpose": PURPOSE,
                    "datasets": [{ "dataset": "corpus.persons" }],
                    "until": "2099-12-31",
                }),
            ),
            "DELETE /api/v1/grants/{id}" => get(format!("/api/v1/grants/{}", self.grant())),
            "POST /api/v1/policies" | "POST /api/v1/policies/check" => {
                Asked { path: path.to_owned(), body: Some(self.policy()) }
            }
            "GET /api/v1/policies/{id}" => get("/api/v1/policies/corpus-open"),
            "GET /api/v1/policies/{id}/versions" => get("/api/v1/policies/corpus-open/versions"),
            "GET /api/v1/policies/{id}/diff" => get("/api/v1/policies/corpus-open/diff?from=1&to=1"),
            "POST /api/v1/policies/{id}/activate" => {
                post("/api/v1/policies/corpus-statistics/activate", &version())
            }
            "POST /api/v1/policies/{id}/withdraw" => {
                post("/api/v1/policies/corpus-statistics/withdraw", &version())
            }
            "POST /api/v1/tokens" => post("/api/v1/tokens", &json!({ "days": 1, "person": self.owner })),
            "DELETE /api/v1/tokens/{id}" => get(format!("/api/v1/tokens/{}", self.token())),
            _ => return None,
        })
    }
}

/// Streams that never end by themselves are not asked here.
const ENDLESS: [&str; 1] = ["GET /api/v1/events"];

#[test]
fn the_table_of_roles_is_as_agreed_and_every_request_is_in_the_log() {
    let server = Server::start();
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    server.world.add_person("otto", "operator", "corpus").unwrap();
    server.world.add_person("adam", "admin", "corpus").unwrap();
    let description = server.get(None, "/openapi.json", &[]).must_be(200).json();
    let job = server.ask("ana", COUNT).must_be(201).json()["id"].as_str().unwrap().to_owned();
    let things = Things {
        server: &server,
        owner: "ana",
        job,
        waiting: waiting(&server),
        policies: std::cell::Cell::new(1),
        request: std::cell::RefCell::default(),
    };
    let mut table = String::new();
    let mut expected: Vec<(String, u16)> = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|key| key.as_str() != "parameters") {
            let route = format!("{} {path}", method.to_uppercase());
            if ENDLESS.contains(&route.as_str()) {
                continue;
            }
            write!(table, "{route:<42}").unwrap();
            for (name, person) in ACTORS {
                let asked =
                    things.asked(&route).unwrap_or_else(|| panic!("the table does not know `{route}`"));
                let answer =
                    server.send(&method.to_uppercase(), &asked.path, person, &[], asked.body.as_deref());
                write!(table, " {name} {}", answer.status).unwrap();
                if path.starts_with("/api/") {
                    expected.push((route.clone(), answer.status));
                }
            }
            table.push('\n');
        }
    }
    let golden = environment::tests_folder().join("http").join("roles.txt");
    if environment::bless() {
        std::fs::write(&golden, &table).unwrap();
    }
    assert_eq!(
        table,
        std::fs::read_to_string(golden).unwrap(),
        "bless with OBSCURA_BLESS=1 if this is meant"
    );
    let mut found: Vec<(String, u16)> = Vec::new();
    // Reading the log is in the log as well: only what was there when the reading began is read.
    let size =
        server.get(Some("aldo"), "/api/v1/audit/events?limit=1", &[]).must_be(200).json()["size"].as_u64();
    let mut from = 0;
    while from < usize::try_from(size.unwrap()).unwrap() {
        let page = server.get(Some("aldo"), &format!("/api/v1/audit/events?from={from}&limit=1000"), &[]);
        let page = page.must_be(200).json();
        let events = page["events"].as_array().unwrap();
        from += events.len();
        for event in events {
            if let (Some(route), Some(status)) =
                (event["detail"]["route"].as_str(), event["detail"]["status"].as_u64())
            {
                found.push((route.to_owned(), u16::try_from(status).unwrap()));
            }
        }
    }
    for one in expected {
        let at = found.iter().position(|entry| *entry == one);
        found.remove(at.unwrap_or_else(|| panic!("{one:?} is not in the log")));
    }
    server.is_clean();
}

/// Routes to a person's own things, open to every token; another person's things are different ones.
const OWN: [&str; 4] =
    ["GET /api/v1/me", "GET /api/v1/tokens", "POST /api/v1/tokens", "DELETE /api/v1/tokens/{id}"];

#[test]
fn a_stewards_token_of_who_is_an_analyst_too_reaches_what_a_steward_reaches() {
    let server = Server::start();
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    let both =
        ["person", "add", "dora", "--role", "analyst", "--role", "steward", "--department", "elsewhere"];
    server.world.run("olga", &both).unwrap().done().unwrap();
    let file = server.world.root().join("dora.token");
    let file = file.to_str().unwrap();
    server.world.run("olga", &["token", "create", "dora", "--file", file]).unwrap().done().unwrap();
    // A dataset that only a grant makes visible, and a job under one.
    let grant = json!({
        "person": "dora",
        "purpose": PURPOSE,
        "datasets": [{ "dataset": "corpus.secrets" }, { "dataset": "corpus.persons" }],
        "until": "2099-12-31",
    });
    server.post(Some("stella"), "/api/v1/grants", &grant.to_string(), &[]).must_be(201);
    server.get(Some("dora"), "/api/v1/datasets/corpus.secrets", &[]).must_be(200);
    let job = server.ask("dora", COUNT).must_be(201).json()["id"].as_str().unwrap().to_owned();
    let things = Things {
        server: &server,
        owner: "dora",
        job,
        waiting: waiting(&server),
        policies: std::cell::Cell::new(1),
        request: std::cell::RefCell::default(),
    };
    let wish = json!({ "days": 1, "roles": ["steward"] }).to_string();
    let made = server.post(Some("dora"), "/api/v1/tokens", &wish, &[]).must_be(201).json();
    let token = made["token"].as_str().unwrap();
    let description = server.get(None, "/openapi.json", &[]).must_be(200).json();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|key| key.as_str() != "parameters") {
            let (method, route) = (method.to_uppercase(), format!("{} {path}", method.to_uppercase()));
            if OWN.contains(&route.as_str()) {
                continue;
            }
            let asked = match ENDLESS.contains(&route.as_str()) {
                true => get(path),
                false => things.asked(&route).unwrap(),
            };
            let body = asked.body.as_deref();
            let narrowed = server.send_with(&method, &asked.path, Some(token), &[], body);
            let alone = server.send(&method, &asked.path, Some("emil"), &[], body);
            let told = |answer: &obscura_tests::server::Answer| {
                // The log grows by every request.
                let read = if path.contains("/audit/") { &[][..] } else { &answer.body };
                let mut body = serde_json::from_slice::<Value>(read).unwrap_or_default();
                body.as_object_mut().and_then(|body| body.remove("request_id"));
                (answer.status, body)
            };
            assert_eq!(told(&narrowed), told(&alone), "{route}");
        }
    }
    server.is_clean();
}
