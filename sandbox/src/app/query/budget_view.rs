//! Amounts of budgets of differential privacy as every door shows them: exact in whole units of rho, and as the epsilon that
//! people reckon in. A format we keep.

use jiff::Timestamp;
use obscura_policies::privacy::epsilon_of_nano;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// Digits behind the point of an epsilon that is shown.
const SCALE: f64 = 1e4;

/// An amount of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetAmount)]
pub struct AmountView {
    /// The epsilon that it comes to at the budget's delta. Epsilons of parts do not add up to that of the whole.
    pub epsilon: f64,
    /// The exact amount: the rho of zero-concentrated differential privacy in units of 1e-9, which does add up.
    pub nano_rho: u64,
}

impl AmountView {
    /// An amount at a delta.
    pub(crate) fn of(nano_rho: u64, delta: f64) -> Self {
        let epsilon = epsilon_of_nano(nano_rho, delta);
        // Rounded to the nearest, so that what was declared as 2 is shown as 2; what is not a number is shown as none.
        let epsilon = if epsilon.is_finite() { (epsilon * SCALE).round() / SCALE } else { 0.0 };
        Self { epsilon, nano_rho }
    }
}

/// The part of a budget that a question costs, and what is left before it is charged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetUse)]
pub struct BudgetUseView {
    /// The dataset.
    pub dataset: String,
    /// The grant under which it is charged.
    pub grant: String,
    /// Delta of the budget.
    pub delta: f64,
    /// The price of the question. It is never given back, whatever becomes of the job.
    pub cost: AmountView,
    /// The rest of your share in the period that ends now.
    pub left: AmountView,
    /// The rest of the lifetime total of the dataset, for all persons.
    pub lifetime_left: AmountView,
    /// When the next of your charges falls out of the period; of a refusal, when there is room for the question.
    #[schema(format = DateTime)]
    pub resets: Option<String>,
}

/// A moment in whole seconds, of which the last has begun: at the moment that is told, what was told holds.
pub(crate) fn told_time(at: Timestamp) -> String {
    let second = at.as_second().saturating_add(i64::from(at.subsec_nanosecond() > 0));
    Timestamp::from_second(second).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_shown_as_the_epsilon_that_was_declared() {
        let declared =
            |epsilon| AmountView::of(obscura_policies::privacy::nano_rho_of(epsilon, 1e-8), 1e-8).epsilon;
        assert_eq!([8.0, 2.0, 0.5].map(declared), [8.0, 2.0, 0.5]);
        assert_eq!(AmountView::of(7, f64::NAN), AmountView { epsilon: 0.0, nano_rho: 7 });
    }

    #[test]
    fn the_moment_that_is_told_is_not_before_the_moment() {
        let told = |nanosecond| Timestamp::new(1_800_000_000, nanosecond).map(told_time).unwrap_or_default();
        assert_eq!(told(0), "2027-01-15T08:00:00Z");
        assert_eq!(told(1), "2027-01-15T08:00:01Z");
    }
}
