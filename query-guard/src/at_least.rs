//! `at_least_subjects(k)`: whether a group rests on at least k distinct subjects, in constant memory per group.
//!
//! For plans that need nothing more than the threshold. It remembers at most k distinct subjects and stops looking then,
//! so it is exact for any order of rows and any cut into partitions. Subjects are the sealed 64-bit tokens.

use std::any::Any;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::Int64Builder;
use arrow::array::ListArray;
use arrow::array::ListBuilder;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::FieldRef;
use arrow::datatypes::Int64Type;
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

/// Name under which the aggregate appears in plans.
pub const AT_LEAST_NAME: &str = "obscura_at_least_subjects";

/// Makes the aggregate for one threshold; its argument is the subject's token (`Int64`, NULL is no subject).
///
/// The result is TRUE from `subjects_min` distinct subjects on, FALSE below, never NULL. Rows are no subjects: one person
/// with k rows is a group of one, so that tokens are told apart exactly and not estimated
/// (`sandbox/docs/disclosure-model.md`, section 5.2; Sweeney 2002).
#[must_use]
pub fn at_least_subjects(subjects_min: u32) -> AggregateUDF {
    let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
    AggregateUDF::new_from_impl(AtLeastSubjects { subjects_min, signature })
}

/// The threshold of such an aggregate; nothing for any other one.
pub(crate) fn least_of(function: &AggregateUDF) -> Option<u32> {
    let at_least = (function.inner().as_ref() as &dyn Any).downcast_ref::<AtLeastSubjects>()?;
    Some(at_least.subjects_min)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AtLeastSubjects {
    subjects_min: u32,
    signature: Signature,
}

impl AggregateUDFImpl for AtLeastSubjects {
    fn name(&self) -> &str {
        AT_LEAST_NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        Ok(vec![Arc::new(Field::new(format!("{}[subjects]", args.name), DataType::List(item), true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup { groups: self.groups() }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups()))
    }
}

impl AtLeastSubjects {
    fn groups(&self) -> Groups {
        let wanted = usize::try_from(self.subjects_min).unwrap_or(usize::MAX);
        Groups { wanted, subjects: Vec::new() }
    }
}

/// At most k distinct subjects per group.
struct Groups {
    wanted: usize,
    subjects: Vec<Vec<i64>>,
}

impl Groups {
    /// Remembers a subject of a group until there are enough.
    ///
    /// It stops at k different tokens: nothing needs the exact number, and a group then takes no more memory
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn add(&mut self, group: usize, subject: i64) {
        if let Some(known) = self.subjects.get_mut(group)
            && known.len() < self.wanted
            && !known.contains(&subject)
        {
            known.push(subject);
        }
    }

    fn grow(&mut self, total_num_groups: usize) {
        let groups = total_num_groups.max(self.subjects.len());
        self.subjects.resize_with(groups, Vec::new);
    }

    /// The state of groups: their subjects themselves, and not how many there are.
    ///
    /// Two partial states may hold the same person, whom the sum of two numbers would count twice
    /// (`sandbox/docs/disclosure-model.md`, section 5.2).
    fn lists(groups: &[Vec<i64>]) -> ListArray {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for subjects in groups {
            lists.values().append_slice(subjects);
            lists.append(true);
        }
        lists.finish()
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let subjects = values
            .first()
            .and_then(|array| array.as_primitive_opt::<Int64Type>())
            .ok_or_else(not_subjects)?;
        for (row, (subject, group)) in subjects.iter().zip(group_indices).enumerate() {
            let counted = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (Some(subject), true) = (subject, counted) {
                self.add(*group, subject);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.subjects);
        Ok(Arc::new(
            groups.iter().map(|subjects| Some(subjects.len() >= self.wanted)).collect::<BooleanArray>(),
        ))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = emit_to.take_needed(&mut self.subjects);
        Ok(vec![Arc::new(Self::lists(&groups))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let lists = values.first().and_then(|array| array.as_list_opt::<i32>()).ok_or_else(not_subjects)?;
        for (list, group) in lists.iter().zip(group_indices) {
            let Some(list) = list else { continue };
            let subjects = list.as_primitive_opt::<Int64Type>().ok_or_else(not_subjects)?;
            subjects.iter().flatten().for_each(|subject| self.add(*group, subject));
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let subjects = values
            .first()
            .and_then(|array| array.as_primitive_opt::<Int64Type>())
            .ok_or_else(not_subjects)?;
        let counted = |row: usize| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let rows: Vec<Vec<i64>> = subjects
            .iter()
            .enumerate()
            .map(|(row, subject)| subject.filter(|_| counted(row)).into_iter().collect())
            .collect();
        Ok(vec![Arc::new(Self::lists(&rows))])
    }

    fn size(&self) -> usize {
        self.subjects.capacity() * size_of::<Vec<i64>>()
            + self.subjects.len() * self.wanted * size_of::<i64>()
    }
}

/// The same over all rows at once.
struct OneGroup {
    groups: Groups,
}

impl std::fmt::Debug for OneGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtLeastSubjects")
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |array| array.len());
        self.groups.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let enough = self.groups.subjects.first().map_or(0, Vec::len) >= self.groups.wanted;
        Ok(ScalarValue::Boolean(Some(enough)))
    }

    fn size(&self) -> usize {
        self.groups.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.groups.grow(1);
        Ok(vec![ScalarValue::List(Arc::new(Groups::lists(&self.groups.subjects)))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |array| array.len());
        self.groups.merge_batch(states, &vec![0; rows], 1)
    }
}

fn not_subjects() -> DataFusionError {
    DataFusionError::Internal("at_least_subjects takes the subject's token".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::Int64Array;
    use proptest::prelude::*;

    use super::*;

    fn groups(wanted: usize) -> Groups {
        Groups { wanted, subjects: Vec::new() }
    }

    fn update(target: &mut Groups, rows: &[(usize, i64)]) {
        let subjects: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>());
        let indices: Vec<usize> = rows.iter().map(|row| row.0).collect();
        target.update_batch(&[subjects], &indices, None, 3).unwrap();
    }

    proptest! {
        #[test]
        fn any_order_and_any_cut_is_exact(rows in prop::collection::vec((0..3_usize, 0..8_i64), 0..60), cut in 0..60_usize, wanted in 1..6_usize) {
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let mut merged = groups(wanted);
            for part in [left, right] {
                let mut partial = groups(wanted);
                update(&mut partial, part);
                merged.merge_batch(&partial.state(EmitTo::All).unwrap(), &[0, 1, 2], 3).unwrap();
            }
            let result = merged.evaluate(EmitTo::All).unwrap();
            for (group, enough) in result.as_boolean().iter().enumerate() {
                let distinct: BTreeSet<i64> = rows.iter().filter(|row| row.0 == group).map(|row| row.1).collect();
                prop_assert_eq!(enough, Some(distinct.len() >= wanted));
            }
        }
    }

    #[test]
    fn one_subject_with_many_rows_is_one_and_memory_stays_constant() {
        let mut target = groups(10);
        update(&mut target, &[(0, 7)]);
        let before = target.size();
        update(&mut target, &vec![(0, 7); 1000]);
        update(&mut target, &(0..1000).map(|subject| (1, subject)).collect::<Vec<_>>());
        assert_eq!(target.size(), before);
        assert_eq!(
            target.evaluate(EmitTo::All).unwrap().as_boolean().iter().collect::<Vec<_>>(),
            [Some(false), Some(true), Some(false)]
        );
    }
}
