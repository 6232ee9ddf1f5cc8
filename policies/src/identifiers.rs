//! Identifiers of people, firms and cards: check digits and the canonical form that tokens are made from.
//! It decides nothing about columns; `detect` does.

use crate::day::Day;

/// Alphabet of the unified social credit code (GB 32100): no I, O, S, V, Z.
pub const USCC_ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

const RESIDENT_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const RESIDENT_CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// The check character of the first 17 digits of a resident identity number (GB 11643, ISO 7064 MOD 11-2).
#[must_use]
pub fn resident_id_digit(body: &str) -> Option<char> {
    if body.len() != RESIDENT_WEIGHTS.len() {
        return None;
    }
    let mut sum = 0;
    for (character, weight) in body.chars().zip(RESIDENT_WEIGHTS) {
        sum += character.to_digit(10)? * weight;
    }
    RESIDENT_CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

/// The check character of the first 17 characters of a unified social credit code (GB 32100).
#[must_use]
pub fn uscc_digit(body: &str) -> Option<char> {
    if body.len() != 17 {
        return None;
    }
    let mut sum = 0;
    let mut weight = 1;
    for byte in body.bytes() {
        sum += USCC_ALPHABET.iter().position(|a| *a == byte)? * weight;
        weight = weight * 3 % 31;
    }
    USCC_ALPHABET.get((31 - sum % 31) % 31).map(|b| char::from(*b))
}

/// The Luhn digit that follows a string of digits.
#[must_use]
pub fn luhn_digit(body: &str) -> Option<char> {
    if body.is_empty() {
        return None;
    }
    let mut sum = 0;
    for (place, character) in body.chars().rev().enumerate() {
        let digit = character.to_digit(10)?;
        let doubled = if place % 2 == 0 { digit * 2 } else { digit };
        sum += doubled / 10 + doubled % 10;
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

fn ends_with_check(value: &str, check: fn(&str) -> Option<char>) -> bool {
    let Some(last) = value.chars().next_back() else { return false };
    value.strip_suffix(last).and_then(check) == Some(last)
}

/// True if the text is a resident identity number of 18 characters with the right check character.
#[must_use]
pub fn resident_id_check(value: &str) -> bool {
    ends_with_check(value, resident_id_digit)
}

/// True if the text is a unified social credit code with the right check character.
#[must_use]
pub fn uscc_check(value: &str) -> bool {
    ends_with_check(value, uscc_digit)
}

/// True if the text is a string of digits that ends in its Luhn digit.
#[must_use]
pub fn luhn_check(value: &str) -> bool {
    ends_with_check(value, luhn_digit)
}

/// True if the text is a resident identity number: 18 characters, right check character, a birth date that exists.
#[must_use]
pub fn is_resident_id(value: &str) -> bool {
    resident_id_check(value) && value.get(6..14).is_some_and(is_compact_date)
}

/// True if the text is an old resident identity number of 15 digits, with a birth date that exists.
#[must_use]
pub fn is_resident_id_15(value: &str) -> bool {
    value.len() == 15
        && value.bytes().all(|b| b.is_ascii_digit())
        && value.get(6..12).is_some_and(|date| is_compact_date(&format!("19{date}")))
}

fn is_compact_date(date: &str) -> bool {
    let part = |from: usize, to: usize| date.get(from..to).and_then(|part| part.parse::<u16>().ok());
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(4, 6), part(6, 8)) else { return false };
    let (Ok(month), Ok(day)) = (u8::try_from(month), u8::try_from(day)) else { return false };
    (1850..=2150).contains(&year) && Day::from_ymd(i32::from(year), month, day).is_some()
}

/// The text with full-width digits, letters and marks in ASCII, without white space at the ends.
#[must_use]
pub fn half_width(raw: &str) -> String {
    let narrowed: String = raw
        .chars()
        .map(|character| match character {
            '\u{3000}' => ' ',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
            other => other,
        })
        .collect();
    narrowed.trim().to_owned()
}

/// The form of an identifier that its token is made from: the same subject written differently gives the same form.
///
/// White space goes, full-width characters become ASCII, letters become upper case; a resident identity number of
/// 15 digits becomes one of 18. A malformed text has no canonical form when the semantic type has a check
/// (`resident_id`, `uscc`, `bank_card`, `mobile`); other types keep their text. An empty text has none.
#[must_use]
pub fn canonical(semantic: &str, raw: &str) -> Option<String> {
    let text = half_width(raw);
    if text.is_empty() {
        return None;
    }
    let compact = || -> String {
        let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        kept.map(|c| c.to_ascii_uppercase()).collect()
    };
    match semantic {
        "resident_id" => {
            let id = compact();
            if is_resident_id_15(&id) {
                return eighteen(&id);
            }
            is_resident_id(&id).then_some(id)
        }
        "uscc" => Some(compact()).filter(|code| uscc_check(code)),
        "bank_card" => Some(compact()).filter(|card| (16..=19).contains(&card.len()) && luhn_check(card)),
        "mobile" => {
            let number = compact();
            let number =
                number.strip_prefix("+86").or_else(|| number.strip_prefix("0086")).unwrap_or(&number);
            is_mobile(number).then(|| number.to_owned())
        }
        "plate" | "medical_record_no" | "icd10" => Some(compact()).filter(|code| !code.is_empty()),
        _ => Some(text),
    }
}

/// True if identifiers of a semantic type have a canonical form: [`canonical`] gives one text for one subject.
#[must_use]
pub fn has_form(semantic: &str) -> bool {
    matches!(semantic, "resident_id" | "uscc" | "bank_card" | "mobile")
}

/// Strips an identifier without a canonical form of everything that departments and their tools add to it:
/// white space, invisible marks, the apostrophe of spreadsheets, full width, kinds of dashes, upper and lower case, and of
/// whole numbers the sign, leading zeros, grouping commas and zeros behind a point.
///
/// Two texts with one plain form need not be one subject: that is for a person to decide. An identifier of which nothing is
/// left stays as it is.
#[must_use]
pub fn plain_form(raw: &str) -> String {
    let text = half_width(raw);
    let mut plain = String::with_capacity(text.len());
    for character in text.chars().filter(|c| !c.is_whitespace() && !is_unseen(*c)) {
        match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' => plain.push('-'),
            // There and back, so that letters with several lower-case forms have one.
            other => {
                let there = other.to_lowercase().flat_map(char::to_uppercase);
                plain.extend(there.flat_map(char::to_lowercase));
            }
        }
    }
    let unquoted = plain.trim_start_matches(['\'', '\u{2018}', '\u{2019}', '`']);
    match whole_number(unquoted) {
        Some(number) => number,
        None if unquoted.is_empty() => text,
        None => unquoted.to_owned(),
    }
}

/// Characters without a width: control and format characters, which editors and web pages leave in what is copied.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The digits of a text that is a whole number, without what does not change it.
fn whole_number(text: &str) -> Option<String> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, zeros) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_grouped = whole.split(',').skip(1).all(|group| group.len() == 3 && are_digits(group))
        && whole.split(',').next().is_some_and(|first| !first.is_empty() && are_digits(first));
    if !is_grouped || zeros.bytes().any(|b| b != b'0') {
        return None;
    }
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    let number = digits.trim_start_matches('0');
    Some(if number.is_empty() { "0".to_owned() } else { number.to_owned() })
}

