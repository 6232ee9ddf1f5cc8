//! Properties of combining over random terms: a join, in the order of admitting less.
//! Nothing here is used outside tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::collection::btree_map;
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::sample::select;

use crate::combine::ColumnTerms;
use crate::combine::Terms;
use crate::day::DatePart;
use crate::effective::Controls;
use crate::effective::Cubes;
use crate::effective::DEVIATIONS;
use crate::effective::Dominance;
use crate::effective::RowFilter;
use crate::fixed::Fixed;
use crate::mask::FormatKind;
use crate::mask::Mask;
use crate::privacy::PrivacyBudget;
use crate::shipped::hierarchies;
use crate::vocabulary::Epoch;
use crate::vocabulary::Function;
use crate::vocabulary::Level;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;

fn fixed() -> impl Strategy<Value = Fixed> {
    (1_i64..40).prop_map(|tenths| Fixed::from_micros(i128::from(tenths) * 100_000))
}

pub(crate) fn mask() -> impl Strategy<Value = Mask> {
    let levels: Vec<Mask> = hierarchies()
        .unwrap()
        .values()
        .flat_map(|hierarchy| {
            hierarchy
                .level_names()
                .into_iter()
                .map(|name| Mask::Hierarchy(hierarchy.level(name).unwrap()))
                .collect::<Vec<_>>()
        })
        .collect();
    prop_oneof![
        Just(Mask::Redact),
        (0_u8..5, 0_u8..5).prop_map(|(keep_first, keep_last)| Mask::Partial { keep_first, keep_last }),
        select(vec!["a", "b"]).prop_map(|domain| Mask::Token { domain: domain.to_owned() }),
        fixed().prop_map(|width| Mask::Bin { width }),
        fixed().prop_map(|step| Mask::Round { step }),
        (any::<u8>().prop_map(|y| y.max(1)), option::of(60_u8..100))
            .prop_map(|(years, top)| Mask::BinYears { years, top }),
        select(DatePart::ALL).prop_map(|part| Mask::DateTrunc { part }),
        (1_u16..4).prop_map(|days_max| Mask::DateShift { per: UnitKind("resident".to_owned()), days_max }),
        select(levels),
        (option::of(fixed()), option::of(fixed())).prop_filter_map("ordered limits", |(bottom, top)| match (
            bottom, top
        ) {
            (None, None) => None,
            (Some(b), Some(t)) if b >= t => None,
            (bottom, top) => Some(Mask::TopBottom { bottom, top }),
        }),
        select(vec!["a", "b"]).prop_map(|domain| Mask::FormatPreserving {
            kind: FormatKind::Mobile,
            domain: domain.to_owned()
        }),
    ]
}

fn columns() -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned), 0..4)
}

fn cubes() -> impl Strategy<Value = Cubes> {
    (option::of(1_u32..4), option::of(btree_set(columns(), 1..4)))
        .prop_map(|(columns_max, sets)| Cubes::new(columns_max, sets))
}

pub(crate) fn controls() -> impl Strategy<Value = Controls> {
    let unit = select(vec!["resident", "enterprise", "vehicle"]).prop_map(|u| UnitKind(u.to_owned()));
    (
        0_u32..30,
        btree_map(unit, 1_u32..30, 0..3),
        option::of((1_u8..4, 500_u16..1000, 0_u16..30)),
        option::of(prop_oneof![1_u32..12, any::<u32>().prop_map(|b| b.max(1))]),
        option::of(select(DEVIATIONS.to_vec())),
        (cubes(), option::of(select(Epoch::ALL.to_vec()))),
        option::of(1_u32..9_000),
        select(Review::ALL.to_vec()),
        btree_set(select(vec!["x".to_owned(), "y".to_owned()]), 0..2),
    )
        .prop_map(
            |(
                subjects_min,
                subjects_min_by_unit,
                dominance,
                rounding,
                perturbation,
                (cubes, epoch),
                cells_max,
                review,
                unavailable,
            )| {
                Controls {
                    subjects_min,
                    subjects_min_by_unit,
                    dominance: dominance.map(|(n, share_max_permille, p_percent)| Dominance {
                        n,
                        share_max_permille,
                        p_percent,
                    }),
                    rounding,
                    perturbation,
                    cubes,
                    epoch,
                    cells_max,
                    review,
                    unavailable,
                }
            },
        )
}

fn column() -> impl Strategy<Value = ColumnTerms> {
    (
        btree_set(select(Use::ALL), 0..5),
        option::of(mask()),
        1_u8..5,
        option::of((fixed(), fixed())),
        option::of(fixed()),
    )
        .prop_map(|(uses, mask, level, range, bins)| ColumnTerms {
            uses,
            mask,
            grade_after: Level(level),
            range,
            bins,
        })
}

