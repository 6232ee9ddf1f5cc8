//! Columns that have a value only where others have: what a subject did in May it did in that year.
//!
//! Where a row cannot be, a condition is neither true nor false of it. So a column that makes a difference for such rows alone
//! drops out: who did not come in the year did not come in May, and with a name for each such test the same people
//! would have as many draws of noise as the year has days.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::hierarchy::Hierarchy;
use super::leaves::LeafSet;

/// The pairs of columns of a condition of which the first has a value only where the second has one.
pub(super) struct Links {
    pairs: Vec<Link>,
}

struct Link {
    narrow: u16,
    wide: u16,
    /// Both are counts, and the first is no larger.
    are_counts: bool,
    /// The leaf of a missing value of each.
    missing: (u32, u32),
}

impl Links {
    /// The pairs among these columns.
    pub(super) fn among(columns: &BTreeSet<u16>, hierarchies: &BTreeMap<u16, Hierarchy>) -> Self {
        let mut pairs = Vec::new();
        for narrow in columns {
            let Some(hierarchy) = hierarchies.get(narrow) else { continue };
            for (wide, are_counts) in hierarchy.wider().iter().filter(|(wide, _)| columns.contains(wide)) {
                let Some(wider) = hierarchies.get(wide) else { continue };
                let missing = (hierarchy.missing(), wider.missing());
                pairs.push(Link { narrow: *narrow, wide: *wide, are_counts: *are_counts, missing });
            }
        }
        Links { pairs }
    }

    /// True if the column is one of a pair.
    pub(super) fn are_of(&self, column: u16) -> bool {
        self.pairs.iter().any(|link| link.narrow == column || link.wide == column)
    }

    /// A truth table's parts and chosen tuples, without the columns that make a difference only for rows that cannot be; those rows are
    /// not chosen.
    pub(super) fn of_rows_that_can_be(
        &self,
        mut columns: BTreeMap<u16, Vec<LeafSet>>,
        chosen: BTreeSet<Vec<usize>>,
    ) -> (BTreeMap<u16, Vec<LeafSet>>, BTreeSet<Vec<usize>>) {
        if self.pairs.is_empty() {
            return (columns, chosen);
        }
        let sizes: Vec<usize> = columns.values().map(Vec::len).collect();
        let can_be = |tuple: &Vec<usize>| self.pairs.iter().all(|link| link.can_be(&columns, tuple));
        let mut values: BTreeMap<Vec<usize>, bool> = tuples(&sizes)
            .into_iter()
            .filter(can_be)
            .map(|tuple| {
                let is_chosen = chosen.contains(&tuple);
                (tuple, is_chosen)
            })
            .collect();
        let mut position = 0;
        while let Some(column) = columns.keys().nth(position).copied() {
            match without(&values, position) {
                Some(fewer) => {
                    values = fewer;
                    columns.remove(&column);
                    position = 0;
                }
                None => position += 1,
            }
        }
        let chosen = values.into_iter().filter(|(_, is_chosen)| *is_chosen).map(|(tuple, _)| tuple).collect();
        (columns, chosen)
    }
}

impl Link {
    /// True if some row has leaves of these parts.
    fn can_be(&self, columns: &BTreeMap<u16, Vec<LeafSet>>, tuple: &[usize]) -> bool {
        let part = |column: u16| {
            let at = columns.keys().position(|known| *known == column)?;
            columns.get(&column)?.get(*tuple.get(at)?)
        };
        let (Some(narrow), Some(wide)) = (part(self.narrow), part(self.wide)) else { return true };
        let least = |set: &LeafSet| set.intervals().next().map(|(start, _)| start);
        let most = |set: &LeafSet| set.intervals().last().map(|(_, end)| end);
        match () {
            () if narrow.contains(self.missing.0) => true,
            () if wide.contains(self.missing.1) => false,
            () => !self.are_counts || most(wide) > least(narrow),
        }
    }
}

/// The values without a position, where they do not rest on it.
fn without(values: &BTreeMap<Vec<usize>, bool>, position: usize) -> Option<BTreeMap<Vec<usize>, bool>> {
    let mut fewer = BTreeMap::new();
    for (tuple, value) in values {
        let others = tuple.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, part)| *part);
        let known = fewer.insert(others.collect::<Vec<usize>>(), *value);
        if known.is_some_and(|known| known != *value) {
            return None;
        }
    }
    Some(fewer)
}

/// These columns, and those that are linked with one of them.
pub(crate) fn with_linked(columns: &BTreeSet<u16>, hierarchies: &BTreeMap<u16, Hierarchy>) -> BTreeSet<u16> {
    let mut all = columns.clone();
    for (narrow, hierarchy) in hierarchies {
        for wide in hierarchy.wider().keys() {
            if columns.contains(narrow) {
                all.insert(*wide);
            }
            if columns.contains(wide) {
                all.insert(*narrow);
            }
        }
    }
    all
}

/// All tuples of numbers below the sizes, in order.
pub(super) fn tuples(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for size in sizes {
        let longer = all.into_iter().flat_map(|tuple: Vec<usize>| {
            (0..*size).map(move |part| tuple.iter().copied().chain([part]).collect())
        });
        all = longer.collect();
    }
    all
}
