//! COUNT(DISTINCT unit key): the subjects of one class that contribute to an atom. Rounded to the policy's base.

use datafusion_expr::Case;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Use;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::not_allowed;
use crate::aggregate::numbers::Numbers;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::is_null;
use crate::column::strip_casts;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::fact_missing;
use crate::plan::Formula;
use crate::reason::Reason;
use crate::stated_error::StatedError;

/// Every subject counts once, so that no dominance applies.
pub(super) const SUBJECTS: Aggregate =
    Aggregate { recognises, formula, number, error, figure: Figure::Subjects };

/// COUNT(DISTINCT) of one argument; of which, [`formula`] decides.
fn recognises(call: &Call<'_>) -> bool {
    matches!((call.name, call.is_distinct, call.args), ("count", true, [_]))
}

/// The rows under one condition, whose contributors are counted: a unit key, also of `CASE WHEN condition THEN key END`.
///
/// The key is found by lineage and never by name, so that neither an alias nor a cast makes another column one. The number
/// of values of another column changes with one person who has a value of their own. With several branches one subject may
/// be counted for one key and left out for another (`sandbox/docs/disclosure-model.md`, sections 4.1 and 5.1).
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    normaliser.functions.push(Function::CountDistinct);
    let source_rows = normaliser.source_rows;
    let argument = call.argument()?;
    let (key, condition) = match strip_casts(&source_rows.bases, argument) {
        Expr::Case(Case { expr: None, when_then_expr, else_expr })
            if else_expr.as_ref().is_none_or(|other| is_null(normaliser.review.constants, other)) =>
        {
            match when_then_expr.as_slice() {
                [(when, then)] => (&**then, Some(normaliser.shape.predicate(when)?)),
                _ => return Err(not_allowed(normaliser, Reason::DistinctOfSeveralCases, call).into()),
            }
        }
        _ => (argument, None),
    };
    let (hidden, base) = source_rows.unit_key(key).ok_or_else(|| not_a_unit_key(normaliser, call))?;
    if !base.allows(Use::CountDistinct) {
        return Err(normaliser.use_not_granted(argument, &base, Use::CountDistinct).into());
    }
    let class =
        source_rows.classes.iter().position(|class| class.column == *hidden).ok_or_else(fact_missing)?;
    let present = base.optional.then(|| Expr::IsNotNull(Box::new(key.clone())));
    let condition = conjunction(conjunction(call.filter.clone(), condition), present);
    Ok(Formula::Subjects { atom: normaliser.atom(Quantity::Rows, condition), class })
}

/// The refusal of COUNT(DISTINCT x) of anything but a unit key: values are counted, and not subjects.
///
/// A value that is there already adds nothing, so that the difference of two such counts shows whether one person has a
/// value that nobody else has (`sandbox/docs/disclosure-model.md`, section 5.1).
fn not_a_unit_key(normaliser: &Normaliser<'_>, call: &Call<'_>) -> Finding {
    Finding::of(Reason::ValuesCountedOnce)
        .at(call.place(normaliser))
        .with("function", "count(distinct)")
        .help("COUNT(DISTINCT unit key) is available", "可用 COUNT(DISTINCT 主体标识)")
}

/// The number of subjects, rounded.
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Subjects { atom, class } = formula else { return None };
    Some(Number::Whole(group.rounding().count(group.subjects(*atom, *class)?)))
}

/// The error of a number of subjects.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Subjects { atom, .. } = formula else { return None };
    Some(StatedError::Number(numbers.subjects(*atom)))
}
