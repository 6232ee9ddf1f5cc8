//! A key service that hands out data keys on an account only, and after the journal has recorded them.
//! It stands before any key service; it does not decide who may have a key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;
use obscura_crypto::kms::WrapContext;
use obscura_crypto::kms::WrappedKey;
use obscura_crypto::sign::Signer;
use obscura_crypto::tokens::SubjectHashKey;
use obscura_crypto::tokens::Tokenizer;

use crate::audit::AuditError;
use crate::audit::unwraps::Account;
use crate::audit::unwraps::UnwrapJournal;

#[cfg(test)]
mod tests;

/// The result of work with unwrapped keys, and its line in the journal.
#[derive(Debug)]
pub struct Accounted<T> {
    /// The result of the work.
    pub taken: T,
    /// SHA-256 of the line; nothing when no key was unwrapped.
    pub line_sha256: Option<String>,
}

/// A key service that hands out a data key on an account only, and not before the journal has recorded it.
///
/// INVARIANT(keys-leave-on-an-account): asked for a data key directly it refuses; [`AccountedKeys::on_account`] is the only
/// way, and gives nothing out that is not in the journal.
pub struct AccountedKeys {
    keys: Arc<dyn KeyManagement>,
    journal: UnwrapJournal,
}

impl fmt::Debug for AccountedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountedKeys")
    }
}

impl AccountedKeys {
    /// Puts a journal before a key service.
    #[must_use]
    pub fn new(keys: Arc<dyn KeyManagement>, journal: UnwrapJournal) -> Self {
        Self { keys, journal }
    }

    /// Unwraps keys on an account.
    ///
    /// # Errors
    /// When the journal cannot be written; the keys are dropped then. The result of `take` is handed on as it is.
    pub fn on_account<T>(
        &self,
        account: Account,
        take: impl FnOnce(&dyn KeyManagement) -> T,
    ) -> Result<Accounted<T>, AuditError> {
        let counting = Counting { keys: self.keys.as_ref(), unwrapped: Mutex::default() };
        let taken = take(&counting);
        let unwrapped = counting.unwrapped.into_inner().unwrap_or_else(PoisonError::into_inner);
        if unwrapped.columns.is_empty() && unwrapped.objects.is_empty() {
            return Ok(Accounted { taken, line_sha256: None });
        }
        let line = self.journal.append(&account, unwrapped)?;
        Ok(Accounted { taken, line_sha256: Some(line) })
    }
}

/// A key service that remembers what it unwrapped, while an account is open.
struct Counting<'a> {
    keys: &'a dyn KeyManagement,
    unwrapped: Mutex<Unwrapped>,
}

/// Everything but unwrapping is the key service's own.
macro_rules! as_the_service_does {
    () => {
        fn ensure_key(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
            self.keys.ensure_key(kek)
        }

        fn versions(&self, kek: &KekId) -> Result<Vec<KekVersion>, KmsError> {
            self.keys.versions(kek)
        }

        fn wrap(&self, kek: &KekId, key: &DataKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
            self.keys.wrap(kek, key, context)
        }

        fn rotate(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
            self.keys.rotate(kek)
        }

        fn rewrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
            self.keys.rewrap(wrapped, context)
        }

        fn retire(&self, kek: &KekId, oldest_kept: KekVersion) -> Result<(), KmsError> {
            self.keys.retire(kek, oldest_kept)
        }

        fn destroy(&self, kek: &KekId) -> Result<(), KmsError> {
            self.keys.destroy(kek)
        }

        fn tokenizer(&self, unit: &str) -> Result<Tokenizer, KmsError> {
            self.keys.tokenizer(unit)
        }

        fn hash_key(&self, purpose: &str) -> Result<SubjectHashKey, KmsError> {
            self.keys.hash_key(purpose)
        }

        fn signer(&self, name: &str) -> Result<Signer, KmsError> {
            self.keys.signer(name)
        }

        fn unwraps(&self) -> BTreeMap<KekId, u64> {
            self.keys.unwraps()
        }
    };
}

impl KeyManagement for AccountedKeys {
    fn unwrap(&self, _wrapped: &WrappedKey, _context: &WrapContext) -> Result<DataKey, KmsError> {
        Err(KmsError::Refused)
    }

    as_the_service_does!();
}

impl KeyManagement for Counting<'_> {
    fn unwrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<DataKey, KmsError> {
        let key = self.keys.unwrap(wrapped, context)?;
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner).count(context);
        Ok(key)
    }

    as_the_service_does!();
}

/// The keys unwrapped while an account was open.
#[derive(Debug, Default)]
pub(super) struct Unwrapped {
    /// By dataset and column: the newest version, and how many keys.
    pub(super) columns: BTreeMap<(String, String), (u64, u64)>,
    /// By kind and identifier.
    pub(super) objects: BTreeMap<(String, String), u64>,
}

impl Unwrapped {
    fn count(&mut self, context: &WrapContext) {
        match context {
            WrapContext::Column { dataset, version, column, .. } => {
                let key = (dataset.clone(), column.clone());
                let (newest, keys) = self.columns.entry(key).or_default();
                *newest = (*newest).max(*version);
                *keys = keys.saturating_add(1);
            }
            WrapContext::Object { kind, id, .. } => {
                let keys = self.objects.entry((kind.clone(), id.clone())).or_default();
                *keys = keys.saturating_add(1);
            }
        }
    }
}
