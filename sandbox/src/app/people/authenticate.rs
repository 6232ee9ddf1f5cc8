//! Use case: find out who is asking: from the token file that the settings name, or a token that was shown.
//! The only place, besides `init`, that makes a `Caller`. The answer to every fault is the same.

use std::path::Path;

use zeroize::Zeroizing;

use crate::app::people::link_person::link_of;
use crate::app::people::token::TokenFileError;
use crate::app::people::token::TokenText;
use crate::app::people::token::read_private;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::AccountLinkBody;
use crate::catalog::body::Body as _;
use crate::catalog::body::PersonBody;
use crate::catalog::body::TokenBody;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Door;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::identity::IdentityError;
use crate::identity::IdentityProvider;
use crate::identity::TokenFault;
use crate::ids::TokenId;
use crate::installation::Installation;
use crate::installation::records::Note;

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

/// As [`authenticate`], for a command that comes and goes: the log tells whether the caller was let in.
///
/// # Errors
/// As [`authenticate`], and when it cannot be written down.
pub async fn log_in(
    installation: &Installation,
    token_file: Option<&Path>,
    door: Door,
) -> Result<Caller, AppError> {
    let entered = authenticate(installation, token_file, door).await;
    let note = match &entered {
        Ok(caller) => {
            let note = Note::new(Action::LoginSucceeded, ActorName::of(caller));
            match caller.credential() {
                Credential::AccessToken(id) => {
                    installation.note_token_use(*id).await?;
                    note.with("token", id.to_string())
                }
                _ => note,
            }
        }
        Err(AppError::Public(error)) if error.class() == Class::Unauthenticated => {
            let nobody = ActorName::of(&Caller::stranger(door));
            Note::new(Action::LoginFailed, nobody).with("code", error.code())
        }
        Err(_) => return entered,
    };
    installation.append_one(note).await?;
    entered
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
    Ok(Caller::authenticated(person, door, Credential::AccessToken(token.id())))
}

/// A person whom the identity provider vouches for.
#[derive(Debug)]
pub struct Vouched {
    /// The person, as the caller.
    pub caller: Caller,
    /// Identifier of the link that they were recognised by.
    pub link: String,
}

/// Recognises the person that a token of the identity provider is about.
///
/// The provider says who they are, our catalogue what they may do: a token can only narrow it.
///
/// # Errors
/// Unauthenticated, in the words for any token, when the token is not valid, its account is linked to no person, or its
/// person is no longer here; unavailable when the provider's keys are not to be had.
pub async fn authenticate_vouched(
    installation: &Installation,
    provider: &IdentityProvider,
    token: &str,
    door: Door,
) -> Result<Vouched, AppError> {
    let identity = provider.recognise(token).await.map_err(|error| match error {
        IdentityError::NotValid(_noted) => token_not_valid(),
        IdentityError::Unreachable => provider_unreachable(),
    })?;
    let Some(link) = link_of(installation, provider.issuer(), &identity.account).await? else {
        provider.note_refusal(TokenFault::Unlinked);
        return Err(token_not_valid());
    };
    let Some(person) = installation.find_in_force::<PersonBody>(&link.person).await? else {
        provider.note_refusal(TokenFault::PersonGone);
        return Err(token_not_valid());
    };
    let mut person = person.person().during("read a person")?;
    // INVARIANT(provider-gives-no-role): a claim takes away, and nothing else of the token reaches the roles.
    if let Some(narrowed_to) = &identity.narrowed_to {
        person.roles.retain(|role| narrowed_to.contains(role.as_str()));
    }
    let credential = Credential::ProviderToken { link: link.key(), expires: identity.expires };
    Ok(Vouched { caller: Caller::authenticated(person, door, credential), link: link.id })
}

/// Says whether the token that a caller was recognised by a while ago is still good: for work that goes on without asking.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn is_still_recognised(installation: &Installation, caller: &Caller) -> Result<bool, AppError> {
    let now = installation.now();
    let person = caller.person().name.as_str();
    let is_good = match caller.credential() {
        Credential::Nobody => return Ok(false),
        Credential::Founding | Credential::InAbsence => true,
        Credential::AccessToken(id) => {
            let token = installation.find_in_force::<TokenBody>(&id.to_string()).await?;
            token.is_some_and(|token| token.expires > now)
        }
        Credential::ProviderToken { link, expires } => {
            let link = installation.find_in_force::<AccountLinkBody>(link).await?;
            link.is_some_and(|link| link.person == person) && *expires > now
        }
    };
    Ok(is_good && installation.find_in_force::<PersonBody>(person).await?.is_some())
}

/// A caller for a person who is not there: to go on with what they asked while they were, and for nothing else.
///
/// # Errors
/// When the database or the log cannot be read.
pub(crate) async fn in_absence(
    installation: &Installation,
    name: &str,
    door: Door,
) -> Result<Option<Caller>, AppError> {
    let Some(person) = installation.find_in_force::<PersonBody>(name).await? else { return Ok(None) };
    let person = person.person().during("read a person")?;
    Ok(Some(Caller::authenticated(person, door, Credential::InAbsence)))
}

/// Reads the text of a token of any kind, to be shown to a server.
///
/// # Errors
/// Unauthenticated when no file is named, or it cannot be used.
pub fn read_token(token_file: Option<&Path>) -> Result<Zeroizing<String>, AppError> {
    let path = token_file.ok_or_else(no_token)?;
    let text = read_private(path).map_err(|error| unusable(path, error))?;
    trimmed(&text).ok_or_else(|| unusable(path, TokenFileError::Malformed))
}

/// A token of any kind without what stands around it; nothing when it is none.
pub(crate) fn trimmed(text: &str) -> Option<Zeroizing<String>> {
    let token = text.trim();
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then(|| Zeroizing::new(token.to_owned()))
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

/// The answer while no token of the provider can be verified, because its keys are not to be had.
fn provider_unreachable() -> AppError {
    PublicError::new(
        Class::Unavailable,
        "identity-provider-unreachable",
        "the identity provider does not answer, so its tokens cannot be verified",
        "身份提供方无响应，暂时无法核验其令牌",
    )
    .with_help(
        "ask again later, or with an access token of this installation",
        "请稍后重试，或使用本系统签发的访问令牌",
    )
    .into()
}

/// The answer to an unknown, expired or revoked token, always in the same words.
pub(crate) fn token_not_valid() -> AppError {
    PublicError::new(
        Class::Unauthenticated,
        "token-not-valid",
        "the token is not valid: it is unknown, expired or revoked",
        "令牌无效：未知、已过期或已吊销",
    )
    .with_help(
        "an admin makes a new one with `obscura token create`",
        "请人员管理员用 `obscura token create` 重新签发",
    )
    .into()
}
