//! One pass gives every relation of a plan its zone, from the scans upwards, and cuts the plan at its boundaries
//! (`sandbox/docs/disclosure-model.md`, sections 3 to 5).
//!
//! A file holds one plan node, and each is a match over the three zones of its inputs, as the table of section 4 is. The
//! match over plan nodes is exhaustive: a node that a later engine adds breaks the build until it has a rule here.

use std::collections::BTreeSet;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Distinct;
use datafusion_expr::LogicalPlan;
use obscura_policies::effective::EffectivePolicy;

use crate::budget::Budget;
use crate::column::bare_column;
use crate::column_facts::ColumnKind;
use crate::constant::Constants;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::find_word;
use crate::finding::first_span;
use crate::plan::Stage;
use crate::reason::Reason;
use crate::rows::ManyToMany;
use crate::shape::Review;
use crate::source_rows::Read;
use crate::source_rows::SourceRows;

use released::ReleasedPlan;

mod aggregate;
mod alias;
mod base;
mod between;
mod boundary;
mod define;
mod distinct;
mod filter;
mod grouped;
mod join;
mod limit;
mod numbers;
mod open_groups;
mod per_subject;
mod private;
mod projection;
mod rebuild;
mod released;
mod scan;
mod sets;
mod sort;
mod subquery;
mod union;
mod window;

/// The content of a relation of the plan.
#[expect(clippy::large_enum_variant, reason = "there is one at a time per plan node")]
pub(crate) enum Zone {
    /// Rows about subjects.
    Individual(Box<SourceRows>),
    /// Rows of open tables, whose columns the rules still know: they may meet individuals.
    Public(Box<SourceRows>),
    /// Values that stages have released, constants, and all that is computed of them and of open tables.
    Released(ReleasedPlan),
}

/// One pass over one query.
pub(crate) struct ZonePass<'a> {
    policy: &'a EffectivePolicy,
    review: Review<'a>,
    pub(crate) stages: Vec<Stage>,
    /// Some count over a subject's own rows is cut off at its cap.
    pub(crate) top_coded: bool,
    instances: usize,
    /// Joins both of whose sides have several rows of one subject.
    pub(crate) many_to_many: ManyToMany,
    /// Every column name that the statement mentions anywhere.
    mentioned: BTreeSet<String>,
    /// The reading of scalar subqueries that no relation has taken over yet.
    subqueries_read: Read,
}

impl<'a> ZonePass<'a> {
    pub(crate) fn new(
        policy: &'a EffectivePolicy,
        constants: Constants,
        sql: &'a str,
        budget: &'a Budget<'a>,
    ) -> Self {
        ZonePass {
            policy,
            review: Review { constants, sql, budget },
            stages: Vec::new(),
            top_coded: false,
            instances: 0,
            many_to_many: ManyToMany::new(),
            mentioned: BTreeSet::new(),
            subqueries_read: Read::nothing(),
        }
    }

