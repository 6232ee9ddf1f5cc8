//! Choice of the form of a result that a client wants (RFC 9110, section 12.5.1), and the form that its body has.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::header::CONTENT_TYPE;

use serde_json::Value;
use utoipa::ToSchema;

use crate::app::query::formats::Format;
use crate::http::preference::Preference;
use crate::http::preference::preferences;

/// Bytes of a form that is no text, as the description names them.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Binary(Vec<u8>);

/// A row of a table: its columns by name, as the description names them.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Row(BTreeMap<String, Value>);

/// The best of our forms for an `Accept` header; JSON where nothing is asked for, nothing where none fits.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Format> {
    let Some(wanted) = preferences(headers, &ACCEPT) else { return Some(Format::Json) };
    let mut best = None;
    for format in Format::ALL {
        let liking = liking(&wanted, format);
        if liking.as_ref().is_some_and(|liking| best.as_ref().is_none_or(|(known, _)| liking > known)) {
            best = liking.map(|liking| (liking, format));
        }
    }
    best.map(|(_, format)| format)
}

/// The rank of a form: by the weight of the most specific range that it is in, then by how specific that is, then by how
/// early it stands. `None` if it is not wanted.
fn liking(wanted: &[Preference], format: Format) -> Option<(u16, u8, usize)> {
    let ranges = wanted
        .iter()
        .enumerate()
        .filter_map(|(place, one)| Some((specificity(one, format)?, usize::MAX - place, one.weight)));
    let (specificity, place, weight) = ranges.max()?;
    (weight > 0).then_some((weight, specificity, place))
}

/// The closeness with which a range describes a form; `None` where the form is not in it.
fn specificity(one: &Preference, format: Format) -> Option<u8> {
    let media = format.media_type();
    let (kind, _) = media.split_once('/')?;
    if one.range == "*/*" {
        return Some(0);
    }
    if one.range.strip_suffix("/*") == Some(kind) {
        return Some(1);
    }
    // Our texts are UTF-8; no form of ours has another parameter.
    let is_ours = |(name, value): &(String, String)| {
        name == "charset"
            && value.eq_ignore_ascii_case("utf-8")
            && matches!(format, Format::Json | Format::Csv)
    };
    let fits = one.range == media && one.parameters.iter().all(is_ours);
    fits.then_some(if one.parameters.is_empty() { 2 } else { 3 })
}

/// True if a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    has_media(headers, "application/json")
}

/// True if a body says that it is YAML (RFC 9512).
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
    use axum::http::HeaderValue;
    use proptest::prelude::Strategy;
    use proptest::prelude::any;
    use proptest::proptest;
    use proptest::sample::select;

    use super::*;

    /// A header of pieces that lists are made of, and of any bytes between them.
    fn header() -> impl Strategy<Value = Vec<u8>> {
        let pieces = select(vec![
            "*/*",
            "text/csv",
            "application/json",
            "application/*",
            ",",
            ";",
            "q=",
            "0",
            "1",
            "0.",
            "1.000",
            "\"",
            "\\",
            "=",
            "charset=utf-8",
            "/",
            " ",
            "\t",
        ]);
        let piece = proptest::prop_oneof![
            4 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Any header is answered, and a client that takes one more form is no worse off.
        #[test]
        fn any_header_is_answered(bytes in header()) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT, value);
            let before = negotiate(&headers);
            headers.append(ACCEPT, HeaderValue::from_static("text/csv"));
            let after = negotiate(&headers);
            proptest::prop_assert!(before.is_none() || after.is_some(), "{before:?}, then {after:?}");
        }
    }

    fn wanted(accept: &[&str]) -> Option<Format> {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(ACCEPT, line.parse().unwrap());
        }
        negotiate(&headers)
    }

    #[test]
    fn the_form_with_the_greatest_weight_is_sent() {
        for (accept, form) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("text/csv", Some(Format::Csv)),
            ("TEXT/*", Some(Format::Csv)),
            ("application/*", Some(Format::Json)),
            ("text/html, text/csv;q=0.9, */*;q=0.1", Some(Format::Csv)),
            ("application/vnd.apache.arrow.stream", Some(Format::Arrow)),
            ("application/vnd.apache.parquet;q=0.5, application/json;q=0.4", Some(Format::Parquet)),
            ("image/png", None),
            ("text/csv;q=0", None),
            ("text/csv;q=2", None),
            ("text/html, application/xhtml+xml, image/*;q=0.8", None),
        ] {
            assert_eq!(wanted(&[accept]), form, "{accept}");
        }
        assert_eq!(wanted(&[]), Some(Format::Json));
        assert_eq!(wanted(&["image/png", "text/csv"]), Some(Format::Csv), "lines are one list");
    }

    #[test]
    fn the_most_specific_range_decides_on_a_form() {
        for (accept, form) in [
            // A range that refuses a form is closer to it than one that takes all.
            ("application/json;q=0, */*", Some(Format::Csv)),
            ("*/*, application/json;q=0", Some(Format::Csv)),
            ("application/*;q=0, */*;q=0.1", Some(Format::Csv)),
            ("text/*;q=0, */*;q=0, application/vnd.apache.parquet", Some(Format::Parquet)),
            ("text/*;q=0.9, text/csv;q=0.2, application/json;q=0.5", Some(Format::Json)),
            // Of equal weight, the form that was named comes before one that is merely met, and then the earlier one.
            ("*/*, text/csv", Some(Format::Csv)),
            ("text/csv, application/json", Some(Format::Csv)),
            ("application/json, text/csv", Some(Format::Json)),
        ] {
            assert_eq!(wanted(&[accept]), form, "{accept}");
        }
    }

    #[test]
    fn a_parameter_that_no_form_has_is_not_met() {
        assert_eq!(wanted(&["text/csv; charset=UTF-8"]), Some(Format::Csv));
        assert_eq!(wanted(&["application/json; charset=\"utf-8\""]), Some(Format::Json));
        assert_eq!(wanted(&["text/csv; charset=gb18030"]), None);
        assert_eq!(wanted(&["text/csv; header=absent, application/json;q=0.1"]), Some(Format::Json));
        assert_eq!(wanted(&["text/csv; charset=utf-8; q=0, text/csv"]), None);
    }
}
