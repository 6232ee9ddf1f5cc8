//! The facts of a request before a handler looks at it: its name, its reader's language, who asks; and its parts, read so
//! that a part with a fault is answered with a problem document.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request as HttpRequest;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::config::Language;
use crate::context::Caller;
use crate::context::Door;
use crate::context::Presence;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::language::language_of;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::http::problem::malformed;
use crate::ids::RequestId;

/// Longest that a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(20);

/// A request's name and language.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) language: Language,
    /// The sign that the client still listens.
    pub(crate) presence: Presence,
}

impl Request {
    pub(crate) fn of(headers: &HeaderMap, service: &Service) -> Self {
        let installation = &service.installation;
        let id = RequestId::new(installation.clock.as_ref(), installation.random.as_ref());
        let language = language_of(headers, installation.settings().language);
        let id = id.map_or_else(|_| "unnamed".to_owned(), |id| id.to_string());
        Self { id, language, presence: Presence::default() }
    }
}

impl FromRequestParts<Arc<Service>> for Request {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Self::Rejection> {
        // The door has named it already; outside the door it gets its name here.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers, service)))
    }
}

/// A request of a person who has shown a valid token.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) request: Request,
    pub(crate) caller: Caller,
}

impl FromRequestParts<Arc<Service>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let Ok(request) = Request::from_request_parts(parts, service).await;
        match parts.extensions.get::<Caller>().cloned() {
            Some(caller) => Ok(Self { request, caller }),
            None => Err(Problem::of(no_token())),
        }
    }
}

/// A request of a person who has shown a valid token, or of a stranger, who reaches open data only.
///
/// The bearer of a token that is not valid is no stranger: the door has turned them away.
#[derive(Debug)]
pub(crate) struct Anyone {
    pub(crate) caller: Caller,
    /// The place that the connection comes from.
    pub(crate) peer: Peer,
}

impl FromRequestParts<Arc<Service>> for Anyone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Service>) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        let stranger = || Caller::stranger(Door::Http).at(peer.address());
        Ok(Self { caller: caller.unwrap_or_else(stranger), peer })
    }
}

fn no_token() -> PublicError {
    PublicError::new(
        Class::Unauthenticated,
        "token-missing",
        "this needs an access token",
        "此操作需要访问令牌",
    )
    .with_help("send `Authorization: Bearer <token>`", "请发送 `Authorization: Bearer <令牌>`")
}

/// A whole body.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest<Arc<Service>> for Body {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, service: &Arc<Service>) -> Result<Self, Problem> {
        let problem =
            |status, code, en, zh| Problem::with_status(status, PublicError::new(Class::Usage, code, en, zh));
        match tokio::time::timeout(BODY_WAIT, Bytes::from_request(request, service)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "the body is longer than any request of this interface",
                "请求体超出长度限制",
            )),
            Ok(Err(_)) => Err(malformed("the body cannot be read", "无法读取请求体")),
            Err(_elapsed) => Err(problem(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "the body did not arrive in time",
                "请求体未能及时送达",
            )),
        }
    }
}

impl Body {
    /// Reads JSON; a message about a fault gives its place, never its content.
    pub(crate) fn json<T: DeserializeOwned>(&self, form: &str) -> Result<T, Problem> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            malformed(
                format!("the body is not {form} (line {line}, column {column})"),
                format!("请求体应为 {form}（第 {line} 行第 {column} 列）"),
            )
        })
    }

    /// Reads text.
    pub(crate) fn text(&self) -> Result<String, Problem> {
        String::from_utf8(self.0.to_vec())
            .map_err(|_| malformed("the body is not UTF-8 text", "请求体不是 UTF-8 文本"))
    }
}

/// The parameters behind the question mark.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Service>> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, service).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(_) => {
                Err(malformed("a parameter is unknown or has the wrong form", "存在未知或格式不正确的参数"))
            }
        }
    }
}

/// The name in the path.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<Arc<Service>> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, service).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(malformed("the path is not UTF-8 text", "路径不是 UTF-8 文本")),
        }
    }
}
