//! Named noise: each cell's numbers are moved by the noise of its names, which no repetition, spelling or other cell averages out
//! (`sandbox/docs/disclosure-model.md`, section 5.8).
//!
//! The noise of a number is the sum over the names of its cell, each with its coefficient, of two draws: one that stays for ever,
//! and one for each version of the data, with twice the deviation, where versions are replaced. It is a function of plan, keys of
//! groups and version alone. How far a number may be off is a function of plan and keys.

use std::collections::BTreeMap;
use std::collections::HashMap;

use datafusion_common::ScalarValue;
use obscura_policies::effective::DEVIATIONS;
use obscura_policies::vocabulary::DatasetId;
use sha2::Digest as _;
use sha2::Sha256;

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
    /// The draws of these numbers, where they are compared with those of another cell.
    drawn: Option<OfSubjects>,
}

/// The draws of the noise of a cell's subjects: those of each of its names, for the number of each class.
#[derive(Debug, Clone, PartialEq, Default)]
struct OfSubjects {
    /// Digests of the names, each as often as it counts.
    names: BTreeMap<Digest, i64>,
    /// Digests of the numbers that are drawn, in the order of the classes.
    numbers: Vec<Digest>,
    /// The deviation of one name.
    of_name: f64,
}

impl AtomNoise {
    /// The noise of the number of a class's subjects less that of another cell. What both have in common takes no part in it.
    pub(super) fn less(&self, other: &AtomNoise, class: usize) -> Option<Perturbation> {
        let (one, less) = (self.subjects.get(class)?, other.subjects.get(class)?);
        let (drawn, of_other) = (self.drawn.as_ref()?, other.drawn.as_ref()?);
        let noise = one.noise.saturating_sub(less.noise);
        let is_same_number = drawn.numbers.get(class)? == of_other.numbers.get(class)?;
        let (mut names, mut squares) = (drawn.names.clone(), 0.0);
        let square = |coefficient: i64| super::number::to_f64(i128::from(coefficient), 0).powi(2);
        for (name, coefficient) in &of_other.names {
            match names.get_mut(name).filter(|_| is_same_number) {
                Some(known) => *known = known.saturating_sub(*coefficient),
                None => squares += square(*coefficient),
            }
        }
        squares += names.into_values().map(square).sum::<f64>();
        let deviation = squares.sqrt() * drawn.of_name.max(of_other.of_name);
        let is_known = one.deviation.is_finite() && less.deviation.is_finite();
        Some(Perturbation { noise, deviation: if is_known { deviation } else { f64::INFINITY } })
    }
}

/// The standard deviation of the noise of an atom's value, or of its subjects, in the atom's units: the largest over all groups. The
/// outer option is empty where there is no noise, the inner one where the groups were too many to look at.
///
/// It rests on the plan alone: an error that is computed from data is exact data (`sandbox/docs/disclosure-model.md`, section 5.8).
pub(crate) fn deviation(stage: &Stage, figure: Figure, atom: usize) -> Option<Option<f64>> {
    if let Some(privacy) = &stage.controls.privacy {
        return Some(privacy.deviation(super::privacy::kind(figure), atom));
    }
    let deviation = stage.controls.perturbation?;
    let of_names = stage.names.as_deref().and_then(|names| {
        let atom = names.atoms.get(atom)?;
        let most = atom.deviations_max?;
        let (deviations, unit) =
            if figure == Figure::Subjects { (most.subjects, 1) } else { (most.value, atom.unit) };
        Some(deviations * of_name(deviation, names.is_updated, unit))
    });
    Some(of_names)
}

/// Deviation of the noise of one name of a number, in its units: with a part of a unit for each kind of draw, whose variance is a
/// sixth of a unit's square.
fn of_name(deviation: u32, is_updated: bool, unit: i128) -> f64 {
    let (kinds, variances) = if is_updated { (2.0, 1 + OF_VERSION_VARIANCE) } else { (1.0, 1) };
    let whole = f64::from(deviation).powi(2) * f64::from(variances);
    let parts = if unit > 1 { kinds / 6.0 } else { 0.0 };
    (whole + parts).sqrt() * super::number::to_f64(unit, 0)
}

/// A number whose noise is drawn: its family, its scale, and digests of what is drawn by beside a name.
#[derive(Debug, PartialEq, Eq)]
struct Drawn {
    family: DatasetId,
    /// The scale of the noise, in units of the number.
    unit: i128,
    /// Of the draw that stays for ever.
    fixed: Digest,
    /// Of the draw of the version, where versions are replaced.
    of_version: Option<Digest>,
}

