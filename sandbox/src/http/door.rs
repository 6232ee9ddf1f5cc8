//! The door: names each request, recognises who asks, keeps floods out, and writes what was answered into the audit log
//! before the answer leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::extract::Request as HttpRequest;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::RETRY_AFTER;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::app::people::authenticate::authenticate_token;
use crate::app::people::authenticate::authenticate_vouched;
use crate::app::people::authenticate::token_not_valid;
use crate::app::people::token::TokenText;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::context::Door;
use crate::context::Presence;
use crate::error::AppError;
use crate::error::Class;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Request;
use crate::http::failure::Failure;
use crate::http::failure::worded;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::installation::records::Note;
use crate::service::limits::Limiter;
use crate::service::limits::Rate;

/// Requests of one person, of every kind together.
const PERSON_RATE: Rate = Rate { burst: 200, every: Duration::from_millis(20) };
/// Requests from one place without a valid token: one client must not use up the rate of all strangers.
const PEER_RATE: Rate = Rate { burst: 100, every: Duration::from_millis(100) };
/// Requests without a token, from all places together: each such request costs an entry of the log.
const STRANGER_RATE: Rate = Rate { burst: 500, every: Duration::from_millis(20) };
/// Refused tokens that have an entry of the log of their own, from all places together.
const REFUSED_RATE: Rate = Rate { burst: 500, every: Duration::from_millis(20) };
/// The name under which all who have shown no valid token are counted; no person can have it, because names have no
/// parentheses.
const STRANGERS: &str = "(strangers)";
/// Time without use after which the next use of a token is a login again.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// The memory of the door.
#[derive(Debug)]
pub(crate) struct DoorKeeper {
    persons: Limiter,
    /// Without a valid token, by place.
    peers: Limiter,
    /// Without a token, all together.
    strangers: Limiter,
    /// With a token that is not valid, all together.
    refused: Limiter,
    /// When each access token, and each link to the identity provider, was last used.
    seen: Mutex<BTreeMap<String, Timestamp>>,
    /// The number of times that each was turned away without an entry of its own; strangers count as one.
    turned_away: Mutex<BTreeMap<String, u64>>,
}

