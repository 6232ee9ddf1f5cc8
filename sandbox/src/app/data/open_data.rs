//! Use case: open data for everybody. A dataset is open when its document and its policies say so without condition, and
//! its newest version was sealed under just these labels; its rows leave as the release of an ordinary job without
//! an account, once for each version, and everybody is given that release.
//!
//! INVARIANT(strangers-get-open-data-only): whoever has no account is told of open datasets only, and every row they get has
//! passed the guard as open data.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;
use obscura_crypto::sha256_hex;
use obscura_policies::document::Dataset;
use obscura_policies::document::Document;
use obscura_policies::document::Opening;
use obscura_policies::effective::PolicySource;
use obscura_policies::evaluate::OPEN_DATA;
use obscura_policies::evaluate::open_to_everybody;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use serde_json::Value;
use serde_json::json;

use crate::app::data::no_dataset::no_dataset;
use crate::app::data::relabelled::is_relabelled;
use crate::app::query::fetch_result::fetch_released;
use crate::app::query::fetch_result::is_over;
use crate::app::query::outcome::ReleasedQuery;
use crate::app::query::question::OnRefusal;
use crate::app::query::question::SubmitQuery;
use crate::audit::event::ActorName;
use crate::catalog::body::DatasetVersionBody;
use crate::context::Caller;
use crate::context::Door;
use crate::context::Presence;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::installation::library::local_time;
use crate::installation::library::parse_one;
use crate::installation::openings::versions_of;
use crate::installation::sealed;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::storage::Expected;
use crate::storage::Manifest;
use crate::storage::SealedVersion;

/// Most rows of a dataset that is handed out in one piece.
pub const DOWNLOAD_ROWS_MAX: u64 = 2_000_000;
/// Most sealed bytes of such a dataset.
pub const DOWNLOAD_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The seconds for which a dataset is left alone after its rows could not be handed out.
const REST_SECONDS: i64 = 60;

/// A dataset that is open now.
#[derive(Debug)]
pub(crate) struct OpenVersion {
    /// The version that analysts see.
    pub(crate) version: SealedVersion,
    /// The documents that open it.
    sources: Vec<PolicySource>,
}

/// The state of the release of an open dataset.
#[derive(Debug)]
pub enum OpenRelease {
    /// It is kept, and may be fetched.
    Kept(Box<JobRow>),
    /// A job is at it.
    Running(JobId),
    /// It is still to be made: this question has to be asked, without an account.
    Ask(SubmitQuery),
    /// It failed a moment ago, and is left alone for so many seconds.
    Resting(u64),
}

/// Says whether document and policies open a dataset to everybody.
pub(crate) fn is_declared_open(installation: &Installation, library: &Library, id: &DatasetId) -> bool {
    opened_by(installation, library, id).is_some()
}

/// Says whether a version was sealed as open data, under just the labels that the document has now.
pub(crate) fn is_sealed_open(library: &Library, document: &Dataset, version: &SealedVersion) -> bool {
    let manifest = version.manifest();
    let is_open = |grade: &str| grade.parse() == Ok(Level(1));
    let sealed = manifest.columns.iter().map(|column| column.name.as_str());
    !version.is_shredded()
        && manifest.units.is_empty()
        && manifest.columns.iter().all(|column| is_open(&column.grade) && column.token_of.is_none())
        && sealed.eq(document.columns.iter().map(|column| column.name.as_str()))
        && was_declared_open(manifest)
        && !is_relabelled(library, document, manifest)
}

/// Says whether the document was open to everybody when the data was sealed: the steward who sealed it knew that.
fn was_declared_open(manifest: &Manifest) -> bool {
    match parse_one(&manifest.document.text).map(|document| document.value) {
        Ok(Document::Dataset(then)) => then.opening == Opening::Unconditional && then.units.is_empty(),
        _ => false,
    }
}

