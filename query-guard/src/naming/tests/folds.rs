//! Names of what is asked of a subject's several rows: that there are some, how many, and what they add up to.

use super::*;
use crate::plan::Admitted;

#[test]
fn whether_a_subject_has_rows_has_names_in_every_spelling() {
    each_list_has_names_of_its_own(&[
        &["SELECT COUNT(*) FROM persons"],
        &[
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)",
            "SELECT COUNT(*) FROM persons WHERE person_id IN (SELECT person_id FROM visits)",
            "SELECT COUNT(*) FROM persons p LEFT SEMI JOIN visits v ON p.person_id = v.person_id",
            "SELECT COUNT(*) FROM persons p JOIN (SELECT DISTINCT person_id FROM visits) v ON p.person_id = v.person_id",
            "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) v ON p.person_id = v.person_id",
            "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT DISTINCT person_id FROM visits) v ON p.person_id = v.person_id WHERE v.person_id IS NOT NULL",
        ],
        &[
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)",
            "SELECT COUNT(*) FROM persons p LEFT ANTI JOIN visits v ON p.person_id = v.person_id",
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id) AND NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)",
            "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM visits WHERE day = 4 GROUP BY person_id) v ON p.person_id = v.person_id WHERE COALESCE(n, 0) < 3 AND NOT EXISTS (SELECT 1 FROM visits w WHERE w.person_id = p.person_id)",
            "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT DISTINCT person_id FROM visits) v ON p.person_id = v.person_id WHERE v.person_id IS NULL",
        ],
        &[
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)",
            "SELECT COUNT(*) FROM persons WHERE person_id IN (SELECT person_id FROM visits WHERE NOT day <> 3)",
            "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id FROM visits WHERE day IN (3) GROUP BY person_id) v ON p.person_id = v.person_id",
            "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id, COUNT(*) FILTER (WHERE day = 3) AS n FROM visits GROUP BY person_id) v ON p.person_id = v.person_id WHERE n >= 1",
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3) AND EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)",
        ],
        &[
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.at >= DATE '2019-05-01' AND v.at < DATE '2019-06-01')",
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND date_trunc('month', v.at) = DATE '2019-05-01')",
        ],
        &[
            "SELECT COUNT(*) FROM persons p WHERE p.sex = 'f' AND EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)",
            "SELECT COUNT(*) FROM (SELECT person_id FROM visits WHERE day = 3 GROUP BY person_id) v JOIN persons p ON p.person_id = v.person_id AND p.sex = 'f'",
        ],
    ]);
}

#[test]
fn how_many_rows_a_subject_has_has_names_in_every_spelling() {
    each_list_has_names_of_its_own(&[
        &[
            "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t WHERE n >= 3",
            "SELECT COUNT(*) FROM (SELECT person_id FROM visits GROUP BY person_id HAVING COUNT(*) > 2) t",
            "SELECT COUNT(DISTINCT person_id) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t WHERE NOT n < 3",
        ],
        &[
            "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits WHERE day = 3 GROUP BY person_id) t WHERE n >= 3",
        ],
        &[
            "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits WHERE day = 4 GROUP BY person_id) t WHERE n >= 3",
        ],
        &[
            "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) FILTER (WHERE day = 3) AS n FROM visits GROUP BY person_id) t WHERE n >= 3",
        ],
        &[
            "SELECT COUNT(*) FROM persons p WHERE (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id) >= 3",
        ],
    ]);
    let policy = policy();
    let grouped = "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t GROUP BY n";
    let filtered =
        "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t WHERE n = 3";
    assert_eq!(names_of(&policy, grouped, &[ScalarValue::Int64(Some(3))]), names_of(&policy, filtered, &[]));
}

#[test]
fn sums_of_a_subject_are_told_apart_by_the_rows_that_they_add_up() {
    let of = |inner: &str, outer: &str| {
        format!("SELECT {outer} FROM (SELECT person_id, {inner} AS c FROM visits GROUP BY person_id) t")
    };
    let sqls = [
        of("SUM(cost)", "SUM(c)"),
        of("MAX(cost)", "SUM(c)"),
        of("SUM(cost) FILTER (WHERE day = 3)", "SUM(c)"),
        of("SUM(cost) FILTER (WHERE day = 4)", "SUM(c)"),
        of("COUNT(*)", "SUM(c)"),
        of("COUNT(DISTINCT day)", "SUM(c)"),
        "SELECT SUM(cost) FROM visits".to_owned(),
    ];
    let policy = policy();
    let known: BTreeSet<Named> = sqls.iter().map(|sql| names_of(&policy, sql, &[])).collect();
    assert_eq!(known.len(), sqls.len());
}

