//! The tests that a policy carries: each question is judged by the same guard, under a grant as wide as the policy.
//! No data is read.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_policies::day::LocalTime;
use obscura_policies::document::ApiVersion;
use obscura_policies::document::Expectation;
use obscura_policies::document::Grant;
use obscura_policies::document::GrantKind;
use obscura_policies::document::GrantedDataset;
use obscura_policies::document::Metadata;
use obscura_policies::document::Policy;
use obscura_policies::document::PolicyTest;
use obscura_policies::evaluate::ManifestFacts;
use obscura_policies::evaluate::Principal;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Text;
use obscura_query_guard::statement::Statement;

use crate::app::query::principal::QueryPrincipal;
use crate::app::query::review::Judged;
use crate::app::query::review::ReviewInputs;
use crate::app::query::review::Reviewed;
use crate::app::query::review::named_datasets;
use crate::app::query::review::review;
use crate::config::Settings;
use crate::installation::library::local_time;

/// A test of a policy that does not come out as the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTestFailure {
    /// The policy.
    pub policy: String,
    /// Name of the test.
    pub test: String,
    /// The outcome that the policy expects.
    pub expected: String,
    /// The outcome that came: `admitted` or the codes of the refusal.
    pub came: String,
}

/// Runs the tests of one policy.
pub(crate) fn run_tests(
    library: &Library,
    policy: &Policy,
    now: Timestamp,
    settings: &Settings,
) -> Vec<PolicyTestFailure> {
    // Tests speak of the policy as it is meant, so the clock stands inside its validity and its hours.
    let mut time = local_time(now, &settings.time_zone);
    if let Some(from) = policy.effective.from
        && time.day < from
    {
        time.day = from;
    }
    if let Some(until) = policy.effective.until
        && time.day > until
    {
        time.day = until;
    }
    if let Some(hours) = policy.condition.hours {
        time.minute = (0..24 * 60).find(|minute| hours.covers(*minute)).unwrap_or(time.minute);
    }
    policy.tests.iter().filter_map(|test| run_one(library, policy, test, now, time)).collect()
}

fn run_one(
    library: &Library,
    policy: &Policy,
    test: &PolicyTest,
    now: Timestamp,
    time: LocalTime,
) -> Option<PolicyTestFailure> {
    let person = "policy-test".to_owned();
    let principal = Principal {
        person: person.clone(),
        roles: BTreeSet::from([test.person.role]),
        department: test.person.department.clone(),
        district: test.person.district.clone(),
    };
    let parsed = Statement::parse(&test.sql);
    let datasets = named_datasets(&parsed, library);
    let grant = grant_for(&person, test, &datasets, time)?;
    let asker = QueryPrincipal::Person { principal, grants: vec![grant] };
    let (none, purpose) = (BTreeSet::new(), test.person.purpose.as_str());
    let judged = Judged { sql: &test.sql, parsed: &parsed, purpose, grants: &none };
    let facts = |id: &DatasetId| {
        let dataset = library.datasets().get(id)?;
        Some((id.clone(), ManifestFacts::of_test(library, dataset)))
    };
    let manifests: BTreeMap<DatasetId, ManifestFacts> = datasets.iter().filter_map(facts).collect();
    let inputs = ReviewInputs { library, asker: &asker, manifests: &manifests, now, time };
    let reviewed = review(judged, inputs);
    let (came, is_expected) = match (&reviewed, test.expect) {
        (Reviewed::Admitted { .. }, expected) => ("admitted".to_owned(), expected == Expectation::Admitted),
        (Reviewed::Refused(verdict), expected) => {
            let codes: Vec<&str> = verdict.findings.iter().map(|finding| finding.code.as_str()).collect();
            let has_code = test.code.as_ref().is_none_or(|code| codes.contains(&code.as_str()));
            (codes.join(", "), expected == Expectation::Refused && has_code)
        }
    };
    let expected = match &test.code {
        Some(code) => format!("{} ({code})", test.expect),
        None => test.expect.to_string(),
    };
    (!is_expected).then(|| PolicyTestFailure {
        policy: policy.metadata.id.to_string(),
        test: test.name.clone(),
        expected,
        came,
    })
}

fn grant_for(
    person: &str,
    test: &PolicyTest,
    datasets: &BTreeSet<DatasetId>,
    time: LocalTime,
) -> Option<Grant> {
    let granted = |dataset: &DatasetId| GrantedDataset {
        dataset: dataset.clone(),
        columns: None,
        uses: None,
        row_filter: None,
        jurisdiction: false,
    };
    // More stewards than any policy asks for: approvals are not what these tests are about.
    let approved_by = (0..16).map(|steward| format!("steward-{steward}")).collect();
    Some(Grant {
        api_version: ApiVersion,
        kind: GrantKind,
        metadata: Metadata {
            id: "policy-test".parse().ok()?, version: 1, title: Text::new("test", "测试")
        },
        person: person.to_owned(),
        purpose: test.person.purpose.clone(),
        datasets: datasets.iter().map(granted).collect(),
        from: None,
        until: time.day,
        approved_by,
    })
}
