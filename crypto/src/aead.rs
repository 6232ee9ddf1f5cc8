//! Authenticated encryption with AES-256-GCM: one trait, two providers that open each other's output.
//!
//! It draws its own nonces and knows no key but the one it is given; it does not chunk, compress or store.
//! A sealed message is `nonce (12 bytes) || ciphertext || tag (16 bytes)`.
//! Nonces are random, so one key seals at most [`SEALS_PER_KEY_MAX`] messages.

use zeroize::Zeroizing;

use crate::keys::{DataKey, RandomError};

mod associated_data;
mod ring_provider;
mod rust_crypto_provider;
#[cfg(test)]
mod tests;

pub use associated_data::associated_data;
pub use ring_provider::RingAead;
pub use rust_crypto_provider::RustCryptoAead;

/// Length of a nonce in bytes.
pub const NONCE_BYTES: usize = 12;
/// Length of an authentication tag in bytes.
pub const TAG_BYTES: usize = 16;
/// Bytes by which a sealed message is longer than its plaintext.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Messages one key may seal before random 96-bit nonces collide with a chance above 2^-32 (NIST SP 800-38D, 8.3).
pub const SEALS_PER_KEY_MAX: u64 = 1 << 32;

/// Seals and opens messages; every provider gives and takes the same bytes.
pub trait Aead: Send + Sync {
    /// Seals with a given nonce, consuming it so that it cannot be used twice.
    ///
    /// # Errors
    ///
    /// Fails when the message is longer than AES-GCM allows.
    fn seal_with(
        &self,
        key: &DataKey,
        nonce: Nonce,
        associated_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadError>;

    /// Opens a sealed message; nothing of it is shown unless all of it is authentic.
    ///
    /// # Errors
    ///
    /// Fails with the same opaque error for a wrong key, other associated data, or damaged or short bytes.
    fn open(
        &self,
        key: &DataKey,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, AeadError>;

    /// Seals with a fresh random nonce.
    ///
    /// # Errors
    ///
    /// Fails when there is no randomness or the message is longer than AES-GCM allows.
    fn seal(&self, key: &DataKey, associated_data: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, AeadError> {
        let nonce = Nonce::random().map_err(|RandomError| AeadError)?;
        self.seal_with(key, nonce, associated_data, plaintext)
    }
}

/// A number used once: made only from randomness, consumed by use, and impossible to copy.
///
/// ```compile_fail,E0423
/// let chosen = obscura_crypto::aead::Nonce([0; 12]);
/// ```
/// ```compile_fail,E0382
/// # use obscura_crypto::{aead::{Aead, Nonce, RingAead}, keys::DataKey};
/// # let (key, nonce) = (DataKey::generate().unwrap(), Nonce::random().unwrap());
/// RingAead.seal_with(&key, nonce, b"", b"one").unwrap();
/// RingAead.seal_with(&key, nonce, b"", b"two").unwrap();
/// ```
#[derive(Debug)]
pub struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// Draws a nonce from the operating system; the only constructor there is outside this crate's tests.
    ///
    /// # Errors
    ///
    /// Fails when the operating system gives no randomness.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; NONCE_BYTES];
        getrandom::fill(&mut bytes).map_err(|_cause| RandomError)?;
        Ok(Self(bytes))
    }

    /// Takes the nonce of a published test vector.
    #[cfg(test)]
    fn from_vector(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(bytes)
    }
}

/// Says that a message could not be sealed or opened, and deliberately not why.
#[derive(Debug, thiserror::Error)]
#[error("the message could not be sealed or opened")]
pub struct AeadError;

/// Cuts a sealed message into its nonce and the ciphertext with the tag.
fn split_nonce(sealed: &[u8]) -> Result<(&[u8; NONCE_BYTES], &[u8]), AeadError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(AeadError)?;
    if body.len() < TAG_BYTES {
        return Err(AeadError);
    }
    Ok((nonce, body))
}
