//! Bounds on the rows that a plan makes of few: what one subject's rows can become in any operator, and what open and
//! released tables can become where they are crossed. Joins that only decide, or whose rows no query can count, get their
//! sides reduced to distinct rows first.
//!
//! Danger it answers: ten joins of eight copies of a register make 8^10 rows of one person, and memory and time tell
//! whether that person met the condition. Everything here follows from the plan and the manifests: it reads no row.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use datafusion_common::Column;
use datafusion_common::JoinType;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::FetchType;
use datafusion_expr::Join;
use datafusion_expr::Limit;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::TableScan;
use obscura_policies::effective::EffectivePolicy;

use crate::constant::is_constant;
use crate::finding::Finding;
use crate::finding::plan_not_built;
use crate::limits::JOINED_ROWS_MAX;
use crate::limits::SUBJECT_ROWS_MAX;
use crate::limits::too_large;
use crate::reason::Reason;

/// Rows of a subject that are assumed where no manifest says how many there are: such a plan never runs.
const SUBJECT_ROWS_ASSUMED: u64 = 32;
/// Rows of an open table that are assumed where no manifest says how many there are.
const OPEN_ROWS_ASSUMED: u64 = 1_000;
/// Groups of a released table that are assumed where no policy bounds its cells; the run looks again at what was released.
const RELEASED_ROWS_ASSUMED: u64 = 1_000;

/// The facts that the bounds of a plan rest on: the tables that it may read, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowFacts {
    tables: BTreeMap<String, TableFacts>,
    /// Joins both of whose sides have several rows of one subject.
    many_to_many: ManyToMany,
}

/// Joins by the pairs of columns that they equate; hidden names are unique.
pub(crate) type ManyToMany = BTreeSet<BTreeSet<(String, String)>>;

/// Facts that are known of one table's rows without reading them.
#[derive(Debug, Clone, Default)]
struct TableFacts {
    /// All of them, where that is known.
    all: Option<u64>,
    /// Those of one subject, by the column of its key.
    of_one: BTreeMap<String, u64>,
    /// Sets of columns that hold no combination of values twice.
    unique: BTreeSet<BTreeSet<String>>,
}

/// The rows of a table that a stage releases, as far as they are known before it has run.
#[derive(Debug)]
pub(crate) struct ReleasedRows {
    /// Name under which later plans read it.
    pub(crate) name: String,
    /// Its group keys: no combination of their values stands in it twice.
    pub(crate) keys: BTreeSet<String>,
    /// Most of its rows, where the policy bounds its cells.
    pub(crate) rows_max: Option<u64>,
}

/// Upper bounds on the rows of a relation.
#[derive(Debug, Clone, Default)]
struct Bound {
    /// All of them; nothing for rows of individuals, of which there may be any number.
    all: Option<u64>,
    /// Those with one value of a unit key, by output column.
    of_one: BTreeMap<usize, OfOne>,
    /// Sets of output columns that hold no combination of values twice.
    unique: Vec<BTreeSet<usize>>,
}

/// Upper bound on the rows that hold one value of a unit key.
#[derive(Debug, Clone, Copy)]
struct OfOne {
    rows: u64,
    /// Number of the scanned column; columns of one number hold the same value in every row.
    subject: usize,
}

impl Bound {
    fn is_individual(&self) -> bool {
        !self.of_one.is_empty()
    }

    /// Rows when there are no individuals among them.
    fn rows(&self) -> u64 {
        self.all.unwrap_or(OPEN_ROWS_ASSUMED)
    }

    fn is_unique_by(&self, columns: &BTreeSet<usize>) -> bool {
        self.unique.iter().any(|set| set.is_subset(columns))
    }

    /// The same rows, each combination of values once: one row of a subject where its key is all that is read.
    ///
    /// Other columns beside the key leave as many rows of a subject as there were, and other subjects' keys too, so that
    /// only a relation of one subject's keys may be taken for one row each
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn distinct(&self, width: usize) -> Self {
        let alone = is_one_subject(self.of_one.values(), width);
        let of_one = self
            .of_one
            .iter()
            .map(|(column, known)| (*column, OfOne { rows: if alone { 1 } else { known.rows }, ..*known }));
        Bound { all: self.all, of_one: of_one.collect(), unique: vec![(0..width).collect()] }
    }
}

