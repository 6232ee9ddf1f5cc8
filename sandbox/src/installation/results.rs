//! Results at rest: a released table is written once, sealed, and opened again only for its owner.
//! The table's hash is its name in the log; the contents of a result are decided before it comes here.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use obscura_crypto::aead::Aead as _;
use obscura_crypto::aead::RingAead;
use obscura_crypto::aead::associated_data;
use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::WrapContext;
use obscura_crypto::kms::WrappedKey;
use obscura_crypto::sha256_hex;
use serde::Serialize;

use crate::audit::unwraps::Account;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::rotation_lock::Unrecorded;
use crate::installation::rotation_lock::wrap_to_record;
use crate::jobs::keys::JobKey;

const FORMAT_VERSION: u16 = 1;
// Codes of departments hold no `_`, so no department has these keys.
const RESULTS: &str = "_results";
const QUERIES: &str = "_queries";
/// The strictest ladder step there is: texts of queries may hold what an analyst knows of a person.
const QUERIES_GRADE: u8 = 9;

/// Something sealed under a key of its own.
pub(crate) struct SealedObject {
    /// The sealed bytes.
    pub(crate) sealed: Vec<u8>,
    /// Its wrapped key.
    pub(crate) key: WrappedKey,
    /// This object is kept until its key stands in the job's row: a rotation waits for it.
    _unrecorded: Unrecorded,
}

/// A result on disk.
pub(crate) struct StoredResult {
    /// The table as an Arrow stream.
    pub(crate) table: Vec<u8>,
    /// SHA-256 of the table as an Arrow stream.
    pub(crate) sha256: String,
    /// Its wrapped key.
    pub(crate) key: WrappedKey,
    /// As of a [`SealedObject`].
    _unrecorded: Unrecorded,
}

/// Seals a released table into its file and makes it durable.
pub(crate) fn store(
    installation: &Installation,
    job: JobId,
    grade: u8,
    batch: RecordBatch,
) -> Result<StoredResult, AppError> {
    let table = to_stream(&batch).map_err(|_| InternalError::of_kind("write a result", "arrow"))?;
    // One plain copy is enough while the sealed one is written.
    drop(batch);
    let sha256 = sha256_hex(&table);
    let kek = KekId::new(RESULTS, grade).during("name the key of results")?;
    let object = seal(installation, &kek, "result", &job.to_string(), &table)?;
    let folder = installation.layout.results();
    write_whole(&folder, &path(installation, job), &object.sealed).during("write a result")?;
    Ok(StoredResult { table, sha256, key: object.key, _unrecorded: object._unrecorded })
}

/// Reads a stored result as it is sealed.
pub(crate) fn read(installation: &Installation, job: JobId) -> Result<Vec<u8>, AppError> {
    match fs::read(path(installation, job)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(expired(job)),
        read => read.during("read a result"),
    }
}

/// Opens a stored result, an Arrow stream, and makes sure that it is the one that was released.
pub(crate) fn open(
    installation: &Installation,
    job: JobId,
    key: &str,
    sha256: &str,
    sealed: Vec<u8>,
) -> Result<Vec<u8>, AppError> {
    let key: WrappedKey = key.parse().during("read the key of a result")?;
    let unwrap = |keys: &dyn KeyManagement| keys.unwrap(&key, &context("result", &job.to_string()));
    let accounted = installation.accounts.on_account(Account::Result(job), unwrap);
    let key = accounted.during("account for a key")?.taken.during("unwrap a result's key")?;
    let aad = associated_data("obscura sealed object", &[b"result", job.to_string().as_bytes()]);
    let mut table = RingAead.open(&key, &aad, &sealed).map_err(|_| tampered(job))?;
    drop(sealed);
    if sha256_hex(&table) != sha256 {
        return Err(tampered(job));
    }
    // It was released: nothing of it need be wiped.
    Ok(std::mem::take(&mut *table))
}

