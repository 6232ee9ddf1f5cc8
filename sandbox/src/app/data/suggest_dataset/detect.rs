//! Guesses what a column holds, from its name and values: type, meaning, role and grade.
//! A detector raises a grade and never lowers one: a column of which nothing is known keeps the careful default.

use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::document::TypeWord;
use obscura_policies::fixed::Fixed;
use obscura_policies::identifiers::half_width;
use obscura_policies::identifiers::is_mobile;
use obscura_policies::identifiers::is_resident_id;
use obscura_policies::identifiers::is_resident_id_15;
use obscura_policies::identifiers::luhn_check;
use obscura_policies::identifiers::uscc_check;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Role;

use super::sample::SampleColumn;
use super::sample::percent;
use crate::storage::plain_number;
use crate::storage::reads;

/// Share of the values that must look like something for the column to be taken for it, in percent.
const SHARE_MIN: usize = 90;
/// Numbers with fewer distinct values are taken for codes.
const MEASURE_DISTINCT_MIN: usize = 20;
/// More places than a decimal is drafted with: such numbers are measured, not counted.
const PLACES_MAX: usize = 6;
/// Words in the names of columns of days.
const DAY_WORDS: &[&str] = &["date", "day", "birth", "日期", "时间", "出生", "年月日"];
/// Fewest rows with which it says something that almost every value occurs once.
const UNIQUE_ROWS_MIN: usize = 100;

/// A guess at what a column holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub(super) data_type: TypeWord,
    pub(super) scale: Option<u8>,
    pub(super) semantic: Option<&'static str>,
    pub(super) role: Role,
    /// Place on the grade ladder.
    pub(super) level: u8,
    /// The unit whose key it seems to be.
    pub(super) unit: Option<&'static str>,
    pub(super) range: Option<(Fixed, Fixed)>,
    pub(super) coded: bool,
    pub(super) reason: Text,
}

/// Guesses what a column holds.
pub(super) fn guess(column: &SampleColumn) -> Guess {
    let values: Vec<String> = column.values.iter().flatten().map(|value| written_plainly(value)).collect();
    let plain = plain_guess(&column.name, &values);
    let known = by_value(&values)
        .or_else(|| by_key_name(&column.name, &values, &plain))
        .or_else(|| by_name(&column.name, &plain))
        .or_else(|| by_key_values(&values, &plain));
    match known {
        None => plain,
        // Never below the careful default, whatever a detector says.
        Some(found) => {
            let range = found.range.filter(|_| found.role == Role::Measure);
            Guess { level: found.level.max(plain.level), range, ..found }
        }
    }
}

/// A value in its plain form: without full width, and for a number without the yuan sign and grouping commas.
fn written_plainly(value: &str) -> String {
    let narrowed = half_width(value);
    let has_marks = narrowed.contains([',', '¥', '￥', '元']);
    plain_number(&narrowed).filter(|_| has_marks).unwrap_or(narrowed)
}

/// The careful default: type from the values, grade L3, nothing more claimed than that.
fn plain_guess(name: &str, values: &[String]) -> Guess {
    let (data_type, scale) = type_of(name, values);
    let distinct = distinct_of(values);
    let is_number = matches!(data_type, TypeWord::Int | TypeWord::Decimal | TypeWord::Float);
    let is_measure = is_number && distinct > MEASURE_DISTINCT_MIN;
    let is_unique = values.len() > UNIQUE_ROWS_MIN && distinct * 100 >= values.len() * 99;
    let (role, reason) = if is_unique && !is_number {
        (Role::Identifier, Text::new("almost every value occurs once", "几乎每个值都只出现一次"))
    } else if is_measure {
        (Role::Measure, Text::new("a number with many values", "取值很多的数值"))
    } else {
        (Role::Dimension, Text::new("nothing in particular was found", "未发现特殊含义"))
    };
    let range = is_measure.then(|| range_of(values)).flatten();
    Guess { data_type, scale, semantic: None, role, level: 3, unit: None, range, coded: false, reason }
}

