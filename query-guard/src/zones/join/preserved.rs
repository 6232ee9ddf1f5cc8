//! The sides of a join: the one whose rows survive it, and the one that the individuals stand on.

use datafusion_common::JoinType;

/// The side of a join whose rows survive it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Preserved {
    Both,
    Left,
    Right,
    Either,
    LeftIfMatched,
    LeftIfUnmatched,
    /// All of the left side, with a column that says whether there was a match (`EXISTS ... OR ...`).
    LeftMarked,
}

/// The side of the SQL's join that the individuals stand on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl Preserved {
    /// The other side's rows only decide about the left side's.
    ///
    /// No column of that side survives, so that the subjects of its other classes would no longer be counted
    /// (`sandbox/docs/disclosure-model.md`, section 4.7).
    pub(super) fn is_about_left_only(self) -> bool {
        matches!(self, Preserved::LeftIfMatched | Preserved::LeftIfUnmatched | Preserved::LeftMarked)
    }

    /// The side that a join of this type preserves, and whether its sides are exchanged for that.
    ///
    /// The match names every type: a type that a later engine adds breaks the build until it has a rule
    /// (`sandbox/docs/disclosure-model.md`, section 4.7).
    pub(super) fn by(join_type: JoinType) -> (Self, bool) {
        match join_type {
            JoinType::Inner => (Preserved::Both, false),
            JoinType::Left => (Preserved::Left, false),
            JoinType::Right => (Preserved::Right, false),
            JoinType::Full => (Preserved::Either, false),
            JoinType::LeftSemi => (Preserved::LeftIfMatched, false),
            JoinType::LeftAnti => (Preserved::LeftIfUnmatched, false),
            JoinType::RightSemi => (Preserved::LeftIfMatched, true),
            JoinType::RightAnti => (Preserved::LeftIfUnmatched, true),
            JoinType::LeftMark => (Preserved::LeftMarked, false),
            JoinType::RightMark => (Preserved::LeftMarked, true),
        }
    }

    pub(super) fn join_type(self) -> JoinType {
        match self {
            Preserved::Both => JoinType::Inner,
            Preserved::Left => JoinType::Left,
            Preserved::Right => JoinType::Right,
            Preserved::Either => JoinType::Full,
            Preserved::LeftIfMatched => JoinType::LeftSemi,
            Preserved::LeftIfUnmatched => JoinType::LeftAnti,
            Preserved::LeftMarked => JoinType::LeftMark,
        }
    }
}
