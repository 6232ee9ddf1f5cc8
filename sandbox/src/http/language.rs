//! Choice of the language that a client reads best (`Accept-Language`: RFC 9110, section 12.5.4, by the lookup of RFC 4647).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

use crate::config::Language;
use crate::http::preference::Preference;
use crate::http::preference::preferences;

/// The language that a client likes best of those that we write; `ours` where the client has no preference.
pub(super) fn language_of(headers: &HeaderMap, ours: Language) -> Language {
    let wanted = preferences(headers, &ACCEPT_LANGUAGE).unwrap_or_default();
    let other = match ours {
        Language::En => Language::Zh,
        Language::Zh => Language::En,
    };
    if liking(&wanted, other) > liking(&wanted, ours) { other } else { ours }
}

/// The rank of a language: by weight, then named rather than met by `*`, then named earlier. `None` if it is not wanted.
fn liking(wanted: &[Preference], language: Language) -> Option<(u16, bool, usize)> {
    let mut best = None;
    let mut is_excluded = false;
    for (place, one) in wanted.iter().enumerate() {
        let is_named = match one.weight {
            // A refusal is of what it names: a client that refuses `zh-TW` may read `zh`.
            0 => one.range == language.code(),
            // `zh-Hans-CN` is content with `zh`.
            _ => one.range.split('-').next() == Some(language.code()),
        };
        if is_named && one.weight == 0 {
            is_excluded = true;
        } else if is_named {
            best = best.max(Some((one.weight, true, usize::MAX - place)));
        }
    }
    if best.is_some() || is_excluded {
        return best;
    }
    // The place of `*` says nothing: it means each language alike.
    let any = wanted.iter().filter(|one| one.range == "*").map(|one| one.weight).max();
    any.filter(|weight| *weight > 0).map(|weight| (weight, false, 0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn spoken(header: &str, ours: Language) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, axum::http::HeaderValue::from_bytes(header.as_bytes()).unwrap());
        language_of(&headers, ours)
    }

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken() {
        for (header, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("fr, en;q=0.5, zh;q=0.7", Language::Zh),
            ("fr, EN-gb;q=0.5, zh-Hant-TW;q=0.4", Language::En),
            ("en", Language::En),
            ("zh", Language::Zh),
            ("zh;q=0, en;q=0.1", Language::En),
            ("zh;q=0, *", Language::En),
            ("en;q=0, *;q=0.2", Language::Zh),
            ("zh-TW;q=0, zh;q=0.5, en;q=0.1", Language::Zh),
            ("*;q=0.9, zh;q=0.5", Language::En),
            ("*, zh", Language::Zh),
            ("zh, en", Language::Zh),
            ("en, zh", Language::En),
        ] {
            for ours in [Language::En, Language::Zh] {
                assert_eq!(spoken(header, ours), language, "{header}, here {ours:?}");
            }
        }
    }

    #[test]
    fn who_says_nothing_of_our_languages_is_addressed_as_the_settings_have_it() {
        for header in ["", "fr", "*", "zhx, engl", "zh;q=x", "\u{e9},;q=x", "en;q=0", "zh;q=0, en;q=0"] {
            for ours in [Language::En, Language::Zh] {
                assert_eq!(spoken(header, ours), ours, "{header}");
            }
        }
    }
}
