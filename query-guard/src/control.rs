//! The control step: opens cells, withholds what must not leave, and says what is rounded
//! (`sandbox/docs/disclosure-model.md`, section 5).
//! Later plans and the analyst see nothing but values that passed.
//!
//! The controls stand in one list, in the order in which they are applied. The file of a control says how it is called, which
//! figures it holds for, and what it leaves of a cell, as a pure step over what the cell's subjects contribute. Names in
//! verdicts and release records come from the same list, so that names and steps cannot drift apart. A further control is a
//! file with its `mod` and one line of the list. A number that a policy sets for it is a field of [`StageControls`].
//!
//! Tested at k-1, k and k+1.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;

use crate::cell::AtomStatistics;
use crate::cell::decode;
use crate::context::ExecutionContext;
use crate::finding::Code;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::StageClass;
use crate::plan::StageControls;

pub(crate) mod complementary;
mod dominance;
mod homogeneity;
mod noise;
pub(crate) mod number;
pub(crate) mod privacy;
pub(crate) mod rounding;
pub(crate) mod threshold;

use homogeneity::Rest;
use noise::AtomNoise;
use noise::Perturbation;
pub(crate) use noise::StageNoise;
pub(crate) use noise::deviation;
use rounding::Rounding;

/// The controls, in the order in which they are applied (`sandbox/docs/disclosure-model.md`, section 5.7).
const CONTROLS: &[Control] = &[
    privacy::PRIVACY,
    noise::NOISE,
    threshold::THRESHOLD,
    homogeneity::HOMOGENEITY,
    dominance::DOMINANCE,
    noise::ERROR_LIMIT,
    complementary::COMPLEMENTARY,
    rounding::ROUNDING,
];

/// A control, as its file states it.
struct Control {
    /// Its name in verdicts and release records.
    name: &'static str,
    /// True if figures of this kind pass it, in a stage that is held to these controls.
    holds_for: fn(Figure, &StageControls) -> bool,
    /// The value that it leaves of a cell; nothing where it withholds the cell. None for a control that takes no cell.
    on_cell: Option<fn(i128, &Cell<'_>) -> Option<i128>>,
}

/// The kinds of released values that the controls tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// That a group is there, and so its keys.
    Presence,
    /// Subjects, each of which counts once.
    Subjects,
    /// Rows, of which one subject may have many.
    Rows,
    /// A measure added up over rows, or its mean.
    Quantity,
}

/// The names of all controls, in their order: verdicts are made of the list that is applied, so that none tells of a
/// control that was not (`sandbox/docs/disclosure-model.md`, section 5.7).
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CONTROLS.iter().map(|control| control.name)
}

/// The names of the controls that such a figure of a stage has passed, by the same test as the step asks
/// (`sandbox/docs/disclosure-model.md`, section 5.7).
pub(crate) fn passed(figure: Figure, stage: &StageControls) -> impl Iterator<Item = &'static str> {
    CONTROLS.iter().filter(move |control| (control.holds_for)(figure, stage)).map(|control| control.name)
}

/// The batches of a stage's plan: unreadable outside the control step.
pub struct Cells {
    batches: Vec<RecordBatch>,
}

impl Cells {
    /// Takes what a stage's plan came to.
    #[must_use]
    pub fn new(batches: Vec<RecordBatch>) -> Self {
        Cells { batches }
    }

    /// Opens them, for the control step: no code outside of the guard reads a cell
    /// (`sandbox/docs/disclosure-model.md`, section 2).
    pub(crate) fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cells")
    }
}

/// A stage's released table: protected values, sorted by the group keys.
#[derive(Debug, Clone)]
pub struct ReleasedTable {
    batch: RecordBatch,
}

impl ReleasedTable {
    /// Wraps a table that passed the controls of its stage.
    pub(crate) fn of(batch: RecordBatch) -> Self {
        ReleasedTable { batch }
    }

    /// The table.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }
}

/// The protected result of one admitted query: nothing else leaves.
#[derive(Debug, Clone)]
pub struct Release {
    batch: RecordBatch,
}

impl Release {
    /// The result.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Takes batches of one schema together, any value of which may be missing.
    ///
    /// That a column cannot be missing would tell that none of its cells was withheld
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn of(schema: &Schema, batches: Vec<RecordBatch>) -> Result<Self, ControlError> {
        let nullable: Vec<Field> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(nullable));
        let alike = batches.into_iter().map(|batch| {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)
        });
        let alike = alike.collect::<Result<Vec<_>, _>>().map_err(|_| ControlError::NotCells)?;
        concat_batches(&schema, &alike).map(|batch| Release { batch }).map_err(|_| ControlError::NotCells)
    }
}

