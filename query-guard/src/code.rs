//! The codes of refusals: what a client, a script or a policy test branches on, each with its rule in two languages.
//! The rule of the guard that refused is in `reason`, more finely.

use obscura_policies::vocabulary::Text;

/// Every kind of refusal; the slug is the stable name in the API, the CLI and the audit log.
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
    /// The guard failed at its own work, so that nothing is admitted: the operator's to look at, not the analyst's.
    InternalError,
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
            Code::InternalError => "internal-error",
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
            Code::InternalError => (
                "the guard failed at its own work, so that nothing was admitted",
                "审查程序自身出错，因此未放行任何内容",
            ),
        };
        Text { en: en.to_owned(), zh: zh.to_owned() }
    }
}
