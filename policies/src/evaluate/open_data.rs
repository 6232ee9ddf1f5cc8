//! Open data, which everybody may have without an account, a grant or a purpose: whole datasets, and nothing of any other.
//! A dataset is open when its document and every policy that names it say so without any condition.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::combine::Terms;
use crate::day::Day;
use crate::document::AnyOr;
use crate::document::Dataset;
use crate::document::GrantedDataset;
use crate::document::Kind;
use crate::document::Opening;
use crate::document::Policy;
use crate::effective::EffectiveDataset;
use crate::effective::EffectivePolicy;
use crate::effective::PolicySource;
use crate::evaluate::ManifestFacts;
use crate::evaluate::PolicyRefusal;
use crate::evaluate::floors;
use crate::evaluate::open;
use crate::library::Library;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Release;
use crate::vocabulary::Review;

/// The purpose that a job names when it hands out open data; no grant can name it.
pub const OPEN_DATA: &str = "open-data";
/// The grade of data that may be open.
const OPEN: Level = Level(1);
/// Most stewards that a policy of open data may ask of a grant: the policy itself has passed a second one.
const APPROVALS_MAX: u32 = 1;

/// Decides what a job may do that acts for no particular person.
///
/// # Errors
/// A refusal, in the same words for a dataset that is not open and for one that does not exist.
pub fn open_to_everybody(
    library: &Library,
    datasets: &[DatasetId],
    manifests: &BTreeMap<DatasetId, ManifestFacts>,
    today: Day,
) -> Result<EffectivePolicy, PolicyRefusal> {
    let mut sources = BTreeSet::new();
    let mut opened = BTreeMap::new();
    let named: BTreeSet<&DatasetId> = datasets.iter().collect();
    for id in &named {
        let facts = manifests.get(*id).cloned().unwrap_or_default();
        let dataset = open_dataset(library, id, facts, today, &mut sources);
        opened.insert((*id).clone(), dataset.ok_or_else(|| PolicyRefusal::dataset_not_found(id))?);
    }
    let floors = floors::floors(library, OPEN_DATA, &named, today, &mut sources)?;
    Ok(EffectivePolicy {
        purpose: OPEN_DATA.to_owned(),
        datasets: opened,
        floors,
        sources: sources.into_iter().collect(),
    })
}

fn open_dataset(
    library: &Library,
    id: &DatasetId,
    facts: ManifestFacts,
    today: Day,
    sources: &mut BTreeSet<PolicySource>,
) -> Option<EffectiveDataset> {
    let dataset = library.datasets().get(id).filter(|dataset| is_declared_open(library, dataset))?;
    let names = |policy: &&Policy| policy.object.resources.datasets.contains(id);
    let policies = library.policies().values().filter(names);
    let policies: Vec<&Policy> = policies.filter(|policy| policy.effective.covers(today)).collect();
    // One policy must speak to everybody. The others may speak of fewer people, but none may open less.
    if !policies.iter().any(|policy| speaks_to_all(policy)) {
        return None;
    }
    let mut joined: Option<Terms> = None;
    for policy in &policies {
        if !is_unconditional(library, policy, dataset) {
            return None;
        }
        let terms = library.terms(policy, dataset)?;
        joined = Some(joined.map_or_else(|| terms.clone(), |other| other.stricter(&terms)));
        sources.extend(library.source(Kind::Policy, policy.metadata.id.as_str()).cloned());
    }
    let terms = joined.filter(|terms| opens_everything(terms, dataset))?;
    sources.extend(library.source(Kind::Dataset, &id.to_string()).cloned());
    sources.extend(library.source(Kind::GradeScheme, dataset.scheme.as_str()).cloned());
    let whole = GrantedDataset {
        dataset: id.clone(),
        columns: None,
        uses: None,
        row_filter: None,
        jurisdiction: false,
    };
    // The guard judges by the grades of the document, not by those found out here.
    open(library, dataset, &whole, terms, library.membership_level(dataset)?, facts)
}

