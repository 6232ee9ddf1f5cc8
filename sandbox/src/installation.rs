//! One installation: a data directory with its database, keyring, audit log, datasets and results, opened together, and
//! the means that keep database, log and disk in step. It decides nothing; use cases are functions over it.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use jiff::Timestamp;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_crypto::sign::Verifier;
use tokio::sync::Mutex;

use crate::audit::AuditLog;
use crate::audit::accounted_keys::AccountedKeys;
use crate::audit::facts::LogFacts;
use crate::audit::unwraps::UnwrapJournal;
use crate::catalog::Catalog;
use crate::catalog::Missing;
use crate::clock::Clock;
use crate::clock::Random;
use crate::config::KeyringSecret;
use crate::config::Settings;
use crate::engine::EngineThreads;
use crate::engine::Executor;
use crate::engine::InProcess;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::error::operator_log::OperatorLog;
use crate::installation::blocking::BlockingPermits;
use crate::installation::blocking::blocking_io;
use crate::installation::charges::KnownCharges;
use crate::installation::library::LastLibrary;
use crate::installation::reviews::Reviews;
use crate::installation::room::Room;
use crate::jobs::store::Jobs;
use crate::storage::DataFolder;

pub(crate) mod blocking;
pub(crate) mod charges;
mod honoured;
mod input_failure;
pub(crate) mod library;
pub(crate) mod openings;
pub mod records;
pub(crate) mod results;
pub(crate) mod reviews;
pub(crate) mod room;
pub(crate) mod rotation_lock;
pub(crate) mod sealed;
mod undecided;

/// Name of the key that signs manifests of sealed datasets.
pub(crate) const MANIFEST_SIGNER: &str = "manifests";
/// Name of the key that signs release records.
pub(crate) const RELEASE_SIGNER: &str = "releases";

/// The code of a keyring that is not the one of the audit log.
pub(crate) const AUDIT_KEY_FOREIGN: &str = "audit-key-foreign";

/// The places of all files in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Takes a data directory, which need not exist.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { root: data_dir.to_owned() }
    }

    /// The data directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The metadata database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("obscura.db")
    }

    /// The sealed keyring.
    #[must_use]
    pub fn keyring(&self) -> PathBuf {
        self.root.join("keyring")
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// The journal of unwrapped keys.
    #[must_use]
    pub fn unwraps(&self) -> PathBuf {
        self.root.join("unwraps")
    }

    /// The public key that the audit log is verified with.
    #[must_use]
    pub fn audit_key(&self) -> PathBuf {
        self.root.join("audit.pub")
    }

    /// The public key that manifests of sealed datasets are verified with.
    #[must_use]
    pub fn manifest_key(&self) -> PathBuf {
        self.root.join("manifests.pub")
    }

    /// The public key that release records are verified with.
    #[must_use]
    pub fn release_key(&self) -> PathBuf {
        self.root.join("releases.pub")
    }

    /// Sealed datasets.
    #[must_use]
    pub fn datasets(&self) -> PathBuf {
        self.root.join("datasets")
    }

    /// Sealed results.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// Signs of life of processes.
    #[must_use]
    pub fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// The operator's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Held by the one process that serves.
    fn serving_lock(&self) -> PathBuf {
        self.root.join("serving.lock")
    }

    /// Takes the right to serve this folder; nothing when another process serves it.
    pub(crate) fn lock_serving(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.serving_lock())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The file that is held while records are changed.
    fn change_lock(&self) -> PathBuf {
        self.root.join("changing.lock")
    }

    /// Waits until no other process changes records; none does as long as the file is held.
    pub(crate) fn lock_changes(&self) -> io::Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(self.change_lock())?;
        file.lock()?;
        Ok(file)
    }

    pub(crate) fn folders(&self) -> [PathBuf; 5] {
        [self.root.clone(), self.datasets(), self.results(), self.running(), self.log()]
    }
}

/// Readiness to take jobs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// A part does not answer.
    NotReady,
    /// Nothing can be written down.
    DiskFull,
}

