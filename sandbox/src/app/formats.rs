//! A released table as bytes, in the forms that programs read.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::csv::WriterBuilder as CsvWriterBuilder;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::json::WriterBuilder as JsonWriterBuilder;
use arrow::json::writer::JsonArray;
use parquet::arrow::ArrowWriter;

use crate::error::AppError;
use crate::error::During as _;

/// A form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of objects.
    Json,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The registered media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Reads a table from an Arrow IPC stream.
///
/// # Errors
/// When the bytes are none.
pub fn decode_arrow(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let reader = StreamReader::try_new(bytes, None)?;
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    concat_batches(&schema, &batches)
}

/// Turns a released table from an Arrow stream into another form; one copy of it is held besides what is written.
///
/// # Errors
/// When the bytes are no table, or a column's type has no such form.
pub fn encode_stream(table: Vec<u8>, format: Format) -> Result<Vec<u8>, AppError> {
    match format {
        Format::Arrow => Ok(table),
        Format::Json | Format::Csv | Format::Parquet => {
            let batch = decode_arrow(&table).during("read a result")?;
            drop(table);
            encode(&batch, format)
        }
    }
}

/// Writes a table.
///
/// # Errors
/// When a column's type has no such form.
pub fn encode(batch: &RecordBatch, format: Format) -> Result<Vec<u8>, AppError> {
    const STEP: &str = "write a result";
    match format {
        Format::Json => {
            let mut writer =
                JsonWriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
            writer.write(batch).during(STEP)?;
            writer.finish().during(STEP)?;
            let mut bytes = writer.into_inner();
            if bytes.is_empty() {
                bytes.extend_from_slice(b"[]");
            }
            bytes.push(b'\n');
            Ok(bytes)
        }
        Format::Csv => {
            let mut writer = CsvWriterBuilder::new().with_header(true).build(Vec::new());
            writer.write(batch).during(STEP)?;
            Ok(writer.into_inner())
        }
        Format::Arrow => {
            let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).during(STEP)?;
            writer.write(batch).during(STEP)?;
            writer.into_inner().during(STEP)
        }
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).during(STEP)?;
            writer.write(batch).during(STEP)?;
            writer.into_inner().during(STEP)
        }
    }
}
