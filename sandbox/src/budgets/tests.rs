//! No order of operations, clock or name spends more than a total, and nothing gives anything back.

#![expect(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "tests may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const SECOND_OF_DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn inputs(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn charge(dataset: &str, person: &str, day: i64, nano_rho: u64) -> Charged {
    Charged {
        dataset: dataset.to_owned(),
        inputs: BTreeSet::new(),
        person: person.to_owned(),
        at: at(day * SECOND_OF_DAY),
        nano_rho,
    }
}

fn family(charges: &[Charged]) -> Family<'_> {
    Family::of(charges, "hz.a", &BTreeSet::new())
}

const TOTALS: Totals = Totals { lifetime: 1_000, share: 100, period_days: 90 };

#[test]
fn a_share_is_one_persons_and_the_lifetime_is_everybodys() {
    let charges = [charge("hz.a", "lin", 100, 60), charge("hz.a", "wang", 100, 100)];
    let family = family(&charges);
    let now = at(101 * SECOND_OF_DAY);
    assert_eq!(
        (family.spent(), family.spent_by("lin", 90, now), family.spent_by("wang", 90, now)),
        (160, 60, 100)
    );
    assert_eq!(family.check("lin", 40, TOTALS, now), Ok(()));
    let resets = Some(at(190 * SECOND_OF_DAY));
    assert_eq!(family.check("lin", 41, TOTALS, now), Err(Spent::Share { left: 40, resets }));
    let nearly = Totals { lifetime: 200, ..TOTALS };
    assert_eq!(family.check("lin", 40, nearly, now), Ok(()));
    assert_eq!(family.check("zhao", 41, nearly, now), Err(Spent::Lifetime { left: 40 }));
}

#[test]
fn a_charge_counts_up_to_the_end_of_its_period_and_not_at_it() {
    let charges = [charge("hz.a", "lin", 0, 100)];
    let family = family(&charges);
    let end = at(90 * SECOND_OF_DAY);
    let before = end.checked_sub(SignedDuration::from_nanos(1)).unwrap();
    assert_eq!(family.check("lin", 1, TOTALS, before), Err(Spent::Share { left: 0, resets: Some(end) }));
    assert_eq!(family.check("lin", 100, TOTALS, end), Ok(()), "the date that was named holds");
}

#[test]
fn the_reset_is_when_enough_has_fallen_out_and_not_when_the_first_has() {
    let charges =
        [charge("hz.a", "lin", 20, 50), charge("hz.a", "lin", 0, 20), charge("hz.a", "lin", 10, 30)];
    let family = family(&charges);
    let now = at(30 * SECOND_OF_DAY);
    let resets = |price| match family.check("lin", price, TOTALS, now) {
        Err(Spent::Share { left: 0, resets }) => resets,
        other => panic!("{other:?}"),
    };
    let day = |day: i64| Some(at((day + 90) * SECOND_OF_DAY));
    assert_eq!([20, 21, 50, 51, 100, 101].map(resets), [day(0), day(10), day(10), day(20), day(20), None]);
    assert_eq!(family.next_reset("lin", 90, now), day(0));
    assert_eq!(family.next_reset("wang", 90, now), None);
}

#[test]
fn a_clock_that_goes_back_frees_nothing() {
    let charges = [charge("hz.a", "lin", 1_000, 100)];
    let family = family(&charges);
    for day in [0, 500, 999, 1_000] {
        let refused = family.check("lin", 1, TOTALS, at(day * SECOND_OF_DAY));
        assert_eq!(
            refused,
            Err(Spent::Share { left: 0, resets: Some(at(1_090 * SECOND_OF_DAY)) }),
            "day {day}"
        );
    }
}

#[test]
fn a_period_without_days_or_beyond_all_time_never_ends() {
    let charges = [charge("hz.a", "lin", 0, 100)];
    let family = family(&charges);
    for period_days in [0, u32::MAX] {
        let totals = Totals { period_days, ..TOTALS };
        let refused = family.check("lin", 1, totals, Timestamp::MAX);
        assert_eq!(refused, Err(Spent::Share { left: 0, resets: None }), "{period_days}");
    }
}

