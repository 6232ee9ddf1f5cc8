//! Wrapped data keys and the context they are bound to.
//!
//! It describes and encodes; the wrapping itself is the key holder's.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{KekId, KekVersion};
use crate::aead::{OVERHEAD_BYTES, associated_data};
use crate::secret::SECRET_BYTES;

/// Leads the text of a wrapped key and counts its format.
const FORMAT: &str = "owk1";
/// A sealed data key, in bytes.
const SEALED_BYTES: usize = SECRET_BYTES + OVERHEAD_BYTES;

/// Says what a data key is for; a key unwraps only in the context it was wrapped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrapContext {
    /// The key of one column of one file.
    Column {
        /// Version of the stored format around the key.
        format_version: u16,
        /// The dataset's id.
        dataset: String,
        /// The dataset's version.
        version: u64,
        /// The part within the version.
        part: String,
        /// The column, or the name of the footer.
        column: String,
    },
    /// The key of something else: a result, a temporary file, the text of an audited query.
    Object {
        /// Version of the stored format around the key.
        format_version: u16,
        /// The kind of object, in one word.
        kind: String,
        /// Its identifier.
        id: String,
    },
}

impl WrapContext {
    /// Builds the associated data that binds a wrapped key to its context and its key-encryption key.
    pub(crate) fn associated_data(&self, kek: &KekId, kek_version: KekVersion) -> Vec<u8> {
        let kek = kek.to_string();
        let kek_version = kek_version.number().to_be_bytes();
        match self {
            Self::Column { format_version, dataset, version, part, column } => associated_data(
                "obscura wrapped column key",
                &[
                    kek.as_bytes(),
                    &kek_version,
                    &format_version.to_be_bytes(),
                    dataset.as_bytes(),
                    &version.to_be_bytes(),
                    part.as_bytes(),
                    column.as_bytes(),
                ],
            ),
            Self::Object { format_version, kind, id } => associated_data(
                "obscura wrapped object key",
                &[
                    kek.as_bytes(),
                    &kek_version,
                    &format_version.to_be_bytes(),
                    kind.as_bytes(),
                    id.as_bytes(),
                ],
            ),
        }
    }
}

/// Holds a data key sealed under a key-encryption key; safe to store and show.
///
/// Its text is `owk1:hz-health/L3:2:` and 80 characters of base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    kek: KekId,
    version: KekVersion,
    sealed: Vec<u8>,
}

impl WrappedKey {
    pub(crate) fn new(kek: KekId, version: KekVersion, sealed: Vec<u8>) -> Self {
        Self { kek, version, sealed }
    }

    /// Names the key-encryption key it is wrapped under.
    #[must_use]
    pub fn kek(&self) -> &KekId {
        &self.kek
    }

    /// Gives the version of that key.
    #[must_use]
    pub fn version(&self) -> KekVersion {
        self.version
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.sealed
    }
}

impl fmt::Display for WrappedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{FORMAT}:{}:{}:{}", self.kek, self.version, URL_SAFE_NO_PAD.encode(&self.sealed))
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WrappedKey({}, {})", self.kek, self.version)
    }
}

impl FromStr for WrappedKey {
    type Err = WrappedKeyError;

    fn from_str(text: &str) -> Result<Self, WrappedKeyError> {
        let mut parts = text.split(':');
        let (Some(FORMAT), Some(kek), Some(version), Some(sealed), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(WrappedKeyError);
        };
        let kek = kek.parse().map_err(|_cause| WrappedKeyError)?;
        let number: u32 = version.parse().map_err(|_cause| WrappedKeyError)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_cause| WrappedKeyError)?;
        if sealed.len() != SEALED_BYTES || number.to_string() != version {
            return Err(WrappedKeyError);
        }
        Ok(Self { kek, version: KekVersion::new(number), sealed })
    }
}

/// Says that a text is not a wrapped key.
#[derive(Debug, thiserror::Error)]
#[error("the text is not a wrapped key of the form {FORMAT}:department/L3:version:base64")]
pub struct WrappedKeyError;
