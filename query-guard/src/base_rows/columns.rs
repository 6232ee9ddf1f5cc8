//! The columns of the rows of a base: what each tells of sensitive ones, and what that is for an expression over them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;

use crate::column::branches;
use crate::column::is_nullif;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::reason::Reason;

/// The part of a column in who is sensitive in which way; of several that are computed with, the last one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// It tells subjects apart, and chooses nobody.
    Key,
    /// It chooses by what is not sensitive.
    Other,
    /// It does so as well, and is a measure.
    Measured,
    /// A sensitive column that is added up: that it has a value tells nothing.
    Certain,
    /// A number over a subject's rows that depends on sensitive columns: that it has a value tells nothing.
    Number,
    /// It tells of a sensitive column: itself, or what is computed of it or depends on it.
    Sensitive,
    /// It is not sensitive, and found beside a row that sensitive columns have chosen: that it is there tells of them.
    Beside,
    /// It is a key or a number that is found beside a row which sensitive columns have chosen together with others.
    Found,
    /// A number that depends on sensitive columns together with others: that it has a value tells nothing.
    Blurred,
    /// It tells of sensitive columns together with others.
    Mixed,
}

/// The reading of an expression: what of it is sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Nothing.
    Others,
    /// Everything that it reads, or one comparison or computation of it with something else.
    Sensitive,
    /// A part, in a way that chooses by other columns too.
    Mixed,
}

/// The choice among the subjects of a base by what has been taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nothing has been taken out.
    None,
    /// Among all of them in the same way.
    Whole,
    /// Among some of them, by other columns; the others are all let through.
    Partial,
}

impl Choice {
    /// Both choices, one after the other.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where some are chosen in another way than others: of two villages one would hide the other.
    pub(crate) fn and(self, other: Self) -> Result<Self, Refused> {
        match (self, other) {
            (Choice::None, choice) | (choice, Choice::None) => Ok(choice),
            (Choice::Whole, Choice::Whole) => Ok(Choice::Whole),
            (Choice::Partial, _) | (_, Choice::Partial) => Err(mixed()),
        }
    }

    /// The choice among the subjects of either, each chosen for itself.
    ///
    /// # Errors
    /// As [`Choice::and`].
    pub(super) fn or(self, other: Self) -> Result<Self, Refused> {
        match (self, other) {
            (Choice::None, Choice::None) => Ok(Choice::None),
            (Choice::None, _) | (_, Choice::None) => Ok(Choice::Partial),
            (Choice::Whole | Choice::Partial, Choice::Whole | Choice::Partial) => Err(mixed()),
        }
    }
}

/// The columns of rows; one that is not listed is an other one.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    parts: BTreeMap<String, Part>,
    /// Unit keys, whatever they tell.
    keys: BTreeSet<String>,
}

impl Columns {
    pub(super) fn put(&mut self, name: &str, part: Part) {
        if part == Part::Key {
            self.keys.insert(name.to_owned());
        }
        self.parts.insert(name.to_owned(), part);
    }

    /// A column that an expression computes, and that is a key where the expression is.
    pub(super) fn put_computed(&mut self, name: &str, expr: &Expr, over: &Self) -> Result<(), Refused> {
        self.put(name, over.part_of(expr)?);
        if over.is_key(expr) {
            self.keys.insert(name.to_owned());
        }
        Ok(())
    }

    pub(super) fn part(&self, name: &str) -> Part {
        self.parts.get(name).copied().unwrap_or(Part::Other)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let all = self.parts.iter().chain(&other.parts);
        let parts = all.map(|(name, part)| (name.clone(), *part)).collect();
        Columns { parts, keys: &self.keys | &other.keys }
    }

