//! The guard: SQL text and effective policy in, verdict out. It needs no data and executes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;
use datafusion_common::DataFusionError;
use datafusion_common::SchemaError;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::Analyzer;
use datafusion_optimizer::Optimizer;
use datafusion_optimizer::OptimizerContext;
use datafusion_optimizer::OptimizerRule;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_sql::planner::ParserOptions;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use obscura_policies::day::Day;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;

use crate::budget::Budget;
use crate::catalog::Catalog;
use crate::catalog::SealedSource;
use crate::constant::Constants;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::SqlSpan;
use crate::finding::find_word;
use crate::finding::placed;
use crate::functions::Functions;
use crate::label::Labeller;
use crate::label::keyless;
use crate::mean::means_as_doubles;
use crate::nulls::joined_where_both_are_missing;
use crate::order::ordered;
use crate::plan::Cost;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::rewrite;
use crate::rows::RowFacts;
use crate::runnable::runnable;
use crate::size::within_limits;
use crate::standard::as_the_standard_says;
use crate::statement::Statement;
use crate::total::total;
use crate::treatment::treatments;
use crate::verdict::Decision;
use crate::verdict::Verdict;

/// Stack for one review: hostile text nests as deep as the limits of `statement` let it, in any build profile.
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Reviews queries of one job: one purpose, one grant per dataset, one instant.
#[derive(Debug)]
pub struct Guard<'a> {
    policy: &'a EffectivePolicy,
    now: DateTime<Utc>,
    today: Day,
    functions: Functions,
    is_over: IsOver<'a>,
}

/// Says whether a review has lasted too long; the guard itself reads no clock.
#[derive(Clone, Copy)]
struct IsOver<'a>(&'a (dyn Fn() -> bool + Sync));

impl std::fmt::Debug for IsOver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IsOver")
    }
}

impl<'a> Guard<'a> {
    /// Makes a guard for one job, as of one instant; `today` is the job's day in the configured time zone.
    #[must_use]
    pub fn new(policy: &'a EffectivePolicy, now: DateTime<Utc>, today: Day) -> Self {
        Guard { policy, now, today, functions: Functions::allowed(), is_over: IsOver(&|| false) }
    }

    /// Lets the caller end a review that lasts too long: it is asked now and then, and the question is then refused
    /// `query-too-large`.
    #[must_use]
    pub fn until(self, is_over: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Guard { is_over: IsOver(is_over), ..self }
    }

    /// Reviews one query. A function of text and policy alone: it reads no data and keeps nothing.
    #[must_use]
    pub fn review(&self, sql: &str) -> Verdict {
        stacker::grow(STACK_BYTES, || self.review_on_this_stack(sql))
    }

    fn review_on_this_stack(&self, sql: &str) -> Verdict {
        let policy = self.policy.sources.clone();
        let statement = match Statement::parse(sql) {
            Ok(statement) => statement,
            Err(finding) => {
                return Verdict {
                    decision: Decision::Refused { findings: vec![finding], rewrites: Vec::new() },
                    explain: false,
                    policy,
                };
            }
        };
        let explain = statement.explain;
        let budget = Budget::new(self.is_over.0);
        let decision = match self.admit(sql, &statement.query, &budget) {
            Ok(plan) => Decision::Admitted(Box::new(plan)),
            Err(refused) => {
                let findings = refused.into_findings();
                let rewrites = rewrite::suggest(&statement.query, &findings, |sql, query| {
                    self.admit(sql, query, &budget).map(drop)
                });
                Decision::Refused { findings, rewrites }
            }
        };
        Verdict { decision, explain, policy }
    }

