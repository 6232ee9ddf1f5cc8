//! The declared hierarchy of one column: the nodes that a condition on it is made of.
//!
//! Leaves are the finest that may be named: single values, steps of a number, days. One leaf stands beside them in every
//! hierarchy: "missing", which is what the published domain does not list too. A level is a partition of the leaves,
//! each a refinement of the one above; the root is all of them.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use chrono::NaiveDate;

use super::leaves::LeafSet;

/// Years that a calendar may span: more days than these would not be named one by one.
const CALENDAR_YEARS_MAX: i32 = 400;

/// A node: its level (0 is the root) and its number within the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Level, counted from the root.
    pub level: u8,
    /// Number within the level, in the order of the leaves.
    pub index: u32,
}

impl Node {
    /// All leaves of a column.
    pub const ROOT: Node = Node { level: 0, index: 0 };
}

/// The nodes of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Leaves, "missing" among them.
    leaves: u32,
    /// First leaf of each node, by level: from the level below the root to the one above the leaves.
    levels: Vec<Vec<u32>>,
    /// Columns, by number, that have a value wherever this one has; true for counts, which are no smaller than this one.
    wider: BTreeMap<u16, bool>,
}

/// The reason why a hierarchy is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyFault {
    /// More than four thousand million leaves.
    #[error("a hierarchy has too many leaves")]
    TooManyLeaves,
    /// A level does not start at the first leaf, is not in order, or does not refine the level above it.
    #[error("level {0} does not refine the level above it")]
    NotRefined(usize),
    /// Days that no calendar has, or in the wrong order.
    #[error("the days of a hierarchy are not in order, or span more than 400 years")]
    NoCalendar,
}

impl Hierarchy {
    /// A hierarchy over so many values; `levels` hold the first value of each node, from coarse to fine, without the root
    /// and without the values themselves.
    ///
    /// # Errors
    /// [`HierarchyFault`] when a level is no refinement of the one above, or the values are too many.
    pub fn new(values: u32, levels: Vec<Vec<u32>>) -> Result<Self, HierarchyFault> {
        let leaves = values.checked_add(1).ok_or(HierarchyFault::TooManyLeaves)?;
        let mut above: Vec<u32> = vec![0];
        let mut complete = Vec::with_capacity(levels.len());
        for (number, mut level) in levels.into_iter().enumerate() {
            let is_sorted = level.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
            let is_refined = above.iter().all(|start| level.binary_search(start).is_ok());
            let is_within = level.first() == Some(&0) && level.last().is_some_and(|last| *last < values);
            if !(is_sorted && is_refined && is_within) {
                return Err(HierarchyFault::NotRefined(number));
            }
            above.clone_from(&level);
            level.push(values);
            complete.push(level);
        }
        Ok(Hierarchy { leaves, levels: complete, wider: BTreeMap::new() })
    }

    /// The hierarchy of whether there is a value: one that stands for any, or none.
    #[must_use]
    pub fn presence() -> Self {
        Hierarchy { leaves: 2, levels: Vec::new(), wider: BTreeMap::new() }
    }

    /// Single values, without levels between them and all.
    ///
    /// # Errors
    /// [`HierarchyFault::TooManyLeaves`].
    pub fn values(values: u32) -> Result<Self, HierarchyFault> {
        Hierarchy::new(values, Vec::new())
    }

    /// Steps of a number with their decimal parents: ten steps, a hundred, and so on while there is more than one such node.
    /// `first` is the number of the first step counted from zero, so that parents begin at round numbers.
    ///
    /// # Errors
    /// [`HierarchyFault::TooManyLeaves`].
    pub fn steps(first: i64, steps: u32) -> Result<Self, HierarchyFault> {
        let mut levels = Vec::new();
        let mut width: i64 = 10;
        while width < i64::from(steps) {
            let starts = (0..steps).filter(|step| *step == 0 || (first + i64::from(*step)) % width == 0);
            levels.push(starts.collect::<Vec<u32>>());
            width *= 10;
        }
        levels.reverse();
        Hierarchy::new(steps, levels)
    }

