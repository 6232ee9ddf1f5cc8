//! Operations on published versions: listing, rewrapping, dropping, shredding.
//! The caller checks permission and appends the audit entry.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::WrappedKey;
use obscura_crypto::sign::Signer;
use obscura_crypto::sign::Verifier;
use obscura_policies::vocabulary::DatasetId;

use crate::storage::error::StorageError;
use crate::storage::folder::DataFolder;
use crate::storage::folder::sync_folder;
use crate::storage::manifest::KeysSection;
use crate::storage::manifest::MANIFEST_FILE;
use crate::storage::manifest::PartKeysRecord;
use crate::storage::manifest::ShredRecord;
use crate::storage::naming::FOOTER;
use crate::storage::naming::wrap_context;
use crate::storage::version::Expected;
use crate::storage::version::SealedVersion;

/// Opens every version of a dataset that lies on disk, oldest first.
///
/// # Errors
///
/// Fails at the first version that cannot be believed.
pub fn list(
    data: &DataFolder,
    dataset: &DatasetId,
    verifier: &Verifier,
) -> Result<Vec<SealedVersion>, StorageError> {
    let versions = data.versions(dataset)?;
    versions.into_iter().map(|v| SealedVersion::open(data, dataset, Expected::Exactly(v), verifier)).collect()
}

/// Removes one version; its number is never used again as long as the catalogue remembers it.
///
/// Files that other versions share stay with those.
///
/// # Errors
///
/// Fails when there is no such version or the disk gives way.
pub fn drop_version(data: &DataFolder, dataset: &DatasetId, version: u64) -> Result<(), StorageError> {
    let _lock = data.lock(dataset)?;
    if !data.version(dataset, version).is_dir() {
        return Err(StorageError::VersionMissing { dataset: dataset.to_string(), version });
    }
    data.remove_version(dataset, version)
}

/// Counts of what shredding destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shredding {
    /// Versions whose keys are gone.
    pub versions: u64,
    /// Wrapped keys destroyed.
    pub keys: u64,
    /// Files removed.
    pub files: u64,
}

/// Destroys the wrapped keys of all versions of a dataset, then removes their files; the signed manifests stay.
///
/// It destroys all versions at once, because they share files and thus keys: a version left out would still open them. A
/// thief who kept a copy of a manifest needs the key-encryption key to open its keys: to shred for certain, retire that key
/// too.
///
/// # Errors
///
/// Fails when a version cannot be believed or the disk gives way; asked again, it goes on where it stopped.
pub fn shred(
    data: &DataFolder,
    dataset: &DatasetId,
    signer: &Signer,
    at: jiff::Timestamp,
) -> Result<Shredding, StorageError> {
    let _lock = data.lock(dataset)?;
    let versions = list(data, dataset, signer.verifier())?;
    if versions.is_empty() {
        return Err(StorageError::NeverSealed { dataset: dataset.to_string() });
    }
    let mut done = Shredding { versions: 0, keys: 0, files: 0 };
    // Keys of all versions before any file, so that no kill leaves a version that opens files of a shredded one.
    for version in &versions {
        done.keys += destroy_keys(data, version, signer, at)?;
        done.versions += 1;
    }
    for version in &versions {
        done.files += remove_files(version)?;
    }
    Ok(done)
}

/// Wraps all keys of a version again under the newest key-encryption keys, without opening any file.
///
/// Returns how many keys changed.
///
/// # Errors
///
/// Fails, leaving the old keys in place, when the version was shredded or the key service refuses.
pub fn rewrap(
    data: &DataFolder,
    dataset: &DatasetId,
    version: u64,
    kms: &dyn KeyManagement,
    signer: &Signer,
) -> Result<u64, StorageError> {
    let _lock = data.lock(dataset)?;
    let sealed = SealedVersion::open(data, dataset, Expected::Exactly(version), signer.verifier())?;
    if sealed.is_shredded() {
        return Err(StorageError::Shredded { dataset: dataset.to_string(), version });
    }
    let mut changed = 0;
    let mut parts = BTreeMap::new();
    for part in &sealed.manifest().parts {
        let Some(record) = sealed.keys().parts.get(&part.name) else { continue };
        let mut again = |column: &str, text: &str| -> Result<String, StorageError> {
            let refused = || StorageError::Keys { step: "rewrap a data key" };
            let wrapped: WrappedKey = text.parse().map_err(|_misspelt| refused())?;
            let place = wrap_context(dataset, part.sealed_in, &part.name, column);
            let rewrapped = kms.rewrap(&wrapped, &place).map_err(|_opaque| refused())?;
            changed += u64::from(rewrapped != wrapped);
            Ok(rewrapped.to_string())
        };
        let footer = again(FOOTER, &record.footer)?;
        let mut columns = BTreeMap::new();
        for (column, text) in &record.columns {
            columns.insert(column.clone(), again(column, text)?);
        }
        parts.insert(part.name.clone(), PartKeysRecord { footer, columns });
    }
    replace_keys(data, &sealed, signer, None, parts)?;
    Ok(changed)
}

/// Finds a key of a version that the key service cannot open: keyring and version are then of different generations.
///
/// One key of each key-encryption key and version is tried; none is shown. A shredded version has none.
#[must_use]
pub fn foreign_key(version: &SealedVersion, kms: &dyn KeyManagement) -> Option<WrappedKey> {
    let mut tried = BTreeSet::new();
    for part in &version.manifest().parts {
        let Some(record) = version.keys().parts.get(&part.name) else { continue };
        let columns = record.columns.iter().map(|(column, text)| (column.as_str(), text));
        for (column, text) in std::iter::once((FOOTER, &record.footer)).chain(columns) {
            // A key that cannot be read is another fault, which is told when the version is opened.
            let Ok(wrapped) = text.parse::<WrappedKey>() else { continue };
            if !tried.insert((wrapped.kek().clone(), wrapped.version())) {
                continue;
            }
            let place = wrap_context(version.dataset(), part.sealed_in, &part.name, column);
            if kms.rewrap(&wrapped, &place).is_err() {
                return Some(wrapped);
            }
        }
    }
    None
}

fn destroy_keys(
    data: &DataFolder,
    version: &SealedVersion,
    signer: &Signer,
    at: jiff::Timestamp,
) -> Result<u64, StorageError> {
    if version.is_shredded() {
        return Ok(0);
    }
    let keys: u64 = version.keys().parts.values().map(|part| part.columns.len() as u64 + 1).sum();
    let record = ShredRecord { at: at.to_string(), keys };
    replace_keys(data, version, signer, Some(record), BTreeMap::new())?;
    Ok(keys)
}

fn replace_keys(
    data: &DataFolder,
    version: &SealedVersion,
    signer: &Signer,
    shredded: Option<ShredRecord>,
    parts: BTreeMap<String, PartKeysRecord>,
) -> Result<(), StorageError> {
    let old = version.keys();
    let keys = KeysSection { manifest: old.manifest.clone(), revision: old.revision + 1, shredded, parts };
    let file = version.file().clone().with_keys(keys, signer)?;
    let path = version.folder().join(MANIFEST_FILE);
    data.replace_file(&path, &file.to_bytes()?)
}

fn remove_files(version: &SealedVersion) -> Result<u64, StorageError> {
    let disk = || StorageError::disk("remove a sealed file");
    let mut removed = 0;
    for part in &version.manifest().parts {
        match std::fs::remove_file(version.folder().join(&part.name)) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk()(error)),
        }
    }
    sync_folder(version.folder()).map_err(disk())?;
    Ok(removed)
}

#[cfg(test)]
mod tests;
