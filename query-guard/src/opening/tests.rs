//! The opening of a policy: the nodes that masks leave, the leaf of each row, cubes, numbers, limits, and where there is nothing to compute.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int64Array;
use arrow::array::StringArray;
use obscura_policies::day::DatePart;
use obscura_policies::effective::Cubes as OpenedTogether;
use obscura_policies::effective::RowFilter;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;

use super::*;
use crate::exposure::Search;
use crate::exposure::least_squares;
use crate::fixture::column;
use crate::fixture::noise::policy;
use crate::fixture::variants::named;

fn today() -> Day {
    Day::from_epoch_days(20_000)
}

fn id(name: &str) -> DatasetId {
    format!("corpus.{name}").parse().unwrap()
}

fn column_of<'p>(policy: &'p mut EffectivePolicy, dataset: &str, name: &str) -> &'p mut EffectiveColumn {
    let dataset = policy.datasets.get_mut(&id(dataset)).unwrap();
    dataset.columns.iter_mut().find(|column| column.name == name).unwrap()
}

/// Columns of every kind of domain.
fn every_kind() -> Vec<EffectiveColumn> {
    let of = |name: &str, data_type| column(name, data_type, Role::QuasiIdentifier, 3, &[Use::Filter]);
    let (low, high) = (Fixed::from_i64(-250), Fixed::from_i64(750));
    let ranged = |data_type, bins: i64| EffectiveColumn {
        range: Some((low, high)),
        bins: Some(Fixed::from_i64(bins)),
        scale: 2,
        ..of("x", data_type)
    };
    let codes = ["1000", "1001", "1010", "2000", "200"].map(str::to_owned).to_vec();
    vec![
        of("x", DataType::Bool),
        of("x", DataType::Text),
        EffectiveColumn { domain: Some(codes.clone()), ..of("x", DataType::Text) },
        EffectiveColumn { domain: Some(codes), coded: true, ..of("x", DataType::Text) },
        of("x", DataType::Int),
        EffectiveColumn { range: Some((low, high)), ..of("x", DataType::Int) },
        EffectiveColumn { range: Some((low, Fixed::from_i64(1_000_000))), ..ranged(DataType::Int, 1000) },
        ranged(DataType::Decimal { scale: 2 }, 100),
        ranged(DataType::Float, 100),
        of("x", DataType::Date),
        of("x", DataType::Timestamp),
    ]
}

/// Masks that some of these columns may have.
fn masks() -> Vec<Mask> {
    vec![
        Mask::Redact,
        Mask::Partial { keep_first: 3, keep_last: 0 },
        Mask::Partial { keep_first: 0, keep_last: 1 },
        Mask::Bin { width: Fixed::from_i64(100) },
        Mask::Bin { width: Fixed::from_i64(70) },
        Mask::BinYears { years: 5, top: Some(90) },
        Mask::DateTrunc { part: DatePart::Month },
        Mask::DateTrunc { part: DatePart::Quarter },
        Mask::TopBottom { bottom: Some(Fixed::from_i64(0)), top: Some(Fixed::from_i64(500)) },
        Mask::Round { step: Fixed::from_i64(50) },
    ]
}

#[test]
fn every_point_of_a_domain_lies_in_its_own_leaf() {
    let policy = policy();
    let persons = &policy.datasets[&id("persons")];
    for column in every_kind() {
        let published = Published::of(&column, persons).unwrap();
        let leaves = published.leaves_of(&published.points());
        let missing = published.hierarchy().missing();
        let each = (0..missing).flat_map(|leaf| std::iter::repeat_n(leaf, published.per_leaf()));
        let wanted: Vec<u32> = each.chain([missing]).collect();
        if published.names_values() {
            assert_eq!(leaves, wanted, "{column:?}");
        } else {
            assert_eq!(leaves, [missing, missing], "{column:?}");
        }
    }
}

