//! One typed value of a row, and how departments' spellings of it are read.
//! It never guesses: a text that it cannot read exactly makes a malformed row, and codes with leading zeros stay text.

use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use obscura_policies::vocabulary::DataType;

use crate::storage::error::BadRowReason;
use crate::storage::zone::wall_clock;

/// Most digits a sealed decimal holds: `Decimal128(18, scale)`.
pub(crate) const DECIMAL_PRECISION: u8 = 18;

/// One value on its way into a column.
#[derive(Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Owned(String),
    Int(i64),
    Decimal(i128),
    Float(f64),
    Date(i32),
    Timestamp(i64),
    Bool(bool),
    Token(i64),
    /// A unit key without a form of its own.
    Spelt(SpeltKey),
    /// A word for a missing value, such as `NULL`, where no value can be a word.
    MissingWord,
}

/// The tokens of a unit key without a form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpeltKey {
    /// The sealed token; it differs from `written` if the key was corrected.
    pub(crate) sealed: i64,
    /// Token of the key as it is written.
    pub(crate) written: i64,
    /// Token of its plain form.
    pub(crate) plain: i64,
}

/// Reads one text as a value of the type. The text is already known not to be a null text.
pub(crate) fn parse_cell<'a>(
    text: &'a str,
    data_type: DataType,
    zone: &TimeZone,
) -> Result<Cell<'a>, BadRowReason> {
    match data_type {
        DataType::Text => Ok(Cell::Text(text)),
        DataType::Int => parse_int(&narrow(text)).map(Cell::Int).ok_or(BadRowReason::NotInt),
        DataType::Decimal { scale } => {
            parse_decimal(&narrow(text), scale).map(Cell::Decimal).ok_or(BadRowReason::NotDecimal)
        }
        DataType::Float => parse_float(&narrow(text)).map(Cell::Float).ok_or(BadRowReason::NotFloat),
        DataType::Date => parse_date(&narrow(text)).map(days).map(Cell::Date).ok_or(BadRowReason::NotDate),
        DataType::Timestamp => {
            parse_timestamp(&narrow(text), zone).map(Cell::Timestamp).ok_or(BadRowReason::NotTimestamp)
        }
        DataType::Bool => parse_bool(&narrow(text)).map(Cell::Bool).ok_or(BadRowReason::NotBool),
    }
}

/// Turns full-width forms (U+FF01 to U+FF5E, U+3000) into their ASCII twins.
pub(crate) fn narrow(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() {
        return std::borrow::Cow::Borrowed(text);
    }
    let narrowed = text.chars().map(|c| match c {
        '\u{FF01}'..='\u{FF5E}' => u32::from(c).checked_sub(0xFEE0).and_then(char::from_u32).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    });
    std::borrow::Cow::Owned(narrowed.collect())
}

fn parse_int(text: &str) -> Option<i64> {
    let text = without_currency(text);
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    // Spreadsheets write whole numbers as `12.0` and group thousands with commas.
    let plain = without_thousands(text)?;
    let whole = match plain.split_once('.') {
        Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => plain.as_str(),
    };
    whole.parse().ok()
}