/// The numbers of one atom, as indices into those of the stage.
struct AtomDrawn {
    /// The value, by the scale of a name.
    value: BTreeMap<i128, usize>,
    subjects: Vec<usize>,
}

/// A SHA-256.
type Digest = [u8; 32];

/// The noise of a stage, group by group.
pub(crate) struct StageNoise<'s> {
    names: &'s CellNames,
    source: &'s dyn NoiseSource,
    /// Deviation of the draw that stays for ever.
    deviation: u32,
    /// In the order of the stage's atoms.
    atoms: Vec<AtomDrawn>,
    /// Each once: atoms share the numbers of their subjects.
    drawn: Vec<Drawn>,
    /// Numbers of subjects are compared with those of other cells.
    are_compared: bool,
    /// Noise made so far, by the digest of a name and the number: cells share names.
    known: HashMap<(Digest, usize), i128>,
}

impl<'s> StageNoise<'s> {
    /// The noise of a stage's cells; nothing where its policy asks for none.
    ///
    /// # Errors
    /// [`ControlError::Unbound`] where the policy asks for noise of no rung of the ladder, or the execution has no source, no version,
    /// or no names: without its noise no number leaves.
    pub(crate) fn of(stage: &'s Stage, context: &'s ExecutionContext) -> Result<Option<Self>, ControlError> {
        let Some(deviation) = stage.controls.perturbation else { return Ok(None) };
        // A deviation of zero would be noise in name alone.
        if !DEVIATIONS.contains(&deviation) {
            return Err(ControlError::Unbound);
        }
        let names = stage.names.as_deref().ok_or(ControlError::Unbound)?;
        let source = context.noise.as_deref().ok_or(ControlError::Unbound)?;
        let mut version = names.is_updated.then(Vec::new);
        if let Some(version) = &mut version {
            for dataset in &names.datasets {
                version.extend_from_slice(context.versions.get(dataset).ok_or(ControlError::Unbound)?);
            }
        }
        let mut drawn: Vec<Drawn> = Vec::new();
        let mut number = |atom: &AtomNames, quantity: &str, unit: i128| {
            let one = Drawn::of(&atom.family, quantity, unit, version.as_deref());
            drawn.iter().position(|known| *known == one).unwrap_or_else(|| {
                drawn.push(one);
                drawn.len() - 1
            })
        };
        let units = |atom: &AtomNames| {
            let in_time = atom.units_in.map(|units| [units.month, units.day]);
            std::iter::once(atom.unit).chain(in_time.into_iter().flatten())
        };
        let atoms = names.atoms.iter().map(|atom| AtomDrawn {
            value: units(atom).map(|unit| (unit, number(atom, &atom.measure, unit))).collect(),
            subjects: atom.subjects.iter().map(|counted| number(atom, counted, 1)).collect(),
        });
        let atoms = atoms.collect();
        let (are_compared, known) = (stage.is_base || stage.controls.homogeneity, HashMap::new());
        Ok(Some(StageNoise { names, source, deviation, atoms, drawn, are_compared, known }))
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
        for (number, atom) in cells.atoms.iter().enumerate() {
            let Some(names) = cells.in_group(atom, keys, of_keys.as_ref()) else { return Ok(None) };
            all.push(self.of_atom(number, &names)?);
        }
        Ok(Some(all))
    }

