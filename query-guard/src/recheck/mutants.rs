//! Mutants of guarded plans: each control of each plan of the corpus, taken out or weakened by itself, as a bug of the guard or of
//! the engine would do it. The second look refuses every one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion_common::DFSchemaRef;
use datafusion_common::JoinType;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::Aggregate;
use datafusion_expr::AggregateUDF;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Extension;
use datafusion_expr::LogicalPlan;
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::Operator;
use datafusion_expr::Projection;
use datafusion_expr::TableScan;
use datafusion_expr::Union;
use datafusion_expr::UserDefinedLogicalNodeCore;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::expr::ScalarFunction;
use datafusion_functions_aggregate::expr_fn;
use datafusion_functions_window::expr_fn::row_number;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::Release;

mod controls;
mod expression;
mod kind;
mod privacy;

use controls::of_controls;
use expression::of_expression;
use kind::Kind;
use kind::OF_MEANING;
use privacy::of_privacy;
use privacy::of_question;

use super::Breach;
use super::as_admitted;
use super::expression::written_out;
use super::terms::Terms;
use super::tests::POLICIES;
use super::tests::plans;
use super::tests::policy;
use super::tests::scanned;
use super::tests::session;
use super::walk::Walk;
use super::within_terms;
use crate::at_least::at_least_subjects;
use crate::catalog::SealedSource;
use crate::cell::AtomSpec;
use crate::cell::CellFold;
use crate::cell::Subjects;
use crate::cell::fold_of;
use crate::execution::PlanToRun;
use crate::plan::GuardedPlan;
use crate::plan::Stage;

/// A query with one plan changed, or the controls of one stage.
struct Mutant {
    kind: Kind,
    plan: GuardedPlan,
    /// The stage that was changed; nothing for the last plan.
    stage: Option<usize>,
}

/// The verdicts on a mutant, by the policy alone and whole.
struct Looked {
    by_policy: Result<(), Breach>,
    whole: Result<(), Breach>,
}

impl Mutant {
    /// Looks again at the plan that was changed, as the engine optimises it; nothing where the engine fails to, or finds that no row meets its
    /// conditions and reads no table, so that nothing leaves.
    fn looked(&self, session: &SessionState) -> Option<Looked> {
        let due = PlanToRun::of(&Arc::new(self.plan.clone()), self.stage)?;
        let optimised = session.optimize(due.plan()).ok().filter(|plan| !reads_nothing(plan))?;
        let by_policy = within_terms(&due, &optimised, &scanned);
        Some(Looked { by_policy, whole: as_admitted(&due).and(by_policy) })
    }
}

fn reads_nothing(plan: &LogicalPlan) -> bool {
    !plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(_)))).unwrap()
}

/// A change of one node; nothing where it does not apply.
type Change<'c> = &'c dyn Fn(&LogicalPlan) -> Vec<(Kind, LogicalPlan)>;