/// The guess from the values, where most have one form or check digit.
fn by_value(values: &[String]) -> Option<Guess> {
    let count_of = |looks_like: fn(&str) -> bool| values.iter().filter(|value| looks_like(value)).count();
    let most = |looks_like: fn(&str) -> bool| {
        !values.is_empty() && count_of(looks_like) * 100 >= values.len() * SHARE_MIN
    };
    let text = |semantic, role, level, en: &str, zh: &str| Guess {
        data_type: TypeWord::Text,
        scale: None,
        semantic: Some(semantic),
        role,
        level,
        unit: None,
        range: None,
        coded: false,
        reason: Text::new(en, zh),
    };
    if most(|value| is_resident_id(value) || is_resident_id_15(value)) {
        let found = text(
            "resident_id",
            Role::UnitKey,
            3,
            "resident identity numbers with valid check characters",
            "居民身份证号，校验码有效",
        );
        let count = count_of(|value| is_resident_id(value) || is_resident_id_15(value));
        let reason = with_share(&found.reason, count, values.len());
        return Some(Guess { unit: Some("resident"), reason, ..found });
    }
    if most(uscc_check) {
        let found = text(
            "uscc",
            Role::UnitKey,
            3,
            "unified social credit codes with valid check characters",
            "统一社会信用代码，校验码有效",
        );
        let reason = with_share(&found.reason, count_of(uscc_check), values.len());
        return Some(Guess { unit: Some("enterprise"), reason, ..found });
    }
    if most(is_mobile) {
        let found = text("mobile", Role::Identifier, 3, "mobile numbers", "手机号码");
        let reason = with_share(&found.reason, count_of(is_mobile), values.len());
        return Some(Guess { reason, ..found });
    }
    if most(|value| (16..=19).contains(&value.len()) && luhn_check(value)) {
        return Some(text(
            "bank_card",
            Role::Identifier,
            4,
            "card numbers with valid Luhn digits",
            "银行卡号，Luhn 校验有效",
        ));
    }
    if most(is_plate) {
        return Some(text("plate", Role::Identifier, 3, "number plates", "车牌号"));
    }
    if most(is_icd10) {
        let found = text("icd10", Role::Sensitive, 3, "codes of diagnoses (ICD-10)", "诊断编码（ICD-10）");
        return Some(Guess { coded: true, ..found });
    }
    None
}

/// Adds to a reason how many of the values it holds for: sealing stops at the others.
fn with_share(reason: &Text, count: usize, values: usize) -> Text {
    let share = percent(count, values);
    Text::new(
        format!("{} ({share} of {values} values)", reason.en),
        format!("{}（{values} 个值中占 {share}）", reason.zh),
    )
}

/// The guess from the column's name, in English or Chinese.
fn by_name(name: &str, plain: &Guess) -> Option<Guess> {
    let name = name.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_number = matches!(plain.data_type, TypeWord::Int | TypeWord::Decimal | TypeWord::Float);
    let is_date = matches!(plain.data_type, TypeWord::Date | TypeWord::Timestamp);
    let found = |semantic, role, level| Guess {
        semantic: Some(semantic),
        role,
        level,
        reason: Text::new("the column's name says so", "依据字段名判断"),
        ..plain.clone()
    };
    if says(&["diagnos", "disease", "诊断", "疾病"]) {
        return Some(Guess { semantic: None, ..found("icd10", Role::Sensitive, 3) });
    }
    if is_date && says(&["birth", "出生"]) {
        return Some(found("birth_date", Role::QuasiIdentifier, 3));
    }
    if is_number
        && says(&[
            "amount", "fee", "cost", "salary", "income", "price", "金额", "费用", "收入", "工资", "单价",
            "元）", "元)",
        ])
    {
        return Some(found("money", Role::Measure, 3));
    }
    if !is_number && !is_date && (name == "name" || says(&["full_name", "姓名"])) {
        return Some(found("name", Role::Identifier, 3));
    }
    if !is_number && says(&["address", "地址", "住址"]) {
        return Some(found("address", Role::QuasiIdentifier, 3));
    }
    if says(&["remark", "note", "comment", "备注", "说明"]) && plain.data_type == TypeWord::Text {
        return Some(found("free_text", Role::Identifier, 3));
    }
    if says(&["age", "sex", "gender", "race", "zip", "年龄", "性别", "民族", "邮编"]) {
        let reason = Text::new("narrows down who somebody is", "可用于缩小人员范围");
        return Some(Guess { role: Role::QuasiIdentifier, reason, ..plain.clone() });
    }
    None
}

