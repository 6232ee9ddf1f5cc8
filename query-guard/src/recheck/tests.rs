//! The second look lets every admitted question of the corpora pass, under policies with masks, noise, row filters and several
//! kinds of subjects.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::SessionStateBuilder;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::Review;

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

/// Questions over a subject's several rows, which have names where a policy asks for noise.
const NAMED: &[&str] = &[
    "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3) AND EXISTS (SELECT 1 FROM visits w WHERE w.person_id = p.person_id AND w.day = 4)",
    "SELECT dept, COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3) AND p.sex = 'f' GROUP BY dept",
    "SELECT COUNT(*) FROM persons p LEFT SEMI JOIN visits v ON p.person_id = v.person_id",
    "SELECT COUNT(*) FROM persons p LEFT ANTI JOIN visits v ON p.person_id = v.person_id",
    "SELECT COUNT(*) FROM persons p JOIN (SELECT DISTINCT person_id FROM visits) v ON p.person_id = v.person_id",
    "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT DISTINCT person_id FROM visits) v ON p.person_id = v.person_id WHERE v.person_id IS NULL",
    "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM visits WHERE day = 4 GROUP BY person_id) v ON p.person_id = v.person_id WHERE COALESCE(n, 0) < 3 AND NOT EXISTS (SELECT 1 FROM visits w WHERE w.person_id = p.person_id)",
    "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND date_trunc('month', v.at) = DATE '2019-05-01')",
    "SELECT COUNT(*) FROM (SELECT person_id FROM visits WHERE day = 3 GROUP BY person_id) v JOIN persons p ON p.person_id = v.person_id AND p.sex = 'f'",
    "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) FILTER (WHERE day = 3) AS n FROM visits GROUP BY person_id) t WHERE n >= 3",
    "SELECT COUNT(*) FROM persons p WHERE (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id) >= 3",
    "SELECT SUM(c) FROM (SELECT person_id, SUM(cost) FILTER (WHERE day = 3) AS c FROM visits GROUP BY person_id) t",
    "SELECT SUM(c), AVG(c) FROM (SELECT person_id, MAX(cost) AS c FROM visits GROUP BY person_id) t",
    "SELECT SUM(c) FROM (SELECT person_id, COUNT(DISTINCT day) AS c FROM visits GROUP BY person_id) t",
    "SELECT p.dept, COUNT(*), SUM(v.cost) FROM visits v JOIN persons p USING (person_id) WHERE p.sex = 'f' GROUP BY p.dept",
    "SELECT COUNT(*) FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id AND p.dept = 'tax')",
    "SELECT p.dept, AVG(s.c) FROM persons p JOIN (SELECT person_id, SUM(cost) AS c FROM visits GROUP BY person_id) s ON p.person_id = s.person_id GROUP BY p.dept",
];

/// Questions of which the engine finds that they have no rows; the fuzzer met the first.
const CONTRADICTIONS: &[&str] = &[
    "SELECT AVG(x3) FROM (SELECT p.age AS x3, v.day AS x12 FROM persons p INNER JOIN visits v ON p.person_id = v.person_id AND v.day >= 2) t WHERE (x12 IS NULL) IS NULL",
    "SELECT COUNT(*), COUNT(DISTINCT person_id) FROM visits WHERE day = 1 AND day = 2",
    "SELECT dept, COUNT(*), AVG(age) FROM persons WHERE (dept IS NULL) IS NULL GROUP BY dept",
];

