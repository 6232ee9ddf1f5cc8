//! The places at which a group may be missing, and the groups that are seen around them.
//!
//! The groups that are withheld beside a small one must not depend on whether it exists. So each combination of keys at which the answer shows
//! no group is an unknown, of the values that the answer shows anywhere, and of one other value that it does not show.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

use datafusion_common::ScalarValue;

use crate::control::ControlError;
use crate::plan::KeySet;

use super::margins::Margins;
use super::margins::Set;
use super::margins::Unseen;

/// Most combinations of keys at which a group may be missing, and most of them that are parts of different groups.
const COMBINATIONS_MAX: usize = 100_000;
const PLACES_MAX: usize = 5_000;

/// The groups of all sets as an attacker knows them, without their numbers: the keys of each set, whether each group is seen, and what it
/// costs to withhold it. Beyond so many places the margins are withheld.
///
/// # Errors
/// [`ControlError::NotCells`] where a group of one set has no part or no total in another.
pub(super) fn laid_out(
    key_sets: &[&KeySet],
    rows: &[Vec<Vec<ScalarValue>>],
    shown: &[Vec<bool>],
    costs: &[u64],
) -> Result<Margins, ControlError> {
    let width = key_sets.iter().flat_map(|set| &set.keys).max().map_or(0, |last| last + 1);
    let finest = key_sets.iter().position(|set| set.keys.len() == width).ok_or(ControlError::NotCells)?;
    let parts = parts(rows, key_sets, finest)?;
    let sets = rows.iter().zip(key_sets).map(|(rows, keys)| Set {
        groups: rows.len(),
        keys: keys.keys.len(),
        is_visible: !keys.is_hidden,
    });
    let sets = sets.collect();
    let are_shown = || shown.iter().flatten().copied();
    let Some(places) = Places::of(key_sets, rows, shown, finest) else {
        return Ok(Margins::unseen(sets, are_shown()));
    };
    let mut margins = Margins::new(sets);
    for (shown, cost) in are_shown().zip(costs) {
        margins.group(shown, *cost);
    }
    margins.places(&parts, finest, &places.of_finest, &places.unseen);
    Ok(margins)
}

/// The places at which a group may be missing.
struct Places {
    /// Of each of the finest groups its place, where it is not seen.
    of_finest: Vec<Option<usize>>,
    /// Of each place the groups of the coarser sets that a group there is part of.
    unseen: Vec<Unseen>,
}

