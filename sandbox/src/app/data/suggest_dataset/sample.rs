//! The first rows of an unlabelled file as texts: any of the formats that sealing reads, in memory, nothing kept.
//! It judges no value; the detectors do.

use std::fs::File;
use std::io::Read;

use arrow::array::Array as _;
use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Map;
use serde_json::Value;

use crate::storage::Encoding;
use crate::storage::Input;
use crate::storage::StorageError;
use crate::storage::TextBeginning;
use crate::storage::is_missing;
use crate::storage::text_beginning;

/// Rows that are looked at.
pub(super) const ROWS_MAX: usize = 10_000;
/// Lines among which a header is looked for.
const HEADER_BELOW_MAX: usize = 12;
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

/// The error for a file that is no table of any format.
const UNREADABLE: StorageError =
    StorageError::Input { format: "any format", reason: "it is damaged or no table" };

fn unreadable<E>(_quotes_values: E) -> StorageError {
    UNREADABLE
}

impl Sample {
    /// Reads the beginning of an input.
    pub(super) fn read(input: Input, encoding: Option<Encoding>) -> Result<Self, StorageError> {
        match input {
            Input::Path(path) => {
                let mut head = [0_u8; 6];
                let mut file = File::open(&path).map_err(unreadable)?;
                let read = file.read(&mut head).map_err(unreadable)?;
                let head = head.get(..read).unwrap_or_default();
                let again = || File::open(&path).map_err(unreadable);
                if head.starts_with(b"PAR1") {
                    Self::of_parquet(again()?)
                } else if head.starts_with(b"ARROW1") {
                    Self::of_arrow(again()?)
                } else {
                    Self::of_text(Box::new(again()?), encoding)
                }
            }
            Input::Stream(stream) => Self::of_text(stream, encoding),
        }
    }

    fn of_parquet(file: File) -> Result<Self, StorageError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
        let reader = builder.with_batch_size(ROWS_MAX).build().map_err(unreadable)?;
        reader
            .into_iter()
            .next()
            .map_or_else(|| Ok(Self::default()), |batch| of_batch(&batch.map_err(unreadable)?))
    }

    fn of_arrow(file: File) -> Result<Self, StorageError> {
        let mut reader = FileReader::try_new(file, None).map_err(unreadable)?;
        reader.next().map_or_else(|| Ok(Self::default()), |batch| of_batch(&batch.map_err(unreadable)?))
    }

    fn of_text(stream: Box<dyn Read + Send>, encoding: Option<Encoding>) -> Result<Self, StorageError> {
        let TextBeginning { text, delimiter } = text_beginning(stream, encoding, TEXT_BYTES_MAX)?;
        let begin = text.trim_start();
        if begin.starts_with('{') {
            return Ok(of_objects(begin.lines().filter_map(|line| serde_json::from_str(line).ok())));
        }
        let behind = begin.strip_prefix('[').map(str::trim_start);
        if behind.is_some_and(|behind| behind.starts_with('{')) {
            let objects: Vec<Map<String, Value>> = serde_json::from_str(begin).map_err(unreadable)?;
            return Ok(of_objects(objects.into_iter()));
        }
        of_delimited(&text, delimiter)
    }
}

/// A share as a person writes it: never rounded to all or nothing.
pub(super) fn percent(part: usize, whole: usize) -> String {
    let tenths = part * 1000 / whole.max(1);
    let tenths = if part > 0 { tenths.max(1) } else { tenths };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn of_batch(batch: &RecordBatch) -> Result<Sample, StorageError> {
    let options = FormatOptions::default();
    let mut columns = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(unreadable)?;
        let value = |row: usize| (!array.is_null(row)).then(|| formatter.value(row).to_string());
        let rows = 0..batch.num_rows().min(ROWS_MAX);
        columns.push(SampleColumn { name: field.name().clone(), values: rows.map(value).collect() });
    }
    Ok(Sample { columns })
}

/// Fields of objects by name; what is no object is sealing's to report.
fn of_objects(objects: impl Iterator<Item = Map<String, Value>>) -> Sample {
    let mut sample = Sample::default();
    for (row, fields) in objects.take(ROWS_MAX).enumerate() {
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

fn of_delimited(text: &str, delimiter: u8) -> Result<Sample, StorageError> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(unreadable)?.clone();
    if let Some(line) = header_below(&header, text, delimiter) {
        return Err(StorageError::HeaderBelow { line });
    }
    // A line break within a name is there for the width of the column.
    let name = |name: &str| name.trim().lines().map(str::trim).collect::<String>();
    let column = |text: &str| SampleColumn { name: name(text), values: Vec::new() };
    let mut sample = Sample { columns: header.iter().map(column).collect() };
    for record in reader.records().take(ROWS_MAX) {
        let Ok(record) = record else { continue };
        for (column, value) in sample.columns.iter_mut().zip(record.iter()) {
            column.values.push(present(value));
        }
    }
    Ok(sample)
}

/// The line of the header, if the first record is a title: one cell that is filled, above lines with several.
fn header_below(first: &csv::StringRecord, text: &str, delimiter: u8) -> Option<u64> {
    let is_filled = |cell: &&str| !cell.trim().is_empty();
    if first.iter().filter(is_filled).count() != 1 {
        return None;
    }
    let filled = |line: &str| line.split(char::from(delimiter)).filter(is_filled).count();
    let mut lines = text.lines().zip(1_u64..).take(HEADER_BELOW_MAX);
    lines.find(|(line, _)| filled(line) > 1).map(|(_, number)| number)
}

/// A value, unless it is one of the texts that stand for a missing one.
fn present(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "?" && !is_missing(text)).then(|| text.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use encoding_rs::GB18030;

    use super::*;

    fn sample(bytes: &[u8]) -> Sample {
        Sample::read(Input::Stream(Box::new(std::io::Cursor::new(bytes.to_vec()))), None).unwrap()
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

    #[test]
    fn shapes_that_sealing_reads_are_sampled_and_a_title_is_named() {
        for text in ["sep=;\na;b\n1;x\n", "[{\"a\":1,\"b\":\"x\"}]", "\"\na\n\",b\n1,x\n"] {
            let sample = sample(text.as_bytes());
            let names: Vec<_> = sample.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!((names, &sample.columns[1].values), (vec!["a", "b"], &vec![Some("x".to_owned())]));
        }
        let title = Input::Stream(Box::new(&b"A list,,\n\na,b,c\n"[..]));
        assert!(matches!(Sample::read(title, None), Err(StorageError::HeaderBelow { line: 3 })));
    }
}
