//! Use cases: make an access token for oneself, or as an admin the first one of somebody else; list and revoke.
//! The token's text is given out once; only the hash of its secret is stored.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::Timestamp;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authenticate::token_not_valid;
use crate::app::people::authorise::must_be;
use crate::app::people::in_force::has_token;
use crate::app::people::in_force::no_such_person;
use crate::app::people::link_person::LinkSummary;
use crate::app::people::link_person::links;
use crate::app::people::token::TokenText;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::PersonBody;
use crate::catalog::body::TokenBody;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::TokenId;
use crate::installation::Installation;
use crate::installation::records::Note;

/// Most days a token is good.
pub const TOKEN_DAYS_MAX: u32 = 366;

/// A token to make: its person, its days and its roles.
#[derive(Debug, Clone)]
pub struct CreateToken {
    /// The person it acts for.
    pub person: PersonName,
    /// The number of days that it is good.
    pub days: u32,
    /// Those of the person's roles that it carries; all when not given.
    pub roles: Option<BTreeSet<PersonRole>>,
}

/// A token that was just made.
#[derive(Debug)]
pub struct NewToken {
    /// The part of it that may be shown at any time.
    pub summary: TokenSummary,
    /// Its text: shown now and never again.
    pub text: TokenText,
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
    /// The roles that it carries; all of the person's when none is named.
    pub roles: Option<BTreeSet<String>>,
    /// When it was last used, to a quarter of an hour.
    pub used: Option<Timestamp>,
}

/// Makes a token; one's own lives no longer than the one it was made with.
///
/// # Errors
/// Forbidden for others than oneself and admins, for oneself with a token of the identity provider, and for roles that
/// the person, or the token one comes with, does not carry; not found when there is no such person; conflict when
/// somebody else has a token already, or is linked to an account at the identity provider.
pub async fn create_token(
    installation: &Installation,
    caller: &Caller,
    request: CreateToken,
) -> Result<NewToken, AppError> {
    let is_own = caller.person().name == request.person;
    if !is_own {
        must_be(caller, PersonRole::Admin)?;
    }
    if is_own && matches!(caller.credential(), Credential::ProviderToken { .. }) {
        return Err(provider_decides());
    }
    if request.days == 0 || request.days > TOKEN_DAYS_MAX {
        return Err(PublicError::new(
            Class::Usage,
            "days-out-of-range",
            format!("a token is good for 1 to {TOKEN_DAYS_MAX} days"),
            format!("令牌有效期为 1 至 {TOKEN_DAYS_MAX} 天"),
        )
        .into());
    }
    let _guard = installation.change().await?;
    let parent = parent(installation, caller).await?;
    if !is_own && has_token(installation, &request.person).await? {
        return Err(has_one_already(&request.person));
    }
    if !is_own && !links(installation, Some(&request.person)).await?.is_empty() {
        return Err(is_linked(&request.person));
    }
    let Some(person) = installation.find_in_force::<PersonBody>(request.person.as_str()).await? else {
        return Err(no_such_person(&request.person));
    };
    let names = |roles: &BTreeSet<PersonRole>| roles.iter().map(|role| role.as_str().to_owned()).collect();
    // A token that carries less never makes one that carries more.
    let carried: BTreeSet<String> = if is_own { names(&caller.person().roles) } else { person.roles.clone() };
    let roles = match &request.roles {
        Some(roles) => Some(names(roles)),
        None => (carried != person.roles).then(|| carried.clone()),
    };
    if roles.as_ref().is_some_and(|roles| roles.is_empty() || !roles.is_subset(&carried)) {
        return Err(PublicError::new(
            Class::Forbidden,
            "roles-not-carried",
            "a token carries some of the roles that its person has, and yours carry",
            "令牌的角色须为其所有者及当前令牌所具有的角色",
        )
        .into());
    }
    let kind = TokenKind {
        good_for: SignedDuration::from_hours(24 * i64::from(request.days)),
        ends_by: parent.as_ref().filter(|_| is_own).map(|parent| parent.expires),
        by: Some(caller.person().name.to_string()),
        made_with: parent.map(|parent| parent.id),
        roles: roles.clone(),
    };
    let (text, expires) =
        new_token_while_changing(installation, &request.person, kind, ActorName::of(caller)).await?;
    let (id, person) = (text.id().to_string(), request.person.to_string());
    Ok(NewToken { summary: TokenSummary { id, person, expires, roles, used: None }, text })
}

/// The access token that the caller came with: revoked meanwhile, it makes none.
async fn parent(installation: &Installation, caller: &Caller) -> Result<Option<TokenBody>, AppError> {
    let Credential::AccessToken(id) = caller.credential() else { return Ok(None) };
    let body = installation.find_in_force::<TokenBody>(&id.to_string()).await?;
    body.map(Some).ok_or_else(token_not_valid)
}

/// An access token would outlive what the provider has said.
fn provider_decides() -> AppError {
    PublicError::new(
        Class::Forbidden,
        "provider-token-makes-none",
        "with a token of the identity provider nobody makes an access token for themself",
        "使用身份提供方的令牌时，不能为自己签发访问令牌",
    )
    .with_help("an admin makes it with `obscura token create`", "请人员管理员用 `obscura token create` 签发")
    .into()
}

/// A second token, made by another person, could be used beside theirs without their seeing it.
fn has_one_already(person: &PersonName) -> AppError {
    PublicError::new(
        Class::Conflict,
        "token-in-force",
        format!("`{person}` has a token, and makes further ones with it"),
        format!("`{person}` 已有有效令牌，可自行签发更多令牌"),
    )
    .with_help(
        "whoever has lost theirs has it revoked first: `obscura token list`, `obscura token revoke`",
        "如令牌遗失，请先用 `obscura token list` 和 `obscura token revoke` 吊销",
    )
    .into()
}

