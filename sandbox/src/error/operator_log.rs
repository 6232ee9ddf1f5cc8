//! The operator's log: one JSON line per failure of ours, appended to a file in the data directory.
//! It holds steps, fixed phrases and causes with values removed; never SQL, rows or secrets.

use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::error::InternalError;

/// A file that failures are appended to.
#[derive(Debug, Clone)]
pub struct OperatorLog {
    path: PathBuf,
}

impl OperatorLog {
    /// Names the file; it is made when the first line is written.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("obscura.log") }
    }

    /// The log's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one failure; `subject` is the identifier the caller was given, so that both can be brought together.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&self, at: Timestamp, subject: &str, error: &InternalError) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(file, "{}", line(at, subject, error))
    }

    /// As [`OperatorLog::note`], and on standard error where the file cannot be written or the disk is full: a service's
    /// keeper looks there.
    pub fn note_somewhere(&self, at: Timestamp, subject: &str, error: &InternalError) {
        let is_noted = self.note(at, subject, error).is_ok();
        if !is_noted || error.is_disk_full() {
            // If even this cannot be written, no other log is left; the caller still gets the failure.
            let _unwritable = writeln!(io::stderr(), "{}", line(at, subject, error));
        }
    }
}

fn line(at: Timestamp, subject: &str, error: &InternalError) -> Value {
    let mut line = json!({
        "time": at.to_string(),
        "level": "error",
        "subject": subject,
        "step": error.step(),
        "causes": error.causes(),
    });
    if let (true, Some(line)) = (error.is_disk_full(), line.as_object_mut()) {
        line.insert("problem".to_owned(), Value::from("the disk is full"));
    }
    line
}
