//! Is it alive, is it ready, which version is it, and who am I to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::PersonRoleWord;
use crate::app::installation::Readiness;
use crate::app::link_person::links;
use crate::http::Service;
use crate::http::context::Known;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::tokens::LinkView;

/// Does the process answer
#[utoipa::path(get, path = "/livez", operation_id = "live", tag = "health", security(()), responses((status = 200, description = "Yes", body = String)))]
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// Do the parts that a job needs answer
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "health",
    security(()),
    responses((status = 200, description = "Yes", body = String), (status = 503, description = "No", body = String))
)]
pub(super) async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, &'static str) {
    if *service.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n");
    }
    match service.installation.readiness().await {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        Readiness::DiskFull => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the disk is full\n"),
    }
}

/// The version of the program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// Always `obscura`.
    name: &'static str,
    /// Of the program.
    version: &'static str,
    /// Of this interface.
    api: &'static str,
}

/// Which version is it
#[utoipa::path(get, path = "/version", operation_id = "show_version", tag = "health", security(()), responses((status = 200, description = "The version", body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "obscura", version: env!("CARGO_PKG_VERSION"), api: "v1" })
}

/// A person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Me {
    /// Identifier.
    id: String,
    /// Name in grants and in the audit log.
    pub(crate) name: String,
    /// Department, if any.
    department: Option<String>,
    /// District, if any.
    district: Option<String>,
    /// What they may do, with this token.
    #[schema(value_type = BTreeSet<PersonRoleWord>)]
    pub(crate) roles: BTreeSet<String>,
    /// The link by which tokens of the identity provider act for them too, if there is one.
    #[serde(default)]
    pub(crate) link: Option<LinkView>,
}

/// Whom the token stands for
#[utoipa::path(get, path = "/me", operation_id = "show_me", tag = "tokens", responses((status = 200, description = "You", body = Me), Problems))]
pub(super) async fn me(State(service): State<Arc<Service>>, known: Known) -> Result<Json<Me>, Problem> {
    let person = known.caller.person();
    let found = links(&service.installation, Some(&person.name)).await;
    let found = found.map_err(|error| known.request.problem(&service, &error))?;
    Ok(Json(Me {
        id: person.id.to_string(),
        name: person.name.to_string(),
        department: person.department.clone(),
        district: person.district.clone(),
        roles: person.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        link: found.into_iter().next().map(LinkView::of),
    }))
}
