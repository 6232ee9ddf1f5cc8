//! Policies over HTTP: propose, list, compare, activate by a second person.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use obscura_policies::document::Kind;
use obscura_policies::library::LoweredGrade;
use serde::Deserialize;
use serde::Serialize;
use similar::TextDiff;
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::app::closed_words::DocumentKindWord;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::DocumentSummary;
use crate::app::documents::publish_documents::DocumentWarning;
use crate::app::documents::publish_documents::Outcome;
use crate::app::documents::publish_documents::ProposalSummary;
use crate::app::documents::publish_documents::activate_policy;
use crate::app::documents::publish_documents::check_documents;
use crate::app::documents::publish_documents::list_documents;
use crate::app::documents::publish_documents::list_proposals;
use crate::app::documents::publish_documents::publish_documents;
use crate::app::documents::publish_documents::withdraw_policy;
use crate::app::documents::show_document::ShownDocument;
use crate::app::documents::show_document::policy_versions;
use crate::app::documents::show_document::show_document;
use crate::app::query::verdict::TextView;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::context::Request;
use crate::http::failure::Failure;
use crate::http::media::is_json;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;
use crate::http::refusals::DocumentsProblem;

/// A document and what came of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentView {
    /// Kind.
    #[schema(value_type = DocumentKindWord)]
    pub(crate) kind: String,
    /// Identifier.
    pub(crate) id: String,
    /// Version.
    pub(crate) version: u32,
    /// Where it stands.
    pub(crate) state: DocumentState,
    /// Who proposed it, where it waits for a second person.
    pub(crate) proposed_by: Option<String>,
    /// Grades that it lowers by a mask; who activates it answers for each.
    pub(crate) lowers: Vec<LoweredGradeView>,
    /// The values of it that do not count as they are written, when it was checked or published just now.
    #[serde(default)]
    pub(crate) warnings: Vec<WarningView>,
}

/// Something in a document that does not count as it is written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DocumentWarning)]
pub(crate) struct WarningView {
    /// Stable code.
    pub(crate) code: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// Line, from 1.
    pub(crate) line: Option<u32>,
    /// Column, from 1.
    pub(crate) column: Option<u32>,
    /// The field.
    pub(crate) field: String,
    /// The value that counts, and the text to write instead.
    pub(crate) text: TextView,
}

impl WarningView {
    fn of(warning: DocumentWarning) -> Self {
        let DocumentWarning { file, position, warning } = warning;
        Self {
            code: warning.code.to_owned(),
            file,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            field: warning.field,
            text: warning.text.into(),
        }
    }
}

/// A grade that a policy lowers by a mask.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LoweredGrade)]
pub(crate) struct LoweredGradeView {
    /// The dataset.
    pub(crate) dataset: String,
    /// Its column.
    pub(crate) column: String,
    /// Grade of the column.
    pub(crate) from: String,
    /// Grade that counts once the mask has been applied.
    pub(crate) to: String,
    /// The mask.
    pub(crate) mask: String,
    /// The same in one sentence.
    pub(crate) text: TextView,
}

impl LoweredGradeView {
    fn of(lowered: &LoweredGrade) -> Self {
        Self {
            dataset: lowered.dataset.to_string(),
            column: lowered.column.to_string(),
            from: lowered.from.to_string(),
            to: lowered.to.to_string(),
            mask: lowered.mask.to_owned(),
            text: lowered.text().into(),
        }
    }
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DocumentState {
    /// Without errors, and only looked at.
    Sound,
    /// In force, and not by this request.
    InForce,
    /// In force now.
    Published,
    /// It waits for a second person.
    Proposed,
}

impl DocumentView {
    pub(crate) fn of(summary: DocumentSummary) -> Self {
        let state = match summary.outcome {
            Outcome::Sound => DocumentState::Sound,
            Outcome::Unchanged => DocumentState::InForce,
            Outcome::Published => DocumentState::Published,
            Outcome::Proposed => DocumentState::Proposed,
        };
        let DocumentSummary { kind, id, version, lowers, warnings, .. } = summary;
        let lowers = lowers.iter().map(LoweredGradeView::of).collect();
        let warnings = warnings.into_iter().map(WarningView::of).collect();
        Self { kind: kind.as_str().to_owned(), id, version, state, proposed_by: None, lowers, warnings }
    }

