//! Keeps the wrapping of keys and the rotation of the keys that wrap them apart, across threads and processes.
//!
//! Sealing may take hours, so a rotation does not begin meanwhile, and sealing not during a rotation. Jobs wrap a key in
//! passing and record it in their row: they hold a lock of the version they wrapped under until then, and a rotation
//! waits for those of older versions. A process that wraps under the new version waits for nothing.

use std::fs::File;
use std::fs::TryLockError;
use std::path::PathBuf;

use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_crypto::kms::WrapContext;
use obscura_crypto::kms::WrappedKey;

use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;

/// Most rotations that may come between choosing a version and wrapping under it.
const ROTATIONS_BETWEEN_MAX: usize = 8;

/// Held while a dataset is sealed and recorded; nothing when a key is being rotated.
pub(crate) fn sealing(installation: &Installation) -> Result<Option<File>, AppError> {
    let file = open(lock_of_all(installation))?;
    taken(file.try_lock_shared(), file)
}

/// Held while a key is rotated; nothing when a dataset is being sealed, or another key rotated.
pub(crate) fn rotating(installation: &Installation) -> Result<Option<File>, AppError> {
    let file = open(lock_of_all(installation))?;
    taken(file.try_lock(), file)
}

/// As long as this is held, the version that wrapped a key is not destroyed: it is let go when the key is recorded.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    // Held, not read; dropping the file unlocks it.
    _version: File,
}

/// Wraps a key that is about to be recorded where a rotation finds it.
pub(crate) fn wrap_to_record(
    installation: &Installation,
    kek: &KekId,
    key: &DataKey,
    context: &WrapContext,
) -> Result<(WrappedKey, Unrecorded), AppError> {
    for _ in 0..ROTATIONS_BETWEEN_MAX {
        let newest = installation.keys.ensure_key(kek).during("make a key-encryption key")?;
        let file = open(lock_of_version(installation, kek, newest))?;
        blocking_io(|| file.lock_shared()).during("take a lock")?;
        let wrapped = installation.keys.wrap(kek, key, context).during("wrap a data key")?;
        // Under a newer version the lock is the wrong one; under this one it was taken before any newer one was made.
        if wrapped.version() == newest {
            return Ok((wrapped, Unrecorded { _version: file }));
        }
    }
    Err(InternalError::of_kind("wrap a data key", "its key is rotated over and over").into())
}

/// Waits until every key that was wrapped under a version older than `newest` is recorded. The caller rotates.
pub(crate) fn wait_until_recorded(
    installation: &Installation,
    kek: &KekId,
    newest: KekVersion,
) -> Result<(), AppError> {
    let versions = installation.keys.versions(kek).during("list the versions of a key")?;
    for version in versions.into_iter().filter(|version| *version < newest) {
        let path = lock_of_version(installation, kek, version);
        let file = open(path.clone())?;
        blocking_io(|| file.lock()).during("wait for keys to be recorded")?;
        // No process wraps under this version again, and one that opened the file before finds that out.
        std::fs::remove_file(path).during("remove a lock")?;
    }
    Ok(())
}

fn lock_of_all(installation: &Installation) -> PathBuf {
    installation.layout.running().join("rotating")
}

fn lock_of_version(installation: &Installation, kek: &KekId, version: KekVersion) -> PathBuf {
    let (department, grade) = (kek.department(), kek.grade());
    installation.layout.running().join(format!("wrapping-{department}-L{grade}-{version}"))
}

fn open(path: PathBuf) -> Result<File, AppError> {
    File::options().create(true).truncate(false).write(true).open(path).during("open a lock")
}

fn taken(tried: Result<(), TryLockError>, file: File) -> Result<Option<File>, AppError> {
    match tried {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).during("take a lock"),
    }
}
