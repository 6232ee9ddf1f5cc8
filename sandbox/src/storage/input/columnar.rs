//! Parquet and Arrow IPC inputs.
//! It reads the dataset's columns only, and refuses to round or cut what does not fit.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimeUnit;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReaderBuilder;
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use crate::storage::error::StorageError;
use crate::storage::input::InputOptions;
use crate::storage::input::Opened;
use crate::storage::input::RowSink;
use crate::storage::input::RowSource;
use crate::storage::input::columnar::values::Values;
use crate::storage::input::counted;
use crate::storage::input::encoding;
use crate::storage::input::header;
use crate::storage::rows::BATCH_ROWS;
use crate::storage::spec::DatasetSpec;

mod values;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;
type Source = (Box<dyn RowSource + Send>, u64);

/// Opens Parquet from a file, or from a stream small enough to be held in memory.
pub(super) fn open_parquet(
    opened: Opened,
    bytes: &Arc<AtomicU64>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<Source, StorageError> {
    match opened {
        Opened::File(file, _) => parquet_rows(file, bytes, spec, options),
        Opened::Stream(stream, _) => {
            parquet_rows(held_in_memory(stream, "Parquet", options.memory_bytes)?, bytes, spec, options)
        }
    }
}

/// Opens an Arrow IPC file or stream.
pub(super) fn open_ipc(
    opened: Opened,
    bytes: &Arc<AtomicU64>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<Source, StorageError> {
    let is_file = opened.head().starts_with(b"ARROW1");
    match opened {
        Opened::File(file, _) if is_file => ipc_file(file, bytes, spec, options),
        Opened::Stream(stream, _) if is_file => {
            let held = held_in_memory(stream, "Arrow IPC", options.memory_bytes)?;
            ipc_file(std::io::Cursor::new(held), bytes, spec, options)
        }
        other => {
            let reader = StreamReader::try_new(counted(other.into_read(), bytes), None)
                .map_err(|_quotes_values| input("Arrow IPC", "the schema cannot be read"))?;
            let schema = reader.schema();
            let positions = find(spec, options, &schema)?;
            let source = ColumnarSource::new(Box::new(reader), positions.of_column, "Arrow IPC");
            Ok((Box::new(source), positions.ignored))
        }
    }
}

fn parquet_rows<R: ChunkReader + 'static>(
    file: R,
    bytes: &Arc<AtomicU64>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<Source, StorageError> {
    let bad = |reason| move |_quotes_values| input("Parquet", reason);
    let length = file.len();
    let metadata = metadata_of(&file).map_err(bad("the footer cannot be read"))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let schema = Arc::clone(builder.schema());
    let positions = find(spec, options, &schema)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), positions.of_column.iter().copied());
    let rows_total = builder.metadata().file_metadata().num_rows();
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(bad("the rows cannot be read"))?;
    let of_column = within_projection(&positions.of_column);
    let counted = CountedBatches {
        inner: Box::new(reader),
        bytes: Arc::clone(bytes),
        length,
        rows: 0,
        rows_total: u64::try_from(rows_total).unwrap_or(0),
    };
    let source = ColumnarSource::new(Box::new(counted), of_column, "Parquet");
    Ok((Box::new(source), positions.ignored))
}

