//! The audit log over HTTP: events, proofs that need no trust in us, and the log as a SIEM reads it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use obscura_crypto::Hash;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::app::cosign::cosigned_checkpoint;
use crate::app::cosign::keep_cosigned;
use crate::app::verify_audit::LogRange;
use crate::app::verify_audit::checkpoint;
use crate::app::verify_audit::consistency;
use crate::app::verify_audit::export_log;
use crate::app::verify_audit::prove_own_entry;
use crate::app::verify_audit::read_log;
use crate::audit::event::LoggedEvent;
use crate::error::AppError;
use crate::http::Service;
use crate::http::context::Body;
use crate::http::context::Known;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// Most events in one answer.
const EVENTS_MAX: u64 = 1000;

/// An event of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// Its place in the log, from 0.
    index: u64,
    /// Identifier.
    id: String,
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// What happened.
    action: String,
    /// Who did it.
    actor: String,
    /// The way they came in.
    door: String,
    /// The job that it belongs to.
    correlation: Option<String>,
    /// The record that it begins or ends.
    record: Option<String>,
    /// Further facts.
    #[schema(value_type = Object)]
    detail: Value,
}

impl EventView {
    fn of(event: LoggedEvent) -> Self {
        Self {
            index: event.index,
            id: event.id,
            time: event.time.to_string(),
            action: event.action,
            actor: event.actor.name,
            door: event.actor.door,
            correlation: event.correlation,
            record: event.record.map(|record| format!("{}/{}", record.kind, record.key)),
            detail: Value::Object(event.detail.into_iter().collect()),
        }
    }
}

/// Events, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events.
    events: Vec<EventView>,
    /// How many entries the log has.
    size: u64,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventPage {
    /// The first; the newest ones when not given.
    from: Option<u64>,
    /// How many, up to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

impl EventPage {
    fn range(&self, known: &Known) -> Result<LogRange, Problem> {
        let most = self.limit.unwrap_or(100);
        if (1..=EVENTS_MAX).contains(&most) {
            return Ok(LogRange { from: self.from, most });
        }
        let (en, zh) = (format!("`limit` is 1 to {EVENTS_MAX}"), format!("`limit` 须为 1 至 {EVENTS_MAX}"));
        Err(malformed(&known.request, en, zh))
    }
}

/// Read events, each led back to the signed checkpoint
#[utoipa::path(
    get,
    path = "/audit/events",
    operation_id = "list_events",
    tag = "audit",
    params(EventPage),
    responses((status = 200, description = "The events", body = EventList), Problems)
)]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    known: Known,
    Parameters(page): Parameters<EventPage>,
) -> Result<Json<EventList>, Problem> {
    let range = page.range(&known)?;
    let failed = |error: AppError| known.request.problem(&service, &error);
    let events = read_log(&service.installation, &known.caller, range).map_err(failed)?;
    let (size, _) = checkpoint(&service.installation).map_err(failed)?;
    Ok(Json(EventList { events: events.into_iter().map(EventView::of).collect(), size }))
}

/// The log as a SIEM reads it: OCSF events, one a line
#[utoipa::path(
    get,
    path = "/audit/export",
    operation_id = "export_events",
    tag = "audit",
    params(EventPage),
    responses((status = 200, description = "OCSF events as NDJSON", body = String, content_type = "application/x-ndjson"), Problems)
)]
pub(super) async fn export(
    State(service): State<Arc<Service>>,
    known: Known,
    Parameters(page): Parameters<EventPage>,
) -> Result<impl IntoResponse, Problem> {
    let range = page.range(&known)?;
    let lines = export_log(&service.installation, &known.caller, range);
    let lines = lines.map_err(|error| known.request.problem(&service, &error))?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines))
}

/// Prove that an entry is in the log
///
/// Auditors prove any entry, others those of their own jobs. The proof carries the entry and a signed checkpoint:
/// `obscura audit verify --proof FILE --key audit.pub` needs nothing else.
#[utoipa::path(
    get,
    path = "/audit/events/{index}/proof",
    operation_id = "prove_event",
    tag = "audit",
    params(("index" = u64, Path, description = "The entry")),
    responses((status = 200, description = "A C2SP tlog-proof", body = String), Problems)
)]
pub(super) async fn proof(
    State(service): State<Arc<Service>>,
    known: Known,
    Name(index): Name,
) -> Result<String, Problem> {
    let index = index.parse().map_err(|_| {
        malformed(&known.request, "the number of an entry is a whole number", "条目序号须为整数")
    })?;
    let proof = prove_own_entry(&service.installation, &known.caller, index).await;
    proof.map_err(|error| known.request.problem(&service, &error))
}

