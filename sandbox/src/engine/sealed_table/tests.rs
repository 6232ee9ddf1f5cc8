//! The sealed table in a session: right answers, the keys it was given and no others, nothing left behind.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::common::ColumnStatistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::TableProvider;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::Partitioning;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::statistics::StatisticsContext;
use datafusion::prelude::SessionConfig;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::engine::read_through::rows_taken;
use crate::engine::sealed_table::SealedTable;
use crate::storage::SealMode;
use crate::storage::SealedVersion;
use crate::storage::testing::World;
use crate::storage::testing::visits;
use crate::storage::testing::visits_csv;

const ALL: [&str; 4] = ["person_id", "visit_date", "icd10", "cost"];

fn world() -> World {
    let mut world = World::new();
    world.limits.row_group_rows = 500;
    world.limits.part_rows = 2000;
    world
}

fn table(world: &World, version: &SealedVersion, columns: &[&str]) -> Arc<SealedTable> {
    let keys = version.unwrap_keys(&world.kms, columns).unwrap();
    Arc::new(SealedTable::open(version, &keys, columns).unwrap())
}

fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    SessionContext::new_with_config(config)
}

async fn ask(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

async fn number(context: &SessionContext, sql: &str) -> i64 {
    ask(context, sql).await[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn a_query_reads_the_sealed_rows() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    for partitions in [1, 2, 7] {
        let context = session(partitions);
        context.register_table("visits", table(&world, &sealed.version, &ALL)).unwrap();
        assert_eq!(number(&context, "select count(*) from visits").await, 5000);
        assert_eq!(number(&context, "select count(distinct person_id) from visits").await, 1000);
        assert_eq!(number(&context, "select count(*) from visits where icd10 = 'J03'").await, 1000);
        assert_eq!(number(&context, "select count(*) from visits where icd10 = 'Q99'").await, 0);
        assert_eq!(number(&context, "select count(*) from (select * from visits limit 7)").await, 7);
        let days = "select count(distinct visit_date) from visits where visit_date > date '2021-03-14'";
        assert_eq!(number(&context, days).await, 14);
    }
}

#[tokio::test]
async fn a_job_needs_the_keys_of_its_columns_only() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    // The first column's key is missing: its metadata stays closed and everything else must work without it.
    let context = session(3);
    context.register_table("visits", table(&world, &sealed.version, &["cost", "icd10"])).unwrap();
    assert_eq!(number(&context, "select count(*) from visits where icd10 = 'J03' and cost >= 0").await, 1000);
    assert_eq!(number(&context, "select count(*) from visits").await, 5000);
    assert!(context.sql("select person_id from visits").await.is_err());
    let schema = table(&world, &sealed.version, &["cost", "icd10"]).schema();
    assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["cost", "icd10"]);
}

#[tokio::test]
async fn a_table_without_a_columns_key_cannot_read_it() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(100, 1)).unwrap();
    let keys = sealed.version.unwrap_keys(&world.kms, &["cost"]).unwrap();
    let table = Arc::new(SealedTable::open(&sealed.version, &keys, &["cost", "icd10"]).unwrap());
    let context = session(2);
    context.register_table("visits", table).unwrap();
    assert!(context.sql("select icd10 from visits").await.unwrap().collect().await.is_err());
}

#[tokio::test]
async fn nothing_is_pruned_where_subjects_rows_stand_together_and_pages_only_with_every_key() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    for (columns, enabled) in [(&ALL[..], true), (&ALL[1..], false)] {
        let table = table(&world, &sealed.version, columns);
        let options = table.parquet_options().global;
        assert_eq!(options.pruning, !table.is_clustered());
        assert_eq!(options.enable_page_index, enabled && !table.is_clustered());
        let context = session(2);
        context.register_table("visits", table).unwrap();
        let sql = "select count(*) from visits where cost = 400.5 and icd10 > 'J01'";
        assert_eq!(number(&context, sql).await, 3);
    }
}

#[tokio::test]
async fn a_sealed_table_counts_the_rows_that_were_taken_of_each_part() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    let table = table(&world, &sealed.version, &ALL);
    let context = session(2);
    let plan = scan(&table, &context).await;
    let parts = plan.properties().output_partitioning().partition_count();
    let taken = || (0..parts).map(|part| rows_taken(plan.as_ref(), part)).collect::<Vec<_>>();
    assert!(taken().iter().all(|rows| *rows == 0));
    let batches = datafusion::physical_plan::collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
    assert!(taken().iter().all(|rows| *rows > 0), "{:?}", taken());
    assert_eq!(taken().iter().sum::<usize>(), batches.iter().map(RecordBatch::num_rows).sum::<usize>());
}

