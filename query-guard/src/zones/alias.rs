//! An alias of a relation: the zone stays as it is. Names are never looked at; lineage is.

use std::sync::Arc;

use datafusion_common::DFSchemaRef;
use datafusion_expr::LogicalPlan;
use datafusion_expr::SubqueryAlias;

use crate::finding::Refused;
use crate::source_rows::SourceRows;

use super::Zone;
use super::ZonePass;
use super::released::ReleasedPlan;

impl ZonePass<'_> {
    /// The same rows under another name, with all their facts.
    ///
    /// Rules follow lineage and read no names: `SELECT visit_id AS person_id` makes no unit key of another column, and
    /// a person behind an alias is counted as before (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn alias(&mut self, plan: &LogicalPlan, alias: &SubqueryAlias) -> Result<Zone, Refused> {
        match self.zone(&alias.input)? {
            Zone::Individual(rows) => Ok(Zone::Individual(renamed(rows, &alias.schema))),
            Zone::Public(rows) => Ok(Zone::Public(renamed(rows, &alias.schema))),
            Zone::Released(input) => {
                let kept = input.clone();
                let renamed = self.rebuild(plan, vec![input])?;
                Ok(Zone::Released(ReleasedPlan { plan: renamed.plan, ..kept }))
            }
        }
    }
}

/// The same rows under the names of a schema; all facts stay (`sandbox/docs/disclosure-model.md`, section 4.1).
fn renamed(mut rows: Box<SourceRows>, schema: &DFSchemaRef) -> Box<SourceRows> {
    rows.schema = Arc::clone(schema);
    rows
}