#[test]
fn a_subjects_rows_are_chosen_by_one_node() {
    let asked = |condition: &str| {
        reasons(&format!(
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND {condition})"
        ))
    };
    for condition in [
        "v.day IN (3, 4)",
        "v.day < 9",
        "v.day <> 3",
        "(v.day = 3 OR v.cost >= 500)",
        "v.at >= DATE '2019-05-01'",
        "v.at >= DATE '2019-05-01' AND v.at < DATE '2019-07-01'",
    ] {
        assert_eq!(asked(condition), [Reason::FoldedRowsNotOneNode], "{condition}");
    }
    for condition in
        ["v.day = 3", "v.at >= DATE '2019-01-01' AND v.at < DATE '2020-01-01'", "v.day IN (3) AND v.day < 9"]
    {
        assert_eq!(asked(condition), [], "{condition}");
    }
    let two = "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3) \
        AND EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 4)";
    assert_eq!(reasons(two), []);
}

#[test]
fn the_columns_that_rows_were_chosen_by_meet_too() {
    let asked = |condition: &str| {
        reasons(&format!(
            "SELECT p.dept, p.sex, COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id {condition}) GROUP BY p.dept, p.sex"
        ))
    };
    assert_eq!(asked(""), []);
    assert_eq!(asked("AND v.day = 3"), []);
    assert_eq!(asked("AND v.day = 3 AND v.cost >= 100 AND v.cost < 200"), [Reason::TooManyColumnsMeet]);
}

#[test]
fn the_columns_that_rows_were_chosen_by_are_opened_together() {
    let mut policy = policy();
    let at_or_day = [&["at"][..], &["day"]].map(|set| set.iter().map(ToString::to_string).collect());
    let visits = policy.datasets.get_mut(&"corpus.visits".parse::<DatasetId>().unwrap()).unwrap();
    visits.controls.cubes = Cubes::new(None, Some(at_or_day.into()));
    let asked = |condition: &str| {
        reasons_under(
            &policy,
            &format!(
                "SELECT p.dept, COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id {condition}) GROUP BY p.dept"
            ),
        )
    };
    assert_eq!(asked("AND v.day = 3"), []);
    let both = "AND v.day = 3 AND v.at >= DATE '2019-01-01' AND v.at < DATE '2020-01-01'";
    assert_eq!(asked(both), [Reason::ColumnsNotOpenedTogether]);
}

#[test]
fn a_look_up_by_another_key_is_another_condition() {
    let mut policy = policy();
    let mut jobs =
        named("jobs").unwrap().datasets.remove(&"corpus.jobs".parse::<DatasetId>().unwrap()).unwrap();
    let persons: DatasetId = "corpus.persons".parse().unwrap();
    let kind = policy.datasets[&persons].units[0].kind.clone();
    jobs.units.iter_mut().for_each(|unit| {
        unit.kind = kind.clone();
        unit.one_row_per_subject = true;
    });
    jobs.join_with = [(persons.clone(), kind.clone())].into();
    policy.datasets.get_mut(&persons).unwrap().join_with.insert((jobs.id.clone(), kind));
    policy.datasets.insert(jobs.id.clone(), jobs);
    let of = |key: &str| {
        let sql = format!("SELECT COUNT(*) FROM persons p WHERE p.person_id IN (SELECT {key} FROM jobs)");
        names_of(&policy, &sql, &[])
    };
    assert_ne!(of("person_id"), of("firm_id"));
}

