//! The desk where an analyst asks: the guard's review, its guarded execution over rows in memory, and the keyed noise of the
//! control step. Beside it stand two desks that the product has not: exact answers, and noise that is drawn anew for each number.
//!
//! A statement is reviewed once and its stage is run once; the controls, and what is done with the released table, follow once
//! for every noise key, so that one statement is asked of as many installations as there are keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use anyhow::ensure;
use arrow::array::Array as _;
use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use chrono::DateTime;
use datafusion::catalog::MemTable;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::execution::EndsIn;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::execution::PlanRunner;
use obscura_query_guard::execution::PlanToRun;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::noise::BYTES_AT_ONCE;
use obscura_query_guard::noise::NoiseSource;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::reason::Reason;
use obscura_query_guard::verdict::Decision;
use obscura_sandbox::engine::EngineLimits;
use obscura_sandbox::engine::ResultLimits;
use obscura_sandbox::engine::locked_down;
use obscura_tests::guarded::engine::second_look_at;
use obscura_tests::guarded::policy::TODAY;
use ring::hmac;
use tokio::runtime::Runtime;

use crate::policy;
use crate::policy::BASE;

/// Memory of one run.
const MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// The protection of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protection {
    /// None: exact answers of a plain engine.
    Nothing,
    /// Thresholds, dominance and rounding, without noise.
    Threshold,
    /// The same with named noise of a deviation.
    Named(u32),
    /// Exact answers with noise of a deviation that is drawn anew for each number, and rounding: a comparison that is simulated.
    Fresh(u32),
}

/// One answer: each row's texts, and its numbers in the order of the columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Answer {
    /// The number at a place of the only row; nothing where it is withheld.
    pub(crate) fn number(&self, place: usize) -> Option<f64> {
        self.rows.first().and_then(|(_, numbers)| numbers.get(place).copied().flatten())
    }
}

/// A statement that was reviewed, and whose stage has run once it was admitted: controls and keys are still to come.
#[derive(Debug)]
pub(crate) enum Asked {
    Guarded {
        plan: Arc<GuardedPlan>,
        cells: Vec<Vec<RecordBatch>>,
    },
    Exact {
        answer: Answer,
        sql: String,
    },
    /// More columns meet in it than a policy with noise opens together: nothing is learned.
    Closed,
}

/// The desk.
pub(crate) struct Desk {
    pub(crate) protection: Protection,
    /// Fewest subjects of a cell.
    pub(crate) subjects_min: u32,
    policy: EffectivePolicy,
    keys: Vec<Arc<dyn NoiseSource>>,
    runtime: Runtime,
    state: Arc<SessionState>,
    /// The plain engine.
    plain: SessionContext,
}

impl Desk {
    /// A desk of a protection, asked with as many keys of noise. Without noise one is as many.
    pub(crate) fn new(protection: Protection, keys: usize, is_updated: bool) -> anyhow::Result<Self> {
        let (perturbation, keys) = match protection {
            Protection::Nothing | Protection::Threshold => (None, 1),
            Protection::Named(deviation) => (Some(deviation), keys),
            Protection::Fresh(_) => (None, keys),
        };
        let keys = (0..keys).map(|number| Arc::new(Key::of(number)) as Arc<dyn NoiseSource>).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let result = ResultLimits { rows: usize::MAX, bytes: usize::MAX };
        let limits = EngineLimits { memory_bytes: MEMORY_BYTES, time: Duration::MAX, partitions: 1, result };
        let state = locked_down(limits)?;
        let plain =
            SessionContext::new_with_state(SessionStateBuilder::new().with_default_features().build());
        let policy = policy::policy(perturbation, is_updated);
        let subjects_min = policy::subjects_min(perturbation);
        Ok(Desk { plain, protection, subjects_min, policy, keys, runtime, state })
    }

    /// Number of keys that each question is asked with.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Asks, and returns the answer of every key.
    pub(crate) fn ask(&self, rows: &RecordBatch, sql: &str) -> anyhow::Result<Vec<Answer>> {
        self.answers(&mut self.admit(rows, sql)?, rows, 1)
    }

