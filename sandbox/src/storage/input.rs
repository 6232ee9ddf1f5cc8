//! Reads a department's file or stream as rows of the dataset's columns, in one pass and flat memory.
//! It writes nothing; a malformed row is reported by line and reason, never by value.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arrow::array::Int64Array;
use arrow::record_batch::RecordBatch;
use jiff::tz::TimeZone;
use obscura_crypto::tokens::Tokenizer;
use obscura_policies::vocabulary::DataType;

use crate::storage::cell::Cell;
use crate::storage::error::BadRowReason;
use crate::storage::error::StorageError;
use crate::storage::input::fingerprint::Fingerprint;
use crate::storage::input::rejects::Rejects;
use crate::storage::rows::BatchBuilder;
use crate::storage::rows::ColumnReader;
use crate::storage::spec::DatasetSpec;
use crate::storage::spellings::Spellings;
use crate::storage::words;

mod columnar;
mod container;
mod csv;
mod encoding;
mod fingerprint;
mod header;
mod ndjson;
mod rejects;

/// Bad rows that are kept with line and reason; the rest is only counted.
const REPORTED_MAX: usize = 20;
/// Bytes looked at to tell formats apart.
const SNIFF_BYTES: usize = 4096;

/// The format of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text with a header.
    Csv,
    /// One JSON object a line, or an array of objects.
    Ndjson,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    ArrowIpc,
}

impl Format {
    /// Reads the word of `--format` or a file name's ending.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "parquet" | "pq" => Some(Self::Parquet),
            "arrow" | "arrows" | "ipc" | "feather" => Some(Self::ArrowIpc),
            _ => None,
        }
    }

    fn sniff(head: &[u8]) -> Self {
        let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        if head.starts_with(b"PAR1") {
            Self::Parquet
        } else if head.starts_with(b"ARROW1") || head.starts_with(b"\xFF\xFF\xFF\xFF") {
            Self::ArrowIpc
        } else if text.starts_with(b"{") || is_json_array(text) {
            Self::Ndjson
        } else {
            Self::Csv
        }
    }
}

/// True if a text begins an array of JSON objects; a header may begin with a bracket too.
fn is_json_array(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    rest.is_some_and(|rest| rest.starts_with(b"{") || rest.starts_with(b"]"))
}

/// Character encoding of a text input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte-order mark.
    Utf8,
    /// GB18030, and with it GBK and GB2312.
    Gb18030,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

impl Encoding {
    /// Reads the word of `--encoding`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Self::Utf8),
            "gb18030" | "gbk" | "gb2312" => Some(Self::Gb18030),
            "utf-16le" => Some(Self::Utf16Le),
            "utf-16be" => Some(Self::Utf16Be),
            _ => None,
        }
    }
}

/// The treatment of a malformed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRow {
    /// Stop: nothing is published.
    Stop,
    /// Leave it out and count it.
    Skip,
}

/// The meaning of line breaks within cells of delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiline {
    /// Text, unless the lines look like rows: then a quote went astray, and sealing stops.
    Ask,
    /// Text in any case.
    Allow,
}

/// A kind of text that was read as another value than it spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mending {
    /// A word such as `NULL` or `-`, read as a missing value.
    MissingWord,
    /// A unit key written as a number with places (`10000.0`), read as the whole number.
    KeyWithPlaces,
}

/// Settings for reading the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputOptions {
    /// Format; found from the name or the first bytes when not given.
    pub format: Option<Format>,
    /// Encoding of text formats; found when not given.
    pub encoding: Option<Encoding>,
    /// Delimiter of delimited text; found from the header when not given.
    pub delimiter: Option<u8>,
    /// Texts that stand for a missing value, compared after trimming.
    pub null_texts: Vec<String>,
    /// Columns of the input that carry another name: input name to column name.
    pub rename: BTreeMap<String, String>,
    /// The zone of the stored local times: instants are moved to it.
    pub time_zone: TimeZone,
    /// The treatment of a malformed row.
    pub on_bad_row: OnBadRow,
    /// Most malformed rows that may be left out, in millionths of all: more of them are no accident.
    pub bad_rows_max_ppm: u32,
    /// File that lists the rows that are left out.
    pub rejects: Option<PathBuf>,
    /// The meaning of line breaks within cells.
    pub multiline: Multiline,
    /// Most bytes of a binary stream that are held in memory (a Parquet or Arrow file must be seekable).
    pub memory_bytes: usize,
}

