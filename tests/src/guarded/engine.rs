//! Runs an admitted plan on a plain engine session that is set up as the product's, over rows in memory, and counts the
//! rows that every physical operator produces. A join that produces too many ends the run: it says so and goes on.
//!
//! Tables of individuals tell the engine nothing of their size, as sealed tables do not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::datatypes::Int64Type;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::TableScan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::DisplayAs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::PlanProperties;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::StreamExt as _;
use obscura_query_guard::ReleasedSource;
use obscura_query_guard::SealedSource;
use obscura_query_guard::control::ControlError;
use obscura_query_guard::control::ReleasedTable;
use obscura_query_guard::execution::EndsIn;
use obscura_query_guard::execution::Execution;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::execution::PlanRunner;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::recheck::Scanned;
use obscura_query_guard::recheck::look_again;
use obscura_sandbox::engine::EngineError;
use obscura_sandbox::engine::EngineLimits;
use obscura_sandbox::engine::ResultLimits;
use obscura_sandbox::engine::in_one_partition;
use obscura_sandbox::engine::locked_down;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::people::Tables;

/// Memory of one run.
const MEMORY_BYTES: usize = 512 * 1024 * 1024;
/// The error of a join that passes its bound.
const TOO_MANY_ROWS: &str = "a join produces more rows than a run may";

/// The cut of a run into pieces; no answer may depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Partitions of the engine and of the tables.
    pub partitions: usize,
    /// Rows of one batch of a table.
    pub batch_rows: usize,
}

/// The result of one run.
#[derive(Debug)]
pub struct Run {
    /// Its end.
    pub end: End,
    /// The release, if there is one.
    pub released: Option<RecordBatch>,
    /// Rows that each operator produced, in the order of the plans.
    pub work: Vec<Work>,
    /// Rows that were read of all sealed tables.
    pub scanned: u64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With a release.
    Released,
    /// The controls let nothing out.
    Withheld,
    /// A join passed the bound of the run.
    TooManyRows,
    /// The memory did not suffice.
    OutOfMemory,
    /// The engine or the control step failed.
    Failed(String),
}

/// Rows that one operator produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The plan, the operator's place in it, and its name.
    pub operator: String,
    /// Rows.
    pub rows: u64,
}

/// An engine with threads of its own.
#[derive(Debug)]
pub struct Engine {
    runtime: Runtime,
    /// Most rows of one join.
    join_rows_max: u64,
}

impl Engine {
    /// Makes one whose joins produce so many rows at the most.
    ///
    /// # Panics
    /// When there are no threads.
    #[must_use]
    pub fn new(join_rows_max: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(16 * 1024 * 1024)
            .build();
        Self { runtime: runtime.expect("threads are there"), join_rows_max }
    }

    /// Runs a plan that needs neither keys nor noise, on a thread like those of the product.
    ///
    /// # Panics
    /// When the engine does.
    #[must_use]
    pub fn run(&self, plan: &GuardedPlan, tables: &Tables, cut: Cut) -> Run {
        self.run_with(plan, tables, cut, ExecutionContext::default())
    }

    /// Runs a plan with what no plan may hold.
    ///
    /// # Panics
    /// When the engine does.
    #[must_use]
    pub fn run_with(&self, plan: &GuardedPlan, tables: &Tables, cut: Cut, context: ExecutionContext) -> Run {
        let (plan, tables, most) = (plan.clone(), tables.clone(), self.join_rows_max);
        self.on_a_thread(async move {
            let (mut work, scanned) = (Vec::new(), Arc::new(AtomicU64::new(0)));
            let mut reads = Reads::of(&tables, cut);
            reads.scanned = Arc::clone(&scanned);
            let ended = run(&plan, context, reads, most, &mut work).await;
            let (end, released) = match ended {
                Ok(batch) => (End::Released, Some(batch)),
                Err(end) => (end, None),
            };
            Run { end, released, work, scanned: scanned.load(Ordering::Relaxed) }
        })
    }

    /// Makes the physical plans of all stages and of what is done with their results, and runs none.
    ///
    /// # Errors
    /// When the engine cannot plan.
    ///
    /// # Panics
    /// When the engine does.
    pub fn prepare(&self, plan: &GuardedPlan, tables: &Tables, cut: Cut) -> Result<usize, String> {
        let (plan, tables) = (plan.clone(), tables.clone());
        self.on_a_thread(async move { prepare(&plan, &tables, cut).await.map_err(|error| error.to_string()) })
    }

    fn on_a_thread<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            tasks.spawn(task);
            tasks.join_next().await.expect("there is one task").expect("the engine does not panic")
        })
    }
}

async fn run(
    plan: &GuardedPlan,
    context: ExecutionContext,
    reads: Reads<'_>,
    most: u64,
    work: &mut Vec<Work>,
) -> Result<RecordBatch, End> {
    let state = session(reads.cut.partitions).map_err(|error| End::Failed(error.to_string()))?;
    let execution = Arc::new(plan.clone()).begin(context)?;
    let release = execution.run(&mut Counting { state, reads, most, work, number: 0 }).await;
    release.map(|release| release.batch().clone())
}

