//! Tests of the engine: the plans it runs, the tables a guarded plan may not read, and the plans that the recheck refuses.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::Int64Type;
use chrono::DateTime;
use chrono::Utc;
use datafusion::catalog::MemTable;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionConfig;
use obscura_policies::day::Day;
use obscura_policies::effective::Controls;
use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectiveDataset;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::effective::EffectiveUnit;
use obscura_policies::effective::Floor;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Function;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Release as ReleaseForm;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::UnitKind;
use obscura_policies::vocabulary::Use;
use obscura_query_guard::execution::Execution;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::verdict::Decision;

use super::*;

mod second_look;
mod stopped;

const DATASET: &str = "hz-health.visits";
const COUNT: &str = "SELECT district, COUNT(*) AS n FROM hz_health.visits GROUP BY district";
const LIMITS: EngineLimits = EngineLimits {
    memory_bytes: 64 << 20,
    time: Duration::from_secs(60),
    partitions: 4,
    result: ResultLimits { rows: 1000, bytes: 1 << 20 },
};

fn column(name: &str, data_type: DataType, role: Role, uses: &[Use]) -> EffectiveColumn {
    EffectiveColumn {
        name: name.to_owned(),
        data_type,
        role,
        grade: Level(2),
        grade_after: Level(2),
        uses: uses.iter().copied().collect(),
        mask: None,
        range: None,
        bins: None,
        usual: None,
        domain: None,
        scale: 0,
        coded: false,
    }
}

/// Visits of residents, by district, in a file that is clustered by resident.
fn policy() -> EffectivePolicy {
    let id: DatasetId = DATASET.parse().unwrap();
    let dataset = EffectiveDataset {
        id: id.clone(),
        membership: Level(2),
        units: vec![EffectiveUnit {
            kind: UnitKind("resident".to_owned()),
            column: "person_id".to_owned(),
            one_row_per_subject: false,
            rows_max: Some(2),
            clustered: true,
        }],
        columns: vec![
            column("person_id", DataType::Int, Role::UnitKey, &[Use::Join, Use::CountDistinct]),
            column("district", DataType::Text, Role::Dimension, &[Use::Filter, Use::Group]),
        ],
        row_filters: Vec::new(),
        release: ReleaseForm::Aggregates,
        functions: BTreeSet::from([Function::Count, Function::CountDistinct]),
        controls: Controls::default(),
        join_with: BTreeSet::new(),
        max_rows_per_subject: 20,
        max_groups_per_subject: 5,
        privacy_budget: None,
        all_ask_for_privacy: false,
        usual_rows: None,
        usual_rows_in: None,
        is_updated: true,
        rows: Some(24),
        unique: BTreeSet::new(),
        intervals: BTreeSet::new(),
        published: None,
    };
    let controls = Controls { subjects_min: 5, rounding: Some(5), ..Controls::default() };
    EffectivePolicy {
        purpose: "tests".to_owned(),
        datasets: BTreeMap::from([(id, dataset)]),
        floors: BTreeMap::from([(Level(2), Floor { release: ReleaseForm::Aggregates, controls })]),
        sources: Vec::new(),
    }
}

fn admitted(sql: &str) -> GuardedPlan {
    reviewed(&policy(), sql)
}

fn reviewed(policy: &EffectivePolicy, sql: &str) -> GuardedPlan {
    let guard = Guard::new(policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(20_000));
    match guard.review(sql).decision {
        Decision::Admitted(plan) => *plan,
        Decision::Refused { findings, .. } => panic!("{sql}\nrefused: {findings:?}"),
    }
}