    /// Reviews a statement; without a guard it is answered.
    pub(crate) fn admit(&self, rows: &RecordBatch, sql: &str) -> anyhow::Result<Asked> {
        if matches!(self.protection, Protection::Nothing | Protection::Fresh(_)) {
            return Ok(Asked::Exact { answer: self.exact(rows, sql)?, sql: sql.to_owned() });
        }
        let guard = Guard::new(&self.policy, DateTime::UNIX_EPOCH, TODAY);
        match guard.review(sql).decision {
            Decision::Admitted(plan) => {
                // A stage of bases may go before it, of which nothing is released.
                let bases = usize::from(plan.stages().last().is_some_and(|last| last.controls().homogeneity));
                ensure!(plan.stages().len() <= 1 + bases, "one stage: {sql}");
                Ok(Asked::Guarded { plan: Arc::new(*plan), cells: Vec::new() })
            }
            Decision::Refused { findings, .. }
                if findings.iter().all(|finding| finding.reason == Reason::TooManyColumnsMeet) =>
            {
                Ok(Asked::Closed)
            }
            Decision::Refused { findings, .. } => {
                let reasons: Vec<String> =
                    findings.iter().map(|finding| format!("{:?}", finding.reason)).collect();
                bail!("refused, {}: {sql}", reasons.join(", "))
            }
        }
    }

    /// The answers of every key to an admitted statement, over a version whose content has a digest of this number.
    pub(crate) fn answers(
        &self,
        asked: &mut Asked,
        rows: &RecordBatch,
        version: u32,
    ) -> anyhow::Result<Vec<Answer>> {
        (0..self.keys.len()).map(|key| self.answer(asked, rows, key, version)).collect()
    }

    fn answer(
        &self,
        asked: &mut Asked,
        rows: &RecordBatch,
        key: usize,
        version: u32,
    ) -> anyhow::Result<Answer> {
        match asked {
            Asked::Closed => Ok(Answer { rows: Vec::new() }),
            Asked::Exact { answer, sql } => Ok(match self.protection {
                Protection::Fresh(deviation) => fresh(answer, deviation, &format!("{key} {version} {sql}")),
                _ => answer.clone(),
            }),
            Asked::Guarded { plan, cells } => {
                let mut digest = [0; 32];
                digest[..4].copy_from_slice(&version.to_be_bytes());
                let context = ExecutionContext {
                    noise: Some(Arc::clone(&self.keys[key])),
                    versions: BTreeMap::from([(policy::dataset(), digest)]),
                    ..ExecutionContext::default()
                };
                let execution = plan.begin(context)?;
                let mut runner = Runner { state: &self.state, rows, cells, stage: 0 };
                let release = self.runtime.block_on(execution.run(&mut runner))?;
                read(release.batch())
            }
        }
    }

    fn exact(&self, rows: &RecordBatch, sql: &str) -> anyhow::Result<Answer> {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
        self.plain.deregister_table("register")?;
        self.plain.register_table("register", Arc::new(table))?;
        let batches = self.runtime.block_on(async { self.plain.sql(sql).await?.collect().await })?;
        let schema = batches.first().map_or_else(|| rows.schema(), RecordBatch::schema);
        read(&arrow::compute::concat_batches(&schema, &batches)?)
    }
}

/// Runs the plans of an execution, a stage over the sealed rows once.
struct Runner<'r> {
    state: &'r Arc<SessionState>,
    rows: &'r RecordBatch,
    cells: &'r mut Vec<Vec<RecordBatch>>,
    stage: usize,
}

