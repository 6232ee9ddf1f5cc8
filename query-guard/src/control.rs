//! The control step: opens cells, withholds what must not leave, rounds the rest
//! (`sandbox/docs/disclosure-model.md`, section 5).
//! What passes is all that later plans and the analyst ever see.
//!
//! Order: threshold per group, threshold per atom, dominance, rounding. Tested at k-1, k and k+1.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;

use crate::cell::AtomStatistics;
use crate::cell::decode;
use crate::finding::Code;
use crate::plan::Stage;
use crate::plan::StageAtom;

mod dominance;
pub(crate) mod number;
pub(crate) mod rounding;
mod threshold;

use dominance::is_dominated;
use rounding::Rounding;
use threshold::has_subjects;

/// The controls, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Control {
    /// Counts over a subject's own rows are cut off while the cells are folded.
    TopCoded,
    /// [`threshold`].
    Threshold,
    /// [`dominance`].
    Dominance,
    /// [`rounding`].
    Rounded,
}

impl Control {
    /// Its name in verdicts and release records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Control::TopCoded => "top-coded",
            Control::Threshold => "threshold",
            Control::Dominance => "dominance",
            Control::Rounded => "rounded",
        }
    }
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

    /// Opens them, for the control step.
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

/// What leaves: the protected result of one admitted query.
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

/// Why nothing is released.
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
    /// A keyed mask of the plan could not be given its secret.
    #[error("a mask could not be bound to its key")]
    Unbound,
}

/// Refuses batches whose columns have other names or types than a plan's: they are of another plan.
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

/// One group of a stage before its release: what its cells hold, and the controls that a number must pass to be read.
/// It has no text form, since its cells have passed nothing.
pub(crate) struct Group<'s> {
    stage: &'s Stage,
    /// Statistics of each class, by atom.
    statistics: Vec<Vec<AtomStatistics>>,
}

impl<'s> Group<'s> {
    /// The groups of a stage's cells, one a row.
    pub(crate) fn all(stage: &'s Stage, batch: &RecordBatch) -> Result<Vec<Self>, ControlError> {
        let mut groups: Vec<Self> = (0..batch.num_rows())
            .map(|_| Group { stage, statistics: Vec::with_capacity(stage.classes.len()) })
            .collect();
        for class in &stage.classes {
            let column = batch.column_by_name(&class.cells).ok_or(ControlError::NotCells)?;
            for (group, statistics) in groups.iter_mut().zip(statistics(column, class.subjects_min)) {
                let statistics = statistics?;
                if statistics.len() != stage.atoms.len() {
                    return Err(ControlError::NotCells);
                }
                group.statistics.push(statistics);
            }
        }
        Ok(groups)
    }

    /// Whether the group may be seen at all: the threshold over all its rows.
    pub(crate) fn passes(&self) -> bool {
        has_subjects(&self.stage.classes, &self.statistics, self.stage.rows_atom)
    }

    /// An atom's value once it has passed the controls in their order: threshold, then dominance. It is rounded as the
    /// aggregate says, by [`Self::rounding`].
    pub(crate) fn value(&self, atom: usize) -> Option<i128> {
        if !has_subjects(&self.stage.classes, &self.statistics, atom) || self.is_dominated(atom) {
            return None;
        }
        self.statistics.first()?.get(atom).map(|statistics| statistics.total)
    }

    /// How many subjects of a class contribute to an atom, once it has passed the threshold. It is a frequency: every
    /// subject counts once, so that nobody can dominate it.
    pub(crate) fn subjects(&self, atom: usize, class: usize) -> Option<i128> {
        if !has_subjects(&self.stage.classes, &self.statistics, atom) {
            return None;
        }
        Some(i128::from(self.statistics.get(class)?.get(atom)?.contributors))
    }

    /// The specification of an atom.
    pub(crate) fn spec(&self, atom: usize) -> Option<&'s StageAtom> {
        self.stage.atoms.get(atom)
    }

    /// How the group's numbers are rounded.
    pub(crate) fn rounding(&self) -> Rounding {
        Rounding { base: self.stage.controls.rounding }
    }

    fn is_dominated(&self, atom: usize) -> bool {
        self.stage.controls.dominance.is_some_and(|rule| {
            let mut of_classes = self.statistics.iter();
            of_classes.any(|atoms| atoms.get(atom).is_none_or(|statistics| is_dominated(statistics, rule)))
        })
    }
}

/// What a class's fold came to, group by group: cells, or only whether there are enough subjects.
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
