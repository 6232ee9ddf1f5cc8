//! Compares keyring and sealed data: a keyring of before a rotation, or of another copy, opens nothing, and data that is
//! sealed under it meanwhile cannot be opened once the right one is back.
//!
//! It opens no data: a wrapped key is wrapped again in memory, and the outcome dropped. It repairs nothing.

use std::collections::BTreeMap;

use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_crypto::kms::WrappedKey;
use obscura_policies::Text;
use obscura_policies::vocabulary::DatasetId;

use crate::catalog::body;
use crate::catalog::body::DatasetVersionBody;
use crate::catalog::record::RecordKind;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::results;
use crate::installation::sealed;
use crate::jobs::keys::JobKey;
use crate::jobs::store::Jobs;
use crate::storage::Expected;
use crate::storage::SealedVersion;

/// Keys of jobs that are tried of each kind.
const JOBS_TRIED: u32 = 16;

/// Something that the keyring does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sealed {
    Dataset(DatasetId),
    Questions,
    Results,
}

/// The difference between the keyring and the key that something was sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has no such version yet.
    Behind,
    /// It has newer versions only.
    Ahead,
    /// It has a version of this number, which is another key.
    Other,
}

/// A key that something is sealed under and that the keyring does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    sealed: Sealed,
    kek: KekId,
    version: KekVersion,
    standing: Standing,
}

impl ForeignKey {
    fn of(installation: &Installation, sealed: Sealed, wrapped: &WrappedKey) -> Result<Self, AppError> {
        let held = installation.keys.versions(wrapped.kek()).during("list the versions of a key")?;
        let standing = match held.iter().max() {
            Some(newest) if *newest > wrapped.version() => match held.contains(&wrapped.version()) {
                true => Standing::Other,
                false => Standing::Ahead,
            },
            Some(newest) if *newest == wrapped.version() => Standing::Other,
            Some(_) | None => Standing::Behind,
        };
        Ok(Self { sealed, kek: wrapped.kek().clone(), version: wrapped.version(), standing })
    }

    /// Says in one sentence which two things do not belong together.
    #[must_use]
    pub fn message(&self) -> Text {
        let Self { sealed, kek, version, standing } = self;
        let (what_en, what_zh) = match sealed {
            Sealed::Dataset(dataset) => (format!("`{dataset}` is"), format!("`{dataset}`")),
            Sealed::Questions => ("questions are".to_owned(), "查询文本".to_owned()),
            Sealed::Results => ("results are".to_owned(), "查询结果".to_owned()),
        };
        let (en, zh) = match standing {
            Standing::Behind => ("the keyring is older than what is sealed", "密钥环早于已封存的数据"),
            Standing::Ahead => ("the keyring is newer than what is sealed", "密钥环晚于已封存的数据"),
            Standing::Other => {
                ("the keyring is another one than what is sealed needs", "密钥环与已封存的数据不属于同一安装")
            }
        };
        Text::new(
            format!(
                "{en}: {what_en} sealed under version {version} of the key `{kek}`, which it does not hold"
            ),
            format!("{zh}：{what_zh}以密钥 `{kek}` 的版本 {version} 封存，而密钥环中没有该密钥"),
        )
    }
}

/// Finds a key that something is sealed under and that the keyring does not open, if there is any.
///
/// # Errors
/// When the database, the log or the keyring cannot be read.
pub async fn foreign_key(installation: &Installation) -> Result<Option<ForeignKey>, AppError> {
    match look(installation).await? {
        None => Ok(None),
        // A rotation may have ended between reading a wrapped key and trying it: what is read now is wrapped anew.
        Some(_) => look(installation).await,
    }
}