/// True if so many columns all hold the key of one and the same subject.
///
/// Keys of two subjects make a row for each pair, of which one person may have very many
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn is_one_subject<'k>(keys: impl Iterator<Item = &'k OfOne> + Clone, width: usize) -> bool {
    let subjects: BTreeSet<usize> = keys.clone().map(|key| key.subject).collect();
    subjects.len() == 1 && keys.count() == width
}

/// A plan with its bound; `changed` when it is not the plan that it was made from.
struct Bounded {
    plan: LogicalPlan,
    bound: Bound,
    changed: bool,
}

impl RowFacts {
    /// The facts of a job's datasets and of the tables that stages release.
    ///
    /// A subject's most rows are taken as the next power of two, so that no verdict tells the exact number of the one who
    /// has most (`sandbox/docs/disclosure-model.md`, section 7).
    pub(crate) fn of(
        policy: &EffectivePolicy,
        released: impl Iterator<Item = ReleasedRows>,
        many_to_many: ManyToMany,
    ) -> Self {
        let sealed = policy.datasets.values().map(|dataset| {
            let of_one = dataset.units.iter().map(|unit| {
                let rows = unit.rows_max.map_or(SUBJECT_ROWS_ASSUMED, published);
                (unit.column.clone(), if unit.one_row_per_subject { 1 } else { rows })
            });
            let facts =
                TableFacts { all: dataset.rows, of_one: of_one.collect(), unique: dataset.unique.clone() };
            (dataset.id.sql_name(), facts)
        });
        let released = released.map(|table| {
            let all = Some(table.rows_max.unwrap_or(RELEASED_ROWS_ASSUMED));
            (table.name, TableFacts { all, of_one: BTreeMap::new(), unique: BTreeSet::from([table.keys]) })
        });
        RowFacts { tables: sealed.chain(released).collect(), many_to_many }
    }

    /// The same facts once it is known how many rows a stage has released.
    ///
    /// The policy may bound no cells, so that the assumption of the review is looked at again before the last plan runs
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    pub(crate) fn released(&mut self, stage: &str, rows: u64) {
        if let Some(facts) = self.tables.get_mut(stage) {
            facts.all = Some(rows);
        }
    }

    /// The plan with its joins reduced, once no subject can become more rows in it than [`SUBJECT_ROWS_MAX`].
    ///
    /// Ten joins of eight copies of a register make 8^10 rows of one person, and that the job meets a limit tells that
    /// the person meets the condition. The bound lies a hundred times below what a job may use, so that no single subject
    /// decides it (`sandbox/docs/disclosure-model.md`, section 7).
    ///
    /// # Errors
    /// `join-not-allowed` when a subject could, `query-too-large` when crossed tables become too many rows.
    pub(crate) fn reduced(&self, plan: LogicalPlan) -> Result<LogicalPlan, Finding> {
        let mut pass = Pass { facts: self, subjects: 0 };
        pass.bounded(plan).map(|bounded| bounded.plan).map_err(|finding| *finding)
    }
}

/// One pass over one plan.
struct Pass<'a> {
    facts: &'a RowFacts,
    /// Unit keys scanned so far.
    subjects: usize,
}

