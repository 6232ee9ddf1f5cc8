//! The first rows of an unlabelled file as texts: any of the formats that sealing reads, in memory, nothing kept.
//! It judges no value; the detectors do.

use std::fs::File;
use std::io::Read;

use arrow::array::Array as _;
use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use encoding_rs::GB18030;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::storage::Input;

/// Rows that are looked at.
pub(super) const ROWS_MAX: usize = 10_000;
/// Bytes of a text that are looked at.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Column names with the first values of each; a missing value is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sample {
    pub(super) columns: Vec<SampleColumn>,
}

/// One column of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleColumn {
    pub(super) name: String,
    pub(super) values: Vec<Option<String>>,
}

/// The file cannot be read as any format that sealing knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Sample {
    /// Reads the beginning of an input.
    pub(super) fn read(input: Input) -> Result<Self, Unreadable> {
        match input {
            Input::Path(path) => {
                let mut head = [0_u8; 6];
                let mut file = File::open(&path).map_err(|_| Unreadable)?;
                let read = file.read(&mut head).map_err(|_| Unreadable)?;
                let head = head.get(..read).unwrap_or_default();
                let again = || File::open(&path).map_err(|_| Unreadable);
                if head.starts_with(b"PAR1") {
                    Self::of_parquet(again()?)
                } else if head.starts_with(b"ARROW1") {
                    Self::of_arrow(again()?)
                } else {
                    Self::of_text(again()?)
                }
            }
            Input::Stream(stream) => Self::of_text(stream),
        }
    }

    fn of_parquet(file: File) -> Result<Self, Unreadable> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|_| Unreadable)?;
        let reader = builder.with_batch_size(ROWS_MAX).build().map_err(|_| Unreadable)?;
        reader
            .into_iter()
            .next()
            .map_or_else(|| Ok(Self::default()), |batch| of_batch(&batch.map_err(|_| Unreadable)?))
    }

    fn of_arrow(file: File) -> Result<Self, Unreadable> {
        let mut reader = FileReader::try_new(file, None).map_err(|_| Unreadable)?;
        reader.next().map_or_else(|| Ok(Self::default()), |batch| of_batch(&batch.map_err(|_| Unreadable)?))
    }

    fn of_text(stream: impl Read) -> Result<Self, Unreadable> {
        let mut bytes = Vec::new();
        stream.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).map_err(|_| Unreadable)?;
        // The last line may be cut, and with it a character.
        if bytes.len() as u64 == TEXT_BYTES_MAX
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            bytes.truncate(end);
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => GB18030.decode(error.as_bytes()).0.into_owned(),
        };
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') { Ok(of_json_lines(text)) } else { of_delimited(text) }
    }
}

fn of_batch(batch: &RecordBatch) -> Result<Sample, Unreadable> {
    let options = FormatOptions::default();
    let mut columns = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(|_| Unreadable)?;
        let value = |row: usize| (!array.is_null(row)).then(|| formatter.value(row).to_string());
        let rows = 0..batch.num_rows().min(ROWS_MAX);
        columns.push(SampleColumn { name: field.name().clone(), values: rows.map(value).collect() });
    }
    Ok(Sample { columns })
}

fn of_json_lines(text: &str) -> Sample {
    let mut sample = Sample::default();
    for (row, line) in text.lines().filter(|line| !line.trim().is_empty()).take(ROWS_MAX).enumerate() {
        // A malformed line is sealing's to report.
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else { continue };
        for (name, value) in fields {
            let text = match value {
                Value::Null => None,
                Value::String(text) => present(&text),
                other => Some(other.to_string()),
            };
            let known = sample.columns.iter().position(|column| column.name == name);
            let at = known.unwrap_or(sample.columns.len());
            if known.is_none() {
                sample.columns.push(SampleColumn { name, values: Vec::new() });
            }
            if let Some(column) = sample.columns.get_mut(at) {
                column.values.resize(row, None);
                column.values.push(text);
            }
        }
    }
    let rows = sample.columns.iter().map(|column| column.values.len()).max().unwrap_or(0);
    for column in &mut sample.columns {
        column.values.resize(rows, None);
    }
    sample
}

fn of_delimited(text: &str) -> Result<Sample, Unreadable> {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    let delimiter = *b",\t;|".iter().max_by_key(|delimiter| count(delimiter)).unwrap_or(&b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| Unreadable)?.clone();
    let column = |name: &str| SampleColumn { name: name.trim().to_owned(), values: Vec::new() };
    let mut sample = Sample { columns: header.iter().map(column).collect() };
    for record in reader.records().take(ROWS_MAX) {
        let Ok(record) = record else { continue };
        for (column, value) in sample.columns.iter_mut().zip(record.iter()) {
            column.values.push(present(value));
        }
    }
    Ok(sample)
}

/// A value, unless it is one of the texts that stand for a missing one.
fn present(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "?").then(|| text.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn sample(bytes: &[u8]) -> Sample {
        Sample::read(Input::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())))).unwrap()
    }

    #[test]
    fn header_and_values_are_found_in_comma_tab_and_semicolon_text() {
        for delimiter in [',', '\t', ';'] {
            let text = format!("a{delimiter}b\n1{delimiter}x\n?{delimiter}\n");
            let sample = sample(text.as_bytes());
            assert_eq!(sample.columns[0].values, [Some("1".to_owned()), None], "{delimiter}");
            assert_eq!(sample.columns[1].values, [Some("x".to_owned()), None], "{delimiter}");
        }
    }

    #[test]
    fn chinese_header_in_gb18030_is_read() {
        let (bytes, _, _) = GB18030.encode("姓名,金额\n张三,1\n");
        assert_eq!(sample(&bytes).columns[0].name, "姓名");
    }

    #[test]
    fn json_lines_with_different_fields_stay_aligned() {
        let sample = sample(b"{\"a\":1}\n{\"b\":\"x\"}\n{\"a\":2,\"b\":null}\n");
        assert_eq!(sample.columns[0].values, [Some("1".to_owned()), None, Some("2".to_owned())]);
        assert_eq!(sample.columns[1].values, [None, Some("x".to_owned()), None]);
    }
}
