//! Format-preserving pseudonyms: FF1 of NIST SP 800-38G with AES-256, only over domains of a million values and more.
//! It keeps form and check digit, nothing else: dates and regions inside an identity number do not survive.

use std::fmt;

use aes::Aes256;
use fpe::ff1::FF1;
use fpe::ff1::FlexibleNumeralString;
use zeroize::Zeroizing;

use crate::identifiers::USCC_ALPHABET;
use crate::identifiers::luhn_digit;
use crate::identifiers::resident_id_digit;
use crate::identifiers::uscc_digit;

/// Fewest values that a format-preserving domain must have: below, a table of all pseudonyms is cheap.
pub const FORMAT_DOMAIN_MIN: u128 = 1_000_000;

const DIGITS: &[u8] = b"0123456789";

/// Form of the values that a format-preserving mask keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FormatKind {
    /// Exactly this many digits.
    Digits {
        /// Number of digits.
        length: u8,
    },
    /// A mobile number: the leading 1 stays.
    Mobile,
    /// A bank card number of 16 to 19 digits, Luhn digit recomputed.
    BankCard,
    /// A resident identity number of 18 characters, check character recomputed.
    ResidentId,
    /// A unified social credit code, check character recomputed.
    Uscc,
}

/// Key of the format-preserving cipher; wiped when dropped.
pub struct FormatKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for FormatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormatKey")
    }
}

impl FormatKey {
    /// Takes key bytes.
    #[must_use]
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl FormatKind {
    /// The number of values that the cipher permutes.
    #[must_use]
    pub fn domain_size(self) -> u128 {
        let (radix, length): (u128, u32) = match self {
            Self::Digits { length } => (10, u32::from(length)),
            Self::Mobile => (10, 10),
            Self::BankCard => (10, 15),
            Self::ResidentId => (10, 17),
            Self::Uscc => (31, 17),
        };
        radix.checked_pow(length).unwrap_or(u128::MAX)
    }

    /// The pseudonym of a value in canonical form; a value of another form has none.
    #[must_use]
    pub(crate) fn encrypt(self, key: &FormatKey, domain: &str, value: &str) -> Option<String> {
        if self.domain_size() < FORMAT_DOMAIN_MIN || !value.is_ascii() {
            return None;
        }
        let body = self.body(value)?;
        let alphabet = match self {
            Self::Uscc => USCC_ALPHABET,
            _ => DIGITS,
        };
        let permuted = permute(key, &self.tweak(domain), alphabet, body)?;
        match self {
            Self::Digits { .. } => Some(permuted),
            Self::Mobile => Some(format!("1{permuted}")),
            Self::BankCard => luhn_digit(&permuted).map(|check| format!("{permuted}{check}")),
            Self::ResidentId => resident_id_digit(&permuted).map(|check| format!("{permuted}{check}")),
            Self::Uscc => uscc_digit(&permuted).map(|check| format!("{permuted}{check}")),
        }
    }

    /// The part of a well-formed value that is permuted.
    fn body(self, value: &str) -> Option<&str> {
        let body = match self {
            Self::Digits { length } if value.len() == usize::from(length) => Some(value),
            Self::Digits { .. } => None,
            Self::Mobile if value.len() == 11 => value.strip_prefix('1'),
            Self::BankCard if (16..=19).contains(&value.len()) => value.get(..value.len() - 1),
            Self::ResidentId | Self::Uscc if value.len() == 18 => value.get(..17),
            Self::Mobile | Self::BankCard | Self::ResidentId | Self::Uscc => None,
        }?;
        let check = value.get(body.len()..)?.chars().next();
        let well_formed = match self {
            Self::Digits { .. } | Self::Mobile => true,
            Self::BankCard => luhn_digit(body) == check,
            Self::ResidentId => resident_id_digit(body) == check,
            Self::Uscc => uscc_digit(body) == check,
        };
        well_formed.then_some(body)
    }

    fn tweak(self, domain: &str) -> Vec<u8> {
        let kind: u8 = match self {
            Self::Digits { .. } => 1,
            Self::Mobile => 2,
            Self::BankCard => 3,
            Self::ResidentId => 4,
            Self::Uscc => 5,
        };
        let mut tweak = vec![kind];
        tweak.extend_from_slice(domain.as_bytes());
        tweak
    }
}

/// FF1 over one alphabet.
pub(super) fn permute(key: &FormatKey, tweak: &[u8], alphabet: &[u8], body: &str) -> Option<String> {
    let numerals: Option<Vec<u16>> = body
        .bytes()
        .map(|b| alphabet.iter().position(|a| *a == b).and_then(|i| u16::try_from(i).ok()))
        .collect();
    let radix = u32::try_from(alphabet.len()).ok()?;
    let cipher = FF1::<Aes256>::new(key.0.as_ref(), radix).ok()?;
    let permuted: FlexibleNumeralString =
        cipher.encrypt(tweak, &FlexibleNumeralString::from(numerals?)).ok()?;
    let numerals: Vec<u16> = permuted.into();
    numerals.into_iter().map(|n| alphabet.get(usize::from(n)).map(|b| char::from(*b))).collect()
}
