//! DISTINCT is an aggregate by all columns. DISTINCT ON chooses a row of each group, which is refused over individuals.

use datafusion_expr::DistinctOn;
use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::reason::Reason;

use super::Zone;
use super::ZonePass;

impl ZonePass<'_> {
    pub(super) fn distinct(&mut self, plan: &LogicalPlan, input: &LogicalPlan) -> Result<Zone, Refused> {
        match self.zone(input)? {
            Zone::Individual(rows) => {
                let keys = rows.outputs.clone();
                self.group(*rows, keys, &[], plan.schema())
            }
            Zone::Public(rows) => {
                let keys = rows.outputs.clone();
                match self.open_groups(&rows, &keys, &[], plan.schema())? {
                    Some(groups) => Ok(Zone::Public(Box::new(groups))),
                    None => self.over_open_tables(plan, *rows).map(Zone::Released),
                }
            }
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }

    pub(super) fn distinct_on(&mut self, plan: &LogicalPlan, distinct: &DistinctOn) -> Result<Zone, Refused> {
        match self.zone(&distinct.input)? {
            Zone::Individual(_) => Err(self.over_individuals(Reason::DistinctOnRows, plan, "DISTINCT ON")),
            Zone::Public(rows) => self.over_open_tables(plan, *rows).map(Zone::Released),
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }
}
