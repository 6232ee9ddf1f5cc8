//! A plan from its scans up: what each relation holds, and whether each step may stand over individuals.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Aggregate;
use datafusion_expr::Distinct;
use datafusion_expr::Expr;
use datafusion_expr::Filter;
use datafusion_expr::LogicalPlan;
use datafusion_expr::Projection;
use datafusion_expr::TableScan;
use datafusion_expr::Union;
use datafusion_expr::Window;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::utils::split_conjunction_owned;
use obscura_policies::vocabulary::DatasetId;

use super::Breach;
use super::Scanned;
use super::expression::Leaves;
use super::expression::raw_name;
use super::expression::written_out;
use super::filter::RowConditions;
use super::range::range_of;
use super::relation::Leaf;
use super::relation::Read;
use super::relation::Relation;
use super::relation::Subject;
use super::relation::bare;
use super::terms::Terms;
use super::terms::may_leave_as_rows;

/// Aggregates over a subject's own rows.
const OWN_AGGREGATES: &[&str] = &["avg", "count", "max", "min", "sum"];
/// Window functions over a subject's own rows that hand on one of the values, and those that number rows.
const OWN_VALUES: &[&str] = &["first_value", "lag", "last_value", "lead", "nth_value"];
const OWN_NUMBERS: &[&str] = &["dense_rank", "ntile", "rank", "row_number"];
const OWN_SHARES: &[&str] = &["cume_dist", "percent_rank"];

