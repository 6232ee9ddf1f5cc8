//! The embedded key holder: a keyring file sealed under a passphrase or a key file.
//!
//! Several processes may share one keyring: changes happen under a file lock on freshly read contents, and each use
//! first checks that the file is still the one in memory, so a key destroyed by one process is gone for all.
//! Copies of the file (backups) are outside its reach: to destroy a key for good, an operator destroys those too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::{
    KekId, KekVersion, KeyManagement, KeyNameError, KeyringError, KmsError, WrapContext, WrappedKey,
};
use crate::aead::{Aead, RingAead};
use crate::keys::DataKey;
use crate::secret::{SecretBytes, opaque_debug};
use crate::sign::{KEY_NAME_BYTES_MAX, Signer};
use crate::tokens::{SubjectHashKey, Tokenizer};

mod file;
mod format;
mod records;
mod unlock;

#[cfg(test)]
mod tests;

use file::{KeyringFile, Leftover};
use format::{SealedKeyring, Stamp};
use records::{KeyName, Kind, Records};
use unlock::{Header, Root};
pub use unlock::{KeyFile, Passphrase, PassphraseCost, Secret};

/// Holds keys in one sealed file, mode 0600, rewritten atomically.
pub struct LocalKeyring {
    file: KeyringFile,
    aead: Box<dyn Aead>,
    loaded: RwLock<Loaded>,
    unwraps: Mutex<BTreeMap<KekId, u64>>,
}

opaque_debug!(LocalKeyring);

/// The keyring in memory, as the file with this stamp has it.
struct Loaded {
    root: Root,
    stamp: Stamp,
    records: Records,
}

/// The effect of a change on the disk, and on the bytes that it replaces.
enum Change {
    None,
    Write,
    /// The replaced bytes hold keys that must be gone: overwrite them.
    Destroy,
}

impl LocalKeyring {
    /// Creates an empty keyring; a file that is already there is left alone.
    ///
    /// # Errors
    ///
    /// Fails when the path is taken, the passphrase is too short, or the file cannot be written.
    pub fn create(path: &Path, secret: &Secret) -> Result<Self, KeyringError> {
        Self::create_with_cost(path, secret, PassphraseCost::STANDARD)
    }

    pub(crate) fn create_with_cost(
        path: &Path,
        secret: &Secret,
        cost: PassphraseCost,
    ) -> Result<Self, KeyringError> {
        let root = Root::fresh(secret, cost)?;
        let file = KeyringFile::new(path);
        let aead = Box::new(RingAead);
        let records = Records::default();
        let lock = file.lock_exclusive()?;
        if file.exists()? {
            return Err(KeyringError::Exists { path: path.to_owned() });
        }
        let sealed = SealedKeyring::seal(&*aead, &root, &records)?;
        file.replace(sealed.bytes(), Leftover::Keep)?;
        drop(lock);
        let loaded = Loaded { root, stamp: sealed.stamp(), records };
        Ok(Self { file, aead, loaded: RwLock::new(loaded), unwraps: Mutex::default() })
    }

    /// Opens a keyring.
    ///
    /// # Errors
    ///
    /// Tells apart a missing file, a file open to other users, a file that is no keyring, and a wrong secret (which
    /// cannot be told from a damaged file).
    pub fn open(path: &Path, secret: &Secret) -> Result<Self, KeyringError> {
        let file = KeyringFile::new(path);
        let aead = Box::new(RingAead);
        // Deriving the root takes a while, so the lock is held only for reading.
        let sealed = file.read_locked()?;
        let root = Root::derive(secret, Header::parse(sealed.header())?)?;
        let records = sealed.open(&*aead, &root)?;
        let loaded = Loaded { root, stamp: sealed.stamp(), records };
        Ok(Self { file, aead, loaded: RwLock::new(loaded), unwraps: Mutex::default() })
    }

    /// Seals the same keys under another secret; other open processes have to open the keyring again.
    ///
    /// # Errors
    ///
    /// Fails when the new passphrase is too short or the file cannot be changed; the old secret then still opens it.
    pub fn change_secret(&self, secret: &Secret) -> Result<(), KeyringError> {
        let root = Root::fresh(secret, PassphraseCost::STANDARD)?;
        let _lock = self.file.lock_exclusive()?;
        let (_stamp, records) = self.read_records()?;
        let sealed = SealedKeyring::seal(&*self.aead, &root, &records)?;
        self.file.replace(sealed.bytes(), Leftover::Overwrite)?;
        *self.write_loaded() = Loaded { root, stamp: sealed.stamp(), records };
        Ok(())
    }

    /// Reads and opens the file with the root in memory; the caller holds a lock.
    fn read_records(&self) -> Result<(Stamp, Records), KeyringError> {
        let sealed = self.file.read()?;
        let loaded = self.read_loaded();
        let records = sealed.open(&*self.aead, &loaded.root)?;
        Ok((sealed.stamp(), records))
    }

    /// Runs `look` on records that are those of the file at this moment.
    fn current<T>(&self, look: impl FnOnce(&Records) -> T) -> Result<T, KeyringError> {
        let stamp = self.file.peek_stamp()?;
        {
            let loaded = self.read_loaded();
            if loaded.stamp == stamp {
                return Ok(look(&loaded.records));
            }
        }
        let lock = self.file.lock_shared()?;
        let (stamp, records) = self.read_records()?;
        drop(lock);
        let result = look(&records);
        let mut loaded = self.write_loaded();
        loaded.stamp = stamp;
        loaded.records = records;
        Ok(result)
    }

