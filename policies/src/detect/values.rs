//! Checks of values: does a text have the form of an identifier, a code, a date, a number.
//! A check says nothing about the column; the caller weighs how many values pass.

use crate::day::Day;
use crate::detect::hints::Meaning;
use crate::fixed::Fixed;
use crate::identifiers::is_mobile;
use crate::identifiers::is_resident_id;
use crate::identifiers::is_resident_id_15;
use crate::identifiers::luhn_check;
use crate::identifiers::uscc_check;
use crate::vocabulary::DataType;

/// The first characters of number plates: the provinces' short names.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// The most common surnames, which cover most people.
const SURNAMES: &str = "王李张刘陈杨黄赵周吴徐孙马胡朱郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向汤";

/// Characters that divisions of the country end in.
const DIVISIONS: &[&str] = &["省", "市", "区", "县", "镇", "乡", "村", "街道", "路", "号", "弄", "幢", "室"];

/// True if a text has the form of the meaning.
pub(super) fn passes(meaning: Meaning, text: &str) -> bool {
    match meaning {
        Meaning::ResidentId => {
            let upper = text.to_ascii_uppercase();
            is_resident_id(&upper) || is_resident_id_15(&upper)
        }
        Meaning::Uscc => text.bytes().any(|b| b.is_ascii_digit()) && uscc_check(&text.to_ascii_uppercase()),
        Meaning::BankCard => {
            let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
            (16..=19).contains(&digits.len()) && !digits.starts_with('0') && luhn_check(&digits)
        }
        Meaning::Mobile => is_mobile(text.strip_prefix("+86").unwrap_or(text).trim_start_matches('-')),
        Meaning::Plate => is_plate(text),
        Meaning::Icd10 => is_icd10(text),
        Meaning::BirthDate => date(text).is_some_and(|day| (1900..=2100).contains(&day.year())),
        Meaning::Coordinates => is_coordinate(text),
        Meaning::Address => is_address(text),
        Meaning::Name => is_name(text),
        Meaning::Money => text.parse::<Fixed>().is_ok(),
        Meaning::MedicalRecordNo | Meaning::FreeText => false,
    }
}

/// True if an identity, mobile or card number stands somewhere in a longer text.
pub(super) fn holds_identifier(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let upper = word.to_ascii_uppercase();
        word.len() < text.len()
            && (is_resident_id(&upper)
                || is_mobile(word)
                || ((16..=19).contains(&word.len()) && luhn_check(word)))
    })
}

fn is_plate(text: &str) -> bool {
    let characters: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '·' | '-')).collect();
    let [province, city, rest @ ..] = characters.as_slice() else { return false };
    PROVINCES.contains(*province)
        && city.is_ascii_alphabetic()
        && matches!(rest.len(), 5 | 6)
        && rest.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, '学' | '警' | '挂' | '港' | '澳'))
}

fn is_icd10(text: &str) -> bool {
    let bytes = text.as_bytes();
    let head = matches!(bytes, [letter, tens, ones, ..]
        if letter.is_ascii_uppercase() && tens.is_ascii_digit() && ones.is_ascii_digit());
    let tail = bytes.get(3..).unwrap_or_default();
    // `A01` alone is as much a room number: at least the category, and a point before what follows.
    head && match tail {
        [] => true,
        [b'.', rest @ ..] => {
            !rest.is_empty()
                && rest.len() <= 6
                && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'+'))
        }
        _ => false,
    }
}

fn is_coordinate(text: &str) -> bool {
    let degrees = |part: &str| {
        let (_, places) = part.trim().split_once('.').unwrap_or((part, ""));
        let value: Option<f64> = part.trim().parse().ok();
        places.len() >= 3 && value.is_some_and(|value| value.abs() <= 180.0)
    };
    match text.split_once(',') {
        Some((first, second)) => degrees(first) && degrees(second),
        None => degrees(text),
    }
}

fn is_address(text: &str) -> bool {
    let found = DIVISIONS.iter().filter(|word| text.contains(*word)).count();
    text.chars().count() >= 6 && found >= 2 && text.chars().any(is_han)
}

/// Two to four Chinese characters that begin with a common surname.
fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (2..=4).contains(&length)
        && text.chars().all(|c| is_han(c) || c == '·')
        && text.chars().next().is_some_and(|first| SURNAMES.contains(first))
        && !DIVISIONS.iter().any(|word| text.ends_with(word))
}

fn is_han(character: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&character)
}

/// A day written as 2021-02-03, 2021/2/3, 2021.2.3, 20210203 or 2021年2月3日.
#[must_use]
pub(crate) fn date(text: &str) -> Option<Day> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits && text.len() == 8 {
        let part = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
        return Day::from_ymd(
            i32::from(part(0, 4)?),
            u8::try_from(part(4, 6)?).ok()?,
            u8::try_from(part(6, 8)?).ok()?,
        );
    }
    let text = text.strip_suffix('日').unwrap_or(text);
    let mut parts = text.split(['-', '/', '.', '年', '月']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Day::from_ymd(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn is_timestamp(text: &str) -> bool {
    let Some((day, time)) = text.split_once([' ', 'T']) else { return false };
    let mut parts = time.trim_end_matches('Z').split(':');
    let in_range = |part: Option<&str>, max: u8| {
        part.is_some_and(|part| part.len() == 2 && part.parse::<u8>().is_ok_and(|value| value <= max))
    };
    let clock = in_range(parts.next(), 23) && in_range(parts.next(), 59);
    let seconds = parts.next().is_none_or(|part| part.split('.').next().is_some_and(|s| s.len() == 2));
    date(day).is_some() && clock && seconds && parts.next().is_none()
}

/// The narrowest physical type that holds every sample; codes with leading zeros and identifiers stay text.
pub(super) fn data_type(samples: &[String], meaning: Option<Meaning>) -> DataType {
    let text_only = matches!(
        meaning,
        Some(
            Meaning::ResidentId
                | Meaning::Uscc
                | Meaning::BankCard
                | Meaning::Mobile
                | Meaning::Plate
                | Meaning::Icd10
                | Meaning::Name
                | Meaning::Address
                | Meaning::MedicalRecordNo
                | Meaning::FreeText
        )
    );
    if samples.is_empty() || text_only {
        return DataType::Text;
    }
    let all = |check: &dyn Fn(&str) -> bool| samples.iter().all(|text| check(text));
    let has_leading_zero = samples
        .iter()
        .any(|text| text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if all(&|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "是" | "否")) {
        return DataType::Bool;
    }
    // Eight digits are a date only where the name says so, or every number would have to fear the calendar.
    let compact = meaning == Some(Meaning::BirthDate);
    if all(&|text| date(text).is_some() && (compact || !text.bytes().all(|b| b.is_ascii_digit()))) {
        return DataType::Date;
    }
    if all(&is_timestamp) {
        return DataType::Timestamp;
    }
    if has_leading_zero {
        return DataType::Text;
    }
    if all(&|text| text.parse::<i64>().is_ok()) {
        return DataType::Int;
    }
    if all(&|text| text.parse::<Fixed>().is_ok()) {
        let places = samples.iter().filter_map(|text| text.split_once('.')).map(|(_, part)| part.len()).max();
        return DataType::Decimal { scale: places.and_then(|places| u8::try_from(places).ok()).unwrap_or(0) };
    }
    if all(&|text| text.parse::<f64>().is_ok_and(f64::is_finite)) {
        return DataType::Float;
    }
    DataType::Text
}
