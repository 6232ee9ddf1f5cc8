//! The time between two dates of one subject: days (`left_on - admitted`), completed years (`age_years(born, admitted)`),
//! and calendar years (`extract(year FROM admitted) - extract(year FROM born)`).
//!
//! Each becomes a base column of its own, a dimension of whole numbers, so that every rule looks at it as at any other
//! column. It tells no more than its two dates do: what it may be used for is what both may be used for, its groups
//! are unions of theirs, and its mean lies within what the counts of those groups tell already.
//!
//! Danger it answers: dates of two people (`a.born - b.born` of one firm), a date that an open table chooses, a
//! difference that is finer than a mask. Each is refused.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode as _;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use obscura_policies::fixed::Fixed;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::column::bare_column;
use crate::column::cast;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::reason::Reason;
use crate::scalar::AGE_YEARS;
use crate::shape::Calendar;
use crate::shape::recall;
use crate::shape::retype;
use crate::source_rows::SourceRows;

use super::ZonePass;
use crate::finding::not_built;

/// Most days between two days of the years -9999 to 9999.
const DAYS_MAX: i64 = 7_304_484;
/// Most years between them.
const YEARS_MAX: i64 = 19_999;

/// Two date columns, and the number between them.
struct Between {
    dates: [Column; 2],
    made: Expr,
    data_type: DataType,
    most: i64,
}

impl ZonePass<'_> {
    /// Gives rows of individuals a column for everything in an expression that lies between two of their dates. Dates
    /// of open tables may be computed with freely until they meet individuals.
    ///
    /// As a column of its own the time has uses, a grade and owners, so that no rule overlooks it:
    /// `(hire - birth) % 97 = 13` stays a pseudo-random set, and is refused like any other
    /// (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(super) fn with_between(&mut self, source_rows: &mut SourceRows, expr: Expr) -> Result<Expr, Refused> {
        let mut found: Vec<(String, Between)> = Vec::new();
        let replaced = expr.transform_down(|inner| {
            let Some(between) = between(source_rows, &inner) else { return Ok(Transformed::no(inner)) };
            let name = match found.iter().find(|(_, known)| known.made == between.made) {
                Some((name, _)) => name.clone(),
                None => {
                    let name = format!("d{}", self.instance());
                    found.push((name.clone(), between));
                    name
                }
            };
            Ok(Transformed::new(base_column(&name), true, TreeNodeRecursion::Jump))
        });
        let replaced = replaced.map_err(not_built)?.data;
        for (name, between) in found {
            let base = base_of(source_rows, &between)
                .ok_or_else(|| not_between().at(first_span(self.review.sql, &between.made)))?;
            let columns = source_rows.bases.keys().map(|name| base_column(name));
            let columns: Vec<Expr> = columns.chain([between.made.alias(&name)]).collect();
            source_rows.plan = LogicalPlanBuilder::from(source_rows.plan.clone())
                .project(columns)
                .and_then(LogicalPlanBuilder::build)
                .map_err(not_built)?;
            source_rows.bases.insert(name, base);
        }
        Ok(replaced)
    }
}

/// The refusal of a time between dates that may not be told.
///
/// Days between the dates of two people of one firm tell the one person's date by the other's. Days from a masked date
/// would be finer than its mask (`sandbox/docs/disclosure-model.md`, section 4.3).
fn not_between() -> Finding {
    Finding::of(Reason::TimeBetweenNotTold).help(
        "the time between two dates is that of one subject, and of dates that are not masked",
        "两个日期之间的时长须属于同一主体，且日期字段未经脱敏",
    )
}

/// Recognises a number between two date columns: days, completed years and calendar years.
///
/// Only these three forms become a column. Every other computation with two dates stays an expression, which the shape
/// rule refuses, because its values may scatter people like a hash (`sandbox/docs/disclosure-model.md`, section 4.3).
fn between(source_rows: &SourceRows, expr: &Expr) -> Option<Between> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else lies between two dates")]
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            if let (Some(last), Some(first)) = (date(source_rows, left), date(source_rows, right)) {
                let made = datafusion_expr::binary_expr(last.1, Operator::Minus, first.1);
                let dates = [last.0, first.0];
                return Some(Between { dates, made, data_type: DataType::Int64, most: DAYS_MAX });
            }
            let (last, first) = (year(source_rows, left)?, year(source_rows, right)?);
            let made = datafusion_expr::binary_expr(last.1, Operator::Minus, first.1);
            Some(Between { dates: [last.0, first.0], made, data_type: DataType::Int32, most: YEARS_MAX })
        }
        Expr::ScalarFunction(call) if call.name() == AGE_YEARS => {
            let [born, at] = call.args.as_slice() else { return None };
            let (born, at) = (date(source_rows, born)?, date(source_rows, at)?);
            let made = recall(call, vec![born.1, at.1]);
            Some(Between { dates: [born.0, at.0], made, data_type: DataType::Int64, most: YEARS_MAX })
        }
        _ => None,
    }
}