#[test]
fn folds_without_noise_are_the_counts_of_plain_rows() {
    let fold = "(SELECT person_id, COUNT(*) AS n, COUNT(*) FILTER (WHERE day = 3) AS third, SUM(cost) AS c FROM visits GROUP BY person_id)";
    are_counts_of_plain_rows(&[
        "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)".to_owned(),
        "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)".to_owned(),
        "SELECT COUNT(*) FROM persons p WHERE p.sex = 'f' OR EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)".to_owned(),
        format!("SELECT COUNT(*) FROM {fold} t WHERE n >= 3"),
        format!("SELECT COUNT(*) FROM {fold} t WHERE third = 0"),
        format!("SELECT COUNT(*) FROM {fold} t JOIN persons p ON p.person_id = t.person_id WHERE third = 0 AND p.age >= 40"),
        format!("SELECT COUNT(*) FROM persons p LEFT JOIN {fold} t ON p.person_id = t.person_id WHERE COALESCE(third, 0) = 0 AND p.sex = 'f'"),
        format!("SELECT CAST(SUM(n) AS BIGINT) FROM {fold} t"),
        format!("SELECT CAST(SUM(COALESCE(n, 0)) AS BIGINT) FROM persons p LEFT JOIN {fold} t ON p.person_id = t.person_id WHERE p.sex = 'f'"),
    ]);
}

#[test]
fn a_sum_of_several_rows_has_no_values_to_name() {
    // It may lie beyond the column's range, where no point of the domain does: `c >= 1200` would be true of people and of no name,
    // `c < 1200` of all names and not of all people, and the numbers would come out without noise of their own.
    let asked = |function: &str, condition: &str| {
        reasons(&format!(
            "SELECT COUNT(*) FROM (SELECT person_id, {function}(cost) AS c FROM visits GROUP BY person_id) t WHERE {condition}"
        ))
    };
    for condition in ["c >= 1200", "c < 1200", "c >= 500", "floor(c / 100) * 100 = 1300"] {
        assert_eq!(asked("SUM", condition), [Reason::DomainNotPublished], "{condition}");
    }
    // In a type that has no such numbers a large sum would be missing.
    assert_eq!(asked("SUM", "CAST(c AS SMALLINT) IS NOT NULL"), [Reason::ConditionNotListed]);
    assert_eq!(asked("SUM", "c IS NOT NULL"), []);
    assert_eq!(asked("SUM", "CAST(c AS DOUBLE) IS NOT NULL"), []);
    // The least and the largest of a subject's values are values of the column, which the scan has brought into its domain.
    for function in ["MIN", "MAX"] {
        assert_eq!(asked(function, "c >= 500"), [], "{function}");
    }
}

#[test]
fn a_cell_of_no_names_never_shows() {
    let mut plan = plan(&policy(), "SELECT COUNT(*) FROM persons");
    let shown = |plan: &GuardedPlan| {
        run_with(plan, &world(400, 1), context(Arc::new(Mixed), 1), 1).unwrap().column(0).is_valid(0)
    };
    assert!(shown(&plan));
    let mut cells = plan.stages[0].names.as_deref().unwrap().clone();
    for atom in &mut cells.atoms {
        atom.names = crate::cover::Names::default();
    }
    plan.stages[0].names = Some(cells.into());
    // As if the guard had admitted it so.
    let (stages, post, terms) = (plan.stages.clone(), plan.post.clone(), plan.admitted.terms.clone());
    plan.admitted = Arc::new(Admitted { stages, post, terms });
    assert!(!shown(&plan), "its names say that nobody is in it, and its number would be exact");
}

#[test]
fn a_key_that_an_outer_join_may_have_missed_is_another_condition() {
    // Those who came on day 3 have a key `t.person_id`, the others have none and find nothing: with the names of all who came, the
    // difference of the two numbers would be exact.
    let found = "SELECT COUNT(*) FROM persons p LEFT JOIN (SELECT DISTINCT person_id FROM visits WHERE day = 3) t ON t.person_id = p.person_id";
    let all = "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)";
    let none = "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)";
    let policy = policy();
    for (condition, plain) in [
        ("EXISTS (SELECT 1 FROM visits v WHERE v.person_id = t.person_id)", all),
        ("t.person_id IN (SELECT person_id FROM visits)", all),
        ("NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = t.person_id)", none),
        ("t.person_id NOT IN (SELECT person_id FROM visits)", none),
    ] {
        let sql = format!("{found} WHERE {condition}");
        match review_under(&policy, &sql).decision {
            Decision::Refused { .. } => {}
            Decision::Admitted(plan) => {
                assert_ne!(names_in(&plan, &sql, &[]), names_of(&policy, plain, &[]), "{condition}");
            }
        }
    }
}
