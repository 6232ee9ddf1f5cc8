//! Names of cells: the same rows have the same names in every spelling, other rows have other ones, and the noise that the control
//! step adds is that of the names.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Int64Type;
use datafusion_common::ScalarValue;
use obscura_policies::effective::Cubes;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DatasetId;
use proptest::prelude::*;

use crate::code::Code;
use crate::control::ControlError;
use crate::execution::ExecutionContext;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run_with;
use crate::fixture::noise::Mixed;
use crate::fixture::noise::Silent;
use crate::fixture::noise::context;
use crate::fixture::noise::plain;
use crate::fixture::noise::plan;
use crate::fixture::noise::policy;
use crate::fixture::noise::visits;
use crate::fixture::noise::world;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::fixture::zones::zones;
use crate::guard::tests::ADMITTED;
use crate::guard::tests::REFUSED;
use crate::noise::BYTES_AT_ONCE;
use crate::noise::NoiseSource;
use crate::plan::GuardedPlan;
use crate::reason::Reason;
use crate::verdict::Decision;

mod days;
mod folds;
mod open_tables;

/// The names of one cell's value: bytes of each name and measure, with the coefficient.
type Named = BTreeMap<Vec<u8>, i64>;

/// The names of the only atom of each statement are those of the first of its list, and no two lists have the same.
fn each_list_has_names_of_its_own(spellings: &[&[&str]]) {
    let policy = policy();
    let mut known = BTreeSet::new();
    for spelled in spellings {
        let wanted = names_of(&policy, spelled[0], &[]);
        assert!(!wanted.is_empty(), "{}", spelled[0]);
        for other in *spelled {
            assert_eq!(names_of(&policy, other, &[]), wanted, "{}\n{other}", spelled[0]);
        }
        assert!(known.insert(wanted), "{}", spelled[0]);
    }
}

fn reasons(sql: &str) -> Vec<Reason> {
    reasons_under(&policy(), sql)
}

fn reasons_under(policy: &EffectivePolicy, sql: &str) -> Vec<Reason> {
    match review_under(policy, sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.reason).collect(),
    }
}

/// The names of the last atom of a statement's only stage, in the group with these keys.
fn names_of(policy: &EffectivePolicy, sql: &str, keys: &[ScalarValue]) -> Named {
    names_in(&plan(policy, sql), sql, keys)
}

