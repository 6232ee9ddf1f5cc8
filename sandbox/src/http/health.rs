//! Is it alive, is it ready, which version is it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Service;
use crate::installation::Readiness;

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

/// Show the version
#[utoipa::path(get, path = "/version", operation_id = "show_version", tag = "health", security(()), responses((status = 200, description = "The version", body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "obscura", version: env!("CARGO_PKG_VERSION"), api: "v1" })
}