/// Runs plans over rows in memory, and counts what every operator produces.
struct Counting<'t, 'w> {
    state: Arc<SessionState>,
    reads: Reads<'t>,
    most: u64,
    work: &'w mut Vec<Work>,
    /// Plans run so far.
    number: usize,
}

impl PlanRunner for Counting<'_, '_> {
    type Error = End;

    async fn run(&mut self, due: PlanToRun) -> Result<Vec<RecordBatch>, End> {
        self.reads.released = due.released().clone();
        let (state, place) = match due.ends() {
            EndsIn::Cells { .. } => (Arc::clone(&self.state), format!("stage {}", self.number)),
            EndsIn::Result => {
                // The product reads open tables and released ones in one partition: its sealed tables are cut as the session
                // is.
                self.reads.cut.partitions = 1;
                (in_one_partition(&self.state), "post".to_owned())
            }
        };
        self.number += 1;
        second_look_at(&due, &state).map_err(End::Failed)?;
        let resolved = self.reads.resolve(due.plan().clone()).map_err(|error| engine_end(&error))?;
        execute(&state, &resolved, self.most, &place, self.work).await
    }
}

async fn execute(
    state: &SessionState,
    plan: &LogicalPlan,
    most: u64,
    place: &str,
    work: &mut Vec<Work>,
) -> Result<Vec<RecordBatch>, End> {
    let physical = state.create_physical_plan(plan).await.map_err(|error| engine_end(&error))?;
    let physical = bounded(physical, most).map_err(|error| engine_end(&error))?;
    let ran = collect(Arc::clone(&physical), Arc::new(TaskContext::from(state))).await;
    count(&physical, place, work);
    ran.map_err(|error| engine_end(&error))
}

async fn prepare(plan: &GuardedPlan, tables: &Tables, cut: Cut) -> Result<usize, DataFusionError> {
    second_look(plan).map_err(DataFusionError::Plan)?;
    let state = session(cut.partitions).map_err(|error| DataFusionError::External(error.into()))?;
    let reads = Reads::of(tables, cut);
    let mut operators = Vec::new();
    for logical in plan.stages().iter().map(|stage| stage.plan()).chain([plan.post()]) {
        let physical = state.create_physical_plan(&reads.resolve(logical.clone())?).await?;
        count(&physical, "", &mut operators);
    }
    Ok(operators.len())
}

/// Has the first plan of a query optimised as the product does, and looks at it again.
///
/// # Errors
/// When the engine cannot plan, or the plan does not pass.
pub fn second_look(plan: &GuardedPlan) -> Result<(), String> {
    let state = session(2).map_err(|error| error.to_string())?;
    let begun = Arc::new(plan.clone()).begin(ExecutionContext::default());
    let due = match begun.map_err(|error| error.to_string())? {
        Execution::Stage(stage) => stage.next(),
        Execution::Last(last) => last.next(),
    };
    second_look_at(&due.map_err(|error| error.to_string())?, &state)
}

/// Has a plan optimised, and looks at it again.
///
/// # Errors
/// When the engine cannot plan, or the plan does not pass.
pub fn second_look_at(due: &PlanToRun, state: &SessionState) -> Result<(), String> {
    let optimised = state.optimize(due.plan()).map_err(|error| error.to_string())?;
    look_again(due, &optimised, &scanned).map_err(|breach| format!("the second look: {}", breach.text()))
}

/// The product's own session.
fn session(partitions: usize) -> Result<Arc<SessionState>, EngineError> {
    let result = ResultLimits { rows: usize::MAX, bytes: usize::MAX };
    locked_down(EngineLimits { memory_bytes: MEMORY_BYTES, time: Duration::MAX, partitions, result })
}

fn engine_end(error: &DataFusionError) -> End {
    let text = error.to_string();
    if text.contains(TOO_MANY_ROWS) {
        return End::TooManyRows;
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => End::OutOfMemory,
        _ => End::Failed(text),
    }
}

impl From<ControlError> for End {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Withheld => End::Withheld,
            other => End::Failed(other.to_string()),
        }
    }
}

/// The tables that the names in a plan stand for.
struct Reads<'t> {
    tables: &'t Tables,
    cut: Cut,
    released: BTreeMap<String, ReleasedTable>,
    scanned: Arc<AtomicU64>,
}

impl<'t> Reads<'t> {
    fn of(tables: &'t Tables, cut: Cut) -> Self {
        Self { tables, cut, released: BTreeMap::new(), scanned: Arc::default() }
    }

