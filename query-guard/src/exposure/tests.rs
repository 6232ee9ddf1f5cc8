//! The figures are those of every other way to reach them: names counted one by one, a dense solution, an attack that is played.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dense;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::AllKnown;
use super::Closing;
use super::Column;
use super::Cubes;
use super::ExposureFault;
use super::Knowledge;
use super::Limits;
use super::NoDeviation;
use super::Opened;
use super::Search;
use super::Subjects;
use super::TABLES_MAX;
use super::Versions;
use super::advantage;
use super::all_known;
use super::least_deviation;
use super::least_squares;
use super::least_squares::information;
use super::least_squares::of_tables;
use super::tables::Tables;
use crate::cover::Hierarchy;

const SECRET: u16 = 99;

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    /// The next one (Steele, Lea and Flood 2014, SplitMix).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }

    fn bit(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// The ones among 4 times the variance of bits, less half of them: a draw of the noise.
    fn noise(&mut self, variance: u32) -> f64 {
        let ones: u32 = (0..4 * variance).map(|_| u32::from(self.bit())).sum();
        f64::from(ones) - f64::from(2 * variance)
    }
}

fn opened(known: Vec<Hierarchy>, secret: Hierarchy, cubes: Cubes) -> Opened {
    let column = |hierarchy, knowledge| Column { hierarchy, knowledge };
    let known = (1_u16..).zip(known).map(|(number, known)| (number, column(known, Knowledge::Known)));
    let columns = known.chain([(SECRET, column(secret, Knowledge::Secret))]).collect();
    Opened { columns, cubes, measures: 0, versions: Versions::Once }
}

/// Columns of so many values without levels, and a secret of two values.
fn flat(values: &[u32], cubes: Cubes) -> Opened {
    let known = values.iter().map(|values| Hierarchy::values(*values).unwrap()).collect();
    opened(known, Hierarchy::values(2).unwrap(), cubes)
}

/// Subjects whose values are independent and even.
fn even(values: &[u32], count: usize, seed: u64) -> Subjects {
    let mut numbers = Numbers(seed);
    let columns = (1_u16..).zip(values);
    let leaves =
        columns.map(|(number, values)| (number, (0..count).map(|_| numbers.below(*values)).collect()));
    Subjects::new(leaves.collect()).unwrap()
}

/// All people, to the last digits.
fn everybody() -> Search {
    Search { isolated: u32::MAX, sampled: 0, tolerance: 1e-7, ..Search::default() }
}

/// A hierarchy of at most two levels between the root and few leaves; some nodes may repeat those above them.
fn small_hierarchy() -> impl Strategy<Value = Hierarchy> {
    prop::collection::vec(0_u8..3, 1..4).prop_map(|marks| {
        let values = u32::try_from(marks.len()).unwrap();
        let starts = |least: u8| -> Vec<u32> {
            let leaves = (0_u32..).zip(&marks);
            leaves.filter(|(leaf, mark)| *leaf == 0 || **mark >= least).map(|(leaf, _)| leaf).collect()
        };
        Hierarchy::new(values, if values > 2 { vec![starts(2), starts(1)] } else { Vec::new() }).unwrap()
    })
}

fn some_cubes() -> impl Strategy<Value = Cubes> {
    let cube = prop::collection::btree_map(1_u16..4, 0_u8..5, 0..4);
    prop_oneof![(0_usize..4).prop_map(Cubes::any), prop::collection::vec(cube, 0..3).prop_map(Cubes::Listed),]
}

