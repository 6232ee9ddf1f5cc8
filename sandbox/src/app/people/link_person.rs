//! Use cases: link a person to their account at the identity provider, and end that link.
//! The provider's name for them is personal: the record holds a keyed token of it, and nothing gives it back.

use jiff::Timestamp;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::people::in_force::has_token;
use crate::app::people::in_force::no_such_person;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::AccountLinkBody;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::identity::Account;
use crate::ids::LinkId;
use crate::installation::Installation;
use crate::installation::records::Note;

/// Names the key that accounts become tokens under.
const ACCOUNT_KEY: &str = "identity-provider-account";

/// A link to make between a person and an account.
#[derive(Debug, Clone)]
pub struct LinkPerson {
    /// The person.
    pub name: PersonName,
    /// Their account at the identity provider of the settings.
    pub account: Account,
}

/// Links a person: from then on the provider's tokens about this account act for them.
///
/// # Errors
/// Forbidden for all but admins; usage when the settings name no provider; not found when there is no such person;
/// conflict when the person or the account is linked already, or somebody else has a token.
pub async fn link_person(
    installation: &Installation,
    caller: &Caller,
    request: LinkPerson,
) -> Result<(), AppError> {
    must_be(caller, PersonRole::Admin)?;
    let Some(oidc) = &installation.settings().oidc else { return Err(no_provider()) };
    let issuer = oidc.issuer.as_str();
    let _guard = installation.change().await?;
    if installation.find_in_force::<PersonBody>(request.name.as_str()).await?.is_none() {
        return Err(no_such_person(&request.name));
    }
    let account = account_token(installation, issuer, &request.account)?;
    let links = installation.all_in_force::<AccountLinkBody>().await?;
    if links.iter().any(|link| link.person == request.name.as_str()) {
        return Err(linked_already(
            format!("`{}` is linked already", request.name),
            format!("`{}` 已关联", request.name),
        ));
    }
    if links.iter().any(|link| link.account == account) {
        return Err(linked_already("this account is linked to a person already", "该账号已关联到某位人员"));
    }
    // An admin could link their own account to another person and act as them: never beside a token that this person uses.
    if caller.person().name != request.name && has_token(installation, &request.name).await? {
        return Err(has_token_already(&request.name));
    }
    let id = LinkId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a link")?;
    let body = AccountLinkBody {
        id: id.to_string(),
        person: request.name.to_string(),
        issuer: issuer.to_owned(),
        account,
        linked_by: caller.person().name.to_string(),
        // Whole seconds: nanoseconds serve no reader, and the body is kept for ever.
        linked: Some(Timestamp::from_second(installation.now().as_second()).during("read the clock")?),
    };
    let note = Note::new(Action::PersonLinked, ActorName::of(caller))
        .with("person", body.person.clone())
        .with("link", body.id.clone())
        .with("issuer", body.issuer.clone())
        .with("account", body.account.clone());
    installation.begin_while_changing(&body, note).await?;
    Ok(())
}

/// Ends a person's link: the provider's tokens about them are worth nothing from then on.
///
/// # Errors
/// Forbidden for all but admins; not found when they are not linked.
pub async fn unlink_person(
    installation: &Installation,
    caller: &Caller,
    name: &PersonName,
) -> Result<(), AppError> {
    must_be(caller, PersonRole::Admin)?;
    let _guard = installation.change().await?;
    if end_links_while_changing(installation, caller, name).await? == 0 {
        return Err(PublicError::new(
            Class::NotFound,
            "link-not-found",
            format!("`{name}` is linked to nobody at the identity provider"),
            format!("`{name}` 未关联身份提供方的任何账号"),
        )
        .into());
    }
    Ok(())
}

/// Ends all links of a person, and says how many there were; for callers that hold the right to change.
pub(crate) async fn end_links_while_changing(
    installation: &Installation,
    caller: &Caller,
    name: &PersonName,
) -> Result<usize, AppError> {
    let mut links = installation.all_in_force::<AccountLinkBody>().await?;
    links.retain(|link| link.person == name.as_str());
    for link in &links {
        let note = Note::new(Action::PersonUnlinked, ActorName::of(caller))
            .with("person", name.as_str())
            .with("link", link.id.clone())
            .with("issuer", link.issuer.clone());
        installation.end_while_changing(link, note).await?;
    }
    Ok(links.len())
}

/// A link as it may be shown: never the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSummary {
    /// Identifier.
    pub id: String,
    /// The person that the provider's tokens act for.
    pub person: String,
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Since when; of links from before this was kept, nothing.
    pub since: Option<Timestamp>,
    /// The person who linked them.
    pub linked_by: String,
}

/// The links of one person, or of everybody.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn links(
    installation: &Installation,
    person: Option<&PersonName>,
) -> Result<Vec<LinkSummary>, AppError> {
    let links = installation.all_in_force::<AccountLinkBody>().await?;
    let shown = links.into_iter().filter(|link| person.is_none_or(|person| link.person == person.as_str()));
    let summary = |link: AccountLinkBody| {
        let AccountLinkBody { id, person, issuer, linked: since, linked_by, .. } = link;
        LinkSummary { id, person, issuer, since, linked_by }
    };
    Ok(shown.map(summary).collect())
}

/// The link of an account, if it is in force.
pub(crate) async fn link_of(
    installation: &Installation,
    issuer: &str,
    account: &Account,
) -> Result<Option<AccountLinkBody>, AppError> {
    let token = account_token(installation, issuer, account)?;
    let links = installation.in_force_under::<AccountLinkBody>(&AccountLinkBody::prefix(&token)).await?;
    Ok(links.into_iter().next())
}

fn account_token(installation: &Installation, issuer: &str, account: &Account) -> Result<String, AppError> {
    let tokenizer = installation.keys.tokenizer(ACCOUNT_KEY).during("take the key of accounts")?;
    Ok(tokenizer.token_hex(&account.at(issuer)))
}

fn no_provider() -> AppError {
    PublicError::new(
        Class::Usage,
        "no-identity-provider",
        "the settings name no identity provider",
        "设置中没有身份提供方",
    )
    .with_help("set `oidc_issuer` and `oidc_audience`", "请设置 `oidc_issuer` 和 `oidc_audience`")
    .into()
}

fn has_token_already(name: &PersonName) -> AppError {
    PublicError::new(
        Class::Conflict,
        "token-in-force",
        format!(
            "`{name}` has a token, and an account linked now could be used beside it without their seeing it"
        ),
        format!("`{name}` 已有有效令牌；此时关联账号，可能在其不知情的情况下被他人使用"),
    )
    .with_help(
        "have their tokens revoked first: `obscura token list`, `obscura token revoke`",
        "请先用 `obscura token list` 和 `obscura token revoke` 吊销其令牌",
    )
    .into()
}

fn linked_already(en: impl Into<String>, zh: impl Into<String>) -> AppError {
    PublicError::new(Class::Conflict, "linked-already", en, zh)
        .with_help("`obscura person unlink` ends a link", "可用 `obscura person unlink` 解除关联")
        .into()
}
