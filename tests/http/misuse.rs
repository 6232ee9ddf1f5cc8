//! Clients that misbehave: too slow, too long, too many, half a request, no HTTP at all. Others are served all the while.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use obscura_tests::world::code;
use serde_json::json;

fn status(answer: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(answer).split(' ').nth(1)?.parse().ok()
}

#[test]
fn what_is_no_request_is_no_harm() {
    let server = Server::start();
    let token = server.token("ana");
    let auth = format!("authorization: Bearer {token}\r\n");
    let wait = Duration::from_secs(30);
    let long = "x".repeat(100_000);
    for (bytes, accepted) in [
        ("\0\u{1}\u{2}\r\n\r\n".to_owned(), &[400][..]),
        ("GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(), &[400, 505][..]),
        (format!("GET /api/v1/me HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), &[400, 431][..]),
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), &[400, 404, 414, 431][..]),
        (
            "GET /api/v1/jobs/%ff%fe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".to_owned()
                + &auth
                + "\r\n",
            &[400, 404][..],
        ),
        (
            "GET /api/v1/jobs/..%2f..%2fetc HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".to_owned()
                + &auth
                + "\r\n",
            &[404][..],
        ),
        ("POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_owned(), &[400][..]),
        (
            "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"
                .to_owned(),
            &[400][..],
        ),
    ] {
        let answer = server.send_bytes(bytes.as_bytes(), wait);
        let shown = bytes.chars().take(60).collect::<String>();
        let status = status(&answer);
        assert!(status.is_none_or(|status| accepted.contains(&status)), "{shown:?}: {status:?}");
    }
    server.get(Some("ana"), "/api/v1/me", &[]).must_be(200);
    server.is_clean();
}

#[test]
fn whoever_never_finishes_a_request_is_cut_off_and_others_do_not_wait() {
    let server = Server::start();
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.write_all(b"GET /api/v1/me HTTP/1.1\r\nhost: x\r\n").unwrap();
            stream
        })
        .collect();
    server.get(Some("ana"), "/api/v1/me", &[]).must_be(200);
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits for the slow ones");
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(status(&rest).is_none_or(|status| status == 408), "{}", String::from_utf8_lossy(&rest));
    }
    server.is_clean();
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_half_done() {
    let server = Server::start();
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    for round in 0..20 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k{round}\r\ncontent-length: {}\r\n\r\n",
            server.token("ana"),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        // Gone before the answer, each time a little later.
        stream.set_read_timeout(Some(Duration::from_millis(1 + round * 4))).unwrap();
        let _nothing_yet = stream.read(&mut [0; 1]);
    }
    for round in 0..20 {
        let key = format!("k{round}");
        let headers = [("idempotency-key", key.as_str()), ("prefer", "wait=30")];
        let job = loop {
            let answer = server.post(Some("ana"), "/api/v1/jobs", &body, &headers);
            // Still being judged, or more than one person may have: both pass.
            if ![409, 429].contains(&answer.status) {
                break answer.must_be(201).json();
            }
        };
        assert_eq!(job["state"], "released", "{job}");
    }
    server.is_clean();
}

#[test]
fn strangers_in_great_numbers_are_turned_away_and_the_log_does_not_grow_with_them() {
    let server = Server::start();
    let statuses: Vec<u16> = (0..400).map(|_| server.get(None, "/api/v1/me", &[]).status).collect();
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)));
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let failed = log["events"].as_array().unwrap().iter().filter(|event| event["action"] == "login.failed");
    assert_eq!(failed.count(), statuses.iter().filter(|status| **status == 401).count());
    server.is_clean();
}

#[test]
fn one_address_has_its_share_of_connections_and_no_more() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    std::fs::write(world.root().join("obscura.toml"), "connections_per_address_max = 4").unwrap();
    let server = Server::over(world, &[]);
    let request = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let talk = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // A client that is one too many may be told so by the first byte it writes.
        let _closed = stream.write_all(request);
        stream.read(&mut [0; 4096]).unwrap_or(0)
    };
    let mut held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for stream in &mut held {
        assert!(talk(stream) > 0);
    }
    for _ in 0..8 {
        let mut one_too_many = TcpStream::connect(&server.address).unwrap();
        assert_eq!(talk(&mut one_too_many), 0, "it is closed without a word");
    }
    for stream in &mut held {
        assert!(talk(stream) > 0, "those that were there stay");
    }
    drop(held.pop());
    let begun = Instant::now();
    loop {
        let mut next = TcpStream::connect(&server.address).unwrap();
        if talk(&mut next) > 0 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the place of a connection that ended is given to another"
        );
    }
    drop(held);
}

