//! The dictionary says what the guard does: edges that are named are admitted, values between them are refused.

use std::collections::BTreeMap;

use obscura_policies::day::DatePart;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Use;

use super::Edges;
use super::controls;
use super::edges;
use crate::fixture::admitted;
use crate::fixture::policy;
use crate::fixture::review_under;
use crate::verdict::Decision;

fn number(value: i64) -> Fixed {
    Fixed::from_i64(value)
}

/// The policy with a mask on one column, without its bins where `bins` says so.
fn under(table: &str, column: &str, mask: Option<Mask>, bins: Option<Fixed>) -> EffectivePolicy {
    let mut policy = policy();
    let dataset = policy.datasets.values_mut().find(|dataset| dataset.id.name() == table).unwrap();
    let column = dataset.columns.iter_mut().find(|known| known.name == column).unwrap();
    (column.mask, column.bins) = (mask, bins);
    policy
}

fn said(policy: &EffectivePolicy, table: &str, column: &str) -> Edges {
    let dataset = policy.datasets.values().find(|dataset| dataset.id.name() == table).unwrap();
    edges(dataset.columns.iter().find(|known| known.name == column).unwrap(), dataset)
}

fn is_admitted(policy: &EffectivePolicy, table: &str, condition: &str) -> bool {
    let sql = format!("SELECT COUNT(*) FROM corpus.{table} WHERE {condition}");
    matches!(review_under(policy, &sql).decision, Decision::Admitted(_))
}

#[test]
fn steps_are_admitted_and_what_lies_between_is_not() {
    let round = || Mask::Round { step: number(10) };
    let tens = || Mask::Bin { width: number(10) };
    let limits = || Mask::TopBottom { bottom: Some(number(200)), top: Some(number(800)) };
    for (table, column, mask, bins, grain) in [
        ("persons", "age", Some(tens()), None, Fixed::ONE),
        ("persons", "age", Some(round()), None, Fixed::ONE),
        ("persons", "age", Some(Mask::Round { step: number(5) }), None, Fixed::ONE),
        ("persons", "age", Some(tens()), Some(number(4)), Fixed::ONE),
        ("persons", "salary", None, Some(number(20_000)), Fixed::ONE),
        ("persons", "salary", Some(Mask::Bin { width: number(30_000) }), Some(number(20_000)), Fixed::ONE),
        ("visits", "cost", None, Some(number(100)), Fixed::from_micros(10_000)),
        ("visits", "cost", Some(limits()), Some(number(100)), Fixed::from_micros(10_000)),
        ("visits", "cost", Some(Mask::Round { step: number(20) }), Some(number(50)), Fixed::ONE),
    ] {
        let policy = under(table, column, mask.clone(), bins);
        let Edges::Steps { step, from, to } = said(&policy, table, column) else {
            panic!("{column} under {mask:?} in bins of {bins:?}: {:?}", said(&policy, table, column))
        };
        for nth in 0..3 {
            let edge = from.checked_add(step.checked_mul_i64(nth).unwrap()).unwrap();
            assert!(to.is_none_or(|to| edge <= to), "{column}: {edge} is beyond {to:?}");
            for op in ["<", ">="] {
                let condition = format!("{column} {op} {edge}");
                assert!(is_admitted(&policy, table, &condition), "{condition} under {mask:?}");
            }
            let between = format!("{column} >= {}", edge.checked_add(grain).unwrap());
            assert!(!is_admitted(&policy, table, &between), "{between} under {mask:?}");
        }
    }
    let limited = under("visits", "cost", Some(limits()), Some(number(100)));
    let last = Edges::Steps { step: number(100), from: number(300), to: Some(number(800)) };
    assert_eq!(said(&limited, "visits", "cost"), last);
    assert!(
        is_admitted(&limited, "visits", "cost >= 800") && !is_admitted(&limited, "visits", "cost >= 900")
    );
}

