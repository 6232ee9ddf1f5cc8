//! Sealed versions as the catalogue and the log know them: which is newest, and that it is the one on disk.
//! It opens manifests; keys and rows are opened by the query that needs them.

use std::collections::BTreeSet;
use std::fs::File;

use obscura_policies::vocabulary::DatasetId;

use crate::catalog::body::DatasetVersionBody;
use crate::catalog::record::RecordKind;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::MANIFEST_SIGNER;
use crate::installation::input_failure::input_failure;
use crate::storage::Expected;
use crate::storage::ManifestFault;
use crate::storage::SealedVersion;
use crate::storage::StorageError;

/// The newest version in force, if the dataset was ever sealed.
pub(crate) async fn newest(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Option<DatasetVersionBody>, AppError> {
    let versions = versions(installation, dataset).await?;
    Ok(versions.into_iter().max_by_key(|version| version.version))
}

/// All versions in force of a dataset.
pub(crate) async fn versions(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Vec<DatasetVersionBody>, AppError> {
    installation.in_force_under::<DatasetVersionBody>(&format!("{dataset}@")).await
}

/// The highest version number ever given to a dataset, dropped ones included: numbers only rise. The log knows them all,
/// even those without a row.
pub(crate) async fn highest_ever(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Option<u64>, AppError> {
    let prefix = format!("{dataset}@");
    let rows = installation.catalog.records_under(RecordKind::DatasetVersion, &prefix).await;
    let rows = rows.during("list versions")?;
    installation.learn().await?;
    let facts = installation.facts.lock().await;
    let logged = facts.under(RecordKind::DatasetVersion.name(), &prefix).map(|(key, _)| key);
    let keys = logged.chain(rows.iter().map(|row| row.key.as_str()));
    Ok(keys.filter_map(|key| number_of(key, &prefix)).max())
}

/// The versions of a dataset that the log has in force, whether or not the database has a row of each.
pub(crate) async fn vouched_for(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<BTreeSet<u64>, AppError> {
    let prefix = format!("{dataset}@");
    installation.learn().await?;
    let facts = installation.facts.lock().await;
    let in_force = facts.under(RecordKind::DatasetVersion.name(), &prefix);
    let in_force = in_force.filter(|(_, fact)| fact.ended.is_none());
    Ok(in_force.filter_map(|(key, _)| number_of(key, &prefix)).collect())
}

fn number_of(key: &str, prefix: &str) -> Option<u64> {
    key.strip_prefix(prefix)?.parse().ok()
}

/// Opens the manifest of the newest version and makes sure that it is the one whose hash is in the log.
pub(crate) async fn open_newest(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Option<SealedVersion>, AppError> {
    let Some(body) = newest(installation, dataset).await? else {
        return Ok(None);
    };
    open(installation, dataset, &body, Expected::Newest(body.version)).map(Some)
}

/// Opens the manifest of one version and makes sure that it is the one whose hash is in the log.
pub(crate) fn open(
    installation: &Installation,
    dataset: &DatasetId,
    body: &DatasetVersionBody,
    expected: Expected,
) -> Result<SealedVersion, AppError> {
    let signer = installation.keys.signer(MANIFEST_SIGNER).during("take the key of manifests")?;
    let sealed = SealedVersion::open(&installation.data, dataset, expected, signer.verifier());
    let sealed = sealed.map_err(|error| storage_failure(&error))?;
    if sealed.manifest().sha256().map_err(|error| storage_failure(&error))? != body.manifest_sha256 {
        let version = body.version;
        let fault = ManifestFault::Identity;
        return Err(storage_failure(&StorageError::Tampered {
            dataset: dataset.to_string(),
            version,
            fault,
        }));
    }
    Ok(sealed)
}

/// Held while a dataset is sealed and recorded, so that no process takes its new folder for a leftover.
pub(crate) fn sealing_lock(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<Option<File>, AppError> {
    let path = installation.layout.running().join(format!("sealing-{dataset}"));
    let file = File::options().create(true).truncate(false).write(true).open(path).during("open a lock")?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).during("take a lock"),
    }
}

/// Removes versions on disk that no event vouches for: a process died after publishing and before appending, or after the
/// event that ended the version and before it was removed.
///
/// A version in force in the log stays, even if its row is gone: sealed data cannot be made again, a row can. Shredded
/// versions keep their manifest for ever. The caller holds the dataset's sealing lock.
pub(crate) async fn discard_unrecorded(
    installation: &Installation,
    dataset: &DatasetId,
) -> Result<u64, AppError> {
    let recorded = vouched_for(installation, dataset).await?;
    let on_disk = installation.data.versions(dataset).map_err(|error| storage_failure(&error))?;
    let signer = installation.keys.signer(MANIFEST_SIGNER).during("take the key of manifests")?;
    let mut removed = 0;
    for version in on_disk.into_iter().filter(|version| !recorded.contains(version)) {
        let opened =
            SealedVersion::open(&installation.data, dataset, Expected::Exactly(version), signer.verifier());
        if opened.is_ok_and(|version| version.is_shredded()) {
            continue;
        }
        crate::storage::drop_version(&installation.data, dataset, version)
            .map_err(|e| storage_failure(&e))?;
        removed += 1;
    }
    Ok(removed)
}

/// The message to a steward about a failure of storage; messages of storage never hold a value.
pub(crate) fn storage_failure(error: &StorageError) -> AppError {
    let (class, code, zh) = match error {
        StorageError::Disk { .. } => return InternalError::new("reach sealed data", error).into(),
        StorageError::Columnar { .. } | StorageError::Keys { .. } | StorageError::Abandoned => {
            return InternalError::new("work on sealed data", error).into();
        }
        StorageError::UnitKeySpellings { .. }
        | StorageError::Input { .. }
        | StorageError::EncodingUndecided
        | StorageError::RejectsUncreated { .. }
        | StorageError::ColumnType { .. }
        | StorageError::ColumnMissing { .. }
        | StorageError::ColumnTwice { .. }
        | StorageError::HeaderBelow { .. }
        | StorageError::NoTable { .. }
        | StorageError::CutNumbers { .. }
        | StorageError::NoRows
        | StorageError::NoSubjects { .. }
        | StorageError::TooManyBadRows { .. }
        | StorageError::FewerThanHalf { .. }
        | StorageError::SealedAlready
        | StorageError::SwallowedRows { .. }
        | StorageError::BadRow { .. } => return input_failure(error),
        StorageError::Document { .. } => (Class::Usage, "document-not-sealable", "数据集文档无法用于封存"),
        StorageError::Cancelled => (Class::Failure, "sealing-cancelled", "封存已取消，原有数据未受影响"),
        StorageError::VersionMissing { .. } => (Class::NotFound, "version-not-found", "没有该封存版本"),
        StorageError::NeverSealed { .. } => (Class::NotFound, "dataset-not-sealed", "该数据集尚未封存"),
        StorageError::Busy { .. } => (Class::Conflict, "sealing-in-progress", "另一个进程正在封存该数据集"),
        StorageError::VersionTaken { .. } => {
            (Class::Conflict, "already-sealed", "该数据集已有封存版本，请使用 --append 或 --replace")
        }
        StorageError::AppendMismatch { .. } => {
            (Class::Conflict, "append-mismatch", "新旧数据结构不一致，无法追加")
        }
        StorageError::Tampered { .. } => {
            (Class::VerificationFailed, "sealed-data-tampered", "磁盘上的数据与封存时不一致")
        }
        StorageError::Shredded { .. } => (Class::Conflict, "version-shredded", "该版本的密钥已销毁"),
        StorageError::NoSuchColumn { .. } => (Class::NotFound, "column-not-sealed", "封存数据中没有该字段"),
        // The enum may grow: an error that is not known here is for the operator.
        #[expect(unreachable_patterns, reason = "the enum is non-exhaustive outside its crate only")]
        _ => return InternalError::new("work on sealed data", error).into(),
    };
    let answer = PublicError::new(class, code, error.to_string(), zh);
    let answer = match error {
        StorageError::VersionTaken { .. } => answer.with_help(
            "use `--append` to add rows or `--replace` to take its place",
            "用 `--append` 追加，或用 `--replace` 替换",
        ),
        StorageError::AppendMismatch { .. } => answer.with_help(
            "seal all rows under the document in force with `--replace`",
            "请用 `--replace` 按现行文档重新封存全部数据",
        ),
        _ => answer,
    };
    answer.into()
}