/// The reason why nothing is released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// More cells than the policy lets out at once; the whole result is withheld.
    #[error("{}", Code::TooManyCells.slug())]
    Withheld,
    /// The executor returned batches of another form than its plan has.
    #[error("the batches do not fit their plan")]
    NotCells,
    /// The last plan would join what was released to more rows than a query may make.
    #[error("{}", Code::QueryTooLarge.slug())]
    TooManyRows,
    /// A keyed function of the plan could not be given its secret: a mask, or the noise of its cells.
    #[error("a keyed function of the plan has no key")]
    Unbound,
}

/// Refuses batches whose columns have other names or types than a plan's: they are of another plan.
///
/// An executor that answers one stage with the rows of another would else have them released under its name
/// (`sandbox/docs/disclosure-model.md`, section 2).
pub(crate) fn fits(schema: &Schema, batches: &[RecordBatch]) -> Result<(), ControlError> {
    let same = |batch: &RecordBatch| {
        let (found, wanted) = (batch.schema_ref().fields(), schema.fields());
        found.len() == wanted.len()
            && found.iter().zip(wanted).all(|(found, wanted)| {
                found.name() == wanted.name() && found.data_type() == wanted.data_type()
            })
    };
    if batches.iter().all(same) { Ok(()) } else { Err(ControlError::NotCells) }
}

/// One atom of a group, as a control sees it. It has no text form, since it has passed nothing.
struct Cell<'g> {
    controls: &'g StageControls,
    classes: &'g [StageClass],
    /// The contributions of the subjects of each class.
    statistics: &'g [AtomStatistics],
    /// The subjects of each class that are in its base alone; nothing where it has no base.
    rest: Option<&'g [Rest]>,
    /// The noise of the atom, where the policy asks for noise.
    noise: Option<&'g AtomNoise>,
    /// The noise of the number that is asked for: the atom's value, or its contributors of one class.
    perturbation: Option<Perturbation>,
}

impl<'g> Cell<'g> {
    /// The classes of subjects, and what those of each contribute.
    fn by_class(&self) -> impl Iterator<Item = (&'g StageClass, &'g AtomStatistics)> {
        self.classes.iter().zip(self.statistics)
    }

    /// The value that the controls leave, each applied in its order; nothing where one of them withholds it.
    ///
    /// Rounding comes last: a control that saw rounded numbers would let a cell of k-1 people pass as one of k
    /// (`sandbox/docs/disclosure-model.md`, sections 5.4 and 5.7).
    fn after_controls(&self, figure: Figure, value: i128) -> Option<i128> {
        let in_force = CONTROLS.iter().filter(|control| (control.holds_for)(figure, self.controls));
        in_force.filter_map(|control| control.on_cell).try_fold(value, |value, on_cell| on_cell(value, self))
    }
}

/// One group of a stage before its release: its cells, and the controls that a number must pass to be read.
/// It has no text form, since its cells have passed nothing.
pub(crate) struct Group<'s> {
    stage: &'s Stage,
    /// Statistics of each atom, class by class.
    statistics: Vec<AtomStatistics>,
    /// The noise of each atom, where the policy asks for noise.
    noise: Option<Vec<AtomNoise>>,
    /// Of each atom that has a base, the subjects of each class that are in it alone.
    rest: Vec<Option<Vec<Rest>>>,
    /// The numbers with their noise, in a stage of differential privacy; nothing where the group is not shown.
    private: Option<Vec<i128>>,
}

impl<'s> Group<'s> {
    /// The groups of a stage's cells, one a row.
    ///
    /// A missing column, a missing cell or one of another width releases nothing: a group without statistics must not
    /// pass for one with none to protect (`sandbox/docs/disclosure-model.md`, section 5.2).
    ///
    /// A group whose names are not known is one of nobody: its numbers would have no noise
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    pub(crate) fn all(
        stage: &'s Stage,
        batch: &RecordBatch,
        context: &ExecutionContext,
    ) -> Result<Vec<Self>, ControlError> {
        if let Some(privacy) = &stage.controls.privacy {
            let groups = privacy::measured(stage, privacy, batch, context)?;
            let of =
                |private| Group { stage, statistics: Vec::new(), noise: None, rest: Vec::new(), private };
            return Ok(groups.into_iter().map(of).collect());
        }
        let nothing = vec![AtomStatistics::default(); stage.atoms.len() * stage.classes.len()];
        let of_nobody =
            || Group { stage, statistics: nothing.clone(), noise: None, rest: Vec::new(), private: None };
        let mut groups: Vec<Self> = (0..batch.num_rows()).map(|_| of_nobody()).collect();
        for (index, class) in stage.classes.iter().enumerate() {
            let column = batch.column_by_name(&class.cells).ok_or(ControlError::NotCells)?;
            for (group, statistics) in groups.iter_mut().zip(statistics(column, class.subjects_min)) {
                group.take(index, statistics?)?;
            }
        }
        if let Some(mut noise) = StageNoise::of(stage, context)? {
            // What passes has k subjects: groups of fewer need no noise to be withheld.
            let large = groups.iter_mut().enumerate().filter(|(_, group)| group.has_subjects());
            let keys = stage.key_columns(batch)?;
            for (row, group) in large {
                match noise.of_group(&key_values(&keys, row)?)? {
                    Some(of_atoms) => group.noise = Some(of_atoms),
                    None => group.statistics.clone_from(&nothing),
                }
            }
        }
        Ok(groups)
    }

