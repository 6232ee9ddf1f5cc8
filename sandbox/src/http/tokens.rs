//! Access tokens over HTTP: make, list, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::api::tokens::LinkView;
use crate::api::tokens::TokenGift;
use crate::api::tokens::TokenList;
use crate::api::tokens::TokenView;
use crate::api::tokens::TokenWish;
use crate::app::people::create_token::CreateToken;
use crate::app::people::create_token::create_token;
use crate::app::people::create_token::list_links;
use crate::app::people::create_token::list_tokens;
use crate::app::people::create_token::no_token;
use crate::app::people::create_token::revoke_token;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

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
    let caller = &known.caller;
    let TokenWish { person, days, roles } =
        body.json(r#"{"person": "...", "days": 30, "roles": ["analyst"]}"#)?;
    let person = match person {
        None => caller.person().name.clone(),
        Some(name) => {
            name.parse().map_err(|_| malformed("`person` is no person's name", "`person` 不是人员名称"))?
        }
    };
    let roles = roles.map(|roles| roles.iter().map(|role| role.parse()).collect::<Result<_, _>>());
    let roles = roles.transpose().map_err(|_| malformed("`roles` names no roles", "`roles` 不是角色名称"))?;
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
