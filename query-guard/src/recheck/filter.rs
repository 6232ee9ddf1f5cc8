//! Row filters: every row of a dataset that a plan goes on with meets those of the policy, and has a subject.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use datafusion_common::Column;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;
use obscura_policies::effective::EffectiveDataset;

use super::expression::raw_name;
use super::implied::Implied;
use super::implied::implied;
use super::terms::row_conditions;
use super::terms::schema_of;

/// The conditions that each row of one scan of a dataset must meet.
pub(super) struct RowConditions<'t> {
    dataset: &'t EffectiveDataset,
    scan: usize,
    /// As the policy writes them.
    written: Vec<Expr>,
    /// The columns that they read.
    columns: BTreeSet<String>,
    schema: Schema,
}

impl<'t> RowConditions<'t> {
    /// The conditions for a scan; nothing where they cannot be planned.
    ///
    /// Of columns that are `never_missing` the engine drops the condition that they are there.
    pub(super) fn of(
        dataset: &'t EffectiveDataset,
        scan: usize,
        never_missing: &BTreeSet<String>,
    ) -> Option<Self> {
        let written = row_conditions(dataset).ok()?;
        let declared = schema_of(dataset);
        let fields = declared.fields().iter().map(|field| {
            let is_nullable = !never_missing.contains(field.name());
            field.as_ref().clone().with_nullable(is_nullable)
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let columns = written.iter().flat_map(Expr::column_refs).map(|column| column.name.clone()).collect();
        Some(RowConditions { dataset, scan, written, columns, schema })
    }

    /// True if the conditions that are known of a scan's rows imply all of them.
    pub(super) fn hold(&self, facts: &[Expr]) -> bool {
        let known: Vec<Expr> = facts.iter().filter_map(|fact| self.own(fact)).collect();
        let due: Vec<Expr> = self.written.iter().filter(|due| !known.contains(due)).cloned().collect();
        due.is_empty() || implied(&known, &due, &self.schema) != Implied::No
    }

    /// True of a condition that is one of them, or follows from them: the policy's filters read raw values.
    pub(super) fn is_one(&self, fact: &Expr) -> bool {
        let Some(fact) = self.own(fact) else { return false };
        let reads_more = || fact.column_refs().iter().any(|column| !self.columns.contains(&column.name));
        // Without a row filter there is nothing that the engine could have written in another way.
        let has_filters = !self.dataset.row_filters.is_empty();
        self.written.contains(&fact)
            || (has_filters
                && !reads_more()
                && implied(&self.written, std::slice::from_ref(&fact), &self.schema) == Implied::Yes)
    }

    /// A condition over raw columns of the scan alone, under their names in the dataset.
    fn own(&self, fact: &Expr) -> Option<Expr> {
        let named = fact.clone().transform_up(|inner| match inner {
            Expr::Column(column) => {
                let mut columns = self.dataset.columns.iter();
                let own = columns.find(|own| raw_name(self.scan, &own.name) == column.name);
                let other = || datafusion_common::DataFusionError::Plan("of another scan".to_owned());
                Ok(Transformed::yes(Expr::Column(Column::from_name(&own.ok_or_else(other)?.name))))
            }
            other => Ok(Transformed::no(other)),
        });
        named.map(|named| named.data).ok()
    }
}
