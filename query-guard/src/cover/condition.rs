//! A condition over columns, and the truth table that it comes to: the same table for every way of writing it.
//!
//! SQL's logic has three values; a row is chosen where the condition is true.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::hierarchy::Hierarchy;
use super::leaves::LeafSet;
use super::links::Links;
use super::links::tuples;

/// One comparison of one column: the leaves that it is true for, and those that it is unknown for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Number of the column.
    pub column: u16,
    /// Leaves for which it is true.
    pub is_true: LeafSet,
    /// Leaves for which it is neither true nor false: the missing one, unless the comparison asks for it (`IS NULL`).
    pub is_unknown: LeafSet,
}

/// A condition made of comparisons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always true, or always false.
    Always(bool),
    /// Neither true nor false of any row: a comparison with a missing constant.
    Unknown,
    /// One comparison.
    Test(Test),
    /// True where the other is false; unknown where it is unknown.
    Not(Box<Condition>),
    /// True where the other is, and false everywhere else.
    IsTrue(Box<Condition>),
    /// True where all are.
    All(Vec<Condition>),
    /// True where one is.
    Any(Vec<Condition>),
}

/// A column's leaves in parts, none of which the condition tells apart within.
pub(super) type Parts = Vec<LeafSet>;

/// The tuples of parts for which a condition is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TruthTable {
    /// The columns that the condition rests on, each with its parts in order.
    pub(super) columns: BTreeMap<u16, Parts>,
    /// The tuples of part numbers, in the order of `columns`, for which it is true.
    pub(super) chosen: BTreeSet<Vec<usize>>,
}

impl TruthTable {
    /// The table of a condition. Nothing when it would have more than `most` rows, or reads a column without hierarchy.
    pub(super) fn of(
        condition: &Condition,
        hierarchies: &BTreeMap<u16, Hierarchy>,
        most: usize,
    ) -> Option<Self> {
        let mut tests: BTreeMap<u16, Vec<&Test>> = BTreeMap::new();
        condition.collect(&mut tests);
        let mut columns = BTreeMap::new();
        let mut rows: usize = 1;
        let read: BTreeSet<u16> = tests.keys().copied().collect();
        let links = Links::among(&read, hierarchies);
        for (column, tests) in &tests {
            let hierarchy = hierarchies.get(column)?;
            let parts = parts_of(tests, hierarchy, links.are_of(*column));
            rows = rows.checked_mul(parts.len()).filter(|rows| *rows <= most)?;
            columns.insert(*column, parts);
        }
        let sizes: Vec<usize> = columns.values().map(Vec::len).collect();
        let mut chosen = BTreeSet::new();
        for tuple in tuples(&sizes) {
            // A leaf stands for its part: the condition is the same for all of them.
            let leaf = columns.iter().zip(&tuple).map(|((column, parts), part)| {
                let first = parts.get(*part).and_then(|part| part.intervals().next());
                first.map(|(leaf, _)| (*column, leaf))
            });
            let leaf: BTreeMap<u16, u32> = leaf.collect::<Option<_>>()?;
            if condition.value(&leaf) == Some(true) {
                chosen.insert(tuple);
            }
        }
        let (columns, chosen) = links.of_rows_that_can_be(columns, chosen);
        Some(TruthTable { columns, chosen }.merged())
    }

    /// The same table with parts that the condition treats alike made one, and without columns that are left with one part.
    fn merged(self) -> Self {
        let TruthTable { mut columns, mut chosen } = self;
        let order: Vec<u16> = columns.keys().copied().collect();
        for (position, column) in order.iter().enumerate() {
            let Some(parts) = columns.get_mut(column) else { continue };
            let mut alike: BTreeMap<BTreeSet<Vec<usize>>, usize> = BTreeMap::new();
            let mut merged = Parts::new();
            let mut numbers = Vec::with_capacity(parts.len());
            for (number, part) in parts.iter().enumerate() {
                let number = *alike.entry(others_of(&chosen, position, number)).or_insert(merged.len());
                match merged.get_mut(number) {
                    Some(known) => *known = known.union(part),
                    None => merged.push(part.clone()),
                }
                numbers.push(number);
            }
            *parts = merged;
            chosen = chosen
                .into_iter()
                .map(|mut tuple| {
                    if let Some(part) = tuple.get_mut(position) {
                        *part = numbers.get(*part).copied().unwrap_or(*part);
                    }
                    tuple
                })
                .collect();
        }
        let kept: Vec<bool> = columns.values().map(|parts| parts.len() > 1).collect();
        columns.retain(|_, parts| parts.len() > 1);
        let chosen = chosen
            .into_iter()
            .map(|tuple| {
                tuple.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(part, _)| part).collect()
            })
            .collect();
        TruthTable { columns, chosen }
    }
}

