//! The matrix of all named cells and classes, as a sequence of sums and never as a matrix.
//!
//! A table is the sums of a finer one, so that all tables together cost little more than the finest ones. Cells that no subject is
//! in hold noise alone, tell nothing of anybody's bit, and are left out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::ExposureFault;
use super::Opened;
use super::Subjects;
use super::classes::Cells;
use super::classes::Classes;
use super::opened::Levels;
use crate::cover::Hierarchy;
use crate::cover::Node;

/// All tables over the classes.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) classes: Classes,
    /// From fine to coarse: each rests on classes or on a table before it.
    tables: Vec<Table>,
}

/// One table of named cells.
#[derive(Debug)]
struct Table {
    /// The table whose cells it sums up; the classes, where there is none.
    source: Option<usize>,
    /// The cell of each cell of the source.
    cell_of: Vec<u32>,
    /// A class of each cell.
    class_of: Vec<usize>,
    /// Cells whose name is that of a coarser table: a node that has the leaves of the node above it is the same name, and one of all
    /// values has none.
    repeated: Vec<usize>,
}

/// One number for each cell of each table.
pub(super) type CellValues = Vec<Vec<f64>>;

impl Tables {
    /// The tables that are opened, over the classes of some subjects.
    ///
    /// # Errors
    /// [`ExposureFault`].
    pub(super) fn of(opened: &Opened, subjects: &Subjects) -> Result<Self, ExposureFault> {
        let levels = opened.tables()?;
        let columns: BTreeSet<u16> = levels.iter().flat_map(|table| table.keys().copied()).collect();
        let classes = Classes::of(subjects, &columns, opened)?;
        let nodes = Nodes::of(&classes, opened, &columns);
        let mut order: Vec<&Levels> = levels.iter().collect();
        order.sort_by_key(|table| std::cmp::Reverse(rank(table)));
        let mut tables: Vec<Table> = Vec::with_capacity(order.len());
        let mut built: BTreeMap<&Levels, usize> = BTreeMap::new();
        for (number, levels) in order.into_iter().enumerate() {
            let finer = finer(levels, &columns).filter_map(|finer| built.get(&finer).copied());
            let source =
                finer.min_by_key(|at| tables.get(*at).map_or(usize::MAX, |table| table.class_of.len()));
            let of_source = source.and_then(|at| tables.get(at)).map(|table| table.class_of.as_slice());
            tables.push(nodes.table(levels, source, of_source, classes.sizes.len()));
            built.insert(levels, number);
        }
        Ok(Tables { classes, tables })
    }

    /// A value of each named cell, from the number of its subjects; zero for a name that another table has.
    pub(super) fn values(&self, value: impl Fn(f64) -> f64) -> CellValues {
        let sizes: Vec<f64> = self.classes.sizes.iter().copied().map(f64::from).collect();
        let mut cells = CellValues::new();
        self.sum(&sizes, &mut cells);
        cells.iter_mut().flatten().for_each(|cell| *cell = value(*cell));
        self.forget_repeated(&mut cells);
        cells
    }

    /// Multiplies by the matrix and its transpose: each class receives the sums of all named cells that contain it.
    pub(super) fn square(&self, classes: &[f64], cells: &mut CellValues, received: &mut [f64]) {
        self.sum(classes, cells);
        self.forget_repeated(cells);
        self.spread(cells, received);
    }

    /// Multiplies by the matrix: each cell is the sum over its classes.
    fn sum(&self, classes: &[f64], cells: &mut CellValues) {
        cells.resize(self.tables.len(), Vec::new());
        for (number, table) in self.tables.iter().enumerate() {
            let (before, rest) = cells.split_at_mut(number);
            let source = table.source.map_or(Some(classes), |at| before.get(at).map(Vec::as_slice));
            let (Some(source), Some(sums)) = (source, rest.first_mut()) else { continue };
            sums.clear();
            sums.resize(table.class_of.len(), 0.0);
            for (value, cell) in source.iter().zip(&table.cell_of) {
                if let Some(sum) = sums.get_mut(*cell as usize) {
                    *sum += value;
                }
            }
        }
    }

