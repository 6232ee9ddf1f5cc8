//! Reviews of results over HTTP: what waits, what a reviewer sees, what they say.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::reviews::ReviewDecided;
use crate::api::reviews::ReviewList;
use crate::api::reviews::ReviewSummaryView;
use crate::api::reviews::ReviewView;
use crate::api::reviews::ReviewWish;
use crate::app::query::show_job::no_job;
use crate::app::reviews::decide::DecideReview;
use crate::app::reviews::decide::decide_review;
use crate::app::reviews::list_reviews::REVIEWS_MAX;
use crate::app::reviews::list_reviews::list_reviews;
use crate::app::reviews::show_review::show_review;
use crate::error::AppError;
use crate::error::During as _;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::download::too_many_downloads;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::problem::asked_part;
use crate::ids::JobId;

/// The part of the list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReviewPart {
    /// The largest number of results, up to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the list before.
    cursor: Option<String>,
}

/// List the results that wait for you as a reviewer, the oldest first
#[utoipa::path(
    get,
    path = "/reviews",
    operation_id = "list_reviews",
    tag = "reviews",
    params(ReviewPart),
    responses((status = 200, description = "The results", body = ReviewList), Problems)
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Parameters(part): Parameters<ReviewPart>,
) -> Result<Json<ReviewList>, Failure> {
    let (after, most) = asked_part((part.cursor, part.limit), REVIEWS_MAX)?;
    let page = list_reviews(&service.installation, &known.caller, after, most).await?;
    let reviews = page.reviews.into_iter().map(ReviewSummaryView::of).collect();
    Ok(Json(ReviewList { reviews, next: page.next.map(|id| id.to_string()) }))
}

/// Look at a result that waits: question, purpose, the protected result, the controls that it passed, and a checklist
///
/// That you looked is in the audit log before you have it. What other reviewers say is shown when all have decided.
#[utoipa::path(
    get,
    path = "/reviews/{id}",
    operation_id = "show_review",
    tag = "reviews",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The result as you may see it", body = ReviewView), Problems)
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<ReviewView>, Failure> {
    let id = job_id(&id)?;
    let name = known.caller.person().name.as_str();
    let _permit = service.results.acquire(name).ok_or_else(too_many_downloads)?;
    Ok(Json(ReviewView::of(show_review(&service.installation, &known.caller, id).await?)))
}

/// Decide on a result: it leaves when all of its reviewers approve
#[utoipa::path(
    post,
    path = "/reviews/{id}/decision",
    operation_id = "decide_review",
    tag = "reviews",
    params(("id" = String, Path, description = "The job")),
    request_body = ReviewWish,
    responses((status = 200, description = "The job after your decision", body = ReviewDecided), Problems)
)]
pub(super) async fn decide(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    body: Body,
) -> Result<Json<ReviewDecided>, Failure> {
    let ReviewWish { decision, comment } = body.json(r#"{"decision": "approve", "comment": "..."}"#)?;
    let id = job_id(&id)?;
    let wish = DecideReview { outcome: decision.into(), comment };
    let installation = &service.installation;
    let state = decide_review(installation, &known.caller, id, wish).await?;
    if let Some(row) = installation.jobs.job(id).await.during("find a job")? {
        service.pending.reviewed(&row.person, id, state).await;
    }
    Ok(Json(ReviewDecided::of(id, state)))
}

fn job_id(id: &str) -> Result<JobId, AppError> {
    id.parse().map_err(|_| no_job())
}
