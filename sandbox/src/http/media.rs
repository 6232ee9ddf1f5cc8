//! Which form of a result a client wants (RFC 9110, section 12.5.1), and which form its body has.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::header::CONTENT_TYPE;

use crate::app::formats::Format;

/// The best of our forms for an `Accept` header; JSON where nothing is asked for, nothing where none fits.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Format> {
    let Some(accept) = headers.get(ACCEPT) else { return Some(Format::Json) };
    let accept = accept.to_str().ok()?;
    let mut best: Option<(f32, Format)> = None;
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok())?;
        let format = match range.as_str() {
            "*/*" | "application/*" => Some(Format::Json),
            "text/*" => Some(Format::Csv),
            _ => Format::ALL.into_iter().find(|format| format.media_type() == range),
        };
        if let Some(format) = format
            && weight > 0.0
            && best.is_none_or(|(known, _)| weight > known)
        {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    has_media(headers, "application/json")
}

/// Whether a body says that it is YAML (RFC 9512).
pub(super) fn is_yaml(headers: &HeaderMap) -> bool {
    has_media(headers, "application/yaml")
}

fn has_media(headers: &HeaderMap, wanted: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn the_form_with_the_greatest_weight_is_sent() {
        assert_eq!(negotiate(&HeaderMap::new()), Some(Format::Json));
        assert_eq!(wanted("*/*"), Some(Format::Json));
        assert_eq!(wanted("text/csv"), Some(Format::Csv));
        assert_eq!(wanted("text/html, text/csv;q=0.9, */*;q=0.1"), Some(Format::Csv));
        assert_eq!(wanted("application/vnd.apache.arrow.stream"), Some(Format::Arrow));
        assert_eq!(
            wanted("application/vnd.apache.parquet;q=0.5, application/json;q=0.4"),
            Some(Format::Parquet)
        );
        assert_eq!(wanted("image/png"), None);
        assert_eq!(wanted("text/csv;q=0"), None);
    }
}
