//! SQL text to exactly one query: size limits before anything recursive sees the text, then parsing.
//! It knows no names and no policy.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use datafusion_common::Span;
use datafusion_sql::parser::Statement as ParsedStatement;
use datafusion_sql::resolve::resolve_table_references;
use datafusion_sql::sqlparser::ast::Expr as SqlExpr;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::SetExpr;
use datafusion_sql::sqlparser::ast::SetOperator;
use datafusion_sql::sqlparser::ast::SetQuantifier;
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use datafusion_sql::sqlparser::ast::TableFactor;
use datafusion_sql::sqlparser::ast::Visit;
use datafusion_sql::sqlparser::ast::Visitor;
use datafusion_sql::sqlparser::ast::visit_relations;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::Token;
use datafusion_sql::sqlparser::tokenizer::TokenWithSpan;
use datafusion_sql::sqlparser::tokenizer::Tokenizer;

use crate::finding::Finding;
use crate::finding::SqlSpan;
use crate::finding::fact_missing;
use crate::limits::LEVELS_MAX;
use crate::limits::NESTING_MAX;
use crate::limits::OPERATORS_MAX;
use crate::limits::PARSED_DEPTH_MAX;
use crate::limits::QUERY_LEVELS_MAX;
use crate::limits::TABLES_MAX;
use crate::limits::TEXT_BYTES_MAX;
use crate::limits::TOKENS_MAX;
use crate::limits::WRITTEN_OUT_MAX;
use crate::limits::too_large;
use crate::names::TableName;
use crate::period::constants_as_literals;
use crate::reason::Reason;

/// Keywords that open no new level of parsing.
const FREE_KEYWORDS: &[Keyword] = &[
    Keyword::NoKeyword,
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::ORDER,
    Keyword::BY,
    Keyword::HAVING,
    Keyword::LIMIT,
    Keyword::AS,
    Keyword::ON,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::ASC,
    Keyword::DESC,
    Keyword::DATE,
    Keyword::NULL,
    Keyword::TRUE,
    Keyword::FALSE,
    Keyword::COUNT,
    Keyword::DISTINCT,
];

/// Texts that this process has parsed so far, so that a test can tell how often one question is.
static PARSED: AtomicU64 = AtomicU64::new(0);

/// The number of texts that this process has parsed.
#[must_use]
pub fn parsed_so_far() -> u64 {
    PARSED.load(Ordering::Relaxed)
}

/// One parsed query, with the text that it was made of.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text, as it was asked.
    pub(crate) text: String,
    /// The query.
    pub(crate) query: Query,
    /// The tables that it names, its own common table expressions left out.
    tables: BTreeSet<TableName>,
    /// The analyst asked for the verdict only (`EXPLAIN`).
    pub(crate) explain: bool,
}

impl Statement {
    /// Parses `sql`, which must be exactly one query, or `EXPLAIN` of one.
    ///
    /// A second statement could hide behind the one that a reader looks at, and `EXPLAIN ANALYZE` prints how many rows
    /// meet a condition, below every threshold. The limits come first, because the parser is recursive
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    ///
    /// # Errors
    /// A finding `query-too-large`, `sql-syntax` or `statement-not-allowed`.
    pub fn parse(sql: &str) -> Result<Self, Finding> {
        PARSED.fetch_add(1, Ordering::Relaxed);
        let tokens = tokens_within_limits(sql)?;
        let mut statements = Parser::new(&GenericDialect {})
            .with_recursion_limit(PARSED_DEPTH_MAX)
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|error| syntax_finding(sql, &error))?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Finding::of(Reason::NotOneStatement));
        };
        match statement {
            SqlStatement::Query(query) => Self::of_query(sql, *query, false),
            SqlStatement::Explain { analyze: false, statement, .. } => match *statement {
                SqlStatement::Query(query) => Self::of_query(sql, *query, true),
                _ => Err(no_query()),
            },
            _ => Err(no_query().help(
                "write one SELECT; EXPLAIN of a SELECT answers with the verdict",
                "请提交一条 SELECT；对 SELECT 使用 EXPLAIN 会返回判定结果",
            )),
        }
    }
}

/// The refusal of a statement that is no query.
///
/// `COPY (SELECT * FROM persons) TO 'leak.csv'` and `SET`, `SHOW` and `CREATE` act on the engine and never pass a
/// boundary (`sandbox/docs/disclosure-model.md`, section 3).
fn no_query() -> Finding {
    Finding::of(Reason::StatementIsNoQuery)
}

