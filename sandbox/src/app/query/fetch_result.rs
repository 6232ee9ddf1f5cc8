//! Use case: open again the result of one's own job. The same release as before, and the log must say that it left.

use jiff::SignedDuration;
use obscura_crypto::sha256_hex;
use serde_json::Value;

use crate::app::query::end::limit_exceeded;
use crate::app::query::outcome::ReleasedQuery;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::installation::results;
use crate::jobs::JobFailure;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// Opens again the result of a job of one's own: the same release, costing nothing.
///
/// # Errors
/// Not found when there is no such released job of the caller; conflict when it met a limit; verification failed when it was
/// tampered with.
pub async fn fetch_result(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<ReleasedQuery, AppError> {
    let row = installation.jobs.job(id).await.during("find a job")?;
    let row = row.filter(|row| caller.asked_as(&row.person)).ok_or_else(|| no_result(id))?;
    if row.state == JobState::Failed && row.code.as_deref() == Some(JobFailure::Limit.code()) {
        return Err(limit_exceeded().into());
    }
    fetch_released(installation, row, ActorName::of(caller)).await
}

/// Opens again the result of a job, for a caller who may have it.
///
/// # Errors
/// As [`fetch_result`].
pub(crate) async fn fetch_released(
    installation: &Installation,
    row: JobRow,
    actor: ActorName,
) -> Result<ReleasedQuery, AppError> {
    let id = row.id;
    let is_over = is_over(installation, &row);
    let (Some(sha256), Some(release)) = (row.result_sha256, row.release) else {
        return Err(no_result(id));
    };
    let key = row.result_key.filter(|_| !is_over).ok_or_else(|| results::expired(id))?;
    let (Some(decided_index), Some(released_index)) = (row.decided_index, row.finished_index) else {
        return Err(no_result(id));
    };
    // A row alone releases nothing: the log must say that this table was released.
    let event = installation.audit.event(released_index).during("read the audit log")?;
    let job = id.to_string();
    let logged = event.detail.get("result_sha256").and_then(Value::as_str);
    let is_this =
        event.action == Action::ResultReleased.name() && event.correlation.as_deref() == Some(job.as_str());
    let record = event.detail.get("release_sha256").and_then(Value::as_str);
    if !is_this || logged != Some(sha256.as_str()) || record != Some(sha256_hex(release.as_bytes()).as_str())
    {
        return Err(no_result(id));
    }
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let verdict = verdict.ok_or_else(|| InternalError::of_kind("read a job's verdict", "json"))?;
    let sealed = installation.blocking(|| results::read(installation, id))?;
    // In the log before its key leaves: the journal holds no more of them than the log says.
    let note = Note::new(Action::ResultDownloaded, actor).of_job(id);
    installation.append_one(note).await?;
    let table = installation.blocking(|| results::open(installation, id, &key, &sha256, sealed))?;
    Ok(ReleasedQuery { job: id, verdict, table, sha256, release, decided_index, released_index })
}

/// Says whether a job's result was kept as long as the settings say.
pub(crate) fn is_over(installation: &Installation, row: &JobRow) -> bool {
    let kept = SignedDuration::from_hours(24 * i64::from(installation.settings().result_days));
    row.finished.is_some_and(|finished| installation.now().duration_since(finished) > kept)
}

fn no_result(job: JobId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "result-not-found",
        format!("there is no released result `{job}` of yours"),
        format!("您没有已发布的结果 `{job}`"),
    )
    .into()
}
