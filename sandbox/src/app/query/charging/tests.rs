//! Prices are joined with budgets and grants, and the answer to a spent budget says what is left and when there is more.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use obscura_policies::privacy::nano_rho_of;

use super::*;

const DATASET: &str = "hz-health.visits";

fn budget() -> PrivacyBudget {
    PrivacyBudget { epsilon: 2.0, delta: 1e-8, per_query_max: 0.5, period_days: 90 }
}

fn question() -> u64 {
    nano_rho_of(0.5, 1e-8)
}

fn price(dataset: &str, held: &[&str]) -> Price {
    Price {
        dataset: dataset.parse().unwrap(),
        grant: "grant-1".to_owned(),
        budget: budget(),
        nano_rho: question(),
        inputs: held.iter().map(|input| (*input).to_owned()).collect(),
    }
}

fn spent(dataset: &str, person: &str, nano_rho: u64) -> Charged {
    Charged {
        dataset: dataset.to_owned(),
        inputs: BTreeSet::new(),
        person: person.to_owned(),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        nano_rho,
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 3_600).unwrap()
}

#[test]
fn the_shares_and_the_lifetime_are_those_that_the_documents_promise() {
    let totals = totals_of(&budget());
    assert_eq!((totals.share / question(), totals.lifetime / question()), (15, 216));
    assert_eq!(lifetime_of(1e-8), lifetime_of(1e-4), "a larger delta makes no larger total");
    assert!(lifetime_of(1e-12) < lifetime_of(1e-8), "a smaller one makes a smaller");
    for delta in [0.0, -1.0, 1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(lifetime_of(delta), 0, "{delta}");
    }
    for epsilon in [0.0, -2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(totals_of(&PrivacyBudget { epsilon, ..budget() }).share, 0, "{epsilon}");
    }
}

#[test]
fn a_spent_share_names_the_price_the_rest_and_the_date() {
    let share = totals_of(&budget()).share;
    let known = vec![spent(DATASET, "lin", share - 1)];
    let Weighed { uses, findings } = compared(&[price(DATASET, &[])], known, ("lin", now()));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].code, "budget-spent");
    let params = &findings[0].params;
    assert_eq!(params["dataset"], DATASET);
    assert_eq!(params["cost_epsilon"], "0.5");
    assert_eq!(params["left_epsilon"], "0.0003");
    assert_eq!(params["resets"], "2027-04-15T08:00:00Z");
    assert!(findings[0].message.en.contains("from 2027-04-15T08:00:00Z on"), "{:?}", findings[0].message);
    assert!(findings[0].message.zh.contains("自 2027-04-15T08:00:00Z 起"));
    assert_eq!((uses[0].left.nano_rho, uses[0].resets.as_deref()), (1, Some("2027-04-15T08:00:00Z")));
}

#[test]
fn a_spent_lifetime_names_no_date() {
    let known = vec![spent(DATASET, "wang", totals_of(&budget()).lifetime)];
    let Weighed { uses, findings } = compared(&[price(DATASET, &[])], known, ("lin", now()));
    assert_eq!(findings[0].code, "budget-spent");
    assert!(!findings[0].params.contains_key("resets"));
    assert!(findings[0].message.en.contains("spent for ever"));
    assert_eq!((uses[0].lifetime_left.nano_rho, uses[0].left.nano_rho), (0, totals_of(&budget()).share));
}

#[test]
fn room_costs_nothing_to_look_at_and_says_what_is_left_before_the_charge() {
    let known = vec![spent(DATASET, "lin", question())];
    let Weighed { uses, findings } = compared(&[price(DATASET, &[])], known, ("lin", now()));
    assert_eq!(findings, []);
    assert_eq!(uses[0].cost.epsilon, 0.5);
    assert_eq!(uses[0].left.nano_rho, totals_of(&budget()).share - question());
    assert_eq!(uses[0].resets.as_deref(), Some("2027-04-15T08:00:00Z"));
}

#[test]
fn two_datasets_of_one_family_in_one_question_draw_on_one_budget() {
    let totals = totals_of(&budget());
    let both = [price("hz-health.copy", &["one"]), price(DATASET, &["one"])];
    let room_for_one = vec![spent(DATASET, "lin", totals.share - question())];
    let Weighed { findings, .. } = compared(&both, room_for_one.clone(), ("lin", now()));
    // The copy has the rows of no charge that is known, and is charged to itself; then it is kin.
    assert_eq!(findings.len(), 1);
    let apart = [price("hz-health.copy", &["two"]), price(DATASET, &["one"])];
    assert_eq!(compared(&apart, room_for_one, ("lin", now())).findings, []);
}

fn used(dataset: &str) -> GrantUseView {
    GrantUseView {
        dataset: dataset.to_owned(),
        grant: "grant-1".to_owned(),
        until: "2027-12-31".to_owned(),
        others: Vec::new(),
    }
}

fn without_datasets() -> EffectivePolicy {
    EffectivePolicy {
        purpose: "official-statistics".to_owned(),
        datasets: BTreeMap::new(),
        floors: BTreeMap::new(),
        sources: Vec::new(),
    }
}

#[test]
fn a_charge_without_a_budget_is_our_fault_and_never_free() {
    let charges = [Charge { dataset: DATASET.parse().unwrap(), nano_rho: 1 }];
    let failed = priced(&charges, &without_datasets(), &[used(DATASET)], |_| Vec::new());
    assert!(failed.is_err());
    assert_eq!(priced(&[], &without_datasets(), &[], |_| Vec::new()).unwrap(), []);
}
