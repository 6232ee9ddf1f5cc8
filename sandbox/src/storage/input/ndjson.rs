//! One JSON object a line.
//! It takes single values only: a list or object where a value belongs is a malformed row.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;

use serde_json::Map;
use serde_json::Value;

use crate::storage::cell::Cell;
use crate::storage::error::BadRowReason;
use crate::storage::error::StorageError;
use crate::storage::input::CellReader;
use crate::storage::input::InputOptions;
use crate::storage::input::RowSink;
use crate::storage::input::RowSource;
use crate::storage::input::csv::ROW_BYTES_MAX;
use crate::storage::input::header;
use crate::storage::spec::DatasetSpec;
use obscura_policies::vocabulary::DataType;

const BUFFER_BYTES: usize = 256 << 10;

/// Opens NDJSON. Columns may come in any order and be left out of a row.
pub(super) fn open(
    text: Box<dyn Read + Send>,
    spec: &DatasetSpec,
    options: &InputOptions,
) -> (Box<dyn RowSource + Send>, u64) {
    let source = NdjsonSource {
        reader: BufReader::with_capacity(BUFFER_BYTES, text),
        line: 0,
        buffer: Vec::new(),
        spec: spec.clone(),
        rename: options.rename.clone(),
    };
    (Box::new(source), 0)
}

struct NdjsonSource {
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
    buffer: Vec<u8>,
    spec: DatasetSpec,
    rename: std::collections::BTreeMap<String, String>,
}

impl RowSource for NdjsonSource {
    fn read_rows(&mut self, sink: &mut RowSink) -> Result<bool, StorageError> {
        while !sink.is_full() {
            match self.next_line()? {
                Line::End => return Ok(false),
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
        let disk = StorageError::disk("read the input");
        let mut limited = (&mut self.reader).take(ROW_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(disk)?;
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

    fn skip_line(&mut self) -> Result<(), StorageError> {
        loop {
            let ready = self.reader.fill_buf().map_err(StorageError::disk("read the input"))?;
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

    fn take(&self, sink: &mut RowSink) -> Result<(), StorageError> {
        let Ok(text) = std::str::from_utf8(&self.buffer) else {
            return sink.bad_row(self.line, None, BadRowReason::Encoding);
        };
        if text.contains('\u{FFFD}') {
            return sink.bad_row(self.line, None, BadRowReason::Encoding);
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        let object: Map<String, Value> = match serde_json::from_str(text) {
            Ok(object) => object,
            Err(error) if error.is_eof() => return sink.bad_row(self.line, None, BadRowReason::Truncated),
            Err(_quotes_values) => return sink.bad_row(self.line, None, BadRowReason::NotAnObject),
        };
        let mut values: Vec<Option<&Value>> = vec![None; self.spec.columns.len()];
        for (name, value) in &object {
            let slot = header::column_of(&self.spec, &self.rename, name).and_then(|at| values.get_mut(at));
            if let Some(slot) = slot {
                *slot = Some(value);
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
    // A code of more than 64 bits, or one with places, was already rounded by whoever wrote it as a number.
    if is_text && number.is_f64() {
        return Err(BadRowReason::NotText);
    }
    cell.owned_text(&number.to_string())
}
