//! The purpose of a question, by its form: a text that is no code is kept nowhere, so that it is never shown to a reader.
//! The guard decides whether there is such a purpose, and a grant for it.

use obscura_policies::vocabulary::is_code;

use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// Refuses what is no code.
pub(crate) fn check_purpose(purpose: &str) -> Result<(), AppError> {
    if is_code(purpose) {
        return Ok(());
    }
    Err(PublicError::new(
        Class::Usage,
        "purpose-malformed",
        "a purpose is a code such as `official-statistics`",
        "用途须为代码，例如 `official-statistics`",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_code_is_a_purpose() {
        assert!(check_purpose("official-statistics").is_ok());
        for wrong in ["", "Official", "a b", "x\u{1b}[2J", "\u{202e}x", &"x".repeat(1000)] {
            assert!(check_purpose(wrong).is_err(), "{wrong:?}");
        }
    }
}