/// Parses an exact decimal with at most `scale` places that matter; more places are malformed, not rounded away.
fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let text = without_thousands(without_currency(text))?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 40)?),
        None => (text.as_str(), 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    let all = whole.bytes().chain(fraction.bytes());
    for byte in all {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    let places = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let shift = i32::from(scale).checked_sub(places)?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let scaled = if shift >= 0 {
        value.checked_mul(power)?
    } else if value % power == 0 {
        value / power
    } else {
        return None;
    };
    let limit = 10_i128.checked_pow(u32::from(DECIMAL_PRECISION))?;
    (scaled < limit).then_some(if negative { -scaled } else { scaled })
}

/// Decimal of a binary float: rounded to the scale, since a float has no exact places to keep.
pub(crate) fn decimal_from_float(value: f64, scale: u8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    parse_decimal(&format!("{value:.*}", usize::from(scale)), scale)
}

/// Decimal of a decimal with another scale.
pub(crate) fn rescale(value: i128, from: i8, to: u8) -> Option<i128> {
    let shift = i32::from(to).checked_sub(i32::from(from))?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let scaled = if shift >= 0 {
        value.checked_mul(power)?
    } else if value % power == 0 {
        value / power
    } else {
        return None;
    };
    let limit = 10_i128.checked_pow(u32::from(DECIMAL_PRECISION))?;
    (scaled.abs() < limit).then_some(scaled)
}

/// A number without the sign or word of the yuan, which changes nothing; `万元` would, and is no number.
fn without_currency(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix(['¥', '￥']).unwrap_or(text);
    text.strip_suffix('元').unwrap_or(text).trim()
}

/// A number as digits, sign and point alone, if sealing reads the text as one.
pub(crate) fn plain_number(text: &str) -> Option<String> {
    let narrowed = narrow(text);
    let plain = without_thousands(without_currency(&narrowed))?;
    plain.parse::<f64>().is_ok_and(f64::is_finite).then_some(plain)
}

/// True if sealing reads a text as a value of the type.
pub(crate) fn reads(text: &str, data_type: DataType) -> bool {
    parse_cell(text, data_type, &TimeZone::UTC).is_ok()
}

fn without_thousands(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.to_owned());
    }
    let whole = text.split('.').next()?.trim_start_matches(['-', '+']);
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let regular = !first.is_empty() && first.len() <= 3 && groups.all(|g| g.len() == 3);
    regular.then(|| text.replace(',', ""))
}

fn parse_float(text: &str) -> Option<f64> {
    without_thousands(without_currency(text))?.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// Reads `2021-02-03`, `2021/2/3`, `2021.2.3`, `20210203`, `2021年2月3日`, each also with a midnight behind it.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let text = text.trim();
    let day = match text.split_once(['T', ' ']) {
        Some((day, time)) if parse_time(time.trim()) == Some(Time::midnight()) => day,
        Some(_) => return None,
        None => text,
    };
    parse_day(day)
}

fn parse_day(text: &str) -> Option<Date> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return civil(text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    }
    let chinese = text.strip_suffix('日').or_else(|| text.strip_suffix('号'));
    if let Some(rest) = chinese {
        let (year, rest) = rest.split_once('年')?;
        let (month, day) = rest.split_once('月')?;
        return civil(year, month, day);
    }
    let separator = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut parts = text.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    // The year stands first: nothing tells which number of `3/4/2021` is the month.
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    civil(year, month, day)
}

fn civil(year: &str, month: &str, day: &str) -> Option<Date> {
    let number = |text: &str| text.trim().parse::<i16>().ok();
    let small = |text: &str| text.trim().parse::<i8>().ok();
    Date::new(number(year)?, small(month)?, small(day)?).ok()
}

fn parse_time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let hour = parts.next()?.parse::<i8>().ok()?;
    let minute = parts.next()?.parse::<i8>().ok()?;
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            (whole.parse::<i8>().ok()?, parse_fraction(fraction)?)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, nanos).ok()
}

