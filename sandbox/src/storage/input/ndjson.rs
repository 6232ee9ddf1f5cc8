//! One JSON object a line, or an array of objects.
//! It takes single values only: a list or object where a value belongs is a malformed row. A key that no row names is an
//! error, as a missing column of a table is.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;

use crate::storage::cell::Cell;
use crate::storage::error::BadRowReason;
use crate::storage::error::StorageError;
use crate::storage::input::CellReader;
use crate::storage::input::InputOptions;
use crate::storage::input::RowSink;
use crate::storage::input::RowSource;
use crate::storage::input::csv::ROW_BYTES_MAX;
use crate::storage::input::encoding;
use crate::storage::input::header;
use crate::storage::input::is_json_array;
use crate::storage::spec::DatasetSpec;
use obscura_policies::vocabulary::DataType;

const BUFFER_BYTES: usize = 256 << 10;
/// Most keys without a column that are counted.
const IGNORED_MAX: usize = 1000;

/// Opens NDJSON. Columns may come in any order. A row may leave out any column but a unit key; no column may be left out of
/// all rows.
pub(super) fn open(
    text: Box<dyn Read + Send>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> Result<Box<dyn RowSource + Send>, StorageError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, text);
    let head = reader.fill_buf().map_err(|error| encoding::read_failure(&error))?;
    let is_array = is_json_array(head.trim_ascii_start());
    let source = NdjsonSource {
        reader,
        array: is_array.then_some(Array::Ahead),
        line: 0,
        buffer: Vec::new(),
        seen: vec![false; spec.columns.len()],
        ignored: BTreeSet::new(),
        spec: spec.clone(),
        rename: options.rename.clone(),
    };
    Ok(Box::new(source))
}

/// The position of the reader in an array of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    /// Before its bracket.
    Ahead,
    /// Behind its bracket, before an object or the end.
    First,
    /// Behind an object.
    Behind,
    /// Behind a comma.
    Comma,
}

struct NdjsonSource {
    reader: BufReader<Box<dyn Read + Send>>,
    /// Position in the array, if the input is one; its objects are counted in place of lines.
    array: Option<Array>,
    line: u64,
    buffer: Vec<u8>,
    spec: DatasetSpec,
    rename: std::collections::BTreeMap<String, String>,
    /// Columns that some row has named.
    seen: Vec<bool>,
    ignored: BTreeSet<String>,
}

/// The pairs of an object as they are written, a key that comes twice included.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collects;
        impl<'de> Visitor<'de> for Collects {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collects)
    }
}

impl RowSource for NdjsonSource {
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError> {
        while !sink.is_full() {
            let next = if self.array.is_some() { self.next_object()? } else { self.next_line()? };
            match next {
                Line::End => return self.end(sink),
                Line::TooLong => sink.bad_row(self.line, None, BadRowReason::TooLong)?,
                Line::Whole => self.take(sink)?,
            }
        }
        Ok(true)
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

impl NdjsonSource {
    fn next_line(&mut self) -> Result<Line, StorageError> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(ROW_BYTES_MAX);
        let read =
            limited.read_until(b'\n', &mut self.buffer).map_err(|error| encoding::read_failure(&error))?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        if self.buffer.ends_with(b"\n") || (read as u64) < ROW_BYTES_MAX {
            return Ok(Line::Whole);
        }
        self.skip_line()?;
        Ok(Line::TooLong)
    }

    /// The next object of an array, or its end, behind which nothing may stand.
    fn next_object(&mut self) -> Result<Line, StorageError> {
        self.buffer.clear();
        let array = |reason| StorageError::Input { format: "JSON array", reason };
        loop {
            let Some(byte) = self.next_byte()? else { return Err(array("the array is cut off")) };
            let (state, next) = match (self.array, byte) {
                (_, b' ' | b'\t' | b'\n' | b'\r') => continue,
                (Some(Array::Ahead), b'[') => (Array::First, false),
                (Some(Array::Behind), b',') => (Array::Comma, false),
                (Some(Array::First | Array::Comma), b'{') => (Array::Behind, true),
                (Some(Array::First | Array::Behind), b']') => break,
                _ => return Err(array("its elements are not all objects with commas between")),
            };
            self.array = Some(state);
            if next {
                self.line += 1;
                return self.rest_of_object();
            }
        }
        while let Some(byte) = self.next_byte()? {
            if !byte.is_ascii_whitespace() {
                return Err(array("something stands behind the array"));
            }
        }
        // A further call finds the end again.
        self.array = None;
        Ok(Line::End)
    }

    /// Takes an object whose brace is read, up to the brace that closes it.
    fn rest_of_object(&mut self) -> Result<Line, StorageError> {
        self.buffer.push(b'{');
        let (mut depth, mut is_in_text, mut is_escaped) = (1_u32, false, false);
        while depth > 0 {
            let line = self.line;
            let cut = move |reason| StorageError::BadRow { line, column: None, reason };
            if self.buffer.len() as u64 >= ROW_BYTES_MAX {
                return Err(cut(BadRowReason::TooLong));
            }
            let Some(byte) = self.next_byte()? else { return Err(cut(BadRowReason::Truncated)) };
            self.buffer.push(byte);
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_in_text => is_escaped = true,
                b'"' => is_in_text = !is_in_text,
                b'{' | b'[' if !is_in_text => depth += 1,
                b'}' | b']' if !is_in_text => depth -= 1,
                _ => {}
            }
        }
        Ok(Line::Whole)
    }

