//! Plans over open tables, computed at review from the rows that manifests publish. What a row of individuals finds in them is a
//! function of the key that it looks up, and has the names of that key's column.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Level;

use crate::catalog::scanned_dataset;
use crate::finding::Refused;
use crate::floor::is_open;
use crate::open_values::from_texts;
use crate::sealed_type::column_type;

use super::evaluate::batch;
use super::evaluate::evaluated;
use super::look_up::Found;
use super::raw::Reading;
use super::scanned::rows_without_names;

/// Rows of which one node of the budget is taken.
const ROWS_A_NODE: usize = 16;

/// The rows of a plan over open tables.
pub(super) struct OpenRows {
    rows: RecordBatch,
}

impl OpenRows {
    /// The rows of a plan that reads open tables only; nothing for one that reads others.
    ///
    /// Manifests publish these rows, and they are no person's: a review may compute with them.
    ///
    /// # Errors
    /// When a table publishes no rows, or the plan is one that is not computed here.
    pub(super) fn of(plan: &LogicalPlan, reading: Reading<'_>) -> Result<Option<Self>, Refused> {
        if !reads_open_only(plan, reading.policy) {
            return Ok(None);
        }
        let rows = computed(plan, reading)?;
        Ok(Some(OpenRows { rows }))
    }

    /// Keeps the rows for which a condition over their columns is true.
    pub(super) fn filter(&mut self, condition: &Expr) -> Result<(), Refused> {
        self.rows = filtered(&self.rows, condition)?;
        Ok(())
    }

    /// True if all columns that an expression reads are of these rows.
    pub(super) fn has_columns_of(&self, expr: &Expr) -> bool {
        expr.column_refs().iter().all(|column| self.rows.column_by_name(&column.name).is_some())
    }

    /// These rows with the value of a key for each.
    pub(super) fn keyed(self, key: &Expr) -> Result<KeyedRows, Refused> {
        let keys = evaluated(key, &self.rows).ok_or_else(rows_without_names)?;
        let index = index(&keys).ok_or_else(rows_without_names)?;
        Ok(KeyedRows { rows: self.rows, keys, index: Arc::new(index) })
    }
}

/// Open rows by the value of a key; rows without one are found by nobody.
pub(super) struct KeyedRows {
    rows: RecordBatch,
    keys: ArrayRef,
    /// The first row of each value.
    index: Arc<HashMap<ScalarValue, u32>>,
}

impl KeyedRows {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// True if no two rows have the same value.
    pub(super) fn is_unique(&self) -> bool {
        self.index.len() == self.keys.len() - self.keys.null_count()
    }

    /// True if some row has no value.
    pub(super) fn has_missing(&self) -> bool {
        self.keys.null_count() > 0
    }

    /// That there is a row.
    pub(super) fn there(&self) -> Result<Found, Refused> {
        self.found(&(Arc::new(BooleanArray::from(vec![true; self.keys.len()])) as ArrayRef))
    }

    /// The columns of the rows, by name.
    pub(super) fn columns(&self) -> Result<BTreeMap<String, Found>, Refused> {
        let schema = self.rows.schema_ref();
        let columns = schema.fields().iter().zip(self.rows.columns());
        columns.map(|(field, values)| Ok((field.name().clone(), self.found(values)?))).collect()
    }

    fn found(&self, values: &ArrayRef) -> Result<Found, Refused> {
        Found::new(&self.keys, &self.index, values).ok_or_else(rows_without_names)
    }
}

/// The first row of each value of a key.
fn index(keys: &ArrayRef) -> Option<HashMap<ScalarValue, u32>> {
    let mut rows = HashMap::new();
    for (number, row) in (0..).zip(0..keys.len()).filter(|(_, row)| keys.is_valid(*row)) {
        rows.entry(ScalarValue::try_from_array(keys, row).ok()?).or_insert(number);
    }
    Some(rows)
}

/// True if every table that a plan reads is open, and it reads one.
fn reads_open_only(plan: &LogicalPlan, policy: &EffectivePolicy) -> bool {
    let (mut tables, mut open) = (0_usize, 0_usize);
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables += 1;
            open += usize::from(scanned_dataset(scan, policy).is_some_and(is_open));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && tables > 0 && tables == open
}

fn computed(plan: &LogicalPlan, reading: Reading<'_>) -> Result<RecordBatch, Refused> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan, reading),
        LogicalPlan::Filter(filter) => filtered(&computed(&filter.input, reading)?, &filter.predicate),
        LogicalPlan::Projection(projection) => {
            let inner = computed(&projection.input, reading)?;
            let mut columns = Vec::with_capacity(projection.expr.len());
            for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
                columns
                    .push((field.name().as_str(), evaluated(expr, &inner).ok_or_else(rows_without_names)?));
            }
            batch(columns, inner.num_rows()).ok_or_else(rows_without_names)
        }
        LogicalPlan::SubqueryAlias(alias) => computed(&alias.input, reading),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => computed(&sort.input, reading),
        _ => Err(rows_without_names()),
    }
}

fn scanned(scan: &TableScan, reading: Reading<'_>) -> Result<RecordBatch, Refused> {
    let dataset = scanned_dataset(scan, reading.policy).ok_or_else(rows_without_names)?;
    let published = dataset.published.as_ref().ok_or_else(rows_without_names)?;
    if scan.fetch.is_some() {
        return Err(rows_without_names());
    }
    let cells = published.rows().saturating_mul(dataset.columns.len());
    reading.budget.take(u64::try_from(cells / ROWS_A_NODE).unwrap_or(u64::MAX))?;
    // A column that is not published is in no expression that is computed here.
    let known = scan.projected_schema.fields().iter().filter_map(|field| {
        let column = dataset.columns.iter().find(|column| column.name == *field.name())?;
        let texts = published.column(&column.name).filter(|_| column.grade <= Level(1))?;
        Some((field.name().as_str(), from_texts(texts, &column_type(column, dataset))))
    });
    let known = known.map(|(name, values)| Some((name, values?))).collect::<Option<Vec<_>>>();
    let columns = known.ok_or_else(rows_without_names)?;
    let rows = batch(columns, published.rows()).ok_or_else(rows_without_names)?;
    scan.filters.iter().try_fold(rows, |rows, filter| filtered(&rows, filter))
}

fn filtered(rows: &RecordBatch, condition: &Expr) -> Result<RecordBatch, Refused> {
    let holds = evaluated(condition, rows).ok_or_else(rows_without_names)?;
    let holds = holds.as_boolean_opt().ok_or_else(rows_without_names)?;
    filter_record_batch(rows, holds).map_err(|_| rows_without_names())
}
