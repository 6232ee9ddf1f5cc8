//! Neighbouring tables, prices, thresholds and refusals of differential privacy, from rows to release.
#![expect(clippy::cast_precision_loss, reason = "numbers of tests are small")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::array::Array as _;
use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::privacy::NANO;
use obscura_policies::vocabulary::Level;
use proptest::prelude::*;

use super::*;
use crate::control::ControlError;
use crate::execution::ExecutionContext;
use crate::fixture::execute::Rows;
use crate::fixture::execute::run_lying;
use crate::fixture::execute::run_with;
use crate::fixture::noise::plan;
use crate::fixture::noise::world as persons;
use crate::fixture::private::Constant;
use crate::fixture::private::Visit;
use crate::fixture::private::context;
use crate::fixture::private::world;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::plan::GuardedPlan;
use crate::privacy::KEY_BYTES;
use crate::privacy::Kind;
use crate::privacy::PrivacySource;
use crate::privacy::StagePrivacy;
use crate::stated_error::Noise;
use crate::stated_error::StatedError;
use crate::verdict::Decision;

/// Lifts every group over its threshold, and is taken off again.
const LIFT: i128 = 1_000_000_000;

const BY_DAY: &str = "SELECT day, COUNT(*), COUNT(DISTINCT person_id), SUM(cost) FROM visits GROUP BY day";

/// The policy in which so many rows and groups of one subject count.
fn policy(rows: u32, groups: u32) -> EffectivePolicy {
    let mut policy = named("private").unwrap();
    for dataset in policy.datasets.values_mut() {
        (dataset.max_rows_per_subject, dataset.max_groups_per_subject) = (rows, groups);
    }
    policy
}

fn privacy_of(plan: &GuardedPlan) -> &StagePrivacy {
    plan.stages()[0].controls.privacy.as_ref().unwrap()
}

fn released(policy: &EffectivePolicy, sql: &str, rows: &Rows, constant: i128) -> RecordBatch {
    run_with(&plan(policy, sql), rows, context(Constant(constant)), 3).unwrap()
}

/// Rows, subjects and cost of each day, before noise, as the whole way from rows to release makes them.
fn exact(policy: &EffectivePolicy, visits: &[Visit], partitions: usize) -> BTreeMap<i64, [i128; 3]> {
    let batch =
        run_with(&plan(policy, BY_DAY), &world(visits, partitions), context(Constant(LIFT)), partitions);
    let batch = batch.unwrap();
    let whole = |column: usize, row| i128::from(batch.column(column).as_primitive::<Int64Type>().value(row));
    let cost = batch.column(3).as_primitive::<Decimal128Type>();
    let numbers = |row| [whole(1, row) - LIFT, whole(2, row) - LIFT, cost.value(row) - LIFT];
    let days = batch.column(0).as_primitive::<Int64Type>();
    (0..batch.num_rows()).map(|row| (days.value(row), numbers(row))).collect()
}

/// The same by another way: a plain walk over the rows, with every subject in all of its groups.
fn by_hand(visits: &[Visit], rows_max: i128) -> BTreeMap<i64, [i128; 3]> {
    let mut of_subjects: BTreeMap<(i64, i64), (i128, i128)> = BTreeMap::new();
    for (person, day, cost) in visits {
        let (rows, sum) = of_subjects.entry((*day, *person)).or_default();
        *rows += 1;
        *sum += (*cost).clamp(0, 100_000);
    }
    let mut days: BTreeMap<i64, [i128; 3]> = BTreeMap::new();
    for ((day, _), (rows, sum)) in of_subjects {
        let counted = rows.min(rows_max);
        let day = days.entry(day).or_default();
        day[0] += counted;
        day[1] += 1;
        day[2] += if rows > rows_max { sum * rows_max / rows } else { sum };
    }
    days
}

fn visit(people: i64) -> impl Strategy<Value = Visit> {
    (1..=people, 1_i64..=6, -50_000_i128..250_000)
}