    /// Takes the base of each of its cells: the atoms of another group, or its own where it has no other one.
    ///
    /// A base that is not there, or is of other atoms or classes, is one of nobody, so that the cell is withheld
    /// (`sandbox/docs/disclosure-model.md`, section 5.12).
    pub(crate) fn hold_to(&mut self, base: Option<&Group<'_>>) {
        let stage = self.stage;
        let own = stage.base.is_none().then_some(&*self);
        let base = base.or(own);
        let of_atom = |(at, spec): (usize, &StageAtom)| {
            let of_base = spec.base?;
            let rest = |class| self.rest_of(at, class, base, of_base).unwrap_or(Rest::OF_NOBODY);
            Some((0..stage.classes.len()).map(rest).collect())
        };
        let rest = stage.atoms.iter().enumerate().map(of_atom).collect();
        self.rest = rest;
    }

    /// The subjects of a class in an atom of a base, less those in an atom of its own.
    fn rest_of(&self, atom: usize, class: usize, base: Option<&Group<'_>>, of_base: usize) -> Option<Rest> {
        let base = base?;
        let subjects = |group: &Group<'_>, atom: usize| {
            let classes = group.stage.classes.len();
            let of_class = group.statistics.chunks_exact(classes.max(1)).nth(atom)?.get(class)?;
            Some(i128::from(of_class.contributors))
        };
        let subjects = subjects(base, of_base)?.saturating_sub(subjects(self, atom)?);
        let perturbation = match self.stage.controls.perturbation {
            None => None,
            Some(_) => Some(base.noise_of(of_base)?.less(self.noise_of(atom)?, class)?),
        };
        Some(Rest { subjects, perturbation })
    }

    /// Takes what the subjects of one class contribute to each atom.
    ///
    /// Another number of atoms would shift statistics to other atoms, whose thresholds they did not meet
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn take(&mut self, class: usize, found: Vec<AtomStatistics>) -> Result<(), ControlError> {
        if found.len() != self.stage.atoms.len() {
            return Err(ControlError::NotCells);
        }
        let places = self.statistics.iter_mut().skip(class).step_by(self.stage.classes.len());
        places.zip(found).for_each(|(place, found)| *place = found);
        Ok(())
    }

    /// True if the group has as many subjects of every class as the threshold asks for.
    ///
    /// It never decides that a group is seen: where the policy asks for noise a group without it is withheld
    /// (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn has_subjects(&self) -> bool {
        let of_rows = self.statistics.chunks_exact(self.stage.classes.len().max(1)).nth(self.stage.rows_atom);
        of_rows.is_some_and(|statistics| {
            let mut of_classes = self.stage.classes.iter().zip(statistics);
            of_classes.all(|(class, statistics)| statistics.contributors >= u64::from(class.subjects_min))
        })
    }

    /// True if the group may be seen at all: its presence passes its controls, over the atom of all its rows.
    ///
    /// A key that is shown tells that somebody has it: a row `('HIV', NULL)` of one person would be an answer
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn passes(&self) -> bool {
        if self.stage.controls.privacy.is_some() {
            return self.private.is_some();
        }
        let cell = self.cell(self.stage.rows_atom, None);
        cell.and_then(|cell| cell.after_controls(Figure::Presence, 1)).is_some()
    }

    /// An atom's value once it has passed the controls. It is rounded as the aggregate says, by [`Self::rounding`].
    ///
    /// No other way leads to the total of an atom, so that an aggregate cannot make its number of a withheld one
    /// (`sandbox/docs/disclosure-model.md`, sections 5.2 and 5.7).
    pub(crate) fn value(&self, atom: usize) -> Option<i128> {
        let figure = if self.spec(atom)?.counts { Figure::Rows } else { Figure::Quantity };
        if self.stage.controls.privacy.is_some() {
            return self.private(figure, atom);
        }
        let cell = self.cell(atom, self.noise_of(atom).map(|noise| noise.value))?;
        cell.after_controls(figure, cell.statistics.first()?.total)
    }

    /// The number of subjects of a class that contribute to an atom, once that has passed the controls of subjects.
    ///
    /// Every class must have enough, also the ones that are not counted: five firms with one employee in all are one
    /// person's five employers (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn subjects(&self, atom: usize, class: usize) -> Option<i128> {
        if self.stage.controls.privacy.is_some() {
            return self.private(Figure::Subjects, atom);
        }
        let perturbation = self.noise_of(atom).and_then(|noise| noise.subjects.get(class).copied());
        let cell = self.cell(atom, perturbation)?;
        cell.after_controls(Figure::Subjects, i128::from(cell.statistics.get(class)?.contributors))
    }

    /// A number of a stage of differential privacy, with its noise; counts are not below zero, which tells nothing further.
    fn private(&self, figure: Figure, atom: usize) -> Option<i128> {
        let place = self.stage.controls.privacy.as_ref()?.place(privacy::kind(figure), atom)?;
        let number = self.private.as_ref()?.get(place).copied()?;
        Some(if figure == Figure::Quantity { number } else { number.max(0) })
    }

    /// The specification of an atom.
    pub(crate) fn spec(&self, atom: usize) -> Option<&'s StageAtom> {
        self.stage.atoms.get(atom)
    }

    /// The rounding of the group's numbers.
    pub(crate) fn rounding(&self) -> Rounding {
        Rounding { base: self.stage.controls.rounding }
    }

    /// The deviation of the noise of an atom's value, in numbers of so many decimal places; zero without noise. It tells nothing of the
    /// data.
    pub(crate) fn deviation(&self, atom: usize, scale: u8) -> f64 {
        let units = self.noise_of(atom).map_or(0.0, |noise| noise.value.deviation);
        units / 10_f64.powi(i32::from(scale))
    }

    fn noise_of(&self, atom: usize) -> Option<&AtomNoise> {
        self.noise.as_ref()?.get(atom)
    }

    /// The cell of an atom, as the controls see it.
    ///
    /// Where the policy asks for noise there is no cell without it (`sandbox/docs/disclosure-model.md`, section 5.8).
    fn cell(&self, atom: usize, perturbation: Option<Perturbation>) -> Option<Cell<'_>> {
        let classes = self.stage.classes.len();
        let statistics = self.statistics.chunks_exact(classes.max(1)).nth(atom)?;
        let noise = self.noise_of(atom);
        if self.stage.controls.perturbation.is_some() && noise.is_none() {
            return None;
        }
        let (controls, classes) = (&self.stage.controls, self.stage.classes.as_slice());
        // A cell that should have a base, and was not held to one, is withheld.
        let has_base = self.stage.atoms.get(atom)?.base.is_some();
        let rest = self.rest.get(atom).and_then(Option::as_deref);
        let rest = if has_base { Some(rest.unwrap_or_default()) } else { None };
        Some(Cell { controls, classes, statistics, rest, noise, perturbation })
    }
}

