//! Random tables, and an attacker who shares nothing with the product's linear programs: it cuts the ranges of all unknowns in halves until
//! it has a table of whole numbers that agrees with all that is told, or knows that there is none. It does not know which groups have rows.

use std::collections::BTreeSet;

use datafusion_common::ScalarValue;
use proptest::prelude::*;

use super::super::places::laid_out;
use super::*;
use crate::plan::KeySet;

/// Subjects that a group needs.
const K: i128 = 3;

/// Worlds that each property looks at.
const CASES: u32 = 96;

/// The protection interval of counts.
const COUNTS: Protection = Protection { least: 0, most: K, percent: 0 };

/// That of sums, of which a row has from nothing to six.
const SUMS: Protection = Protection { least: 0, most: 6, percent: 20 };

/// Groups of people with their keys, and the sets of keys that are asked for.
#[derive(Debug, Clone)]
struct World {
    people: Vec<(Vec<i64>, i128)>,
    /// Each set as places of its keys.
    sets: Vec<Vec<usize>>,
    keys: usize,
    /// Step that numbers are rounded to.
    step: i128,
    /// Its numbers are sums, of which each row has the same part as all of its group.
    sums: bool,
}

/// One group of one set: its keys, its number, and whether it is seen.
#[derive(Debug, Clone)]
struct Cell {
    set: usize,
    keys: Vec<i64>,
    number: i128,
    shown: bool,
}

impl Cell {
    /// The numbers that it may be by what the answer tells.
    fn told(&self, world: &World) -> Interval {
        let of_group = if world.sums { Interval::from(0) } else { Interval::from(K) };
        Interval::of_rounded(self.number, world.step).and(of_group)
    }
}

impl World {
    /// The sets with the finest among them, which is hidden where it is not asked for.
    fn key_sets(&self) -> Vec<KeySet> {
        let all: Vec<usize> = (0..self.keys).collect();
        let hidden = (!self.sets.contains(&all)).then_some((all, true));
        let asked = self.sets.iter().map(|set| (set.clone(), false));
        let sets = hidden.into_iter().chain(asked);
        sets.map(|(keys, is_hidden)| KeySet { keys, is_hidden, is_last: false }).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (set, keys) in self.key_sets().iter().enumerate() {
            let mut numbers: BTreeMap<Vec<i64>, (i128, i128)> = BTreeMap::new();
            if keys.keys.is_empty() {
                numbers.insert(Vec::new(), (0, 0));
            }
            for (own, count) in self.people.iter().filter(|(_, count)| *count > 0) {
                let of_one = if self.sums { i128::from(own.iter().sum::<i64>()) * 2 % 7 } else { 1 };
                let number = numbers.entry(keys.keys.iter().map(|key| own[*key]).collect()).or_default();
                *number = (number.0 + count, number.1 + count * of_one);
            }
            let cell = |(keys_of, (count, number)): (Vec<i64>, (i128, i128))| {
                let shown = !keys.is_hidden && count >= K;
                Cell { set, keys: keys_of, number, shown }
            };
            cells.extend(numbers.into_iter().map(cell));
        }
        cells
    }

