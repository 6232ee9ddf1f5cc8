//! Use cases around sealed datasets: list, show, verify, drop, shred.
//! Analysts see what they were granted, stewards their departments' datasets; a hidden one looks like none at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_policies::Text;
use obscura_policies::document::Dataset;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::authorise::lineage;
use crate::app::authorise::must_steward;
use crate::app::installation::Installation;
use crate::app::installation::MANIFEST_SIGNER;
use crate::app::library::grants_in_force;
use crate::app::library::library;
use crate::app::records::Note;
use crate::app::sealed;
use crate::app::sealed::storage_failure;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::storage::Expected;

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Identifier.
    pub id: DatasetId,
    /// Title.
    pub title: Text,
    /// Newest sealed version; none when it was never sealed.
    pub version: Option<u64>,
    /// Purposes for which the caller has a grant.
    pub purposes: BTreeSet<String>,
    /// Exact rows, for stewards of its department only.
    pub rows: Option<u64>,
}

/// A dataset with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetDetail {
    /// What a list says of it.
    pub summary: DatasetSummary,
    /// Its columns, in order.
    pub columns: Vec<ColumnSummary>,
}

/// A column as it may be shown to whoever may see the dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSummary {
    /// Name in SQL.
    pub name: String,
    /// Title, where there is one.
    pub title: Option<Text>,
    /// Type.
    pub data_type: String,
    /// Role.
    pub role: String,
    /// Grade.
    pub grade: String,
}

/// What was verified of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedDataset {
    /// The version.
    pub version: u64,
    /// Files whose every byte is as sealed.
    pub parts: usize,
}

/// Lists the datasets that the caller may see.
///
/// # Errors
/// When the database, the log or a manifest cannot be read.
pub async fn list_datasets(
    installation: &Installation,
    caller: &Caller,
) -> Result<Vec<DatasetSummary>, AppError> {
    let library = library(installation).await?;
    let mut summaries = Vec::new();
    for dataset in library.datasets().values() {
        summaries.extend(visible(installation, caller, &library, dataset).await?);
    }
    Ok(summaries)
}

/// Shows one dataset with its columns.
///
/// # Errors
/// Not found when there is none, or the caller may not see it: the two look alike.
pub async fn show_dataset(
    installation: &Installation,
    caller: &Caller,
    id: &DatasetId,
) -> Result<DatasetDetail, AppError> {
    let library = library(installation).await?;
    let dataset = library.datasets().get(id).ok_or_else(|| not_found(id))?;
    let summary = visible(installation, caller, &library, dataset).await?.ok_or_else(|| not_found(id))?;
    let column = |column: &obscura_policies::document::Column| ColumnSummary {
        name: column.name.to_string(),
        title: column.title.clone(),
        data_type: column.data_type.to_string(),
        role: dataset.role_of(column).to_string(),
        grade: library
            .column_level(dataset, column)
            .map_or_else(|| "?".to_owned(), |level| level.to_string()),
    };
    Ok(DatasetDetail { summary, columns: dataset.columns.iter().map(column).collect() })
}

/// Verifies every byte of the newest version of a dataset.
///
/// # Errors
/// Forbidden for all but its stewards; verification failed when anything is not as it was sealed.
pub async fn verify_dataset(
    installation: &Arc<Installation>,
    caller: &Caller,
    id: &DatasetId,
) -> Result<VerifiedDataset, AppError> {
    must_keep(installation, caller, id).await?;
    let version = sealed::open_newest(installation, id).await?.ok_or_else(|| never_sealed(id))?;
    let held = Arc::clone(installation);
    let signer = installation.keys.signer(MANIFEST_SIGNER).during("take the key of manifests")?;
    let found =
        VerifiedDataset { version: version.manifest().version, parts: version.manifest().parts.len() };
    let verified = tokio::task::spawn_blocking(move || version.verify(&held.data, signer.verifier())).await;
    verified.during("wait for verification")?.map_err(|error| storage_failure(&error))?;
    Ok(found)
}

