//! The journal of unwrapped keys: keys by the account on which they left the keyring, on disk before any caller has them.
//! Each line holds the hash of the line before it. The log holds the hash of every run's line and, in entries of some kinds,
//! that of the newest line, so that a line that was changed, dropped or cut off is found. It holds names and numbers, no
//! key, and this file knows none.

use std::fmt;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use obscura_crypto::sha256_hex;
use obscura_policies::vocabulary::DatasetId;
use serde::Deserialize;
use serde::Serialize;

use crate::audit::AuditError;
use crate::audit::accounted_keys::Unwrapped;
use crate::ids::JobId;

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: u64 = 1 << 20;
/// Bytes at the file's end in which the last line is looked for first; lines are short as a rule.
const TAIL_BYTES: u64 = 1 << 13;
/// Name of the detail with which an entry of the log holds the hash of the line that was the newest.
pub(super) const JOURNAL_DETAIL: &str = "journal_sha256";

/// The account on which keys are unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The columns that a job reads.
    Query(JobId),
    /// A result that is opened again.
    Result(JobId),
    /// The text of a question.
    Question(JobId),
    /// Rows that stay when others are appended, to count subjects anew.
    Append(DatasetId),
    /// Rows that the exposure of a policy is computed of.
    Exposure(DatasetId),
    /// Rows of two versions that are compared before the newer one opens to analysts.
    Opening(DatasetId),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(job) => write!(f, "query {job}"),
            Self::Result(job) => write!(f, "result {job}"),
            Self::Question(job) => write!(f, "question {job}"),
            Self::Append(dataset) => write!(f, "append {dataset}"),
            Self::Exposure(dataset) => write!(f, "exposure {dataset}"),
            Self::Opening(dataset) => write!(f, "opening {dataset}"),
        }
    }
}

impl FromStr for Account {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let (kind, id) = text.split_once(' ').ok_or(AuditError::Journal)?;
        let job = || id.parse().map_err(|_| AuditError::Journal);
        match kind {
            "query" => job().map(Self::Query),
            "result" => job().map(Self::Result),
            "question" => job().map(Self::Question),
            "append" => id.parse().map(Self::Append).map_err(|_| AuditError::Journal),
            "exposure" => id.parse().map(Self::Exposure).map_err(|_| AuditError::Journal),
            "opening" => id.parse().map(Self::Opening).map_err(|_| AuditError::Journal),
            _ => Err(AuditError::Journal),
        }
    }
}

/// Keys of one column that were unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnUnwraps {
    /// The dataset.
    pub dataset: String,
    /// The newest version that a part of it was sealed in.
    pub version: u64,
    /// The column, or the name of the footer.
    pub column: String,
    /// Number of keys: one for each part.
    pub keys: u64,
}

/// Keys of one sealed object that were unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectUnwraps {
    /// Kind of object.
    pub kind: String,
    /// Its identifier.
    pub id: String,
    /// Number of times.
    pub keys: u64,
}

/// One line of the journal. A format we keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnwrapLine {
    /// The account.
    pub account: String,
    /// Columns.
    pub columns: Vec<ColumnUnwraps>,
    /// Other things.
    pub objects: Vec<ObjectUnwraps>,
    /// SHA-256 of the line before; that of nothing for the first.
    pub previous: String,
}

impl UnwrapLine {
    /// Number of keys in all.
    #[must_use]
    pub fn keys(&self) -> u64 {
        let columns = self.columns.iter().map(|column| column.keys);
        let objects = self.objects.iter().map(|object| object.keys);
        columns.chain(objects).fold(0, u64::saturating_add)
    }
}

/// The journal of one installation.
#[derive(Debug, Clone)]
pub struct UnwrapJournal {
    path: PathBuf,
}

