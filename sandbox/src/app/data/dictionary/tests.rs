//! The terms tell masks, declared values and refusals, from documents alone.

use obscura_policies::document::Document;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::PersonRole;

use super::*;

const DOCUMENTS: &str = "\
api_version: obscura/v1
kind: Department
metadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}
level: department
---
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-health.visits, version: 1, title: {en: Visits, zh: 就诊}}
department: hz-health
scheme: db33t2351-2021
units:
  - {kind: resident, column: person_id}
opening: limited
sharing: conditional
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3, semantic: resident_id}
  - {name: icd10, type: text, role: sensitive, grade: L3, semantic: icd10, coded: true, domain: [J18.1, J18.9, A00.0]}
  - {name: sex, type: text, role: dimension, grade: L2, domain: [f, m]}
  - {name: day, type: date, role: dimension, grade: L2}
  - {name: ward, type: text, role: dimension, grade: L2, domain: [a, b]}
---
api_version: obscura/v1
kind: Policy
metadata: {id: care, version: 1, title: {en: Care, zh: 诊疗}}
owner: hz-health
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [hz-health.visits], grade_max: L3}
condition:
  purposes: [official-statistics]
  hours: '08:00-18:00'
content:
  default: deny
  columns:
    - {match: {role: unit_key}, uses: [count_distinct]}
    - {match: {type: icd10}, uses: [filter, group], mask: {hierarchy: icd10, level: category}}
    - {match: {name: sex}, uses: [group]}
    - {match: {name: day}, uses: [filter, group], mask: {date_trunc: month}}
    - {match: {name: ward}, uses: [count_distinct]}
method:
  release: aggregates
  functions: [count]
---
api_version: obscura/v1
kind: Grant
metadata: {id: lin-visits, version: 1, title: {en: Lin, zh: 林}}
person: lin
purpose: official-statistics
datasets: [{dataset: hz-health.visits}]
until: 2099-12-31
approved_by: [shen]
";

/// The terms that lin is told at a minute of a day.
fn told(minute: u16) -> PurposeTerms {
    let (mut documents, mut grants) = (Vec::new(), Vec::new());
    for located in parse_documents("test.yaml", DOCUMENTS).unwrap() {
        match located.value {
            Document::Grant(grant) => grants.push(grant),
            other => documents.push(other),
        }
    }
    let library = Library::new(documents).unwrap();
    let principal = Principal {
        person: "lin".to_owned(),
        roles: BTreeSet::from([PersonRole::Analyst]),
        department: "hz-tax".parse().unwrap(),
        district: None,
    };
    let time = LocalTime { day: "2026-12-24".parse().unwrap(), minute };
    let told = Told { library: &library, principal: &principal, grants: &grants, time };
    let dataset = library.datasets().values().next().unwrap();
    let purposes = BTreeSet::from(["official-statistics".to_owned()]);
    told.terms(dataset, &purposes).remove(0)
}

#[test]
fn declared_values_are_told_as_the_mask_shows_them() {
    let terms = told(10 * 60).terms.unwrap();
    let column = |name: &str| terms.columns.iter().find(|column| column.name == name).unwrap().clone();
    let icd10 = column("icd10");
    assert_eq!(icd10.values, Some(vec!["J18".to_owned(), "A00".to_owned()]));
    assert_eq!(icd10.mask.unwrap().1.en, "by category of icd10");
    assert_eq!(icd10.edges.unwrap().text.en, "compared by = with what is shown");
    let sex = column("sex");
    assert_eq!(sex.values, Some(vec!["f".to_owned(), "m".to_owned()]));
    assert_eq!(sex.edges, None, "what may not be filtered has no edges");
    assert_eq!(column("day").edges.unwrap().text.zh, "比较值须为月的起点");
    assert_eq!(column("ward").values, None, "what is only counted shows no value");
}

#[test]
fn outside_the_hours_of_a_policy_the_refusal_is_told_with_the_grant() {
    let told = told(20 * 60);
    assert_eq!((told.grant.as_deref(), told.title.en.as_str()), (Some("lin-visits"), "Official statistics"));
    assert_eq!(told.terms.unwrap_err().code.to_string(), "outside-hours");
}