fn names_in(plan: &GuardedPlan, sql: &str, keys: &[ScalarValue]) -> Named {
    let (bases, stages): (Vec<_>, Vec<_>) = plan.stages().iter().partition(|stage| stage.is_base);
    let [stage] = stages.as_slice() else { panic!("{sql}: one stage") };
    assert!(bases.len() <= 1, "{sql}");
    let cells = stage.names.as_ref().unwrap();
    let atom = cells.atoms.last().unwrap();
    let names = cells.of(atom, keys).unwrap_or_else(|| panic!("{sql}: the group has names"));
    names
        .terms()
        .map(|(name, coefficient)| {
            let mut bytes = cells.bytes(name);
            crate::cell_names::put(&mut bytes, atom.measure.as_bytes());
            (bytes, coefficient)
        })
        .collect()
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

#[test]
fn rows_that_meet_released_values_have_no_names() {
    for sql in [
        "SELECT COUNT(*) FROM persons p JOIN (SELECT DISTINCT dept FROM persons WHERE dept = 'tax') r ON p.dept = r.dept",
        "SELECT COUNT(*) FROM persons WHERE dept IN (SELECT DISTINCT dept FROM persons WHERE sex = 'f')",
        "SELECT COUNT(*) FROM visits v WHERE v.person_id IN (SELECT p.person_id FROM persons p JOIN (SELECT DISTINCT day FROM visits) r ON p.age = r.day)",
    ] {
        assert_eq!(reasons(sql), [Reason::RowsWithoutNames], "{sql}");
    }
}

#[test]
fn no_question_of_the_corpus_is_a_fault_of_the_guard_under_noise() {
    for sql in ADMITTED.iter().chain(REFUSED.iter().map(|(sql, _)| sql)) {
        let faults = reasons(sql).into_iter().filter(|reason| reason.code() == Code::InternalError);
        assert_eq!(faults.collect::<Vec<_>>(), [], "{sql}");
    }
}

#[test]
fn every_spelling_of_one_cell_has_its_names() {
    let policy = policy();
    let spellings: &[&[&str]] = &[
        &[
            "SELECT COUNT(*) FROM persons WHERE dept = 'tax'",
            "SELECT COUNT(*) FROM persons WHERE dept IN ('tax')",
            "SELECT COUNT(*) FROM persons WHERE NOT dept <> 'tax'",
            "SELECT COUNT(*) FROM persons p WHERE p.dept > 'ops'",
            "SELECT COUNT(*) FROM (SELECT dept AS d FROM persons) x WHERE d = 'tax'",
            "SELECT COUNT(*) FILTER (WHERE dept = 'tax') FROM persons",
            "SELECT COUNT(CASE WHEN dept = 'tax' THEN 1 END) FROM persons",
            "SELECT SUM(CASE WHEN dept = 'tax' THEN 1 ELSE 0 END) FROM persons",
            "SELECT COUNT(DISTINCT person_id) FROM persons WHERE dept = 'tax'",
            "SELECT COUNT(*) FROM persons WHERE dept = 'tax' OR (dept = 'tax' AND sex = 'f')",
            "SELECT COUNT(*) FROM persons WHERE dept = 'tax' AND (sex IS NULL OR sex IS NOT NULL)",
            "SELECT COUNT(*) FROM persons WHERE CASE WHEN sex = 'f' THEN dept = 'tax' ELSE dept IN ('tax') END",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE dept <> 'tax'",
            "SELECT COUNT(*) FROM persons WHERE dept IN ('ops', 'art', 'law', 'eng')",
            "SELECT COUNT(*) FROM persons WHERE NOT (dept = 'tax')",
            "SELECT COUNT(*) FROM persons WHERE dept < 'tax'",
            "SELECT COUNT(*) FROM persons WHERE dept IS NOT NULL AND dept <> 'tax'",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE zip LIKE '10%'",
            "SELECT COUNT(*) FROM persons WHERE zip IN ('1000', '1001', '1010')",
            "SELECT COUNT(*) FROM persons WHERE zip < '2000'",
            "SELECT COUNT(*) FROM persons WHERE NOT zip >= '2000'",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE hire >= DATE '2001-01-01' AND hire < DATE '2002-01-01'",
            "SELECT COUNT(*) FROM persons WHERE hire BETWEEN DATE '2001-01-01' AND DATE '2001-12-31'",
            "SELECT COUNT(*) FROM persons WHERE EXTRACT(YEAR FROM hire) = 2001",
            "SELECT COUNT(*) FROM persons WHERE date_trunc('year', hire) = DATE '2001-01-01'",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE salary >= 20000 AND salary < 60000",
            "SELECT COUNT(*) FROM persons WHERE NOT (salary < 20000) AND NOT (salary >= 60000)",
            "SELECT COUNT(*) FROM persons WHERE salary BETWEEN 20000 AND 59999",
            "SELECT COUNT(*) FILTER (WHERE salary < 60000) FROM persons WHERE salary >= 20000",
        ],
        &[
            "SELECT SUM(salary) FROM persons WHERE sex = 'f'",
            "SELECT SUM(salary) FROM persons WHERE sex = 'f' AND salary IS NOT NULL",
            "SELECT SUM(CASE WHEN sex = 'f' THEN salary ELSE 0 END) FROM persons",
            "SELECT SUM(salary * 2) FROM persons WHERE NOT sex <> 'f'",
        ],
    ];
    for spelled in spellings {
        let (first, others) = spelled.split_first().unwrap();
        let wanted = names_of(&policy, first, &[]);
        assert!(!wanted.is_empty());
        for other in others {
            assert_eq!(names_of(&policy, other, &[]), wanted, "{first}\n{other}");
        }
    }
}

#[test]
fn a_look_up_by_a_unit_key_is_a_condition_on_the_row() {
    let policy = policy();
    let spellings: &[&[&str]] = &[
        &[
            "SELECT COUNT(*) FROM visits v JOIN persons p ON p.person_id = v.person_id WHERE p.dept = 'tax'",
            "SELECT COUNT(*) FROM persons p JOIN visits v ON p.person_id = v.person_id AND p.dept = 'tax'",
            "SELECT COUNT(*) FROM persons p, visits v WHERE v.person_id = p.person_id AND NOT p.dept <> 'tax'",
            "SELECT COUNT(*) FROM visits v WHERE EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id AND p.dept = 'tax')",
            "SELECT COUNT(*) FROM visits v WHERE v.person_id IN (SELECT person_id FROM persons WHERE dept = 'tax')",
            "SELECT COUNT(*) FILTER (WHERE p.dept = 'tax') FROM visits v JOIN persons p USING (person_id)",
        ],
        &[
            "SELECT SUM(v.cost) FROM visits v JOIN persons p USING (person_id) WHERE p.sex = 'f' AND v.day = 3",
            "SELECT SUM(v.cost) FROM visits v WHERE v.day = 3 AND v.person_id IN (SELECT person_id FROM persons WHERE sex = 'f')",
        ],
        &[
            "SELECT COUNT(*) FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id AND p.dept = 'tax')",
            "SELECT COUNT(*) FROM visits v LEFT ANTI JOIN persons p ON p.person_id = v.person_id AND p.dept = 'tax'",
        ],
    ];
    for spelled in spellings {
        let (first, others) = spelled.split_first().unwrap();
        let wanted = names_of(&policy, first, &[]);
        for other in others {
            assert_eq!(names_of(&policy, other, &[]), wanted, "{first}\n{other}");
        }
    }
    let others = [
        "SELECT COUNT(*) FROM visits",
        "SELECT COUNT(*) FROM visits v JOIN persons p USING (person_id)",
        "SELECT COUNT(*) FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id)",
        "SELECT COUNT(*) FROM visits v JOIN persons p USING (person_id) WHERE p.dept = 'tax'",
        "SELECT COUNT(*) FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id AND p.dept = 'tax')",
        "SELECT COUNT(*) FROM visits v JOIN persons p USING (person_id) WHERE v.day = 3",
        "SELECT COUNT(*) FROM visits v WHERE v.day = 3",
    ];
    let all: BTreeSet<Named> = others.iter().map(|sql| names_of(&policy, sql, &[])).collect();
    assert_eq!(all.len(), others.len(), "other rows have other names");
}

#[test]
fn a_group_is_the_cell_of_its_key() {
    let policy = policy();
    let cells: &[(&str, ScalarValue, &str)] = &[
        ("SELECT dept, COUNT(*) FROM persons GROUP BY dept", text("law"), "dept = 'law'"),
        ("SELECT dept, COUNT(*) FROM persons GROUP BY dept", ScalarValue::Utf8(None), "dept IS NULL"),
        (
            "SELECT CASE WHEN dept = 'tax' THEN 'a' ELSE 'b' END, COUNT(*) FROM persons GROUP BY 1",
            text("b"),
            "dept <> 'tax' OR dept IS NULL",
        ),
        (
            "SELECT CASE WHEN dept = 'tax' AND sex = 'f' THEN 'a' ELSE 'b' END, COUNT(*) FROM persons GROUP BY 1",
            text("a"),
            "dept = 'tax' AND sex = 'f'",
        ),
        (
            "SELECT substring(zip, 1, 3), COUNT(*) FROM persons GROUP BY 1",
            text("100"),
            "zip IN ('1000', '1001')",
        ),
        (
            "SELECT EXTRACT(YEAR FROM hire), COUNT(*) FROM persons GROUP BY 1",
            ScalarValue::Int32(Some(2001)),
            "hire >= DATE '2001-01-01' AND hire < DATE '2002-01-01'",
        ),
        (
            "SELECT age, COUNT(*) FROM persons WHERE age >= 20 GROUP BY age",
            ScalarValue::Int64(Some(30)),
            "age >= 30 AND age < 40",
        ),
    ];
    for (grouped, key, filtered) in cells {
        let group = names_of(&policy, grouped, std::slice::from_ref(key));
        let filter = names_of(&policy, &format!("SELECT COUNT(*) FROM persons WHERE {filtered}"), &[]);
        assert_eq!(group, filter, "{grouped}\n{filtered}");
    }
}

#[test]
fn other_rows_have_other_names() {
    let policy = policy();
    let sqls = [
        "SELECT COUNT(*) FROM persons",
        "SELECT COUNT(*) FROM persons WHERE dept IS NOT NULL",
        "SELECT COUNT(*) FROM persons WHERE dept IS NULL",
        "SELECT COUNT(*) FROM persons WHERE dept = 'tax'",
        "SELECT COUNT(*) FROM persons WHERE dept = 'tax' OR dept IS NULL",
        "SELECT COUNT(*) FROM persons WHERE dept = 'tax' AND sex = 'f'",
        "SELECT COUNT(*) FROM persons WHERE dept = 'tax' AND sex IS NOT NULL",
        "SELECT COUNT(*) FROM persons WHERE hire >= DATE '2001-01-01'",
        "SELECT COUNT(*) FROM persons WHERE hire > DATE '2001-01-01'",
        "SELECT COUNT(*) FROM persons WHERE age >= 30",
        "SELECT COUNT(*) FROM persons WHERE age >= 40",
        "SELECT COUNT(*) FROM persons WHERE salary >= 20000",
        "SELECT SUM(salary) FROM persons",
        "SELECT SUM(salary) FROM persons WHERE salary >= 20000",
        "SELECT SUM(age) FROM persons",
        "SELECT COUNT(*) FROM visits",
        "SELECT COUNT(DISTINCT person_id) FROM visits",
        "SELECT COUNT(*) FROM visits WHERE day = 3",
    ];
    let mut known: BTreeMap<(String, Named), &str> = BTreeMap::new();
    for sql in sqls {
        let family = if sql.contains("visits") { "visits" } else { "persons" };
        // A count of rows and one of subjects differ in what is counted, which the value of COUNT(DISTINCT) has not as measure.
        if sql.contains("DISTINCT") {
            continue;
        }
        let before = known.insert((family.to_owned(), names_of(&policy, sql, &[])), sql);
        assert_eq!(before, None, "{sql}");
    }
}

#[test]
fn another_declaration_or_mask_is_another_name() {
    let changes: [fn(&mut EffectivePolicy); 4] = [
        |policy| column(policy, "dept").domain.as_mut().unwrap().push("war".to_owned()),
        |policy| column(policy, "age").range = Some((Fixed::from_i64(0), Fixed::from_i64(90))),
        |policy| column(policy, "salary").bins = Some(Fixed::from_i64(10_000)),
        |policy| column(policy, "salary").range = Some((Fixed::from_i64(0), Fixed::from_i64(100_000))),
    ];
    let asked = [
        "SELECT COUNT(*) FROM persons WHERE dept IS NULL",
        "SELECT COUNT(*) FROM persons WHERE age >= 90",
        "SELECT COUNT(*) FROM persons WHERE salary >= 80000",
        "SELECT SUM(salary) FROM persons",
    ];
    for (change, sql) in changes.iter().zip(asked) {
        let mut changed = policy();
        change(&mut changed);
        assert_ne!(names_of(&changed, sql, &[]), names_of(&policy(), sql, &[]), "{sql}");
    }
    // A mask that shows the same rows is the same cell: noise is of rows and not of what is shown.
    let mut masked = policy();
    column(&mut masked, "zip").mask = Some(Mask::Partial { keep_first: 1, keep_last: 0 });
    let shown = names_of(&masked, "SELECT zip, COUNT(*) FROM persons GROUP BY zip", &[text("1***")]);
    assert_eq!(shown, names_of(&policy(), "SELECT COUNT(*) FROM persons WHERE zip < '2000'", &[]));
}

fn column<'p>(
    policy: &'p mut EffectivePolicy,
    name: &str,
) -> &'p mut obscura_policies::effective::EffectiveColumn {
    let persons = policy.datasets.get_mut(&"corpus.persons".parse::<DatasetId>().unwrap()).unwrap();
    persons.columns.iter_mut().find(|column| column.name == name).unwrap()
}

