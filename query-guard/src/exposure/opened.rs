//! Everything that a policy opens: columns, the cubes in which known columns may meet, measures and versions; and the tables of
//! named cells that come of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::ExposureFault;
use super::Versions;
use crate::cover::Hierarchy;

/// Most tables of named cells. So many hold 8,192 names of one person, and at the ladder's last rung an attacker who knows
/// everybody else would have an advantage of 0.995.
pub const TABLES_MAX: usize = 4_096;

/// One column that is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The nodes of its values.
    pub hierarchy: Hierarchy,
    /// The side of the attack that it is on.
    pub knowledge: Knowledge,
}

/// The side of the attack that a column is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// The attacker knows everybody's value: a dimension, a quasi-identifier. A second secret column that may meet the first in
    /// one question is counted as known, which is the stronger attacker.
    Known,
    /// The attacker wants to tell two values of it apart.
    Secret,
}

/// Known columns that may meet in one question, each with the finest level (1 is the one below the root) that is opened; a
/// level below the leaves is that of the leaves.
pub type Cube = BTreeMap<u16, u8>;

/// The cubes that a policy opens. The secret column meets each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cubes {
    /// Any so many known columns, at all levels.
    Any {
        /// Most known columns of one question.
        columns_max: usize,
    },
    /// These, and what is coarser than one of them.
    Listed(Vec<Cube>),
}

impl Cubes {
    /// Any so many known columns, at all levels.
    #[must_use]
    pub fn any(columns_max: usize) -> Self {
        Cubes::Any { columns_max }
    }

    /// These sets of known columns, at all levels.
    pub fn listed<C: IntoIterator<Item = u16>>(sets: impl IntoIterator<Item = C>) -> Self {
        let cube = |set: C| set.into_iter().map(|column| (column, u8::MAX)).collect();
        Cubes::Listed(sets.into_iter().map(cube).collect())
    }
}

/// Everything that a policy opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Known and secret columns, by number.
    pub columns: BTreeMap<u16, Column>,
    /// The known columns that may meet.
    pub cubes: Cubes,
    /// Numbers beside the count of subjects that have noise of their own and show whether somebody is in a cell: the count of
    /// rows, each summed column, its square, each product.
    pub measures: u32,
    /// The versions that analysts see.
    pub versions: Versions,
}

/// One table of named cells: the level of each column that is not at its root, in the order of the columns. One cell of every
/// table contains a person.
pub(super) type Levels = BTreeMap<u16, u8>;

impl Opened {
    /// The known columns with the number of their levels, without the root.
    pub(super) fn known(&self) -> BTreeMap<u16, u8> {
        let known = self.columns.iter().filter(|(_, column)| column.knowledge == Knowledge::Known);
        known.map(|(number, column)| (*number, column.hierarchy.leaf_level())).collect()
    }

    /// Names that hold the bit beside each cell of known nodes, for each measure: two for every level of the secret column, the
    /// node of the one value and the node of the other, which differ at all levels for some two values. The largest of all
    /// secret columns, since the steward does not know which one is asked for.
    ///
    /// Where no column is secret, the bit is whether somebody is in the data at all: the cell itself is the only name that holds it.
    pub(super) fn names_of_bit(&self) -> u32 {
        let secret = self.columns.values().filter(|column| column.knowledge == Knowledge::Secret);
        let levels = secret.map(|column| u32::from(column.hierarchy.leaf_level())).max();
        levels.map_or(1, |levels| 2 * levels)
    }

    /// Observations of the bit in each cell of known nodes: names, times the numbers that are asked of each.
    pub(super) fn observations(&self) -> u32 {
        self.names_of_bit().saturating_mul(self.measures.saturating_add(1))
    }

    /// The number of tables: over the opened combinations of columns the product of their levels, each table once although
    /// several cubes contain it.
    ///
    /// # Errors
    /// As [`Opened::tables`]; for any so many columns the number is a closed form, and never too large.
    pub(super) fn tables_count(&self) -> Result<u64, ExposureFault> {
        match &self.cubes {
            Cubes::Any { columns_max } => Ok(symmetric_sum(self.known().values().copied(), *columns_max)),
            Cubes::Listed(_) => Ok(u64::try_from(self.tables()?.len()).unwrap_or(u64::MAX)),
        }
    }

    /// The tables, without the secret column.
    ///
    /// # Errors
    /// [`ExposureFault::TooManyTables`], [`ExposureFault::NotKnown`].
    pub(super) fn tables(&self) -> Result<BTreeSet<Levels>, ExposureFault> {
        let known = self.known();
        let all = |number: &u16| known.get(number).copied().ok_or(ExposureFault::NotKnown(*number));
        let mut tables = BTreeSet::new();
        match &self.cubes {
            Cubes::Any { columns_max } => add(&mut tables, &known, *columns_max)?,
            Cubes::Listed(cubes) => {
                tables.insert(Levels::new());
                for cube in cubes {
                    let cube = cube.iter().map(|(number, finest)| Ok((*number, all(number)?.min(*finest))));
                    let cube: Levels = cube.collect::<Result<_, _>>()?;
                    add(&mut tables, &cube, cube.len())?;
                }
            }
        }
        Ok(tables)
    }
}

/// Adds the tables of a cube in which at most so many columns meet.
fn add(tables: &mut BTreeSet<Levels>, cube: &Levels, most: usize) -> Result<(), ExposureFault> {
    let mut found = vec![Levels::new()];
    for (column, finest) in cube {
        let shorter = found.iter().filter(|table| table.len() < most);
        let longer = shorter.flat_map(|table| {
            (1..=*finest).map(move |level| {
                let mut table = table.clone();
                table.insert(*column, level);
                table
            })
        });
        let longer: Vec<Levels> = longer.take(TABLES_MAX + 1).collect();
        found.extend(longer);
        if found.len() > TABLES_MAX {
            return Err(ExposureFault::TooManyTables);
        }
    }
    tables.extend(found);
    if tables.len() > TABLES_MAX { Err(ExposureFault::TooManyTables) } else { Ok(()) }
}

/// The sum of the products of at most so many of the numbers: the elementary symmetric sums of every order up to it, by their
/// recurrence.
fn symmetric_sum(numbers: impl Iterator<Item = u8>, most: usize) -> u64 {
    let mut sums: Vec<u64> = vec![1];
    for number in numbers {
        let times = sums.iter().map(|sum| sum.saturating_mul(u64::from(number)));
        let shifted: Vec<u64> = std::iter::once(0).chain(times).collect();
        sums.push(0);
        for (sum, added) in sums.iter_mut().zip(shifted) {
            *sum = sum.saturating_add(added);
        }
        sums.truncate(most.saturating_add(1));
    }
    sums.into_iter().fold(0, u64::saturating_add)
}