    /// Multiplies by the transpose: each class is the sum over its cells. The values of cells are spent.
    pub(super) fn spread(&self, cells: &mut CellValues, classes: &mut [f64]) {
        classes.fill(0.0);
        for (number, table) in self.tables.iter().enumerate().rev() {
            let (before, rest) = cells.split_at_mut(number);
            let source = match table.source {
                None => Some(&mut *classes),
                Some(at) => before.get_mut(at).map(Vec::as_mut_slice),
            };
            let (Some(source), Some(sums)) = (source, rest.first()) else { continue };
            for (value, cell) in source.iter_mut().zip(&table.cell_of) {
                *value += sums.get(*cell as usize).copied().unwrap_or(0.0);
            }
        }
    }

    fn forget_repeated(&self, cells: &mut CellValues) {
        for (table, sums) in self.tables.iter().zip(cells) {
            for cell in &table.repeated {
                if let Some(sum) = sums.get_mut(*cell) {
                    *sum = 0.0;
                }
            }
        }
    }
}

/// The sum of the levels: every finer table has a larger one.
fn rank(table: &Levels) -> u32 {
    table.values().map(|level| u32::from(*level)).sum()
}

/// The tables that are one step finer, opened or not: a column one level down, or one more column.
fn finer<'a>(table: &'a Levels, columns: &'a BTreeSet<u16>) -> impl Iterator<Item = Levels> + 'a {
    columns.iter().map(|column| {
        let mut finer = table.clone();
        let level = finer.entry(*column).or_insert(0);
        *level = level.saturating_add(1);
        finer
    })
}

/// The node of each class, by column and level.
struct Nodes<'a> {
    nodes: BTreeMap<(u16, u8), Vec<u32>>,
    hierarchies: BTreeMap<u16, &'a Hierarchy>,
}

impl<'a> Nodes<'a> {
    fn of(classes: &Classes, opened: &'a Opened, columns: &BTreeSet<u16>) -> Self {
        let mut nodes = BTreeMap::new();
        let mut hierarchies = BTreeMap::new();
        for number in columns {
            let (Some(column), Some(leaves)) = (opened.columns.get(number), classes.leaves.get(number))
            else {
                continue;
            };
            hierarchies.insert(*number, &column.hierarchy);
            for level in 1..=column.hierarchy.leaf_level() {
                let of_level = leaves.iter().map(|leaf| column.hierarchy.node_of(level, *leaf).index);
                nodes.insert((*number, level), of_level.collect());
            }
        }
        Nodes { nodes, hierarchies }
    }

    /// A table over the cells of its source, each known by one class, or over the classes themselves.
    fn table(
        &self,
        levels: &Levels,
        source: Option<usize>,
        of_source: Option<&[usize]>,
        classes: usize,
    ) -> Table {
        let count = of_source.map_or(classes, <[usize]>::len);
        let mut cells = Cells::one(u32::try_from(count).unwrap_or(u32::MAX));
        for (column, level) in levels {
            let Some(nodes) = self.nodes.get(&(*column, *level)) else { continue };
            match of_source {
                None => cells.split(nodes),
                Some(known) => {
                    let nodes = known.iter().filter_map(|class| nodes.get(*class).copied());
                    cells.split(&nodes.collect::<Vec<u32>>());
                }
            }
        }
        let class = |cell: &usize| of_source.map_or(Some(*cell), |known| known.get(*cell).copied());
        let class_of: Vec<usize> = cells.first.iter().filter_map(class).collect();
        let repeated = class_of.iter().enumerate().filter(|(_, class)| self.is_repeated(levels, **class));
        let repeated = repeated.map(|(cell, _)| cell).collect();
        Table { source, cell_of: cells.of, class_of, repeated }
    }

    /// True if some node of the class has the leaves of the node above it, or all of those that are values: to have a value is all
    /// less the missing, and no name of its own.
    fn is_repeated(&self, levels: &Levels, class: usize) -> bool {
        levels.iter().any(|(column, level)| {
            let Some(hierarchy) = self.hierarchies.get(column) else { return false };
            let span = |level: u8| {
                let index = self.nodes.get(&(*column, level))?.get(class)?;
                Some(hierarchy.span(Node { level, index: *index }))
            };
            span(*level) == Some((0, hierarchy.missing())) || (*level > 1 && span(*level) == span(level - 1))
        })
    }
}
