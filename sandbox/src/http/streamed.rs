//! A long body, handed to the connection piece by piece: what is held for it, such as a permit, is held until the last piece
//! is gone, or the client.

use std::io;
use std::time::Duration;
use std::time::Instant;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use futures::stream::unfold;

/// Longest that a body may take; after that its permit goes to another request.
const BODY_WAIT: Duration = Duration::from_secs(15 * 60);
/// Bytes of a body that are handed to the connection at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// An answer with this body, during which `held` is kept.
pub(super) fn streamed(bytes: Bytes, held: impl Send + 'static) -> Response {
    let length = bytes.len();
    let end = Instant::now() + BODY_WAIT;
    let pieces = unfold((bytes, held), move |(mut rest, held)| async move {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        if Instant::now() > end {
            return Some((Err(io::Error::from(io::ErrorKind::TimedOut)), (rest, held)));
        }
        (!piece.is_empty()).then_some((Ok(piece), (rest, held)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::service::limits::ConcurrencyLimit;

    #[tokio::test]
    async fn a_permit_is_taken_until_the_last_piece_is_gone_or_nobody_takes_it() {
        let permits = ConcurrencyLimit::new(1);
        let bytes = Bytes::from(vec![7; 3 * PIECE_BYTES + 1]);
        let response = streamed(bytes.clone(), permits.acquire("lin").unwrap());
        assert_eq!(response.headers()[CONTENT_LENGTH], bytes.len().to_string().as_str());
        assert!(permits.acquire("lin").is_none() && permits.acquire("wang").is_some());
        assert_eq!(axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap(), bytes);
        let left = streamed(bytes, permits.acquire("lin").unwrap());
        assert!(permits.acquire("lin").is_none());
        drop(left);
        assert!(permits.acquire("lin").is_some());
    }
}
