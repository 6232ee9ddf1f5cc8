//! Jobs over HTTP: submit, list, look at, cancel; and the result, its release record and what led to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::http::header::LOCATION;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::api::jobs::Explanation;
use crate::api::jobs::JobList;
use crate::api::jobs::JobView;
use crate::api::questions::Question;
use crate::app::log::evidence::Evidence;
use crate::app::log::evidence::evidence;
use crate::app::people::authenticate::is_still_recognised;
use crate::app::people::authenticate::token_not_valid;
use crate::app::query::explain_job::explain_job;
use crate::app::query::fetch_result::fetch_result;
use crate::app::query::judge::Submission;
use crate::app::query::list_jobs::JOBS_MAX;
use crate::app::query::list_jobs::list_jobs;
use crate::app::query::pending::cancel_pending;
use crate::app::query::show_job::no_job;
use crate::app::query::show_job::show_job;
use crate::app::query::submit;
use crate::app::query::submit::repeated;
use crate::app::query::verdict::Verdict;
use crate::app::reviews::conclude::cancel_in_review;
use crate::app::reviews::of_job::review_of_job;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::door::too_often;
use crate::http::download::hand_out;
use crate::http::download::knows;
use crate::http::download::no_such_form;
use crate::http::download::too_many_downloads;
use crate::http::failure::Failure;
use crate::http::media::Binary;
use crate::http::media::Row;
use crate::http::media::negotiate;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::asked_part;
use crate::http::problem::malformed;
use crate::http::queries::question;
use crate::http::refusals::QueryRefused;
use crate::ids::JobId;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::service::queue::NoPermit;

/// Longest that a request waits for a job, in seconds.
const WAIT_MAX: u64 = 60;
/// Longest name of a request that may be repeated, in characters.
const KEY_MAX: usize = 128;

/// Ask a question
///
/// The decision is in the audit log before anything runs. Repeated under the same `Idempotency-Key`, the request is the
/// same job and is answered as before.
#[utoipa::path(
    post,
    path = "/jobs",
    operation_id = "submit_job",
    tag = "jobs",
    request_body = Question,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Your own name for this request, up to 128 characters"),
        ("Prefer" = Option<String>, Header, description = "`wait=10`: wait so many seconds for the end")
    ),
    responses(
        (status = 200, description = "The statement was EXPLAIN: the verdict, and no job", body = Verdict),
        (status = 201, description = "The job has ended", body = JobView, headers(("Location" = String))),
        (status = 202, description = "The job goes on", body = JobView, headers(("Location" = String), ("Retry-After" = u32))),
        (status = 422, description = "A rule says no: the problem with the job's name and the verdict", body = QueryRefused, content_type = "application/problem+json"),
        Problems
    )
)]
pub(super) async fn submit(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let Authenticated { request, caller } = &known;
    let mut question = question(request, &body)?;
    question.key = key(&headers)?;
    // A repeated request takes no permit: its job has one, or needs none any more.
    if let Some(row) = repeated(&service.installation, caller, &question).await? {
        return answer_again(&service, &known, &headers, row).await;
    }
    if *service.stopping.borrow() {
        return Err(stopping().into());
    }
    let person = caller.person().name.as_str();
    service.submissions.take(person, service.begun.elapsed()).map_err(too_often)?;
    let refusals = service.refused.check(person, service.installation.now());
    refusals.map_err(too_much_refused)?;
    let permit = service.queue.permit(person).map_err(no_permit)?;
    let length = question.sql.len();
    let id = match submit::submit(&service.installation, caller, question).await? {
        Submission::Explained(verdict) => {
            // It is a check by another name.
            service.checks.take(person, service.begun.elapsed()).map_err(too_often)?;
            return Ok(Json(verdict).into_response());
        }
        Submission::Refused { job, verdict } => {
            service.refused.spend(person, length, service.installation.now());
            service.events.publish(caller.person().name.as_str(), job, JobState::Refused);
            return Err(refused(job, &verdict).into());
        }
        Submission::Pending { job } => {
            drop(permit);
            service.events.publish(caller.person().name.as_str(), job, JobState::PendingApproval);
            job
        }
        Submission::Repeated(row) => {
            drop(permit);
            return answer_again(&service, &known, &headers, *row).await;
        }
        Submission::Admitted(waiting) => {
            let id = waiting.job();
            service.queue.enter(permit, *waiting);
            id
        }
    };
    answer(&service, &known, &headers, id).await
}

/// As the request was answered before.
async fn answer_again(
    service: &Service,
    known: &Authenticated,
    headers: &HeaderMap,
    row: JobRow,
) -> Result<Response, Failure> {
    if row.state != JobState::Refused {
        return answer(service, known, headers, row.id).await;
    }
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let verdict = verdict.ok_or_else(no_job)?;
    Err(refused(row.id, &verdict).into())
}

