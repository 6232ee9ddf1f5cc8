//! Expressions as forms of a column: the casts that it stands under and what they lose, the branches of an expression, its total
//! form, which yields NULL where the expression would fail, and which expressions compare.

use std::collections::BTreeMap;

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::Column;
use datafusion_common::ScalarValue;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Case;
use datafusion_expr::Cast;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::TryCast;

use crate::column_facts::ColumnFacts;

/// The column under casts that lose nothing, if nothing else is there.
pub(crate) fn bare_column<'e>(bases: &BTreeMap<String, ColumnFacts>, expr: &'e Expr) -> Option<&'e Column> {
    match strip_casts(bases, expr) {
        Expr::Column(column) => Some(column),
        _ => None,
    }
}

/// The expression under a cast of either kind, and the type that it is cast to.
pub(crate) fn cast(expr: &Expr) -> Option<(&Expr, &ArrowType)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a cast")]
    match expr {
        Expr::Cast(cast) => Some((&cast.expr, cast.field.data_type())),
        Expr::TryCast(cast) => Some((&cast.expr, cast.field.data_type())),
        _ => None,
    }
}

/// The expression under casts that lose nothing.
///
/// A narrowing cast is a hidden condition: `CAST(cost AS TINYINT)` is NULL exactly from 128 on, which is no bin edge.
pub(crate) fn strip_casts<'e>(bases: &BTreeMap<String, ColumnFacts>, expr: &'e Expr) -> &'e Expr {
    if let Expr::Alias(alias) = expr {
        return strip_casts(bases, &alias.expr);
    }
    let Some((inner, target)) = cast(expr) else { return expr };
    let source = match inner {
        Expr::Column(column) => bases.get(&column.name).map(|base| &base.data_type),
        Expr::Cast(_) | Expr::TryCast(_) => cast(inner).map(|(_, target)| target),
        // Nested expressions (a division, a function, a subquery) are checked by the caller that recognises them; rounded to
        // fewer places one would be another number.
        _ => return if keeps_computed(target) { strip_casts(bases, inner) } else { expr },
    };
    if source.is_some_and(|source| widens(source, target)) { strip_casts(bases, inner) } else { expr }
}

/// A cast of a stored column that loses nothing a comparison could notice (a timestamp's day is a generaliser).
pub(crate) fn widens(source: &ArrowType, target: &ArrowType) -> bool {
    if source == target {
        return true;
    }
    match (source, target) {
        // Numbers of 32 bits are years between two dates.
        (ArrowType::Int32, ArrowType::Int64 | ArrowType::Float64) => true,
        (ArrowType::Int32, ArrowType::Decimal128(precision, scale)) => {
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= 10
        }
        (ArrowType::Int64, ArrowType::Float64) | (ArrowType::Decimal128(..), ArrowType::Float64) => true,
        // Unsigned numbers are ranks among a subject's own rows, which are top-coded.
        (ArrowType::UInt64, ArrowType::Int64) => true,
        (ArrowType::UInt64, ArrowType::Decimal128(precision, scale)) => {
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= 20
        }
        (ArrowType::Int64, ArrowType::Decimal128(precision, scale)) => {
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= 19
        }
        (ArrowType::Decimal128(precision, 0), ArrowType::Int64) => *precision <= 18,
        (ArrowType::Decimal128(from, from_scale), ArrowType::Decimal128(to, to_scale)) => {
            to_scale >= from_scale
                && i16::from(*to) - i16::from(*to_scale) >= i16::from(*from) - i16::from(*from_scale)
        }
        (ArrowType::Date32 | ArrowType::Timestamp(_, None), ArrowType::Timestamp(_, None)) => true,
        (ArrowType::Utf8, ArrowType::Utf8View | ArrowType::LargeUtf8) => true,
        _ => false,
    }
}

/// A cast of a computed value that loses nothing.
pub(crate) fn keeps_computed(target: &ArrowType) -> bool {
    matches!(
        target,
        ArrowType::Float64
            | ArrowType::Utf8
            | ArrowType::Utf8View
            | ArrowType::LargeUtf8
            | ArrowType::Timestamp(_, None)
    )
}

/// A cast of a coarsened column that cuts nothing off.
pub(crate) fn computed_widens(target: &ArrowType) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match target {
        ArrowType::Int64
        | ArrowType::Float64
        | ArrowType::Utf8
        | ArrowType::Utf8View
        | ArrowType::LargeUtf8
        | ArrowType::Timestamp(_, None)
        | ArrowType::Date32 => true,
        ArrowType::Decimal128(precision, scale) => {
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= 19
        }
        _ => false,
    }
}

