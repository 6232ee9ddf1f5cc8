//! Use cases around sealed datasets: list, show, verify, drop, shred.
//! A dataset that may be opened at all, if under conditions, is found by everybody with an account; any other by its
//! stewards and those who were granted it; strangers find open datasets only. A hidden one is answered like a missing one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_policies::Text;
use obscura_policies::document::Column;
use obscura_policies::document::Dataset;
use obscura_policies::document::Grant;
use obscura_policies::document::Opening;
use obscura_policies::library::Library;
use obscura_policies::month::Months;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use obscura_query_guard::rows::published;

use crate::app::data::dictionary::PurposeTerms;
use crate::app::data::dictionary::Told;
use crate::app::data::key_generation::must_open;
use crate::app::data::no_dataset::no_dataset_named;
use crate::app::data::open_data::open_version_of_list;
use crate::app::data::open_version::held;
use crate::app::people::authorise::department_of;
use crate::app::people::authorise::is_steward;
use crate::app::people::authorise::must_steward;
use crate::app::query::principal::principal;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::DatasetVersionBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::MANIFEST_SIGNER;
use crate::installation::library::grants_that_hold;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::openings::Versions;
use crate::installation::openings::Waiting;
use crate::installation::openings::openings_of;
use crate::installation::openings::today;
use crate::installation::openings::versions_of_all;
use crate::installation::records::Note;
use crate::installation::records::RecordStep;
use crate::installation::sealed;
use crate::installation::sealed::storage_failure;
use crate::storage::Expected;

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Identifier.
    pub id: DatasetId,
    /// Title.
    pub title: Text,
    /// Department it belongs to.
    pub department: String,
    /// Basic or thematic library it belongs to.
    pub collection: Option<String>,
    /// Free tags.
    pub tags: Vec<String>,
    /// The extent to which it may be opened to the public.
    pub opening: &'static str,
    /// True if everybody may download it, without an account.
    pub open: bool,
    /// The extent to which other departments may use it.
    pub sharing: &'static str,
    /// The sealed version that analysts see; none when it was never sealed.
    pub version: Option<u64>,
    /// Purposes for which the caller has a grant.
    pub purposes: BTreeSet<String>,
    /// Exact rows, for stewards of its department only.
    pub rows: Option<u64>,
    /// The newest version where analysts do not see it yet, for stewards of its department only.
    pub waiting: Option<Waiting>,
}

/// A dataset with its columns and what the caller may ask of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetDetail {
    /// The same facts as in a list of datasets.
    pub summary: DatasetSummary,
    /// Its subject in words, where its department describes it.
    pub description: Option<Text>,
    /// The interval at which it is brought up to date.
    pub update: &'static str,
    /// The time that it is about, where its department says so.
    pub covers: Option<Months>,
    /// Its columns, in order.
    pub columns: Vec<ColumnSummary>,
    /// The terms on which the caller may ask of it, for each purpose that a grant of theirs names.
    pub terms: Vec<PurposeTerms>,
    /// An upper bound on its rows, for callers who may ask of them.
    pub rows_max: Option<u64>,
}

/// A column as it may be shown to everyone who may see the dataset.
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
    /// The meaning of the values, where it is declared.
    pub semantic: Option<String>,
}

/// A version of a dataset that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedDataset {
    /// The version.
    pub version: u64,
    /// Files whose every byte is as sealed.
    pub parts: usize,
}

/// Lists the datasets that the caller may see and that a search finds: each of its words, in whatever case, occurs in the
/// identifier, a title, the department, the library, a tag, or the name, title or meaning of a column.
///
/// # Errors
/// When the database, the log or a manifest cannot be read.
pub async fn list_datasets(
    installation: &Installation,
    caller: &Caller,
    search: &str,
) -> Result<Vec<DatasetSummary>, AppError> {
    let visible = Visibility::of(installation, caller).await?;
    let words: Vec<String> = search.to_lowercase().split_whitespace().map(str::to_owned).collect();
    installation.blocking(|| {
        let mut summaries = Vec::new();
        for dataset in visible.library.datasets().values().filter(|dataset| is_found(dataset, &words)) {
            summaries.extend(visible.summary(installation, caller, dataset)?);
        }
        Ok(summaries)
    })
}