/// Columns that say by their name that they hold identifiers. They are no quantity, whatever their digits: a measure may be
/// summed and filtered at its edges, and without a unit every row would count as another subject's.
///
/// A name that says whose identifier it is (`person_id`) is the key of that unit; another is the name of something.
fn by_key_name(name: &str, values: &[String], plain: &Guess) -> Option<Guess> {
    let has_no_digits = matches!(plain.data_type, TypeWord::Date | TypeWord::Timestamp | TypeWord::Bool);
    let words = words_of(name);
    let ends = words.last().is_some_and(|word| KEY_WORDS.contains(&word.as_str()));
    let ends_zh = KEY_WORDS_ZH.iter().any(|word| name.trim().ends_with(word));
    // The rest of such a name tells the meaning better than its end: `zip_code`, `diagnosis_code`.
    let says_more = SAYS_MORE.iter().any(|word| words.iter().any(|said| said.starts_with(word)))
        || SAYS_MORE_ZH.iter().any(|word| name.contains(word));
    if has_no_digits || says_more || !(ends || ends_zh) {
        return None;
    }
    let unit = UNIT_WORDS.iter().find(|(word, _)| {
        if word.is_ascii() { words.iter().any(|said| said == word) } else { name.contains(word) }
    });
    if let Some((_, unit)) = unit {
        let reason = Text::new("the name says whose identifier it is", "字段名称表明是主体标识");
        return Some(key(Role::UnitKey, Some(*unit), reason));
    }
    let is_short_list = distinct_of(values) <= MEASURE_DISTINCT_MIN && !words.iter().any(|word| word == "id");
    // A code with a handful of values is a class, not a subject; it stays text and is no quantity either.
    if is_short_list {
        let reason = Text::new("the name says that it is a code", "依据字段名判断为代码");
        return Some(key(Role::Dimension, None, reason));
    }
    Some(key(
        Role::Identifier,
        None,
        Text::new("the name says that it is an identifier", "依据字段名判断为标识"),
    ))
}

/// Whole numbers of which almost every one occurs once are identifiers too, unless their name says that they are a quantity.
fn by_key_values(values: &[String], plain: &Guess) -> Option<Guess> {
    let is_unique = values.len() > UNIQUE_ROWS_MIN && distinct_of(values) * 100 >= values.len() * 99;
    if plain.data_type != TypeWord::Int || !is_unique {
        return None;
    }
    let reason = Text::new("whole numbers of which almost every one occurs once", "几乎每个整数都只出现一次");
    Some(key(Role::Identifier, None, reason))
}

/// A column of identifiers: text, so that leading zeros stay, and graded by the careful default.
fn key(role: Role, unit: Option<&'static str>, reason: Text) -> Guess {
    Guess {
        data_type: TypeWord::Text,
        scale: None,
        semantic: None,
        role,
        level: 3,
        unit,
        range: None,
        coded: false,
        reason,
    }
}

/// Last words of names that hold identifiers.
const KEY_WORDS: &[&str] = &[
    "id",
    "ids",
    "no",
    "nr",
    "num",
    "number",
    "code",
    "key",
    "uid",
    "uuid",
    "guid",
    "identifier",
    "identity",
];
const KEY_WORDS_ZH: &[&str] = &["号", "号码", "编号", "编码", "代码", "标识"];
/// Words that give a name its meaning, even where it ends like the name of a key.
const SAYS_MORE: &[&str] = &["zip", "age", "sex", "gender", "race", "diagnos", "disease"];
const SAYS_MORE_ZH: &[&str] = &["邮编", "年龄", "性别", "民族", "诊断", "疾病"];
/// Words that say whose identifier it is.
const UNIT_WORDS: &[(&str, &str)] = &[
    ("person", "resident"),
    ("people", "resident"),
    ("resident", "resident"),
    ("citizen", "resident"),
    ("patient", "resident"),
    ("client", "resident"),
    ("customer", "resident"),
    ("member", "resident"),
    ("user", "resident"),
    ("student", "resident"),
    ("pupil", "resident"),
    ("employee", "resident"),
    ("subject", "resident"),
    ("holder", "resident"),
    ("身份证", "resident"),
    ("公民身份", "resident"),
    ("证件", "resident"),
    ("个人", "resident"),
    ("人员", "resident"),
    ("居民", "resident"),
    ("患者", "resident"),
    ("病人", "resident"),
    ("学生", "resident"),
    ("员工", "resident"),
    ("用户", "resident"),
    ("household", "household"),
    ("family", "household"),
    ("家庭", "household"),
    ("enterprise", "enterprise"),
    ("company", "enterprise"),
    ("firm", "enterprise"),
    ("employer", "enterprise"),
    ("企业", "enterprise"),
    ("公司", "enterprise"),
    ("vehicle", "vehicle"),
    ("car", "vehicle"),
    ("车辆", "vehicle"),
];

