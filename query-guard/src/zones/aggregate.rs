//! Aggregate: over individuals a transformation per subject when the key of every subject is among the group keys, else a
//! boundary. Groups of an open table by its own columns stay open; everything else over it is released.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::DFSchema;
use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;

use crate::finding::Refused;
use crate::source_rows::SourceRows;

use super::Zone;
use super::ZonePass;
use super::released::ReleasedPlan;
use super::subquery::has_subquery;

impl ZonePass<'_> {
    /// The zone of an aggregate.
    ///
    /// Over individuals every group may be one person, so that it is a boundary or a subject's own rows, and several
    /// groupings at once are a boundary each (`sets`). An open table and released values hold nothing to protect: groups
    /// of an open table by its own columns stay open, and all other groups are released
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    pub(super) fn aggregate(&mut self, plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Zone, Refused> {
        match self.zone(&aggregate.input)? {
            Zone::Individual(mut rows) => {
                if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
                    return self.sets(*rows, sets, aggregate).map(Zone::Released);
                }
                let keys = self.defined_over_individuals(&mut rows, group_keys(aggregate))?;
                let calls = self.defined_over_individuals(&mut rows, &aggregate.aggr_expr)?;
                self.group(*rows, keys, &calls, &aggregate.schema)
            }
            Zone::Public(rows) => {
                let keys = group_keys(aggregate);
                let groups = if keys.iter().any(|key| has_subquery(key)) {
                    None
                } else {
                    let keys: Vec<Expr> =
                        keys.into_iter().map(|key| self.define(&rows, key)).collect::<Result<_, _>>()?;
                    self.open_groups(&rows, &keys, &aggregate.aggr_expr, &aggregate.schema)?
                };
                match groups {
                    Some(groups) => Ok(Zone::Public(Box::new(groups))),
                    None => {
                        let groups = self.over_open_tables(plan, *rows)?;
                        Ok(Zone::Released(one_row_a_key(groups, aggregate)))
                    }
                }
            }
            Zone::Released(input) => {
                let groups = self.rebuild(plan, vec![input])?;
                Ok(Zone::Released(one_row_a_key(groups, aggregate)))
            }
        }
    }

    /// An aggregate over individuals: a subject's own rows, or a boundary.
    ///
    /// A group by the keys of all classes is one subject's, so that it must not leave and stays individual. Any other
    /// group holds several subjects, and leaves as cells under the controls
    /// (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn group(
        &mut self,
        rows: SourceRows,
        keys: Vec<Expr>,
        calls: &[Expr],
        schema: &Arc<DFSchema>,
    ) -> Result<Zone, Refused> {
        if self.groups_by_subject(&rows, &keys) {
            return self.per_subject(rows, &keys, calls, schema).map(|rows| Zone::Individual(Box::new(rows)));
        }
        self.boundary(rows, &keys, calls, schema).map(Zone::Released)
    }
}

/// The keys of an aggregate, each once: the engine keeps one column of keys that are written twice. Keys and values are
/// told apart by their position among these columns.
fn group_keys(aggregate: &Aggregate) -> Vec<&Expr> {
    let mut keys: Vec<&Expr> = Vec::with_capacity(aggregate.group_expr.len());
    for key in &aggregate.group_expr {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Groups with the fact that no combination of keys has two rows.
///
/// Individuals meet a table only by such a set of columns, because a second row would count a person twice. Several
/// groupings at once prove no such thing: the total of ROLLUP has a missing key, as the group of missing keys has
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
fn one_row_a_key(mut groups: ReleasedPlan, aggregate: &Aggregate) -> ReleasedPlan {
    if !aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        groups.unique.insert((0..group_keys(aggregate).len()).collect::<BTreeSet<usize>>());
    }
    groups
}
