//! A running server over a world of its own, asked as clients ask; every byte that it serves is kept and searched for
//! canaries. It judges nothing else.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Child;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::canary::Scanner;
use crate::fixture::Fixture;
use crate::world::PURPOSE;
use crate::world::World;

/// An ordinary question.
pub const COUNT: &str = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY dept";

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The world that it serves.
    pub world: World,
    /// Address on which it listens.
    pub address: String,
    /// Address of its metrics for operators.
    admin: Option<String>,
    process: Mutex<Child>,
    agent: ureq::Agent,
    scanner: Scanner,
    /// Every byte that was served.
    served: Mutex<Vec<u8>>,
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Itself, when it has this status.
    ///
    /// # Panics
    /// With the body when it has another.
    #[track_caller]
    pub fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.header("content-type") == Some("application/problem+json") {
            let problem = self.json();
            let findings = problem["verdict"]["findings"].as_array().into_iter().flatten();
            for link in findings.map(|finding| &finding["docs"]).chain([&problem["type"]]) {
                assert!(link.as_str().is_some_and(leads_somewhere), "{link} leads nowhere");
            }
            let kind = problem["type"].as_str().unwrap_or_default();
            assert!(is_told_of(kind, status), "the page of {kind} does not name the status {status}");
        }
        self
    }
}

/// True if a link of a refusal or of a problem has a page: that of a reason, or of a problem type.
fn leads_somewhere(link: &str) -> bool {
    let docs = crate::environment::tests_folder().join("../sandbox/docs");
    let name = link.rsplit('/').next().unwrap_or_default();
    let has_page = |folder: &str| docs.join(format!("{folder}/{name}.md")).is_file();
    has_page("problems") || link.starts_with("/docs/refusals/") && has_page("refusals")
}

/// Says if the page of a problem type names this status.
fn is_told_of(link: &str, status: u16) -> bool {
    let docs = crate::environment::tests_folder().join("../sandbox/docs");
    let name = link.rsplit('/').next().unwrap_or_default();
    let page = std::fs::read_to_string(docs.join(format!("problems/{name}.md"))).unwrap_or_default();
    page.lines().nth(2).is_some_and(|line| line.starts_with("Status ") && line.contains(&status.to_string()))
}

impl Server {
    /// Serves a new world.
    ///
    /// # Panics
    /// When the program is not built or does not start.
    #[must_use]
    pub fn start() -> Self {
        let fixture = Fixture::load().expect("the fixture loads");
        Self::over(World::with(&fixture).expect("a world is made"), &[])
    }

    /// Serves a world, with further arguments.
    ///
    /// # Panics
    /// When the program does not start.
    #[must_use]
    pub fn over(world: World, arguments: &[&str]) -> Self {
        let fixture = Fixture::load().expect("the fixture loads");
        let mut command = world.command(None).expect("the program is built");
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut told = BufReader::new(process.stderr.take().expect("standard error is ours"));
        while !line.contains("://") {
            line.clear();
            assert_ne!(told.read_line(&mut line).expect("it tells"), 0, "the server ended");
        }
        let settings = std::fs::read_to_string(world.root().join("obscura.toml")).unwrap_or_default();
        let mut admin = String::new();
        if settings.contains("listen_admin") {
            told.read_line(&mut admin).expect("it tells");
        }
        let admin = admin.split("://").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
        let address =
            line.split("://").nth(1).and_then(|rest| rest.split("/api").next()).expect("an address");
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let scanner = Scanner::new(fixture.canaries).expect("the canaries are words");
        Self {
            world,
            address: address.to_owned(),
            admin,
            process: Mutex::new(process),
            agent,
            scanner,
            served: Mutex::default(),
        }
    }