/// The department states that the data may be opened, is about no subject, and is not sensitive in any column.
fn is_declared_open(library: &Library, dataset: &Dataset) -> bool {
    dataset.opening == Opening::Unconditional
        && dataset.units.is_empty()
        && !dataset.columns.is_empty()
        && library.membership_level(dataset) == Some(OPEN)
        && dataset.columns.iter().all(|column| library.column_level(dataset, column) == Some(OPEN))
}

/// The policy is about analysts of every department and district, so that it keeps the rows within none of them.
fn speaks_to_all(policy: &Policy) -> bool {
    let subjects = &policy.object.subjects;
    subjects.roles.contains(&PersonRole::Analyst)
        && subjects.departments == AnyOr::Any
        && subjects.districts == AnyOr::Any
}

/// Nothing has to hold, to be spent or to be looked at before rows leave.
fn is_unconditional(library: &Library, policy: &Policy, dataset: &Dataset) -> bool {
    let max = policy.object.resources.grade_max.as_ref();
    policy.condition.hours.is_none()
        && policy.condition.approvals <= APPROVALS_MAX
        && max.is_none_or(|grade| library.level(&dataset.scheme, grade).is_some_and(|max| max >= OPEN))
        && policy.method.privacy_budget.is_none()
        && policy.method.quota.is_none()
        && policy.method.review == Review::None
}