    fn admit(&self, sql: &str, query: &Query, budget: &Budget<'_>) -> Result<GuardedPlan, Refused> {
        let constants = Constants::at(self.now, self.today);
        let plan = self.plan(sql, query)?;
        // Before normalisation, whose cost grows with the plan: a CTE used twice at every level doubles it.
        within_limits(sql, &plan)?;
        as_the_standard_says(&plan).map_err(|finding| placed(sql, finding.into()))?;
        let asked = plan.clone();
        let plan = normalise(plan, constants, self.now)
            .map_err(|error| planning_finding(sql, &error, &Catalog::new(self.policy, &self.functions)))?;
        within_limits(sql, &plan)?;
        let mut labeller = Labeller::new(self.policy, constants, sql, budget);
        let post = labeller.root(&plan).map_err(|refused| placed(sql, refused))?;
        runnable(sql, &post).map_err(|finding| placed(sql, finding.into()))?;
        let mut stages = std::mem::take(&mut labeller.stages);
        let rows = RowFacts::of(self.policy, &stages, std::mem::take(&mut labeller.many_to_many));
        let reduced = |plan| rows.reduced(plan).map_err(|finding| placed(sql, finding.into()));
        for stage in &mut stages {
            stage.plan = reduced(pruned(stage.plan.clone())?)?;
        }
        let post = means_as_doubles(total(reduced(pruned(ordered(post)?)?)?, !stages.is_empty())?, &stages)?;
        let scans = scans(stages.iter().map(|stage| &stage.plan).chain([&post]));
        let treatments = treatments(&post, &stages, labeller.top_coded);
        let cost = cost(&stages);
        Ok(GuardedPlan { asked, stages, post, scans, treatments, cost, rows })
    }

    fn plan(&self, sql: &str, query: &Query) -> Result<LogicalPlan, Refused> {
        let catalog = Catalog::new(self.policy, &self.functions);
        let options = ParserOptions {
            collect_spans: true,
            map_string_types_to_utf8view: false,
            ..ParserOptions::default()
        };
        SqlToRel::new_with_options(&catalog, options)
            .sql_statement_to_plan(SqlStatement::Query(Box::new(query.clone())))
            .map_err(|error| planning_finding(sql, &error, &catalog).into())
    }
}

/// Says why planning failed in the guard's own words: engine texts list columns and quote cells.
fn planning_finding(sql: &str, error: &DataFusionError, catalog: &Catalog<'_>) -> Finding {
    let missing = catalog.missing();
    if let Some(dataset) = missing.dataset {
        let span = find_word(sql, dataset.rsplit('.').next().unwrap_or(&dataset));
        return Finding::new(Code::DatasetNotFound).at(span).with("dataset", dataset);
    }
    if let Some(column) = missing_column(error) {
        return Finding::new(Code::ColumnNotInScope).at(find_word(sql, &column)).with("column", column);
    }
    if let Some(function) = missing.function {
        return Finding::new(Code::FunctionNotAllowed)
            .at(find_word(sql, &function))
            .with("function", function);
    }
    // The engine has no kinds for the commonest mistakes; its text is read and never shown.
    let finding = Finding::new(Code::QueryNotUnderstood).at(diagnosed_place(sql, error));
    if let Some(column) = ambiguous_column(error) {
        return finding.at(find_word(sql, &column)).with("column", column).help(
            "several tables have a column of this name: put the table's name before it",
            "多个表都有该名称的字段：请在字段前加上表名",
        );
    }
    let text = error.to_string();
    if let Some(function) = catalog.function_in(&text).filter(|_| text.contains("argument")) {
        return finding.at(find_word(sql, &function)).with("function", function).help(
            "the function takes other arguments: mind their number, and cast them to its types",
            "该函数的参数不符：请检查参数个数，并将参数转换为所需类型",
        );
    }
    if text.contains("unique expression names") {
        return finding.help(
            "two output columns are the same: give one of them another name with AS",
            "有两个输出字段相同：请用 AS 为其中一个另取名称",
        );
    }
    if text.contains("in GROUP BY or an aggregate") {
        return finding.help(
            "every column of SELECT, HAVING and ORDER BY stands in GROUP BY or inside an aggregate",
            "SELECT、HAVING 与 ORDER BY 中的每个字段须出现在 GROUP BY 中，或位于聚合函数之内",
        );
    }
    finding
}

/// The first thing that `look` finds in an error or in what it wraps, from the outside in.
fn find_in<T>(error: &DataFusionError, look: &dyn Fn(&DataFusionError) -> Option<T>) -> Option<T> {
    look(error).or_else(|| match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => find_in(inner, look),
        DataFusionError::Collection(errors) => errors.iter().find_map(|error| find_in(error, look)),
        _ => None,
    })
}