impl Pass<'_> {
    fn bounded(&mut self, plan: LogicalPlan) -> Result<Bounded, Box<Finding>> {
        self.subqueries(&plan)?;
        if let LogicalPlan::Join(join) = plan {
            return self.join(join);
        }
        let mut inputs = Vec::new();
        let mut changed = false;
        for input in plan.inputs() {
            let input = self.bounded(input.clone())?;
            changed |= input.changed;
            inputs.push(input);
        }
        let bounds: Vec<Bound> = inputs.iter().map(|input| input.bound.clone()).collect();
        let bound = self.bound(&plan, &bounds);
        let plan = if changed {
            let inputs = inputs.into_iter().map(|input| input.plan).collect();
            plan.with_new_exprs(plan.expressions(), inputs).map_err(|_| not_rebuilt())?
        } else {
            plan
        };
        Ok(Bounded { plan, bound, changed })
    }

    /// Bounds the relations within subqueries like any others.
    ///
    /// They hold released values, and tables that are crossed inside one exhaust memory as they do outside
    /// (`sandbox/docs/disclosure-model.md`, section 8).
    fn subqueries(&mut self, plan: &LogicalPlan) -> Result<(), Box<Finding>> {
        let mut failed = None;
        let walked = plan.apply_subqueries(|subquery| {
            failed = self.bounded(subquery.clone()).err();
            Ok(if failed.is_none() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
        failed.map_or(Ok(()), Err)
    }

    /// The bound of every node but a join.
    ///
    /// The match names every node: one that the zones admit none of counts as rows without end, so that nothing that
    /// makes rows is taken for harmless (`sandbox/docs/disclosure-model.md`, section 7).
    fn bound(&mut self, plan: &LogicalPlan, inputs: &[Bound]) -> Bound {
        let input = || inputs.first().cloned().unwrap_or_default();
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => {
                projected(&projection.expr, projection.input.as_ref(), &input())
            }
            LogicalPlan::Aggregate(aggregate) => aggregated(aggregate, &input()),
            LogicalPlan::Distinct(_) => input().distinct(plan.schema().fields().len()),
            LogicalPlan::Limit(limit) => limited(limit, input()),
            LogicalPlan::Union(_) => united(inputs),
            LogicalPlan::EmptyRelation(_) => Bound { all: Some(1), ..Bound::default() },
            LogicalPlan::Values(values) => Bound {
                all: Some(u64::try_from(values.values.len()).unwrap_or(u64::MAX)),
                ..Bound::default()
            },
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Window(_) => input(),
            // The labels admit none of these; where they did, no row of theirs would be told from another.
            LogicalPlan::Join(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Bound { all: Some(u64::MAX), ..Bound::default() },
        }
    }

    /// The bound of a scan: the rows of one subject that the manifest states, by each of its unit keys.
    ///
    /// Each scanned key gets a number of its own, because two scans of one register hold different subjects in a row
    /// until a join equates them (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn scan(&mut self, scan: &TableScan) -> Bound {
        let Some(facts) = self.facts.tables.get(&scan.table_name.to_string()) else {
            return Bound::default();
        };
        let place =
            |name: &String| scan.projected_schema.fields().iter().position(|field| field.name() == name);
        let places = |set: &BTreeSet<String>| set.iter().map(place).collect::<Option<BTreeSet<_>>>();
        let mut of_one = BTreeMap::new();
        for (column, rows) in &facts.of_one {
            self.subjects += 1;
            of_one.extend(place(column).map(|place| (place, OfOne { rows: *rows, subject: self.subjects })));
        }
        Bound { all: facts.all, of_one, unique: facts.unique.iter().filter_map(places).collect() }
    }

    /// Bounds a join, with the sides reduced to distinct rows where no query can count their copies.
    ///
    /// A left row meets as many right rows as one subject has there, so that the bounds multiply; a reduced side of keys
    /// alone multiplies by one (`sandbox/docs/disclosure-model.md`, sections 4.5 and 7).
    fn join(&mut self, join: Join) -> Result<Bounded, Box<Finding>> {
        let mut left = self.bounded(join.left.as_ref().clone())?;
        let mut right = self.bounded(join.right.as_ref().clone())?;
        let pairs: Vec<(usize, usize)> = join
            .on
            .iter()
            .filter_map(|(a, b)| Some((column_at(&left.plan, a)?, column_at(&right.plan, b)?)))
            .collect();
        let which = Reduced::of(&join, &left.bound, &right.bound, &pairs, &self.facts.many_to_many);
        if which.left {
            left = left.distinct()?;
        }
        if which.right {
            right = right.distinct()?;
        }
        let bound = if left.bound.is_individual() || right.bound.is_individual() {
            of_individuals(join.join_type, &left.bound, &right.bound, left.width(), &pairs)?
        } else {
            of_tables(join.join_type, &left.bound, &right.bound, left.width(), &pairs)?
        };
        if !left.changed && !right.changed {
            return Ok(Bounded { plan: LogicalPlan::Join(join), bound, changed: false });
        }
        let plan = LogicalPlan::Join(join);
        let inputs = vec![left.plan, right.plan];
        let plan = plan.with_new_exprs(plan.expressions(), inputs).map_err(|_| not_rebuilt())?;
        Ok(Bounded { plan, bound, changed: true })
    }
}

impl Bounded {
    fn width(&self) -> usize {
        self.plan.schema().fields().len()
    }

    /// The same rows, each combination of values once: an aggregate by all columns, so that a copy is joined once
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn distinct(self) -> Result<Self, Box<Finding>> {
        let width = self.width();
        let columns: Vec<Expr> = self.plan.schema().columns().into_iter().map(Expr::Column).collect();
        if columns.is_empty() {
            return Ok(self);
        }
        let plan = LogicalPlanBuilder::from(self.plan)
            .aggregate(columns, Vec::<Expr>::new())
            .and_then(LogicalPlanBuilder::build)
            .map_err(|_| not_rebuilt())?;
        Ok(Bounded { plan, bound: self.bound.distinct(width), changed: true })
    }
}

/// The sides of a join that are reduced to distinct rows of the columns that are still read.
struct Reduced {
    left: bool,
    right: bool,
}

impl Reduced {
    /// Says which sides of a join are reduced to distinct rows.
    ///
    /// A side that only decides (semi, anti, mark) always may be. If both sides have several rows of one subject, no row
    /// and no value of either is ever counted or added up, so that a row is as good as its copies; a side that an outer
    /// join preserves keeps its rows, for those without a match stand for themselves
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    fn of(
        join: &Join,
        left: &Bound,
        right: &Bound,
        pairs: &[(usize, usize)],
        many_to_many: &ManyToMany,
    ) -> Self {
        let several = |bound: &Bound, columns: BTreeSet<usize>| {
            let of_one = columns.iter().filter_map(|column| bound.of_one.get(column)).map(|known| known.rows);
            of_one.min().map_or_else(|| !bound.is_unique_by(&columns), |rows| rows > 1)
        };
        let lefts = several(left, pairs.iter().map(|(a, _)| *a).collect());
        let rights = several(right, pairs.iter().map(|(_, b)| *b).collect());
        let both = many_to_many.contains(&equated_names(join));
        match join.join_type {
            JoinType::Inner => Reduced { left: both, right: both },
            JoinType::Left => Reduced { left: false, right: both },
            JoinType::Right => Reduced { left: both, right: false },
            JoinType::Full => Reduced { left: false, right: false },
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                Reduced { left: false, right: left.is_individual() && rights }
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                Reduced { left: right.is_individual() && lefts, right: false }
            }
        }
    }
}