fn budget() -> impl Strategy<Value = PrivacyBudget> {
    (0.1_f64..8.0, 1e-12_f64..1e-3, 0.1_f64..1.0, 1_u32..400).prop_map(
        |(epsilon, delta, per_query_max, period_days)| PrivacyBudget {
            epsilon,
            delta,
            per_query_max,
            period_days,
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let dataset = select(vec!["a.x", "a.y", "b.z"]).prop_map(|id| id.parse().unwrap());
    let filter = (select(vec!["p", "q"]), any::<bool>())
        .prop_map(|(sql, jurisdiction)| RowFilter { sql: sql.to_owned(), jurisdiction });
    (
        select(Release::ALL),
        btree_set(select(Function::ALL), 0..6),
        controls(),
        btree_set((dataset, Just(UnitKind("resident".to_owned()))), 0..3),
        (1_u32..30, 1_u32..9, option::of(budget())),
        btree_set(filter, 0..3),
        btree_map(select(vec!["c".to_owned(), "d".to_owned(), "e".to_owned()]), column(), 0..4),
    )
        .prop_map(
            |(release, functions, controls, join_with, (rows, groups, budget), row_filters, columns)| Terms {
                release,
                functions,
                controls,
                join_with,
                max_rows_per_subject: rows,
                max_groups_per_subject: groups,
                privacy_budget: budget,
                all_ask_for_privacy: budget.is_some(),
                row_filters,
                columns,
            },
        )
}

/// True if `narrow` admits nothing that `wide` does not.
fn admits_no_more(narrow: &Terms, wide: &Terms) -> bool {
    let columns = narrow.columns.iter().all(|(name, column)| {
        wide.columns.get(name).is_some_and(|other| {
            column.uses.is_subset(&other.uses)
                && column.grade_after >= other.grade_after
                && (other.mask.is_none() || column.mask.is_some())
                && other
                    .range
                    .is_none_or(|(low, high)| column.range.is_some_and(|(l, h)| l >= low && h <= high))
        })
    });
    columns
        && narrow.release >= wide.release
        && narrow.functions.is_subset(&wide.functions)
        && narrow.join_with.is_subset(&wide.join_with)
        && narrow.row_filters.is_superset(&wide.row_filters)
        && narrow.max_rows_per_subject <= wide.max_rows_per_subject
        && narrow.max_groups_per_subject <= wide.max_groups_per_subject
        && wide
            .privacy_budget
            .is_none_or(|wide| narrow.privacy_budget.is_some_and(|narrow| narrow.stricter(&wide) == narrow))
        && (wide.all_ask_for_privacy || !narrow.all_ask_for_privacy)
        && narrow.controls.is_at_least(&wide.controls)
}

#[test]
fn a_unit_named_on_one_side_only_keeps_the_larger_threshold() {
    let resident = UnitKind("resident".to_owned());
    let all = Controls { subjects_min: 10, ..Controls::default() };
    let by_unit = Controls {
        subjects_min: 3,
        subjects_min_by_unit: BTreeMap::from([(resident.clone(), 3)]),
        ..Controls::default()
    };
    assert_eq!(all.stricter(&by_unit).subjects_min(&resident), 10);
}

#[test]
fn the_larger_deviation_counts_and_none_is_the_least() {
    let noisy = |perturbation| Controls { perturbation, ..Controls::default() };
    let rungs: Vec<Controls> = [None].into_iter().chain(DEVIATIONS.map(Some)).map(noisy).collect();
    for pair in rungs.windows(2) {
        let [less, more] = pair else { panic!("two rungs") };
        assert_eq!(less.stricter(more).perturbation, more.perturbation);
        assert_eq!(more.stricter(less).perturbation, more.perturbation);
        assert!(more.is_at_least(less) && !less.is_at_least(more), "{more:?}");
    }
}

#[test]
fn the_ladder_rises() {
    assert!(DEVIATIONS.is_sorted_by(|lower, higher| lower < higher));
}

#[test]
fn masks_without_a_common_refinement_redact() {
    let token = Mask::Token { domain: "a".to_owned() };
    let partial = Mask::Partial { keep_first: 3, keep_last: 4 };
    assert_eq!(token.coarser(&partial), Mask::Redact);
    let week = Mask::DateTrunc { part: DatePart::Week };
    assert_eq!(week.coarser(&Mask::DateTrunc { part: DatePart::Month }), Mask::Redact);
    let month = Mask::DateTrunc { part: DatePart::Month };
    let band = Mask::BinYears { years: 5, top: Some(90) };
    assert_eq!(month.coarser(&band), band);
    let bin = |width: i64| Mask::Bin { width: width.into() };
    assert_eq!(bin(10).coarser(&bin(25)), bin(50));
}

#[test]
fn a_reversed_range_stays_reversed() {
    let column = |low: i64, high: i64| ColumnTerms {
        uses: BTreeSet::new(),
        mask: None,
        grade_after: Level(1),
        range: Some((low.into(), high.into())),
        bins: None,
    };
    let none = column(0, 5).stricter(&column(10, 20)).stricter(&column(0, 100));
    assert_eq!(none.range, Some((10.into(), 5.into())));
}

proptest! {
    /// Columns meet under two policies exactly where they meet under each.
    #[test]
    fn columns_meet_where_all_policies_let_them(a in cubes(), b in cubes(), columns in columns()) {
        prop_assert_eq!(a.stricter(&b).opens(&columns), a.opens(&columns) && b.opens(&columns));
    }
}

proptest! {
    #[test]
    fn terms_combine_in_any_order(a in terms(), b in terms(), c in terms()) {
        prop_assert_eq!(a.stricter(&b), b.stricter(&a));
        prop_assert_eq!(a.stricter(&b).stricter(&c), a.stricter(&b.stricter(&c)));
        prop_assert_eq!(a.stricter(&a), a);
    }

    #[test]
    fn one_more_never_admits_more(a in terms(), b in terms()) {
        prop_assert!(admits_no_more(&a.stricter(&b), &a));
    }

    #[test]
    fn masks_combine_in_any_order(a in mask(), b in mask(), c in mask()) {
        prop_assert_eq!(a.coarser(&b), b.coarser(&a));
        prop_assert_eq!(a.coarser(&b).coarser(&c), a.coarser(&b.coarser(&c)));
        prop_assert_eq!(a.coarser(&a), a.clone());
        prop_assert_eq!(a.coarser(&b).coarser(&a), a.coarser(&b));
    }
}
