//! The audit log over HTTP: events, proofs that need no trust in us, and the log as a SIEM reads it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use obscura_crypto::Hash;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::audit::ConsistencyProof;
use crate::api::audit::CosignedCheckpoint;
use crate::api::audit::EVENTS_MAX;
use crate::api::audit::EventList;
use crate::api::audit::WitnessView;
use crate::app::log::cosign::cosigned_checkpoint;
use crate::app::log::cosign::keep_cosigned;
use crate::app::log::search_log::Decision;
use crate::app::log::search_log::LogFilter;
use crate::app::log::search_log::LogPart;
use crate::app::log::search_log::read_since;
use crate::app::log::search_log::search_log;
use crate::app::log::verify_audit::LogRange;
use crate::app::log::verify_audit::checkpoint;
use crate::app::log::verify_audit::consistency;
use crate::app::log::verify_audit::export_log;
use crate::app::log::verify_audit::prove_own_entry;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Body;
use crate::http::context::Name;
use crate::http::context::Parameters;
use crate::http::failure::Failure;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::http::problem::malformed;

/// The entries that are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportPage {
    /// The first; the newest ones when not given.
    from: Option<u64>,
    /// The largest number of entries, up to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// The events that are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventPage {
    /// The first to look at; the newest ones when not given.
    from: Option<u64>,
    /// Look at the newest before this one; not together with `from`.
    before: Option<u64>,
    /// The largest number of events, up to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// About this dataset.
    dataset: Option<String>,
    /// Done by this person, or about them.
    person: Option<String>,
    /// For this purpose.
    purpose: Option<String>,
    /// With this decision: `admitted`, `refused`, `approved`, `declined`, `withdrawn` or `activated`.
    decision: Option<String>,
    /// Not older than this: `2026-12-31`, in the time zone of the installation, or `2026-12-31T08:00:00Z`.
    since: Option<String>,
}

/// The number of entries that is asked for, if an answer may have as many.
fn limit(limit: Option<u64>) -> Result<u64, Problem> {
    let most = limit.unwrap_or(100);
    if (1..=EVENTS_MAX).contains(&most) {
        return Ok(most);
    }
    let (en, zh) = (format!("`limit` is 1 to {EVENTS_MAX}"), format!("`limit` 须为 1 至 {EVENTS_MAX}"));
    Err(malformed(en, zh))
}

impl EventPage {
    fn part(&self) -> Result<LogPart, Problem> {
        match (self.from, self.before) {
            (Some(_), Some(_)) => Err(malformed(
                "`from` and `before` are not given together",
                "`from` 与 `before` 不能同时使用",
            )),
            (Some(from), None) => Ok(LogPart::From(from)),
            (None, before) => Ok(LogPart::NewestBefore(before)),
        }
    }

    fn filter(&self, service: &Service) -> Result<LogFilter, Problem> {
        let zone = &service.installation.settings().time_zone;
        Ok(LogFilter {
            dataset: read("dataset", self.dataset.as_deref(), |text| text.parse().ok())?,
            person: read("person", self.person.as_deref(), |text| text.parse().ok())?,
            purpose: read("purpose", self.purpose.as_deref(), |text| text.parse().ok())?,
            decision: read("decision", self.decision.as_deref(), Decision::from_name)?,
            since: read("since", self.since.as_deref(), |text| read_since(text, zone))?,
        })
    }
}

/// Reads a parameter, where it is given.
fn read<T>(name: &str, given: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    let wrong = || malformed(format!("`{name}` does not have its form"), format!("`{name}` 格式不正确"));
    given.map(|text| read(text).ok_or_else(wrong)).transpose()
}

/// Search the log: events, each led back to the signed checkpoint
///
/// One answer looks at 20,000 entries at the most; `looked_from` and `looked_to` say where to go on.
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
    known: Authenticated,
    Parameters(page): Parameters<EventPage>,
) -> Result<Json<EventList>, Failure> {
    let (part, most) = (page.part()?, limit(page.limit)?);
    let filter = page.filter(&service)?;
    let found = search_log(&service.installation, &known.caller, part, most, &filter)?;
    Ok(Json(EventList::of(found)))
}

/// The log as a SIEM reads it: OCSF events, one a line
#[utoipa::path(
    get,
    path = "/audit/export",
    operation_id = "export_events",
    tag = "audit",
    params(ExportPage),
    responses((status = 200, description = "OCSF events as NDJSON", body = String, content_type = "application/x-ndjson"), Problems)
)]
pub(super) async fn export(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Parameters(page): Parameters<ExportPage>,
) -> Result<impl IntoResponse, Failure> {
    let range = LogRange { from: page.from, most: limit(page.limit)? };
    let lines = export_log(&service.installation, &known.caller, range)?;
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
    known: Authenticated,
    Name(index): Name,
) -> Result<String, Failure> {
    let index = index
        .parse()
        .map_err(|_| malformed("the number of an entry is a whole number", "条目序号须为整数"))?;
    Ok(prove_own_entry(&service.installation, &known.caller, index).await?)
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
    _known: Authenticated,
) -> Result<String, Failure> {
    let (_, note) = checkpoint(&service.installation)?;
    Ok(note)
}

/// The newest checkpoint that witnesses cosigned
#[utoipa::path(
    get,
    path = "/audit/checkpoint/cosignatures",
    operation_id = "show_cosigned_checkpoint",
    tag = "audit",
    responses((status = 200, description = "A C2SP checkpoint with cosignatures", body = String), Problems)
)]
pub(super) async fn cosigned(
    State(service): State<Arc<Service>>,
    _known: Authenticated,
) -> Result<String, Failure> {
    Ok(cosigned_checkpoint(&service.installation)?)
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
    known: Authenticated,
    body: Body,
) -> Result<Json<CosignedCheckpoint>, Failure> {
    let text = String::from_utf8_lossy(&body.0);
    let kept = keep_cosigned(&service.installation, &known.caller, &text).await?;
    let witnesses = kept.cosignatures.into_iter().map(|it| WitnessView { name: it.witness, time: it.time });
    Ok(Json(CosignedCheckpoint { size: kept.size, witnesses: witnesses.collect() }))
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
    _known: Authenticated,
    Parameters(Since { from }): Parameters<Since>,
) -> Result<Json<ConsistencyProof>, Failure> {
    let (hashes, checkpoint) = consistency(&service.installation, from)?;
    let hashes = hashes.into_iter().map(Hash::to_base64).collect();
    Ok(Json(ConsistencyProof { from, hashes, checkpoint }))
}