impl DoorKeeper {
    pub(crate) fn new() -> Self {
        Self {
            persons: Limiter::new(PERSON_RATE),
            peers: Limiter::new(PEER_RATE),
            strangers: Limiter::new(STRANGER_RATE),
            refused: Limiter::new(REFUSED_RATE),
            turned_away: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Lets in a client that shows no token, unless its place or all places together ask too often.
    fn take_stranger(&self, peer: &Peer, now: Duration) -> Result<(), Duration> {
        self.peers.take(peer.as_str(), now)?;
        self.strangers.take(STRANGERS, now)
    }

    /// Lets in a client that shows a token that is not valid, to be told so, unless its place asks too often; says whether
    /// the attempt has an entry of the log. Other clients' traffic never blocks it; it only decides on the entry.
    fn take_refused(&self, peer: &Peer, now: Duration) -> Result<bool, Duration> {
        self.peers.take(peer.as_str(), now)?;
        Ok(self.refused.take(STRANGERS, now).is_ok())
    }

    /// Says whether the use of a token or link is a login.
    fn is_login(&self, shown: &str, now: Timestamp) -> bool {
        let mut seen = self.seen();
        seen.retain(|_, last| now.duration_since(*last).unsigned_abs() < SILENCE);
        !seen.contains_key(shown)
    }

    /// Notes the use of a token or link, once its login is in the log.
    fn note_use(&self, shown: String, now: Timestamp) {
        self.seen().insert(shown, now);
    }

    /// Counts somebody who is turned away.
    fn turn_away(&self, name: &str) {
        let mut counts = self.turned_away();
        let count = counts.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    /// The number of times that somebody was turned away since this was last asked.
    fn turned_away_before(&self, name: &str) -> Option<u64> {
        self.turned_away().remove(name)
    }

    /// A panic while the lock was held leaves counts that are still counts.
    fn turned_away(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the lock was held leaves times that are still times.
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything under `/api/v1` passes through here.
///
/// A request is carried to its end even if its client goes away: a record that it has begun must not stay half written
/// until the next start. A panic ends one request, and prints nothing.
pub(crate) async fn pass(State(service): State<Arc<Service>>, request: HttpRequest, next: Next) -> Response {
    // Kept until there is an answer, or the client breaks off and this is dropped.
    let (_listens, listening) = watch::channel(());
    let known = Request { presence: Presence::of(listening), ..Request::of(request.headers(), &service) };
    let (answer, answered) = oneshot::channel();
    let (serving, named) = (Arc::clone(&service), known.clone());
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    service.carry(async move {
        // If the client is gone, nobody is told.
        let _gone = answer.send(let_in(&serving, named, request, next).await);
    });
    let response = match answered.await {
        Ok(response) => response,
        Err(_panicked) => {
            let error = InternalError::of_kind("answer a request", "panic");
            let note = Note::new(Action::RequestAnswered, ActorName::stranger().at(peer.address()))
                .with("status", 500)
                .with("request", known.id.clone());
            // Whatever comes of it, the answer is that we broke.
            let _unrecorded = service.installation.append_one(note).await;
            Failure::from(AppError::from(error)).worded(&known, &service)
        }
    };
    service.answered.count(response.status());
    response
}

async fn let_in(service: &Arc<Service>, known: Request, mut request: HttpRequest, next: Next) -> Response {
    request.extensions_mut().insert(known.clone());
    let template = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    // A method may be any word of any length; the log knows those that mean something.
    let method = match *request.method() {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::DELETE
        | Method::PUT
        | Method::PATCH
        | Method::OPTIONS => request.method().as_str(),
        _ => "(other)",
    };
    let route = format!("{method} {template}");
    let about = named(&template, request.uri().path());
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    let entered = enter(service, request.headers(), &peer).await;
    let now = service.begun.elapsed();
    let (name, allowed) = match &entered {
        Ok(Some(caller)) => {
            let name = caller.person().name.to_string();
            let allowed = service.door.persons.take(&name, now).map(|()| true);
            (name, allowed)
        }
        Ok(None) => (STRANGERS.to_owned(), service.door.take_stranger(&peer, now).map(|()| true)),
        Err(_) => (STRANGERS.to_owned(), service.door.take_refused(&peer, now)),
    };
    let has_entry = match allowed {
        Ok(has_entry) => has_entry,
        Err(wait) => {
            service.door.turn_away(&name);
            return Failure::from(too_often(wait)).worded(&known, service);
        }
    };
    let (actor, mut response) = match entered {
        Ok(Some(caller)) => {
            let Some(_permit) = service.under_way.acquire(&name) else {
                service.door.turn_away(&name);
                return Failure::from(too_often(Duration::from_secs(1))).worded(&known, service);
            };
            let actor = ActorName::of(&caller);
            request.extensions_mut().insert(caller);
            (actor, worded(&known, service, next.run(request).await))
        }
        Ok(None) => {
            (ActorName::stranger().at(peer.address()), worded(&known, service, next.run(request).await))
        }
        Err(error) => {
            (ActorName::stranger().at(peer.address()), Failure::from(error).worded(&known, service))
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&known.id) {
        headers.insert("x-request-id", id);
    }
    if !has_entry {
        service.door.turn_away(&name);
        return response;
    }
    let action = if response.status() == StatusCode::UNAUTHORIZED {
        Action::LoginFailed
    } else {
        Action::RequestAnswered
    };
    let mut note = Note::new(action, actor)
        .with("route", route)
        .with("status", response.status().as_u16())
        .with("request", known.id.clone());
    // Only on success: otherwise the path parameter is arbitrary text of the client.
    if let Some(about) = about.filter(|_| response.status().is_success()) {
        note = note.with("about", about);
    }
    if let Some(turned_away) = service.door.turned_away_before(&name) {
        note = note.with("turned_away_before", turned_away);
    }
    match service.installation.append_one(note).await {
        Ok(_) => response,
        // A request that cannot be recorded is not answered: INVARIANT(no-receipt-no-result).
        Err(error) => Failure::from(error).worded(&known, service),
    }
}

/// The name in a path: the part of it that its route leaves open.
fn named(template: &str, path: &str) -> Option<String> {
    let mut parts = template.split('/').zip(path.split('/'));
    parts.find(|(open, _)| open.starts_with('{')).map(|(_, name)| name.chars().take(128).collect())
}

/// The caller; none when no token is shown.
async fn enter(service: &Service, headers: &HeaderMap, peer: &Peer) -> Result<Option<Caller>, AppError> {
    let Some(shown) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = shown
        .to_str()
        .ok()
        .and_then(|shown| shown.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(token_not_valid)?;
    let installation = &service.installation;
    let (caller, kind, shown) = match (TokenText::parse(text), &service.identity) {
        (Some(token), _) => {
            let caller = authenticate_token(installation, &token, Door::Http).await?;
            let id = token.id();
            if service.door.is_login(&id.to_string(), installation.now()) {
                installation.note_token_use(id).await?;
            }
            (caller, "token", id.to_string())
        }
        (None, Some(provider)) => {
            let vouched = authenticate_vouched(installation, provider, text, Door::Http).await?;
            (vouched.caller, "link", vouched.link)
        }
        (None, None) => return Err(token_not_valid()),
    };
    let caller = caller.at(peer.address());
    if service.door.is_login(&shown, installation.now()) {
        let note = Note::new(Action::LoginSucceeded, ActorName::of(&caller));
        installation.append_one(note.with(kind, shown.clone())).await?;
    }
    service.door.note_use(shown, installation.now());
    Ok(Some(caller))
}

/// Asked too often.
pub(crate) fn too_often(wait: Duration) -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "too-many-requests",
        "you ask faster than this service answers",
        "请求过于频繁",
    )
    .with_help("wait as long as `Retry-After` says", "请按 `Retry-After` 指示的时间等待");
    let seconds = wait.as_secs().saturating_add(1);
    Problem::with_status(StatusCode::TOO_MANY_REQUESTS, error).header(RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names_is_where_its_route_is_open() {
        let named = |template, path| super::named(template, path);
        let job = "/api/v1/jobs/{id}/result";
        assert_eq!(named(job, "/api/v1/jobs/job_1/result").as_deref(), Some("job_1"));
        assert_eq!(named("/api/v1/jobs", "/api/v1/jobs"), None);
    }

    #[test]
    fn whoever_is_turned_away_is_counted_once_and_apart() {
        let keeper = DoorKeeper::new();
        for name in ["lin", "lin", STRANGERS] {
            keeper.turn_away(name);
        }
        assert_eq!(keeper.turned_away_before("lin"), Some(2));
        assert_eq!(keeper.turned_away_before("lin"), None);
        assert_eq!(keeper.turned_away_before(STRANGERS), Some(1));
    }

    #[test]
    fn one_place_closes_the_door_to_nobody_else() {
        let keeper = DoorKeeper::new();
        let [flooding, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Peer::of(address.into()));
        let now = Duration::from_secs(1);
        let let_in = (0..1000).filter(|_| keeper.take_stranger(&flooding, now).is_ok()).count();
        assert_eq!(let_in, 100);
        assert!(keeper.take_refused(&flooding, now).is_err(), "by its own bucket");
        assert_eq!(keeper.take_stranger(&other, now), Ok(()));
        // Many places together close it to strangers; a client with a bad token is still told so, without an entry.
        for nth in 0..=u8::MAX {
            let peer = Peer::of([198, 51, 100, nth].into());
            for _ in 0..4 {
                let (_stranger, _refused) =
                    (keeper.take_stranger(&peer, now), keeper.take_refused(&peer, now));
            }
        }
        assert!(keeper.take_stranger(&other, now).is_err());
        assert_eq!(keeper.take_refused(&other, now), Ok(false));
    }

    #[test]
    fn silent_token_logs_in_again() {
        let keeper = DoorKeeper::new();
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap_or_default();
        let mut logins = Vec::new();
        for seconds in [0, 60, 900, 1900] {
            logins.push(keeper.is_login("token_1", at(seconds)));
            keeper.note_use("token_1".to_owned(), at(seconds));
        }
        assert_eq!(logins, [true, false, false, true]);
    }
}
