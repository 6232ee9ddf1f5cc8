//! DISTINCT is an aggregate by all columns. DISTINCT ON chooses a row of each group, which is refused over individuals.

use datafusion_expr::DistinctOn;
use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::reason::Reason;

use super::Zone;
use super::ZonePass;

impl ZonePass<'_> {
    /// The zone of DISTINCT, which is an aggregate by all columns.
    ///
    /// `SELECT DISTINCT diag FROM persons WHERE zip = '9999'` names the diagnosis of the only resident. As a boundary
    /// it keeps only the values that at least k subjects share (`sandbox/docs/disclosure-model.md`, section 4.1).
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

    /// Refuses DISTINCT ON over individuals.
    ///
    /// It keeps the first row of each group, which is one person: `SUM(salary)` over
    /// `SELECT DISTINCT ON (dept) dept, salary FROM persons ORDER BY dept, age DESC` adds up what the oldest of each
    /// department earn (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn distinct_on(&mut self, plan: &LogicalPlan, distinct: &DistinctOn) -> Result<Zone, Refused> {
        match self.zone(&distinct.input)? {
            Zone::Individual(_) => Err(self.over_individuals(Reason::DistinctOnRows, plan, "DISTINCT ON")),
            Zone::Public(rows) => self.over_open_tables(plan, *rows).map(Zone::Released),
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }
}