/// Removes a stored result, and one that was being stored; one that is gone already is as good.
pub(crate) fn remove(installation: &Installation, job: JobId) -> Result<(), AppError> {
    let path = path(installation, job);
    for path in [staged(&path), path] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).during("remove a result")?,
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Keeps a sealed query that is too long for an entry of the log, which then holds its hash.
pub(crate) fn store_long_query(
    installation: &Installation,
    job: JobId,
    sealed: &[u8],
) -> Result<(), AppError> {
    let folder = installation.layout.results();
    write_whole(&folder, &long_query_path(installation, job), sealed).during("write a long query")
}

/// Removes a sealed query that was too long for an entry of the log; one that is not there is as good.
pub(crate) fn remove_long_query(installation: &Installation, job: JobId) -> Result<(), AppError> {
    match fs::remove_file(long_query_path(installation, job)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).during("remove a long query"),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads a sealed query that was too long for an entry of the log.
pub(crate) fn read_long_query(
    installation: &Installation,
    job: JobId,
    sha256: &str,
) -> Result<Vec<u8>, AppError> {
    let sealed = fs::read(long_query_path(installation, job)).during("read a long query")?;
    if sha256_hex(&sealed) == sha256 { Ok(sealed) } else { Err(tampered(job)) }
}

/// A question as it is sealed: its text behind 32 random bytes, so that a hash of both commits to the text and tells
/// nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuestionText {
    /// The random bytes; none in questions of versions that knew no commitment.
    pub(crate) salt: Option<[u8; SALT_BYTES]>,
    /// The SQL.
    pub(crate) sql: String,
}

pub(crate) const SALT_BYTES: usize = 32;

impl QuestionText {
    /// A question behind new random bytes.
    pub(crate) fn new(installation: &Installation, sql: &str) -> Result<Self, AppError> {
        let mut salt = [0; SALT_BYTES];
        installation.random.fill(&mut salt).during("draw a salt")?;
        Ok(Self { salt: Some(salt), sql: sql.to_owned() })
    }

    /// SHA-256 of random bytes and text, in hexadecimal: what the audit log says of the question.
    pub(crate) fn commitment(&self) -> Option<String> {
        self.salt.map(|salt| commitment(&salt, &self.sql))
    }

    /// The same of a verdict on it, which may quote it.
    pub(crate) fn commitment_to(&self, verdict: &impl Serialize) -> Result<Option<String>, AppError> {
        let text = serde_json_canonicalizer::to_string(verdict).during("write a verdict")?;
        Ok(self.salt.map(|salt| commitment(&salt, &text)))
    }
}

/// SHA-256 of salt and text.
pub(crate) fn commitment(salt: &[u8], sql: &str) -> String {
    sha256_hex(&[salt, sql.as_bytes()].concat())
}

/// Opens a sealed question; `has_salt` when its event has a commitment.
pub(crate) fn open_query(
    installation: &Installation,
    job: JobId,
    key: &str,
    sealed: &[u8],
    has_salt: bool,
) -> Result<QuestionText, AppError> {
    let key: WrappedKey = key.parse().during("read the key of a query")?;
    let unwrap = |keys: &dyn KeyManagement| keys.unwrap(&key, &context("query", &job.to_string()));
    let accounted = installation.accounts.on_account(Account::Question(job), unwrap);
    let key = accounted.during("account for a key")?.taken.during("unwrap a query's key")?;
    let aad = associated_data("obscura sealed object", &[b"query", job.to_string().as_bytes()]);
    let text = RingAead.open(&key, &aad, sealed).map_err(|_| tampered(job))?;
    let (salt, sql) = match text.split_first_chunk::<SALT_BYTES>() {
        Some((salt, sql)) if has_salt => (Some(*salt), sql),
        _ => (None, text.as_slice()),
    };
    Ok(QuestionText { salt, sql: String::from_utf8(sql.to_vec()).during("read a query")? })
}

