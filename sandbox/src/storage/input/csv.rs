//! Delimited text with a header.
//! It reads whole records only, and trusts no quote that is never closed or that swallowed rows: lines are counted a second
//! time.

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
use crate::storage::input::Multiline;
use crate::storage::input::RowSink;
use crate::storage::input::RowSource;
use crate::storage::input::encoding;
use crate::storage::input::header;
use crate::storage::spec::DatasetSpec;
use crate::storage::words;

/// Most bytes one row may hold: a quote that is never closed must not fill the memory.
pub(super) const ROW_BYTES_MAX: u64 = 16 << 20;
/// If cells may hold any line breaks, a malformed record over more lines than this is a quote that is never closed.
const SWALLOWED_LINES_MAX: u64 = 100;
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes that are looked at before the header is read.
const HEAD_BYTES: u64 = 64 << 10;
/// Lines among which a header is looked for.
const HEADER_BELOW_MAX: usize = 12;
/// Lines that the name of one column may go over.
const HEADER_LINES_MAX: usize = 4;
const DELIMITERS: [u8; 4] = *b",\t;|";

/// Opens delimited text and reads its header.
pub(super) fn open(
    mut text: Box<dyn Read + Send>,
    spec: &DatasetSpec,
    options: &InputOptions,
    delimiter: Option<u8>,
) -> Result<(Box<dyn RowSource + Send>, u64), StorageError> {
    let head = read_head(&mut text)?;
    let (named, begin) = separator_line(&head);
    let body = head.get(begin..).unwrap_or_default();
    let delimiter = delimiter.or(named).unwrap_or_else(|| find_delimiter(first_line(body)));
    let since_record = Arc::new(AtomicU64::new(0));
    let lines = Arc::new(AtomicU64::new(0));
    let guarded = RowGuard {
        inner: Box::new(std::io::Cursor::new(body.to_vec()).chain(text)),
        since_record: Arc::clone(&since_record),
        lines: Arc::clone(&lines),
        is_blank: true,
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(true)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(Box::new(guarded) as Box<dyn Read + Send>);
    let header = reader.byte_headers().map_err(|error| read_failure(&error, 1))?.clone();
    let lines_before = u64::from(begin > 0);
    let positions = match columns_of(&header, delimiter, spec, options) {
        Err(StorageError::ColumnMissing { column, cells, found }) => {
            let below = header_below(body, spec, options);
            return Err(match below {
                Some(line) => StorageError::HeaderBelow { line: line + lines_before },
                None => StorageError::ColumnMissing { column, cells, found },
            });
        }
        found => found?,
    };
    let source = CsvSource {
        reader,
        lines_before,
        lines_read: written_lines(&header, delimiter).len() as u64,
        record: ByteRecord::new(),
        delimiter,
        width: header.len(),
        of_column: positions.of_column,
        since_record,
        lines,
        multiline: options.multiline,
    };
    Ok((Box::new(source), positions.ignored))
}

struct CsvSource {
    reader: Reader<Box<dyn Read + Send>>,
    record: ByteRecord,
    width: usize,
    delimiter: u8,
    of_column: Vec<usize>,
    since_record: Arc<AtomicU64>,
    /// Lines before the header that are no rows.
    lines_before: u64,
    /// Lines of the records read, as the parser told them apart.
    lines_read: u64,
    /// Lines of the text, as counted by its line ends alone.
    lines: Arc<AtomicU64>,
    multiline: Multiline,
}

impl RowSource for CsvSource {
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError> {
        while !sink.is_full() {
            self.since_record.store(0, Ordering::Relaxed);
            let line = self.reader.position().line() + self.lines_before;
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => self.take(sink)?,
                Ok(false) => return self.end(),
                Err(error) => return Err(read_failure(&error, line)),
            }
        }
        Ok(true)
    }
}

impl CsvSource {
    /// Ends only when the parser has seen every line that the text has.
    fn end(&self) -> Result<bool, StorageError> {
        if self.lines_read == self.lines.load(Ordering::Relaxed) {
            return Ok(false);
        }
        Err(input("its lines and its rows differ in number"))
    }

