//! The guard: SQL text and effective policy in, verdict out. It needs no data and executes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;
use datafusion_sql::planner::ParserOptions;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::Query;
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use obscura_policies::day::Day;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Review;

use crate::budget::Budget;
use crate::catalog::Catalog;
use crate::catalog::SealedSource;
use crate::constant::Constants;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::placed;
use crate::functions::Functions;
use crate::limits::STACK_BYTES;
use crate::mean::means_as_doubles;
use crate::normalise::normalise;
use crate::normalise::pruned;
use crate::order::ordered;
use crate::plan::Admitted;
use crate::plan::Cost;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::planning::planning_finding;
use crate::pricing::priced;
use crate::recheck::terms::Terms;
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
use crate::zones::ZonePass;

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
    ///
    /// A review reads no rows, so that its length tells of none; it would else hold up the reviews of others
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    #[must_use]
    pub fn until(self, is_over: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Guard { is_over: IsOver(is_over), ..self }
    }

    /// Reviews one query. A function of text and policy alone: it reads no data and keeps nothing.
    ///
    /// A verdict that depended on rows would be an answer that no control has passed
    /// (`sandbox/docs/disclosure-model.md`, sections 2 and 7).
    #[must_use]
    pub fn review(&self, sql: &str) -> Verdict {
        match stacker::grow(STACK_BYTES, || Statement::parse(sql)) {
            Ok(statement) => self.judge(&statement),
            Err(finding) => self.unreadable(finding),
        }
    }

    /// Reviews a query that was parsed before, on a stack of its own.
    ///
    /// Hostile text nests as deep as its limits admit; on the caller's stack it could end the process and all of its jobs
    /// (`sandbox/docs/disclosure-model.md`, section 7).
    #[must_use]
    pub fn judge(&self, statement: &Statement) -> Verdict {
        stacker::grow(STACK_BYTES, || self.judge_on_this_stack(statement))
    }

    /// The verdict on a text that is no query.
    #[must_use]
    pub fn unreadable(&self, finding: Finding) -> Verdict {
        let decision = Decision::Refused { findings: vec![finding], rewrites: Vec::new() };
        Verdict { decision, explain: false, policy: self.policy.sources.clone() }
    }

    /// Admits a query, or refuses it with all findings and with rewrites that the same guard admits.
    ///
    /// Reviews of rewrites spend the same budget as the query: otherwise each refusal would cost many reviews
    /// (`sandbox/docs/disclosure-model.md`, section 3).
    fn judge_on_this_stack(&self, statement: &Statement) -> Verdict {
        let policy = self.policy.sources.clone();
        let explain = statement.explain;
        let budget = Budget::new(self.is_over.0);
        let decision = match self.admit(&statement.text, &statement.query, &budget) {
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

    /// Takes a query through all steps; the first step that refuses ends it.
    ///
    /// Sizes are bounded before normalisation, whose cost grows with the plan, and after it: a CTE that is used twice at
    /// every level doubles the plan. Wrong forms are looked for before subqueries become joins, where they can no longer
    /// be seen. The zones judge the very plan that is cut into stages, so that what runs is what was judged
    /// (`sandbox/docs/disclosure-model.md`, section 3).
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
        let mut zones = ZonePass::new(self.policy, constants, sql, budget);
        let post = zones.root(&plan).map_err(|refused| placed(sql, refused))?;
        runnable(sql, &post).map_err(|finding| placed(sql, finding.into()))?;
        let mut stages = std::mem::take(&mut zones.stages);
        let charges = priced(&mut stages).map_err(|finding| placed(sql, finding.into()))?;
        let rows = RowFacts::of(
            self.policy,
            stages.iter().map(Stage::released_rows),
            std::mem::take(&mut zones.many_to_many),
        );
        let reduced = |plan| rows.reduced(plan).map_err(|finding| placed(sql, finding.into()));
        for stage in &mut stages {
            stage.plan = reduced(pruned(stage.plan.clone())?)?;
        }
        let post = means_as_doubles(total(reduced(pruned(ordered(post)?)?)?, !stages.is_empty())?, &stages)?;
        let scans = scans(stages.iter().map(|stage| &stage.plan).chain([&post]));
        let treatments = treatments(&post, &stages, zones.top_coded);
        let cost = cost(&stages);
        let review = review(self.policy, &stages);
        let terms = Terms::of(self.policy, scans.keys(), self.today);
        let admitted = Arc::new(Admitted { stages: stages.clone(), post: post.clone(), terms });
        Ok(GuardedPlan { asked, stages, post, scans, treatments, cost, review, rows, charges, admitted })
    }

    /// Plans a query against the datasets, columns and functions of one job.
    ///
    /// A name beyond the grant is not in the catalogue, so that a hidden dataset and one that does not exist fail alike
    /// (`sandbox/docs/disclosure-model.md`, section 3).
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

/// The people who look at the result, the strictest of every dataset that the question names, of the floor of its membership,
/// and of every stage.
///
/// Datasets count even where the plan reads nothing of them: a table that is optimised away must not take its reviewers
/// along (`sandbox/docs/disclosure-model.md`, section 5.10).
fn review(policy: &EffectivePolicy, stages: &[Stage]) -> Review {
    let datasets = policy.datasets.values().flat_map(|dataset| {
        let floor = policy.floors.get(&dataset.membership).map(|floor| floor.controls.review);
        [Some(dataset.controls.review), floor]
    });
    let stages = stages.iter().map(|stage| stage.controls.review);
    datasets.flatten().chain(stages).max().unwrap_or_default()
}

/// The cost class, from the shape of the stages alone.
///
/// The end of a job is told on a step that depends on this class; a class that read rows would tell of them
/// (`sandbox/docs/disclosure-model.md`, section 7).
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

/// The columns of each dataset that the plans read.
///
/// A job gets the keys of these columns and of no others, so that a plan that read more could not open them
/// (`sandbox/docs/disclosure-model.md`, section 2).
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
mod pages;
#[cfg(test)]
pub(crate) mod tests;
