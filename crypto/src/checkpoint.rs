//! C2SP checkpoints: the signed size and root of a log.
//!
//! A reader of two checkpoints can ask for a consistency proof; this file keeps no history itself.

use crate::note::{NoteError, SignedNote};
use crate::sha256::Hash;
use crate::sign::{Signer, Verifier};

/// States how many entries a log has and what their root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// Describes a log of this origin (one non-empty line), size and root.
    ///
    /// # Errors
    ///
    /// Fails when the origin is empty or holds a control character.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(char::is_control) {
            return Err(CheckpointError::Form);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Signs it into a note.
    ///
    /// # Errors
    ///
    /// Fails when the origin is too long for a note.
    pub fn sign(&self, signer: &Signer) -> Result<SignedNote, CheckpointError> {
        let text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64());
        Ok(SignedNote::sign(&text, signer)?)
    }

    /// Reads it from a note, once the log's signature and origin have been verified.
    ///
    /// # Errors
    ///
    /// Fails when the note is not signed by the key, is about another log, or is not a checkpoint.
    /// Extension lines, which this log never writes, count as not a checkpoint.
    pub fn verify(note: &SignedNote, verifier: &Verifier, origin: &str) -> Result<Self, CheckpointError> {
        let text = note.verified_text(verifier)?;
        let checkpoint = Self::parse(text).ok_or(CheckpointError::Form)?;
        if checkpoint.origin == origin { Ok(checkpoint) } else { Err(CheckpointError::Origin) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size_text, root, None) = (lines.next()?, lines.next()?, lines.next()?, lines.next())
        else {
            return None;
        };
        let size: u64 = size_text.parse().ok()?;
        let is_canonical = size.to_string() == size_text;
        is_canonical.then(|| Self::new(origin, size, Hash::from_base64(root)?).ok()).flatten()
    }

    /// Names the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Counts the entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the root over all entries.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }
}

/// Says why a checkpoint is not to be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note is not signed as it should be.
    #[error("the checkpoint's signature does not hold")]
    Note(#[from] NoteError),
    /// The text is not that of a checkpoint.
    #[error("the text is not a checkpoint")]
    Form,
    /// It is about another log.
    #[error("the checkpoint is about another log")]
    Origin,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    const ORIGIN: &str = "obscura.example/audit";

    fn signed() -> (Signer, Checkpoint, SignedNote) {
        let signer = Signer::generate(ORIGIN).unwrap();
        let checkpoint = Checkpoint::new(ORIGIN, 20_852_163, leaf_hash(b"x")).unwrap();
        let note = checkpoint.sign(&signer).unwrap();
        (signer, checkpoint, note)
    }

    #[test]
    fn a_checkpoint_survives_signing_and_printing() {
        let (signer, checkpoint, note) = signed();
        let note: SignedNote = note.to_string().parse().unwrap();
        assert_eq!(Checkpoint::verify(&note, signer.verifier(), ORIGIN).unwrap(), checkpoint);
    }

    #[test]
    fn every_flipped_bit_of_a_checkpoint_is_found() {
        let (signer, _checkpoint, note) = signed();
        let text = note.to_string();
        for bit in 0..text.len() * 8 {
            let mut damaged = text.as_bytes().to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let accepted = String::from_utf8(damaged)
                .ok()
                .and_then(|text| text.parse::<SignedNote>().ok())
                .is_some_and(|note| Checkpoint::verify(&note, signer.verifier(), ORIGIN).is_ok());
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn another_log_or_another_key_is_not_believed() {
        let (signer, _checkpoint, note) = signed();
        let origin = Checkpoint::verify(&note, signer.verifier(), "obscura.example/other");
        assert!(matches!(origin, Err(CheckpointError::Origin)));
        let stranger = Signer::generate(ORIGIN).unwrap();
        let unsigned = Checkpoint::verify(&note, stranger.verifier(), ORIGIN);
        assert!(matches!(unsigned, Err(CheckpointError::Note(NoteError::Unsigned))));
    }

    #[test]
    fn signed_text_that_is_no_checkpoint_is_not_read() {
        let signer = Signer::generate(ORIGIN).unwrap();
        let root = leaf_hash(b"x").to_base64();
        for text in [
            format!("{ORIGIN}\n01\n{root}\n"),
            format!("{ORIGIN}\n+1\n{root}\n"),
            format!("{ORIGIN}\n1\n{root}x\n"),
            format!("{ORIGIN}\n1\n"),
            format!("\n1\n{root}\n"),
            format!("{ORIGIN}\n1\n{root}\nextension\n"),
        ] {
            let note = SignedNote::sign(&text, &signer).unwrap();
            let read = Checkpoint::verify(&note, signer.verifier(), ORIGIN);
            assert!(matches!(read, Err(CheckpointError::Form)), "{text:?}");
        }
        assert!(Checkpoint::new("", 0, leaf_hash(b"")).is_err());
        assert!(Checkpoint::new("a\nb", 0, leaf_hash(b"")).is_err());
    }
}