/// An admitted job, after so long as the client would wait for its end.
async fn answer(
    service: &Service,
    known: &Authenticated,
    headers: &HeaderMap,
    id: JobId,
) -> Result<Response, Failure> {
    wait(service, known, id, wished(headers)).await?;
    let row = show_job(&service.installation, &known.caller, id).await?;
    let mut response = Json(view(service, known, &row).await?).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/jobs/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    if row.state.is_final() {
        *response.status_mut() = StatusCode::CREATED;
    } else {
        *response.status_mut() = StatusCode::ACCEPTED;
        let waits = matches!(row.state, JobState::PendingApproval | JobState::InReview);
        let after = if waits { "60" } else { "1" };
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(after));
    }
    Ok(response)
}

/// A job, with its review for the person who asked.
async fn view(service: &Service, known: &Authenticated, row: &JobRow) -> Result<JobView, Failure> {
    let review = review_of_job(&service.installation, &known.caller, row).await?;
    Ok(JobView::reviewed(row, review))
}

/// Waits for the end of a job; a caller whose token has ended meanwhile is told nothing of it.
async fn wait(service: &Service, known: &Authenticated, id: JobId, most: Duration) -> Result<(), Failure> {
    if most.is_zero() {
        return Ok(());
    }
    service.wait(id, most).await;
    match is_still_recognised(&service.installation, &known.caller).await? {
        true => Ok(()),
        false => Err(token_not_valid().into()),
    }
}

/// The client's own name for its request.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let is_well_formed =
        |key: &&str| (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    key.to_str().ok().filter(is_well_formed).map(|key| Some(key.to_owned())).ok_or_else(|| {
        malformed(
            format!("an idempotency key has 1 to {KEY_MAX} printable ASCII characters, no spaces"),
            format!("幂等键须为 1 至 {KEY_MAX} 个可打印 ASCII 字符，不含空格"),
        )
    })
}

fn refused(job: JobId, verdict: &Verdict) -> Problem {
    let error =
        PublicError::new(Class::Usage, "query-refused", "the guard refuses this question", "查询未通过审查");
    Problem::with_status(StatusCode::UNPROCESSABLE_ENTITY, error)
        .with("job", json!(job.to_string()))
        .with("verdict", json!(verdict))
}

fn stopping() -> Problem {
    let error = PublicError::new(
        Class::Failure,
        "stopping",
        "this server is about to end and takes no more jobs",
        "服务即将停止，不再接受任务",
    )
    .with_help("ask again in a minute", "请稍后重试");
    Problem::with_status(StatusCode::SERVICE_UNAVAILABLE, error)
        .header(RETRY_AFTER, HeaderValue::from_static("60"))
}

fn too_much_refused(wait: u64) -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "too-much-refused",
        "more of your questions were refused today than the log takes in a day",
        "您今日被拒绝的问题已达每日上限",
    )
    .with_help("`POST /queries/check` says what would be refused", "可先用 `POST /queries/check` 检查问题");
    Problem::with_status(StatusCode::TOO_MANY_REQUESTS, error).header(RETRY_AFTER, HeaderValue::from(wait))
}

fn no_permit(why: NoPermit) -> Problem {
    match why {
        NoPermit::OfOne => too_many_jobs(),
        NoPermit::OfAll => too_much_waits(),
        NoPermit::Closed => stopping(),
    }
}

fn too_much_waits() -> Problem {
    let error = PublicError::new(
        Class::Busy,
        "too-much-waits",
        "as many questions wait for their turn as this server has memory for",
        "等待执行的任务已达服务内存上限",
    )
    .with_help("ask again in a few seconds", "请稍后重试");
    Problem::of(error)
}

fn too_many_jobs() -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "too-many-jobs",
        "you have as many unfinished jobs as one person may have",
        "您未完成的任务已达上限",
    )
    .with_help("wait until one of them has ended, or cancel one", "请等待任务结束，或取消其中之一");
    Problem::with_status(StatusCode::TOO_MANY_REQUESTS, error)
        .header(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// The time that a client would wait (`Prefer: wait=10`, RFC 7240).
fn wished(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wait = prefer.split(',').find_map(|item| item.trim().strip_prefix("wait=")?.parse::<u64>().ok());
    Duration::from_secs(wait.unwrap_or(0).min(WAIT_MAX))
}

/// The part of the list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobPage {
    /// The largest number of jobs, up to 1000; 50 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the list before.
    cursor: Option<String>,
}

/// List one's jobs, newest first; in outline everybody's for an auditor, those about their data for a steward
#[utoipa::path(
    get,
    path = "/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(JobPage),
    responses((status = 200, description = "The jobs", body = JobList), Problems)
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Parameters(page): Parameters<JobPage>,
) -> Result<Json<JobList>, Failure> {
    let (before, most) = asked_part((page.cursor, page.limit), JOBS_MAX)?;
    let page = list_jobs(&service.installation, &known.caller, before, most).await?;
    let next = page.next.map(|id| id.to_string());
    let jobs = page.jobs.iter().map(JobView::of).map(|view| JobView { verdict: None, ..view }).collect();
    Ok(Json(JobList { jobs, next }))
}

/// The time that a look at a job waits for its end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds, up to 60.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<u64>,
}

