//! The bearer of a token over HTTP: person, roles, evidence of identity, and the grants that hold for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::me::Me;
use crate::app::people::whoami::whoami;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::failure::Failure;
use crate::http::problem::Problems;

/// Show the bearer of the token: person, roles, identity and grants in force
#[utoipa::path(get, path = "/me", operation_id = "show_me", tag = "tokens", responses((status = 200, description = "You", body = Me), Problems))]
pub(super) async fn me(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<Me>, Failure> {
    let found = whoami(&service.installation, &known.caller).await?;
    Ok(Json(Me::of(&found)))
}