/// Says whether every word of a search occurs in the parts of a dataset's document that are shown to all who may see it.
fn is_found(dataset: &Dataset, words: &[String]) -> bool {
    let (metadata, columns) = (&dataset.metadata, &dataset.columns);
    let mut texts = vec![metadata.id.to_string(), metadata.id.sql_name(), dataset.department.to_string()];
    texts.extend(dataset.collection.iter().map(ToString::to_string));
    texts.extend(dataset.tags.iter().cloned());
    let titles = columns.iter().filter_map(|column| column.title.as_ref()).chain([&metadata.title]);
    texts.extend(titles.flat_map(|title| [title.en.clone(), title.zh.clone()]));
    texts.extend(columns.iter().map(|column| column.name.to_string()));
    texts.extend(columns.iter().filter_map(|column| column.semantic.as_ref()).map(ToString::to_string));
    let texts: Vec<String> = texts.into_iter().map(|text| text.to_lowercase()).collect();
    words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
}

/// The names of the datasets that the caller may see.
pub(crate) async fn visible_datasets(
    installation: &Installation,
    caller: &Caller,
) -> Result<BTreeSet<DatasetId>, AppError> {
    let visible = Visibility::of(installation, caller).await?;
    let datasets = visible.library.datasets().values();
    let seen = datasets.filter(|dataset| visible.shows(installation, caller, dataset));
    Ok(seen.map(|dataset| dataset.metadata.id.clone()).collect())
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
    let visible = Visibility::of(installation, caller).await?;
    let dataset = visible.library.datasets().get(id).ok_or_else(|| no_dataset_named(id))?;
    let summary = visible.summary(installation, caller, dataset)?.ok_or_else(|| no_dataset_named(id))?;
    let column = |column: &Column| ColumnSummary {
        name: column.name.to_string(),
        title: column.title.clone(),
        data_type: column.data_type.to_string(),
        role: dataset.role_of(column).to_string(),
        grade: visible
            .library
            .column_level(dataset, column)
            .map_or_else(|| "?".to_owned(), |level| level.to_string()),
        semantic: column.semantic.as_ref().map(ToString::to_string),
    };
    let columns = dataset.columns.iter().map(column).collect();
    let (terms, rows_max) = installation.blocking(|| {
        let terms = visible.terms(installation, caller, dataset, &summary.purposes);
        let may_ask = summary.open || terms.iter().any(|told| told.terms.is_ok());
        let rows = if may_ask { visible.rows(installation, id) } else { None };
        (terms, rows.map(published))
    });
    let (description, update) = (dataset.description.clone(), dataset.update.as_str());
    let covers = dataset.covers;
    Ok(DatasetDetail { summary, description, update, covers, columns, terms, rows_max })
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
    must_open(installation, &version)?;
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
    let changing = installation.change().await?;
    let note = Note::new(Action::DatasetDropped, ActorName::of(caller)).with("dataset", id.to_string());
    let mut steps = vec![RecordStep::end(&body, note)?];
    let openings = openings_of(installation, id).await?;
    let to_come = openings.to_come(today(installation));
    steps.extend(held(caller, to_come.filter(|opening| opening.version == body.version))?);
    installation.change_while_changing(steps).await?;
    drop(changing);
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
    let changing = installation.change().await?;
    let openings = openings_of(installation, id).await?;
    let mut steps = held(caller, openings.to_come(today(installation)))?;
    for body in &versions {
        let note = Note::new(Action::DatasetShredded, ActorName::of(caller))
            .with("dataset", id.to_string())
            .with("keys_destroyed", shredding.keys);
        steps.push(RecordStep::end(body, note)?);
    }
    installation.change_while_changing(steps).await?;
    drop(changing);
    Ok(shredding.versions)
}

async fn must_keep(installation: &Installation, caller: &Caller, id: &DatasetId) -> Result<(), AppError> {
    let library = library(installation).await?;
    must_steward(caller, &library, department_of(&library, id))
}

