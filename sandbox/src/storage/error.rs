//! Errors between a department's file and a sealed dataset.
//! No variant carries a cell's value: texts of Arrow, Parquet and CSV readers quote values, so they are dropped here.

use std::io;

use obscura_policies::Text;

use crate::storage::manifest::ManifestFault;

/// A sealed dataset could not be written, found or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file system refused.
    #[error("cannot {step}")]
    Disk {
        /// The step that failed, as a fixed phrase.
        step: &'static str,
        /// The operating system's error (never a path, never a value).
        #[source]
        source: io::Error,
    },
    /// The list of rejects cannot be made where the steward wants it.
    #[error("the file of rejects cannot be created: {reason}")]
    RejectsUncreated {
        /// The reason.
        reason: RejectsProblem,
    },
    /// The input cannot be read in the format that it is said to have.
    #[error("cannot read the input as {format}: {reason}")]
    Input {
        /// Name of the format.
        format: &'static str,
        /// A fixed phrase.
        reason: &'static str,
    },
    /// The bytes of a text fit two encodings.
    #[error("the input may be UTF-8 or GB18030: too little of it tells them apart")]
    EncodingUndecided,
    /// The input has no column that the dataset document names.
    #[error("the input has no column `{column}`: of its {cells} columns {found} are in the document")]
    ColumnMissing {
        /// Name in the dataset document.
        column: String,
        /// Columns of the input.
        cells: u64,
        /// Of these, the ones that the document names.
        found: u64,
    },
    /// The header stands below the first line.
    #[error("the first line is no header; line {line} is")]
    HeaderBelow {
        /// Its line, counted from 1.
        line: u64,
    },
    /// The input is something else than a table.
    #[error("found {found}, not a table")]
    NoTable {
        /// The kind of file found, as a fixed phrase.
        found: &'static str,
        /// The same in Chinese.
        found_zh: &'static str,
    },
    /// Keys of a column were cut in a spreadsheet, though their check digits pass.
    #[error("column `{column}` holds numbers that a spreadsheet cut to 15 digits")]
    CutNumbers {
        /// Column of the dataset document.
        column: String,
    },
    /// A column holds values that no cell can hold.
    #[error("cannot read the input as {format}: column `{column}` holds {found}")]
    ColumnType {
        /// Name of the format.
        format: &'static str,
        /// Name in the input.
        column: String,
        /// The kind of content found, as a fixed phrase.
        found: &'static str,
    },
    /// Two columns of the input carry the same name.
    #[error("the input has more than one column `{column}`")]
    ColumnTwice {
        /// Name in the dataset document.
        column: String,
    },
    /// More rows are malformed than may be left out.
    #[error("{skipped} of {rows} rows are malformed, more than {}, most: {worst}", percent(*max_ppm))]
    TooManyBadRows {
        /// Rows that were left out.
        skipped: u64,
        /// All rows of the input.
        rows: u64,
        /// Most that may be left out, in millionths.
        max_ppm: u32,
        /// The commonest reason with its column.
        worst: String,
    },
    /// A version is to be replaced by one with fewer than half of its subjects or rows.
    #[error("the new rows have {after} {of}, those in force {before}: fewer than half")]
    FewerThanHalf {
        /// Number at present.
        before: u64,
        /// Number after the seal.
        after: u64,
        /// The counted thing: subjects or rows.
        of: String,
    },
    /// The same rows are sealed already.
    #[error("a file with the same rows is sealed already: each of its rows would count twice")]
    SealedAlready,
    /// A quote that is opened in one line is closed in a later one, and what lies between looks like rows.
    #[error("line {first} opens a quote that line {last} closes, and the lines look like rows of their own")]
    SwallowedRows {
        /// Line that opens the quote, counted from 1.
        first: u64,
        /// Line that closes it.
        last: u64,
    },
    /// No row carries the key of a subject.
    #[error("no row has a value in the unit key `{column}`")]
    NoSubjects {
        /// Column of the dataset document.
        column: String,
    },
    /// The dataset document cannot be sealed as it stands.
    #[error("dataset document: {reason}")]
    Document {
        /// A fixed phrase.
        reason: &'static str,
    },
    /// A row is malformed and `--on-bad-row stop` is in force.
    #[error("line {line}: {reason}{}", column.as_ref().map(|c| format!(" in column `{c}`")).unwrap_or_default())]
    BadRow {
        /// Line (text formats) or row (binary formats) of the input, counted from 1.
        line: u64,
        /// Column of the dataset document, when one is to blame.
        column: Option<String>,
        /// The fault, never the value.
        reason: BadRowReason,
    },
    /// One subject's key is written in several ways, and the steward has not decided how many subjects they are.
    #[error("the unit key `{column}` is written in several ways{}", rows_of(*lines))]
    UnitKeySpellings {
        /// Column of the dataset document.
        column: String,
        /// Lines (text formats) or rows (binary formats) of two spellings, counted from 1, where they are known.
        lines: Option<(u64, u64)>,
    },
    /// The caller asked to stop.
    #[error("sealing was cancelled")]
    Cancelled,
    /// The input has no row at all.
    #[error("the input has no row")]
    NoRows,
    /// Columnar work failed; the cause may quote values and is not kept.
    #[error("cannot {step}")]
    Columnar {
        /// The step that failed, as a fixed phrase.
        step: &'static str,
    },
    /// The key service refused; it does not say why.
    #[error("key management refused to {step}")]
    Keys {
        /// The operation requested, as a fixed phrase.
        step: &'static str,
    },
    /// There is no such sealed version.
    #[error("no sealed version {version} of `{dataset}`")]
    VersionMissing {
        /// Dataset.
        dataset: String,
        /// Version.
        version: u64,
    },
    /// The dataset has no sealed version.
    #[error("`{dataset}` has no sealed version")]
    NeverSealed {
        /// Dataset.
        dataset: String,
    },
    /// Another process is sealing the same dataset.
    #[error("`{dataset}` is being sealed by another process")]
    Busy {
        /// Dataset.
        dataset: String,
    },
    /// This version was published before.
    #[error("version {version} of `{dataset}` exists already")]
    VersionTaken {
        /// Dataset.
        dataset: String,
        /// Version.
        version: u64,
    },
    /// Old and new parts of an append do not fit together.
    #[error("cannot append to `{dataset}`: {reason}")]
    AppendMismatch {
        /// Dataset.
        dataset: String,
        /// A fixed phrase.
        reason: &'static str,
    },
    /// The files on disk are not those that were sealed.
    #[error("sealed version {version} of `{dataset}`: {fault}")]
    Tampered {
        /// Dataset.
        dataset: String,
        /// Version.
        version: u64,
        /// The check that failed.
        fault: ManifestFault,
    },
    /// The wrapped keys of this version were destroyed.
    #[error("sealed version {version} of `{dataset}` was shredded")]
    Shredded {
        /// Dataset.
        dataset: String,
        /// Version.
        version: u64,
    },
    /// A column was asked for that the sealed version does not hold.
    #[error("no sealed column `{column}`")]
    NoSuchColumn {
        /// Column.
        column: String,
    },
    /// A fault put in by a test: everything stays on disk as a kill would leave it.
    #[error("stopped as if killed")]
    Abandoned,
}

