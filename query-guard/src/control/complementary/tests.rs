//! Whole questions with several sets of keys, over a few rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::Int32Type;
use arrow::datatypes::Int64Type;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;

use crate::control::tests::people;
use crate::control::tests::world;
use crate::fixture::admitted;
use crate::fixture::execute::run;
use crate::fixture::execute::run_lying;
use crate::fixture::execute::run_with;
use crate::fixture::noise;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::plan::OutputRole;
use crate::reason::Reason;
use crate::verdict::Decision;

const FIVE: [(&str, usize); 5] = [("a", 60), ("b", 40), ("c", 50), ("d", 50), ("e", 50)];

fn asked(sql: &str, groups: &[(&'static str, usize)]) -> RecordBatch {
    run(&admitted(sql), &world(&people(groups), &[])).unwrap()
}

/// The rows as texts, in their order; a missing value is empty.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default();
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let row =
        |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn a_total_beside_five_parts_is_that_of_a_question_of_its_own() {
    let sql = "SELECT dept, COUNT(*) FROM persons GROUP BY ROLLUP (dept) ORDER BY dept";
    let together = rows(&asked(sql, &FIVE));
    let mut apart = rows(&asked("SELECT dept, COUNT(*) FROM persons GROUP BY dept ORDER BY dept", &FIVE));
    let total = rows(&asked("SELECT COUNT(*) FROM persons", &FIVE));
    apart.extend(total.iter().map(|total| format!(" {total}")));
    assert_eq!(together, apart);
}

#[test]
fn grouping_tells_a_total_from_a_group() {
    let sql = "SELECT dept, GROUPING(dept) AS g, COUNT(*) AS n FROM persons GROUP BY CUBE (dept) HAVING GROUPING(dept) = 1 OR COUNT(*) > 55 ORDER BY g";
    let batch = asked(sql, &FIVE);
    assert_eq!(rows(&batch), ["a 0 60", " 1 250"]);
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().values(), &[0, 1]);
    let plan = admitted(sql);
    let roles: Vec<OutputRole> = plan.treatments().iter().map(|treatment| treatment.role).collect();
    let post = plan.post().display_indent();
    assert_eq!(roles, [OutputRole::Key, OutputRole::Computed, OutputRole::Cell], "{post}");
    assert_eq!(plan.treatments()[2].controls, ["threshold", "dominance", "complementary", "rounded"]);
    assert!(plan.treatments()[2].error.is_some());
}

#[test]
fn somebody_who_is_alone_changes_nothing() {
    for sql in [
        "SELECT dept, COUNT(*) FROM persons GROUP BY ROLLUP (dept)",
        "SELECT dept, sex, COUNT(*) FROM persons GROUP BY CUBE (dept, sex)",
        "SELECT dept, sex, COUNT(*) FROM persons GROUP BY GROUPING SETS ((dept), (sex), ())",
        "SELECT dept, COUNT(DISTINCT person_id), AVG(salary) FROM persons GROUP BY ROLLUP (dept)",
        "SELECT dept, COUNT(*) FILTER (WHERE sex = 'f') FROM persons GROUP BY ROLLUP (dept)",
    ] {
        for others in [vec![("a", 40)], vec![("a", 40), ("b", 60)], FIVE.to_vec()] {
            let with: Vec<(&'static str, usize)> = others.iter().copied().chain([("z", 1)]).collect();
            assert_eq!(rows(&asked(sql, &others)), rows(&asked(sql, &with)), "{sql}");
        }
    }
}

/// Sums hide a person less than counts do: what a salary adds is seen. So the groups are compared, and not the numbers.
#[test]
fn somebody_who_is_alone_changes_no_group_of_a_sum() {
    for others in [vec![("a", 40)], vec![("a", 40), ("b", 60)], FIVE.to_vec()] {
        let with: Vec<(&'static str, usize)> = others.iter().copied().chain([("z", 1)]).collect();
        let keys = |groups: &[(&'static str, usize)]| {
            let batch = asked("SELECT dept, SUM(salary) FROM persons GROUP BY ROLLUP (dept)", groups);
            rows(&batch.project(&[0]).unwrap())
        };
        assert_eq!(keys(&others), keys(&with));
        // The total, or one of its parts, is missing.
        assert!(keys(&others).len() <= others.len(), "{others:?}");
    }
}

/// By rounding alone the difference of these may be ten people's; but no group of fewer than ten is seen.
#[test]
fn a_count_that_is_seen_has_enough_people() {
    let groups = [("a", 11), ("b", 11), ("c", 11), ("z", 2)];
    let sql = "SELECT dept, COUNT(*) FROM persons WHERE sex <> 'x' GROUP BY ROLLUP (dept)";
    let left = rows(&asked(sql, &groups));
    // Of 33 to 37 people thirty at the least are in three groups of ten to twelve.
    assert_eq!(left.iter().filter(|row| !row.ends_with(' ')).count(), 3, "{left:?}");
}

#[test]
fn a_total_and_its_only_part_are_not_told_together() {
    let left =
        rows(&asked("SELECT dept, COUNT(*) FROM persons GROUP BY ROLLUP (dept)", &[("a", 40), ("z", 3)]));
    let told = left.iter().filter(|row| !row.ends_with(' ')).count();
    assert_eq!(told, 1, "{left:?}");
}

#[test]
fn a_set_that_is_written_twice_is_there_twice() {
    let sql = "SELECT dept, COUNT(*) FROM persons GROUP BY GROUPING SETS ((dept), (dept)) ORDER BY dept";
    let plan = admitted(sql);
    assert_eq!(plan.stages().len(), 1);
    assert_eq!(rows(&asked(sql, &[("a", 40), ("b", 60)])), ["a 40", "a 40", "b 60", "b 60"]);
}

#[test]
fn the_empty_set_has_a_row_where_there_is_nobody() {
    let sql = "SELECT dept, COUNT(*) AS n FROM persons WHERE dept = 'nowhere' GROUP BY ROLLUP (dept)";
    let batch = asked(sql, &FIVE);
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None]);
}

#[test]
fn where_no_set_has_all_keys_one_more_stage_has_them() {
    let plan = admitted("SELECT dept, sex, COUNT(*) FROM persons GROUP BY GROUPING SETS ((dept), (sex))");
    let hidden: Vec<bool> = plan.stages().iter().map(|stage| stage.is_hidden()).collect();
    assert_eq!(hidden, [true, false, false]);
    // Keys alone tell no numbers.
    let keys = admitted("SELECT dept, sex FROM persons GROUP BY GROUPING SETS ((dept), (sex))");
    assert_eq!(keys.stages().len(), 2);
    let left = run(&keys, &world(&people(&FIVE), &[])).unwrap();
    assert_eq!(left.num_rows(), FIVE.len() + 2);
}

#[test]
fn missing_keys_are_a_group_and_no_total() {
    let known = world(&people(&FIVE), &[]);
    let batch = &known["corpus.persons"][0][0];
    let schema = batch.schema();
    let dept = |row: usize| (row >= 40).then_some("a");
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column: ArrayRef = match field.name().as_str() {
            "dept" => Arc::new((0..batch.num_rows()).map(dept).collect::<StringArray>()),
            _ => Arc::clone(column),
        };
        (field.name().clone(), column, true)
    });
    let missing = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let known = BTreeMap::from([("corpus.persons", vec![vec![missing]])]);
    let sql = "SELECT dept, GROUPING(dept) AS g, COUNT(*) AS n FROM persons GROUP BY GROUPING SETS ((dept), ()) HAVING dept IS NULL ORDER BY g";
    assert_eq!(rows(&run(&admitted(sql), &known).unwrap()), [" 0 40", " 1 250"]);
    let own = "SELECT dept, COUNT(*) FROM persons GROUP BY GROUPING SETS ((dept)) ORDER BY dept NULLS FIRST";
    assert_eq!(rows(&run(&admitted(own), &known).unwrap()), [" 40", "a 210"]);
}