/// Questions that differential privacy answers.
const PRIVATE: &[&str] = &[
    "SELECT day, COUNT(*), COUNT(DISTINCT person_id), SUM(cost), AVG(cost) FROM visits GROUP BY day",
    "SELECT COUNT(*), AVG(cost) FROM visits",
    "SELECT day FROM visits GROUP BY day",
    "SELECT a.n, b.s FROM (SELECT COUNT(*) AS n FROM visits) a CROSS JOIN (SELECT day, AVG(cost) AS s FROM visits GROUP BY day) b",
    "SELECT (SELECT COUNT(*) FROM visits) AS a, (SELECT COUNT(*) FROM persons) AS b, (SELECT COUNT(*) FROM visits) AS c",
    "SELECT SUM(1), AVG(CASE WHEN day = 1 THEN 1.0 ELSE 0.0 END) FROM visits",
    "SELECT diag, COUNT(*) FROM persons GROUP BY diag",
    "SELECT dept, COUNT(*) FILTER (WHERE sex = 'f'), AVG(salary) FROM persons WHERE age >= 20 GROUP BY dept",
    "SELECT COUNT(*) FROM (SELECT * FROM (SELECT * FROM persons WHERE age >= 20 ORDER BY age) a WHERE sex = 'f') b",
    "SELECT dept, n, RANK() OVER (ORDER BY n DESC) FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) t",
    "SELECT AVG(2 * salary + 10), SUM(salary) FILTER (WHERE dept = 'tax') FROM persons",
    "SELECT 'all' AS k, COUNT(*) FROM persons GROUP BY k",
    "SELECT dept, COUNT(*) FROM persons WHERE sex = 'f' AND sex = 'm' GROUP BY dept",
    "SELECT COUNT(*), SUM(salary) FROM persons WHERE age >= 60 AND age < 20",
];

/// Policies under which the corpus is asked.
pub(super) const POLICIES: &[&str] = &[
    "corpus",
    "masked",
    "noise",
    "jobs",
    "coded",
    "below-zero",
    "filtered",
    "filtered-noise",
    "private",
    "private-few",
    "filtered-private",
];

pub(super) fn policy(name: &str) -> EffectivePolicy {
    let base = match name {
        "filtered" => "masked",
        "filtered-noise" => "noise",
        "private-few" | "filtered-private" => "private",
        other => other,
    };
    let mut policy = named(base).unwrap();
    if name == "private-few" {
        for dataset in policy.datasets.values_mut() {
            (dataset.max_rows_per_subject, dataset.max_groups_per_subject) = (1, 1);
        }
        let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
        let salary = persons.columns.iter_mut().find(|column| column.name == "salary").unwrap();
        salary.range = Some((Fixed::from_i64(-200_000), Fixed::from_i64(100_000)));
    }
    if name == "filtered-private" {
        let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
        let zip = persons.columns.iter_mut().find(|column| column.name == "zip").unwrap();
        zip.mask = Some(Mask::Partial { keep_first: 3, keep_last: 0 });
        persons.controls.review = Review::Two;
    }
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
    let more = match name {
        "jobs" => JOBS,
        "noise" | "filtered-noise" => NAMED,
        name if name.contains("private") => PRIVATE,
        "corpus" => CONTRADICTIONS,
        _ => &[],
    };
    let questions = ADMITTED.iter().chain(more);
    let plans = questions.filter_map(|sql| match review_under(&policy, sql).decision {
        Decision::Admitted(plan) => Some(((*sql).to_owned(), *plan)),
        Decision::Refused { .. } => None,
    });
    plans.collect()
}

pub(super) fn session() -> SessionState {
    SessionStateBuilder::new().with_default_features().build()
}

pub(crate) fn scanned(scan: &TableScan) -> Option<Scanned> {
    match scan.source.downcast_ref::<SealedSource>() {
        Some(sealed) => Some(Scanned::Dataset(sealed.dataset().clone())),
        None => scan.source.downcast_ref::<ReleasedSource>().map(|_| Scanned::Released),
    }
}

/// Every plan of a query, in order.
pub(crate) fn due(plan: &GuardedPlan) -> Vec<PlanToRun> {
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

#[test]
fn the_questions_of_noise_and_of_privacy_are_admitted() {
    for (names, questions) in
        [(["noise", "filtered-noise"], NAMED), (["private", "filtered-private"], PRIVATE)]
    {
        for name in names {
            let admitted = plans(name);
            for sql in questions {
                let (_, plan) = admitted
                    .iter()
                    .find(|(known, _)| known == sql)
                    .unwrap_or_else(|| panic!("{name}: {sql}"));
                assert_eq!(plan.needs_privacy(), name.contains("private"), "{sql}");
                assert_eq!(plan.needs_noise(), name.contains("noise"), "{sql}");
            }
        }
    }
}
