//! Requests for access and grants over HTTP: ask, decide, list, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use obscura_policies::document::GrantedDataset;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::grants::AccessRequestList;
use crate::api::grants::AccessRequestView;
use crate::api::grants::AccessWish;
use crate::api::grants::DecisionWish;
use crate::api::grants::GrantList;
use crate::api::grants::GrantView;
use crate::api::grants::GrantWish;
use crate::api::grants::GrantedDatasetView;
use crate::app::documents::access_requests::REQUESTS_MAX;
use crate::app::documents::access_requests::RequestAccess;
use crate::app::documents::access_requests::decide_access_request;
use crate::app::documents::access_requests::list_access_requests;
use crate::app::documents::access_requests::request_access;
use crate::app::documents::access_requests::show_access_request;
use crate::app::documents::access_requests::withdraw_access_request;
use crate::app::documents::grants::CreateGrant;
use crate::app::documents::grants::create_grant;
use crate::app::documents::grants::create_grants;
use crate::app::documents::grants::list_grants;
use crate::app::documents::grants::revoke_grant;
use crate::app::documents::publish_documents::DocumentFile;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::failure::Failure;
use crate::http::media::is_yaml;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::asked_part;
use crate::http::problem::malformed;
use crate::http::refusals::DocumentsProblem;

/// List one's grants; those of one's departments for a steward, all for an auditor
#[utoipa::path(get, path = "/grants", operation_id = "list_grants", tag = "grants", responses((status = 200, description = "The grants", body = GrantList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<GrantList>, Failure> {
    let grants = list_grants(&service.installation, &known.caller).await?;
    Ok(Json(GrantList { grants: grants.iter().map(GrantView::of).collect() }))
}

/// Give a grant, or those that a Grant document holds
#[utoipa::path(
    post,
    path = "/grants",
    operation_id = "give_grant",
    tag = "grants",
    request_body(description = "A grant, or Grant documents in YAML", content((GrantWish = "application/json"), (String = "application/yaml"))),
    responses((status = 201, description = "The grants, in force", body = GrantList), Problems, (status = 400, description = "The documents are not in order, or the request does not have its form", body = DocumentsProblem, content_type = "application/problem+json"))
)]
pub(super) async fn give(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<GrantList>), Failure> {
    let caller = &known.caller;
    let given = if is_yaml(&headers) {
        let file = DocumentFile { name: "body".to_owned(), text: body.text()? };
        create_grants(&service.installation, caller, &file).await?
    } else {
        let wish: GrantWish = body.json(
            r#"{"person": "...", "purpose": "...", "datasets": [{"dataset": "..."}], "until": "2027-12-31"}"#,
        )?;
        let wanted = CreateGrant {
            person: wish.person.parse().map_err(|_| wrong("person"))?,
            purpose: wish.purpose.parse().map_err(|_| wrong("purpose"))?,
            datasets: wish.datasets.into_iter().map(granted_dataset).collect::<Result<_, _>>()?,
            until: wish.until.parse().map_err(|_| wrong("until"))?,
        };
        vec![create_grant(&service.installation, caller, wanted).await?]
    };
    for summary in &given {
        service.pending.resume(Some(&summary.grant.person)).await;
    }
    Ok((StatusCode::CREATED, Json(GrantList { grants: given.iter().map(GrantView::of).collect() })))
}

/// Reads a dataset to be granted.
fn granted_dataset(view: GrantedDatasetView) -> Result<GrantedDataset, Problem> {
    let columns = view.columns.map(|columns| columns.iter().map(|name| name.parse()).collect());
    let uses = view.uses.map(|uses| uses.iter().map(|name| name.parse()).collect());
    Ok(GrantedDataset {
        dataset: view.dataset.parse().map_err(|_| wrong("dataset"))?,
        columns: columns.transpose().map_err(
            |_: <obscura_policies::vocabulary::ColumnName as std::str::FromStr>::Err| wrong("columns"),
        )?,
        uses: uses
            .transpose()
            .map_err(|_: <obscura_policies::vocabulary::Use as std::str::FromStr>::Err| wrong("uses"))?,
        row_filter: view.row_filter,
        jurisdiction: false,
    })
}

/// A part of a body that breaks its form.
fn wrong(what: &str) -> Problem {
    malformed(format!("`{what}` does not have its form"), format!("`{what}` 格式不正确"))
}

