//! Key management: who holds key-encryption keys, and the one trait every holder implements.
//!
//! Key-encryption keys never leave their holder; callers get data keys, tokenizers and signers. This file stores nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::keys::DataKey;
use crate::sign::Signer;
use crate::tokens::{SubjectHashKey, Tokenizer};

mod error;
mod local;
mod wrapped;

pub use error::{KeyNameError, KeyringError, KmsError};
pub use local::{KeyFile, LocalKeyring, Passphrase, PassphraseCost, Secret};
pub use wrapped::{WrapContext, WrappedKey, WrappedKeyError};

/// Holds key-encryption keys and what is derived from stored secrets.
///
/// Every failure to unwrap is the same opaque [`KmsError::Refused`], so that an answer never tells which check failed.
pub trait KeyManagement: Send + Sync {
    /// Makes sure that a key-encryption key exists and gives its newest version.
    ///
    /// # Errors
    ///
    /// Fails when the holder cannot store a new key.
    fn ensure_key(&self, kek: &KekId) -> Result<KekVersion, KmsError>;

    /// Lists the versions that can still unwrap, oldest first; empty when there is no such key.
    ///
    /// # Errors
    ///
    /// Fails when the holder cannot be read.
    fn versions(&self, kek: &KekId) -> Result<Vec<KekVersion>, KmsError>;

    /// Wraps a data key under the newest version of a key-encryption key.
    ///
    /// # Errors
    ///
    /// Refuses when there is no such key.
    fn wrap(&self, kek: &KekId, key: &DataKey, context: &WrapContext) -> Result<WrappedKey, KmsError>;

    /// Unwraps a data key, and counts it.
    ///
    /// # Errors
    ///
    /// Refuses, always with the same error, when the key-encryption key is gone, the context differs, or a bit changed.
    fn unwrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<DataKey, KmsError>;

    /// Adds a new version: it wraps from now on, and the older ones still unwrap.
    ///
    /// # Errors
    ///
    /// Refuses when there is no such key; fails when the holder cannot store the new version.
    fn rotate(&self, kek: &KekId) -> Result<KekVersion, KmsError>;

    /// Wraps an already wrapped key again under the newest version, without showing it to the caller or counting it.
    ///
    /// # Errors
    ///
    /// As [`KeyManagement::unwrap`].
    fn rewrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<WrappedKey, KmsError>;

    /// Destroys the versions older than `oldest_kept`, once everything has been rewrapped.
    ///
    /// # Errors
    ///
    /// Refuses when this would destroy the newest version; fails when the holder cannot be changed.
    fn retire(&self, kek: &KekId, oldest_kept: KekVersion) -> Result<(), KmsError>;

    /// Destroys every version of a key-encryption key: what it wrapped can never be unwrapped again.
    ///
    /// A key made later under the same id gets a version number that was never used before.
    ///
    /// # Errors
    ///
    /// Refuses when there is no such key; fails when the holder cannot be changed.
    fn destroy(&self, kek: &KekId) -> Result<(), KmsError>;

    /// Gives the tokenizer of a privacy unit; its key is made at first use.
    ///
    /// # Errors
    ///
    /// Fails on an unusable name, or when the holder cannot store a new key.
    fn tokenizer(&self, unit: &str) -> Result<Tokenizer, KmsError>;

    /// Gives the subject hash key for a purpose (cell keys, sketches, noise keys); it is made at first use.
    ///
    /// # Errors
    ///
    /// Fails on an unusable name, or when the holder cannot store a new key.
    fn hash_key(&self, purpose: &str) -> Result<SubjectHashKey, KmsError>;

    /// Gives the signer of a name; its key is made at first use.
    ///
    /// # Errors
    ///
    /// Fails on an unusable name, or when the holder cannot store a new key.
    fn signer(&self, name: &str) -> Result<Signer, KmsError>;

    /// Counts the successful unwraps of each key since this holder was opened, for the audit to reconcile with decisions.
    fn unwraps(&self) -> BTreeMap<KekId, u64>;
}

/// Names a key-encryption key: one per department and grade, printed `hz-health/L3`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId {
    department: String,
    grade: u8,
}

impl KekId {
    /// Names the key of a department (1 to 64 of `a-z 0-9 - _`) and a grade.
    ///
    /// # Errors
    ///
    /// Fails when the department's name holds anything else.
    pub fn new(department: &str, grade: u8) -> Result<Self, KeyNameError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if department.is_empty() || department.len() > 64 || !department.bytes().all(allowed) {
            return Err(KeyNameError::Kek);
        }
        Ok(Self { department: department.to_owned(), grade })
    }

    /// Names the department.
    #[must_use]
    pub fn department(&self) -> &str {
        &self.department
    }

    /// Gives the grade's level.
    #[must_use]
    pub fn grade(&self) -> u8 {
        self.grade
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/L{}", self.department, self.grade)
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KekId({self})")
    }
}

impl FromStr for KekId {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let (department, grade) = text.split_once("/L").ok_or(KeyNameError::Kek)?;
        let kek = Self::new(department, grade.parse().map_err(|_cause| KeyNameError::Kek)?)?;
        // One spelling per key: `L03` and `L+3` parse as numbers but are not names.
        if kek.to_string() == text { Ok(kek) } else { Err(KeyNameError::Kek) }
    }
}

/// Numbers the versions of one key-encryption key, from 1; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekVersion(u32);

impl KekVersion {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Gives the number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for KekVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_print_and_read_back() {
        let kek = KekId::new("hz-health", 3).unwrap();
        assert_eq!(kek.to_string(), "hz-health/L3");
        assert_eq!("hz-health/L3".parse::<KekId>().unwrap(), kek);
    }

    #[test]
    fn a_key_id_has_one_spelling() {
        for text in [
            "hz-health/L03",
            "hz-health/L+3",
            "hz-health/3",
            "HZ/L3",
            "/L3",
            "a:b/L3",
            "hz-health/L256",
            "a/L1/L2",
        ] {
            assert!(text.parse::<KekId>().is_err(), "{text}");
        }
    }
}
