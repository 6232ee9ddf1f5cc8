//! Files of documents, as a command line names them. They are read here and judged elsewhere.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::app::documents::publish_documents::DocumentFile;
use crate::cli::session::Ending;
use crate::error::Class;
use crate::error::PublicError;

/// Reads files of documents.
pub(super) fn read_files(paths: &[PathBuf]) -> Result<Vec<DocumentFile>, Ending> {
    paths.iter().map(|path| read_file(path)).collect()
}

/// Reads one.
pub(super) fn read_file(path: &Path) -> Result<DocumentFile, Ending> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        PublicError::new(
            Class::Usage,
            "file-unreadable",
            format!("`{name}` cannot be read ({})", error.kind()),
            format!("无法读取 `{name}`"),
        )
    })?;
    Ok(DocumentFile { name, text })
}
