//! Cells: what one group's rows come to per subject, folded in one pass, opaque until the control step opens them.
//!
//! `cell_fold(subject, value...)` is an aggregate whose result holds, per atom, how many subjects contribute, the total,
//! and the largest contributions. Two modes: *runs* keeps one open run of rows per group and seals it when the subject
//! changes (constant memory, exact only where every subject's rows stand together), *map* keeps every subject until the
//! end (exact for any order). In both, what could still grow travels unsealed in the state, so that any cut of the input
//! into partitions or partial states is exact.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BinaryArray;
use arrow::array::BooleanArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::FieldRef;
use datafusion_common::DataFusionError;
use datafusion_common::Result;
use datafusion_common::ScalarValue;
use datafusion_expr::Accumulator;
use datafusion_expr::AggregateUDF;
use datafusion_expr::AggregateUDFImpl;
use datafusion_expr::EmitTo;
use datafusion_expr::GroupsAccumulator;
use datafusion_expr::Signature;
use datafusion_expr::Volatility;
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::function::StateFieldsArgs;
use datafusion_expr::utils::AggregateOrderSensitivity;

mod columns;
mod fold;
mod statistics;
mod unsealed;

pub(crate) use columns::AtomSpec;
pub(crate) use columns::MeasureSpec;
pub(crate) use statistics::AtomStatistics;
pub(crate) use statistics::LARGEST_KEPT;
pub(crate) use statistics::decode;
pub(crate) use statistics::decode_runs;

use columns::CellColumns;
use fold::Folds;

/// Name under which the fold appears in plans.
pub const CELL_FOLD_NAME: &str = "obscura_cell_fold";

/// The way that subjects are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subjects {
    /// By the first argument; any order of rows.
    Mapped,
    /// By the first argument; every subject's rows stand together.
    Clustered,
    /// Each row is its own subject; there is no subject argument.
    EachRow,
}

/// The fold of one boundary and one class of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellFold {
    subjects: Subjects,
    atoms: Vec<AtomSpec>,
    /// After so many contributors subjects need not be told apart; `None` tells all of them apart.
    enough: Option<u64>,
    /// The result holds what each subject contributes, and not what they come to together.
    by_subject: bool,
    signature: Signature,
}

impl CellFold {
    fn groups(&self) -> CellGroups {
        CellGroups {
            columns: CellColumns::new(self.subjects, &self.atoms),
            folds: Folds::new(self.subjects, self.atoms.len(), self.enough),
            subjects: self.subjects,
            width: self.atoms.len(),
            enough: self.enough,
            by_subject: self.by_subject,
        }
    }

    /// Folds these atoms. With `enough`, the number of contributors and the largest contributions are exact only until
    /// every atom of a group has so many contributors; totals always are.
    ///
    /// If a subject's rows may come in any order, it can only be told early to contribute if no later row can take its
    /// contribution back to zero: `enough` is left out of account for measures that may be of either sign, or a subject
    /// whose rows cancel would count towards the threshold (`sandbox/docs/disclosure-model.md`, section 5.2).
    pub(crate) fn new(subjects: Subjects, atoms: Vec<AtomSpec>, enough: Option<u64>) -> Self {
        let is_final = subjects != Subjects::Mapped || atoms.iter().all(AtomSpec::keeps_its_sign);
        let enough = enough.filter(|_| is_final);
        let signature = Signature::variadic_any(Volatility::Immutable);
        CellFold { subjects, atoms, enough, by_subject: false, signature }
    }

    /// Folds these atoms and keeps every subject apart, for differential privacy: the control step chooses the groups in which a
    /// subject counts, and for that it must see all groups of one (`sandbox/docs/disclosure-model.md`, section 5.9).
    pub(crate) fn by_subject(atoms: Vec<AtomSpec>) -> Self {
        CellFold { by_subject: true, ..CellFold::new(Subjects::Mapped, atoms, None) }
    }

    pub(crate) fn subjects(&self) -> Subjects {
        self.subjects
    }

    pub(crate) fn atoms(&self) -> &[AtomSpec] {
        &self.atoms
    }

    pub(crate) fn enough(&self) -> Option<u64> {
        self.enough
    }

    pub(crate) fn is_by_subject(&self) -> bool {
        self.by_subject
    }