/// The version of a dataset that analysts see, if the dataset is open.
///
/// # Errors
/// When a manifest cannot be read or is not the one of the log.
pub(crate) fn open_version(
    installation: &Installation,
    library: &Library,
    id: &DatasetId,
    opened: Option<&DatasetVersionBody>,
) -> Result<Option<OpenVersion>, AppError> {
    let Some(document) = library.datasets().get(id) else { return Ok(None) };
    let (Some(sources), Some(body)) = (opened_by(installation, library, id), opened) else { return Ok(None) };
    let version = sealed::open(installation, id, body, Expected::Newest(body.version))?;
    let is_open = is_sealed_open(library, document, &version);
    Ok(is_open.then_some(OpenVersion { version, sources }))
}

/// As [`open_version`] for lists: what cannot be read is noted for the operator, and is not open.
pub(crate) fn open_version_of_list(
    installation: &Installation,
    library: &Library,
    id: &DatasetId,
    opened: Option<&DatasetVersionBody>,
) -> Option<OpenVersion> {
    open_version(installation, library, id, opened).unwrap_or_else(|error| {
        let internal = match error {
            AppError::Internal(internal) => internal,
            AppError::Public(public) => InternalError::of_kind("read open data", public.code()),
        };
        installation.note(&id.to_string(), &internal);
        None
    })
}

fn opened_by(installation: &Installation, library: &Library, id: &DatasetId) -> Option<Vec<PolicySource>> {
    let time = local_time(installation.now(), &installation.settings().time_zone);
    let opened = open_to_everybody(library, std::slice::from_ref(id), &BTreeMap::new(), time.day).ok()?;
    Some(opened.sources)
}

impl OpenVersion {
    /// Says whether its rows are handed out in one piece.
    pub(crate) fn is_downloadable(&self) -> bool {
        let manifest = self.version.manifest();
        let bytes = manifest.parts.iter().map(|part| part.length).fold(0, u64::saturating_add);
        manifest.rows <= DOWNLOAD_ROWS_MAX && bytes <= DOWNLOAD_BYTES_MAX
    }

    /// Names the release of just this version under just these documents.
    fn name(&self) -> Result<String, AppError> {
        let manifest = self.version.manifest();
        let sources: Vec<_> =
            self.sources.iter().map(|source| (&source.id, source.version, &source.sha256)).collect();
        let named = json!({
            "dataset": manifest.dataset,
            "version": manifest.version,
            "manifest_sha256": manifest.sha256().during("name a manifest")?,
            "sources": sources,
        });
        let named = serde_json_canonicalizer::to_vec(&named).during("name a release")?;
        Ok(format!("{OPEN_DATA}-{}.", sha256_hex(&named)))
    }

    /// All columns of all rows.
    fn question(&self, attempt: u64, name: &str) -> SubmitQuery {
        let quoted = |name: &str| format!("\"{name}\"");
        let columns: Vec<String> =
            self.version.manifest().columns.iter().map(|column| quoted(&column.name)).collect();
        let dataset = self.version.dataset();
        SubmitQuery {
            sql: format!(
                "SELECT {} FROM {}.{}",
                columns.join(", "),
                quoted(&dataset.sql_schema()),
                quoted(dataset.name())
            ),
            purpose: OPEN_DATA.to_owned(),
            grants: BTreeSet::new(),
            key: Some(format!("{name}{attempt}")),
            on_refusal: OnRefusal::End,
            presence: Presence::default(),
        }
    }
}

/// Looks for the release of an open dataset's version.
///
/// # Errors
/// Not found, in the same words for a dataset that is not open and for one that is not there; too large when it is open
/// and is not handed out in one piece.
pub async fn open_release(installation: &Installation, id: &DatasetId) -> Result<OpenRelease, AppError> {
    let library = library(installation).await?;
    let opened = versions_of(installation, id).await?.opened;
    let open = open_version(installation, &library, id, opened.as_ref())?.ok_or_else(not_open)?;
    if !open.is_downloadable() {
        return Err(too_large());
    }
    let name = open.name()?;
    let row = newest_job(installation, &name).await?;
    let attempt =
        row.as_ref().and_then(|row| row.request_key.as_deref()).map_or(0, |key| attempt_of(key, &name));
    Ok(match row {
        None => OpenRelease::Ask(open.question(1, &name)),
        Some(row) if !row.state.is_final() => OpenRelease::Running(row.id),
        Some(row) if is_kept(installation, &row) && is_of(&row, open.version.manifest()) => {
            OpenRelease::Kept(Box::new(row))
        }
        Some(row) => match rests(row.state, row.finished, installation.now()) {
            Some(seconds) => OpenRelease::Resting(seconds),
            None => OpenRelease::Ask(open.question(attempt.saturating_add(1), &name)),
        },
    })
}

