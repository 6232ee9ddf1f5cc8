//! The locked-down engine: runs the stages of an admitted query and nothing else.
//!
//! A session is made for one job and thrown away with it: no file formats, no catalogue, no functions by name, no object
//! store but the sealed files that the job opened, no spill, a memory pool, a time limit. It decides nothing: the guard
//! admits, the control step releases.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::Secrets;
use obscura_query_guard::bind_secrets;
use obscura_query_guard::control::Cells;
use obscura_query_guard::control::ControlError;
use obscura_query_guard::control::Release;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::plan::Stage;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;

mod gathered;
mod giving_way;
mod read_through;
mod recheck;
mod resolve;
pub mod sealed_table;
mod session;
mod threads;

use gathered::Gathered;
pub use gathered::ResultLimits;
use gathered::gathered;
use gathered::hands_out_a_dataset;
use resolve::Reads;
use resolve::Tables;
pub use session::in_one_partition;
pub use session::locked_down;
pub use threads::EngineThreads;
use threads::Lost;
use threads::Plannings;

/// What one job may use of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Memory of the job's pool, in bytes.
    pub memory_bytes: usize,
    /// Longest run.
    pub time: Duration,
    /// Threads that a stage is cut into.
    pub partitions: usize,
    /// Size of its result.
    pub result: ResultLimits,
}

/// One admitted query with the tables it reads.
pub struct EngineJob {
    /// What to run.
    pub plan: Arc<GuardedPlan>,
    /// The sealed datasets of the plan, opened with the keys of its columns only.
    pub tables: BTreeMap<DatasetId, Arc<dyn TableProvider>>,
    /// Those of them that are open data by their manifests: what post-processing may read besides released tables.
    pub open: BTreeSet<DatasetId>,
    /// Keyed functions that masks need.
    pub secrets: Option<Secrets>,
}

impl fmt::Debug for EngineJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineJob")
    }
}

/// Why a job came to nothing. Engine messages quote data, so none is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The controls let nothing out.
    #[error("the controls of the policy let nothing out")]
    Withheld,
    /// The job's memory did not suffice.
    #[error("the query needs more memory than a job has")]
    OutOfMemory,
    /// Joining what was released would make too many rows.
    #[error("joins of released tables make too many rows")]
    TooManyRows,
    /// The job's time did not suffice.
    #[error("the query takes longer than a job may")]
    TimedOut,
    /// The result has more rows or bytes than one may have. What is counted are released values.
    #[error("the result is larger than one may be")]
    ResultTooLarge,
    /// The physical plan is not what the guard admitted: a bug, so nothing ran. Names the operator, never data.
    #[error("the physical plan does not match the admitted one")]
    Recheck(&'static str),
    /// The engine failed.
    #[error("the engine failed")]
    Failed(EngineFailure),
}

/// The kind of an engine failure; its text is dropped where it arises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineFailure {
    kind: &'static str,
}

impl EngineFailure {
    /// Which layer failed, in one word.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.kind
    }
}

/// Where a job has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineProgress {
    /// Stages done.
    pub done: usize,
    /// Stages in all, post-processing included.
    pub all: usize,
}

/// Runs admitted queries; every kind of executor behaves alike.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs a job to its release, telling after each stage.
    ///
    /// # Errors
    /// [`EngineError`]; the result is then withheld or the job has failed.
    async fn run(
        &self,
        job: EngineJob,
        progress: &(dyn Fn(EngineProgress) + Send + Sync),
    ) -> Result<Release, EngineError>;
}

/// Runs jobs in this process, on threads of their own.
#[derive(Debug, Clone)]
pub struct InProcess {
    threads: Arc<EngineThreads>,
    limits: EngineLimits,
}

impl InProcess {
    /// Makes an executor that gives every job these limits.
    #[must_use]
    pub fn new(threads: Arc<EngineThreads>, limits: EngineLimits) -> Self {
        Self { threads, limits }
    }
}