#[test]
fn under_noise_each_set_is_as_asked_alone() {
    let policy = noise::policy();
    let known = noise::world(800, 2);
    let ask = |sql: &str| {
        let plan = noise::plan(&policy, sql);
        assert!(plan.stages().iter().all(|stage| !stage.controls().complementary), "{sql}");
        rows(&run_with(&plan, &known, noise::context(Arc::new(noise::Mixed), 1), 2).unwrap())
    };
    let together = ask("SELECT dept, sex, COUNT(*), SUM(salary) FROM persons GROUP BY CUBE (dept, sex)");
    let mut apart = ask("SELECT dept, sex, COUNT(*), SUM(salary) FROM persons GROUP BY dept, sex");
    let of_dept = ask("SELECT dept, COUNT(*), SUM(salary) FROM persons GROUP BY dept");
    let of_sex = ask("SELECT sex, COUNT(*), SUM(salary) FROM persons GROUP BY sex");
    let of_all = ask("SELECT COUNT(*), SUM(salary) FROM persons");
    apart.extend(of_dept.iter().map(|row| row.replacen(' ', "  ", 1)));
    apart.extend(of_sex.iter().map(|row| format!(" {row}")));
    apart.extend(of_all.iter().map(|row| format!("  {row}")));
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(together), sorted(apart));
}

#[test]
fn differential_privacy_answers_one_set() {
    let policy = named("private").unwrap();
    let verdict = review_under(&policy, "SELECT day, COUNT(*) FROM visits GROUP BY ROLLUP (day)");
    let Decision::Refused { findings, .. } = verdict.decision else { panic!("admitted") };
    assert_eq!(findings.iter().map(|finding| finding.reason).collect::<Vec<_>>(), [Reason::SeveralGroupings]);
    let one = review_under(&policy, "SELECT day, COUNT(*) FROM visits GROUP BY day");
    assert!(matches!(one.decision, Decision::Admitted(_)));
}

#[test]
fn sets_that_do_not_add_up_let_nothing_out() {
    let plan = admitted("SELECT dept, COUNT(*) FROM persons GROUP BY ROLLUP (dept)");
    let rows = world(&people(&FIVE), &[]);
    let released = run_lying(&plan, &rows, &mut |_due, batches| {
        let cut = |batch: &RecordBatch| {
            let lost = usize::from(batch.num_rows() > 0 && batch.column_by_name("k0").is_some());
            batch.slice(lost, batch.num_rows() - lost)
        };
        batches.iter().map(cut).collect()
    });
    assert!(released.is_err());
}