fn parse_fraction(digits: &str) -> Option<i32> {
    if digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Reads a local date and time; where an offset is written, it is an instant, stored as the local time of the zone.
fn parse_timestamp(text: &str, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    let Some((day, time)) = text.split_once(['T', ' ']) else {
        return parse_day(text).map(|day| micros(day.to_datetime(Time::midnight())));
    };
    let (time, offset_seconds) = split_offset(time.trim())?;
    let local = micros(parse_day(day)?.to_datetime(parse_time(time.trim())?));
    let Some(offset_seconds) = offset_seconds else { return Some(local) };
    wall_clock(local.checked_sub(offset_seconds.checked_mul(1_000_000)?)?, zone)
}

/// The time and the seconds that its clock is ahead of UTC, where that is written.
fn split_offset(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("UTC")) {
        return Some((time, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, None));
    };
    let (time, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours <= 18 && minutes < 60).then_some((time, Some(sign * (hours * 3600 + minutes * 60))))
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "是" => Some(true),
        "false" | "f" | "no" | "n" | "0" | "否" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01.
pub(crate) fn days(date: Date) -> i32 {
    let epoch = Date::constant(1970, 1, 1);
    epoch.until(date).map_or(0, |span| span.get_days())
}

fn micros(time: DateTime) -> i64 {
    let day = i64::from(days(time.date()));
    let clock = time.time();
    let seconds = i64::from(clock.hour()) * 3600 + i64::from(clock.minute()) * 60 + i64::from(clock.second());
    (day * 86_400 + seconds) * 1_000_000 + i64::from(clock.subsec_nanosecond()) / 1000
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use obscura_policies::vocabulary::DataType;

    use super::Cell;
    use super::decimal_from_float;
    use super::parse_cell;
    use super::rescale;
    use crate::storage::error::BadRowReason;

    fn read(text: &str, data_type: DataType) -> Option<Cell<'_>> {
        parse_cell(text, data_type, &TimeZone::UTC).ok()
    }

    #[test]
    fn codes_with_leading_zeros_stay_text() {
        assert!(read("007", DataType::Text) == Some(Cell::Text("007")));
    }

    #[test]
    fn dates_of_departments_are_read() {
        let same = [
            "2021-02-03",
            "2021/2/3",
            "2021.2.3",
            "20210203",
            "2021年2月3日",
            "２０２１/２/３",
            "2021-02-03 00:00:00",
        ];
        for text in same {
            assert!(read(text, DataType::Date) == Some(Cell::Date(18_661)), "{text}");
        }
        for text in ["2021/13/1", "3/4/2021", "2021-02-30", "yesterday", "2021-02-03 10:00", "", "2021/2"] {
            let read = parse_cell(text, DataType::Date, &TimeZone::UTC);
            assert!(read == Err(BadRowReason::NotDate), "{text}");
        }
    }

    #[test]
    fn timestamps_carry_offsets_and_fractions() {
        assert!(read("1970-01-01 00:00:01.5", DataType::Timestamp) == Some(Cell::Timestamp(1_500_000)));
        assert!(read("1970-01-01T08:00:00+08:00", DataType::Timestamp) == Some(Cell::Timestamp(0)));
        assert!(read("1970-01-02", DataType::Timestamp) == Some(Cell::Timestamp(86_400_000_000)));
        assert!(read("1970/1/1 25:00:00", DataType::Timestamp).is_none());
        assert!(read("1969-12-31 23:59:59", DataType::Timestamp) == Some(Cell::Timestamp(-1_000_000)));
    }

    #[test]
    fn decimals_are_exact() {
        let two = DataType::Decimal { scale: 2 };
        for (text, value) in [
            ("1.5", 150),
            ("-0.01", -1),
            ("1,234.50", 123_450),
            ("１２.３", 1230),
            ("1e2", 10_000),
            ("1.500", 150),
            ("1.50元", 150),
            ("￥1,234.50", 123_450),
        ] {
            assert!(read(text, two) == Some(Cell::Decimal(value)), "{text}");
        }
        for text in
            ["1.555", "", ".", "1,23.4", "abc", "1e99", "1.5万元", "元", "99999999999999999999", "--1"]
        {
            assert!(read(text, two).is_none(), "{text}");
        }
        assert_eq!(decimal_from_float(0.1 + 0.2, 2), Some(30));
        assert_eq!(decimal_from_float(f64::NAN, 2), None);
        assert_eq!(rescale(1500, 3, 2), Some(150));
        assert_eq!(rescale(1501, 3, 2), None);
    }

    #[test]
    fn whole_numbers_are_whole() {
        for (text, value) in [("42", 42), ("-7", -7), ("12.0", 12), ("1,000", 1000), ("４２", 42)] {
            assert!(read(text, DataType::Int) == Some(Cell::Int(value)), "{text}");
        }
        for text in ["1.5", "9223372036854775808", "1,00", "x", ""] {
            assert!(read(text, DataType::Int).is_none(), "{text}");
        }
    }

    #[test]
    fn floats_are_finite_and_bools_are_known_words() {
        assert!(read("1e3", DataType::Float) == Some(Cell::Float(1000.0)));
        assert!(read("inf", DataType::Float).is_none() && read("NaN", DataType::Float).is_none());
        assert!(read("是", DataType::Bool) == Some(Cell::Bool(true)));
        assert!(read("maybe", DataType::Bool).is_none());
    }
}
