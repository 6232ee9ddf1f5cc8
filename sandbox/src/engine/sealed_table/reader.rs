//! Reads sealed files for the engine through the handles that were checked, with metadata opened once per job.
//! It caches nothing across jobs and never prints metadata, which carries the keys.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::storage::ColumnKeys;
use crate::storage::SealedVersion;
use crate::storage::StorageError;
use crate::storage::open_metadata;

/// A row group, in the order of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowGroup {
    pub(super) part: usize,
    pub(super) number: usize,
    pub(super) rows: u64,
}

/// The files of one version, opened for one job.
pub(super) struct SealedFiles {
    files: Vec<OpenFile>,
    row_groups: Vec<RowGroup>,
}

struct OpenFile {
    name: String,
    length: u64,
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
}

impl fmt::Debug for SealedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedFiles")
    }
}

impl SealedFiles {
    pub(super) fn open(
        version: &SealedVersion,
        keys: &ColumnKeys,
        schema: &SchemaRef,
    ) -> Result<Self, StorageError> {
        let mut files = Vec::new();
        let mut row_groups = Vec::new();
        for part in version.open_parts()? {
            let metadata = open_metadata(&part, keys)?;
            if metadata.file_metadata().schema_descr().num_columns() != schema.fields().len() {
                return Err(StorageError::Columnar { step: "find the sealed columns in a sealed file" });
            }
            for (number, group) in metadata.row_groups().iter().enumerate() {
                let rows = u64::try_from(group.num_rows()).unwrap_or_default();
                row_groups.push(RowGroup { part: files.len(), number, rows });
            }
            files.push(OpenFile {
                name: part.name().to_owned(),
                length: part.length(),
                file: part.into_file(),
                metadata: Arc::new(metadata),
            });
        }
        Ok(Self { files, row_groups })
    }

    pub(super) fn row_groups(&self) -> &[RowGroup] {
        &self.row_groups
    }

    pub(super) fn row_groups_of(&self, part: usize) -> usize {
        self.files.get(part).map_or(0, |file| file.metadata.num_row_groups())
    }

    pub(super) fn name_and_length(&self, part: usize) -> (String, u64) {
        self.files.get(part).map(|file| (file.name.clone(), file.length)).unwrap_or_default()
    }
}

impl ParquetFileReaderFactory for SealedFiles {
    fn create_reader(
        &self,
        _partition_index: usize,
        partitioned_file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>, DataFusionError> {
        let name = partitioned_file.object_meta.location.as_ref();
        let open = self.files.iter().find(|file| file.name == name);
        let open = open.ok_or_else(|| DataFusionError::Internal("a file that was not opened".to_owned()))?;
        Ok(Box::new(SealedReader { file: Arc::clone(&open.file), metadata: Arc::clone(&open.metadata) }))
    }
}

struct SealedReader {
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
}

impl AsyncFileReader for SealedReader {
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