/// All rows and all columns, as they are.
fn opens_everything(terms: &Terms, dataset: &Dataset) -> bool {
    let is_open = |name: &str| {
        terms.columns.get(name).is_some_and(|column| {
            !column.uses.is_empty() && column.mask.is_none() && column.grade_after == OPEN
        })
    };
    terms.release == Release::RowsOpen
        && terms.row_filters.is_empty()
        && terms.controls.unavailable.is_empty()
        && dataset.columns.iter().all(|column| is_open(column.name.as_str()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::document::PerturbationForm;
    use crate::parse::parse_documents;

    const WORLD: &str = r#"
api_version: obscura/v1
kind: Department
metadata: {id: parks, version: 1, title: {zh: 园林, en: Parks}}
level: department
region: "330100"
---
api_version: obscura/v1
kind: Dataset
metadata: {id: parks.trees, version: 1, title: {zh: 树木, en: Trees}}
department: parks
scheme: db33t2351-2021
units: []
layout: arrival
opening: unconditional
sharing: unconditional
columns:
  - {name: tree, type: text, role: dimension, grade: L1}
  - {name: height, type: int, role: measure, grade: L1}
---
api_version: obscura/v1
kind: Policy
metadata: {id: parks-open, version: 1, title: {zh: 开放, en: Open}}
owner: parks
effective: {from: 2025-01-01}
legal_basis: [{law: Zhejiang Public Data Regulation, article: "27"}]
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [parks.trees], grade_max: L1}
condition: {purposes: [urban-planning], approvals: 1}
content:
  default: deny
  columns:
    - {match: {role: dimension}, uses: [filter, group]}
    - {match: {role: measure}, uses: [filter]}
method: {release: rows_open, functions: [count]}
"#;

    fn library(world: &str) -> Library {
        let documents: Vec<Document> =
            parse_documents("world", world).unwrap().into_iter().map(|located| located.value).collect();
        Library::new(documents).unwrap()
    }

    fn is_open(world: &str) -> bool {
        let library = library(world);
        let ids = ["parks.trees".parse().unwrap()];
        let found = open_to_everybody(&library, &ids, &BTreeMap::new(), "2026-06-01".parse().unwrap());
        let is_open = found.is_ok();
        if let Err(refusal) = found {
            assert_eq!(refusal, PolicyRefusal::dataset_not_found(&ids[0]), "always the same words");
        }
        is_open
    }

    #[test]
    fn what_document_and_policy_open_without_condition_is_open_to_everybody() {
        assert!(is_open(WORLD));
    }

    #[test]
    fn each_single_condition_closes_a_dataset() {
        let second = |from: &str, to: &str| {
            let policy = WORLD.split("\n---\n").nth(2).unwrap();
            format!("{WORLD}---\n{}", policy.replace("parks-open", "parks-also").replace(from, to))
        };
        assert!(is_open(&second("title: {zh: 开放, en: Open}", "title: {zh: 再开放, en: Again}")));
        let aggregates = second("release: rows_open", "release: aggregates");
        let elsewhere = second("departments: any", "departments: [parks]").replace("rows_open", "aggregates");
        for (why, world) in [
            ("limited", WORLD.replace("opening: unconditional", "opening: limited")),
            ("prohibited", WORLD.replace("opening: unconditional", "opening: prohibited")),
            ("one column above L1", WORLD.replace("role: measure, grade: L1", "role: measure, grade: L2")),
            ("one column without grade", WORLD.replace("role: measure, grade: L1", "role: measure")),
            ("membership", WORLD.replace("layout: arrival", "layout: arrival\nmembership: L2")),
            (
                "a unit",
                WORLD.replace("units: []", "units: [{kind: resident, column: tree}]").replace(
                    "name: tree, type: text, role: dimension",
                    "name: tree, type: text, role: unit_key",
                ),
            ),
            ("aggregates", WORLD.replace("rows_open", "aggregates")),
            ("some departments", WORLD.replace("departments: any", "departments: [parks]")),
            ("not begun", WORLD.replace("from: 2025-01-01", "from: 2027-01-01")),
            ("hours", WORLD.replace("approvals: 1", "approvals: 1, hours: \"08:00-20:00\"")),
            ("approvals", WORLD.replace("approvals: 1", "approvals: 2")),
            ("row filter", WORLD.replace("default: deny", "default: deny\n  row_filter: \"height > 3\"")),
            ("a column without use", WORLD.replace("uses: [filter]", "uses: []")),
            ("a mask", WORLD.replace("uses: [filter]}", "uses: [filter], mask: {bin: 10}}")),
            ("another policy says aggregates", aggregates),
            ("another policy says aggregates to some", elsewhere),
            ("no policy", WORLD.split("\n---\n").take(2).collect::<Vec<_>>().join("\n---\n")),
        ] {
            assert_ne!(world, WORLD, "{why}: nothing was changed");
            assert!(!is_open(&world), "{why}");
        }
    }

    #[test]
    fn noise_does_not_touch_open_rows_and_noise_that_is_not_there_closes_them() {
        let with = |noise: &str| {
            let controls = format!("functions: [count], controls: {{perturbation: {noise}}}");
            WORLD.replace("functions: [count]", &controls)
        };
        assert!(is_open(&with("{deviation: 8}")));
        let documents = parse_documents("world", &with("auto")).unwrap();
        assert!(Library::from_located(documents).is_err(), "it is not published");
        let library = library(WORLD);
        let dataset = library.datasets().values().next().unwrap();
        let policy = library.policies().values().next().unwrap();
        let opens = |perturbation| {
            let mut policy = policy.clone();
            policy.method.controls.perturbation = Some(perturbation);
            opens_everything(&library.terms(&policy, dataset).unwrap(), dataset)
        };
        assert!(opens(PerturbationForm::Deviation(8)));
        assert!(!opens(PerturbationForm::Auto));
    }

    #[test]
    fn one_closed_dataset_among_open_ones_closes_them_all() {
        let documents: Vec<Document> =
            parse_documents("world", WORLD).unwrap().into_iter().map(|located| located.value).collect();
        let library = Library::new(documents).unwrap();
        let ids = ["parks.trees".parse().unwrap(), "parks.people".parse().unwrap()];
        let today = "2026-06-01".parse().unwrap();
        assert!(open_to_everybody(&library, &ids, &BTreeMap::new(), today).is_err());
    }
}
