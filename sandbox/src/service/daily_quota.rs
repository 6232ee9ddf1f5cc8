//! The bytes of refused questions that one person may leave in the log in a day: each question is kept there for as long as
//! the log is. The count is kept in memory only; a restart begins the day anew, and only an operator can restart.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use jiff::Timestamp;

/// Bytes of refused questions that one person may ask in a day.
const BYTES_A_DAY: u64 = 8 * 1024 * 1024;
/// Seconds of a day, of UTC: a quota needs no calendar.
const DAY: i64 = 24 * 60 * 60;

/// The bytes that each person has used up on the day of the last look.
#[derive(Debug, Default)]
pub(crate) struct DailyQuota(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    day: i64,
    bytes: BTreeMap<String, u64>,
}

impl DailyQuota {
    /// Says whether a person may ask on.
    ///
    /// # Errors
    /// Seconds until the next day, when it is used up.
    pub(crate) fn check(&self, person: &str, now: Timestamp) -> Result<(), u64> {
        let used = self.of_day(now);
        if used.bytes.get(person).is_none_or(|bytes| *bytes < BYTES_A_DAY) {
            return Ok(());
        }
        Err((DAY - now.as_second().rem_euclid(DAY)).unsigned_abs())
    }

    /// Notes a refused question.
    pub(crate) fn spend(&self, person: &str, bytes: usize, now: Timestamp) {
        let mut used = self.of_day(now);
        let spent = used.bytes.entry(person.to_owned()).or_default();
        *spent = spent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A panic while the lock was held leaves counts that are still counts.
    fn of_day(&self, now: Timestamp) -> MutexGuard<'_, Used> {
        let day = now.as_second().div_euclid(DAY);
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.day != day {
            *used = Used { day, bytes: BTreeMap::new() };
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_refused_questions_has_an_end_and_the_next_day_begins_anew() {
        let quota = DailyQuota::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 / DAY * DAY + second).unwrap_or_default();
        let half = 4 * 1024 * 1024;
        quota.spend("lin", half, at(60));
        assert_eq!(quota.check("lin", at(61)), Ok(()));
        quota.spend("lin", half, at(62));
        assert_eq!(quota.check("lin", at(DAY - 10)), Err(10));
        assert_eq!(quota.check("wang", at(DAY - 10)), Ok(()), "everybody has their own");
        assert_eq!(quota.check("lin", at(DAY)), Ok(()));
    }
}
