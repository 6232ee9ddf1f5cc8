//! C2SP tlog-proofs: one file that proves, offline, that an entry is in a log. This is what a receipt is made of.
//!
//! It does not hold the entry; the verifier brings the entry, the log's public key and its origin.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{ProofError, leaf_hash, verify_inclusion};
use crate::note::SignedNote;
use crate::sha256::Hash;
use crate::sign::Verifier;

const FORMAT: &str = "c2sp.org/tlog-proof@v1";
/// More hashes than any tree of 64-bit size needs.
const HASHES_MAX: usize = 64;

/// Holds an entry's index, its way to the root, and the checkpoint that signs the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Position of the entry in the log, from 0.
    pub index: u64,
    /// Siblings from the leaf up to the root.
    pub hashes: Vec<Hash>,
    /// The checkpoint, with its signatures.
    pub checkpoint: SignedNote,
}

impl TlogProof {
    /// Verifies that the log with this key and origin holds the entry, and gives the checkpoint that says so.
    ///
    /// # Errors
    ///
    /// Fails when the checkpoint is not to be believed or the entry is not under its root.
    pub fn verify(
        &self,
        entry: &[u8],
        verifier: &Verifier,
        origin: &str,
    ) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, verifier, origin)?;
        verify_inclusion(&leaf_hash(entry), self.index, checkpoint.size(), &self.hashes, &checkpoint.root())?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{FORMAT}\nindex {}\n", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(formatter, "{}", hash.to_base64()))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        parse(text).ok_or(TlogProofError::Form)
    }
}

fn parse(text: &str) -> Option<TlogProof> {
    let (head, checkpoint) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    if lines.next()? != FORMAT {
        return None;
    }
    let mut line = lines.next()?;
    // Extra data is not authenticated and this log has no use for it, so it is skipped.
    if line.starts_with("extra ") {
        line = lines.next()?;
    }
    let index_text = line.strip_prefix("index ")?;
    let index: u64 = index_text.parse().ok()?;
    let hashes: Vec<Hash> = lines.map(Hash::from_base64).collect::<Option<_>>()?;
    if index.to_string() != index_text || hashes.len() > HASHES_MAX {
        return None;
    }
    Some(TlogProof { index, hashes, checkpoint: checkpoint.parse().ok()? })
}

/// Says why a proof does not prove that the entry is in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// The text is not a proof.
    #[error("the text is not a proof of the form {FORMAT}")]
    Form,
    /// The checkpoint in it is not to be believed.
    #[error("the proof's checkpoint is not to be believed")]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not under the checkpoint's root.
    #[error("the entry is not in the log at this place")]
    Inclusion(#[from] ProofError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{inclusion_proof, root};
    use crate::sign::Signer;

    const ORIGIN: &str = "obscura.example/audit";

    fn proven() -> (Verifier, TlogProof) {
        let signer = Signer::generate(ORIGIN).unwrap();
        let leaves: Vec<Hash> = (0..11_u8).map(|number| leaf_hash(&[number])).collect();
        let checkpoint = Checkpoint::new(ORIGIN, 11, root(&leaves)).unwrap().sign(&signer).unwrap();
        let hashes = inclusion_proof(&leaves[..], 11, 6).unwrap();
        (signer.verifier().clone(), TlogProof { index: 6, hashes, checkpoint })
    }

    #[test]
    fn a_proof_verifies_after_printing_and_reading() {
        let (verifier, proof) = proven();
        let read: TlogProof = proof.to_string().parse().unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&[6], &verifier, ORIGIN).unwrap().size(), 11);
        assert!(matches!(read.verify(&[7], &verifier, ORIGIN), Err(TlogProofError::Inclusion(_))));
        assert!(matches!(read.verify(&[6], &verifier, "other"), Err(TlogProofError::Checkpoint(_))));
    }

    #[test]
    fn every_flipped_bit_of_a_proof_is_found() {
        let (verifier, proof) = proven();
        let text = proof.to_string();
        for bit in 0..text.len() * 8 {
            let mut damaged = text.as_bytes().to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let accepted = String::from_utf8(damaged)
                .ok()
                .and_then(|text| text.parse::<TlogProof>().ok())
                .is_some_and(|proof| proof.verify(&[6], &verifier, ORIGIN).is_ok());
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn extra_data_is_skipped() {
        let (verifier, proof) = proven();
        let text = proof.to_string().replacen("\nindex", "\nextra YWdl\nindex", 1);
        text.parse::<TlogProof>().unwrap().verify(&[6], &verifier, ORIGIN).unwrap();
    }

    #[test]
    fn other_spellings_are_not_read() {
        let (_verifier, proof) = proven();
        let text = proof.to_string();
        for (from, to) in [("@v1", "@v2"), ("index 6", "index 06"), ("index 6", "index"), ("index 6\n", "")] {
            assert!(text.replacen(from, to, 1).parse::<TlogProof>().is_err(), "{to:?}");
        }
    }
}