#[test]
fn sums_beyond_their_type_are_beyond_every_total() {
    let charges = [charge("hz.a", "lin", 0, u64::MAX), charge("hz.a", "wang", 0, u64::MAX)];
    let family = family(&charges);
    assert_eq!(family.spent(), u64::MAX);
    assert_eq!(family.check("zhao", 1, TOTALS, at(0)), Err(Spent::Lifetime { left: 0 }));
    let none = Family::of(&[], "hz.a", &BTreeSet::new());
    assert_eq!(none.check("zhao", u64::MAX, TOTALS, at(0)), Err(Spent::Lifetime { left: 1_000 }));
    let nothing = Totals { lifetime: 0, share: 0, period_days: 90 };
    assert_eq!(
        none.check("zhao", 1, nothing, at(0)),
        Err(Spent::Lifetime { left: 0 }),
        "no epsilon, no charge"
    );
}

#[test]
fn a_copy_belongs_to_the_family_of_what_it_was_copied_from() {
    let of = |dataset: &str, held: &[&str]| Charged { inputs: inputs(held), ..charge(dataset, "lin", 0, 10) };
    // The same file under another name; then a version with a further file, which a third name holds alone.
    let charges =
        [of("hz.a", &["one"]), of("hz.b", &["one", "two"]), of("hz.c", &["two"]), of("hz.d", &["three"])];
    let spent = |dataset: &str, held: &[&str]| Family::of(&charges, dataset, &inputs(held)).spent();
    assert_eq!(spent("hz.a", &["one"]), 30);
    assert_eq!(spent("hz.c", &["two"]), 30);
    assert_eq!(spent("hz.a", &["new rows under the old name"]), 30, "another version resets nothing");
    assert_eq!(spent("hz.e", &["one"]), 30, "a new name for known rows");
    assert_eq!(spent("hz.d", &["three"]), 10);
    assert_eq!(spent("hz.e", &["four"]), 0);
}

/// An attempt to charge: who, on which of two names, how much, and how far the clock has moved since the last.
type Attempt = (&'static str, &'static str, u64, i64);

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let who = select(vec!["lin", "wang", "zhao"]);
    let attempt = (who, select(vec!["hz.a", "hz.copy"]), 1_u64..60, -40_i64..60);
    vec(attempt, 1..120)
}

proptest! {
    /// In any order of questions, by a clock that goes back and forth: no span as long as the period holds more
    /// than a share of one person, and all that was ever charged is no more than the lifetime.
    #[test]
    fn no_order_of_operations_spends_more_than_a_total(attempts in attempts(), lifetime in 1_u64..2_000, period_days in 1_u32..60) {
        let totals = Totals { lifetime, share: 100, period_days };
        let held = inputs(&["one"]);
        let mut charges: Vec<Charged> = Vec::new();
        let mut day = 1_000;
        for (person, dataset, price, step) in attempts {
            day += step;
            let now = at(day * SECOND_OF_DAY);
            let family = Family::of(&charges, dataset, &held);
            let admitted = family.check(person, price, totals, now);
            if let Err(Spent::Share { resets: Some(resets), .. }) = admitted {
                prop_assert!(now < resets, "a date that has passed");
                let then = family.check(person, price, totals, resets);
                prop_assert!(!matches!(then, Err(Spent::Share { .. })), "the date that was named does not hold: {then:?}");
            }
            if admitted.is_ok() {
                charges.push(Charged { inputs: held.clone(), ..charge(dataset, person, day, price) });
            }
        }
        prop_assert!(charges.iter().map(|charge| charge.nano_rho).sum::<u64>() <= lifetime);
        for first in &charges {
            let end = first.at.as_second() + i64::from(period_days) * SECOND_OF_DAY;
            let in_span = charges.iter().filter(|charge| {
                charge.person == first.person && charge.at >= first.at && charge.at.as_second() < end
            });
            prop_assert!(in_span.map(|charge| charge.nano_rho).sum::<u64>() <= 100);
        }
    }
}
