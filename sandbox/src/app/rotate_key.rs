//! Use case: an operator rotates a key-encryption key. Data keys are wrapped again; no file is written anew or opened.

use obscura_crypto::kms::KekId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::authorise::must_be;
use crate::app::installation::Installation;
use crate::app::installation::MANIFEST_SIGNER;
use crate::app::records::Note;
use crate::app::sealed::sealing_lock;
use crate::app::sealed::storage_failure;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::storage::Expected;
use crate::storage::SealedVersion;
use crate::storage::StorageError;

/// What came of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotatedKey {
    /// The version that wraps from now on.
    pub version: u32,
    /// Data keys that were wrapped again.
    pub rewrapped: u64,
}

/// Rotates a department's key of one grade: a new version, all its data keys wrapped again, older versions destroyed.
///
/// Killed on the way, it leaves both versions able to unwrap; asked again, it goes on.
///
/// # Errors
/// Forbidden for all but operators; not found when there is no such key; conflict while a dataset is being sealed.
pub async fn rotate_key(
    installation: &Installation,
    caller: &Caller,
    kek: &KekId,
) -> Result<RotatedKey, AppError> {
    must_be(caller, PersonRole::Operator)?;
    if installation.keys.versions(kek).during("list the versions of a key")?.is_empty() {
        return Err(PublicError::new(
            Class::NotFound,
            "key-not-found",
            format!("there is no key `{kek}`"),
            format!("没有密钥 `{kek}`"),
        )
        .into());
    }
    let newest = installation.keys.rotate(kek).during("rotate a key")?;
    let signer = installation.keys.signer(MANIFEST_SIGNER).during("take the key of manifests")?;
    let mut rewrapped = 0;
    let datasets = installation.data.datasets().map_err(|error| storage_failure(&error))?;
    for dataset in datasets.into_iter().filter(|dataset| dataset.department() == kek.department()) {
        let Some(_lock) = sealing_lock(installation, &dataset)? else {
            return Err(storage_failure(&StorageError::Busy { dataset: dataset.to_string() }));
        };
        for version in installation.data.versions(&dataset).map_err(|error| storage_failure(&error))? {
            let sealed = SealedVersion::open(
                &installation.data,
                &dataset,
                Expected::Exactly(version),
                signer.verifier(),
            );
            if sealed.map_err(|error| storage_failure(&error))?.is_shredded() {
                continue;
            }
            let keys = installation.keys.as_ref();
            rewrapped += crate::storage::rewrap(&installation.data, &dataset, version, keys, &signer)
                .map_err(|error| storage_failure(&error))?;
        }
    }
    // Only now is nothing left that an older version would have to unwrap.
    installation.keys.retire(kek, newest).during("retire the older versions of a key")?;
    let note = Note::new(Action::KeyRotated, ActorName::of(caller))
        .with("key", kek.to_string())
        .with("version", newest.number())
        .with("rewrapped", rewrapped);
    installation.append_one(note).await?;
    Ok(RotatedKey { version: newest.number(), rewrapped })
}
