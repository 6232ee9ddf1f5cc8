//! Row filters of policies and grants: SQL conditions over one dataset's own raw columns, made total.
//! They come from stewards, not analysts, so the shape rule does not bind them; they still cannot fail on data.

use std::collections::BTreeSet;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_common::DataFusionError;
use datafusion_common::ScalarValue;
use datafusion_common::SchemaError;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;
use datafusion_expr::ExprSchemable;
use datafusion_expr::Operator;
use datafusion_expr::TableSource;
use datafusion_expr::TryCast;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::planner::PlannerContext;
use datafusion_sql::planner::SqlToRel;
use obscura_policies::document::Dataset;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::ColumnName;
use obscura_policies::vocabulary::Text;

use crate::catalog::Catalog;
use crate::catalog::sealed_source;
use crate::finding::Code;
use crate::finding::Finding;
use crate::functions::Functions;
use crate::reason::Reason;
use crate::sealed_type::sealed_type;
use crate::size::condition_within_limits;
use crate::statement::parse_condition;

/// The fault for which a row filter cannot be applied to a dataset, told to its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFilterFault {
    /// It is not a condition of SQL.
    #[error("the row filter is not a condition in SQL")]
    Syntax,
    /// It names a column that the dataset does not have.
    #[error("the row filter names `{0}`, which is no column of the dataset")]
    Column(String),
    /// It is longer or deeper than a condition may be.
    #[error("the row filter is too long or too deep")]
    TooLarge,
    /// Its result is not true or false, or a function or a type does not fit.
    #[error("the row filter is not true or false of a row: a function or a type does not fit")]
    Type,
    /// A constant is not of the type of the column that it is compared with.
    #[error("the row filter has a constant that is not of the type it is compared with")]
    Constant,
    /// It divides, cuts a text at a computed length or reads another table, and so could fail on data.
    #[error(
        "the row filter divides, cuts a text at a computed length or reads another table, and so could fail on data"
    )]
    CanFail,
}

impl RowFilterFault {
    /// The fault in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Syntax => "行过滤条件不是 SQL 条件".to_owned(),
            Self::Column(column) => format!("行过滤条件中的 `{column}` 不是该数据集的字段"),
            Self::TooLarge => "行过滤条件过长或嵌套过深".to_owned(),
            Self::Type => "行过滤条件对每一行须为真或假：有函数或类型不合".to_owned(),
            Self::Constant => "行过滤条件中的常量与所比较的类型不合".to_owned(),
            Self::CanFail => {
                "行过滤条件含有除法、按计算长度截取文本或读取其他表，可能因数据而出错".to_owned()
            }
        };
        Text::new(self.to_string(), zh)
    }
}

