//! A part of the installation that breaks under a running server: the asker is told that something broke, the operator what
//! it was, and the server goes on when it is whole again.

use std::fs;
use std::path::Path;
use std::process::Command;

use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use serde_json::Value;

/// The words that everybody is told, by language.
const TOLD: [(&str, &str, &str); 2] = [
    ("en", "something of ours broke; nothing was released", "the operator's log says what"),
    ("zh", "系统内部出错，没有任何结果流出", "详情见运维日志"),
];

/// Changes the database, as somebody with the file would.
fn change(database: &Path, statement: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); c.execute(sys.argv[2]); c.commit()";
    let output = Command::new("python3").args(["-c", program]).arg(database).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The line of the operator's log about a request.
fn noted(server: &Server, request: &Value) -> Value {
    let log = fs::read_to_string(server.world.data().join("log").join("obscura.log")).unwrap();
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["subject"] == *request).unwrap_or_else(|| panic!("{request}: {log}"))
}

#[test]
fn internal_error_is_told_in_fixed_words_and_noted_for_the_operator_without_values() {
    let server = Server::start();
    let database = server.world.data().join("obscura.db");
    change(&database, "ALTER TABLE job RENAME TO job_elsewhere");
    for (language, title, help) in TOLD {
        let header = [("accept-language", language)];
        let answer = server.get(Some("ana"), "/api/v1/jobs", &header).must_be(500);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        let members: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(members, ["type", "title", "status", "code", "help", "request_id"]);
        assert_eq!(problem["code"], "internal-error");
        assert_eq!((&problem["title"], &problem["help"]), (&Value::from(title), &Value::from(help)));
        let page = server.get(None, problem["type"].as_str().unwrap(), &header).must_be(200).text();
        assert!(page.contains("`internal-error`"), "{page}");

        let line = noted(&server, &problem["request_id"]);
        assert_eq!(line["step"], "list jobs");
        let causes = line["causes"].to_string();
        assert!(causes.contains("no such table"), "{causes}");
        assert!(!causes.chars().any(|c| c.is_ascii_digit()), "{causes}");
    }
    let problem = server.ask("ana", COUNT).must_be(500).json();
    assert_eq!(problem["code"], "internal-error");
    let line = noted(&server, &problem["request_id"]).to_string();
    assert!(!line.contains("SELECT") && !line.contains("persons"), "{line}");

    change(&database, "ALTER TABLE job_elsewhere RENAME TO job");
    server.get(Some("ana"), "/api/v1/jobs", &[]).must_be(200);
    server.ask("ana", COUNT).must_be(201);
    server.is_clean();
}