async fn look(installation: &Installation) -> Result<Option<ForeignKey>, AppError> {
    for body in newest_versions(installation).await? {
        let Ok(dataset) = body.dataset.parse::<DatasetId>() else { continue };
        // A version that is gone or was altered is another fault, which is told where the version is used.
        let expected = Expected::Exactly(body.version);
        let Ok(version) = sealed::open(installation, &dataset, &body, expected) else { continue };
        if let Some(foreign) = foreign_key_of(installation, &version)? {
            return Ok(Some(foreign));
        }
    }
    for (which, sealed) in [(JobKey::Question, Sealed::Questions), (JobKey::Result, Sealed::Results)] {
        if let Some(foreign) = foreign_key_of_jobs(installation, which, &sealed).await? {
            return Ok(Some(foreign));
        }
    }
    Ok(None)
}

/// The newest version of each dataset, of those that have a row: one without is another fault.
async fn newest_versions(installation: &Installation) -> Result<Vec<DatasetVersionBody>, AppError> {
    let mut newest: BTreeMap<String, DatasetVersionBody> = BTreeMap::new();
    for row in installation.honoured(RecordKind::DatasetVersion, "").await?.rows {
        let Ok(body) = body::read::<DatasetVersionBody>(&row) else { continue };
        if newest.get(&body.dataset).is_none_or(|known| known.version < body.version) {
            newest.insert(body.dataset.clone(), body);
        }
    }
    Ok(newest.into_values().collect())
}

/// Refuses when the keyring is not of the generation that things are sealed under.
///
/// # Errors
/// Verification failed, naming what was sealed and the key; when the database, the log or the keyring cannot be read.
pub async fn must_be_of_one_generation(installation: &Installation) -> Result<(), AppError> {
    match foreign_key(installation).await? {
        Some(foreign) => Err(refused(&foreign)),
        None => Ok(()),
    }
}

/// Refuses when the keyring does not open a version.
///
/// # Errors
/// As [`must_be_of_one_generation`].
pub(crate) fn must_open(installation: &Installation, version: &SealedVersion) -> Result<(), AppError> {
    match foreign_key_of(installation, version)? {
        Some(foreign) => Err(refused(&foreign)),
        None => Ok(()),
    }
}

fn foreign_key_of(
    installation: &Installation,
    version: &SealedVersion,
) -> Result<Option<ForeignKey>, AppError> {
    let wrapped = crate::storage::foreign_key(version, installation.keys.as_ref());
    let sealed = || Sealed::Dataset(version.dataset().clone());
    wrapped.map(|wrapped| ForeignKey::of(installation, sealed(), &wrapped)).transpose()
}

/// The outcome of trying the jobs' keys under one key-encryption key.
struct Tried {
    jobs: u32,
    opened: u32,
    wrapped: WrappedKey,
}

/// A key-encryption key under which none of the jobs' keys opens. A job's key that alone does not open was altered, and that
/// hinders only its own job.
async fn foreign_key_of_jobs(
    installation: &Installation,
    which: JobKey,
    sealed: &Sealed,
) -> Result<Option<ForeignKey>, AppError> {
    let page = Jobs::keys(&installation.catalog, which, None, JOBS_TRIED).await;
    let mut opens = BTreeMap::new();
    for (job, key) in page.during("list the keys of jobs")? {
        let Ok(wrapped) = key.parse::<WrappedKey>() else { continue };
        let is_open = results::opens(installation, which, job, &wrapped);
        let name = (wrapped.kek().clone(), wrapped.version());
        let tried = opens.entry(name).or_insert(Tried { jobs: 0, opened: 0, wrapped });
        tried.jobs += 1;
        tried.opened += u32::from(is_open);
    }
    let foreign = opens.into_values().find(|tried| tried.opened == 0 && tried.jobs > 1);
    foreign.map(|Tried { wrapped, .. }| ForeignKey::of(installation, sealed.clone(), &wrapped)).transpose()
}

fn refused(foreign: &ForeignKey) -> AppError {
    let Text { en, zh } = foreign.message();
    PublicError::new(Class::VerificationFailed, "keyring-of-another-generation", en, zh)
        .with_help(
            "put back the keyring that belongs to this data, or restore folder and keyring from one backup; nothing is sealed until then",
            "请恢复与数据相配的密钥环，或从同一份备份恢复数据目录与密钥环；在此之前不会封存任何内容",
        )
        .into()
}
