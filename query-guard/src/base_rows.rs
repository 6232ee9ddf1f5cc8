//! The base of a boundary's cells: the same rows without the conditions that choose them by sensitive columns.
//!
//! A cell of all diabetics of a village tells of everybody in the village if all of them are diabetics. So the control step asks that enough
//! subjects of the base are not in the cell (`control/homogeneity.rs`). This file finds the rows of the base, from the plan of
//! the question: what a sensitive column decides is taken out, wherever it stands below the boundary, so that every row of the question is
//! one of the base.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::JoinType;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::Join;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Projection;
use datafusion_expr::TableScan;
use datafusion_expr::Union;
use datafusion_expr::Window;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::column::is_nullif;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::internal;
use crate::finding::not_built;
use crate::floor::is_open;
use crate::reason::Reason;

mod condition;

use condition::Relaxed;
use condition::relaxed;

/// The columns of rows by their part in who is sensitive in which way; all others have none.
#[derive(Debug, Clone, Default)]
struct Columns {
    parts: BTreeMap<String, Part>,
}

/// The part of a column; of several that are computed with, the last one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// It tells subjects apart, and chooses nobody.
    Key,
    /// It chooses by what is not sensitive.
    Other,
    /// It tells of a sensitive column, but not by having a value: what is added up, and counts.
    Certain,
    /// It tells of a sensitive column: itself, or what is computed of it or depends on it.
    Sensitive,
    /// It is found beside a row that sensitive columns have chosen together with others: that it is there tells of both.
    Found,
}

/// The choice among the subjects of a base by what has been taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nothing has been taken out.
    None,
    /// Among all of them in the same way.
    Whole,
    /// Among some of them, by other columns; the others are all let through.
    Partial,
}

impl Choice {
    /// The part of numbers over the rows that are left.
    fn of_numbers(self) -> Part {
        match self {
            Choice::None => Part::Other,
            Choice::Whole => Part::Certain,
            Choice::Partial => Part::Found,
        }
    }

    /// Both choices, one after the other.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where some are chosen in another way than others: of two villages one would hide the other.
    pub(crate) fn and(self, other: Self) -> Result<Self, Refused> {
        match (self, other) {
            (Choice::None, choice) | (choice, Choice::None) => Ok(choice),
            (Choice::Whole, Choice::Whole) => Ok(Choice::Whole),
            (Choice::Partial, _) | (_, Choice::Partial) => Err(mixed()),
        }
    }

    /// The choice among the subjects of either, each chosen for itself.
    ///
    /// # Errors
    /// As [`Choice::and`].
    fn or(self, other: Self) -> Result<Self, Refused> {
        match (self, other) {
            (Choice::None, Choice::None) => Ok(Choice::None),
            (Choice::None, _) | (_, Choice::None) => Ok(Choice::Partial),
            (Choice::Whole | Choice::Partial, Choice::Whole | Choice::Partial) => Err(mixed()),
        }
    }
}

/// The reading of an expression: what of it is sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Nothing.
    Others,
    /// Everything that it reads, or one comparison or computation of it with something else.
    Sensitive,
    /// A part, in a way that chooses by other columns too.
    Mixed,
}

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
    /// The part of numbers over a subject's rows: of others where nothing has been taken out that has chosen among these.
    numbers: Part,
    /// Other conditions of the question choose its rows.
    is_narrowed: bool,
}

