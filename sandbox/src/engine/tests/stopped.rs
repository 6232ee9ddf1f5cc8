//! A job that has ended, because its time is over or because its caller has broken off, stops; and a job that does not give
//! way delays no other job.

use std::fmt::Formatter;
use std::sync::Mutex;
use std::sync::mpsc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source::DataSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::TableType;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;

/// Number of open streams, and of all streams ever opened.
type Streams = watch::Sender<(usize, usize)>;

/// Longest wait for an event that must come.
const SURELY: Duration = Duration::from_secs(300);

/// An open stream; counted until it is dropped.
struct Open(Streams);

impl Open {
    fn count(streams: &Streams) -> Self {
        streams.send_modify(|(open, ever)| (*open, *ever) = (*open + 1, *ever + 1));
        Self(streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|(open, _)| *open -= 1);
    }
}

/// The behaviour of a table when it is read.
#[derive(Debug, Clone)]
enum Reading {
    /// Gives the same rows for ever.
    ForEver(Streams),
    /// Keeps its thread until the test sends something, while it is planned.
    StuckInPlanning(Arc<Mutex<mpsc::Receiver<()>>>),
    /// Keeps its thread until the test sends something, while it is read.
    StuckInRunning(Arc<Mutex<mpsc::Receiver<()>>>),
}

/// Visits that are read in such a way.
#[derive(Debug, Clone)]
struct Slow {
    rows: RecordBatch,
    reading: Reading,
}

#[async_trait]
impl TableProvider for Slow {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        if let Reading::StuckInPlanning(brought) = &self.reading {
            brought.lock().unwrap().recv().unwrap();
        }
        let rows = projection.map_or(Ok(self.rows.clone()), |columns| self.rows.project(columns))?;
        Ok(DataSourceExec::from_data_source(Self { rows, reading: self.reading.clone() }))
    }
}

impl DataSource for Slow {
    fn open(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> datafusion::common::Result<SendableRecordBatchStream> {
        let (rows, reading) = (self.rows.clone(), self.reading.clone());
        let open = match &reading {
            Reading::ForEver(streams) => Some(Open::count(streams)),
            Reading::StuckInPlanning(_) | Reading::StuckInRunning(_) => None,
        };
        let stream = futures::stream::repeat_with(move || {
            let _open = &open;
            if let Reading::StuckInRunning(brought) = &reading {
                brought.lock().unwrap().recv().unwrap();
            }
            Ok(rows.clone())
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.rows.schema(), stream)))
    }

    fn fmt_as(&self, _type: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.rows.schema())
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> datafusion::common::Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.rows.schema())))
    }

    fn with_fetch(&self, _limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn try_swapping_with_projection(
        &self,
        _projection: &ProjectionExprs,
    ) -> datafusion::common::Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(
            &Arc<dyn datafusion::physical_expr::PhysicalExpr>,
        ) -> datafusion::common::Result<TreeNodeRecursion>,
    ) -> datafusion::common::Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

fn job_over(reading: Reading, limits: EngineLimits) -> EngineJob {
    let table: Arc<dyn TableProvider> = Arc::new(Slow { rows: visits_batch(), reading });
    let tables = BTreeMap::from([(DATASET.parse().unwrap(), table)]);
    job(admitted(COUNT), sealed(tables, &[]), limits)
}

/// Waits until this holds of the streams.
async fn surely(streams: &Streams, holds: impl Fn((usize, usize)) -> bool) {
    let mut told = streams.subscribe();
    let seen = tokio::time::timeout(SURELY, told.wait_for(|streams| holds(*streams))).await;
    seen.unwrap().unwrap();
}

#[tokio::test]
async fn a_job_whose_time_is_over_stops_reading() {
    let streams = Streams::new((0, 0));
    let threads = threads(2);
    // A slow machine needs longer to begin.
    for time in [100, 1_000, 10_000, 100_000].map(Duration::from_millis) {
        let limits = EngineLimits { time, ..LIMITS };
        let ended = run(&threads, job_over(Reading::ForEver(streams.clone()), limits)).await;
        assert!(matches!(ended, Err(EngineError::TimedOut)), "{ended:?}");
        if streams.borrow().1 > 0 {
            break;
        }
    }
    surely(&streams, |(open, ever)| open == 0 && ever > 0).await;
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_stops_reading() {
    let streams = Streams::new((0, 0));
    let mut waiting = JoinSet::new();
    let job = job_over(Reading::ForEver(streams.clone()), LIMITS);
    waiting.spawn(async move { run(&threads(2), job).await.map(|_| ()) });
    surely(&streams, |(open, _)| open > 0).await;
    waiting.abort_all();
    surely(&streams, |(open, _)| open == 0).await;
}

#[tokio::test]
async fn a_plan_that_does_not_come_to_its_end_is_left_behind_and_keeps_nobody_waiting() {
    let (bring, brought) = mpsc::channel();
    let threads = threads(1);
    let limits = EngineLimits { time: Duration::from_millis(100), ..LIMITS };
    let stuck = job_over(Reading::StuckInPlanning(Arc::new(Mutex::new(brought))), limits);
    let ended = run(&threads, stuck).await;
    assert!(matches!(ended, Err(EngineError::TimedOut)), "{ended:?}");
    // It still has its thread, and others have theirs.
    let quick = run(&threads, job(admitted(COUNT), sealed(tables(), &[]), LIMITS)).await;
    assert_eq!(quick.unwrap().batch().num_rows(), 1);
    bring.send(()).unwrap();
}

#[tokio::test]
async fn a_job_that_does_not_give_way_keeps_the_engines_threads_and_not_the_callers() {
    let (bring, brought) = mpsc::channel();
    let limits = EngineLimits { time: Duration::from_secs(2), ..LIMITS };
    let stuck = job_over(Reading::StuckInRunning(Arc::new(Mutex::new(brought))), limits);
    // This test has one thread, on which it is told that the time is over.
    let ended = run(&threads(1), stuck).await;
    assert!(matches!(ended, Err(EngineError::TimedOut)), "{ended:?}");
    drop(bring);
}
