//! A released table as bytes, in the forms that programs read.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::compute::cast;
use arrow::compute::concat_batches;
use arrow::csv::WriterBuilder as CsvWriterBuilder;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::app::query::described::Missing;
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
        Format::Json => json(batch).during(STEP),
        Format::Csv => {
            let mut writer = CsvWriterBuilder::new().with_header(true).build(Vec::new());
            writer.write(&with_marks(batch).during(STEP)?).during(STEP)?;
            Ok(writer.into_inner())
        }
        Format::Arrow => {
            let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).during(STEP)?;
            writer.write(batch).during(STEP)?;
            writer.into_inner().during(STEP)
        }
        Format::Parquet => {
            let schema = batch.schema();
            let said = schema.metadata().iter();
            let said = said.map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
            let properties = WriterProperties::builder().set_key_value_metadata(Some(said)).build();
            let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).during(STEP)?;
            writer.write(batch).during(STEP)?;
            writer.into_inner().during(STEP)
        }
    }
}

/// The mark of a withheld cell in CSV, as in statistical tables; a value that the data lacks is written as nothing at all.
const WITHHELD: &str = "*";

/// The table, in which withheld cells are marked.
fn with_marks(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let has_withheld =
        |field: &Field, column: &ArrayRef| Missing::of(field) == Missing::Withheld && column.null_count() > 0;
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if !has_withheld(field, column) {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
            continue;
        }
        let texts = cast(column, &DataType::Utf8)?;
        let marked = texts.as_string::<i32>().iter().map(|text| Some(text.unwrap_or(WITHHELD)));
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        columns.push(Arc::new(marked.collect::<StringArray>()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// An array of objects. A value that the data lacks is null; a cell that was withheld is not there.
fn json(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let schema = batch.schema();
    let options = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"));
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        columns.push(JsonColumn {
            name: serde_json::to_string(field.name())
                .map_err(|error| ArrowError::JsonError(error.to_string()))?,
            is_text: !(column.data_type().is_numeric() || *column.data_type() == DataType::Boolean),
            missing: Missing::of(field),
            values: column,
            texts: ArrayFormatter::try_new(column.as_ref(), &options)?,
        });
    }
    let mut text = String::from("[");
    for row in 0..batch.num_rows() {
        text.push_str(if row == 0 { "{" } else { ",{" });
        let mut is_first = true;
        for column in &columns {
            let Some(value) = column.value(row)? else { continue };
            text.push_str(if is_first { "" } else { "," });
            is_first = false;
            text.push_str(&column.name);
            text.push(':');
            text.push_str(&value);
        }
        text.push('}');
    }
    text.push_str("]\n");
    Ok(text.into_bytes())
}

/// One column on its way into JSON.
struct JsonColumn<'a> {
    name: String,
    is_text: bool,
    missing: Missing,
    values: &'a ArrayRef,
    texts: ArrayFormatter<'a>,
}

impl JsonColumn<'_> {
    /// A value as JSON; nothing where it was withheld.
    fn value(&self, row: usize) -> Result<Option<String>, ArrowError> {
        if self.values.is_null(row) {
            return Ok((self.missing != Missing::Withheld).then(|| "null".to_owned()));
        }
        let text = self.texts.value(row).to_string();
        if self.is_text {
            let text =
                serde_json::to_string(&text).map_err(|error| ArrowError::JsonError(error.to_string()))?;
            return Ok(Some(text));
        }
        // JSON has no infinite numbers.
        let is_number =
            text.parse::<f64>().is_ok_and(f64::is_finite) || matches!(text.as_str(), "true" | "false");
        Ok(Some(if is_number { text } else { "null".to_owned() }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::HashMap;

    use arrow::array::Float64Array;
    use arrow::array::Int64Array;

    use super::*;

    /// Two groups, one of a missing key, and one cell withheld.
    fn table(with_roles: bool) -> RecordBatch {
        let field = |name: &str, data_type: DataType, role: &str| {
            let field = Field::new(name, data_type, true);
            if with_roles {
                field.with_metadata(HashMap::from([("obscura.role".to_owned(), role.to_owned())]))
            } else {
                field
            }
        };
        let schema = Schema::new(vec![
            field("ward", DataType::Utf8, "key"),
            field("n", DataType::Int64, "cell"),
            field("share", DataType::Float64, "computed"),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("a \"b\", c"), None])),
            Arc::new(Int64Array::from(vec![None, Some(20)])),
            Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::INFINITY)])),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    fn written(batch: &RecordBatch, format: Format) -> String {
        String::from_utf8(encode(batch, format).unwrap()).unwrap()
    }

    #[test]
    fn a_missing_key_and_a_withheld_cell_are_told_apart() {
        assert_eq!(
            written(&table(true), Format::Json),
            "[{\"ward\":\"a \\\"b\\\", c\",\"share\":0.5},{\"ward\":null,\"n\":20,\"share\":null}]\n"
        );
        assert_eq!(written(&table(true), Format::Csv), "ward,n,share\n\"a \"\"b\"\", c\",*,0.5\n,20,inf\n");
    }

    #[test]
    fn open_data_says_nothing_of_what_is_missing() {
        assert!(written(&table(false), Format::Json).contains("\"n\":null"));
        assert!(written(&table(false), Format::Csv).contains("\n,20,inf\n"));
        let empty = table(true).slice(0, 0);
        assert_eq!(written(&empty, Format::Json), "[]\n");
    }

    #[test]
    fn a_parquet_file_keeps_what_the_table_says_of_itself() {
        let schema = table(true).schema().as_ref().clone();
        let said = HashMap::from([("obscura.job".to_owned(), "j1".to_owned())]);
        let batch = table(true).with_schema(Arc::new(schema.with_metadata(said))).unwrap();
        let bytes = bytes::Bytes::from(encode(&batch, Format::Parquet).unwrap());
        let file = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(file.schema().metadata().get("obscura.job").map(String::as_str), Some("j1"));
        assert_eq!(file.schema().field(0).metadata().get("obscura.role").map(String::as_str), Some("key"));
        let pairs = file.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(pairs.iter().any(|pair| pair.key == "obscura.job"));
    }
}
