//! Use cases: an operator makes an access token for a person, or revokes one.
//! The token is written into a file once and never shown; only the hash of its secret is stored.

use std::path::Path;

use jiff::SignedDuration;
use jiff::Timestamp;
use obscura_policies::vocabulary::PersonRole;

use crate::app::add_person::no_such_person;
use crate::app::authorise::must_be;
use crate::app::installation::Installation;
use crate::app::records::Note;
use crate::app::token::TokenText;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::PersonBody;
use crate::catalog::body::TokenBody;
use crate::context::Caller;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::TokenId;

/// Most days a token is good.
pub const TOKEN_DAYS_MAX: u32 = 366;

/// Who a token is for, how long, and where it is written.
#[derive(Debug, Clone)]
pub struct CreateToken<'a> {
    /// The person it acts for.
    pub person: PersonName,
    /// How many days it is good.
    pub days: u32,
    /// The file to write, which must not exist.
    pub file: &'a Path,
}

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSummary {
    /// Identifier.
    pub id: String,
    /// The person it acts for.
    pub person: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// Makes a token and writes its file.
///
/// # Errors
/// Forbidden for all but operators; not found when there is no such person; conflict when the file is there already.
pub async fn create_token(
    installation: &Installation,
    caller: &Caller,
    request: CreateToken<'_>,
) -> Result<TokenSummary, AppError> {
    must_be(caller, PersonRole::Operator)?;
    if request.days == 0 || request.days > TOKEN_DAYS_MAX {
        return Err(PublicError::new(
            Class::Usage,
            "days-out-of-range",
            format!("a token is good for 1 to {TOKEN_DAYS_MAX} days"),
            format!("令牌有效期为 1 至 {TOKEN_DAYS_MAX} 天"),
        )
        .into());
    }
    if request.file.exists() {
        return Err(PublicError::new(
            Class::Conflict,
            "already-there",
            format!("`{}` is there already and was left alone", request.file.display()),
            format!("`{}` 已存在，未作改动", request.file.display()),
        )
        .into());
    }
    if installation.find_in_force::<PersonBody>(request.person.as_str()).await?.is_none() {
        return Err(no_such_person(&request.person));
    }
    let good_for = SignedDuration::from_hours(24 * i64::from(request.days));
    let by = Some(caller.person().name.to_string());
    let (token, expires) =
        new_token(installation, &request.person, good_for, by, ActorName::of(caller)).await?;
    token.write_new(request.file).during("write the token file")?;
    Ok(TokenSummary { id: token.id().to_string(), person: request.person.to_string(), expires })
}

/// Revokes a token.
///
/// # Errors
/// Forbidden for all but operators; not found when there is no such token in force.
pub async fn revoke_token(installation: &Installation, caller: &Caller, id: TokenId) -> Result<(), AppError> {
    must_be(caller, PersonRole::Operator)?;
    let Some(body) = installation.find_in_force::<TokenBody>(&id.to_string()).await? else {
        return Err(PublicError::new(
            Class::NotFound,
            "token-not-found",
            format!("there is no token `{id}` in force"),
            format!("没有有效的令牌 `{id}`"),
        )
        .into());
    };
    installation.end(&body, Note::new(Action::TokenRevoked, ActorName::of(caller))).await?;
    Ok(())
}

/// Lists the tokens in force: operators and auditors see all, others their own.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_tokens(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<TokenSummary>, AppError> {
    let sees_all = caller.holds(PersonRole::Operator) || caller.holds(PersonRole::Auditor);
    let own = caller.person().name.as_str();
    let tokens = installation.all_in_force::<TokenBody>().await?;
    Ok(tokens
        .into_iter()
        .filter(|token| sees_all || token.person == own)
        .map(|token| TokenSummary { id: token.id, person: token.person, expires: token.expires })
        .collect())
}

/// Draws a token, puts its record in force, and says until when it is good.
pub(crate) async fn new_token(
    installation: &Installation,
    person: &PersonName,
    good_for: SignedDuration,
    by: Option<String>,
    actor: ActorName,
) -> Result<(TokenText, Timestamp), AppError> {
    let id =
        TokenId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a token")?;
    let token = TokenText::draw(id, installation.random.as_ref()).during("draw a token")?;
    // Whole seconds: nobody reads nanoseconds, and the body is kept for ever.
    let expires = installation.now().checked_add(good_for).during("count days")?;
    let expires = Timestamp::from_second(expires.as_second()).during("count days")?;
    let body = TokenBody {
        id: id.to_string(),
        person: person.to_string(),
        secret_sha256: token.secret_sha256(),
        expires,
        created_by: by,
    };
    installation.begin(&body, Note::new(Action::TokenCreated, actor)).await?;
    Ok((token, expires))
}
