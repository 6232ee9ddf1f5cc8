//! The description of the interface is valid OpenAPI, and a client that is made of it works: it asks a real server and reads
//! answers and refusals as types. `ask.py` holds the client's requests and expectations.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and say why they did not run")]

use std::path::Path;
use std::process::Command;

use obscura_tests::environment;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;

/// Operations that the generator has no form for: requests in YAML, which may be sent as JSON too, and one in plain text.
const LEFT_OUT: [&str; 4] = [
    "WARNING parsing POST /api/v1/grants within grants.",
    "WARNING parsing POST /api/v1/policies within policies.",
    "WARNING parsing POST /api/v1/policies/check within policies.",
    "WARNING parsing POST /api/v1/audit/checkpoint/cosignatures within audit. Endpoint will not be generated.",
];

/// Runs a program to its good end and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{told}");
    told.into_owned()
}

#[test]
fn a_client_made_of_the_description_gets_typed_answers_and_refusals() {
    let Some(python) = environment::python() else {
        assert!(
            !environment::run_slow(),
            "no Python: OBSCURA_PYTHON names the interpreter with openapi-python-client"
        );
        eprintln!("skipped: OBSCURA_PYTHON names no interpreter; `cargo xtask test` makes one");
        return;
    };
    let ours = environment::tests_folder().join("openapi");
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, server.get(None, "/openapi.json", &[]).must_be(200).body).unwrap();
    run(Command::new(&python).args(["-m", "openapi_spec_validator"]).arg(&description));

    let told = run(Command::new(&python)
        .args(["-m", "openapi_python_client", "generate", "--meta", "none"])
        .arg("--path")
        .arg(&description)
        .arg("--config")
        .arg(ours.join("client.yaml"))
        .arg("--output-path")
        .arg(folder.path().join("obscura_client")));
    let warnings: Vec<&str> = told.lines().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(warnings, LEFT_OUT, "what the generator leaves out:\n{told}");

    let asked = run(Command::new(&python)
        .arg(ours.join("ask.py"))
        .args([&format!("http://{}", server.address), &server.token("ana"), &server.token("stella"), PURPOSE])
        .env("PYTHONPATH", folder.path() as &Path));
    assert!(asked.contains("answers and refusals are typed"), "{asked}");
    server.is_clean();
}