    /// True when the fold relies on every subject's rows standing together: the engine must then check the physical plan.
    ///
    /// A subject whose rows come in two runs would be sealed twice and count as two, so that k/2 people pass the
    /// threshold (`sandbox/docs/disclosure-model.md`, sections 2 and 5.2).
    #[must_use]
    pub fn needs_clustered_input(&self) -> bool {
        self.subjects == Subjects::Clustered
    }
}

/// The fold that an aggregate of a plan is; nothing for any other one.
pub(crate) fn fold_of(function: &AggregateUDF) -> Option<&CellFold> {
    (function.inner().as_ref() as &dyn Any).downcast_ref::<CellFold>()
}

impl AggregateUDFImpl for CellFold {
    fn name(&self) -> &str {
        CELL_FOLD_NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut groups = self.groups();
        groups.folds.grow(1);
        Ok(Box::new(CellAccumulator { groups }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups()))
    }
}

/// The fold over all rows at once (no GROUP BY): the fold of one group.
struct CellAccumulator {
    groups: CellGroups,
}

impl std::fmt::Debug for CellAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CellAccumulator")
    }
}

impl Accumulator for CellAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let batch = self.groups.columns.read(values)?;
        self.groups.folds.add(&batch, |_row| Some(0));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let finish = self.groups.finish();
        Ok(ScalarValue::Binary(Some(finish(&mut self.groups.folds, 0))))
    }

    fn size(&self) -> usize {
        self.groups.folds.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.groups.folds.state(0)))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states_of(states)?.iter().flatten().try_for_each(|state| self.groups.folds.merge(0, state))
    }
}

/// The fold per group.
struct CellGroups {
    columns: CellColumns,
    folds: Folds,
    subjects: Subjects,
    width: usize,
    enough: Option<u64>,
    by_subject: bool,
}

impl CellGroups {
    /// The last step of a group: its statistics, or the contributions of each of its subjects.
    fn finish(&self) -> fn(&mut Folds, usize) -> Vec<u8> {
        if self.by_subject { Folds::state } else { Folds::finish }
    }

    fn emit(&mut self, emit_to: EmitTo, finish: impl Fn(&mut Folds, usize) -> Vec<u8>) -> ArrayRef {
        let groups = match emit_to {
            EmitTo::All => self.folds.groups(),
            EmitTo::First(groups) => groups,
        };
        let cells = (0..groups).map(|group| finish(&mut self.folds, group));
        let cells: ArrayRef = Arc::new(BinaryArray::from_iter_values(cells));
        self.folds.forget_first(groups);
        cells
    }
}

impl GroupsAccumulator for CellGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.folds.grow(total_num_groups);
        let batch = self.columns.read(values)?;
        self.folds.add(&batch, |row| {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid_and_true(row));
            group_indices.get(row).copied().filter(|_| counts)
        });
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let finish = self.finish();
        Ok(self.emit(emit_to, finish))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to, Folds::state)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.folds.grow(total_num_groups);
        for (state, group) in states_of(values)?.iter().zip(group_indices) {
            if let Some(state) = state {
                self.folds.merge(*group, state)?;
            }
        }
        Ok(())
    }

    /// One state per row: every row's subject travels unsealed, so merging them is exact and counts nobody twice
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let batch = self.columns.read(values)?;
        let mut folds = Folds::new(self.subjects, self.width, self.enough);
        folds.grow(batch.rows());
        folds.add(&batch, |row| {
            Some(row).filter(|row| opt_filter.is_none_or(|filter| filter.is_valid_and_true(*row)))
        });
        let states = (0..batch.rows()).map(|row| folds.state(row));
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn size(&self) -> usize {
        self.folds.bytes()
    }
}

trait ValidAndTrue {
    fn is_valid_and_true(&self, row: usize) -> bool;
}

impl ValidAndTrue for BooleanArray {
    fn is_valid_and_true(&self, row: usize) -> bool {
        arrow::array::Array::is_valid(self, row) && self.value(row)
    }
}

fn states_of(states: &[ArrayRef]) -> Result<&BinaryArray> {
    states
        .first()
        .and_then(|state| state.as_any().downcast_ref::<BinaryArray>())
        .ok_or_else(|| DataFusionError::Internal("cell state is not binary".to_owned()))
}

#[cfg(test)]
mod tests;
