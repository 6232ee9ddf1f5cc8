//! A question whose text was destroyed while the server runs: no person can read it, and a repeat of it is another request.

use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use serde_json::json;

#[test]
fn shredded_question_is_gone_for_its_asker_and_its_key_is_not_used_again() {
    let server = Server::start();
    let ask = |sql: &str| {
        let question = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
        let headers = [("idempotency-key", "once"), ("prefer", "wait=30")];
        server.post(Some("ana"), "/api/v1/jobs", &question, &headers)
    };
    let refused = ask("SELECT dept FROM persons").must_be(422).json();
    let job = refused["id"].as_str().or_else(|| refused["job"].as_str()).unwrap().to_owned();
    let explain = format!("/api/v1/jobs/{job}/explain");
    let evidence = format!("/api/v1/jobs/{job}/evidence");
    server.get(Some("ana"), &evidence, &[]).must_be(200);
    server.get(Some("ana"), &explain, &[]).must_be(200);
    let shown = || server.get(Some("ana"), &format!("/api/v1/jobs/{job}"), &[]).must_be(200).text();
    assert!(shown().to_lowercase().contains("select"), "a refusal offers rewrites: {}", shown());
    let shred = ["audit", "shred", &job, "--reason", "a name stood in it"];
    server.world.run(OPERATOR, &shred).unwrap().done().unwrap();
    server.get(Some("ana"), &evidence, &[]).must_be(404);
    server.get(Some("ana"), &explain, &[]).must_be(404);
    assert!(!shown().to_lowercase().contains("select"), "{}", shown());
    assert!(shown().contains("row-level-output"), "the decision stays: {}", shown());
    for sql in ["SELECT dept FROM persons", COUNT] {
        let again = ask(sql).must_be(409).json();
        assert_eq!(again["code"], "idempotency-key-reused", "nothing tells whether it was the same");
    }
    server.world.run("aldo", &["audit", "verify"]).unwrap().done().unwrap();
    server.is_clean();
}