#[test]
fn whoever_takes_nothing_of_what_they_are_sent_is_cut_off() {
    let server = Server::start();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n";
    // Enough answers to fill every buffer on the way; none of them is read.
    for _ in 0..64 {
        if stream.write_all(request).is_err() {
            break;
        }
    }
    // While they are waited for, no other client waits.
    server.get(Some("ana"), "/api/v1/me", &[]).must_be(200);
    let (_nobody, nothing) = std::sync::mpsc::channel::<()>();
    let begun = Instant::now();
    loop {
        // A server that has cut the connection off answers what is written to it with a reset.
        match stream.write(b"x") {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
            _ => assert!(begun.elapsed() < Duration::from_secs(60), "the connection is still held"),
        }
        // Nothing of what came is taken meanwhile.
        assert!(nothing.recv_timeout(Duration::from_millis(200)).is_err());
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "it was waited for");
    server.is_clean();
}

#[test]
fn methods_that_a_path_does_not_take_pass_the_door_and_are_in_the_log() {
    let server = Server::start();
    for (person, method, path) in [
        (Some("ana"), "PUT", "/api/v1/me"),
        (None, "DELETE", "/api/v1/datasets"),
        (Some("ana"), "PATCH", "/api/v1/jobs/x/result"),
    ] {
        let answer = server.send(method, path, person, &[], None).must_be(405);
        assert_eq!(answer.json()["code"], "method-not-allowed");
        assert!(answer.header("x-request-id").is_some_and(|id| answer.text().contains(id)));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    // So do paths that lead nowhere.
    let nowhere = server.get(Some("ana"), "/api/v1/nothing", &[]).must_be(404);
    assert!(nowhere.header("x-request-id").is_some());
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let is_nowhere = |event: &&serde_json::Value| event["detail"]["route"] == "GET (none)";
    assert_eq!(log["events"].as_array().unwrap().iter().filter(is_nowhere).count(), 1);
    let found = log["events"].as_array().unwrap().iter().filter(|event| event["detail"]["status"] == 405);
    let found: Vec<String> =
        found.map(|event| event["detail"]["route"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, ["PUT /api/v1/me", "DELETE /api/v1/datasets", "PATCH /api/v1/jobs/{id}/result"]);
    server.is_clean();
}

#[test]
fn people_who_ask_too_often_are_in_the_log_as_a_number() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    // Every job takes ten seconds, so that a client that waits for one holds a place.
    std::fs::write(world.root().join("obscura.toml"), "completion_step_ms = 10000").unwrap();
    let server = Server::over(world, &[]);
    let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let job = server.post(Some("ana"), "/api/v1/jobs", &question, &[]).must_be(202).json();
    let wait = format!("/api/v1/jobs/{}?wait=60", job["id"].as_str().unwrap());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..80).map(|_| scope.spawn(|| server.get(Some("ana"), &wait, &[]).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let turned_away = statuses.iter().filter(|status| **status == 429).count() as u64;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count() as u64, 80 - turned_away);
    // The next request of theirs that is answered carries what is left to be told.
    while server.get(Some("ana"), "/api/v1/me", &[]).status != 200 {}
    let mut told = 0;
    let mut entries = 0;
    let mut from = 0;
    loop {
        let path = format!("/api/v1/audit/events?from={from}&limit=1000");
        let page = server.get(Some("aldo"), &path, &[]).must_be(200).json();
        let events = page["events"].as_array().unwrap();
        let Some(last) = events.last() else { break };
        from = last["index"].as_u64().unwrap() + 1;
        for event in events.iter().filter(|event| event["actor"] == "ana") {
            entries += u64::from(event["detail"]["route"] == "GET /api/v1/jobs/{id}");
            told += event["detail"]["turned_away_before"].as_u64().unwrap_or(0);
        }
        if events.len() < 1000 {
            break;
        }
    }
    assert!(turned_away > 0, "nobody was turned away");
    assert_eq!((told, entries), (turned_away, 80 - turned_away), "each has its entry, or is a number in one");
    server.is_clean();
}

#[test]
fn ten_thousands_of_documents_in_one_body_are_no_work_for_the_server() {
    let server = Server::start();
    let text = "---\na\n".repeat(40_000);
    let yaml = [("content-type", "application/yaml")];
    let give = |person: &str, path: &str| server.post(Some(person), path, &text, &yaml);
    // A person who may not give grants is told so, whatever they send.
    assert_eq!(give("ana", "/api/v1/grants").must_be(403).json()["code"], "role-missing");
    assert_eq!(give("ana", "/api/v1/policies").must_be(403).json()["code"], "role-missing");
    for path in ["/api/v1/grants", "/api/v1/policies", "/api/v1/policies/check"] {
        let problem = give("stella", path).must_be(400).json();
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["line"]), (51, &json!(2)), "{path}");
        assert_eq!(errors[50]["code"], "more-errors", "{path}");
    }
    server.get(Some("ana"), "/api/v1/me", &[]).must_be(200);
    server.is_clean();
}