async fn scan(table: &SealedTable, context: &SessionContext) -> Arc<dyn ExecutionPlan> {
    table.scan(&context.state(), Some(&vec![0]), &[], None).await.unwrap()
}

async fn tokens(plan: &Arc<dyn ExecutionPlan>, partition: usize, context: &SessionContext) -> Vec<i64> {
    let stream = plan.execute(partition, context.task_ctx()).unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn partitions_are_runs_of_whole_row_groups() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    let table = table(&world, &sealed.version, &ALL);
    assert!(table.is_clustered());
    for partitions in [1, 2, 3, 4, 9, 100] {
        let context = session(partitions);
        let plan = scan(&table, &context).await;
        let count = plan.output_partitioning().partition_count();
        assert!(matches!(plan.output_partitioning(), Partitioning::UnknownPartitioning(_)));
        assert!(count <= partitions && (count == partitions || count == table.files.row_groups().len()));
        let mut all = Vec::new();
        for partition in 0..count {
            let mut these = tokens(&plan, partition, &context).await;
            assert!(!these.is_empty());
            assert!(all.last().is_none_or(|last| *last < these[0]), "a subject lies in two partitions");
            all.append(&mut these);
        }
        assert_eq!(all.len(), 5000);
        assert!(all.is_sorted());
    }
}

#[tokio::test]
async fn the_optimiser_leaves_partitions_as_they_are() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    let mut config = SessionConfig::new().with_target_partitions(8);
    config.options_mut().optimizer.repartition_file_min_size = 1;
    let context = SessionContext::new_with_config(config);
    context.register_table("visits", table(&world, &sealed.version, &ALL)).unwrap();
    let frame =
        context.sql("select icd10, sum(cost) from visits where cost > 1 group by icd10").await.unwrap();
    let plan = datafusion::physical_plan::displayable(frame.create_physical_plan().await.unwrap().as_ref())
        .indent(false)
        .to_string();
    assert!(!plan.contains(":0.."), "files were cut by bytes: {plan}");
}

#[tokio::test]
async fn nothing_of_a_table_is_printed() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(100, 1)).unwrap();
    let table = table(&world, &sealed.version, &ALL);
    let context = session(2);
    let plan = scan(&table, &context).await;
    let printed = format!("{table:?} {plan:?} {:?}", sealed.version.open_parts().unwrap());
    let keys = sealed.version.unwrap_keys(&world.kms, &ALL).unwrap();
    for part in keys.parts.values() {
        for key in part.columns.values().chain([&part.footer]) {
            let bytes = obscura_crypto::danger::key_bytes(key);
            let decimal = format!("{:?}", &bytes[..4]);
            assert!(!printed.contains(decimal.trim_matches(['[', ']'])));
        }
    }
    assert_eq!(format!("{table:?} {keys:?}"), "SealedTable ColumnKeys");
    assert!(!printed.contains("J00"), "statistics or values in a plan's text");
}

#[tokio::test]
async fn no_statistics_reach_the_plan_or_a_cache() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    let table = table(&world, &sealed.version, &ALL);
    let context = session(2);
    context.register_table("visits", Arc::clone(&table) as Arc<dyn TableProvider>).unwrap();
    assert_eq!(number(&context, "select count(*) from visits where cost > 3").await, 4985);
    assert!(table.statistics().is_none());
    let plan = scan(&table, &context).await;
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
    assert_eq!(statistics.num_rows, Precision::Absent);
    assert!(statistics.column_statistics.iter().all(|column| *column == ColumnStatistics::new_unknown()));
    let caches = &context.runtime_env().cache_manager;
    assert!(caches.get_file_statistic_cache().is_none_or(|cache| cache.is_empty()));
    assert_eq!(caches.get_file_metadata_cache().len(), 0);
}

#[tokio::test]
async fn a_damaged_file_fails_the_query() {
    let world = world();
    let sealed = world.seal(&visits(), SealMode::First, visits_csv(1000, 5)).unwrap();
    let table = table(&world, &sealed.version, &ALL);
    let path = world.data.version(sealed.version.dataset(), 1).join(&sealed.version.manifest().parts[0].name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    // Written through the same inode, as an attacker with the disk would.
    std::fs::write(&path, bytes).unwrap();
    let context = session(2);
    context.register_table("visits", table).unwrap();
    assert!(context.sql("select count(person_id) from visits").await.unwrap().collect().await.is_err());
}
