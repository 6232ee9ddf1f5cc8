//! Subqueries that stand where a value does: each comes to one released value, or is refused.
//!
//! Danger they answer: a scalar subquery that carries the value of one row into a condition on individuals, where it would
//! be a literal that stands in no text.

use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Subquery;

use crate::catalog::ReleasedSource;
use crate::column_facts::ReleasedColumnFacts;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::reason::Reason;
use crate::source_rows::Read;

use super::Zone;
use super::ZonePass;
use super::released;
use super::released::ReleasedPlan;

/// The values that stand beside a released one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ComparedWith {
    /// Those of individuals: only their own mean is compared with them.
    Individuals,
    /// Other released values: anything goes.
    Released,
}

impl ZonePass<'_> {
    /// The relation of a subquery that the planner has left as a node; refused where it is still correlated.
    ///
    /// A subquery that still names the outer row puts one person's value into a question about others
    /// (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn subquery(&mut self, subquery: &Subquery) -> Result<Zone, Refused> {
        if !subquery.outer_ref_columns.is_empty() {
            return Err(not_one_value().into());
        }
        self.zone(&subquery.subquery)
    }

    /// A scalar subquery must come to one released value; anything else that is still a subquery is refused.
    ///
    /// `'HIV' IN (SELECT diag FROM persons WHERE age = 107)` switches the answer for everybody by the value of one
    /// person (`sandbox/docs/disclosure-model.md`, section 4.9).
    pub(super) fn release_subqueries(&mut self, expr: Expr, with: ComparedWith) -> Result<Expr, Refused> {
        let mut refused: Option<Refused> = None;
        let rewritten = expr.transform_down(|inner| {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "everything that is not a subquery is judged where it is used"
            )]
            match inner {
                Expr::ScalarSubquery(subquery) => match self.released_value(&subquery, with) {
                    Ok(plan) => Ok(Transformed::new(
                        Expr::ScalarSubquery(Subquery {
                            subquery: Arc::new(plan),
                            outer_ref_columns: Vec::new(),
                            spans: subquery.spans,
                        }),
                        true,
                        TreeNodeRecursion::Jump,
                    )),
                    Err(findings) => {
                        refused.get_or_insert(findings);
                        Ok(Transformed::new(
                            Expr::Literal(datafusion_common::ScalarValue::Null, None),
                            true,
                            TreeNodeRecursion::Stop,
                        ))
                    }
                },
                Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..) => {
                    refused.get_or_insert(not_one_value().into());
                    Ok(Transformed::no(inner))
                }
                other => Ok(Transformed::no(other)),
            }
        });
        match refused {
            Some(findings) => Err(findings),
            None => rewritten.map(|rewritten| rewritten.data).map_err(not_built),
        }
    }

    /// The plan of a scalar subquery that comes to one released value; refused where it may be anything else.
    ///
    /// `salary > (SELECT salary FROM persons WHERE age = 107)` counts people by one person's salary. Beside individuals
    /// even a released value must be a measure's own mean: a sum made to measure, or a row of open data, would be a
    /// literal off its edges (`sandbox/docs/disclosure-model.md`, section 4.9).
    fn released_value(&mut self, subquery: &Subquery, with: ComparedWith) -> Result<LogicalPlan, Refused> {
        if !subquery.outer_ref_columns.is_empty() {
            return Err(not_one_value().into());
        }
        match (self.zone(&subquery.subquery)?, with) {
            (Zone::Released(value), ComparedWith::Individuals) if value.is_one_row() => {
                if !is_benchmark(&value) {
                    return Err(not_own_mean().into());
                }
                self.subqueries_read = self.subqueries_read.and(value.read);
                Ok(value.plan)
            }
            (Zone::Released(value), ComparedWith::Released) if value.is_one_row() => {
                self.subqueries_read = self.subqueries_read.and(value.read);
                Ok(value.plan)
            }
            // Beside released values one row of open data is a value; beside individuals the analyst could choose it.
            (Zone::Public(rows), ComparedWith::Released) if rows.unique.is_one_row() => {
                released::of_open_tables(*rows).map(|value| value.plan)
            }
            (Zone::Individual(_) | Zone::Public(_) | Zone::Released(_), _) => Err(not_one_value().into()),
        }
    }

    /// The reading of subqueries in expressions since the last call.
    ///
    /// It counts for the rows beside which the subqueries stand: otherwise conditions moved into subqueries would
    /// escape the limits on comparisons and literals, and the grade of their columns
    /// (`sandbox/docs/disclosure-model.md`, section 4.2).
    pub(super) fn take_subqueries_read(&mut self) -> Read {
        std::mem::replace(&mut self.subqueries_read, Read::nothing())
    }
}

/// True if a part of the expression is a subquery: the rules for rows of open tables judge none
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let found = expr.exists(|part| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        ))
    });
    // The closure never fails.
    found.unwrap_or(true)
}

/// The refusal of a released value other than the measure's own mean, which the analyst could make to order
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn not_own_mean() -> Finding {
    Finding::of(Reason::SubqueryNotOwnMean).help(
        "a measure of individuals is compared with its own mean, as it is released",
        "个体的度量字段只能与该字段自身均值的发布值比较",
    )
}

/// True if the value is the mean of one measure.
///
/// Any other released number can be made to be any number (`AVG(20001)`), and would put a literal off its edges
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn is_benchmark(value: &ReleasedPlan) -> bool {
    let column = ReleasedSource::column_of(&value.plan, 0);
    matches!(column.as_deref(), Some(ReleasedColumnFacts::Benchmark { .. }))
}

/// The refusal of a subquery that stands where a value does, and comes to no single released value: rows of individuals
/// there put one person's value into another's condition (`sandbox/docs/disclosure-model.md`, section 4.9).
fn not_one_value() -> Finding {
    Finding::of(Reason::SubqueryNotOneValue).help(
        "use EXISTS or IN in WHERE, or LEFT JOIN a subquery that is aggregated per subject",
        "请在 WHERE 中使用 EXISTS 或 IN，或 LEFT JOIN 按主体汇总的子查询",
    )
}
