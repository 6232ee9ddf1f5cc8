//! Labels a plan bottom-up and cuts it at its boundaries (`sandbox/docs/disclosure-model.md`, sections 3 to 5).
//!
//! Every node becomes a [`Block`] (rows of individuals, or of open tables that may still meet individuals) or an
//! [`Open`] plan (released values, constants). The match over plan nodes is exhaustive: a node that a later engine adds
//! breaks the build until somebody has thought about it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_common::DFSchemaRef;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Aggregate;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Distinct;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use datafusion_expr::Subquery;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Level;

use crate::base::Base;
use crate::base::BaseKind;
use crate::base::ReleasedColumnFacts;
use crate::base::base_column;
use crate::block::Block;
use crate::block::Read;
use crate::block::Rows;
use crate::block::Unique;
use crate::budget::Budget;
use crate::budget::nodes;
use crate::catalog::ReleasedSource;
use crate::column::bare_column;
use crate::constant::Constants;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::find_word;
use crate::finding::first_span;
use crate::finding::internal;
use crate::finding::not_built;
use crate::limits::EXPRESSION_NODES_MAX;
use crate::limits::too_large;
use crate::normalise::keyless;
use crate::plan::Stage;
use crate::reason::Reason;
use crate::rows::ManyToMany;
use crate::shape::Review;
use crate::shape::ShapeCheck;

use many_to_one::is_identifying;

mod between;
mod boundary;
mod join;
mod many_to_one;
mod per_subject;
mod scan;
mod union;
mod window;

/// Released values and constants: an ordinary plan with the schema that the SQL sees.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) plan: LogicalPlan,
    /// Sets of output columns, by index, that hold no combination twice.
    pub(crate) unique: BTreeSet<BTreeSet<usize>>,
    /// Output columns that are a stage's own released columns, not computed from them.
    pub(crate) bare: BTreeSet<usize>,
    /// What was read of individuals, and of open tables, to make it: where it meets individuals again, they count once more.
    pub(crate) read: Read,
}

impl Open {
    /// A plan whose columns are computed, over what was read before.
    fn computed(plan: LogicalPlan, read: Read) -> Self {
        Open { plan, unique: BTreeSet::new(), bare: BTreeSet::new(), read }
    }

    /// Whether it always has exactly one row: the empty set of columns identifies it.
    pub(crate) fn is_one_row(&self) -> bool {
        self.unique.contains(&BTreeSet::new())
    }
}

/// What a released value is about to meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// Rows of individuals, which it may only be compared with.
    Individuals,
    /// Other released values: anything goes.
    Released,
}

/// What a node is.
#[expect(clippy::large_enum_variant, reason = "there is one at a time per plan node")]
pub(crate) enum Relation {
    Block(Box<Block>),
    Open(Open),
}

/// One pass over one query.
pub(crate) struct Labeller<'a> {
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
    /// What scalar subqueries have read that no relation has taken over yet.
    subqueries_read: Read,
}