    /// Ends the server as `kill -9` does, also while others still ask. It may have ended by itself.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill_now(&self) {
        let mut process = self.process.lock().expect("no thread panicked");
        let _stopped = process.kill();
        process.wait().expect("it has ended");
    }

    /// Posts and reads the answer, if one comes.
    #[must_use]
    pub fn try_post(&self, person: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        self.try_send("POST", path, Some(&self.token(person)), headers, Some(body))
    }

    /// Ends the server as `kill -9` does, and gives its world back.
    ///
    /// # Panics
    /// When it cannot be waited for.
    #[must_use]
    pub fn kill(mut self) -> World {
        self.kill_now();
        let empty = World::empty(&Fixture::load().expect("the fixture loads")).expect("a folder is made");
        std::mem::replace(&mut self.world, empty)
    }

    /// The process.
    ///
    /// # Panics
    /// When a thread panicked while it ended the server.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.lock().expect("no thread panicked").id()
    }

    /// Waits until the server has ended by itself; true if it ended without an error.
    ///
    /// # Panics
    /// When it cannot be waited for.
    #[must_use]
    pub fn ended_well(&self) -> bool {
        self.process.lock().expect("no thread panicked").wait().expect("it has ended").success()
    }

    /// The token of a person.
    ///
    /// # Panics
    /// When they have none.
    #[must_use]
    pub fn token(&self, person: &str) -> String {
        let file = self.world.root().join(format!("{person}.token"));
        std::fs::read_to_string(file).expect("the person has a token").trim().to_owned()
    }

    /// Sends a request and reads the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        person: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let token = person.map(|person| self.token(person));
        self.send_with(method, path, token.as_deref(), headers, body)
    }

    /// As [`Self::send`], with a token itself.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn send_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        self.try_send(method, path, token, headers, body).expect("an answer")
    }

    /// As [`Self::send_with`]; nothing when there is no answer.
    ///
    /// # Panics
    /// When the request has no form.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Option<Answer> {
        let url = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let (parts, mut body) = sent.ok()?.into_parts();
        let body = body.read_to_vec().ok()?;
        let text = |value: &ureq::http::HeaderValue| value.to_str().expect("text").to_owned();
        let headers: Vec<(String, String)> =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut served = self.served.lock().expect("no thread panicked");
        served.extend(headers.iter().flat_map(|(_, value)| value.bytes()));
        served.extend(&body);
        Some(Answer { status: parts.status.as_u16(), headers, body })
    }

    /// Sends bytes as they are and reads until the server closes, or for so long.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub fn send_bytes(&self, bytes: &[u8], most: Duration) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).expect("the server is reached");
        stream.set_read_timeout(Some(most)).expect("a time limit");
        // A server that closes before it has read everything is what some tests are about.
        let _closed = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            answer.extend(&buffer[..read]);
        }
        self.served.lock().expect("no thread panicked").extend(&answer);
        answer
    }

    /// Gets a path.
    pub fn get(&self, person: Option<&str>, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, person, headers, None)
    }

    /// Address of the metrics for operators.
    #[must_use]
    pub fn admin(&self) -> Option<String> {
        self.admin.clone()
    }

    /// Gets a path at another address.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn get_at(&self, address: &str, path: &str) -> Answer {
        let mut response = self.agent.get(format!("http://{address}{path}")).call().expect("an answer");
        let body = response.body_mut().read_to_vec().expect("a whole body");
        self.served.lock().expect("no thread panicked").extend(&body);
        Answer { status: response.status().as_u16(), headers: Vec::new(), body }
    }

    /// Posts to a path.
    pub fn post(&self, person: Option<&str>, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("POST", path, person, headers, Some(body))
    }

    /// Asks as an analyst and waits for the end.
    pub fn ask(&self, person: &str, sql: &str) -> Answer {
        let body = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        self.post(Some(person), "/api/v1/jobs", &body, &[("prefer", "wait=30")])
    }

    /// Ends the server and searches what was served and its folder: neither holds a canary.
    ///
    /// # Panics
    /// When one of them does.
    pub fn is_clean(&self) {
        self.kill_now();
        let served = self.served.lock().expect("no thread panicked");
        assert!(!served.is_empty(), "something was served");
        let seen = self.scanner.scan("what was served", &served);
        assert!(seen.is_empty(), "{seen:?}");
        let kept = self.world.sightings().expect("the folder is read");
        assert!(kept.is_empty(), "{kept:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_now();
    }
}
