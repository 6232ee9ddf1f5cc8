//! Downloads of tables, results and open data alike: in the form that the client asks for, piece by piece, or not at all when
//! it has this very table already.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::ETAG;
use axum::http::header::IF_NONE_MATCH;
use axum::http::header::RETRY_AFTER;
use axum::http::header::VARY;
use axum::response::IntoResponse as _;
use axum::response::Response;

use crate::app::query::formats::Format;
use crate::app::query::formats::encode_stream;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::problem::Problem;
use crate::http::streamed::streamed;
use crate::installation::Installation;

/// Hands a table out, an Arrow stream that is fetched only when the client does not have it. `held` is given back
/// when the last piece is gone.
pub(super) async fn hand_out(
    installation: &Installation,
    headers: &HeaderMap,
    etag: &str,
    format: Format,
    held: impl Send + 'static,
    table: impl Future<Output = Result<Vec<u8>, AppError>>,
) -> Result<Response, AppError> {
    let mut response = if knows(headers, etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let table = table.await?;
        let bytes = installation.blocking(|| encode_stream(table, format))?;
        let mut response = streamed(Bytes::from(bytes), held);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        response
    };
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Says if the client has this very thing already (RFC 9110, section 13.1.2).
pub(super) fn knows(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    known.split(',').any(|one| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == etag)
}

/// A form of a table that we do not write.
pub(super) fn no_such_form() -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "format-not-available",
        "results come as application/json, text/csv, application/vnd.apache.arrow.stream or application/vnd.apache.parquet",
        "结果格式可为 application/json、text/csv、application/vnd.apache.arrow.stream 或 application/vnd.apache.parquet",
    );
    Problem::with_status(StatusCode::NOT_ACCEPTABLE, error)
}

/// As many downloads are under way as there may be.
pub(super) fn too_many_downloads() -> Problem {
    let error = PublicError::new(
        Class::Usage,
        "too-many-downloads",
        "as many downloads are under way as there may be",
        "正在进行的下载已达上限",
    )
    .with_help("wait until one of them has ended", "请等待其中之一结束");
    Problem::with_status(StatusCode::TOO_MANY_REQUESTS, error)
        .header(RETRY_AFTER, HeaderValue::from_static("1"))
}