#[test]
fn what_has_no_names_is_refused_with_its_reason() {
    let refused: &[(&str, Reason)] = &[
        ("SELECT COUNT(*) FROM persons WHERE diag = 'flu'", Reason::DomainNotPublished),
        ("SELECT diag, COUNT(*) FROM persons GROUP BY diag", Reason::DomainNotPublished),
        ("SELECT COUNT(*) FROM persons WHERE hire > birth", Reason::ConditionWithoutNames),
        (
            "SELECT COUNT(DISTINCT v.person_id) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id",
            Reason::RowsWithoutNames,
        ),
    ];
    for (sql, reason) in refused {
        assert_eq!(reasons(sql), [*reason], "{sql}");
    }
    assert_eq!(reasons("SELECT COUNT(diag) FROM persons WHERE diag IS NOT NULL"), []);
}

#[test]
fn a_look_up_without_noise_is_the_count_of_plain_rows() {
    are_counts_of_plain_rows(&[
        "SELECT COUNT(*) FROM visits v JOIN persons p ON p.person_id = v.person_id WHERE p.dept = 'tax'",
        "SELECT COUNT(*) FROM visits v JOIN persons p ON p.person_id = v.person_id AND p.age >= 40",
        "SELECT COUNT(DISTINCT v.person_id) FROM visits v JOIN persons p ON p.person_id = v.person_id WHERE v.day < 20",
        "SELECT COUNT(*) FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.person_id = v.person_id AND p.sex = 'f')",
        "SELECT COUNT(*) FROM visits v WHERE v.person_id IN (SELECT person_id FROM persons WHERE zip LIKE '10%')",
    ]);
}