/// The words of a name: `personId`, `PERSON_ID` and `person-id` are the same two.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for character in name.chars() {
        if !character.is_alphanumeric() {
            before = None;
            continue;
        }
        let goes_on = before.is_some_and(|before| {
            let rises = character.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
            before.is_ascii() == character.is_ascii() && !rises
        });
        if !goes_on {
            words.push(String::new());
        }
        before = Some(character);
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words
}

fn distinct_of(values: &[String]) -> usize {
    values.iter().collect::<BTreeSet<_>>().len()
}

/// The type that sealing reads every value as.
fn type_of(name: &str, values: &[String]) -> (TypeWord, Option<u8>) {
    let all = |is: fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    // A leading zero means a code, which stays text.
    let is_code = |value: &String| {
        value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit())
    };
    if values.iter().any(is_code) {
        return (TypeWord::Text, None);
    }
    // Registers write days as eight digits; whether a number is a day the name says.
    let of_days = DAY_WORDS.iter().any(|word| name.to_lowercase().contains(word));
    let is_compact = |value: &str| value.len() == 8 && value.bytes().all(|b| b.is_ascii_digit());
    if all(|value| reads(value, DataType::Date)) && (of_days || !values.iter().all(|value| is_compact(value)))
    {
        return (TypeWord::Date, None);
    }
    if all(|value| value.parse::<i64>().is_ok()) {
        return (TypeWord::Int, None);
    }
    let places = |value: &String| value.split_once('.').map_or(0, |(_, places)| places.len());
    let scale = values.iter().map(places).max().unwrap_or(0);
    if scale <= PLACES_MAX && all(|value| value.parse::<Fixed>().is_ok()) {
        return (TypeWord::Decimal, u8::try_from(scale).ok());
    }
    if all(|value| reads(value, DataType::Float)) {
        return (TypeWord::Float, None);
    }
    if all(|value| value.contains(':') && reads(value, DataType::Timestamp)) {
        return (TypeWord::Timestamp, None);
    }
    if all(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "false")) {
        return (TypeWord::Bool, None);
    }
    (TypeWord::Text, None)
}

/// The smallest and largest value, widened to a round number, so that the document does not give away the extremes.
fn range_of(values: &[String]) -> Option<(Fixed, Fixed)> {
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.parse().ok()).collect();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = if least >= 0.0 { 0.0 } else { -wider(-least) };
    Some((Fixed::from_f64(low)?, Fixed::from_f64(wider(most.max(0.0)))?))
}

/// The next of 1, 2, 5 times a power of ten that leaves room above.
fn wider(value: f64) -> f64 {
    let mut step = 1.0;
    while step < value * 1.2 && step < 1e15 {
        step *= if step.log10().fract().abs() < 1e-9 {
            2.0
        } else if (step / 2.0).log10().fract().abs() < 1e-9 {
            2.5
        } else {
            2.0
        };
    }
    step
}

fn is_plate(value: &str) -> bool {
    let mut characters = value.chars();
    let province = characters
        .next()
        .is_some_and(|c| "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼".contains(c));
    let office = characters.next().is_some_and(|c| c.is_ascii_uppercase());
    let rest: Vec<char> = characters.collect();
    province && office && matches!(rest.len(), 5 | 6) && rest.iter().all(char::is_ascii_alphanumeric)
}