    /// The cells before and after the control.
    fn after(&self, steps: u64, protection: Protection) -> (Vec<Cell>, Vec<Cell>) {
        let (key_sets, before) = (self.key_sets(), self.cells());
        let of_set = |set: usize| before.iter().filter(move |cell| cell.set == set);
        let scalar = |keys: &Vec<i64>| keys.iter().map(|key| ScalarValue::Int64(Some(*key))).collect();
        let rows: Vec<Vec<Vec<ScalarValue>>> =
            (0..key_sets.len()).map(|set| of_set(set).map(|cell| scalar(&cell.keys)).collect()).collect();
        let shown: Vec<Vec<bool>> =
            (0..key_sets.len()).map(|set| of_set(set).map(|cell| cell.shown).collect()).collect();
        let told = |cell: &Cell| crate::control::number::round_half_up(cell.number, self.step);
        // No two groups that are seen cost the same.
        let mut rank = 0;
        let mut cost = |cell: &Cell| {
            rank += u64::from(cell.shown);
            u64::try_from(told(cell)).unwrap().max(1) * 1_000_003 + rank * rank * 7919 % 1_000_003
        };
        let costs: Vec<u64> = before.iter().map(&mut cost).collect();
        let mut margins = laid_out(&key_sets.iter().collect::<Vec<_>>(), &rows, &shown, &costs).unwrap();
        let numbers = before.iter().map(|cell| Number {
            exact: cell.number,
            told: cell.shown.then(|| cell.told(self)),
            beside: Interval::OPEN,
            needs: None,
        });
        let beforehand = Interval { least: Some(0), most: None };
        let figures = Figures { adds_up: true, beforehand, protection };
        margins.figure(figures, numbers.collect()).unwrap();
        margins.steps_left = steps;
        margins.protect();
        let after = before.iter().cloned().zip(margins.shown());
        let after = after.map(|(cell, shown)| Cell { shown, ..cell }).collect();
        (before, after)
    }
}

/// Searches for one table, steps of each, and sums that they know.
const SEARCHES_MAX: usize = 50;
const SEARCH_MAX: usize = 2_000;
const SUMS_MAX: usize = 200;

/// The attacker: unknowns at every combination of keys that are seen, and of one other value for each key.
#[derive(Debug)]
struct Attacker {
    ranges: Vec<(i128, i128)>,
    told: Vec<(Vec<usize>, (i128, i128))>,
    /// Each missing group as the unknowns that it is the sum of.
    missing: Vec<Vec<usize>>,
    /// The exact number of each unknown, which it does not know.
    exact: Vec<i128>,
}

impl Attacker {
    fn of(world: &World, before: &[Cell], after: &[Cell]) -> Self {
        let key_sets = world.key_sets();
        let mut values: Vec<BTreeSet<i64>> = vec![BTreeSet::from([i64::MAX]); world.keys];
        for cell in before.iter().filter(|cell| cell.shown) {
            for (key, value) in key_sets[cell.set].keys.iter().zip(&cell.keys) {
                values[*key].insert(*value);
            }
        }
        let mut places: Vec<Vec<i64>> = vec![Vec::new()];
        for values in &values {
            places = places
                .iter()
                .flat_map(|place| values.iter().map(|value| [place.as_slice(), &[*value]].concat()))
                .collect();
        }
        let parts = |keys: &[usize], own: &[i64]| -> Vec<usize> {
            let lies = |place: &Vec<i64>| keys.iter().zip(own).all(|(key, value)| place[*key] == *value);
            (0..places.len()).filter(|at| lies(&places[*at])).collect()
        };
        let mut told = Vec::new();
        let largest: i128 = before.iter().map(|cell| cell.number).max().unwrap_or(0) * 2 + 2 * K;
        // Of a missing count it takes for granted that it is small.
        let mut ranges = vec![(0, if world.sums { largest } else { 2 * K + 4 }); places.len()];
        for cell in after {
            let parts = parts(&key_sets[cell.set].keys, &cell.keys);
            let was_seen = before.iter().any(|one| one.set == cell.set && one.keys == cell.keys && one.shown);
            if cell.shown {
                let about = cell.told(world);
                told.push((parts, (about.least.unwrap(), about.most.unwrap())));
            } else if was_seen && key_sets[cell.set].keys.len() == world.keys {
                parts.into_iter().for_each(|part| ranges[part].1 = largest);
            }
        }
        // What the finest set hides from the start may be anything.
        if key_sets.iter().any(|set| set.is_hidden) {
            ranges.iter_mut().for_each(|range| range.1 = largest);
        }
        for (parts, (least, most)) in &told {
            if let [part] = parts.as_slice() {
                ranges[*part] = (*least, *most);
            }
            parts.iter().for_each(|part| ranges[*part].1 = ranges[*part].1.min(*most));
        }
        let mut missing: BTreeSet<Vec<usize>> = BTreeSet::new();
        for (number, set) in key_sets.iter().enumerate().filter(|(_, set)| !set.is_hidden) {
            for place in &places {
                let own: Vec<i64> = set.keys.iter().map(|key| place[*key]).collect();
                let is_seen = before.iter().any(|cell| cell.set == number && cell.keys == own && cell.shown);
                if !is_seen {
                    missing.insert(parts(&set.keys, &own));
                }
            }
        }
        let mut exact = vec![0; places.len()];
        for cell in before.iter().filter(|cell| key_sets[cell.set].keys.len() == world.keys) {
            let at = cell
                .keys
                .iter()
                .zip(&values)
                .map(|(key, seen)| if seen.contains(key) { *key } else { i64::MAX });
            let at: Vec<i64> = at.collect();
            let place = places.iter().position(|place| *place == at).unwrap();
            exact[place] += cell.number;
        }
        Attacker { ranges, told, missing: missing.into_iter().collect(), exact }
    }

