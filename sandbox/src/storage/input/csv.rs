//! Delimited text with a header.
//! It reads whole records only and trusts no quote that is never closed.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use csv::ByteRecord;
use csv::Reader;
use csv::ReaderBuilder;

use crate::storage::error::BadRowReason;
use crate::storage::error::StorageError;
use crate::storage::input::InputOptions;
use crate::storage::input::RowSink;
use crate::storage::input::RowSource;
use crate::storage::input::header;
use crate::storage::spec::DatasetSpec;

/// Most bytes one row may hold: a quote that is never closed must not fill the memory.
pub(super) const ROW_BYTES_MAX: u64 = 16 << 20;
/// A malformed record over this many lines is a quote that is never closed, and what it swallowed are good rows.
const SWALLOWED_LINES_MAX: u64 = 100;
const BUFFER_BYTES: usize = 256 << 10;
const DELIMITERS: [u8; 4] = *b",\t;|";

/// Opens delimited text and reads its header.
pub(super) fn open(
    mut text: Box<dyn Read + Send>,
    spec: &DatasetSpec,
    options: &InputOptions,
    delimiter: Option<u8>,
) -> Result<(Box<dyn RowSource + Send>, u64), StorageError> {
    let mut first = Vec::new();
    let delimiter = match delimiter {
        Some(delimiter) => delimiter,
        None => {
            first = read_first_line(&mut text)?;
            find_delimiter(&first)
        }
    };
    let since_record = Arc::new(AtomicU64::new(0));
    let guarded = RowGuard {
        inner: Box::new(std::io::Cursor::new(first).chain(text)),
        since_record: Arc::clone(&since_record),
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(true)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(Box::new(guarded) as Box<dyn Read + Send>);
    let header = reader.byte_headers().map_err(|_quotes_values| input("no header can be read"))?.clone();
    let mut names = Vec::with_capacity(header.len());
    for name in &header {
        names.push(
            std::str::from_utf8(name).map_err(|_quotes_bytes| input("the header is not in the encoding"))?,
        );
    }
    let positions = header::find(spec, &options.rename, names.into_iter())?;
    let source = CsvSource {
        reader,
        record: ByteRecord::new(),
        width: header.len(),
        of_column: positions.of_column,
        since_record,
    };
    Ok((Box::new(source), positions.ignored))
}

struct CsvSource {
    reader: Reader<Box<dyn Read + Send>>,
    record: ByteRecord,
    width: usize,
    of_column: Vec<usize>,
    since_record: Arc<AtomicU64>,
}

impl RowSource for CsvSource {
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError> {
        while !sink.is_full() {
            self.since_record.store(0, Ordering::Relaxed);
            let line = self.reader.position().line();
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => self.take(sink)?,
                Ok(false) => return Ok(false),
                Err(error) => return Err(read_failure(&error, line)),
            }
        }
        Ok(true)
    }
}

impl CsvSource {
    fn take(&self, sink: &mut RowSink) -> Result<(), StorageError> {
        let line = self.record.position().map_or(0, csv::Position::line);
        if self.record.len() != self.width {
            let lines = self.reader.position().line().saturating_sub(line);
            if lines > SWALLOWED_LINES_MAX {
                return Err(StorageError::BadRow { line, column: None, reason: BadRowReason::Truncated });
            }
            return sink.bad_row(line, None, BadRowReason::FieldCount);
        }
        let (record, of_column) = (&self.record, &self.of_column);
        sink.row(line, |column, cell| {
            let bytes = of_column.get(column).and_then(|at| record.get(*at)).unwrap_or_default();
            let text = std::str::from_utf8(bytes).map_err(|_quotes_bytes| BadRowReason::Encoding)?;
            if text.contains('\u{FFFD}') {
                return Err(BadRowReason::Encoding);
            }
            cell.text(text)
        })
    }
}

fn read_failure(error: &csv::Error, line: u64) -> StorageError {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => {
            StorageError::BadRow { line, column: None, reason: BadRowReason::TooLong }
        }
        csv::ErrorKind::Io(io) => StorageError::disk("read the input")(io.kind().into()),
        _ => input("the rows cannot be told apart"),
    }
}

fn input(reason: &'static str) -> StorageError {
    StorageError::Input { format: "CSV", reason }
}

fn read_first_line(text: &mut impl Read) -> Result<Vec<u8>, StorageError> {
    let mut first = Vec::new();
    let mut chunk = [0_u8; 4096];
    while !first.contains(&b'\n') {
        let read = text.read(&mut chunk).map_err(StorageError::disk("read the input"))?;
        first.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if read == 0 {
            break;
        }
        if first.len() as u64 > ROW_BYTES_MAX {
            return Err(input("the header is too long"));
        }
    }
    Ok(first)
}

/// The delimiter that stands most often in the header; a comma when none does.
fn find_delimiter(first: &[u8]) -> u8 {
    let header = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|b| **b == delimiter).count();
    let mut best = (b',', count(b','));
    for delimiter in DELIMITERS {
        if count(delimiter) > best.1 {
            best = (delimiter, count(delimiter));
        }
    }
    best.0
}

/// Refuses to read on inside one row for ever.
struct RowGuard {
    inner: Box<dyn Read + Send>,
    since_record: Arc<AtomicU64>,
}

impl Read for RowGuard {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since_record.load(Ordering::Relaxed) > ROW_BYTES_MAX {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.since_record.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