    fn resolve(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let resolved = plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => self.table(&scan).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        });
        resolved.map(|resolved| resolved.data)
    }

    fn table(&self, scan: &TableScan) -> Result<LogicalPlan, DataFusionError> {
        let unknown = || DataFusionError::Plan(format!("unknown table {}", scan.table_name));
        let provider: Arc<dyn TableProvider> =
            if let Some(source) = scan.source.downcast_ref::<SealedSource>() {
                let batch = self.tables.get(&source.dataset().sql_name()).ok_or_else(unknown)?;
                Arc::new(streaming(batch, self.cut, &self.scanned)?)
            } else if scan.source.downcast_ref::<ReleasedSource>().is_some() {
                // Where plans are only made, nothing has been released.
                let released = self.released.get(&scan.table_name.to_string());
                let batch = released
                    .map(|table| table.batch().clone())
                    .unwrap_or_else(|| RecordBatch::new_empty(scan.source.schema()));
                Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)
            } else {
                return Err(unknown());
            };
        let schema = provider.schema();
        let fields = scan.projected_schema.fields().iter();
        let columns = fields.map(|field| schema.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
        LogicalPlanBuilder::scan(scan.table_name.clone(), provider_as_source(provider), Some(columns))?
            .build()
    }
}

/// The table that a scan of a guarded plan reads.
fn scanned(scan: &TableScan) -> Option<Scanned> {
    match scan.source.downcast_ref::<SealedSource>() {
        Some(sealed) => Some(Scanned::Dataset(sealed.dataset().clone())),
        None => scan.source.downcast_ref::<ReleasedSource>().map(|_released| Scanned::Released),
    }
}

/// A table whose size is not known, cut into partitions of whole subjects and batches of any rows.
fn streaming(
    batch: &RecordBatch,
    cut: Cut,
    scanned: &Arc<AtomicU64>,
) -> Result<StreamingTable, DataFusionError> {
    let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
    let mut begin = 0;
    for number in 1..=cut.partitions {
        let end = subject_begins(batch, (batch.num_rows() * number / cut.partitions).max(begin));
        let batches = (begin..end)
            .step_by(cut.batch_rows)
            .map(|row| batch.slice(row, cut.batch_rows.min(end - row)))
            .collect();
        partitions.push(Arc::new(Partition {
            schema: batch.schema(),
            batches,
            scanned: Arc::clone(scanned),
        }));
        begin = end;
    }
    StreamingTable::try_new(batch.schema(), partitions)
}

/// The first row from here on at which another subject begins.
fn subject_begins(batch: &RecordBatch, row: usize) -> usize {
    let Some(units) = batch.column_by_name("person_id") else { return row };
    let units = units.as_primitive::<Int64Type>();
    let goes_on = |row: &usize| *row > 0 && *row < units.len() && units.value(*row) == units.value(*row - 1);
    (row..).find(|row| !goes_on(row)).unwrap_or(row)
}

#[derive(Debug)]
struct Partition {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    scanned: Arc<AtomicU64>,
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let scanned = Arc::clone(&self.scanned);
        let batches = futures::stream::iter(self.batches.clone()).map(move |batch| {
            scanned.fetch_add(u64::try_from(batch.num_rows()).unwrap_or(0), Ordering::Relaxed);
            Ok(batch)
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// Notes the rows of every operator, from the top down.
fn count(plan: &Arc<dyn ExecutionPlan>, place: &str, work: &mut Vec<Work>) {
    if plan.name() != Bounded::NAME {
        let rows = plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0);
        let operator = format!("{place}: {} {}", work.len(), plan.name());
        work.push(Work { operator, rows: u64::try_from(rows).unwrap_or(u64::MAX) });
    }
    for child in plan.children() {
        count(child, place, work);
    }
}

/// Puts a bound on every join.
fn bounded(plan: Arc<dyn ExecutionPlan>, most: u64) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let bounded = plan.transform_up(|node| {
        if !node.name().contains("Join") {
            return Ok(Transformed::no(node));
        }
        let rows = Arc::new(AtomicU64::new(0));
        Ok(Transformed::yes(Arc::new(Bounded { input: node, most, rows }) as Arc<dyn ExecutionPlan>))
    });
    bounded.map(|bounded| bounded.data)
}

/// Passes rows on until there are too many.
#[derive(Debug)]
struct Bounded {
    input: Arc<dyn ExecutionPlan>,
    most: u64,
    rows: Arc<AtomicU64>,
}

impl Bounded {
    const NAME: &'static str = "BoundedExec";
}

impl DisplayAs for Bounded {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAME)
    }
}

impl ExecutionPlan for Bounded {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("one child".to_owned()))?;
        Ok(Arc::new(Self { input, most: self.most, rows: Arc::clone(&self.rows) }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let (most, rows) = (self.most, Arc::clone(&self.rows));
        let passed = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            let more = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            if rows.fetch_add(more, Ordering::Relaxed).saturating_add(more) > most {
                return Err(DataFusionError::Execution(TOO_MANY_ROWS.to_owned()));
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), passed)))
    }
}
