//! Budgets of differential privacy over HTTP and on the command line: who may know of one, and what they are told.

use std::collections::BTreeMap;

use obscura_tests::fixture::Fixture;
use obscura_tests::server::Answer;
use obscura_tests::server::Server;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use obscura_tests::world::code;
use serde_json::Value;
use serde_json::json;

/// Patients, whose every answer costs half of an epsilon; the share of one person is an epsilon of 1, three questions.
pub(super) const DOCUMENTS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: secret.patients, version: 1, title: {zh: 患者, en: Patients}}
department: secret
scheme: db33t2351-2021
units: [{kind: resident, column: person_id}]
layout: clustered
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: district, type: text, role: dimension, grade: L2, domain: [D0, D1, D2, D3]}
---
api_version: obscura/v1
kind: Policy
metadata: {id: secret-statistics, version: 1, title: {zh: 差分隐私统计, en: Statistics by differential privacy}}
owner: secret
effective: {from: 2025-01-01}
legal_basis: [{law: PIPL, article: \"13\"}]
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [secret.patients], grade_max: L4}
condition:
  purposes: [official-statistics]
  approvals: 1
content:
  default: deny
  columns:
    - {match: {role: unit_key}, uses: [join, count_distinct]}
    - {match: {role: dimension}, uses: [filter, group]}
method:
  release: aggregates
  functions: [count, count_distinct]
  privacy_budget: {epsilon: 1.0, delta: 1e-8, per_query_max: 0.5, period_days: 90}
  review: none
";

const DEPARTMENT: &str = "\
api_version: obscura/v1
kind: Department
metadata: {id: secret, version: 1, title: {zh: 卫生部门, en: Department of health}}
level: department
region: \"330100\"
";

/// A world in which ana may ask of patients, and ben may not.
pub(super) fn private() -> World {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let file = |name: &str, text: &str| {
        let file = world.root().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    world.publish(OPERATOR, &file("department.yaml", DEPARTMENT)).unwrap();
    for steward in ["nora", "nils"] {
        world.add_person(steward, "steward", "secret").unwrap();
    }
    world.enact("nora", "nils", &file("documents.yaml", DOCUMENTS)).unwrap();
    let rows: String = (0..2_000).map(|n| format!("R{n:05},D{}\n", n % 4)).collect();
    let rows = file("patients.csv", &format!("person_id,district\n{rows}"));
    world.run("nora", &["seal", "secret.patients", rows.to_str().unwrap()]).unwrap().done().unwrap();
    grant(&world, "ana");
    world
}

pub(super) fn grant(world: &World, person: &str) {
    let grant = ["grant", "create", "--person", person, "--purpose", PURPOSE, "--dataset", "secret.patients"];
    world.run("nora", &[&grant[..], &["--until", "2099-12-31"]].concat()).unwrap().done().unwrap();
}

pub(super) fn budgets(server: &Server, person: &str) -> BTreeMap<String, Value> {
    let list = server.get(Some(person), "/api/v1/budgets", &[]).must_be(200).json();
    let budgets = list["budgets"].as_array().unwrap().iter();
    budgets.map(|budget| (budget["dataset"].as_str().unwrap().to_owned(), budget.clone())).collect()
}

pub(super) fn entries(server: &Server, person: &str) -> Vec<Value> {
    let path = "/api/v1/budgets/secret.patients/entries";
    let found = server.get(Some(person), path, &[]).must_be(200).json();
    found["entries"].as_array().unwrap().clone()
}

#[test]
fn a_budget_is_there_for_who_may_know_of_it_and_for_nobody_else() {
    let server = Server::over(private(), &[]);
    let mine = &budgets(&server, "ana")["secret.patients"];
    assert_eq!(mine["lifetime"]["total"]["epsilon"], json!(8.0));
    assert_eq!(mine["lifetime"]["spent"], json!({ "epsilon": 0.0, "nano_rho": 0 }));
    let share = &mine["shares"][0];
    assert_eq!((&share["purpose"], &share["period_days"]), (&json!(PURPOSE), &json!(90)));
    assert_eq!((&share["per_query_max"], &share["resets"]), (&json!(0.5), &Value::Null));
    assert_eq!(share["share"]["total"]["epsilon"], json!(1.0));
    assert_eq!(share["share"]["left"], share["share"]["total"]);
    for keeper in ["nora", AUDITOR] {
        let kept = &budgets(&server, keeper)["secret.patients"];
        assert_eq!((&kept["shares"], &kept["lifetime"]), (&json!([]), &mine["lifetime"]), "{keeper}");
        assert_eq!(entries(&server, keeper), Vec::<Value>::new());
    }
    for other in ["ben", "stella"] {
        assert_eq!(budgets(&server, other), BTreeMap::new(), "{other}");
        let hidden = server.get(Some(other), "/api/v1/budgets/secret.patients/entries", &[]).must_be(404);
        let none = server.get(Some(other), "/api/v1/budgets/secret.nothing/entries", &[]).must_be(404);
        let told = |answer: &Answer| {
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("request_id");
            problem
        };
        assert_eq!((told(&hidden), &told(&hidden)["code"]), (told(&none), &json!("budget-not-found")));
    }
    let here = server.world.run("ana", &["budget", "--output", "json"]).unwrap().done().unwrap();
    let rows: Value = serde_json::from_str(&here.stdout).unwrap();
    assert_eq!(
        (&rows[0]["total"], &rows[0]["left"], &rows[0]["lifetime_left"]),
        (&json!(1.0), &json!(1.0), &json!(8.0))
    );
    let hidden = server.world.run("ben", &["budget", "secret.patients"]).unwrap();
    assert_eq!(hidden.code, Some(code::FAILURE));
    assert!(hidden.stderr.contains("budget-not-found"), "{}", hidden.stderr);
    server.is_clean();
}