/// Each statement's only number is, without noise, that of a plain engine over persons in their domains and their visits.
fn are_counts_of_plain_rows<S: AsRef<str>>(sqls: &[S]) {
    let mut rows = world(1_500, 1);
    rows.insert("corpus.visits", vec![vec![visits(1_500)]]);
    let session = plain(&rows);
    let table =
        datafusion::catalog::MemTable::try_new(visits(1).schema(), rows["corpus.visits"].clone()).unwrap();
    session.register_table("visits", Arc::new(table)).unwrap();
    rows.insert("corpus.zones", vec![vec![zones()]]);
    let table =
        datafusion::catalog::MemTable::try_new(zones().schema(), rows["corpus.zones"].clone()).unwrap();
    session.register_table("zones", Arc::new(table)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for sql in sqls {
        let sql = sql.as_ref();
        let batches = runtime.block_on(async {
            let counted = session.sql(&format!("{PLAIN} {sql}")).await.unwrap();
            counted.collect().await.unwrap()
        });
        let plain = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        let batch = released(sql, &rows, context(Arc::new(Silent), 1), 3);
        assert_eq!(
            batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [Some(plain)],
            "{sql}"
        );
    }
}

#[test]
fn a_row_filter_is_asked_of_raw_values_and_makes_other_names() {
    let rows = world(3_000, 1);
    let raw = &rows["corpus.persons"][0][0];
    let dept = raw.column_by_name("dept").unwrap().as_string::<i32>();
    let age = raw.column_by_name("age").unwrap().as_primitive::<Int64Type>();
    let filters: [(&str, usize); 2] = [
        ("dept IS NULL OR dept <> 'off'", dept.iter().filter(|dept| *dept != Some("off")).count()),
        ("age < 125", age.iter().flatten().filter(|age| *age < 125).count()),
    ];
    let sql = "SELECT COUNT(*) FROM persons";
    for (filter, kept) in filters {
        let mut filtered = policy();
        let persons = filtered.datasets.get_mut(&"corpus.persons".parse::<DatasetId>().unwrap()).unwrap();
        persons.row_filters.push(RowFilter { sql: filter.to_owned(), jurisdiction: true });
        let batch = run_with(&plan(&filtered, sql), &rows, context(Arc::new(Silent), 1), 1).unwrap();
        let counted = batch.column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(usize::try_from(counted).unwrap(), kept, "{filter}");
        assert_ne!(names_of(&filtered, sql, &[]), names_of(&policy(), sql, &[]), "{filter}");
    }
}

#[test]
fn the_presence_of_columns_is_no_further_draw_of_all() {
    // Columns that are never missing: each count is that of all people, and all of them have its noise.
    let policy = policy();
    let all = names_of(&policy, "SELECT COUNT(*) FROM persons", &[]);
    let (root, _) = all.first_key_value().unwrap();
    for sql in [
        "SELECT COUNT(diag) FROM persons",
        "SELECT COUNT(*) FROM persons WHERE diag IS NOT NULL",
        "SELECT COUNT(*) FROM visits v JOIN persons p USING (person_id) WHERE p.diag IS NOT NULL",
    ] {
        let names = names_of(&policy, sql, &[]);
        let of_all = match sql.contains("visits") {
            true => names_of(&policy, "SELECT COUNT(*) FROM visits", &[]).into_keys().next().unwrap(),
            false => root.clone(),
        };
        assert_eq!(names.get(&of_all), Some(&1), "{sql}");
    }
}

fn released(sql: &str, rows: &Rows, context: ExecutionContext, partitions: usize) -> RecordBatch {
    run_with(&plan(&policy(), sql), rows, context, partitions)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[test]
fn an_answer_is_the_same_on_any_number_of_partitions() {
    let sql = "SELECT dept, sex, COUNT(*), AVG(salary), SUM(salary) FROM persons GROUP BY dept, sex";
    let once = released(sql, &world(4_000, 1), context(Arc::new(Mixed), 1), 1);
    assert!(once.num_rows() > 5);
    for partitions in [2, 7, 64] {
        let again = released(sql, &world(4_000, partitions), context(Arc::new(Mixed), 1), partitions);
        assert_eq!(again, once, "{partitions} partitions");
    }
}

#[test]
fn every_count_of_one_cell_is_one_number() {
    let rows = world(4_000, 2);
    let count = |sql: &str| {
        let batch = released(sql, &rows, context(Arc::new(Mixed), 1), 2);
        batch.columns().last().unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    let counted = count("SELECT COUNT(*) FROM persons WHERE dept = 'tax'");
    assert_eq!(count("SELECT COUNT(DISTINCT person_id) FROM persons WHERE NOT dept <> 'tax'"), counted);
    assert_eq!(count("SELECT SUM(CASE WHEN dept = 'tax' THEN 1 ELSE 0 END)::BIGINT FROM persons"), counted);
    assert_eq!(count("SELECT dept, COUNT(*) FROM persons GROUP BY dept HAVING dept = 'tax'"), counted);
    // The unperturbed number, by a source without noise, is another one.
    let silent =
        released("SELECT COUNT(*) FROM persons WHERE dept = 'tax'", &rows, context(Arc::new(Silent), 1), 2);
    assert_ne!(silent.column(0).as_primitive::<Int64Type>().values().to_vec(), counted);
}

#[test]
fn a_new_version_moves_the_noise_and_the_fixed_part_stays() {
    let rows = world(4_000, 2);
    let sql = "SELECT dept, COUNT(*) FROM persons GROUP BY dept";
    let of = |version| released(sql, &rows, context(Arc::new(Mixed), version), 2);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    // Published once: the version has no part in it.
    let mut once = policy();
    once.datasets.values_mut().for_each(|dataset| dataset.is_updated = false);
    let of = |version| run_with(&plan(&once, sql), &rows, context(Arc::new(Mixed), version), 2).unwrap();
    assert_eq!(of(1), of(2));
}

#[test]
fn nothing_leaves_without_its_noise() {
    let rows = world(400, 1);
    let plan = plan(&policy(), "SELECT COUNT(*) FROM persons");
    let unbound = |context| matches!(run_with(&plan, &rows, context, 1), Err(ControlError::Unbound));
    assert!(unbound(ExecutionContext::default()));
    let versions = BTreeMap::new();
    assert!(unbound(ExecutionContext { versions, ..context(Arc::new(Mixed), 1) }));
    #[derive(Debug)]
    struct NoKey;
    impl NoiseSource for NoKey {
        fn fill(&self, _: &DatasetId, _: &[u8], _: u32, _: &mut [u8; BYTES_AT_ONCE]) -> bool {
            false
        }
    }
    assert!(unbound(context(Arc::new(NoKey), 1)));
    // A deviation of zero, and one that is no rung, are no noise.
    for deviation in [0, 5] {
        let mut policy = policy();
        policy.floors.values_mut().for_each(|floor| floor.controls.perturbation = Some(deviation));
        let plan = crate::fixture::noise::plan(&policy, "SELECT COUNT(*) FROM persons");
        let released = run_with(&plan, &rows, context(Arc::new(Mixed), 1), 1);
        assert!(matches!(released, Err(ControlError::Unbound)), "{deviation}");
    }
}

#[test]
fn the_threshold_is_one_of_perturbed_numbers() {
    // k is 30 and the deviation 4.5: under 30 people nothing shows, from 48 on all does, and in between the noise decides.
    let mut of_thirty = policy();
    of_thirty.floors.values_mut().for_each(|floor| floor.controls.subjects_min = 30);
    let plan = plan(&of_thirty, "SELECT COUNT(*) FROM persons");
    let shown = |people: i64| {
        let rows = world(people, 1);
        let is_shown = |version: &u8| {
            let batch = run_with(&plan, &rows, context(Arc::new(Mixed), *version), 1).unwrap();
            batch.column(0).is_valid(0)
        };
        (0..60_u8).filter(is_shown).count()
    };
    assert_eq!(shown(29), 0, "what passes implies k");
    assert!((1..60).contains(&shown(39)));
    assert_eq!(shown(48), 60);
}

#[test]
fn a_number_that_its_noise_makes_useless_is_withheld() {
    let mut noisy = policy();
    noisy.floors.values_mut().for_each(|floor| {
        floor.controls.perturbation = floor.controls.perturbation.map(|_| 16);
        floor.controls.subjects_min = 1;
    });
    // Deviation 16 and twice that for versions is 35.8: a count under 120 says nothing.
    let sql = "SELECT COUNT(*) FROM persons WHERE dept = 'art'";
    let count = |people| {
        let batch = run_with(&plan(&noisy, sql), &world(people, 1), context(Arc::new(Silent), 1), 1).unwrap();
        batch.column(0).is_null(0)
    };
    assert!(count(700));
    assert!(!count(1_400));
}

/// Conditions over the persons, each as the guard is asked and as plain rows are.
fn condition() -> impl Strategy<Value = String> {
    let quoted =
        |values: Vec<&str>| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
    let subset = |all: &'static [&'static str]| prop::sample::subsequence(all, 1..all.len());
    let leaf = prop_oneof![
        (subset(&["art", "eng", "law", "ops", "tax"]), any::<bool>()).prop_map(move |(list, not)| {
            format!("dept {}IN ({})", if not { "NOT " } else { "" }, quoted(list))
        }),
        (subset(&["f", "m"]), any::<bool>()).prop_map(move |(list, not)| {
            format!("sex {} {}", if not { "<>" } else { "=" }, quoted(list))
        }),
        Just("sex IS NULL".to_owned()),
        Just("dept IS NOT NULL".to_owned()),
        prop::sample::select(vec!["zip LIKE '10%'", "zip >= '2000'", "zip IN ('1000', '2001')"])
            .prop_map(str::to_owned),
        (prop::sample::select(vec![">=", "<"]), 1_i64..12)
            .prop_map(|(op, edge)| format!("age {op} {}", edge * 10)),
        (prop::sample::select(vec![">=", "<"]), 1_i64..9)
            .prop_map(|(op, edge)| format!("salary {op} {}", edge * 20_000)),
        (prop::sample::select(vec![">=", "<", "<=", ">"]), 1975_i64..2010)
            .prop_map(|(op, year)| format!("hire {op} DATE '{year}-01-01'")),
        (1975_i64..2010).prop_map(|year| format!("EXTRACT(YEAR FROM hire) = {year}")),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) OR ({b})")),
        ]
    })
}