    /// Changes the records under the exclusive lock, from what is on disk now, and makes the change durable.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Records) -> Result<(T, Change), KmsError>,
    ) -> Result<T, KmsError> {
        let _lock = self.file.lock_exclusive()?;
        let (mut stamp, mut records) = self.read_records()?;
        let (result, change) = change(&mut records)?;
        let leftover = match change {
            Change::None => None,
            Change::Write => Some(Leftover::Keep),
            Change::Destroy => Some(Leftover::Overwrite),
        };
        if let Some(leftover) = leftover {
            let sealed = SealedKeyring::seal(&*self.aead, &self.read_loaded().root, &records)?;
            self.file.replace(sealed.bytes(), leftover)?;
            stamp = sealed.stamp();
        }
        let mut loaded = self.write_loaded();
        loaded.stamp = stamp;
        loaded.records = records;
        Ok(result)
    }

    /// Gives the secret of a name that has one version, making it at first use.
    fn named_secret(&self, kind: Kind, name: &str) -> Result<SecretBytes, KmsError> {
        let key_name = KeyName::new(kind, checked_name(name)?, 1);
        if let Some(secret) = self.current(|records| records.secret(&key_name).map(SecretBytes::duplicate))? {
            return Ok(secret);
        }
        self.change(|records| {
            if let Some(secret) = records.secret(&key_name) {
                return Ok((secret.duplicate(), Change::None));
            }
            let secret = SecretBytes::generate().map_err(KeyringError::from)?;
            records.insert(key_name, secret.duplicate());
            Ok((secret, Change::Write))
        })
    }

    fn open_wrapped(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<DataKey, KmsError> {
        let associated_data = context.associated_data(wrapped.kek(), wrapped.version());
        let kek = self
            .current(|records| records.kek(wrapped.kek(), wrapped.version()))
            .map_err(|_one_answer| KmsError::Refused)?
            .ok_or(KmsError::Refused)?;
        let plain = self
            .aead
            .open(&kek, &associated_data, wrapped.sealed())
            .map_err(|_one_answer| KmsError::Refused)?;
        SecretBytes::from_slice(&plain).map(DataKey::from_secret).ok_or(KmsError::Refused)
    }

    fn read_loaded(&self) -> std::sync::RwLockReadGuard<'_, Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_loaded(&self) -> std::sync::RwLockWriteGuard<'_, Loaded> {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self) -> MutexGuard<'_, BTreeMap<KekId, u64>> {
        self.unwraps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyManagement for LocalKeyring {
    fn ensure_key(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
        if let Some(version) = self.current(|records| records.newest(kek))? {
            return Ok(version);
        }
        self.change(|records| match records.newest(kek) {
            Some(version) => Ok((version, Change::None)),
            None => Ok((records.add_version(kek)?, Change::Write)),
        })
    }

    fn versions(&self, kek: &KekId) -> Result<Vec<KekVersion>, KmsError> {
        Ok(self.current(|records| records.versions(kek))?)
    }

    fn wrap(&self, kek: &KekId, key: &DataKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
        let newest = self.current(|records| {
            let version = records.newest(kek)?;
            records.kek(kek, version).map(|secret| (version, secret))
        })?;
        let (version, secret) = newest.ok_or(KmsError::Refused)?;
        let associated_data = context.associated_data(kek, version);
        let sealed = self
            .aead
            .seal(&secret, &associated_data, key.expose())
            .map_err(|_one_answer| KmsError::Refused)?;
        Ok(WrappedKey::new(kek.clone(), version, sealed))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<DataKey, KmsError> {
        let key = self.open_wrapped(wrapped, context)?;
        let mut counters = self.counters();
        let count = counters.entry(wrapped.kek().clone()).or_insert(0);
        *count = count.saturating_add(1);
        Ok(key)
    }

    fn rotate(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
        self.change(|records| {
            records.newest(kek).ok_or(KmsError::Refused)?;
            Ok((records.add_version(kek)?, Change::Write))
        })
    }

    fn rewrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
        let key = self.open_wrapped(wrapped, context)?;
        self.wrap(wrapped.kek(), &key, context)
    }

    fn retire(&self, kek: &KekId, oldest_kept: KekVersion) -> Result<(), KmsError> {
        self.change(|records| {
            let newest = records.newest(kek).ok_or(KmsError::Refused)?;
            if oldest_kept > newest {
                return Err(KmsError::Refused);
            }
            let destroyed = records.remove_versions(kek, |version| version < oldest_kept);
            Ok(((), if destroyed { Change::Destroy } else { Change::None }))
        })
    }

    fn destroy(&self, kek: &KekId) -> Result<(), KmsError> {
        self.change(|records| {
            if records.remove_versions(kek, |_version| true) {
                Ok(((), Change::Destroy))
            } else {
                Err(KmsError::Refused)
            }
        })
    }

    fn tokenizer(&self, unit: &str) -> Result<Tokenizer, KmsError> {
        self.named_secret(Kind::Token, unit).map(|secret| Tokenizer::new(&secret))
    }

    fn hash_key(&self, purpose: &str) -> Result<SubjectHashKey, KmsError> {
        self.named_secret(Kind::SubjectHash, purpose).map(|secret| SubjectHashKey::new(&secret))
    }

    fn signer(&self, name: &str) -> Result<Signer, KmsError> {
        let secret = self.named_secret(Kind::Signing, name)?;
        Signer::from_secret(name, &secret).map_err(|_name| KmsError::Name(KeyNameError::Other))
    }

    fn unwraps(&self) -> BTreeMap<KekId, u64> {
        self.counters().clone()
    }
}

fn checked_name(name: &str) -> Result<&str, KeyNameError> {
    let allowed = |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
    if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || !name.chars().all(allowed) {
        return Err(KeyNameError::Other);
    }
    Ok(name)
}