    fn next_byte(&mut self) -> Result<Option<u8>, StorageError> {
        let ready = self.reader.fill_buf().map_err(|error| encoding::read_failure(&error))?;
        let byte = ready.first().copied();
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn skip_line(&mut self) -> Result<(), StorageError> {
        loop {
            let ready = self.reader.fill_buf().map_err(|error| encoding::read_failure(&error))?;
            if ready.is_empty() {
                return Ok(());
            }
            let end = ready.iter().position(|b| *b == b'\n');
            let used = end.map_or(ready.len(), |at| at + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Ends only when each column was named by some row.
    fn end(&self, sink: &mut RowSink) -> Result<bool, StorageError> {
        sink.report.columns_ignored = self.ignored.len() as u64;
        let missing = self.seen.iter().zip(&self.spec.columns).find(|(seen, _)| !**seen);
        match missing {
            Some((_, column)) if sink.report.rows + sink.report.rows_skipped > 0 => {
                let found = self.seen.iter().filter(|seen| **seen).count() as u64;
                let cells = found + self.ignored.len() as u64;
                Err(StorageError::ColumnMissing { column: column.name.clone(), cells, found })
            }
            _ => Ok(false),
        }
    }

    fn take(&mut self, sink: &mut RowSink) -> Result<(), StorageError> {
        let Ok(text) = std::str::from_utf8(&self.buffer) else {
            return sink.bad_row(self.line, None, BadRowReason::Encoding);
        };
        if text.contains('\u{FFFD}') {
            return sink.bad_row(self.line, None, BadRowReason::Encoding);
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        let Pairs(object) = match serde_json::from_str(text) {
            Ok(object) => object,
            Err(error) if error.is_eof() => return sink.bad_row(self.line, None, BadRowReason::Truncated),
            Err(_quotes_values) => return sink.bad_row(self.line, None, BadRowReason::NotAnObject),
        };
        let mut values: Vec<Option<&Value>> = vec![None; self.spec.columns.len()];
        for (name, value) in &object {
            let Some(at) = header::column_of(&self.spec, &self.rename, name) else {
                if self.ignored.len() < IGNORED_MAX && !self.ignored.contains(name) {
                    self.ignored.insert(name.clone());
                }
                continue;
            };
            if values.get_mut(at).is_some_and(|slot| slot.replace(value).is_some()) {
                let column = self.spec.columns.get(at).map(|column| column.name.clone());
                return sink.bad_row(self.line, column, BadRowReason::KeyTwice);
            }
        }
        for ((seen, value), column) in self.seen.iter_mut().zip(&values).zip(&self.spec.columns) {
            *seen |= value.is_some();
            if column.token_of.is_some() && value.is_none() {
                return sink.bad_row(self.line, Some(column.name.clone()), BadRowReason::KeyMissing);
            }
        }
        sink.row(self.line, |column, cell| match values.get(column).copied().flatten() {
            None | Some(Value::Null) => Ok(Cell::Null),
            Some(Value::String(text)) => cell.owned_text(text),
            Some(Value::Bool(value)) => read_bool(*value, cell),
            Some(Value::Number(number)) => read_number(number, cell),
            Some(Value::Array(_) | Value::Object(_)) => Err(BadRowReason::NotScalar),
        })
    }
}

fn read_bool(value: bool, cell: &CellReader<'_>) -> Result<Cell<'static>, BadRowReason> {
    if !cell.column().is_token() && cell.column().spec().data_type == DataType::Bool {
        return Ok(Cell::Bool(value));
    }
    Err(BadRowReason::NotText)
}

fn read_number(number: &serde_json::Number, cell: &CellReader<'_>) -> Result<Cell<'static>, BadRowReason> {
    let is_text = cell.column().is_token() || cell.column().spec().data_type == DataType::Text;
    // The program that wrote a code of more than 64 bits, or one with places, as a number has already rounded it.
    if is_text && number.is_f64() {
        return Err(BadRowReason::NotText);
    }
    cell.owned_text(&number.to_string())
}