/// The rest of the chosen tuples that have such a part at a position.
fn others_of(chosen: &BTreeSet<Vec<usize>>, position: usize, part: usize) -> BTreeSet<Vec<usize>> {
    let with = chosen.iter().filter(|tuple| tuple.get(position) == Some(&part));
    let rest = |tuple: &Vec<usize>| {
        tuple.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, part)| *part).collect()
    };
    with.map(rest).collect()
}

impl Condition {
    /// The comparisons, by column.
    fn collect<'c>(&'c self, tests: &mut BTreeMap<u16, Vec<&'c Test>>) {
        match self {
            Condition::Always(_) | Condition::Unknown => {}
            Condition::Test(test) => tests.entry(test.column).or_default().push(test),
            Condition::Not(inner) | Condition::IsTrue(inner) => inner.collect(tests),
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    part.collect(tests);
                }
            }
        }
    }

    /// The columns that its comparisons read.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<u16> {
        let mut tests = BTreeMap::new();
        self.collect(&mut tests);
        tests.into_keys().collect()
    }

    /// The value for a row whose columns have these leaves; nothing where it is unknown.
    pub(crate) fn value(&self, leaves: &BTreeMap<u16, u32>) -> Option<bool> {
        match self {
            Condition::Always(value) => Some(*value),
            Condition::Unknown => None,
            Condition::IsTrue(inner) => Some(inner.value(leaves) == Some(true)),
            Condition::Test(test) => {
                let leaf = *leaves.get(&test.column)?;
                (!test.is_unknown.contains(leaf)).then(|| test.is_true.contains(leaf))
            }
            Condition::Not(inner) => inner.value(leaves).map(|value| !value),
            Condition::All(parts) => decided(parts, leaves, false),
            Condition::Any(parts) => decided(parts, leaves, true),
        }
    }
}

/// `deciding` if one part has that value, unknown if one is unknown, else the other value (Kleene's logic, as SQL has it).
fn decided(parts: &[Condition], leaves: &BTreeMap<u16, u32>, deciding: bool) -> Option<bool> {
    let mut is_known = true;
    for part in parts {
        match part.value(leaves) {
            Some(value) if value == deciding => return Some(deciding),
            Some(_) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(!deciding)
}

/// The coarsest parts of a column that all its comparisons respect, in the order of their first leaves; `is_linked` leaves a part to the
/// missing alone.
fn parts_of(tests: &[&Test], hierarchy: &Hierarchy, is_linked: bool) -> Parts {
    let leaves = hierarchy.leaves();
    let missing = if is_linked { LeafSet::one(hierarchy.missing()) } else { LeafSet::none() };
    let sets =
        || tests.iter().flat_map(|test| [&test.is_true, &test.is_unknown]).chain(std::iter::once(&missing));
    let ends = sets().flat_map(LeafSet::intervals).flat_map(|(start, end)| [start, end]);
    let mut cuts: BTreeSet<u32> = ends.filter(|cut| *cut < leaves).collect();
    cuts.insert(0);
    let after = cuts.iter().copied().skip(1).chain([leaves]);
    let mut known: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
    let mut parts = Parts::new();
    for (start, end) in cuts.iter().copied().zip(after) {
        let part = LeafSet::range(start, end);
        let number = *known.entry(sets().map(|set| set.contains(start)).collect()).or_insert(parts.len());
        match parts.get_mut(number) {
            Some(same) => *same = same.union(&part),
            None => parts.push(part),
        }
    }
    parts
}
