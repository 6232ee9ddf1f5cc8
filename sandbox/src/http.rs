//! The HTTP door: the same use cases as the command line, for many people at once.
//!
//! It decides nothing and adds no path to data: every handler recognises its caller, calls one use case of `app` and
//! puts what came of it into a status and a body. Errors are problem documents (RFC 9457).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::app::installation::Installation;

mod context;
mod health;
mod jobs;
mod media;
mod problem;
mod queries;
mod queue;

use queue::Queue;

/// Longest body, in bytes: the guard reads 64 KiB of SQL at the most, and JSON may write every byte of it as six.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Jobs that run at a time, in all.
const RUNNING_MAX: usize = 4;
/// Jobs that wait and run at a time, of one person.
const JOBS_OF_ONE_MAX: usize = 8;

/// What every handler has.
#[derive(Debug)]
pub(crate) struct Service {
    installation: Arc<Installation>,
    queue: Queue,
}

/// The routes, over one installation.
pub fn router(installation: Arc<Installation>) -> Router {
    let queue = Queue::new(Arc::clone(&installation), RUNNING_MAX, JOBS_OF_ONE_MAX);
    let service = Arc::new(Service { installation, queue });
    let api = Router::new()
        .route("/me", get(health::me))
        .route("/queries/check", post(queries::check))
        .route("/jobs", post(jobs::submit).get(jobs::list))
        .route("/jobs/{id}", get(jobs::show))
        .route("/jobs/{id}/result", get(jobs::result))
        .route("/jobs/{id}/release", get(jobs::release));
    Router::new()
        .nest("/api/v1", api)
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}

/// Answers requests until told to stop; requests under way are finished, running jobs are left to the next start.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    installation: Arc<Installation>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(installation)).with_graceful_shutdown(stop).await
}

/// Whether an address may be listened on without TLS.
#[must_use]
pub fn is_private(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}