impl InputOptions {
    /// Malformed rows that may be left out unless the caller says otherwise: 1 %.
    pub const BAD_ROWS_PPM_STANDARD: u32 = 10_000;

    /// Detects format, encoding and delimiter, and stops at every irregularity.
    #[must_use]
    pub fn strict(memory_bytes: usize) -> Self {
        Self {
            format: None,
            encoding: None,
            delimiter: None,
            null_texts: Self::default_null_texts(),
            rename: BTreeMap::new(),
            time_zone: TimeZone::UTC,
            on_bad_row: OnBadRow::Stop,
            bad_rows_max_ppm: Self::BAD_ROWS_PPM_STANDARD,
            rejects: None,
            multiline: Multiline::Ask,
            memory_bytes,
        }
    }

    /// Texts that stand for a missing value unless the caller says otherwise.
    #[must_use]
    pub fn default_null_texts() -> Vec<String> {
        vec![String::new(), "?".to_owned()]
    }
}

/// The source of the rows.
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Anything else, such as standard input.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Path(_) => "Input::Path",
            Self::Stream(_) => "Input::Stream",
        })
    }
}

/// One malformed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Line (text) or row (binary formats), counted from 1.
    pub line: u64,
    /// Column to blame, if one is.
    pub column: Option<String>,
    /// The fault of this row.
    pub reason: BadRowReason,
}

/// Counts of the rows read, left out and corrected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputReport {
    /// Rows taken.
    pub rows: u64,
    /// Rows left out because they were malformed.
    pub rows_skipped: u64,
    /// Malformed rows by column, if one is to blame, and reason.
    pub skipped_by: BTreeMap<(Option<String>, BadRowReason), u64>,
    /// The first malformed rows.
    pub bad_rows: Vec<BadRow>,
    /// Columns of the input that the dataset document does not name and that were left out.
    pub columns_ignored: u64,
    /// Rows taken that carry the key of a subject.
    pub rows_with_subject: u64,
    /// Rows of delimited text that go over several lines.
    pub rows_multiline: u64,
    /// Cells that were read otherwise than they are written, by column.
    pub mended: BTreeMap<(String, Mending), u64>,
}

/// One pass over an input.
pub(crate) trait RowSource {
    /// Pushes the next rows into the sink; false when there are none left.
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError>;
}

/// An input that was opened: give it to [`Rows`].
pub(crate) struct OpenInput {
    source: Box<dyn RowSource + Send>,
    bytes: Arc<AtomicU64>,
    columns_ignored: u64,
}

/// Batches of the sealed schema, from any format.
pub(crate) struct Rows {
    source: Box<dyn RowSource + Send>,
    bytes: Arc<AtomicU64>,
    sink: RowSink,
    done: bool,
}

impl Rows {
    /// Opens an input and finds the dataset's columns in it.
    pub(crate) fn open(
        input: Input,
        spec: &DatasetSpec,
        readers: Vec<ColumnReader>,
        options: &InputOptions,
    ) -> Result<Self, StorageError> {
        let opened = open(input, spec, options)?;
        let rejects = options.rejects.as_deref().filter(|_| options.on_bad_row == OnBadRow::Skip);
        let mut sink = RowSink {
            builder: BatchBuilder::new(spec)?,
            readers: readers.into_iter().map(|reader| reader.in_zone(&options.time_zone)).collect(),
            null_texts: options.null_texts.clone(),
            on_bad_row: options.on_bad_row,
            report: InputReport::default(),
            spellings: Spellings::default(),
            fingerprint: Fingerprint::default(),
            rejects: rejects.map(Rejects::create).transpose()?,
        };
        sink.report.columns_ignored = opened.columns_ignored;
        Ok(Self { source: opened.source, bytes: opened.bytes, sink, done: false })
    }

