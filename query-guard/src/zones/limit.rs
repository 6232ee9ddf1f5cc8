//! Limit: refused over individuals, since it would choose some of them; free over everything else.

use datafusion_expr::Limit;
use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::reason::Reason;

use super::Zone;
use super::ZonePass;

impl ZonePass<'_> {
    /// Refuses LIMIT and OFFSET over individuals; over everything else they are free.
    ///
    /// `SELECT AVG(salary) FROM (SELECT salary FROM persons ORDER BY hire OFFSET 2000) t` walks the people one by one
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn limit(&mut self, plan: &LogicalPlan, limit: &Limit) -> Result<Zone, Refused> {
        match self.zone(&limit.input)? {
            Zone::Individual(_) => Err(self.limited(plan)),
            Zone::Public(rows) => self.over_open_tables(plan, *rows).map(Zone::Released),
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }

    /// The refusal of a number of rows out of those of individuals: the first row of an order is one person
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn limited(&self, plan: &LogicalPlan) -> Refused {
        self.over_individuals(Reason::RowsLimited, plan, "LIMIT")
    }
}