/// An opened installation.
pub struct Installation {
    pub(crate) settings: Settings,
    pub(crate) layout: Layout,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) catalog: Catalog,
    pub(crate) audit: Arc<AuditLog>,
    /// Everything of the key service but data keys, which it refuses to give.
    pub(crate) keys: Arc<dyn KeyManagement>,
    /// INVARIANT(keys-leave-on-an-account): the one way to data keys.
    pub(crate) accounts: Arc<AccountedKeys>,
    pub(crate) jobs: Jobs,
    pub(crate) data: DataFolder,
    pub(crate) operator_log: OperatorLog,
    pub(crate) facts: Mutex<LogFacts>,
    charges: Mutex<KnownCharges>,
    pub(crate) last_library: LastLibrary,
    pub(crate) reviews: Reviews,
    room: Room,
    blocking: BlockingPermits,
    /// Runs the plans of jobs; its threads are started by the first.
    executor: OnceLock<(Arc<dyn Executor>, Arc<EngineThreads>)>,
    change: Mutex<()>,
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The exclusive right to change records, across threads and processes.
#[derive(Debug)]
pub(crate) struct ChangeGuard<'a> {
    // Both are held, not read; dropping the file unlocks it.
    _in_process: tokio::sync::MutexGuard<'a, ()>,
    _across_processes: File,
}

impl Installation {
    /// Opens an installation that `init` has made.
    ///
    /// # Errors
    /// When there is none, or a part of it does not open.
    pub async fn open(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, AppError> {
        let layout = Layout::of(&settings.data_dir);
        if !layout.database().exists() {
            return Err(no_installation(layout.root()));
        }
        if !layout.keyring().exists() {
            return Err(no_keyring(&layout.keyring()));
        }
        let keys: Arc<dyn KeyManagement> = Arc::new(open_keyring(&layout, &settings.keyring)?);
        Self::assemble(settings, layout, clock, random, keys, Missing::Fail).await
    }

    /// Puts the parts together; `init` calls it after it has made folders and keyring.
    pub(crate) async fn assemble(
        settings: Settings,
        layout: Layout,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        keys: Arc<dyn KeyManagement>,
        missing: Missing,
    ) -> Result<Self, AppError> {
        let catalog =
            Catalog::open(&layout.database(), missing).await.during("open the metadata database")?;
        let verifier = read_audit_key(&layout)?;
        // The key's name is the log's origin, so that logs of two installations cannot be taken for each other.
        let signer = keys.signer(verifier.name()).during("take the audit log's signing key")?;
        if *signer.verifier() != verifier {
            return Err(foreign_audit_key());
        }
        let audit = match missing {
            Missing::Create => AuditLog::create(&layout.audit(), signer),
            Missing::Fail => AuditLog::open(&layout.audit(), signer),
        };
        let journal = UnwrapJournal::at(&layout.unwraps());
        let audit = Arc::new(audit.during("open the audit log")?.naming(journal.clone()));
        let jobs =
            Jobs::open(catalog.clone(), &layout.running(), keys.as_ref(), clock.as_ref(), random.as_ref());
        let jobs = jobs.during("open the job store")?;
        let operator_log = OperatorLog::in_folder(&layout.log());
        let room = Room::in_folder(&layout.log());
        let data = DataFolder::new(layout.root());
        let accounts = Arc::new(AccountedKeys::new(keys, journal));
        let keys: Arc<dyn KeyManagement> = Arc::<AccountedKeys>::clone(&accounts);
        Ok(Self {
            settings,
            layout,
            clock,
            random,
            catalog,
            audit,
            keys,
            accounts,
            jobs,
            data,
            operator_log,
            facts: Mutex::new(LogFacts::default()),
            charges: Mutex::new(KnownCharges::default()),
            last_library: LastLibrary::default(),
            reviews: Reviews::default(),
            room,
            blocking: BlockingPermits::default(),
            executor: OnceLock::new(),
            change: Mutex::new(()),
        })
    }

    /// The places of its files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells what time it is, by this installation's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes a failure of ours for the operator; the caller is told the same `subject`.
    pub fn note(&self, subject: &str, error: &InternalError) {
        self.operator_log.note_somewhere(self.now(), subject, error);
    }

    /// Notes an internal failure for the operator; a public one is not noted.
    pub(crate) fn note_failure(&self, subject: &str, error: &AppError) {
        if let AppError::Internal(internal) = error {
            self.note(subject, internal);
        }
    }

    /// Checks that the parts that a job needs answer, that the log is the one that this process has seen, and that there is
    /// room on the disk.
    pub async fn readiness(&self) -> Readiness {
        // The database may fail for want of room, so that the disk is looked at first.
        if !blocking_io(|| self.room.is_there(self.now(), &self.operator_log)) {
            return Readiness::DiskFull;
        }
        let is_ready = self.catalog.answers().await && blocking_io(|| self.audit.is_continued());
        if is_ready { Readiness::Ready } else { Readiness::NotReady }
    }

    /// The executor of jobs' plans, and the threads that it and the controls run on.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn executor(&self) -> io::Result<(Arc<dyn Executor>, Arc<EngineThreads>)> {
        if let Some(executor) = self.executor.get() {
            return Ok(executor.clone());
        }
        let threads = Arc::new(EngineThreads::start(self.settings.limits.threads)?);
        let started = (Arc::new(InProcess::new(Arc::clone(&threads))) as _, threads);
        // Another job may have been quicker: then its executor serves both.
        Ok(self.executor.get_or_init(|| started).clone())
    }