    /// The next batch of good rows.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        while !self.done && !self.sink.builder.is_full() {
            self.done = !self.source.read_rows(&mut self.sink)?;
        }
        self.sink.builder.finish()
    }

    /// Bytes of the input read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Plain forms of the unit keys of the rows handed out since the last call, by column.
    pub(crate) fn plain_keys(&mut self) -> Vec<(usize, Int64Array)> {
        self.sink.spellings.drain()
    }

    /// The fingerprint of all rows taken, under a key; the list of rejects is written out.
    pub(crate) fn end(&mut self, key: &Tokenizer) -> Result<String, StorageError> {
        if let Some(rejects) = &mut self.sink.rejects {
            rejects.flush()?;
        }
        Ok(self.sink.fingerprint.under(key))
    }

    /// A column in which more numbers end in zeros from the 16th digit on than chance allows.
    pub(crate) fn cut_column(&self) -> Option<String> {
        let cut = self.sink.readers.iter().find(|reader| reader.holds_cut_numbers());
        cut.map(|reader| reader.spec().name.clone())
    }

    pub(crate) fn report(&self) -> &InputReport {
        &self.sink.report
    }
}

/// Takes rows from a reader: good ones into the batch, bad ones into the report.
pub(crate) struct RowSink {
    builder: BatchBuilder,
    readers: Vec<ColumnReader>,
    null_texts: Vec<String>,
    on_bad_row: OnBadRow,
    report: InputReport,
    spellings: Spellings,
    fingerprint: Fingerprint,
    rejects: Option<Rejects>,
}

impl RowSink {
    /// True if the batch has no room left.
    pub(crate) fn is_full(&self) -> bool {
        self.builder.is_full()
    }

    /// Takes one row whose cells `cell` yields by column position.
    pub(crate) fn row<'a, F>(&mut self, line: u64, mut cell: F) -> Result<(), StorageError>
    where
        F: FnMut(usize, &CellReader<'_>) -> Result<Cell<'a>, BadRowReason>,
    {
        let mut cells = Vec::with_capacity(self.readers.len());
        for (index, reader) in self.readers.iter().enumerate() {
            let context = CellReader { column: reader, null_texts: &self.null_texts };
            match cell(index, &context) {
                Ok(value) => cells.push(value),
                Err(reason) => {
                    let column = Some(reader.spec().name.clone());
                    return self.bad_row(line, column, reason);
                }
            }
        }
        self.builder.append(&cells)?;
        self.note(&cells, line)?;
        self.fingerprint.take(&cells);
        self.report.rows += 1;
        Ok(())
    }

    /// Counts corrected cells and spellings of unit keys in a row that was taken.
    fn note(&mut self, cells: &[Cell<'_>], line: u64) -> Result<(), StorageError> {
        let mut has_subject = false;
        for (index, (cell, reader)) in cells.iter().zip(&self.readers).enumerate() {
            let name = reader.spec().name.as_str();
            has_subject |= matches!(cell, Cell::Token(_) | Cell::Spelt(_));
            let mending = match cell {
                Cell::MissingWord => Some(Mending::MissingWord),
                Cell::Spelt(key) if key.sealed != key.written => Some(Mending::KeyWithPlaces),
                _ => None,
            };
            if let Some(mending) = mending {
                *self.report.mended.entry((name.to_owned(), mending)).or_default() += 1;
            }
            if let Cell::Spelt(key) = cell {
                self.spellings.take((index, name), *key, line)?;
            }
        }
        self.report.rows_with_subject += u64::from(has_subject);
        Ok(())
    }

    /// Reports a row that could not be read at all.
    pub(crate) fn bad_row(
        &mut self,
        line: u64,
        column: Option<String>,
        reason: BadRowReason,
    ) -> Result<(), StorageError> {
        // Some numbers that a spreadsheet cut pass their check by chance: one that fails shows that none can be trusted.
        let is_hopeless = reason == BadRowReason::CutNumber;
        match self.on_bad_row {
            OnBadRow::Skip if is_hopeless => Err(StorageError::BadRow { line, column, reason }),
            OnBadRow::Stop => Err(StorageError::BadRow { line, column, reason }),
            OnBadRow::Skip => {
                self.report.rows_skipped += 1;
                *self.report.skipped_by.entry((column.clone(), reason)).or_default() += 1;
                if let Some(rejects) = &mut self.rejects {
                    rejects.add(line, column.as_deref(), reason)?;
                }
                if self.report.bad_rows.len() < REPORTED_MAX {
                    self.report.bad_rows.push(BadRow { line, column, reason });
                }
                Ok(())
            }
        }
    }
}

/// Reads cells of one column.
pub(crate) struct CellReader<'s> {
    column: &'s ColumnReader,
    null_texts: &'s [String],
}

impl CellReader<'_> {
    pub(crate) fn column(&self) -> &ColumnReader {
        self.column
    }