/// Two tables that differ in the rows of person 1.
fn neighbours() -> impl Strategy<Value = (Vec<Visit>, Vec<Visit>)> {
    let own = || proptest::collection::vec(visit(1), 0..20);
    let others =
        proptest::collection::vec(visit(9).prop_map(|(person, day, cost)| (person + 1, day, cost)), 0..40);
    (others, own(), own()).prop_map(|(others, before, after)| {
        // Rows of one person stand anywhere among the others'.
        let mixed = |own: &[Visit]| {
            let mut all = others.clone();
            for (nth, row) in own.iter().enumerate() {
                all.insert((nth * 5) % (all.len() + 1), *row);
            }
            all
        };
        (mixed(&before), mixed(&after))
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn without_noise_the_answer_is_what_the_clamped_rows_come_to(
        visits in proptest::collection::vec(visit(9), 1..60),
        rows_max in 1_u32..5,
        partitions in 1_usize..4,
    ) {
        let policy = policy(rows_max, 6);
        prop_assert_eq!(exact(&policy, &visits, partitions), by_hand(&visits, i128::from(rows_max)));
    }

    #[test]
    fn one_subject_moves_the_numbers_by_no_more_than_noise_is_made_for(
        (before, after) in neighbours(),
        rows_max in 1_u32..4,
        groups_max in 1_u32..4,
        partitions in 1_usize..4,
    ) {
        prop_assume!(!before.is_empty() && !after.is_empty());
        let policy = policy(rows_max, groups_max);
        let plan = plan(&policy, BY_DAY);
        let privacy = privacy_of(&plan);
        let (before, after) = (exact(&policy, &before, partitions), exact(&policy, &after, 1));
        let days: BTreeSet<i64> = before.keys().chain(after.keys()).copied().collect();
        for (place, kind) in [(0, Kind::Rows), (1, Kind::Subjects), (2, Kind::Sum)] {
            let of = |days: &BTreeMap<i64, [i128; 3]>, day| days.get(day).map_or(0, |numbers| numbers[place]);
            let squares: i128 = days.iter().map(|day| (of(&before, day) - of(&after, day)).pow(2)).sum();
            // Where one row counts, rows are subjects.
            let of_kind = |kind| privacy.measured.iter().find(|one| one.kind == kind);
            let measured = of_kind(kind).or_else(|| of_kind(Kind::Subjects)).unwrap();
            let moved = (squares as f64).sqrt();
            prop_assert!(moved <= privacy.moved(measured) * (1.0 + 1e-12), "{kind:?}: {moved}");
        }
    }

    #[test]
    fn the_noise_of_all_numbers_together_costs_no_more_than_the_price(
        per_query in 0.01_f64..2.0,
        exponent in 5_i32..12,
        rows_max in 1_u32..30,
        groups_max in 1_u32..9,
    ) {
        let mut policy = policy(rows_max, groups_max);
        let budget = PrivacyBudget {
            epsilon: 2.0, delta: 10_f64.powi(-exponent), per_query_max: per_query, period_days: 90,
        };
        policy.datasets.values_mut().for_each(|dataset| dataset.privacy_budget = Some(budget));
        for sql in [
            "SELECT COUNT(*) FROM visits",
            BY_DAY,
            "SELECT a.n, b.s FROM (SELECT COUNT(*) AS n FROM visits) a CROSS JOIN (SELECT day, AVG(cost) AS s FROM visits GROUP BY day) b",
        ] {
            let plan = plan(&policy, sql);
            let [charge] = plan.charges() else { panic!("one dataset") };
            let mut spent = 0.0;
            for stage in plan.stages() {
                let privacy = stage.controls.privacy.as_ref().unwrap();
                for measured in &privacy.measured {
                    spent += privacy.moved(measured).powi(2) / (2.0 * measured.deviation.value().powi(2));
                }
            }
            prop_assert!(spent <= charge.nano_rho as f64 / NANO, "{sql}: {spent}");
            prop_assert!(spent >= charge.nano_rho as f64 / NANO * 0.5, "{sql}: most of it buys something: {spent}");
            let [(_, epsilon)] = plan.epsilons()[..] else { panic!("one dataset") };
            prop_assert!(epsilon <= per_query * (1.0 + 1e-12) && epsilon > per_query * 0.99, "{epsilon}");
        }
    }
}

#[test]
fn the_bound_of_what_one_subject_moves_is_reached() {
    let policy = policy(2, 2);
    let rows = |days: [i64; 2], cost| -> Vec<Visit> {
        days.into_iter().flat_map(|day| vec![(1, day, cost); 3]).chain([(2, 9, 0)]).collect()
    };
    let (before, after) =
        (exact(&policy, &rows([1, 2], 100_000), 1), exact(&policy, &rows([3, 4], 100_000), 1));
    let privacy = plan(&policy, BY_DAY);
    let privacy = privacy_of(&privacy);
    let squares: i128 =
        before.iter().chain(&after).filter(|(day, _)| **day != 9).map(|(_, n)| n[2].pow(2)).sum();
    let measured = privacy.measured.iter().find(|one| one.kind == Kind::Sum).unwrap();
    assert!(((squares as f64).sqrt() / privacy.moved(measured) - 1.0).abs() < 1e-12);
}

#[test]
fn a_subject_counts_in_few_groups_and_the_same_ones_whatever_others_do() {
    let policy = policy(20, 2);
    let own: Vec<Visit> = (1..=6).map(|day| (1, day, 10)).collect();
    let with = |others: &[Visit], partitions| {
        let visits: Vec<Visit> = others.iter().chain(&own).copied().collect();
        let days = exact(&policy, &visits, partitions);
        let theirs = by_hand(others, 20);
        days.into_iter()
            .filter(|(day, numbers)| numbers[1] > theirs.get(day).map_or(0, |numbers| numbers[1]))
            .map(|(day, _)| day)
            .collect::<Vec<i64>>()
    };
    let alone = with(&[], 1);
    assert_eq!(alone.len(), 2);
    for partitions in 1..4 {
        assert_eq!(with(&[(5, 3, 1), (6, 1, 7), (5, 2, 1)], partitions), alone);
        assert_eq!(with(&[(8, 6, 1)], partitions), alone);
    }
}

#[test]
fn the_answers_are_those_of_the_noisy_numbers() {
    let policy = policy(20, 5);
    let visits: Vec<Visit> = (1..=3_000).map(|person| (person, person % 2, 5_000)).collect();
    let rows = world(&visits, 2);
    let sql = "SELECT day, COUNT(*), AVG(cost), SUM(cost) FROM visits GROUP BY day";
    let batch = released(&policy, sql, &rows, 0);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values().to_vec(), [1_500, 1_500]);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values().to_vec(), [50.0, 50.0]);
    let batch = released(&policy, sql, &rows, 100);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values().to_vec(), [1_600, 1_600]);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values().to_vec(), [46.9, 46.9]);
    assert_eq!(batch.column(3).as_primitive::<Decimal128Type>().value(0), 7_500_100);
    // Noise that takes everybody away leaves no row, and one of all people says nothing.
    assert_eq!(released(&policy, sql, &rows, -1_500).num_rows(), 0);
    let of_all = released(&policy, "SELECT COUNT(*), AVG(cost) FROM visits", &rows, -2_990);
    assert_eq!((of_all.num_rows(), of_all.column(0).null_count(), of_all.column(1).null_count()), (1, 1, 1));
}