impl Places {
    /// All places, by the values of keys that are seen; a value that is not is one other. Nothing where there are too many.
    fn of(
        key_sets: &[&KeySet],
        rows: &[Vec<Vec<ScalarValue>>],
        shown: &[Vec<bool>],
        finest: usize,
    ) -> Option<Self> {
        let coarser = || key_sets.iter().enumerate().filter(|(number, _)| *number != finest);
        let keys: BTreeSet<usize> = coarser().flat_map(|(_, set)| set.keys.iter().copied()).collect();
        // The values of each key that are seen.
        let mut values: Vec<Vec<&ScalarValue>> = Vec::with_capacity(keys.len());
        for key in &keys {
            let mut seen: Vec<&ScalarValue> = Vec::new();
            let mut known: HashSet<&ScalarValue> = HashSet::new();
            for ((shown, keys), rows) in shown.iter().zip(key_sets).zip(rows) {
                let Some(at) = keys.keys.iter().position(|own| own == key) else { continue };
                for (row, _) in rows.iter().zip(shown).filter(|(_, shown)| **shown) {
                    seen.extend(row.get(at).filter(|value| known.insert(value)));
                }
            }
            values.push(seen);
        }
        let count = values.iter().try_fold(1_usize, |count, values| count.checked_mul(values.len() + 1))?;
        if count > COMBINATIONS_MAX {
            return None;
        }
        let numbers: Vec<HashMap<&ScalarValue, usize>> =
            values.iter().map(|values| values.iter().copied().zip(0..).collect()).collect();
        // The number of the place of a group with these keys, of which some may be missing.
        let place = |own: &[usize], row: &[ScalarValue]| -> Vec<Option<usize>> {
            let at = |key: &usize| own.iter().position(|own| own == key).and_then(|at| row.get(at));
            let numbers = keys.iter().zip(&numbers).zip(&values);
            numbers
                .map(|((key, numbers), values)| {
                    at(key).map(|value| numbers.get(value).copied().unwrap_or(values.len()))
                })
                .collect()
        };
        let number_of = |place: &[Option<usize>]| {
            place
                .iter()
                .zip(&values)
                .fold(0, |number, (at, values)| number * (values.len() + 1) + at.unwrap_or(values.len()))
        };
        let mut first_of: Vec<usize> = Vec::with_capacity(rows.len());
        let mut before = 0;
        for rows in rows {
            first_of.push(before);
            before += rows.len();
        }
        // The groups of the coarser sets that are seen, by their places there.
        let mut seen: HashMap<(usize, Vec<Option<usize>>), usize> = HashMap::new();
        for (number, set) in coarser() {
            let groups = rows.get(number)?.iter().zip(shown.get(number)?).enumerate();
            for (index, (row, _)) in groups.filter(|(_, (_, shown))| **shown) {
                seen.insert((number, place(&set.keys, row)), first_of.get(number)? + index);
            }
        }
        // Where the coarser sets have all keys together, a place is one group at the most: a seen one leaves none to be missing.
        let finest_keys = &key_sets.get(finest)?.keys;
        let is_one_group = finest_keys.iter().all(|key| keys.contains(key));
        let of_finest = rows.get(finest)?.iter().map(|row| number_of(&place(finest_keys, row)));
        let of_finest: Vec<(usize, bool)> = of_finest.zip(shown.get(finest)?.iter().copied()).collect();
        let full: HashSet<usize> =
            of_finest.iter().filter(|(_, shown)| *shown && is_one_group).map(|(number, _)| *number).collect();
        // Places that are parts of the same groups are one: what lies at one of them may as well lie at another.
        let mut unseen: Vec<Unseen> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut of_number: HashMap<usize, usize> = HashMap::new();
        for number in (0..count).filter(|number| !full.contains(number)) {
            let mut rest = number;
            let mut at: Vec<usize> = Vec::with_capacity(values.len());
            for values in values.iter().rev() {
                at.push(rest % (values.len() + 1));
                rest /= values.len() + 1;
            }
            at.reverse();
            let mut part_of = Unseen::default();
            for (set_number, set) in coarser() {
                let own: Vec<Option<usize>> =
                    keys.iter().zip(&at).map(|(key, at)| set.keys.contains(key).then_some(*at)).collect();
                match seen.get(&(set_number, own.clone())) {
                    Some(group) => part_of.seen.push(*group),
                    None if !set.is_hidden => part_of.missing.push((set_number, own)),
                    None => {}
                }
            }
            let place = *known.entry(part_of.seen.clone()).or_insert(unseen.len());
            of_number.insert(number, place);
            match unseen.get_mut(place) {
                Some(known) => known.missing.extend(part_of.missing),
                None => unseen.push(part_of),
            }
            if unseen.len() > PLACES_MAX {
                return None;
            }
        }
        let of_finest = of_finest.into_iter();
        let of_finest =
            of_finest.map(|(number, shown)| of_number.get(&number).copied().filter(|_| !shown)).collect();
        Some(Places { of_finest, unseen })
    }
}

/// Of each group of each set the groups of the finest set that it is made of, by their numbers there.
///
/// A group that is made of none, or one that is missing, is not of the same rows.
fn parts(
    rows: &[Vec<Vec<ScalarValue>>],
    key_sets: &[&KeySet],
    finest: usize,
) -> Result<Vec<Vec<usize>>, ControlError> {
    let of_finest = rows.get(finest).ok_or(ControlError::NotCells)?;
    let mut parts = Vec::new();
    for (own, keys) in rows.iter().zip(key_sets) {
        let mut made_of: HashMap<Vec<&ScalarValue>, Vec<usize>> = HashMap::new();
        for (number, row) in of_finest.iter().enumerate() {
            let key = keys.keys.iter().filter_map(|place| row.get(*place)).collect();
            made_of.entry(key).or_default().push(number);
        }
        // Only all people together are a group even where there is nobody.
        let is_nobody = of_finest.is_empty() && keys.keys.is_empty();
        for row in own {
            let of_group = made_of.remove(&row.iter().collect::<Vec<&ScalarValue>>()).unwrap_or_default();
            if of_group.is_empty() && !is_nobody {
                return Err(ControlError::NotCells);
            }
            parts.push(of_group);
        }
        if !made_of.is_empty() {
            return Err(ControlError::NotCells);
        }
    }
    Ok(parts)
}
