//! Filter: individuals stay individual, under the shape rule; a condition taints every row, read or not.
//! Rows of open tables that are chosen in another way than the shape rule knows may meet individuals no more.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use datafusion_expr::utils::split_conjunction;

use crate::column_facts::ColumnKind;
use crate::column_facts::Conditions;
use crate::column_facts::RowCondition;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::normalise::keyless;
use crate::shape::ShapeCheck;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;

use super::Zone;
use super::ZonePass;
use super::join::many_to_one::is_identifying;
use super::subquery::has_subquery;

/// A condition whose every conjunct obeys the shape rule.
struct Shaped {
    /// The conjuncts, in their total form.
    accepted: Vec<Expr>,
    /// The conditions that the rows fulfil from here on.
    conditions: Conditions,
    read: Read,
}

impl ZonePass<'_> {
    /// The zone of rows under a condition.
    ///
    /// A condition such as `md5(name) < '8'` chooses a pseudo-random half of the people, from which a table can be
    /// reconstructed (Dinur and Nissim 2003): over individuals it obeys the shape rule
    /// (`sandbox/docs/disclosure-model.md`, section 4.3). Released rows are chosen by any rule at all, as by
    /// `HAVING COUNT(*) % 7 = 3`, so that they meet individuals no more
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn filter(&mut self, plan: &LogicalPlan, filter: &Filter) -> Result<Zone, Refused> {
        let Filter { predicate, input, .. } = filter;
        // The planner takes the condition of a join without equal keys out of it (`ON day BETWEEN first AND last`).
        if let Some(join) = keyless(input) {
            let filter = Some(join.filter.iter().cloned().fold(predicate.clone(), Expr::and));
            let join = Join { filter, ..join.clone() };
            return self.join(&LogicalPlan::Join(join.clone()), &join);
        }
        match self.zone(input)? {
            Zone::Individual(mut rows) => {
                let condition = self.defined_over_individual(&mut rows, predicate)?;
                let shaped = self.shaped(&rows, &condition)?;
                self.restrict(*rows, shaped).map(|rows| Zone::Individual(Box::new(rows)))
            }
            Zone::Public(rows) => match self.shaped_of_open_table(&rows, predicate)? {
                Some(shaped) => self.restrict(*rows, shaped).map(|rows| Zone::Public(Box::new(rows))),
                None => self.over_open_tables(plan, *rows).map(Zone::Released),
            },
            // A filtered released table would pick out groups by any rule at all: it no longer joins individuals.
            Zone::Released(input) => self.rebuild(plan, vec![input]).map(Zone::Released),
        }
    }

    /// A condition on an open table whose rows may still meet individuals; nothing where they may not.
    ///
    /// The rows of a register that were chosen by name or key would choose whom they meet:
    /// `SELECT person_id FROM register WHERE office = 'mayor'` is one person. Chosen by a condition that the shape rule
    /// does not know, they would be a pseudo-random set (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn shaped_of_open_table(
        &mut self,
        rows: &SourceRows,
        predicate: &Expr,
    ) -> Result<Option<Shaped>, Refused> {
        // No column of an open table is the measure that a released mean is compared with.
        if has_subquery(predicate) {
            return Ok(None);
        }
        let condition = self.define(rows, predicate)?;
        let mut read = condition.column_refs().into_iter().filter_map(|column| rows.base(column));
        if read.any(is_identifying) {
            return Ok(None);
        }
        Ok(self.shaped(rows, &condition).ok())
    }

    /// Holds every conjunct of a condition against the shape rule, and records what the rows fulfil from here on.
    ///
    /// A measure is compared with the mean of the same rows or of more of them: a mean over a finer filter can be made
    /// to measure, and would cut a bin in two. Conditions are held against each other by their texts, and one that has
    /// no text over columns of datasets equals no other (`sandbox/docs/disclosure-model.md`, section 4.6).
    fn shaped(&mut self, rows: &SourceRows, condition: &Expr) -> Result<Shaped, Refused> {
        let conjuncts = split_conjunction(condition);
        let mut conditions = rows.conditions.clone();
        for conjunct in &conjuncts {
            let own = rows.canonical(conjunct);
            let of_no_scan = || RowCondition::of_no_scan(format!("condition {}", self.instance()));
            conditions.insert(own.unwrap_or_else(of_no_scan));
        }
        let mut shape = ShapeCheck::new(&rows.bases, &conditions, self.review);
        let mut accepted = Vec::new();
        let mut refused = Vec::new();
        for conjunct in conjuncts {
            match shape.predicate(conjunct) {
                Ok(expr) => accepted.push(expr),
                Err(findings) => refused.extend(findings),
            }
        }
        Refused::if_any(refused)?;
        let read = shape.read();
        Ok(Shaped { accepted, conditions, read })
    }

    /// Applies a condition: it taints every row.
    ///
    /// `SELECT COUNT(*) FROM persons WHERE diag = 'HIV'` reads no column, and tells of the diagnosis all the same. So
    /// the grade, the comparisons and the literals of a condition stay with the rows
    /// (`sandbox/docs/disclosure-model.md`, section 4.2), and so do the columns that it compares, because a sum of one
    /// of them may be a count in disguise (`sandbox/docs/disclosure-model.md`, section 5.6).
    fn restrict(&mut self, mut rows: SourceRows, shaped: Shaped) -> Result<SourceRows, Refused> {
        let Shaped { accepted, conditions, read } = shaped;
        rows.taint.read(read);
        rows.taint.read(self.take_subqueries_read());
        rows.conditions = conditions;
        rows.taint.compared.add(&rows.bases, &accepted);
        for condition in &accepted {
            record_filter(&mut rows, condition);
        }
        if let Some(condition) = accepted.into_iter().reduce(Expr::and) {
            rows.plan = LogicalPlanBuilder::from(rows.plan)
                .filter(condition)
                .and_then(LogicalPlanBuilder::build)
                .map_err(not_built)?;
        }
        Ok(rows)
    }
}

