//! Calendar days and local times as plain numbers, for validity, hours and date masks.
//! It knows no time zone and no clock: the caller says what day it is.

use std::fmt;
use std::str::FromStr;

use crate::form::Phrase;
use crate::words::text_form;
use crate::words::words;

/// A day of the proleptic Gregorian calendar: days since 1970-01-01, as Arrow's `Date32` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// A local wall-clock time in the configured time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    /// The day.
    pub day: Day,
    /// Minutes since midnight, 0 to 1,439.
    pub minute: u16,
}

words! {
    /// A part of the calendar that a date is cut to.
    DatePart, "part of a date" {
        /// One hour of a timestamp.
        Hour = "hour",
        /// One day.
        Day = "day",
        /// A week that begins on Monday.
        Week = "week",
        /// A calendar month.
        Month = "month",
        /// A quarter.
        Quarter = "quarter",
        /// A year.
        Year = "year",
    }
}

/// The text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", Phrase::NotADate)]
pub struct DayError;

impl DayError {
    /// The same in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        Phrase::NotADate.chinese()
    }
}

impl Day {
    /// Makes a day from days since 1970-01-01.
    #[must_use]
    pub const fn from_epoch_days(days: i32) -> Self {
        Self(days)
    }

    /// Makes a day from year, month and day of month, if the calendar has it (years 1 to 9999).
    #[must_use]
    pub fn from_ymd(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        if day > days_in_month(year, month) {
            return None;
        }
        Some(Self(epoch_days(year, month, day)))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn epoch_days(self) -> i32 {
        self.0
    }

    /// Year, month and day of month.
    #[must_use]
    pub fn ymd(self) -> (i32, u8, u8) {
        // Days are counted from 0000-03-01 in eras of 400 years, so that the leap day comes last in each year.
        let days = i64::from(self.0) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (
            i32::try_from(year).unwrap_or(i32::MAX),
            u8::try_from(month).unwrap_or(1),
            u8::try_from(day).unwrap_or(1),
        )
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.ymd().0
    }

    /// The first day of the part that this day lies in.
    #[must_use]
    pub fn trunc(self, part: DatePart) -> Self {
        let (year, month, _) = self.ymd();
        match part {
            DatePart::Hour | DatePart::Day => self,
            // 1970-01-01 was a Thursday: three days after a Monday.
            DatePart::Week => Self(self.0 - (self.0 + 3).rem_euclid(7)),
            DatePart::Month => Self(epoch_days(year, month, 1)),
            DatePart::Quarter => Self(epoch_days(year, (month - 1) / 3 * 3 + 1, 1)),
            DatePart::Year => Self(epoch_days(year, 1, 1)),
        }
    }

    /// The first day of the next part.
    #[must_use]
    pub fn next(self, part: DatePart) -> Self {
        let start = self.trunc(part);
        let (year, month, _) = start.ymd();
        match part {
            DatePart::Hour | DatePart::Day => Self(start.0.saturating_add(1)),
            DatePart::Week => Self(start.0.saturating_add(7)),
            DatePart::Month if month == 12 => Self(epoch_days(year + 1, 1, 1)),
            DatePart::Month => Self(epoch_days(year, month + 1, 1)),
            DatePart::Quarter if month >= 10 => Self(epoch_days(year + 1, 1, 1)),
            DatePart::Quarter => Self(epoch_days(year, month + 3, 1)),
            DatePart::Year => Self(epoch_days(year + 1, 1, 1)),
        }
    }

    /// The day `days` later (earlier if negative), unless it overflows.
    #[must_use]
    pub fn checked_add_days(self, days: i32) -> Option<Self> {
        self.0.checked_add(days).map(Self)
    }

    /// January 1 of a year.
    #[must_use]
    pub fn new_year(year: i32) -> Self {
        Self(epoch_days(year, 1, 1))
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn epoch_days(year: i32, month: u8, day: u8) -> i32 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

text_form!(Day);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let mut parts = text.split('-');
        let mut next = |width: usize| -> Result<u16, DayError> {
            let part = parts.next().ok_or(DayError)?;
            if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(DayError);
            }
            part.parse().map_err(|_| DayError)
        };
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        if parts.next().is_some() {
            return Err(DayError);
        }
        let month = u8::try_from(month).map_err(|_| DayError)?;
        let day = u8::try_from(day).map_err(|_| DayError)?;
        Self::from_ymd(i32::from(year), month, day).ok_or(DayError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use super::DatePart;
    use super::Day;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn epoch_is_day_zero() {
        assert_eq!(day("1970-01-01").epoch_days(), 0);
        assert_eq!(day("2000-02-29").epoch_days(), 11_016);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for bad in
            ["2023-02-29", "2024-13-01", "2024-00-10", "2024-1-1", "2024-01-01-", "24-01-01", "0000-01-01"]
        {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_begin_where_the_calendar_says() {
        let d = day("2026-11-21");
        assert_eq!(d.trunc(DatePart::Week), day("2026-11-16"));
        assert_eq!(d.trunc(DatePart::Month), day("2026-11-01"));
        assert_eq!(d.trunc(DatePart::Quarter), day("2026-10-01"));
        assert_eq!(d.trunc(DatePart::Year), day("2026-01-01"));
        assert_eq!(d.next(DatePart::Quarter), day("2027-01-01"));
        assert_eq!(day("2026-12-31").next(DatePart::Month), day("2027-01-01"));
    }

    proptest! {
        #[test]
        fn text_reads_back(days in -700_000_i32..2_900_000) {
            let d = Day::from_epoch_days(days);
            prop_assert_eq!(day(&d.to_string()), d);
        }

        #[test]
        fn a_part_begins_where_it_begins(days in -700_000_i32..2_900_000) {
            let d = Day::from_epoch_days(days);
            for part in [DatePart::Week, DatePart::Month, DatePart::Quarter, DatePart::Year] {
                prop_assert_eq!(d.trunc(part).trunc(part), d.trunc(part));
                prop_assert_eq!(d.next(part).trunc(part), d.next(part));
            }
        }
    }
}