impl PlanRunner for Runner<'_> {
    type Error = anyhow::Error;

    async fn run(&mut self, due: PlanToRun) -> anyhow::Result<Vec<RecordBatch>> {
        if self.stage >= self.cells.len() {
            second_look_at(&due, self.state).map_err(anyhow::Error::msg)?;
        }
        if let EndsIn::Result = due.ends() {
            let plan = resolve(due.plan(), &|name| Some(due.released().get(name)?.batch().clone()))?;
            // The last plan is small and runs once for every key: its types are made to agree, and it is not optimised.
            let plan =
                self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {})?;
            let planner = Arc::clone(self.state.query_planner());
            let physical = planner.create_physical_plan(&plan, self.state.as_ref()).await?;
            return run(self.state, physical).await;
        }
        let known = self.cells.get(self.stage).cloned();
        self.stage += 1;
        match known {
            Some(known) => Ok(known),
            None => {
                let plan = resolve(due.plan(), &|_| Some(self.rows.clone()))?;
                let physical = self.state.create_physical_plan(&plan).await?;
                let cells = run(self.state, physical).await?;
                self.cells.push(cells.clone());
                Ok(cells)
            }
        }
    }
}

/// A plan over the tables that its names stand for.
fn resolve(plan: &LogicalPlan, table: &dyn Fn(&str) -> Option<RecordBatch>) -> anyhow::Result<LogicalPlan> {
    let resolved = plan.clone().transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let unknown = || DataFusionError::Plan(format!("unknown table {}", scan.table_name));
        let batch = table(&scan.table_name.to_string()).ok_or_else(unknown)?;
        let schema = batch.schema();
        let fields = scan.projected_schema.fields().iter();
        let columns = fields.map(|field| schema.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
        let source = provider_as_source(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?));
        let read = LogicalPlanBuilder::scan(scan.table_name.clone(), source, Some(columns))?;
        Ok(Transformed::yes(read.build()?))
    });
    Ok(resolved?.data)
}

async fn run(state: &Arc<SessionState>, plan: Arc<dyn ExecutionPlan>) -> anyhow::Result<Vec<RecordBatch>> {
    Ok(collect(plan, Arc::new(TaskContext::from(state.as_ref()))).await?)
}

/// Reads a result: texts together, numbers one by one.
fn read(batch: &RecordBatch) -> anyhow::Result<Answer> {
    let mut rows = vec![(String::new(), Vec::new()); batch.num_rows()];
    for column in batch.columns() {
        if matches!(column.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::Boolean) {
            let texts = cast(column, &DataType::Utf8)?;
            for ((label, _), text) in rows.iter_mut().zip(texts.as_string::<i32>()) {
                label.push_str(text.unwrap_or("none"));
            }
            continue;
        }
        let numbers = cast(column, &DataType::Float64)?;
        for ((_, row), number) in rows.iter_mut().zip(numbers.as_primitive::<Float64Type>()) {
            row.push(number);
        }
    }
    Ok(Answer { rows })
}

/// Exact numbers with a draw for each that no other number has, rounded as counts are.
fn fresh(exact: &Answer, deviation: u32, seed: &str) -> Answer {
    let key = Key::of(usize::MAX);
    let (family, base) = (policy::dataset(), f64::from(BASE));
    let mut place = 0;
    let mut moved = |number: f64| {
        place += 1;
        let name = format!("{seed} {place}");
        let noise = obscura_query_guard::noise::draw(&key, &family, name.as_bytes(), deviation * deviation);
        let noise = f64::from(i32::try_from(noise.unwrap_or(0)).unwrap_or(0));
        ((number + noise) / base).round() * base
    };
    let rows = exact.rows.iter().map(|(label, numbers)| {
        (label.clone(), numbers.iter().map(|number| number.map(&mut moved)).collect())
    });
    Answer { rows: rows.collect() }
}

/// A keyed source as the product's is: the HMAC-SHA256 of block and name. Its keys are made of numbers, so that a run is the same
/// every time.
#[derive(Debug)]
struct Key(hmac::Key);

impl Key {
    fn of(number: usize) -> Self {
        Key(hmac::Key::new(hmac::HMAC_SHA256, format!("key {number} of the programs").as_bytes()))
    }
}

impl NoiseSource for Key {
    fn fill(&self, _family: &DatasetId, name: &[u8], block: u32, bytes: &mut [u8; BYTES_AT_ONCE]) -> bool {
        let mut signed = hmac::Context::with_key(&self.0);
        signed.update(&block.to_be_bytes());
        signed.update(name);
        bytes.copy_from_slice(signed.sign().as_ref());
        true
    }
}
