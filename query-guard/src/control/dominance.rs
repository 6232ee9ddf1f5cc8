//! Dominance: a cell that one or a few subjects make up is withheld, or they and their rivals could work out the others.
//! Hundepool et al., Statistical Disclosure Control (2012), section 4.2: the (n, k) rule and the p% rule.

use obscura_policies::effective::Dominance;

use crate::cell::AtomStatistics;

/// (n, k) and p% over absolute contributions (`sandbox/docs/reference.md`, section 1).
pub(crate) fn is_dominated(statistics: &AtomStatistics, rule: Dominance) -> bool {
    let total = statistics.absolute;
    if total == 0 {
        return false;
    }
    let largest: u128 = statistics.largest.iter().take(usize::from(rule.n)).sum();
    if largest.saturating_mul(1000) > total.saturating_mul(u128::from(rule.share_max_permille)) {
        return true;
    }
    let [first, second, ..] = statistics.largest;
    let rest = total.saturating_sub(first).saturating_sub(second);
    rest.saturating_mul(100) < first.saturating_mul(u128::from(rule.p_percent))
}
