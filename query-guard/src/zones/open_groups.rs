//! Groups of an open table by its own columns: they stay rows of an open table, one for each key.
//! A value computed for a group may only be read: where it meets individuals, it is neither filtered nor grouped by.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::Column;
use datafusion_common::DFSchemaRef;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlanBuilder;
use obscura_policies::vocabulary::Level;

use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::column_facts::base_column;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;
use crate::source_rows::Multiplicity;
use crate::source_rows::SourceRows;
use crate::source_rows::Unique;

use super::ZonePass;

impl ZonePass<'_> {
    /// Groups of an open table by its own columns: they may still meet individuals, one row for each key. `None` when a
    /// key is no bare column.
    ///
    /// A value that was computed for a group may not be filtered or grouped by there: `SUM(level) AS n` with
    /// `WHERE n > 3`, or a digest in its place, would choose people by a rule that the shape rule has not seen
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn open_groups(
        &mut self,
        rows: &SourceRows,
        keys: &[Expr],
        calls: &[Expr],
        schema: &DFSchemaRef,
    ) -> Result<Option<SourceRows>, Refused> {
        let columns: Option<Vec<Column>> =
            keys.iter().map(|key| bare_column(&rows.bases, key).cloned()).collect();
        let Some(columns) = columns else { return Ok(None) };
        let instance = self.instance();
        let mut bases = BTreeMap::new();
        let (mut group, mut computed, mut unique) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (index, column) in columns.into_iter().enumerate() {
            let name = format!("g{instance}_k{index}");
            bases.insert(name.clone(), rows.base(&column).ok_or_else(internal)?.clone());
            group.push(Expr::Column(column).alias(&name));
            unique.insert(name);
        }
        for (index, call) in calls.iter().enumerate() {
            let name = format!("g{instance}_a{index}");
            let kind = ColumnKind::Released { computed: true, column: None };
            let field = schema.field(group.len() + index);
            let base =
                ColumnFacts::derived(field.name(), BTreeSet::new(), Level(1), field.data_type().clone());
            bases.insert(name.clone(), ColumnFacts { kind, open: true, ..base });
            computed.push(self.define(rows, call)?.alias(&name));
        }
        let outputs =
            group.iter().chain(&computed).map(|expr| base_column(&expr.schema_name().to_string())).collect();
        let plan = LogicalPlanBuilder::from(rows.plan.clone())
            .aggregate(group, computed)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let unique = Unique { sets: BTreeSet::from([unique]), intervals: BTreeSet::new() };
        let schema = Arc::clone(schema);
        Ok(Some(SourceRows {
            plan,
            bases,
            schema,
            outputs,
            unique,
            multiplicity: Multiplicity::default(),
            ..rows.clone()
        }))
    }
}
