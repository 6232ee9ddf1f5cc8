//! One sealed version as a table of one job: exactly the columns the job holds keys for.
//!
//! INVARIANT(partition-is-whole-row-groups): every partition is one run of neighbouring row groups, so that what is
//! clustered in the files is clustered in each partition, and no subject lies in two. It keeps no statistics and no
//! cache beyond its own life: decrypted minima and maxima of one job never reach another.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::common::ToDFSchema;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::physical_plan::FileScanConfigBuilder;
use datafusion::datasource::physical_plan::FileSource;
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
use object_store::memory::InMemory;

use crate::engine::sealed_table::reader::SealedFiles;
use crate::storage::ColumnKeys;
use crate::storage::SealedVersion;
use crate::storage::StorageError;

mod reader;

/// Address of a store that holds nothing: sealed files are read through the handles that were checked.
const STORE: &str = "sealed://obscura";

/// A sealed version with the keys of one job.
pub struct SealedTable {
    schema: SchemaRef,
    files: Arc<SealedFiles>,
    holds_every_key: bool,
    is_clustered: bool,
}

impl fmt::Debug for SealedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTable")
    }
}

impl SealedTable {
    /// Opens the files of a version with the keys of chosen columns.
    ///
    /// # Errors
    ///
    /// Fails when a file is not the one that was sealed, or a key is missing or wrong.
    pub fn open(version: &SealedVersion, keys: &ColumnKeys, columns: &[&str]) -> Result<Self, StorageError> {
        let whole = version.schema()?;
        let mut fields = Vec::with_capacity(columns.len());
        for column in columns {
            let missing = |_quotes| StorageError::NoSuchColumn { column: (*column).to_owned() };
            fields.push(whole.field_with_name(column).map_err(missing)?.clone());
        }
        let files = SealedFiles::open(version, keys, &whole)?;
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            files: Arc::new(files),
            holds_every_key: keys.covers(whole.fields().iter().map(|f| f.name().as_str())),
            is_clustered: version.is_clustered_whole(),
        })
    }

    /// True if each partition of a scan holds whole subjects only.
    #[must_use]
    pub fn is_clustered(&self) -> bool {
        self.is_clustered
    }

    fn parquet_options(&self) -> TableParquetOptions {
        let mut options = TableParquetOptions::default();
        // Where the rows of a subject stand together, times are scattered and pruning saves next to nothing, but one
        // person's extreme value would decide whether a row group is read. Rows in order of arrival are pruned by time.
        options.global.pruning = !self.is_clustered;
        // With a column's key missing the page index cannot be decoded, and trying fails the query.
        options.global.enable_page_index = self.holds_every_key && !self.is_clustered;
        options.global.bloom_filter_on_read = false;
        options.global.skip_metadata = true;
        options
    }

    /// Cuts all row groups, in order, into runs of about equally many rows.
    fn file_groups(&self, partitions: usize) -> Vec<FileGroup> {
        let row_groups = self.files.row_groups();
        let total: u64 = row_groups.iter().map(|group| group.rows).sum();
        let wanted = partitions.clamp(1, row_groups.len().max(1));
        let mut groups = Vec::with_capacity(wanted);
        let mut run = Vec::new();
        let mut seen: u128 = 0;
        for row_group in row_groups {
            run.push(*row_group);
            seen += u128::from(row_group.rows);
            let is_due = seen * wanted as u128 >= u128::from(total) * (groups.len() as u128 + 1);
            if is_due && groups.len() + 1 < wanted {
                groups.push(self.file_group(&run));
                run.clear();
            }
        }
        if !run.is_empty() {
            groups.push(self.file_group(&run));
        }
        groups
    }

    /// One file per part that the run touches, each with the row groups to read.
    fn file_group(&self, run: &[reader::RowGroup]) -> FileGroup {
        let mut files: Vec<(usize, ParquetAccessPlan)> = Vec::new();
        for row_group in run {
            match files.last_mut() {
                Some((part, plan)) if *part == row_group.part => plan.scan(row_group.number),
                _ => {
                    let mut plan = ParquetAccessPlan::new_none(self.files.row_groups_of(row_group.part));
                    plan.scan(row_group.number);
                    files.push((row_group.part, plan));
                }
            }
        }
        let partitioned = files.into_iter().map(|(part, plan)| {
            let (name, length) = self.files.name_and_length(part);
            PartitionedFile::new(name, length).with_extension(plan)
        });
        FileGroup::new(partitioned.collect())
    }
}

#[async_trait]
impl TableProvider for SealedTable {
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
        let mut source = ParquetSource::new(TableSchema::from(Arc::clone(&self.schema)))
            .with_table_parquet_options(self.parquet_options())
            .with_parquet_file_reader_factory(Arc::clone(&self.files) as _);
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = Arc::clone(&self.schema).to_dfschema()?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let groups = self.file_groups(state.config().target_partitions());
        // Declaring the partitioning keeps the optimiser from cutting files by bytes and idle partitions from taking
        // over the files of busy ones.
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

#[cfg(test)]
mod tests;
