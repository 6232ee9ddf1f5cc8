//! Differences of sealed versions, held against the rows that were sealed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeMap;

use obscura_policies::vocabulary::UnitKind;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prop_assert_eq;
use proptest::proptest;

use crate::storage::DatasetSpec;
use crate::storage::SealMode;
use crate::storage::SealedVersion;
use crate::storage::changed::Comparison;
use crate::storage::changed::Differing;
use crate::storage::changed::Side;
use crate::storage::changed::compared_columns;
use crate::storage::changed::differing;
use crate::storage::error::StorageError;
use crate::storage::testing::World;
use crate::storage::testing::visits;

/// Each visit as a person and a cost.
type Visits = Vec<(u8, u8)>;

fn csv(visits: &Visits) -> String {
    let rows = visits.iter().map(|(person, cost)| match person {
        0 => format!(",2021/3/1,J01,{cost}\n"),
        person => format!("P{person:03},2021/3/1,J01,{cost}\n"),
    });
    std::iter::once("person_id,visit_date,icd10,cost\n".to_owned()).chain(rows).collect()
}

/// The visits of each person in any order; the person 0 is nobody.
fn by_person(visits: &Visits) -> BTreeMap<u8, Vec<u8>> {
    let mut by_person: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (person, cost) in visits.iter().filter(|(person, _)| *person > 0) {
        by_person.entry(*person).or_default().push(*cost);
    }
    by_person.values_mut().for_each(|costs| costs.sort_unstable());
    by_person
}

fn changed(old: &Visits, new: &Visits) -> u64 {
    let (old, new) = (by_person(old), by_person(new));
    let people = old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    people.into_iter().filter(|person| old.get(person) != new.get(person)).count().try_into().unwrap()
}

/// The number of subjects that differ, by asking for ever more of them.
fn count(world: &World, old: &SealedVersion, new: &SealedVersion, bound: u64) -> u64 {
    let keys =
        |version: &SealedVersion| version.unwrap_keys(&world.kms, &compared_columns(old, new)).unwrap();
    let (of_old, of_new) = (keys(old), keys(new));
    let (old, new) = (Side { version: old, keys: &of_old }, Side { version: new, keys: &of_new });
    let asked = |enough: u64| differing(old, new, enough, || Ok(())).unwrap();
    let found = (1..=bound).take_while(|enough| asked(*enough) == Differing::Enough).last().unwrap_or(0);
    let beyond = if found == 0 { Differing::Nobody } else { Differing::Few };
    assert_eq!(asked(found + 1), beyond);
    found
}

fn sealed(world: &World, spec: &DatasetSpec, mode: SealMode, visits: &Visits) -> SealedVersion {
    world.seal(spec, mode, csv(visits)).unwrap().version
}

