//! SUM: a linear combination of atoms, each rounded by itself before they are combined.

use datafusion_expr::Expr;
use obscura_policies::vocabulary::Function;

use crate::aggregate::Aggregate;
use crate::aggregate::Call;
use crate::aggregate::numbers::Numbers;
use crate::atoms::Linear;
use crate::atoms::Normaliser;
use crate::control::Figure;
use crate::control::Group;
use crate::control::number::Number;
use crate::finding::Refused;
use crate::plan::Formula;
use crate::plan::Term;
use crate::reason::Reason;
use crate::stated_error::Inaccuracy;
use crate::stated_error::StatedError;

/// Sums are rounded under every policy: by the width of the declared range.
pub(super) const SUM: Aggregate = Aggregate { recognises, formula, number, error, figure: Figure::Quantity };

/// SUM of one argument, which is not DISTINCT.
fn recognises(call: &Call<'_>) -> bool {
    matches!((call.name, call.is_distinct, call.args), ("sum", false, [_]))
}

/// One atom for each term of the argument's linear form.
///
/// Every term is a cell with controls of its own, and its factor stands above the boundary: otherwise
/// `sum(case when <one person> then 2 * salary else salary end) - sum(salary)` passes the threshold of the group
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
fn formula(normaliser: &mut Normaliser<'_>, call: &Call<'_>) -> Result<Formula, Refused> {
    normaliser.functions.push(Function::Sum);
    let argument = call.argument()?;
    let linear = normaliser.linear(argument)?;
    normaliser.terms_count_once(argument, &linear, false)?;
    has_sums(normaliser, argument, &linear)?;
    Ok(Formula::Sum { terms: normaliser.terms(linear.terms, call.filter.as_ref()) })
}

/// Refuses the time between two dates: sums are rounded by the width of a declared range, which it does not have, so that its
/// sum would leave as precise as it is (`sandbox/docs/disclosure-model.md`, section 5.6).
fn has_sums(normaliser: &Normaliser<'_>, argument: &Expr, linear: &Linear) -> Result<(), Refused> {
    let bases = &normaliser.source_rows.bases;
    let mut added_up = linear.terms.iter().flat_map(|(_, quantity, _)| quantity.columns());
    if added_up.any(|name| bases.get(name).is_some_and(|base| base.between.is_some())) {
        return Err(normaliser
            .not_decomposable(Reason::TimeBetweenSummed, argument)
            .help(
                "the time between two dates is released as a mean: use AVG, beside COUNT(*)",
                "两个日期之间的时长以平均值发布：请使用 AVG 与 COUNT(*)",
            )
            .into());
    }
    Ok(())
}

/// The combination; a single atom keeps its exact decimal form. Each atom is rounded by itself
/// (`sandbox/docs/disclosure-model.md`, section 5.4).
fn number(formula: &Formula, group: &Group<'_>) -> Option<Number> {
    let Formula::Sum { terms } = formula else { return None };
    if let [Term { factor, atom }] = terms.as_slice()
        && (*factor - 1.0).abs() < f64::EPSILON
    {
        return Some(group.rounding().atom(group.spec(*atom)?, group.value(*atom)?));
    }
    let mut total = 0.0;
    for Term { factor, atom } in terms {
        total += factor * group.rounding().atom(group.spec(*atom)?, group.value(*atom)?).real();
    }
    Some(Number::Real(total))
}

/// The error of the combination: those of its atoms, each as often as its factor says.
fn error(formula: &Formula, numbers: &Numbers<'_>) -> Option<StatedError> {
    let Formula::Sum { terms } = formula else { return None };
    total_error(terms, numbers).map(StatedError::Number)
}

/// The inaccuracy of atoms that are added up, each rounded by itself.
pub(super) fn total_error(terms: &[Term], numbers: &Numbers<'_>) -> Option<Inaccuracy> {
    terms.iter().try_fold(Inaccuracy::default(), |total, term| {
        Some(total.plus(numbers.value(term.atom)?.times(term.factor)))
    })
}