    /// True of a unit key as it is, whatever it tells.
    pub(super) fn is_key(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Alias(alias) => self.is_key(&alias.expr),
            Expr::Column(column) => self.keys.contains(&column.name),
            _ => false,
        }
    }

    /// Notes that columns are found beside a row that sensitive columns have chosen, perhaps together with others.
    pub(super) fn find(&mut self, names: &[String], choice: Choice, is_narrowed: bool) {
        for name in names {
            let part = match (self.part(name), choice, is_narrowed) {
                (_, Choice::Partial, _) | (Part::Beside | Part::Found | Part::Blurred | Part::Mixed, ..) => {
                    Part::Mixed
                }
                (Part::Other | Part::Measured, ..) => Part::Beside,
                (Part::Key | Part::Certain | Part::Number, _, true) => Part::Found,
                (Part::Sensitive, _, true) => Part::Mixed,
                (Part::Key | Part::Certain | Part::Number | Part::Sensitive, _, false) => Part::Sensitive,
            };
            self.parts.insert(name.clone(), part);
        }
    }

    /// True if an expression tells of a sensitive column in any way.
    pub(super) fn reads_sensitive(&self, expr: &Expr) -> bool {
        self.read(expr).iter().any(|part| *part >= Part::Certain)
    }

    /// True if an expression reads what was found, or what tells of sensitive columns together with others.
    pub(super) fn reads_found(&self, expr: &Expr) -> bool {
        self.read(expr).iter().any(|part| *part >= Part::Beside)
    }

    /// The parts of the columns that an expression reads, but for questions whether there is a value that always is.
    pub(super) fn read(&self, expr: &Expr) -> BTreeSet<Part> {
        let mut read = BTreeSet::new();
        let walked = expr.apply(|inner| {
            let asks = match inner {
                Expr::IsNull(of) | Expr::IsNotNull(of) => Some(of.as_ref()),
                Expr::Column(column) => {
                    read.insert(self.part(&column.name));
                    None
                }
                _ => None,
            };
            let is_certain = matches!(asks, Some(Expr::Column(column))
                if matches!(self.part(&column.name), Part::Certain | Part::Number | Part::Blurred));
            Ok(if is_certain { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
        read
    }

    /// The part of a column that an expression over one row computes.
    fn part_of(&self, expr: &Expr) -> Result<Part, Refused> {
        let inner = expr.clone().unalias();
        if let Expr::Column(column) = &inner {
            return Ok(self.part(&column.name));
        }
        let keys = inner.column_refs();
        if !keys.is_empty() && keys.iter().all(|column| self.keys.contains(&column.name)) {
            return Ok(Part::Key);
        }
        let read = self.read(&inner);
        let strictest = read.iter().next_back().copied().unwrap_or(Part::Other);
        if strictest >= Part::Beside {
            let is_plain = !joins_conditions(&inner)
                && read.iter().all(|part| matches!(part, Part::Key) || *part == strictest);
            return Ok(if is_plain { strictest } else { Part::Mixed });
        }
        self.decides(&inner)?;
        let tells_nothing = matches!(strictest, Part::Certain | Part::Number) && !may_be_missing(&inner);
        Ok(if strictest >= Part::Certain && !tells_nothing { Part::Sensitive } else { strictest })
    }

    /// The part of a number over a subject's rows, which depends on what has chosen them.
    pub(super) fn number(&self, call: &Expr, rows: OwnRows) -> Part {
        let mut read: BTreeSet<Part> = BTreeSet::new();
        let inner = call.clone().unalias();
        match &inner {
            Expr::WindowFunction(function) => {
                let params = &function.params;
                // Further columns of the order only tell rows apart that are alike in the first.
                let first = params.order_by.first().map(|sort| &sort.expr);
                let parts = params.args.iter().chain(params.filter.as_deref()).chain(first);
                read.extend(parts.flat_map(|part| self.read(part)));
            }
            call => read.extend(self.read(call)),
        }
        let is_sensitive = read.iter().any(|part| *part >= Part::Certain);
        let is_other = read.contains(&Part::Other);
        let is_found = read.iter().any(|part| *part >= Part::Beside);
        match rows {
            _ if is_found || (is_sensitive && is_other) => Part::Blurred,
            OwnRows::Mixed => Part::Blurred,
            OwnRows::Chosen if is_other => Part::Blurred,
            OwnRows::Chosen | OwnRows::All if is_sensitive && may_be_missing(&inner) && !is_count(&inner) => {
                Part::Sensitive
            }
            OwnRows::Chosen => Part::Number,
            OwnRows::All if is_sensitive => Part::Number,
            OwnRows::All if read.contains(&Part::Measured) && !is_other => Part::Measured,
            OwnRows::All => Part::Other,
        }
    }

    /// True if an expression tells of a sensitive column.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where it does so together with others.
    pub(super) fn decides(&self, expr: &Expr) -> Result<bool, Refused> {
        match self.reads(expr) {
            Reads::Others => Ok(false),
            Reads::Sensitive => Ok(true),
            Reads::Mixed => Err(mixed()),
        }
    }

    pub(super) fn reads(&self, expr: &Expr) -> Reads {
        let read = self.read(expr);
        if read.iter().any(|part| *part >= Part::Beside) {
            return Reads::Mixed;
        }
        let is_sensitive = read.iter().any(|part| *part >= Part::Certain);
        match (is_sensitive, read.contains(&Part::Other) || read.contains(&Part::Measured)) {
            (false, _) => Reads::Others,
            (true, false) => Reads::Sensitive,
            (true, true) if joins_conditions(expr) => Reads::Mixed,
            (true, true) => Reads::Sensitive,
        }
    }
}

/// The rows of a subject that numbers are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OwnRows {
    /// As in the question.
    All,
    /// Sensitive columns have chosen among them.
    Chosen,
    /// Sensitive columns have chosen among them together with others.
    Mixed,
}

impl OwnRows {
    /// The rows after a further choice.
    pub(super) fn after(self, choice: Choice) -> Self {
        self.max(match choice {
            Choice::None => OwnRows::All,
            Choice::Whole => OwnRows::Chosen,
            Choice::Partial => OwnRows::Mixed,
        })
    }
}

/// True if an expression joins conditions, so that it may choose by one column here and by another there. One comparison, or one
/// computation, of several columns does not.
pub(super) fn joins_conditions(expr: &Expr) -> bool {
    let joins = expr.exists(|inner| {
        Ok(branches(inner).is_some()
            || matches!(inner, Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. })))
    });
    joins.unwrap_or(true)
}