#[test]
fn a_group_is_shown_by_its_noisy_number_of_subjects_alone() {
    let policy = policy(20, 5);
    let plan = plan(&policy, "SELECT day FROM visits GROUP BY day");
    let least = i64::try_from(privacy_of(&plan).subjects_least).unwrap();
    assert!((200..400).contains(&least), "for half of epsilon, 1e-8 and five groups: {least}");
    let of = |people: i64, day: i64| (1..=people).map(move |person| (person + day * 10_000, day, 0));
    let visits: Vec<Visit> = of(least - 1, 1).chain(of(least, 2)).chain(of(least + 1, 3)).collect();
    let shown = |noise| {
        let batch = run_with(&plan, &world(&visits, 2), context(Constant(noise)), 2).unwrap();
        batch.column(0).as_primitive::<Int64Type>().values().to_vec()
    };
    assert_eq!(shown(0), [2, 3]);
    assert_eq!(shown(1), [1, 2, 3]);
    assert_eq!(shown(-1), [3]);
    assert_eq!(shown(-2), [0_i64; 0]);
    assert_eq!(plan.stages()[0].classes()[0].subjects_min, u32::try_from(least).unwrap());
}

#[test]
fn a_group_of_one_person_passes_as_rarely_as_delta_says() {
    let plan = plan(&policy(20, 5), "SELECT day FROM visits GROUP BY day");
    let privacy = privacy_of(&plan);
    let deviation = privacy.measured[0].deviation.value();
    let above_one = (privacy.subjects_least - 1) as f64;
    let tail = 5.0 * (-above_one.powi(2) / (2.0 * deviation.powi(2))).exp();
    let [charge] = plan.charges() else { panic!("one dataset") };
    assert!(tail <= threshold_delta(charge.nano_rho, 1e-8), "{tail}");
    assert!(tail > threshold_delta(charge.nano_rho, 1e-8) * 0.5, "and no rarer than it need be: {tail}");
    // Where all rows are one group its key tells nothing.
    let of_all = crate::fixture::noise::plan(&policy(20, 5), "SELECT COUNT(*) FROM visits");
    assert_eq!(privacy_of(&of_all).subjects_least, 20);
}

