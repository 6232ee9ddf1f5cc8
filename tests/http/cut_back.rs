//! A log that is cut back under a running server: it signs no other history, says that it is not ready, and tells why.

use std::fs;
use std::path::Path;

use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::copy;
use serde_json::json;

/// Makes a folder what another one is.
fn put_back(copied: &Path, folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    copy(copied, folder).unwrap();
}

#[test]
fn server_signs_no_log_that_was_cut_back_under_it_and_is_not_ready() {
    let server = Server::start();
    let ask = || {
        let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
        server.post(Some("ana"), "/api/v1/jobs", &question, &[("prefer", "wait=30")])
    };
    server.get(None, "/readyz", &[]).must_be(200);
    let (log, journal) = (server.world.data().join("audit"), server.world.data().join("unwraps"));
    let (older, newer) = (server.world.root().join("older"), server.world.root().join("newer"));
    ask().must_be(201);
    copy(&log, &older).unwrap();
    let lines = fs::read(&journal).unwrap();
    ask().must_be(201);
    copy(&log, &newer).unwrap();
    let all_lines = fs::read(&journal).unwrap();
    let cut_back = fs::read(older.join("checkpoint")).unwrap();

    put_back(&older, &log);
    fs::write(&journal, lines).unwrap();
    assert!(ask().status >= 500, "no job is taken in that the log cannot hold");
    assert_eq!(fs::read(log.join("checkpoint")).unwrap(), cut_back, "no other history is signed");
    assert_eq!(server.get(None, "/readyz", &[]).must_be(503).text(), "not ready\n");
    let mut told = String::new();
    for file in fs::read_dir(server.world.data().join("log")).unwrap() {
        told += &fs::read_to_string(file.unwrap().path()).unwrap();
    }
    assert!(told.contains("cut back"), "the operator is told: {told}");

    put_back(&newer, &log);
    fs::write(&journal, all_lines).unwrap();
    server.get(None, "/readyz", &[]).must_be(200);
    ask().must_be(201);
    server.world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}