/// Seals a question for the audit log; deleting its wrapped key shreds the text.
pub(crate) fn seal_query(
    installation: &Installation,
    job: JobId,
    asked: &QuestionText,
) -> Result<SealedObject, AppError> {
    let kek = KekId::new(QUERIES, QUERIES_GRADE).during("name the key of queries")?;
    let text = [asked.salt.as_ref().map_or(&[][..], |salt| salt), asked.sql.as_bytes()].concat();
    seal(installation, &kek, "query", &job.to_string(), &text)
}

fn seal(
    installation: &Installation,
    kek: &KekId,
    kind: &str,
    id: &str,
    bytes: &[u8],
) -> Result<SealedObject, AppError> {
    let key = DataKey::generate().during("draw a data key")?;
    let aad = associated_data("obscura sealed object", &[kind.as_bytes(), id.as_bytes()]);
    let sealed = RingAead.seal(&key, &aad, bytes).during("seal")?;
    let (key, unrecorded) = wrap_to_record(installation, kek, &key, &context(kind, id))?;
    Ok(SealedObject { sealed, key, _unrecorded: unrecorded })
}

/// The keys of jobs that are wrapped under this key-encryption key, if any are.
pub(crate) fn wrapped_under(kek: &KekId) -> Option<JobKey> {
    match kek.department() {
        QUERIES => Some(JobKey::Question),
        RESULTS => Some(JobKey::Result),
        _ => None,
    }
}

/// Wraps the key of a job again; nothing when it is not under this key-encryption key, or under its newest version.
pub(crate) fn rewrap(
    installation: &Installation,
    (kek, newest): (&KekId, KekVersion),
    which: JobKey,
    (job, key): (JobId, &str),
) -> Result<Option<WrappedKey>, AppError> {
    let wrapped: WrappedKey = key.parse().during("read the key of a job")?;
    if wrapped.kek() != kek || wrapped.version() == newest {
        return Ok(None);
    }
    installation
        .keys
        .rewrap(&wrapped, &context(kind(which), &job.to_string()))
        .during("rewrap the key of a job")
        .map(Some)
}

/// Says if the key service opens the key of a job; the key is not shown.
pub(crate) fn opens(installation: &Installation, which: JobKey, job: JobId, wrapped: &WrappedKey) -> bool {
    installation.keys.rewrap(wrapped, &context(kind(which), &job.to_string())).is_ok()
}

fn kind(which: JobKey) -> &'static str {
    match which {
        JobKey::Question => "query",
        JobKey::Result => "result",
    }
}

fn context(kind: &str, id: &str) -> WrapContext {
    WrapContext::Object { format_version: FORMAT_VERSION, kind: kind.to_owned(), id: id.to_owned() }
}

fn path(installation: &Installation, job: JobId) -> PathBuf {
    installation.layout.results().join(format!("{job}.sealed"))
}

fn long_query_path(installation: &Installation, job: JobId) -> PathBuf {
    installation.layout.results().join(format!("{job}.query"))
}

/// The path at which a file is written before it is whole.
fn staged(path: &Path) -> PathBuf {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    PathBuf::from(staged)
}

fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = staged(path);
    let mut file = File::create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    File::open(folder)?.sync_all()
}

fn to_stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The answer when a result was kept as long as it should be.
pub(crate) fn expired(job: JobId) -> AppError {
    PublicError::new(
        Class::Gone,
        "result-expired",
        format!("the result of `{job}` is no longer kept"),
        format!("任务 `{job}` 的结果已不再保留"),
    )
    .into()
}

fn tampered(job: JobId) -> AppError {
    PublicError::new(
        Class::VerificationFailed,
        "result-tampered",
        format!("the stored result of `{job}` is not the one that was released"),
        format!("任务 `{job}` 存储的结果与发布时不一致"),
    )
    .into()
}