/// Records which rows of their sources are left after an accepted condition.
///
/// Rows that a join or a union repeats are weights and are not counted. A person without a match in an outer join has
/// one row, and branches of a union for different literals share no row: these are no copies, and count
/// (`sandbox/docs/disclosure-model.md`, section 4.8).
fn record_filter(source_rows: &mut SourceRows, condition: &Expr) {
    let bases = &mut source_rows.bases;
    match condition {
        // Without a match on the other side a row of an outer join stands for itself.
        Expr::IsNull(inner) => {
            let Expr::Column(column) = &**inner else { return };
            let Some(base) = bases.get(&column.name) else { return };
            if let (ColumnKind::UnitKey { .. }, Some(join)) = (&base.kind, base.missing_by) {
                source_rows.multiplicity.copied_by.remove(&join);
                for base in bases.values_mut() {
                    base.copied_by.remove(&join);
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            record_equality(source_rows, left, std::slice::from_ref(&**right));
        }
        Expr::InList(list) if !list.negated => record_equality(source_rows, &list.expr, &list.list),
        _ => {}
    }
}

/// Records the literals that a column of the only scan is among, for types that have one form for each value.
///
/// Two branches count together only where they share no row for certain. A column that the query made pins no row: with
/// `LAG(day) ... = 0` taken for `day = 0`, a row of the other branch would be counted twice. Types whose equal values
/// may be written in two ways prove nothing either (`sandbox/docs/disclosure-model.md`, section 4.8).
fn record_equality(source_rows: &mut SourceRows, side: &Expr, literals: &[Expr]) {
    let Expr::Column(column) = side else { return };
    let Some(base) = source_rows.bases.get(&column.name).filter(|base| !base.open && base.dataset.is_some())
    else {
        return;
    };
    let exact =
        matches!(base.data_type, DataType::Int64 | DataType::Utf8 | DataType::Boolean | DataType::Date32);
    let values: Option<BTreeSet<String>> = literals
        .iter()
        .map(|literal| match literal {
            Expr::Literal(value, _) if exact && value.data_type() == base.data_type => {
                Some(value.to_string())
            }
            _ => None,
        })
        .collect();
    if let (Some(values), Some(equalities)) = (values, &mut source_rows.multiplicity.equalities) {
        let known = equalities.entry(base.name.clone()).or_insert_with(|| values.clone());
        *known = known.intersection(&values).cloned().collect();
    }
}
