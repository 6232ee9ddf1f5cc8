//! Names are exact (every row counts as often as the condition says), canonical (no way of writing changes them), and few.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use proptest::prelude::*;

use super::Condition;
use super::Hierarchy;
use super::HierarchyFault;
use super::LeafSet;
use super::NameFault;
use super::Names;
use super::Node;
use super::Test;
use super::cover;
use super::names;

const MOST: usize = 200_000;

/// The number of times that a cover counts a leaf.
fn counted(hierarchy: &Hierarchy, nodes: &[(Node, i64)], leaf: u32) -> i64 {
    let over = |node: &Node| {
        let (start, end) = hierarchy.span(*node);
        (start..end).contains(&leaf)
    };
    nodes.iter().filter(|(node, _)| over(node)).map(|(_, sign)| sign).sum()
}

/// The number of times that names count a row whose columns have these leaves.
fn counted_by_names(names: &Names, hierarchies: &BTreeMap<u16, Hierarchy>, row: &BTreeMap<u16, u32>) -> i64 {
    let holds = |column: &u16, node: &Node| {
        let (start, end) = hierarchies.get(column).unwrap().span(*node);
        (start..end).contains(row.get(column).unwrap())
    };
    names
        .terms()
        .filter(|(name, _)| name.iter().all(|(column, node)| holds(column, node)))
        .map(|(_, coefficient)| coefficient)
        .sum()
}

/// A hierarchy of at most two levels between the root and few leaves.
fn small_hierarchy(values: std::ops::Range<u32>) -> impl Strategy<Value = Hierarchy> {
    values.prop_flat_map(|values| {
        let count = usize::try_from(values).unwrap();
        (prop::collection::vec(0_u8..3, count)).prop_map(move |marks| {
            let starts = |least: u8| -> Vec<u32> {
                (0..values)
                    .filter(|leaf| *leaf == 0 || marks[usize::try_from(*leaf).unwrap()] >= least)
                    .collect()
            };
            Hierarchy::new(values, vec![starts(2), starts(1)]).unwrap()
        })
    })
}

fn leaf_set(leaves: u32) -> impl Strategy<Value = LeafSet> {
    prop::collection::vec(any::<bool>(), usize::try_from(leaves).unwrap()).prop_map(|chosen| {
        let leaves = (0_u32..).zip(chosen).filter(|(_, chosen)| *chosen);
        leaves.fold(LeafSet::none(), |set, (leaf, _)| set.union(&LeafSet::one(leaf)))
    })
}

/// Three columns, the last of them a calendar of a few days over the end of a year.
fn hierarchies() -> BTreeMap<u16, Hierarchy> {
    let day = |month, day, year| NaiveDate::from_ymd_opt(year, month, day).unwrap();
    BTreeMap::from([
        (1, Hierarchy::values(3).unwrap()),
        (2, Hierarchy::new(4, vec![vec![0, 2]]).unwrap()),
        (3, Hierarchy::days(day(12, 30, 2024), day(1, 2, 2025)).unwrap()),
    ])
}

fn condition() -> impl Strategy<Value = Condition> {
    let test = (1_u16..=3).prop_flat_map(|column| {
        let hierarchy = hierarchies().remove(&column).unwrap();
        let missing = LeafSet::one(hierarchy.missing());
        (leaf_set(hierarchy.leaves()), any::<bool>()).prop_map(move |(set, asks_for_missing)| {
            let (is_true, is_unknown) = match asks_for_missing {
                true => (set, LeafSet::none()),
                false => (set.within(0, missing.intervals().next().unwrap().0), missing.clone()),
            };
            Condition::Test(Test { column, is_true, is_unknown })
        })
    });
    let leaf =
        prop_oneof![8 => test, 2 => any::<bool>().prop_map(Condition::Always), 1 => Just(Condition::Unknown)];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            inner.clone().prop_map(|inner| Condition::IsTrue(Box::new(inner))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            prop::collection::vec(inner, 1..4).prop_map(Condition::Any),
        ]
    })
}