impl Statement {
    /// The names of its tables.
    #[must_use]
    pub fn tables(&self) -> &BTreeSet<TableName> {
        &self.tables
    }

    /// A query whose clauses are looked at, and whose tables are counted as they are written out.
    ///
    /// A common table expression that is used twice at every level doubles the plan at every level, long before any
    /// other rule sees it (`sandbox/docs/disclosure-model.md`, section 3).
    fn of_query(sql: &str, mut query: Query, explain: bool) -> Result<Self, Finding> {
        constants_as_literals(&mut query);
        match query.visit(&mut Clauses::default()) {
            ControlFlow::Break(stop) => Err(stop.into_finding()),
            ControlFlow::Continue(()) if tables_written_out(&query) > WRITTEN_OUT_MAX => Err(too_large(
                Reason::TooManyTablesWrittenOut,
                "tables",
                format!("at most {WRITTEN_OUT_MAX} tables once common table expressions are written out"),
                format!("展开公用表表达式后，表不超过 {WRITTEN_OUT_MAX} 个"),
            )),
            ControlFlow::Continue(()) => {
                let tables = tables_of(&query)?;
                Ok(Statement { text: sql.to_owned(), query, tables, explain })
            }
        }
    }
}

/// The names of a query's tables; a name of three parts is left to planning, which finds nothing by it.
fn tables_of(query: &Query) -> Result<BTreeSet<TableName>, Finding> {
    let statement = ParsedStatement::Statement(Box::new(SqlStatement::Query(Box::new(query.clone()))));
    let (tables, _common) = resolve_table_references(&statement, true).map_err(|_| fact_missing())?;
    Ok(tables.iter().filter_map(TableName::of).collect())
}

/// Parses one condition, within the limits of a statement.
///
/// A row filter is text of somebody too, and is planned in every review of its dataset: nested too deeply, it would
/// exhaust the stack (`sandbox/docs/disclosure-model.md`, section 3).
///
/// # Errors
/// A finding `query-too-large` or `sql-syntax`.
pub(crate) fn parse_condition(sql: &str) -> Result<SqlExpr, Finding> {
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(PARSED_DEPTH_MAX)
        .with_tokens_with_locations(tokens_within_limits(sql)?);
    let condition = parser
        .parse_expr()
        .and_then(|condition| parser.expect_token(&Token::EOF).map(|_| condition))
        .map_err(|error| syntax_finding(sql, &error))?;
    match condition.visit(&mut Clauses::default()) {
        ControlFlow::Break(stop) => Err(stop.into_finding()),
        ControlFlow::Continue(()) => Ok(condition),
    }
}

/// Tables that a query reads once its common table expressions are written out where they are used.
///
/// An expression used twice at every level doubles at every level, in planning time and memory. One that reads no table
/// is planned as often as it is written, and counts as one (`sandbox/docs/disclosure-model.md`, section 3).
fn tables_written_out(query: &Query) -> usize {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        // One that reads no table is still planned as often as it is written.
        let weight = tables_in(&cte.query, &known).max(1);
        known.insert(cte.alias.name.value.to_lowercase(), weight);
    }
    tables_in(&query.body, &known)
}

/// The tables of one part of a query, known common table expressions counted by what they read.
///
/// A name in quotes or in another case is the same name, so that it does not escape the count
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn tables_in(part: &impl Visit, known: &BTreeMap<String, usize>) -> usize {
    let mut tables = 0_usize;
    let _ = visit_relations(part, |name| {
        // A quoted name is the same name.
        let name = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
        let weight = name.and_then(|name| known.get(&name)).copied().unwrap_or(1);
        tables = tables.saturating_add(weight);
        ControlFlow::<()>::Continue(())
    });
    tables
}

/// True for INTERSECT ALL and EXCEPT ALL anywhere among the set operations.
///
/// The engine runs them as semi and anti joins, which is not what the standard says of them: their answer would be
/// wrong (`sandbox/docs/disclosure-model.md`, section 4.8).
fn keeps_duplicates(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            let unites = matches!(op, SetOperator::Union);
            (all && !unites) || keeps_duplicates(left) || keeps_duplicates(right)
        }
        _ => false,
    }
}

