//! Server-sent events: how jobs come along, for those who would rather be told than ask. Whoever comes back with the
//! last event's name reads on from there.

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

use crate::app::authenticate::is_still_recognised;
use crate::context::Caller;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Known;
use crate::http::context::Name;
use crate::http::jobs::own;
use crate::http::limits::Seat;
use crate::http::news::Event;
use crate::http::problem::Problem;
use crate::http::problem::Problems;
use crate::ids::JobId;
use crate::jobs::JobState;

/// How often an idle stream shows that it lives.
const PULSE: Duration = Duration::from_secs(15);

/// Follow one job to its end
///
/// Events are named `job`; their data is `{"job", "state"}`. `Last-Event-ID` resumes.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received")
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Problems)
)]
pub(super) async fn of_job(
    State(service): State<Arc<Service>>,
    known: Known,
    Name(id): Name,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    // The number first, then the row: what happens in between is told twice rather than never.
    let newest = service.news.newest();
    let row = own(&service, &known, &id).await?;
    let mut follower = Follower::new(&service, &known, Some(row.id))?;
    follower.person.clone_from(&row.person);
    if follower.resume(&headers) {
        // Whoever has seen the end waits for nothing.
        let number = follower.number;
        let follows = |event: &Event| event.job == row.id;
        follower.over = row.state.is_final() && service.news.after(number, follows).is_empty();
    } else {
        follower.number = newest;
        follower.pending.push_back(Event {
            number: newest,
            person: row.person,
            job: row.id,
            state: row.state,
        });
    }
    Ok(follower.stream())
}

/// Follow all of one's jobs
#[utoipa::path(
    get,
    path = "/events",
    tag = "jobs",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that was received")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Problems)
)]
pub(super) async fn of_person(
    State(service): State<Arc<Service>>,
    known: Known,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let mut follower = Follower::new(&service, &known, None)?;
    if !follower.resume(&headers) {
        follower.number = service.news.newest();
    }
    Ok(follower.stream())
}

/// One open stream.
struct Follower {
    service: Arc<Service>,
    /// Who is told.
    caller: Caller,
    /// Whose jobs it is about.
    person: String,
    job: Option<JobId>,
    number: u64,
    pending: VecDeque<Event>,
    last: Option<JobState>,
    over: bool,
    newest: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _open: Seat,
}

impl Follower {
    fn new(service: &Arc<Service>, known: &Known, job: Option<JobId>) -> Result<Self, Problem> {
        let Some(open) = service.streams.sit(known.caller.person().name.as_str()) else {
            let error = PublicError::new(
                Class::Usage,
                "too-many-streams",
                "you have as many event streams open as one person may have",
                "您打开的事件流已达上限",
            )
            .with_help("ask for the job with `?wait=30` instead", "请改用 `?wait=30` 查询任务");
            return Err(Problem::with_status(&known.request, StatusCode::TOO_MANY_REQUESTS, &error));
        };
        Ok(Self {
            service: Arc::clone(service),
            caller: known.caller.clone(),
            person: known.caller.person().name.to_string(),
            job,
            number: 0,
            pending: VecDeque::new(),
            last: None,
            over: false,
            newest: service.news.follow(),
            stopping: service.stopping.subscribe(),
            _open: open,
        })
    }

    /// Goes on behind the last event that was received, if this process has told it and still knows what followed.
    fn resume(&mut self, headers: &HeaderMap) -> bool {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let number = last
            .and_then(|last| last.rsplit_once('.'))
            .filter(|(process, _)| *process == self.service.name)
            .and_then(|(_, number)| number.parse().ok());
        match number {
            Some(number) if self.service.news.reaches_back_to(number) => {
                self.number = number;
                true
            }
            _ => false,
        }
    }

    fn stream(self) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
        let events = unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            let data = json!({
                "job": event.job.to_string(),
                "state": event.state.name(),
            });
            let id = format!("{}.{}", follower.service.name, event.number);
            Some((Ok(SseEvent::default().event("job").id(id).data(data.to_string())), follower))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(PULSE))
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.over {
                return None;
            }
            if let Some(event) = self.pending.pop_front() {
                self.number = self.number.max(event.number);
                if self.job.is_some() {
                    if self.last.replace(event.state) == Some(event.state) {
                        continue;
                    }
                    self.over = event.state.is_final();
                }
                // What they came with may have ended since, and with it what they are told.
                let recognised = is_still_recognised(&self.service.installation, &self.caller).await;
                return recognised.unwrap_or(false).then_some(event);
            }
            // Marked as seen before it is read, so that what comes meanwhile wakes us again.
            self.newest.borrow_and_update();
            let (person, job) = (&self.person, self.job);
            let wanted = |event: &Event| event.person == *person && job.is_none_or(|job| event.job == job);
            self.pending.extend(self.service.news.after(self.number, wanted));
            if self.pending.is_empty() {
                tokio::select! {
                    changed = self.newest.changed() => changed.ok()?,
                    _stopping = self.stopping.wait_for(|stopping| *stopping) => return None,
                }
            }
        }
    }
}