    fn of_atom(&mut self, atom: usize, names: &Names) -> Result<AtomNoise, ControlError> {
        let cells = self.names;
        let named = cells.atoms.get(atom).ok_or(ControlError::NotCells)?;
        let AtomDrawn { value, subjects } = self.atoms.get(atom).ok_or(ControlError::NotCells)?;
        let mut of_value: Vec<(Digest, i64, usize)> = Vec::with_capacity(names.len());
        for (name, coefficient) in names.terms() {
            let number = value.get(&cells.unit(named, name)).ok_or(ControlError::NotCells)?;
            of_value.push((Sha256::digest(cells.bytes(name)).into(), coefficient, *number));
        }
        // Nobody is in a cell of no names. Should somebody be, their number would have no noise: it is never near enough to show.
        let of = |deviations: f64, unit: i128| match names.is_empty() {
            true => f64::INFINITY,
            false => deviations * of_name(self.deviation, cells.is_updated, unit),
        };
        let deviations = cells.deviations(named, names);
        let (of_whole, of_subjects) = (of(deviations.value, named.unit), of(deviations.subjects, 1));
        let subjects = subjects.clone();
        let drawn = self.are_compared.then(|| {
            let mut names = BTreeMap::new();
            for (name, coefficient, _) in &of_value {
                *names.entry(*name).or_default() += coefficient;
            }
            let numbers =
                subjects.iter().filter_map(|number| self.drawn.get(*number)).map(|one| one.digest());
            let numbers = numbers.collect();
            OfSubjects { names, numbers, of_name: of_name(self.deviation, cells.is_updated, 1) }
        });
        let value = Perturbation { noise: self.sum(&of_value)?, deviation: of_whole };
        let mut perturbed = |number: usize| {
            let of_class: Vec<_> =
                of_value.iter().map(|(name, coefficient, _)| (*name, *coefficient, number)).collect();
            Ok::<_, ControlError>(Perturbation { noise: self.sum(&of_class)?, deviation: of_subjects })
        };
        let subjects = subjects.into_iter().map(&mut perturbed).collect::<Result<_, _>>()?;
        Ok(AtomNoise { value, subjects, drawn })
    }

    /// The noise of names, each as often as it counts, and by the number that it is drawn for.
    fn sum(&mut self, named: &[(Digest, i64, usize)]) -> Result<i128, ControlError> {
        let mut sum: i128 = 0;
        for (name, coefficient, number) in named {
            let known = self.known.get(&(*name, *number)).copied();
            let noise = match known {
                Some(known) => known,
                None => {
                    let drawn = self.drawn.get(*number).ok_or(ControlError::NotCells)?;
                    drawn.noise(self.source, name, self.deviation).ok_or(ControlError::Unbound)?
                }
            };
            // The one name of a group is no other group's.
            if known.is_none() && named.len() > 1 {
                self.known.insert((*name, *number), noise);
            }
            sum = sum.saturating_add(noise.saturating_mul(i128::from(*coefficient)));
        }
        Ok(sum)
    }
}

impl Drawn {
    /// The draws of a quantity, in multiples of a unit.
    fn of(family: &DatasetId, quantity: &str, unit: i128, version: Option<&[u8]>) -> Self {
        let mut bytes = Vec::new();
        put(&mut bytes, quantity.as_bytes());
        if unit > 1 {
            // Of two scales of one sum the noise would tell the sum, if both were one draw.
            put(&mut bytes, &unit.to_be_bytes());
        }
        let digest =
            |kind, version: &[u8]| Sha256::digest([&bytes, [kind].as_slice(), version].concat()).into();
        let fixed = digest(FIXED, &[]);
        Drawn {
            family: family.clone(),
            unit,
            fixed,
            of_version: version.map(|version| digest(OF_VERSION, version)),
        }
    }

    /// The digest that tells it from any other number.
    fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        put(&mut bytes, self.family.sql_name().as_bytes());
        put(&mut bytes, &self.fixed);
        put(&mut bytes, self.of_version.as_ref().map_or(&[], Digest::as_slice));
        Sha256::digest(bytes).into()
    }

    /// The noise of one name: a draw that stays for ever, and one for the version.
    ///
    /// Multiples of a unit alone would leave a sum exact but for whole units: its remainder would be that of the exact sum, and
    /// the difference of two sums would tell the value of everybody who has less than a unit. So a draw has a part of a unit
    /// besides, whose remainder is uniform (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn noise(&self, source: &dyn NoiseSource, name: &Digest, deviation: u32) -> Option<i128> {
        let variance = deviation.checked_mul(deviation)?;
        let fixed = Some((&self.fixed, variance));
        let of_version = match &self.of_version {
            Some(digest) => Some((digest, variance.checked_mul(OF_VERSION_VARIANCE)?)),
            None => None,
        };
        let mut noise: i128 = 0;
        for (digest, variance) in fixed.into_iter().chain(of_version) {
            let bytes = [name.as_slice(), digest].concat();
            let drawn = draw(source, &self.family, &bytes, variance)?;
            noise = noise.saturating_add(i128::from(drawn).saturating_mul(self.unit));
            if self.unit > 1 {
                noise = noise.saturating_add(part(source, &self.family, &bytes, self.unit)?);
            }
        }
        Some(noise)
    }
}
