//! A person's account at an identity provider. Personal: it is shown nowhere and stored only as a keyed token.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Most bytes of an account (OpenID Connect Core, section 2).
const ACCOUNT_BYTES_MAX: usize = 255;

/// The `sub` of a token; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Account(String);

/// An account that breaks its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an account has 1 to 255 bytes and no control characters")]
pub struct AccountError;

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

impl Account {
    /// The text that is tokenized: issuer and account, so that no two pairs look the same.
    #[must_use]
    pub fn at(&self, issuer: &str) -> String {
        format!("{}:{issuer}{}", issuer.len(), self.0)
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let fits = (1..=ACCOUNT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(AccountError) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_bounded_and_show_nothing() {
        let account: Account = "248289761001".parse().unwrap();
        assert_eq!(format!("{account:?}"), "Account");
        for bad in ["", "a\nb", "a\0", &"a".repeat(256)] {
            assert!(bad.parse::<Account>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_two_pairs_of_issuer_and_account_are_written_alike() {
        let at = |issuer: &str, account: &str| account.parse::<Account>().unwrap().at(issuer);
        assert_ne!(at("https://a", "bc"), at("https://ab", "c"));
        assert_ne!(at("https://a", "1"), at("https://a", "2"));
    }
}
