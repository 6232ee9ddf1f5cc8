//! Open data over HTTP, for everybody: the catalogue that harvesters read, and the rows of open datasets.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse as _;
use axum::response::Response;
use obscura_policies::vocabulary::DatasetId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::data::open_catalog::open_catalog;
use crate::app::data::open_data::OpenRelease;
use crate::app::data::open_data::fetch_open;
use crate::app::data::open_data::not_open;
use crate::app::data::open_data::open_release;
use crate::app::query::formats::Format;
use crate::app::query::judge::Submission;
use crate::app::query::question::SubmitQuery;
use crate::app::query::submit::submit;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Anyone;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::download::hand_out;
use crate::http::download::no_such_form;
use crate::http::download::too_many_downloads;
use crate::http::failure::Failure;
use crate::http::media::Binary;
use crate::http::media::Row;
use crate::http::media::negotiate;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;
use crate::ids::JobId;
use crate::jobs::JobRow;
use crate::service::limits::ConcurrencyPermit;

/// Longest that a download waits for the job that makes its rows ready.
const READY_WAIT: Duration = Duration::from_secs(30);

/// The catalogue of open data (DCAT-AP 3, JSON-LD)
///
/// One document with every dataset that everybody may download, for harvesters. Addresses are relative to its own
/// unless the installation knows how the outside reaches it (`public_url`).
#[utoipa::path(
    get,
    path = "/catalog",
    operation_id = "show_catalog",
    tag = "catalogue",
    security((), ("token" = [])),
    responses((status = 200, description = "The catalogue", body = serde_json::Value, content_type = "application/ld+json"), Problems)
)]
pub(super) async fn catalog(State(service): State<Arc<Service>>) -> Result<Response, Failure> {
    let found = open_catalog(&service.installation).await?;
    let mut response = found.to_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/ld+json"));
    Ok(response)
}

/// The form of a download.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadForm {
    /// `csv`, `json`, `parquet` or `arrow`; as `Accept` says when it is not given.
    format: Option<String>,
}

/// Download an open dataset
///
/// All rows of its newest version, as they were released under the guard: the SHA-256 of the release, with the form, is the
/// ETag. Nobody needs an account. A dataset that is not open is not there.
#[utoipa::path(
    get,
    path = "/datasets/{id}/download",
    operation_id = "download_dataset",
    tag = "catalogue",
    security((), ("token" = [])),
    params(("id" = String, Path, description = "The dataset"), DownloadForm),
    responses(
        (status = 200, description = "The rows", content(
            (Vec<Row> = "application/json"),
            (String = "text/csv"),
            (Binary = "application/vnd.apache.arrow.stream"),
            (Binary = "application/vnd.apache.parquet")
        )),
        (status = 304, description = "As you have it"),
        (status = 406, description = "There is no such form", body = crate::http::problem::ProblemDocument, content_type = "application/problem+json"),
        Problems
    )
)]
pub(super) async fn download(
    State(service): State<Arc<Service>>,
    anyone: Anyone,
    Name(id): Name,
    Parameters(form): Parameters<DownloadForm>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let format = format(&form, &headers)?;
    // Whether it is a name at all must not show in the answer.
    let id: DatasetId = id.parse().map_err(|_| not_open())?;
    let permits = permits(&service, &anyone).ok_or_else(too_many_downloads)?;
    let row = ready(&service, &id).await?;
    let etag = format!("\"{}.{}\"", row.result_sha256.as_deref().unwrap_or_default(), format.name());
    let table = async { Ok(fetch_open(&service.installation, &anyone.caller, row).await?.table) };
    let mut response = hand_out(&service.installation, &headers, &etag, format, permits, table).await?;
    // Names of datasets are ASCII letters, digits, `-`, `_` and one dot.
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{id}.{}\"", format.name()));
    if let (StatusCode::OK, Ok(name)) = (response.status(), name) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    // It may be kept, and must be validated again: a dataset that is open today need not be open tomorrow.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The form that is asked for by name, or else by `Accept`.
fn format(form: &DownloadForm, headers: &HeaderMap) -> Result<Format, Problem> {
    match form.format.as_deref() {
        None => negotiate(headers).ok_or_else(no_such_form),
        Some(name) => Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            malformed(
                "`format` is `csv`, `json`, `parquet` or `arrow`",
                "`format` 须为 `csv`、`json`、`parquet` 或 `arrow`",
            )
        }),
    }
}

/// Permits among the downloads under way: one of those for all, and one of those for the place of this client.
fn permits(service: &Service, anyone: &Anyone) -> Option<[ConcurrencyPermit; 2]> {
    Some([service.downloads_of_one.acquire(anyone.peer.as_str())?, service.downloads.acquire("everybody")?])
}

/// The job whose release is handed out; it is submitted if there is none yet.
async fn ready(service: &Service, id: &DatasetId) -> Result<JobRow, Failure> {
    let look = || open_release(&service.installation, id);
    let job = match look().await? {
        OpenRelease::Kept(row) => return Ok(*row),
        OpenRelease::Resting(seconds) => return Err(not_ready(seconds).into()),
        OpenRelease::Running(job) => job,
        OpenRelease::Ask(question) => match ask(service, question).await? {
            Some(job) => job,
            None => return Err(not_ready(1).into()),
        },
    };
    service.wait(job, READY_WAIT).await;
    match look().await? {
        OpenRelease::Kept(row) => Ok(*row),
        OpenRelease::Resting(seconds) => Err(not_ready(seconds).into()),
        OpenRelease::Running(_) | OpenRelease::Ask(_) => Err(not_ready(1).into()),
    }
}

/// Asks for the rows as a stranger, by the one function that makes jobs; nothing when the guard refuses.
async fn ask(service: &Service, question: SubmitQuery) -> Result<Option<JobId>, Failure> {
    let stranger = Caller::stranger(Door::Http);
    if *service.stopping.borrow() {
        return Ok(None);
    }
    let Ok(permit) = service.queue.permit(stranger.person().name.as_str()) else { return Ok(None) };
    match submit(&service.installation, &stranger, question).await {
        Ok(Submission::Admitted(waiting)) => {
            let job = waiting.job();
            service.queue.enter(permit, *waiting);
            Ok(Some(job))
        }
        // Another request was quicker, and its job serves as well.
        Ok(Submission::Repeated(row)) => Ok(Some(row.id)),
        Ok(Submission::Refused { .. } | Submission::Explained(_) | Submission::Pending { .. }) => Ok(None),
        Err(AppError::Public(error)) if error.class() == Class::Conflict => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn not_ready(seconds: u64) -> Problem {
    let error = PublicError::new(
        Class::Failure,
        "open-data-not-ready",
        "the rows of this open dataset are not ready",
        "该开放数据集尚未准备就绪",
    )
    .with_help("ask again as `Retry-After` says", "请按 `Retry-After` 指示的时间重试");
    Problem::with_status(StatusCode::SERVICE_UNAVAILABLE, error)
        .header(RETRY_AFTER, HeaderValue::from(seconds))
}