#[test]
fn the_parts_of_a_question_share_one_price_by_a_fixed_rule() {
    let policy = policy(20, 5);
    let charges = |sql: &str| plan(&policy, sql).charges().to_vec();
    let price = nano_rho_of(0.5, 1e-8);
    let of = |dataset: &str| Charge { dataset: dataset.parse().unwrap(), nano_rho: price };
    assert_eq!(charges("SELECT COUNT(*) FROM visits"), [of("corpus.visits")]);
    assert_eq!(charges(BY_DAY), [of("corpus.visits")]);
    assert_eq!(
        charges(
            "SELECT (SELECT COUNT(*) FROM visits) AS a, (SELECT COUNT(*) FROM persons) AS b, (SELECT COUNT(*) FROM visits) AS c"
        ),
        [of("corpus.visits"), of("corpus.persons")]
    );
    let deviation = |sql: &str| privacy_of(&plan(&policy, sql)).measured[0].deviation.value();
    let (one, four) = (
        deviation("SELECT COUNT(DISTINCT person_id) FROM visits"),
        deviation("SELECT COUNT(DISTINCT person_id), COUNT(*), SUM(cost), AVG(cost) FROM visits"),
    );
    // Subjects, rows, cost, and rows that have a cost.
    assert!((four / one - 2.0).abs() < 0.02, "{one}, {four}");
    assert!(charges("SELECT zip FROM zones").is_empty(), "open data costs nothing");
}

#[test]
fn where_one_row_counts_rows_and_subjects_are_one_number() {
    let sql = "SELECT day, COUNT(*), COUNT(DISTINCT person_id) FROM visits GROUP BY day";
    let measured = |rows_max| privacy_of(&plan(&policy(rows_max, 1), sql)).measured.len();
    assert_eq!((measured(1), measured(2)), (1, 2));
    let batch = released(&policy(1, 1), sql, &world(&[(1, 1, 1), (1, 1, 1), (2, 1, 1)], 1), LIFT);
    let whole = |column: usize| i128::from(batch.column(column).as_primitive::<Int64Type>().value(0)) - LIFT;
    assert_eq!((whole(1), whole(2)), (2, 2));
    // Shares are sums of rows, and are answered as counts are.
    let sql = "SELECT SUM(1), AVG(CASE WHEN day = 1 THEN 1.0 ELSE 0.0 END) FROM visits";
    let visits: Vec<Visit> = (1..=80).map(|person| (person, person % 4, 0)).collect();
    let batch = released(&policy(1, 1), sql, &world(&visits, 1), 0);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 80);
    assert_eq!(batch.column(1).as_primitive::<Float64Type>().value(0), 0.25);
}

