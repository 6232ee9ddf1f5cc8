//! The ways in which one query is run, each timed from the question to the answer in memory.
//!
//! Plain DataFusion is measured at its best: its table is registered, and its metadata cached, before the clock starts.
//! The product is measured as a job runs: review, unwrapping keys, opening files, execution, release.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::bail;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use chrono::DateTime;
use chrono::Utc;
use datafusion::catalog::CatalogProvider;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::ParquetReadOptions;
use datafusion::prelude::SessionConfig;
use obscura_policies::day::Day;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::verdict::Decision;
use obscura_sandbox::engine::EngineJob;
use obscura_sandbox::engine::EngineLimits;
use obscura_sandbox::engine::EngineThreads;
use obscura_sandbox::engine::Executor;
use obscura_sandbox::engine::InProcess;
use obscura_sandbox::engine::ResultLimits;
use obscura_sandbox::engine::SealedTables;
use obscura_sandbox::engine::execute;

use crate::data::Data;
use crate::lineitem;
use crate::lineitem::Asked;
use crate::lineitem::Proof;
use crate::plain_table::PlainTable;
use crate::queries::Query;

/// Memory of a guarded job, in bytes.
const JOB_MEMORY_BYTES: usize = 4 << 30;
/// Longest run of a guarded job, in seconds.
const JOB_TIME: Duration = Duration::from_secs(600);

/// The files that the guarded query reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Plain,
    Sealed,
}

/// One way of running a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Plain DataFusion over plaintext in the sealed file's order: the base of every ratio.
    Plain,
    /// Plain DataFusion over plaintext in the generator's order.
    PlainArrival,
    /// Plain DataFusion over plaintext through the reader of sealed files.
    PlainReader,
    /// Plain DataFusion with the threshold written by hand.
    PlainHaving,
    /// Plain DataFusion over the sealed table.
    Sealed,
    /// The product.
    Guarded(Source, Asked, Proof),
}

/// Every variant, in the order of the table.
pub(crate) const VARIANTS: &[(&str, Variant)] = &[
    ("plain", Variant::Plain),
    ("plain-arrival", Variant::PlainArrival),
    ("plain-reader", Variant::PlainReader),
    ("plain-having", Variant::PlainHaving),
    ("sealed", Variant::Sealed),
    ("guarded-plain-threshold", Variant::Guarded(Source::Plain, Asked::Threshold, Proof::Clustered)),
    ("guarded-plain-dominance", Variant::Guarded(Source::Plain, Asked::Dominance, Proof::Clustered)),
    ("guarded-plain-dominance-map", Variant::Guarded(Source::Plain, Asked::Dominance, Proof::Nothing)),
    ("guarded-sealed-threshold", Variant::Guarded(Source::Sealed, Asked::Threshold, Proof::Clustered)),
    ("guarded-sealed-dominance", Variant::Guarded(Source::Sealed, Asked::Dominance, Proof::Clustered)),
    ("guarded-sealed-noise", Variant::Guarded(Source::Sealed, Asked::Noise, Proof::Clustered)),
];

/// The variant of this name.
///
/// # Errors
/// When there is none.
pub(crate) fn by_name(name: &str) -> anyhow::Result<Variant> {
    let found = VARIANTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, variant)| *variant).with_context(|| format!("there is no variant `{name}`"))
}

/// An answer and how long it took.
pub(crate) struct Answer {
    pub(crate) batch: RecordBatch,
    pub(crate) elapsed: Duration,
}

/// Runs queries over one prepared folder.
pub(crate) struct Runner {
    data: Data,
    threads: usize,
    engine: Arc<EngineThreads>,
    clustered: SessionContext,
    arrival: SessionContext,
}

impl Runner {
    /// Registers the plaintext files.
    ///
    /// # Errors
    /// When a file is missing.
    pub(crate) async fn new(data: Data, threads: usize) -> anyhow::Result<Self> {
        let clustered = plain_over(&data.clustered(), threads).await?;
        let arrival = plain_over(&data.arrival(), threads).await?;
        let engine = Arc::new(EngineThreads::start(threads)?);
        Ok(Self { data, threads, engine, clustered, arrival })
    }

    /// The prepared data.
    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Runs a query one way; nothing when the query has no such variant.
    ///
    /// # Errors
    /// When the query is refused or fails.
    pub(crate) async fn run(&self, query: &Query, variant: Variant) -> anyhow::Result<Option<Answer>> {
        let answer = match variant {
            Variant::Plain => ask(&self.clustered, query.sql, Instant::now()).await?,
            Variant::PlainArrival => ask(&self.arrival, query.sql, Instant::now()).await?,
            Variant::PlainHaving => match query.with_threshold() {
                Some(sql) => ask(&self.clustered, &sql, Instant::now()).await?,
                None => return Ok(None),
            },
            Variant::PlainReader => {
                let begun = Instant::now();
                self.ask_table(query, Arc::new(PlainTable::open(&self.data.clustered())?), begun).await?
            }
            Variant::Sealed => {
                // The columns that the query names, as a job would ask for.
                let columns: Vec<&str> = query.reads.to_vec();
                let begun = Instant::now();
                self.ask_table(query, Arc::new(self.data.sealed(&columns)?), begun).await?
            }
            Variant::Guarded(source, asked, proof) => self.guarded(query, source, asked, proof).await?,
        };
        Ok(Some(answer))
    }