impl BaseRows {
    /// The base of the rows of a plan, as the zones have made it.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where a condition chooses by sensitive columns together with others, in a way that leaves more than one
    /// base: its cell could be filled up with others until enough of them are not in it.
    pub(crate) fn of(plan: &LogicalPlan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        if !reads_individuals(plan, policy)? {
            let (plan, columns) = (plan.clone(), Columns::default());
            return Ok(BaseRows::of_rows(plan, columns, false));
        }
        match plan {
            LogicalPlan::TableScan(scan) => Self::scan(plan, scan, policy),
            LogicalPlan::Filter(filter) => Self::of(&filter.input, policy)?.filtered(filter),
            LogicalPlan::Projection(projection) => Self::of(&projection.input, policy)?.projected(projection),
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input, policy)?.below(plan),
            LogicalPlan::Sort(sort) => Self::of(&sort.input, policy)?.below(plan),
            LogicalPlan::Aggregate(aggregate) => {
                Self::of(&aggregate.input, policy)?.aggregated(plan, aggregate)
            }
            LogicalPlan::Window(window) => Self::of(&window.input, policy)?.windowed(plan, window),
            LogicalPlan::Join(join) => {
                let (left, right) = (Self::of(&join.left, policy)?, Self::of(&join.right, policy)?);
                left.joined(right, join)
            }
            LogicalPlan::Union(union) => Self::united(union, policy),
            LogicalPlan::Repartition(_)
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

    /// True if a column depends on a sensitive one.
    pub(crate) fn depends(&self, column: &Expr) -> bool {
        self.columns.reads_sensitive(column)
    }

    /// An atom's condition without what a sensitive column decides.
    ///
    /// # Errors
    /// As [`BaseRows::of`].
    pub(crate) fn relaxed(&self, condition: &Expr) -> Result<Relaxed, Refused> {
        relaxed(condition, &self.columns)
    }

    fn scan(plan: &LogicalPlan, scan: &TableScan, policy: &EffectivePolicy) -> Result<Self, Refused> {
        let dataset = dataset_of(scan, policy).ok_or_else(internal)?;
        let mut columns = Columns::default();
        for column in &dataset.columns {
            if column.role == Role::Sensitive && column.grade > Level(1) {
                // A mean asks whether there is a value, and chooses nobody by it.
                let is_measured = column.uses.contains(&Use::Aggregate);
                columns.put(&column.name, if is_measured { Part::Certain } else { Part::Sensitive });
            }
        }
        for unit in &dataset.units {
            columns.put(&unit.column, Part::Key);
        }
        Ok(BaseRows { is_raw: true, ..BaseRows::of_rows(plan.clone(), columns, true) })
    }

    fn of_rows(plan: LogicalPlan, columns: Columns, is_individual: bool) -> Self {
        let (choice, numbers) = (Choice::None, Part::Other);
        BaseRows { plan, columns, is_individual, is_raw: false, choice, numbers, is_narrowed: false }
    }

    /// The row filter of a policy stays as it is: it is the same for every question.
    fn filtered(mut self, filter: &Filter) -> Result<Self, Refused> {
        let kept = if self.is_raw {
            Some(filter.predicate.clone())
        } else {
            let Relaxed { condition, choice, is_of_rows: _ } = relaxed(&filter.predicate, &self.columns)?;
            self.choice = self.choice.and(choice)?;
            self.numbers = self.numbers.max(choice.of_numbers());
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
            columns.put(field.name(), self.columns.part_of(expr)?);
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
            columns.put(field.name(), self.columns.part_of(key)?);
        }
        for (number, field) in numbers.zip(fields) {
            columns.put(field.name(), self.number(number)?);
        }
        let plan = node.with_new_exprs(node.expressions(), vec![self.plan]).map_err(not_built)?;
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    /// Functions over each subject's own rows, beside the columns of these.
    fn windowed(self, node: &LogicalPlan, window: &Window) -> Result<Self, Refused> {
        let mut columns = self.columns.clone();
        let fields = window.schema.fields().iter().skip(window.input.schema().fields().len());
        for (number, field) in window.window_expr.iter().zip(fields) {
            columns.put(field.name(), self.number(number)?);
        }
        let plan = node.with_new_exprs(node.expressions(), vec![self.plan]).map_err(not_built)?;
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    /// The part of a number over a subject's rows, which depends on what has chosen them. A count always has a value.
    fn number(&self, number: &Expr) -> Result<Part, Refused> {
        let part = self.columns.part_of(number)?.max(self.numbers);
        let is_count = match number {
            Expr::Alias(alias) => is_count(&alias.expr),
            number => is_count(number),
        };
        Ok(if is_count && part == Part::Sensitive { Part::Certain } else { part })
    }

    /// Rows of the same subjects beside one another. They meet by their keys; what else is equated is a condition.
    fn joined(self, right: Self, join: &Join) -> Result<Self, Refused> {
        let mut columns = self.columns.and(&right.columns);
        let reads = |expr: &Expr| columns.reads_sensitive(expr);
        let by_key = join.on.iter().any(|(one, other)| reads(one) || reads(other));
        let by_sensitive = by_key || join.filter.as_ref().is_some_and(reads);
        if !(self.is_individual && right.is_individual) {
            return self.looked_up(right, join, by_sensitive);
        }
        let on = join.on.iter().filter(|(one, other)| !reads(one) && !reads(other)).cloned().collect();
        let filter = join.filter.as_ref().map(|filter| relaxed(filter, &columns)).transpose()?;
        let (filter, choice) =
            filter.map_or((None, Choice::None), |filter| (filter.condition, filter.choice));
        let choice = choice.and(if by_key { Choice::Whole } else { Choice::None })?;
        let is_key = |expr: &Expr| columns.read(expr).iter().all(|part| *part == Part::Key);
        let meets_by_others =
            filter.is_some() || !join.on.iter().all(|(one, other)| is_key(one) && is_key(other));
        // The rows of the right side as they are met: by what they are chosen, and by the condition of the join.
        let met = right.choice.and(choice)?;
        let is_met_narrowed = right.is_narrowed || meets_by_others;
        let of_met = right.numbers.max(choice.of_numbers());
        let numbers = self.numbers.max(of_met);
        let is_narrowed = self.is_narrowed || is_met_narrowed;
        let found = |is_narrowed| if is_narrowed { Part::Found } else { Part::Sensitive };
        let (of_left, of_right) = (names(&self.plan), names(&right.plan));
        // That a row is found depends on what has chosen those that are found.
        match join.join_type {
            JoinType::Inner => {
                let choice = self.choice.and(met)?;
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows {
                    plan,
                    columns,
                    is_individual: true,
                    is_raw: false,
                    choice,
                    numbers,
                    is_narrowed,
                })
            }
            JoinType::Left => {
                let mut numbers = self.numbers;
                if of_met > Part::Other {
                    let part = found(is_met_narrowed);
                    of_right.iter().for_each(|name| columns.put(name, part));
                    numbers = numbers.max(part);
                }
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, columns, is_raw: false, numbers, ..self })
            }
            JoinType::Right => {
                let mut numbers = right.numbers;
                if self.numbers.max(choice.of_numbers()) > Part::Other {
                    let part = found(self.is_narrowed || meets_by_others);
                    of_left.iter().for_each(|name| columns.put(name, part));
                    numbers = numbers.max(part);
                }
                let (choice, is_narrowed) = (right.choice, right.is_narrowed);
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows {
                    plan,
                    columns,
                    is_individual: true,
                    is_raw: false,
                    choice,
                    numbers,
                    is_narrowed,
                })
            }
            JoinType::Full => {
                let mut numbers = numbers;
                if numbers > Part::Other {
                    let part = found(is_narrowed);
                    of_left.iter().chain(&of_right).for_each(|name| columns.put(name, part));
                    numbers = numbers.max(part);
                }
                let choice = self.choice.or(right.choice)?;
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows {
                    plan,
                    columns,
                    is_individual: true,
                    is_raw: false,
                    choice,
                    numbers,
                    is_narrowed,
                })
            }
            JoinType::LeftSemi => {
                let choice = self.choice.and(met)?;
                let numbers = self.numbers.max(met.of_numbers());
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw: false, choice, numbers, is_narrowed, ..self })
            }
            // Who has none of certain rows is anybody, where nothing is to tell which rows those are.
            JoinType::LeftAnti if met != Choice::None => {
                let among =
                    if is_met_narrowed || met == Choice::Partial { Choice::Partial } else { Choice::Whole };
                let numbers = self.numbers.max(among.of_numbers());
                Ok(BaseRows { choice: self.choice.and(among)?, numbers, ..self })
            }
            JoinType::LeftAnti => {
                let plan = rejoined(self.plan, right.plan, on, filter, join)?;
                Ok(BaseRows { plan, is_raw: false, is_narrowed, ..self })
            }
            JoinType::LeftMark => {
                let part = if met == Choice::None { Part::Other } else { found(is_met_narrowed) };
                self.marked(right.plan, join, (on, filter), part)
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Err(internal()),
        }
    }

    /// Individuals with rows of an open or released table, of which each meets one at the most. What a sensitive column finds there tells
    /// of it, and whether it finds something chooses by it.
    ///
    /// # Errors
    /// `sensitive-conditions-mixed` where rows are found by a sensitive column together with others, for whose values it finds others.
    fn looked_up(self, right: Self, join: &Join, by_sensitive: bool) -> Result<Self, Refused> {
        let both = self.columns.and(&right.columns);
        let is_about_left_only =
            matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
        if is_about_left_only && !self.is_individual {
            return Err(internal());
        }
        let (many, one) =
            if self.is_individual { (&self.plan, &right.plan) } else { (&right.plan, &self.plan) };
        let (of_many, found) = (names(many), names(one));
        if by_sensitive {
            let sides = join.on.iter().flat_map(|(one, other)| [one, other]).chain(&join.filter);
            let columns = sides.flat_map(|side| side.column_refs());
            let is_other =
                |name: &str| of_many.iter().any(|own| own == name) && both.part(name) == Part::Other;
            if columns.into_iter().any(|column| is_other(&column.name)) {
                return Err(mixed());
            }
        }
        let condition = (join.on.clone(), join.filter.clone());
        if join.join_type == JoinType::LeftMark {
            let part = if by_sensitive { Part::Sensitive } else { Part::Other };
            return self.marked(right.plan, join, condition, part);
        }
        let individuals = if self.is_individual { &self } else { &right };
        let (choice, numbers, is_narrowed) =
            (individuals.choice, individuals.numbers, individuals.is_narrowed);
        if is_about_left_only && by_sensitive {
            let numbers = numbers.max(Part::Certain);
            return Ok(BaseRows { choice: choice.and(Choice::Whole)?, numbers, ..self });
        }
        let (kind, found_by) = match (join.join_type, by_sensitive, self.is_individual) {
            (JoinType::Inner, true, true) => (JoinType::Left, Choice::Whole),
            (JoinType::Inner, true, false) => (JoinType::Right, Choice::Whole),
            (kind, _, _) => (kind, Choice::None),
        };
        let mut columns = if is_about_left_only { self.columns.clone() } else { both };
        for name in found.iter().filter(|_| by_sensitive) {
            columns.put(name, Part::Sensitive);
        }
        let chooses = matches!(kind, JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti);
        let join = Join { join_type: kind, ..join.clone() };
        let plan = rejoined(self.plan, right.plan, condition.0, condition.1, &join)?;
        Ok(BaseRows {
            plan,
            columns,
            is_individual: true,
            is_raw: false,
            choice: choice.and(found_by)?,
            numbers: numbers.max(found_by.of_numbers()),
            is_narrowed: is_narrowed || chooses,
        })
    }

    /// A mark tells whether there is a row on the other side, and with that what has chosen the rows there.
    fn marked(
        self,
        right: LogicalPlan,
        join: &Join,
        (on, filter): (Vec<(Expr, Expr)>, Option<Expr>),
        part: Part,
    ) -> Result<Self, Refused> {
        let plan = rejoined(self.plan, right, on, filter, join)?;
        let mut columns = self.columns;
        let mark = plan.schema().fields().last().ok_or_else(internal)?.name().clone();
        columns.put(&mark, part);
        Ok(BaseRows { plan, columns, is_raw: false, ..self })
    }

    fn united(union: &Union, policy: &EffectivePolicy) -> Result<Self, Refused> {
        let branches: Vec<Self> =
            union.inputs.iter().map(|input| Self::of(input, policy)).collect::<Result<_, _>>()?;
        let mut columns = Columns::default();
        let mut choices = branches.iter().map(|branch| branch.choice);
        let first = choices.next().ok_or_else(internal)?;
        let choice = choices.try_fold(first, Choice::or)?;
        let numbers = branches.iter().map(|branch| branch.numbers).fold(Part::Other, Part::max);
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
        Ok(BaseRows { choice, numbers, is_narrowed, ..BaseRows::of_rows(plan, columns, true) })
    }
}