    fn exact(&self, parts: &[usize]) -> i128 {
        parts.iter().map(|part| self.exact[*part]).sum()
    }

    /// True if a table of whole numbers agrees with all that is told and gives some unknowns this sum.
    ///
    /// A search that begins badly goes on for very long, so that it is cut short and begun anew elsewhere: near the exact numbers
    /// first, then ever farther away.
    fn agrees(&self, parts: &[usize], number: i128) -> bool {
        let mut told = self.told.clone();
        told.push((parts.to_vec(), (number, number)));
        let told = with_differences(told);
        let mut near = self.exact.clone();
        for search in 1..=SEARCHES_MAX {
            let mut steps = SEARCH_MAX;
            let found = is_possible(self.ranges.clone(), &told, &near, &mut steps);
            if found || steps > 0 {
                return found;
            }
            for (at, (near, (least, most))) in near.iter_mut().zip(&self.ranges).enumerate() {
                // Another part of the unknowns each time, to another place of their range.
                let drawn = i128::try_from((search * 7919 + at * 104_729) % 1_009).unwrap();
                if drawn % 3 == 0 {
                    *near = least + drawn * (most - least) / 1_008;
                }
            }
        }
        panic!("no search has an end: {parts:?} {number} {self:?}")
    }
}

/// Ends of whole numbers.
type Range = (i128, i128);

/// Adds what follows of every sum and a part of it: the rest.
fn with_differences(told: Vec<(Vec<usize>, Range)>) -> Vec<(Vec<usize>, Range)> {
    let mut known: BTreeMap<Vec<usize>, Range> = BTreeMap::new();
    let mut new = told;
    while !new.is_empty() && known.len() < SUMS_MAX {
        for (parts, (least, most)) in new.drain(..) {
            let range = known.entry(parts).or_insert((least, most));
            *range = (range.0.max(least), range.1.min(most));
        }
        for (all, (least, most)) in &known {
            for (parts, (of_parts, most_of_parts)) in &known {
                if parts.len() >= all.len() || !parts.iter().all(|part| all.contains(part)) {
                    continue;
                }
                let rest: Vec<usize> = all.iter().copied().filter(|part| !parts.contains(part)).collect();
                if !known.contains_key(&rest) {
                    new.push((rest, (least - most_of_parts, most - of_parts)));
                }
            }
        }
    }
    known.into_iter().collect()
}

/// True if there are whole numbers within these ranges whose sums are within theirs: by halves of the narrowest range that is open, that
/// of the number to look near first.
fn is_possible(
    mut ranges: Vec<Range>,
    told: &[(Vec<usize>, Range)],
    near: &[i128],
    steps: &mut usize,
) -> bool {
    *steps = steps.saturating_sub(1);
    if *steps == 0 || !narrow(&mut ranges, told) {
        return false;
    }
    let open = ranges.iter().enumerate().filter(|(_, (least, most))| least < most);
    let Some((at, (least, most))) = open.min_by_key(|(_, (least, most))| most - least) else { return true };
    let middle = (least + most).div_euclid(2);
    let mut halves = [(*least, middle), (middle + 1, *most)];
    if near[at] > middle {
        halves.reverse();
    }
    halves.into_iter().any(|half| {
        let mut halved = ranges.clone();
        halved[at] = half;
        is_possible(halved, told, near, steps)
    })
}

