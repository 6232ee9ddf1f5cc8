//! Use case: find out who is asking, from the token file that the settings name.
//! The only place, besides `init`, that makes a `Caller`. Whatever is wrong, the answer is the same.

use std::path::Path;

use crate::app::installation::Installation;
use crate::app::token::TokenFileError;
use crate::app::token::TokenText;
use crate::catalog::body::PersonBody;
use crate::catalog::body::TokenBody;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::TokenId;

/// Recognises the person of the token file.
///
/// # Errors
/// Unauthenticated when no file is named, it cannot be used, or its token is unknown, expired or revoked.
pub async fn authenticate(
    installation: &Installation,
    token_file: Option<&Path>,
    door: Door,
) -> Result<Caller, AppError> {
    let Some(path) = token_file else {
        return Err(no_token());
    };
    let token = TokenText::read(path).map_err(|error| unusable(path, error))?;
    authenticate_token(installation, &token, door).await
}

/// Recognises the person of a token.
///
/// # Errors
/// Unauthenticated when the token is unknown, expired or revoked, or its person is no longer here.
pub async fn authenticate_token(
    installation: &Installation,
    token: &TokenText,
    door: Door,
) -> Result<Caller, AppError> {
    let Some(body) = installation.find_in_force::<TokenBody>(&token.id().to_string()).await? else {
        return Err(token_not_valid());
    };
    // Hashes of 256 random bits: how far two of them agree tells nothing about the secret.
    if body.secret_sha256 != token.secret_sha256() || body.expires <= installation.now() {
        return Err(token_not_valid());
    }
    let Some(person) = installation.find_in_force::<PersonBody>(&body.person).await? else {
        return Err(token_not_valid());
    };
    let mut person = person.person().during("read a person")?;
    if let Some(carried) = &body.roles {
        person.roles.retain(|role| carried.contains(role.as_str()));
    }
    Ok(Caller::authenticated(person, door))
}

/// Says whether a token that was shown a while ago would still be accepted.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn is_still_valid(installation: &Installation, token: TokenId) -> Result<bool, AppError> {
    let Some(body) = installation.find_in_force::<TokenBody>(&token.to_string()).await? else {
        return Ok(false);
    };
    let is_current = body.expires > installation.now();
    Ok(is_current && installation.find_in_force::<PersonBody>(&body.person).await?.is_some())
}

impl Installation {
    /// Notes that a token was used just now.
    pub(crate) async fn note_token_use(&self, token: TokenId) -> Result<(), AppError> {
        self.catalog.note_token_use(&token.to_string(), self.now()).await.during("note the use of a token")
    }
}

fn no_token() -> AppError {
    PublicError::new(
        Class::Unauthenticated,
        "token-missing",
        "no token file is named, so nobody is asking",
        "未指定令牌文件，无法识别身份",
    )
    .with_help(
        "set OBSCURA_TOKEN_FILE to the file that `obscura init` or `obscura token create` wrote",
        "请将 OBSCURA_TOKEN_FILE 设为 `obscura init` 或 `obscura token create` 写出的文件",
    )
    .into()
}

fn unusable(path: &Path, error: TokenFileError) -> AppError {
    let path = path.display();
    let (en, zh) = match error {
        TokenFileError::Unreadable(kind) => {
            (format!("the token file `{path}` cannot be read ({kind})"), format!("无法读取令牌文件 `{path}`"))
        }
        TokenFileError::OpenToOthers => (
            format!("the token file `{path}` can be read by other users; run `chmod 600` on it"),
            format!("令牌文件 `{path}` 可被其他用户读取，请执行 `chmod 600`"),
        ),
        TokenFileError::Malformed => {
            (format!("the file `{path}` holds no token"), format!("文件 `{path}` 中没有令牌"))
        }
    };
    PublicError::new(Class::Unauthenticated, "token-file-unusable", en, zh).into()
}

/// Nobody, or somebody whose token is good no longer: always in the same words.
pub(crate) fn token_not_valid() -> AppError {
    PublicError::new(
        Class::Unauthenticated,
        "token-not-valid",
        "the token is not valid: it is unknown, expired or revoked",
        "令牌无效：未知、已过期或已吊销",
    )
    .with_help(
        "an operator makes a new one with `obscura token create`",
        "请运维人员用 `obscura token create` 重新签发",
    )
    .into()
}