    async fn ask_table(
        &self,
        query: &Query,
        table: Arc<dyn TableProvider>,
        begun: Instant,
    ) -> anyhow::Result<Answer> {
        let context = plain_session(self.threads)?;
        context.register_table(lineitem::SQL_NAME, table)?;
        ask(&context, query.sql, begun).await
    }

    async fn guarded(
        &self,
        query: &Query,
        source: Source,
        asked: Asked,
        proof: Proof,
    ) -> anyhow::Result<Answer> {
        let policy = lineitem::policy(asked, proof)?;
        let begun = Instant::now();
        let plan =
            admitted(&Guard::new(&policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(0)), query.sql)?;
        let executor: Arc<dyn Executor> = Arc::new(self.executor());
        let job = EngineJob {
            context: self.context(&plan)?,
            sealed: self.tables(&plan, source)?,
            plan: Arc::new(plan),
            limits: self.limits(),
        };
        let release =
            execute(&executor, &self.engine, job, &|_progress| {}).await.context("the job failed")?;
        Ok(Answer { batch: release.batch().clone(), elapsed: begun.elapsed() })
    }

    /// An executor on the engine's threads.
    pub(crate) fn executor(&self) -> InProcess {
        InProcess::new(Arc::clone(&self.engine))
    }

    /// The tables of a plan, opened for it.
    ///
    /// # Errors
    /// When a file is not as it was written.
    pub(crate) fn tables(&self, plan: &GuardedPlan, source: Source) -> anyhow::Result<Arc<SealedTables>> {
        let mut tables: BTreeMap<_, Arc<dyn TableProvider>> = BTreeMap::new();
        for (dataset, columns) in plan.scans() {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let table: Arc<dyn TableProvider> = match source {
                Source::Plain => Arc::new(PlainTable::open(&self.data.clustered())?),
                Source::Sealed => Arc::new(self.data.sealed(&columns)?),
            };
            tables.insert(dataset.clone(), table);
        }
        Ok(Arc::new(SealedTables { tables, open: BTreeSet::new() }))
    }

    /// The context of the plan's execution.
    ///
    /// # Errors
    /// When the keyring has no secret for its noise.
    pub(crate) fn context(&self, plan: &GuardedPlan) -> anyhow::Result<ExecutionContext> {
        if plan.needs_noise() { self.data.noise() } else { Ok(ExecutionContext::default()) }
    }

    /// The limits of a job.
    pub(crate) fn limits(&self) -> EngineLimits {
        EngineLimits {
            memory_bytes: JOB_MEMORY_BYTES,
            time: JOB_TIME,
            partitions: self.threads,
            result: ResultLimits { rows: usize::MAX, bytes: usize::MAX },
        }
    }
}

/// The plan of a query that must be admitted.
///
/// # Errors
/// When the guard refuses it.
pub(crate) fn admitted(guard: &Guard<'_>, sql: &str) -> anyhow::Result<GuardedPlan> {
    match guard.review(sql).decision {
        Decision::Admitted(plan) => Ok(*plan),
        Decision::Refused { findings, .. } => bail!("the guard refuses the query: {findings:?}"),
    }
}

/// A session as DataFusion makes it, but for the number of threads.
///
/// # Errors
/// When the catalogue cannot take the department's schema.
pub(crate) fn plain_session(threads: usize) -> anyhow::Result<SessionContext> {
    let config = SessionConfig::new().with_target_partitions(threads);
    let context = SessionContext::new_with_config(config);
    let catalog: Arc<dyn CatalogProvider> = context.catalog("datafusion").context("the default catalogue")?;
    let (schema, _table) = lineitem::SQL_NAME.split_once('.').context("the dataset has a department")?;
    catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
    Ok(context)
}

async fn plain_over(path: &Path, threads: usize) -> anyhow::Result<SessionContext> {
    let context = plain_session(threads)?;
    let path = path.to_str().context("the folder's name is Unicode")?;
    context.register_parquet(lineitem::SQL_NAME, path, ParquetReadOptions::default()).await?;
    Ok(context)
}

async fn ask(context: &SessionContext, sql: &str, begun: Instant) -> anyhow::Result<Answer> {
    let frame = context.sql(sql).await?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    let batch = concat_batches(&schema, &batches)?;
    Ok(Answer { batch, elapsed: begun.elapsed() })
}
