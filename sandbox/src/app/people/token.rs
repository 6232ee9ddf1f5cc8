//! The text of an access token: `obscura1.<identifier>.<secret>`.
//! The secret is 256 random bits, shown once, kept by its owner in a file of mode 0600, and stored here only as a hash.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use obscura_crypto::sha256_hex;
use zeroize::Zeroizing;

use crate::clock::Random;
use crate::clock::RandomError;
use crate::ids::TokenId;

const FORMAT: &str = "obscura1";
const SECRET_BYTES: usize = 32;

/// A token's text; wiped when dropped, and given out once: into its file, or to its owner.
pub struct TokenText {
    id: TokenId,
    secret: Zeroizing<String>,
}

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText")
    }
}

/// The reason that a token file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFileError {
    /// The file cannot be read.
    Unreadable(io::ErrorKind),
    /// Others than its owner may read the file.
    OpenToOthers,
    /// The file holds something else.
    Malformed,
}

impl TokenText {
    /// Draws a new secret for a token.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn draw(id: TokenId, random: &dyn Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
        random.fill(bytes.as_mut())?;
        let mut secret = Zeroizing::new(String::with_capacity(2 * SECRET_BYTES));
        for byte in bytes.iter() {
            secret.push(hex_digit(byte >> 4));
            secret.push(hex_digit(byte & 0x0f));
        }
        Ok(Self { id, secret })
    }

    /// Identifier of the token.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// SHA-256 of the secret: what is stored.
    #[must_use]
    pub fn secret_sha256(&self) -> String {
        sha256_hex(self.secret.as_bytes())
    }

    /// The text itself, to be shown to its owner once.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{FORMAT}.{}.{}", self.id, self.secret.as_str()))
    }

    /// Writes a new file that only its owner can read.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(self.reveal().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// Reads a token file, which must not be readable by others.
    ///
    /// # Errors
    /// When it cannot be read, is open to others, or holds something else.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        Self::parse(read_private(path)?.trim_end()).ok_or(TokenFileError::Malformed)
    }

    /// Reads a token's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (Some(FORMAT), Some(id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let well_formed = secret.len() == 2 * SECRET_BYTES && secret.bytes().all(|b| b.is_ascii_hexdigit());
        well_formed.then_some(())?;
        Some(Self { id: id.parse().ok()?, secret: Zeroizing::new(secret.to_owned()) })
    }
}

/// Reads a file of a token of any kind, which must not be readable by others.
///
/// # Errors
/// When it cannot be read or is open to others.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, TokenFileError> {
    let metadata = fs::metadata(path).map_err(|error| TokenFileError::Unreadable(error.kind()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(TokenFileError::OpenToOthers);
    }
    let text = fs::read_to_string(path).map_err(|error| TokenFileError::Unreadable(error.kind()))?;
    Ok(Zeroizing::new(text))
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    fn token() -> TokenText {
        let id = TokenId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap();
        TokenText::draw(id, &SystemRandom).unwrap()
    }

    #[test]
    fn token_written_to_a_file_reads_back_and_no_other_user_may_read_it() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lin.token");
        let token = token();
        token.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = TokenText::read(&path).unwrap();
        assert_eq!((read.id(), read.secret_sha256()), (token.id(), token.secret_sha256()));
        assert!(token.write_new(&path).is_err(), "an existing file is left alone");
    }

    #[test]
    fn token_file_open_to_others_is_refused() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lin.token");
        token().write_new(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(TokenText::read(&path).unwrap_err(), TokenFileError::OpenToOthers);
    }

    #[test]
    fn token_shows_neither_in_debug_output_nor_as_a_hash_of_another() {
        let token = token();
        assert_eq!(format!("{token:?}"), "TokenText");
        assert_ne!(token.secret_sha256(), self::token().secret_sha256());
    }

    #[test]
    fn text_of_another_form_is_no_token() {
        for wrong in ["", "obscura1", "obscura1.token_1.00", "obscura2.a.b", "obscura1..", "a.b.c.d"] {
            assert!(TokenText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
