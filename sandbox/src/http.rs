//! The HTTP door: the same use cases as the command line, for many people at once.
//!
//! It decides nothing and adds no path to data: every handler reads its request, calls one use case of `app` and puts
//! its outcome into a status and a body. Errors are problem documents (RFC 9457).

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::watch;
use tokio::task::JoinSet;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::HttpBuilder;
use utoipa::openapi::security::SecurityScheme;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::AppError;
use crate::error::During as _;
use crate::error::operator_log::OperatorLog;
use crate::identity::IdentityProvider;
use crate::ids::EventId;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::service::daily_quota::DailyQuota;
use crate::service::job_events::JobEvents;
use crate::service::limits::ConcurrencyLimit;
use crate::service::limits::Limiter;
use crate::service::limits::Rate;
use crate::service::pending::PendingJobs;
use crate::service::queue::Queue;
use crate::service::queue::QueueLimits;

mod audit;
mod budgets;
mod context;
mod datasets;
mod docs;
mod door;
mod download;
mod events;
mod failure;
mod grants;
mod health;
mod jobs;
mod language;
mod me;
mod media;
mod metrics;
mod open_data;
mod pages;
mod peer;
mod policies;
mod preference;
mod problem;
mod purposes;
mod queries;
mod refusals;
mod reviews;
pub mod server;
mod streamed;
pub mod tls;
mod tokens;
mod write_timeout;

use door::DoorKeeper;
use metrics::Answered;

/// Longest body, in bytes: the guard reads 64 KiB of SQL at the most, and JSON may write every byte of it as six.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Most jobs that run at a time.
const RUNNING_MAX: usize = 4;
/// Most of them that may be of one person.
const RUNNING_OF_ONE_MAX: usize = 2;
/// Most jobs of one person that have not ended.
const OPEN_OF_ONE_MAX: usize = 16;
/// Checks of one person: a check is an oracle, though one that reads no data.
const CHECK_RATE: Rate = Rate { burst: 60, every: Duration::from_millis(500) };
/// Questions of one person: as fast as a program that waits for its answers asks, and each costs an entry of the log.
const SUBMIT_RATE: Rate = Rate { burst: 120, every: Duration::from_millis(250) };
/// Event streams of one person, at a time.
const STREAMS_OF_ONE_MAX: usize = 8;
/// Requests of one person under way, at a time; long polls count.
const REQUESTS_OF_ONE_MAX: usize = 64;
/// Downloads of open data under way, at a time.
const DOWNLOADS_MAX: usize = 16;
/// Most of them that may come from one address.
const DOWNLOADS_OF_ONE_MAX: usize = 4;
/// Results that one person fetches, at a time: each is a table in memory until the last of it is taken.
const RESULTS_OF_ONE_MAX: usize = 4;
/// Time that running jobs are given when the process is told to end.
const LAST_JOBS: Duration = Duration::from_secs(30);

/// Time that requests are given then.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The state that every handler has.
pub struct Service {
    installation: Arc<Installation>,
    /// Names this process in the names of events.
    name: String,
    begun: Instant,
    queue: Queue,
    events: Arc<JobEvents>,
    /// Jobs that wait for an approval.
    pending: PendingJobs,
    door: DoorKeeper,
    /// The identity provider whose tokens are honoured besides ours.
    identity: Option<IdentityProvider>,
    checks: Limiter,
    /// Questions that become jobs.
    submissions: Limiter,
    /// The daily quota of refused questions in the log, of each person.
    refused: DailyQuota,
    /// Event streams that are open.
    streams: ConcurrencyLimit,
    /// Requests that are under way.
    under_way: ConcurrencyLimit,
    /// Results on their way to the person who asked.
    results: ConcurrencyLimit,
    /// Downloads of open data under way, of everybody.
    downloads: ConcurrencyLimit,
    /// The same, from one address each.
    downloads_of_one: ConcurrencyLimit,
    stopping: watch::Sender<bool>,
    answered: Answered,
    /// Requests under way.
    requests: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Service {
    /// A service over one installation.
    ///
    /// # Errors
    /// When no random bytes can be drawn, or the file of an identity provider's roots cannot be used.
    pub fn new(installation: Arc<Installation>) -> Result<Self, AppError> {
        let name = EventId::new(installation.clock.as_ref(), installation.random.as_ref());
        let name = name.during("name a process")?.to_string();
        let events = Arc::new(JobEvents::new());
        let identity = installation.settings().oidc.as_ref().map(|oidc| {
            let log = OperatorLog::in_folder(&installation.layout().log());
            IdentityProvider::new(oidc, Arc::clone(&installation.clock), log)
        });
        let limits = QueueLimits {
            running: RUNNING_MAX,
            running_of_one: RUNNING_OF_ONE_MAX,
            open_of_one: OPEN_OF_ONE_MAX,
            waiting_bytes: installation.settings().limits.waiting_bytes_max,
        };
        let queue = Queue::new(Arc::clone(&installation), Arc::clone(&events), limits);
        Ok(Self {
            pending: PendingJobs::new(Arc::clone(&installation), queue.clone(), Arc::clone(&events)),
            queue,
            installation,
            name,
            begun: Instant::now(),
            events,
            door: DoorKeeper::new(),
            identity: identity.transpose()?,
            checks: Limiter::new(CHECK_RATE),
            submissions: Limiter::new(SUBMIT_RATE),
            refused: DailyQuota::default(),
            streams: ConcurrencyLimit::new(STREAMS_OF_ONE_MAX),
            under_way: ConcurrencyLimit::new(REQUESTS_OF_ONE_MAX),
            results: ConcurrencyLimit::new(RESULTS_OF_ONE_MAX),
            downloads: ConcurrencyLimit::new(DOWNLOADS_MAX),
            downloads_of_one: ConcurrencyLimit::new(DOWNLOADS_OF_ONE_MAX),
            stopping: watch::Sender::new(false),
            answered: Answered::default(),
            requests: Mutex::new(JoinSet::new()),
        })
    }

    /// Waits until a job of this process has ended, for so long, or until the process is told to end.
    async fn wait(&self, job: JobId, most: Duration) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            // The end of the time is no failure: the caller looks for itself.
            _over = tokio::time::timeout(most, self.ended(job)) => {}
            _told = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// Waits until this process has no such job in hand. A job that has been decided and is not in the queue yet is in hand
    /// too, as a repetition of its request may find it; its next event says that it has gone on.
    async fn ended(&self, job: JobId) {
        loop {
            let mut events = self.events.follow();
            self.queue.wait(job).await;
            if !self.installation.jobs.is_active(job) || events.changed().await.is_err() {
                return;
            }
        }
    }

    /// Carries a request to its end.
    fn carry(&self, request: impl Future<Output = ()> + Send + 'static) {
        // A panic while the lock was held leaves a set that is still a set.
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests that have ended are not kept.
        while requests.try_join_next().is_some() {}
        requests.spawn(request);
    }

    /// Ends open streams and long polls, takes no more jobs, and gives those that run some time.
    async fn stop(&self) {
        self.stopping.send_replace(true);
        self.queue.close(LAST_JOBS).await;
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while requests.join_next().await.is_some() {} };
        // The next start settles requests that still run after that.
        let _in_time = tokio::time::timeout(LAST_REQUESTS, all).await;
    }
}