/// Eight residents of Xihu and four of Shangcheng, two visits each, clustered.
fn visits() -> Arc<dyn TableProvider> {
    let batch = visits_batch();
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn visits_batch() -> RecordBatch {
    let persons = (0..24).map(|row| row / 2);
    let districts = (0..24).map(|row| if row < 16 { "Xihu" } else { "Shangcheng" });
    let columns: [(&str, ArrayRef); 2] = [
        ("person_id", Arc::new(Int64Array::from_iter_values(persons))),
        ("district", Arc::new(StringArray::from_iter_values(districts))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn threads(count: usize) -> Arc<EngineThreads> {
    Arc::new(EngineThreads::start(count).unwrap())
}

fn tables() -> BTreeMap<DatasetId, Arc<dyn TableProvider>> {
    BTreeMap::from([(DATASET.parse().unwrap(), visits())])
}

fn sealed(tables: BTreeMap<DatasetId, Arc<dyn TableProvider>>, open: &[&str]) -> Arc<SealedTables> {
    Arc::new(SealedTables { tables, open: open.iter().map(|id| id.parse().unwrap()).collect() })
}

fn job(plan: GuardedPlan, sealed: Arc<SealedTables>, limits: EngineLimits) -> EngineJob {
    EngineJob { plan: Arc::new(plan), context: ExecutionContext::default(), sealed, limits }
}

async fn run(threads: &Arc<EngineThreads>, job: EngineJob) -> Result<Release, EngineError> {
    let executor: Arc<dyn Executor> = Arc::new(InProcess::new(Arc::clone(threads)));
    execute(&executor, threads, job, &|_progress| {}).await
}

/// The plan of the count that is due first: its stage's.
fn due() -> PlanToRun {
    match Arc::new(admitted(COUNT)).begin(ExecutionContext::default()).unwrap() {
        Execution::Stage(stage) => stage.next().unwrap(),
        Execution::Last(_) => panic!("the count has a stage"),
    }
}

/// The plan that is due, and the same with its real table.
fn resolved() -> (PlanToRun, LogicalPlan) {
    let due = due();
    let resolved = resolve(&due, &sealed(tables(), &[])).unwrap();
    (due, resolved)
}

/// The result of the recheck of a plan that a session makes.
async fn second_look(state: &SessionState, plan: &LogicalPlan, ends: EndsIn) -> Result<(), EngineError> {
    let plan = state.optimize(plan).unwrap();
    let physical = state.query_planner().create_physical_plan(&plan, state).await.unwrap();
    recheck::physical(&physical, &plan, state, ends)
}

#[track_caller]
fn refused(outcome: Result<(), EngineError>, because: &str) {
    match outcome {
        Err(EngineError::Recheck(reason)) => assert_eq!(reason, because),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_admitted_query_runs_to_its_protected_release() {
    let release = run(&threads(2), job(admitted(COUNT), sealed(tables(), &[]), LIMITS)).await.unwrap();
    let batch = release.batch();
    assert_eq!(batch.num_rows(), 1, "four subjects are below five");
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "Xihu");
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 15, "16 rounded to 5");
}

#[tokio::test]
async fn individuals_are_read_in_stages_only() {
    let policy = open_policy();
    let last = |open: &[&str]| {
        let plan = reviewed(&policy, "SELECT person_id FROM hz_health.visits");
        match Arc::new(plan).begin(ExecutionContext::default()).unwrap() {
            Execution::Last(last) => resolve(&last.next().unwrap(), &sealed(tables(), open)).map(drop),
            Execution::Stage(_) => panic!("rows of open data need no stage"),
        }
    };
    refused(last(&[]), "individuals outside a stage");
    last(&[DATASET]).unwrap();
}

#[tokio::test]
async fn a_table_that_the_job_did_not_open_does_not_resolve() {
    assert!(resolve(&due(), &sealed(BTreeMap::new(), &[])).is_err());
}

#[tokio::test]
async fn the_locked_down_session_keeps_rows_where_they_are() {
    let (due, resolved) = resolved();
    assert_eq!(due.ends(), EndsIn::Cells { needs_clustered_input: true });
    let state = session::locked_down(LIMITS).unwrap();
    second_look(&state, &resolved, due.ends()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_moves_rows_below_the_fold_is_found() {
    let (due, resolved) = resolved();
    let mut config = SessionConfig::new().with_target_partitions(4).with_batch_size(4);
    config.options_mut().optimizer.enable_round_robin_repartition = true;
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let rows = LogicalPlanBuilder::from(resolved);
    refused(second_look(&state, &rows.build().unwrap(), due.ends()).await, "clustering");
}

#[tokio::test]
async fn a_stage_that_does_not_end_in_cells_is_found() {
    let (due, resolved) = resolved();
    let state = session::locked_down(LIMITS).unwrap();
    let rows = resolved.inputs()[0].clone();
    refused(second_look(&state, &rows, due.ends()).await, "stage without fold");
}

#[tokio::test]
async fn operators_and_functions_off_the_list_are_found() {
    let (_, resolved) = resolved();
    let state = session::locked_down(LIMITS).unwrap();
    let analysed = LogicalPlanBuilder::from(resolved.clone()).explain(false, true).unwrap().build().unwrap();
    refused(second_look(&state, &analysed, EndsIn::Result).await, "AnalyzeExec");
    let random = Expr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction {
        func: datafusion::functions::math::random(),
        args: Vec::new(),
    });
    let half = Expr::Literal(ScalarValue::Float64(Some(0.5)), None);
    let sampled = LogicalPlanBuilder::from(resolved.inputs()[0].clone()).filter(random.lt(half)).unwrap();
    refused(second_look(&state, &sampled.build().unwrap(), EndsIn::Result).await, "unknown function");
}

/// A table that panics when it is read, and quotes a cell in its message.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl TableProvider for Broken {
    fn schema(&self) -> arrow::datatypes::SchemaRef {
        visits().schema()
    }

    fn table_type(&self) -> datafusion::logical_expr::TableType {
        datafusion::logical_expr::TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn datafusion::catalog::Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
        panic!("cannot read the cell of Zhang San")
    }
}

#[tokio::test]
async fn a_panic_ends_its_job_and_quotes_nothing() {
    let tables: BTreeMap<DatasetId, Arc<dyn TableProvider>> =
        BTreeMap::from([(DATASET.parse().unwrap(), Arc::new(Broken) as Arc<dyn TableProvider>)]);
    let failed = run(&threads(2), job(admitted(COUNT), sealed(tables, &[]), LIMITS)).await.unwrap_err();
    assert!(matches!(failed, EngineError::Failed(EngineFailure { kind: "panic" })), "{failed:?}");
    assert!(!format!("{failed:?} {failed}").contains("Zhang"));
}

#[tokio::test]
async fn a_job_ends_at_its_memory() {
    let limits = EngineLimits { memory_bytes: 1, ..LIMITS };
    let memory = run(&threads(2), job(admitted(COUNT), sealed(tables(), &[]), limits)).await;
    assert!(matches!(memory, Err(EngineError::OutOfMemory)), "{memory:?}");
}

/// An open table of two columns and so many rows, as it may be handed out.
fn open_policy() -> EffectivePolicy {
    let mut policy = policy();
    for dataset in policy.datasets.values_mut() {
        dataset.units.clear();
        dataset.membership = Level(1);
        dataset.release = ReleaseForm::RowsOpen;
        for column in &mut dataset.columns {
            (column.grade, column.grade_after, column.role) = (Level(1), Level(1), Role::Dimension);
            column.uses = BTreeSet::from([Use::Filter, Use::Group, Use::Join]);
        }
    }
    policy
}

async fn rows_of(sql: &str, result: ResultLimits) -> Result<usize, EngineError> {
    let plan = reviewed(&open_policy(), sql);
    let limits = EngineLimits { result, ..LIMITS };
    let release = run(&threads(2), job(plan, sealed(tables(), &[DATASET]), limits)).await?;
    Ok(release.batch().num_rows())
}

#[tokio::test]
async fn a_result_has_no_more_rows_and_bytes_than_one_may_have() {
    let distinct = "SELECT DISTINCT person_id, district FROM hz_health.visits";
    let rows = |rows| ResultLimits { rows, bytes: usize::MAX };
    assert_eq!(rows_of(distinct, rows(12)).await.unwrap(), 12);
    assert!(matches!(rows_of(distinct, rows(11)).await, Err(EngineError::ResultTooLarge)));
    let bytes = |bytes| ResultLimits { rows: usize::MAX, bytes };
    assert_eq!(rows_of(distinct, bytes(10_000)).await.unwrap(), 12);
    assert!(matches!(rows_of(distinct, bytes(100)).await, Err(EngineError::ResultTooLarge)));
    // Made-up values, and rows met with each other, are no rows of the dataset.
    for made_up in [
        "SELECT district || district FROM hz_health.visits",
        "SELECT a.person_id FROM hz_health.visits a JOIN hz_health.visits b ON a.person_id = b.person_id",
    ] {
        assert!(matches!(rows_of(made_up, rows(11)).await, Err(EngineError::ResultTooLarge)), "{made_up}");
    }
}

#[tokio::test]
async fn an_open_dataset_is_handed_out_whole_whatever_its_size() {
    let least = ResultLimits { rows: 1, bytes: 1 };
    for whole in [
        "SELECT person_id, district FROM hz_health.visits",
        "SELECT district AS d FROM hz_health.visits WHERE person_id >= 0 ORDER BY district",
    ] {
        assert_eq!(rows_of(whole, least).await.unwrap(), 24, "{whole}");
    }
}