    /// Reads a text, which may stand for a missing value.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Result<Cell<'a>, BadRowReason> {
        let text = text.trim();
        if self.null_texts.iter().any(|null| null == text) {
            return Ok(Cell::Null);
        }
        // A damaged or cut file holds NUL and other control characters; a label with one looks like another label and is
        // not it.
        if text.bytes().any(|byte| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7F) {
            return Err(BadRowReason::Control);
        }
        match self.column.read(text) {
            // If no value can be a word, a word for a missing value means a missing value.
            Err(_) if self.holds_no_words() && words::is_missing(text) => Ok(Cell::MissingWord),
            read => read,
        }
    }

    fn holds_no_words(&self) -> bool {
        !self.column.is_token() && self.column.spec().data_type != DataType::Text
    }

    /// Reads a text made on the way, for formats whose values are not text.
    pub(crate) fn owned_text(&self, text: &str) -> Result<Cell<'static>, BadRowReason> {
        Ok(match self.text(text)? {
            Cell::Text(text) => Cell::Owned(text.to_owned()),
            Cell::Owned(text) => Cell::Owned(text),
            Cell::Null => Cell::Null,
            Cell::Int(value) => Cell::Int(value),
            Cell::Decimal(value) => Cell::Decimal(value),
            Cell::Float(value) => Cell::Float(value),
            Cell::Date(value) => Cell::Date(value),
            Cell::Timestamp(value) => Cell::Timestamp(value),
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Token(value) => Cell::Token(value),
            Cell::Spelt(key) => Cell::Spelt(key),
            Cell::MissingWord => Cell::MissingWord,
        })
    }
}

fn open(input: Input, spec: &DatasetSpec, options: &InputOptions) -> Result<OpenInput, StorageError> {
    let bytes = Arc::new(AtomicU64::new(0));
    let named = match &input {
        Input::Path(path) => named_format(path),
        Input::Stream(_) => None,
    };
    let is_tsv = matches!(&input, Input::Path(path) if has_ending(path, "tsv"));
    let delimiter = options.delimiter.or(is_tsv.then_some(b'\t'));
    let chosen = options.format.or(named);
    let opened = unpacked(Opened::new(input)?)?;
    container::refuse(opened.head())?;
    let format = chosen.unwrap_or_else(|| Format::sniff(opened.head()));
    if matches!(format, Format::Csv | Format::Ndjson) && options.encoding.is_none() {
        container::refuse_wide_text(opened.head())?;
    }
    let (source, columns_ignored): (Box<dyn RowSource + Send>, u64) = match format {
        Format::Csv => {
            let text = encoding::decode(counted(opened.into_read(), &bytes), options.encoding);
            csv::open(text, spec, options, delimiter)?
        }
        Format::Ndjson => {
            let text = encoding::decode(counted(opened.into_read(), &bytes), options.encoding);
            (ndjson::open(text, spec, options)?, 0)
        }
        Format::Parquet => columnar::open_parquet(opened, &bytes, spec, options)?,
        Format::ArrowIpc => columnar::open_ipc(opened, &bytes, spec, options)?,
    };
    Ok(OpenInput { source, bytes, columns_ignored })
}

