//! A refusal as the guard states it: the reason, the place in the SQL, and what would be accepted.
//! A finding never holds a value, a count, or a name that the analyst did not write.

use std::collections::BTreeMap;

use datafusion_common::DataFusionError;
use datafusion_common::Span;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Text;

pub use crate::code::Code;
use crate::reason::Reason;

/// One refusal, or one of several of the same query.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Kind of refusal: that of the reason.
    pub code: Code,
    /// The rule that refused.
    pub reason: Reason,
    /// Place in the SQL, when it is known.
    pub span: Option<SqlSpan>,
    /// A form that would be accepted, when one can be named.
    pub help: Option<Text>,
    /// Data of the reason, by role (`column`, `function`, ...): the roles are those that it declares.
    pub params: BTreeMap<&'static str, String>,
}

impl Finding {
    /// Makes a finding without place, help or names.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        Finding { code: reason.code(), reason, span: None, help: None, params: BTreeMap::new() }
    }

    /// The same finding for another reason, where a rule is part of a wider one.
    #[must_use]
    pub(crate) fn because(self, reason: Reason) -> Self {
        Finding { code: reason.code(), reason, ..self }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, span: Option<SqlSpan>) -> Self {
        self.span = span;
        self
    }

    /// Adds data of the reason: a name that the analyst wrote, or a part of grant or policy.
    #[must_use]
    pub fn with(mut self, role: &'static str, name: impl Into<String>) -> Self {
        self.params.insert(role, name.into());
        self
    }

    /// Adds what would be accepted.
    #[must_use]
    pub fn help(mut self, en: impl Into<String>, zh: impl Into<String>) -> Self {
        self.help = Some(Text { en: en.into(), zh: zh.into() });
        self
    }
}

/// The reasons for which something is refused: one at the least.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused(Vec<Finding>);

impl Refused {
    /// Refuses if there is any finding.
    ///
    /// # Errors
    /// All findings, if there is one.
    pub(crate) fn if_any(findings: Vec<Finding>) -> Result<(), Refused> {
        if findings.is_empty() { Ok(()) } else { Err(Refused(findings)) }
    }

    /// The findings noted before, and a last one.
    pub(crate) fn after(mut noted: Vec<Finding>, last: Finding) -> Self {
        noted.push(last);
        Refused(noted)
    }

    /// The same reasons, each one changed.
    pub(crate) fn map(self, change: impl FnMut(Finding) -> Finding) -> Refused {
        Refused(self.0.into_iter().map(change).collect())
    }

    /// The reasons; never empty.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.0
    }
}

impl From<Finding> for Refused {
    fn from(finding: Finding) -> Self {
        Refused(vec![finding])
    }
}

impl IntoIterator for Refused {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A place in the SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlSpan {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// First byte, UTF-8 offset.
    pub start: usize,
    /// One past the last byte, UTF-8 offset.
    pub end: usize,
}

impl SqlSpan {
    /// Converts the parser's line and column pair into byte offsets within `sql`; `None` when it lies outside.
    #[must_use]
    pub fn locate(sql: &str, span: Span) -> Option<Self> {
        let start = byte_offset(sql, span.start.line, span.start.column)?;
        let end = byte_offset(sql, span.end.line, span.end.column)?;
        (start < end).then_some(SqlSpan { line: span.start.line, column: span.start.column, start, end })
    }
}

fn byte_offset(sql: &str, line: u64, column: u64) -> Option<usize> {
    let line_index = usize::try_from(line.checked_sub(1)?).ok()?;
    let column_index = usize::try_from(column.checked_sub(1)?).ok()?;
    let mut line_start = 0;
    for (index, text) in sql.split_inclusive('\n').enumerate() {
        if index == line_index {
            // Thousands of findings in one long line look for their places in it.
            let within = match text.is_ascii() {
                true => column_index.min(text.len()),
                false => text.char_indices().nth(column_index).map_or(text.len(), |(offset, _)| offset),
            };
            return Some(line_start + within);
        }
        line_start += text.len();
    }
    None
}

/// The place of a name in the text, for findings that planning cannot place.
pub(crate) fn find_word(sql: &str, word: &str) -> Option<SqlSpan> {
    let lower = sql.to_ascii_lowercase();
    let wanted = word.to_ascii_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (start, _) = lower.match_indices(&wanted).find(|(start, found)| {
        let before = lower.get(..*start).and_then(|head| head.chars().next_back());
        let after = lower.get(start + found.len()..).and_then(|tail| tail.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })?;
    let head = sql.get(..start)?;
    let line = head.matches('\n').count() + 1;
    let column = head.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    Some(SqlSpan {
        line: u64::try_from(line).ok()?,
        column: u64::try_from(column).ok()?,
        start,
        end: start + wanted.len(),
    })
}

/// The place of the first column written in an expression.
pub(crate) fn first_span(sql: &str, expr: &Expr) -> Option<SqlSpan> {
    expr.column_refs()
        .into_iter()
        .find_map(|column| column.spans.first())
        .and_then(|span| SqlSpan::locate(sql, span))
}

/// Gives what was found in parts that the planner has rearranged the place of the word that it is about.
pub(crate) fn placed(sql: &str, refused: Refused) -> Refused {
    let place = |finding: &Finding| {
        let names = ["column", "function", "operation", "dataset", "right"];
        let named = names.into_iter().filter_map(|name| finding.params.get(name));
        let about: &[&str] = match finding.code {
            Code::JoinNotAllowed => &["join", "exists", "in"],
            Code::AggregateNotDecomposable => &["count"],
            Code::SubqueryNotAllowed => &["exists", "any", "all", "in", "(select"],
            _ => &[],
        };
        let words = named.map(|name| name.rsplit('.').next().unwrap_or(name)).chain(about.iter().copied());
        words.filter_map(|word| find_word(sql, word)).next()
    };
    refused.map(|finding| {
        let span = finding.span.or_else(|| place(&finding));
        finding.at(span)
    })
}

/// An engine error while a plan of the guard's own is put together; its text may quote names, so none of it is kept.
pub(crate) fn not_built(_error: DataFusionError) -> Refused {
    plan_not_built().into()
}

/// A plan of the guard's own cannot be put together: a bug of ours, which admits nothing.
///
/// To go on with the plan as it was would run it without the rewrite that made it safe
/// (`sandbox/docs/disclosure-model.md`, section 8).
pub(crate) fn plan_not_built() -> Finding {
    Finding::of(Reason::PlanNotBuilt)
}

/// A fact that the guard relies on is missing: a bug of ours, which admits nothing.
pub(crate) fn internal() -> Refused {
    fact_missing().into()
}

/// As [`internal`], where one finding is wanted.
///
/// A column without facts has no known grade, mask or owner, and to guess them would admit it unprotected
/// (`sandbox/docs/disclosure-model.md`, section 8).
pub(crate) fn fact_missing() -> Finding {
    Finding::of(Reason::FactMissing)
}

#[cfg(test)]
mod tests {
    use datafusion_common::Location;

    use super::*;

    #[test]
    fn a_span_counts_characters_and_offsets_count_bytes() {
        let sql = "select\n '市' as c, name";
        let span = Span::new(Location { line: 2, column: 12 }, Location { line: 2, column: 16 });
        let located = SqlSpan::locate(sql, span).expect("inside");
        assert_eq!(sql.get(located.start..located.end), Some("name"));
    }

    #[test]
    fn a_span_outside_the_text_is_no_span() {
        let span = Span::new(Location { line: 9, column: 1 }, Location { line: 9, column: 2 });
        assert_eq!(SqlSpan::locate("select 1", span), None);
    }
}
