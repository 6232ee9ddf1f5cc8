//! From a stage's cells to its released table: groups that pass, their keys in order, and a number or NULL in each cell.
//! `control` decides which numbers may be read, and `aggregate` makes a column's number of them.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use arrow::compute::SortColumn;
use arrow::compute::SortOptions;
use arrow::compute::cast;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::compute::lexsort_to_indices;
use arrow::compute::partition;
use arrow::compute::take_record_batch;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;

use crate::aggregate::number;
use crate::context::ExecutionContext;
use crate::control::Cells;
use crate::control::ControlError;
use crate::control::Group;
use crate::control::ReleasedTable;
use crate::control::complementary::SetOfGroups;
use crate::control::complementary::complementary;
use crate::control::fits;
use crate::control::key_values;
use crate::plan::KeyColumn;
use crate::plan::ReleasedColumn;
use crate::plan::Stage;

/// Applies the controls to the cells of one stage, or of all sets of keys by which a statement groups the same rows.
///
/// A group that fails has no row, and nothing says how many there were: suppressed, empty and never-existing groups look
/// alike (`sandbox/docs/disclosure-model.md`, section 5.2). A table of very many cells reconstructs its rows (Dinur and
/// Nissim 2003), so that one with more than the policy lets out is withheld as a whole, and so are several sets that have more
/// together.
///
/// There is a table for each stage that is no base of another one's cells.
///
/// # Errors
/// [`ControlError::Withheld`] when more cells pass than the policy lets out at once.
pub(crate) fn release(
    stages: &[Stage],
    cells: Vec<Cells>,
    context: &ExecutionContext,
) -> Result<Vec<ReleasedTable>, ControlError> {
    let (mut opened, mut bases) = (Vec::with_capacity(stages.len()), BTreeMap::new());
    for (stage, cells) in stages.iter().zip(cells) {
        if stage.is_base {
            bases.insert(stage.name.as_str(), Bases::of(OpenedCells::of(stage, cells, None, context)?)?);
        } else {
            let base = stage.base.as_ref().map(|base| bases.get(base.stage.as_str()));
            // A stage that is held to the bases of another one is not read without them.
            let base = base.map(|base| base.ok_or(ControlError::NotCells)).transpose()?;
            opened.push(OpenedCells::of(stage, cells, base, context)?);
        }
    }
    if stages.iter().any(|stage| stage.controls.complementary) {
        let sets = opened.iter_mut().map(OpenedCells::as_set);
        complementary(&mut sets.collect::<Result<Vec<_>, _>>()?)?;
    }
    let mut cell_count: usize = 0;
    let mut tables = Vec::with_capacity(opened.len());
    for cells in &opened {
        let table = cells.table()?;
        let columns = cells.stage.columns.len().max(1);
        cell_count = cell_count.saturating_add(table.batch().num_rows().saturating_mul(columns));
        let most = cells.stage.controls.cells_max.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        if !cells.stage.keys.is_empty() && most.is_some_and(|most| cell_count > most) {
            return Err(ControlError::Withheld);
        }
        tables.push(table);
    }
    Ok(tables)
}

/// The cells of a stage, opened: its groups, and which of them have a row. It has no text form, since its cells have passed nothing.
struct OpenedCells<'s> {
    stage: &'s Stage,
    batch: RecordBatch,
    groups: Vec<Group<'s>>,
    /// Of each group: it may be seen.
    shown: Vec<bool>,
}

impl<'s> OpenedCells<'s> {
    /// Opens cells, and asks of each group if it may be seen at all.
    fn of(
        stage: &'s Stage,
        cells: Cells,
        bases: Option<&Bases<'_>>,
        context: &ExecutionContext,
    ) -> Result<Self, ControlError> {
        let batches = cells.into_batches();
        let planned = stage.plan.schema().as_arrow();
        fits(planned, &batches)?;
        let schema = batches.first().map_or_else(|| Arc::new(planned.clone()), RecordBatch::schema);
        let batch = concat_batches(&schema, &batches).map_err(|_| ControlError::NotCells)?;
        let mut groups = Group::all(stage, &batch, context)?;
        if stage.controls.homogeneity {
            let keys = stage.key_columns(&batch)?;
            let of_base = stage.base.iter().flat_map(|base| &base.keys);
            let of_base: Vec<ArrayRef> = of_base.filter_map(|key| keys.get(*key).cloned()).collect();
            for (row, group) in groups.iter_mut().enumerate() {
                let base = bases.map(|bases| bases.get(&of_base, row)).transpose()?;
                group.hold_to(base.flatten());
            }
        }
        // All people are one group, even where there is nobody; a group that fails is a row of NULLs.
        if stage.keys.is_empty() && groups.len() != 1 {
            return Err(ControlError::NotCells);
        }
        let shown = groups.iter().map(|group| !stage.is_hidden() && group.passes()).collect();
        Ok(OpenedCells { stage, batch, groups, shown })
    }