impl Columns {
    fn put(&mut self, name: &str, part: Part) {
        self.parts.insert(name.to_owned(), part);
    }

    fn part(&self, name: &str) -> Part {
        self.parts.get(name).copied().unwrap_or(Part::Other)
    }

    fn and(&self, other: &Self) -> Self {
        let all = self.parts.iter().chain(&other.parts);
        Columns { parts: all.map(|(name, part)| (name.clone(), *part)).collect() }
    }

    fn reads_sensitive(&self, expr: &Expr) -> bool {
        self.read(expr).iter().any(|part| *part >= Part::Certain)
    }

    /// The parts of the columns that an expression reads, but for questions whether there is a value that always is.
    fn read(&self, expr: &Expr) -> BTreeSet<Part> {
        let mut read = BTreeSet::new();
        let walked = expr.apply(|inner| {
            let asks = match inner {
                Expr::IsNull(of) | Expr::IsNotNull(of) => Some(of.as_ref()),
                Expr::Column(column) => {
                    read.insert(self.part(&column.name));
                    None
                }
                _ => None,
            };
            let is_certain =
                matches!(asks, Some(Expr::Column(column)) if self.part(&column.name) == Part::Certain);
            Ok(if is_certain { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
        read
    }

    /// The part of a column that an expression computes. What was found may be handed on, and depends on what has chosen it wherever it is
    /// computed with.
    fn part_of(&self, expr: &Expr) -> Result<Part, Refused> {
        if self.read(expr).contains(&Part::Found) {
            return Ok(Part::Found);
        }
        self.decides(expr)?;
        let strictest = self.read(expr).into_iter().next_back().unwrap_or(Part::Other);
        let is_certain = strictest == Part::Certain && !may_be_missing(expr);
        Ok(if strictest == Part::Certain && !is_certain { Part::Sensitive } else { strictest })
    }

    /// True if an expression tells of a sensitive column.
    fn decides(&self, expr: &Expr) -> Result<bool, Refused> {
        match self.reads(expr) {
            Reads::Others => Ok(false),
            Reads::Sensitive => Ok(true),
            Reads::Mixed => Err(mixed()),
        }
    }

    fn reads(&self, expr: &Expr) -> Reads {
        let read = self.read(expr);
        if read.contains(&Part::Found) {
            return Reads::Mixed;
        }
        match (read.iter().any(|part| *part >= Part::Certain), read.contains(&Part::Other)) {
            (false, _) => Reads::Others,
            (true, false) => Reads::Sensitive,
            (true, true) if condition::joins_conditions(expr) => Reads::Mixed,
            (true, true) => Reads::Sensitive,
        }
    }
}

/// True if an expression has no value where a condition is not met.
fn may_be_missing(expr: &Expr) -> bool {
    let missing = expr.exists(|inner| {
        Ok(match inner {
            Expr::Case(case) => case.else_expr.is_none(),
            Expr::AggregateFunction(call) => call.params.filter.is_some(),
            inner => is_nullif(inner),
        })
    });
    missing.unwrap_or(true)
}

fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::AggregateFunction(call) => call.func.name() == "count",
        Expr::WindowFunction(call) => call.fun.name() == "count",
        _ => false,
    }
}

/// The refusal of what chooses by sensitive columns and by others in one.
///
/// `zip = '9999' AND diag = 'HIV' OR zip = '1000' AND diag = 'rare'` is all of one zip if all of it have HIV, and so many of the other zip are
/// not in it that nobody would notice (`sandbox/docs/disclosure-model.md`, section 5.12).
fn mixed() -> Refused {
    Finding::of(Reason::SensitiveConditionsMixed)
        .help(
            "put conditions on sensitive columns beside the others, joined by AND, and group by each column for itself: WHERE zip = '1000' AND diag = 'x'",
            "请将敏感字段的条件与其他条件分开书写并以 AND 连接，并按各字段分别分组：WHERE zip = '1000' AND diag = 'x'",
        )
        .into()
}

fn names(plan: &LogicalPlan) -> Vec<String> {
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn rejoined(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    join: &Join,
) -> Result<LogicalPlan, Refused> {
    // Without an equal key everybody would meet everybody.
    if on.is_empty() && !join.on.is_empty() {
        return Err(internal());
    }
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    );
    Ok(LogicalPlan::Join(joined.map_err(not_built)?))
}

fn dataset_of<'p>(scan: &TableScan, policy: &'p EffectivePolicy) -> Option<&'p EffectiveDataset> {
    let table = scan.table_name.to_string();
    let dataset = policy.datasets.values().find(|dataset| dataset.id.sql_name() == table)?;
    Some(dataset).filter(|dataset| !is_open(dataset))
}

/// True if rows of a sealed dataset are read below.
fn reads_individuals(plan: &LogicalPlan, policy: &EffectivePolicy) -> Result<bool, Refused> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(scan) if dataset_of(scan, policy).is_some())))
        .map_err(not_built)
}

#[cfg(test)]
mod tests;
