//! C2SP signed notes: a text and the signatures under it.
//!
//! The text is shown only to a caller whose key signed it. Unknown signatures (witnesses, old keys) are carried along.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sign::{SIGNATURE_BYTES, Signature, Signer, Verifier};

/// Longest note, in bytes, signatures included.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;
/// Most signatures of one note.
pub const NOTE_SIGNATURES_MAX: usize = 64;

/// Holds a note whose form has been checked, but not yet its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line: `— name base64(key id || signature)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoteSignature {
    pub(crate) name: String,
    pub(crate) key_id: u32,
    pub(crate) signature: Vec<u8>,
}

impl SignedNote {
    /// Signs a text, which ends in a line end and holds no other control characters.
    ///
    /// # Errors
    ///
    /// Fails when the text cannot be that of a note.
    pub fn sign(text: &str, signer: &Signer) -> Result<Self, NoteError> {
        if !is_note_text(text) || text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Form);
        }
        let verifier = signer.verifier();
        let signature = NoteSignature {
            name: verifier.name().to_owned(),
            key_id: verifier.key_id(),
            signature: signer.sign(text.as_bytes()).as_bytes().to_vec(),
        };
        Ok(Self { text: text.to_owned(), signatures: vec![signature] })
    }

    /// Gives the text, once a signature of this key has been verified.
    ///
    /// # Errors
    ///
    /// Fails when the key did not sign, or any of its signatures does not match.
    pub fn verified_text(&self, verifier: &Verifier) -> Result<&str, NoteError> {
        let mut is_signed = false;
        for line in &self.signatures {
            if line.name == verifier.name() && line.key_id == verifier.key_id() {
                let bytes: [u8; SIGNATURE_BYTES] =
                    line.signature.as_slice().try_into().map_err(|_cause| NoteError::Signature)?;
                verifier
                    .verify(self.text.as_bytes(), &Signature::from_bytes(bytes))
                    .map_err(|_cause| NoteError::Signature)?;
                is_signed = true;
            }
        }
        if is_signed { Ok(&self.text) } else { Err(NoteError::Unsigned) }
    }

    /// Gives the text before any signature has been verified: for other kinds of signatures, which verify it.
    pub(crate) fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Lists the signature lines.
    pub(crate) fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Gives the same text under these lines.
    pub(crate) fn under(&self, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        if signatures.is_empty() || signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::Form);
        }
        Ok(Self { text: self.text.clone(), signatures })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| {
            let bytes = [&line.key_id.to_be_bytes(), line.signature.as_slice()].concat();
            writeln!(formatter, "\u{2014} {} {}", line.name, STANDARD.encode(bytes))
        })
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX || !is_note_text(note) {
            return Err(NoteError::Form);
        }
        // The last empty line separates: the text may hold empty lines, signatures may not.
        let (head, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let signatures: Vec<NoteSignature> =
            lines.lines().map(parse_signature).collect::<Option<_>>().ok_or(NoteError::Form)?;
        if signatures.is_empty() || signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::Form);
        }
        Ok(Self { text: [head, "\n"].concat(), signatures })
    }
}

fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && text.bytes().all(|byte| byte >= 0x20 || byte == b'\n')
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let is_name =
        !name.is_empty() && !name.contains(|character: char| character.is_whitespace() || character == '+');
    let decoded = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = decoded.split_first_chunk()?;
    (is_name && !signature.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        key_id: u32::from_be_bytes(*key_id),
        signature: signature.to_vec(),
    })
}

/// Says why a note is not to be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The text is not a signed note.
    #[error("the text is not a signed note")]
    Form,
    /// No signature is by the key in question.
    #[error("the note is not signed by this key")]
    Unsigned,
    /// A signature by the key in question does not match the text.
    #[error("a signature on the note does not match its text")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's `golang.org/x/mod/sumdb/note`, from which the format comes.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn the_published_go_note_verifies_and_prints_back() {
        let note: SignedNote = GO_NOTE.parse().unwrap();
        let text = note.verified_text(&GO_KEY.parse().unwrap()).unwrap();
        assert!(text.ends_with("your problem is.\n"));
        assert_eq!(note.to_string(), GO_NOTE);
    }

    #[test]
    fn every_flipped_bit_of_a_note_is_found() {
        let verifier = GO_KEY.parse().unwrap();
        for bit in 0..GO_NOTE.len() * 8 {
            let mut damaged = GO_NOTE.as_bytes().to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let accepted = String::from_utf8(damaged)
                .ok()
                .and_then(|text| text.parse::<SignedNote>().ok())
                .is_some_and(|note| note.verified_text(&verifier).is_ok());
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn text_with_empty_lines_and_foreign_signatures_is_carried() {
        let ours = Signer::generate("log.example").unwrap();
        let theirs = Signer::generate("witness.example").unwrap();
        let text = "one\n\ntwo\n";
        let mut note = SignedNote::sign(text, &ours).unwrap();
        note.signatures.extend(SignedNote::sign(text, &theirs).unwrap().signatures);
        let note: SignedNote = note.to_string().parse().unwrap();
        assert_eq!(note.verified_text(ours.verifier()).unwrap(), text);
        assert_eq!(note.verified_text(theirs.verifier()).unwrap(), text);
        let stranger = Signer::generate("log.example").unwrap();
        assert!(matches!(note.verified_text(stranger.verifier()), Err(NoteError::Unsigned)));
    }

    #[test]
    fn one_wrong_signature_of_a_known_key_rejects_the_note() {
        let signer = Signer::generate("log.example").unwrap();
        let mut note = SignedNote::sign("a\n", &signer).unwrap();
        note.signatures.extend(SignedNote::sign("b\n", &signer).unwrap().signatures);
        assert!(matches!(note.verified_text(signer.verifier()), Err(NoteError::Signature)));
    }

    #[test]
    fn what_is_no_note_is_not_read_or_signed() {
        let signer = Signer::generate("log.example").unwrap();
        for text in ["", "no line end", "tab\t\n", "return\r\n"] {
            assert!(SignedNote::sign(text, &signer).is_err(), "{text:?}");
        }
        for note in [
            "",
            "\n",
            "text\n\n",
            "text\n\nnot a signature\n",
            "text\n\u{2014} a AAAAAAA=\n",
            "t\n\n\u{2014} a b\n",
        ] {
            assert!(note.parse::<SignedNote>().is_err(), "{note:?}");
        }
    }
}
