//! The columns that folds make of a subject's rows, each with the rows that it was made of.

use std::collections::BTreeMap;

use obscura_policies::vocabulary::DatasetId;

use crate::cell_names::digits_of;
use crate::cell_names::put;
use crate::domain::Published;

use super::raw::raw_of;

/// A column that a fold has made of the rows of a subject.
#[derive(Debug, Clone)]
pub(super) struct Derived {
    pub(super) published: Published,
    /// The rows that it was made of.
    pub(super) of: FoldedRows,
    /// It is their number.
    pub(super) counts: bool,
}

/// The rows of each subject that a fold takes, as one node of each column.
#[derive(Debug, Clone)]
pub(super) struct FoldedRows {
    /// The table, the key of its subjects, and its row filters, as bytes.
    pub(super) base: Vec<u8>,
    /// The declaration and the leaves of the node of each column.
    pub(super) nodes: BTreeMap<String, ([u8; 32], (u32, u32))>,
}

impl Derived {
    /// Number of columns that the folded rows were chosen by.
    pub(super) fn met(&self) -> usize {
        self.of.nodes.len()
    }

    /// The columns that the folded rows were chosen by.
    pub(super) fn chosen_by(&self) -> impl Iterator<Item = &str> {
        self.of.nodes.keys().map(String::as_str)
    }

    /// Says whether it has a value only where the other one has, because all rows that it is made of are among those which the other one
    /// counts; true if it counts them too.
    pub(super) fn within(&self, wide: &Derived) -> Option<bool> {
        let is_in = |(column, (declared, (start, end))): (&String, &([u8; 32], (u32, u32)))| {
            self.of
                .nodes
                .get(column)
                .is_some_and(|(known, (from, to))| known == declared && start <= from && to <= end)
        };
        let holds = wide.counts && wide.of.base == self.of.base && wide.of.nodes.iter().all(is_in);
        holds.then_some(self.counts)
    }
}

impl FoldedRows {
    /// The name of a column that is made of these rows; nothing after the words for that they are there, and how many.
    pub(super) fn column(&self, family: &DatasetId, what: &str) -> String {
        let mut bytes = Vec::new();
        put(&mut bytes, &self.base);
        for (column, (declared, (start, end))) in &self.nodes {
            put(&mut bytes, column.as_bytes());
            put(&mut bytes, declared);
            put(&mut bytes, &[start.to_be_bytes(), end.to_be_bytes()].concat());
        }
        put(&mut bytes, what.as_bytes());
        raw_of(family, &format!("{what}#{}", digits_of(&bytes)))
    }
}