const PLAIN: &str = "WITH persons AS (SELECT person_id, \
    CASE WHEN dept IN ('art', 'eng', 'law', 'ops', 'tax') THEN dept END AS dept, sex, \
    CASE WHEN zip IN ('1000', '1001', '1010', '2000', '2001', '2002') THEN zip END AS zip, \
    CASE WHEN age > 120 THEN 120 ELSE age END / 10 * 10 AS age, \
    CASE WHEN salary > 200000 THEN 200000 ELSE salary END AS salary, hire FROM raw)";

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// The invariant of named noise: two conditions of the same names have the same rows.
    #[test]
    fn the_same_names_are_the_same_rows(first in condition(), second in condition()) {
        let policy = policy();
        let rows = world(1_500, 1);
        let session = plain(&rows);
        let ids = |condition: &str| {
            let sql = format!("{PLAIN} SELECT person_id FROM persons WHERE {condition}");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let batches = runtime.block_on(async { session.sql(&sql).await.unwrap().collect().await.unwrap() });
            let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            ids.collect::<BTreeSet<i64>>()
        };
        let sql = |condition: &str| format!("SELECT COUNT(*) FROM persons WHERE {condition}");
        // Nothing where a limit or another rule refuses the condition: too many comparisons or names, or two lists of one value.
        let of = |condition: &str| match review_under(&policy, &sql(condition)).decision {
            Decision::Admitted(plan) => Some(names_in(&plan, condition, &[])),
            Decision::Refused { findings, .. } => {
                let known = [Reason::ListsOfOneValue, Reason::TooManyComparisons, Reason::TooManyLiterals, Reason::TooManyNames, Reason::TooManyColumnsMeet];
                assert!(findings.iter().all(|finding| known.contains(&finding.reason)), "{condition}: {findings:?}");
                None
            }
        };
        let (Some(a), Some(b)) = (of(&first), of(&second)) else { return Ok(()) };
        prop_assert!(a != b || ids(&first) == ids(&second), "the same names and other rows");
        let is = |written: String, names: &Named| of(&written).is_none_or(|found| found == *names);
        assert!(is(format!("NOT (NOT ({first}))"), &a), "the same rows and other names: {first} | {second}");
        assert!(is(format!("({first}) AND ({first})"), &a), "the same rows and other names: {first} | {second}");
        assert!(is(format!("({first}) AND (({first}) OR ({second}))"), &a), "the same rows and other names: {first} | {second}");
        if let Some(both) = of(&format!("({first}) OR ({second})")) {
            assert!(is(format!("NOT (NOT ({second}) AND NOT ({first}))"), &both), "the same rows and other names: {first} | {second}");
        }
        // Without noise a count is that of plain rows.
        let batch = released(&sql(&first), &rows, context(Arc::new(Silent), 1), 1);
        let counted = batch.column(0).as_primitive::<Int64Type>();
        if counted.is_valid(0) {
            prop_assert_eq!(usize::try_from(counted.value(0)).unwrap(), ids(&first).len());
        }
    }
}