/// The names of the columns that a join equates.
fn equated_names(join: &Join) -> BTreeSet<(String, String)> {
    let name = |expr: &Expr| expr.try_as_col().map(|column| column.name.clone());
    join.on.iter().filter_map(|(a, b)| Some((name(a)?, name(b)?))).collect()
}

/// The bound of a join of which at least one side holds individuals; it refuses one that multiplies a subject's rows too
/// often.
///
/// Each row meets as many rows as the other side has of its subject, and one row of an open or released table. An
/// unlimited product is a test of one person by memory or time: only if they meet the condition is either spent
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn of_individuals(
    join_type: JoinType,
    left: &Bound,
    right: &Bound,
    width: usize,
    pairs: &[(usize, usize)],
) -> Result<Bound, Box<Finding>> {
    // How many rows of the other side a row meets: an open or released table is met once (`many_to_one`).
    let met = |mine: &Bound, other: &Bound, columns: Vec<(usize, usize)>| {
        if !other.is_individual() {
            return 1;
        }
        let on_units = columns.into_iter().filter(|(own, _)| mine.of_one.contains_key(own));
        on_units.filter_map(|(_, theirs)| Some(other.of_one.get(&theirs)?.rows)).min().unwrap_or(u64::MAX)
    };
    let of_right = met(left, right, pairs.to_vec());
    let of_left = met(right, left, pairs.iter().map(|(a, b)| (*b, *a)).collect());
    let grown = |bound: &Bound, factor: u64, from: usize| -> Result<BTreeMap<usize, OfOne>, Box<Finding>> {
        let grow = |(column, known): (&usize, &OfOne)| {
            let rows = known.rows.saturating_mul(factor.max(1));
            if rows > SUBJECT_ROWS_MAX && rows > known.rows {
                return Err(Box::new(too_many_of_one()));
            }
            Ok((column + from, OfOne { rows, ..*known }))
        };
        bound.of_one.iter().map(grow).collect()
    };
    let (lefts, mut rights) = (grown(left, of_right, 0)?, grown(right, of_left, width)?);
    if join_type == JoinType::Inner {
        // What is equated is the same subject from here on.
        for (a, b) in pairs {
            if let (Some(kept), Some(replaced)) = (left.of_one.get(a), right.of_one.get(b)) {
                let same = rights.values_mut().filter(|known| known.subject == replaced.subject);
                same.for_each(|known| known.subject = kept.subject);
            }
        }
    }
    let of_one = match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.of_one.clone(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.of_one.clone(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            lefts.into_iter().chain(rights).collect()
        }
    };
    Ok(Bound { all: None, of_one, unique: Vec::new() })
}

