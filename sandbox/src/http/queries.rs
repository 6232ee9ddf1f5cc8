//! Questions as they come over HTTP, and the check that runs nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::explain_query::explain_query;
use crate::app::submit_query::Patience;
use crate::app::submit_query::SubmitQuery;
use crate::app::verdict::Verdict;
use crate::http::Service;
use crate::http::context::Body;
use crate::http::context::Known;
use crate::http::context::Request;
use crate::http::door::too_often;
use crate::http::problem::Problem;
use crate::http::problem::Problems;

/// A question.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// One SELECT statement, or EXPLAIN and one.
    #[schema(example = "SELECT COUNT(*) FROM hz_health.visits")]
    pub(crate) sql: String,
    /// Code of the purpose it serves, as a grant names it.
    #[schema(example = "official-statistics")]
    pub(crate) purpose: String,
}

/// Reads a question.
pub(super) fn question(request: &Request, body: &Body) -> Result<SubmitQuery, Problem> {
    let Question { sql, purpose } = body.json(request, r#"{"sql": "...", "purpose": "..."}"#)?;
    let presence = request.presence.clone();
    Ok(SubmitQuery { patience: Patience::ForApproval, presence, ..SubmitQuery::once(sql, purpose) })
}

/// Judge a question without running it
///
/// Reads no data, spends nothing, makes no job. The verdict is the answer, also when it is a refusal.
#[utoipa::path(
    post,
    path = "/queries/check",
    tag = "queries",
    request_body = Question,
    responses((status = 200, description = "The verdict", body = Verdict), Problems)
)]
pub(super) async fn check(
    State(service): State<Arc<Service>>,
    known: Known,
    body: Body,
) -> Result<Json<Verdict>, Problem> {
    let Known { request, caller } = &known;
    let person = caller.person().name.as_str();
    service.checks.take(person, service.begun.elapsed()).map_err(|wait| too_often(request, wait))?;
    let question = question(request, &body)?;
    let verdict = explain_query(&service.installation, caller, &question).await;
    verdict.map(Json).map_err(|error| request.problem(&service, &error))
}