/// Where the engine says that planning failed.
fn diagnosed_place(sql: &str, error: &DataFusionError) -> Option<SqlSpan> {
    find_in(error, &|error| match error {
        DataFusionError::Diagnostic(diagnostic, _) => {
            diagnostic.span.and_then(|span| SqlSpan::locate(sql, span))
        }
        _ => None,
    })
}

fn ambiguous_column(error: &DataFusionError) -> Option<String> {
    find_in(error, &|error| match schema_error(error)? {
        SchemaError::AmbiguousReference { field } => Some(field.name.clone()),
        _ => None,
    })
}

fn missing_column(error: &DataFusionError) -> Option<String> {
    find_in(error, &|error| match schema_error(error)? {
        SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
        _ => None,
    })
}

fn schema_error(error: &DataFusionError) -> Option<&SchemaError> {
    match error {
        DataFusionError::SchemaError(schema, _) => Some(schema.as_ref()),
        _ => None,
    }
}

/// Type coercion and decorrelation, then the clock is frozen.
fn normalise(
    plan: LogicalPlan,
    constants: Constants,
    now: DateTime<Utc>,
) -> datafusion_common::Result<LogicalPlan> {
    let options = Arc::new(ConfigOptions::default());
    let plan = constants.settle(plan)?;
    let plan = Analyzer::new().execute_and_check(plan, &options, |_, _| {})?;
    let plan = joined_where_both_are_missing(plan)?;
    let decorrelate: Rules = vec![
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
    ];
    let context = OptimizerContext::new().with_query_execution_start_time(now).with_skip_failing_rules(false);
    let plan = Optimizer::with_rules(decorrelate).optimize(plan, &context, |_, _| {})?;
    let mut some_keyless = false;
    plan.apply_with_subqueries(|node| {
        some_keyless |= keyless(node).is_some();
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !some_keyless {
        return Ok(plan);
    }
    // `FROM a, b WHERE a.x = b.x` is a join by key as well.
    let joins: Rules = vec![Arc::new(EliminateCrossJoin::new()), Arc::new(ExtractEquijoinPredicate::new())];
    Optimizer::with_rules(joins).optimize(plan, &context, |_, _| {})
}

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// Leaves only the columns that are read: the keys a job gets are those of these columns.
fn pruned(plan: LogicalPlan) -> Result<LogicalPlan, Refused> {
    let rules: Rules = vec![Arc::new(OptimizeProjections::new())];
    // One pass reaches every scan; further ones would only find that nothing is left to do.
    let context = OptimizerContext::new().with_skip_failing_rules(false).with_max_passes(1);
    Optimizer::with_rules(rules)
        .optimize(plan, &context, |_, _| {})
        .map_err(|_| Finding::new(Code::QueryNotUnderstood).into())
}

/// The cost class, from the shape of the stages alone.
fn cost(stages: &[Stage]) -> Cost {
    let mut scans = 0_usize;
    for stage in stages {
        let walked = stage.plan.apply_with_subqueries(|node| {
            scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
    }
    match (stages.len(), scans) {
        (0 | 1, 0 | 1) => Cost::S,
        (0..=2, 0..=3) => Cost::M,
        _ => Cost::L,
    }
}

/// The sealed columns that plans read, by dataset.
fn scans<'p>(plans: impl Iterator<Item = &'p LogicalPlan>) -> BTreeMap<DatasetId, BTreeSet<String>> {
    let mut scans: BTreeMap<DatasetId, BTreeSet<String>> = BTreeMap::new();
    for plan in plans {
        let walked = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(source) = scan.source.downcast_ref::<SealedSource>()
            {
                let columns = scan.projected_schema.fields().iter().map(|field| field.name().clone());
                scans.entry(source.dataset().clone()).or_default().extend(columns);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the closure never fails");
    }
    scans
}

#[cfg(test)]
mod between;
#[cfg(test)]
mod counted;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod masked;
#[cfg(test)]
mod monotone;
#[cfg(test)]
mod tests;