/// Takes from each range what no sum allows, until nothing changes; false where nothing is left of one.
fn narrow(ranges: &mut [Range], told: &[(Vec<usize>, Range)]) -> bool {
    loop {
        let before = ranges.to_vec();
        for (parts, (least, most)) in told {
            let (lowest, highest) = parts.iter().fold((0, 0), |sum, part| {
                let range = ranges[*part];
                (sum.0 + range.0, sum.1 + range.1)
            });
            if lowest > *most || highest < *least {
                return false;
            }
            for part in parts {
                let range = ranges[*part];
                let narrowed =
                    (range.0.max(least - (highest - range.1)), range.1.min(most - (lowest - range.0)));
                if narrowed.0 > narrowed.1 {
                    return false;
                }
                ranges[*part] = narrowed;
            }
        }
        if before == ranges {
            return true;
        }
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let shape = prop_oneof![
        Just(vec![4_usize]),
        Just(vec![2, 2]),
        Just(vec![2, 3]),
        Just(vec![3, 2]),
        Just(vec![3, 3]),
        Just(vec![2, 1, 2]),
        Just(vec![2, 2, 2])
    ];
    shape.prop_flat_map(|shape| {
        let cells: usize = shape.iter().product();
        let masks = 1_usize << shape.len();
        let keys = shape.len();
        let asked = prop::collection::btree_set(0..masks, 2..=masks.min(4));
        let counts = prop::collection::vec(0..=9_i128, cells);
        let step = prop_oneof![Just(1_i128), Just(3), Just(4)];
        (counts, asked, step).prop_map(move |(counts, asked, step)| {
            let people = counts.into_iter().enumerate().map(|(cell, count)| {
                let mut rest = cell;
                let keys = shape.iter().map(|size| {
                    let key = rest % size;
                    rest /= size;
                    i64::try_from(key).unwrap()
                });
                (keys.collect(), count)
            });
            let sets = asked.into_iter().map(|mask| (0..keys).filter(|key| mask >> key & 1 == 1).collect());
            World { people: people.collect(), sets: sets.collect(), keys, step, sums: false }
        })
    })
}

/// No missing number is bounded more tightly than its protection interval, from end to end.
fn is_protected(world: &World, steps: u64) {
    let protection = if world.sums { SUMS } else { COUNTS };
    let (before, after) = world.after(steps, protection);
    let attacker = Attacker::of(world, &before, &after);
    for missing in &attacker.missing {
        let exact = attacker.exact(missing);
        let (down, up) = protection.needs(exact);
        for number in [exact - down, exact + up] {
            assert!(attacker.agrees(missing, number), "{missing:?} cannot be {number}: {world:?}\n{after:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn a_missing_count_may_be_anything_up_to_the_threshold(world in worlds()) {
        is_protected(&world, STEPS_MAX);
    }

    #[test]
    fn a_missing_sum_may_be_nobodys_and_that_of_one_row(world in worlds()) {
        is_protected(&World { sums: true, ..world }, STEPS_MAX);
    }

    #[test]
    fn out_of_steps_it_is_as_safe(world in worlds(), steps in 0_u64..400) {
        is_protected(&world, steps);
    }

    /// A person who is alone, and one who is not there, leave the same groups: what is told is the same, and so what is withheld.
    #[test]
    fn what_goes_does_not_tell_who_is_there(world in worlds(), count in 1..3_i128) {
        let mut with = world.clone();
        let keys = (0..world.keys).map(|_| 77).collect();
        with.people.push((keys, count));
        let told = |world: &World| -> Vec<(usize, Vec<i64>, i128)> {
            let (before, _) = world.after(STEPS_MAX, COUNTS);
            let about = |cell: &Cell| crate::control::number::round_half_up(cell.number, world.step);
            before.iter().filter(|cell| cell.shown).map(|cell| (cell.set, cell.keys.clone(), about(cell))).collect()
        };
        let left = |world: &World| -> Vec<(usize, Vec<i64>)> {
            let (_, after) = world.after(STEPS_MAX, COUNTS);
            after.into_iter().filter(|cell| cell.shown).map(|cell| (cell.set, cell.keys)).collect()
        };
        prop_assume!(told(&world) == told(&with));
        prop_assert_eq!(left(&world), left(&with));
    }

    #[test]
    fn what_is_rounded_is_within_what_rounding_tells(exact in -60..60_i128, step in 1..12_i128) {
        let told = Interval::of_rounded(exact, step);
        for other in -80..80 {
            let is_same = crate::control::number::round_half_up(other, step)
                == crate::control::number::round_half_up(exact, step);
            prop_assert_eq!(told.holds(other), is_same, "{} of {} by {}", other, exact, step);
        }
    }
}

/// A department of three zips, of which one has one person, and one department of a single zip.
fn departments(step: i128) -> World {
    World {
        people: vec![(vec![0, 0], 40), (vec![0, 1], 1), (vec![0, 2], 20), (vec![1, 3], 50)],
        sets: vec![vec![0, 1], vec![0], vec![]],
        keys: 2,
        step,
        sums: false,
    }
}

fn left(world: &World, steps: u64, protection: Protection) -> Vec<(usize, Vec<i64>)> {
    let (_, after) = world.after(steps, protection);
    after.into_iter().filter(|cell| cell.shown).map(|cell| (cell.set, cell.keys)).collect()
}

#[test]
fn exact_totals_and_all_their_parts_are_not_told_together() {
    let left = left(&departments(1), STEPS_MAX, COUNTS);
    let all: BTreeSet<(usize, Vec<i64>)> =
        [(0, vec![0, 0]), (0, vec![0, 2]), (0, vec![1, 3]), (1, vec![0]), (1, vec![1]), (2, vec![])].into();
    let gone: Vec<_> = all.iter().filter(|cell| !left.contains(cell)).collect();
    // The cheapest part of the first department, the only one of the second, and the second, beside which a third may be missing.
    assert_eq!(gone, [&(0, vec![0, 2]), &(0, vec![1, 3]), &(1, vec![1])]);
}

#[test]
fn where_rounding_hides_enough_nothing_more_is_withheld() {
    assert_eq!(left(&departments(5), STEPS_MAX, COUNTS).len(), 6);
}

#[test]
fn out_of_steps_the_margins_are_withheld() {
    let left = left(&departments(1), 0, COUNTS);
    assert_eq!(left, [(0, vec![0, 0]), (0, vec![0, 2]), (0, vec![1, 3])]);
}

#[test]
fn a_withheld_sum_stays_open_by_its_percentage() {
    const HALF: Protection = Protection { least: 0, most: 0, percent: 50 };
    // The one of forty and the twenty are withheld together, so that neither is the difference of the total.
    let mut world = departments(1);
    world.people = vec![(vec![0, 0], 40), (vec![0, 1], 2), (vec![0, 2], 20), (vec![1, 3], 50)];
    assert!(!left(&world, STEPS_MAX, HALF).contains(&(0, vec![0, 2])));
    // Without anybody withheld nothing else is.
    world.people = vec![(vec![0, 0], 40), (vec![0, 2], 20), (vec![1, 3], 50)];
    assert_eq!(left(&world, STEPS_MAX, HALF).len(), 6);
}

#[test]
fn totals_that_are_not_the_sum_of_their_parts_let_nothing_out() {
    let set = |keys: Vec<usize>| KeySet { keys, is_hidden: false, is_last: false };
    let sets = [set(vec![0]), set(vec![])];
    let rows = [vec![vec![ScalarValue::Int64(Some(1))]], vec![vec![]]];
    let lay = |shown: &[Vec<bool>]| laid_out(&sets.iter().collect::<Vec<_>>(), &rows, shown, &[1, 1]);
    let mut margins = lay(&[vec![true], vec![true]]).unwrap();
    let told = Some(Interval { least: Some(5), most: Some(5) });
    let number = |exact| Number { exact, told, beside: Interval::OPEN, needs: None };
    let beforehand = Interval { least: Some(0), most: None };
    let figures = Figures { adds_up: true, beforehand, protection: COUNTS };
    assert!(margins.figure(figures, vec![number(5), number(6)]).is_err());
    assert!(margins.figure(figures, vec![number(5), number(5)]).is_ok());
    let other = [vec![vec![ScalarValue::Int64(Some(1))]], vec![]];
    assert!(laid_out(&sets.iter().collect::<Vec<_>>(), &other, &[vec![true], vec![]], &[1]).is_err());
}

#[test]
fn subjects_of_several_groups_need_parts_that_may_hold_the_total() {
    let set = |keys: Vec<usize>| KeySet { keys, is_hidden: false, is_last: false };
    let sets = [set(vec![0]), set(vec![])];
    let rows: Vec<Vec<Vec<ScalarValue>>> =
        vec![(0..3).map(|key| vec![ScalarValue::Int64(Some(key))]).collect(), vec![vec![]]];
    let left = |numbers: [i128; 4]| -> Vec<bool> {
        let shown = vec![numbers[..3].iter().map(|number| *number >= K).collect(), vec![true]];
        let mut margins = laid_out(&sets.iter().collect::<Vec<_>>(), &rows, &shown, &[1; 4]).unwrap();
        let number = |exact: i128| Number {
            exact,
            told: (exact >= K).then(|| Interval::of_rounded(exact, 1)),
            beside: Interval::OPEN,
            needs: None,
        };
        let beforehand = Interval { least: Some(0), most: None };
        let figures = Figures { adds_up: false, beforehand, protection: COUNTS };
        margins.figure(figures, numbers.map(number).to_vec()).unwrap();
        margins.protect();
        margins.shown().collect()
    };
    // Twelve parts may well be ten people: the group that is not seen may be empty.
    assert_eq!(left([2, 5, 7, 10]), [false, true, true, true]);
    // Of 14 people two at the least are in it.
    assert_eq!(left([2, 5, 7, 14]), [false, false, true, true]);
}

/// The sums of one world from which a single search for 6 in `[21, 22, 23]` found no end in 100,000 steps.
#[test]
fn a_search_that_begins_badly_begins_anew() {
    let (wide, middle, narrow) = ((0, 254), (0, 124), (0, 88));
    let first = [wide, narrow, wide, middle, narrow, middle, wide, narrow, wide];
    let second = [(0, 16), (0, 16), (0, 16), (0, 70), (0, 70), (0, 70), narrow, narrow, narrow];
    let attacker = Attacker {
        ranges: [first, second, first].concat(),
        told: vec![
            ((9..18).collect(), (86, 88)),
            (vec![3, 4, 5, 12, 13, 14, 21, 22, 23], (122, 124)),
            (vec![9, 10, 11], (14, 16)),
            (vec![12, 13, 14], (68, 70)),
            ((1..27).step_by(3).collect(), (86, 88)),
        ],
        missing: Vec::new(),
        exact: [[0, 4, 0, 18, 36, 0, 0, 0, 0], [12, 4, 0, 28, 42, 0, 0, 0, 0], [0; 9]].concat(),
    };
    assert!(attacker.agrees(&[21, 22, 23], 6));
    assert!(attacker.agrees(&[21, 22, 23], 56) && !attacker.agrees(&[21, 22, 23], 57));
}
