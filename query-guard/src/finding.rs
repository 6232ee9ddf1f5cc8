//! What the guard says when it refuses: stable codes, the place in the SQL, the rule, and what would be accepted.
//! A finding never holds a value, a count, or a name that the analyst did not write.

use std::collections::BTreeMap;

use datafusion_common::DataFusionError;
use datafusion_common::Span;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Text;

/// Every reason for which the guard refuses; the slug is the stable name in the API, the CLI and the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The text is not SQL.
    SqlSyntax,
    /// The statement is not one query.
    StatementNotAllowed,
    /// A size limit was passed.
    QueryTooLarge,
    /// No dataset of this name is in the job's scope (hidden and non-existent look alike).
    DatasetNotFound,
    /// No column of this name is in the job's scope (hidden and non-existent look alike).
    ColumnNotInScope,
    /// The column may not be used in this way.
    UseNotGranted,
    /// The function does not exist here.
    FunctionNotAllowed,
    /// The query could not be planned.
    QueryNotUnderstood,
    /// Rows about individuals would be the result.
    RowLevelOutput,
    /// A unit key or identifier meets a literal or an expression.
    UnitKeyNotComparable,
    /// The condition is not of an allowed shape.
    PredicateNotAllowed,
    /// The group key is not of an allowed shape.
    GroupKeyNotAllowed,
    /// A literal does not lie on the edge of a mask or bin.
    LiteralOffEdge,
    /// The aggregate is never released.
    AggregateNotAllowed,
    /// The aggregate's argument has no normal form.
    AggregateNotDecomposable,
    /// A control that the data demands is not available.
    ControlNotAvailable,
    /// The join is not on a shared privacy unit, nor N:1 to open data.
    JoinNotAllowed,
    /// The datasets' policies do not name each other.
    JoinNotAgreed,
    /// The operation is not defined over individuals.
    OperationOverIndividuals,
    /// A subquery feeds individuals with something other than one released value.
    SubqueryNotAllowed,
    /// A constant expression has no value.
    ConstantNotEvaluated,
    /// More cells than the policy lets out at once (depends on data; never names the number).
    TooManyCells,
}

