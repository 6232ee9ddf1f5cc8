//! Use case: list the purposes that the caller may know of. Those who keep or check documents know all; others know those
//! of their own grants, and those that come with the program, which a request may name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::document::Document;
use obscura_policies::document::LegalBasis;
use obscura_policies::shipped;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::documents::publish_documents::must_keep;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::library::grants_that_hold;
use crate::installation::library::library;

/// A purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeSummary {
    /// Its code.
    pub id: String,
    /// Title.
    pub title: Text,
    /// Its scope, in words.
    pub description: Text,
    /// Laws that allow it.
    pub legal_basis: Vec<LegalBasis>,
    /// Datasets that grants of the caller give for it today.
    pub datasets: BTreeSet<DatasetId>,
}

/// Lists purposes, by code.
///
/// # Errors
/// When the database, the log or a document cannot be read.
pub async fn list_purposes(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<PurposeSummary>, AppError> {
    let library = library(installation).await?;
    let mut granted: BTreeMap<String, BTreeSet<DatasetId>> = BTreeMap::new();
    if caller.holds(PersonRole::Analyst) {
        for grant in grants_that_hold(installation, caller.person().name.as_str()).await? {
            let datasets = grant.datasets.iter().map(|granted| granted.dataset.clone());
            granted.entry(grant.purpose.to_string()).or_default().extend(datasets);
        }
    }
    let knows_all = must_keep(caller).is_ok();
    let shipped = if knows_all { BTreeSet::new() } else { shipped_purposes()? };
    let mut purposes = Vec::new();
    for purpose in library.purposes().values() {
        let id = purpose.metadata.id.to_string();
        let datasets = granted.remove(&id).unwrap_or_default();
        if knows_all || !datasets.is_empty() || shipped.contains(&id) {
            purposes.push(PurposeSummary {
                id,
                title: purpose.metadata.title.clone(),
                description: purpose.description.clone(),
                legal_basis: purpose.legal_basis.clone(),
                datasets,
            });
        }
    }
    Ok(purposes)
}

/// The purposes that every copy of the program has: they tell nothing of this installation.
fn shipped_purposes() -> Result<BTreeSet<String>, AppError> {
    let documents = shipped::documents()
        .map_err(|_| InternalError::of_kind("read the shipped documents", "a document is malformed"))?;
    let purposes = documents.into_iter().filter_map(|document| match document.value {
        Document::Purpose(purpose) => Some(purpose.metadata.id.to_string()),
        _ => None,
    });
    Ok(purposes.collect())
}