#[test]
fn noise_has_the_deviation_that_is_stated() {
    // Over many versions the mean of the errors is near zero and their square near the variance: 4 fixed, 16 of the version.
    let rows = world(3_000, 1);
    let sql = "SELECT COUNT(*) FROM persons";
    let errors: Vec<f64> = (0..=255_u8)
        .map(|version| {
            let batch = released(sql, &rows, context(Arc::new(Mixed), version), 1);
            let value = batch.column(0).as_primitive::<Int64Type>().value(0);
            f64::from(i32::try_from(value - 3_000).unwrap())
        })
        .collect();
    let mean = errors.iter().sum::<f64>() / 256.0;
    let square = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / 256.0;
    assert!(mean.abs() < 6.0, "one fixed draw of deviation 2 and the mean of many: {mean}");
    assert!((8.0..28.0).contains(&square), "variance 16 of the versions: {square}");
}

#[test]
fn a_unit_key_is_in_every_row_and_has_no_names() {
    let policy = policy();
    let wanted = names_of(&policy, "SELECT COUNT(*) FROM persons", &[]);
    for sql in [
        "SELECT COUNT(person_id) FROM persons",
        "SELECT COUNT(CASE WHEN person_id IS NOT NULL THEN 1 END) FROM persons",
        "SELECT COUNT(DISTINCT person_id) FROM persons",
    ] {
        assert_eq!(names_of(&policy, sql, &[]), wanted, "{sql}");
    }
}

#[test]
fn sums_under_two_masks_have_two_noises() {
    let masks = [
        Mask::Bin { width: Fixed::from_i64(10) },
        Mask::Bin { width: Fixed::from_i64(20) },
        Mask::TopBottom { bottom: None, top: Some(Fixed::from_i64(80)) },
        Mask::TopBottom { bottom: None, top: Some(Fixed::from_i64(90)) },
    ];
    let mut known = BTreeSet::new();
    for mask in masks {
        let mut masked = policy();
        column(&mut masked, "age").mask = Some(mask.clone());
        let names = names_of(&masked, "SELECT SUM(age) FROM persons", &[]);
        assert!(known.insert(names), "{mask:?}");
    }
}

#[test]
fn two_keys_of_one_kind_of_subjects_have_two_noises() {
    let mut policy = policy();
    let mut jobs =
        named("jobs").unwrap().datasets.remove(&"corpus.jobs".parse::<DatasetId>().unwrap()).unwrap();
    let kind = jobs.units[0].kind.clone();
    jobs.units.iter_mut().for_each(|unit| unit.kind = kind.clone());
    policy.datasets.insert(jobs.id.clone(), jobs);
    let plan = plan(&policy, "SELECT COUNT(DISTINCT person_id), COUNT(DISTINCT firm_id) FROM jobs");
    let names = plan.stages()[0].names.as_ref().unwrap();
    for atom in &names.atoms {
        assert_eq!(atom.subjects.iter().collect::<BTreeSet<_>>().len(), 2, "{:?}", atom.subjects);
    }
}

#[test]
fn the_remainder_of_a_sum_is_no_other_than_noise() {
    // Rounded to thousands, a sum whose noise is a multiple of 10,000 would be exact but for its ten thousands.
    let rows = world(4_000, 1);
    let sum = |source: Arc<dyn NoiseSource>, version| {
        let batch = released("SELECT SUM(salary) FROM persons", &rows, context(source, version), 1);
        batch.column(0).as_primitive::<Int64Type>().value(0)
    };
    let exact = sum(Arc::new(Silent), 0);
    let remainders: BTreeSet<i64> =
        (0..60).map(|version| (sum(Arc::new(Mixed), version) - exact).rem_euclid(10_000)).collect();
    assert_eq!(remainders.len(), 10, "{remainders:?}");
    // Two versions differ in more than whole units, or they would tell the change.
    let changes: BTreeSet<i64> = (1..60)
        .map(|version| (sum(Arc::new(Mixed), version) - sum(Arc::new(Mixed), 0)).rem_euclid(10_000))
        .collect();
    assert_eq!(changes.len(), 10, "{changes:?}");
}