/// Checks a row filter before a job depends on it, against the whole of a dataset as its document says it is.
///
/// A filter that is wrong would deny the dataset to everybody, and one with a constant that fits no value would leave
/// out all rows and say nothing (`sandbox/docs/disclosure-model.md`, section 4.2).
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_row_filter(sql: &str, dataset: &Dataset) -> Result<(), RowFilterFault> {
    let is_token = |name: &ColumnName| dataset.unit_of(name).is_some_and(|unit| unit.protects);
    let fields = dataset.columns.iter().map(|column| {
        let token = is_token(&column.name).then_some(ArrowType::Int64);
        Field::new(column.name.as_str(), token.unwrap_or_else(|| sealed_type(column.physical_type())), true)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let (filter, _) = resolve(sql, schema, Constants::MustFit)?;
    drop(filter);
    Ok(())
}

/// Parses a row filter; also returns the columns it reads, whose grades count.
///
/// A filter that cannot be applied would leave rows in that it was meant to keep out, so that the dataset is denied
/// (`sandbox/docs/disclosure-model.md`, section 4.2).
///
/// # Errors
/// `control-not-available` when the filter cannot be applied: a filter that fails to parse denies the dataset.
pub(crate) fn row_filter(sql: &str, dataset: &EffectiveDataset) -> Result<(Expr, BTreeSet<String>), Finding> {
    let schema = sealed_source(dataset).schema().as_ref().clone();
    resolve(sql, schema, Constants::AsTheyAre).map_err(|_fault| {
        Finding::of(Reason::RowFilterNotApplied)
            .with("control", "row filter")
            .with("dataset", dataset.id.sql_name())
            .help(
                "a row filter of the dataset's policy or grant cannot be applied: ask the department's steward to correct it",
                "该数据集的策略或授权中的行过滤条件无法执行：请联系所属部门的数据专员更正",
            )
    })
}

/// The treatment of constants that do not fit the types beside them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Constants {
    /// One that does not fit is a fault.
    MustFit,
    /// One that does not fit is unknown, and so is the comparison: the row is left out.
    AsTheyAre,
}

/// Plans a row filter over the dataset's own columns, in a form whose casts yield NULL.
///
/// It runs on raw values of everybody, below every rule: if it failed on one person's value, each failing query would
/// tell of that value (`sandbox/docs/disclosure-model.md`, section 7). It has the limits of a statement, because it is
/// planned for every question (`sandbox/docs/disclosure-model.md`, section 3).
fn resolve(
    sql: &str,
    schema: Schema,
    constants: Constants,
) -> Result<(Expr, BTreeSet<String>), RowFilterFault> {
    let functions = Functions::allowed();
    let nothing = EffectivePolicy {
        purpose: String::new(),
        datasets: Default::default(),
        floors: Default::default(),
        sources: Vec::new(),
    };
    let catalog = Catalog::new(&nothing, &functions);
    let schema = DFSchema::try_from(schema).map_err(|_| RowFilterFault::Type)?;
    let parsed = parse_condition(sql).map_err(|finding| match finding.code {
        Code::QueryTooLarge => RowFilterFault::TooLarge,
        _ => RowFilterFault::Syntax,
    })?;
    let planned = SqlToRel::new(&catalog).sql_to_expr(parsed, &schema, &mut PlannerContext::new());
    let expr = planned.map_err(|error| match missing_column(&error) {
        Some(column) => RowFilterFault::Column(column),
        None => RowFilterFault::Type,
    })?;
    condition_within_limits(sql, &expr).map_err(|_| RowFilterFault::TooLarge)?;
    let context = SimplifyContext::builder().with_schema(std::sync::Arc::new(schema.clone())).build();
    let coerced = ExprSimplifier::new(context).coerce(expr, &schema).map_err(|_| RowFilterFault::Type)?;
    if coerced.get_type(&schema).ok() != Some(ArrowType::Boolean) {
        return Err(RowFilterFault::Type);
    }
    if constants == Constants::MustFit && has_unfit_constant(&coerced) {
        return Err(RowFilterFault::Constant);
    }
    let total = coerced
        .transform_up(|inner| match inner {
            Expr::Cast(cast) => {
                Ok(Transformed::yes(Expr::TryCast(TryCast::new(cast.expr, cast.field.data_type().clone()))))
            }
            other => Ok(Transformed::no(other)),
        })
        .map_err(|_| RowFilterFault::Type)?
        .data;
    if can_fail(&total) {
        return Err(RowFilterFault::CanFail);
    }
    let columns = total.column_refs().into_iter().map(|column| column.name.clone()).collect();
    Ok((total, columns))
}

/// The column that planning asked for in vain.
fn missing_column(error: &DataFusionError) -> Option<String> {
    match error {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
            _ => None,
        },
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => missing_column(inner),
        _ => None,
    }
}

/// Says if a constant is cast to a type that it has no value of.
///
/// `admitted >= '2024-13-01'` is unknown for every row, and would silently leave out all of them
/// (`sandbox/docs/disclosure-model.md`, section 4.2).
fn has_unfit_constant(expr: &Expr) -> bool {
    expr.exists(|inner| {
        let Expr::Cast(cast) = inner else { return Ok(false) };
        let Expr::Literal(value, _) = cast.expr.as_ref() else { return Ok(false) };
        Ok(value.cast_to(cast.field.data_type()).is_err())
    })
    .unwrap_or(true)
}