    /// The days from `first` to `last`, both included, with their months, years and decades: what begins in a year and has no end is
    /// a few names and not eighty.
    ///
    /// # Errors
    /// [`HierarchyFault::NoCalendar`] when they are not in order or span more than 400 years.
    pub fn days(first: NaiveDate, last: NaiveDate) -> Result<Self, HierarchyFault> {
        if first > last || last.year() - first.year() > CALENDAR_YEARS_MAX {
            return Err(HierarchyFault::NoCalendar);
        }
        let (mut months, mut years, mut decades, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for day in first.iter_days().take_while(|day| *day <= last) {
            if day == first || day.day() == 1 {
                months.push(count);
            }
            if day == first || day.ordinal() == 1 {
                years.push(count);
                if day == first || day.year() % 10 == 0 {
                    decades.push(count);
                }
            }
            count += 1;
        }
        Hierarchy::new(count, vec![decades, years, months])
    }

    /// The same nodes, of a column that has a value only where each of these columns has one; where it is true both are counts, and
    /// this one is no larger than the other.
    #[must_use]
    pub fn within(self, wider: BTreeMap<u16, bool>) -> Self {
        Hierarchy { wider, ..self }
    }

    /// The columns of [`Hierarchy::within`].
    pub(crate) fn wider(&self) -> &BTreeMap<u16, bool> {
        &self.wider
    }

    /// Leaves, "missing" among them.
    #[must_use]
    pub fn leaves(&self) -> u32 {
        self.leaves
    }

    /// The leaf of a missing value.
    #[must_use]
    pub fn missing(&self) -> u32 {
        self.leaves - 1
    }

    /// The level of the leaves.
    #[must_use]
    pub fn leaf_level(&self) -> u8 {
        u8::try_from(self.levels.len()).unwrap_or(u8::MAX).saturating_add(1)
    }

    /// The leaves of a node, as a half-open interval.
    #[must_use]
    pub fn span(&self, node: Node) -> (u32, u32) {
        match node.level {
            0 => (0, self.leaves),
            level if level >= self.leaf_level() => (node.index, node.index + 1),
            level => {
                let starts = self.starts(level);
                let at = usize::try_from(node.index).unwrap_or(usize::MAX);
                let start = starts.get(at).copied().unwrap_or(self.leaves);
                (start, starts.get(at + 1).copied().unwrap_or(self.leaves))
            }
        }
    }

    /// The nodes of a level that lie wholly within an interval of leaves.
    #[must_use]
    pub fn nodes_in(&self, level: u8, start: u32, end: u32) -> (u32, u32) {
        if level >= self.leaf_level() {
            return (start, end);
        }
        let starts = self.starts(level);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let first = number(starts.partition_point(|known| *known < start));
        // The end of a node is the start of the next one.
        let after = match end == self.leaves {
            true => number(starts.len()),
            false => number(starts.partition_point(|known| *known <= end)).saturating_sub(1),
        };
        (first, after.max(first))
    }

    /// The node of a level that a leaf lies in.
    #[must_use]
    pub fn node_of(&self, level: u8, leaf: u32) -> Node {
        let index = match level {
            0 => 0,
            level if level >= self.leaf_level() => leaf,
            level => {
                let after = self.starts(level).partition_point(|start| *start <= leaf);
                u32::try_from(after).unwrap_or(u32::MAX).saturating_sub(1)
            }
        };
        Node { level, index }
    }

    /// The coarsest node that holds these leaves and no others.
    ///
    /// One name is the fewest that there can be, so that a set which is a node needs no search: a result has very many groups, and the key
    /// of each is such a set.
    pub(super) fn node_with(&self, set: &LeafSet) -> Option<Node> {
        let mut intervals = set.intervals();
        let (Some((start, end)), None) = (intervals.next(), intervals.next()) else { return None };
        let mut nodes = (0..=self.leaf_level()).map(|level| self.node_of(level, start));
        nodes.find(|node| self.span(*node) == (start, end))
    }

    fn starts(&self, level: u8) -> &[u32] {
        let at = usize::from(level).checked_sub(1);
        at.and_then(|at| self.levels.get(at)).map_or(&[], Vec::as_slice)
    }
}