/// Look at a job, and wait for its end if you like
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    operation_id = "show_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job"), Wait),
    responses((status = 200, description = "The job", body = JobView), (status = 304, description = "As you know it"), Problems)
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    Parameters(Wait { wait }): Parameters<Wait>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mut row = own(&service, &known, &id).await?;
    if let Some(wait) = wait {
        // The owner of the job was settled first: how long an answer takes must not tell that a job exists.
        self::wait(&service, &known, row.id, Duration::from_secs(wait.min(WAIT_MAX))).await?;
        row = own(&service, &known, &id).await?;
    }
    let etag = format!("\"{}-{}\"", row.id, row.state.name());
    let mut response = if knows(&headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(view(&service, &known, &row).await?).into_response()
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// Stop a job before anything leaves
///
/// Asked again, the answer is the same.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The cancelled job", body = JobView), Problems)
)]
pub(super) async fn cancel(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<JobView>, Failure> {
    let row = own(&service, &known, &id).await?;
    let is_own = known.caller.asked_as(&row.person);
    if !is_own {
        return Err(no_job().into());
    }
    if row.state == JobState::PendingApproval {
        if cancel_pending(&service.installation, &known.caller, row.id).await? {
            service.events.publish(&row.person, row.id, JobState::Cancelled);
        }
    } else if !row.state.is_final() && row.state != JobState::InReview {
        service.queue.cancel(row.id);
        wait(&service, &known, row.id, Duration::from_secs(WAIT_MAX)).await?;
    }
    // Also where its result was sealed already, and waits since.
    if cancel_in_review(&service.installation, &known.caller, row.id).await? {
        service.pending.reviewed(&row.person, row.id, JobState::Cancelled).await;
    }
    let row = own(&service, &known, &id).await?;
    if row.state == JobState::Cancelled {
        return Ok(Json(JobView::of(&row)));
    }
    let error = PublicError::new(
        Class::Conflict,
        "job-over",
        "the job cannot be cancelled any more",
        "该任务已无法取消",
    );
    Err(Problem::of(error).with("state", json!(row.state.name())).into())
}

/// Fetch a result
///
/// An immutable release: its SHA-256 as an Arrow stream is the ETag of every form. Fetching again costs nothing; one person
/// fetches four at a time.
#[utoipa::path(
    get,
    path = "/jobs/{id}/result",
    operation_id = "fetch_result",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The table", content(
            (Vec<Row> = "application/json"),
            (String = "text/csv"),
            (Binary = "application/vnd.apache.arrow.stream"),
            (Binary = "application/vnd.apache.parquet")
        )),
        (status = 304, description = "As you have it"),
        (status = 406, description = "There is no such form", body = crate::http::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "It is no longer kept", body = crate::http::problem::ProblemDocument, content_type = "application/problem+json"),
        Problems
    )
)]
pub(super) async fn result(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = job_id(&id)?;
    let format = negotiate(&headers).ok_or_else(no_such_form)?;
    let name = known.caller.person().name.as_str();
    let permit = service.results.acquire(name).ok_or_else(too_many_downloads)?;
    let released = fetch_result(&service.installation, &known.caller, id).await?;
    let etag = format!("\"{}\"", released.sha256);
    Ok(hand_out(&service.installation, &headers, &etag, format, permit, async { Ok(released.table) }).await?)
}

/// Fetch the signed release record
#[utoipa::path(
    get,
    path = "/jobs/{id}/release",
    operation_id = "fetch_release_record",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "A signed note", body = String), Problems)
)]
pub(super) async fn release(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<String, Failure> {
    let row = own(&service, &known, &id).await?;
    match (row.state, row.release) {
        (JobState::Released | JobState::Expired, Some(record)) => Ok(record),
        _ => Err(no_job().into()),
    }
}

/// The question, every rule that decided on it, and its plan before and after the guard
///
/// For the person who asked, for auditors, and for stewards when all datasets of the question are of their departments.
#[utoipa::path(
    get,
    path = "/jobs/{id}/explain",
    operation_id = "explain_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "Question, verdict and plan", body = Explanation), Problems)
)]
pub(super) async fn explain(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<Explanation>, Failure> {
    let id = job_id(&id)?;
    let explained = explain_job(&service.installation, &known.caller, id).await?;
    Ok(Json(Explanation::of(explained)))
}

/// One file to be filed: question, verdict, release record, and proofs that anybody can verify
///
/// `obscura release evidence FILE --key releases.pub --audit-key audit.pub` verifies it without a server.
#[utoipa::path(
    get,
    path = "/jobs/{id}/evidence",
    operation_id = "fetch_evidence",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The evidence", body = Evidence), Problems)
)]
pub(super) async fn filed(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<Evidence>, Failure> {
    let id = job_id(&id)?;
    Ok(Json(evidence(&service.installation, &known.caller, id).await?))
}

/// A job that the caller may see; a name of another form is no job either.
pub(super) async fn own(service: &Service, known: &Authenticated, id: &str) -> Result<JobRow, Failure> {
    let id = job_id(id)?;
    Ok(show_job(&service.installation, &known.caller, id).await?)
}

fn job_id(id: &str) -> Result<JobId, AppError> {
    id.parse().map_err(|_| no_job())
}
