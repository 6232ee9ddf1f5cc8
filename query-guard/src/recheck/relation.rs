//! A relation of a plan as the second look knows it: every column as an expression over columns of scans, whatever projections,
//! pushed-down filters and common subexpressions the engine has put in between.

use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_expr::Expr;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::UnitKind;

use super::Breach;

/// A column from which others are computed; nothing below it is looked at any more.
#[derive(Debug, Clone)]
pub(super) enum Leaf {
    /// A raw column of a sealed dataset.
    Raw { scan: usize, dataset: DatasetId, column: String },
    /// The key of subjects where branches of a union meet.
    United,
    /// A number of a subject's own rows, which must be cut off here before it is used.
    Count { most: u32 },
    /// A value of a subject's own rows: of a sum the range of all of it, and that of one row; and whether it is a count, cut off.
    Own { range: Option<(Fixed, Fixed)>, of_one_row: Option<(Fixed, Fixed)>, counts: bool },
    /// A released value, or one of open data that was looked at below.
    Free,
}

/// The subjects of one class of a relation.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) kind: Option<UnitKind>,
    /// The leaves that hold their keys: a row of a subject has the same value in all that are not missing.
    pub(super) keys: BTreeSet<String>,
    pub(super) one_row: bool,
}

/// A relation.
#[derive(Debug, Clone, Default)]
pub(super) struct Relation {
    /// Its columns, in order, over leaves.
    pub(super) columns: Vec<Expr>,
    /// Its classes of subjects; individuals have one at the least.
    pub(super) subjects: Vec<Subject>,
    /// The conditions that hold for each of its rows since they were scanned.
    pub(super) facts: Vec<Expr>,
    /// The scan whose row filters have not been looked for yet.
    pub(super) unfiltered: Option<(usize, DatasetId)>,
    /// Sets of columns of which no two rows have the same values.
    pub(super) unique: Vec<Vec<Expr>>,
    /// Pairs of columns that span intervals which do not overlap.
    pub(super) intervals: Vec<(Expr, Expr)>,
    /// The rows of the first unit's subjects stand together.
    pub(super) clustered: bool,
    /// Datasets of individuals that were read, and the strictest grade of what was.
    pub(super) read: Read,
    /// A condition has chosen its rows by a sensitive column.
    pub(super) is_chosen: bool,
    /// It certainly has no row.
    pub(super) empty: bool,
}

/// The individuals whose data a relation rests on.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) datasets: BTreeSet<DatasetId>,
    pub(super) grade: Level,
    /// They have met released values, or open data whose rows no manifest publishes: what a row finds there is not known at review.
    pub(super) has_met_unknown: bool,
    /// It rests on one open table alone, whose rows a manifest publishes.
    pub(super) is_published: bool,
    /// Open data or released values of which rows were chosen by a number or an order.
    pub(super) is_cut: bool,
}

impl Default for Read {
    fn default() -> Self {
        Read {
            datasets: BTreeSet::new(),
            grade: Level(1),
            has_met_unknown: false,
            is_published: false,
            is_cut: false,
        }
    }
}

impl Read {
    pub(super) fn add(&mut self, other: &Read) {
        self.datasets.extend(other.datasets.iter().cloned());
        self.grade = self.grade.max(other.grade);
        self.has_met_unknown |= other.has_met_unknown;
        self.is_cut |= other.is_cut;
    }

    /// Notes that individuals meet a table of open data or released values.
    ///
    /// A table whose rows are chosen by a number or an order would choose among individuals: the first row of a register is one
    /// person.
    ///
    /// # Errors
    /// [`Breach::Join`] with such a table, unless it has one row in any case.
    pub(super) fn meet(&mut self, table: &Relation) -> Result<(), Breach> {
        self.has_met_unknown |= !table.empty && !table.read.is_published;
        let is_one_row = table.unique.iter().any(Vec::is_empty);
        if table.read.is_cut && !is_one_row { Err(Breach::Join) } else { Ok(()) }
    }
}

impl Relation {
    pub(super) fn is_individual(&self) -> bool {
        !self.subjects.is_empty()
    }

    /// The class whose key an expression is.
    pub(super) fn class_of(&self, expr: &Expr) -> Option<usize> {
        let keys = key_leaves(expr)?;
        self.subjects.iter().position(|subject| keys.iter().all(|key| subject.keys.contains(*key)))
    }
}

/// The leaves of an expression that can be nothing but one of their values: a leaf, or the first of several that is there.
pub(super) fn key_leaves(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Column(column) => Some(vec![&column.name]),
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            let mut all = Vec::new();
            for argument in &call.args {
                all.extend(key_leaves(argument)?);
            }
            (!all.is_empty()).then_some(all)
        }
        Expr::Case(case) if case.expr.is_none() => {
            let mut all = Vec::new();
            for (when, then) in &case.when_then_expr {
                let Expr::IsNotNull(tested) = when.as_ref() else { return None };
                all.extend(key_leaves(tested)?);
                all.extend(key_leaves(then)?);
            }
            all.extend(key_leaves(case.else_expr.as_deref()?)?);
            Some(all)
        }
        _ => None,
    }
}

/// The leaf that an expression is, under casts.
pub(super) fn bare(expr: &Expr) -> Option<&Column> {
    match uncast(expr) {
        Expr::Column(column) => Some(column),
        _ => None,
    }
}

/// An expression without casts around it.
pub(super) fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        Expr::TryCast(cast) => uncast(&cast.expr),
        Expr::Alias(alias) => uncast(&alias.expr),
        other => other,
    }
}
