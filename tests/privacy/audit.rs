//! The attacker with two neighbouring tables: tells by the answers which of them was asked, and from how well it goes estimates
//! epsilon from below. It must not be above what was charged; without noise it is, so that the audit would notice.
//!
//! Each group is a game of its own, with people of its own, of whom one is in one table and not in the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Int64Type;
use chrono::DateTime;
use obscura_policies::document::PrivacyBudget;
use obscura_policies::effective::EffectivePolicy;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::privacy::Deviation;
use obscura_query_guard::privacy::KEY_BYTES;
use obscura_query_guard::privacy::PrivacySource;
use obscura_query_guard::verdict::Decision;
use obscura_sandbox::app::query::privacy_noise::PrivacyNoise;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::policy::TODAY;
use obscura_tests::guarded::policy::policy;

/// Games of one run.
const GAMES: i64 = 2_000;
/// People of each game, so many that every group is shown.
const PEOPLE: i64 = 70;
/// Epsilon of a question.
const EPSILON: f64 = 2.0;
/// Natural logarithm of a thousand million and the thresholds that are tried.
const LN_OF_ALARM: f64 = 24.5;

/// Noise of zero: what the audit must notice.
#[derive(Debug)]
struct Silent;

impl PrivacySource for Silent {
    fn draw(&self, _: Deviation, count: usize) -> Option<Vec<i128>> {
        Some(vec![0; count])
    }

    fn key(&self) -> Option<[u8; KEY_BYTES]> {
        Some([0; KEY_BYTES])
    }
}

fn budgeted() -> EffectivePolicy {
    let mut policy = policy();
    for dataset in policy.datasets.values_mut().filter(|dataset| dataset.id.sql_name() == "corpus.visits") {
        dataset.privacy_budget =
            Some(PrivacyBudget { epsilon: 4.0, delta: 1e-6, per_query_max: EPSILON, period_days: 90 });
        (dataset.max_rows_per_subject, dataset.max_groups_per_subject) = (1, 1);
        dataset.all_ask_for_privacy = true;
    }
    policy
}

fn admitted(sql: &str) -> GuardedPlan {
    let policy = budgeted();
    match Guard::new(&policy, DateTime::UNIX_EPOCH, TODAY).review(sql).decision {
        Decision::Admitted(plan) => *plan,
        Decision::Refused { findings, .. } => panic!("{sql}: {findings:?}"),
    }
}

