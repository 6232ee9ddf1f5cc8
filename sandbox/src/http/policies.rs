//! Policies over HTTP: propose, list, compare, activate by a second person.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use serde::Deserialize;
use similar::TextDiff;
use utoipa::IntoParams;

use crate::api::policies::DocumentFileView;
use crate::api::policies::DocumentFiles;
use crate::api::policies::DocumentList;
use crate::api::policies::DocumentTextView;
use crate::api::policies::DocumentView;
use crate::api::policies::PolicyVersion;
use crate::api::policies::PolicyVersions;
use crate::api::policies::VersionWish;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::activate_policy;
use crate::app::documents::publish_documents::check_documents;
use crate::app::documents::publish_documents::list_documents;
use crate::app::documents::publish_documents::list_proposals;
use crate::app::documents::publish_documents::publish_documents;
use crate::app::documents::publish_documents::withdraw_policy;
use crate::app::documents::show_document::policy_versions;
use crate::app::documents::show_document::show_document;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::failure::Failure;
use crate::http::media::is_json;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;
use crate::http::refusals::DocumentsProblem;

/// List the documents in force, and the policies that wait for a second person
#[utoipa::path(get, path = "/policies", operation_id = "list_policies", tag = "policies", responses((status = 200, description = "The documents", body = DocumentList), Problems))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    known: Authenticated,
) -> Result<Json<DocumentList>, Failure> {
    let listed = list_documents(&service.installation, &known.caller).await?;
    let mut documents: Vec<DocumentView> = listed.into_iter().map(DocumentView::of).collect();
    let proposed = list_proposals(&service.installation, &known.caller).await?;
    documents.extend(proposed.into_iter().map(DocumentView::waiting));
    Ok(Json(DocumentList { documents }))
}

/// Reads documents: JSON with files in it, or the YAML itself.
pub(super) fn read_files(headers: &HeaderMap, body: &Body) -> Result<Vec<DocumentFile>, Problem> {
    if !is_json(headers) {
        return Ok(vec![DocumentFile { name: "body".to_owned(), text: body.text()? }]);
    }
    let DocumentFiles { files } = body.json(r#"{"files": [{"name": "visits.yaml", "text": "..."}]}"#)?;
    Ok(files.into_iter().map(|DocumentFileView { name, text }| DocumentFile { name, text }).collect())
}

/// Put documents in force, and policies before a second person
#[utoipa::path(
    post,
    path = "/policies",
    operation_id = "propose_policies",
    tag = "policies",
    request_body(description = "Documents", content((String = "application/yaml"), (DocumentFiles = "application/json"))),
    responses((status = 201, description = "What came of each", body = DocumentList), Problems, (status = 400, description = "The documents are not in order, or the request does not have its form", body = DocumentsProblem, content_type = "application/problem+json"))
)]
pub(super) async fn propose(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<DocumentList>), Failure> {
    let files = read_files(&headers, &body)?;
    let published = publish_documents(&service.installation, &known.caller, &files).await?;
    let documents = published.into_iter().map(DocumentView::of).collect();
    Ok((StatusCode::CREATED, Json(DocumentList { documents })))
}

/// Look whether documents would be accepted; nothing is put in force
#[utoipa::path(
    post,
    path = "/policies/check",
    operation_id = "check_policies",
    tag = "policies",
    request_body(description = "Documents", content((String = "application/yaml"), (DocumentFiles = "application/json"))),
    responses((status = 200, description = "They would", body = DocumentList), Problems, (status = 400, description = "The documents are not in order, or the request does not have its form", body = DocumentsProblem, content_type = "application/problem+json"))
)]
pub(super) async fn check(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DocumentList>, Failure> {
    let files = read_files(&headers, &body)?;
    let checked = check_documents(&service.installation, &known.caller, &files).await?;
    Ok(Json(DocumentList { documents: checked.into_iter().map(DocumentView::of).collect() }))
}

/// The version of a document to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Shown {
    /// The version, in force or proposed; the newest in force when not given.
    version: Option<u32>,
}