#[test]
fn columns_that_have_no_edges_are_compared_with_nothing() {
    for (table, column, mask) in [
        ("persons", "salary", None),
        ("persons", "age", Some(Mask::Redact)),
        ("persons", "zip", Some(Mask::Token { domain: "d".to_owned() })),
        ("persons", "hire", Some(Mask::Redact)),
    ] {
        let policy = under(table, column, mask.clone(), None);
        assert_eq!(said(&policy, table, column), Edges::Nothing, "{column} under {mask:?}");
        let literal = match column {
            "zip" => "'310000'",
            "hire" => "DATE '2000-01-01'",
            _ => "20",
        };
        for op in ["=", "<", ">="] {
            let condition = format!("{column} {op} {literal}");
            assert!(!is_admitted(&policy, table, &condition), "{condition} under {mask:?}");
        }
    }
    assert_eq!(said(&policy(), "persons", "person_id"), Edges::Nothing);
}

#[test]
fn other_edges_are_those_of_the_guard() {
    for (column, mask, edges, yes, no) in [
        ("dept", None, Edges::Any, "dept >= 'tax'", ""),
        ("hire", None, Edges::Any, "hire > DATE '2000-01-17'", ""),
        (
            "hire",
            Some(Mask::DateTrunc { part: DatePart::Month }),
            Edges::Parts(DatePart::Month),
            "hire >= DATE '2000-02-01'",
            "hire >= DATE '2000-02-02'",
        ),
        (
            "birth",
            Some(Mask::BinYears { years: 5, top: None }),
            Edges::Years(5),
            "birth >= DATE '1985-01-01'",
            "birth >= DATE '1986-01-01'",
        ),
        (
            "zip",
            Some(Mask::Partial { keep_first: 2, keep_last: 0 }),
            Edges::Shown,
            "zip = '31****'",
            "zip = '310000'",
        ),
        (
            "age",
            Some(Mask::TopBottom { bottom: Some(number(20)), top: Some(number(70)) }),
            Edges::Between { bottom: Some(number(20)), top: Some(number(70)) },
            "age >= 33",
            "age >= 71",
        ),
    ] {
        let policy = under("persons", column, mask, None);
        assert_eq!(said(&policy, "persons", column), edges);
        assert!(is_admitted(&policy, "persons", yes), "{yes}");
        assert!(no.is_empty() || !is_admitted(&policy, "persons", no), "{no}");
    }
}

#[test]
fn controls_by_grade_are_those_of_the_stages() {
    let policy = policy();
    let persons = policy.datasets.values().find(|dataset| dataset.id.name() == "persons").unwrap();
    let said: BTreeMap<Level, u32> = controls(&policy, persons)
        .into_iter()
        .map(|known| (known.grade, known.controls.unwrap().subjects_min))
        .collect();
    assert_eq!(said, BTreeMap::from([(Level(2), 5), (Level(3), 10)]));
    for (sql, grade) in [
        ("SELECT dept, COUNT(*) FROM persons GROUP BY dept", Level(2)),
        ("SELECT zip, COUNT(*) FROM persons GROUP BY zip", Level(3)),
    ] {
        let plan = admitted(sql);
        let stage = &plan.stages()[0];
        assert_eq!(stage.controls().grade, grade);
        assert_eq!(Some(&stage.classes()[0].subjects_min), said.get(&grade));
    }
}

#[test]
fn a_row_filter_raises_the_least_grade_and_a_missing_control_is_told() {
    let mut policy = policy();
    let unavailable = policy.floors[&Level(4)].clone();
    policy.floors.insert(Level(3), unavailable);
    let persons = policy.datasets.values_mut().find(|dataset| dataset.id.name() == "persons").unwrap();
    persons.row_filters.push(RowFilter { sql: "zip = '310000'".to_owned(), jurisdiction: false });
    let persons = persons.clone();
    let said = controls(&policy, &persons);
    assert_eq!(said.iter().map(|known| known.grade).collect::<Vec<_>>(), [Level(3)]);
    assert_eq!(said[0].controls, None);
    assert!(!is_admitted(&policy, "persons", "dept = 'tax'"));
    let zones = policy.datasets.values().find(|dataset| dataset.id.name() == "zones").unwrap();
    assert!(controls(&policy, zones).is_empty(), "rows of open data leave as they are");
    assert!(zones.columns.iter().all(|column| column.uses.contains(&Use::Filter)));
}