/// Opens the release of an open dataset for everybody who asks.
///
/// # Errors
/// Gone when it is no longer kept; verification failed when it was tampered with.
pub async fn fetch_open(
    installation: &Installation,
    caller: &Caller,
    row: JobRow,
) -> Result<ReleasedQuery, AppError> {
    fetch_released(installation, row, ActorName::of(caller)).await
}

/// SHA-256 of the release of an open version as an Arrow stream, where it is kept.
pub(crate) async fn known_sha256(
    installation: &Installation,
    open: &OpenVersion,
) -> Result<Option<String>, AppError> {
    let row = newest_job(installation, &open.name()?).await?;
    let is_this = |row: &JobRow| is_kept(installation, row) && is_of(row, open.version.manifest());
    Ok(row.filter(is_this).and_then(|row| row.result_sha256))
}

async fn newest_job(installation: &Installation, name: &str) -> Result<Option<JobRow>, AppError> {
    let nobody = Caller::stranger(Door::Http);
    let person = nobody.person().name.as_str();
    installation.jobs.newest_job_of_requests(person, name).await.during("find a release of open data")
}

fn is_kept(installation: &Installation, row: &JobRow) -> bool {
    row.state == JobState::Released && row.result_key.is_some() && !is_over(installation, row)
}

/// Says whether a release is of this very version: another may have been sealed while the job waited for its turn, and
/// dropped since. That the record is the one that was released is looked up when it is fetched.
fn is_of(row: &JobRow, manifest: &Manifest) -> bool {
    let record = row.release.as_deref().and_then(|note| note.split("\n\n").next());
    let record: Option<Value> = record.and_then(|text| serde_json::from_str(text).ok());
    let read = record.as_ref().and_then(|record| record.get("datasets")).and_then(Value::as_array);
    let is_this = |read: &Value| {
        read.get("id") == Some(&json!(manifest.dataset))
            && read.get("version") == Some(&json!(manifest.version))
    };
    read.is_some_and(|read| read.len() == 1 && read.iter().all(is_this))
}

/// The seconds for which to leave a job alone that ended without a release; nothing when they are over.
fn rests(state: JobState, finished: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    if matches!(state, JobState::Released | JobState::Expired) {
        return None;
    }
    let past = now.duration_since(finished?).as_secs();
    u64::try_from(REST_SECONDS.saturating_sub(past)).ok().filter(|left| *left > 0)
}

fn attempt_of(key: &str, name: &str) -> u64 {
    key.strip_prefix(name).and_then(|attempt| attempt.parse().ok()).unwrap_or(0)
}

/// There is no such open dataset: hidden, closed or not there at all.
pub(crate) fn not_open() -> AppError {
    no_dataset()
}

fn too_large() -> AppError {
    PublicError::new(
        Class::Conflict,
        "download-too-large",
        "the dataset is open, and too large to be handed out in one piece",
        "该数据集已开放，但体量过大，无法一次性下载",
    )
    .with_help("ask its department, or ask for parts of it in SQL", "请联系所属部门，或通过 SQL 分批查询")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_left_alone_for_a_minute_and_what_was_released_is_not() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap_or_default();
        assert_eq!(rests(JobState::Failed, Some(at(0)), at(20)), Some(40));
        assert_eq!(rests(JobState::Refused, Some(at(0)), at(60)), None);
        assert_eq!(rests(JobState::Expired, Some(at(0)), at(1)), None);
        assert_eq!(rests(JobState::Released, Some(at(0)), at(1)), None);
    }

    #[test]
    fn attempts_are_counted_in_the_name_of_the_request() {
        assert_eq!(attempt_of("open-data-ab.7", "open-data-ab."), 7);
        assert_eq!(attempt_of("open-data-cd.7", "open-data-ab."), 0);
    }
}