/// A few visits, and one of somebody, since data of nobody is not sealed.
fn rows() -> impl Strategy<Value = Visits> {
    (proptest::collection::vec((0_u8..6, 0_u8..3), 0..12), 0_u8..3)
        .prop_map(|(visits, cost)| [visits, vec![(6, cost)]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn subjects_differ_if_any_of_their_rows_does(
        old in rows(),
        new in rows(),
    ) {
        let world = World::new();
        let first = sealed(&world, &visits(), SealMode::First, &old);
        let second = sealed(&world, &visits(), SealMode::Replace, &new);
        prop_assert_eq!(count(&world, &first, &second, 12), changed(&old, &new));
    }

    #[test]
    fn added_rows_are_those_that_differ(
        old in rows(),
        added in rows(),
    ) {
        let world = World::new();
        let first = sealed(&world, &visits(), SealMode::First, &old);
        let second = sealed(&world, &visits(), SealMode::Append, &added);
        prop_assert_eq!(count(&world, &first, &second, 12)  , changed(&old, &[old.clone(), added].concat()));
    }
}

#[test]
fn each_row_is_a_subject_where_no_unit_is_protected() {
    let world = World::new();
    let mut spec = visits();
    spec.units.clear();
    spec.columns.iter_mut().for_each(|column| column.token_of = None);
    let first = sealed(&world, &spec, SealMode::First, &vec![(1, 1), (1, 1), (2, 1), (3, 1)]);
    // One of two equal rows is gone, and one is new.
    let second = sealed(&world, &spec, SealMode::Replace, &vec![(1, 1), (2, 1), (3, 1), (3, 2)]);
    assert_eq!(count(&world, &first, &second, 9), 2);
}

#[test]
fn a_column_that_is_new_lets_nobody_differ() {
    let world = World::new();
    let mut spec = visits();
    spec.columns.retain(|column| column.name != "icd10");
    let people = vec![(1, 1), (2, 1), (3, 1), (0, 1)];
    let first = sealed(&world, &spec, SealMode::First, &people);
    let second = sealed(&world, &visits(), SealMode::Replace, &people);
    assert_eq!(count(&world, &first, &second, 9), 0);
    // One person more is one, whatever came beside.
    let third = sealed(&world, &visits(), SealMode::Replace, &[people, vec![(4, 1)]].concat());
    assert_eq!(count(&world, &first, &third, 9), 1);
}

#[test]
fn another_order_of_rows_and_columns_lets_nobody_differ() {
    let world = World::new();
    let first = sealed(&world, &visits(), SealMode::First, &vec![(1, 1), (2, 2), (2, 1)]);
    let mut spec = visits();
    spec.columns.reverse();
    let second = sealed(&world, &spec, SealMode::Replace, &vec![(2, 1), (1, 1), (2, 2)]);
    assert_eq!(count(&world, &first, &second, 9), 0);
}

#[test]
fn people_of_another_kind_all_differ() {
    let world = World::new();
    let first = sealed(&world, &visits(), SealMode::First, &vec![(1, 1), (2, 1)]);
    let mut spec = visits();
    spec.units[0].kind = UnitKind("pupil".to_owned());
    spec.columns[0].token_of = Some(UnitKind("pupil".to_owned()));
    let second = sealed(&world, &spec, SealMode::Replace, &vec![(1, 1), (2, 1), (3, 1)]);
    assert_eq!(count(&world, &first, &second, 9), 3);
}

#[test]
fn subjects_that_do_not_fit_are_compared_part_by_part() {
    let world = World::new();
    let people = |moved: u8| (1..=40).map(|person| (person, u8::from(person <= moved))).collect::<Visits>();
    let first = sealed(&world, &visits(), SealMode::First, &people(0));
    let second = sealed(&world, &visits(), SealMode::Replace, &people(10));
    let keys = |version: &SealedVersion| {
        version.unwrap_keys(&world.kms, &compared_columns(&first, &second)).unwrap()
    };
    let (of_first, of_second) = (keys(&first), keys(&second));
    let (old, new) = (Side { version: &first, keys: &of_first }, Side { version: &second, keys: &of_second });
    let comparison = Comparison { parts: 7, ..Comparison::new(old, new, Some("person_id")) };
    assert_eq!(comparison.count(100, &mut || Ok(())).unwrap(), 10);
    assert!(comparison.count(1, &mut || Ok(())).unwrap() < 10, "a part is enough");
}

#[test]
fn it_stops_when_it_is_told_to() {
    let world = World::new();
    let first = sealed(&world, &visits(), SealMode::First, &vec![(1, 1)]);
    let second = sealed(&world, &visits(), SealMode::Replace, &vec![(2, 1)]);
    let keys = |version: &SealedVersion| {
        version.unwrap_keys(&world.kms, &compared_columns(&first, &second)).unwrap()
    };
    let (of_first, of_second) = (keys(&first), keys(&second));
    let (old, new) = (Side { version: &first, keys: &of_first }, Side { version: &second, keys: &of_second });
    let stopped = differing(old, new, 1, || Err(StorageError::Cancelled));
    assert!(matches!(stopped, Err(StorageError::Cancelled)));
}