impl Code {
    /// Stable kebab-case slug.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Code::SqlSyntax => "sql-syntax",
            Code::StatementNotAllowed => "statement-not-allowed",
            Code::QueryTooLarge => "query-too-large",
            Code::DatasetNotFound => "dataset-not-found",
            Code::ColumnNotInScope => "column-not-in-scope",
            Code::UseNotGranted => "use-not-granted",
            Code::FunctionNotAllowed => "function-not-allowed",
            Code::QueryNotUnderstood => "query-not-understood",
            Code::RowLevelOutput => "row-level-output",
            Code::UnitKeyNotComparable => "unit-key-not-comparable",
            Code::PredicateNotAllowed => "predicate-not-allowed",
            Code::GroupKeyNotAllowed => "group-key-not-allowed",
            Code::LiteralOffEdge => "literal-off-edge",
            Code::AggregateNotAllowed => "aggregate-not-allowed",
            Code::AggregateNotDecomposable => "aggregate-not-decomposable",
            Code::ControlNotAvailable => "control-not-available",
            Code::JoinNotAllowed => "join-not-allowed",
            Code::JoinNotAgreed => "join-not-agreed",
            Code::OperationOverIndividuals => "operation-over-individuals",
            Code::SubqueryNotAllowed => "subquery-not-allowed",
            Code::ConstantNotEvaluated => "constant-not-evaluated",
            Code::TooManyCells => "too-many-cells",
        }
    }

    /// The rule, in one sentence per language.
    #[must_use]
    pub fn rule(self) -> Text {
        let (en, zh) = match self {
            Code::SqlSyntax => ("the text is not a SQL query", "文本不是有效的 SQL 查询"),
            Code::StatementNotAllowed => (
                "exactly one query (SELECT) is accepted, no other statement",
                "只接受一条查询语句（SELECT），不接受其他语句",
            ),
            Code::QueryTooLarge => ("the query passes a size limit", "查询超过规模上限"),
            Code::DatasetNotFound => ("this job has no dataset of that name", "本次任务没有该名称的数据集"),
            Code::ColumnNotInScope => ("this job has no column of that name", "本次任务没有该名称的字段"),
            Code::UseNotGranted => {
                ("the grant does not allow this use of the column", "授权不允许以这种方式使用该字段")
            }
            Code::FunctionNotAllowed => {
                ("the function is not on the list of allowed functions", "该函数不在允许的函数列表中")
            }
            Code::QueryNotUnderstood => ("the query could not be planned", "无法解析该查询的含义"),
            Code::RowLevelOutput => (
                "rows about individuals never leave, only aggregates do",
                "个体数据行不得输出，只能输出聚合结果",
            ),
            Code::UnitKeyNotComparable => (
                "unit keys and identifiers are joined or counted, never compared, computed or grouped",
                "主体标识只能用于关联或去重计数，不能比较、计算或分组",
            ),
            Code::PredicateNotAllowed => (
                "conditions on individuals compare a column, or a coarser form of it, with literals",
                "针对个体的条件只能将字段（或其泛化形式）与常量比较",
            ),
            Code::GroupKeyNotAllowed => (
                "individuals are grouped by columns, coarser forms of them, or CASE labels",
                "个体只能按字段、字段的泛化形式或 CASE 标签分组",
            ),
            Code::LiteralOffEdge => (
                "the column is known in steps, and the literal lies between two of them",
                "该字段按区间提供，常量落在两个区间边界之间",
            ),
            Code::AggregateNotAllowed => {
                ("this aggregate would let single values out", "该聚合函数会泄露个体数值")
            }
            Code::AggregateNotDecomposable => (
                "an aggregate's argument is a measure, a linear combination of measures, or CASE over these",
                "聚合参数只能是度量字段、其线性组合或基于它们的 CASE",
            ),
            Code::ControlNotAvailable => {
                ("the control that this needs is not available yet", "所需的输出控制尚不可用")
            }
            Code::JoinNotAllowed => (
                "individuals are joined by equality of the same unit key, or N:1 with open or released tables",
                "个体数据只能按同一主体标识等值关联，或与开放表、已发布结果做多对一关联",
            ),
            Code::JoinNotAgreed => (
                "the policies of both datasets must name each other before they are joined",
                "两个数据集的策略必须互相允许后才能关联",
            ),
            Code::OperationOverIndividuals => (
                "this operation is defined over released results, not over individuals",
                "该操作只能用于已发布的结果，不能用于个体数据",
            ),
            Code::SubqueryNotAllowed => (
                "a subquery used as a value must be one aggregate without group keys",
                "作为数值使用的子查询必须是不分组的单个聚合",
            ),
            Code::ConstantNotEvaluated => ("a constant expression has no value", "常量表达式无法求值"),
            Code::TooManyCells => (
                "the result has more cells than the policy lets out at once",
                "结果单元格数量超过策略允许的上限",
            ),
        };
        Text { en: en.to_owned(), zh: zh.to_owned() }
    }
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// Where in the SQL, when the place is known.
    pub span: Option<SqlSpan>,
    /// What would be accepted, when that can be said.
    pub help: Option<Text>,
    /// Names the analyst wrote, by role (`column`, `function`, ...).
    pub params: BTreeMap<&'static str, String>,
}

impl Finding {
    /// Makes a finding without place, help or names.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Finding { code, span: None, help: None, params: BTreeMap::new() }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, span: Option<SqlSpan>) -> Self {
        self.span = span;
        self
    }

    /// Adds a name that the analyst wrote.
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

    /// What was noted before, and a last reason.
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
            let within = text.char_indices().nth(column_index).map_or(text.len(), |(offset, _)| offset);
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

/// An engine error while a plan is put together: its text may quote names, so only the kind is kept.
pub(crate) fn not_understood(_error: DataFusionError) -> Refused {
    internal()
}

pub(crate) fn internal() -> Refused {
    Finding::new(Code::QueryNotUnderstood).into()
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