/// The newest signed checkpoint: keep it, and no later log can hide what was in this one
#[utoipa::path(
    get,
    path = "/audit/checkpoint",
    operation_id = "show_checkpoint",
    tag = "audit",
    responses((status = 200, description = "A C2SP checkpoint", body = String), Problems)
)]
pub(super) async fn newest_checkpoint(
    State(service): State<Arc<Service>>,
    known: Known,
) -> Result<String, Problem> {
    let newest = checkpoint(&service.installation);
    newest.map(|(_, note)| note).map_err(|error| known.request.problem(&service, &error))
}

/// The newest checkpoint that witnesses cosigned
#[utoipa::path(
    get,
    path = "/audit/checkpoint/cosignatures",
    operation_id = "show_cosigned_checkpoint",
    tag = "audit",
    responses((status = 200, description = "A C2SP checkpoint with cosignatures", body = String), Problems)
)]
pub(super) async fn cosigned(State(service): State<Arc<Service>>, known: Known) -> Result<String, Problem> {
    cosigned_checkpoint(&service.installation).map_err(|error| known.request.problem(&service, &error))
}

/// A cosigned checkpoint that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CosignedCheckpoint {
    /// How many entries it covers.
    size: u64,
    /// Who cosigned it.
    witnesses: Vec<WitnessView>,
}

/// A cosignature.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cosignature)]
pub(crate) struct WitnessView {
    /// Name of the witness.
    name: String,
    /// When, in seconds since 1970.
    time: u64,
}

/// Bring a checkpoint that witnesses have cosigned
///
/// It is kept when it is ours, of the log as it is, newer than the one before, and cosigned by a witness that the
/// settings name.
#[utoipa::path(
    post,
    path = "/audit/checkpoint/cosignatures",
    operation_id = "keep_cosignatures",
    tag = "audit",
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "What is kept now", body = CosignedCheckpoint), Problems)
)]
pub(super) async fn keep_cosignatures(
    State(service): State<Arc<Service>>,
    known: Known,
    body: Body,
) -> Result<Json<CosignedCheckpoint>, Problem> {
    let text = String::from_utf8_lossy(&body.0);
    let kept = keep_cosigned(&service.installation, &known.caller, &text).await;
    let kept = kept.map_err(|error| known.request.problem(&service, &error))?;
    let witnesses = kept.cosignatures.into_iter().map(|it| WitnessView { name: it.witness, time: it.time });
    Ok(Json(CosignedCheckpoint { size: kept.size, witnesses: witnesses.collect() }))
}

/// That the log of a size is the beginning of the newest one (RFC 9162, section 2.1.4).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsistencyProof {
    /// The size of the older log.
    from: u64,
    /// The hashes, in base64.
    hashes: Vec<String>,
    /// The newest signed checkpoint.
    checkpoint: String,
}

/// From which size.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// The size of a log that you know.
    #[param(minimum = 1)]
    from: u64,
}

/// Prove that the log has only grown since a checkpoint that you kept
#[utoipa::path(
    get,
    path = "/audit/consistency",
    operation_id = "prove_consistency",
    tag = "audit",
    params(Since),
    responses((status = 200, description = "The proof", body = ConsistencyProof), Problems)
)]
pub(super) async fn consistent(
    State(service): State<Arc<Service>>,
    known: Known,
    Parameters(Since { from }): Parameters<Since>,
) -> Result<Json<ConsistencyProof>, Problem> {
    let proof = consistency(&service.installation, from);
    let (hashes, checkpoint) = proof.map_err(|error| known.request.problem(&service, &error))?;
    let hashes = hashes.into_iter().map(Hash::to_base64).collect();
    Ok(Json(ConsistencyProof { from, hashes, checkpoint }))
}
