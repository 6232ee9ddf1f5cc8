//! Plaintext Parquet read exactly as the product reads sealed Parquet: same partitions, same reader, no encryption.
//! It exists so that guarding can be measured without sealing; the product has no such table.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::common::ToDFSchema;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::physical_plan::FileScanConfigBuilder;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::logical_expr::TableType;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// Address of a store that holds nothing: the file is read through its open handle.
const STORE: &str = "plain://bench";
/// Name under which the one file appears in plans.
const FILE: &str = "lineitem.parquet";

/// One plaintext Parquet file.
#[derive(Debug)]
pub(crate) struct PlainTable {
    schema: SchemaRef,
    file: Arc<File>,
    length: u64,
    metadata: Arc<ParquetMetaData>,
}

impl PlainTable {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// When the file is missing or not Parquet.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
        Ok(Self {
            schema: Arc::clone(metadata.schema()),
            file: Arc::new(file),
            length,
            metadata: Arc::clone(metadata.metadata()),
        })
    }

    /// All row groups, in order, in runs of about equally many rows.
    fn file_groups(&self, partitions: usize) -> Vec<FileGroup> {
        let rows: Vec<u128> = self
            .metadata
            .row_groups()
            .iter()
            .map(|group| u128::try_from(group.num_rows()).unwrap_or_default())
            .collect();
        let total: u128 = rows.iter().sum();
        let wanted = partitions.clamp(1, rows.len().max(1));
        let mut runs: Vec<ParquetAccessPlan> = Vec::new();
        let mut open = ParquetAccessPlan::new_none(rows.len());
        let mut seen = 0;
        for (number, rows_here) in rows.iter().enumerate() {
            open.scan(number);
            seen += rows_here;
            let is_last = number + 1 == rows.len();
            if is_last
                || (seen * wanted as u128 >= total * (runs.len() as u128 + 1) && runs.len() + 1 < wanted)
            {
                runs.push(std::mem::replace(&mut open, ParquetAccessPlan::new_none(rows.len())));
            }
        }
        runs.into_iter()
            .map(|plan| FileGroup::new(vec![PartitionedFile::new(FILE, self.length).with_extension(plan)]))
            .collect()
    }
}

#[async_trait]
impl TableProvider for PlainTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let url = ObjectStoreUrl::parse(STORE)?;
        state.runtime_env().register_object_store(url.as_ref(), Arc::new(InMemory::new()));
        let mut options = TableParquetOptions::default();
        // As the sealed table does when a job lacks the keys of some columns, which is the usual case.
        options.global.enable_page_index = false;
        options.global.bloom_filter_on_read = false;
        options.global.skip_metadata = true;
        let reader = OneFile { file: Arc::clone(&self.file), metadata: Arc::clone(&self.metadata) };
        let mut source = ParquetSource::new(TableSchema::from(Arc::clone(&self.schema)))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = Arc::clone(&self.schema).to_dfschema()?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let groups = self.file_groups(state.config().target_partitions());
        let partitioning = Partitioning::UnknownPartitioning(groups.len());
        let config = FileScanConfigBuilder::new(url, Arc::new(source) as Arc<dyn FileSource>)
            .with_file_groups(groups)
            .with_output_partitioning(Some(partitioning))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[derive(Debug, Clone)]
struct OneFile {
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
}

impl ParquetFileReaderFactory for OneFile {
    fn create_reader(
        &self,
        _partition_index: usize,
        _partitioned_file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>, DataFusionError> {
        Ok(Box::new(self.clone()))
    }
}

impl AsyncFileReader for OneFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let mut all = self.get_byte_ranges(vec![range]).await?;
            all.pop().ok_or_else(|| ParquetError::General("nothing was read".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let file = Arc::clone(&self.file);
        async move {
            let read = tokio::task::spawn_blocking(move || {
                ranges.into_iter().map(|range| read_range(&file, range)).collect::<std::io::Result<Vec<_>>>()
            });
            let read = read.await.map_err(|cause| ParquetError::External(Box::new(cause)))?;
            read.map_err(|cause| ParquetError::External(Box::new(cause)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let metadata = Arc::clone(&self.metadata);
        async move { Ok(metadata) }.boxed()
    }
}

fn read_range(file: &File, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(std::io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(Bytes::from(bytes))
}