impl UnwrapJournal {
    /// Takes the journal at a path; it begins with the first key.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The hash of the newest line, once it is on disk; that of nothing when there is none.
    pub(super) fn newest_line(&self) -> Result<String, AuditError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sha256_hex(b"")),
            Err(error) => return Err(AuditError::file("open the journal of keys")(error)),
        };
        file.lock_shared().map_err(AuditError::file("lock the journal of keys"))?;
        let (_end, line) = last_line(&mut file)?;
        Ok(sha256_hex(&line))
    }

    /// Appends one line and gives its hash. It cuts off a part of a line that a killed process left: its keys never left.
    pub(super) fn append(&self, account: &Account, unwrapped: Unwrapped) -> Result<String, AuditError> {
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(&self.path).map_err(AuditError::file("open the journal of keys"))?;
        file.lock().map_err(AuditError::file("lock the journal of keys"))?;
        let (end, previous) = last_line(&mut file)?;
        let line = UnwrapLine {
            account: account.to_string(),
            columns: unwrapped
                .columns
                .into_iter()
                .map(|((dataset, column), (version, keys))| ColumnUnwraps { dataset, version, column, keys })
                .collect(),
            objects: unwrapped
                .objects
                .into_iter()
                .map(|((kind, id), keys)| ObjectUnwraps { kind, id, keys })
                .collect(),
            previous: sha256_hex(&previous),
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|_| AuditError::Unwritable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= LINE_BYTES_MAX {
            return Err(AuditError::EntryTooLong);
        }
        let sha256 = sha256_hex(&bytes);
        bytes.push(b'\n');
        let step = || AuditError::file("write the journal of keys");
        file.set_len(end).map_err(step())?;
        file.seek(SeekFrom::Start(end)).map_err(step())?;
        file.write_all(&bytes).map_err(step())?;
        file.sync_data().map_err(step())?;
        if end == 0 {
            // The log will name this line, so the file itself must be there after a power cut too.
            let folder = self.path.parent().map(File::open).transpose().map_err(step())?;
            folder.map(|folder| folder.sync_all()).transpose().map_err(step())?;
        }
        Ok(sha256)
    }
}

/// The end of the last whole line, and that line without its line end.
fn last_line(file: &mut File) -> Result<(u64, Vec<u8>), AuditError> {
    let length = file.metadata().map_err(AuditError::file("read the journal of keys"))?.len();
    for bytes in [TAIL_BYTES, 2 * LINE_BYTES_MAX] {
        if let Some(found) = last_line_among(file, length, bytes)? {
            return Ok(found);
        }
    }
    // A file that is no journal.
    Err(AuditError::Journal)
}

/// As [`last_line`]; nothing when it does not begin among the last so many bytes.
fn last_line_among(file: &mut File, length: u64, bytes: u64) -> Result<Option<(u64, Vec<u8>)>, AuditError> {
    let step = || AuditError::file("read the journal of keys");
    let first = length.saturating_sub(bytes);
    file.seek(SeekFrom::Start(first)).map_err(step())?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail).map_err(step())?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        // No whole line: a journal that has only just begun never had one.
        return Ok((first == 0).then(|| (0, Vec::new())));
    };
    let (whole, _torn) = tail.split_at(end);
    let mut lines = whole.rsplit(|byte| *byte == b'\n');
    let line = lines.next().unwrap_or_default().to_vec();
    if first > 0 && lines.next().is_none() {
        return Ok(None);
    }
    let end = u64::try_from(end).ok().and_then(|end| first.checked_add(end)?.checked_add(1));
    Ok(Some((end.ok_or(AuditError::Journal)?, line)))
}

/// Reads a journal line by line, as it is; a journal that is not there is empty. A part of a last line that a killed process
/// left is no line.
///
/// # Errors
/// When the file is there and cannot be opened. A line that cannot be read later comes as an empty one, which no journal
/// has.
pub fn read_journal(path: &Path) -> Result<impl Iterator<Item = Vec<u8>> + use<>, AuditError> {
    let mut reader = match File::open(path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(AuditError::file("read the journal of keys")(error)),
    };
    Ok(std::iter::from_fn(move || {
        let open = reader.as_mut()?;
        let mut line = Vec::new();
        let read = open.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match (read, line.pop()) {
            (Ok(_), Some(b'\n')) => Some(line),
            // Longer than any line: its rest is read as further lines, which are invalid too.
            (Ok(read), Some(_)) if u64::try_from(read) == Ok(LINE_BYTES_MAX) => Some(Vec::new()),
            (Ok(_), _) => None,
            (Err(_), _) => {
                reader = None;
                Some(Vec::new())
            }
        }
    }))
}