/// Rows of one leaf are shown alike, and values that a mask tells apart lie in different leaves: otherwise a table of cells would
/// be coarser than the one that is asked.
#[test]
fn what_a_mask_shows_apart_lies_in_different_leaves() {
    let policy = policy();
    let persons = &policy.datasets[&id("persons")];
    let mut coarsened = 0;
    for raw in every_kind() {
        for mask in masks().into_iter().filter(|mask| mask.fits(raw.data_type)) {
            let column = EffectiveColumn { mask: Some(mask.clone()), ..raw.clone() };
            let Some((published, hierarchy, leaf_of)) = shown(&column, persons, today()) else {
                panic!("{mask:?} is not keyed");
            };
            let whole = published.hierarchy();
            assert_eq!(leaf_of.len(), usize::try_from(whole.leaves()).unwrap());
            assert!(leaf_of.iter().all(|leaf| *leaf < hierarchy.leaves()), "{mask:?} {column:?}");
            coarsened += usize::from(hierarchy.leaves() < whole.leaves());
            if !published.names_values() {
                continue;
            }
            let expr = masked(Expr::Column(NamedColumn::from_name("x")), &column, persons, today());
            // A mask that tells values of one leaf apart has no names; the domain stands for it.
            if values_of(&expr, &column, &published).is_none() {
                assert_eq!((&hierarchy, leaf_of), (whole, (0..whole.leaves()).collect()));
                continue;
            }
            let points = published.points();
            let tried =
                evaluated(&expr, &batch([("x", Arc::clone(&points))], points.len()).unwrap()).unwrap();
            let leaves: Vec<u32> =
                published.leaves_of(&points).iter().map(|leaf| leaf_of[*leaf as usize]).collect();
            let mut of_leaf: BTreeMap<u32, ScalarValue> = BTreeMap::new();
            for (point, leaf) in leaves.iter().enumerate() {
                let value = ScalarValue::try_from_array(&tried, point).unwrap();
                let known = of_leaf.entry(*leaf).or_insert_with(|| value.clone());
                assert_eq!(*known, value, "{mask:?} {column:?}");
            }
        }
    }
    assert!(coarsened > 10, "{coarsened}");
}

/// A node of what a mask shows is one of the domain that holds whole values and no part of another.
#[test]
fn levels_of_a_mask_are_those_of_the_domain_that_it_leaves_whole() {
    let levels = |mask: Option<Mask>, data_type| {
        let policy = policy();
        let column = EffectiveColumn { mask, ..column("x", data_type, Role::Dimension, 2, &[Use::Group]) };
        let (_, hierarchy, _) = shown(&column, &policy.datasets[&id("persons")], today()).unwrap();
        (hierarchy.leaf_level(), hierarchy.leaves())
    };
    let (years, months) = (201, 201 * 12);
    assert_eq!(levels(None, DataType::Date).0, 4);
    assert_eq!(levels(Some(Mask::DateTrunc { part: DatePart::Month }), DataType::Date), (3, months + 1));
    assert_eq!(levels(Some(Mask::DateTrunc { part: DatePart::Year }), DataType::Date), (2, years + 1));
    // A decade is two bins of five years; years and months are parts of one.
    let (level, leaves) = levels(Some(Mask::BinYears { years: 5, top: None }), DataType::Date);
    assert!(level <= 2 && leaves < years, "{level} {leaves}");
}

#[test]
fn what_is_opened_is_what_the_policy_says() {
    let policy = policy();
    let persons = id("persons");
    let opening = Opening::of(&policy, &persons, today()).unwrap();
    let side = |name: &str| {
        let number = opening.names.iter().find(|(_, known)| **known == name)?.0;
        opening.opened.columns.get(number).map(|column| column.knowledge)
    };
    for name in ["dept", "zip", "age", "sex", "birth", "hire"] {
        assert_eq!(side(name), Some(Knowledge::Known), "{name}");
    }
    // Of two secrets the one with more levels is asked for, and the other is as known.
    assert_eq!((side("diag"), side("salary")), (Some(Knowledge::Known), Some(Knowledge::Secret)));
    assert_eq!((side("person_id"), side("name")), (None, None));
    assert_eq!(opening.opened.cubes, Cubes::any(3));
    // The sum of salaries and that of their squares.
    assert_eq!(opening.opened.measures, 2);
    assert_eq!(opening.deviation(), 2);
    assert_eq!(opening.limits(), &Limits::L3);
    assert_eq!(opening.opened.versions, Versions::Updated { epochs: EPOCHS });
    assert!(opening.rows_are_subjects());
    let columns = ["age", "birth", "dept", "diag", "hire", "person_id", "sex", "zip"].map(str::to_owned);
    assert_eq!(opening.columns(), BTreeSet::from(columns));
    let visits = Opening::of(&policy, &id("visits"), today()).unwrap();
    assert!(!visits.rows_are_subjects());
    // Rows, the sum of costs and that of their squares.
    assert_eq!(visits.opened.measures, 3);
}