fn is_icd10(value: &str) -> bool {
    let mut bytes = value.bytes();
    let letter = bytes.next().is_some_and(|b| b.is_ascii_uppercase());
    let digits =
        bytes.next().is_some_and(|b| b.is_ascii_digit()) && bytes.next().is_some_and(|b| b.is_ascii_digit());
    let rest: Vec<u8> = bytes.collect();
    let detail = match rest.split_first() {
        None => true,
        Some((b'.', detail)) => {
            !detail.is_empty() && detail.len() <= 4 && detail.iter().all(u8::is_ascii_alphanumeric)
        }
        Some(_) => false,
    };
    letter && digits && detail
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn guess_of(name: &str, values: &[&str]) -> Guess {
        let values = values.iter().map(|value| Some((*value).to_owned())).collect();
        guess(&SampleColumn { name: name.to_owned(), values })
    }

    #[test]
    fn identity_numbers_and_credit_codes_are_unit_keys_of_their_kind() {
        let resident = guess_of("x", &["11010519491231002X", "350627199711275419"]);
        assert_eq!(
            (resident.semantic, resident.unit, resident.role),
            (Some("resident_id"), Some("resident"), Role::UnitKey)
        );
        let firm = guess_of("x", &["91330100799655058B", "914403001922038216"]);
        assert_eq!((firm.semantic, firm.unit), (Some("uscc"), Some("enterprise")));
    }

    #[test]
    fn numbers_with_one_wrong_check_character_are_no_identity_numbers() {
        let guess = guess_of("x", &["110105194912310021", "350627199711275418"]);
        assert_ne!(guess.semantic, Some("resident_id"));
    }

    #[test]
    fn nothing_is_ever_suggested_below_the_careful_default() {
        for (name, values) in [
            ("anything", vec!["a", "b"]),
            ("sex", vec!["F", "M"]),
            ("visited", vec!["2021/2/3"]),
            ("card", vec!["4111111111111111"]),
            ("empty", vec![]),
        ] {
            assert!(guess_of(name, &values).level >= 3, "{name}");
        }
        assert_eq!(guess_of("card", &["4111111111111111"]).level, 4);
    }

    #[test]
    fn types_follow_the_values_and_codes_with_leading_zeros_stay_text() {
        assert_eq!(guess_of("x", &["1", "2"]).data_type, TypeWord::Int);
        let decimal = guess_of("x", &["1.5", "2.25"]);
        assert_eq!((decimal.data_type, decimal.scale), (TypeWord::Decimal, Some(2)));
        assert_eq!(guess_of("x", &["2021/2/3", "2021-12-31"]).data_type, TypeWord::Date);
        assert_eq!(guess_of("x", &["2021-02-03 10:00:00"]).data_type, TypeWord::Timestamp);
        assert_eq!(guess_of("x", &["007", "010"]).data_type, TypeWord::Text);
        assert_eq!(guess_of("x", &["２０２１"]).data_type, TypeWord::Int, "full-width digits");
    }

    #[test]
    fn a_column_of_identifiers_is_never_drafted_as_a_measure() {
        let numbers: Vec<String> = (0..400).map(|n| (100_000 + n / 3).to_string()).collect();
        let texts: Vec<&str> = numbers.iter().map(String::as_str).collect();
        for name in
            ["person_id", "PERSON_ID", "personId", "Patient-No", "customer number", "人员编号", "人员ID"]
        {
            let guess = guess_of(name, &texts);
            let found = (guess.role, guess.unit, guess.data_type, guess.range, guess.level);
            assert_eq!(found, (Role::UnitKey, Some("resident"), TypeWord::Text, None, 3), "{name}");
        }
        assert_eq!(guess_of("firm_id", &texts).unit, Some("enterprise"));
        for name in ["visit_id", "order no", "ticketCode", "编号"] {
            let guess = guess_of(name, &texts);
            assert_eq!(
                (guess.role, guess.unit, guess.data_type),
                (Role::Identifier, None, TypeWord::Text),
                "{name}"
            );
        }
        let distinct: Vec<String> = (0..400).map(|n| (n * 7 + 3).to_string()).collect();
        let distinct: Vec<&str> = distinct.iter().map(String::as_str).collect();
        assert_eq!(guess_of("x", &distinct).role, Role::Identifier, "by its values alone");
    }

    #[test]
    fn quantities_stay_measures_and_short_codes_dimensions() {
        let amounts: Vec<String> = (0..400).map(|n| (n * 37 % 230).to_string()).collect();
        let amounts: Vec<&str> = amounts.iter().map(String::as_str).collect();
        for name in ["minutes", "casino", "cost", "paid", "x"] {
            assert_eq!(guess_of(name, &amounts).role, Role::Measure, "{name}");
        }
        let codes: Vec<&str> = ["1", "2", "3"].into_iter().cycle().take(300).collect();
        let guess = guess_of("district_code", &codes);
        assert_eq!((guess.role, guess.data_type), (Role::Dimension, TypeWord::Text));
        assert_eq!(guess_of("visit_date_no", &["2021/2/3"]).data_type, TypeWord::Date);
        assert_eq!(words_of("personID2_x"), ["person", "id2", "x"]);
    }

    #[test]
    fn range_is_rounder_and_wider_than_the_extremes() {
        let values: Vec<String> = (0..60).map(|n| (n * 17).to_string()).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let (low, high) = guess_of("cost", &texts).range.unwrap();
        assert_eq!((low.to_string(), high.to_string()), ("0".to_owned(), "2000".to_owned()));
        for (value, wide) in [(0.0, 1.0), (1.0, 2.0), (4.0, 5.0), (5.0, 10.0), (99.0, 200.0)] {
            assert!((wider(value) - wide).abs() < 1e-9, "{value}: {}", wider(value));
        }
    }
}
