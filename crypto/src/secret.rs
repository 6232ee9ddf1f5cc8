//! Thirty-two secret bytes, wiped when dropped, and the macro that keeps secrets out of `Debug` output.
//!
//! The type gives no access outside the crate; what may leave does so through `danger`.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Implements `Debug` for a type holding secrets by printing its name and nothing else.
macro_rules! opaque_debug {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }
    };
}
pub(crate) use opaque_debug;

/// Length of every symmetric key and every Ed25519 seed, in bytes.
pub(crate) const SECRET_BYTES: usize = 32;

/// Holds 32 secret bytes on the heap, so that moving the value leaves no copy behind on the stack.
pub(crate) struct SecretBytes(Box<[u8; SECRET_BYTES]>);

opaque_debug!(SecretBytes);

impl SecretBytes {
    /// Draws fresh bytes from the operating system.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        Self::filled_by(|bytes| getrandom::fill(bytes).map_err(|_cause| RandomError))
    }

    /// Lets `fill` write the bytes in place.
    pub(crate) fn filled_by<E>(
        fill: impl FnOnce(&mut [u8; SECRET_BYTES]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; SECRET_BYTES]));
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Copies a slice that is exactly 32 bytes long.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SECRET_BYTES] = bytes.try_into().ok()?;
        let mut secret = Self(Box::new([0; SECRET_BYTES]));
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// Makes a second owner of the same secret; crate-private because the public types cannot be cloned.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

/// Says that the operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RandomError;