/// One look at one plan.
pub(super) struct Walk<'t> {
    pub(super) leaves: Leaves<'t>,
    scanned: &'t dyn Fn(&TableScan) -> Option<Scanned>,
    /// The columns of each scan that the engine holds never to be missing.
    never_missing: BTreeMap<usize, BTreeSet<String>>,
    /// The row conditions of each scan, planned once.
    conditions: BTreeMap<usize, Rc<RowConditions<'t>>>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(terms: &'t Terms, scanned: &'t dyn Fn(&TableScan) -> Option<Scanned>) -> Self {
        let (never_missing, conditions) = (BTreeMap::new(), BTreeMap::new());
        Walk { leaves: Leaves::new(terms), scanned, never_missing, conditions }
    }

    /// A relation whose rows meet the row filters of its datasets.
    ///
    /// # Errors
    /// The first breach below.
    pub(super) fn settled(&mut self, plan: &LogicalPlan) -> Result<Relation, Breach> {
        let mut relation = self.relation(plan)?;
        if let Some((scan, id)) = relation.unfiltered.take() {
            let due = self.row_conditions(scan, &id)?;
            if !due.hold(&relation.facts) {
                return Err(Breach::RowFilter);
            }
            relation.facts.clear();
        }
        Ok(relation)
    }

    fn row_conditions(&mut self, scan: usize, id: &DatasetId) -> Result<Rc<RowConditions<'t>>, Breach> {
        if let Some(known) = self.conditions.get(&scan) {
            return Ok(Rc::clone(known));
        }
        let dataset = self.leaves.terms.dataset(id).ok_or(Breach::Table)?;
        let never_missing = self.never_missing.get(&scan).cloned().unwrap_or_default();
        let planned = RowConditions::of(dataset, scan, &never_missing).ok_or(Breach::RowFilter)?;
        let planned = Rc::new(planned);
        self.conditions.insert(scan, Rc::clone(&planned));
        Ok(planned)
    }

    /// A relation of released values and open data.
    ///
    /// # Errors
    /// The first breach below, individuals among them.
    pub(super) fn free(&mut self, plan: &LogicalPlan) -> Result<Relation, Breach> {
        let mut relation = self.settled(plan)?;
        if relation.is_individual() {
            return Err(Breach::Table);
        }
        let columns = std::mem::take(&mut relation.columns);
        for column in &columns {
            self.leaves.used(column, &mut relation.read)?;
        }
        relation.columns = columns;
        Ok(relation)
    }

    fn relation(&mut self, plan: &LogicalPlan) -> Result<Relation, Breach> {
        self.subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = self.settled(input)?;
                let keys = input.columns.clone();
                self.grouped(input, keys, Vec::new())
            }
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Join(join) => {
                let (left, right) = (self.settled(&join.left)?, self.settled(&join.right)?);
                super::meeting::joined(&mut self.leaves, join, left, right)
            }
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input),
            LogicalPlan::Subquery(subquery) => self.free(&subquery.subquery),
            LogicalPlan::Sort(sort) => {
                let mut input = self.over_free(&sort.input)?;
                for key in &sort.expr {
                    let key = written_out(&key.expr, &[(&sort.input, &input)])?;
                    self.leaves.used(&key, &mut input.read)?;
                }
                Ok(if sort.fetch.is_some() { cut(input) } else { input })
            }
            LogicalPlan::Limit(limit) => self.over_free(&limit.input).map(cut),
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                let input = self.over_free(&distinct.input).map(cut)?;
                Ok(Relation { columns: self.free_columns(plan), ..input })
            }
            LogicalPlan::EmptyRelation(empty) => Ok(Relation {
                columns: self.free_columns(plan),
                unique: vec![Vec::new()],
                empty: !empty.produce_one_row,
                ..Relation::default()
            }),
            LogicalPlan::Values(_) => {
                Ok(Relation { columns: self.free_columns(plan), ..Relation::default() })
            }
            LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Err(Breach::Node),
        }
    }

    /// Scalar subqueries of a step: each is one of released values or open data.
    fn subqueries(&mut self, plan: &LogicalPlan) -> Result<(), Breach> {
        let mut found = Vec::new();
        let walked = plan.apply_expressions(|expr| {
            expr.apply(|inner| {
                if let Expr::ScalarSubquery(subquery) = inner {
                    found.push(Arc::clone(&subquery.subquery));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        walked.map_err(|_| Breach::Node)?;
        found.iter().try_for_each(|subquery| self.free(subquery).map(drop))
    }

    fn over_free(&mut self, plan: &LogicalPlan) -> Result<Relation, Breach> {
        let relation = self.settled(plan)?;
        if relation.is_individual() { Err(Breach::Node) } else { Ok(relation) }
    }

    fn free_columns(&mut self, plan: &LogicalPlan) -> Vec<Expr> {
        plan.schema().fields().iter().map(|_| self.leaves.add(Leaf::Free)).collect()
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Relation, Breach> {
        let names = || scan.projected_schema.fields().iter().map(|field| field.name().clone());
        let id = match (self.scanned)(scan).ok_or(Breach::Table)? {
            Scanned::Dataset(id) => id,
            Scanned::Released => {
                let columns: Vec<Expr> = names().map(|_| self.leaves.add(Leaf::Free)).collect();
                let is_key = |name: &String| name.starts_with('k');
                let keys = names().zip(&columns).filter(|(name, _)| is_key(name));
                let unique = vec![keys.map(|(_, column)| column.clone()).collect()];
                return Ok(Relation { columns, unique, ..Relation::default() });
            }
        };
        let terms = self.leaves.terms;
        let dataset = terms.dataset(&id).ok_or(Breach::Table)?;
        let number = self.leaves.scan();
        let source = scan.source.schema();
        let never = source.fields().iter().filter(|field| !field.is_nullable());
        self.never_missing.insert(number, never.map(|field| field.name().clone()).collect());
        let mut raw = |column: &str| {
            self.leaves.add(Leaf::Raw { scan: number, dataset: id.clone(), column: column.to_owned() })
        };
        let columns = names().map(|name| raw(&name)).collect();
        let filtered = Relation { columns, unfiltered: Some((number, id.clone())), ..Relation::default() };
        if may_leave_as_rows(dataset) {
            let is_masked = |name: &String| {
                dataset.columns.iter().any(|column| column.name == *name && column.mask.is_some())
            };
            let plain = |set: &&BTreeSet<String>| !set.iter().any(is_masked);
            let sets = dataset.unique.iter().filter(plain);
            let unique = sets.map(|set| set.iter().map(|name| raw(name)).collect()).collect();
            let apart = dataset.intervals.iter().map(|it| (raw(&it.low), raw(&it.high))).collect();
            let read = Read { is_published: dataset.published.is_some(), ..Read::default() };
            let whole = Relation { unique, intervals: apart, read, ..filtered };
            return Ok(if scan.fetch.is_some() { cut(whole) } else { whole });
        }
        if scan.fetch.is_some() {
            return Err(Breach::Node);
        }
        for unit in &dataset.units {
            raw(&unit.column);
        }
        let units = dataset.units.iter().map(|unit| Subject {
            kind: Some(unit.kind.clone()),
            keys: BTreeSet::from([raw_name(number, &unit.column)]),
            one_row: unit.one_row_per_subject,
        });
        let mut subjects: Vec<Subject> = units.collect();
        if subjects.is_empty() {
            subjects.push(Subject { kind: None, keys: BTreeSet::new(), one_row: true });
        }
        let clustered = dataset.units.first().is_some_and(|unit| unit.clustered);
        let grade = dataset.membership.max(self.leaves.grade_of_filters(&id));
        let read = Read { datasets: BTreeSet::from([id]), grade, ..Read::default() };
        Ok(Relation { subjects, clustered, read, ..filtered })
    }

    fn projection(&mut self, projection: &Projection) -> Result<Relation, Breach> {
        let mut input = self.relation(&projection.input)?;
        let mut columns = Vec::with_capacity(projection.expr.len());
        for expr in &projection.expr {
            let written = written_out(expr, &[(&projection.input, &input)])?;
            columns.push(if input.is_individual() || bare(&written).is_some() {
                written
            } else {
                self.leaves.used(&written, &mut input.read)?;
                self.leaves.add(Leaf::Free)
            });
        }
        Ok(Relation { columns, ..input })
    }

    /// A filter of the policy reads raw values; any other one obeys what holds for expressions.
    fn filter(&mut self, filter: &Filter) -> Result<Relation, Breach> {
        let mut input = self.relation(&filter.input)?;
        let due = match &input.unfiltered {
            Some((scan, id)) => Some(self.row_conditions(*scan, id)?),
            None => None,
        };
        for part in conjuncts(filter.predicate.clone()) {
            let part = written_out(&part, &[(&filter.input, &input)])?;
            if !due.as_ref().is_some_and(|due| due.is_one(&part)) {
                self.leaves.used(&part, &mut input.read)?;
                input.is_chosen |= self.leaves.reads_sensitive(&part);
            }
            input.facts.push(part);
        }
        Ok(input)
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Relation, Breach> {
        let input = self.settled(&aggregate.input)?;
        let inputs = [(aggregate.input.as_ref(), &input)];
        if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
            if input.is_individual() {
                return Err(Breach::Node);
            }
            let mut read = input.read.clone();
            for key in sets.distinct_expr() {
                self.leaves.used(&written_out(key, &inputs)?, &mut read)?;
            }
            let count = aggregate.schema.fields().len();
            let columns = (0..count).map(|_| self.leaves.add(Leaf::Free)).collect();
            return Ok(Relation { columns, read, ..Relation::default() });
        }
        let keys = aggregate.group_expr.iter().map(|key| written_out(key, &inputs));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let calls = aggregate.aggr_expr.iter().map(|call| written_out(call, &inputs));
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        self.grouped(input, keys, calls)
    }

    fn grouped(
        &mut self,
        mut input: Relation,
        keys: Vec<Expr>,
        calls: Vec<Expr>,
    ) -> Result<Relation, Breach> {
        let is_individual = input.is_individual();
        let covers = |class: usize| keys.iter().any(|key| input.class_of(key) == Some(class));
        if is_individual && !(0..input.subjects.len()).all(covers) {
            return Err(Breach::PerSubject);
        }
        let splits =
            keys.iter().any(|key| input.class_of(key).is_none() && !matches!(key, Expr::Literal(..)));
        let mut columns = Vec::with_capacity(keys.len() + calls.len());
        for key in keys {
            let is_key = input.class_of(&key).is_some();
            if !is_key {
                self.leaves.used(&key, &mut input.read)?;
            }
            let stays = is_individual || bare(&key).is_some();
            columns.push(if stays { key } else { self.leaves.add(Leaf::Free) });
        }
        let unique = vec![columns.clone()];
        for call in calls {
            let Expr::AggregateFunction(call) = call else { return Err(Breach::Node) };
            self.arguments(&call, &mut input.read)?;
            columns.push(if is_individual {
                if !OWN_AGGREGATES.contains(&call.func.name()) {
                    return Err(Breach::Function);
                }
                self.own(call.func.name(), call.params.args.first(), &input.read)
            } else {
                self.leaves.add(Leaf::Free)
            });
        }
        let is_one = !splits && input.subjects.len() == 1;
        let subjects = input.subjects.into_iter().map(|class| Subject { one_row: is_one, ..class });
        Ok(Relation {
            columns,
            subjects: subjects.collect(),
            unique,
            read: input.read,
            is_chosen: input.is_chosen,
            empty: input.empty,
            ..Relation::default()
        })
    }

    fn arguments(&self, call: &AggregateFunction, read: &mut Read) -> Result<(), Breach> {
        let params = &call.params;
        for argument in params.args.iter().chain(params.filter.as_deref()) {
            if !self.leaves.is_key(argument) {
                self.leaves.used(argument, read)?;
            }
        }
        params.order_by.iter().try_for_each(|sort| self.leaves.used(&sort.expr, read))
    }

    /// The column of an aggregate over a subject's own rows.
    fn own(&mut self, name: &str, argument: Option<&Expr>, read: &Read) -> Expr {
        let most = self.most_rows(&read.datasets);
        if name == "count" {
            return self.leaves.add(Leaf::Count { most });
        }
        let one = argument.and_then(|argument| range_of(&self.leaves, argument));
        let range = if name == "sum" {
            one.and_then(|(low, high)| {
                let rows = i64::from(most);
                let low = low.checked_mul_i64(rows)?.min(low);
                Some((low, high.checked_mul_i64(rows)?.max(high)))
            })
        } else {
            one
        };
        let counts = name != "sum" && argument.is_some_and(|argument| self.leaves.is_count(argument));
        self.leaves.add(Leaf::Own { range, of_one_row: one, counts })
    }

    /// The rows of one subject at which counts are cut off.
    fn most_rows(&self, datasets: &BTreeSet<DatasetId>) -> u32 {
        let datasets = datasets.iter().filter_map(|id| self.leaves.terms.dataset(id));
        datasets.map(|dataset| dataset.max_rows_per_subject).min().unwrap_or(1).max(1)
    }

    fn window(&mut self, window: &Window) -> Result<Relation, Breach> {
        let mut input = self.settled(&window.input)?;
        let mut more = Vec::with_capacity(window.window_expr.len());
        for expr in &window.window_expr {
            let written = written_out(expr, &[(&window.input, &input)])?;
            let Expr::WindowFunction(call) = written else { return Err(Breach::Node) };
            let (params, name) = (&call.params, call.fun.name().to_owned());
            let sorted = params.order_by.iter().map(|sort| &sort.expr);
            let parts = params.args.iter().chain(&params.partition_by).chain(params.filter.as_deref());
            for part in parts.chain(sorted) {
                if !self.leaves.is_key(part) {
                    self.leaves.used(part, &mut input.read)?;
                }
            }
            if !input.is_individual() {
                // Rows can be chosen by their numbers.
                input.read.is_cut = true;
                more.push(self.leaves.add(Leaf::Free));
                continue;
            }
            let covers =
                |class: usize| params.partition_by.iter().any(|key| input.class_of(key) == Some(class));
            if !(0..input.subjects.len()).all(covers) {
                return Err(Breach::PerSubject);
            }
            let argument = params.args.first();
            more.push(match name.as_str() {
                name if OWN_AGGREGATES.contains(&name) => self.own(name, argument, &input.read),
                name if OWN_NUMBERS.contains(&name) => {
                    let most = self.most_rows(&input.read.datasets);
                    self.leaves.add(Leaf::Count { most })
                }
                name if OWN_VALUES.contains(&name) => {
                    let range = argument.and_then(|argument| range_of(&self.leaves, argument));
                    let counts = argument.is_some_and(|argument| self.leaves.is_count(argument));
                    self.leaves.add(Leaf::Own { range, of_one_row: range, counts })
                }
                name if OWN_SHARES.contains(&name) => {
                    self.leaves.add(Leaf::Own { range: None, of_one_row: None, counts: false })
                }
                _ => return Err(Breach::Function),
            });
        }
        input.columns.extend(more);
        input.clustered = false;
        Ok(input)
    }

    /// Rows of several branches. A class of subjects is one only if the same column holds its keys in all of them.
    fn union(&mut self, union: &Union) -> Result<Relation, Breach> {
        let mut branches = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            branches.push(self.settled(input)?);
        }
        branches.retain(|branch| !branch.empty);
        let mut united = Relation { empty: branches.is_empty(), ..Relation::default() };
        for branch in &branches {
            united.read.add(&branch.read);
            united.is_chosen |= branch.is_chosen;
        }
        let count = union.schema.fields().len();
        if !branches.iter().any(Relation::is_individual) {
            for branch in &branches {
                branch.columns.iter().try_for_each(|column| self.leaves.used(column, &mut united.read))?;
            }
            united.columns = (0..count).map(|_| self.leaves.add(Leaf::Free)).collect();
            return Ok(united);
        }
        let mut classes: Vec<(Vec<usize>, Subject)> = Vec::new();
        for position in 0..count {
            let parts = branches.iter().map(|branch| branch.columns.get(position));
            let parts: Vec<&Expr> = parts.collect::<Option<_>>().ok_or(Breach::Column)?;
            let held = parts.iter().zip(&branches).map(|(part, branch)| branch.class_of(part));
            let held: Option<Vec<usize>> = held.collect();
            let Some(held) = held else {
                let ranges: Option<Vec<_>> = parts.iter().map(|part| range_of(&self.leaves, part)).collect();
                let range = ranges.and_then(|ranges| {
                    ranges.into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
                });
                for (part, branch) in parts.iter().zip(&branches) {
                    // A key in some branches alone is no key, and is used for nothing.
                    if branch.class_of(part).is_none() {
                        self.leaves.used(part, &mut united.read)?;
                    } else {
                        return Err(Breach::UnitKey);
                    }
                }
                let counts = parts.iter().all(|part| self.leaves.is_count(part));
                united.columns.push(self.leaves.add(Leaf::Own { range, of_one_row: range, counts }));
                continue;
            };
            let leaf = self.leaves.add(Leaf::United);
            let name = bare(&leaf).map(|column| column.name.clone()).unwrap_or_default();
            let kinds = held.iter().zip(&branches).map(|(class, branch)| branch.subjects.get(*class));
            let kinds: BTreeSet<_> = kinds.map(|subject| subject.map(|it| it.kind.clone())).collect();
            let [Some(kind)] = kinds.into_iter().collect::<Vec<_>>().try_into().unwrap_or([None]) else {
                return Err(Breach::Subjects);
            };
            match classes.iter_mut().find(|(known, _)| *known == held) {
                Some((_, subject)) => drop(subject.keys.insert(name)),
                None => {
                    let keys = BTreeSet::from([name]);
                    classes.push((held, Subject { kind, keys, one_row: false }));
                }
            }
            united.columns.push(leaf);
        }
        for (at, branch) in branches.iter().enumerate() {
            let is_kept = |class: usize| classes.iter().any(|(held, _)| held.get(at) == Some(&class));
            if !(0..branch.subjects.len()).all(is_kept) {
                return Err(Breach::Subjects);
            }
        }
        united.subjects = classes.into_iter().map(|(_, subject)| subject).collect();
        Ok(united)
    }
}

/// Open data or released values of which a number or an order chooses rows.
fn cut(mut relation: Relation) -> Relation {
    relation.read.is_cut = true;
    relation
}

/// The parts of a condition that all hold for each row that it lets pass: that they are true may be written out.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    let parts = split_conjunction_owned(condition).into_iter().flat_map(|part| match part {
        Expr::IsTrue(inner) => conjuncts(*inner),
        other => vec![other],
    });
    parts.collect()
}