/// True if an expression has no value where a condition is not met.
fn may_be_missing(expr: &Expr) -> bool {
    let missing = expr.exists(|inner| {
        Ok(match inner {
            Expr::Case(case) => case.else_expr.is_none(),
            Expr::AggregateFunction(call) => call.params.filter.is_some(),
            inner => is_nullif(inner),
        })
    });
    missing.unwrap_or(true)
}

fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::AggregateFunction(call) => call.func.name() == "count",
        Expr::WindowFunction(call) => call.fun.name() == "count",
        _ => false,
    }
}

/// The refusal of what chooses by sensitive columns and by others in one.
///
/// `zip = '9999' AND diag = 'HIV' OR zip = '1000' AND diag = 'rare'` is all of one zip if all of it have HIV, and so many of the other zip are
/// not in it that nobody would notice (`sandbox/docs/disclosure-model.md`, section 5.12).
pub(super) fn mixed() -> Refused {
    Finding::of(Reason::SensitiveConditionsMixed)
        .help(
            "put conditions on sensitive columns beside the others, joined by AND, in the innermost WHERE, and group by each column for itself: WHERE zip = '1000' AND diag = 'x'",
            "请在最内层的 WHERE 中将敏感字段的条件与其他条件分开书写并以 AND 连接，并按各字段分别分组：WHERE zip = '1000' AND diag = 'x'",
        )
        .into()
}
