//! Use case: a steward seals a file as a new version of their department's dataset.
//! Storage seals and publishes; this file decides who may, and binds the version to its event in the log.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_policies::document::ColumnOf;
use obscura_policies::document::Dataset;
use obscura_policies::document::Document;
use obscura_policies::document::Kind;
use obscura_policies::document::Layout as DocumentLayout;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::ColumnName;
use obscura_policies::vocabulary::DatasetId;

use crate::app::data::grant_columns::grant_columns;
use crate::app::data::key_generation::must_be_of_one_generation;
use crate::app::data::open_version::NewVersion;
use crate::app::data::open_version::Opens;
use crate::app::data::relabelled::is_relabelled;
use crate::app::people::authorise::must_steward;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::unwraps::Account;
use crate::catalog::body::DatasetVersionBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::MANIFEST_SIGNER;
use crate::installation::library::library;
use crate::installation::openings::open_opened;
use crate::installation::records::Note;
use crate::installation::rotation_lock;
use crate::installation::sealed::discard_unrecorded;
use crate::installation::sealed::highest_ever;
use crate::installation::sealed::open_newest;
use crate::installation::sealed::sealing_lock;
use crate::installation::sealed::storage_failure;
use crate::storage::ColumnKeys;
use crate::storage::ColumnSpec;
use crate::storage::Confirmation;
use crate::storage::DatasetSpec;
use crate::storage::Direction;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::InputReport;
use crate::storage::Layout;
use crate::storage::MEMORY_BYTES_STANDARD;
use crate::storage::PartLimits;
use crate::storage::Progress;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::SealRequest;
use crate::storage::Sealed;
use crate::storage::SealedVersion;
use crate::storage::Stage;
use crate::storage::StorageError;
use crate::storage::UnitKeys;
use crate::storage::UnitSpec;
use crate::storage::recounted_columns;

/// A file to seal, with the decisions of its steward.
pub struct SealDataset {
    /// The dataset, whose document is in force.
    pub dataset: DatasetId,
    /// The source of the rows.
    pub input: Input,
    /// The options for reading them.
    pub options: InputOptions,
    /// The relation of the new version to the ones before it.
    pub mode: SealMode,
    /// The decision about spellings of one unit key.
    pub unit_keys: UnitKeys,
    /// The confirmation of what may be a mistake.
    pub confirmation: Confirmation,
    /// Looks in while sealing runs.
    pub observer: Arc<dyn SealObserver + Send + Sync>,
}

impl std::fmt::Debug for SealDataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealDataset").field("dataset", &self.dataset).finish_non_exhaustive()
    }
}

/// A version that was sealed, as it is reported to the steward who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDataset {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its new version.
    pub version: u64,
    /// Rows in the whole version.
    pub rows: u64,
    /// Distinct subjects of each protected unit, and rows without one.
    pub units: Vec<(String, u64, u64)>,
    /// The report on the rows that were read.
    pub report: InputReport,
    /// When analysts see it.
    pub opens: Opens,
    /// Index of the event in the audit log.
    pub event_index: u64,
}