#[test]
fn nothing_leaves_without_fresh_noise() {
    #[derive(Debug)]
    struct Short;
    impl PrivacySource for Short {
        fn draw(&self, _: Deviation, count: usize) -> Option<Vec<i128>> {
            Some(vec![0; count.saturating_sub(1)])
        }
        fn key(&self) -> Option<[u8; KEY_BYTES]> {
            Some([0; KEY_BYTES])
        }
    }
    #[derive(Debug)]
    struct Dry;
    impl PrivacySource for Dry {
        fn draw(&self, _: Deviation, _: usize) -> Option<Vec<i128>> {
            None
        }
        fn key(&self) -> Option<[u8; KEY_BYTES]> {
            None
        }
    }
    let rows = world(&[(1, 1, 1)], 1);
    let plan = plan(&policy(20, 5), "SELECT COUNT(*) FROM visits");
    assert!(plan.needs_privacy() && !plan.needs_noise());
    for context in [ExecutionContext::default(), context(Short), context(Dry)] {
        assert!(matches!(run_with(&plan, &rows, context, 1), Err(ControlError::Unbound)));
    }
}

#[test]
fn an_executor_that_adds_subjects_up_itself_is_not_believed() {
    let plain = crate::fixture::admitted("SELECT COUNT(*) FROM visits");
    let rows = world(&[(1, 1, 1), (2, 1, 1)], 1);
    let mut added_up = Vec::new();
    run_lying(&plain, &rows, &mut |_due, batches| {
        added_up.push(batches.clone());
        batches
    })
    .unwrap();
    let private = plan(&policy(20, 5), "SELECT COUNT(*) FROM visits");
    let execution = std::sync::Arc::new(private).begin(context(Constant(LIFT))).unwrap();
    let crate::execution::Execution::Stage(stage) = execution else { panic!("a stage is due") };
    let lied = stage.protect(crate::control::Cells::new(added_up.swap_remove(0)));
    assert!(matches!(lied, Err(ControlError::NotCells)));
}

#[test]
fn grade_l4_opens_where_every_policy_has_a_budget() {
    let sql = "SELECT diag, COUNT(*) FROM persons GROUP BY diag";
    let is_admitted =
        |policy: &EffectivePolicy| matches!(review_under(policy, sql).decision, Decision::Admitted(_));
    let mut policy = named("private").unwrap();
    assert!(is_admitted(&policy));
    policy.datasets.values_mut().for_each(|dataset| dataset.all_ask_for_privacy = false);
    assert!(!is_admitted(&policy), "one more policy opens nothing");
    policy.floors.get_mut(&Level(4)).unwrap().controls.unavailable.insert("review".to_owned());
    policy.datasets.values_mut().for_each(|dataset| dataset.all_ask_for_privacy = true);
    assert!(!is_admitted(&policy), "what else the floor needs stays needed");
    assert!(!is_admitted(&named("diagnosis-l4").unwrap()));
}

#[test]
fn below_l4_a_budget_means_differential_privacy_too() {
    let mut policy = named("private").unwrap();
    policy.datasets.values_mut().for_each(|dataset| dataset.all_ask_for_privacy = false);
    let plan = plan(&policy, "SELECT dept, COUNT(*), AVG(salary) FROM persons GROUP BY dept");
    let controls = plan.stages()[0].controls();
    assert!(controls.privacy.is_some());
    assert_eq!((controls.dominance, controls.rounding, controls.perturbation), (None, None, None));
    let treatments: Vec<_> = plan.treatments().iter().map(|treatment| treatment.controls.clone()).collect();
    assert_eq!(treatments, vec![vec!["differential-privacy", "threshold"]; 3]);
}

