//! GROUPING SETS, ROLLUP and CUBE over individuals: each set of keys is a boundary over the same rows, and the answer is the union of
//! what they release. The control step sees all of them before it releases one (`control/complementary.rs`).

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::ScalarValue;
use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::GroupingSet;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Union;

use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;
use crate::plan::KeySet;
use crate::plan::Stage;
use crate::reason::Reason;
use crate::source_rows::SourceRows;

use super::ZonePass;
use super::base::Known;
use super::boundary::released_table;
use super::released::ReleasedPlan;

/// The sets of keys of one GROUP BY.
struct KeySets<'a> {
    /// All keys, as the columns of the answer are.
    keys: Vec<&'a Expr>,
    /// Each set, as it is written: places among the keys, in their order. The same set may stand there twice.
    sets: Vec<Vec<usize>>,
}

impl ZonePass<'_> {
    /// Several groupings of the same individuals: a stage for each different set of keys, all held to the same controls.
    ///
    /// Controls are those of all keys together, so that a total is read no more closely than its parts. Where no set has all keys,
    /// one more stage groups by them, which no result reads: the control step needs to know how the sets hang together. With named
    /// noise it needs nothing, because totals and parts are different names with draws of their own
    /// (`sandbox/docs/disclosure-model.md`, section 5.11).
    pub(super) fn sets(
        &mut self,
        mut rows: SourceRows,
        grouping: &GroupingSet,
        aggregate: &Aggregate,
    ) -> Result<ReleasedPlan, Refused> {
        let KeySets { keys, sets } = KeySets::of(grouping);
        let mut distinct: Vec<&Vec<usize>> = Vec::new();
        for set in &sets {
            if !distinct.contains(&set) {
                distinct.push(set);
            }
        }
        self.within_limits(distinct.len(), keys.len())?;
        let keys = self.defined_over_individuals(&mut rows, keys)?;
        let calls = self.defined_over_individuals(&mut rows, &aggregate.aggr_expr)?;
        let own_rows = sets.iter().any(|set| {
            let keys: Vec<Expr> = set.iter().filter_map(|key| keys.get(*key).cloned()).collect();
            self.groups_by_subject(&rows, &keys)
        });
        if own_rows {
            // One set has a row for each person, which never leaves, and the others are cells: in one answer each row would need rules
            // of its own (`sandbox/docs/disclosure-model.md`, section 4.9).
            let help = ("group by other columns than the unit key", "请按主体标识以外的字段分组");
            return Err(several_groupings(help.0, help.1).into());
        }
        // The keys, the number of the set, and the values.
        let schema = &aggregate.schema;
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (key_types, rest) = types.split_at_checked(keys.len()).ok_or_else(internal)?;
        let Some((number_type, call_types)) = rest.split_first() else { return Err(internal()) };
        if call_types.len() != calls.len() {
            return Err(internal());
        }
        let grouped = self.grouped(rows, &keys, &calls, (key_types, call_types))?;
        if grouped.privacy.is_some() {
            // A subject counts in a few groups of one set, and the price of a question is that of the numbers of one. Asked for one
            // after the other, each set is bounded and paid for by itself (`sandbox/docs/disclosure-model.md`, section 5.9).
            let help = ("ask for each grouping in a query of its own", "请将每种分组写成单独的查询");
            return Err(several_groupings(help.0, help.1).into());
        }
        let all: Vec<usize> = (0..keys.len()).collect();
        let is_hidden = grouped.controls.perturbation.is_none()
            && !grouped.columns.is_empty()
            && !distinct.contains(&&all);
        self.within_limits(distinct.len() + usize::from(is_hidden), keys.len())?;
        let (mut tables, mut known) = (Vec::with_capacity(distinct.len()), Known::new());
        if is_hidden {
            let set = KeySet { keys: all.clone(), is_hidden: true, is_last: false };
            let stage = self.stage_after_bases(&grouped, &all, Some(set), &mut known)?;
            self.stages.push(stage);
        }
        for (index, set) in distinct.iter().enumerate() {
            let is_last = index + 1 == distinct.len();
            let of_set = KeySet { keys: set.to_vec(), is_hidden: false, is_last };
            let stage = self.stage_after_bases(&grouped, set, Some(of_set), &mut known)?;
            tables.push((
                *set,
                released_set(
                    &stage,
                    released_table(&stage, grouped.facts(set))?,
                    &all,
                    (key_types, number_type),
                )?,
            ));
            self.stages.push(stage);
        }
        // A set that is written twice is there twice, as the standard says.
        let branches = sets.iter().filter_map(|set| {
            tables.iter().find(|(known, _)| *known == set).map(|(_, table)| Arc::new(table.clone()))
        });
        let plan = united(branches.collect(), schema)?;
        Ok(ReleasedPlan::computed(plan, grouped.read))
    }
}

