//! Named noise: each cell's numbers are moved by the noise of its names, which no repetition, spelling or other cell averages out
//! (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! The noise of a number is the sum over the names of its cell, each with its coefficient, of two draws: one that stays for ever,
//! and one for each version of the data, with twice the deviation, where versions are replaced. It is a function of plan, keys of
//! groups and version alone. How far a number may be off is a function of plan and keys.

use std::collections::BTreeMap;

use datafusion_common::ScalarValue;
use obscura_policies::effective::DEVIATIONS;
use obscura_policies::vocabulary::DatasetId;

use crate::cell_names::AtomNames;
use crate::cell_names::CellNames;
use crate::cell_names::put;
use crate::context::ExecutionContext;
use crate::control::Cell;
use crate::control::Control;
use crate::control::ControlError;
use crate::control::Figure;
use crate::cover::Names;
use crate::noise::NoiseSource;
use crate::noise::OF_VERSION_VARIANCE;
use crate::noise::draw;
use crate::noise::part;
use crate::noise::rungs;
use crate::plan::Stage;
use crate::plan::StageControls;

pub(super) const NOISE: Control = Control { name: "noise", holds_for, on_cell: Some(add) };

/// Largest share of a number that its deviation may be.
pub(super) const ERROR_LIMIT: Control =
    Control { name: "error-limit", holds_for, on_cell: Some(within_error_limit) };

/// The deviation may be three tenths of a number at the most.
const SHARE_MAX: (f64, f64) = (3.0, 10.0);

/// Deviations by which a perturbed number of subjects must pass the threshold, and at which its noise is clipped for that test.
const DEVIATIONS_ABOVE: f64 = 2.0;

/// Names of which the noise is kept from one group to the next: groups share few, and each has its own.
const KNOWN_MAX: usize = 100_000;

/// The draw that stays for ever, and the one of each version.
const FIXED: u8 = 1;
const OF_VERSION: u8 = 2;
/// Ends the name of the part of a unit that goes with a draw.
const PART_OF_UNIT: u8 = 0;

/// All numbers, where the policy asks for noise. That a group is there is no number: its threshold has noise of its own.
fn holds_for(figure: Figure, stage: &StageControls) -> bool {
    stage.perturbation.is_some() && figure != Figure::Presence
}

/// Adds the noise of the cell's names.
///
/// An exact number, or one whose noise is drawn anew, tells a person by the difference to another: over IN lists of villages four
/// cells isolate one resident, and every further choice of lists is a further sample
/// (`sandbox/docs/disclosure-model.md`, section 5.8; Dinur and Nissim 2003).
fn add(value: i128, cell: &Cell<'_>) -> Option<i128> {
    Some(value.saturating_add(cell.perturbation?.noise))
}

/// Withholds a number that its noise makes useless: one whose deviation is more than three tenths of it. Both are known without the
/// data, so that what is withheld tells nothing that the number would not (`sandbox/docs/disclosure-model.md`, section 5.8).
fn within_error_limit(value: i128, cell: &Cell<'_>) -> Option<i128> {
    let (part, whole) = SHARE_MAX;
    let size = super::number::to_f64(value.saturating_abs(), 0);
    (cell.perturbation?.deviation * whole <= size * part).then_some(value)
}

/// The noise of one number, and its deviation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Perturbation {
    pub(crate) noise: i128,
    pub(crate) deviation: f64,
}

impl Perturbation {
    /// True if a number of subjects with this noise is at least k by two deviations, its noise clipped to as much.
    ///
    /// It implies k subjects, and where the number is near k the noise decides: an exact threshold would tell somebody who knows k-1
    /// of a group whether there is a k-th (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(super) fn has_enough(self, subjects: u64, least: u32) -> bool {
        let margin = DEVIATIONS_ABOVE * self.deviation;
        let noise = super::number::to_f64(self.noise, 0).clamp(-margin, margin);
        let perturbed = super::number::to_f64(i128::from(subjects), 0) + noise;
        let enough = perturbed >= f64::from(least) + margin;
        debug_assert!(!enough || subjects >= u64::from(least), "what passes has k subjects");
        enough
    }
}

/// The noise of the numbers of one atom in one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AtomNoise {
    /// Of the value.
    pub(crate) value: Perturbation,
    /// Of the number of contributors of each class.
    pub(crate) subjects: Vec<Perturbation>,
}

/// The noise of a stage, group by group.
pub(crate) struct StageNoise<'s> {
    names: &'s CellNames,
    source: &'s dyn NoiseSource,
    /// Digests of the versions that are read, in the order of their datasets.
    version: Vec<u8>,
    /// Variances of the draws of each rung.
    variances: Vec<u32>,
    /// Noise made so far: cells share names, and atoms share those of their subjects.
    known: BTreeMap<(DatasetId, Vec<u8>, Vec<u8>), i128>,
}

impl<'s> StageNoise<'s> {
    /// The noise of a stage's cells; nothing where its policy asks for none.
    ///
    /// # Errors
    /// [`ControlError::Unbound`] where the policy asks for noise and the execution has no source, no version, or no names: without
    /// its noise no number leaves.
    pub(crate) fn of(stage: &'s Stage, context: &'s ExecutionContext) -> Result<Option<Self>, ControlError> {
        let Some(deviation) = stage.controls.perturbation else { return Ok(None) };
        let names = stage.names.as_deref().ok_or(ControlError::Unbound)?;
        let source = context.noise.as_deref().ok_or(ControlError::Unbound)?;
        let mut version = Vec::new();
        for dataset in names.datasets.iter().filter(|_| names.is_updated) {
            version.extend_from_slice(context.versions.get(dataset).ok_or(ControlError::Unbound)?);
        }
        let variances = rungs(&DEVIATIONS, deviation).ok_or(ControlError::Unbound)?;
        Ok(Some(StageNoise { names, source, version, variances, known: BTreeMap::new() }))
    }