#[test]
fn what_has_no_bound_is_refused_and_what_stands_above_the_boundary_is_not() {
    let policy = named("private-jobs").unwrap();
    let reasons = |sql: &str| match review_under(&policy, sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.reason).collect(),
    };
    use Reason::{
        AggregateWithoutPrivacy as Aggregate, PrivacyOfOneTable as Table, PrivacyOfOneUnit as Unit,
    };
    for (sql, reason) in [
        ("SELECT COUNT(DISTINCT p.person_id) FROM persons p JOIN visits v USING (person_id)", Table),
        ("SELECT COUNT(*) FROM persons WHERE person_id IN (SELECT person_id FROM visits)", Table),
        (
            "SELECT z.district, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip GROUP BY z.district",
            Table,
        ),
        (
            "SELECT n, COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t GROUP BY n",
            Table,
        ),
        ("SELECT COUNT(*) FROM visits WHERE cost > (SELECT AVG(cost) FROM visits)", Table),
        (
            "SELECT day, COUNT(*) FROM (SELECT day FROM visits WHERE day = 1 UNION ALL SELECT day FROM visits WHERE day = 2) t GROUP BY day",
            Table,
        ),
        (
            "SELECT r, COUNT(*) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY day) AS r FROM visits) t GROUP BY r",
            Table,
        ),
        ("SELECT site, COUNT(*) FROM jobs GROUP BY site", Unit),
        ("SELECT MEDIAN(salary) FROM persons", Aggregate),
        ("SELECT STDDEV(salary) FROM persons", Aggregate),
        ("SELECT SUM(salary * age) FROM persons", Aggregate),
    ] {
        assert_eq!(reasons(sql).first(), Some(&reason), "{sql}");
    }
    for sql in [
        "SELECT COUNT(*) FROM (SELECT * FROM (SELECT * FROM persons WHERE age >= 20) a WHERE sex = 'f') b",
        "SELECT dept, COUNT(*) FILTER (WHERE sex = 'f'), AVG(CASE WHEN sex = 'f' THEN 1.0 ELSE 0 END) FROM persons GROUP BY dept",
        "SELECT a.dept, a.n, b.n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a JOIN (SELECT dept, COUNT(*) AS n FROM persons WHERE sex = 'f' GROUP BY dept) b ON a.dept = b.dept",
        "SELECT dept, n, RANK() OVER (ORDER BY n DESC) FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) t",
        "SELECT DISTINCT dept FROM persons",
        "SELECT AVG(2 * salary + 10) FROM persons",
    ] {
        assert_eq!(reasons(sql), [], "{sql}");
    }
}

#[test]
fn stated_errors_are_those_of_the_noise() {
    let plan = plan(&policy(20, 5), "SELECT day, COUNT(*) AS n, SUM(cost) AS s FROM visits GROUP BY day");
    let privacy = privacy_of(&plan);
    let deviation = |kind| privacy.measured.iter().find(|one| one.kind == kind).unwrap().deviation.value();
    let error = |column: usize| match plan.treatments()[column].error {
        Some(StatedError::Number(number)) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(plan.treatments()[0].error, None);
    assert_eq!(error(1).noise, Noise::Deviation(deviation(Kind::Rows)));
    assert_eq!(error(2).noise, Noise::Deviation(deviation(Kind::Sum) / 100.0), "in units of money");
    assert!((error(1).within().unwrap() - 1.96 * deviation(Kind::Rows)).abs() < 1e-9);
    assert!(error(1).rounding.abs() < 1e-12);
}

#[test]
fn persons_are_counted_with_masks_and_values_beyond_their_range() {
    let rows = persons(2_000, 3);
    let policy = policy(1, 1);
    let batch = released(&policy, "SELECT COUNT(*), SUM(salary) FROM persons", &rows, 0);
    let raw = &rows["corpus.persons"];
    let salaries: i128 = raw
        .iter()
        .flat_map(|partition| {
            partition[0]
                .column_by_name("salary")
                .unwrap()
                .as_primitive::<Int64Type>()
                .iter()
                .collect::<Vec<_>>()
        })
        .flatten()
        .map(|salary| i128::from(salary.clamp(0, 200_000)))
        .sum();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 2_000);
    assert_eq!(i128::from(batch.column(1).as_primitive::<Int64Type>().value(0)), salaries);
}