/// The bound of a join of open and released tables; it refuses tables that come to too many rows without a unique key.
///
/// Eight crossed tables of a thousand rows make 10^24 rows, and the job ends when memory is exhausted. It is a limit of
/// work and tells of no individual (`sandbox/docs/disclosure-model.md`, section 8).
fn of_tables(
    join_type: JoinType,
    left: &Bound,
    right: &Bound,
    width: usize,
    pairs: &[(usize, usize)],
) -> Result<Bound, Box<Finding>> {
    let (lefts, rights) = (left.rows(), right.rows());
    let left_is_one = left.is_unique_by(&pairs.iter().map(|(a, _)| *a).collect());
    let right_is_one = right.is_unique_by(&pairs.iter().map(|(_, b)| *b).collect());
    let matched = match (left_is_one, right_is_one) {
        (true, true) => lefts.min(rights),
        (true, false) => rights,
        (false, true) => lefts,
        (false, false) => lefts.saturating_mul(rights),
    };
    let all = match join_type {
        JoinType::Inner => matched,
        JoinType::Left => matched.saturating_add(if right_is_one { 0 } else { lefts }).max(lefts),
        JoinType::Right => matched.saturating_add(if left_is_one { 0 } else { rights }).max(rights),
        JoinType::Full => matched.saturating_add(lefts).saturating_add(rights),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => lefts,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => rights,
    };
    if all.max(matched) > JOINED_ROWS_MAX && all > lefts.saturating_add(rights) {
        return Err(Box::new(too_many_joined()));
    }
    let outer = matches!(join_type, JoinType::Full);
    let mut unique = Vec::new();
    if right_is_one && !outer && !matches!(join_type, JoinType::Right) {
        unique.extend(left.unique.iter().cloned());
    }
    if left_is_one && !outer && !matches!(join_type, JoinType::Left) {
        unique.extend(right.unique.iter().map(|set| set.iter().map(|column| column + width).collect()));
    }
    Ok(Bound { all: Some(all), of_one: BTreeMap::new(), unique })
}

/// The number of rows as a verdict may show it: the next power of two.
///
/// The exact number of rows of the subject that has most of them is a fact about that subject, and stays the manifest's
/// (`sandbox/docs/disclosure-model.md`, section 7).
#[must_use]
pub fn published(rows: u64) -> u64 {
    rows.checked_next_power_of_two().unwrap_or(u64::MAX)
}

