//! Metrics for an operator's monitoring (Prometheus text format 0.0.4), on a listener of its own: counts of requests and
//! jobs, and never a question, a person or an answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::app::log::verify_audit::checkpoint;
use crate::http::Service;
use crate::http::health;
use crate::service::queue::Load;

/// Answers counted by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct Answered([AtomicU64; 6]);

impl Answered {
    pub(crate) fn count(&self, status: StatusCode) {
        if let Some(counter) = self.0.get(usize::from(status.as_u16() / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The routes for operators.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(service)
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP obscura_{name} {help}\n# TYPE obscura_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "obscura_{name}{labels} {value}");
        }
    };
    let answered = service.answered.0.iter().enumerate().skip(1);
    let answered: Vec<(String, u64)> = answered
        .map(|(class, count)| (format!("{{status=\"{class}xx\"}}"), count.load(Ordering::Relaxed)))
        .collect();
    metric("requests_total", "counter", "Requests answered, by class of status.", &answered);
    let Load { waiting, running, waiting_bytes } = service.queue.load();
    let jobs = [("waiting", waiting), ("running", running)]
        .map(|(state, count)| (format!("{{state=\"{state}\"}}"), u64::try_from(count).unwrap_or(u64::MAX)));
    metric("jobs", "gauge", "Jobs that have not ended.", &jobs);
    let waiting_bytes = u64::try_from(waiting_bytes).unwrap_or(u64::MAX);
    let help = "Memory that jobs hold which wait, about.";
    metric("waiting_bytes", "gauge", help, &[(String::new(), waiting_bytes)]);
    let requests = u64::try_from(service.under_way.taken()).unwrap_or(u64::MAX);
    metric(
        "requests_under_way",
        "gauge",
        "Requests of known people under way.",
        &[(String::new(), requests)],
    );
    let reviews = u64::try_from(service.installation.reviews.under_way()).unwrap_or(u64::MAX);
    metric("reviews", "gauge", "Questions that are being judged.", &[(String::new(), reviews)]);
    let streams = u64::try_from(service.streams.taken()).unwrap_or(u64::MAX);
    metric("event_streams", "gauge", "Event streams that are open.", &[(String::new(), streams)]);
    if let Ok((size, _)) = checkpoint(&service.installation) {
        metric("audit_entries", "gauge", "Entries of the audit log.", &[(String::new(), size)]);
    }
    let up = service.begun.elapsed().as_secs();
    metric("up_seconds", "gauge", "Time since the process began.", &[(String::new(), up)]);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
