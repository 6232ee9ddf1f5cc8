//! The bytes of a keyring file: `magic (8), version (1), header (29), nonce || ciphertext || tag`.
//!
//! Everything before the nonce is authenticated as associated data; it does not read or write files.

use std::path::Path;

use super::records::Records;
use super::unlock::{HEADER_BYTES, Root};
use crate::aead::{Aead, NONCE_BYTES, OVERHEAD_BYTES, associated_data};
use crate::kms::KeyringError;

/// Leads every keyring file of every version.
const MAGIC: &[u8; 8] = b"OBSCKEYR";
const VERSION: u8 = 1;
const PREFIX_BYTES: usize = MAGIC.len() + 1 + HEADER_BYTES;
/// Bytes that tell one written state from another.
pub(super) const STAMP_BYTES: usize = PREFIX_BYTES + NONCE_BYTES;
/// A larger file is no keyring; about 80,000 keys fit.
pub(super) const KEYRING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Identifies one written state of a keyring: its header and its nonce, which is fresh for every write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(pub(super) [u8; STAMP_BYTES]);

/// Holds the bytes of a keyring file whose magic, version and length have been checked.
pub(super) struct SealedKeyring {
    bytes: Vec<u8>,
    stamp: Stamp,
    header: [u8; HEADER_BYTES],
}

impl SealedKeyring {
    pub(super) fn seal(aead: &dyn Aead, root: &Root, records: &Records) -> Result<Self, KeyringError> {
        let mut bytes = [MAGIC.as_slice(), &[VERSION], &root.header().encode()].concat();
        let context = associated_data("obscura keyring", &[&bytes]);
        // Sealing fails only without randomness: a keyring is far shorter than AES-GCM allows.
        let sealed = aead
            .seal(root.key(), &context, &records.encode())
            .map_err(|_opaque| KeyringError::Random(crate::keys::RandomError))?;
        bytes.extend_from_slice(&sealed);
        // What was just written has every part of a keyring; only its length can be wrong.
        Self::parse(bytes).ok_or(KeyringError::Full)
    }

    pub(super) fn read(bytes: Vec<u8>, path: &Path) -> Result<Self, KeyringError> {
        Self::parse(bytes).ok_or_else(|| KeyringError::Format { path: path.to_owned() })
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (prefix, sealed) = bytes.split_at_checked(PREFIX_BYTES)?;
        let (&[VERSION], header) = prefix.strip_prefix(MAGIC)?.split_first_chunk()? else {
            return None;
        };
        let header = header.try_into().ok()?;
        let stamp = Stamp(*bytes.first_chunk()?);
        (sealed.len() >= OVERHEAD_BYTES && bytes.len() <= KEYRING_BYTES_MAX).then_some(())?;
        Some(Self { stamp, header, bytes })
    }

    pub(super) fn open(&self, aead: &dyn Aead, root: &Root) -> Result<Records, KeyringError> {
        let (prefix, sealed) = self.bytes.split_at_checked(PREFIX_BYTES).ok_or(KeyringError::WrongSecret)?;
        let context = associated_data("obscura keyring", &[prefix]);
        let plain = aead.open(root.key(), &context, sealed).map_err(|_opaque| KeyringError::WrongSecret)?;
        Records::decode(&plain).ok_or(KeyringError::WrongSecret)
    }

    pub(super) fn header(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