/// The bound after a projection: the keys and unique sets that it still shows.
///
/// A set of columns stays unique only if all of them are left, since a part of a unique key may repeat
/// (`sandbox/docs/disclosure-model.md`, section 4.6).
fn projected(exprs: &[Expr], input: &LogicalPlan, bound: &Bound) -> Bound {
    let sources: Vec<Option<usize>> = exprs.iter().map(|expr| column_at(input, expr)).collect();
    let mut of_one = BTreeMap::new();
    for (place, (expr, source)) in exprs.iter().zip(&sources).enumerate() {
        let known = match source {
            Some(source) => bound.of_one.get(source).copied(),
            None => either_key(expr, input, bound),
        };
        of_one.extend(known.map(|known| (place, known)));
    }
    let place = |source: &usize| sources.iter().position(|known| known.as_ref() == Some(source));
    let unique = bound.unique.iter().filter_map(|set| set.iter().map(place).collect()).collect();
    Bound { all: bound.all, of_one, unique }
}

/// COALESCE of the keys that an outer join equates: rows of the one or of the other, and so as many as both together.
///
/// Without it the subject of a FULL JOIN would have no bound, and a second join could multiply its rows unseen
/// (`sandbox/docs/disclosure-model.md`, sections 4.7 and 7).
fn either_key(expr: &Expr, input: &LogicalPlan, bound: &Bound) -> Option<OfOne> {
    let Expr::ScalarFunction(call) = unaliased(expr) else { return None };
    let keys = call.args.iter().filter(|_| call.name() == "coalesce");
    let keys = keys.map(|key| bound.of_one.get(&column_at(input, key)?).copied());
    let keys = keys.collect::<Option<Vec<OfOne>>>()?;
    let rows = keys.iter().fold(0_u64, |sum, key| sum.saturating_add(key.rows));
    keys.first().map(|first| OfOne { rows, subject: first.subject })
}

/// The bound after an aggregate: one row for each combination of keys, and of a subject if its key alone divides the
/// rows.
///
/// A constant key does not divide a subject's rows into several groups, so that it is left out of account
/// (`sandbox/docs/disclosure-model.md`, section 4.9).
fn aggregated(aggregate: &Aggregate, input: &Bound) -> Bound {
    let keys = aggregate.group_expr.len().min(aggregate.schema.fields().len());
    let known = |key: &Expr| input.of_one.get(&column_at(&aggregate.input, key)?).copied();
    let splitting = aggregate.group_expr.iter().filter(|key| !is_constant(key));
    let splitting: Vec<Option<OfOne>> = splitting.map(known).collect();
    let alone = is_one_subject(splitting.iter().flatten(), splitting.len());
    let places = aggregate.group_expr.iter().enumerate();
    let of_one = places.filter_map(|(place, key)| {
        let known = known(key)?;
        Some((place, OfOne { rows: if alone { 1 } else { known.rows }, ..known }))
    });
    let all = if keys == 0 { Some(1) } else { input.all };
    Bound { all, of_one: of_one.collect(), unique: vec![(0..keys).collect()] }
}

/// The bound after a LIMIT: no more rows than it fetches, where that is a literal; of one subject as many as before
/// (`sandbox/docs/disclosure-model.md`, section 8).
fn limited(limit: &Limit, input: Bound) -> Bound {
    let fetch = match limit.get_fetch_type() {
        Ok(FetchType::Literal(fetch)) => fetch.and_then(|rows| u64::try_from(rows).ok()),
        Ok(FetchType::UnsupportedExpr) | Err(_) => None,
    };
    let all = match (input.all, fetch) {
        (Some(all), Some(fetch)) => Some(all.min(fetch)),
        (all, fetch) => all.or(fetch),
    };
    Bound { all, ..input }
}

