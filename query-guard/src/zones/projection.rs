//! Projection: the zone stays as it is. Individuals keep their hidden unit columns, also where the SQL leaves out the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::DFSchemaRef;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Projection;

use crate::finding::Refused;
use crate::source_rows::SourceRows;

use super::Zone;
use super::ZonePass;
use super::released::ReleasedPlan;

impl ZonePass<'_> {
    /// The zone of a projection, which stays as it is.
    ///
    /// A projection of individuals drops no unit key: hidden columns keep it where the SQL leaves it out, so that
    /// `SELECT zip FROM persons` still counts people (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn projection(
        &mut self,
        plan: &LogicalPlan,
        projection: &Projection,
    ) -> Result<Zone, Refused> {
        let Projection { input, expr: exprs, schema, .. } = projection;
        match self.zone(input)? {
            Zone::Individual(mut rows) => {
                let outputs = self.defined_over_individuals(&mut rows, exprs)?;
                Ok(Zone::Individual(self.projected(rows, outputs, schema)))
            }
            Zone::Public(rows) => {
                let outputs = exprs.iter().map(|expr| self.define(&rows, expr)).collect::<Result<_, _>>()?;
                Ok(Zone::Public(self.projected(rows, outputs, schema)))
            }
            Zone::Released(input) => self.project_released(plan, exprs, input).map(Zone::Released),
        }
    }

    /// Rows under new definitions, which carry what their subqueries have read: a released mean in SELECT counts like
    /// one in WHERE (`sandbox/docs/disclosure-model.md`, section 4.2).
    fn projected(
        &mut self,
        mut rows: Box<SourceRows>,
        outputs: Vec<Expr>,
        schema: &DFSchemaRef,
    ) -> Box<SourceRows> {
        rows.taint.read(self.take_subqueries_read());
        rows.outputs = outputs;
        rows.schema = Arc::clone(schema);
        rows
    }

    /// A projection of released values: bare columns stay bare, and a unique set stays unique if all of it is kept.
    ///
    /// A computed column can be made to be any number or any condition (`dept IN ('tax') AS f`), and without a part of
    /// its key a table may have two rows for one person (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn project_released(
        &mut self,
        plan: &LogicalPlan,
        exprs: &[Expr],
        input: ReleasedPlan,
    ) -> Result<ReleasedPlan, Refused> {
        let schema = Arc::clone(input.plan.schema());
        let sources: Vec<Option<usize>> = exprs
            .iter()
            .map(|expr| match expr.clone().unalias() {
                Expr::Column(column) => schema.index_of_column(&column).ok(),
                _ => None,
            })
            .collect();
        let position = |source: usize| sources.iter().position(|known| *known == Some(source));
        let unique = input
            .unique
            .iter()
            .filter_map(|set| set.iter().map(|source| position(*source)).collect::<Option<BTreeSet<usize>>>())
            .collect();
        let carried = |known: &BTreeSet<usize>| {
            let kept =
                sources.iter().enumerate().filter(|(_, source)| source.is_some_and(|s| known.contains(&s)));
            kept.map(|(index, _)| index).collect::<BTreeSet<usize>>()
        };
        let bare = carried(&input.bare);
        let released = self.rebuild(plan, vec![input])?;
        Ok(ReleasedPlan { unique, bare, ..released })
    }
}
