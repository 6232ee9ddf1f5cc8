//! Purposes over HTTP: those that the caller may know of.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::purposes::PurposeList;
use crate::api::purposes::PurposeView;
use crate::app::documents::purposes::list_purposes;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::failure::Failure;
use crate::http::problem::Problems;

/// List the purposes that you may know of, with the datasets that your grants give for each
#[utoipa::path(get, path = "/purposes", operation_id = "list_purposes", tag = "catalogue", responses((status = 200, description = "The purposes", body = PurposeList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<PurposeList>, Failure> {
    let found = list_purposes(&service.installation, &known.caller).await?;
    Ok(Json(PurposeList { purposes: found.into_iter().map(PurposeView::of).collect() }))
}