#[async_trait]
impl Executor for InProcess {
    async fn run(
        &self,
        job: EngineJob,
        progress: &(dyn Fn(EngineProgress) + Send + Sync),
    ) -> Result<Release, EngineError> {
        let (tell, mut told) = unbounded_channel();
        let run = self.threads.run(run_stages(job, self.limits, self.threads.plannings(), tell));
        let telling = async {
            while let Some(at) = told.recv().await {
                progress(at);
            }
        };
        // The run ends first or together with what it tells; with time, both are dropped, and the run with all its tasks ends.
        let both = async { tokio::join!(run, telling).0 };
        let ended = tokio::time::timeout(self.limits.time, both).await;
        // A panic ends this job like any other failure.
        ended.map_err(|_elapsed| EngineError::TimedOut)?.unwrap_or_else(|lost| Err(lost.into()))
    }
}

impl From<Lost> for EngineError {
    fn from(_lost: Lost) -> Self {
        Self::Failed(EngineFailure { kind: "panic" })
    }
}

async fn run_stages(
    job: EngineJob,
    limits: EngineLimits,
    plannings: Plannings,
    tell: UnboundedSender<EngineProgress>,
) -> Result<Release, EngineError> {
    let state = locked_down(limits)?;
    let mut tables = Tables::new(job.tables, job.open);
    let all = job.plan.stages().len() + 1;
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for (index, stage) in job.plan.stages().iter().enumerate() {
        let plan = bound(stage.plan().clone(), job.secrets.as_ref())?;
        let plan = tables.resolve(plan, Reads::Individuals)?;
        let physical = planned(&state, plan, Some(stage.clone()), &plannings).await?;
        let Gathered { batches, memory: _memory } = gathered(Arc::clone(&physical), &state, None).await?;
        read_through::read_through(&physical, &state).await?;
        let released = stage.release(Cells::new(batches)).map_err(control_error)?;
        rows.insert(stage.name().to_owned(), u64::try_from(released.batch().num_rows()).unwrap_or(u64::MAX));
        tables.release(stage.name(), released.batch())?;
        // Nobody listens any more: then nobody is told.
        let _unheard = tell.send(EngineProgress { done: index + 1, all });
    }
    job.plan.joins_released_rows(&rows).map_err(|_too_many| EngineError::TooManyRows)?;
    // In one partition, so that rows which nobody ordered come in the same order every time.
    let state = in_one_partition(&state);
    let plan = bound(job.plan.post().clone(), job.secrets.as_ref())?;
    let physical = planned(&state, tables.resolve(plan, Reads::OpenData)?, None, &plannings).await?;
    let most = (!hands_out_a_dataset(&job.plan)).then_some(limits.result);
    let Gathered { batches, memory: _memory } = gathered(physical, &state, most).await?;
    let release = job.plan.conclude(&batches).map_err(control_error)?;
    let _unheard = tell.send(EngineProgress { done: all, all });
    Ok(release)
}

fn bound(plan: LogicalPlan, secrets: Option<&Secrets>) -> Result<LogicalPlan, EngineError> {
    match secrets {
        Some(secrets) => bind_secrets(plan, secrets).map_err(|error| engine_error(&error)),
        None => Ok(plan),
    }
}

/// Makes the physical plan, and looks at it for a second time.
async fn planned(
    state: &Arc<SessionState>,
    plan: LogicalPlan,
    stage: Option<Stage>,
    plannings: &Plannings,
) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    let state = Arc::clone(state);
    let planning = async move {
        let physical = state.create_physical_plan(&plan).await.map_err(|error| engine_error(&error))?;
        recheck::recheck(&physical, stage.as_ref())?;
        Ok(physical)
    };
    plannings.run(planning).await?
}

fn control_error(error: ControlError) -> EngineError {
    match error {
        ControlError::Withheld => EngineError::Withheld,
        _ => EngineError::Failed(EngineFailure { kind: "cells" }),
    }
}

/// Keeps the kind of an engine error and drops its text.
fn engine_error(error: &DataFusionError) -> EngineError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => EngineError::OutOfMemory,
        DataFusionError::ParquetError(_) => EngineError::Failed(EngineFailure { kind: "parquet" }),
        DataFusionError::ArrowError(..) => EngineError::Failed(EngineFailure { kind: "arrow" }),
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            EngineError::Failed(EngineFailure { kind: "storage" })
        }
        DataFusionError::Execution(_) | DataFusionError::ExecutionJoin(_) => {
            EngineError::Failed(EngineFailure { kind: "execution" })
        }
        _ => EngineError::Failed(EngineFailure { kind: "planning" }),
    }
}

#[cfg(test)]
mod tests;