/// The reason why a query goes no further.
enum Stop {
    /// It has more of something than the limit, which is named in both languages.
    TooMany(Reason, &'static str, usize, (&'static str, &'static str)),
    /// It has a clause that is not allowed.
    NotAllowed(&'static str),
}

impl Stop {
    /// The finding for a limit that is passed, or for a clause that is not allowed.
    ///
    /// The planner ignores some clauses that the parser accepts, and ignoring one changes the question; others multiply
    /// work unseen (`sandbox/docs/disclosure-model.md`, section 3).
    fn into_finding(self) -> Finding {
        match self {
            Stop::TooMany(reason, what, most, (en, zh)) => {
                too_large(reason, what, format!("at most {most} {en}"), format!("最多 {most} {zh}"))
            }
            Stop::NotAllowed(clause) => Finding::of(Reason::ClauseNotAllowed)
                .with("clause", clause)
                .help(format!("leave out {clause}"), format!("请去掉 {clause}")),
        }
    }
}

/// Finds clauses that the parser accepts and the planner would silently ignore (ignoring one changes the question), and
/// what nests deeper than can be planned in little time.
#[derive(Default)]
struct Clauses {
    /// FROM items so far: planning them costs more than linear time.
    tables: usize,
    /// Queries so far, subqueries included.
    queries: usize,
    /// Queries around this place.
    query_levels: usize,
    /// Functions, CASE, CAST and predicates around this place.
    levels: usize,
}

impl Visitor for Clauses {
    type Break = Stop;

    /// Bounds the levels of queries, and refuses clauses of a query.
    ///
    /// Each query within a query is planned within the planning of the other. WITH in a subquery would multiply tables
    /// that `tables_written_out` does not count, and the planner takes no notice of locks, formats and settings
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        // Written out, expressions within expressions would multiply unseen.
        refuse_if(query.with.is_some() && self.queries > 0, "WITH inside a subquery")?;
        self.queries += 1;
        self.query_levels += 1;
        let levels = ("levels of subqueries", "层子查询");
        at_most(self.query_levels, QUERY_LEVELS_MAX, Reason::SubqueriesTooDeep, ("subqueries", levels))?;
        refuse_if(!query.locks.is_empty(), "FOR UPDATE")?;
        refuse_if(query.for_clause.is_some(), "FOR XML / JSON")?;
        refuse_if(query.settings.is_some(), "SETTINGS")?;
        refuse_if(query.format_clause.is_some(), "FORMAT")?;
        refuse_if(!query.pipe_operators.is_empty(), "|>")?;
        refuse_if(keeps_duplicates(&query.body), "ALL after INTERSECT or EXCEPT")
    }

    /// Leaves a level of queries: those side by side count as one level
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.query_levels = self.query_levels.saturating_sub(1);
        ControlFlow::Continue(())
    }

    /// Bounds the levels of functions, CASE, CAST and predicates.
    ///
    /// The planner, the guard and the engine ask an argument for its type once or twice at every level, so that time
    /// doubles with every level (`sandbox/docs/disclosure-model.md`, section 3).
    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<Self::Break> {
        self.levels += usize::from(is_a_level(expr));
        let levels = ("levels of functions, CASE, CAST and predicates", "层函数、CASE、CAST 与谓词");
        at_most(self.levels, LEVELS_MAX, Reason::FunctionsTooDeep, ("levels", levels))
    }

    /// Leaves a level of expressions: those side by side count as one level
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn post_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<Self::Break> {
        self.levels = self.levels.saturating_sub(usize::from(is_a_level(expr)));
        ControlFlow::Continue(())
    }

    /// Bounds the tables, and refuses every kind of FROM item but tables, subqueries and joins in brackets.
    ///
    /// Planning of FROM takes more than linear time. A table function multiplies rows
    /// (`persons CROSS JOIN generate_series(1, 1000)`), TABLESAMPLE draws a random subset, LATERAL multiplies work
    /// unseen, and hints and versions are ignored by the planner (`sandbox/docs/disclosure-model.md`, section 3).
    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        self.tables += 1;
        at_most(self.tables, TABLES_MAX, Reason::TooManyTables, ("tables", ("tables", "个表")))?;
        match factor {
            TableFactor::Table {
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => {
                refuse_if(sample.is_some(), "TABLESAMPLE")?;
                refuse_if(args.is_some(), "a table function")?;
                refuse_if(version.is_some(), "a table version")?;
                refuse_if(json_path.is_some(), "a JSON path")?;
                refuse_if(
                    !with_hints.is_empty()
                        || !index_hints.is_empty()
                        || !partitions.is_empty()
                        || *with_ordinality,
                    "a table hint",
                )
            }
            TableFactor::Derived { lateral, sample, .. } => {
                refuse_if(*lateral, "LATERAL")?;
                refuse_if(sample.is_some(), "TABLESAMPLE")
            }
            TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Stop::NotAllowed("this kind of FROM item")),
        }
    }
}

