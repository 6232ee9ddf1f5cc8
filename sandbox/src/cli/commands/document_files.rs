//! Files and names of documents, as a command line writes them. Files are read here and judged elsewhere.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::app::documents::publish_documents::DocumentFile;
use crate::cli::args::DocumentName;
use crate::cli::session::Ending;
use crate::cli::unaccepted::Unaccepted;
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

/// A document's name, with `@` and a version if not the newest.
pub(super) fn document_name(name: &str) -> Result<DocumentName, Ending> {
    let named = name.parse();
    Ok(named.map_err(|Unaccepted(text)| PublicError::new(Class::Usage, "usage", text.en, text.zh))?)
}
