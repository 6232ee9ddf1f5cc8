//! Multiplicity: the rows of its sources that a row of a join stands for, and the values that the join repeats.

use std::collections::BTreeSet;

use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;

use super::preserved::Preserved;

/// The multiplicity of a join: the rows of either side that a row of it stands for, and those that it may repeat.
pub(super) struct Meeting<'b> {
    left: &'b Multiplicity,
    right: &'b Multiplicity,
    pub(super) left_is_one: bool,
    pub(super) right_is_one: bool,
    preserved: Preserved,
    number: usize,
}

impl<'b> Meeting<'b> {
    /// The multiplicity of a join of two relations, by which of its sides has one row of each subject.
    pub(super) fn of(
        left: &'b SourceRows,
        right: &'b SourceRows,
        merged: &[(String, String)],
        preserved: Preserved,
        number: usize,
    ) -> Self {
        let is_one = |source_rows: &SourceRows, column: &String| {
            source_rows.classes.iter().any(|class| class.column == *column && class.one_row)
        };
        Meeting {
            left: &left.multiplicity,
            right: &right.multiplicity,
            left_is_one: merged.iter().any(|(kept, _)| is_one(left, kept)),
            right_is_one: merged.iter().any(|(_, replaced)| is_one(right, replaced)),
            preserved,
            number,
        }
    }

    /// Each subject has at most one row on either side.
    ///
    /// Only then has it one row after the join, so that rows may be counted for subjects and nobody is counted twice
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn one_row(&self) -> bool {
        self.left_is_one && self.right_is_one
    }

    /// The joins and unions that may have made several rows of one, this join included.
    ///
    /// A person with three visits has nine rows in a join of the visits with themselves: rows and sums would weigh
    /// people by their number of visits, and hide a large contributor from the dominance rule. A side with one row of
    /// each subject repeats no row of the other (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn rows(&self) -> Multiplicity {
        let both = self.left.copied_by.union(&self.right.copied_by).copied();
        let copied_by = if self.one_row() {
            BTreeSet::new()
        } else if self.right_is_one && matches!(self.preserved, Preserved::Both | Preserved::Left) {
            self.left.copied_by.clone()
        } else if self.left_is_one && matches!(self.preserved, Preserved::Both | Preserved::Right) {
            self.right.copied_by.clone()
        } else {
            both.chain([self.number]).collect()
        };
        Multiplicity { copied_by, equalities: None }
    }

    /// The joins and unions that may repeat the values of a side's columns.
    ///
    /// In `persons p LEFT JOIN (<copies of chosen people>) x` the chosen count twice, and the difference to the plain
    /// total shows them. Where every row is a row of the other side, as it was recorded, the number of repeats is a
    /// fact about the subject, and conditions have their threshold. A side that an outer join preserves keeps rows
    /// without a match, so that the analyst's conditions would choose who is repeated and who stands once
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn copies(&self, of_left: bool) -> BTreeSet<usize> {
        let (own_is_one, other, other_is_one, preserving) = if of_left {
            (self.left_is_one, self.right, self.right_is_one, Preserved::Left)
        } else {
            (self.right_is_one, self.left, self.left_is_one, Preserved::Right)
        };
        if other_is_one {
            return BTreeSet::new();
        }
        let chosen = !own_is_one || self.preserved == preserving || self.preserved == Preserved::Either;
        other.copied_by.iter().copied().chain(chosen.then_some(self.number)).collect()
    }
}
