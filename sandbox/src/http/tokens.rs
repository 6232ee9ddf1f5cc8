//! Access tokens over HTTP: make, list, revoke.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::PersonRoleWord;
use crate::app::people::create_token::CreateToken;
use crate::app::people::create_token::TokenSummary;
use crate::app::people::create_token::create_token;
use crate::app::people::create_token::list_links;
use crate::app::people::create_token::list_tokens;
use crate::app::people::create_token::no_token;
use crate::app::people::create_token::revoke_token;
use crate::app::people::link_person::LinkSummary;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// A token; never its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// Identifier.
    pub(crate) id: String,
    /// The person it acts for.
    pub(crate) person: String,
    /// The roles that it carries; all of the person's when nothing.
    #[schema(value_type = Option<BTreeSet<PersonRoleWord>>)]
    pub(crate) roles: Option<BTreeSet<String>>,
    /// Until when it is good.
    #[schema(format = DateTime)]
    pub(crate) expires: String,
    /// When it was last used, to a quarter of an hour.
    #[schema(format = DateTime)]
    pub(crate) used: Option<String>,
}

impl TokenView {
    pub(crate) fn of(token: TokenSummary) -> Self {
        let TokenSummary { id, person, expires, roles, used } = token;
        Self { id, person, roles, expires: expires.to_string(), used: used.map(|used| used.to_string()) }
    }
}

/// A link to an account at the identity provider, whose tokens act for a person; never the account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkView {
    /// Identifier.
    pub(crate) id: String,
    /// The person.
    pub(crate) person: String,
    /// The issuer, as its tokens name it.
    pub(crate) issuer: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub(crate) since: Option<String>,
    /// The admin who linked them.
    pub(crate) linked_by: String,
}

impl LinkView {
    pub(crate) fn of(link: LinkSummary) -> Self {
        let LinkSummary { id, person, issuer, since, linked_by } = link;
        Self { id, person, issuer, since: since.map(|since| since.to_string()), linked_by }
    }
}

/// Tokens in force, and links beside them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokenList {
    /// The tokens.
    pub(crate) tokens: Vec<TokenView>,
    /// The links by which tokens of the identity provider act for these people.
    #[serde(default)]
    pub(crate) links: Vec<LinkView>,
}

/// A token to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// The person it acts for: yourself when not given.
    pub(crate) person: Option<String>,
    /// How many days it is good.
    #[schema(minimum = 1, maximum = 366)]
    pub(crate) days: u32,
    /// The roles that it carries; all when not given.
    #[schema(value_type = Option<BTreeSet<PersonRoleWord>>)]
    pub(crate) roles: Option<BTreeSet<String>>,
}

/// A new token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokenGift {
    /// What may be shown of it at any time.
    #[serde(flatten)]
    pub(crate) summary: TokenView,
    /// Its text: shown now and never again.
    pub(crate) token: String,
}

/// List one's tokens, and whether an account at the identity provider acts for one; everybody's for an admin, operator or auditor
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "tokens", responses((status = 200, description = "The tokens", body = TokenList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<TokenList>, Failure> {
    let tokens = list_tokens(&service.installation, &known.caller).await?;
    let links = list_links(&service.installation, &known.caller).await?;
    Ok(Json(TokenList {
        tokens: tokens.into_iter().map(TokenView::of).collect(),
        links: links.into_iter().map(LinkView::of).collect(),
    }))
}

/// Make a token for oneself, or as an admin the first one of somebody else
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "create_token",
    tag = "tokens",
    request_body = TokenWish,
    responses((status = 201, description = "The token, shown this once", body = TokenGift), Problems)
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    body: Body,
) -> Result<(StatusCode, Json<TokenGift>), Failure> {
    let Authenticated { request, caller } = &known;
    let TokenWish { person, days, roles } =
        body.json(request, r#"{"person": "...", "days": 30, "roles": ["analyst"]}"#)?;
    let person = match person {
        None => caller.person().name.clone(),
        Some(name) => name
            .parse()
            .map_err(|_| malformed(request, "`person` is no person's name", "`person` 不是人员名称"))?,
    };
    let roles = roles.map(|roles| roles.iter().map(|role| role.parse()).collect::<Result<_, _>>());
    let roles = roles
        .transpose()
        .map_err(|_| malformed(request, "`roles` names no roles", "`roles` 不是角色名称"))?;
    let made = create_token(&service.installation, caller, CreateToken { person, days, roles }).await?;
    let token = made.text.reveal().to_string();
    Ok((StatusCode::CREATED, Json(TokenGift { summary: TokenView::of(made.summary), token })))
}

/// Revoke a token: from then on it is worth nothing
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    operation_id = "revoke_token",
    tag = "tokens",
    params(("id" = String, Path, description = "The token")),
    responses((status = 204, description = "It is revoked"), Problems)
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<StatusCode, Failure> {
    let id = id.parse().map_err(|_| no_token())?;
    revoke_token(&service.installation, &known.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
