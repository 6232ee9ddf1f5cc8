//! Proving to a third party that an entry is in the log: one self-contained file (C2SP tlog-proof) with the entry in its
//! `extra` line. A verifier needs the log's public key and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::merkle;
use obscura_crypto::sign::Verifier;
use obscura_crypto::tlog_proof::TlogProof;

use crate::audit::AuditError;
use crate::audit::event::LoggedEvent;
use crate::audit::reader::LogReader;

const EXTRA: &str = "extra ";

/// The event and the checkpoint that a valid proof establishes.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The event in the log.
    pub event: LoggedEvent,
    /// The checkpoint it is under.
    pub checkpoint: Checkpoint,
}

/// Makes the proof that an entry is in the log, as text.
///
/// # Errors
/// When there is no such entry, or the log does not agree with its checkpoint.
pub fn prove(reader: &LogReader, index: u64) -> Result<String, AuditError> {
    let _lock = reader.lock_against_appending()?;
    let signed = reader.checkpoint()?;
    let bundle = reader.bundle_of(index, &signed.checkpoint)?;
    let damaged = || AuditError::Damaged { index };
    let entry = bundle.entry(index).ok_or_else(damaged)?;
    let size = signed.checkpoint.size();
    let hashes = merkle::inclusion_proof(&reader.tree(size), size, index).map_err(|_| damaged())?;
    let proof = TlogProof { index, hashes, checkpoint: signed.note };
    let extra = format!("\n{EXTRA}{}\nindex ", STANDARD.encode(entry));
    Ok(proof.to_string().replacen("\nindex ", &extra, 1))
}

/// Verifies a proof without the log. The key's name is the log's origin.
///
/// # Errors
/// [`AuditError::Checkpoint`] when the text is no proof or is not signed by this key; [`AuditError::Damaged`] when its
/// entry is not under the checkpoint.
pub fn verify_proof(text: &str, verifier: &Verifier) -> Result<Proven, AuditError> {
    let proof: TlogProof = text.parse().map_err(|_| AuditError::Checkpoint)?;
    let extra = text.lines().nth(1).and_then(|line| line.strip_prefix(EXTRA));
    let damaged = AuditError::Damaged { index: proof.index };
    let Some(entry) = extra.and_then(|extra| STANDARD.decode(extra).ok()) else {
        return Err(damaged);
    };
    let checkpoint = proof.verify(&entry, verifier, verifier.name()).map_err(|_| damaged)?;
    Ok(Proven { event: LoggedEvent::read(proof.index, &entry)?, checkpoint })
}
