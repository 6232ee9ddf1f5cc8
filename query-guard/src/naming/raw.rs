//! Expressions over raw columns: `dataset.column` for a sealed one, and without a column's name the one that has a value where there
//! is a row.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_expr::Expr;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;

use crate::budget::Budget;

/// The policy and the budget that a plan is read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) policy: &'a EffectivePolicy,
    pub(super) budget: &'a Budget<'a>,
}

/// The names of the columns that an expression reads.
pub(super) fn columns_of(expr: &Expr) -> Vec<String> {
    let names: BTreeSet<String> = expr.column_refs().into_iter().map(|column| column.name.clone()).collect();
    names.into_iter().collect()
}

/// A unit key, or the first of those that joins have equated it with: on either side of a join a subject is one.
pub(super) fn first_of(key: &Expr, equated: &BTreeMap<String, String>) -> String {
    let mut key = key.to_string();
    while let Some(first) = equated.get(&key) {
        key.clone_from(first);
    }
    key
}

/// A column of a dataset as expressions over raw columns name it; without a column's name, the one that has a value where there is a
/// row.
pub(super) fn raw_name(dataset: &EffectiveDataset, column: &str) -> String {
    raw_of(&dataset.id, column)
}

pub(super) fn raw_of(dataset: &DatasetId, column: &str) -> String {
    format!("{}.{column}", dataset.sql_name())
}

/// True for the condition that a row has a subject, which every scan of individuals has.
pub(super) fn columns_are_keys(condition: &Expr, policy: &EffectivePolicy) -> bool {
    let Expr::IsNotNull(inner) = condition else { return false };
    let Expr::Column(column) = inner.as_ref() else { return false };
    policy
        .datasets
        .values()
        .any(|dataset| dataset.units.iter().any(|unit| raw_name(dataset, &unit.column) == column.name))
}

/// That there is a row: the column of this name has one value, or none.
pub(super) fn is_there(there: &str) -> Expr {
    Expr::IsNotNull(Box::new(Expr::Column(Column::from_name(there))))
}