    fn take(&mut self, sink: &mut RowSink) -> Result<(), StorageError> {
        let line = self.record.position().map_or(0, csv::Position::line) + self.lines_before;
        let lines = written_lines(&self.record, self.delimiter);
        self.lines_read += lines.len() as u64;
        if self.is_below_table() {
            return sink.bad_row(line, None, BadRowReason::BelowTable);
        }
        let is_multiline = lines.len() > 1;
        if self.record.len() != self.width {
            // A quote that is never closed, or closed elsewhere, has swallowed good rows: they must not be skipped.
            let over = (self.reader.position().line() + self.lines_before).saturating_sub(line);
            let is_swallowed = is_multiline && self.multiline == Multiline::Ask;
            if is_swallowed || over > SWALLOWED_LINES_MAX {
                return Err(StorageError::BadRow { line, column: None, reason: BadRowReason::Truncated });
            }
            return sink.bad_row(line, None, BadRowReason::FieldCount);
        }
        if is_multiline {
            if self.multiline == Multiline::Ask && self.has_swallowed(&lines) {
                let last = line + (lines.len() as u64).saturating_sub(1);
                return Err(StorageError::SwallowedRows { first: line, last });
            }
            sink.report.rows_multiline += 1;
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

impl CsvSource {
    /// True if lines of one record look like rows: a quote in the one is closed by a quote in the other.
    ///
    /// It counts delimiters. A cell that really holds line breaks has as many delimiters as a row by chance only, and a
    /// steward who knows such a cell can allow it.
    fn has_swallowed(&self, lines: &[usize]) -> bool {
        let full = self.width.saturating_sub(1);
        let ends = lines.first() == Some(&full) && lines.last() == Some(&full);
        let is_full = |line: &[u8]| line.iter().filter(|byte| **byte == self.delimiter).count() == full;
        let holds_row = |field: &[u8]| {
            let mut inner: Vec<&[u8]> = field.split(|byte| matches!(byte, b'\n' | b'\r')).skip(1).collect();
            inner.pop();
            inner.into_iter().any(|line| !line.is_empty() && is_full(line))
        };
        ends || self.record.iter().any(holds_row)
    }

    /// True if the record is a line below the table: its first cell says so, and most others are empty.
    fn is_below_table(&self) -> bool {
        let mut filled = self.record.iter().map(<[u8]>::trim_ascii).filter(|cell| !cell.is_empty());
        let Some(first) = filled.next() else { return false };
        let others = filled.count();
        let is_sparse = others * 2 < self.width || self.width <= 3;
        is_sparse && std::str::from_utf8(first).is_ok_and(words::is_below_table)
    }
}

/// The lines that a record is written on and that hold anything, each with its delimiters, as if there were no quotes.
fn written_lines(record: &ByteRecord, delimiter: u8) -> Vec<usize> {
    let mut lines = Vec::with_capacity(1);
    let (mut delimiters, mut is_blank) = (0, true);
    for (at, field) in record.iter().enumerate() {
        if at > 0 {
            delimiters += 1;
            is_blank = false;
        }
        for byte in field {
            match *byte {
                b'\n' | b'\r' => {
                    if !is_blank {
                        lines.push(delimiters);
                    }
                    (delimiters, is_blank) = (0, true);
                }
                b'"' => {}
                other => {
                    delimiters += usize::from(other == delimiter);
                    is_blank = false;
                }
            }
        }
    }
    if !is_blank {
        lines.push(delimiters);
    }
    lines
}

fn read_failure(error: &csv::Error, line: u64) -> StorageError {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => {
            StorageError::BadRow { line, column: None, reason: BadRowReason::TooLong }
        }
        csv::ErrorKind::Io(io) => encoding::read_failure(io),
        _ => input("the rows cannot be told apart"),
    }
}

fn input(reason: &'static str) -> StorageError {
    StorageError::Input { format: "CSV", reason }
}

/// Finds the columns in a header. A name with delimiters or many lines comes from a quote that is closed rows later.
fn columns_of(
    header: &ByteRecord,
    delimiter: u8,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<header::Positions, StorageError> {
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        names.push(
            std::str::from_utf8(name).map_err(|_quotes_bytes| input("the header is not in the encoding"))?,
        );
    }
    let lines = |name: &str| name.trim().lines().count();
    let is_astray = |name: &&str| {
        lines(name) > HEADER_LINES_MAX || (lines(name) > 1 && name.as_bytes().contains(&delimiter))
    };
    if names.iter().any(is_astray) {
        let first = header.position().map_or(1, csv::Position::line);
        let last = first + (written_lines(header, delimiter).len() as u64).saturating_sub(1);
        return Err(StorageError::SwallowedRows { first, last });
    }
    header::find(spec, &options.rename, names.into_iter())
}

/// The line of the first text at which a header of all columns stands, below a title or the like.
fn header_below(body: &[u8], spec: &DatasetSpec, options: &InputOptions) -> Option<u64> {
    let lines = body.split(|byte| *byte == b'\n').zip(1_u64..).take(HEADER_BELOW_MAX).skip(1);
    let is_header = |line: &[u8]| {
        let delimiter = char::from(options.delimiter.unwrap_or_else(|| find_delimiter(line)));
        let Ok(line) = std::str::from_utf8(line) else { return false };
        let names = line.split(delimiter).map(|name| name.trim().trim_matches('"'));
        header::find(spec, &options.rename, names).is_ok()
    };
    lines.filter(|(line, _)| is_header(line)).map(|(_, number)| number).next()
}

/// The delimiter of a text, and where the table begins: behind a line that names it, or at the start.
pub(super) fn delimiter_of(head: &[u8]) -> (u8, usize) {
    let (named, begin) = separator_line(head);
    let body = head.get(begin..).unwrap_or_default();
    (named.unwrap_or_else(|| find_delimiter(first_line(body))), begin)
}

/// The delimiter that a first line such as `sep=;` names, and where the table begins behind it.
fn separator_line(head: &[u8]) -> (Option<u8>, usize) {
    let line = first_line(head);
    let text: Vec<u8> = line.iter().copied().filter(|byte| !matches!(byte, b'"' | b'\r')).collect();
    match text.as_slice() {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            (Some(*delimiter), head.len().min(line.len() + 1))
        }
        _ => (None, 0),
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

/// Reads enough bytes for a title, a header and some rows.
fn read_head(text: &mut impl Read) -> Result<Vec<u8>, StorageError> {
    let mut head = Vec::new();
    text.take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| encoding::read_failure(&error))?;
    Ok(head)
}

/// The delimiter that stands most often in the header; a comma when none does.
fn find_delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: u8| header.iter().filter(|b| **b == delimiter).count();
    let mut best = (b',', count(b','));
    for delimiter in DELIMITERS {
        if count(delimiter) > best.1 {
            best = (delimiter, count(delimiter));
        }
    }
    best.0
}

/// Refuses to read on inside one row for ever, and counts the lines that hold anything, by their ends alone.
struct RowGuard {
    inner: Box<dyn Read + Send>,
    since_record: Arc<AtomicU64>,
    lines: Arc<AtomicU64>,
    is_blank: bool,
}

impl RowGuard {
    fn count(&mut self, bytes: &[u8]) {
        let mut lines = 0;
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    lines += u64::from(!self.is_blank);
                    self.is_blank = true;
                }
                b'"' => {}
                _ => self.is_blank = false,
            }
        }
        // The last line may have no end.
        if bytes.is_empty() && !self.is_blank {
            lines += 1;
            self.is_blank = true;
        }
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Read for RowGuard {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since_record.load(Ordering::Relaxed) > ROW_BYTES_MAX {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.count(buffer.get(..read).unwrap_or_default());
        self.since_record.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