/// The plans with one node changed, one after the other.
fn changed(plan: &LogicalPlan, change: Change<'_>) -> Vec<(Kind, LogicalPlan)> {
    let mut found = Vec::new();
    let mut count = 0;
    plan.apply(|_| {
        count += 1;
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    for at in 0..count {
        let mut seen = 0;
        let mut node = None;
        plan.apply(|inner| {
            if seen == at {
                node = Some(inner.clone());
            }
            seen += 1;
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        for (kind, new) in change(&node.unwrap()) {
            let mut seen = 0;
            let mut put = Some(new);
            let whole = plan.clone().transform_down(|inner| {
                let is_here = seen == at;
                seen += 1;
                match put.take_if(|_| is_here) {
                    Some(new) => Ok(Transformed::new(new, true, TreeNodeRecursion::Stop)),
                    None => Ok(Transformed::no(inner)),
                }
            });
            let whole = whole.and_then(|whole| {
                whole.data.transform_up(|inner| inner.recompute_schema().map(Transformed::yes))
            });
            if let Ok(whole) = whole {
                found.push((kind, whole.data));
            }
        }
    }
    found
}

/// The node with one of its expressions changed, for each place where the change applies.
fn with_expressions(
    node: &LogicalPlan,
    change: &dyn Fn(&Expr) -> Vec<(Kind, Expr)>,
) -> Vec<(Kind, LogicalPlan)> {
    let mut places = 0;
    node.apply_expressions(|expr| {
        expr.apply(|_| {
            places += 1;
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .unwrap();
    let mut found = Vec::new();
    for at in 0..places {
        let mut seen = 0;
        let mut new = Vec::new();
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                if seen == at {
                    new = change(inner);
                }
                seen += 1;
                Ok(TreeNodeRecursion::Continue)
            })
        })
        .unwrap();
        for (kind, new) in new {
            let mut seen = 0;
            let mut put = Some(new);
            let changed = node.clone().map_expressions(|expr| {
                let name = expr.schema_name().to_string();
                let is_named = matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
                let done = expr.transform_down(|inner| {
                    let is_here = seen == at;
                    seen += 1;
                    match put.take_if(|_| is_here) {
                        Some(new) => Ok(Transformed::new(new, true, TreeNodeRecursion::Jump)),
                        None => Ok(Transformed::no(inner)),
                    }
                })?;
                // An output keeps its name, so that the nodes above still find it.
                let renamed = is_named && done.transformed && done.data.schema_name().to_string() != name;
                Ok(if renamed { done.update_data(|expr| expr.alias(name)) } else { done })
            });
            if let Ok(changed) = changed {
                found.push((kind, changed.data));
            }
        }
    }
    found
}

fn int(value: i64) -> Expr {
    Expr::Literal(ScalarValue::Int64(Some(value)), None)
}

fn is_over_scan(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<SealedSource>().is_some(),
        LogicalPlan::Filter(filter) => is_over_scan(&filter.input),
        _ => false,
    }
}

fn is_key_test(expr: &Expr) -> bool {
    match expr {
        Expr::IsTrue(inner) => is_key_test(inner),
        Expr::IsNotNull(inner) => matches!(inner.as_ref(), Expr::Column(_)),
        _ => false,
    }
}

/// Changes of one node of a stage.
fn of_node(node: &LogicalPlan, policy: &EffectivePolicy, terms: &Terms) -> Vec<(Kind, LogicalPlan)> {
    let mut all = Vec::new();
    match node {
        LogicalPlan::Filter(filter) => {
            let is_own = is_over_scan(node) && !is_key_test(&filter.predicate);
            let dropped = match (is_over_scan(node), is_own) {
                (true, true) => Kind::RowFilterDropped,
                (true, false) => Kind::RowsWithoutSubject,
                (false, _) => Kind::FilterDropped,
            };
            all.push((dropped, filter.input.as_ref().clone()));
            let mut negated = filter.clone();
            negated.predicate = Expr::Not(Box::new(filter.predicate.clone()));
            let kind = if is_over_scan(node) { Kind::RowFilterNegated } else { Kind::FilterNegated };
            all.push((kind, LogicalPlan::Filter(negated)));
        }
        LogicalPlan::TableScan(scan) if scan.source.downcast_ref::<SealedSource>().is_some() => {
            all.push((
                Kind::ScanLimited,
                LogicalPlan::TableScan(TableScan { fetch: Some(5), ..scan.clone() }),
            ));
            let builder = || LogicalPlanBuilder::from(node.clone());
            all.push((Kind::LimitInserted, builder().limit(0, Some(1)).unwrap().build().unwrap()));
            let by = Expr::Column(node.schema().columns().remove(0)).sort(true, false);
            let source = scan.source.downcast_ref::<SealedSource>().unwrap();
            let is_open = policy.datasets[source.dataset()].release == Release::RowsOpen;
            let sorted = if is_open { Kind::OpenSortInserted } else { Kind::SortInserted };
            all.push((sorted, builder().sort(vec![by]).unwrap().build().unwrap()));
            // A number that nothing read would be taken out again.
            let numbered = builder().window(vec![row_number()]).unwrap();
            let number = Expr::Column(numbered.schema().columns().pop().unwrap());
            let few =
                numbered.filter(number.lt_eq(Expr::Literal(ScalarValue::UInt64(Some(5)), None))).unwrap();
            let columns: Vec<Expr> = node.schema().columns().into_iter().map(Expr::Column).collect();
            all.push((Kind::WindowInserted, few.project(columns).unwrap().build().unwrap()));
            let passed = Passed { input: node.clone() };
            all.push((Kind::ExtensionInserted, LogicalPlan::Extension(Extension { node: Arc::new(passed) })));
            let random = Expr::ScalarFunction(ScalarFunction {
                func: datafusion_functions::math::random(),
                args: Vec::new(),
            });
            let half = Expr::Literal(ScalarValue::Float64(Some(0.5)), None);
            all.push((Kind::SampleInserted, builder().filter(random.lt(half)).unwrap().build().unwrap()));
        }
        LogicalPlan::Join(join) => {
            let others: &[JoinType] = match join.join_type {
                JoinType::Inner => &[JoinType::Left, JoinType::Full],
                JoinType::Left => &[JoinType::Inner, JoinType::Right],
                JoinType::LeftSemi => &[JoinType::LeftAnti],
                JoinType::LeftAnti => &[JoinType::LeftSemi],
                _ => &[],
            };
            for kind in others {
                let swapped = datafusion_expr::Join { join_type: *kind, ..join.clone() };
                all.push((Kind::JoinTypeSwapped, LogicalPlan::Join(swapped)));
            }
            for at in 0..join.on.len() {
                let mut dropped = join.clone();
                dropped.on.remove(at);
                all.push((Kind::JoinKeyDropped, LogicalPlan::Join(dropped)));
            }
            for at in 0..join.on.len() {
                let mut other = join.clone();
                let (left, right) = (join.left.schema().columns(), join.right.schema().columns());
                let is_key = |column: &datafusion_common::Column| {
                    column.name.contains("person_id")
                        || column.name.contains("firm_id")
                        || column.name.contains("unit")
                };
                let pick =
                    |columns: Vec<datafusion_common::Column>| columns.into_iter().find(|it| !is_key(it));
                let was_key = matches!(&join.on[at].0, Expr::Column(column) if is_key(column));
                if let (Some(left), Some(right), true) = (pick(left), pick(right), was_key) {
                    other.on[at] = (Expr::Column(left), Expr::Column(right));
                    all.push((Kind::JoinNotOnUnit, LogicalPlan::Join(other)));
                }
            }
        }
        LogicalPlan::Union(union) if union.inputs.len() > 1 => {
            for at in 0..union.inputs.len() {
                let mut inputs = union.inputs.clone();
                inputs.remove(at);
                let fewer = if inputs.len() == 1 {
                    inputs[0].as_ref().clone()
                } else {
                    LogicalPlan::Union(Union { inputs, schema: Arc::clone(&union.schema) })
                };
                all.push((Kind::UnionBranchDropped, fewer));
            }
        }
        LogicalPlan::Aggregate(aggregate) => all.extend(of_aggregate(aggregate, terms)),
        LogicalPlan::Projection(projection) => all.extend(of_projection(projection, policy)),
        LogicalPlan::Window(window) => {
            for at in 0..window.window_expr.len() {
                let mut other = window.clone();
                let loosened = other.window_expr[at].clone().transform_up(|inner| match inner {
                    Expr::WindowFunction(mut call) => {
                        call.params.partition_by.clear();
                        Ok(Transformed::yes(Expr::WindowFunction(call)))
                    }
                    other => Ok(Transformed::no(other)),
                });
                let name = window.window_expr[at].schema_name().to_string();
                other.window_expr[at] = loosened.unwrap().data.unalias().alias(name);
                all.push((Kind::WindowNotByUnit, LogicalPlan::Window(other)));
            }
        }
        _ => {}
    }
    all.extend(with_expressions(node, &|expr| of_expression(expr, policy)));
    all
}

fn aggregate(input: &Arc<LogicalPlan>, keys: Vec<Expr>, calls: Vec<Expr>) -> Option<LogicalPlan> {
    Aggregate::try_new(Arc::clone(input), keys, calls).ok().map(LogicalPlan::Aggregate)
}

fn fold_in(expr: &Expr) -> Option<(AggregateFunction, CellFold, String)> {
    let Expr::AggregateFunction(call) = expr.clone().unalias() else { return None };
    let fold = fold_of(&call.func)?.clone();
    Some((call, fold, expr.schema_name().to_string()))
}

fn of_aggregate(node: &Aggregate, terms: &Terms) -> Vec<(Kind, LogicalPlan)> {
    let mut all = Vec::new();
    let input = &node.input;
    let is_fold = |expr: &Expr| match expr.clone().unalias() {
        Expr::AggregateFunction(call) => call.func.name().starts_with("obscura_"),
        _ => false,
    };
    let folds = node.aggr_expr.iter().any(is_fold);
    let mut put = |kind: Kind, keys: Vec<Expr>, calls: Vec<Expr>| {
        all.extend(aggregate(input, keys, calls).map(|plan| (kind, plan)));
    };
    let ints =
        input.schema().iter().filter(|(_, field)| field.data_type() == &arrow::datatypes::DataType::Int64);
    let ints: Vec<Expr> = ints.map(|pair| Expr::Column(pair.into())).collect();
    let is_unit = |expr: &Expr| {
        let name = expr.to_string();
        name.contains("unit") || name.contains("person_id") || name.contains("firm_id")
    };
    if !folds {
        // One class of subjects at a time is taken out of the keys, under all of its names.
        let rows = Walk::new(terms, &scanned).settled(input).unwrap();
        for class in 0..rows.subjects.len() {
            let is_of_class = |key: &Expr| {
                let written = written_out(key, &[(input.as_ref(), &rows)]).unwrap();
                rows.class_of(&written) == Some(class)
            };
            let stand_in = |key: &Expr| match is_of_class(key) {
                true => int(1).alias(key.schema_name().to_string()),
                false => key.clone(),
            };
            if node.group_expr.iter().any(is_of_class) {
                let keys = node.group_expr.iter().map(stand_in).collect();
                put(Kind::OwnRowsNotByUnit, keys, node.aggr_expr.clone());
            }
        }
        for (at, call) in node.aggr_expr.iter().enumerate() {
            let Expr::AggregateFunction(inner) = call.clone().unalias() else { continue };
            let (name, output) = (inner.func.name().to_owned(), call.schema_name().to_string());
            let argument = inner.params.args.first().cloned();
            let replaced = |with: fn(Expr) -> Expr| {
                let mut calls = node.aggr_expr.clone();
                calls[at] = with(argument.clone().unwrap()).alias(&output);
                calls
            };
            match name.as_str() {
                "min" => put(Kind::AggregateReplaced, node.group_expr.clone(), replaced(expr_fn::max)),
                "max" => put(Kind::AggregateReplaced, node.group_expr.clone(), replaced(expr_fn::min)),
                _ => {}
            }
            if matches!(name.as_str(), "min" | "max" | "sum") {
                put(Kind::AggregateOffList, node.group_expr.clone(), replaced(expr_fn::median));
            }
        }
        return all;
    }
    for (at, call) in node.aggr_expr.iter().enumerate() {
        let mut replaced = |kind: Kind, expr: Expr| {
            let mut calls = node.aggr_expr.clone();
            let name = call.schema_name().to_string();
            calls[at] = expr.alias(name);
            put(kind, node.group_expr.clone(), calls);
        };
        let Expr::AggregateFunction(inner) = call.clone().unalias() else { continue };
        replaced(Kind::FoldReplaced, expr_fn::count(inner.params.args[0].clone()));
        if let Some(key) = ints.first() {
            replaced(Kind::FoldReplaced, expr_fn::max(key.clone()));
        }
        let Some((inner, fold, _)) = fold_in(call) else {
            let lower = Arc::new(at_least_subjects(1));
            replaced(
                Kind::StatisticsCutOff,
                Expr::AggregateFunction(AggregateFunction { func: lower, ..inner }),
            );
            continue;
        };
        let is_by_subject = fold.is_by_subject();
        let with = |fold: CellFold, args: Vec<Expr>| {
            // Each mutant lacks one thing.
            let fold = match is_by_subject && fold.subjects() == Subjects::Mapped && fold.enough().is_none() {
                true => CellFold::by_subject(fold.atoms().to_vec()),
                false => fold,
            };
            let func = Arc::new(AggregateUDF::new_from_impl(fold));
            Expr::AggregateFunction(AggregateFunction::new_udf(func, args, false, None, Vec::new(), None))
        };
        let args = inner.params.args.clone();
        let others = |first: Expr| [vec![first], args[1..].to_vec()].concat();
        let (atoms, enough) = (fold.atoms().to_vec(), fold.enough());
        if fold.subjects() != Subjects::EachRow {
            let each = CellFold::new(Subjects::EachRow, atoms.clone(), enough);
            replaced(Kind::RowsForSubjects, with(each, others(int(0))));
            let each = CellFold::new(Subjects::EachRow, atoms.clone(), enough);
            replaced(Kind::RowsForSubjects, with(each, args.clone()));
            replaced(Kind::SubjectDropped, with(fold.clone(), others(int(0))));
            let null = Expr::Literal(ScalarValue::Int64(None), None);
            replaced(Kind::SubjectDropped, with(fold.clone(), others(null)));
            if let Some(other) = ints.iter().find(|column| !is_unit(column)) {
                replaced(Kind::SubjectReplaced, with(fold.clone(), others(other.clone())));
            }
            let odd = Expr::BinaryExpr(BinaryExpr::new(
                Box::new(args[0].clone()),
                Operator::Modulo,
                Box::new(int(2)),
            ));
            replaced(Kind::SubjectReplaced, with(fold.clone(), others(odd)));
        }
        if fold.subjects() == Subjects::Mapped {
            let runs = CellFold::new(Subjects::Clustered, atoms.clone(), enough);
            replaced(Kind::ClusteringClaimed, with(runs, args.clone()));
        }
        for at in 0..atoms.len() {
            let mut wider = atoms.clone();
            match &mut wider[at] {
                AtomSpec::Rows { .. } => continue,
                AtomSpec::Measure(spec) | AtomSpec::Product(spec, _) => {
                    spec.high = spec.high * 2 + 1;
                }
            }
            let wide = CellFold::new(fold.subjects(), wider.clone(), enough);
            replaced(Kind::ClampDropped, with(wide, args.clone()));
            let mut lower = atoms.clone();
            if let AtomSpec::Measure(spec) | AtomSpec::Product(spec, _) = &mut lower[at] {
                spec.low -= 1;
            }
            let wide = CellFold::new(fold.subjects(), lower, enough);
            replaced(Kind::ClampDropped, with(wide, args.clone()));
        }
        let cut = CellFold::new(fold.subjects(), atoms.clone(), Some(1));
        if cut.enough() != enough {
            replaced(Kind::StatisticsCutOff, with(cut, args.clone()));
        }
        if atoms.len() > 1 {
            let fewer = CellFold::new(fold.subjects(), atoms[..atoms.len() - 1].to_vec(), enough);
            let last = usize::from(!matches!(atoms.last(), Some(AtomSpec::Rows { conditional: false })));
            replaced(Kind::AtomDropped, with(fewer, args[..args.len() - last].to_vec()));
        }
        for (at, argument) in args.iter().enumerate().skip(1) {
            let mut loosened = args.clone();
            loosened[at] = match argument {
                Expr::Case(case) if case.else_expr.is_none() && case.when_then_expr.len() == 1 => {
                    case.when_then_expr[0].1.as_ref().clone()
                }
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, .. }) => left.as_ref().clone(),
                Expr::IsNotNull(_) | Expr::BinaryExpr(_) => {
                    Expr::Literal(ScalarValue::Boolean(Some(true)), None)
                }
                _ => continue,
            };
            replaced(Kind::ConditionDropped, with(fold.clone(), loosened));
        }
        let filter = Some(Box::new(Expr::Literal(ScalarValue::Boolean(Some(false)), None)));
        let mut filtered = inner.clone();
        filtered.params.filter = filter;
        replaced(Kind::FoldFiltered, Expr::AggregateFunction(filtered));
    }
    if let Some(unit) = ints.iter().find(|column| is_unit(column)) {
        for at in 0..node.group_expr.len() {
            let mut keys = node.group_expr.clone();
            keys[at] = unit.clone().alias(node.group_expr[at].schema_name().to_string());
            put(Kind::FoldGroupedByUnit, keys, node.aggr_expr.clone());
        }
        let more = [node.group_expr.clone(), vec![unit.clone()]].concat();
        put(Kind::FoldGroupedByUnit, more, node.aggr_expr.clone());
    }
    for at in 0..node.group_expr.len() {
        let mut keys = node.group_expr.clone();
        let name = keys[at].schema_name().to_string();
        keys[at] = int(1).alias(name);
        put(Kind::KeyDropped, keys, node.aggr_expr.clone());
    }
    let shown: Vec<Expr> = node.schema.columns().into_iter().map(Expr::Column).collect();
    for further in input.schema().columns().into_iter().map(Expr::Column) {
        if !is_unit(&further) && !node.group_expr.iter().any(|key| key.clone().unalias() == further) {
            let keys = [node.group_expr.clone(), vec![further.alias("further")]].concat();
            let hidden = aggregate(input, keys, node.aggr_expr.clone())
                .and_then(|plan| LogicalPlanBuilder::from(plan).project(shown.clone()).ok()?.build().ok());
            all.extend(hidden.map(|plan| (Kind::KeyHidden, plan)));
        }
    }
    all.push((Kind::FoldDropped, input.as_ref().clone()));
    all
}

/// A scan's projection with one column read from another one, which the job may not use.
fn of_projection(node: &Projection, policy: &EffectivePolicy) -> Vec<(Kind, LogicalPlan)> {
    let mut all = Vec::new();
    let LogicalPlan::TableScan(scan) = bottom(&node.input) else { return all };
    let Some(source) = scan.source.downcast_ref::<SealedSource>() else { return all };
    let dataset = &policy.datasets[source.dataset()];
    let hidden = dataset.columns.iter().filter(|column| column.uses.is_empty());
    let units = &dataset.units;
    for hidden in hidden.filter(|hidden| !units.iter().any(|unit| unit.column == hidden.name)) {
        let whole = LogicalPlanBuilder::scan(scan.table_name.clone(), Arc::clone(&scan.source), None);
        let mut builder = whole.unwrap();
        let mut filters = Vec::new();
        let mut below = node.input.as_ref();
        while let LogicalPlan::Filter(filter) = below {
            filters.push(filter.predicate.clone());
            below = &filter.input;
        }
        for filter in filters.into_iter().rev() {
            builder = builder.filter(filter).unwrap();
        }
        for at in 0..node.expr.len() {
            let mut exprs = node.expr.clone();
            let raw =
                Expr::Column(datafusion_common::Column::new(Some(scan.table_name.clone()), &hidden.name));
            let name = exprs[at].schema_name().to_string();
            exprs[at] = raw.alias(name);
            if let Ok(plan) = builder.clone().project(exprs).and_then(|builder| builder.build())
                && plan.schema().field(at).data_type() == node.schema.field(at).data_type()
            {
                all.push((Kind::ColumnOutOfScope, plan));
            }
        }
    }
    all
}

fn bottom(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Filter(filter) => bottom(&filter.input),
        other => other,
    }
}