/// Three known columns, cubes of them, and the leaves of a few subjects.
fn instance() -> impl Strategy<Value = (Opened, Subjects)> {
    let hierarchies = prop::collection::vec(small_hierarchy(), 3);
    let versions =
        prop_oneof![Just(Versions::Once), (1_u32..30).prop_map(|epochs| Versions::Updated { epochs })];
    (hierarchies, some_cubes(), versions, 0_u32..3, 1_usize..14, any::<u64>()).prop_map(
        |(hierarchies, cubes, versions, measures, count, seed)| {
            let mut numbers = Numbers(seed);
            let leaves = (1_u16..).zip(&hierarchies).map(|(number, hierarchy)| {
                (number, (0..count).map(|_| numbers.below(hierarchy.leaves())).collect())
            });
            let subjects = Subjects::new(leaves.collect()).unwrap();
            let secret = Hierarchy::values(2).unwrap();
            (Opened { measures, versions, ..opened(hierarchies, secret, cubes) }, subjects)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn least_squares_is_the_dense_solution_over_all_names((opened, subjects) in instance(), deviation in 1_u32..9) {
        let found = least_squares(&opened, &subjects, deviation, &everybody()).unwrap();
        let noise = 1.0 / opened.versions.of_who_stays() * f64::from(deviation * deviation);
        let names = dense::names(&opened, &subjects);
        for person in &found.isolated {
            let separation = dense::separation(&names, person.subject, 0.25, noise);
            prop_assert!(
                (person.advantage - advantage(separation)).abs() < 1e-6,
                "{person:?}, dense {}", advantage(separation)
            );
        }
        prop_assert!(found.worst() <= all_known(&opened, deviation).unwrap().stays + 1e-9, "who knows more sees more");
    }

    #[test]
    fn few_steps_are_a_bound((opened, subjects) in instance(), steps_max in 0_u32..4) {
        let exact = least_squares(&opened, &subjects, 2, &everybody()).unwrap();
        let few = least_squares(&opened, &subjects, 2, &Search { steps_max, ..everybody() }).unwrap();
        for (exact, few) in exact.isolated.iter().zip(&few.isolated) {
            prop_assert!(few.advantage >= exact.advantage - 1e-6, "{few:?} {exact:?}");
            prop_assert!(few.advantage - few.excess <= exact.advantage + 1e-6, "{few:?} {exact:?}");
        }
    }

    #[test]
    fn more_noise_and_fewer_columns_expose_no_more((opened, subjects) in instance(), deviation in 1_u32..9) {
        let worst = |opened: &Opened, deviation| least_squares(opened, &subjects, deviation, &everybody()).unwrap().worst();
        prop_assert!(worst(&opened, deviation + 1) <= worst(&opened, deviation) + 1e-6);
        for columns_max in 0..3 {
            let fewer = Opened { cubes: Cubes::any(columns_max), ..opened.clone() };
            let more = Opened { cubes: Cubes::any(columns_max + 1), ..opened.clone() };
            prop_assert!(worst(&fewer, deviation) <= worst(&more, deviation) + 1e-6);
        }
    }

    #[test]
    fn the_names_of_one_person_are_counted_one_by_one(
        hierarchies in prop::collection::vec(0_usize..3, 3), cubes in some_cubes(), secret in 0_usize..3, measures in 0_u32..3,
    ) {
        // The first value of every column: none of its nodes is the one above it.
        let hierarchy = |levels: usize| {
            let all = [vec![0, 8], vec![0, 4, 8]];
            Hierarchy::new(12, all.into_iter().take(levels).collect()).unwrap()
        };
        let hierarchies = hierarchies.into_iter().map(hierarchy).collect();
        let opened = Opened { measures, ..opened(hierarchies, hierarchy(secret), cubes) };
        let subjects = Subjects::new((1..4).map(|column| (column, vec![0])).collect()).unwrap();
        let names = dense::names_of_first(&opened, &subjects, 0, 11);
        prop_assert_eq!(all_known(&opened, 4).unwrap().names, u64::try_from(names).unwrap());
    }
}

#[test]
fn any_three_of_six_columns_are_forty_two_tables() {
    let known = all_known(&flat(&[5; 6], Cubes::any(3)), 4).unwrap();
    assert_eq!(known.names, 2 * 42);
    assert!((known.stays - advantage(84.0_f64.sqrt() / 4.0)).abs() < 1e-12);
    assert_eq!(known.stays.to_bits(), known.arrives.to_bits());
    // Listed twice, a combination is there once.
    let sets = [[1, 2, 3], [2, 3, 4]];
    assert_eq!(all_known(&flat(&[5; 6], Cubes::listed(sets)), 4).unwrap().names, 2 * (8 + 8 - 4));
    // The closed form has no limit, the tables have one.
    let many = flat(&[2; 60], Cubes::any(60));
    assert_eq!(all_known(&many, 16).unwrap().names, 1 << 61);
    let subjects = even(&[2; 60], 10, 1);
    assert_eq!(least_squares(&many, &subjects, 4, &everybody()), Err(ExposureFault::TooManyTables));
    assert_eq!(flat(&[2; 12], Cubes::any(12)).tables().unwrap().len(), TABLES_MAX);
    assert_eq!(flat(&[2; 13], Cubes::any(13)).tables(), Err(ExposureFault::TooManyTables));
}

/// The linear discriminant over all answers, with binomial noise and random bits of the others.
#[test]
fn an_attack_that_is_played_wins_as_often_as_predicted() {
    let values = [3, 3, 2];
    let (opened, subjects) = (flat(&values, Cubes::any(2)), even(&values, 24, 5));
    let names = dense::names(&opened, &subjects);
    let (deviation, attempts) = (2_u32, 4_000_u32);
    let search = Search { sampled: 4, ..everybody() };
    let found = least_squares(&opened, &subjects, deviation, &search).unwrap();
    let worst = found.isolated.iter().max_by(|a, b| a.advantage.total_cmp(&b.advantage)).unwrap();
    for person in [worst, found.sampled.first().unwrap(), found.sampled.last().unwrap()] {
        let attack = dense::weights(&names, person.subject, 0.25, f64::from(deviation * deviation));
        let separation = dense::shift(&names, person.subject, &attack).sqrt();
        assert!((advantage(separation) - person.advantage).abs() < 1e-6, "{separation} {person:?}");
        let mut numbers = Numbers(11);
        let mut right = 0;
        for _ in 0..attempts {
            let bits: Vec<bool> = (0..subjects.count()).map(|_| numbers.bit()).collect();
            let estimate: f64 = names
                .iter()
                .zip(&attack)
                .map(|(name, weight)| weight * (name.centred(&bits) + numbers.noise(deviation * deviation)))
                .sum();
            right += u32::from((estimate > 0.0) == bits[person.subject]);
        }
        let share = f64::from(right) / f64::from(attempts);
        let predicted = f64::midpoint(1.0, person.advantage);
        let error = 3.5 * (predicted * (1.0 - predicted) / f64::from(attempts)).sqrt();
        assert!((share - predicted).abs() < error, "{share} played, {predicted} predicted, {person:?}");
    }
    assert!(worst.advantage > 0.3, "there is something to win: {worst:?}");
}

/// The design's simulation: deviation 4, the worst of 1,000 people, two to six columns open at once.
///
/// Its figures are those of least squares without prior knowledge, under which nobody who shares all attributes with another is
/// told at all: bits of unlimited prior variance. An attacker who knows that bits are zero or one is told more.
#[test]
fn the_simulation_of_the_design_is_an_attacker_without_prior_knowledge() {
    let simulated = [0.00, 0.18, 0.36, 0.63, 0.86];
    for (columns, simulated) in (2..).zip(simulated) {
        let values: Vec<u32> = [6, 7, 8, 8, 8, 8].into_iter().take(columns).collect();
        let (opened, subjects) = (flat(&values, Cubes::any(columns)), even(&values, 1_000, 3));
        let search = Search { isolated: 3, sampled: 0, ..Search::default() };
        let with_prior = least_squares(&opened, &subjects, 4, &search).unwrap().worst();
        let tables = Tables::of(&opened, &subjects).unwrap();
        let without = Search { bit_variance: 1e4, ..search };
        let without = of_tables(&tables, information(&opened, 4, &search).unwrap(), &without).worst();
        assert!((without - simulated).abs() < 0.07, "{columns} columns: {simulated} simulated, {without}");
        assert!(with_prior >= without - 0.002);
    }
}

#[test]
fn a_name_that_two_levels_share_is_asked_once() {
    // The first value is alone at every level: its three nodes are one name.
    let levels = Hierarchy::new(3, vec![vec![0, 1], vec![0, 1]]).unwrap();
    let subjects = Subjects::new(BTreeMap::from([(1, vec![0, 1, 2])])).unwrap();
    let opened = |hierarchy| opened(vec![hierarchy], Hierarchy::values(2).unwrap(), Cubes::any(1));
    let of_first = |opened: &Opened| {
        let found = least_squares(opened, &subjects, 2, &everybody()).unwrap();
        found.isolated.iter().find(|person| person.subject == 0).unwrap().advantage
    };
    let single = of_first(&opened(Hierarchy::values(3).unwrap()));
    let levelled = of_first(&opened(levels));
    assert!(
        (0.0..0.01).contains(&(levelled - single)),
        "the others' parent tells a little: {levelled} {single}"
    );
}

#[test]
fn a_rare_secret_is_told_more_easily() {
    let values = [6, 6, 6];
    let (opened, subjects) = (flat(&values, Cubes::any(2)), even(&values, 300, 9));
    let of = |bit_variance| {
        least_squares(&opened, &subjects, 4, &Search { bit_variance, ..everybody() }).unwrap().worst()
    };
    assert!(of(0.01) > of(0.25) + 0.03);
    let known = all_known(&opened, 4).unwrap().stays;
    assert!((of(1e-6) - known).abs() < 1e-3, "others whose bits hardly vary are known: {} {known}", of(1e-6));
}

#[test]
fn the_sample_is_even_and_the_isolated_are_the_worst() {
    let values = [7, 6, 5, 8];
    let (opened, subjects) = (flat(&values, Cubes::any(3)), even(&values, 300, 2));
    let all = least_squares(&opened, &subjects, 4, &everybody()).unwrap();
    let few = least_squares(&opened, &subjects, 4, &Search::default()).unwrap();
    assert!(all.worst() - few.worst() < 0.02, "{} {}", all.worst(), few.worst());
    let weight = |person: &super::Person| f64::from(person.alike);
    let mean = all.isolated.iter().map(|person| person.advantage * weight(person)).sum::<f64>() / 300.0;
    assert!((few.random() - mean).abs() < 0.02, "{} {mean}", few.random());
    assert_eq!(few.sampled.len(), 8);
    assert!(
        few.isolated.iter().chain(&few.sampled).all(|person| person.excess <= Search::default().tolerance)
    );
    let distinct: BTreeSet<usize> = few.isolated.iter().map(|person| person.subject).collect();
    assert_eq!(distinct.len(), 8);
}

#[test]
fn the_least_rung_within_all_limits_is_taken() {
    let values = [6, 6, 6, 6];
    let (opened, subjects) = (flat(&values, Cubes::any(3)), even(&values, 400, 4));
    let search = Search { isolated: 4, sampled: 1, ..Search::default() };
    for limits in [Limits::L2, Limits::L3] {
        let rung = least_deviation(&opened, &subjects, &limits, &search).unwrap();
        assert!(rung.deviation >= limits.deviation_min);
        assert!(rung.exposure.worst() <= limits.exposure && rung.all_known.stays <= limits.all_known);
        let below = [2, 3, 4, 6, 8, 12, 16].into_iter().rfind(|below| *below < rung.deviation).unwrap();
        let at_below = least_squares(&opened, &subjects, below, &search).unwrap().worst();
        let known_below = all_known(&opened, below).unwrap().stays;
        let is_low = below < limits.deviation_min;
        assert!(is_low || at_below > limits.exposure || known_below > limits.all_known);
    }
    // Almost nothing is opened: the least rung of the grade.
    let little = Opened { cubes: Cubes::any(0), ..opened };
    assert_eq!(least_deviation(&little, &subjects, &Limits::L2, &search).unwrap().deviation, 2);
    assert_eq!(least_deviation(&little, &subjects, &Limits::L3, &search).unwrap().deviation, 4);
}

#[test]
fn a_refusal_names_what_to_close() {
    // The last column has most levels, and so most names.
    let mut known = vec![Hierarchy::values(3).unwrap(); 5];
    known.push(Hierarchy::steps(0, 2_000).unwrap());
    let all = opened(known, Hierarchy::values(2).unwrap(), Cubes::any(6));
    let subjects = even(&[3, 3, 3, 3, 3, 2_000], 50, 8);
    let search = Search { isolated: 2, sampled: 0, ..Search::default() };
    let refusal = least_deviation(&all, &subjects, &Limits::L3, &search).unwrap_err();
    let NoDeviation::NoRung { close, share, share_closed } = refusal else { panic!("{refusal:?}") };
    assert_eq!(close, Some(Closing::Column(6)));
    assert!(share > 1.0 && share_closed <= 1.0, "{share} {share_closed}");
    // Of several cubes the one that gains most.
    let cubes = Cubes::listed([vec![1, 2], vec![1, 2, 3, 4, 5, 6], vec![2, 3]]);
    let listed = Opened { cubes: cubes.clone(), ..all };
    let refusal = least_deviation(&listed, &subjects, &Limits::L3, &search).unwrap_err();
    let NoDeviation::NoRung { close, .. } = refusal else { panic!("{refusal:?}") };
    let Cubes::Listed(cubes) = cubes else { panic!("listed") };
    assert_eq!(close, Some(Closing::Cube(cubes[1].clone())));
}

#[test]
fn who_arrives_is_limited_where_versions_are_replaced() {
    let values = [6; 6];
    let (once, subjects) = (flat(&values, Cubes::any(2)), even(&values, 20_000, 4));
    let search = Search { isolated: 2, sampled: 0, ..Search::default() };
    let updated = Opened { versions: Versions::Updated { epochs: 24 }, ..once.clone() };
    let of = |opened| least_deviation(opened, &subjects, &Limits::L3, &search).unwrap();
    let (once, updated) = (of(&once), of(&updated));
    assert!(once.deviation < updated.deviation, "{} {}", once.deviation, updated.deviation);
    assert!(updated.all_known.arrives <= Limits::L3.arrives);
}

/// Each cell has the bit once where no column is secret: whether somebody is in it.
#[test]
fn without_a_secret_column_the_bit_is_whether_somebody_is_there() {
    let (open, subjects) = (flat(&[3, 3], Cubes::any(2)), even(&[3, 3], 90, 1));
    let mut present = open.clone();
    present.columns.remove(&SECRET);
    let known = |open: &Opened| all_known(open, 4).unwrap().names;
    assert_eq!(2 * known(&present), known(&open));
    let of = |open: &Opened| least_squares(open, &subjects, 4, &Search::default()).unwrap().worst();
    assert!(of(&present) < of(&open) && of(&present) > 0.0);
}

/// That a person has a value in a column is a name only of those who have none.
#[test]
fn columns_that_everybody_has_a_value_in_expose_nobody() {
    let (open, subjects) = (flat(&[3, 3], Cubes::any(3)), even(&[3, 3], 90, 1));
    let worst = |open: &Opened, subjects: &Subjects| {
        least_squares(open, subjects, 4, &Search { isolated: 90, sampled: 0, ..Search::default() })
            .unwrap()
            .worst()
    };
    let mut filled = open.clone();
    filled.columns.insert(9, Column { hierarchy: Hierarchy::presence(), knowledge: Knowledge::Known });
    let leaves = |of_person: &dyn Fn(usize) -> u32| {
        let known = [1, 2].map(|column| (column, subjects.leaves(column).to_vec()));
        let filled = (0..90).map(of_person).collect();
        Subjects::new(known.into_iter().chain([(9, filled)]).collect()).unwrap()
    };
    let (all, but_one) = (leaves(&|_| 0), leaves(&|person| u32::from(person == 0)));
    let alone = worst(&open, &subjects);
    assert!((worst(&filled, &all) - alone).abs() < 0.005, "{} {alone}", worst(&filled, &all));
    assert!(worst(&filled, &but_one) > alone + 0.05, "{} {alone}", worst(&filled, &but_one));
}

#[test]
fn faults_are_told() {
    let subjects = even(&[3, 3], 10, 1);
    let of = |opened: &Opened| least_squares(opened, &subjects, 4, &Search::default()).unwrap_err();
    assert_eq!(of(&flat(&[3, 3, 3], Cubes::any(3))), ExposureFault::NoLeaves(3));
    assert_eq!(of(&flat(&[3, 3], Cubes::listed([[SECRET]]))), ExposureFault::NotKnown(SECRET));
    let beyond = Subjects::new(BTreeMap::from([(1, vec![5])])).unwrap();
    let open = flat(&[3], Cubes::any(1));
    assert_eq!(least_squares(&open, &beyond, 4, &Search::default()), Err(ExposureFault::NoSuchLeaf(1)));
    assert_eq!(least_squares(&open, &beyond, 0, &Search::default()), Err(ExposureFault::NoNoise));
    assert_eq!(all_known(&open, 0), Err(ExposureFault::NoNoise));
    let unlimited = Search { bit_variance: 1.0, ..Search::default() };
    assert_eq!(least_squares(&open, &subjects, 4, &unlimited), Err(ExposureFault::NoNoise));
    assert_eq!(Subjects::new(BTreeMap::new()), Err(ExposureFault::Subjects));
    assert_eq!(Subjects::new(BTreeMap::from([(1, vec![1]), (2, vec![])])), Err(ExposureFault::NoLeaves(2)));
    let closed = AllKnown {
        names: 2,
        stays: advantage(2.0_f64.sqrt() / 4.0),
        arrives: advantage(2.0_f64.sqrt() / 4.0),
    };
    assert_eq!(all_known(&flat(&[3], Cubes::any(0)), 4), Ok(closed));
}
