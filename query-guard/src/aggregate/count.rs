//! COUNT: the rows of a group, or those in which its arguments are present. One atom; rounded to the policy's base.

use obscura_policies::vocabulary::Function;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::numbers::Numbers;
use crate::atoms::Normaliser;
use crate::atoms::Quantity;
use crate::atoms::conjunction;
use crate::atoms::repeated_rows;
use crate::column::bare_column;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::finding::Refused;
use crate::plan::Formula;
use crate::stated_error::StatedError;

/// Rows may be one subject's for the most part, so that dominance holds for them too.
pub(super) const COUNT: Aggregate = Aggregate { recognises, formula, number, error, figure: Figure::Rows };

/// COUNT of any number of arguments, none of them DISTINCT.
fn recognises(call: &Call<'_>) -> bool {
    call.name == "count" && !call.is_distinct
}

/// The rows under one condition: the FILTER, and the presence of every argument.
///
/// COUNT(x) is COUNT where x is there, so that the threshold is asked of those who have a value, and not of the whole group
/// (`sandbox/docs/disclosure-model.md`, section 4.11). Rows that a join or union may repeat are counted only by a column
/// that stands in rows of its own source: repeated rows are weights, which the difference to the plain count shows
/// (`sandbox/docs/disclosure-model.md`, section 4.5).
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    normaliser.functions.push(Function::Count);
    let source_rows = normaliser.source_rows;
    let columns = call.args.iter().filter_map(|arg| bare_column(&source_rows.bases, arg));
    if !source_rows.counts_once(columns.filter_map(|column| source_rows.base(column))) {
        return Err(repeated_rows(call.place(normaliser)).into());
    }
    let mut condition = call.filter.clone();
    for arg in call.args {
        let present = normaliser.presence(arg)?;
        condition = conjunction(condition, present);
    }
    Ok(Formula::Count { atom: normaliser.atom(Quantity::Rows, condition) })
}

/// The number of rows, rounded (`sandbox/docs/disclosure-model.md`, section 5.4).
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Count { atom } = formula else { return None };
    Some(Number::Whole(group.rounding().count(group.value(*atom)?)))
}

/// The error of a number of rows.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Count { atom } = formula else { return None };
    numbers.value(*atom).map(StatedError::Number)
}
