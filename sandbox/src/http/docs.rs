//! The page over the description of the interface, for people: Swagger UI from files inside the program. It shows the
//! description, loads nothing from elsewhere, and runs no script that stands in a page.

use std::sync::Arc;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::LOCATION;
use axum::http::header::REFERRER_POLICY;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::header::X_FRAME_OPTIONS;
use axum::response::IntoResponse as _;
use axum::response::Response;
use utoipa_swagger_ui::Config;
use utoipa_swagger_ui::SwaggerFile;

use crate::http::problem::Problem;
use crate::http::problem::no_route;

/// The files of the page; the rest of its distribution is not served.
const FILES: [&str; 8] = [
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// Headers of every file: they bound the sources that the page loads, the frames it stands in, and the referrer it sends.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (CACHE_CONTROL, "no-cache"),
];

/// The page's own settings.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // A validator would be told the address of every installation; query parameters would let links change what is shown.
    let config = Config::from("/openapi.json").validator_url("none").query_config_enabled(false);
    Arc::new(config.persist_authorization(false).try_it_out_enabled(false))
});

/// The page.
pub(super) async fn page() -> Result<Response, Problem> {
    file(Path("index.html".to_owned())).await
}

/// The address without its slash, from which the page's files would not be found.
pub(super) async fn to_page() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "/docs/")]).into_response()
}

/// A file of the page, if it is one.
fn served(name: &str) -> Option<SwaggerFile<'static>> {
    let is_ours = FILES.contains(&name);
    is_ours.then(|| utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten())?
}

/// One of the page's files.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = served(&name).ok_or_else(no_route)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    for (header, value) in HEADERS {
        headers.insert(header, HeaderValue::from_static(value));
    }
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    Ok(response)
}