    /// The released table: groups that are seen, in the order of their keys.
    fn table(&self) -> Result<ReleasedTable, ControlError> {
        let stage = self.stage;
        let shown: Vec<Option<&Group<'_>>> =
            self.groups.iter().zip(&self.shown).map(|(group, shown)| shown.then_some(group)).collect();
        if stage.keys.is_empty() {
            return stage.table(Vec::new(), &shown);
        }
        let table = stage.table(self.keys()?, &shown)?;
        let mask: BooleanArray = shown.iter().map(|group| Some(group.is_some())).collect();
        let released = filter_record_batch(table.batch(), &mask).map_err(|_| ControlError::NotCells)?;
        let batch = sorted(released, stage.keys.len())?;
        // A group in two rows would have been held to its threshold twice, by halves: the engine's fault, and nothing leaves.
        let keys = batch.columns().get(..stage.keys.len()).unwrap_or_default();
        let distinct = partition(keys).map_err(|_| ControlError::NotCells)?.len();
        if distinct != batch.num_rows() {
            return Err(ControlError::NotCells);
        }
        Ok(ReleasedTable::of(batch))
    }

    fn as_set(&mut self) -> Result<SetOfGroups<'_, 's>, ControlError> {
        let keys = self.keys()?;
        Ok(SetOfGroups { stage: self.stage, keys, groups: &self.groups, shown: &mut self.shown })
    }

    /// The columns of its keys.
    fn keys(&self) -> Result<Vec<ArrayRef>, ControlError> {
        let column = |key: &KeyColumn| self.batch.column_by_name(&key.name).map(Arc::clone);
        self.stage.keys.iter().map(|key| column(key).ok_or(ControlError::NotCells)).collect()
    }
}

/// The groups of a stage that are the bases of another one's, by their keys.
struct Bases<'s> {
    groups: Vec<Group<'s>>,
    by_keys: HashMap<Vec<ScalarValue>, usize>,
}

impl<'s> Bases<'s> {
    fn of(cells: OpenedCells<'s>) -> Result<Self, ControlError> {
        let keys = cells.stage.key_columns(&cells.batch)?;
        let by_keys = (0..cells.groups.len()).map(|row| Ok((key_values(&keys, row)?, row)));
        let by_keys = by_keys.collect::<Result<HashMap<_, _>, ControlError>>()?;
        // A group in two rows is one by halves.
        if by_keys.len() != cells.groups.len() {
            return Err(ControlError::NotCells);
        }
        Ok(Bases { groups: cells.groups, by_keys })
    }

    /// The base of the group in a row of another stage, by the columns of its keys there.
    fn get(&self, keys: &[ArrayRef], row: usize) -> Result<Option<&Group<'s>>, ControlError> {
        let found = self.by_keys.get(&key_values(keys, row)?);
        Ok(found.and_then(|at| self.groups.get(*at)))
    }
}

impl Stage {
    /// The columns of the keys, in the types that their values have in names.
    pub(crate) fn key_columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ControlError> {
        let column = |key: &KeyColumn| {
            let column = batch.column_by_name(&key.name).ok_or(ControlError::NotCells)?;
            cast(column, &key.data_type).map_err(|_| ControlError::NotCells)
        };
        self.keys.iter().map(column).collect()
    }

    /// The table of all groups: their keys, and a row of NULLs beside those of a group that is not shown.
    ///
    /// The numbers of such a group are never made, so that nothing of them stays in the table when its row is taken out
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn table(
        &self,
        mut arrays: Vec<ArrayRef>,
        groups: &[Option<&Group<'_>>],
    ) -> Result<ReleasedTable, ControlError> {
        let mut fields: Vec<Field> =
            self.keys.iter().map(|key| Field::new(&key.name, key.data_type.clone(), true)).collect();
        for column in &self.columns {
            let values: Vec<ScalarValue> = groups.iter().map(|group| value(column, *group)).collect();
            let array = if values.is_empty() {
                Ok(arrow::array::new_empty_array(&column.data_type))
            } else {
                ScalarValue::iter_to_array(values)
            };
            arrays.push(array.map_err(|_| ControlError::NotCells)?);
            fields.push(Field::new(&column.name, column.data_type.clone(), true));
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(groups.len()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map(ReleasedTable::of)
            .map_err(|_| ControlError::NotCells)
    }
}

/// One released value, or NULL of the column's type.
///
/// A value that a control withholds looks like one that there is not, such as a mean over nothing: a mark of its own
/// would tell that somebody is there (`sandbox/docs/disclosure-model.md`, section 5.2).
fn value(column: &ReleasedColumn, group: Option<&Group<'_>>) -> ScalarValue {
    let number = group.and_then(|group| number(&column.formula, group));
    let null = ScalarValue::try_from(&column.data_type).unwrap_or(ScalarValue::Null);
    number.and_then(|number| number.into_type(&column.data_type)).unwrap_or(null)
}

/// The rows in the order of their keys.
///
/// The order in which the engine's threads found the groups would differ between runs, and may follow what is in the data
/// (`sandbox/docs/disclosure-model.md`, sections 5.7 and 6).
fn sorted(batch: RecordBatch, keys: usize) -> Result<RecordBatch, ControlError> {
    if keys == 0 || batch.num_rows() < 2 {
        return Ok(batch);
    }
    let columns: Vec<SortColumn> = batch
        .columns()
        .iter()
        .take(keys)
        .map(|column| SortColumn {
            values: Arc::clone(column),
            options: Some(SortOptions { descending: false, nulls_first: false }),
        })
        .collect();
    let order = lexsort_to_indices(&columns, None).map_err(|_| ControlError::NotCells)?;
    take_record_batch(&batch, &order).map_err(|_| ControlError::NotCells)
}
