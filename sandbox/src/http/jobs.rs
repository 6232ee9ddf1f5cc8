//! Jobs over HTTP: submit, list, look at, and take the result and its release record.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::ETAG;
use axum::http::header::IF_NONE_MATCH;
use axum::http::header::LOCATION;
use axum::http::header::RETRY_AFTER;
use axum::http::header::VARY;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::app::fetch_result::fetch_result;
use crate::app::formats::encode;
use crate::app::list_jobs::JOBS_MAX;
use crate::app::list_jobs::list_jobs;
use crate::app::show_job::show_job;
use crate::app::submit_query::Taken;
use crate::app::submit_query::take_in;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Known;
use crate::http::media::negotiate;
use crate::http::problem::Problem;
use crate::http::queries::question;
use crate::ids::JobId;
use crate::jobs::JobRow;

/// Longest that a request waits for a job, in seconds.
const WAIT_MAX: u64 = 60;

/// Takes a question in: 201 with the job when it has ended in time, 202 when it has not, 422 when a rule says no.
pub(super) async fn submit(
    State(service): State<Arc<Service>>,
    known: Known,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Known { request, caller } = &known;
    let question = question(request, &body)?;
    let place = service
        .queue
        .place(caller.person().name.as_str())
        .ok_or_else(|| Problem::with_status(request, StatusCode::TOO_MANY_REQUESTS, &too_many_jobs()))?;
    let taken = take_in(&service.installation, caller, &question).await;
    match taken.map_err(|error| request.problem(&service, &error))? {
        Taken::Explained(verdict) => Ok(Json(verdict).into_response()),
        Taken::Refused { job, verdict } => {
            let refused = PublicError::new(
                Class::Usage,
                "query-refused",
                "the guard refuses this question",
                "查询守卫拒绝了该问题",
            );
            Err(Problem::with_status(request, StatusCode::UNPROCESSABLE_ENTITY, &refused)
                .with("job", json!(job.to_string()))
                .with("verdict", serde_json::to_value(verdict).unwrap_or_default()))
        }
        Taken::Admitted(waiting) => {
            let job = waiting.job();
            service.queue.enter(place, *waiting);
            service.queue.wait(job, wished(&headers)).await;
            let row = show_job(&service.installation, caller, job).await;
            let row = row.map_err(|error| request.problem(&service, &error))?;
            let location = HeaderValue::from_str(&format!("/api/v1/jobs/{job}"));
            let mut response = Json(shown(&row)).into_response();
            if let Ok(location) = location {
                response.headers_mut().insert(LOCATION, location);
            }
            if row.state.is_final() {
                *response.status_mut() = StatusCode::CREATED;
            } else {
                *response.status_mut() = StatusCode::ACCEPTED;
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Ok(response)
        }
    }
}

/// How long a client would wait (`Prefer: wait=10`, RFC 7240).
fn wished(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wait = prefer.split(',').find_map(|item| item.trim().strip_prefix("wait=")?.parse::<u64>().ok());
    Duration::from_secs(wait.unwrap_or(0).min(WAIT_MAX))
}

/// How many jobs a list holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default = "page_size")]
    limit: u32,
}

fn page_size() -> u32 {
    50
}

/// The newest jobs of the caller; everybody's for an auditor.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Known,
    page: Option<Query<Page>>,
) -> Result<Json<Value>, Problem> {
    let most = page.map_or_else(page_size, |Query(page)| page.limit).clamp(1, JOBS_MAX);
    let rows = list_jobs(&service.installation, &known.caller, most).await;
    let rows = rows.map_err(|error| known.request.problem(&service, &error))?;
    Ok(Json(json!({ "jobs": rows.iter().map(shown).collect::<Vec<_>>() })))
}

/// How long a look at a job waits for its end.
#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait: u64,
}

/// One job of the caller.
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    known: Known,
    Path(id): Path<String>,
    wait: Option<Query<Wait>>,
) -> Result<Json<Value>, Problem> {
    let id = job_id(&service, &known, &id)?;
    if let Some(Query(Wait { wait })) = wait {
        // Whose job it is is settled first: how long an answer takes must not tell that a job exists.
        let seen = show_job(&service.installation, &known.caller, id).await;
        seen.map_err(|error| known.request.problem(&service, &error))?;
        service.queue.wait(id, Duration::from_secs(wait.min(WAIT_MAX))).await;
    }
    let row = show_job(&service.installation, &known.caller, id).await;
    row.map(|row| Json(shown(&row))).map_err(|error| known.request.problem(&service, &error))
}

/// The result of a job of the caller, in the form that they accept.
pub(super) async fn result(
    State(service): State<Arc<Service>>,
    known: Known,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = job_id(&service, &known, &id)?;
    let format = negotiate(&headers).ok_or_else(|| {
        let error = PublicError::new(
            Class::Usage,
            "format-not-available",
            "results come as application/json, text/csv, application/vnd.apache.arrow.stream or application/vnd.apache.parquet",
            "结果格式可为 application/json、text/csv、application/vnd.apache.arrow.stream 或 application/vnd.apache.parquet",
        );
        Problem::with_status(&known.request, StatusCode::NOT_ACCEPTABLE, &error)
    })?;
    let failed = |error: AppError| known.request.problem(&service, &error);
    let released = fetch_result(&service.installation, &known.caller, id).await.map_err(failed)?;
    let etag = format!("\"{}\"", released.sha256);
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let bytes = encode(&released.batch, format).map_err(failed)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}

/// The signed release record of a job of the caller.
pub(super) async fn release(
    State(service): State<Arc<Service>>,
    known: Known,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = job_id(&service, &known, &id)?;
    let row = show_job(&service.installation, &known.caller, id).await;
    let row = row.map_err(|error| known.request.problem(&service, &error))?;
    match row.release.filter(|_| row.finished_index.is_some()) {
        Some(record) => {
            let mut response = record.into_response();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok(response)
        }
        None => Err(known.request.problem(&service, &crate::app::show_job::no_job())),
    }
}

/// An identifier that is none names no job, like one that is somebody else's.
fn job_id(service: &Service, known: &Known, text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| known.request.problem(service, &crate::app::show_job::no_job()))
}

fn too_many_jobs() -> PublicError {
    PublicError::new(
        Class::Conflict,
        "too-many-jobs",
        "too many of your jobs are waiting or running",
        "您等待或运行中的任务过多",
    )
    .with_help("wait until one of them has ended", "请等待其中一个结束")
}

/// A job as its owner sees it.
fn shown(row: &JobRow) -> Value {
    let id = row.id.to_string();
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "id": id,
        "state": row.state.name(),
        "code": row.code,
        "purpose": row.purpose,
        "received_at": row.received.to_string(),
        "finished_at": row.finished.map(|at| at.to_string()),
        "verdict": verdict,
        "result_sha256": row.finished_index.and(row.result_sha256.as_deref()),
        "decided_index": row.decided_index,
        "finished_index": row.finished_index,
        "links": {
            "self": format!("/api/v1/jobs/{id}"),
            "result": format!("/api/v1/jobs/{id}/result"),
            "release": format!("/api/v1/jobs/{id}/release"),
        },
    })
}
