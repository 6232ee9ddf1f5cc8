//! The decision if a mask may lower a column's grade (`grade_after`), and the grades that a policy lowers.
//! It serves the job, which goes by the column's own grade where the answer is no, and the finding that a steward reads
//! before a policy is published. Only an `Exception` goes below a floor otherwise.

use crate::document::Column;
use crate::document::Dataset;
use crate::document::Policy;
use crate::library::Library;
use crate::mask::Coarsening;
use crate::mask::DeclaredValues;
use crate::mask::Mask;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Level;
use crate::vocabulary::Text;

/// The grade from which on no mask lowers: what leaves there rests on noise alone.
const NEVER_LOWERED: Level = Level(4);
/// The grade that no mask leads to where rows belong to protected subjects: it leaves as rows.
const OPEN: Level = Level(1);

/// The reason why a mask may not lower a grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The grade is one that no mask lowers.
    FromStrictest,
    /// The rows belong to protected subjects and would be open.
    OpensSubjects,
    /// More than one level down.
    TooFar,
    /// The mask does not coarsen what the column is declared to hold.
    ChangesNothing(Coarsening),
}

/// A grade that a policy lowers by a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoweredGrade {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its column.
    pub column: ColumnName,
    /// Grade of the column.
    pub from: Level,
    /// Grade that counts once the mask has been applied.
    pub to: Level,
    /// The mask that all rules of the policy come to.
    pub mask: &'static str,
}

impl LoweredGrade {
    /// The text that the second person reads before the policy is in force.
    #[must_use]
    pub fn text(&self) -> Text {
        let Self { dataset, column, from, to, mask } = self;
        Text::new(
            format!("grade of {dataset}.{column}: {from} to {to} by mask {mask}"),
            format!("{dataset}.{column} 的分级：经脱敏 {mask} 由 {from} 降为 {to}"),
        )
    }
}

/// Decides whether a mask leads from one grade to another.
///
/// A grade that the rule leaves as it is, or makes stricter, needs no ground. A lower one needs all four: it is not the
/// strictest, opens no rows of protected subjects, lies one level down, and the mask coarsens the declared values. A mask that
/// changes nothing (`keep_first: 255`, `bin: 0.000001`, `top: 999999999`) would otherwise release exact rows.
pub(crate) fn judge(
    dataset: &Dataset,
    column: &Column,
    mask: &Mask,
    from: Level,
    to: Level,
) -> Result<(), Unfit> {
    if to >= from {
        return Ok(());
    }
    if from >= NEVER_LOWERED {
        return Err(Unfit::FromStrictest);
    }
    if to <= OPEN && dataset.units.iter().any(|unit| unit.protects) {
        return Err(Unfit::OpensSubjects);
    }
    if to.0.saturating_add(1) < from.0 {
        return Err(Unfit::TooFar);
    }
    match mask.coarsening(&declared(column)) {
        Coarsening::Coarser => Ok(()),
        other => Err(Unfit::ChangesNothing(other)),
    }
}

fn declared(column: &Column) -> DeclaredValues<'_> {
    DeclaredValues {
        data_type: column.physical_type(),
        scale: column.sum_scale(),
        domain: column.domain.as_deref(),
        range: column.range.map(|range| (range.0, range.1)),
        semantic: column.semantic.as_ref().map(crate::vocabulary::Semantic::as_str),
    }
}

impl Library {
    /// The grades that a policy lowers by its masks, as they would count in a job: what the second person must see.
    #[must_use]
    pub fn lowered(&self, policy: &Policy) -> Vec<LoweredGrade> {
        let datasets = policy.object.resources.datasets.iter().filter_map(|id| self.datasets.get(id));
        datasets.flat_map(|dataset| self.lowered_in(policy, dataset)).collect()
    }

    fn lowered_in(&self, policy: &Policy, dataset: &Dataset) -> Vec<LoweredGrade> {
        let Some(terms) = self.terms(policy, dataset) else { return Vec::new() };
        let lowered = dataset.columns.iter().filter_map(|column| {
            let terms = terms.columns.get(column.name.as_str())?;
            let (from, to) = (self.column_level(dataset, column)?, terms.grade_after);
            let mask = terms.mask.as_ref()?.name();
            (to < from).then(|| LoweredGrade {
                dataset: dataset.metadata.id.clone(),
                column: column.name.clone(),
                from,
                to,
                mask,
            })
        });
        lowered.collect()
    }
}
