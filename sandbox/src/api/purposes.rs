//! Purposes on the wire.

use std::collections::BTreeSet;

use obscura_policies::document::LegalBasis;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::documents::purposes::PurposeSummary;
use crate::app::query::verdict::TextView;

/// A purpose.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Purpose)]
pub(crate) struct PurposeView {
    /// Its code, as questions name it.
    pub(crate) id: String,
    /// Title.
    pub(crate) title: TextView,
    /// A description of what it covers.
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
