//! Calendar months, in which documents state the time that data covers: too coarse to be a date of a person.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::day::Day;
use crate::form::Phrase;
use crate::words::text_form;

/// A month of the Gregorian calendar, written `2026-12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", Phrase::NotAMonth)]
pub struct MonthError;

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        // The first of the month is a day exactly when the month is one.
        let first: Day = format!("{text}-01").parse().map_err(|_| MonthError)?;
        let (year, month, _) = first.ymd();
        Ok(Self { year: u16::try_from(year).map_err(|_| MonthError)?, month })
    }
}

text_form!(Month);

/// First and last month of something; without a last one it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Months {
    /// First month.
    pub from: Month,
    /// Last month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Month>,
}

impl Months {
    /// True if the last month is not before the first.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.until.is_none_or(|until| self.from <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::Month;
    use super::Months;

    #[test]
    fn only_months_are_months() {
        let month = |text: &str| text.parse::<Month>().map(|month| month.to_string());
        assert_eq!(month("2026-12").as_deref(), Ok("2026-12"));
        for wrong in ["2026", "2026-13", "2026-00", "2026-1", "26-01", "2026-12-01", "", "2026-12-"] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_ends_after_it_begins() {
        let months = |from: &str, until: Option<&str>| Months {
            from: from.parse().unwrap(),
            until: until.map(|until| until.parse().unwrap()),
        };
        assert!(months("2026-12", Some("2026-12")).is_in_order() && months("2026-12", None).is_in_order());
        assert!(!months("2026-12", Some("2026-11")).is_in_order());
    }
}