    pub(crate) fn waiting(proposal: ProposalSummary) -> Self {
        Self {
            kind: Kind::Policy.as_str().to_owned(),
            id: proposal.policy,
            version: proposal.version,
            state: DocumentState::Proposed,
            proposed_by: Some(proposal.proposed_by),
            lowers: proposal.lowers.iter().map(LoweredGradeView::of).collect(),
            warnings: Vec::new(),
        }
    }
}

/// Documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DocumentList {
    /// The documents.
    pub(crate) documents: Vec<DocumentView>,
}

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

/// Documents in files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentFiles {
    /// The files.
    pub(crate) files: Vec<DocumentFileView>,
}

/// A file of documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DocumentFile)]
pub(crate) struct DocumentFileView {
    /// What errors call it.
    pub(crate) name: String,
    /// The documents, in YAML.
    pub(crate) text: String,
}

/// Reads documents: JSON with files in it, or the YAML itself.
pub(super) fn read_files(
    request: &Request,
    headers: &HeaderMap,
    body: &Body,
) -> Result<Vec<DocumentFile>, Problem> {
    if !is_json(headers) {
        return Ok(vec![DocumentFile { name: "body".to_owned(), text: body.text(request)? }]);
    }
    let DocumentFiles { files } =
        body.json(request, r#"{"files": [{"name": "visits.yaml", "text": "..."}]}"#)?;
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
    let Authenticated { request, caller } = &known;
    let files = read_files(request, &headers, &body)?;
    let published = publish_documents(&service.installation, caller, &files).await?;
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
    let Authenticated { request, caller } = &known;
    let files = read_files(request, &headers, &body)?;
    let checked = check_documents(&service.installation, caller, &files).await?;
    Ok(Json(DocumentList { documents: checked.into_iter().map(DocumentView::of).collect() }))
}

/// A document as it was written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DocumentText)]
pub(crate) struct DocumentTextView {
    /// Kind.
    #[schema(value_type = DocumentKindWord)]
    pub(crate) kind: String,
    /// Identifier.
    pub(crate) id: String,
    /// Version.
    pub(crate) version: u32,
    /// Where it stands: `in_force` or `proposed`.
    pub(crate) state: DocumentState,
    /// Its author, where that is known.
    pub(crate) proposed_by: Option<String>,
    /// The person who put it in force.
    pub(crate) published_by: Option<String>,
    /// The document, in YAML.
    pub(crate) text: String,
}

impl DocumentTextView {
    pub(crate) fn of(shown: ShownDocument) -> Self {
        let state = if shown.is_proposed { DocumentState::Proposed } else { DocumentState::InForce };
        let ShownDocument { kind, id, version, proposed_by, published_by, text, .. } = shown;
        Self { kind, id, version, state, proposed_by, published_by, text }
    }
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

/// One version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersion {
    /// Version.
    version: u32,
    /// Who put it in force.
    published_by: Option<String>,
    /// Who wrote it.
    proposed_by: Option<String>,
    /// The policy, in YAML.
    text: String,
}

/// The versions of a policy, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersions {
    /// The versions.
    versions: Vec<PolicyVersion>,
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

/// Which versions to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Compared {
    /// The older version.
    from: u32,
    /// The newer version, in force or proposed.
    to: u32,
}

/// What changed from one version of a policy to another
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
    let Authenticated { request, caller } = &known;
    let bodies = policy_versions(&service.installation, caller, &id).await?;
    let proposals = list_proposals(&service.installation, caller).await?;
    let text = |version: u32| {
        let proposed = || proposals.iter().find(|open| open.policy == id && open.version == version);
        let published = bodies.iter().find(|body| body.version == version).map(|body| body.text.as_str());
        let found = published.or_else(|| proposed().map(|open| open.text.as_str()));
        found.ok_or_else(|| {
            malformed(request, format!("there is no version {version}"), format!("没有版本 {version}"))
        })
    };
    let (old, new) = (text(from)?, text(to)?);
    let diff = TextDiff::from_lines(old, new);
    Ok(diff.unified_diff().header(&format!("{id}@{from}"), &format!("{id}@{to}")).to_string())
}

/// Which version.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionWish {
    /// The version that waits.
    pub(crate) version: u32,
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
    let Authenticated { request, caller } = &known;
    let VersionWish { version } = body.json(request, r#"{"version": 2}"#)?;
    let activated = activate_policy(&service.installation, caller, &id, version).await?;
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
    let Authenticated { request, caller } = &known;
    let VersionWish { version } = body.json(request, r#"{"version": 2}"#)?;
    withdraw_policy(&service.installation, caller, &id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