/// Another way of writing the same condition.
fn rewritten(condition: &Condition, seed: u64) -> Condition {
    let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let part = |part: &Condition| rewritten(part, next ^ 0x9e37);
    let not = |condition: Condition| Condition::Not(Box::new(condition));
    match (condition, (seed >> 60) % 4) {
        // De Morgan, in both directions.
        (Condition::All(parts), 0 | 1) => {
            not(Condition::Any(parts.iter().rev().map(|inner| not(part(inner))).collect()))
        }
        (Condition::Any(parts), 0 | 1) => {
            not(Condition::All(parts.iter().map(|inner| not(part(inner))).collect()))
        }
        // A set as an OR of its single leaves, which is an IN list.
        (Condition::Test(test), 0 | 1) if !test.is_true.is_empty() => {
            let leaves = test.is_true.intervals().flat_map(|(start, end)| start..end);
            let one = |leaf| Test { is_true: LeafSet::one(leaf), ..test.clone() };
            Condition::Any(leaves.map(|leaf| Condition::Test(one(leaf))).collect())
        }
        // Twice the same.
        (condition, 2) => Condition::All(vec![condition.clone(), part(condition), Condition::Always(true)]),
        (Condition::Not(inner), _) => not(part(inner)),
        (Condition::IsTrue(inner), _) => Condition::IsTrue(Box::new(part(inner))),
        (Condition::All(parts), _) => Condition::All(parts.iter().rev().map(part).collect()),
        (Condition::Any(parts), _) => {
            Condition::Any(parts.iter().map(part).chain([Condition::Always(false)]).collect())
        }
        (condition, _) => not(not(condition.clone())),
    }
}

