//! Persons and tokens in force, as other use cases look for them.

use crate::catalog::body::TokenBody;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::installation::Installation;

/// The answer for a person who is not there.
pub(crate) fn no_such_person(name: &PersonName) -> AppError {
    PublicError::new(
        Class::NotFound,
        "person-not-found",
        format!("there is no person `{name}`"),
        format!("没有名为 `{name}` 的人员"),
    )
    .with_help("`obscura person list` shows who there is", "可用 `obscura person list` 查看")
    .into()
}

/// Says whether a person has a token that is good.
pub(crate) async fn has_token(installation: &Installation, person: &PersonName) -> Result<bool, AppError> {
    let tokens = installation.all_in_force::<TokenBody>().await?;
    let now = installation.now();
    Ok(tokens.iter().any(|token| token.person == person.as_str() && token.expires > now))
}