/// A share of millionths as a person writes it.
fn percent(ppm: u32) -> String {
    format!("{} %", f64::from(ppm) / 10_000.0)
}

fn rows_of(lines: Option<(u64, u64)>) -> String {
    lines.map(|(first, second)| format!(", such as in lines {first} and {second}")).unwrap_or_default()
}

impl StorageError {
    /// Wraps an operating-system error with the step that failed.
    pub(crate) fn disk(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { step, source }
    }

    /// Drops an Arrow or Parquet error, whose text may quote values, and keeps the step that failed.
    ///
    /// A full disk is told apart because the operator can make room.
    pub(crate) fn columnar<E: std::error::Error + 'static>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |error| match io_kind(&error) {
            Some(kind) => Self::Disk { step, source: io::Error::from(kind) },
            None => Self::Columnar { step },
        }
    }
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        if let Some(parquet::errors::ParquetError::External(inner)) = error.downcast_ref() {
            next = Some(inner.as_ref());
            continue;
        }
        next = error.source();
    }
    None
}

impl BadRowReason {
    /// The reason in both languages.
    #[must_use]
    pub fn localized(self) -> Text {
        let zh = match self {
            Self::Encoding => "不符合输入的编码",
            Self::FieldCount => "字段数与表头不符",
            Self::Truncated => "该行被截断",
            Self::NotAnObject => "不是 JSON 对象",
            Self::NotScalar => "不是单个值",
            Self::TooLong => "该行过长",
            Self::NotInt => "不是整数",
            Self::NotDecimal => "不是可容纳的小数",
            Self::NotFloat => "不是有限数值",
            Self::NotDate => "不是日期",
            Self::NotTimestamp => "不是日期时间",
            Self::NotBool => "不是是或否",
            Self::NotIdentifier => "不是格式正确的标识",
            Self::KeyMissing => "对象缺少主体标识",
            Self::KeyTwice => "对象中该键出现两次",
            Self::BelowTable => "合计、签名或备注行，不是数据行",
            Self::CutNumber => "数字已被表格软件截断（只保留 15 位）",
            Self::Control => "文本中含控制字符（如 NUL）",
            Self::NotText => "不是文本",
        };
        Text::new(self.to_string(), zh)
    }
}

