//! Questions as they come over HTTP, and the check that runs nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use obscura_policies::vocabulary::Code;

use crate::api::questions::Question;
use crate::app::query::explain_query::explain_query;
use crate::app::query::question::OnRefusal;
use crate::app::query::question::SubmitQuery;
use crate::app::query::verdict::Verdict;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Request;
use crate::http::door::too_often;
use crate::http::failure::Failure;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// Most grants that a question names.
const GRANTS_MAX: usize = 32;

/// Reads a question.
pub(super) fn question(request: &Request, body: &Body) -> Result<SubmitQuery, Problem> {
    let Question { sql, purpose, grants } = body.json(r#"{"sql": "...", "purpose": "..."}"#)?;
    let named: Result<BTreeSet<Code>, _> = grants.iter().map(|grant| grant.parse()).collect();
    let named = named.ok().filter(|named| named.len() <= GRANTS_MAX).ok_or_else(|| {
        malformed(
            format!("`grants` holds at most {GRANTS_MAX} identifiers of grants"),
            format!("`grants` 最多包含 {GRANTS_MAX} 个授权标识"),
        )
    })?;
    let presence = request.presence.clone();
    Ok(SubmitQuery {
        on_refusal: OnRefusal::WaitForApproval,
        presence,
        grants: named,
        ..SubmitQuery::once(sql, purpose)
    })
}

/// Judge a question without running it
///
/// Reads no data, spends nothing, makes no job. The verdict is the answer, also when it is a refusal.
#[utoipa::path(
    post,
    path = "/queries/check",
    operation_id = "check_query",
    tag = "queries",
    request_body = Question,
    responses((status = 200, description = "The verdict", body = Verdict), Problems)
)]
pub(super) async fn check(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    body: Body,
) -> Result<Json<Verdict>, Failure> {
    let Authenticated { request, caller } = &known;
    let person = caller.person().name.as_str();
    service.checks.take(person, service.begun.elapsed()).map_err(too_often)?;
    let question = question(request, &body)?;
    Ok(Json(explain_query(&service.installation, caller, &question).await?))
}