#[test]
fn cubes_are_those_of_the_policy_and_no_larger_than_any() {
    let mut policy = policy();
    let persons = id("persons");
    column_of(&mut policy, "persons", "diag").uses.clear();
    let mut cubes = |columns_max: Option<u32>, sets: &[&[&str]]| {
        let sets: BTreeSet<BTreeSet<String>> =
            sets.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect();
        let sets = (!sets.is_empty()).then_some(sets);
        policy.datasets.get_mut(&persons).unwrap().controls.cubes = OpenedTogether::new(columns_max, sets);
        let opening = Opening::of(&policy, &persons, today()).unwrap();
        match opening.opened.cubes.clone() {
            Cubes::Any { columns_max } => Err(columns_max),
            Cubes::Listed(cubes) => {
                let name = |number: &u16| opening.name(*number).unwrap().to_owned();
                Ok(cubes.iter().map(|cube| cube.keys().map(name).collect::<Vec<_>>().join(" ")).collect())
            }
        }
    };
    assert_eq!(cubes(Some(2), &[]), Err(2));
    assert_eq!(cubes(Some(9), &[]), Err(3));
    let listed = |cubes: &[&str]| Ok(cubes.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(cubes(None, &[&["sex", "dept"], &["zip"]]), listed(&["dept sex", "zip"]));
    assert_eq!(cubes(Some(1), &[&["sex", "dept"]]), listed(&["dept", "sex"]));
    let four = cubes(None, &[&["sex", "dept", "age", "zip"]]);
    assert_eq!(four, listed(&["dept zip age", "dept zip sex", "dept age sex", "zip age sex"]));
}

/// A second secret meets what its own set holds, and the one that is asked for meets any.
#[test]
fn a_second_secret_meets_the_columns_of_its_set() {
    let mut policy = policy();
    let persons = id("persons");
    let sets =
        [&["sex", "diag"][..], &["dept", "salary"]].map(|set| set.iter().map(ToString::to_string).collect());
    policy.datasets.get_mut(&persons).unwrap().controls.cubes = OpenedTogether::new(None, Some(sets.into()));
    let opening = Opening::of(&policy, &persons, today()).unwrap();
    let Cubes::Listed(cubes) = &opening.opened.cubes else { panic!("listed") };
    let name = |number: &u16| opening.name(*number).unwrap().to_owned();
    let cubes: Vec<String> =
        cubes.iter().map(|cube| cube.keys().map(name).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(cubes, ["dept", "sex diag"]);
}

#[test]
fn a_column_that_nobody_uses_or_whose_mask_is_keyed_is_not_opened() {
    let mut policy = policy();
    column_of(&mut policy, "persons", "dept").uses.clear();
    column_of(&mut policy, "persons", "sex").mask = Some(Mask::Token { domain: "x".to_owned() });
    column_of(&mut policy, "persons", "hire").mask = Some(Mask::Redact);
    column_of(&mut policy, "persons", "diag").uses.clear();
    column_of(&mut policy, "persons", "salary").uses = BTreeSet::from([Use::Aggregate]);
    let opening = Opening::of(&policy, &id("persons"), today()).unwrap();
    let names: Vec<&str> = opening.names.values().copied().collect();
    assert_eq!(names, ["zip", "age", "salary", "birth"]);
}

#[test]
fn without_noise_there_is_nothing_to_compute() {
    let of = |policy: &EffectivePolicy, name: &str| Opening::of(policy, &id(name), today()).map(drop);
    assert_eq!(of(&policy(), "nowhere"), Err(NothingOpened::NotNamed));
    assert_eq!(of(&policy(), "zones"), Err(NothingOpened::NoNumbers));
    assert_eq!(of(&named("nothing-released").unwrap(), "persons"), Err(NothingOpened::NoNumbers));
    assert_eq!(of(&named("corpus").unwrap(), "persons"), Err(NothingOpened::NoNoise));
    assert_eq!(of(&named("private").unwrap(), "persons"), Err(NothingOpened::Budget));
    let mut closed = policy();
    for name in ["dept", "zip", "age", "sex", "birth", "hire"] {
        column_of(&mut closed, "persons", name).uses.clear();
    }
    assert_eq!(of(&closed, "persons"), Err(NothingOpened::NoKnownColumn));
}

/// A policy that opens two columns of persons, and rows for it: departments by turns, and every third without a subject.
fn small() -> (EffectivePolicy, RecordBatch) {
    let mut policy = policy();
    for name in ["zip", "age", "birth", "hire", "diag"] {
        column_of(&mut policy, "persons", name).uses.clear();
    }
    let rows = 60;
    let depts: StringArray = (0..rows).map(|row| Some(["art", "eng", "law"][row % 3])).collect();
    let sexes: StringArray = (0..rows).map(|row| (row % 4 != 0).then_some("f")).collect();
    let keys: Int64Array = (0..rows).map(|row| (row % 5 != 0).then(|| i64::try_from(row).unwrap())).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("dept", Arc::new(depts)), ("sex", Arc::new(sexes)), ("person_id", Arc::new(keys))];
    (policy, batch(columns, rows).unwrap())
}

#[test]
fn rows_without_a_subject_and_those_that_a_filter_leaves_out_are_in_no_cell() {
    let (mut policy, rows) = small();
    let count = |policy: &EffectivePolicy| {
        let persons = id("persons");
        let opening = Opening::of(policy, &persons, today()).unwrap();
        let mut read = opening.rows();
        read.take(&rows).unwrap();
        read.take(&rows).unwrap();
        read.subjects().map(|subjects| subjects.count())
    };
    assert_eq!(count(&policy), Ok(96));
    let filter = |sql: &str| vec![RowFilter { sql: sql.to_owned(), jurisdiction: false }];
    let persons = |policy: &mut EffectivePolicy, filters| {
        policy.datasets.get_mut(&id("persons")).unwrap().row_filters = filters;
    };
    // Every fourth has no sex, which is not another one.
    persons(&mut policy, filter("sex = 'f'"));
    assert_eq!(count(&policy), Ok(72));
    persons(&mut policy, filter("sex = 'm'"));
    assert_eq!(count(&policy), Err(ExposureFault::Subjects));
    persons(&mut policy, filter("nowhere = 1"));
    let opening = Opening::of(&policy, &id("persons"), today()).unwrap();
    assert_eq!(opening.rows().take(&rows), Err(RowsFault::RowFilter));
    persons(&mut policy, Vec::new());
    let opening = Opening::of(&policy, &id("persons"), today()).unwrap();
    assert_eq!(opening.rows().take(&rows.project(&[0]).unwrap()), Err(RowsFault::ColumnMissing));
}

/// The figure of what a policy opens is that of the tables which it opens, written down by hand.
#[test]
fn the_exposure_is_that_of_the_tables_that_are_opened() {
    let (policy, rows) = small();
    let persons = id("persons");
    let opening = Opening::of(&policy, &persons, today()).unwrap();
    let mut read = opening.rows();
    read.take(&rows).unwrap();
    let subjects = read.subjects().unwrap();
    let by_hand = Opened {
        columns: BTreeMap::from([
            (1, Column { hierarchy: Hierarchy::values(5).unwrap(), knowledge: Knowledge::Known }),
            (2, Column { hierarchy: Hierarchy::values(2).unwrap(), knowledge: Knowledge::Known }),
            (3, Column { hierarchy: Hierarchy::steps(0, 11).unwrap(), knowledge: Knowledge::Secret }),
        ]),
        cubes: Cubes::any(3),
        measures: 2,
        versions: Versions::Updated { epochs: EPOCHS },
    };
    let kept: Vec<usize> = (0..60).filter(|row| row % 5 != 0).collect();
    let leaves = BTreeMap::from([
        (1, kept.iter().map(|row| u32::try_from(row % 3).unwrap()).collect()),
        (2, kept.iter().map(|row| if row % 4 == 0 { 2 } else { 0 }).collect()),
    ]);
    let wanted = Subjects::new(leaves).unwrap();
    let search = Search::default();
    let found = least_squares(opening.opened(), &subjects, 2, &search).unwrap();
    let by_hand = least_squares(&by_hand, &wanted, 2, &search).unwrap();
    assert!((found.worst() - by_hand.worst()).abs() < 1e-9, "{} {}", found.worst(), by_hand.worst());
    assert!(found.worst() > 0.1);
}