/// True for what deepens an expression by a level of its own.
///
/// Chains of operators are counted by themselves, and brackets; names and literals are leaves
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn is_a_level(expr: &SqlExpr) -> bool {
    !matches!(
        expr,
        SqlExpr::BinaryOp { .. }
            | SqlExpr::Nested(_)
            | SqlExpr::Identifier(_)
            | SqlExpr::CompoundIdentifier(_)
            | SqlExpr::Value(_)
    )
}

/// Stops at a clause that is not allowed (`sandbox/docs/disclosure-model.md`, section 3).
fn refuse_if(found: bool, clause: &'static str) -> ControlFlow<Stop> {
    if found { ControlFlow::Break(Stop::NotAllowed(clause)) } else { ControlFlow::Continue(()) }
}

/// Stops where there is more of something than its limit: the limits rest on the text alone, so that meeting one tells
/// nothing of the data (`sandbox/docs/disclosure-model.md`, section 3).
fn at_most(
    found: usize,
    most: usize,
    reason: Reason,
    (what, words): (&'static str, (&'static str, &'static str)),
) -> ControlFlow<Stop> {
    if found > most {
        ControlFlow::Break(Stop::TooMany(reason, what, most, words))
    } else {
        ControlFlow::Continue(())
    }
}

/// The tokens of a text, within the limits on bytes, nesting, operators and tokens.
///
/// The parser is recursive, and a chain of 20,000 `1+` or as many brackets would overflow its stack and end the
/// process. So all that may deepen the recursion is counted in one flat pass over the tokens, before anything recursive
/// sees the text (`sandbox/docs/disclosure-model.md`, section 3).
fn tokens_within_limits(sql: &str) -> Result<Vec<TokenWithSpan>, Finding> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(too_large(
            Reason::TextTooLong,
            "text",
            format!("at most {TEXT_BYTES_MAX} bytes of text"),
            format!("文本不超过 {TEXT_BYTES_MAX} 字节"),
        ));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().map_err(|_| not_sql())?;
    let (mut count, mut brackets, mut cases, mut operators) = (0_usize, 0_usize, 0_usize, 0_usize);
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => brackets += 1,
            Token::RParen | Token::RBracket | Token::RBrace => brackets = brackets.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => cases += 1,
                // END may be an alias too: it never lowers the depth of brackets.
                Keyword::END => cases = cases.saturating_sub(1),
                keyword if FREE_KEYWORDS.contains(&keyword) => {}
                // Every other keyword may nest one level of parsing (INTERVAL, XOR, LIKE, JOIN, UNION, ...).
                _ => operators += 1,
            },
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => operators += 1,
        }
        count += 1;
        let passed = if brackets.max(cases) > NESTING_MAX {
            Some(nested_too_deeply())
        } else if operators > OPERATORS_MAX {
            let (en, zh) =
                (format!("at most {OPERATORS_MAX} operators"), format!("最多 {OPERATORS_MAX} 个运算符"));
            Some(too_large(Reason::TooManyOperators, "operators", en, zh))
        } else if count > TOKENS_MAX {
            let (en, zh) = (format!("at most {TOKENS_MAX} tokens"), format!("最多 {TOKENS_MAX} 个词元"));
            Some(too_large(Reason::TooManyTokens, "tokens", en, zh))
        } else {
            None
        };
        if let Some(finding) = passed {
            let span = Span::try_from_sqlparser_span(token.span).and_then(|span| SqlSpan::locate(sql, span));
            return Err(finding.at(span));
        }
    }
    Ok(tokens)
}

