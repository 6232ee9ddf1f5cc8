//! Ed25519 signatures, with keys named and written as C2SP signed notes want them.
//!
//! One named key signs one kind of thing (manifests, checkpoints): the name is the separation, so callers never reuse it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::keys::RandomError;
use crate::secret::{SecretBytes, opaque_debug};
use crate::sha256::sha256;

/// Length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;
/// Longest key name, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 128;
/// C2SP signature type of plain Ed25519.
const ED25519: u8 = 0x01;

/// Signs messages with one named key; the seed is wiped when dropped.
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

opaque_debug!(Signer);

impl Signer {
    /// Makes a signer with a fresh key that is stored nowhere; a keyring gives stored ones.
    ///
    /// # Errors
    ///
    /// Fails when the name cannot stand in a signed note, or there is no randomness.
    pub fn generate(name: &str) -> Result<Self, SignError> {
        Self::from_secret(name, &SecretBytes::generate()?)
    }

    pub(crate) fn from_secret(name: &str, secret: &SecretBytes) -> Result<Self, SignError> {
        let key = SigningKey::from_bytes(secret.expose());
        let verifier = Verifier::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }

    /// Shows the public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// Verifies messages of one named key. Its text form is C2SP's `name+hash+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
    key_id: u32,
}

impl Verifier {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, SignError> {
        let allowed =
            |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
        if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || !name.chars().all(allowed) {
            return Err(SignError::Name);
        }
        let key_id = key_id(name, ED25519, key.as_bytes());
        Ok(Self { name: name.to_owned(), key, key_id })
    }

    /// Takes a name and a raw public key that stood together in some other text form.
    pub(crate) fn from_public_key(name: &str, key: &[u8; 32]) -> Result<Self, SignError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_cause| SignError::Verifier)?;
        if key.is_weak() { Err(SignError::Verifier) } else { Self::new(name, key) }
    }

    /// Names the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the short key id of C2SP signed notes.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// Gives the raw Ed25519 public key, for other programs.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Verifies a signature strictly (no weak keys, no malleable forms).
    ///
    /// # Errors
    ///
    /// Fails when this key did not sign exactly this message.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key.verify_strict(message, &signature).map_err(|_opaque| SignError::Mismatch)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut encoded = vec![ED25519];
        encoded.extend_from_slice(self.key.as_bytes());
        write!(formatter, "{}+{:08x}+{}", self.name, self.key_id, STANDARD.encode(encoded))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Verifier({self})")
    }
}

impl FromStr for Verifier {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SignError::Verifier);
        };
        let encoded = STANDARD.decode(encoded).map_err(|_cause| SignError::Verifier)?;
        let Some((&[ED25519], key)) = encoded.split_first_chunk() else {
            return Err(SignError::Verifier);
        };
        let key: &[u8; 32] = key.try_into().map_err(|_cause| SignError::Verifier)?;
        let verifier = Self::from_public_key(name, key)?;
        // The id is redundant, so it catches a key pasted beside another key's name.
        if format!("{:08x}", verifier.key_id) != key_id {
            return Err(SignError::Verifier);
        }
        Ok(verifier)
    }
}

/// Computes the short id by which signed notes name a key of a signature type.
pub(crate) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> u32 {
    let digest = sha256(&[name.as_bytes(), b"\n", &[kind], key].concat());
    digest.as_bytes().first_chunk().map_or(0, |first| u32::from_be_bytes(*first))
}

/// Holds one Ed25519 signature; its text form is standard base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Takes signature bytes as they are; whether they fit a message is for [`Verifier::verify`] to say.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }

    /// Shows the signature bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let bytes = STANDARD.decode(text).map_err(|_cause| SignError::Signature)?;
        bytes.try_into().map(Self).map_err(|_cause| SignError::Signature)
    }
}

/// Says why a key or signature is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The name is empty, too long, or holds a space, a control character or a plus sign.
    #[error("the key name must be 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, control characters or `+`")]
    Name,
    /// The text is not a C2SP Ed25519 verifier key.
    #[error("the text is not an Ed25519 verifier key of the form name+hash+base64")]
    Verifier,
    /// The text is not a signature.
    #[error("the text is not a base64 Ed25519 signature")]
    Signature,
    /// The signature does not belong to this message and key.
    #[error("the signature does not match")]
    Mismatch,
    /// There was no randomness for a new key.
    #[error("a signing key could not be made")]
    Random(#[from] RandomError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    fn rfc_8032_test_2() -> Signer {
        let seed =
            crate::sha256::Hash::from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap();
        Signer::from_secret("log.example", &SecretBytes::from_slice(seed.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_rfc_8032_vector_is_reproduced() {
        let signature = rfc_8032_test_2().sign(&[0x72]);
        let hex: String = signature.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        rfc_8032_test_2().verifier().verify(&[0x72], &signature).unwrap();
    }

    #[test]
    fn every_flipped_bit_of_signature_or_message_is_found() {
        let signer = Signer::generate("log.example").unwrap();
        let message = b"checkpoint".to_vec();
        let signature = signer.sign(&message);
        for bit in 0..SIGNATURE_BYTES * 8 {
            let mut damaged = signature;
            damaged.0[bit / 8] ^= 1 << (bit % 8);
            assert!(signer.verifier().verify(&message, &damaged).is_err());
        }
        for bit in 0..message.len() * 8 {
            let mut damaged = message.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(signer.verifier().verify(&damaged, &signature).is_err());
        }
    }

    #[test]
    fn text_forms_read_back() {
        let signer = Signer::generate("obscura.example/log").unwrap();
        let verifier: Verifier = signer.verifier().to_string().parse().unwrap();
        assert_eq!(&verifier, signer.verifier());
        let signature: Signature = signer.sign(b"m").to_string().parse().unwrap();
        verifier.verify(b"m", &signature).unwrap();
        assert!("AAAA".parse::<Signature>().is_err());
    }

    #[test]
    fn the_published_go_verifier_key_is_read_and_a_changed_one_is_not() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(text.parse::<Verifier>().unwrap().to_string(), text);
        for damaged in [
            "PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3",
            "",
        ] {
            assert!(damaged.parse::<Verifier>().is_err(), "{damaged}");
        }
    }

    #[test]
    fn names_that_would_break_a_note_are_refused() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b", &"n".repeat(129)] {
            assert!(matches!(Signer::generate(name), Err(SignError::Name)), "{name:?}");
        }
    }

    #[test]
    fn debug_output_of_a_signer_is_the_type_name() {
        assert_eq!(format!("{:?}", rfc_8032_test_2()), "Signer");
    }
}
