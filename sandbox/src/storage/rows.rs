//! Builds typed record batches row by row: a malformed row leaves no trace in any column.
//! Unit keys become tokens here, so that no raw identifier goes further.

use std::cell::Cell as Counter;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BooleanBuilder;
use arrow::array::Date32Builder;
use arrow::array::Decimal128Builder;
use arrow::array::Float64Builder;
use arrow::array::Int64Builder;
use arrow::array::StringBuilder;
use arrow::array::TimestampMicrosecondBuilder;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use jiff::tz::TimeZone;
use obscura_crypto::tokens::Tokenizer;
use obscura_policies::identifiers::canonical;
use obscura_policies::identifiers::has_form;
use obscura_policies::identifiers::plain_form;
use obscura_policies::vocabulary::DataType;

use crate::storage::cell::Cell;
use crate::storage::cell::DECIMAL_PRECISION;
use crate::storage::cell::SpeltKey;
use crate::storage::cell::narrow;
use crate::storage::cell::parse_cell;
use crate::storage::error::BadRowReason;
use crate::storage::error::StorageError;
use crate::storage::spec::ColumnSpec;
use crate::storage::spec::DatasetSpec;
use crate::storage::spellings::UnitKeys;
use crate::storage::words;

/// Rows per batch between reader, grouping and writer.
pub(crate) const BATCH_ROWS: usize = 8192;
/// Bytes of text per batch before it is closed early: long texts must not outgrow the memory budget.
const BATCH_TEXT_BYTES: usize = 4 << 20;

/// Turns the text of one column into cells.
pub(crate) struct ColumnReader {
    spec: ColumnSpec,
    tokenizer: Option<Tokenizer>,
    unit_keys: UnitKeys,
    zone: TimeZone,
    /// Numbers that end in zeros from the 16th digit on, and all values.
    cut: Counter<(u64, u64)>,
}

impl ColumnReader {
    pub(crate) fn new(spec: ColumnSpec, tokenizer: Option<Tokenizer>, unit_keys: UnitKeys) -> Self {
        Self { spec, tokenizer, unit_keys, zone: TimeZone::UTC, cut: Counter::new((0, 0)) }
    }

    /// Reads instants as the clock of this zone shows them.
    pub(crate) fn in_zone(self, zone: &TimeZone) -> Self {
        Self { zone: zone.clone(), ..self }
    }

    /// True if more numbers end in zeros from the 16th digit on than chance allows: a spreadsheet cut them.
    pub(crate) fn holds_cut_numbers(&self) -> bool {
        let (cut, all) = self.cut.get();
        cut >= 3 && cut * 20 > all
    }

    /// Counts what a spreadsheet may have cut to 15 digits.
    fn watch(&self, text: &str) {
        let (cut, all) = self.cut.get();
        self.cut.set((cut + u64::from(is_cut(text)), all + 1));
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub(crate) fn spec(&self) -> &ColumnSpec {
        &self.spec
    }

    /// Reads a text that is known not to stand for a missing value.
    pub(crate) fn read<'a>(&self, text: &'a str) -> Result<Cell<'a>, BadRowReason> {
        match &self.tokenizer {
            Some(tokenizer) => {
                if words::is_missing(text) {
                    return Ok(Cell::MissingWord);
                }
                if words::is_below_table(text) {
                    return Err(BadRowReason::BelowTable);
                }
                let semantic = self.spec.semantic.as_deref().unwrap_or_default();
                if is_scientific(text) {
                    return Err(BadRowReason::CutNumber);
                }
                let malformed =
                    if is_cut(text) { BadRowReason::CutNumber } else { BadRowReason::NotIdentifier };
                let canonical = canonical(semantic, text).ok_or(malformed)?;
                self.watch(&canonical);
                if has_form(semantic) || self.unit_keys == UnitKeys::AsWritten {
                    return Ok(Cell::Token(tokenizer.token64(&canonical)));
                }
                let plain = plain_form(&canonical);
                let token = tokenizer.token64(&plain);
                Ok(match self.unit_keys {
                    UnitKeys::Same | UnitKeys::AsWritten => Cell::Token(token),
                    UnitKeys::Ask => Cell::Spelt(spelt(tokenizer, &canonical, &plain, token)),
                })
            }
            None => parse_cell(text, self.spec.data_type, &self.zone),
        }
    }

    /// True if values are stored as tokens.
    pub(crate) fn is_token(&self) -> bool {
        self.tokenizer.is_some()
    }
}

