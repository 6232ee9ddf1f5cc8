//! The newest checkpoint that witnesses cosigned, kept in the log's folder: a log that is shorter, or another one, does not
//! fit it. An attacker who deletes it together with the log's end leaves nothing to compare with; only a copy elsewhere
//! shows the cut.

use std::fs::File;
use std::io;
use std::io::Read as _;

use obscura_crypto::cosignature::Cosignature;
use obscura_crypto::cosignature::Witnesses;
use obscura_crypto::note::NOTE_BYTES_MAX;

use crate::audit::AuditError;
use crate::audit::files;
use crate::audit::files::COSIGNED;
use crate::audit::reader::LogReader;
use crate::audit::reader::SignedCheckpoint;

/// A checkpoint of the log with the cosignatures on it that were verified.
#[derive(Debug, Clone)]
pub struct Cosigned {
    /// The checkpoint, signed by the log.
    pub signed: SignedCheckpoint,
    /// Verified cosignatures with their times; empty when no trusted witness has cosigned.
    pub cosignatures: Vec<Cosignature>,
}

impl Cosigned {
    /// Verifies a text: the log's signature, and each cosignature by a witness that is believed.
    ///
    /// # Errors
    /// [`AuditError::Checkpoint`] when the log did not sign it, or a cosignature does not match.
    pub fn verify(reader: &LogReader, witnesses: Option<&Witnesses>, text: &str) -> Result<Self, AuditError> {
        let signed = reader.verify_checkpoint(text)?;
        let cosignatures = match witnesses {
            Some(witnesses) => witnesses.cosignatures(&signed.note).map_err(|_| AuditError::Checkpoint)?,
            None => Vec::new(),
        };
        Ok(Self { signed, cosignatures })
    }
}

/// Reads the text that is kept, if there is one.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_kept(reader: &LogReader) -> Result<Option<String>, AuditError> {
    let failed = || AuditError::file("read the cosigned checkpoint");
    let file = match File::open(reader.folder().join(COSIGNED)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed()(error)),
    };
    // A file that is no text, or longer than a note, is no checkpoint either; verification will say so.
    let most = u64::try_from(NOTE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(failed())?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Keeps a text in place of the one before. The caller has verified it, knows that it is newer, and keeps others out.
///
/// # Errors
/// When the file cannot be written; then the one before is still there.
pub(crate) fn keep(reader: &LogReader, text: &str) -> Result<(), AuditError> {
    let path = reader.folder().join(COSIGNED);
    files::replace(&path, text.as_bytes()).map_err(AuditError::file("keep the cosigned checkpoint"))
}