/// Revoke a grant: from then on nothing leaves under it, not even of jobs that run
#[utoipa::path(
    delete,
    path = "/grants/{id}",
    operation_id = "revoke_grant",
    tag = "grants",
    params(("id" = String, Path, description = "The grant")),
    responses((status = 204, description = "It is revoked"), Problems)
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<StatusCode, Failure> {
    revoke_grant(&service.installation, &known.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The part of the list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestPage {
    /// The largest number of requests, up to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the list before.
    cursor: Option<String>,
}

/// Ask for access
#[utoipa::path(
    post,
    path = "/requests",
    operation_id = "request_access",
    tag = "grants",
    request_body = AccessWish,
    responses((status = 201, description = "The request, open", body = AccessRequestView), Problems)
)]
pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    body: Body,
) -> Result<(StatusCode, Json<AccessRequestView>), Failure> {
    let wish: AccessWish = body.json(
        r#"{"purpose": "...", "datasets": [{"dataset": "..."}], "until": "2027-12-31", "reason": "..."}"#,
    )?;
    let asked = RequestAccess {
        purpose: wish.purpose.parse().map_err(|_| wrong("purpose"))?,
        datasets: wish.datasets.into_iter().map(granted_dataset).collect::<Result<_, _>>()?,
        until: wish.until.parse().map_err(|_| wrong("until"))?,
        reason: wish.reason,
    };
    let made = request_access(&service.installation, &known.caller, asked).await?;
    Ok((StatusCode::CREATED, Json(AccessRequestView::of(made))))
}

/// List one's requests, newest first; those that one decides on for a steward, all for an auditor
#[utoipa::path(
    get,
    path = "/requests",
    operation_id = "list_requests",
    tag = "grants",
    params(RequestPage),
    responses((status = 200, description = "The requests", body = AccessRequestList), Problems)
)]
pub(super) async fn list_requests(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Parameters(page): Parameters<RequestPage>,
) -> Result<Json<AccessRequestList>, Failure> {
    let (before, most) = asked_part((page.cursor, page.limit), REQUESTS_MAX)?;
    let page = list_access_requests(&service.installation, &known.caller, before, most).await?;
    let requests = page.requests.into_iter().map(AccessRequestView::of).collect();
    Ok(Json(AccessRequestList { requests, next: page.next.map(|id| id.to_string()) }))
}

/// Look at a request
#[utoipa::path(
    get,
    path = "/requests/{id}",
    operation_id = "show_request",
    tag = "grants",
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, description = "The request", body = AccessRequestView), Problems)
)]
pub(super) async fn show_request(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<AccessRequestView>, Failure> {
    let found = show_access_request(&service.installation, &known.caller, &id).await?;
    Ok(Json(AccessRequestView::of(found)))
}

/// Decide on a request: approved, it is a grant from then on
#[utoipa::path(
    post,
    path = "/requests/{id}/decision",
    operation_id = "decide_request",
    tag = "grants",
    params(("id" = String, Path, description = "The request")),
    request_body = DecisionWish,
    responses((status = 200, description = "The request, decided", body = AccessRequestView), Problems, (status = 400, description = "The documents are not in order, or the request does not have its form", body = DocumentsProblem, content_type = "application/problem+json"))
)]
pub(super) async fn decide(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    body: Body,
) -> Result<Json<AccessRequestView>, Failure> {
    let wish: DecisionWish = body.json(r#"{"decision": "approve", "reason": "..."}"#)?;
    let decision = wish.decision.into();
    let decided =
        decide_access_request(&service.installation, &known.caller, &id, decision, wish.reason).await?;
    service.pending.resume(Some(&decided.grant.person)).await;
    Ok(Json(AccessRequestView::of(decided)))
}

/// Take back a request of one's own
#[utoipa::path(
    delete,
    path = "/requests/{id}",
    operation_id = "withdraw_request",
    tag = "grants",
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, description = "The request, withdrawn", body = AccessRequestView), Problems)
)]
pub(super) async fn withdraw(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<AccessRequestView>, Failure> {
    let withdrawn = withdraw_access_request(&service.installation, &known.caller, &id).await?;
    service.pending.resume(Some(&withdrawn.grant.person)).await;
    Ok(Json(AccessRequestView::of(withdrawn)))
}
