//! The base of a boundary's cells: the same rows without the conditions that choose them by sensitive columns.
//!
//! A cell of all diabetics of a village tells of everybody in the village if all of them are diabetics. So the control step asks that enough
//! subjects of the base are not in the cell (`control/homogeneity.rs`). This file finds the rows of the base, from the plan of
//! the question: what a sensitive column decides is taken out, wherever it stands below the boundary, so that every row of the question is
//! one of the base.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Projection;
use datafusion_expr::Union;
use datafusion_expr::Window;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::catalog::scanned_dataset;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;
use crate::floor::is_open;

mod columns;
mod condition;
mod joined;

pub(crate) use columns::Choice;

use columns::Columns;
use columns::OwnRows;
use columns::Part;
use columns::mixed;
use condition::Relaxed;
use condition::relaxed;

/// The rows of a base.
pub(crate) struct BaseRows {
    /// Its columns are those of the question's plan.
    pub(crate) plan: LogicalPlan,
    columns: Columns,
    /// Rows of individuals are among them.
    is_individual: bool,
    /// No column has been computed yet: what is filtered here is filtered by a policy.
    is_raw: bool,
    /// The choice of its subjects that has been taken out: the base may have some that the question has not.
    pub(crate) choice: Choice,
    /// The rows of each subject, against those of the question.
    own_rows: OwnRows,
    /// Other conditions of the question choose its rows.
    is_narrowed: bool,
    /// The tables that individuals are read from.
    datasets: BTreeSet<String>,
}

/// The quantity of the base of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddedUp {
    /// The same: it tells of no sensitive column, or is one itself.
    Same,
    /// Rows: a number that depends on sensitive columns is of those who have any.
    Rows,
    /// Rows that are found: what is added up is found beside a row that sensitive columns have chosen.
    Found,
}