/// The parser's own sentence quotes only the analyst's text, but its wording changes between versions: only the place
/// is taken from it (`sandbox/docs/disclosure-model.md`, section 3).
fn syntax_finding(sql: &str, error: &ParserError) -> Finding {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return nested_too_deeply();
        }
    };
    let place = message.rsplit_once("Line: ").and_then(|(_, tail)| {
        let (line, rest) = tail.split_once(", Column: ")?;
        let column: u64 = rest.trim().parse().ok()?;
        Some((line.parse::<u64>().ok()?, column))
    });
    let span = place.and_then(|(line, column)| {
        let start = datafusion_common::Location { line, column };
        let end = datafusion_common::Location { line, column: column + 1 };
        SqlSpan::locate(sql, Span::new(start, end))
    });
    not_sql().at(span)
}

/// The text cannot be read as SQL, and what cannot be read is not answered
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn not_sql() -> Finding {
    Finding::of(Reason::NotSql)
}

/// Brackets, CASE or the parser's own levels are nested too deeply: every rule walks expressions recursively, and a
/// stack that overflows ends the process (`sandbox/docs/disclosure-model.md`, section 3).
fn nested_too_deeply() -> Finding {
    too_large(
        Reason::NestedTooDeeply,
        "nesting",
        format!("at most {NESTING_MAX} levels of nesting"),
        format!("嵌套不超过 {NESTING_MAX} 层"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;

    fn code(sql: &str) -> Option<Code> {
        Statement::parse(sql).err().map(|finding| finding.code)
    }

    #[test]
    fn one_query_is_accepted_with_or_without_explain() {
        assert!(!Statement::parse("select 1;").expect("query").explain);
        assert!(Statement::parse("explain select 1").expect("query").explain);
    }

    #[test]
    fn a_statement_knows_the_tables_that_it_names_and_not_its_own() {
        let sql = "WITH own AS (SELECT 1 FROM Corpus.Persons) SELECT * FROM own, visits v, \"a-b\".c WHERE x IN (SELECT y FROM b.c)";
        let statement = Statement::parse(sql).expect("query");
        let means = |id: &str| {
            let id = id.parse().expect("a dataset's name");
            statement.tables().iter().any(|table| table.may_mean(&id))
        };
        for id in ["corpus.persons", "corpus.visits", "other.visits", "a-b.c", "b.c"] {
            assert!(means(id), "{id}");
        }
        for id in ["other.persons", "corpus.own", "corpus.v", "a.c"] {
            assert!(!means(id), "{id}");
        }
    }

    #[test]
    fn anything_but_one_query_is_refused_by_kind() {
        for sql in [
            "",
            "select 1; select 2",
            "set a = 1",
            "create table t (a int)",
            "explain analyze select 1",
            "insert into t values (1)",
            "show tables",
        ] {
            assert_eq!(code(sql), Some(Code::StatementNotAllowed), "{sql}");
        }
    }

    #[test]
    fn a_chain_of_operators_is_refused_before_it_is_parsed() {
        let sql = format!("select {}1", "1+".repeat(20_000));
        assert_eq!(code(&sql), Some(Code::QueryTooLarge));
    }

    #[test]
    fn deep_nesting_and_long_text_are_refused() {
        assert_eq!(code(&format!("select {}1{}", "(".repeat(65), ")".repeat(65))), Some(Code::QueryTooLarge));
        assert_eq!(code(&format!("select '{}'", "x".repeat(TEXT_BYTES_MAX))), Some(Code::QueryTooLarge));
        assert_eq!(code(&format!("select 1{}", ",1".repeat(6_000))), Some(Code::QueryTooLarge));
    }

    #[test]
    fn levels_are_counted_where_they_stand_in_one_another_and_not_side_by_side() {
        let nested = |depth| format!("select {}a{} from t", "upper(".repeat(depth), ")".repeat(depth));
        assert_eq!(code(&nested(LEVELS_MAX)), None);
        assert_eq!(code(&nested(LEVELS_MAX + 1)), Some(Code::QueryTooLarge));
        assert_eq!(code(&format!("select {}1 from t", "upper(a),".repeat(64))), None);
        let query =
            |depth| format!("select * from {}t{}", "(select * from ".repeat(depth), ") t".repeat(depth));
        assert_eq!(code(&query(QUERY_LEVELS_MAX - 1)), None);
        assert_eq!(code(&query(QUERY_LEVELS_MAX)), Some(Code::QueryTooLarge));
    }

    #[test]
    fn a_syntax_error_names_its_place() {
        let finding = Statement::parse("select dept\nfrom )").expect_err("syntax");
        assert_eq!(finding.code, Code::SqlSyntax);
        assert_eq!(finding.span.map(|span| span.line), Some(2));
    }
}
