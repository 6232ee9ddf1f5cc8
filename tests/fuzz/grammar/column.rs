//! The columns of rows of individuals, and the kinds of values that decide what may be asked of them.

use crate::question::Text;

/// A column of some rows.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) text: Text,
    pub(crate) kind: Kind,
}

/// The kinds of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dept,
    Zip,
    Age,
    Sex,
    Diag,
    Salary,
    Birth,
    Hire,
    Phone,
    Faith,
    Cost,
    Day,
    At,
    District,
    Level,
    Holiday,
    /// Rows of one subject, counted.
    OwnCount,
    /// Costs of one subject, added up.
    OwnTotal,
    /// A day among those of one subject.
    OwnDay,
    /// A truth about a subject's own rows.
    OwnFlag,
    /// A text that the question itself gives to rows.
    Label,
}

/// The columns of the tables, with their names.
const PERSONS: [(&str, Kind); 10] = [
    ("dept", Kind::Dept),
    ("zip", Kind::Zip),
    ("age", Kind::Age),
    ("sex", Kind::Sex),
    ("diag", Kind::Diag),
    ("salary", Kind::Salary),
    ("birth", Kind::Birth),
    ("hire", Kind::Hire),
    ("phone", Kind::Phone),
    ("faith", Kind::Faith),
];
const VISITS: [(&str, Kind); 3] = [("cost", Kind::Cost), ("day", Kind::Day), ("at", Kind::At)];
const ZONES: [(&str, Kind); 2] = [("district", Kind::District), ("level", Kind::Level)];

impl Column {
    pub(crate) fn new(text: impl Into<Text>, kind: Kind) -> Self {
        Self { text: text.into(), kind }
    }

    /// The columns of persons, behind what qualifies them.
    pub(crate) fn of_persons(before: &str) -> Vec<Self> {
        of(&PERSONS, before)
    }

    pub(crate) fn of_visits(before: &str) -> Vec<Self> {
        of(&VISITS, before)
    }

    pub(crate) fn of_zones(before: &str) -> Vec<Self> {
        of(&ZONES, before)
    }
}

fn of(columns: &[(&str, Kind)], before: &str) -> Vec<Column> {
    columns.iter().map(|(name, kind)| Column::new(format!("{before}{name}"), *kind)).collect()
}