impl<'a> Labeller<'a> {
    pub(crate) fn new(
        policy: &'a EffectivePolicy,
        constants: Constants,
        sql: &'a str,
        budget: &'a Budget<'a>,
    ) -> Self {
        Labeller {
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
    /// # Errors
    /// `row-level-output` when individuals reach the root, and whatever the rules below find.
    pub(crate) fn root(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan, Refused> {
        self.mentioned = mentioned(plan);
        match self.label(plan)? {
            Relation::Open(open) => Ok(open.plan),
            Relation::Block(block) if block.is_individual() => Err(self.row_level(plan, &block).into()),
            Relation::Block(block) => self.opened(*block).map(|open| open.plan),
        }
    }

    fn row_level(&self, plan: &LogicalPlan, block: &Block) -> Finding {
        let unit_key = block.outputs.iter().find(|output| {
            let base = bare_column(&block.bases, output).and_then(|column| block.base(column));
            base.is_some_and(|base| matches!(base.kind, BaseKind::UnitKey { .. }))
        });
        // After an aggregation the planner forgets where a key was written; its name still tells.
        let named = || {
            unit_key
                .and_then(|key| bare_column(&block.bases, key))
                .and_then(|column| block.base(column))
                .and_then(|base| find_word(self.review.sql, &base.name))
        };
        let span = unit_key
            .and_then(|key| first_span(self.review.sql, key))
            .or_else(named)
            .or_else(|| block.outputs.iter().find_map(|output| first_span(self.review.sql, output)))
            .or_else(|| plan.expressions().iter().find_map(|expr| first_span(self.review.sql, expr)));
        Finding::of(Reason::RowsWouldLeave).at(span).help(
            "count or aggregate: SELECT column, COUNT(*) ... GROUP BY column",
            "请使用聚合：SELECT 字段, COUNT(*) ... GROUP BY 字段",
        )
    }

    pub(super) fn label(&mut self, plan: &LogicalPlan) -> Result<Relation, Refused> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => match self.label(&projection.input)? {
                Relation::Block(mut block) => {
                    let mut outputs = Vec::with_capacity(projection.expr.len());
                    for expr in &projection.expr {
                        let defined = self.define(&block, expr)?;
                        outputs.push(self.with_between(&mut block, defined)?);
                    }
                    block.taint.read(self.take_subqueries_read());
                    block.outputs = outputs;
                    block.schema = Arc::clone(&projection.schema);
                    Ok(Relation::Block(block))
                }
                Relation::Open(input) => self.project_open(plan, &projection.expr, input),
            },
            // The planner takes the condition of a join without equal keys out of it (`ON day BETWEEN first AND last`).
            LogicalPlan::Filter(Filter { predicate, input, .. }) if let Some(join) = keyless(input) => {
                let filter = Some(join.filter.iter().cloned().fold(predicate.clone(), Expr::and));
                let join = Join { filter, ..join.clone() };
                self.join(&LogicalPlan::Join(join.clone()), &join)
            }
            LogicalPlan::Filter(filter) => match self.label(&filter.input)? {
                Relation::Block(mut block) if block.is_individual() => {
                    let condition = self.define(&block, &filter.predicate)?;
                    let condition = self.with_between(&mut block, condition)?;
                    self.restrict(*block, &condition).map(|block| Relation::Block(Box::new(block)))
                }
                // An open table is filtered in any way; only under the shape rule may it still meet individuals.
                Relation::Block(block) => {
                    let stages = self.stages.len();
                    match self.restrict_open(&block, &filter.predicate) {
                        Ok(Some(block)) => Ok(Relation::Block(Box::new(block))),
                        Ok(None) | Err(_) => {
                            self.stages.truncate(stages);
                            self.rebuild_over(plan, vec![Relation::Block(block)])
                        }
                    }
                }
                // A filtered released table would pick out groups by any rule at all: it no longer joins individuals.
                Relation::Open(input) => self.rebuild(plan, vec![input]).map(Relation::Open),
            },
            LogicalPlan::SubqueryAlias(alias) => match self.label(&alias.input)? {
                Relation::Block(mut block) => {
                    block.schema = Arc::clone(&alias.schema);
                    Ok(Relation::Block(block))
                }
                Relation::Open(input) => {
                    let kept = input.clone();
                    self.rebuild(plan, vec![input])
                        .map(|open| Relation::Open(Open { plan: open.plan, ..kept }))
                }
            },
            LogicalPlan::Sort(sort) => match self.label(&sort.input)? {
                // The order of individuals is never seen; only a limit on it could be.
                Relation::Block(block) if block.is_individual() && sort.fetch.is_none() => {
                    Ok(Relation::Block(block))
                }
                Relation::Block(block) if block.is_individual() => Err(self.limited(plan)),
                other => self.rebuild_over(plan, vec![other]),
            },
            LogicalPlan::Limit(limit) => match self.label(&limit.input)? {
                Relation::Block(block) if block.is_individual() => Err(self.limited(plan)),
                other => self.rebuild_over(plan, vec![other]),
            },
            LogicalPlan::Distinct(Distinct::All(input)) => match self.label(input)? {
                Relation::Block(block) if block.is_individual() => {
                    let keys: Vec<Expr> = block.outputs.clone();
                    self.group(*block, keys, &[], plan.schema())
                }
                Relation::Block(block)
                    if let Some(groups) =
                        self.open_groups(&block, block.outputs.clone(), &[], plan.schema())? =>
                {
                    Ok(Relation::Block(Box::new(groups)))
                }
                other => self.rebuild_over(plan, vec![other]),
            },
            LogicalPlan::Distinct(Distinct::On(distinct)) => match self.label(&distinct.input)? {
                Relation::Block(block) if block.is_individual() => {
                    Err(self.over_individuals(Reason::DistinctOnRows, plan, "DISTINCT ON"))
                }
                other => self.rebuild_over(plan, vec![other]),
            },
            LogicalPlan::Aggregate(aggregate) => match self.label(&aggregate.input)? {
                Relation::Block(mut block) if block.is_individual() => {
                    let mut keys = Vec::with_capacity(aggregate.group_expr.len());
                    for key in group_keys(aggregate) {
                        if let Expr::GroupingSet(_) = key {
                            return Err(Finding::of(Reason::SeveralGroupings)
                                .with("function", "ROLLUP / CUBE / GROUPING SETS")
                                .help(
                                    "ask for each grouping in a query of its own",
                                    "请将每种分组写成单独的查询",
                                )
                                .into());
                        }
                        let key = self.define(&block, key)?;
                        keys.push(self.with_between(&mut block, key)?);
                    }
                    let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
                    for call in &aggregate.aggr_expr {
                        let call = self.define(&block, call)?;
                        calls.push(self.with_between(&mut block, call)?);
                    }
                    self.group(*block, keys, &calls, &aggregate.schema)
                }
                Relation::Block(block) if let Some(groups) = self.open_aggregate(&block, aggregate)? => {
                    Ok(Relation::Block(Box::new(groups)))
                }
                other => {
                    let keys = group_keys(aggregate).len();
                    let plain = !aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)));
                    let Relation::Open(mut open) = self.rebuild_over(plan, vec![other])? else {
                        return Err(internal());
                    };
                    if plain {
                        open.unique.insert((0..keys).collect());
                    }
                    Ok(Relation::Open(open))
                }
            },
            LogicalPlan::Window(window) => match self.label(&window.input)? {
                Relation::Block(block) if block.is_individual() => self.window(*block, window),
                other => self.rebuild_over(plan, vec![other]),
            },
            LogicalPlan::Join(join) => self.join(plan, join),
            LogicalPlan::Union(union) => self.union(plan, union),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                self.rebuild(plan, Vec::new()).map(Relation::Open)
            }
            LogicalPlan::Subquery(subquery) => {
                if !subquery.outer_ref_columns.is_empty() {
                    return Err(subquery_refusal().into());
                }
                self.label(&subquery.subquery)
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

    fn open_aggregate(&mut self, block: &Block, aggregate: &Aggregate) -> Result<Option<Block>, Refused> {
        let mut keys = Vec::with_capacity(aggregate.group_expr.len());
        for key in group_keys(aggregate) {
            keys.push(self.define(block, key)?);
        }
        self.open_groups(block, keys, &aggregate.aggr_expr, &aggregate.schema)
    }

    /// Groups of an open table by its own columns: they may still meet individuals, one row for each key. What is computed
    /// may not be filtered or grouped there. `None` when a key is no bare column.
    fn open_groups(
        &mut self,
        block: &Block,
        keys: Vec<Expr>,
        calls: &[Expr],
        schema: &DFSchemaRef,
    ) -> Result<Option<Block>, Refused> {
        let columns: Option<Vec<Column>> =
            keys.iter().map(|key| bare_column(&block.bases, key).cloned()).collect();
        let Some(columns) = columns else { return Ok(None) };
        let instance = self.instance();
        let mut bases = BTreeMap::new();
        let (mut group, mut computed, mut unique) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (index, column) in columns.into_iter().enumerate() {
            let name = format!("g{instance}_k{index}");
            bases.insert(name.clone(), block.base(&column).ok_or_else(internal)?.clone());
            group.push(Expr::Column(column).alias(&name));
            unique.insert(name);
        }
        for (index, call) in calls.iter().enumerate() {
            let name = format!("g{instance}_a{index}");
            let kind = BaseKind::Released { computed: true, column: None };
            let field = schema.field(group.len() + index);
            let base = Base::label(field.name(), BTreeSet::new(), Level(1), field.data_type().clone());
            bases.insert(name.clone(), Base { kind, open: true, ..base });
            computed.push(self.define(block, call)?.alias(&name));
        }
        let outputs =
            group.iter().chain(&computed).map(|expr| base_column(&expr.schema_name().to_string())).collect();
        let plan = LogicalPlanBuilder::from(block.plan.clone())
            .aggregate(group, computed)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        let unique = Unique { sets: BTreeSet::from([unique]), intervals: BTreeSet::new() };
        let rows = Rows::default();
        let schema = Arc::clone(schema);
        Ok(Some(Block { plan, bases, schema, outputs, unique, rows, ..block.clone() }))
    }

    /// Applies a condition to an open table that may still meet individuals afterwards; `None` when it may not: chosen by
    /// name or key, the rows of a register would choose whom they meet.
    fn restrict_open(&mut self, block: &Block, predicate: &Expr) -> Result<Option<Block>, Refused> {
        let condition = self.define(block, predicate)?;
        let mut read = condition.column_refs().into_iter().filter_map(|column| block.base(column));
        if read.any(is_identifying) {
            return Ok(None);
        }
        self.restrict(block.clone(), &condition).map(Some)
    }

    /// Applies a condition to a block: every conjunct obeys the shape rule and taints every row.
    pub(super) fn restrict(&mut self, mut block: Block, condition: &Expr) -> Result<Block, Refused> {
        let conjuncts = datafusion_expr::utils::split_conjunction(condition);
        let mut conditions = block.conditions.clone();
        for conjunct in &conjuncts {
            let own = block.canonical(conjunct);
            conditions.insert(own.unwrap_or_else(|| format!("condition {}", self.instance())));
        }
        let mut shape = ShapeCheck::new(&block.bases, &conditions, self.review);
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
        block.taint.read(read);
        block.taint.read(self.take_subqueries_read());
        block.conditions = conditions;
        block.taint.compared.add(&block.bases, &accepted);
        for condition in &accepted {
            note_rows(&mut block, condition);
        }
        if let Some(condition) = accepted.into_iter().reduce(Expr::and) {
            block.plan = LogicalPlanBuilder::from(block.plan)
                .filter(condition)
                .and_then(LogicalPlanBuilder::build)
                .map_err(not_built)?;
        }
        Ok(block)
    }

    /// An expression over the SQL schema as one over base columns, its subqueries replaced by released ones.
    pub(super) fn define(&mut self, block: &Block, expr: &Expr) -> Result<Expr, Refused> {
        let expr = self.release_subqueries(expr.clone(), Meets::Individuals)?;
        let defined = block.define(&expr).map_err(not_built)?;
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

    /// A scalar subquery must come to one released value; anything else that is still a subquery is refused.
    fn release_subqueries(&mut self, expr: Expr, meets: Meets) -> Result<Expr, Refused> {
        let mut refused: Option<Refused> = None;
        let rewritten = expr.transform_down(|inner| {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "everything that is not a subquery is judged where it is used"
            )]
            match inner {
                Expr::ScalarSubquery(subquery) => match self.released_value(&subquery, meets) {
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
                    refused.get_or_insert(subquery_refusal().into());
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

    fn released_value(&mut self, subquery: &Subquery, meets: Meets) -> Result<LogicalPlan, Refused> {
        if !subquery.outer_ref_columns.is_empty() {
            return Err(subquery_refusal().into());
        }
        match self.label(&subquery.subquery)? {
            Relation::Open(open) if open.is_one_row() => match meets {
                Meets::Individuals if !is_benchmark(&open) => Err(Finding::of(Reason::SubqueryNotOwnMean)
                    .help(
                        "a measure of individuals is compared with its own mean, as it is released",
                        "个体的度量字段只能与该字段自身均值的发布值比较",
                    )
                    .into()),
                Meets::Individuals | Meets::Released => {
                    self.subqueries_read = self.subqueries_read.and(open.read);
                    Ok(open.plan)
                }
            },
            // One row of open data: beside released values it is a value, beside individuals a literal of anybody's choice.
            Relation::Block(block)
                if meets == Meets::Released
                    && !block.is_individual()
                    && block.unique.sets.contains(&BTreeSet::new()) =>
            {
                self.opened(*block).map(|open| open.plan)
            }
            _ => Err(subquery_refusal().into()),
        }
    }

    /// The same node over inputs that hold nothing about individuals.
    pub(super) fn rebuild_over(
        &mut self,
        plan: &LogicalPlan,
        inputs: Vec<Relation>,
    ) -> Result<Relation, Refused> {
        let mut open = Vec::with_capacity(inputs.len());
        for input in inputs {
            open.push(self.as_open(input)?);
        }
        self.rebuild(plan, open).map(Relation::Open)
    }

    pub(super) fn as_open(&mut self, relation: Relation) -> Result<Open, Refused> {
        match relation {
            Relation::Open(open) => Ok(open),
            // Each rule that hands on what is open has looked for individuals before.
            Relation::Block(block) if block.is_individual() => Err(internal()),
            Relation::Block(block) => self.opened(*block),
        }
    }

    fn rebuild(&mut self, plan: &LogicalPlan, inputs: Vec<Open>) -> Result<Open, Refused> {
        let mut exprs = Vec::new();
        for expr in plan.expressions() {
            exprs.push(self.release_subqueries(expr, Meets::Released)?);
        }
        let read = inputs.iter().fold(self.take_subqueries_read(), |read, input| read.and(input.read));
        let plans = inputs.into_iter().map(|input| input.plan).collect();
        let plan = plan.with_new_exprs(exprs, plans).map_err(not_built)?;
        Ok(Open::computed(plan, read))
    }

    /// What the subqueries of expressions have read since it was last asked.
    fn take_subqueries_read(&mut self) -> Read {
        std::mem::replace(&mut self.subqueries_read, Read::nothing())
    }

    /// A projection of released values: bare columns stay bare, and a unique set stays unique if all of it is kept.
    fn project_open(&mut self, plan: &LogicalPlan, exprs: &[Expr], input: Open) -> Result<Relation, Refused> {
        let schema = Arc::clone(input.plan.schema());
        let sources: Vec<Option<usize>> = exprs
            .iter()
            .map(|expr| match expr.clone().unalias() {
                Expr::Column(column) => schema.index_of_column(&column).ok(),
                _ => None,
            })
            .collect();
        let position = |source: usize| sources.iter().position(|known| *known == Some(source));
        let unique = input
            .unique
            .iter()
            .filter_map(|set| set.iter().map(|source| position(*source)).collect::<Option<BTreeSet<usize>>>())
            .collect();
        let carried = |known: &BTreeSet<usize>| {
            let kept =
                sources.iter().enumerate().filter(|(_, source)| source.is_some_and(|s| known.contains(&s)));
            kept.map(|(index, _)| index).collect::<BTreeSet<usize>>()
        };
        let bare = carried(&input.bare);
        let open = self.rebuild(plan, vec![input])?;
        Ok(Relation::Open(Open { unique, bare, ..open }))
    }

    /// An open table's block as a plan with the schema the SQL sees.
    fn opened(&mut self, block: Block) -> Result<Open, Refused> {
        let columns: Vec<Expr> = block
            .outputs
            .iter()
            .zip(block.schema.iter())
            .map(|(output, (qualifier, field))| {
                output.clone().alias_qualified(qualifier.cloned(), field.name())
            })
            .collect();
        let plan = LogicalPlanBuilder::from(block.plan)
            .project(columns)
            .and_then(LogicalPlanBuilder::build)
            .map_err(not_built)?;
        Ok(Open::computed(plan, block.taint.as_read()))
    }

    pub(super) fn instance(&mut self) -> usize {
        self.instances += 1;
        self.instances
    }

    /// A number of rows out of those of individuals would be chosen.
    fn limited(&self, plan: &LogicalPlan) -> Refused {
        self.over_individuals(Reason::RowsLimited, plan, "LIMIT")
    }

    /// The operation is one over results.
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

/// The keys of an aggregate, each once: the engine keeps one column of keys that are written twice.
fn group_keys(aggregate: &Aggregate) -> Vec<&Expr> {
    let mut keys: Vec<&Expr> = Vec::with_capacity(aggregate.group_expr.len());
    for key in &aggregate.group_expr {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The mean of one measure: any other released number can be made to be any number (`AVG(20001)`), and would put a literal
/// off its edges.
fn is_benchmark(open: &Open) -> bool {
    let column = ReleasedSource::column_of(&open.plan, 0);
    matches!(column.as_deref(), Some(ReleasedColumnFacts::Benchmark { .. }))
}

/// A subquery stands where a value does, and comes to no single released value.
fn subquery_refusal() -> Finding {
    Finding::of(Reason::SubqueryNotOneValue).help(
        "use EXISTS or IN in WHERE, or LEFT JOIN a subquery that is aggregated per subject",
        "请在 WHERE 中使用 EXISTS 或 IN，或 LEFT JOIN 按主体汇总的子查询",
    )
}

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

/// What an accepted condition says of the block's rows.
fn note_rows(block: &mut Block, condition: &Expr) {
    let bases = &mut block.bases;
    match condition {
        // Without a match on the other side a row of an outer join stands for itself.
        Expr::IsNull(inner) => {
            let Expr::Column(column) = &**inner else { return };
            let Some(base) = bases.get(&column.name) else { return };
            if let (BaseKind::UnitKey { .. }, Some(join)) = (&base.kind, base.missing_by) {
                block.rows.copied_by.remove(&join);
                for base in bases.values_mut() {
                    base.copied_by.remove(&join);
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            pin(block, left, std::slice::from_ref(&**right));
        }
        Expr::InList(list) if !list.negated => pin(block, &list.expr, &list.list),
        _ => {}
    }
}

/// Notes the literals that a column of the block's only scan is among, for types that have one form for each value.
fn pin(block: &mut Block, side: &Expr, literals: &[Expr]) {
    let Expr::Column(column) = side else { return };
    let Some(base) = block.bases.get(&column.name).filter(|base| !base.open && base.dataset.is_some()) else {
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
    if let (Some(values), Some(pins)) = (values, &mut block.rows.pins) {
        let known = pins.entry(base.name.clone()).or_insert_with(|| values.clone());
        *known = known.intersection(&values).cloned().collect();
    }
}