#[test]
fn what_the_points_of_a_leaf_do_not_show_has_no_names() {
    // Each is false at the beginning, in the middle and at the end of every day: it would have no names, and no noise.
    for sql in [
        "SELECT COUNT(*) FROM visits WHERE EXTRACT(hour FROM at) = 9",
        "SELECT COUNT(*) FROM visits WHERE EXTRACT(hour FROM at) NOT IN (9, 10)",
        "SELECT COUNT(*) FILTER (WHERE EXTRACT(hour FROM at) BETWEEN 1 AND 11) FROM visits",
        "SELECT COUNT(*) FROM visits WHERE at >= TIMESTAMP '2019-05-01 01:00:00' AND at < TIMESTAMP '2019-05-01 11:00:00'",
        "SELECT COUNT(*) FROM visits WHERE at = TIMESTAMP '2019-05-01 01:00:00'",
        "SELECT CASE WHEN EXTRACT(hour FROM at) = 9 THEN 'a' ELSE 'b' END, COUNT(*) FROM visits GROUP BY 1",
    ] {
        let found = reasons(sql);
        let expected = [Reason::ConditionWithinNode, Reason::DomainNotPublished];
        assert!(
            !found.is_empty() && found.iter().all(|reason| expected.contains(reason)),
            "{sql}: {found:?}"
        );
    }
}

#[test]
fn a_day_of_a_point_in_time_has_its_names_in_every_spelling() {
    let policy = policy();
    let spellings: &[&[&str]] = &[
        &[
            "at >= DATE '2019-05-01' AND at < DATE '2019-06-01'",
            "date_trunc('month', at) = DATE '2019-05-01'",
            "EXTRACT(year FROM at) = 2019 AND EXTRACT(month FROM at) = 5",
            "CAST(at AS DATE) BETWEEN DATE '2019-05-01' AND DATE '2019-05-31'",
            "NOT (at < TIMESTAMP '2019-05-01 00:00:00' OR at >= TIMESTAMP '2019-06-01 00:00:00')",
        ],
        &[
            "cost >= 200 AND cost < 500",
            "NOT (cost < 200) AND NOT (cost >= 500)",
            "floor(cost / 100) * 100 IN (200, 300, 400)",
            "floor(cost / 100) * 100 BETWEEN 200 AND 400",
        ],
    ];
    for spelled in spellings {
        let of =
            |filter: &str| names_of(&policy, &format!("SELECT COUNT(*) FROM visits WHERE {filter}"), &[]);
        let wanted = of(spelled[0]);
        assert!(!wanted.is_empty());
        for other in *spelled {
            assert_eq!(of(other), wanted, "{other}");
        }
    }
    let grouped = "SELECT cost >= 500, COUNT(*) FROM visits GROUP BY 1";
    let key = ScalarValue::Boolean(Some(true));
    let filtered = names_of(&policy, "SELECT COUNT(*) FROM visits WHERE cost >= 500", &[]);
    assert_eq!(names_of(&policy, grouped, &[key]), filtered);
}

#[test]
fn bins_begin_where_the_range_does() {
    for (low, high) in [(500, 200_500), (-200_500, 200_000), (0, 200_000)] {
        let mut changed = policy();
        column(&mut changed, "salary").range = Some((Fixed::from_i64(low), Fixed::from_i64(high)));
        let sql = format!("SELECT COUNT(*) FROM persons WHERE salary >= {}", low + 20_000);
        assert!(!names_of(&changed, &sql, &[]).is_empty(), "{sql}");
    }
}

/// Statements in which two columns meet in one number; `{a}` and `{b}` are conditions on one of them each.
const MEETINGS: [&str; 10] = [
    "SELECT COUNT(*) FROM persons WHERE {a} AND {b}",
    "SELECT COUNT(*) FILTER (WHERE {a}) FROM persons WHERE {b}",
    "SELECT SUM(CASE WHEN {a} AND NOT ({b}) THEN 1 END) FROM persons",
    "SELECT {a}, COUNT(*) FROM persons WHERE {b} GROUP BY 1",
    "SELECT {a}, {b}, COUNT(*) FROM persons GROUP BY 1, 2",
    "SELECT CASE WHEN {a} THEN 'x' WHEN {b} THEN 'y' ELSE 'z' END, COUNT(*) FROM persons GROUP BY 1",
    "SELECT AVG(salary) FROM persons WHERE {a} OR {b}",
    "SELECT {a}, COUNT(*) FROM persons GROUP BY 1 HAVING COUNT(*) FILTER (WHERE {b}) > 20",
    "SELECT COUNT(*) FROM (SELECT * FROM persons WHERE {a}) p WHERE {b}",
    "WITH chosen AS (SELECT * FROM persons WHERE {a}) SELECT COUNT(*) FROM chosen WHERE {b}",
];

#[test]
fn columns_meet_in_no_spelling_that_their_policy_does_not_open_together() {
    let policy = named("cubes").unwrap();
    let conditions =
        [("dept", "dept = 'tax'"), ("sex", "sex = 'f'"), ("age", "age < 30"), ("zip", "zip LIKE '10%'")];
    let mut admitted = 0;
    for (first, a) in conditions {
        for (second, b) in conditions.into_iter().filter(|(second, _)| *second != first) {
            let is_open = [["dept", "sex"], ["age", "zip"]]
                .iter()
                .any(|set| set.contains(&first) && set.contains(&second));
            for meeting in MEETINGS {
                let sql = meeting.replace("{a}", a).replace("{b}", b);
                let wanted: &[Reason] = if is_open { &[] } else { &[Reason::ColumnsNotOpenedTogether] };
                assert_eq!(reasons_under(&policy, &sql), wanted, "{sql}");
                admitted += usize::from(is_open);
            }
        }
    }
    assert_eq!(admitted, 4 * MEETINGS.len());
    // Tables of a join are judged each by itself, and what is looked up is its key.
    for sql in [
        "SELECT dept, age, COUNT(*) FROM persons GROUP BY ROLLUP (dept, age)",
        "SELECT MEDIAN(salary) FROM persons WHERE dept = 'tax' AND age < 30",
        "SELECT p.dept, COUNT(*) FROM visits v JOIN persons p ON p.person_id = v.person_id WHERE p.age < 30 GROUP BY p.dept",
        "SELECT p.dept, SUM(v.cost) FROM visits v JOIN persons p ON p.person_id = v.person_id WHERE p.age < 30 GROUP BY p.dept",
        "SELECT dept, COUNT(*) FROM persons p WHERE p.age < 30 AND EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id) GROUP BY dept",
        "SELECT z.district, p.dept, COUNT(*) FROM persons p JOIN zones z ON z.zip = p.zip GROUP BY 1, 2",
        "SELECT COUNT(*) FROM persons WHERE CASE WHEN dept = 'tax' THEN age < 30 ELSE sex = 'f' END",
    ] {
        assert_eq!(reasons_under(&policy, sql), [Reason::ColumnsNotOpenedTogether], "{sql}");
    }
    // Each number is judged by itself, and a secret meets any set.
    for sql in [
        "SELECT COUNT(*) FILTER (WHERE dept = 'tax'), COUNT(*) FILTER (WHERE age < 30) FROM persons",
        "SELECT age, zip, COUNT(*) FROM persons WHERE salary < 40000 GROUP BY age, zip",
        "SELECT dept, age, COUNT(*) FROM persons GROUP BY GROUPING SETS ((dept), (age))",
        "SELECT COUNT(*) FROM persons WHERE dept = 'tax' AND (age < 30 OR age >= 30 OR age IS NULL)",
    ] {
        assert_eq!(reasons_under(&policy, sql), [], "{sql}");
    }
}