/// Changes of what is done with released tables.
fn of_post(node: &LogicalPlan, stages: &[Stage]) -> Vec<(Kind, LogicalPlan)> {
    let mut all = Vec::new();
    match node {
        LogicalPlan::Limit(limit) => {
            let more = datafusion_expr::Limit { fetch: Some(Box::new(int(1_000))), ..limit.clone() };
            all.push((Kind::LimitRaised, LogicalPlan::Limit(more)));
            all.push((Kind::LimitDropped, limit.input.as_ref().clone()));
        }
        LogicalPlan::Filter(filter) => all.push((Kind::FilterDropped, filter.input.as_ref().clone())),
        LogicalPlan::TableScan(scan) => {
            // The rows that a stage folds, in the place of its cells.
            let name = scan.table_name.to_string();
            if let Some(stage) = stages.iter().find(|stage| stage.name == name)
                && let LogicalPlan::Aggregate(fold) = &stage.plan
                && let Some((_, column)) =
                    fold.input.schema().iter().find(|(_, field)| field.name().contains("dept"))
            {
                let column = Expr::Column(datafusion_common::Column::from_name(column.name()));
                let outputs = scan.projected_schema.iter().map(|(qualifier, field)| {
                    let cast = Expr::TryCast(datafusion_expr::TryCast::new(
                        Box::new(column.clone()),
                        field.data_type().clone(),
                    ));
                    cast.alias_qualified(qualifier.cloned(), field.name())
                });
                let rows = LogicalPlanBuilder::from(fold.input.as_ref().clone());
                if let Ok(plan) = rows.project(outputs).and_then(|builder| builder.build()) {
                    all.push((Kind::IndividualsAtTheEnd, plan));
                }
            }
            let passed = Passed { input: node.clone() };
            all.push((Kind::ExtensionInserted, LogicalPlan::Extension(Extension { node: Arc::new(passed) })));
        }
        _ => {}
    }
    all
}

