//! The functions that weaken a guarantee of this crate, gathered where a reviewer can find them with one search.
//!
//! Each function says who may call it and why. It does not log, and nothing here prints a key.

use std::path::Path;

use crate::keys::DataKey;
use crate::kms::{KeyringError, LocalKeyring, PassphraseCost, Secret};

/// Shows the raw bytes of a data key.
///
/// Only the glue that hands the key to a Parquet reader or writer may call this, because Parquet's own encryption needs
/// the bytes; the caller must not store, print or copy them further than that.
#[must_use]
pub fn key_bytes(key: &DataKey) -> &[u8; 32] {
    key.expose()
}

/// Creates a keyring whose passphrase derivation costs what the caller says.
///
/// Only tests may call this: a cheap derivation makes a stolen keyring guessable. Products call
/// [`LocalKeyring::create`], which uses [`PassphraseCost::STANDARD`].
///
/// # Errors
///
/// As [`LocalKeyring::create`].
pub fn create_keyring_with_cost(
    path: &Path,
    secret: &Secret,
    cost: PassphraseCost,
) -> Result<LocalKeyring, KeyringError> {
    LocalKeyring::create_with_cost(path, secret, cost)
}