    /// The noise of each atom in the group with these values of the keys; nothing where the group has no names, and is withheld.
    ///
    /// # Errors
    /// [`ControlError::Unbound`] where the source has no key of the family.
    pub(crate) fn of_group(&mut self, keys: &[ScalarValue]) -> Result<Option<Vec<AtomNoise>>, ControlError> {
        let cells = self.names;
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let mut all = Vec::with_capacity(cells.atoms.len());
        let of_keys = cells.of_keys(keys);
        for atom in &cells.atoms {
            let Some(names) = cells.in_group(atom, keys, of_keys.as_ref()) else { return Ok(None) };
            all.push(self.of_atom(atom, &names)?);
        }
        Ok(Some(all))
    }

    fn of_atom(&mut self, atom: &AtomNames, names: &Names) -> Result<AtomNoise, ControlError> {
        let named: Vec<(Vec<u8>, i64)> =
            names.terms().map(|(name, coefficient)| (self.names.bytes(name), coefficient)).collect();
        let deviation = names.deviations() * self.deviation();
        let mut subjects = Vec::with_capacity(atom.subjects.len());
        for counted in &atom.subjects {
            let noise = self.sum(&atom.family, &named, counted.as_bytes(), 1)?;
            subjects.push(Perturbation { noise, deviation });
        }
        let value = match atom.unit {
            1 => {
                Perturbation { noise: self.sum(&atom.family, &named, atom.measure.as_bytes(), 1)?, deviation }
            }
            unit => {
                // Of two scales of one sum the noise would tell the sum, if both were one draw.
                let mut measure = atom.measure.clone().into_bytes();
                put(&mut measure, &unit.to_be_bytes());
                let noise = self.sum(&atom.family, &named, &measure, unit)?;
                let deviation = names.deviations() * self.deviation_between_units();
                Perturbation { noise, deviation: deviation * super::number::to_f64(unit, 0) }
            }
        };
        Ok(AtomNoise { value, subjects })
    }

    /// Deviation of the noise of one name.
    fn deviation(&self) -> f64 {
        let fixed: u32 = self.variances.iter().sum();
        let all = if self.names.is_updated { fixed * (1 + OF_VERSION_VARIANCE) } else { fixed };
        f64::from(all).sqrt()
    }

    /// Deviation of the noise of one name of a sum, in its units: with a part of a unit for each kind of draw, whose variance
    /// is a sixth of a unit's square.
    fn deviation_between_units(&self) -> f64 {
        let kinds = if self.names.is_updated { 2.0 } else { 1.0 };
        (self.deviation().powi(2) + kinds / 6.0).sqrt()
    }

    /// The noise of names under a measure in multiples and parts of a unit, each as often as it counts.
    fn sum(
        &mut self,
        family: &DatasetId,
        named: &[(Vec<u8>, i64)],
        measure: &[u8],
        unit: i128,
    ) -> Result<i128, ControlError> {
        let mut sum: i128 = 0;
        for (name, coefficient) in named {
            let noise = self.of_name(family, name, measure, unit)?;
            sum = sum.saturating_add(noise.saturating_mul(i128::from(*coefficient)));
        }
        Ok(sum)
    }

    /// The noise of one name under a measure: a draw for each rung that stays for ever, and one for the version.
    ///
    /// Multiples of a unit alone would leave a sum exact but for whole units: its remainder would be that of the exact sum, and
    /// the difference of two sums would tell the value of everybody who has less than a unit. So the first rung of either kind
    /// has a part of a unit besides, whose remainder is uniform (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn of_name(
        &mut self,
        family: &DatasetId,
        name: &[u8],
        measure: &[u8],
        unit: i128,
    ) -> Result<i128, ControlError> {
        let key = (family.clone(), name.to_vec(), measure.to_vec());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let source = self.source;
        let mut noise: i128 = 0;
        for (rung, variance) in (0_u8..).zip(&self.variances) {
            let mut draws = vec![(FIXED, *variance, None)];
            if self.names.is_updated {
                draws.push((OF_VERSION, variance.saturating_mul(OF_VERSION_VARIANCE), Some(&self.version)));
            }
            for (kind, variance, version) in draws {
                let mut bytes = Vec::with_capacity(name.len() + measure.len() + 64);
                put(&mut bytes, name);
                put(&mut bytes, measure);
                bytes.extend_from_slice(&[kind, rung]);
                bytes.extend(version.into_iter().flatten());
                let drawn = draw(source, family, &bytes, variance).ok_or(ControlError::Unbound)?;
                noise = noise.saturating_add(i128::from(drawn).saturating_mul(unit));
                if rung == 0 && unit > 1 {
                    bytes.push(PART_OF_UNIT);
                    let part = part(source, family, &bytes, unit).ok_or(ControlError::Unbound)?;
                    noise = noise.saturating_add(part);
                }
            }
        }
        self.known.insert(key, noise);
        Ok(noise)
    }
}