/// Every mutant of a plan.
fn mutants(plan: &GuardedPlan, policy: &EffectivePolicy) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (at, stage) in plan.stages.iter().enumerate() {
        for (kind, changed) in changed(&stage.plan, &|node| of_node(node, policy, &plan.admitted.terms)) {
            let mut plan = plan.clone();
            plan.stages[at].plan = changed;
            all.push(Mutant { kind, plan, stage: Some(at) });
        }
        for (kind, changed) in of_controls(stage).into_iter().chain(of_privacy(stage)) {
            let mut plan = plan.clone();
            plan.stages[at] = changed;
            all.push(Mutant { kind, plan, stage: Some(at) });
        }
    }
    for (kind, changed) in changed(&plan.post, &|node| of_post(node, &plan.stages)) {
        let mut plan = plan.clone();
        plan.post = changed;
        all.push(Mutant { kind, plan, stage: None });
    }
    all.extend(of_question(plan));
    all
}

/// A step that the engine does not know, and that passes its rows on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
struct Passed {
    input: LogicalPlan,
}

impl UserDefinedLogicalNodeCore for Passed {
    fn name(&self) -> &str {
        "Passed"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passed")
    }

    fn with_exprs_and_inputs(
        &self,
        _exprs: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> datafusion_common::Result<Self> {
        Ok(Passed { input: inputs.remove(0) })
    }
}

/// Mutants of one kind that are looked at under one policy: as many plans are optimised for them.
const OF_A_KIND_MAX: usize = 3;

/// Kinds of which the corpora have mutants, at the least.
const KINDS_MIN: usize = 70;

/// Mutants that the policy alone does not tell, because such a plan can reveal nothing: each kind with the reason. They are not the
/// admitted plan, and are refused for that.
const EQUIVALENT: &[(Kind, &str)] = &[(
    Kind::OpenSortInserted,
    "rows of an open table meet individuals in any order, and every number that a fold makes of them is the same in any; \
     a limit or a row number beside the order is another mutant, and is refused",
)];

#[test]
fn the_second_look_refuses_every_mutant() {
    let session = session();
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut missed = Vec::new();
    for name in POLICIES {
        let policy = policy(name);
        let mut of_policy: BTreeMap<Kind, Vec<(String, Mutant)>> = BTreeMap::new();
        for (sql, plan) in plans(name) {
            for mutant in mutants(&plan, &policy) {
                of_policy.entry(mutant.kind).or_default().push((sql.clone(), mutant));
            }
        }
        for (kind, all) in of_policy {
            // Evenly over the corpus, so that every form of question is among them.
            let step = all.len().div_ceil(OF_A_KIND_MAX);
            for (sql, mutant) in all.into_iter().step_by(step) {
                let Some(looked) = mutant.looked(&session) else { continue };
                *counts.entry(kind).or_default() += 1;
                let is_equivalent = EQUIVALENT.iter().any(|(known, _why)| *known == kind);
                let is_found_by_policy = looked.by_policy.is_err() || OF_MEANING.contains(&kind);
                if looked.whole.is_ok() || !(is_found_by_policy || is_equivalent) {
                    let due = PlanToRun::of(&Arc::new(mutant.plan.clone()), mutant.stage).unwrap();
                    let plan = due.plan().display_indent();
                    missed.push(format!("{kind:?} {:?}, {name}: {sql}\n{plan}", looked.whole));
                }
            }
        }
    }
    let total: usize = counts.values().sum();
    assert!(missed.is_empty(), "{} of {total} missed: {counts:#?}\n{}", missed.len(), missed.join("\n"));
    // The suite cannot become empty: so many mutants, of so many kinds.
    assert!(total > 1_000 && counts.len() >= KINDS_MIN, "only {total} mutants: {counts:#?}");
}
