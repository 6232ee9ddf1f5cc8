//! C2SP tlog-witness requests: a checkpoint, and the proof that it continues the one a witness has seen.
//!
//! It is the text alone; a witness's memory and the wire are elsewhere.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::merkle::{ProofError, empty_root, verify_consistency};
use crate::note::SignedNote;
use crate::sha256::Hash;

/// More hashes than any tree of 64-bit size needs.
const HASHES_MAX: usize = 63;

/// Asks a witness to cosign a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the log that the witness has seen; 0 when it has seen none.
    pub old_size: u64,
    /// The proof that the log of that size is the beginning of this one.
    pub proof: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: SignedNote,
}

impl AddCheckpoint {
    /// Verifies that the checkpoint continues the log that was seen; `seen` is its size and root, if there is any.
    ///
    /// # Errors
    ///
    /// Fails when the request is about another size than the one seen, or its proof does not prove.
    pub fn verify_continues(&self, new: &Checkpoint, seen: Option<&Checkpoint>) -> Result<(), ProofError> {
        let (old_size, old_root) = seen.map_or_else(|| (0, empty_root()), |seen| (seen.size(), seen.root()));
        if self.old_size != old_size {
            return Err(ProofError);
        }
        verify_consistency(old_size, &old_root, new.size(), &new.root(), &self.proof)
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(formatter, "{}", hash.to_base64()))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        parse(text).ok_or(FormError)
    }
}

fn parse(text: &str) -> Option<AddCheckpoint> {
    let (head, checkpoint) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let size_text = lines.next()?.strip_prefix("old ")?;
    let old_size: u64 = size_text.parse().ok()?;
    let proof: Vec<Hash> = lines.map(Hash::from_base64).collect::<Option<_>>()?;
    if old_size.to_string() != size_text || proof.len() > HASHES_MAX {
        return None;
    }
    Some(AddCheckpoint { old_size, proof, checkpoint: checkpoint.parse().ok()? })
}

/// Says that a text is no request to a witness.
#[derive(Debug, thiserror::Error)]
#[error("the text is no request to cosign a checkpoint")]
pub struct FormError;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{consistency_proof, leaf_hash, root};
    use crate::sign::Signer;

    const ORIGIN: &str = "obscura.example/audit";

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    fn checkpoint(count: u64) -> Checkpoint {
        Checkpoint::new(ORIGIN, count, root(&leaves(count))).unwrap()
    }

    fn request(old_size: u64, size: u64) -> AddCheckpoint {
        let signer = Signer::generate(ORIGIN).unwrap();
        let proof = consistency_proof(leaves(size).as_slice(), old_size, size).unwrap();
        AddCheckpoint { old_size, proof, checkpoint: checkpoint(size).sign(&signer).unwrap() }
    }

    #[test]
    fn a_request_survives_printing() {
        for (old, size) in [(0, 5), (3, 5), (5, 5), (4, 700)] {
            let request = request(old, size);
            assert_eq!(request.to_string().parse::<AddCheckpoint>().unwrap(), request);
        }
        for text in ["", "old 1\n", "old 01\n\nx", "old -1\n\nx\n1\n", "new 1\n\n"] {
            assert!(text.parse::<AddCheckpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_what_continues_the_log_that_was_seen_does() {
        for (old, size) in [(1, 5), (4, 5), (5, 5), (5, 600)] {
            request(old, size).verify_continues(&checkpoint(size), Some(&checkpoint(old))).unwrap();
            let forked = Checkpoint::new(ORIGIN, old, leaf_hash(b"fork")).unwrap();
            assert!(request(old, size).verify_continues(&checkpoint(size), Some(&forked)).is_err());
            assert!(request(old, size).verify_continues(&checkpoint(size), None).is_err());
        }
        request(0, 5).verify_continues(&checkpoint(5), None).unwrap();
        assert!(request(0, 5).verify_continues(&checkpoint(5), Some(&checkpoint(3))).is_err());
        let shorter = AddCheckpoint { old_size: 9, ..request(0, 5) };
        assert!(shorter.verify_continues(&checkpoint(5), Some(&checkpoint(9))).is_err());
    }
}
