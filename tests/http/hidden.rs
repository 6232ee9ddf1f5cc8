//! A steward's own documents tell nothing of other stewards' ones. Answers about a hidden dataset, policy or proposal are
//! compared byte for byte with those about one that does not exist.

use obscura_tests::server::Answer;
use obscura_tests::server::Server;
use serde_json::Value;
use serde_json::json;

const DEPARTMENT: &str = "api_version: obscura/v1\nkind: Department\nmetadata: {id: elsewhere, version: 1, title: {zh: 别处, en: Elsewhere}}\nlevel: department\nregion: \"330100\"\n";

const DATASET: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: elsewhere.people, version: 1, title: {zh: 人员, en: People}}
department: elsewhere
scheme: exact-2021
units: [{kind: resident, column: person_id}]
layout: clustered
opening: limited
sharing: conditional
update: yearly
collection: people
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: dept, type: text, role: dimension, grade: L2}
";

/// A policy of the other department, with a name, a join (or none) and a test question of the asker's choice.
fn policy(id: &str, join: &str, sql: &str, expect: &str) -> String {
    let joins = if join.is_empty() { String::new() } else { format!("\n  join_with: [{join}]") };
    format!(
        "\
api_version: obscura/v1
kind: Policy
metadata: {{id: {id}, version: 1, title: {{zh: 别处统计, en: Statistics elsewhere}}}}
owner: elsewhere
effective: {{from: 2025-01-01}}
legal_basis: [{{law: PIPL, article: \"13\"}}]
object:
  subjects: {{roles: [analyst], departments: any, districts: any}}
  resources: {{datasets: [elsewhere.people], grade_max: L3}}
condition:
  purposes: [official-statistics]
  approvals: 1{joins}
content:
  default: deny
  columns:
    - {{match: {{role: dimension}}, uses: [filter, group]}}
method:
  release: aggregates
  functions: [count]
  review: none
tests:
  - {{name: asked, as: {{role: analyst, department: corpus, purpose: official-statistics}}, sql: \"{sql}\", expect: {expect}}}
"
    )
}

const OWN: &str = "SELECT dept, COUNT(*) FROM elsewhere.people GROUP BY dept";

/// A world in which emil is steward of another department with a dataset of its own.
fn elsewhere() -> Server {
    let server = Server::start();
    server.post(Some("olga"), "/api/v1/policies", DEPARTMENT, &[]).must_be(201);
    server.world.add_person("emil", "steward", "elsewhere").unwrap();
    server.post(Some("emil"), "/api/v1/policies", DATASET, &[]).must_be(201);
    server
}

fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

#[test]
fn a_hidden_dataset_in_a_policy_is_an_absent_one() {
    let server = elsewhere();
    let check = |text: &str| {
        let checked = server.post(Some("emil"), "/api/v1/policies/check", text, &[]);
        let proposed = server.post(Some("emil"), "/api/v1/policies", text, &[]);
        assert_eq!(told(&checked), told(&proposed), "{}", checked.text());
        told(&checked)
    };
    let same = |of: &dyn Fn(&str) -> String, code: &str| {
        let hidden = check(&of("secrets"));
        assert_eq!(hidden, check(&of("nothing")));
        assert!(hidden.0 == 400 && hidden.1.to_string().contains(code), "{hidden:?}");
    };
    // A unit that the dataset has, and one that no dataset has.
    for unit in ["resident", "zzz"] {
        let join = |name: &str| format!("{{dataset: corpus.{name}, unit: {unit}}}");
        same(&|name| policy("elsewhere-statistics", &join(name), OWN, "admitted"), "dataset-not-found");
    }
    for sql in [
        "SELECT COUNT(*) FROM corpus.{}",
        "SELECT hidden_column FROM corpus.{}",
        "SELECT dept, COUNT(*) FROM elsewhere.people JOIN corpus.{} USING (person_id) GROUP BY dept",
    ] {
        let asked = |name: &str| policy("elsewhere-statistics", "", &sql.replace("{}", name), "admitted");
        same(&asked, "policy-test-failed");
    }
    // Documents about visible data are judged as before.
    let visible =
        policy("elsewhere-statistics", "{dataset: corpus.persons, unit: resident}", OWN, "admitted");
    server.post(Some("emil"), "/api/v1/policies/check", &visible, &[]).must_be(200);
    let wrong = visible.replace("unit: resident}]", "unit: zzz}]");
    let neither = server.post(Some("emil"), "/api/v1/policies/check", &wrong, &[]).must_be(400);
    assert!(neither.text().contains("dataset-not-found") || neither.text().contains("unit-missing"));
    server.is_clean();
}

#[test]
fn policies_and_proposals_of_others_are_nobody_elses() {
    let server = elsewhere();
    server.world.add_person("eva", "steward", "elsewhere").unwrap();
    let listed = |person: &str| server.get(Some(person), "/api/v1/policies", &[]).must_be(200).text();
    assert!(!listed("emil").contains("corpus-statistics"), "a name of theirs");
    assert!(listed("stella").contains("corpus-statistics") && listed("aldo").contains("corpus-statistics"));
    let own = |id: &str| policy(id, "", OWN, "admitted");
    let theirs = own("taken").replace("owner: elsewhere", "owner: corpus");
    let theirs = theirs.replace("elsewhere.people", "corpus.persons");
    server.post(Some("stella"), "/api/v1/policies", &theirs, &[]).must_be(201);
    assert!(!listed("emil").contains("taken"));
    let without_name = |id: &str| {
        let answer = server.post(Some("emil"), "/api/v1/policies", &own(id), &[]);
        (answer.status, answer.text().replace(id, "name"))
    };
    // Another department has proposed the one, and no department the other.
    assert_eq!(without_name("taken"), without_name("free"));
    let wish = json!({ "version": 1 }).to_string();
    let decide = |person: &str, what: &str| {
        server.post(Some(person), &format!("/api/v1/policies/taken/{what}"), &wish, &[])
    };
    // Each decides on their own; the first to be activated has the name.
    decide("sven", "activate").must_be(200);
    let second = decide("eva", "activate").must_be(400);
    assert!(second.text().contains("owner-differs"), "{}", second.text());
    decide("emil", "withdraw").must_be(204);
    decide("emil", "withdraw").must_be(404);
    server.is_clean();
}

#[test]
fn nobody_takes_the_name_of_a_grant_that_was_asked_for() {
    let server = elsewhere();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let own = policy("elsewhere-statistics", "", OWN, "admitted");
    server.post(Some("emil"), "/api/v1/policies", &own, &[]).must_be(201);
    let wish = json!({ "purpose": "official-statistics", "datasets": [{ "dataset": "corpus.persons" }], "until": "2099-12-31", "reason": "a yearbook" });
    let asked = server.post(Some("cleo"), "/api/v1/requests", &wish.to_string(), &[]).must_be(201).json();
    let id = asked["grant"]["id"].as_str().unwrap();
    let yaml = format!(
        "api_version: obscura/v1\nkind: Grant\nmetadata: {{id: {id}, version: 1, title: {{en: Taken, zh: 占用}}}}\nperson: cleo\npurpose: official-statistics\ndatasets: [{{dataset: elsewhere.people}}]\nuntil: 2099-12-31\napproved_by: [emil]\n"
    );
    let give = |text: &str| {
        server.post(Some("emil"), "/api/v1/grants", text, &[("content-type", "application/yaml")])
    };
    assert_eq!(give(&yaml).must_be(400).json()["errors"][0]["code"], "grant-id-reserved");
    give(&yaml.replace(id, "cleo-elsewhere")).must_be(201);
    let path = format!("/api/v1/requests/{}/decision", asked["id"].as_str().unwrap());
    let approve = json!({ "decision": "approve" }).to_string();
    server.post(Some("sven"), &path, &approve, &[]).must_be(200);
    let grants = server.get(Some("cleo"), "/api/v1/grants", &[]).must_be(200).text();
    assert!(grants.contains(id) && grants.contains("cleo-elsewhere"), "{grants}");
    server.is_clean();
}
