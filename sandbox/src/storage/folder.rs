//! The place of sealed versions in the data folder, and their publication, after which a kill leaves the old or the new.
//!
//! A version is written to a hidden folder, synced, and renamed into place; nothing is ever written over.
//! It knows nothing of Parquet or keys.

use std::fs::File;
use std::fs::TryLockError;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use obscura_policies::vocabulary::DatasetId;

use crate::storage::error::StorageError;

const SEALING: &str = ".sealing";
const DATASETS: &str = "datasets";
const LOCK_FILE: &str = "lock";

/// The part of the data folder that holds sealed datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// Takes the data folder; it is made when first written to.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Folder of all versions of a dataset.
    #[must_use]
    pub fn dataset(&self, dataset: &DatasetId) -> PathBuf {
        self.root.join(DATASETS).join(dataset.department()).join(dataset.name())
    }

    /// Folder of one version.
    #[must_use]
    pub fn version(&self, dataset: &DatasetId, version: u64) -> PathBuf {
        self.dataset(dataset).join(version_name(version))
    }

    /// Versions that lie on disk, oldest first.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be listed.
    pub fn versions(&self, dataset: &DatasetId) -> Result<Vec<u64>, StorageError> {
        let mut versions = Vec::new();
        for name in names_in(&self.dataset(dataset))? {
            let number = name.strip_prefix('v').and_then(|digits| digits.parse::<u64>().ok());
            versions.extend(number.filter(|number| version_name(*number) == name));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Datasets that have at least one version on disk.
    ///
    /// # Errors
    ///
    /// Fails when a folder cannot be listed.
    pub fn datasets(&self) -> Result<Vec<DatasetId>, StorageError> {
        let root = self.root.join(DATASETS);
        let mut datasets = Vec::new();
        for department in names_in(&root)? {
            for name in names_in(&root.join(&department))? {
                let Ok(id) = format!("{department}.{name}").parse::<DatasetId>() else { continue };
                if !self.versions(&id)?.is_empty() {
                    datasets.push(id);
                }
            }
        }
        datasets.sort();
        Ok(datasets)
    }

    /// Removes what killed processes left behind, and says how many folders that were.
    ///
    /// A folder whose process still runs is locked and stays.
    ///
    /// # Errors
    ///
    /// Fails when a leftover cannot be removed.
    pub fn sweep(&self) -> Result<usize, StorageError> {
        let disk = || StorageError::disk("remove the leftovers of a killed seal");
        let mut removed = 0;
        for name in names_in(&self.root.join(SEALING))? {
            let folder = self.root.join(SEALING).join(name);
            match File::open(folder.join(LOCK_FILE)).map(|lock| lock.try_lock().map(|()| lock)) {
                Ok(Err(TryLockError::WouldBlock)) => continue,
                Ok(Err(TryLockError::Error(error))) => return Err(disk()(error)),
                // Without a lock file the process died between making the folder and the file.
                Ok(Ok(_)) | Err(_) => std::fs::remove_dir_all(&folder).map_err(disk())?,
            }
            removed += 1;
        }
        Ok(removed)
    }

    /// Begins a version in a hidden folder.
    pub(crate) fn stage(&self) -> Result<Staging, StorageError> {
        let disk = || StorageError::disk("create a folder for sealing");
        let parent = self.root.join(SEALING);
        make_folder(&parent).map_err(disk())?;
        let path = parent.join(fresh_name()?);
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(disk())?;
        let lock = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(disk())?;
        lock.lock().map_err(disk())?;
        let content = path.join("content");
        std::fs::DirBuilder::new().mode(0o700).create(&content).map_err(disk())?;
        Ok(Staging { folder: self.clone(), path, content, lock, abandoned: false })
    }

    /// Takes the lock under which versions of a dataset are written: one at a time, without waiting.
    pub(crate) fn lock(&self, dataset: &DatasetId) -> Result<File, StorageError> {
        let disk = || StorageError::disk("lock the dataset");
        let folder = self.dataset(dataset);
        make_folder(&folder).map_err(disk())?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(".lock"))
            .map_err(disk())?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(StorageError::Busy { dataset: dataset.to_string() }),
            Err(TryLockError::Error(error)) => Err(disk()(error)),
        }
    }

    /// Replaces a file of a published version in one step: a kill leaves the old or the new.
    pub(crate) fn replace_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
        let disk = || StorageError::disk("replace a file");
        let staging = self.stage()?;
        let next = staging.scratch().join("next");
        write_file(&next, bytes).map_err(disk())?;
        std::fs::rename(&next, path).map_err(disk())?;
        path.parent().map_or(Ok(()), sync_folder).map_err(disk())
    }

    /// Takes a published version out of sight in one step and then removes its files.
    pub(crate) fn remove_version(&self, dataset: &DatasetId, version: u64) -> Result<(), StorageError> {
        let disk = || StorageError::disk("remove a sealed version");
        let staging = self.stage()?;
        std::fs::rename(self.version(dataset, version), staging.path.join("removed")).map_err(disk())?;
        sync_folder(&self.dataset(dataset)).map_err(disk())
    }
}

/// A version that is being written. Dropping it removes it.
pub(crate) struct Staging {
    folder: DataFolder,
    path: PathBuf,
    content: PathBuf,
    lock: File,
    abandoned: bool,
}

impl Staging {
    /// Folder whose content becomes the version.
    pub(crate) fn content(&self) -> &Path {
        &self.content
    }

    /// Folder for temporary files.
    pub(crate) fn scratch(&self) -> &Path {
        &self.path
    }

    /// Leaves everything as a kill would.
    pub(crate) fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Puts the content in place as a version that did not exist.
    pub(crate) fn publish(self, dataset: &DatasetId, version: u64) -> Result<(), StorageError> {
        let disk = || StorageError::disk("publish a sealed version");
        sync_folder(&self.content).map_err(disk())?;
        let target = self.folder.version(dataset, version);
        let parent = self.folder.dataset(dataset);
        make_folder(&parent).map_err(disk())?;
        if target.exists() {
            return Err(StorageError::VersionTaken { dataset: dataset.to_string(), version });
        }
        // A rename onto a folder with files in it fails: even without the check above nothing is written over.
        std::fs::rename(&self.content, &target).map_err(disk())?;
        sync_folder(&parent).map_err(disk())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _unlocked_by_close = self.lock.unlock();
        if !self.abandoned {
            let _left_for_sweep = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file and syncs it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a folder and those above it, and syncs each that was made into its parent.
fn make_folder(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    path.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn names_in(folder: &Path) -> Result<Vec<String>, StorageError> {
    let disk = || StorageError::disk("list a folder");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(disk()(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(disk())?;
        let name = entry.file_name().into_string().ok();
        names.extend(name.filter(|_| entry.path().is_dir()));
    }
    names.sort();
    Ok(names)
}

/// A name that no other process has.
fn fresh_name() -> Result<String, StorageError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_no_randomness| StorageError::Keys { step: "name a folder at random" })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn version_name(version: u64) -> String {
    format!("v{version:07}")
}
