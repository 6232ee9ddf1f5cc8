//! The keyring on disk: locking, reading, and replacing it so that a kill leaves the old file or the new one.
//!
//! It sees only sealed bytes. Locks are held on a file of their own, because the keyring itself is replaced.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::format::{KEYRING_BYTES_MAX, STAMP_BYTES, SealedKeyring, Stamp};
use crate::kms::KeyringError;

/// The treatment of the bytes that a new keyring replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftover {
    Keep,
    /// Overwrite them in place once the new file is durable. File systems that copy on write, and flash memory, may
    /// still hold them; destroyed keys are then protected by the root key alone.
    Overwrite,
}

/// Holds the paths of a keyring and its companions.
pub(super) struct KeyringFile {
    path: PathBuf,
    lock: PathBuf,
    temporary: PathBuf,
}

impl KeyringFile {
    pub(super) fn new(path: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { path: path.to_owned(), lock: beside(".lock"), temporary: beside(".new") }
    }

    pub(super) fn exists(&self) -> Result<bool, KeyringError> {
        self.path.try_exists().map_err(|cause| io_error("look for", &self.path, cause))
    }

    /// Waits until no other process or thread reads or changes the keyring; dropping the file unlocks.
    pub(super) fn lock_exclusive(&self) -> Result<File, KeyringError> {
        let file = self.open_lock()?;
        file.lock().map_err(|cause| io_error("lock", &self.lock, cause))?;
        Ok(file)
    }

    /// Waits until no other process or thread changes the keyring; dropping the file unlocks.
    pub(super) fn lock_shared(&self) -> Result<File, KeyringError> {
        let file = self.open_lock()?;
        file.lock_shared().map_err(|cause| io_error("lock", &self.lock, cause))?;
        Ok(file)
    }

    fn open_lock(&self) -> Result<File, KeyringError> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.lock)
            .map_err(|cause| io_error("open", &self.lock, cause))
    }

    /// Reads the keyring under a shared lock; a missing keyring is reported before a lock file is made beside it.
    pub(super) fn read_locked(&self) -> Result<SealedKeyring, KeyringError> {
        drop(self.open()?);
        let _lock = self.lock_shared()?;
        self.read()
    }

    /// Reads the keyring; the caller holds a lock.
    pub(super) fn read(&self) -> Result<SealedKeyring, KeyringError> {
        let file = self.open()?;
        let limit = (KEYRING_BYTES_MAX as u64).saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(|cause| io_error("read", &self.path, cause))?;
        SealedKeyring::read(bytes, &self.path)
    }

    /// Reads the bytes that change with every write, without a lock; torn or odd bytes simply match no stamp.
    pub(super) fn peek_stamp(&self) -> Result<Stamp, KeyringError> {
        let mut bytes = [0; STAMP_BYTES];
        self.open()?.read_exact(&mut bytes).map_err(|cause| io_error("read", &self.path, cause))?;
        Ok(Stamp(bytes))
    }

    fn open(&self) -> Result<File, KeyringError> {
        let file = File::open(&self.path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => KeyringError::Missing { path: self.path.clone() },
            _ => io_error("open", &self.path, cause),
        })?;
        refuse_open_permissions(&file, &self.path)?;
        Ok(file)
    }

    /// Replaces the keyring: temporary file, flush, rename, flush of the folder. The caller holds the exclusive lock.
    pub(super) fn replace(&self, bytes: &[u8], leftover: Leftover) -> Result<(), KeyringError> {
        let replaced = match leftover {
            Leftover::Keep => None,
            Leftover::Overwrite => OpenOptions::new().write(true).open(&self.path).ok(),
        };
        // A process killed here before may have left its temporary file; under the lock no other process uses it.
        match fs::remove_file(&self.temporary) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &self.temporary, cause));
            }
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.temporary)
            .map_err(|cause| io_error("create", &self.temporary, cause))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|cause| io_error("write", &self.temporary, cause))?;
        fs::rename(&self.temporary, &self.path).map_err(|cause| io_error("replace", &self.path, cause))?;
        self.flush_folder()?;
        match replaced {
            Some(replaced) => overwrite(replaced).map_err(|cause| io_error("overwrite", &self.path, cause)),
            None => Ok(()),
        }
    }

    fn flush_folder(&self) -> Result<(), KeyringError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| io_error("flush", folder, cause))
    }
}

/// Fills a file that has no name any more with zeros.
fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

/// Refuses a file that group or others may read or write.
pub(super) fn refuse_open_permissions(file: &File, path: &Path) -> Result<(), KeyringError> {
    let metadata = file.metadata().map_err(|cause| io_error("look at", path, cause))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Permissions { path: path.to_owned(), mode });
    }
    Ok(())
}

pub(super) fn io_error(step: &'static str, path: &Path, source: io::Error) -> KeyringError {
    KeyringError::Io { step, path: path.to_owned(), source }
}