/// The reasons why a list of rejects cannot be made at a path that its steward chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RejectsProblem {
    /// A file of this name exists, and is never overwritten.
    #[error("a file of this name exists already")]
    Exists,
    /// Its folder is not there, or is no folder.
    #[error("its folder does not exist")]
    NoFolder,
    /// The account that runs the program may not write there.
    #[error("this account may not write there")]
    NotAllowed,
}

impl RejectsProblem {
    /// The steward's part in a refusal of the operating system; the other refusals are for the operator to resolve.
    pub(crate) fn of(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => Some(Self::Exists),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some(Self::NoFolder),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(Self::NotAllowed),
            _ => None,
        }
    }

    /// The reason in both languages.
    #[must_use]
    pub fn localized(self) -> Text {
        let zh = match self {
            Self::Exists => "已有同名文件",
            Self::NoFolder => "所在文件夹不存在",
            Self::NotAllowed => "当前账号无权写入该位置",
        };
        Text::new(self.to_string(), zh)
    }
}

/// The reasons why a row is malformed. Fixed phrases: a value can never get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum BadRowReason {
    /// Bytes that the encoding does not know.
    #[error("not valid in the input's encoding")]
    Encoding,
    /// A row that is longer or shorter than the header.
    #[error("wrong number of fields")]
    FieldCount,
    /// A quoted field that is never closed, or a last line that was cut off.
    #[error("the row is cut off")]
    Truncated,
    /// Not one JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A list or object where a single value belongs.
    #[error("not a single value")]
    NotScalar,
    /// Longer than any row may be.
    #[error("the row is too long")]
    TooLong,
    /// Not a whole number of 64 bits.
    #[error("not a whole number")]
    NotInt,
    /// Not a decimal number that fits.
    #[error("not a decimal number that fits")]
    NotDecimal,
    /// Not a finite number.
    #[error("not a finite number")]
    NotFloat,
    /// Not a day of the calendar.
    #[error("not a date")]
    NotDate,
    /// Not a date with a time.
    #[error("not a date and time")]
    NotTimestamp,
    /// Neither true nor false.
    #[error("neither true nor false")]
    NotBool,
    /// Not a well-formed identifier of its kind: its token would join with nothing.
    #[error("not a well-formed identifier")]
    NotIdentifier,
    /// A JSON object without the unit key.
    #[error("the object does not name its unit key")]
    KeyMissing,
    /// A JSON object that names a column twice.
    #[error("the object names it twice")]
    KeyTwice,
    /// A line of totals, a signature or a remark below the table.
    #[error("a total, signature or remark, not a row")]
    BelowTable,
    /// A long number that lost its last digits in a spreadsheet.
    #[error("a number that a spreadsheet cut to 15 digits or fewer")]
    CutNumber,
    /// NUL or another control character within a text.
    #[error("a control character, such as NUL, within the text")]
    Control,
    /// A type that cannot become text without guessing.
    #[error("not text")]
    NotText,
}
