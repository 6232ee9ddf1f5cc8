//! Schemathesis asks the served interface what its description allows, and what it does not: no failure of ours, no answer
//! that is not described, as an analyst, as a steward and as an auditor.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and say why they did not run")]

use std::path::Path;
use std::process::Command;
use std::thread;

use obscura_tests::environment;
use obscura_tests::server::Server;

/// The checks that are made; the acceptance of a valid request is not among them, because it is up to grants and to the
/// guard.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

#[test]
fn every_answer_is_described_and_none_is_our_failure() {
    let Some(python) = environment::python() else {
        assert!(
            !environment::run_slow(),
            "no Python: OBSCURA_PYTHON names the interpreter with Schemathesis"
        );
        eprintln!("skipped: OBSCURA_PYTHON names no interpreter; `cargo xtask test` makes one");
        return;
    };
    let examples = if environment::run_slow() { "15" } else { "5" };
    // Each asks a server of their own, and mostly waits for it.
    thread::scope(|scope| {
        for person in ["ana", "stella", "aldo"] {
            let python = &python;
            scope.spawn(move || ask_everything(python, person, examples));
        }
    });
}

/// Asks every route that ends as a person would, and in every wrong way.
fn ask_everything(python: &Path, person: &str, examples: &str) {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let asked = Command::new(python)
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("http://{}/openapi.json", server.address))
        .args(["--header", &format!("Authorization: Bearer {}", server.token(person))])
        .args(["--checks", CHECKS, "--max-examples", examples, "--rate-limit", "40/s"])
        // Streams do not end, and a token that revokes itself ends the conversation.
        .args(["--exclude-path", "/api/v1/events", "--exclude-path", "/api/v1/jobs/{id}/events"])
        .args(["--exclude-path", "/api/v1/tokens/{id}"])
        .args(["--generation-deterministic", "--no-color", "--continue-on-failure"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "as {person}:\n{told}\n{}", String::from_utf8_lossy(&asked.stderr));
    assert!(told.contains("generated"), "something was asked:\n{told}");
    let seen = server.kill().sightings().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