/// A file's metadata, with times of 96 bits in microseconds: in nanoseconds they are years 1677 to 2262 and wrap around.
fn metadata_of<R: ChunkReader>(file: &R) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let is_96 = |at: usize| {
        roots
            .get(at)
            .is_some_and(|root| root.is_primitive() && root.get_physical_type() == PhysicalType::INT96)
    };
    let fields = metadata.schema().fields().iter().enumerate().map(|(at, field)| match field.data_type() {
        ArrowType::Timestamp(TimeUnit::Nanosecond, zone) if is_96(at) => {
            let micros = ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Arc::new(field.as_ref().clone().with_data_type(micros))
        }
        _ => Arc::clone(field),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    if schema.fields() == metadata.schema().fields() {
        return Ok(metadata);
    }
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
}

fn ipc_file<R: Read + std::io::Seek + Send + 'static>(
    file: R,
    bytes: &Arc<AtomicU64>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<Source, StorageError> {
    let counted = CountingSeek { inner: std::io::BufReader::new(file), bytes: Arc::clone(bytes) };
    let reader = FileReaderBuilder::new()
        .build(counted)
        .map_err(|_quotes_values| input("Arrow IPC", "the footer cannot be read"))?;
    let positions = find(spec, options, &reader.schema())?;
    let source = ColumnarSource::new(Box::new(reader), positions.of_column, "Arrow IPC");
    Ok((Box::new(source), positions.ignored))
}

fn find(
    spec: &DatasetSpec,
    options: &InputOptions,
    schema: &SchemaRef,
) -> Result<header::Positions, StorageError> {
    header::find(spec, &options.rename, schema.fields().iter().map(|f| f.name().as_str()))
}

/// A projected reader yields its columns in file order: positions among those.
fn within_projection(of_column: &[usize]) -> Vec<usize> {
    let mut sorted = of_column.to_vec();
    sorted.sort_unstable();
    of_column.iter().map(|at| sorted.iter().position(|s| s == at).unwrap_or_default()).collect()
}

fn held_in_memory(
    stream: Box<dyn Read + Send>,
    format: &'static str,
    most: usize,
) -> Result<Bytes, StorageError> {
    let mut held = Vec::new();
    let limit = most as u64;
    stream.take(limit + 1).read_to_end(&mut held).map_err(|error| encoding::read_failure(&error))?;
    if held.len() as u64 > limit {
        return Err(input(format, "a stream this large must be given as a file"));
    }
    Ok(Bytes::from(held))
}

fn input(format: &'static str, reason: &'static str) -> StorageError {
    StorageError::Input { format, reason }
}

struct ColumnarSource {
    batches: Batches,
    of_column: Vec<usize>,
    format: &'static str,
    row: u64,
    current: Vec<Values>,
    at: usize,
    length: usize,
}

impl ColumnarSource {
    fn new(batches: Batches, of_column: Vec<usize>, format: &'static str) -> Self {
        Self { batches, of_column, format, row: 0, current: Vec::new(), at: 0, length: 0 }
    }

    fn next_batch(&mut self) -> Result<bool, StorageError> {
        let Some(batch) = self.batches.next() else { return Ok(false) };
        let batch = batch.map_err(|_quotes_values| input(self.format, "the rows cannot be read"))?;
        let mut current = Vec::with_capacity(self.of_column.len());
        for at in &self.of_column {
            let column = batch.columns().get(*at);
            let column = column.ok_or_else(|| input(self.format, "a batch has too few columns"))?;
            let unread = |found| StorageError::ColumnType {
                format: self.format,
                column: batch.schema_ref().fields().get(*at).map(|f| f.name().clone()).unwrap_or_default(),
                found,
            };
            current.push(Values::new(column).map_err(unread)?);
        }
        self.current = current;
        self.at = 0;
        self.length = batch.num_rows();
        Ok(true)
    }
}

impl RowSource for ColumnarSource {
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError> {
        while !sink.is_full() {
            if self.at >= self.length {
                if !self.next_batch()? {
                    return Ok(false);
                }
                continue;
            }
            self.row += 1;
            let (current, at) = (&self.current, self.at);
            sink.row(self.row, |column, cell| match current.get(column) {
                Some(values) => values.cell(at, cell),
                None => Ok(crate::storage::cell::Cell::Null),
            })?;
            self.at += 1;
        }
        Ok(true)
    }
}

/// Counts a Parquet file's bytes by the share of rows read: its reader jumps about.
struct CountedBatches {
    inner: Batches,
    bytes: Arc<AtomicU64>,
    length: u64,
    rows: u64,
    rows_total: u64,
}

impl Iterator for CountedBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.inner.next();
        if let Some(Ok(batch)) = &next {
            self.rows += batch.num_rows() as u64;
            let share = u128::from(self.length) * u128::from(self.rows) / u128::from(self.rows_total.max(1));
            self.bytes.store(u64::try_from(share).unwrap_or(self.length), Ordering::Relaxed);
        }
        next
    }
}

struct CountingSeek<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingSeek<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<R: std::io::Seek> std::io::Seek for CountingSeek<R> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}
