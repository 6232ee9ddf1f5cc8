//! Errors of key management, told to operators; analysts never see these.
//!
//! Nothing here carries key material, plaintext, or which cryptographic check failed.

use std::io;
use std::path::PathBuf;

use crate::secret::RandomError;

/// Says that the key service did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The key is not there, the context differs, or the wrapped bytes are damaged: deliberately one answer.
    #[error("the key service refused the operation")]
    Refused,
    /// A name cannot be used.
    #[error("the key service cannot use this name")]
    Name(#[from] KeyNameError),
    /// The keyring could not be read or changed; the previous keyring is still in place.
    #[error("the keyring could not be read or changed")]
    Keyring(#[from] KeyringError),
}

/// Says that a name is not one a key can have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// A key-encryption key's name is malformed.
    #[error("a key-encryption key is named department/L3, the department in 1 to 64 of `a-z 0-9 - _`")]
    Kek,
    /// The name of a unit, purpose or signer is malformed.
    #[error("a key name must be 1 to 128 bytes without spaces, control characters or `+`")]
    Other,
}

/// Says why a keyring or key file could not be created, opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no file at the path.
    #[error("there is no keyring or key file at `{}`", path.display())]
    Missing {
        /// The path where it was looked for.
        path: PathBuf,
    },
    /// There is already a file at the path, and it was left alone.
    #[error("there is already a file at `{}`", path.display())]
    Exists {
        /// The file that was left alone.
        path: PathBuf,
    },
    /// The file is something else, or was written by a newer Obscura.
    #[error("`{}` is not a keyring or key file that this version can read", path.display())]
    Format {
        /// The file in question.
        path: PathBuf,
    },
    /// Other users may read or write the file.
    #[error("`{}` is open to other users (mode {mode:o}); run `chmod 600` on it", path.display())]
    Permissions {
        /// The file in question.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The keyring does not open with this secret. That the passphrase is wrong and that the file is damaged cannot be
    /// told apart, by design of authenticated encryption.
    #[error("wrong passphrase or key file, or damaged keyring")]
    WrongSecret,
    /// The keyring is sealed by the other kind of secret.
    #[error("the keyring is sealed under a {expected}")]
    SecretKind {
        /// The kind of secret that opens it, in words.
        expected: &'static str,
    },
    /// The passphrase is too short to protect a keyring.
    #[error("the passphrase must have at least {characters_min} characters")]
    Passphrase {
        /// The shortest that is taken.
        characters_min: usize,
    },
    /// The cost of the passphrase derivation is outside the limits.
    #[error("the passphrase cost is outside the limits")]
    Cost,
    /// The keyring holds as many keys as it may.
    #[error("the keyring is full")]
    Full,
    /// There was no randomness.
    #[error("a key could not be made")]
    Random(#[from] RandomError),
    /// The operating system refused a file operation.
    #[error("could not {step} `{}`", path.display())]
    Io {
        /// The operation, in words.
        step: &'static str,
        /// The file in question.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
