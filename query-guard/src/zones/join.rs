//! Joins: individuals with individuals on the same unit key, individuals with open or released tables N:1.
//! Everything else with individuals is refused, since it would multiply or pick out rows.

use std::sync::Arc;

use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::finding::internal;
use crate::source_rows::SourceRows;
use crate::zones::Zone;
use crate::zones::ZonePass;
use crate::zones::released::of_open_tables;

use preserved::Preserved;
use preserved::Side;

mod condition;
pub(super) mod many_to_one;
mod mark;
mod meeting;
mod outer;
mod preserved;
mod refusal;
mod released_rows;
mod same_unit;

impl ZonePass<'_> {
    /// The zone of a join, by the zones of its sides.
    ///
    /// A join that pairs people puts one person's values under the keys of others: `AVG(p.salary)` over
    /// `persons p CROSS JOIN persons q WHERE p.age = 107` passes every threshold, and is one salary. So individuals
    /// meet only on a unit key (`sandbox/docs/disclosure-model.md`, section 4.5), or at most one row of a table
    /// (`sandbox/docs/disclosure-model.md`, section 4.6). Joins of open tables and released values hold nothing to
    /// protect.
    pub(super) fn join(&mut self, plan: &LogicalPlan, join: &Join) -> Result<Zone, Refused> {
        let (left, right) = match (self.zone(&join.left)?, self.zone(&join.right)?) {
            (Zone::Individual(left), Zone::Individual(right)) => {
                return self.individuals_joined(*left, *right, join);
            }
            (Zone::Individual(many), Zone::Public(one)) => {
                return self.looked_up(*many, *one, Side::Left, join);
            }
            (Zone::Public(one), Zone::Individual(many)) => {
                return self.looked_up(*many, *one, Side::Right, join);
            }
            (Zone::Individual(many), Zone::Released(one)) => {
                let one = self.released_rows(one)?;
                return self.looked_up(*many, one, Side::Left, join);
            }
            (Zone::Released(one), Zone::Individual(many)) => {
                let one = self.released_rows(one)?;
                return self.looked_up(*many, one, Side::Right, join);
            }
            (Zone::Public(left), Zone::Public(right)) => (of_open_tables(*left)?, of_open_tables(*right)?),
            (Zone::Public(left), Zone::Released(right)) => (of_open_tables(*left)?, right),
            (Zone::Released(left), Zone::Public(right)) => (left, of_open_tables(*right)?),
            (Zone::Released(left), Zone::Released(right)) => (left, right),
        };
        self.rebuild(plan, vec![left, right]).map(Zone::Released)
    }

    /// Individuals with individuals. A right semi or anti join is the left one with its sides exchanged.
    ///
    /// So each kind of join is judged by one rule, and no other spelling of it escapes the rule
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn individuals_joined(
        &mut self,
        left: SourceRows,
        right: SourceRows,
        join: &Join,
    ) -> Result<Zone, Refused> {
        let (preserved, are_exchanged) = Preserved::by(join.join_type);
        let (left, right) = if are_exchanged { (right, left) } else { (left, right) };
        let condition = self.condition(&left, &right, join)?;
        let rows = self.individuals(left, right, condition, preserved)?;
        with_schema(rows, join)
    }

    /// Individuals with rows of an open or released table, of which each individual meets at most one.
    ///
    /// The same rule holds on whichever side of the SQL's join the individuals stand
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn looked_up(
        &mut self,
        many: SourceRows,
        one: SourceRows,
        side: Side,
        join: &Join,
    ) -> Result<Zone, Refused> {
        let (preserved, are_exchanged) = Preserved::by(join.join_type);
        let side = if are_exchanged { side.other() } else { side };
        let condition = self.condition(&many, &one, join)?;
        let rows = self.many_to_one(many, one, condition, preserved, side)?;
        with_schema(rows, join)
    }
}

/// Joined rows under the schema of the join.
fn with_schema(rows: SourceRows, join: &Join) -> Result<Zone, Refused> {
    let schema = Arc::clone(&join.schema);
    if rows.outputs.len() != schema.fields().len() {
        return Err(internal());
    }
    Ok(Zone::Individual(Box::new(SourceRows { schema, ..rows })))
}
