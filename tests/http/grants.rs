//! The grant that applies to a question over HTTP, and row filters that cannot be applied.

use obscura_tests::server::Answer;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use serde_json::Value;
use serde_json::json;

/// A steward gives a grant on people, whole or in part; gives its identifier.
fn give(server: &Server, until: &str, part: Value) -> String {
    let mut dataset = json!({ "dataset": "corpus.persons" });
    for (name, value) in part.as_object().unwrap() {
        dataset[name] = value.clone();
    }
    let wish = json!({ "person": "cleo", "purpose": PURPOSE, "datasets": [dataset], "until": until });
    let given = server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201).json();
    given["grants"][0]["id"].as_str().unwrap().to_owned()
}

fn ask(server: &Server, sql: &str, grants: &[&str]) -> Answer {
    let question = json!({ "sql": sql, "purpose": PURPOSE, "grants": grants }).to_string();
    server.post(Some("cleo"), "/api/v1/jobs", &question, &[("prefer", "wait=30")])
}

#[test]
fn a_renewed_grant_locks_nobody_out_and_the_decision_names_the_one_that_applied() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let first = give(&server, "2098-12-31", json!({}));
    let released = server.ask("cleo", COUNT).must_be(201).json();
    assert_eq!(released["verdict"]["grants"][0]["grant"], json!(first));
    let renewed = give(&server, "2099-12-31", json!({}));
    let released = server.ask("cleo", COUNT).must_be(201).json();
    let used = &released["verdict"]["grants"][0];
    assert_eq!((&used["grant"], &used["others"]), (&json!(renewed), &json!([first])));
    assert_eq!(used["until"], "2099-12-31");
    let policy = released["verdict"]["policy"].as_array().unwrap();
    assert!(policy.iter().any(|source| source["id"] == json!(renewed)), "and so does the log: {policy:?}");
    server.is_clean();
}

#[test]
fn a_question_names_a_grant_where_none_contains_the_others() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let columns = give(&server, "2099-12-31", json!({ "columns": ["person_id", "dept"] }));
    let rows = give(&server, "2099-12-31", json!({ "row_filter": "dept = 'health'" }));
    let refused = server.ask("cleo", COUNT).must_be(422).json();
    let finding = &refused["verdict"]["findings"][0];
    assert_eq!(finding["code"], "grant-ambiguous");
    let help = finding["help"]["en"].as_str().unwrap();
    assert!(help.contains(&columns) && help.contains(&rows), "{help}");
    let by_sex = "SELECT sex, COUNT(*) FROM persons GROUP BY sex";
    for (grant, sql, status) in
        [(&columns, COUNT, 201), (&rows, COUNT, 201), (&columns, by_sex, 422), (&rows, by_sex, 201)]
    {
        ask(&server, sql, &[grant]).must_be(status);
    }
    for unknown in ["ana-statistics", "nothing-of-the-kind"] {
        let refused = ask(&server, COUNT, &[unknown]).must_be(422).json();
        assert_eq!(refused["verdict"]["findings"][0]["code"], "grant-not-found");
    }
    let many: Vec<String> = (0..33).map(|number| format!("grant-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ask(&server, COUNT, &many).must_be(400);
    ask(&server, COUNT, &["No Name"]).must_be(400);
    server.is_clean();
}

#[test]
fn a_row_filter_may_read_a_column_that_its_grant_leaves_out() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let part = json!({ "columns": ["person_id", "sex"], "row_filter": "dept = 'health'" });
    give(&server, "2099-12-31", part);
    server.ask("cleo", "SELECT sex, COUNT(*) FROM persons GROUP BY sex").must_be(201);
    let named = server.ask("cleo", COUNT).must_be(422).json();
    assert_eq!(
        named["verdict"]["findings"][0]["code"], "column-not-in-scope",
        "the filter's column stays shut"
    );
    server.is_clean();
}

#[test]
fn a_row_filter_that_cannot_be_applied_is_refused_when_it_is_written() {
    let server = Server::start();
    let filters = ["dept = health", "dept = 'health", "deptt = 'health'", "hire > '2024-13-01'", "age + 1"];
    for filter in filters {
        let dataset = json!({ "dataset": "corpus.persons", "row_filter": filter });
        let grant =
            json!({ "person": "ana", "purpose": PURPOSE, "datasets": [dataset], "until": "2099-12-31" });
        let refused =
            server.post(Some("stella"), "/api/v1/grants", &grant.to_string(), &[]).must_be(400).json();
        assert_eq!(refused["errors"][0]["code"], "row-filter-unfit", "{filter}: {refused}");
        assert_eq!(refused["errors"][0]["field"], "datasets[0].row_filter");
        let mut wish = grant;
        wish.as_object_mut().unwrap().remove("person");
        wish["reason"] = json!("a yearbook");
        let refused =
            server.post(Some("ana"), "/api/v1/requests", &wish.to_string(), &[]).must_be(400).json();
        assert_eq!(refused["errors"][0]["code"], "row-filter-unfit", "{filter}: {refused}");
    }
    let policy = super::access::policy(2);
    for filter in filters {
        let content = format!("content:\n  row_filter: \"{filter}\"\n");
        let text = policy.replacen("content:\n", &content, 1);
        assert!(text.contains("row_filter"), "{text}");
        let refused = server.post(Some("stella"), "/api/v1/policies/check", &text, &[]).must_be(400).json();
        assert_eq!(refused["errors"][0]["code"], "row-filter-unfit", "{filter}: {refused}");
    }
    server.is_clean();
}
