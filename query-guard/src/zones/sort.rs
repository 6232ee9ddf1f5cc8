//! Sort: the order of individuals is never seen, so that it changes nothing. A limit on it would choose among them.

use datafusion_expr::LogicalPlan;
use datafusion_expr::Sort;

use crate::finding::Refused;

use super::Zone;
use super::ZonePass;

impl ZonePass<'_> {
    /// The zone of a sort: the order of individuals is never seen, and a limit within it is refused.
    ///
    /// `ORDER BY age DESC LIMIT 1` leaves the oldest person, also where the planner writes the limit into the sort
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn sort(&mut self, plan: &LogicalPlan, sort: &Sort) -> Result<Zone, Refused> {
        match (self.zone(&sort.input)?, sort.fetch) {
            (Zone::Individual(rows), None) => Ok(Zone::Individual(rows)),
            (Zone::Individual(_), Some(_)) => Err(self.limited(plan)),
            (Zone::Public(rows), _) => self.over_open_tables(plan, *rows).map(Zone::Released),
            (Zone::Released(input), _) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }
}