/// Seals a file.
///
/// # Errors
/// Forbidden for all but stewards of the dataset's department; not found when it has no document in force; conflict while
/// a key is being rotated; usage when unit keys are written in several ways and the steward has not decided what they are;
/// otherwise the errors of storage. In every case the old version or the new one is there, never half of one.
pub async fn seal_dataset(
    installation: &Arc<Installation>,
    caller: &Caller,
    mut request: SealDataset,
) -> Result<SealedDataset, AppError> {
    request.options.time_zone = installation.settings().time_zone.clone();
    let library = library(installation).await?;
    let dataset = library.datasets().get(&request.dataset).ok_or_else(|| no_document(&request.dataset))?;
    must_steward(caller, &library, dataset.department.as_str())?;
    let mut spec = spec_of(&library, dataset)?;
    if request.mode != SealMode::Append {
        spec.domains = domains(installation, &library, dataset).await?;
    }
    must_be_of_one_generation(installation).await?;
    // From before the first key is wrapped until the version is recorded, so that a rotation overlooks none.
    let _unrotated = rotation_lock::sealing(installation)?.ok_or_else(rotation_in_progress)?;
    let Some(_lock) = sealing_lock(installation, &request.dataset)? else {
        return Err(storage_failure(&StorageError::Busy { dataset: request.dataset.to_string() }));
    };
    installation.data.sweep().map_err(|error| storage_failure(&error))?;
    discard_unrecorded(installation, &request.dataset).await?;
    let newest_known = highest_ever(installation, &request.dataset).await?;
    let mut in_force = None;
    // Rows that stay keep the labels that they were sealed under.
    if request.mode == SealMode::Append
        && let Some(version) = open_newest(installation, &request.dataset).await?
    {
        if is_relabelled(&library, dataset, version.manifest()) {
            return Err(relabelled(&request.dataset));
        }
        let account = Account::Append(version.dataset().clone());
        let columns = recounted_columns(version.manifest());
        grant_columns(installation, caller, &account, &version, &columns).await?;
        in_force = Some(version.manifest().version);
    }

    let document = dataset;
    let dataset = request.dataset.clone();
    let observer = Arc::clone(&request.observer);
    let held = Arc::clone(installation);
    let sealed =
        tokio::task::spawn_blocking(move || seal_blocking(&held, &spec, request, (newest_known, in_force)));
    let sealed = sealed.await.during("wait for sealing")?.map_err(|error| storage_failure(&error))?;

    let manifest = sealed.version.manifest();
    let body = DatasetVersionBody {
        dataset: dataset.to_string(),
        version: manifest.version,
        manifest_sha256: manifest.sha256().map_err(|error| storage_failure(&error))?,
        sealed_by: caller.person().name.to_string(),
    };
    let mut note = Note::new(Action::DatasetSealed, ActorName::of(caller))
        .with("dataset", dataset.to_string())
        .with("document_version", manifest.document.version)
        .with("document_sha256", manifest.document.sha256.clone());
    if let Some(decision) = &manifest.unit_keys {
        note = note.with("unit_keys", decision.clone());
    }
    let new_version = NewVersion {
        installation,
        caller,
        library: &library,
        dataset: document,
        version: &sealed.version,
        look: comparing(observer, &sealed),
    };
    let (opens, receipt) = match new_version.record(&body, note).await {
        Ok(recorded) => recorded,
        Err(error) => {
            // No event vouches for it, unless it was recorded and something failed after that.
            discard_unrecorded(installation, &dataset).await?;
            return Err(error);
        }
    };
    let Some(receipt) = receipt else {
        return Err(storage_failure(&StorageError::VersionTaken {
            dataset: body.dataset,
            version: body.version,
        }));
    };
    let units = manifest.units.iter().map(|unit| (unit.kind.clone(), unit.subjects, unit.rows_without));
    Ok(SealedDataset {
        dataset,
        version: manifest.version,
        rows: manifest.rows,
        units: units.collect(),
        report: sealed.report,
        opens,
        event_index: receipt.index(),
    })
}

/// Asks the observer of a seal whether to go on while versions are compared.
fn comparing(
    observer: Arc<dyn SealObserver + Send + Sync>,
    sealed: &Sealed,
) -> Arc<dyn Fn() -> Direction + Send + Sync> {
    let (rows, rows_skipped) = (sealed.report.rows, sealed.report.rows_skipped);
    let progress = Progress { stage: Stage::Comparing, rows, rows_skipped, bytes: sealed.bytes };
    Arc::new(move || observer.reached(progress))
}

/// INVARIANT(keys-leave-on-an-account): those that appending counts by, all at once on one line.
fn recount_keys(
    installation: &Installation,
    version: &SealedVersion,
    columns: &[&str],
) -> Result<ColumnKeys, StorageError> {
    let account = Account::Append(version.dataset().clone());
    let accounted = installation.accounts.on_account(account, |keys| version.unwrap_keys(keys, columns));
    accounted.map_err(|_unwritten| StorageError::Keys { step: "account for keys" })?.taken
}

fn seal_blocking(
    installation: &Installation,
    spec: &DatasetSpec,
    request: SealDataset,
    (newest_known, in_force): (Option<u64>, Option<u64>),
) -> Result<Sealed, StorageError> {
    let signer = installation
        .keys
        .signer(MANIFEST_SIGNER)
        .map_err(|_opaque| StorageError::Keys { step: "give the key of manifests" })?;
    crate::storage::seal(
        &SealRequest {
            data: &installation.data,
            spec,
            options: &request.options,
            mode: request.mode,
            newest_known,
            in_force,
            memory_bytes: MEMORY_BYTES_STANDARD,
            limits: PartLimits::STANDARD,
            unit_keys: request.unit_keys,
            confirmation: request.confirmation,
            sealed_at: installation.now(),
            kms: installation.keys.as_ref(),
            recount: &|version, columns| recount_keys(installation, version, columns),
            signer: &signer,
            observer: request.observer.as_ref(),
        },
        request.input,
    )
}

