//! The linear form of an argument: factors times quantities, each under a condition, and what sums and products make of it.
//! It reads no argument: `argument` decides which have such a form.

use datafusion_expr::Expr;

use super::Quantity;
use super::condition::conjunction;
use super::condition::is_present;
use crate::limits::TERMS_MAX;
use crate::reason::Reason;

/// A linear expression: terms not yet turned into atoms, and what makes the whole present.
pub(crate) struct Linear {
    pub(crate) terms: Vec<(f64, Quantity, Option<Expr>)>,
    /// Conditions under which the value is not NULL; all must hold.
    pub(crate) present: Vec<Expr>,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A linear expression times a number.
pub(super) fn scale(linear: Linear, factor: f64) -> Linear {
    let ends = (linear.low * factor, linear.high * factor);
    let terms =
        linear.terms.into_iter().map(|(own, quantity, condition)| (own * factor, quantity, condition));
    Linear {
        terms: terms.collect(),
        present: linear.present,
        low: ends.0.min(ends.1),
        high: ends.0.max(ends.1),
    }
}

/// A sum is present where both parts are, so each part is summed under the other's presence
/// (`sandbox/docs/disclosure-model.md`, section 4.11).
pub(super) fn add(left: Linear, right: Linear) -> Result<Linear, Reason> {
    within_terms(left.terms.len() + right.terms.len())?;
    let mut terms = Vec::new();
    for (own, other) in [(&left, &right), (&right, &left)] {
        for (factor, quantity, condition) in &own.terms {
            let presence = match quantity {
                Quantity::Rows => own.present.iter().chain(&other.present).collect::<Vec<_>>(),
                Quantity::Measure(_) | Quantity::Product(..) => other.present.iter().collect(),
            };
            terms.push((*factor, quantity.clone(), under(condition.clone(), presence, quantity)));
        }
    }
    let (low, high) = (left.low + right.low, left.high + right.high);
    Ok(Linear { terms, present: united(left.present, right.present), low, high })
}

/// Refuses more terms than one argument may have: products of sums multiply out to very many atoms, each of which is
/// computed for every group (`sandbox/docs/disclosure-model.md`, section 5.1; `sandbox/docs/reference.md`, section 7).
fn within_terms(terms: usize) -> Result<(), Reason> {
    if terms > TERMS_MAX { Err(Reason::TooManyTerms) } else { Ok(()) }
}

/// Products of at most two measures, distributed over sums.
///
/// The range of a product of three measures is so wide that one subject may outweigh all others
/// (`sandbox/docs/disclosure-model.md`, section 5.1).
pub(super) fn multiply(left: Linear, right: Linear) -> Result<Linear, Reason> {
    within_terms(left.terms.len() * right.terms.len())?;
    let mut terms = Vec::new();
    for (left_factor, left_quantity, left_condition) in &left.terms {
        for (right_factor, right_quantity, right_condition) in &right.terms {
            let quantity = match (left_quantity, right_quantity) {
                (Quantity::Rows, other) | (other, Quantity::Rows) => other.clone(),
                (Quantity::Measure(a), Quantity::Measure(b)) => {
                    Quantity::Product(a.min(b).clone(), a.max(b).clone())
                }
                _ => return Err(Reason::ProductOfThree),
            };
            let condition = conjunction(left_condition.clone(), right_condition.clone());
            let presence = left.present.iter().chain(&right.present).collect();
            terms.push((left_factor * right_factor, quantity.clone(), under(condition, presence, &quantity)));
        }
    }
    let corners =
        [left.low * right.low, left.low * right.high, left.high * right.low, left.high * right.high];
    let low = corners.into_iter().fold(f64::INFINITY, f64::min);
    let high = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
    Ok(Linear { terms, present: united(left.present, right.present), low, high })
}

/// A condition under further presences. A quantity is never summed where it is itself missing, so that its own is left
/// out (`sandbox/docs/disclosure-model.md`, section 4.11).
fn under(condition: Option<Expr>, presence: Vec<&Expr>, quantity: &Quantity) -> Option<Expr> {
    let own: Vec<Expr> = quantity.columns().into_iter().map(|name| is_present(name)).collect();
    let further = presence.into_iter().filter(|present| !own.contains(present));
    further.fold(condition, |all, one| conjunction(all, Some(one.clone())))
}

fn united(mut left: Vec<Expr>, right: Vec<Expr>) -> Vec<Expr> {
    for one in right {
        if !left.contains(&one) {
            left.push(one);
        }
    }
    left
}
