//! `TO_DATE` and `TO_TIMESTAMP` of a constant, which dashboards write every period with: each becomes the literal it is.
//! Of anything else than constants they do not exist: their errors quote their arguments.

use std::ops::ControlFlow;

use chrono::NaiveDate;
use chrono::NaiveDateTime;
use datafusion_sql::sqlparser::ast::DataType;
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::ast::FunctionArg;
use datafusion_sql::sqlparser::ast::FunctionArgExpr;
use datafusion_sql::sqlparser::ast::FunctionArguments;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::TimezoneInfo;
use datafusion_sql::sqlparser::ast::TypedString;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::ast::ValueWithSpan;
use datafusion_sql::sqlparser::ast::visit_expressions_mut;

/// Template patterns (PostgreSQL, "Data Type Formatting Functions") and what each is of ours; longer ones first.
const PATTERNS: &[(&str, &str)] = &[
    ("yyyy", "%Y"),
    ("hh24", "%H"),
    ("mm", "%m"),
    ("dd", "%d"),
    ("mi", "%M"),
    ("ss", "%S"),
    ("us", "%6f"),
    ("ms", "%3f"),
];

/// Writes every such constant of a query as a literal; what cannot be read as one stays, and is refused as any function.
pub(crate) fn constants_as_literals(query: &mut Query) {
    let _ = visit_expressions_mut(query, |expr| {
        if let Some(literal) = literal(expr) {
            *expr = literal;
        }
        ControlFlow::<()>::Continue(())
    });
}

fn literal(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else { return None };
    let name = call.name.to_string().to_ascii_lowercase();
    let (data_type, is_date) = match name.as_str() {
        "to_date" => (DataType::Date, true),
        "to_timestamp" => (DataType::Timestamp(None, TimezoneInfo::None), false),
        _ => return None,
    };
    let FunctionArguments::List(list) = &call.args else { return None };
    let texts = list.args.iter().map(constant).collect::<Option<Vec<_>>>()?;
    let (value, format) = match texts.as_slice() {
        [value] => (*value, None),
        [value, format] => (*value, Some(text_of(format)?)),
        _ => return None,
    };
    let text = in_iso_form(text_of(value)?, format, is_date)?;
    let value = ValueWithSpan { value: Value::SingleQuotedString(text), span: value.span };
    Some(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

fn constant(argument: &FunctionArg) -> Option<&ValueWithSpan> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(value),
        _ => None,
    }
}

fn text_of(value: &ValueWithSpan) -> Option<&str> {
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// The text as the standard writes dates and points in time; nothing when it does not have the format's form.
fn in_iso_form(text: &str, format: Option<&str>, is_date: bool) -> Option<String> {
    let format = match format {
        Some(format) => translated(format),
        None if is_date || !text.contains(':') => "%Y-%m-%d".to_owned(),
        None if text.contains('T') => "%Y-%m-%dT%H:%M:%S".to_owned(),
        None => "%Y-%m-%d %H:%M:%S".to_owned(),
    };
    let time = NaiveDateTime::parse_from_str(text, &format)
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, &format).ok()?.and_hms_opt(0, 0, 0))?;
    let form = if is_date { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S%.f" };
    Some(time.format(form).to_string())
}

/// A template of patterns in the form that we read; one of ours (`%Y-%m-%d`) is one already.
fn translated(template: &str) -> String {
    if template.contains('%') {
        return template.to_owned();
    }
    let mut made = String::new();
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        let known = PATTERNS.iter().find(|(pattern, _)| {
            rest.get(..pattern.len()).is_some_and(|head| head.eq_ignore_ascii_case(pattern))
        });
        let taken = match known {
            Some((pattern, ours)) => {
                made.push_str(ours);
                pattern.len()
            }
            None => {
                made.push(next);
                next.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::codes;

    #[test]
    fn dates_of_every_template_are_read() {
        for (text, format, date) in [
            ("2024-06-01", Some("YYYY-MM-DD"), "2024-06-01"),
            ("01/06/2024", Some("dd/mm/yyyy"), "2024-06-01"),
            ("20240601", Some("YYYYMMDD"), "2024-06-01"),
            ("2024年06月01日", Some("YYYY年MM月DD日"), "2024-06-01"),
            ("2024-06-01", Some("%Y-%m-%d"), "2024-06-01"),
            ("2024-06-01", None, "2024-06-01"),
        ] {
            assert_eq!(in_iso_form(text, format, true).as_deref(), Some(date), "{text}");
        }
        for (text, format) in [
            ("2024-06-01 13:05:09.000000", "YYYY-MM-DD HH24:MI:SS.US"),
            ("2024-06-01 13:05:09.000", "YYYY-MM-DD HH24:MI:SS.MS"),
        ] {
            assert_eq!(
                in_iso_form(text, Some(format), false).as_deref(),
                Some("2024-06-01 13:05:09"),
                "{text}"
            );
        }
        assert_eq!(
            in_iso_form("2024-06-01 13:05:09.250000", Some("YYYY-MM-DD HH24:MI:SS.US"), false).as_deref(),
            Some("2024-06-01 13:05:09.250")
        );
        let time = in_iso_form("2024-06-01 13:05:09", Some("YYYY-MM-DD HH24:MI:SS"), false);
        assert_eq!(time.as_deref(), Some("2024-06-01 13:05:09"));
        assert_eq!(in_iso_form("2024-06-01", None, false).as_deref(), Some("2024-06-01 00:00:00"));
        for (text, format) in
            [("2024-13-01", None), ("June", Some("Month")), ("2024-06-01", Some("YYYY/MM/DD"))]
        {
            assert_eq!(in_iso_form(text, format, true), None, "{text}");
        }
    }

    #[test]
    fn a_period_of_constants_is_a_period() {
        for condition in [
            "hire >= TO_DATE('2001-06-01', 'YYYY-MM-DD') AND hire < TO_DATE('2001-07-01', 'YYYY-MM-DD')",
            "hire BETWEEN to_date('2001-06-01') AND to_timestamp('2001-07-01 00:00:00', 'YYYY-MM-DD HH24:MI:SS')",
        ] {
            assert_eq!(codes(&format!("SELECT COUNT(*) FROM persons WHERE {condition}")), [], "{condition}");
        }
        for condition in
            ["hire >= TO_DATE(dept, 'YYYY')", "hire >= TO_DATE('x')", "to_timestamp(zip) IS NULL"]
        {
            let codes = codes(&format!("SELECT COUNT(*) FROM persons WHERE {condition}"));
            assert_eq!(codes, [crate::finding::Code::FunctionNotAllowed], "{condition}");
        }
    }
}
