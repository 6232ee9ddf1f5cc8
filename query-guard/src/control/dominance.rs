//! Dominance: a cell that one or a few subjects make up is withheld, or they and their rivals could work out the others.
//! Hundepool et al., Statistical Disclosure Control (2012), section 4.2: the (n, k) rule and the p% rule.

use obscura_policies::effective::Dominance;

use crate::cell::AtomStatistics;
use crate::cell::LARGEST_KEPT;
use crate::control::Cell;
use crate::control::Control;
use crate::control::Figure;
use crate::plan::StageControls;

pub(super) const DOMINANCE: Control = Control { name: "dominance", holds_for, on_cell: Some(on_cell) };

/// Sums, means and counts of rows, where the policy has a rule. A subject counts once among subjects, so that none of them
/// can make up most of a frequency (`sandbox/docs/disclosure-model.md`, section 5.3).
fn holds_for(figure: Figure, stage: &StageControls) -> bool {
    match figure {
        Figure::Presence | Figure::Subjects => false,
        Figure::Rows | Figure::Quantity => stage.dominance.is_some(),
    }
}

/// Withholds a cell that a few subjects of some class make up.
///
/// The second largest of a dominated cell takes its own part off the total and knows the largest closely, however many small
/// subjects lift the cell over its threshold (`sandbox/docs/disclosure-model.md`, section 5.3; Cox 1981).
fn on_cell(value: i128, cell: &Cell<'_>) -> Option<i128> {
    let rule = cell.controls.dominance?;
    let mut of_classes = cell.by_class();
    let is_dominated = |statistics: &AtomStatistics| match cell.noise {
        None => is_dominated(statistics.largest, statistics.absolute, rule),
        Some(noise) => {
            let total = i128::try_from(statistics.absolute).unwrap_or(i128::MAX);
            // A total that its noise takes away has no part that is small.
            let total = u128::try_from(total.saturating_add(noise.value.noise)).unwrap_or(0);
            total == 0
                || is_dominated(statistics.largest.map(|size| on_ladder(size, rule.p_percent)), total, rule)
        }
    };
    (!of_classes.any(|(_, statistics)| is_dominated(statistics))).then_some(value)
}

/// A contribution rounded up to the published ladder of ratio 1 + p %.
///
/// Compared with a total that the analyst moves by choosing other people, an exact contribution would be found by bisection; so it is
/// found to p percent, which is what the rule promises (`sandbox/docs/disclosure-model.md`, section 5.8).
fn on_ladder(size: u128, p_percent: u16) -> u128 {
    let mut rung: u128 = 1;
    while rung < size && p_percent > 0 {
        // Beyond the last rung that can be computed a contribution stays as it is.
        let Some(next) = rung.checked_mul(100 + u128::from(p_percent)) else { return size };
        rung = next.div_ceil(100);
    }
    rung.max(size)
}

/// (n, k) and p% over absolute contributions (`sandbox/docs/reference.md`, section 1).
///
/// The largest n that hold more than the share nearly are the total. If the others together are less than p percent of
/// the largest, the second largest takes its own part off and knows the largest to within p percent
/// (`sandbox/docs/disclosure-model.md`, section 5.3; Cox 1981, Hundepool and others 2012).
pub(super) fn is_dominated(largest: [u128; LARGEST_KEPT], total: u128, rule: Dominance) -> bool {
    if total == 0 {
        return false;
    }
    let together: u128 =
        largest.iter().take(usize::from(rule.n)).fold(0, |sum, size| sum.saturating_add(*size));
    if together.saturating_mul(1000) > total.saturating_mul(u128::from(rule.share_max_permille)) {
        return true;
    }
    let [first, second, ..] = largest;
    let rest = total.saturating_sub(first).saturating_sub(second);
    rest.saturating_mul(100) < first.saturating_mul(u128::from(rule.p_percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_ends_for_the_largest_contribution() {
        for size in [0, 1, 11, 1_000_003, u128::MAX / 100, u128::MAX] {
            let rung = on_ladder(size, 10);
            assert!(rung >= size && rung / 12 <= size / 10 + 1, "{size}: {rung}");
        }
        assert_eq!(on_ladder(12, 10), on_ladder(13, 10));
    }
}
