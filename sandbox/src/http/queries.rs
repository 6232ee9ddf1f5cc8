//! Questions as they come over HTTP, and the check that runs nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;

use crate::app::explain_query::explain_query;
use crate::app::submit_query::SubmitQuery;
use crate::app::verdict::Verdict;
use crate::http::Service;
use crate::http::context::Known;
use crate::http::context::Request;
use crate::http::problem::Problem;
use crate::http::problem::malformed;

/// A question in a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    purpose: String,
}

/// Reads a question; what is wrong with a body is said by place, never by content.
pub(super) fn question(request: &Request, body: &[u8]) -> Result<SubmitQuery, Problem> {
    match serde_json::from_slice::<Question>(body) {
        Ok(Question { sql, purpose }) => Ok(SubmitQuery { sql, purpose }),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(malformed(
                request,
                format!(
                    "the body is not {{\"sql\": \"...\", \"purpose\": \"...\"}} (line {line}, column {column})"
                ),
                format!("请求体应为 {{\"sql\": \"...\", \"purpose\": \"...\"}}（第 {line} 行第 {column} 列）"),
            ))
        }
    }
}

/// Judges a question without running it.
pub(super) async fn check(
    State(service): State<Arc<Service>>,
    known: Known,
    body: Bytes,
) -> Result<Json<Verdict>, Problem> {
    let question = question(&known.request, &body)?;
    let verdict = explain_query(&service.installation, &known.caller, &question).await;
    verdict.map(Json).map_err(|error| known.request.problem(&service, &error))
}