/// A date column, or the day of a column of points in time, and its total form.
///
/// The form yields NULL where the cast might have failed: otherwise a failing query would tell that some person has
/// such a value (`sandbox/docs/disclosure-model.md`, section 7).
fn date(source_rows: &SourceRows, expr: &Expr) -> Option<(Column, Expr)> {
    if let Some(column) = bare_column(&source_rows.bases, expr) {
        let is_date = source_rows.base(column)?.data_type == DataType::Date32;
        return is_date.then(|| (column.clone(), Expr::Column(column.clone())));
    }
    let (inner, target) = cast(expr).filter(|(_, target)| **target == DataType::Date32)?;
    let column = bare_column(&source_rows.bases, inner)?;
    let base = source_rows.base(column).filter(|base| matches!(base.data_type, DataType::Timestamp(..)))?;
    let day = retype(Expr::Column(column.clone()), target);
    Some((column.clone(), Calendar::WHOLE.within(column, &base.data_type, day)))
}

/// The calendar year of a date or of a point in time, in a total form.
///
/// It yields NULL where the engine might have failed, so that no failing query tells of one person's value
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn year(source_rows: &SourceRows, expr: &Expr) -> Option<(Column, Expr)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let [part, inner] = call.args.as_slice() else { return None };
    let is_year = call.name() == "date_part"
        && matches!(part, Expr::Literal(ScalarValue::Utf8(Some(part)), _) if part.eq_ignore_ascii_case("year"));
    let column = bare_column(&source_rows.bases, inner).filter(|_| is_year)?;
    let base = source_rows.base(column).filter(|base| base.data_type.is_temporal())?;
    let made = recall(call, vec![part.clone(), Expr::Column(column.clone())]);
    Some((column.clone(), Calendar::WHOLE.within(column, &base.data_type, made)))
}

/// Facts about the number between two dates; nothing when it may not be told.
///
/// It is used only as both dates may be used, and at the stricter grade, so that it opens no way around either. Both
/// dates must be the same subjects': dates of two people of one firm would be told by one another. Its mean is told
/// where both dates may be filtered and grouped, because the analyst could then count the days and compute it
/// (`sandbox/docs/disclosure-model.md`, section 4.3).
fn base_of(source_rows: &SourceRows, between: &Between) -> Option<ColumnFacts> {
    let [first, second] = between.dates.each_ref().map(|column| source_rows.base(column));
    let (first, second) = (first?, second?);
    let (one, other) = (role_of(first)?, role_of(second)?);
    // The more telling one of both.
    let telling = [Role::Sensitive, Role::QuasiIdentifier];
    let role = telling.into_iter().find(|role| [one, other].contains(role)).unwrap_or(one);
    if first.owners != second.owners || first.owners.is_empty() {
        return None;
    }
    let mut uses: BTreeSet<Use> = &first.uses & &second.uses;
    uses.retain(|wanted| matches!(wanted, Use::Filter | Use::Group));
    // A policy that allows grouping by both dates lets the analyst count the days between them, and so compute their mean.
    if uses.len() == 2 && between.data_type == DataType::Int64 {
        uses.insert(Use::Aggregate);
    }
    let range = [-between.most, between.most].map(Fixed::from_i64);
    Some(ColumnFacts {
        kind: ColumnKind::Declared(role),
        optional: first.optional || second.optional,
        missing_by: first.missing_by.or(second.missing_by),
        copied_by: first.copied_by.union(&second.copied_by).copied().collect(),
        owners: first.owners.clone(),
        range: Some((range[0], range[1])),
        between: Some(between.dates.each_ref().map(|date| {
            source_rows.base(date).map_or_else(String::new, |base| base.compared_name(&date.name))
        })),
        ..ColumnFacts::derived(&first.name, uses, first.grade.max(second.grade), between.data_type.clone())
    })
}

/// The role of a date that may be told exactly: declared, not masked, not of an open table.
///
/// The time from a masked date would be finer than the mask, and the time from an open table's date cuts at a date that
/// the analyst chooses: it would be a literal by another name (`sandbox/docs/disclosure-model.md`, section 4.4).
fn role_of(base: &ColumnFacts) -> Option<Role> {
    let ColumnKind::Declared(role) = base.kind else { return None };
    let is_exact = base.mask.is_none() && base.bins.is_none() && !base.open;
    match role {
        Role::Dimension | Role::QuasiIdentifier | Role::Sensitive => is_exact.then_some(role),
        Role::Measure | Role::Identifier | Role::UnitKey => None,
    }
}
