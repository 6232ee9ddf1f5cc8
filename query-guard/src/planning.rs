//! Failures of planning, in the guard's own words: the engine's texts list columns and quote cells.
//!
//! If the engine has no kind for a mistake, its text is read, and never shown. The phrases read here were seen in
//! DataFusion 55.2; the tests write each mistake, so that an upgrade that words one anew fails them.

use datafusion_common::DataFusionError;
use datafusion_common::SchemaError;

use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::finding::SqlSpan;
use crate::finding::find_word;
use crate::reason::Reason;

/// Says why planning failed in the guard's own words.
///
/// The engine's text lists columns and quotes cells: `WHERE passwort = 1` would be answered with the names of all
/// columns. A finding has fixed phrases and names that the analyst wrote, and a hidden dataset or column ends like one
/// that does not exist (`sandbox/docs/disclosure-model.md`, section 7).
pub(crate) fn planning_finding(sql: &str, error: &DataFusionError, catalog: &Catalog<'_>) -> Finding {
    let missing = catalog.missing();
    if let Some(dataset) = missing.dataset {
        let span = find_word(sql, dataset.rsplit('.').next().unwrap_or(&dataset));
        return Finding::of(Reason::DatasetNotFound).at(span).with("dataset", dataset);
    }
    if missing.recursion {
        return Finding::of(Reason::QueryRecurs)
            .at(find_word(sql, "recursive"))
            .with("clause", "WITH RECURSIVE")
            .help(
                "leave out RECURSIVE: write out the steps, each in a common table expression of its own",
                "请去掉 RECURSIVE：逐步写出，每步为一个公用表表达式",
            );
    }
    if let Some(column) = missing_column(error) {
        return Finding::of(Reason::ColumnNotInScope).at(find_word(sql, &column)).with("column", column);
    }
    if let Some(function) = missing.function {
        return Finding::of(Reason::FunctionNotListed)
            .at(find_word(sql, &function))
            .with("function", function);
    }
    // The engine has no kinds for the commonest mistakes; its text is read and never shown.
    let finding = |reason| Finding::of(reason).at(diagnosed_place(sql, error));
    if let Some(column) = ambiguous_column(error) {
        return finding(Reason::ColumnAmbiguous).at(find_word(sql, &column)).with("column", column).help(
            "several tables have a column of this name: put the table's name before it",
            "多个表都有该名称的字段：请在字段前加上表名",
        );
    }
    let text = error.to_string();
    if text.contains("FILTER clause can only be used with aggregate window functions") {
        return finding(Reason::WindowFiltered).at(find_word(sql, "filter")).help(
            "only aggregates take FILTER: put the condition into WHERE",
            "只有聚合函数可带 FILTER：请将条件写入 WHERE",
        );
    }
    if let Some(function) = catalog.function_in(&text).filter(|_| text.contains("argument")) {
        return finding(Reason::ArgumentsNotTaken)
            .at(find_word(sql, &function))
            .with("function", function)
            .help(
                "the function takes other arguments: mind their number, and cast them to its types",
                "该函数的参数不符：请检查参数个数，并将参数转换为所需类型",
            );
    }
    if text.contains("unique expression names") {
        return finding(Reason::OutputColumnTwice).help(
            "two output columns are the same: give one of them another name with AS",
            "有两个输出字段相同：请用 AS 为其中一个另取名称",
        );
    }
    if text.contains("in GROUP BY or an aggregate") {
        return finding(Reason::ColumnNotGrouped).help(
            "every column of SELECT, HAVING and ORDER BY stands in GROUP BY or inside an aggregate",
            "SELECT、HAVING 与 ORDER BY 中的每个字段须出现在 GROUP BY 中，或位于聚合函数之内",
        );
    }
    finding(Reason::NotPlanned)
}

/// The first thing that `look` finds in an error or in what it wraps, from the outside in.
fn find_in<T>(error: &DataFusionError, look: &dyn Fn(&DataFusionError) -> Option<T>) -> Option<T> {
    look(error).or_else(|| match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => find_in(inner, look),
        DataFusionError::Collection(errors) => errors.iter().find_map(|error| find_in(error, look)),
        _ => None,
    })
}

/// The place in the SQL where the engine says that planning failed. Only the place is taken from its diagnosis
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn diagnosed_place(sql: &str, error: &DataFusionError) -> Option<SqlSpan> {
    find_in(error, &|error| match error {
        DataFusionError::Diagnostic(diagnostic, _) => {
            diagnostic.span.and_then(|span| SqlSpan::locate(sql, span))
        }
        _ => None,
    })
}

/// The column that several tables have. A choice among them decides what is asked, and the guard makes none
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn ambiguous_column(error: &DataFusionError) -> Option<String> {
    find_in(error, &|error| match schema_error(error)? {
        SchemaError::AmbiguousReference { field } => Some(field.name.clone()),
        _ => None,
    })
}

/// The column that planning did not find, hidden or not there: both end alike, so that names cannot be guessed
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn missing_column(error: &DataFusionError) -> Option<String> {
    find_in(error, &|error| match schema_error(error)? {
        SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
        _ => None,
    })
}

fn schema_error(error: &DataFusionError) -> Option<&SchemaError> {
    match error {
        DataFusionError::SchemaError(schema, _) => Some(schema.as_ref()),
        _ => None,
    }
}
