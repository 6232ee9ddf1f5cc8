//! One job's session: the abilities of an engine that are on by default are switched off here, one line each.
//! Nothing in it outlives the job.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::disk_manager::DiskManagerMode;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;

use crate::engine::EngineError;
use crate::engine::EngineLimits;
use crate::engine::engine_error;
use crate::engine::giving_way;

/// Makes a session without files, formats, functions by name, spill or shared caches.
///
/// # Errors
/// [`EngineError::Failed`] when the engine cannot set up its memory.
pub fn locked_down(limits: EngineLimits) -> Result<Arc<SessionState>, EngineError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|error| engine_error(&error))?;
    let mut config =
        SessionConfig::new().with_target_partitions(limits.partitions.max(1)).with_information_schema(false);
    let options = config.options_mut();
    // Statistics hold decrypted minima and maxima: none are collected, none are cached.
    options.execution.collect_statistics = false;
    // The run fold needs this: every partition that reaches it is a run of whole row groups, in order.
    options.execution.enable_file_stream_work_stealing = false;
    options.execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
    // The engine's two analyses of CASE differ in whether a value can be missing, and the wider one is right to run.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Such a filter is made of the rows of one side of a join, or of the best rows so far, and decides which rows are read.
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_round_robin_repartition = false;
    options.optimizer.repartition_file_scans = false;
    options.optimizer.repartition_sorts = false;
    Ok(session(config, runtime))
}

/// The same session with the same memory, in which nothing is cut into partitions.
#[must_use]
pub fn in_one_partition(state: &SessionState) -> Arc<SessionState> {
    session(state.config().clone().with_target_partitions(1), Arc::clone(state.runtime_env()))
}

fn session(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Arc<SessionState> {
    let builder = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime);
    Arc::new(builder.with_physical_optimizer_rules(giving_way::optimizer_rules()).build())
}