/// The description of the interface, before its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Obscura",
        description = "A privacy-preserving data sandbox: send SQL, get protected aggregates. Raw data does not leave."
    ),
    modifiers(&Interface),
    security(("token" = [])),
)]
struct Interface;

impl Modify for Interface {
    fn modify(&self, description: &mut Description) {
        let what = "An access token, or where an identity provider is set, a token of it (JWT)";
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what)).build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// The routes under `/api/v1`, which pass the door, and those outside it, with the description of both.
fn routes(service: &Arc<Service>) -> (Router<Arc<Service>>, Router<Arc<Service>>, Description) {
    let (api, described) = OpenApiRouter::new()
        .routes(routes!(me::me))
        .routes(routes!(queries::check))
        .routes(routes!(jobs::submit, jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::result))
        .routes(routes!(jobs::release))
        .routes(routes!(jobs::explain))
        .routes(routes!(jobs::filed))
        .routes(routes!(events::of_job))
        .routes(routes!(events::of_person))
        .routes(routes!(datasets::list))
        .routes(routes!(datasets::show))
        .routes(routes!(datasets::collections))
        .routes(routes!(datasets::departments))
        .routes(routes!(purposes::list))
        .routes(routes!(budgets::list))
        .routes(routes!(budgets::entries))
        .routes(routes!(grants::list, grants::give))
        .routes(routes!(open_data::catalog))
        .routes(routes!(open_data::download))
        .routes(routes!(grants::revoke))
        .routes(routes!(grants::ask, grants::list_requests))
        .routes(routes!(grants::show_request, grants::withdraw))
        .routes(routes!(grants::decide))
        .routes(routes!(reviews::list))
        .routes(routes!(reviews::show))
        .routes(routes!(reviews::decide))
        .routes(routes!(policies::list, policies::propose))
        .routes(routes!(policies::check))
        .routes(routes!(policies::show))
        .routes(routes!(policies::versions))
        .routes(routes!(policies::diff))
        .routes(routes!(policies::activate))
        .routes(routes!(policies::withdraw))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::events))
        .routes(routes!(audit::proof))
        .routes(routes!(audit::newest_checkpoint))
        .routes(routes!(audit::cosigned, audit::keep_cosignatures))
        .routes(routes!(audit::consistent))
        .routes(routes!(audit::export))
        .split_for_parts();
    // Every request under this path passes the door, also one that leads nowhere.
    let api = api
        .fallback(problem::no_route())
        .method_not_allowed_fallback(problem::no_method())
        .layer(from_fn_with_state(Arc::clone(service), door::pass));
    let (open, description) = OpenApiRouter::with_openapi(Interface::openapi().nest("/api/v1", described))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .split_for_parts();
    (api, open, description)
}

/// The whole service as one router.
pub fn router(service: Arc<Service>) -> Router {
    let (api, open, description) = routes(&service);
    open.route("/openapi.json", get(async move || Json(description)))
        .route("/docs", get(docs::to_page))
        .route("/docs/", get(docs::page))
        .route("/docs/refusals/{name}", get(pages::refusal))
        .route("/docs/problems/{code}", get(pages::problem))
        .route("/docs/{*file}", get(docs::file))
        .fallback(problem::no_route())
        .method_not_allowed_fallback(problem::no_method())
        .layer(from_fn_with_state(Arc::clone(&service), failure::without_door))
        .nest("/api/v1", api)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}