/// The bound of a union: the rows of all branches, also those of one subject.
///
/// A union of eight copies has eight rows of each person, from which joins of copies begin to multiply
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn united(inputs: &[Bound]) -> Bound {
    let all = inputs.iter().map(|input| input.all).try_fold(0_u64, |sum, all| Some(sum.saturating_add(all?)));
    let of_all = |column: &usize| {
        inputs.iter().try_fold(0_u64, |sum, input| Some(sum.saturating_add(input.of_one.get(column)?.rows)))
    };
    // Columns that are the same subject's in the first branch are taken for the same in all: the labels have seen to it.
    let first = inputs.first().into_iter().flat_map(|input| &input.of_one);
    let of_one =
        first.filter_map(|(column, known)| Some((*column, OfOne { rows: of_all(column)?, ..*known })));
    Bound { all, of_one: of_one.collect(), unique: Vec::new() }
}

/// The position of a bare column among a plan's.
fn column_at(plan: &LogicalPlan, expr: &Expr) -> Option<usize> {
    let column: &Column = unaliased(expr).try_as_col()?;
    plan.schema().maybe_index_of_column(column)
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The refusal of joins that make too many rows of one subject's rows.
///
/// The length of such a run, or whether it ends, would tell how many rows one person has
/// (`sandbox/docs/disclosure-model.md`, section 7).
fn too_many_of_one() -> Finding {
    Finding::of(Reason::TooManyRowsOfOne).help(
        "the joins multiply one subject's rows too often: aggregate each side per subject first (GROUP BY the unit key), \
         or read fewer columns of it",
        "多个关联使单个主体的行数成倍增加：请先按主体标识对各侧汇总，或减少读取的字段",
    )
}

/// The refusal of open and released tables whose rows multiply where they are joined.
///
/// They multiply until the memory of the job is exhausted (`sandbox/docs/disclosure-model.md`, section 8).
fn too_many_joined() -> Finding {
    too_large(
        Reason::TooManyJoinedRows,
        "joined rows",
        format!(
            "released and open tables come to at most {JOINED_ROWS_MAX} rows where they are joined: join them by unique columns"
        ),
        format!("已发布结果与开放表关联后不超过 {JOINED_ROWS_MAX} 行：请按唯一字段关联"),
    )
}

/// A plan with reduced sides cannot be put together.
fn not_rebuilt() -> Box<Finding> {
    Box::new(plan_not_built())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;
    use crate::fixture::admitted;
    use crate::fixture::codes;
    use crate::fixture::policy;

    fn copies(joins: usize) -> String {
        let copies = ["SELECT person_id FROM persons"; 8].join(" UNION ALL ");
        let joins: Vec<String> =
            (0..joins).map(|nth| format!("JOIN u u{nth} ON p.person_id = u{nth}.person_id")).collect();
        format!(
            "WITH u AS ({copies}) SELECT COUNT(DISTINCT p.person_id) FROM persons p {} WHERE p.zip = '9999'",
            joins.join(" ")
        )
    }

    fn self_joins(count: usize, condition: &str) -> String {
        let joins: Vec<String> = (1..count)
            .map(|nth| format!("JOIN visits v{nth} ON v0.person_id = v{nth}.person_id {condition}"))
            .collect();
        let keys: Vec<String> = (0..count.min(8)).map(|nth| format!("v{nth}.day")).collect();
        let keys = keys.join(", ");
        format!(
            "SELECT {keys}, COUNT(DISTINCT v0.person_id) FROM visits v0 {} GROUP BY {keys}",
            joins.join(" ")
        )
    }

    /// The most rows of one subject in any relation of a plan.
    fn most_of_one(plan: &LogicalPlan, facts: &RowFacts) -> u64 {
        let mut pass = Pass { facts, subjects: 0 };
        let mut most = 0;
        let walked = plan.apply_with_subqueries(|node| {
            let bound = pass.bounded(node.clone()).expect("the plan was admitted").bound;
            most = bound.of_one.values().map(|known| known.rows).fold(most, u64::max);
            Ok(TreeNodeRecursion::Continue)
        });
        walked.expect("the closure never fails");
        most
    }

    #[test]
    fn one_subject_becomes_no_more_rows_than_the_bound() {
        for sql in [copies(1), copies(10), self_joins(3, ""), self_joins(8, "")] {
            let plan = admitted(&sql);
            for stage in plan.stages() {
                assert!(most_of_one(&stage.plan, &plan.rows) <= SUBJECT_ROWS_MAX, "{sql}");
            }
        }
        assert_eq!(codes(&self_joins(13, "")), [], "what is not read is reduced");
        let facts = RowFacts::of(&policy(), std::iter::empty(), ManyToMany::new());
        assert!(facts.tables.values().all(|table| table.of_one.values().all(|rows| *rows <= 4)));
    }

    #[test]
    fn copies_that_are_joined_are_one_row_a_subject() {
        let plan = admitted(&copies(10));
        assert!(most_of_one(&plan.stages()[0].plan, &plan.rows) <= 8, "the union itself has eight");
    }

    #[test]
    fn self_joins_that_are_read_are_refused_above_the_bound() {
        let mut many = policy();
        for dataset in many.datasets.values_mut() {
            for unit in dataset.units.iter_mut().filter(|unit| !unit.one_row_per_subject) {
                unit.rows_max = Some(300);
            }
        }
        let refused = |sql: &str| match crate::fixture::review_under(&many, sql).decision {
            crate::verdict::Decision::Admitted(_) => Vec::new(),
            crate::verdict::Decision::Refused { findings, .. } => {
                findings.into_iter().map(|finding| finding.code).collect()
            }
        };
        assert_eq!(refused(&self_joins(2, "")), [Code::JoinNotAllowed], "512 rows times 512");
        let people =
            "SELECT COUNT(DISTINCT a.person_id) FROM visits a JOIN visits b ON a.person_id = b.person_id";
        assert_eq!(refused(people), [], "only people are counted");
        let totals = "SELECT COUNT(*) FROM visits v JOIN (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) c ON v.person_id = c.person_id JOIN (SELECT person_id, MIN(day) AS d FROM visits GROUP BY person_id) m ON v.person_id = m.person_id WHERE c.n >= 2 AND m.d = 1";
        assert_eq!(refused(totals), [], "a subquery by subject has one row of each");
    }

    #[test]
    fn tables_that_are_crossed_are_bounded_and_joined_ones_are_not() {
        let mut open = policy();
        for dataset in open.datasets.values_mut() {
            dataset.rows = Some(41);
        }
        let is_refused = |sql: &str| {
            let decision = crate::fixture::review_under(&open, sql).decision;
            matches!(decision, crate::verdict::Decision::Refused { findings, .. } if findings[0].code == Code::QueryTooLarge)
        };
        let crossed = |tables: usize| {
            let tables: Vec<String> = (0..tables).map(|nth| format!("zones z{nth}")).collect();
            format!("SELECT COUNT(*) FROM {}", tables.join(", "))
        };
        assert!(!is_refused(&crossed(3)), "68,921 rows");
        assert!(is_refused(&crossed(4)) && is_refused(&crossed(8)));
        let by_key: Vec<String> =
            (1..8).map(|nth| format!("JOIN zones z{nth} ON z0.zip = z{nth}.zip")).collect();
        assert!(!is_refused(&format!("SELECT COUNT(*) FROM zones z0 {}", by_key.join(" "))));
        let counted = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept";
        let released = |nth: usize| format!("({counted}) r{nth}");
        assert!(is_refused(&format!(
            "SELECT COUNT(*) FROM {}, {}, {}",
            released(0),
            released(1),
            released(2)
        )));
        let by_key: Vec<String> =
            (1..6).map(|nth| format!("JOIN {} ON r0.dept = r{nth}.dept", released(nth))).collect();
        assert!(!is_refused(&format!("SELECT COUNT(*) FROM {} {}", released(0), by_key.join(" "))));
    }

    #[test]
    fn what_was_released_is_looked_at_again() {
        let sql = "SELECT COUNT(*) FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a, (SELECT zip, COUNT(*) AS n FROM persons GROUP BY zip) b";
        let plan = admitted(sql);
        let rows = |rows: u64| plan.stages().iter().map(|stage| (stage.name.clone(), rows)).collect();
        assert!(plan.joins_released_rows(&rows(1_000)).is_ok());
        assert!(plan.joins_released_rows(&rows(1_001)).is_err());
    }
}
