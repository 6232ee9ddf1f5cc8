//! Size limits of a planned question: joins, steps, output columns, and what its expressions become once names are
//! written out. Limits count what a text becomes, not what is written: 24 nested `SELECT a + a AS a` are 2^24 additions.
//!
//! It reads plans and judges nothing but their size; how many rows they make of few is `rows`' business.

use datafusion_common::Column;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::GroupingSet;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Operator;
use datafusion_expr::expr::ScalarFunction;

use crate::finding::Finding;
use crate::finding::find_word;
use crate::finding::first_span;
use crate::limits::EXPRESSION_PARTS_MAX;
use crate::limits::GROUPING_SETS_MAX;
use crate::limits::JOINS_MAX;
use crate::limits::OUTPUT_COLUMNS_MAX;
use crate::limits::PLAN_NODES_MAX;
use crate::limits::STATEMENT_PARTS_MAX;
use crate::limits::TEXT_GROWTH_MAX;
use crate::limits::too_large;
use crate::reason::Reason;

/// Checks a plan against every limit.
///
/// Each limit bounds what the plan makes of the text: joins multiply rows, every rule looks at every step, CUBE of n
/// keys is 2^n aggregations, joined texts and output columns hold memory for each group, and a list in an output column
/// is more than one value. All of them rest on the plan alone, so that meeting one tells nothing of the data
/// (`sandbox/docs/disclosure-model.md`, section 3).
///
/// # Errors
/// `query-too-large` with the limit that is passed, or `query-not-understood` for columns that hold lists.
pub(crate) fn within_limits(sql: &str, plan: &LogicalPlan) -> Result<(), Finding> {
    let (mut joins, mut nodes) = (0_usize, 0_usize);
    let counted = plan.apply_with_subqueries(|node| {
        nodes += 1;
        joins += usize::from(matches!(node, LogicalPlan::Join(_)));
        let fits = joins <= JOINS_MAX && nodes <= PLAN_NODES_MAX;
        Ok(if fits { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    if counted.is_err() || joins > JOINS_MAX {
        return Err(too_large(
            Reason::TooManyJoins,
            "joins",
            format!("at most {JOINS_MAX} joins"),
            format!("关联不超过 {JOINS_MAX} 个"),
        ));
    }
    if nodes > PLAN_NODES_MAX {
        return Err(too_large(
            Reason::TooManySteps,
            "steps",
            format!("at most {PLAN_NODES_MAX} steps once common table expressions are written out"),
            format!("展开公用表表达式后不超过 {PLAN_NODES_MAX} 步"),
        ));
    }
    if grouping_sets(plan) > GROUPING_SETS_MAX {
        return Err(too_large(
            Reason::TooManyGroupingSets,
            "grouping sets",
            format!("at most {GROUPING_SETS_MAX} sets of keys in one GROUP BY; CUBE of n keys is 2^n"),
            format!("一个 GROUP BY 最多 {GROUPING_SETS_MAX} 个分组集；n 个键的 CUBE 为 2^n 个"),
        ));
    }
    if text_growth(plan) > TEXT_GROWTH_MAX {
        return Err(too_large(
            Reason::TextsGrowTooMuch,
            "concatenations",
            format!("texts grow at most {TEXT_GROWTH_MAX} times"),
            format!("文本拼接最多使长度增至 {TEXT_GROWTH_MAX} 倍"),
        ));
    }
    if plan.schema().fields().iter().any(|field| field.data_type().is_nested()) {
        return Err(Finding::of(Reason::OutputIsNested).help(
            "output columns hold single values, not lists or structures",
            "输出字段须为单个值，不能为列表或结构",
        ));
    }
    if plan.schema().fields().len() > OUTPUT_COLUMNS_MAX {
        return Err(too_large(
            Reason::TooManyOutputColumns,
            "output columns",
            format!("at most {OUTPUT_COLUMNS_MAX} output columns"),
            format!("输出字段不超过 {OUTPUT_COLUMNS_MAX} 个"),
        ));
    }
    let mut parts = Parts { sql, all: 0 };
    parts.columns(plan).map(drop).map_err(|finding| *finding)
}

/// Checks one condition over columns of a table against the limits of an expression.
///
/// A row filter becomes part of every review of its dataset, and nested COALESCE doubles in it at every level as in a
/// question (`sandbox/docs/disclosure-model.md`, section 3).
///
/// # Errors
/// `query-too-large`.
pub(crate) fn condition_within_limits(sql: &str, condition: &Expr) -> Result<(), Finding> {
    let mut parts = Parts { sql, all: 0 };
    let written = parts.expression(condition, &[]).map_err(|finding| *finding)?;
    if written > EXPRESSION_PARTS_MAX { Err(parts.too_many(condition)) } else { Ok(()) }
}

/// The most sets of keys that a GROUP BY of a plan stands for: the product of what its items stand for.
///
/// Each set is an aggregation of its own, and CUBE of n keys stands for 2^n of them
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn grouping_sets(plan: &LogicalPlan) -> usize {
    let mut most = 1_usize;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            let sets = aggregate.group_expr.iter().map(|key| match key {
                Expr::GroupingSet(GroupingSet::Cube(keys)) => u32::try_from(keys.len())
                    .ok()
                    .and_then(|keys| 2_usize.checked_pow(keys))
                    .unwrap_or(usize::MAX),
                Expr::GroupingSet(GroupingSet::Rollup(keys)) => keys.len().saturating_add(1),
                Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.len(),
                _ => 1,
            });
            most = most.max(sets.fold(1_usize, usize::saturating_mul));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    most
}

/// By how much a plan's texts can grow: what is joined to itself at every step doubles at every step.
///
/// `x || x || x || x AS x` five times over makes a thousand bytes of one, in every row, until memory is exhausted
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn text_growth(plan: &LogicalPlan) -> usize {
    let mut growth = 1_usize;
    let walked = plan.apply_with_subqueries(|node| {
        let factors = node.expressions().iter().map(expression_growth).max();
        growth = growth.saturating_mul(factors.unwrap_or(1));
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    growth
}

/// By how much an expression's texts can grow: by the number of texts that it joins, at every level
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn expression_growth(expr: &Expr) -> usize {
    let mut growth = 1_usize;
    let walked = expr.apply(|inner| {
        let factor = match inner {
            Expr::ScalarFunction(call) if call.name() == "concat" => call.args.len().max(1),
            Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => 2,
            _ => 1,
        };
        growth = growth.saturating_mul(factor);
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    growth
}

/// Number of parts of each output column of a plan once every name in it is written out.
type ColumnParts = Vec<u64>;

/// Counts the parts of a statement's expressions.
///
/// The optimiser writes names out where it pushes a condition below a projection (DataFusion 55, `push_down_filter`) and
/// turns COALESCE into CASE with every argument twice (`coalesce::simplify`); the guard writes names out to read base
/// columns. Both are counted before either happens.
struct Parts<'a> {
    sql: &'a str,
    all: u64,
}

impl Parts<'_> {
    /// The parts of a plan's output columns, with every name in them written out.
    ///
    /// `SELECT a + a AS a` over itself 24 times is a short text of 2^24 additions: each rule, and the optimiser, would
    /// write the names out before it saw how much they come to (`sandbox/docs/disclosure-model.md`, section 3).
    ///
    /// # Errors
    /// `query-too-large` with the place of the expression that passes the limit.
    fn columns(&mut self, plan: &LogicalPlan) -> Result<ColumnParts, Box<Finding>> {
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            inputs.push((input, self.columns(input)?));
        }
        let mut own = Vec::new();
        for expr in plan.expressions() {
            let parts = self.expression(&expr, &inputs)?;
            self.all = self.all.saturating_add(parts);
            if parts > EXPRESSION_PARTS_MAX || self.all > STATEMENT_PARTS_MAX {
                return Err(Box::new(self.too_many(&expr)));
            }
            own.push(parts);
        }
        let width = plan.schema().fields().len();
        let below = || inputs.iter().flat_map(|(_, parts)| parts.iter().copied());
        let columns: ColumnParts = match plan {
            LogicalPlan::Projection(_) => own,
            // Keys are written out above; what is aggregated is a column of its own.
            LogicalPlan::Aggregate(aggregate) => own
                .into_iter()
                .take(aggregate.group_expr.len())
                .chain(std::iter::repeat(1))
                .collect_width(width),
            LogicalPlan::Window(_) => below().chain(own).collect_width(width),
            LogicalPlan::Union(_) => inputs.iter().fold(vec![1; width], |most, (_, parts)| {
                most.into_iter().zip(parts).map(|(most, parts)| most.max(*parts)).collect()
            }),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Join(_) => below().chain(std::iter::repeat(1)).collect_width(width),
            LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => vec![1; width],
        };
        Ok(columns)
    }

    /// The parts of one expression, those of its subqueries counted for the statement.
    ///
    /// A subquery is one value where it stands, and its own expressions are written out all the same
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn expression(
        &mut self,
        expr: &Expr,
        inputs: &[(&LogicalPlan, ColumnParts)],
    ) -> Result<u64, Box<Finding>> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "every other expression is written as often as it stands there"
        )]
        match expr {
            Expr::Column(column) => return Ok(column_parts(column, inputs)),
            Expr::ScalarSubquery(subquery) => {
                self.columns(&subquery.subquery)?;
                return Ok(1);
            }
            Expr::Exists(exists) => {
                self.columns(&exists.subquery.subquery)?;
                return Ok(1);
            }
            Expr::InSubquery(within) => {
                self.columns(&within.subquery.subquery)?;
            }
            Expr::SetComparison(comparison) => {
                self.columns(&comparison.subquery.subquery)?;
            }
            _ => {}
        }
        let mut children = Vec::new();
        let mut failed = None;
        let walked = expr.apply_children(|child| {
            match self.expression(child, inputs) {
                Ok(parts) => children.push(parts),
                Err(finding) => failed = Some(finding),
            }
            Ok(if failed.is_none() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
        match failed {
            Some(finding) => Err(finding),
            None => Ok(written(expr, &children)),
        }
    }

    /// The refusal of an expression with too many parts, with its place or that of a function in it.
    ///
    /// Such an expression would hold memory and time of the review and of the engine, however short its text is
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn too_many(&self, expr: &Expr) -> Finding {
        let word = || {
            let mut name = None;
            let walked = expr.apply(|inner| {
                if let Expr::ScalarFunction(call) = inner {
                    name = find_word(self.sql, call.name());
                }
                Ok(if name.is_none() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            });
            walked.ok().and(name)
        };
        too_large(
            Reason::ExpressionTooLarge,
            "expression",
            format!(
                "at most {EXPRESSION_PARTS_MAX} parts in one expression once names are written out; \
                 nested COALESCE, NULLIF and CASE count their arguments twice at every level"
            ),
            format!(
                "展开名称后，一个表达式最多 {EXPRESSION_PARTS_MAX} 个部分；嵌套的 COALESCE、NULLIF 与 CASE 每层重复计数"
            ),
        )
        .at(first_span(self.sql, expr).or_else(word))
    }
}

/// The parts of a column: those of its definition below, or one for a column of a table
/// (`sandbox/docs/disclosure-model.md`, section 3).
fn column_parts(column: &Column, inputs: &[(&LogicalPlan, ColumnParts)]) -> u64 {
    let known = inputs.iter().find_map(|(input, parts)| {
        let index = input.schema().maybe_index_of_column(column)?;
        parts.get(index).copied()
    });
    known.unwrap_or(1)
}

/// The parts of an expression, given those of its direct parts.
///
/// Counted is what the guard and the optimiser make of it: CASE repeats its conditions and its operand, a divisor is
/// compared with zero, and an IN list repeats what it looks for. Counted once, forty nested COALESCE would pass as
/// forty parts (`sandbox/docs/disclosure-model.md`, section 3).
fn written(expr: &Expr, children: &[u64]) -> u64 {
    let sum = |parts: &[u64]| parts.iter().fold(0_u64, |sum, parts| sum.saturating_add(*parts));
    let once = sum(children).saturating_add(1);
    let again = match expr {
        Expr::ScalarFunction(call) => sum(written_again(call, children)),
        // The condition of each branch is that none before it held; an operand stands in every branch. A CASE of conditions
        // becomes `when AND then OR NOT when AND else` (DataFusion 55, `simplify_expressions`).
        Expr::Case(case) => {
            let branches = u64::try_from(case.when_then_expr.len()).unwrap_or(u64::MAX);
            let operand = if case.expr.is_some() { children.first().copied().unwrap_or(0) } else { 0 };
            let conditions = sum(children).saturating_sub(operand);
            let first = usize::from(case.expr.is_some());
            let whens: Vec<u64> =
                children.iter().skip(first).take(2 * case.when_then_expr.len()).step_by(2).copied().collect();
            let operands = operand.saturating_mul(branches);
            operands
                .saturating_add(sum(&whens))
                .saturating_add(conditions.saturating_mul(branches.saturating_sub(1) / 4))
        }
        Expr::Between(_) => children.first().copied().unwrap_or(0),
        // What CASE or COALESCE yields is looked for in the whole list, branch by branch.
        Expr::InList(list) => {
            let items = u64::try_from(list.list.len()).unwrap_or(u64::MAX);
            let looked_for = children.first().copied().unwrap_or(0);
            if looked_for > 1 { looked_for.saturating_mul(items) } else { 0 }
        }
        // A divisor is compared with zero before it divides.
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, .. }) => {
            children.last().copied().unwrap_or(0)
        }
        _ => 0,
    };
    once.saturating_add(again)
}

/// The arguments of a function that are written a second time: COALESCE asks each but the last whether it is there,
/// NULLIF compares its first. Nested, they double at every level (`sandbox/docs/disclosure-model.md`, section 3).
fn written_again<'c>(call: &ScalarFunction, children: &'c [u64]) -> &'c [u64] {
    let again = match call.name() {
        "coalesce" => children.split_last().map(|(_, first)| first),
        "nullif" => children.get(..1),
        "greatest" | "least" => Some(children),
        _ => None,
    };
    again.unwrap_or_default()
}

trait CollectWidth: Iterator<Item = u64> + Sized {
    /// So many of the items.
    fn collect_width(self, width: usize) -> ColumnParts {
        self.take(width).collect()
    }
}

impl<I: Iterator<Item = u64>> CollectWidth for I {}

#[cfg(test)]
mod tests {
    use crate::finding::Code;
    use crate::fixture::codes;

    fn too_large(sql: &str) -> bool {
        codes(sql) == [Code::QueryTooLarge]
    }

    fn nested(depth: usize, open: &str, middle: &str, close: &str) -> String {
        format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn functions_that_use_an_argument_twice_double_at_every_level() {
        for (open, close) in [
            ("COALESCE(", ", zip)"),
            ("NULLIF(", ", 'a')"),
            ("CASE ", " WHEN 'a' THEN 'b' WHEN 'c' THEN 'd' END"),
        ] {
            let condition = |depth| {
                format!("SELECT COUNT(*) FROM persons WHERE {} = 'tax'", nested(depth, open, "zip", close))
            };
            assert!(!too_large(&condition(1)), "{open}");
            assert!(too_large(&condition(40)), "{open}");
            let key =
                format!("SELECT {} AS k, COUNT(*) FROM persons GROUP BY 1", nested(40, open, "zip", close));
            assert!(too_large(&key), "{open}");
        }
    }

    #[test]
    fn a_cube_is_as_many_sets_of_keys_as_it_stands_for() {
        let cube = |keys: &[&str]| format!("SELECT COUNT(*) FROM zones GROUP BY CUBE ({})", keys.join(", "));
        assert!(!too_large(&cube(&["zip", "district"])));
        let many: Vec<String> = (0..7).map(|number| format!("zip = '{number}'")).collect();
        assert!(too_large(&cube(&many.iter().map(String::as_str).collect::<Vec<_>>())));
    }

    #[test]
    fn names_are_written_out_below_and_above_boundaries() {
        for inner in ["(SELECT COUNT(*) AS a FROM persons)", "(SELECT salary AS a FROM persons)"] {
            let levels = |depth: usize| {
                let nested = nested(depth, "(SELECT a + a AS a FROM ", inner, " t)");
                format!("SELECT SUM(a) FROM {nested} t WHERE a > 0")
            };
            assert!(too_large(&levels(24)), "{inner}");
        }
        let few = nested(3, "(SELECT a + a AS a FROM ", "(SELECT COUNT(*) AS a FROM persons)", " t)");
        assert!(codes(&format!("SELECT a FROM {few} t WHERE a > 0")).is_empty());
    }
}