/// All rows over the three columns.
fn rows() -> Vec<BTreeMap<u16, u32>> {
    hierarchies().iter().fold(vec![BTreeMap::new()], |rows, (column, hierarchy)| {
        let longer = rows.into_iter().flat_map(|row| {
            (0..hierarchy.leaves()).map(move |leaf| {
                let mut row = row.clone();
                row.insert(*column, leaf);
                row
            })
        });
        longer.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_cover_counts_every_leaf_of_its_set_once_and_no_other(
        (hierarchy, set) in small_hierarchy(1..24)
            .prop_flat_map(|hierarchy| (Just(hierarchy.clone()), leaf_set(hierarchy.leaves())))
    ) {
        let nodes = cover(&hierarchy, &set, MOST).unwrap();
        for leaf in 0..hierarchy.leaves() {
            prop_assert_eq!(counted(&hierarchy, &nodes, leaf), i64::from(set.contains(leaf)), "leaf {}", leaf);
        }
    }

    #[test]
    fn no_fewer_nodes_have_the_same_sum(
        (hierarchy, set) in small_hierarchy(1..4)
            .prop_flat_map(|hierarchy| (Just(hierarchy.clone()), leaf_set(hierarchy.leaves())))
    ) {
        let all: Vec<Node> = (0..=hierarchy.leaf_level())
            .flat_map(|level| {
                let (first, after) = if level == 0 { (0, 1) } else { hierarchy.nodes_in(level, 0, hierarchy.leaves()) };
                (first..after).map(move |index| Node { level, index })
            })
            .collect();
        let wanted: Vec<i64> = (0..hierarchy.leaves()).map(|leaf| i64::from(set.contains(leaf))).collect();
        let chosen = cover(&hierarchy, &set, MOST).unwrap().len();
        // Every choice of fewer signed nodes, one after the other.
        fn search(
            hierarchy: &Hierarchy, rest: &[Node], wanted: &[i64], budget: usize,
        ) -> bool {
            if wanted.iter().all(|left| *left == 0) {
                return true;
            }
            let Some((node, rest)) = rest.split_first().filter(|_| budget > 0) else { return false };
            let (start, end) = hierarchy.span(*node);
            let with = |sign: i64| -> Vec<i64> {
                let leaves = (0_u32..).zip(wanted);
                leaves.map(|(leaf, left)| left - if (start..end).contains(&leaf) { sign } else { 0 }).collect()
            };
            search(hierarchy, rest, wanted, budget)
                || search(hierarchy, rest, &with(1), budget - 1)
                || search(hierarchy, rest, &with(-1), budget - 1)
        }
        // To have a value is all less the missing, also where it would be one node.
        prop_assume!(set != LeafSet::range(0, hierarchy.missing()));
        prop_assert!(chosen == 0 || !search(&hierarchy, &all, &wanted, chosen - 1));
    }

    #[test]
    fn names_count_a_row_once_if_the_condition_is_true_and_else_not(condition in condition()) {
        let hierarchies = hierarchies();
        let names = names(&condition, &hierarchies, MOST).unwrap();
        for row in rows() {
            let is_true = condition.value(&row) == Some(true);
            prop_assert_eq!(counted_by_names(&names, &hierarchies, &row), i64::from(is_true), "{:?}", row);
        }
    }

    #[test]
    fn no_way_of_writing_a_condition_changes_its_names(condition in condition(), seed in any::<u64>()) {
        let hierarchies = hierarchies();
        let other = rewritten(&condition, seed);
        prop_assert_eq!(
            names(&condition, &hierarchies, MOST).unwrap(),
            names(&other, &hierarchies, MOST).unwrap(),
            "{:?}", other
        );
    }

    #[test]
    fn sets_of_leaves_are_sets((left, right) in (leaf_set(20), leaf_set(20))) {
        for leaf in 0..20 {
            let both = left.contains(leaf) || right.contains(leaf);
            prop_assert_eq!(left.union(&right).contains(leaf), both);
            prop_assert_eq!(left.complement(20).contains(leaf), !left.contains(leaf));
            prop_assert_eq!(left.within(5, 12).contains(leaf), left.contains(leaf) && (5..12).contains(&leaf));
        }
        prop_assert_eq!(left.complement(20).complement(20), left);
    }
}

fn calendar() -> Hierarchy {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
    Hierarchy::days(day(2020, 1, 1), day(2029, 12, 31)).unwrap()
}

/// The number of the leaf of a day.
fn leaf_of(year: i32, month: u32, day: u32) -> u32 {
    let first = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
    let day = NaiveDate::from_ymd_opt(year, month, day).unwrap();
    u32::try_from((day - first).num_days()).unwrap()
}

#[test]
fn a_year_is_one_name_and_a_part_of_it_the_year_without_the_rest() {
    let hierarchy = calendar();
    let year = LeafSet::range(leaf_of(2025, 1, 1), leaf_of(2026, 1, 1));
    assert_eq!(cover(&hierarchy, &year, MOST).unwrap(), vec![(Node { level: 2, index: 5 }, 1)]);
    // From 15 March: the year without January, without February, and without fourteen days.
    let rest = LeafSet::range(leaf_of(2025, 3, 15), leaf_of(2026, 1, 1));
    let nodes = cover(&hierarchy, &rest, MOST).unwrap();
    assert_eq!(nodes.len(), 17);
    assert_eq!(nodes.iter().filter(|(node, _)| node.level == 4).count(), 14);
    assert_eq!(nodes.iter().map(|(_, sign)| sign).sum::<i64>(), 1 - 16);
}

#[test]
fn not_in_three_of_a_hundred_is_all_without_three() {
    let hierarchy = Hierarchy::values(100).unwrap();
    let three = [7, 40, 99].into_iter().fold(LeafSet::none(), |set, leaf| set.union(&LeafSet::one(leaf)));
    // NOT IN is unknown where the column is missing, which is a leaf of its own.
    let missing = LeafSet::one(hierarchy.missing());
    let test = Test { column: 1, is_true: three, is_unknown: missing };
    let hierarchies = BTreeMap::from([(1, hierarchy)]);
    let not_in = Condition::Not(Box::new(Condition::Test(test)));
    let found = names(&not_in, &hierarchies, MOST).unwrap();
    assert_eq!(found.len(), 5, "all, without the three and without the missing: {found:?}");
    assert!((found.deviations() - 5.0_f64.sqrt()).abs() < 1e-9);
}

#[test]
fn a_column_that_makes_no_difference_is_not_named() {
    let hierarchies =
        BTreeMap::from([(1, Hierarchy::values(4).unwrap()), (2, Hierarchy::values(2).unwrap())]);
    let test = |column, leaf| {
        Condition::Test(Test { column, is_true: LeafSet::one(leaf), is_unknown: LeafSet::none() })
    };
    let not = |condition| Condition::Not(Box::new(condition));
    let either = Condition::Any(vec![
        Condition::All(vec![test(1, 3), test(2, 0)]),
        Condition::All(vec![test(1, 3), not(test(2, 0))]),
    ]);
    assert_eq!(names(&either, &hierarchies, MOST), names(&test(1, 3), &hierarchies, MOST));
    let everything = names(&Condition::Always(true), &hierarchies, MOST).unwrap();
    assert_eq!(
        everything.terms().map(|(name, coefficient)| (name.len(), coefficient)).collect::<Vec<_>>(),
        [(0, 1)]
    );
    assert!(names(&Condition::Always(false), &hierarchies, MOST).unwrap().is_empty());
}

#[test]
fn too_many_names_are_refused_at_the_limit() {
    let hierarchies = BTreeMap::from([(1, Hierarchy::values(1_000).unwrap())]);
    let odd = (0..500).fold(LeafSet::none(), |set, leaf| set.union(&LeafSet::one(2 * leaf)));
    let test = Condition::Test(Test { column: 1, is_true: odd, is_unknown: LeafSet::none() });
    assert_eq!(names(&test, &hierarchies, 500).unwrap().len(), 500);
    assert_eq!(names(&test, &hierarchies, 499), Err(NameFault::TooMany { most: 499 }));
}

#[test]
fn steps_have_decimal_parents_at_round_numbers() {
    // Steps of five from 15 to 1,000: the first parent is short, all others begin at multiples of fifty.
    let hierarchy = Hierarchy::steps(3, 197).unwrap();
    assert_eq!(hierarchy.leaf_level(), 3);
    assert_eq!(hierarchy.span(Node { level: 2, index: 0 }), (0, 7));
    assert_eq!(hierarchy.span(Node { level: 2, index: 1 }), (7, 17));
    assert_eq!(hierarchy.span(Node { level: 1, index: 1 }), (97, 197));
}

#[test]
fn a_level_that_refines_nothing_is_refused() {
    assert_eq!(Hierarchy::new(4, vec![vec![0, 2], vec![0, 1]]), Err(HierarchyFault::NotRefined(1)));
    assert_eq!(Hierarchy::new(4, vec![vec![1, 2]]), Err(HierarchyFault::NotRefined(0)));
    assert_eq!(Hierarchy::new(4, vec![vec![0, 4]]), Err(HierarchyFault::NotRefined(0)));
    assert_eq!(Hierarchy::values(u32::MAX), Err(HierarchyFault::TooManyLeaves));
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    assert_eq!(Hierarchy::days(day(2021), day(2020)), Err(HierarchyFault::NoCalendar));
}

proptest! {
    /// Over columns of their own, the names of two conditions together are the products of their names.
    #[test]
    fn names_of_conditions_over_columns_of_their_own_multiply(first in condition(), second in condition()) {
        let hierarchies = hierarchies();
        prop_assume!(first.columns().is_disjoint(&second.columns()));
        let of = |condition: &Condition| names(condition, &hierarchies, MOST).unwrap();
        let both = of(&Condition::All(vec![first.clone(), second.clone()]));
        prop_assert_eq!(of(&first).times(&of(&second), MOST).unwrap(), both);
    }
}

#[test]
fn what_begins_in_a_year_and_has_no_end_is_few_names() {
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let hierarchy = Hierarchy::days(day(1900), day(2101).pred_opt().unwrap()).unwrap();
    let first = u32::try_from((day(2019) - day(1900)).num_days()).unwrap();
    let found = cover(&hierarchy, &LeafSet::range(first, hierarchy.missing()), MOST).unwrap();
    assert_eq!(found.len(), 10, "2019, eight decades and 2100: {found:?}");
}

#[test]
fn to_have_a_value_is_all_less_the_missing() {
    // However many values there are: two columns of two values that are never missing are no four draws of all.
    for values in [1, 2, 3, 100] {
        let hierarchy = Hierarchy::values(values).unwrap();
        let found = cover(&hierarchy, &LeafSet::range(0, values), MOST).unwrap();
        assert_eq!(found, [(Node::ROOT, 1), (Node { level: 1, index: values }, -1)]);
    }
    let presence = BTreeMap::from([(1, Hierarchy::presence()), (2, Hierarchy::presence())]);
    let has_one =
        |column| Condition::Test(Test { column, is_true: LeafSet::one(0), is_unknown: LeafSet::none() });
    let of = |condition: &Condition| {
        let found = names(condition, &presence, MOST).unwrap();
        let terms = found.terms().map(|(name, coefficient)| (name.len(), coefficient));
        terms.collect::<Vec<_>>()
    };
    assert_eq!(of(&has_one(1)), [(0, 1), (1, -1)]);
    assert_eq!(of(&Condition::Not(Box::new(has_one(1)))), [(1, 1)]);
    assert_eq!(of(&Condition::All(vec![has_one(1), has_one(2)])), [(0, 1), (1, -1), (2, 1), (1, -1)]);
}

#[test]
fn what_makes_a_difference_only_for_rows_that_cannot_be_is_not_named() {
    // Two counts, of a year and of a month in it, from one to five.
    let counts = || Hierarchy::values(5).unwrap();
    let hierarchies = BTreeMap::from([(1, counts()), (2, counts().within(BTreeMap::from([(1, true)])))]);
    let is = |column, set: &LeafSet| {
        Condition::Test(Test { column, is_true: set.clone(), is_unknown: LeafSet::none() })
    };
    let (any, none) = (LeafSet::range(0, 5), LeafSet::one(5));
    let of = |condition: &Condition| names(condition, &hierarchies, MOST).unwrap();
    let both = |year: &LeafSet, month: &LeafSet| of(&Condition::All(vec![is(1, year), is(2, month)]));
    assert_eq!(
        both(&none, &none),
        of(&is(1, &none)),
        "who did not come in the year did not come in the month"
    );
    assert_eq!(both(&none, &LeafSet::range(0, 2).union(&none)), of(&is(1, &none)));
    assert_eq!(both(&any, &any), of(&is(2, &any)));
    assert_eq!(both(&LeafSet::one(2), &LeafSet::range(0, 3).union(&none)), of(&is(1, &LeafSet::one(2))));
    assert!(both(&none, &any).is_empty());
    assert_ne!(both(&any, &none), of(&is(1, &any)));
    assert_ne!(both(&LeafSet::one(2), &LeafSet::one(1)), both(&LeafSet::one(2), &LeafSet::one(2)));
}