/// The same expression with casts that yield NULL instead of failing.
pub(crate) fn total(expr: Expr) -> Expr {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only casts are rewritten")]
    match expr {
        Expr::Cast(cast) => {
            Expr::TryCast(TryCast::new(Box::new(total(*cast.expr)), cast.field.data_type().clone()))
        }
        other => other,
    }
}

/// The branches of a CASE, of COALESCE or of NULLIF in order: condition and value, the last without condition.
pub(crate) fn branches(expr: &Expr) -> Option<Vec<(Option<Expr>, Expr)>> {
    let recast = |inner: &Expr, cast: &dyn Fn(Expr) -> Expr| {
        branches(inner).map(|all| all.into_iter().map(|(when, value)| (when, cast(value))).collect())
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else has branches")]
    match expr {
        Expr::Alias(alias) => branches(&alias.expr),
        Expr::Cast(cast) => recast(&cast.expr, &|value| {
            Expr::Cast(Cast::new(Box::new(value), cast.field.data_type().clone()))
        }),
        Expr::TryCast(cast) => recast(&cast.expr, &|value| {
            Expr::TryCast(TryCast::new(Box::new(value), cast.field.data_type().clone()))
        }),
        Expr::Case(case) => {
            let condition = |when: &Expr| match &case.expr {
                Some(operand) => {
                    datafusion_expr::binary_expr((**operand).clone(), Operator::Eq, when.clone())
                }
                None => when.clone(),
            };
            let reached =
                case.when_then_expr.iter().map(|(when, then)| (Some(condition(when)), (**then).clone()));
            let otherwise =
                case.else_expr.as_deref().map_or(Expr::Literal(ScalarValue::Null, None), Clone::clone);
            Some(reached.chain([(None, otherwise)]).collect())
        }
        Expr::ScalarFunction(call) if call.name() == "coalesce" => {
            let (last, first) = call.args.split_last()?;
            let reached =
                first.iter().map(|value| (Some(Expr::IsNotNull(Box::new(value.clone()))), value.clone()));
            Some(reached.chain([(None, last.clone())]).collect())
        }
        Expr::ScalarFunction(call) if is_nullif(expr) => {
            let [value, nothing] = call.args.as_slice() else { return None };
            let same = datafusion_expr::binary_expr(value.clone(), Operator::Eq, nothing.clone());
            let missing = Expr::Literal(ScalarValue::Null, None);
            Some(vec![(Some(same), missing), (None, value.clone())])
        }
        _ => None,
    }
}

/// True if it is NULLIF, which compares its two arguments.
pub(crate) fn is_nullif(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.name() == "nullif")
}

/// The operator with its sides exchanged; `None` when it is not a comparison. The list decides which operators compare:
/// all others, those of a later engine too, are refused by the caller (`sandbox/docs/disclosure-model.md`, section 4.3).
pub(crate) fn mirror(op: Operator) -> Option<Operator> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match op {
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => Some(op),
        Operator::Lt => Some(Operator::Gt),
        Operator::LtEq => Some(Operator::GtEq),
        Operator::Gt => Some(Operator::Lt),
        Operator::GtEq => Some(Operator::LtEq),
        _ => None,
    }
}

/// True of a comparison, or of what joins comparisons: true, false or unknown.
pub(crate) fn is_truth(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_truth(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(op, Operator::And | Operator::Or) || mirror(*op).is_some()
        }
        _ => matches!(
            expr,
            Expr::Between(_)
                | Expr::InList(_)
                | Expr::Like(_)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsTrue(_)
                | Expr::IsNotTrue(_)
                | Expr::IsFalse(_)
                | Expr::IsNotFalse(_)
                | Expr::IsUnknown(_)
                | Expr::IsNotUnknown(_)
        ),
    }
}

/// `CASE WHEN condition THEN value END`: the value where the condition is true, and nothing elsewhere.
pub(crate) fn only_where(condition: Expr, value: Expr) -> Expr {
    Expr::Case(Case::new(None, vec![(Box::new(condition), Box::new(value))], None))
}

/// The value, where there is a condition only where it is true.
pub(crate) fn under(condition: Option<Expr>, value: Expr) -> Expr {
    match condition {
        None => value,
        Some(condition) => only_where(condition, value),
    }
}

/// The condition and the value of [`only_where`].
pub(crate) fn where_and_value(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::Case(Case { expr: None, when_then_expr, else_expr: None }) = expr else { return None };
    let [(condition, value)] = when_then_expr.as_slice() else { return None };
    Some((condition, value))
}