#[test]
fn of_two_secrets_one_meets_any_and_the_other_its_own_set() {
    let mut policy = policy();
    let sets = [&["dept", "sex"][..], &["age", "salary"]];
    let sets = sets.map(|set| set.iter().map(ToString::to_string).collect());
    let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
    persons.controls.cubes = Cubes::new(None, Some(sets.into()));
    let asked =
        |condition: &str| reasons_under(&policy, &format!("SELECT COUNT(*) FROM persons WHERE {condition}"));
    let (salary, diag) = ("salary < 40000", "diag IS NOT NULL");
    for open in ["dept = 'tax' AND sex = 'f'", "age < 30"] {
        for secret in [salary, diag] {
            assert_eq!(asked(&format!("{open} AND {secret}")), [], "{open} {secret}");
        }
    }
    // Either of the two is the one that meets any.
    assert_eq!(asked(&format!("age < 30 AND {salary} AND {diag}")), []);
    assert_eq!(asked(&format!("{salary} AND {diag}")), []);
    assert_eq!(asked(&format!("dept = 'tax' AND {salary} AND {diag}")), [Reason::ColumnsNotOpenedTogether]);
}

#[test]
fn the_largest_part_that_may_meet_is_told() {
    let told = |columns_max: Option<u32>, sets: Option<&[&[&str]]>, sql: &str| {
        let mut policy = policy();
        let set = |set: &&[&str]| set.iter().map(ToString::to_string).collect();
        let sets = sets.map(|sets| sets.iter().map(set).collect());
        let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
        persons.controls.cubes = Cubes::new(columns_max, sets);
        match review_under(&policy, sql).decision {
            Decision::Admitted(_) => None,
            Decision::Refused { findings, .. } => findings[0].help.clone().map(|help| help.en),
        }
    };
    let sql = "SELECT dept, COUNT(*) FROM persons WHERE age < 30 AND sex = 'f' GROUP BY dept";
    let use_only = |columns: &str| Some(format!("use only {columns} in one number"));
    assert_eq!(told(None, Some(&[&["age", "sex"], &["dept"]]), sql), use_only("age, sex"));
    assert_eq!(told(Some(2), None, sql), Some("use at most 2 of age, dept, sex in one number".to_owned()));
    assert_eq!(
        told(Some(1), Some(&[&["age", "sex"]]), sql),
        Some("use at most 1 of age, sex in one number".to_owned())
    );
    assert_eq!(told(None, Some(&[&["zip"]]), sql), Some("ask without these columns".to_owned()));
    assert_eq!(told(Some(3), Some(&[&["age", "dept", "sex", "zip"]]), sql), None);
}

#[test]
fn three_columns_meet_and_one_secret_one() {
    let meet = |sql: &str, may: bool| {
        let wanted: &[Reason] = if may { &[] } else { &[Reason::TooManyColumnsMeet] };
        assert_eq!(reasons(sql), wanted, "{sql}");
    };
    meet(
        "SELECT dept, sex, COUNT(*) FROM persons WHERE age < 30 AND salary < 40000 GROUP BY dept, sex",
        true,
    );
    meet(
        "SELECT dept, sex, COUNT(*) FROM persons WHERE age < 30 AND zip LIKE '10%' GROUP BY dept, sex",
        false,
    );
    meet(
        "SELECT COUNT(*) FILTER (WHERE dept = 'tax' AND sex = 'f' AND age < 30 AND zip LIKE '10%') FROM persons",
        false,
    );
    // The measure that is added up is no further column, whether it is cut or not; a second secret one is.
    meet(
        "SELECT dept, sex, age, AVG(salary), SUM(salary * salary) FROM persons GROUP BY dept, sex, age",
        true,
    );
    meet(
        "SELECT dept, sex, AVG(salary) FROM persons WHERE age < 30 AND salary < 40000 GROUP BY dept, sex",
        true,
    );
    meet("SELECT dept, sex, AVG(salary) FROM persons WHERE diag IS NOT NULL GROUP BY dept, sex", true);
    meet(
        "SELECT dept, sex, AVG(salary) FROM persons WHERE age < 30 AND diag IS NOT NULL GROUP BY dept, sex",
        false,
    );
    meet(
        "SELECT dept, sex, COUNT(*) FROM persons WHERE age < 30 AND salary < 40000 AND diag IS NOT NULL GROUP BY dept, sex",
        false,
    );
    // What drops out of a condition does not meet, however it is written.
    meet(
        "SELECT dept, sex, COUNT(*) FROM persons WHERE age < 30 AND (zip LIKE '10%' OR age < 30) GROUP BY dept, sex",
        true,
    );
    meet(
        "SELECT x.dept, x.sex, COUNT(*) FROM (SELECT dept, sex, age, zip FROM persons WHERE age < 30) x WHERE x.zip LIKE '10%' GROUP BY 1, 2",
        false,
    );
}