/// Look at a policy, or another document, as it was written
#[utoipa::path(
    get,
    path = "/policies/{id}",
    operation_id = "show_policy",
    tag = "policies",
    params(("id" = String, Path, description = "The document"), Shown),
    responses((status = 200, description = "The document", body = DocumentTextView), Problems)
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    Parameters(Shown { version }): Parameters<Shown>,
) -> Result<Json<DocumentTextView>, Failure> {
    let shown = show_document(&service.installation, &known.caller, &id, version).await?;
    Ok(Json(DocumentTextView::of(shown)))
}

/// List the versions of a policy
#[utoipa::path(
    get,
    path = "/policies/{id}/versions",
    operation_id = "list_policy_versions",
    tag = "policies",
    params(("id" = String, Path, description = "The policy")),
    responses((status = 200, description = "The versions", body = PolicyVersions), Problems)
)]
pub(super) async fn versions(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
) -> Result<Json<PolicyVersions>, Failure> {
    let bodies = policy_versions(&service.installation, &known.caller, &id).await?;
    let view = |body: crate::catalog::body::DocumentBody| PolicyVersion {
        version: body.version,
        published_by: body.published_by,
        proposed_by: body.proposed_by,
        text: body.text,
    };
    Ok(Json(PolicyVersions { versions: bodies.into_iter().map(view).collect() }))
}

/// The versions to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Compared {
    /// The older version.
    from: u32,
    /// The newer version, in force or proposed.
    to: u32,
}

/// Show what changed from one version of a policy to another
#[utoipa::path(
    get,
    path = "/policies/{id}/diff",
    operation_id = "diff_policy",
    tag = "policies",
    params(("id" = String, Path, description = "The policy"), Compared),
    responses((status = 200, description = "A unified diff", body = String), Problems)
)]
pub(super) async fn diff(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    Parameters(Compared { from, to }): Parameters<Compared>,
) -> Result<String, Failure> {
    let caller = &known.caller;
    let bodies = policy_versions(&service.installation, caller, &id).await?;
    let proposals = list_proposals(&service.installation, caller).await?;
    let text = |version: u32| {
        let proposed = || proposals.iter().find(|open| open.policy == id && open.version == version);
        let published = bodies.iter().find(|body| body.version == version).map(|body| body.text.as_str());
        let found = published.or_else(|| proposed().map(|open| open.text.as_str()));
        found
            .ok_or_else(|| malformed(format!("there is no version {version}"), format!("没有版本 {version}")))
    };
    let (old, new) = (text(from)?, text(to)?);
    let diff = TextDiff::from_lines(old, new);
    Ok(diff.unified_diff().header(&format!("{id}@{from}"), &format!("{id}@{to}")).to_string())
}

/// Put a policy in force that somebody else has proposed
#[utoipa::path(
    post,
    path = "/policies/{id}/activate",
    operation_id = "activate_policy",
    tag = "policies",
    params(("id" = String, Path, description = "The policy")),
    request_body = VersionWish,
    responses((status = 200, description = "It is in force", body = DocumentView), Problems, (status = 400, description = "The documents are not in order, or the request does not have its form", body = DocumentsProblem, content_type = "application/problem+json"))
)]
pub(super) async fn activate(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    body: Body,
) -> Result<Json<DocumentView>, Failure> {
    let VersionWish { version } = body.json(r#"{"version": 2}"#)?;
    let activated = activate_policy(&service.installation, &known.caller, &id, version).await?;
    Ok(Json(DocumentView::of(activated)))
}

/// Take back a policy that waits
#[utoipa::path(
    post,
    path = "/policies/{id}/withdraw",
    operation_id = "withdraw_policy",
    tag = "policies",
    params(("id" = String, Path, description = "The policy")),
    request_body = VersionWish,
    responses((status = 204, description = "It is withdrawn"), Problems)
)]
pub(super) async fn withdraw(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    body: Body,
) -> Result<StatusCode, Failure> {
    let VersionWish { version } = body.json(r#"{"version": 2}"#)?;
    withdraw_policy(&service.installation, &known.caller, &id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
