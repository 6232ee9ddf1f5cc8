//! The locked-down engine: runs the plans of an admitted query, one at a time, and nothing else.
//!
//! A session is made for one plan and thrown away with it: no file formats, no catalogue, no functions by name, no object
//! store but the sealed files that the job opened, no spill, a memory pool, a time limit. It decides nothing: the guard
//! admits, the control step releases.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::control::ControlError;
use obscura_query_guard::control::Release;
use obscura_query_guard::execution::EndsIn;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::execution::PlanRunner;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::plan::GuardedPlan;
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
use resolve::resolve;
pub use session::in_one_partition;
pub use session::locked_down;
pub use threads::EngineThreads;
use threads::Lost;
use threads::Plannings;

/// The share of the machine that one job may use.
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

/// The sealed datasets of one job: sealed versions, each opened with the keys of the columns that its plan reads.
#[derive(Default)]
pub struct SealedTables {
    /// By dataset.
    pub tables: BTreeMap<DatasetId, Arc<dyn TableProvider>>,
    /// Those of them that are open data by their manifests: the last plan may read them besides released tables.
    pub open: BTreeSet<DatasetId>,
}

impl fmt::Debug for SealedTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tables.keys()).finish()
    }
}

/// One admitted query with all that its run needs.
#[derive(Debug)]
pub struct EngineJob {
    /// The plan to run.
    pub plan: Arc<GuardedPlan>,
    /// The secrets of masks, for the guard.
    pub context: ExecutionContext,
    /// The sealed datasets of the plan.
    pub sealed: Arc<SealedTables>,
    /// The limits of the job.
    pub limits: EngineLimits,
}

/// The reason why a job came to nothing. Engine messages quote data, so none is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The controls let nothing out.
    #[error("the controls of the policy let nothing out")]
    Withheld,
    /// The job's memory did not suffice.
    #[error("the query needs more memory than a job has")]
    OutOfMemory,
    /// Joins of released tables would make too many rows.
    #[error("joins of released tables make too many rows")]
    TooManyRows,
    /// The job's time did not suffice.
    #[error("the query takes longer than a job may")]
    TimedOut,
    /// The result has more rows or bytes than one may have. Only released values are counted.
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
    /// The layer that failed, in one word.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.kind
    }
}

/// The progress of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineProgress {
    /// Stages done.
    pub done: usize,
    /// Stages in all, post-processing included.
    pub all: usize,
}

/// Runs one plan; every kind of executor behaves alike. It knows neither controls nor the next plan.
#[async_trait]
pub trait Executor: fmt::Debug + Send + Sync {
    /// Runs the plan that is due over sealed tables, within the limits of a job, and returns its rows.
    ///
    /// # Errors
    /// [`EngineError`]: the plan came to nothing.
    async fn run(
        &self,
        due: PlanToRun,
        sealed: Arc<SealedTables>,
        limits: EngineLimits,
    ) -> Result<Vec<RecordBatch>, EngineError>;
}

/// Runs plans in this process, on threads of their own.
#[derive(Debug, Clone)]
pub struct InProcess {
    threads: Arc<EngineThreads>,
}

impl InProcess {
    /// Makes an executor on these threads.
    #[must_use]
    pub fn new(threads: Arc<EngineThreads>) -> Self {
        Self { threads }
    }
}

#[async_trait]
impl Executor for InProcess {
    async fn run(
        &self,
        due: PlanToRun,
        sealed: Arc<SealedTables>,
        limits: EngineLimits,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let run = self.threads.run(run_plan(due, sealed, limits, self.threads.plannings()));
        // A panic ends this job like any other failure.
        run.await.unwrap_or_else(|lost| Err(lost.into()))
    }
}

impl From<Lost> for EngineError {
    fn from(_lost: Lost) -> Self {
        Self::Failed(EngineFailure { kind: "panic" })
    }
}

