//! Identifiers of people, firms and cards: check digits and the canonical form that tokens are made from.
//! It decides nothing about columns; `detect` does.

/// Alphabet of the unified social credit code (GB 32100): no I, O, S, V, Z.
pub const USCC_ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

const RESIDENT_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const RESIDENT_CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// The check character of the first 17 digits of a resident identity number (GB 11643, ISO 7064 MOD 11-2).
#[must_use]
pub fn resident_id_digit(body: &str) -> Option<char> {
    if body.len() != RESIDENT_WEIGHTS.len() {
        return None;
    }
    let mut sum = 0;
    for (character, weight) in body.chars().zip(RESIDENT_WEIGHTS) {
        sum += character.to_digit(10)? * weight;
    }
    RESIDENT_CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

/// The check character of the first 17 characters of a unified social credit code (GB 32100).
#[must_use]
pub fn uscc_digit(body: &str) -> Option<char> {
    if body.len() != 17 {
        return None;
    }
    let mut sum = 0;
    let mut weight = 1;
    for byte in body.bytes() {
        sum += USCC_ALPHABET.iter().position(|a| *a == byte)? * weight;
        weight = weight * 3 % 31;
    }
    USCC_ALPHABET.get((31 - sum % 31) % 31).map(|b| char::from(*b))
}

/// The Luhn digit that follows a string of digits.
#[must_use]
pub fn luhn_digit(body: &str) -> Option<char> {
    if body.is_empty() {
        return None;
    }
    let mut sum = 0;
    for (place, character) in body.chars().rev().enumerate() {
        let digit = character.to_digit(10)?;
        let doubled = if place % 2 == 0 { digit * 2 } else { digit };
        sum += doubled / 10 + doubled % 10;
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

fn ends_with_check(value: &str, check: fn(&str) -> Option<char>) -> bool {
    let Some(last) = value.chars().next_back() else { return false };
    value.strip_suffix(last).and_then(check) == Some(last)
}

/// Whether the text is a resident identity number of 18 characters with the right check character.
#[must_use]
pub fn resident_id_check(value: &str) -> bool {
    ends_with_check(value, resident_id_digit)
}

/// Whether the text is a unified social credit code with the right check character.
#[must_use]
pub fn uscc_check(value: &str) -> bool {
    ends_with_check(value, uscc_digit)
}

/// Whether the text is a string of digits that ends in its Luhn digit.
#[must_use]
pub fn luhn_check(value: &str) -> bool {
    ends_with_check(value, luhn_digit)
}
