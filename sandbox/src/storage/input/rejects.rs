//! The list of malformed rows that were left out, for the person who corrects them: positions and reasons, as CSV.
//! It holds no value of any row, and takes the place of no file.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use crate::storage::error::BadRowReason;
use crate::storage::error::RejectsProblem;
use crate::storage::error::StorageError;

/// A file of rejects that is being written.
pub(super) struct Rejects {
    file: BufWriter<File>,
}

impl Rejects {
    /// Creates the file; there must be none of the name.
    pub(super) fn create(path: &Path) -> Result<Self, StorageError> {
        let file = File::create_new(path).map_err(|error| match RejectsProblem::of(error.kind()) {
            Some(reason) => StorageError::RejectsUncreated { reason },
            None => StorageError::disk("create the file of rejects")(error),
        })?;
        let mut rejects = Self { file: BufWriter::new(file) };
        rejects.write("line,column,reason\n")?;
        Ok(rejects)
    }

    /// Adds a row. Names of columns and reasons hold no comma that is not quoted.
    pub(super) fn add(
        &mut self,
        line: u64,
        column: Option<&str>,
        reason: BadRowReason,
    ) -> Result<(), StorageError> {
        self.write(&format!("{line},{},\"{reason}\"\n", column.unwrap_or_default()))
    }

    /// Writes out what is held back.
    pub(super) fn flush(&mut self) -> Result<(), StorageError> {
        self.file.flush().map_err(StorageError::disk("write the file of rejects"))
    }

    fn write(&mut self, text: &str) -> Result<(), StorageError> {
        self.file.write_all(text.as_bytes()).map_err(StorageError::disk("write the file of rejects"))
    }
}
