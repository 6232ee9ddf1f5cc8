//! Problem documents (RFC 9457): every answer that is no success has one form, and says what would be accepted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::context::Request;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Map<String, Value>,
}

impl Problem {
    /// A failure of a use case.
    pub(crate) fn of(request: &Request, error: &PublicError) -> Self {
        let status = match error.class() {
            Class::Usage => StatusCode::BAD_REQUEST,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::VerificationFailed | Class::Failure => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::with_status(request, status, error)
    }

    /// A failure with a status of its own.
    pub(crate) fn with_status(request: &Request, status: StatusCode, error: &PublicError) -> Self {
        let language = request.language.code();
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(format!("/docs/problems/{}", error.code())));
        body.insert("title".to_owned(), json!(error.message().in_language(language)));
        body.insert("status".to_owned(), json!(status.as_u16()));
        body.insert("code".to_owned(), json!(error.code()));
        if let Some(help) = error.help() {
            body.insert("help".to_owned(), json!(help.in_language(language)));
        }
        body.insert("request_id".to_owned(), json!(request.id));
        Self { status, body }
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.body.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Value::Object(self.body))).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A path that leads nowhere.
pub(super) async fn no_route(State(_): State<Arc<Service>>, request: Request) -> Problem {
    let error =
        PublicError::new(Class::NotFound, "not-found", "there is no such thing here", "此处没有该资源");
    Problem::of(&request, &error)
}

/// A path that takes other methods.
pub(super) async fn no_method(State(_): State<Arc<Service>>, request: Request) -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "method-not-allowed",
        "this path takes other methods",
        "该路径不支持此方法",
    );
    Problem::with_status(&request, StatusCode::METHOD_NOT_ALLOWED, &error)
}

/// A body or parameter of the wrong form.
pub(crate) fn malformed(request: &Request, en: impl Into<String>, zh: impl Into<String>) -> Problem {
    Problem::of(request, &PublicError::new(Class::Usage, "request-malformed", en, zh))
}
