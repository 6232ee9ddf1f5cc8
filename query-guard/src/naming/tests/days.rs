//! The scale of noise of numbers about one month or one day: what a subject usually has there, and not in all.

use obscura_policies::effective::UsualRows;

use super::*;
use crate::control::StageNoise;

const MAY: &str = "at >= TIMESTAMP '2019-05-01 00:00:00' AND at < TIMESTAMP '2019-06-01 00:00:00'";
const YEAR: &str = "at >= TIMESTAMP '2019-01-01 00:00:00' AND at < TIMESTAMP '2020-01-01 00:00:00'";
const FIRST_OF_MAY: &str = "at >= TIMESTAMP '2019-05-01 00:00:00' AND at < TIMESTAMP '2019-05-02 00:00:00'";

/// Of twelve rows of a subject four are in one month, and two on one day.
fn by_days() -> EffectivePolicy {
    let mut policy = policy();
    let visits = policy.datasets.get_mut(&"corpus.visits".parse::<DatasetId>().unwrap()).unwrap();
    visits.usual_rows = Some(12);
    visits.usual_rows_in = Some(UsualRows { column: "at".to_owned(), month: 4, day: 2 });
    let cost = visits.columns.iter_mut().find(|column| column.name == "cost").unwrap();
    cost.usual = Some(Fixed::from_i64(600));
    policy
}

/// The deviations of the last atom of a statement, of its subjects and of its value, in usual contributions of a subject.
fn deviations(sql: &str) -> (f64, f64) {
    let plan = plan(&by_days(), sql);
    let [stage] = plan.stages() else { panic!("{sql}: one stage") };
    let most = stage.names.as_ref().unwrap().atoms.last().unwrap().deviations_max.unwrap();
    (most.subjects, most.value)
}

#[test]
fn a_day_has_the_scale_of_a_day() {
    let (month, day) = (4.0 / 12.0, 2.0 / 12.0);
    for (sql, value) in [
        ("SELECT COUNT(*) FROM visits".to_owned(), 1.0),
        (format!("SELECT COUNT(*) FROM visits WHERE {MAY}"), month),
        (format!("SELECT COUNT(*) FROM visits WHERE {FIRST_OF_MAY}"), day),
        // All of them but for those without a cost.
        (format!("SELECT SUM(cost) FROM visits WHERE {FIRST_OF_MAY}"), f64::hypot(day, day)),
        (format!("SELECT COUNT(*) FROM visits WHERE {MAY} AND NOT ({FIRST_OF_MAY})"), f64::hypot(month, day)),
        (format!("SELECT date_trunc('month', at), COUNT(*) FROM visits WHERE {YEAR} GROUP BY 1"), month),
        // The largest of all groups: rows without a day may be all rows of a subject.
        ("SELECT date_trunc('month', at), COUNT(*) FROM visits GROUP BY 1".to_owned(), 1.0),
        (format!("SELECT day, COUNT(*) FROM visits WHERE {FIRST_OF_MAY} GROUP BY day"), day),
        // All of them but for those of May and those without a day.
        (format!("SELECT COUNT(*) FROM visits WHERE NOT ({MAY})"), f64::hypot(f64::hypot(1.0, 1.0), month)),
        ("SELECT COUNT(*) FROM visits WHERE at IS NULL".to_owned(), 1.0),
        // Everything before the calendar counts as its first day, and everything after it as its last.
        ("SELECT COUNT(*) FROM visits WHERE at < TIMESTAMP '1900-01-02 00:00:00'".to_owned(), 1.0),
        ("SELECT COUNT(*) FROM visits WHERE at >= TIMESTAMP '2100-12-31 00:00:00'".to_owned(), 1.0),
    ] {
        let (subjects, found) = deviations(&sql);
        assert!((found - value).abs() < 1e-9, "{found} for {value}: {sql}");
        assert!(subjects >= 1.0, "a person counts once, on whichever day: {sql}");
    }
}

#[test]
fn the_noise_of_a_day_is_as_small_as_is_stated_and_no_smaller() {
    let plan = plan(&by_days(), &format!("SELECT COUNT(*) FROM visits WHERE {FIRST_OF_MAY}"));
    let stage = &plan.stages()[0];
    // Two rows, and a deviation of 2 subjects that stays beside one of 4 for each version, each draw with a part of the scale.
    let stated = 2.0 * f64::sqrt(4.0 + 16.0 + 2.0 / 6.0);
    let noise: Vec<f64> = (0..=255_u8)
        .map(|version| {
            let context = context(Arc::new(Mixed), version);
            let mut drawn = StageNoise::of(stage, &context).unwrap().unwrap();
            let of_group = drawn.of_group(&[]).unwrap().unwrap();
            assert!((of_group[0].value.deviation - stated).abs() < 1e-9, "{:?}", of_group[0]);
            f64::from(i32::try_from(of_group[0].value.noise).unwrap())
        })
        .collect();
    let mean = noise.iter().sum::<f64>() / 256.0;
    let square = noise.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 256.0;
    // Of the variance five parts are stated, of which four are drawn anew for each version.
    let of_versions = stated.powi(2) * 4.0 / 5.0;
    assert!((0.6..1.4).contains(&(square / of_versions)), "{square} for {of_versions}");
}

#[test]
fn another_scale_is_another_draw() {
    let sql = format!("SELECT COUNT(*) FROM visits WHERE {FIRST_OF_MAY}");
    let drawn = |day: u32| {
        let mut policy = by_days();
        let visits = policy.datasets.get_mut(&"corpus.visits".parse::<DatasetId>().unwrap()).unwrap();
        visits.usual_rows_in = Some(UsualRows { column: "at".to_owned(), month: 4, day });
        let plan = plan(&policy, &sql);
        let context = context(Arc::new(Mixed), 1);
        let mut noise = StageNoise::of(&plan.stages()[0], &context).unwrap().unwrap();
        noise.of_group(&[]).unwrap().unwrap()[0].value.noise
    };
    // Twice the scale of one draw would be twice the noise, and two numbers would tell both.
    assert_ne!(drawn(4), 2 * drawn(2));
    assert_ne!(drawn(4), drawn(2));
}
