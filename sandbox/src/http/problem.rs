//! Problem documents (RFC 9457): every answer that is no success has one form, and says what would be accepted.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::Json;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LANGUAGE;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use axum::http::header::VARY;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use utoipa::IntoResponses;
use utoipa::ToSchema;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::HeaderBuilder;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response as OpenApiResponse;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::Type;

use crate::config::Language;
use crate::error::Class;
use crate::error::PublicError;

/// Seconds after which to repeat a request that is not available now.
const UNAVAILABLE_SECONDS: u16 = 15;
/// Seconds after which to repeat a request that is too much at this moment.
const BUSY_SECONDS: u16 = 2;

/// An answer that is no success, in both languages until it is put into words; boxed, because it is the seldom end of every
/// handler's result.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    error: PublicError,
    /// Members of the document besides those that every problem has.
    members: Map<String, Value>,
    /// Headers besides those that every problem has.
    headers: HeaderMap,
}

impl Problem {
    /// A failure of a use case.
    pub(crate) fn of(error: PublicError) -> Self {
        let class = error.class();
        let status = match class {
            Class::Usage => StatusCode::BAD_REQUEST,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::Gone => StatusCode::GONE,
            Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Class::Busy => StatusCode::TOO_MANY_REQUESTS,
            Class::VerificationFailed | Class::Failure => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problem = Self::with_status(status, error);
        match class {
            Class::Unavailable => problem.header(RETRY_AFTER, HeaderValue::from(UNAVAILABLE_SECONDS)),
            Class::Busy => problem.header(RETRY_AFTER, HeaderValue::from(BUSY_SECONDS)),
            _ => problem,
        }
    }

    /// A failure with a status of its own.
    pub(crate) fn with_status(status: StatusCode, error: PublicError) -> Self {
        Self(Box::new(Parts { status, error, members: Map::new(), headers: HeaderMap::new() }))
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The document, in the language of its reader and under the name of the request.
    pub(super) fn worded(self, language: Language, request_id: &str) -> Response {
        let Parts { status, error, members, headers: own } = *self.0;
        let language = language.code();
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(format!("/docs/problems/{}", error.code())));
        body.insert("title".to_owned(), json!(error.message().in_language(language)));
        body.insert("status".to_owned(), json!(status.as_u16()));
        body.insert("code".to_owned(), json!(error.code()));
        if let Some(help) = error.help() {
            body.insert("help".to_owned(), json!(help.in_language(language)));
        }
        body.insert("request_id".to_owned(), json!(request_id));
        body.extend(members);
        let mut response = (status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        // The body is in the language of the reader, so that caches must tell languages apart.
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language));
        headers.insert(VARY, HeaderValue::from_static("accept-language"));
        headers.extend(own);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Only the door knows the reader; an answer that gets past it says that we broke, and nothing else.
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A path that leads nowhere.
pub(super) fn no_route() -> Problem {
    Problem::of(PublicError::new(
        Class::NotFound,
        "not-found",
        "there is no such thing here",
        "此处没有该资源",
    ))
}

/// A path that takes other methods.
pub(super) fn no_method() -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "method-not-allowed",
        "this path takes other methods",
        "该路径不支持此方法",
    );
    Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// A body or parameter of the wrong form.
pub(crate) fn malformed(en: impl Into<String>, zh: impl Into<String>) -> Problem {
    Problem::of(PublicError::new(Class::Usage, "request-malformed", en, zh))
}

/// The part of a list that is asked for: the entry before which it begins, and its largest number of entries, 50 when not
/// said and never more than `most`.
pub(crate) fn asked_part<Id: FromStr>(
    (cursor, limit): (Option<String>, Option<u32>),
    most: u32,
) -> Result<(Option<Id>, u32), Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=most).contains(&limit) {
        return Err(malformed(format!("`limit` is 1 to {most}"), format!("`limit` 须为 1 至 {most}")));
    }
    let before = cursor.map(|cursor| cursor.parse()).transpose();
    let before = before.map_err(|_| malformed("`cursor` is none of ours", "`cursor` 无效"))?;
    Ok((before, limit))
}

/// The form of every answer that is no success (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// The address of a page that explains the kind of problem.
    #[schema(format = "uri-reference")]
    r#type: String,
    /// A statement of the problem, in the reader's language.
    title: String,
    /// The status again.
    status: u16,
    /// Stable code.
    code: String,
    /// Advice on a request that would be accepted.
    help: Option<String>,
    /// The name of this request in the operator's log.
    request_id: String,
}

/// The answers that every route may give besides its own.
#[derive(Debug)]
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<OpenApiResponse>> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description("A problem document")
            .content("application/problem+json", content)
            .build();
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let retry_after = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("When to ask again, in seconds"))
            .build();
        let later = ResponseBuilder::from(response.clone()).header("Retry-After", retry_after).build();
        let statuses = ["400", "401", "403", "404", "405", "408", "409", "413", "429", "500", "503"];
        let of = |status: &str| if matches!(status, "429" | "503") { &later } else { &response };
        statuses.map(|status| (status.to_owned(), RefOr::T(of(status).clone()))).into()
    }
}