/// The values of columns that refer to an open one, as it is sealed now.
///
/// They are sealed with the data: whoever keeps the open table would else change the names that the noise of this data is keyed by
/// (`sandbox/docs/disclosure-model.md`, section 5.8).
async fn domains(
    installation: &Installation,
    library: &Library,
    dataset: &Dataset,
) -> Result<BTreeMap<String, Vec<String>>, AppError> {
    let mut domains = BTreeMap::new();
    for column in &dataset.columns {
        let Some(of) = &column.domain_of else { continue };
        let unknown = || no_values(&column.name, of);
        let version = open_opened(installation, &of.dataset).await?.ok_or_else(unknown)?;
        let is_open = library.published_column(of).is_some() && !version.is_shredded();
        let published = version.manifest().published.as_ref().filter(|_| is_open);
        let values = published.and_then(|rows| rows.column(of.column.as_str())).ok_or_else(unknown)?;
        let values: BTreeSet<&String> = values.iter().flatten().collect();
        domains.insert(column.name.to_string(), values.into_iter().cloned().collect());
    }
    Ok(domains)
}

fn no_values(column: &ColumnName, of: &ColumnOf) -> AppError {
    let ColumnOf { dataset, column: open } = of;
    PublicError::new(
        Class::Conflict,
        "domain-not-sealed",
        format!(
            "the values of `{column}` are those of `{dataset}.{open}`, which no sealed version publishes"
        ),
        format!("字段 `{column}` 的取值来自 `{dataset}.{open}`，而没有封存版本公布这些取值"),
    )
    .with_help(
        format!("seal `{dataset}` first: a small table that is open without condition"),
        format!("请先封存 `{dataset}`（无条件开放的小型表）"),
    )
    .into()
}

/// Takes from a dataset's document what storage needs.
pub(crate) fn spec_of(library: &Library, dataset: &Dataset) -> Result<DatasetSpec, AppError> {
    let mut columns = Vec::new();
    let published: BTreeSet<&ColumnName> =
        library.published_columns(dataset).map(|column| &column.name).collect();
    for column in &dataset.columns {
        let grade = library.column_level(dataset, column).ok_or_else(|| no_document(&dataset.metadata.id))?;
        let token_of =
            dataset.unit_of(&column.name).filter(|unit| unit.protects).map(|unit| unit.kind.clone());
        let titles = column.title.iter().flat_map(|title| [title.zh.clone(), title.en.clone()]);
        columns.push(ColumnSpec {
            name: column.name.to_string(),
            data_type: column.physical_type(),
            grade,
            semantic: column.semantic.as_ref().map(ToString::to_string),
            token_of,
            published: published.contains(&column.name),
            also: titles.filter(|title| !title.is_empty()).collect(),
        });
    }
    let strictest = library.strictest(&dataset.scheme).ok_or_else(|| no_document(&dataset.metadata.id))?;
    let units = dataset.units.iter().filter(|unit| unit.protects);
    let units = units.map(|unit| UnitSpec { kind: unit.kind.clone(), column: unit.column.to_string() });
    let document = Document::Dataset(Box::new(dataset.clone()));
    Ok(DatasetSpec {
        id: dataset.metadata.id.clone(),
        columns,
        units: units.collect(),
        layout: match dataset.row_layout() {
            DocumentLayout::Clustered => Layout::Clustered,
            DocumentLayout::Arrival => Layout::Arrival,
        },
        strictest,
        document: document.to_yaml().during("write a document")?,
        document_version: dataset.metadata.version,
        domains: BTreeMap::new(),
        in_force: in_force(library, dataset),
    })
}

/// Versions of the scheme and of the policies that speak of the dataset.
fn in_force(library: &Library, dataset: &Dataset) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let mut note = |kind: Kind, id: &str| {
        if let Some(source) = library.source(kind, id) {
            versions.insert(format!("{kind}/{id}"), source.version.to_string());
        }
    };
    note(Kind::GradeScheme, dataset.scheme.as_str());
    for policy in library.policies().values() {
        if policy.object.resources.datasets.contains(&dataset.metadata.id) {
            note(Kind::Policy, policy.metadata.id.as_str());
        }
    }
    versions
}

fn relabelled(dataset: &DatasetId) -> AppError {
    PublicError::new(
        Class::Conflict,
        "dataset-relabelled",
        format!("the labels of `{dataset}` have become laxer than those its rows were sealed under"),
        format!("`{dataset}` 的标注已较封存时放宽"),
    )
    .with_help("seal all rows anew with `--replace`", "请用 `--replace` 重新封存全部数据")
    .into()
}

fn rotation_in_progress() -> AppError {
    PublicError::new(Class::Conflict, "rotation-in-progress", "a key is being rotated", "正在轮换密钥")
        .with_help("seal when that is done", "请待其完成后再封存")
        .into()
}

fn no_document(dataset: &DatasetId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "dataset-not-found",
        format!("there is no document of dataset `{dataset}` in force"),
        format!("数据集 `{dataset}` 没有已发布的文档"),
    )
    .with_help(
        "write one (`obscura dataset suggest FILE` drafts it) and publish it with `obscura policy publish`",
        "请编写数据集文档（可用 `obscura dataset suggest FILE` 起草），并用 `obscura policy publish` 发布",
    )
    .into()
}
