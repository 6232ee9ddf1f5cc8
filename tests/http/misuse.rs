//! Clients that misbehave: too slow, too long, too many, half a request, no HTTP at all. Others are served all the while.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
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
