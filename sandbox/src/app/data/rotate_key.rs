//! Use case: an operator rotates a key-encryption key. Data keys are wrapped again; no file is written anew or opened.

use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_policies::vocabulary::PersonRole;

use crate::app::data::key_generation::must_be_of_one_generation;
use crate::app::people::authorise::must_be;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::MANIFEST_SIGNER;
use crate::installation::records::Note;
use crate::installation::results;
use crate::installation::rotation_lock;
use crate::installation::sealed::sealing_lock;
use crate::installation::sealed::storage_failure;
use crate::jobs::keys::Rewrapped;
use crate::jobs::store::Jobs;
use crate::storage::Expected;
use crate::storage::SealedVersion;
use crate::storage::StorageError;

/// The number of keys of jobs that are held in memory, and written in one step.
const JOBS_AT_A_TIME: u32 = 500;

/// The outcome of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotatedKey {
    /// The version that wraps from now on.
    pub version: u32,
    /// Data keys that were wrapped again.
    pub rewrapped: u64,
}

/// Rotates a key of one grade, a department's or that of questions or results: a new version, all its data keys wrapped
/// again, older versions destroyed.
///
/// Killed on the way, it leaves all versions able to unwrap; asked again, it goes on. No older version is destroyed before
/// the rotation is in the log.
///
/// # Errors
/// Forbidden for all but operators; not found when there is no such key; conflict while any dataset is being sealed, or
/// another key rotated.
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
    must_be_of_one_generation(installation).await?;
    let _alone = rotation_lock::rotating(installation)?.ok_or_else(sealing_in_progress)?;
    let newest = installation.keys.rotate(kek).during("rotate a key")?;
    let rewrapped = rewrap_datasets(installation, kek)? + rewrap_jobs(installation, kek, newest).await?;
    let note = Note::new(Action::KeyRotated, ActorName::of(caller))
        .with("key", kek.to_string())
        .with("version", newest.number())
        .with("rewrapped", rewrapped);
    installation.append_one(note).await?;
    // Only now is nothing left that an older version would have to unwrap, and the log says why it is gone.
    installation.keys.retire(kek, newest).during("retire the older versions of a key")?;
    Ok(RotatedKey { version: newest.number(), rewrapped })
}

/// Wraps the keys of a department's sealed versions again. Nothing is sealed meanwhile.
fn rewrap_datasets(installation: &Installation, kek: &KekId) -> Result<u64, AppError> {
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
    Ok(rewrapped)
}

/// Wraps the keys of questions or results again, where the key is theirs.
async fn rewrap_jobs(installation: &Installation, kek: &KekId, newest: KekVersion) -> Result<u64, AppError> {
    let Some(which) = results::wrapped_under(kek) else { return Ok(0) };
    // Keys wrapped from now on are under the newest version; all keys wrapped before must be in their rows first.
    rotation_lock::wait_until_recorded(installation, kek, newest)?;
    let catalog = &installation.catalog;
    let (mut rewrapped, mut after) = (0, None);
    loop {
        let page = Jobs::keys(catalog, which, after, JOBS_AT_A_TIME).await.during("list the keys of jobs")?;
        let Some((last, _)) = page.last() else { return Ok(rewrapped) };
        after = Some(*last);
        let mut again = Vec::new();
        for (job, old) in page {
            let new = results::rewrap(installation, (kek, newest), which, (job, &old));
            // A key that does not unwrap was altered. The operator shreds that question, or lets that result go, first.
            let new = new.inspect_err(|error| installation.note_failure(&job.to_string(), error))?;
            again.extend(new.map(|new| Rewrapped { job, old, new: new.to_string() }));
        }
        rewrapped += Jobs::replace_keys(catalog, which, &again).await.during("replace the keys of jobs")?;
    }
}

fn sealing_in_progress() -> AppError {
    PublicError::new(
        Class::Conflict,
        "sealing-in-progress",
        "a dataset is being sealed, or another key is being rotated",
        "有数据集正在封存，或另一密钥正在轮换",
    )
    .with_help("rotate when that is done", "请待其完成后再轮换")
    .into()
}