impl<'a> KeySets<'a> {
    /// The sets that a grouping stands for, in the engine's order of its keys (`Aggregate::group_expr` of DataFusion 55).
    fn of(grouping: &'a GroupingSet) -> Self {
        let keys = grouping.distinct_expr();
        let sets = match grouping {
            GroupingSet::Rollup(_) => (0..=keys.len()).rev().map(|length| (0..length).collect()).collect(),
            GroupingSet::Cube(_) => {
                // At most 64 sets have passed `size.rs`.
                (0..1_usize << keys.len().min(6))
                    .map(|without| (0..keys.len()).filter(|key| without >> key & 1 == 0).collect())
                    .collect()
            }
            GroupingSet::GroupingSets(sets) => {
                let of = |set: &Vec<Expr>| {
                    let places = 0..keys.len();
                    places.filter(|place| keys.get(*place).is_some_and(|key| set.contains(key))).collect()
                };
                sets.iter().map(of).collect()
            }
        };
        KeySets { keys, sets }
    }
}

/// The rows of one set in the columns of all: a key that the set does not have is missing, and the set's number says so.
///
/// The number has one bit for each key, the last key's the lowest, which is set where the key is not one of the set's: GROUPING() is
/// read off it, so that a total is told from the group of missing keys (`Aggregate::INTERNAL_GROUPING_ID` of DataFusion 55).
fn released_set(
    stage: &Stage,
    table: LogicalPlan,
    all: &[usize],
    (key_types, number_type): (&[DataType], &DataType),
) -> Result<LogicalPlan, Refused> {
    let set = stage.set.as_ref().ok_or_else(internal)?;
    let columns = table.schema().columns();
    let mut exprs = Vec::new();
    let mut number: u64 = 0;
    for (key, data_type) in all.iter().zip(key_types) {
        number <<= 1;
        let own = set.keys.iter().position(|own| own == key).and_then(|own| columns.get(own));
        let expr = match own {
            Some(column) => Expr::Column(column.clone()),
            None => {
                number |= 1;
                Expr::Literal(ScalarValue::try_from(data_type).map_err(not_built)?, None)
            }
        };
        exprs.push(expr.alias(format!("k{key}")));
    }
    let number = ScalarValue::UInt64(Some(number)).cast_to(number_type).map_err(not_built)?;
    exprs.push(Expr::Literal(number, None).alias("set"));
    let values = columns.into_iter().skip(set.keys.len()).enumerate();
    exprs.extend(values.map(|(index, column)| Expr::Column(column).alias(format!("a{index}"))));
    LogicalPlanBuilder::from(table).project(exprs).and_then(LogicalPlanBuilder::build).map_err(not_built)
}

/// The union of all sets, under the names that the SQL sees.
fn united(mut branches: Vec<Arc<LogicalPlan>>, schema: &Arc<DFSchema>) -> Result<LogicalPlan, Refused> {
    let plan = match branches.len() {
        0 => return Err(internal()),
        1 => Arc::unwrap_or_clone(branches.remove(0)),
        _ => LogicalPlan::Union(Union::try_new(branches).map_err(not_built)?),
    };
    let columns = plan.schema().columns();
    let projection = columns.into_iter().zip(schema.iter()).map(|(column, (qualifier, field))| {
        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
    });
    let projection: Vec<Expr> = projection.collect();
    LogicalPlanBuilder::from(plan).project(projection).and_then(LogicalPlanBuilder::build).map_err(not_built)
}

/// The refusal of several groupings, with a way out (`sandbox/docs/disclosure-model.md`, section 5.11).
fn several_groupings(english: &str, chinese: &str) -> Finding {
    Finding::of(Reason::SeveralGroupings)
        .with("function", "ROLLUP / CUBE / GROUPING SETS")
        .help(english, chinese)
}
