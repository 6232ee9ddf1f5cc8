//! Purposes over HTTP: those that the caller may know of.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use obscura_policies::document::LegalBasis;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::documents::purposes::PurposeSummary;
use crate::app::documents::purposes::list_purposes;
use crate::app::query::verdict::TextView;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::failure::Failure;
use crate::http::problem::Problems;

/// A purpose.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Purpose)]
pub(crate) struct PurposeView {
    /// Its code, as questions name it.
    pub(crate) id: String,
    /// Title.
    pub(crate) title: TextView,
    /// What it covers.
    pub(crate) description: TextView,
    /// Laws that allow it.
    pub(crate) legal_basis: Vec<LegalBasisView>,
    /// Datasets that your grants give for it today.
    pub(crate) datasets: BTreeSet<String>,
}

/// An article of a law.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LegalBasis)]
pub(crate) struct LegalBasisView {
    /// The law.
    pub(crate) law: String,
    /// The article.
    pub(crate) article: String,
}

/// Purposes, by code.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PurposeList {
    /// The purposes.
    pub(crate) purposes: Vec<PurposeView>,
}

impl PurposeView {
    pub(crate) fn of(summary: PurposeSummary) -> Self {
        let law = |basis: LegalBasis| LegalBasisView { law: basis.law, article: basis.article };
        Self {
            id: summary.id,
            title: summary.title.into(),
            description: summary.description.into(),
            legal_basis: summary.legal_basis.into_iter().map(law).collect(),
            datasets: summary.datasets.iter().map(ToString::to_string).collect(),
        }
    }
}

/// List the purposes that you may know of, with the datasets that your grants give for each
#[utoipa::path(get, path = "/purposes", operation_id = "list_purposes", tag = "catalogue", responses((status = 200, description = "The purposes", body = PurposeList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<PurposeList>, Failure> {
    let found = list_purposes(&service.installation, &known.caller).await?;
    Ok(Json(PurposeList { purposes: found.into_iter().map(PurposeView::of).collect() }))
}
