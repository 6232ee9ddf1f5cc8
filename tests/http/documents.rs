//! Documents over HTTP: as they were written, with warnings about parts that do not count as they are written.

use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use serde_json::Value;
use serde_json::json;

use super::access::policy;

#[test]
fn a_document_is_shown_as_it_was_written_to_who_may_know_of_it() {
    let server = Server::start();
    let path = "/api/v1/policies/corpus-statistics";
    let show = |person: &str, path: &str| server.get(Some(person), path, &[]);
    let shown = show("sven", path).must_be(200).json();
    assert_eq!(
        (&shown["kind"], &shown["version"], &shown["state"]),
        (&json!("Policy"), &json!(1), &json!("in_force"))
    );
    assert_eq!((&shown["proposed_by"], &shown["published_by"]), (&json!("stella"), &json!("sven")));
    assert!(shown["text"].as_str().unwrap().contains("corpus.visits"));
    show("sven", &format!("{path}?version=2")).must_be(404);
    server.post(Some("stella"), "/api/v1/policies", &policy(2), &[]).must_be(201);
    let waiting = show("sven", &format!("{path}?version=2")).must_be(200).json();
    assert_eq!((&waiting["state"], &waiting["published_by"]), (&json!("proposed"), &Value::Null));
    assert_eq!(show("sven", path).must_be(200).json()["version"], 1, "what waits is not what holds");
    assert_eq!(show("stella", "/api/v1/policies/corpus.persons").must_be(200).json()["kind"], "Dataset");
    show("ana", path).must_be(403);
    show("sven", "/api/v1/policies/nothing").must_be(404);
    server.is_clean();
}

#[test]
fn what_does_not_count_as_it_is_written_is_told_when_documents_are_checked_and_published() {
    let server = Server::start();
    let changed = policy(2).replace("  review: none\n", "  review: none\n  controls: {subjects_min: 2}\n");
    let warnings = |path: &str, text: &str, status: u16| {
        let told = server.post(Some("stella"), path, text, &[]).must_be(status).json();
        let all = told["documents"][0]["warnings"].as_array().unwrap().clone();
        all.into_iter().map(|one| (one["code"].as_str().unwrap().to_owned(), one)).collect::<Vec<_>>()
    };
    for (path, status) in [("/api/v1/policies/check", 200), ("/api/v1/policies", 201)] {
        let found = warnings(path, &changed, status);
        let of = |code: &str| &found.iter().find(|(known, _)| known == code).unwrap().1;
        let overridden = of("value-overridden");
        assert_eq!(overridden["field"], "method.controls.subjects_min");
        let text = overridden["text"]["en"].as_str().unwrap();
        assert!(text.contains("`subjects_min: 2` does not count") && text.contains("10 does"), "{text}");
        assert!(overridden["line"].as_u64().is_some(), "{overridden}");
    }
    assert!(warnings("/api/v1/policies/check", &policy(3), 200).is_empty());
    server.is_clean();
}

#[test]
fn a_mistyped_name_finds_the_one_that_was_meant_among_the_asker_s_own() {
    let server = Server::start();
    let help = |purpose: &str, sql: &str| {
        let question = json!({ "sql": sql, "purpose": purpose }).to_string();
        let verdict = server.post(Some("ana"), "/api/v1/queries/check", &question, &[]).must_be(200).json();
        let finding = &verdict["findings"][0];
        (finding["code"].clone(), finding["help"]["en"].as_str().unwrap_or_default().to_owned())
    };
    for (sql, code, meant) in [
        ("SELECT dpet, COUNT(*) FROM persons GROUP BY dpet", "column-not-in-scope", "did you mean `dept`?"),
        ("SELECT COUNT(*) FROM corpus.person", "dataset-not-found", "did you mean `corpus.persons`?"),
        ("SELECT COUNT(*) FROM corpus.secrts", "dataset-not-found", ""),
        ("SELECT cuont(*) FROM persons", "function-not-allowed", "did you mean `count`?"),
        ("SELECT COUNT(*) FORM persons", "", ""),
        ("SELECT COUNT(*) FROM \"corpus\".persons WHERE age > 'x", "sql-syntax", ""),
        ("SELECT COUNT(*) FROM persons WHERE hire > '2024-13-01'", "", "`2024-13-01` is no date"),
    ] {
        let (found, told) = help(PURPOSE, sql);
        assert!(code.is_empty() || found == code, "{sql}: {found}");
        assert!(told.contains(meant), "{sql}: {told}");
        assert!(!told.contains("secrets"), "{told}");
    }
    let (code, told) = help("official-statistic", COUNT);
    assert_eq!(code, "purpose-not-found");
    assert!(told.contains(&format!("did you mean `{PURPOSE}`?")), "{told}");
    server.is_clean();
}

#[test]
fn a_grant_that_no_policy_answers_is_given_and_says_so() {
    let server = Server::start();
    let give = |purpose: &str| {
        let dataset = json!({ "dataset": "corpus.secrets" });
        let wish =
            json!({ "person": "ben", "purpose": purpose, "datasets": [dataset], "until": "2099-12-31" });
        let given = server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201).json();
        given["grants"][0]["warnings"].clone()
    };
    let told = give(PURPOSE);
    assert!(told[0]["en"].as_str().unwrap().contains("no policy allows it"), "{told}");
    let dataset = json!({ "dataset": "corpus.persons" });
    let wish = json!({ "person": "ben", "purpose": PURPOSE, "datasets": [dataset], "until": "2099-12-31" });
    let given = server.post(Some("stella"), "/api/v1/grants", &wish.to_string(), &[]).must_be(201).json();
    assert_eq!(given["grants"][0]["warnings"], json!([]));
    server.is_clean();
}
