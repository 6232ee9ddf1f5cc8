//! Server-sent events: how jobs come along, for those who would rather be told than ask. A client that comes back with the
//! last event's name reads on from there, or is told that there is a gap. A stream lives no longer than its token.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event as SseEvent;
use axum::response::sse::KeepAlive;
use futures::Stream;
use futures::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval_at;

use crate::app::people::authenticate::is_still_recognised;
use crate::app::query::show_job::show_job;
use crate::context::Caller;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Authenticated;
use crate::http::context::Name;
use crate::http::failure::Failure;
use crate::http::jobs::own;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::ids::JobId;
use crate::jobs::JobState;
use crate::service::job_events::Event;
use crate::service::job_events::Gap;
use crate::service::limits::ConcurrencyPermit;

/// Time after which an idle stream shows that it lives.
const PULSE: Duration = Duration::from_secs(15);
/// The header with the last event that was received.
const LAST_EVENT_ID: &str = "last-event-id";

/// Longest that a stream outlives its token; before it tells anything it looks besides.
const TOKEN_LOOK: Duration = Duration::from_secs(15);

/// Follow one job to its end
///
/// Events are named `job`; their data is `{"job", "state"}`. `Last-Event-ID` resumes. The stream ends with the token.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    operation_id = "follow_job",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received")
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Problems)
)]
pub(super) async fn of_job(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    Name(id): Name,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Failure> {
    // The number first, then the row: an event in between is told twice rather than never.
    let newest = service.events.newest();
    let row = own(&service, &known, &id).await?;
    let mut follower = Follower::new(&service, &known, Some(row.id))?;
    follower.person.clone_from(&row.person);
    if follower.resume(&headers) {
        // A client that has seen the end waits for nothing.
        let number = follower.number;
        let follows = |event: &Event| event.job == row.id;
        let following = service.events.after(number, follows);
        follower.over = row.state.is_final() && following.is_ok_and(|events| events.is_empty());
    } else {
        follower.number = newest;
        let now = Event { number: newest, person: row.person, job: row.id, state: row.state };
        follower.pending.push_back(Told::Job(now));
    }
    Ok(follower.stream())
}

/// Follow all of one's jobs, as an analyst
///
/// As with one job; an event named `gap` says that events are missing, after `Last-Event-ID` or because the client was more
/// than 4096 events behind: `GET /jobs` says where jobs stand now. The stream ends with the token.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "follow_jobs",
    tag = "jobs",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that was received")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Problems)
)]
pub(super) async fn of_person(
    State(service): State<Arc<Service>>,
    known: Authenticated,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Failure> {
    // A token without the role of analyst does not reach the jobs of its person.
    if !known.caller.asked_as(known.caller.person().name.as_str()) {
        return Err(Problem::of(not_an_analyst()).into());
    }
    let mut follower = Follower::new(&service, &known, None)?;
    if !follower.resume(&headers) {
        follower.number = service.events.newest();
        if headers.contains_key(LAST_EVENT_ID) {
            follower.pending.push_back(Told::Gap { number: follower.number });
        }
    }
    Ok(follower.stream())
}

fn not_an_analyst() -> PublicError {
    PublicError::new(
        Class::Forbidden,
        "role-missing",
        "only analysts have jobs to follow",
        "只有分析人员才有可跟踪的任务",
    )
    .with_help(
        "a job that you may see is followed at `/jobs/{id}/events`",
        "您可见的任务可通过 `/jobs/{id}/events` 跟踪",
    )
}

/// A message of a stream.
enum Told {
    /// A step of a job.
    Job(Event),
    /// Events before this one, and behind the last that was told, are missing.
    Gap { number: u64 },
}

/// One open stream.
struct Follower {
    service: Arc<Service>,
    caller: Caller,
    person: String,
    job: Option<JobId>,
    number: u64,
    pending: VecDeque<Told>,
    last: Option<JobState>,
    over: bool,
    newest: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    look: Interval,
    _open: ConcurrencyPermit,
}

impl Follower {
    fn new(service: &Arc<Service>, known: &Authenticated, job: Option<JobId>) -> Result<Self, Problem> {
        let Some(open) = service.streams.acquire(known.caller.person().name.as_str()) else {
            let error = PublicError::new(
                Class::Usage,
                "too-many-streams",
                "you have as many event streams open as one person may have",
                "您打开的事件流已达上限",
            )
            .with_help("ask for the job with `?wait=30` instead", "请改用 `?wait=30` 查询任务");
            return Err(Problem::with_status(StatusCode::TOO_MANY_REQUESTS, error));
        };
        let mut look = interval_at(Instant::now() + TOKEN_LOOK, TOKEN_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            service: Arc::clone(service),
            caller: known.caller.clone(),
            person: known.caller.person().name.to_string(),
            job,
            number: 0,
            pending: VecDeque::new(),
            last: None,
            over: false,
            newest: service.events.follow(),
            stopping: service.stopping.subscribe(),
            look,
            _open: open,
        })
    }

    /// Goes on behind the last event that was received, if this process has told it and still knows what followed.
    fn resume(&mut self, headers: &HeaderMap) -> bool {
        let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        let number = last
            .and_then(|last| last.rsplit_once('.'))
            .filter(|(process, _)| *process == self.service.name)
            .and_then(|(_, number)| number.parse().ok());
        match number {
            Some(number) if self.service.events.reaches_back_to(number) => {
                self.number = number;
                true
            }
            _ => false,
        }
    }

    fn stream(self) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
        let events = unfold(self, |mut follower| async move {
            let told = follower.next().await?;
            let (name, number, data) = match &told {
                Told::Job(event) => {
                    let data = json!({ "job": event.job.to_string(), "state": event.state.name() });
                    ("job", event.number, data)
                }
                Told::Gap { number } => ("gap", *number, json!({ "missed": true })),
            };
            let id = format!("{}.{number}", follower.service.name);
            Some((Ok(SseEvent::default().event(name).id(id).data(data.to_string())), follower))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(PULSE))
    }

    /// The next message, if the reader may still be told.
    async fn next(&mut self) -> Option<Told> {
        let told = self.wait().await?;
        self.is_welcome().await.then_some(told)
    }

    async fn wait(&mut self) -> Option<Told> {
        loop {
            if self.over {
                return None;
            }
            match self.pending.pop_front() {
                Some(Told::Job(event)) => {
                    self.number = self.number.max(event.number);
                    if self.job.is_some() {
                        if self.last.replace(event.state) == Some(event.state) {
                            continue;
                        }
                        self.over = event.state.is_final();
                    }
                    return Some(Told::Job(event));
                }
                Some(gap @ Told::Gap { .. }) => return Some(gap),
                None => {}
            }
            // Marked as seen before it is read, so that an event that comes meanwhile wakes us again.
            self.newest.borrow_and_update();
            let (person, job) = (&self.person, self.job);
            let wanted = |event: &Event| event.person == *person && job.is_none_or(|job| event.job == job);
            match self.service.events.after(self.number, wanted) {
                Ok(events) => self.pending.extend(events.into_iter().map(Told::Job)),
                Err(gap) => self.skip(gap).await,
            }
            if self.pending.is_empty() {
                let is_time_to_look = tokio::select! {
                    changed = self.newest.changed() => changed.map(|()| false).ok()?,
                    stopping = self.stopping.wait_for(|stopping| *stopping) => {
                        drop(stopping);
                        return None;
                    }
                    _time = self.look.tick() => true,
                };
                if is_time_to_look && !self.is_welcome().await {
                    return None;
                }
            }
        }
    }

    /// Goes on behind events that are missing; a follower of one job is told its state instead.
    async fn skip(&mut self, gap: Gap) {
        self.number = gap.before.saturating_sub(1);
        self.pending.push_back(Told::Gap { number: self.number });
        if let Some(job) = self.job
            && let Ok(row) = show_job(&self.service.installation, &self.caller, job).await
        {
            let now = Event { number: self.number, person: row.person, job, state: row.state };
            self.pending.push_back(Told::Job(now));
        }
    }

    /// Says whether the credential of the reader is still valid; one that cannot be looked up is not.
    async fn is_welcome(&self) -> bool {
        is_still_recognised(&self.service.installation, &self.caller).await.unwrap_or(false)
    }
}
