//! Data keys: the keys that seal one column of one file, one result, or one temporary file.
//!
//! A data key is stored only wrapped (see `kms`); this file does not store, wrap or print any.

pub use crate::secret::RandomError;
use crate::secret::{SecretBytes, opaque_debug};

/// Holds one AES-256 key; wiped when dropped, and never printable.
///
/// ```compile_fail,E0599
/// # let key = obscura_crypto::keys::DataKey::generate().unwrap();
/// let copy = key.clone();
/// ```
/// ```compile_fail,E0277
/// # let key = obscura_crypto::keys::DataKey::generate().unwrap();
/// println!("{key}");
/// ```
pub struct DataKey(SecretBytes);

opaque_debug!(DataKey);

impl DataKey {
    /// Draws a fresh key from the operating system.
    ///
    /// # Errors
    ///
    /// Fails when the operating system gives no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        SecretBytes::generate().map(Self)
    }

    pub(crate) fn from_secret(secret: SecretBytes) -> Self {
        Self(secret)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}