/// True for what may fail for some rows: division, remainder, subqueries, and a length that is no plain number.
///
/// `10 / nights > 2` fails as soon as one person has no night, and `substr(ward, 1, nights - 5)` as soon as one has fewer
/// than five; whether it fails would tell of that person (`sandbox/docs/disclosure-model.md`, section 7).
fn can_fail(expr: &Expr) -> bool {
    let is_length =
        |arg: &Expr| matches!(arg, Expr::Literal(ScalarValue::Int64(Some(length)), _) if *length >= 0);
    let failing = |inner: &Expr| {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is total: casts were made so before")]
        match inner {
            Expr::BinaryExpr(binary) => matches!(binary.op, Operator::Divide | Operator::Modulo),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => true,
            Expr::ScalarFunction(call) => match call.name() {
                "substr" | "left" | "right" => !call.args.iter().skip(1).all(is_length),
                "abs" | "power" => true,
                _ => false,
            },
            _ => false,
        }
    };
    expr.exists(|inner| Ok(failing(inner))).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use obscura_policies::document::Document;
    use obscura_policies::parse::parse_documents;

    use super::*;

    const WARDS: &str = r#"
api_version: obscura/v1
kind: Dataset
metadata: {id: field.stays, version: 1, title: {zh: 住院, en: Stays}}
department: field
scheme: db33t2351-2021
units: [{kind: resident, column: person_id}]
layout: clustered
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: ward, type: text, role: dimension, grade: L2}
  - {name: nights, type: int, role: measure, grade: L2}
  - {name: admitted, type: date, role: dimension, grade: L2}
"#;

    fn check(sql: &str) -> Result<(), RowFilterFault> {
        let documents = parse_documents("wards", WARDS).unwrap();
        match &documents[0].value {
            Document::Dataset(dataset) => check_row_filter(sql, dataset),
            other => panic!("a dataset, not {}", other.kind()),
        }
    }

    #[test]
    fn a_condition_over_the_dataset_s_own_columns_is_accepted() {
        for sql in [
            "ward = 'north'",
            "ward IN ('north', 'south') AND nights > 2",
            "admitted >= '2024-01-01'",
            "admitted >= DATE '2024-01-01' OR ward IS NULL",
            "upper(ward) LIKE 'N%'",
            "left(ward, 2) = 'no' OR substr(ward, 1, 2) = 'so'",
        ] {
            assert_eq!(check(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn a_filter_that_could_not_be_applied_is_a_fault_that_says_why() {
        let column = |name: &str| Err(RowFilterFault::Column(name.to_owned()));
        for (sql, expected) in [
            ("ward = north", column("north")),
            ("unitt = 'eyes'", column("unitt")),
            ("ward = 'north", Err(RowFilterFault::Syntax)),
            ("", Err(RowFilterFault::Syntax)),
            ("ward = 'north'; DROP TABLE x", Err(RowFilterFault::Syntax)),
            ("nights + 1", Err(RowFilterFault::Type)),
            ("nothing_of_the_kind(ward)", Err(RowFilterFault::Type)),
            ("admitted >= '2024-13-01'", Err(RowFilterFault::Constant)),
            ("person_id = 'P0001'", Err(RowFilterFault::Constant)),
            ("10 / nights > 2", Err(RowFilterFault::CanFail)),
            ("substr(ward, 1, nights - 5) = 'a'", Err(RowFilterFault::CanFail)),
            ("substr(ward, 1, -1) = 'a'", Err(RowFilterFault::CanFail)),
            ("left(ward, nights) = 'a' OR right(ward, nights) = 'a'", Err(RowFilterFault::CanFail)),
        ] {
            assert_eq!(check(sql), expected, "{sql}");
        }
    }
}