/// The beginning of a text that is not labelled yet, read as sealing reads it.
pub(crate) struct TextBeginning {
    /// The text in UTF-8 without a line that names the delimiter.
    pub(crate) text: String,
    /// The delimiter, if it is delimited text.
    pub(crate) delimiter: u8,
}

/// Reads the beginning of a text: whole lines of at most so many bytes.
pub(crate) fn text_beginning(
    stream: Box<dyn Read + Send>,
    encoding: Option<Encoding>,
    bytes_max: u64,
) -> Result<TextBeginning, StorageError> {
    let opened = unpacked(Opened::of_stream(stream)?)?;
    container::refuse(opened.head())?;
    if encoding.is_none() {
        container::refuse_wide_text(opened.head())?;
    }
    let mut bytes = Vec::new();
    let decoded = encoding::decode(opened.into_read(), encoding);
    decoded.take(bytes_max).read_to_end(&mut bytes).map_err(|error| encoding::read_failure(&error))?;
    // The last line may be cut, and with it a character.
    if bytes.len() as u64 == bytes_max
        && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
    {
        bytes.truncate(end);
    }
    let (delimiter, begin) = csv::delimiter_of(&bytes);
    let text = String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default()).into_owned();
    Ok(TextBeginning { text, delimiter })
}

/// The format by a file's name; `visits.csv.gz` has that of `visits.csv`.
fn named_format(path: &Path) -> Option<Format> {
    let stem = if has_ending(path, "gz") { path.file_stem().map(Path::new) } else { Some(path) };
    stem?.extension().and_then(|e| e.to_str()).and_then(Format::from_word)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Unpacks an input that is packed with gzip, whatever it is named.
fn unpacked(opened: Opened) -> Result<Opened, StorageError> {
    if !container::is_gzip(opened.head()) {
        return Ok(opened);
    }
    Opened::of_stream(container::unpack(opened.into_read()))
}

/// An input whose first bytes are known and still to be read.
enum Opened {
    File(File, Vec<u8>),
    Stream(Box<dyn Read + Send>, Vec<u8>),
}

impl Opened {
    fn new(input: Input) -> Result<Self, StorageError> {
        match input {
            Input::Path(path) => {
                let mut file = File::open(path).map_err(StorageError::disk("open the input"))?;
                let head = read_head(&mut file)?;
                std::io::Seek::rewind(&mut file).map_err(StorageError::disk("read the input"))?;
                Ok(Self::File(file, head))
            }
            Input::Stream(stream) => Self::of_stream(stream),
        }
    }

    fn of_stream(mut stream: Box<dyn Read + Send>) -> Result<Self, StorageError> {
        let head = read_head(&mut stream)?;
        Ok(Self::Stream(Box::new(std::io::Cursor::new(head.clone()).chain(stream)), head))
    }

    fn into_read(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file, _) => Box::new(file),
            Self::Stream(stream, _) => stream,
        }
    }

    fn head(&self) -> &[u8] {
        match self {
            Self::File(_, head) | Self::Stream(_, head) => head,
        }
    }
}

fn read_head(reader: &mut impl Read) -> Result<Vec<u8>, StorageError> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    reader.take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(|error| encoding::read_failure(&error))?;
    Ok(head)
}

fn counted(inner: Box<dyn Read + Send>, bytes: &Arc<AtomicU64>) -> Box<dyn Read + Send> {
    Box::new(CountingReader { inner, bytes: Arc::clone(bytes) })
}

/// Counts bytes for the progress bar.
struct CountingReader {
    inner: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