    /// The plan above all boundaries.
    ///
    /// A row about one person is no answer, however few columns it has: `SELECT dept, salary FROM persons` tells each
    /// salary, and `SELECT 1 FROM persons` the exact number of people. So whatever is still individual at the root is
    /// refused (`sandbox/docs/disclosure-model.md`, section 4.1).
    ///
    /// # Errors
    /// `row-level-output` when individuals reach the root, and every finding of the nodes below.
    pub(crate) fn root(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan, Refused> {
        self.mentioned = mentioned(plan);
        match self.zone(plan)? {
            Zone::Individual(rows) => Err(self.row_level(plan, &rows).into()),
            Zone::Public(rows) => released::of_open_tables(*rows).map(|released| released.plan),
            Zone::Released(released) => Ok(released.plan),
        }
    }

    /// The zone of a relation, by the rule of its node.
    ///
    /// A node that no rule knows could hand rows of individuals on unseen, so that it is refused over anything;
    /// recursion is refused, because nothing bounds it beforehand. UNNEST is refused too: a list that becomes rows
    /// multiplies what stands beside it, and no rule counts how often
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    fn zone(&mut self, plan: &LogicalPlan) -> Result<Zone, Refused> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => self.projection(plan, projection),
            LogicalPlan::Filter(filter) => self.filter(plan, filter),
            LogicalPlan::SubqueryAlias(alias) => self.alias(plan, alias),
            LogicalPlan::Sort(sort) => self.sort(plan, sort),
            LogicalPlan::Limit(limit) => self.limit(plan, limit),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(plan, input),
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(plan, distinct),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(plan, aggregate),
            LogicalPlan::Window(window) => self.window(plan, window),
            LogicalPlan::Join(join) => self.join(plan, join),
            LogicalPlan::Union(union) => self.union(plan, union),
            LogicalPlan::Subquery(subquery) => self.subquery(subquery),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                self.rebuild(plan, Vec::new()).map(Zone::Released)
            }
            LogicalPlan::Unnest(_) => Err(self.over_individuals(Reason::ListsUnnested, plan, "UNNEST")),
            LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Err(Finding::of(Reason::PlanStepNotListed).into()),
        }
    }

    /// The refusal of individuals at the root, with the place of a unit key if one is among the output columns.
    ///
    /// `SELECT person_id, SUM(cost) FROM visits GROUP BY person_id` has a row for each person, which no threshold can
    /// protect: rows leave as groups of several subjects or not at all
    /// (`sandbox/docs/disclosure-model.md`, section 4.1).
    fn row_level(&self, plan: &LogicalPlan, source_rows: &SourceRows) -> Finding {
        let unit_key = source_rows.outputs.iter().find(|output| {
            let base = bare_column(&source_rows.bases, output).and_then(|column| source_rows.base(column));
            base.is_some_and(|base| matches!(base.kind, ColumnKind::UnitKey { .. }))
        });
        // After an aggregation the planner forgets where a key was written; its name still tells.
        let named = || {
            unit_key
                .and_then(|key| bare_column(&source_rows.bases, key))
                .and_then(|column| source_rows.base(column))
                .and_then(|base| find_word(self.review.sql, &base.name))
        };
        let span = unit_key
            .and_then(|key| first_span(self.review.sql, key))
            .or_else(named)
            .or_else(|| source_rows.outputs.iter().find_map(|output| first_span(self.review.sql, output)))
            .or_else(|| plan.expressions().iter().find_map(|expr| first_span(self.review.sql, expr)));
        Finding::of(Reason::RowsWouldLeave).at(span).help(
            "count or aggregate: SELECT column, COUNT(*) ... GROUP BY column",
            "请使用聚合：SELECT 字段, COUNT(*) ... GROUP BY 字段",
        )
    }

    /// A number that nothing else of this pass has.
    ///
    /// `copied_by` and `missing_by` tell joins, unions and windows apart by it. With one number for two of them, a
    /// condition that undoes the copies of the one would undo those of the other, and repeated people would be counted
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn instance(&mut self) -> usize {
        self.instances += 1;
        self.instances
    }

    /// The refusal of an operation over individuals, for the rule that its caller names.
    ///
    /// Such an operation chooses single rows by their position: the mean salary of
    /// `SELECT salary FROM persons ORDER BY age DESC LIMIT 1` is the salary of the oldest. Over released rows the same
    /// operation is free (`sandbox/docs/disclosure-model.md`, section 4.1).
    fn over_individuals(&self, reason: Reason, plan: &LogicalPlan, operation: &'static str) -> Refused {
        let span = plan.expressions().iter().find_map(|expr| first_span(self.review.sql, expr));
        Finding::of(reason)
            .at(span)
            .with("operation", operation)
            .help(
                "aggregate first (GROUP BY), then sort, limit or rank the released rows",
                "请先聚合（GROUP BY），再对已发布的结果排序、截取或排名",
            )
            .into()
    }
}

/// Every column name that the plan and its subqueries mention.
///
/// Windows break the ties of their order by these columns. Rows that agree in all of them lead to the same answer,
/// whichever comes first, so that the answer is the same in every run (`sandbox/docs/disclosure-model.md`, section 6).
fn mentioned(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            names.extend(expr.column_refs().into_iter().map(|column| column.name.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    names
}
