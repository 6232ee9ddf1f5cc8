//! The second look lets every admitted question of the corpora pass, under policies with masks, noise, row filters and several
//! kinds of subjects.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::SessionStateBuilder;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::RowFilter;

use super::Scanned;
use super::look_again;
use crate::catalog::ReleasedSource;
use crate::catalog::SealedSource;
use crate::execution::PlanToRun;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::guard::tests::ADMITTED;
use crate::plan::GuardedPlan;
use crate::verdict::Decision;

/// Questions over jobs, whose rows belong to residents and to enterprises.
const JOBS: &[&str] = &[
    "SELECT site, COUNT(*), SUM(wage) FROM jobs GROUP BY site",
    "SELECT COUNT(DISTINCT person_id), COUNT(DISTINCT firm_id) FROM jobs",
    "SELECT p.dept, AVG(j.wage) FROM jobs j JOIN persons p ON p.person_id = j.person_id GROUP BY p.dept",
    "SELECT p.dept, COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.person_id = p.person_id AND j.site = 'a') GROUP BY p.dept",
    "SELECT n, COUNT(*) FROM (SELECT person_id, firm_id, COUNT(*) AS n FROM jobs GROUP BY person_id, firm_id) GROUP BY n",
];

/// Policies under which the corpus is asked.
pub(super) const POLICIES: &[&str] =
    &["corpus", "masked", "noise", "jobs", "coded", "below-zero", "filtered", "filtered-noise"];

pub(super) fn policy(name: &str) -> EffectivePolicy {
    let base = match name {
        "filtered" => "masked",
        "filtered-noise" => "noise",
        other => other,
    };
    let mut policy = named(base).unwrap();
    if name.starts_with("filtered") {
        let filter = |sql: &str, jurisdiction| RowFilter { sql: sql.to_owned(), jurisdiction };
        let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
        persons.row_filters.push(filter("age >= 18 AND dept <> 'court'", false));
        persons.row_filters.push(filter("zip LIKE '1%' OR zip LIKE '2%' OR zip LIKE '9%'", true));
        let visits = policy.datasets.get_mut(&"corpus.visits".parse().unwrap()).unwrap();
        visits.row_filters.push(filter("day BETWEEN 1 AND 300 AND at >= '2000-01-01'", false));
    }
    policy
}

/// The admitted questions of the corpus under a policy.
pub(super) fn plans(name: &str) -> Vec<(String, GuardedPlan)> {
    let policy = policy(name);
    let questions = ADMITTED.iter().chain(if name == "jobs" { JOBS } else { &[] });
    let plans = questions.filter_map(|sql| match review_under(&policy, sql).decision {
        Decision::Admitted(plan) => Some(((*sql).to_owned(), *plan)),
        Decision::Refused { .. } => None,
    });
    plans.collect()
}

pub(super) fn session() -> SessionState {
    SessionStateBuilder::new().with_default_features().build()
}

pub(super) fn scanned(scan: &TableScan) -> Option<Scanned> {
    match scan.source.downcast_ref::<SealedSource>() {
        Some(sealed) => Some(Scanned::Dataset(sealed.dataset().clone())),
        None => scan.source.downcast_ref::<ReleasedSource>().map(|_| Scanned::Released),
    }
}

/// Every plan of a query, in order.
pub(super) fn due(plan: &GuardedPlan) -> Vec<PlanToRun> {
    let plan = Arc::new(plan.clone());
    let stages = (0..plan.stages.len()).map(Some).chain([None]);
    stages.map(|stage| PlanToRun::of(&plan, stage).unwrap()).collect()
}

#[test]
fn every_question_of_the_corpus_passes() {
    let session = session();
    let (mut asked, mut failed) = (0, Vec::new());
    for name in POLICIES {
        for (sql, plan) in plans(name) {
            for due in due(&plan) {
                let optimised = session.optimize(due.plan()).unwrap();
                asked += 1;
                for (form, plan) in [("as written", due.plan()), ("optimised", &optimised)] {
                    if let Err(breach) = look_again(&due, plan, &scanned) {
                        failed.push(format!("{breach:?} {form}, {name}: {sql}\n{}", plan.display_indent()));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of {asked} failed\n{}", failed.len(), failed.join("\n"));
    assert!(asked > 800, "only {asked} plans were looked at");
}