/// Everything that decides which datasets a caller may see, gathered once.
struct Visibility {
    library: Arc<Library>,
    grants: Vec<Grant>,
    versions: BTreeMap<String, Versions>,
}

impl Visibility {
    async fn of(installation: &Installation, caller: &Caller) -> Result<Self, AppError> {
        // Grants are an analyst's: a token that carries other roles alone sees nothing by them.
        let grants = if caller.holds(PersonRole::Analyst) {
            grants_that_hold(installation, caller.person().name.as_str()).await?
        } else {
            Vec::new()
        };
        let versions = versions_of_all(installation).await?;
        Ok(Self { library: library(installation).await?, grants, versions })
    }

    /// The version of a dataset that analysts see.
    fn opened(&self, id: &DatasetId) -> Option<&DatasetVersionBody> {
        self.versions.get(&id.to_string())?.opened.as_ref()
    }

    /// Says whether the caller may know of a dataset at all.
    fn shows(&self, installation: &Installation, caller: &Caller, dataset: &Dataset) -> bool {
        let id = &dataset.metadata.id;
        if caller.is_stranger() {
            return open_version_of_list(installation, &self.library, id, self.opened(id)).is_some();
        }
        dataset.opening != Opening::Prohibited
            || caller.holds(PersonRole::Operator)
            || caller.holds(PersonRole::Auditor)
            || self.grants.iter().any(|grant| grant.dataset(id).is_some())
            || is_steward(caller, &self.library, dataset.department.as_str())
    }

    /// The summary of a dataset for the caller, if they may know of it at all.
    fn summary(
        &self,
        installation: &Installation,
        caller: &Caller,
        dataset: &Dataset,
    ) -> Result<Option<DatasetSummary>, AppError> {
        let id = &dataset.metadata.id;
        let granted = self.grants.iter().filter(|grant| grant.dataset(id).is_some());
        let purposes: BTreeSet<String> = granted.map(|grant| grant.purpose.to_string()).collect();
        let department = dataset.department.as_str();
        let keeps = is_steward(caller, &self.library, department);
        let opened = self.opened(id);
        let open = open_version_of_list(installation, &self.library, id, opened).is_some();
        if !self.shows(installation, caller, dataset) {
            return Ok(None);
        }
        let rows = match opened {
            Some(body) if keeps => {
                let expected = Expected::Newest(body.version);
                Some(sealed::open(installation, id, body, expected)?.manifest().rows)
            }
            Some(_) | None => None,
        };
        let waiting = self.versions.get(&id.to_string()).and_then(|versions| versions.waiting);
        let (title, version) = (dataset.metadata.title.clone(), opened.map(|body| body.version));
        Ok(Some(DatasetSummary {
            id: id.clone(),
            title,
            department: department.to_owned(),
            collection: dataset.collection.as_ref().map(ToString::to_string),
            tags: dataset.tags.clone(),
            opening: dataset.opening.as_str(),
            open,
            sharing: dataset.sharing.as_str(),
            version,
            purposes,
            rows,
            waiting: waiting.filter(|_| keeps),
        }))
    }

    /// The terms on which the caller may ask of a dataset, for each of these purposes.
    fn terms(
        &self,
        installation: &Installation,
        caller: &Caller,
        dataset: &Dataset,
        purposes: &BTreeSet<String>,
    ) -> Vec<PurposeTerms> {
        if purposes.is_empty() {
            return Vec::new();
        }
        let Ok(principal) = principal(caller) else { return Vec::new() };
        let time = local_time(installation.now(), &installation.settings().time_zone);
        let told = Told { library: &self.library, principal: &principal, grants: &self.grants, time };
        told.terms(dataset, purposes)
    }

    /// Rows of the version that analysts see; nothing where it cannot be read, which is noted for the operator.
    fn rows(&self, installation: &Installation, id: &DatasetId) -> Option<u64> {
        let body = self.opened(id)?;
        match sealed::open(installation, id, body, Expected::Newest(body.version)) {
            Ok(version) => Some(version.manifest().rows),
            Err(error) => {
                installation.note_failure(&id.to_string(), &error);
                None
            }
        }
    }
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