/// Visits of the people of every game; with the victim, who comes as often and pays as much as nobody else.
fn visits(has_victim: bool) -> RecordBatch {
    let mut rows: Vec<(i64, i64, i128)> = Vec::new();
    for game in 0..GAMES {
        rows.extend((1..PEOPLE).map(|person| (game * 1_000 + person, game, 1_000)));
        if has_victim {
            rows.extend([(game * 1_000, game, 10_000_000); 5]);
        }
    }
    let costs = rows.iter().map(|row| Some(row.2)).collect::<Decimal128Array>();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("day", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
        ("cost", Arc::new(costs.with_precision_and_scale(18, 2).expect("a decimal"))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// The answers of all games, by game.
fn answers(sql: &str, has_victim: bool, source: Arc<dyn PrivacySource>) -> Vec<f64> {
    let tables = BTreeMap::from([("corpus.visits".to_owned(), visits(has_victim))]);
    let context = ExecutionContext { privacy: Some(source), ..ExecutionContext::default() };
    let cut = Cut { partitions: 2, batch_rows: 8_192 };
    let run = Engine::new(u64::MAX).run_with(&admitted(sql), &tables, cut, context);
    let batch = run.released.unwrap_or_else(|| panic!("{sql}: {:?}", run.end));
    let column = batch.column(1);
    let values: Vec<f64> = match column.as_primitive_opt::<Int64Type>() {
        Some(whole) => whole.values().iter().map(|value| *value as f64).collect(),
        None => column.as_primitive::<Decimal128Type>().values().iter().map(|value| *value as f64).collect(),
    };
    assert!(values.len() as i64 >= GAMES - 5, "{sql}: nearly every group is shown: {}", values.len());
    values
}

/// The ends of the interval in which the probability of an event lies that came so often, by Chernoff's bound.
fn bounds(came: usize, of: usize) -> (f64, f64) {
    let share = came as f64 / of as f64;
    let divergence = |p: f64| {
        let part = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a * (a / b).ln() };
        part(share, p) + part(1.0 - share, 1.0 - p)
    };
    let most = LN_OF_ALARM / of as f64;
    let search = |mut inside: f64, mut outside: f64| {
        for _ in 0..60 {
            let middle = f64::midpoint(inside, outside);
            if divergence(middle) <= most { inside = middle } else { outside = middle }
        }
        outside
    };
    (search(share, 0.0), search(share, 1.0))
}

/// A lower bound of epsilon: how much likelier an answer above a threshold is with the victim than without, and below it without.
fn epsilon_found(with: &[f64], without: &[f64], delta: f64) -> f64 {
    let mut sorted = without.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut found = 0.0_f64;
    for nth in 1..20 {
        let threshold = sorted[sorted.len() * nth / 20] + 0.5;
        let above = |all: &[f64]| bounds(all.iter().filter(|value| **value > threshold).count(), all.len());
        let (with, without) = (above(with), above(without));
        found = found.max(((with.0 - delta) / without.1).max(f64::MIN_POSITIVE).ln());
        found = found.max(((1.0 - without.1 - delta) / (1.0 - with.0)).max(f64::MIN_POSITIVE).ln());
    }
    found
}

#[test]
fn no_larger_epsilon_is_found_than_was_charged() {
    for sql in [
        "SELECT day, COUNT(*) FROM visits GROUP BY day",
        "SELECT day, COUNT(DISTINCT person_id) FROM visits GROUP BY day",
        "SELECT day, SUM(cost) FROM visits GROUP BY day",
    ] {
        let charged: Vec<f64> = admitted(sql).epsilons().into_iter().map(|(_, epsilon)| epsilon).collect();
        assert!(charged.len() == 1 && charged[0] <= EPSILON && charged[0] > EPSILON * 0.99, "{charged:?}");
        let found = |source: Arc<dyn PrivacySource>| {
            epsilon_found(&answers(sql, true, Arc::clone(&source)), &answers(sql, false, source), 1e-6)
        };
        let of_product = found(Arc::new(PrivacyNoise));
        assert!(of_product <= EPSILON, "{sql}: {of_product}");
        let of_none = found(Arc::new(Silent));
        assert!(of_none > EPSILON, "{sql}: the audit sees what has no noise: {of_none}");
    }
}

#[test]
fn somebody_alone_in_a_group_is_not_told_by_its_key() {
    // Everybody is alone in a group: two thousand chances of an eighth of a thousand-millionth part or less.
    let rows = Int64Array::from_iter_values(0..GAMES);
    let columns: Vec<(&str, ArrayRef)> = vec![("person_id", Arc::new(rows.clone())), ("day", Arc::new(rows))];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let tables = BTreeMap::from([("corpus.visits".to_owned(), batch)]);
    let context = ExecutionContext { privacy: Some(Arc::new(PrivacyNoise)), ..ExecutionContext::default() };
    let plan = admitted("SELECT day, COUNT(*) FROM visits GROUP BY day");
    let run = Engine::new(u64::MAX).run_with(&plan, &tables, Cut { partitions: 2, batch_rows: 512 }, context);
    assert_eq!(run.released.expect("a table without rows").num_rows(), 0);
}

#[test]
fn a_question_that_is_asked_again_has_other_noise() {
    let sql = "SELECT day, COUNT(*) FROM visits GROUP BY day";
    let ask = || answers(sql, true, Arc::new(PrivacyNoise));
    let (one, other) = (ask(), ask());
    let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
    assert!(same < 600, "{same} of {GAMES} games have the same answer");
}
