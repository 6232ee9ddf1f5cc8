//! Lists of preferences in headers, such as `Accept` and `Accept-Language`: their members with parameters and weights (RFC 9110,
//! sections 5.6 and 12.4.2). It reads lists; which of our forms or languages a member names is decided elsewhere.

use axum::http::HeaderMap;
use axum::http::HeaderName;

/// The weight of a member that gives none, in thousandths.
const FULL_WEIGHT: u16 = 1000;

/// One member of a list of preferences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Preference {
    /// The range that it names, in lower case.
    pub(super) range: String,
    /// The parameters before its weight, names in lower case, in order.
    pub(super) parameters: Vec<(String, String)>,
    /// Its weight in thousandths; zero means "not acceptable".
    pub(super) weight: u16,
}

/// The members of a list, over all lines of the header; nothing where the header is absent or empty.
///
/// A member of another form says nothing and is left out.
pub(super) fn preferences(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<Preference>> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or_default());
    let mut is_empty = true;
    let mut members = Vec::new();
    for member in lines.flat_map(|line| split(line, ',')) {
        if member.is_empty() {
            continue;
        }
        is_empty = false;
        members.extend(preference(member));
    }
    (!is_empty).then_some(members)
}

fn preference(member: &str) -> Option<Preference> {
    let mut parts = split(member, ';').into_iter();
    let range = parts.next().filter(|range| is_range(range))?.to_ascii_lowercase();
    let mut parameters = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        if name.eq_ignore_ascii_case("q") {
            // Nothing that stands behind the weight belongs to the range.
            return Some(Preference { range, parameters, weight: weight(value)? });
        }
        parameters.push((name.to_ascii_lowercase(), unquoted(value)));
    }
    Some(Preference { range, parameters, weight: FULL_WEIGHT })
}

/// A range is made of tokens, of one slash at most.
fn is_range(range: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    range.split('/').count() <= 2 && range.split('/').all(is_token)
}

/// A weight in thousandths: `0` or `1` with up to three digits, none of them above 1.
fn weight(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL_WEIGHT),
        _ => None,
    }
}

/// The parts between separators that stand outside of quotes, without white space around them.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = |c: char| {
        let is_literal = std::mem::take(&mut is_escaped);
        if is_quoted && c == '\\' && !is_literal {
            is_escaped = true;
        }
        is_quoted ^= c == '"' && !is_literal;
        !is_quoted && c == separator
    };
    text.split(is_end).map(|part| part.trim_matches([' ', '\t'])).collect()
}

/// The value of a parameter without its quotes.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use axum::http::header::ACCEPT;

    use super::*;

    fn read(lines: &[&str]) -> Option<Vec<(String, String, u16)>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, line.parse().unwrap());
        }
        let shown = |one: Preference| {
            let parameters: Vec<_> =
                one.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (one.range, parameters.join(";"), one.weight)
        };
        preferences(&headers, &ACCEPT).map(|members| members.into_iter().map(shown).collect())
    }

    fn one(line: &str) -> Option<(String, String, u16)> {
        let mut members = read(&[line])?;
        assert!(members.len() <= 1, "{members:?}");
        members.pop()
    }

    #[test]
    fn a_list_goes_over_lines_and_its_empty_members_do_not_count() {
        let named = |text: &str| (text.to_owned(), String::new(), 1000);
        assert_eq!(read(&["a/b, ,c/d,", "E/F"]), Some(vec![named("a/b"), named("c/d"), named("e/f")]));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["", " , "]), None);
        assert_eq!(read(&["a b, /"]), Some(Vec::new()), "something was said, and nothing of it is a range");
    }

    #[test]
    fn a_weight_is_zero_to_one_in_thousandths() {
        for (text, weight) in [
            ("a;q=0", Some(0)),
            ("a;q=0.", Some(0)),
            ("a;q=0.5", Some(500)),
            ("a ; Q=0.05", Some(50)),
            ("a;\tq=0.001", Some(1)),
            ("a;q=1", Some(1000)),
            ("a;q=1.000", Some(1000)),
            ("a", Some(1000)),
            ("a;q=1.001", None),
            ("a;q=2", None),
            ("a;q=-1", None),
            ("a;q=0.1234", None),
            ("a;q=.5", None),
            ("a;q=NaN", None),
            ("a;q=", None),
            ("a;q", None),
        ] {
            assert_eq!(one(text).map(|member| member.2), weight, "{text}");
        }
    }

    #[test]
    fn parameters_are_those_before_the_weight_and_quotes_hide_separators() {
        let member = one(r#"a/b;Version="1, \"2\";3";charset=utf-8;q=0.3;ext=1"#).unwrap();
        assert_eq!(member, ("a/b".to_owned(), r#"version=1, "2";3;charset=utf-8"#.to_owned(), 300));
    }
}