/// Takes one version of a dataset out of use and removes its files; the newest when none is named.
///
/// # Errors
/// Forbidden for all but its stewards; not found when there is no such version.
pub async fn drop_dataset(
    installation: &Installation,
    caller: &Caller,
    id: &DatasetId,
    version: Option<u64>,
) -> Result<u64, AppError> {
    must_keep(installation, caller, id).await?;
    let versions = sealed::versions(installation, id).await?;
    let chosen = match version {
        Some(version) => versions.into_iter().find(|body| body.version == version),
        None => versions.into_iter().max_by_key(|body| body.version),
    };
    let body = chosen.ok_or_else(|| never_sealed(id))?;
    let note = Note::new(Action::DatasetDropped, ActorName::of(caller)).with("dataset", id.to_string());
    installation.end(&body, note).await?;
    // The log says that it is gone; if we die here, the next start removes the files.
    crate::storage::drop_version(&installation.data, id, body.version)
        .map_err(|error| storage_failure(&error))?;
    Ok(body.version)
}

/// Destroys the keys of all versions of a dataset, for ever, and removes their files; the signed manifests stay.
///
/// # Errors
/// Forbidden for all but its stewards; not found when it was never sealed. Asked again, it goes on where it stopped.
pub async fn shred_dataset(
    installation: &Installation,
    caller: &Caller,
    id: &DatasetId,
) -> Result<u64, AppError> {
    must_keep(installation, caller, id).await?;
    let versions = sealed::versions(installation, id).await?;
    if versions.is_empty() {
        return Err(never_sealed(id));
    }
    let signer = installation.keys.signer(MANIFEST_SIGNER).during("take the key of manifests")?;
    // Keys first and the events after: the log must never prove a shredding that has not happened.
    let shredding = crate::storage::shred(&installation.data, id, &signer, installation.now())
        .map_err(|error| storage_failure(&error))?;
    for body in &versions {
        let note = Note::new(Action::DatasetShredded, ActorName::of(caller))
            .with("dataset", id.to_string())
            .with("keys_destroyed", shredding.keys);
        installation.end(body, note).await?;
    }
    Ok(shredding.versions)
}

async fn must_keep(installation: &Installation, caller: &Caller, id: &DatasetId) -> Result<(), AppError> {
    let library = library(installation).await?;
    let department =
        library.datasets().get(id).map_or_else(|| id.department().to_owned(), |d| d.department.to_string());
    must_steward(caller, &library, &department)
}

async fn visible(
    installation: &Installation,
    caller: &Caller,
    library: &Library,
    dataset: &Dataset,
) -> Result<Option<DatasetSummary>, AppError> {
    let id = &dataset.metadata.id;
    let grants = grants_in_force(installation, Some(caller.person().name.as_str())).await?;
    let purposes: BTreeSet<String> = grants
        .iter()
        .filter(|(_, grant)| grant.dataset(id).is_some())
        .map(|(_, grant)| grant.purpose.to_string())
        .collect();
    let keeps = lineage(library, dataset.department.as_str()).iter().any(|node| caller.is_steward_of(node));
    let sees_all = caller.holds(PersonRole::Operator) || caller.holds(PersonRole::Auditor);
    if purposes.is_empty() && !keeps && !sees_all {
        return Ok(None);
    }
    let newest = sealed::newest(installation, id).await?;
    let rows = match &newest {
        Some(body) if keeps => {
            let expected = Expected::Newest(body.version);
            Some(sealed::open(installation, id, body, expected)?.manifest().rows)
        }
        Some(_) | None => None,
    };
    let title = dataset.metadata.title.clone();
    Ok(Some(DatasetSummary {
        id: id.clone(),
        title,
        version: newest.map(|body| body.version),
        purposes,
        rows,
    }))
}

fn not_found(id: &DatasetId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "dataset-not-found",
        format!("there is no dataset `{id}`"),
        format!("数据集 `{id}` 不存在"),
    )
    .with_help(
        "`obscura dataset list` shows those you may see",
        "可用 `obscura dataset list` 查看您可见的数据集",
    )
    .into()
}

fn never_sealed(id: &DatasetId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "dataset-not-sealed",
        format!("`{id}` has no such sealed version"),
        format!("`{id}` 没有该封存版本"),
    )
    .into()
}