    /// Does work that computes for milliseconds or reads files, on one of the permits of this installation: judging a
    /// hundred questions at once would need the memory of a hundred. Such work is never part of other such work.
    pub(crate) fn blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        self.blocking.work(work)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.catalog.close().await;
    }

    /// Waits for the exclusive right to change records.
    pub(crate) async fn change(&self) -> Result<ChangeGuard<'_>, AppError> {
        let in_process = self.change.lock().await;
        let layout = self.layout.clone();
        let locked = tokio::task::spawn_blocking(move || layout.lock_changes());
        let across_processes =
            locked.await.during("wait for the right to change")?.during("take the right to change")?;
        Ok(ChangeGuard { _in_process: in_process, _across_processes: across_processes })
    }
}

pub(crate) fn open_keyring(layout: &Layout, secret: &KeyringSecret) -> Result<LocalKeyring, AppError> {
    let secret = keyring_secret(secret)?;
    LocalKeyring::open(&layout.keyring(), &secret).map_err(|error| {
        let internal = PublicError::new(
            Class::Failure,
            "keyring-does-not-open",
            error.to_string(),
            "密钥环无法打开：口令或密钥文件有误，或文件已损坏",
        );
        AppError::Public(internal.with_help(
            "name the right file with `keyring_key_file` or `keyring_passphrase_file`; `obscura config check` shows both",
            "请检查 `keyring_key_file` 或 `keyring_passphrase_file`；`obscura config check` 可显示当前设置",
        ))
    })
}

pub(crate) fn keyring_secret(secret: &KeyringSecret) -> Result<Secret, AppError> {
    match secret {
        KeyringSecret::KeyFile(path) => {
            Secret::key_file(path).map_err(|error| secret_unusable(&error.to_string()))
        }
        KeyringSecret::PassphraseFile(path) => {
            let mut text = fs::read_to_string(path).map_err(|error| {
                secret_unusable(&format!(
                    "the passphrase file `{}` cannot be read ({})",
                    path.display(),
                    error.kind()
                ))
            })?;
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
            Ok(Secret::passphrase(text))
        }
    }
}

/// Reads the public key that `init` wrote beside the audit log.
pub(crate) fn read_audit_key(layout: &Layout) -> Result<Verifier, AppError> {
    let text = fs::read_to_string(layout.audit_key()).during("read the audit log's public key")?;
    text.trim_end().parse().map_err(|_| foreign_audit_key())
}

fn foreign_audit_key() -> AppError {
    PublicError::new(
        Class::VerificationFailed,
        AUDIT_KEY_FOREIGN,
        "`audit.pub` is not the public key of this keyring's audit log",
        "`audit.pub` 不是本密钥环所属审计日志的公钥",
    )
    .with_help("put back the file that `obscura init` wrote", "请恢复 `obscura init` 写出的文件")
    .into()
}

fn secret_unusable(message: &str) -> AppError {
    PublicError::new(Class::Failure, "keyring-secret-unusable", message, "打开密钥环所需的文件无法使用")
        .into()
}

/// Without it nothing that is sealed here opens, so that it is not made anew.
fn no_keyring(path: &Path) -> AppError {
    PublicError::new(
        Class::VerificationFailed,
        "keyring-missing",
        format!("the keyring of this installation is gone: there is no `{}`", path.display()),
        format!("该安装的密钥环缺失：`{}` 不存在", path.display()),
    )
    .with_help(
        "put it back from the backup that belongs to this data; nothing that is sealed here opens without it",
        "请从与数据相配的备份中恢复；没有它，已封存的内容均无法打开",
    )
    .into()
}

fn no_installation(root: &Path) -> AppError {
    PublicError::new(
        Class::Failure,
        "no-installation",
        format!("there is no Obscura installation in `{}`", root.display()),
        format!("`{}` 中没有 Obscura 安装", root.display()),
    )
    .with_help(
        "`obscura init` makes one; `--data-dir` or `OBSCURA_DATA_DIR` names another folder",
        "用 `obscura init` 新建；或用 `--data-dir`、`OBSCURA_DATA_DIR` 指定目录",
    )
    .into()
}
