//! Use case: list departments. Strangers are told of those that own open datasets, and of no others.

use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::document::Department;

use crate::app::data::datasets::list_datasets;
use crate::context::Caller;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::library::library;

/// A department in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepartmentSummary {
    /// Its code.
    pub id: String,
    /// Title.
    pub title: Text,
    /// The one above it, if the caller is told of that one too.
    pub parent: Option<String>,
}

/// Lists the departments that the caller may know of.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn list_departments(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<DepartmentSummary>, AppError> {
    let library = library(installation).await?;
    let told: BTreeSet<String> = if caller.is_stranger() {
        list_datasets(installation, caller, "").await?.into_iter().map(|dataset| dataset.department).collect()
    } else {
        library.departments().keys().map(ToString::to_string).collect()
    };
    let is_told = |department: &&Department| told.contains(department.metadata.id.as_str());
    let summary = |department: &Department| DepartmentSummary {
        id: department.metadata.id.to_string(),
        title: department.metadata.title.clone(),
        parent: department.parent.as_ref().map(ToString::to_string).filter(|parent| told.contains(parent)),
    };
    Ok(library.departments().values().filter(is_told).map(summary).collect())
}