/// A token made by another person could also be used beside their account at the identity provider without their seeing it.
fn is_linked(person: &PersonName) -> AppError {
    PublicError::new(
        Class::Conflict,
        "link-in-force",
        format!("`{person}` is linked to an account at the identity provider, and comes with its tokens"),
        format!("`{person}` 已关联身份提供方的账号，应使用其令牌"),
    )
    .with_help(
        "`obscura person unlink` ends the link, and with it what acts for them",
        "可用 `obscura person unlink` 解除关联，此后该账号不再代表其本人",
    )
    .into()
}

/// Revokes a token: one's own, or as an admin or operator anybody's; and with it those that its person made with it.
///
/// # Errors
/// Not found when there is no such token in force, or it is somebody else's.
pub async fn revoke_token(installation: &Installation, caller: &Caller, id: TokenId) -> Result<(), AppError> {
    let _guard = installation.change().await?;
    let mut tokens = installation.all_in_force::<TokenBody>().await?;
    let keeps = caller.holds(PersonRole::Operator) || caller.holds(PersonRole::Admin);
    let may = |body: &TokenBody| keeps || body.person == caller.person().name.as_str();
    let id = id.to_string();
    let body = tokens.iter().find(|body| body.id == id && may(body)).cloned().ok_or_else(no_token)?;
    tokens.retain(|token| token.person == body.person);
    let revoked = || Note::new(Action::TokenRevoked, ActorName::of(caller));
    // The youngest first: a process that dies in between leaves no token without the one that ends it.
    for descendant in descendants(&id, tokens).into_iter().rev() {
        installation.end_while_changing(&descendant, revoked().with("revoked_with", id.clone())).await?;
    }
    installation.end_while_changing(&body, revoked()).await?;
    Ok(())
}

/// The tokens that were made with one, and with those in turn, each behind its parent.
fn descendants(of: &str, mut tokens: Vec<TokenBody>) -> Vec<TokenBody> {
    let mut found: Vec<TokenBody> = Vec::new();
    loop {
        let is_next = |token: &TokenBody| {
            let made_with = token.made_with.as_deref();
            made_with == Some(of) || found.iter().any(|parent| made_with == Some(parent.id.as_str()))
        };
        let (next, others): (Vec<_>, Vec<_>) = tokens.into_iter().partition(is_next);
        if next.is_empty() {
            return found;
        }
        found.extend(next);
        tokens = others;
    }
}

/// There is no such token, or it is somebody else's.
pub(crate) fn no_token() -> AppError {
    PublicError::new(Class::NotFound, "token-not-found", "there is no such token in force", "没有该有效令牌")
        .into()
}

/// Lists the tokens in force: admins, operators and auditors see all, others their own.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_tokens(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<TokenSummary>, AppError> {
    let sees_all = sees_all(caller);
    let own = caller.person().name.as_str();
    let tokens = installation.all_in_force::<TokenBody>().await?;
    let mut uses = installation.catalog.token_uses().await.during("read the uses of tokens")?;
    let shown = tokens.into_iter().filter(|token| sees_all || token.person == own);
    let summary = |token: TokenBody| {
        let TokenBody { id, person, expires, roles, .. } = token;
        TokenSummary { used: uses.remove(&id), id, person, expires, roles }
    };
    Ok(shown.map(summary).collect())
}

/// Lists the links to the identity provider that stand beside these tokens: a caller sees those of the tokens that they see.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_links(installation: &Installation, caller: &Caller) -> Result<Vec<LinkSummary>, AppError> {
    links(installation, (!sees_all(caller)).then_some(&caller.person().name)).await
}

fn sees_all(caller: &Caller) -> bool {
    [PersonRole::Admin, PersonRole::Operator, PersonRole::Auditor].into_iter().any(|role| caller.holds(role))
}

/// The properties of a new token.
pub(crate) struct TokenKind {
    /// The time that it is good.
    pub(crate) good_for: SignedDuration,
    /// The latest instant at which it ends; none when not given.
    pub(crate) ends_by: Option<Timestamp>,
    /// The person who makes it.
    pub(crate) by: Option<String>,
    /// The access token that it is made with.
    pub(crate) made_with: Option<String>,
    /// The roles that it carries; all when not given.
    pub(crate) roles: Option<BTreeSet<String>>,
}

/// Draws a token, puts its record in force, and says until when it is good; for callers that hold the right to change.
pub(crate) async fn new_token_while_changing(
    installation: &Installation,
    person: &PersonName,
    kind: TokenKind,
    actor: ActorName,
) -> Result<(TokenText, Timestamp), AppError> {
    let id =
        TokenId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a token")?;
    let token = TokenText::draw(id, installation.random.as_ref()).during("draw a token")?;
    // Whole seconds: nanoseconds serve no reader, and the body is kept for ever.
    let expires = installation.now().checked_add(kind.good_for).during("count days")?;
    let expires = Timestamp::from_second(expires.as_second()).during("count days")?;
    let expires = kind.ends_by.map_or(expires, |end| expires.min(end));
    let body = TokenBody {
        id: id.to_string(),
        person: person.to_string(),
        secret_sha256: token.secret_sha256(),
        expires,
        created_by: kind.by,
        made_with: kind.made_with,
        roles: kind.roles,
    };
    let mut note = Note::new(Action::TokenCreated, actor)
        .with("person", body.person.clone())
        .with("expires", body.expires.to_string());
    if let Some(parent) = &body.made_with {
        note = note.with("made_with", parent.clone());
    }
    installation.begin_while_changing(&body, note).await?;
    Ok((token, expires))
}