/// The status of a request that comes from another address of this machine.
fn status_from(address: &str, server: &Server, head: &str) -> Option<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        status(&answer)
    })
}

#[test]
fn one_place_that_floods_closes_open_data_to_nobody_else() {
    let server = Server::start();
    let path = "/api/v1/datasets";
    let statuses: Vec<u16> = (0..400).map(|_| server.get(None, path, &[]).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(status_from("127.0.0.2", &server, &format!("GET {path}")), Some(200));
    let bad = format!("GET {path} HTTP/1.1\r\nauthorization: Bearer nothing\r\nx: ");
    // The rest of the line becomes a header of no meaning.
    assert_eq!(status_from("127.0.0.2", &server, &bad), Some(401));
    server.is_clean();
}

#[test]
fn questions_come_no_faster_than_their_rate_and_explain_no_faster_than_a_check() {
    let server = Server::start();
    let ask = |sql: &str| {
        let body = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        server.post(Some("ana"), "/api/v1/jobs", &body, &[])
    };
    let explain = format!("EXPLAIN {COUNT}");
    let statuses: Vec<u16> = (0..80).map(|_| ask(&explain).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    let body = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    // One bucket: a check may find it filled by one, and hardly by three.
    let check = || server.post(Some("ana"), "/api/v1/queries/check", &body, &[]).status;
    assert!((0..3).any(|_| check() == 429));
    // A refused question costs as much of the rate as an admitted one.
    let until_turned_away = || {
        let mut answers = (0..1000).map(|_| ask("SELECT name FROM persons"));
        answers.find(|answer| answer.status != 422).unwrap()
    };
    let turned_away = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(until_turned_away)).collect();
        asking.into_iter().map(|one| one.join().unwrap().must_be(429)).last().unwrap()
    });
    assert!(turned_away.headers.iter().any(|(name, _)| name == "retry-after"), "{turned_away:?}");
    assert_eq!(turned_away.json()["code"], "too-many-requests");
    server.is_clean();
}

#[test]
fn a_purpose_that_is_no_code_is_kept_and_shown_nowhere() {
    let server = Server::start();
    for purpose in ["\u{1b}]0;mine\u{7}", "official statistics", "", "\u{202e}x"] {
        let question = json!({ "sql": COUNT, "purpose": purpose }).to_string();
        for path in ["/api/v1/jobs", "/api/v1/queries/check"] {
            let refused = server.post(Some("ana"), path, &question, &[]).must_be(400).json();
            assert_eq!(refused["code"], "purpose-malformed", "{purpose:?}");
        }
    }
    let jobs = server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200).json();
    assert_eq!(jobs["jobs"], json!([]));
    server.is_clean();
}

#[test]
fn one_server_serves_a_folder_and_the_second_says_so_and_ends() {
    let server = Server::start();
    let second = || {
        let mut command = server.world.command(None).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        server.world.finish(command, "a second server").unwrap()
    };
    let refused = second();
    assert_eq!(refused.code, Some(code::FAILURE), "{}", refused.stderr);
    assert!(refused.stderr.contains("served-already"), "{}", refused.stderr);
    assert_eq!(server.ask("ana", COUNT).must_be(201).json()["state"], "released", "the first one goes on");
    server.is_clean();
}
