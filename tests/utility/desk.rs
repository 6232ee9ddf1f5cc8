//! The desk of one purpose: a question is reviewed, and if it is admitted it is run under the declared controls, under
//! thresholds alone and under none, and by a plain engine over the rows in clear.

use std::sync::Arc;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use chrono::DateTime;
use datafusion::catalog::MemTable;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionConfig;
use datafusion::prelude::SessionContext;
use obscura_policies::effective::EffectivePolicy;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::finding::Finding;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::noise::NoiseSource;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::plan::OutputRole;
use obscura_query_guard::stated_error::StatedError;
use obscura_query_guard::verdict::Decision;
use obscura_query_guard::verdict::Rewrite;
use obscura_sandbox::city::City;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::End;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::people::Tables;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;
use tokio::runtime::Runtime;

use crate::city::Sealed;
use crate::compare::Column;
use crate::compare::Loss;
use crate::compare::Nature;
use crate::compare::loss;
use crate::compare::near;
use crate::compare::same;
use crate::compare::within_rounding;
use crate::documents::Documents;
use crate::documents::Protection;
use crate::documents::TODAY;
use crate::documents::under;
use crate::noise::key;

/// Rows of one join before a run is given up.
const JOIN_ROWS_MAX: u64 = 50_000_000;
const CUT: Cut = Cut { partitions: 1, batch_rows: 8192 };

/// The desk.
pub(crate) struct Desk {
    policy: EffectivePolicy,
    rows: Tables,
    engine: Engine,
    plain: SessionContext,
    runtime: Runtime,
}

/// The outcome of a question.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It is refused.
    Refused(Refusal),
    /// It is answered.
    Answered(Answer),
}

/// A refusal, and what it offers.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// Codes and reasons, `code/reason`, each once.
    pub(crate) reasons: Vec<String>,
    /// Sentences that say what would be accepted.
    pub(crate) helps: Vec<String>,
    /// Statements that the guard offers instead.
    pub(crate) rewrites: Vec<Rewrite>,
    /// Faults of the offers.
    pub(crate) findings: Vec<String>,
}

/// An answer, and what of the exact one it has.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The strictest grade that was read.
    pub(crate) grade: u8,
    /// Under the declared controls.
    pub(crate) declared: Loss,
    /// Under the declared controls but for noise.
    pub(crate) without_noise: Loss,
    /// Under thresholds alone.
    pub(crate) thresholds: Loss,
    /// Differences that no declared protection but noise explains.
    pub(crate) findings: Vec<String>,
}

impl Desk {
    /// The desk of a purpose in a city.
    ///
    /// # Errors
    /// When the city's documents and rows do not fit each other.
    pub(crate) fn of(purpose: &str, city: &City) -> anyhow::Result<Self> {
        let documents = Documents::shipped()?;
        let sealed = Sealed::of(city, &documents, &documents.datasets(purpose))?;
        let policy = documents.policy(purpose, &sealed.facts)?;
        let config = SessionConfig::new().with_target_partitions(1);
        let state = SessionStateBuilder::new().with_default_features().with_config(config).build();
        let plain = SessionContext::new_with_state(state);
        register(&plain, &sealed.seen(&policy)?)?;
        Ok(Desk {
            policy,
            rows: sealed.rows,
            engine: Engine::new(JOIN_ROWS_MAX),
            plain,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
        })
    }

    /// Asks a question.
    ///
    /// # Errors
    /// When a run fails.
    pub(crate) fn ask(&self, sql: &str) -> anyhow::Result<Outcome> {
        match self.review(sql, Protection::Declared) {
            Decision::Refused { findings, rewrites } => {
                Ok(Outcome::Refused(self.refusal(&findings, rewrites)))
            }
            Decision::Admitted(plan) => self.answer(sql, &plan).map(Outcome::Answered),
        }
    }

    /// The part of the exact answer that a plan with noise of a key lacks.
    ///
    /// # Errors
    /// When the run fails.
    pub(crate) fn under_noise(
        &self,
        sql: &str,
        plan: &GuardedPlan,
        key: &Arc<dyn NoiseSource>,
    ) -> anyhow::Result<Loss> {
        let context = ExecutionContext {
            noise: Some(Arc::clone(key)),
            versions: self.policy.datasets.keys().map(|id| (id.clone(), [0; 32])).collect(),
            ..ExecutionContext::default()
        };
        let run = self.engine.run_with(plan, &self.rows, CUT, context);
        ensure!(run.end == End::Released, "it ends as {:?}", run.end);
        let released = table(&run.released.context("a released table")?)?;
        Ok(loss(&released, &self.exact(sql)?, &columns(plan)))
    }

    /// The verdict on a question under other controls.
    pub(crate) fn review(&self, sql: &str, protection: Protection) -> Decision {
        let policy = under(&self.policy, protection);
        Guard::new(&policy, DateTime::UNIX_EPOCH, TODAY).review(sql).decision
    }

