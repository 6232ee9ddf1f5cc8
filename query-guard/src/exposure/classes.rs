//! Subjects, grouped into classes of equal known attributes: members of a class are in the same cells, whatever is asked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::ExposureFault;
use super::Opened;

/// The known attributes of subjects, one row a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    count: u32,
    leaves: BTreeMap<u16, Vec<u32>>,
}

impl Subjects {
    /// The leaf of each subject, by column, subjects in the same order in all of them.
    ///
    /// # Errors
    /// [`ExposureFault::NoLeaves`] when columns differ in length, [`ExposureFault::Subjects`] when there is no subject or there
    /// are more than four thousand million.
    pub fn new(leaves: BTreeMap<u16, Vec<u32>>) -> Result<Self, ExposureFault> {
        let length = leaves.values().next().map_or(0, Vec::len);
        if let Some((column, _)) = leaves.iter().find(|(_, column)| column.len() != length) {
            return Err(ExposureFault::NoLeaves(*column));
        }
        let count = u32::try_from(length).ok().filter(|count| *count > 0).ok_or(ExposureFault::Subjects)?;
        Ok(Subjects { count, leaves })
    }

    /// Number of subjects.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    #[cfg(test)]
    pub(super) fn leaves(&self, column: u16) -> &[u32] {
        &self.leaves[&column]
    }
}

/// Subjects that no question tells apart but by the bit.
#[derive(Debug)]
pub(super) struct Classes {
    /// Members of each class; at least one.
    pub(super) sizes: Vec<u32>,
    /// The first subject of each class.
    pub(super) first: Vec<usize>,
    /// The leaf of each class, by column.
    pub(super) leaves: BTreeMap<u16, Vec<u32>>,
}

impl Classes {
    /// The classes over the columns of some tables.
    ///
    /// # Errors
    /// [`ExposureFault::NoLeaves`], [`ExposureFault::NoSuchLeaf`].
    pub(super) fn of(
        subjects: &Subjects,
        columns: &BTreeSet<u16>,
        opened: &Opened,
    ) -> Result<Self, ExposureFault> {
        let mut cells = Cells::one(subjects.count);
        for number in columns {
            let leaves = subjects.leaves.get(number).ok_or(ExposureFault::NoLeaves(*number))?;
            let column = opened.columns.get(number).ok_or(ExposureFault::NotKnown(*number))?;
            if leaves.iter().any(|leaf| *leaf >= column.hierarchy.leaves()) {
                return Err(ExposureFault::NoSuchLeaf(*number));
            }
            cells.split(leaves);
        }
        let mut sizes = vec![0; cells.first.len()];
        for class in &cells.of {
            if let Some(size) = sizes.get_mut(*class as usize) {
                *size += 1;
            }
        }
        let leaves = columns.iter().filter_map(|number| {
            let leaves = subjects.leaves.get(number)?;
            let firsts = cells.first.iter().filter_map(|subject| leaves.get(*subject).copied());
            Some((*number, firsts.collect()))
        });
        Ok(Classes { sizes, leaves: leaves.collect(), first: cells.first })
    }
}

/// A partition of numbered things into cells.
#[derive(Debug)]
pub(super) struct Cells {
    /// The cell of each.
    pub(super) of: Vec<u32>,
    /// The first thing of each cell.
    pub(super) first: Vec<usize>,
}

impl Cells {
    /// All in one cell.
    pub(super) fn one(count: u32) -> Self {
        Cells { of: vec![0; count as usize], first: vec![0] }
    }

    /// Splits each cell by a number of its things. Cells are numbered in the order of the old cells and of the numbers.
    pub(super) fn split(&mut self, numbers: &[u32]) {
        let keys =
            self.of.iter().zip(numbers).map(|(cell, number)| u64::from(*cell) << 32 | u64::from(*number));
        let mut sorted: Vec<(u64, usize)> = keys.zip(0..).collect();
        sorted.sort_unstable();
        self.first.clear();
        let (mut cell, mut last) = (0_u32, None);
        for (key, thing) in sorted {
            if last != Some(key) {
                cell = u32::try_from(self.first.len()).unwrap_or(u32::MAX);
                self.first.push(thing);
                last = Some(key);
            }
            if let Some(of) = self.of.get_mut(thing) {
                *of = cell;
            }
        }
    }
}