/// True for 18 or 19 digits of which those behind the 15th are zeros: programs that keep numbers as floats keep no more.
fn is_cut(text: &str) -> bool {
    let text = narrow(text.trim());
    let is_long = matches!(text.len(), 18 | 19) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_long && text.bytes().skip(15).all(|byte| byte == b'0')
}

/// True for a long number in scientific notation, such as `3.30106E+17`.
fn is_scientific(text: &str) -> bool {
    let text = narrow(text.trim());
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let Some((whole, places)) = mantissa.split_once('.') else { return false };
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    are_digits(whole) && are_digits(places) && are_digits(exponent) && exponent.len() == 2
}

/// Tokens of a key whose spellings the steward has not decided on. A key that a program wrote as a number with places
/// (`10000.0`) is sealed as the whole number, or it would meet that number in no other dataset.
fn spelt(tokenizer: &Tokenizer, written: &str, plain: &str, token: i64) -> SpeltKey {
    let of = |text: &str| if text == plain { token } else { tokenizer.token64(text) };
    let sealed = without_places(written).map(of);
    let written = of(written);
    SpeltKey { sealed: sealed.unwrap_or(written), written, plain: token }
}

/// The digits of a whole number that is written with places.
fn without_places(text: &str) -> Option<&str> {
    let (whole, places) = text.split_once('.')?;
    let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !places.is_empty() && places.bytes().all(|byte| byte == b'0')).then_some(whole)
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Decimal(Decimal128Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Bool(BooleanBuilder),
}

impl Builder {
    fn new(spec: &ColumnSpec) -> Result<Self, StorageError> {
        if spec.token_of.is_some() {
            return Ok(Self::Int(Int64Builder::new()));
        }
        Ok(match spec.data_type {
            DataType::Text => Self::Text(StringBuilder::new()),
            DataType::Int => Self::Int(Int64Builder::new()),
            DataType::Decimal { scale } => {
                let scale = i8::try_from(scale).map_err(|_too_large| StorageError::Document {
                    reason: "a decimal has more places than 18",
                })?;
                let builder = Decimal128Builder::new().with_precision_and_scale(DECIMAL_PRECISION, scale);
                Self::Decimal(builder.map_err(StorageError::columnar("prepare a decimal column"))?)
            }
            DataType::Float => Self::Float(Float64Builder::new()),
            DataType::Date => Self::Date(Date32Builder::new()),
            DataType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            DataType::Bool => Self::Bool(BooleanBuilder::new()),
        })
    }

    /// Appends a cell and says how many bytes of text it brought.
    fn append(&mut self, cell: &Cell<'_>) -> Result<usize, StorageError> {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text)) => {
                builder.append_value(text);
                return Ok(text.len());
            }
            (Self::Text(builder), Cell::Owned(text)) => {
                builder.append_value(text);
                return Ok(text.len());
            }
            (Self::Int(builder), Cell::Int(value) | Cell::Token(value)) => builder.append_value(*value),
            (Self::Int(builder), Cell::Spelt(key)) => builder.append_value(key.sealed),
            (Self::Decimal(builder), Cell::Decimal(value)) => builder.append_value(*value),
            (Self::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            (Self::Date(builder), Cell::Date(value)) => builder.append_value(*value),
            (Self::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(*value),
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(*value),
            (builder, Cell::Null | Cell::MissingWord) => builder.append_null(),
            // A defect of a reader; it must not become a missing value in silence.
            _ => return Err(StorageError::Columnar { step: "store a value of another type" }),
        }
        Ok(0)
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Collects whole rows into a batch of the sealed schema.
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
}

impl BatchBuilder {
    pub(crate) fn new(spec: &DatasetSpec) -> Result<Self, StorageError> {
        let builders = spec.columns.iter().map(Builder::new).collect::<Result<_, _>>()?;
        Ok(Self { schema: spec.schema(), builders, rows: 0, text_bytes: 0 })
    }

    /// Appends one row of as many cells as there are columns.
    pub(crate) fn append(&mut self, cells: &[Cell<'_>]) -> Result<(), StorageError> {
        if cells.len() != self.builders.len() {
            return Err(StorageError::Columnar { step: "store a row of another width" });
        }
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            self.text_bytes += builder.append(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.text_bytes >= BATCH_TEXT_BYTES
    }

    /// The rows collected so far, or nothing when there are none.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.rows = 0;
        self.text_bytes = 0;
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map(Some)
            .map_err(StorageError::columnar("assemble a batch"))
    }
}
