//! The order of a result: a function of its values, never of which thread was first.
//!
//! An order that the SQL leaves open (no ORDER BY, ties of it, LIMIT without it, ROW_NUMBER over equal rows) is settled by
//! all columns of the rows at hand. It touches released values only; `zones::window` judges the order of individuals.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode as _;
use datafusion_expr::Distinct;
use datafusion_expr::DistinctOn;
use datafusion_expr::Expr;
use datafusion_expr::Limit;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Sort as SortNode;
use datafusion_expr::WindowFrameUnits;
use datafusion_expr::expr::Sort;
use datafusion_expr::expr_rewriter::NamePreserver;

use crate::catalog::SealedSource;
use crate::finding::Refused;
use crate::finding::not_built;

/// Window functions that go by a row's position, with any frame.
const BY_POSITION: &[&str] = &["row_number", "lag", "lead", "ntile"];

/// The same plan over released values, with an order for everything that depends on one.
///
/// Were an order left to the engine's threads, the same question would have several answers: LIMIT 1 over equal counts
/// would show one group after the other. Ties are broken by all columns, so that asking again tells nothing
/// (`sandbox/docs/disclosure-model.md`, section 6).
///
/// # Errors
/// `internal-error` when the plan cannot be put together again.
pub(crate) fn ordered(plan: LogicalPlan) -> std::result::Result<LogicalPlan, Refused> {
    plan.transform_up_with_subqueries(settled)
        .and_then(|settled| {
            let as_it_is = is_ordered(&settled.data) || is_one_open_table(&settled.data);
            if as_it_is { Ok(settled.data) } else { sorted_by_all(settled.data) }
        })
        .map_err(not_built)
}

/// Settles the order of one node: of a sort by its ties, of a LIMIT without order by all columns, of DISTINCT ON and of
/// windows.
///
/// Each of these chooses rows by their position, which for equal rows is whichever thread was first
/// (`sandbox/docs/disclosure-model.md`, section 6).
fn settled(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Sort(SortNode { expr, input, fetch }) => {
            let expr = with_ties_broken(expr, &input);
            Ok(Transformed::yes(LogicalPlan::Sort(SortNode { expr, input, fetch })))
        }
        LogicalPlan::Limit(Limit { skip, fetch, input }) if !is_ordered(&input) => {
            let input = Arc::new(sorted_by_all(Arc::unwrap_or_clone(input))?);
            Ok(Transformed::yes(LogicalPlan::Limit(Limit { skip, fetch, input })))
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            let DistinctOn { on_expr, select_expr, sort_expr, input, .. } = distinct;
            let sorts =
                sort_expr.unwrap_or_else(|| on_expr.iter().map(|on| on.clone().sort(true, false)).collect());
            let sorts = with_ties_broken(sorts, &input);
            let distinct = DistinctOn::try_new(on_expr, select_expr, Some(sorts), input)?;
            Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(distinct))))
        }
        LogicalPlan::Window(window) => {
            let input = Arc::clone(&window.input);
            let node = LogicalPlan::Window(window);
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let settled = expr.transform_up(|inner| Ok(by_position(inner, &input)))?;
                Ok(settled.update_data(|expr| name.restore(expr)))
            })
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Breaks the ties of a window function that goes by a row's position.
///
/// ROW_NUMBER, and a frame in rows, differ between equal rows; RANK does not, and keeps its meaning without further
/// columns (`sandbox/docs/disclosure-model.md`, section 6).
fn by_position(expr: Expr, input: &LogicalPlan) -> Transformed<Expr> {
    match expr {
        Expr::WindowFunction(mut function)
            if BY_POSITION.contains(&function.fun.name())
                || function.params.window_frame.units == WindowFrameUnits::Rows =>
        {
            function.params.order_by = with_ties_broken(function.params.order_by, input);
            Transformed::yes(Expr::WindowFunction(function))
        }
        other => Transformed::no(other),
    }
}

/// An order, continued by all columns that it does not hold: rows that are still equal are the same row to whoever reads
/// them (`sandbox/docs/disclosure-model.md`, section 6).
fn with_ties_broken(mut sorts: Vec<Sort>, input: &LogicalPlan) -> Vec<Sort> {
    for column in input.schema().columns() {
        let column = Expr::Column(column);
        if !sorts.iter().any(|sort| sort.expr == column) {
            sorts.push(column.sort(true, false));
        }
    }
    sorts
}

fn sorted_by_all(plan: LogicalPlan) -> Result<LogicalPlan> {
    let sorts = with_ties_broken(Vec::new(), &plan);
    if sorts.is_empty() {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).sort(sorts)?.build()
}

/// True if rows come out in an order that a sort below has given them.
///
/// The wildcard sorts once more, so that a node that no one has looked at is never taken for ordered
/// (`sandbox/docs/disclosure-model.md`, section 6).
fn is_ordered(plan: &LogicalPlan) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard sorts once more")]
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Limit(limit) => is_ordered(&limit.input),
        LogicalPlan::Projection(projection) => is_ordered(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_ordered(&alias.input),
        _ => false,
    }
}

/// True if the rows are those of one open table, which have the order of its file and may be more than are sorted at
/// once.
///
/// They are public rows in an order that is sealed with them, so that every run has the same
/// (`sandbox/docs/disclosure-model.md`, section 6).
fn is_one_open_table(plan: &LogicalPlan) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard sorts")]
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<SealedSource>().is_some(),
        LogicalPlan::Projection(projection) => is_one_open_table(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_open_table(&alias.input),
        LogicalPlan::Filter(filter) => is_one_open_table(&filter.input),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::admitted;

    fn post(sql: &str) -> String {
        admitted(sql).post().display_indent().to_string()
    }

    #[test]
    fn what_the_sql_does_not_order_is_sorted_by_all_columns() {
        let plan = post(
            "SELECT dept, COUNT(*) FROM persons GROUP BY dept UNION ALL SELECT sex, COUNT(*) FROM persons GROUP BY sex",
        );
        assert!(plan.starts_with("Sort: dept ASC NULLS LAST, count(*) ASC NULLS LAST"), "{plan}");
    }

    #[test]
    fn ties_of_the_sql_s_own_order_are_broken() {
        let plan = post("SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY n DESC LIMIT 3");
        assert!(plan.contains("Sort: n DESC NULLS FIRST, "), "{plan}");
        assert!(plan.contains("dept ASC NULLS LAST"), "{plan}");
    }

    #[test]
    fn a_limit_without_order_takes_the_first_in_the_order_of_all_columns() {
        let plan = post(
            "SELECT n FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept LIMIT 2) t ORDER BY n",
        );
        let (limit, sort) = (plan.find("Limit").unwrap(), plan.rfind("Sort").unwrap());
        assert!(limit < sort, "{plan}");
    }

    #[test]
    fn positions_among_equal_rows_follow_all_columns() {
        let plan = post(
            "SELECT dept, ROW_NUMBER() OVER (ORDER BY n) AS r FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) t",
        );
        assert!(plan.contains("ORDER BY [t.n ASC NULLS LAST, t.dept ASC NULLS LAST]"), "{plan}");
        let plan = post(
            "SELECT dept, RANK() OVER (ORDER BY n) AS r FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) t",
        );
        assert!(plan.contains("ORDER BY [t.n ASC NULLS LAST] "), "equal rows have equal ranks: {plan}");
    }
}