/// The values of the keys of one group, by their columns and the group's row.
pub(crate) fn key_values(keys: &[ArrayRef], row: usize) -> Result<Vec<ScalarValue>, ControlError> {
    let values = keys.iter().map(|column| ScalarValue::try_from_array(column, row));
    values.collect::<Result<_, _>>().map_err(|_| ControlError::NotCells)
}

/// The results of a class's fold, group by group: cells, or only whether there are enough subjects.
///
/// Of enough subjects exactly k are reported, and of too few none, so that the threshold decides as the fold did; results
/// of any other type release nothing (`sandbox/docs/disclosure-model.md`, section 5.2).
fn statistics(
    column: &ArrayRef,
    subjects_min: u32,
) -> Box<dyn Iterator<Item = Result<Vec<AtomStatistics>, ControlError>> + '_> {
    if let Some(enough) = column.as_boolean_opt() {
        return Box::new(enough.iter().map(move |enough| {
            let contributors =
                if enough.ok_or(ControlError::NotCells)? { u64::from(subjects_min) } else { 0 };
            Ok(vec![AtomStatistics { contributors, ..AtomStatistics::default() }])
        }));
    }
    match column.as_binary_opt::<i32>() {
        Some(cells) => Box::new(
            cells
                .iter()
                .map(|cell| decode(cell.ok_or(ControlError::NotCells)?).map_err(|_| ControlError::NotCells)),
        ),
        None => Box::new(std::iter::once(Err(ControlError::NotCells))),
    }
}

#[cfg(test)]
mod tests;