/// Runs an admitted query to its release within a job's time, telling after each plan. The controls are applied on the
/// engine's threads as well: their cost keeps no request waiting.
///
/// # Errors
/// [`EngineError`]; the result is then withheld or the job has failed.
pub async fn execute(
    executor: &Arc<dyn Executor>,
    threads: &EngineThreads,
    job: EngineJob,
    progress: &(dyn Fn(EngineProgress) + Send + Sync),
) -> Result<Release, EngineError> {
    let time = job.limits.time;
    let (tell, mut told) = unbounded_channel();
    let run = threads.run(run_job(Arc::clone(executor), job, tell));
    let telling = async {
        while let Some(at) = told.recv().await {
            progress(at);
        }
    };
    // The run ends before its last report is told or with it; when time is over, both are dropped, and all tasks of the run
    // end.
    let both = async { tokio::join!(run, telling).0 };
    let ended = tokio::time::timeout(time, both).await;
    // A panic ends this job like any other failure.
    ended.map_err(|_elapsed| EngineError::TimedOut)?.unwrap_or_else(|lost| Err(lost.into()))
}

async fn run_job(
    executor: Arc<dyn Executor>,
    job: EngineJob,
    tell: UnboundedSender<EngineProgress>,
) -> Result<Release, EngineError> {
    let EngineJob { plan, context, sealed, limits } = job;
    let all = plan.stages().len() + 1;
    let mut run = OneJob { executor, sealed, limits, tell, at: EngineProgress { done: 0, all } };
    plan.begin(context)?.run(&mut run).await
}

/// The runs of one job: each plan by the executor, over the job's tables and within its limits.
struct OneJob {
    executor: Arc<dyn Executor>,
    sealed: Arc<SealedTables>,
    limits: EngineLimits,
    tell: UnboundedSender<EngineProgress>,
    at: EngineProgress,
}

impl PlanRunner for OneJob {
    type Error = EngineError;

    async fn run(&mut self, due: PlanToRun) -> Result<Vec<RecordBatch>, EngineError> {
        let batches = self.executor.run(due, Arc::clone(&self.sealed), self.limits).await?;
        self.at.done += 1;
        // A job whose caller has broken off reports its progress to no one.
        let _unheard = self.tell.send(self.at);
        Ok(batches)
    }
}

async fn run_plan(
    due: PlanToRun,
    sealed: Arc<SealedTables>,
    limits: EngineLimits,
    plannings: Plannings,
) -> Result<Vec<RecordBatch>, EngineError> {
    let state = locked_down(limits)?;
    let resolved = resolve(&due, &sealed)?;
    match due.ends() {
        EndsIn::Cells { .. } => {
            let physical = planned(&state, resolved, due, sealed, &plannings).await?;
            let Gathered { batches, memory: _memory } = gathered(Arc::clone(&physical), &state, None).await?;
            read_through::read_through(&physical, &state).await?;
            Ok(batches)
        }
        EndsIn::Result => {
            // In one partition, so that rows without an ORDER BY come in the same order every time.
            let state = in_one_partition(&state);
            let most = (!hands_out_a_dataset(&due)).then_some(limits.result);
            let physical = planned(&state, resolved, due, sealed, &plannings).await?;
            let Gathered { batches, memory: _memory } = gathered(physical, &state, most).await?;
            Ok(batches)
        }
    }
}

/// Optimises a plan and makes the physical one, and looks again at each.
async fn planned(
    state: &Arc<SessionState>,
    plan: LogicalPlan,
    due: PlanToRun,
    sealed: Arc<SealedTables>,
    plannings: &Plannings,
) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    let state = Arc::clone(state);
    let planning = async move {
        let plan = state.optimize(&plan).map_err(|error| engine_error(&error))?;
        recheck::optimised(&due, &plan, &sealed)?;
        let planner = state.query_planner();
        let physical = planner
            .create_physical_plan(&plan, state.as_ref())
            .await
            .map_err(|error| engine_error(&error))?;
        recheck::physical(&physical, &plan, &state, due.ends())?;
        Ok(physical)
    };
    plannings.run(planning).await?
}

impl From<ControlError> for EngineError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Withheld => EngineError::Withheld,
            ControlError::TooManyRows => EngineError::TooManyRows,
            ControlError::Unbound => EngineError::Failed(EngineFailure { kind: "planning" }),
            _ => EngineError::Failed(EngineFailure { kind: "cells" }),
        }
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
