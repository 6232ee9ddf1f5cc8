//! Is it alive, is it ready, which version is it, and who am I to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::http::Service;
use crate::http::context::Known;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// The parts that a job needs answer.
pub(super) async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, &'static str) {
    if service.installation.is_ready().await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// The version of the program.
pub(super) async fn version() -> Json<Value> {
    Json(json!({ "name": "obscura", "version": env!("CARGO_PKG_VERSION"), "api": "v1" }))
}

/// Whom the token stands for.
pub(super) async fn me(known: Known) -> Json<Value> {
    let person = known.caller.person();
    let roles: Vec<String> = person.roles.iter().map(ToString::to_string).collect();
    Json(json!({
        "id": person.id.to_string(),
        "name": person.name.as_str(),
        "department": person.department,
        "district": person.district,
        "roles": roles,
    }))
}
