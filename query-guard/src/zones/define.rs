//! Expressions over the schema that the SQL sees, as expressions over the columns of scans: every rule reads those alone.

use datafusion_expr::Expr;

use crate::budget::nodes;
use crate::finding::Refused;
use crate::finding::not_built;
use crate::limits::EXPRESSION_NODES_MAX;
use crate::limits::too_large;
use crate::reason::Reason;
use crate::source_rows::SourceRows;

use super::ZonePass;
use super::subquery::ComparedWith;

impl ZonePass<'_> {
    /// An expression over the SQL schema as one over base columns, its subqueries replaced by released ones.
    ///
    /// Rules read base columns alone, so that no alias hides from them what is looked at. Each rule looks at every
    /// node, and nested `x + x AS x` doubles the nodes at every level: a short text would hold up the questions of
    /// others (`sandbox/docs/disclosure-model.md`, section 3).
    pub(super) fn define(&mut self, rows: &SourceRows, expr: &Expr) -> Result<Expr, Refused> {
        let expr = self.release_subqueries(expr.clone(), ComparedWith::Individuals)?;
        let defined = rows.define(&expr).map_err(not_built)?;
        let nodes = nodes(&defined, EXPRESSION_NODES_MAX + 1);
        self.review.budget.take(nodes)?;
        if nodes > EXPRESSION_NODES_MAX {
            return Err(too_large(
                Reason::DefinedTooLarge,
                "expression",
                format!("at most {EXPRESSION_NODES_MAX} parts in one expression once names are written out"),
                format!("展开名称后，一个表达式最多 {EXPRESSION_NODES_MAX} 个部分"),
            )
            .into());
        }
        Ok(defined)
    }

    /// The same over individuals, with a column of its own for each time between two dates (`between`), so that every
    /// rule sees it as a column (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(super) fn defined_over_individual(
        &mut self,
        rows: &mut SourceRows,
        expr: &Expr,
    ) -> Result<Expr, Refused> {
        let defined = self.define(rows, expr)?;
        self.with_between(rows, defined)
    }

    /// Several expressions over individuals.
    pub(super) fn defined_over_individuals<'e>(
        &mut self,
        rows: &mut SourceRows,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<Vec<Expr>, Refused> {
        exprs.into_iter().map(|expr| self.defined_over_individual(rows, expr)).collect()
    }
}
