//! From a passphrase or a key file to the root key that seals a keyring.
//!
//! The header that says how (public, authenticated by the seal) is `kind, memory, passes, lanes, salt`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::file::{io_error, refuse_open_permissions};
use crate::keys::{DataKey, RandomError};
use crate::kms::KeyringError;
use crate::secret::{SECRET_BYTES, SecretBytes, opaque_debug};
use crate::tokens::derive;

/// Shortest passphrase a keyring is sealed under, in characters.
const PASSPHRASE_CHARACTERS_MIN: usize = 8;
const SALT_BYTES: usize = 16;
/// Length of the encoded header.
pub(super) const HEADER_BYTES: usize = 1 + 4 + 4 + 4 + SALT_BYTES;
/// First line of a key file.
const KEY_FILE_FORMAT: &str = "obscura-key-file-v1";

/// Opens a keyring.
pub enum Secret {
    /// A passphrase that a person knows.
    Passphrase(Passphrase),
    /// A key file, for machines that start unattended.
    KeyFile(KeyFile),
}

opaque_debug!(Secret);

impl Secret {
    /// Takes a passphrase exactly as given; the caller strips the line end of its prompt.
    #[must_use]
    pub fn passphrase(text: String) -> Self {
        Self::Passphrase(Passphrase(Zeroizing::new(text)))
    }

    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::open`].
    pub fn key_file(path: &Path) -> Result<Self, KeyringError> {
        KeyFile::open(path).map(Self::KeyFile)
    }
}

/// Holds a passphrase; wiped when dropped.
pub struct Passphrase(Zeroizing<String>);

opaque_debug!(Passphrase);

/// Holds the contents of a key file; wiped when dropped.
pub struct KeyFile(SecretBytes);

opaque_debug!(KeyFile);

impl KeyFile {
    /// Writes a new random key file with mode 0600; a file that is already there is left alone.
    ///
    /// # Errors
    ///
    /// Fails when the path is taken or cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyringError> {
        let secret = SecretBytes::generate()?;
        let encoded = Zeroizing::new(STANDARD.encode(secret.expose()));
        let text = Zeroizing::new([KEY_FILE_FORMAT, "\n", encoded.as_str(), "\n"].concat());
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyringError::Exists { path: path.to_owned() });
            }
            Err(cause) => return Err(io_error("create", path, cause)),
        };
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|cause| io_error("write", path, cause))?;
        Ok(Self(secret))
    }

    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// Fails when the file is missing, open to other users, or not a key file.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let not_a_key_file = || KeyringError::Format { path: path.to_owned() };
        let file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => KeyringError::Missing { path: path.to_owned() },
            _ => io_error("open", path, cause),
        })?;
        refuse_open_permissions(&file, path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        file.take(256).read_to_end(&mut bytes).map_err(|cause| io_error("read", path, cause))?;
        let text = std::str::from_utf8(&bytes).map_err(|_cause| not_a_key_file())?;
        let mut lines = text.lines();
        let (Some(KEY_FILE_FORMAT), Some(encoded), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(not_a_key_file());
        };
        let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_cause| not_a_key_file())?);
        SecretBytes::from_slice(&decoded).map(Self).ok_or_else(not_a_key_file)
    }
}

/// States the cost of deriving a key from a passphrase with Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes (degree of parallelism).
    pub lanes: u32,
}

impl PassphraseCost {
    /// The cost in products: 64 MiB, three passes, one lane (RFC 9106, second recommendation, one lane).
    pub const STANDARD: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// More than this is not derived, so that a damaged header cannot exhaust the machine.
    const MAX: Self = Self { memory_kib: 256 * 1024, passes: 16, lanes: 16 };

    fn params(self) -> Option<Params> {
        let within = self.memory_kib <= Self::MAX.memory_kib
            && self.passes <= Self::MAX.passes
            && self.lanes <= Self::MAX.lanes;
        within
            .then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(SECRET_BYTES)).ok())
            .flatten()
    }
}

/// Says how a root key is derived; stored in front of the sealed keyring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Derivation {
    Argon2id(PassphraseCost),
    KeyFile,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    derivation: Derivation,
    salt: [u8; SALT_BYTES],
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, cost) = match self.derivation {
            Derivation::Argon2id(cost) => (1, cost),
            Derivation::KeyFile => (2, PassphraseCost { memory_kib: 0, passes: 0, lanes: 0 }),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.push(kind);
        for number in [cost.memory_kib, cost.passes, cost.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes
    }

    /// Reads a header; what no Obscura would have written means damage.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, KeyringError> {
        let &[kind, a, b, c, d, e, f, g, h, i, j, k, l, ref salt @ ..] = bytes;
        let cost = PassphraseCost {
            memory_kib: u32::from_be_bytes([a, b, c, d]),
            passes: u32::from_be_bytes([e, f, g, h]),
            lanes: u32::from_be_bytes([i, j, k, l]),
        };
        let derivation = match kind {
            1 => Derivation::Argon2id(cost),
            2 => Derivation::KeyFile,
            _ => return Err(KeyringError::WrongSecret),
        };
        let header = Self { derivation, salt: *salt };
        if header.encode() == bytes { Ok(header) } else { Err(KeyringError::WrongSecret) }
    }
}

/// Holds the key that seals the keyring, with the header that says how it came about.
pub(super) struct Root {
    header: Header,
    key: DataKey,
}

impl Root {
    /// Derives a root key with a fresh salt.
    pub(super) fn fresh(secret: &Secret, cost: PassphraseCost) -> Result<Self, KeyringError> {
        let derivation = match secret {
            Secret::Passphrase(passphrase) => {
                if passphrase.0.chars().count() < PASSPHRASE_CHARACTERS_MIN {
                    return Err(KeyringError::Passphrase { characters_min: PASSPHRASE_CHARACTERS_MIN });
                }
                cost.params().ok_or(KeyringError::Cost)?;
                Derivation::Argon2id(cost)
            }
            Secret::KeyFile(_) => Derivation::KeyFile,
        };
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_cause| RandomError)?;
        Self::derive(secret, Header { derivation, salt })
    }

    /// Derives the root key that a stored header describes.
    pub(super) fn derive(secret: &Secret, header: Header) -> Result<Self, KeyringError> {
        let key = match (header.derivation, secret) {
            (Derivation::Argon2id(cost), Secret::Passphrase(passphrase)) => {
                let params = cost.params().ok_or(KeyringError::WrongSecret)?;
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                SecretBytes::filled_by(|bytes| {
                    argon2.hash_password_into(passphrase.0.as_bytes(), &header.salt, bytes)
                })
                .map_err(|_cause| KeyringError::WrongSecret)?
            }
            (Derivation::KeyFile, Secret::KeyFile(key_file)) => {
                derive(&key_file.0, &[b"obscura keyring root v1", &header.salt])
            }
            (Derivation::Argon2id(_), Secret::KeyFile(_)) => {
                return Err(KeyringError::SecretKind { expected: "passphrase" });
            }
            (Derivation::KeyFile, Secret::Passphrase(_)) => {
                return Err(KeyringError::SecretKind { expected: "key file" });
            }
        };
        Ok(Self { header, key: DataKey::from_secret(key) })
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    pub(super) fn key(&self) -> &DataKey {
        &self.key
    }
}
