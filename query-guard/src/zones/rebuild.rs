//! A plan node above all boundaries, once more over inputs that hold nothing about individuals.

use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::finding::not_built;
use crate::source_rows::SourceRows;

use super::ZonePass;
use super::released::ReleasedPlan;
use super::released::of_open_tables;
use super::subquery::ComparedWith;

impl ZonePass<'_> {
    /// The same node over released inputs, which hold nothing about individuals.
    ///
    /// All that was read to make the inputs stays with the result. Its columns count as computed and no set of them as
    /// unique: after a filter, a sort or a limit of the analyst's choice, released rows would choose the individuals
    /// whom they meet (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn rebuild(
        &mut self,
        plan: &LogicalPlan,
        inputs: Vec<ReleasedPlan>,
    ) -> Result<ReleasedPlan, Refused> {
        let mut exprs = Vec::new();
        for expr in plan.expressions() {
            exprs.push(self.release_subqueries(expr, ComparedWith::Released)?);
        }
        let read = inputs.iter().fold(self.take_subqueries_read(), |read, input| read.and(input.read));
        let plans = inputs.into_iter().map(|input| input.plan).collect();
        let plan = plan.with_new_exprs(exprs, plans).map_err(not_built)?;
        Ok(ReleasedPlan::computed(plan, read))
    }

    /// The same node over rows of open tables, which are released values from here on and meet individuals no more
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn over_open_tables(
        &mut self,
        plan: &LogicalPlan,
        rows: SourceRows,
    ) -> Result<ReleasedPlan, Refused> {
        let input = of_open_tables(rows)?;
        self.rebuild(plan, vec![input])
    }
}
