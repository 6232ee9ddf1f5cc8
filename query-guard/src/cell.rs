//! Cells: what one group's rows come to per subject, folded in one pass, opaque until the control step opens them.
//!
//! `cell_fold(subject, value...)` is an aggregate whose result holds, per atom, how many subjects contribute, the total,
//! and the largest contributions. Two modes: *runs* keeps one open run of rows per group and seals it when the subject
//! changes (constant memory, exact only where every subject's rows stand together), *map* keeps every subject until the
//! end (exact for any order). In both, what could still grow travels unsealed in the state, so that any cut of the input
//! into partitions or partial states is exact.

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

pub(crate) use columns::AtomSpec;
pub(crate) use columns::MeasureSpec;
pub(crate) use fold::AtomStatistics;
pub(crate) use fold::LARGEST_KEPT;
pub(crate) use fold::decode;

use columns::CellColumns;
use fold::Fold;

/// Name under which the fold appears in plans.
pub const CELL_FOLD_NAME: &str = "obscura_cell_fold";

/// How subjects are told apart.
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
    signature: Signature,
}

impl CellFold {
    pub(crate) fn new(subjects: Subjects, atoms: Vec<AtomSpec>) -> Self {
        CellFold { subjects, atoms, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    /// True when the fold relies on every subject's rows standing together: the engine must then check the physical plan.
    #[must_use]
    pub fn needs_clustered_input(&self) -> bool {
        self.subjects == Subjects::Clustered
    }
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
        Ok(Box::new(CellAccumulator {
            columns: CellColumns::new(self.subjects, &self.atoms),
            fold: Fold::new(self.subjects, self.atoms.len()),
        }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(CellGroups {
            columns: CellColumns::new(self.subjects, &self.atoms),
            subjects: self.subjects,
            width: self.atoms.len(),
            folds: Vec::new(),
            bytes: 0,
        }))
    }
}

/// The fold over all rows at once (no GROUP BY).
struct CellAccumulator {
    columns: CellColumns,
    fold: Fold,
}

impl std::fmt::Debug for CellAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CellAccumulator")
    }
}

impl Accumulator for CellAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let batch = self.columns.read(values)?;
        for row in 0..batch.rows() {
            self.fold.add(batch.subject(row), &batch, row);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.fold.finish())))
    }

    fn size(&self) -> usize {
        self.fold.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.fold.state()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states_of(states)?.iter().flatten() {
            self.fold.merge(state)?;
        }
        Ok(())
    }
}

/// The fold per group.
struct CellGroups {
    columns: CellColumns,
    subjects: Subjects,
    width: usize,
    folds: Vec<Fold>,
    /// Memory held by the folds, kept up to date as they grow.
    bytes: usize,
}

impl CellGroups {
    fn grow(&mut self, total_num_groups: usize) {
        let (subjects, width) = (self.subjects, self.width);
        let before = self.folds.len();
        self.folds.resize_with(total_num_groups.max(before), || Fold::new(subjects, width));
        self.bytes += self.folds.iter().skip(before).map(Fold::bytes).sum::<usize>();
    }

    fn emit(&mut self, emit_to: EmitTo, finish: impl Fn(&mut Fold) -> Vec<u8>) -> ArrayRef {
        let mut folds = emit_to.take_needed(&mut self.folds);
        self.bytes = self.folds.iter().map(Fold::bytes).sum();
        Arc::new(BinaryArray::from_iter_values(folds.iter_mut().map(finish)))
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
        self.grow(total_num_groups);
        let batch = self.columns.read(values)?;
        for (row, group) in group_indices.iter().enumerate() {
            if opt_filter.is_some_and(|filter| !(filter.is_valid_and_true(row))) {
                continue;
            }
            if let Some(fold) = self.folds.get_mut(*group) {
                self.bytes += fold.add(batch.subject(row), &batch, row);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to, Fold::finish))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to, Fold::state)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        for (state, group) in states_of(values)?.iter().zip(group_indices) {
            if let (Some(state), Some(fold)) = (state, self.folds.get_mut(*group)) {
                self.bytes += fold.merge(state)?;
            }
        }
        Ok(())
    }

    /// One state per row: every row's subject travels unsealed, so merging them is exact.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let batch = self.columns.read(values)?;
        let states = (0..batch.rows()).map(|row| {
            let mut fold = Fold::new(self.subjects, self.width);
            if opt_filter.is_none_or(|filter| filter.is_valid_and_true(row)) {
                fold.add(batch.subject(row), &batch, row);
            }
            fold.state()
        });
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn size(&self) -> usize {
        self.bytes
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
