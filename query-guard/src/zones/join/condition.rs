//! The condition of a join, taken apart: the pairs of columns that it equates, and the comparisons that are left.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_common::Column;
use datafusion_common::NullEquality;
use datafusion_expr::Between;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use datafusion_expr::utils::split_conjunction;

use crate::column::bare_column;
use crate::column_facts::ColumnFacts;
use crate::column_facts::Conditions;
use crate::column_facts::RowCondition;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::reason::Reason;
use crate::shape::ShapeCheck;
use crate::source_rows::Multiplicity;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;
use crate::source_rows::Taint;
use crate::source_rows::Unique;
use crate::zones::ZonePass;

use super::refusal::join_refusal;

/// A join's condition, taken apart: equated base columns (left, right) and the rest.
pub(super) struct Condition {
    pub(super) equated: Vec<(Column, Column)>,
    /// The rule for equated columns that are both NULL; they match by `IS NOT DISTINCT FROM`, INTERSECT and EXCEPT.
    pub(super) nulls: NullEquality,
    /// An anti join by NOT IN: one NULL on the right empties it, and a NULL on the left is never in it.
    pub(super) null_aware: bool,
    pub(super) residual: Vec<Expr>,
}

impl Condition {
    /// The columns of both sides that are equated.
    pub(super) fn columns(&self) -> Vec<Expr> {
        let columns = self.equated.iter().flat_map(|(left, right)| [left, right]);
        columns.map(|column| Expr::Column(column.clone())).collect()
    }
}

impl ZonePass<'_> {
    /// Takes the condition apart; both forms that the planner leaves (pairs and a filter) mean the same.
    ///
    /// Equations and comparisons have rules of their own. An equation under which missing values match and that is none
    /// of bare columns is refused: judged as a comparison it would leave out the rows in which both are missing
    /// (`sandbox/docs/disclosure-model.md`, section 4.11).
    pub(super) fn condition(
        &mut self,
        left: &SourceRows,
        right: &SourceRows,
        join: &Join,
    ) -> Result<Condition, Refused> {
        let both = both_sides(left, right)?;
        let pairs = join.on.iter().map(|(a, b)| {
            (datafusion_expr::binary_expr(a.clone(), Operator::Eq, b.clone()), join.null_equality)
        });
        let filters = join.filter.iter().flat_map(|filter| split_conjunction(filter));
        let conjuncts = pairs.chain(filters.map(|expr| (expr.clone(), NullEquality::NullEqualsNothing)));
        let mut condition = Condition {
            equated: Vec::new(),
            nulls: join.null_equality,
            null_aware: join.null_aware,
            residual: Vec::new(),
        };
        for (conjunct, nulls) in conjuncts {
            let defined = self.define(&both, &conjunct)?;
            // One join treats NULLs in one way: an equation of the other way stays a comparison.
            let equation = equation(&both.bases, &defined).filter(|_| nulls == condition.nulls);
            match equation {
                Some((a, b)) if left.bases.contains_key(&a.name) && right.bases.contains_key(&b.name) => {
                    condition.equated.push((a, b))
                }
                Some((a, b)) if left.bases.contains_key(&b.name) && right.bases.contains_key(&a.name) => {
                    condition.equated.push((b, a))
                }
                _ if is_true(&defined) => {}
                // A pair of the join that is no pair of base columns would lose how it treats NULLs.
                _ if nulls == NullEquality::NullEqualsNull => {
                    return Err(join_refusal(Reason::MissingWouldMatch).into());
                }
                _ => condition.residual.extend(between_ends(defined)),
            }
        }
        Ok(condition)
    }

    /// The conditions of both sides, and that of the join, which is equal to no other.
    ///
    /// A mean over joined rows is one over rows that the join chose, and a choice of the analyst's could move it to any
    /// place between two edges: so it is the mean of no other rows than these
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn joined_conditions(&mut self, left: Conditions, right: Conditions) -> Conditions {
        left.into_iter()
            .chain(right)
            .chain([RowCondition::of_no_scan(format!("join {}", self.instance()))])
            .collect()
    }

    /// A residual condition compares columns of the same subject, by the shape rule; with it comes what it read.
    ///
    /// `a.begun < b.begun` for two people of one firm tells of the one by the other. Rows whose keys were equated are
    /// one subject's, so that owners are renamed before they are compared
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn residual(
        &self,
        left: &SourceRows,
        right: &SourceRows,
        residual: &[Expr],
        merged: &[(String, String)],
    ) -> Result<(Option<Expr>, Read), Refused> {
        let mut bases: BTreeMap<String, ColumnFacts> =
            left.bases.iter().chain(&right.bases).map(|(name, base)| (name.clone(), base.clone())).collect();
        for base in bases.values_mut() {
            base.owners = base.owners.iter().map(|owner| renamed(owner, merged)).collect();
        }
        let conditions = left.conditions.union(&right.conditions).cloned().collect();
        let mut shape = ShapeCheck::new(&bases, &conditions, self.review);
        let mut accepted = Vec::with_capacity(residual.len());
        for expr in residual {
            accepted.push(shape.predicate(expr)?);
        }
        Ok((accepted.into_iter().reduce(Expr::and), shape.read()))
    }
}

/// Both inputs as one relation, only to resolve the join's own condition.
fn both_sides(left: &SourceRows, right: &SourceRows) -> Result<SourceRows, Refused> {
    let schema = left.schema.join(&right.schema).map_err(not_built)?;
    Ok(SourceRows {
        plan: LogicalPlan::default(),
        bases: left
            .bases
            .iter()
            .chain(&right.bases)
            .map(|(name, base)| (name.clone(), base.clone()))
            .collect(),
        schema: Arc::new(schema),
        outputs: left.outputs.iter().chain(&right.outputs).cloned().collect(),
        classes: Vec::new(),
        taint: Taint::none(),
        unique: Unique::default(),
        multiplicity: Multiplicity::default(),
        conditions: Conditions::new(),
    })
}

/// The two bare columns that a comparison equates. An expression is equated by no rule, so that it stays a comparison
/// under the shape rule (`sandbox/docs/disclosure-model.md`, section 4.5).
fn equation(bases: &BTreeMap<String, ColumnFacts>, expr: &Expr) -> Option<(Column, Column)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return None };
    Some((bare_column(bases, left)?.clone(), bare_column(bases, right)?.clone()))
}

/// BETWEEN as its two comparisons.
fn between_ends(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::Between(Between { expr, negated: false, low, high }) => vec![
            datafusion_expr::binary_expr((*expr).clone(), Operator::GtEq, *low),
            datafusion_expr::binary_expr(*expr, Operator::LtEq, *high),
        ],
        other => vec![other],
    }
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion_common::ScalarValue::Boolean(Some(true)), _))
}

/// The class that an owner belongs to once the classes of both sides are merged.
///
/// So columns of one person stay comparable after a join, and columns of two people of one firm do not become so
/// (`sandbox/docs/disclosure-model.md`, section 4.5).
pub(super) fn renamed(owner: &str, merged: &[(String, String)]) -> String {
    merged
        .iter()
        .find(|(_, replaced)| replaced == owner)
        .map_or_else(|| owner.to_owned(), |(kept, _)| kept.clone())
}
