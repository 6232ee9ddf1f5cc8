//! The arithmetic of privacy budgets: zero-concentrated differential privacy (zCDP) inside, (epsilon, delta) outside.
//! It charges nothing and draws nothing; the guard prices questions by it, and the sandbox keeps accounts by it.
//!
//! A mechanism of rho-zCDP is (rho + 2 sqrt(rho ln(1 / delta)), delta)-differentially private, and the rhos of all answers over
//! one dataset add up, also where each question depends on the answers before it (M. Bun and T. Steinke, "Concentrated
//! Differential Privacy: Simplifications, Extensions, and Lower Bounds", TCC 2016, proposition 1.3 and lemma 1.7; for accounts that
//! are closed when they are used up: V. Feldman and T. Zrnic, "Individual Privacy Accounting via a Renyi Filter", NeurIPS 2021).
//!
//! Groups whose keys nobody declared are released above a threshold, which fails with a small probability. So half of a
//! budget's delta is for the conversion, and half for all thresholds together: [`threshold_delta`] gives each question the part
//! of that half that its rho is of the rho of a whole life, [`LIFETIME_EPSILON`] (approximate zCDP, section 8 there). Accounts
//! need to add up nothing but rho.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Most epsilon that all answers over one dataset family may come to, ever.
pub const LIFETIME_EPSILON: f64 = 8.0;

/// Units of [`nano_rho_of`] in a rho of one.
pub const NANO: f64 = 1e9;

/// The part of a budget's delta that the conversion has; the thresholds have the rest.
const CONVERSION_SHARE: f64 = 0.5;

/// Budget of differential privacy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacyBudget {
    /// Epsilon in a period.
    pub epsilon: f64,
    /// Delta in a period.
    pub delta: f64,
    /// Epsilon that one query spends.
    pub per_query_max: f64,
    /// Length of the period.
    pub period_days: u32,
}

/// The rho that comes to this epsilon, with half of this delta: the inverse of [`epsilon_of`]. Zero where one of them is no
/// budget: not positive, not finite, or a delta of one and more.
#[must_use]
pub fn rho_of(epsilon: f64, delta: f64) -> f64 {
    let Some(log) = log_of_inverse(delta).filter(|_| epsilon > 0.0 && epsilon.is_finite()) else {
        return 0.0;
    };
    // The difference of two roots that lie close together, without losing digits.
    (epsilon / ((epsilon + log).sqrt() + log.sqrt())).powi(2)
}

/// The epsilon that this rho comes to, with half of this delta. Infinite where one of them is none.
#[must_use]
pub fn epsilon_of(rho: f64, delta: f64) -> f64 {
    match log_of_inverse(delta) {
        Some(log) if rho >= 0.0 => rho + 2.0 * (rho * log).sqrt(),
        _ => f64::INFINITY,
    }
}

/// [`rho_of`] in whole units of 1e-9, rounded down: a limit is never more than was declared, and the price of a question never
/// more than the epsilon that was declared for it. Prices are whole, and noise is made for the whole price, so that nothing is
/// lost by rounding.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and casts saturate"
)]
pub fn nano_rho_of(epsilon: f64, delta: f64) -> u64 {
    (rho_of(epsilon, delta) * NANO).floor() as u64
}

/// The epsilon of a sum of prices in units of 1e-9.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "budgets lie far below 2^53 units")]
pub fn epsilon_of_nano(nano_rho: u64, delta: f64) -> f64 {
    epsilon_of(nano_rho as f64 / NANO, delta)
}

/// The probability with which the thresholds of one question of this price may fail: in proportion to its rho, so that all
/// questions of a life together come to half of `delta` at the most.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "budgets lie far below 2^53 units")]
pub fn threshold_delta(nano_rho: u64, delta: f64) -> f64 {
    let life = rho_of(LIFETIME_EPSILON, delta);
    if life <= 0.0 {
        return 0.0;
    }
    delta * (1.0 - CONVERSION_SHARE) * (nano_rho as f64 / NANO / life).min(1.0)
}

/// ln(1 / (share of delta)); nothing where it is no probability between zero and one.
fn log_of_inverse(delta: f64) -> Option<f64> {
    (delta > 0.0 && delta < 1.0).then(|| -(delta * CONVERSION_SHARE).ln())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_defaults_come_to_known_numbers() {
        // By hand: ln(2e8) = 19.11383; (sqrt(19.61383) - sqrt(19.11383))^2 = 0.0032279.
        assert!((rho_of(0.5, 1e-8) - 0.003_227_9).abs() < 1e-7, "{}", rho_of(0.5, 1e-8));
        assert!((rho_of(8.0, 1e-8) - 0.697_49).abs() < 1e-5, "{}", rho_of(8.0, 1e-8));
        assert!((epsilon_of(0.5, 1e-8) - (0.5 + 2.0 * (0.5 * 19.113_828_f64).sqrt())).abs() < 1e-6);
        let queries = nano_rho_of(LIFETIME_EPSILON, 1e-8) / nano_rho_of(0.5, 1e-8);
        assert_eq!(queries, 216, "questions of 0.5 in a life of 8");
    }

    #[test]
    fn what_is_no_budget_buys_nothing() {
        for (epsilon, delta) in [
            (0.0, 1e-8),
            (-1.0, 1e-8),
            (f64::NAN, 1e-8),
            (f64::INFINITY, 1e-8),
            (1.0, 0.0),
            (1.0, 1.0),
            (1.0, f64::NAN),
        ] {
            assert_eq!(nano_rho_of(epsilon, delta), 0, "{epsilon}, {delta}");
        }
        assert_eq!(epsilon_of(-1.0, 1e-8), f64::INFINITY);
        assert_eq!(epsilon_of(1.0, 2.0), f64::INFINITY);
        assert_eq!(threshold_delta(1, 0.0), 0.0);
    }

    proptest! {
        #[test]
        fn rho_and_epsilon_are_inverse(epsilon in 1e-3_f64..20.0, exponent in 3_i32..15) {
            let delta = 10_f64.powi(-exponent);
            let there = epsilon_of(rho_of(epsilon, delta), delta);
            prop_assert!((there - epsilon).abs() < 1e-9 * epsilon, "{there}");
            let whole = epsilon_of_nano(nano_rho_of(epsilon, delta), delta);
            prop_assert!(whole <= epsilon * (1.0 + 1e-12), "a whole price is never dearer: {whole}");
        }

        #[test]
        fn the_thresholds_of_a_life_take_half_of_delta(questions in 1_u64..1_000, exponent in 3_i32..15) {
            let delta = 10_f64.powi(-exponent);
            let price = nano_rho_of(LIFETIME_EPSILON, delta) / questions;
            let all = threshold_delta(price, delta) * f64::from(u32::try_from(questions).unwrap());
            prop_assert!(all <= delta / 2.0 * (1.0 + 1e-9), "{all}");
        }
    }
}