/// The 18 characters of an old number of 15 digits: the century, and the check character.
fn eighteen(old: &str) -> Option<String> {
    let body = format!("{}19{}", old.get(..6)?, old.get(6..)?);
    resident_id_digit(&body).map(|check| format!("{body}{check}"))
}

/// True if the text is a mobile number: eleven digits, of which the first is 1 and the second 3 to 9.
#[must_use]
pub fn is_mobile(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 11
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes.first() == Some(&b'1')
        && bytes.get(1).is_some_and(|second| *second >= b'3')
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use super::is_resident_id;
    use super::is_resident_id_15;
    use super::luhn_check;
    use super::plain_form;
    use super::resident_id_check;
    use super::uscc_check;

    #[test]
    fn vectors_of_the_reference_are_valid() {
        for id in ["11010519491231002X", "350627199711275419"] {
            assert!(resident_id_check(id) && is_resident_id(id), "{id}");
        }
        for code in ["91330100799655058B", "914403001922038216", "91350100M000100Y43"] {
            assert!(uscc_check(code), "{code}");
        }
        for card in ["4111111111111111", "79927398713"] {
            assert!(luhn_check(card), "{card}");
        }
    }

    #[test]
    fn any_changed_character_is_found() {
        for (value, check) in [
            ("350627199711275419", resident_id_check as fn(&str) -> bool),
            ("91330100799655058B", uscc_check),
            ("4111111111111111", luhn_check),
        ] {
            for place in 0..value.len() {
                let mut bytes = value.as_bytes().to_vec();
                bytes[place] = if bytes[place] == b'7' { b'2' } else { b'7' };
                let changed = String::from_utf8(bytes).unwrap();
                assert!(changed == value || !check(&changed), "{changed}");
            }
        }
    }

    #[test]
    fn what_has_no_check_digit_is_not_valid() {
        for bad in ["", "X", "1101051949123100", "11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ"]
        {
            assert!(!resident_id_check(bad), "{bad}");
        }
        assert!(!luhn_check("7") && !luhn_check("") && !uscc_check("9133010079965505IB"));
        assert!(!is_resident_id("350627199713275411"), "there is no month 13");
    }

    #[test]
    fn one_subject_has_one_canonical_form() {
        let expected = Some("11010519491231002X".to_owned());
        for raw in [
            "11010519491231002X",
            " 11010519491231002x\t",
            "１１０１０５１９４９１２３１００２Ｘ",
            "110105 19491231 002x",
        ] {
            assert_eq!(canonical("resident_id", raw), expected, "{raw}");
        }
        assert!(is_resident_id_15("110105491231002"));
        assert_eq!(canonical("resident_id", "110105491231002"), expected, "fifteen digits become eighteen");
        assert_eq!(canonical("mobile", "+86 138-0013-8000").as_deref(), Some("13800138000"));
        assert_eq!(canonical("uscc", "91350100m000100y43").as_deref(), Some("91350100M000100Y43"));
    }

    #[test]
    fn one_plain_form_lies_behind_what_tools_make_of_a_key() {
        for raw in [
            "8888",
            "08888",
            "0008888",
            "8888.0",
            "8888.",
            "8,888",
            "8,888.00",
            "+8888",
            "８８８８",
            " 8888\t",
            "'8888",
            "88\u{200b}88",
            "\u{feff}8888",
            "\u{200f}8888\u{200e}",
            "8888\u{ad}",
            "88 88",
            "8888\u{a0}",
            "8888\0",
        ] {
            assert_eq!(plain_form(raw), "8888", "{raw:?}");
        }
        for raw in ["a-17", "A-17", "A\u{2013}17", "Ａ－１７", "\u{2066}a-17\u{2069}"] {
            assert_eq!(plain_form(raw), "a-17", "{raw:?}");
        }
        assert_eq!(plain_form("ẞ7"), plain_form("ß7"));
    }

    #[test]
    fn other_keys_stay_apart_and_none_is_lost() {
        for (one, other) in [
            ("8888", "88880"),
            ("8888", "8888.5"),
            ("8888", "-8888"),
            ("8888", "8888a"),
            ("88,88", "8888"),
            ("0", ""),
        ] {
            assert_ne!(plain_form(one), plain_form(other), "{one} {other}");
        }
        assert_eq!((plain_form("000").as_str(), plain_form("0.0").as_str()), ("0", "0"));
        assert_eq!(plain_form("\u{200b}"), "\u{200b}");
        for text in ["", "'", "8888", "A-17", "0", "\u{200b}x"] {
            assert_eq!(plain_form(&plain_form(text)), plain_form(text), "{text:?}");
        }
    }

    #[test]
    fn malformed_identifiers_have_no_canonical_form() {
        assert_eq!(canonical("resident_id", "11010519491231002Y"), None);
        assert_eq!(canonical("resident_id", "110105491331002"), None);
        assert_eq!(canonical("mobile", "12800138000"), None);
        assert_eq!(canonical("uscc", "91350100M000100Y44"), None);
        assert_eq!(canonical("medical_record_no", " \u{3000} "), None);
        assert_eq!(canonical("local", "  Abc "), Some("Abc".to_owned()));
    }
}
