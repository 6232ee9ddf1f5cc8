//! SQL text to exactly one query: size limits before anything recursive sees the text, then parsing.
//! It knows no names and no policy.

use std::ops::ControlFlow;

use datafusion_common::Span;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use datafusion_sql::sqlparser::ast::TableFactor;
use datafusion_sql::sqlparser::ast::Visit;
use datafusion_sql::sqlparser::ast::Visitor;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::Token;
use datafusion_sql::sqlparser::tokenizer::TokenWithSpan;
use datafusion_sql::sqlparser::tokenizer::Tokenizer;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::SqlSpan;

/// Longest accepted text, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most tokens, white space and comments aside.
pub const TOKENS_MAX: usize = 10_000;
/// Deepest nesting of brackets and CASE.
pub const NESTING_MAX: usize = 64;
/// Most operators in one statement: bounds the depth of every expression, so that no recursion over it overflows.
pub const OPERATORS_MAX: usize = 256;

/// One parsed query.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The query.
    pub(crate) query: Query,
    /// The analyst asked for the verdict only (`EXPLAIN`).
    pub(crate) explain: bool,
}

impl Statement {
    /// Parses `sql`, which must be exactly one query, or `EXPLAIN` of one.
    ///
    /// # Errors
    /// A finding `query-too-large`, `sql-syntax` or `statement-not-allowed`.
    pub fn parse(sql: &str) -> Result<Self, Finding> {
        let tokens = tokens_within_limits(sql)?;
        let mut statements = Parser::new(&GenericDialect {})
            .with_recursion_limit(NESTING_MAX + OPERATORS_MAX)
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|error| syntax_finding(sql, &error))?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Finding::new(Code::StatementNotAllowed));
        };
        match statement {
            SqlStatement::Query(query) => Self::of_query(*query, false),
            SqlStatement::Explain { analyze: false, statement, .. } => match *statement {
                SqlStatement::Query(query) => Self::of_query(*query, true),
                _ => Err(Finding::new(Code::StatementNotAllowed)),
            },
            _ => Err(Finding::new(Code::StatementNotAllowed).help(
                "write one SELECT; EXPLAIN of a SELECT answers with the verdict",
                "请提交一条 SELECT；对 SELECT 使用 EXPLAIN 会返回判定结果",
            )),
        }
    }
}

impl Statement {
    fn of_query(query: Query, explain: bool) -> Result<Self, Finding> {
        match query.visit(&mut Clauses) {
            ControlFlow::Break(clause) => Err(Finding::new(Code::StatementNotAllowed)
                .with("clause", clause)
                .help(format!("leave out {clause}"), format!("请去掉 {clause}"))),
            ControlFlow::Continue(()) => Ok(Statement { query, explain }),
        }
    }
}

/// Finds clauses that the parser accepts and the planner would silently ignore: ignoring one changes the question.
struct Clauses;

impl Visitor for Clauses {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        refuse_if(!query.locks.is_empty(), "FOR UPDATE")?;
        refuse_if(query.for_clause.is_some(), "FOR XML / JSON")?;
        refuse_if(query.settings.is_some(), "SETTINGS")?;
        refuse_if(query.format_clause.is_some(), "FORMAT")?;
        refuse_if(!query.pipe_operators.is_empty(), "|>")
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
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
            _ => ControlFlow::Break("this kind of FROM item"),
        }
    }
}

fn refuse_if(found: bool, clause: &'static str) -> ControlFlow<&'static str> {
    if found { ControlFlow::Break(clause) } else { ControlFlow::Continue(()) }
}

fn tokens_within_limits(sql: &str) -> Result<Vec<TokenWithSpan>, Finding> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(too_large(
            "text",
            format!("at most {TEXT_BYTES_MAX} bytes of text"),
            format!("文本不超过 {TEXT_BYTES_MAX} 字节"),
        ));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|_| Finding::new(Code::SqlSyntax))?;
    let mut count = 0_usize;
    let mut depth = 0_usize;
    let mut operators = 0_usize;
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => depth += 1,
                Keyword::END => depth = depth.saturating_sub(1),
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::IS
                | Keyword::JOIN
                | Keyword::COLLATE
                | Keyword::AT => operators += 1,
                _ => {}
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
        let span = Span::try_from_sqlparser_span(token.span).and_then(|span| SqlSpan::locate(sql, span));
        if depth > NESTING_MAX {
            return Err(too_large(
                "nesting",
                format!("at most {NESTING_MAX} levels of nesting"),
                format!("嵌套不超过 {NESTING_MAX} 层"),
            )
            .at(span));
        }
        if operators > OPERATORS_MAX {
            return Err(too_large(
                "operators",
                format!("at most {OPERATORS_MAX} operators"),
                format!("运算符不超过 {OPERATORS_MAX} 个"),
            )
            .at(span));
        }
        if count > TOKENS_MAX {
            return Err(too_large(
                "tokens",
                format!("at most {TOKENS_MAX} tokens"),
                format!("词元不超过 {TOKENS_MAX} 个"),
            )
            .at(span));
        }
    }
    Ok(tokens)
}

/// Builds the finding for a passed limit.
pub(crate) fn too_large(what: &'static str, en: String, zh: String) -> Finding {
    Finding::new(Code::QueryTooLarge).with("limit", what).help(en, zh)
}

/// The parser's own sentence quotes only the analyst's text, but its wording changes between versions: only the place is taken from it.
fn syntax_finding(sql: &str, error: &ParserError) -> Finding {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return too_large(
                "nesting",
                format!("at most {NESTING_MAX} levels of nesting"),
                format!("嵌套不超过 {NESTING_MAX} 层"),
            );
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
    Finding::new(Code::SqlSyntax).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(sql: &str) -> Option<Code> {
        Statement::parse(sql).err().map(|finding| finding.code)
    }

    #[test]
    fn one_query_is_accepted_with_or_without_explain() {
        assert!(!Statement::parse("select 1;").expect("query").explain);
        assert!(Statement::parse("explain select 1").expect("query").explain);
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
    fn a_syntax_error_names_its_place() {
        let finding = Statement::parse("select dept\nfrom )").expect_err("syntax");
        assert_eq!(finding.code, Code::SqlSyntax);
        assert_eq!(finding.span.map(|span| span.line), Some(2));
    }
}
