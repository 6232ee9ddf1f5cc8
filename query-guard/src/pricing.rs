//! The price of a question that is answered by differential privacy, and the noise that the price buys each of its numbers
//! (`sandbox/docs/disclosure-model.md`, section 5.9). It keeps no accounts; the sandbox does.

use obscura_policies::privacy::PrivacyBudget;
use obscura_policies::privacy::nano_rho_of;
use obscura_policies::privacy::threshold_delta;
use obscura_policies::vocabulary::DatasetId;

use crate::finding::Finding;
use crate::limits::too_large;
use crate::plan::Charge;
use crate::plan::Stage;
use crate::privacy::Deviation;
use crate::reason::Reason;

/// Prices a question and gives every measured number its noise.
///
/// A question costs what the policy says, whatever it asks; each number that it measures has the same part of that rho. So the
/// price is known from the policy alone, and a question for more numbers has more noise in each.
///
/// A group that only one subject is in is told by its key alone, so a group is shown where its number of subjects passes a
/// threshold with its noise: far enough above one that noise lifts none of a subject's groups over it, but for the question's
/// part of delta (`sandbox/docs/disclosure-model.md`, section 5.9). The tail is that of a sub-Gaussian variable, exp(-t^2 / (2 deviation^2)), which the discrete Gaussian is
/// (Canonne, Kamath and Steinke 2020).
///
/// # Errors
/// The finding `too-many-measured` where the price does not reach for so many numbers, or a declared range is too wide for noise.
pub(crate) fn priced(stages: &mut [Stage]) -> Result<Vec<Charge>, Finding> {
    let mut charges: Vec<Charge> = Vec::new();
    let datasets: Vec<(DatasetId, PrivacyBudget)> = stages
        .iter()
        .filter_map(|stage| stage.controls.privacy.as_ref())
        .map(|privacy| (privacy.dataset.clone(), privacy.budget))
        .collect();
    for (dataset, budget) in datasets {
        if charges.iter().any(|charge| charge.dataset == dataset) {
            continue;
        }
        let nano_rho = nano_rho_of(budget.per_query_max.min(budget.epsilon), budget.delta);
        let of_dataset = || {
            stages.iter().filter_map(|stage| stage.controls.privacy.as_ref()).filter(|p| p.dataset == dataset)
        };
        let numbers: usize = of_dataset().map(|privacy| privacy.measured.len()).sum();
        let grouped = of_dataset().filter(|privacy| privacy.groups_max.is_some()).count();
        let part = nano_rho / u64::try_from(numbers.max(1)).unwrap_or(u64::MAX);
        if part == 0 {
            return Err(too_many_measured());
        }
        let delta = threshold_delta(nano_rho, budget.delta) / count(grouped.max(1));
        for stage in stages.iter_mut() {
            let Some(privacy) = stage.controls.privacy.as_mut().filter(|privacy| privacy.dataset == dataset)
            else {
                continue;
            };
            for index in 0..privacy.measured.len() {
                let Some(measured) = privacy.measured.get(index) else { continue };
                let deviation = Deviation::of(privacy.moved(measured), part).ok_or_else(too_many_measured)?;
                if let Some(measured) = privacy.measured.get_mut(index) {
                    measured.deviation = deviation;
                }
            }
            privacy.subjects_least =
                privacy.least(delta, stage.classes.iter().map(|class| class.subjects_min));
            for class in &mut stage.classes {
                class.subjects_min = u32::try_from(privacy.subjects_least).unwrap_or(u32::MAX);
            }
        }
        charges.push(Charge { dataset, nano_rho });
    }
    Ok(charges)
}

/// The refusal of a question that asks for more numbers than its price buys noise for
/// (`sandbox/docs/disclosure-model.md`, section 5.9).
fn too_many_measured() -> Finding {
    too_large(
        Reason::TooManyMeasured,
        "numbers with noise",
        "fewer numbers in one question, of columns with a narrower range".to_owned(),
        "一次查询中更少的数值，且字段的声明范围更窄".to_owned(),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a few stages")]
fn count(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