impl BaseRows {
    /// The base of the rows of a plan, as the zones have made it.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where a condition chooses by sensitive columns together with others, in a way that leaves more than one
    /// base: its cell could be filled up with others until enough of them are not in it.
    pub(crate) fn of(plan: &LogicalPlan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        if let LogicalPlan::TableScan(scan) = plan
            && let Some(dataset) = scanned_dataset(scan, policy).filter(|dataset| !is_open(dataset))
        {
            return Ok(Self::scan(plan, dataset));
        }
        let inputs = plan.inputs().into_iter().map(|input| Self::of(input, policy));
        let mut inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        if !inputs.iter().any(|input| input.is_individual) {
            return Ok(BaseRows::of_rows(plan.clone(), Columns::default(), false));
        }
        if let LogicalPlan::Union(union) = plan {
            return Self::united(inputs, union);
        }
        let last = inputs.pop().ok_or_else(internal)?;
        match plan {
            LogicalPlan::Filter(filter) => last.filtered(filter),
            LogicalPlan::Projection(projection) => last.projected(projection),
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => last.below(plan),
            LogicalPlan::Aggregate(aggregate) => last.aggregated(plan, aggregate),
            LogicalPlan::Window(window) => last.windowed(plan, window),
            LogicalPlan::Join(join) => inputs.pop().ok_or_else(internal)?.joined(last, join),
            LogicalPlan::TableScan(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => Err(internal()),
        }
    }

    /// True if a group key tells of a sensitive column, and is no key of the base.
    ///
    /// # Errors
    /// As [`BaseRows::of`].
    pub(crate) fn is_sensitive(&self, key: &Expr) -> Result<bool, Refused> {
        self.columns.decides(key)
    }

    /// The quantity of the base of an atom that adds up a column.
    ///
    /// # Errors
    /// As [`BaseRows::of`].
    pub(crate) fn added_up(&self, column: &str) -> Result<AddedUp, Refused> {
        match self.columns.part(column) {
            Part::Key | Part::Other | Part::Measured | Part::Certain => Ok(AddedUp::Same),
            Part::Number | Part::Sensitive => Ok(AddedUp::Rows),
            Part::Beside | Part::Found => Ok(AddedUp::Found),
            Part::Blurred | Part::Mixed => Err(mixed()),
        }
    }

    /// An atom's condition without what a sensitive column decides.
    ///
    /// # Errors
    /// As [`BaseRows::of`].
    pub(crate) fn relaxed(&self, condition: &Expr) -> Result<Relaxed, Refused> {
        relaxed(condition, &self.columns)
    }

    fn scan(plan: &LogicalPlan, dataset: &EffectiveDataset) -> Self {
        let mut columns = Columns::default();
        for column in &dataset.columns {
            // A mean asks whether there is a value, and chooses nobody by it.
            let is_measured = column.uses.contains(&Use::Aggregate);
            columns.put(
                &column.name,
                match (is_sensitive(column), is_measured) {
                    (true, true) => Part::Certain,
                    (true, false) => Part::Sensitive,
                    (false, _) if column.role == Role::Measure => Part::Measured,
                    (false, _) => Part::Other,
                },
            );
        }
        for unit in &dataset.units {
            columns.put(&unit.column, Part::Key);
        }
        let datasets = BTreeSet::from([dataset.id.sql_name()]);
        BaseRows { is_raw: true, datasets, ..BaseRows::of_rows(plan.clone(), columns, true) }
    }

    fn of_rows(plan: LogicalPlan, columns: Columns, is_individual: bool) -> Self {
        let (choice, own_rows, datasets) = (Choice::None, OwnRows::All, BTreeSet::new());
        BaseRows {
            plan,
            columns,
            is_individual,
            is_raw: false,
            choice,
            own_rows,
            is_narrowed: false,
            datasets,
        }
    }

    /// The row filter of a policy stays as it is: it is the same for every question.
    fn filtered(mut self, filter: &Filter) -> Result<Self, Refused> {
        let kept = if self.is_raw {
            Some(filter.predicate.clone())
        } else {
            let Relaxed { condition, choice, is_of_rows: _ } = relaxed(&filter.predicate, &self.columns)?;
            self.choice = self.choice.and(choice)?;
            self.own_rows = self.own_rows.after(choice);
            self.is_narrowed |= condition.is_some();
            condition
        };
        if let Some(kept) = kept {
            let filter = Filter::try_new(kept, Arc::new(self.plan)).map_err(not_built)?;
            self.plan = LogicalPlan::Filter(filter);
        }
        Ok(self)
    }

    fn projected(self, projection: &Projection) -> Result<Self, Refused> {
        let mut columns = Columns::default();
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            columns.put_computed(field.name(), expr, &self.columns)?;
        }
        let projection = Projection::try_new(projection.expr.clone(), Arc::new(self.plan));
        let plan = LogicalPlan::Projection(projection.map_err(not_built)?);
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    /// The node over these rows, with the same columns.
    fn below(self, node: &LogicalPlan) -> Result<Self, Refused> {
        let plan = node.with_new_exprs(node.expressions(), vec![self.plan]).map_err(not_built)?;
        Ok(BaseRows { plan, is_raw: false, ..self })
    }

    /// An aggregation of each subject's own rows.
    fn aggregated(self, node: &LogicalPlan, aggregate: &Aggregate) -> Result<Self, Refused> {
        let mut columns = Columns::default();
        let (keys, numbers) = (aggregate.group_expr.iter(), aggregate.aggr_expr.iter());
        let mut fields = aggregate.schema.fields().iter();
        for (key, field) in keys.zip(fields.by_ref()) {
            columns.put_computed(field.name(), key, &self.columns)?;
        }
        for (number, field) in numbers.zip(fields) {
            columns.put(field.name(), self.columns.number(number, self.own_rows));
        }
        let plan = node.with_new_exprs(node.expressions(), vec![self.plan]).map_err(not_built)?;
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    /// Functions over each subject's own rows, beside the columns of these.
    fn windowed(self, node: &LogicalPlan, window: &Window) -> Result<Self, Refused> {
        let mut columns = self.columns.clone();
        let fields = window.schema.fields().iter().skip(window.input.schema().fields().len());
        for (number, field) in window.window_expr.iter().zip(fields) {
            columns.put(field.name(), self.columns.number(number, self.own_rows));
        }
        let plan = node.with_new_exprs(node.expressions(), vec![self.plan]).map_err(not_built)?;
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    fn united(branches: Vec<Self>, union: &Union) -> Result<Self, Refused> {
        let mut columns = Columns::default();
        let mut choices = branches.iter().map(|branch| branch.choice);
        let first = choices.next().ok_or_else(internal)?;
        let choice = choices.try_fold(first, Choice::or)?;
        let own_rows = branches.iter().map(|branch| branch.own_rows).fold(OwnRows::All, OwnRows::max);
        let datasets = branches.iter().flat_map(|branch| branch.datasets.clone()).collect();
        let is_narrowed = branches.iter().any(|branch| branch.is_narrowed);
        for (at, field) in union.schema.fields().iter().enumerate() {
            let mut strictest = Part::Key;
            for branch in &branches {
                let own = branch.plan.schema().fields().get(at).ok_or_else(internal)?;
                strictest = strictest.max(branch.columns.part(own.name()));
            }
            columns.put(field.name(), strictest);
        }
        let plans = branches.into_iter().map(|branch| Arc::new(branch.plan)).collect();
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(plans).map_err(not_built)?);
        Ok(BaseRows { choice, own_rows, is_narrowed, datasets, ..BaseRows::of_rows(plan, columns, true) })
    }
}

/// True of a column that says something sensitive of a subject, and whose dataset is not open.
pub(crate) fn is_sensitive(column: &EffectiveColumn) -> bool {
    column.role == Role::Sensitive && column.grade > Level(1)
}

#[cfg(test)]
mod tests;