    fn refusal(&self, findings: &[Finding], rewrites: Vec<Rewrite>) -> Refusal {
        let mut reasons: Vec<String> = findings.iter().map(reason).collect();
        reasons.sort();
        reasons.dedup();
        let mut helps: Vec<String> =
            findings.iter().filter_map(|finding| Some(finding.help.as_ref()?.en.clone())).collect();
        helps.dedup();
        let mut faults = Vec::new();
        if helps.is_empty() && rewrites.is_empty() {
            faults.push("the refusal offers nothing".to_owned());
        }
        for rewrite in &rewrites {
            match self.review(&rewrite.sql, Protection::Declared) {
                Decision::Refused { findings, .. } => {
                    let reasons: Vec<String> = findings.iter().map(reason).collect();
                    faults.push(format!("its rewrite is refused, {}:\n{}", reasons.join(", "), rewrite.sql));
                }
                Decision::Admitted(plan) => match self.answer(&rewrite.sql, &plan) {
                    Ok(answer) => faults.extend(
                        answer.findings.iter().map(|fault| format!("its rewrite: {fault}\n{}", rewrite.sql)),
                    ),
                    Err(error) => faults.push(format!("its rewrite fails: {error:#}\n{}", rewrite.sql)),
                },
            }
        }
        Refusal { reasons, helps, rewrites, findings: faults }
    }

    fn answer(&self, sql: &str, plan: &GuardedPlan) -> anyhow::Result<Answer> {
        let exact = self.exact(sql)?;
        let declared = self.under_noise(sql, plan, &key())?;
        let of_policies = self.admitted(sql, Protection::WithoutNoise)?;
        let without_noise = self.run(&of_policies)?;
        let of_thresholds = self.admitted(sql, Protection::Thresholds)?;
        let thresholds = self.run(&of_thresholds)?;
        let without = self.admitted(sql, Protection::Nothing)?;
        let nothing = self.run(&without)?;
        let columns = columns(&without);
        let mut findings = same(&nothing, &exact, &columns);
        findings.extend(near(&thresholds, &exact, &columns));
        findings.extend(within_rounding(&without_noise, &exact, &columns));
        let grade = plan.stages().iter().map(|stage| stage.controls().grade.0).max().unwrap_or(1);
        Ok(Answer {
            grade,
            declared,
            without_noise: loss(&without_noise, &exact, &columns),
            thresholds: loss(&thresholds, &exact, &columns),
            findings,
        })
    }

    fn admitted(&self, sql: &str, protection: Protection) -> anyhow::Result<Box<GuardedPlan>> {
        match self.review(sql, protection) {
            Decision::Admitted(plan) => Ok(plan),
            Decision::Refused { findings, .. } => {
                let reasons: Vec<String> = findings.iter().map(reason).collect();
                bail!("it is refused under {protection:?}: {}", reasons.join(", "))
            }
        }
    }

    fn run(&self, plan: &GuardedPlan) -> anyhow::Result<Table> {
        let run = self.engine.run(plan, &self.rows, CUT);
        ensure!(run.end == End::Released, "it ends as {:?}", run.end);
        table(&run.released.context("a released table")?)
    }

    /// The answer of a plain engine over the rows in clear.
    fn exact(&self, sql: &str) -> anyhow::Result<Table> {
        let (schema, batches) = self.runtime.block_on(async {
            let asked = self.plain.sql(sql).await?;
            let schema = Arc::new(asked.schema().as_arrow().clone());
            Ok::<_, anyhow::Error>((schema, asked.collect().await?))
        })?;
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        table(&arrow::compute::concat_batches(&schema, &batches)?)
    }
}

/// The code and the reason of a finding.
pub(crate) fn reason(finding: &Finding) -> String {
    format!("{}/{}", finding.code.slug(), finding.reason.slug())
}

/// Puts tables under their names in SQL.
fn register(plain: &SessionContext, tables: &Tables) -> anyhow::Result<()> {
    let catalog = plain.catalog("datafusion").context("the plain engine has a catalogue")?;
    for (name, batch) in tables {
        let (schema, table) = name.split_once('.').context("a table stands in a schema")?;
        if catalog.schema(schema).is_none() {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        let provider = Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?);
        catalog.schema(schema).context("it was registered")?.register_table(table.to_owned(), provider)?;
    }
    Ok(())
}

/// The columns of a plan without controls: its groups, its figures, and whether rounding took part in these.
fn columns(plan: &GuardedPlan) -> Vec<Column> {
    let of = plan.treatments().iter().map(|treatment| {
        let is_rounded = treatment.controls.contains(&"rounded");
        let is_released = !treatment.controls.is_empty();
        let half_step = match treatment.error {
            Some(StatedError::Quantile { half_step, .. }) => Some(half_step),
            _ => None,
        };
        let nature = match treatment.role {
            OutputRole::Key => Nature::Key,
            OutputRole::Cell | OutputRole::Computed if !treatment.data_type.is_numeric() => Nature::Key,
            OutputRole::Cell | OutputRole::Computed if plan.stages().is_empty() => Nature::Count,
            OutputRole::Computed if !is_released => Nature::Key,
            OutputRole::Cell if half_step.is_some() => Nature::Step,
            OutputRole::Cell if !is_rounded => Nature::Count,
            OutputRole::Computed if !is_rounded => Nature::OfCounts,
            OutputRole::Cell => Nature::Quantity,
            OutputRole::Computed => Nature::OfQuantities,
        };
        let is_top_coded = treatment.top_coded_at.is_some();
        let half_step = half_step.unwrap_or(0.0);
        Column { name: treatment.column.clone(), nature, half_step, is_top_coded }
    });
    of.collect()
}

fn table(batch: &RecordBatch) -> anyhow::Result<Table> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter();
    let formatters =
        columns.map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<Vec<_>, _>>()?;
    let row =
        |row: usize| formatters.iter().map(|column| Cell::parse(&column.value(row).to_string())).collect();
    Ok(Table { rows: (0..batch.num_rows()).map(row).collect() })
}
