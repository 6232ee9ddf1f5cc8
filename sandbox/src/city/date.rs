//! Calendar days of the demo city as plain integers.
//! No clock and no time zone: the city's year is fixed.

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub(super) i32);

/// A day as year, month, day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
}

/// The year that every event of the city falls into.
pub(super) const YEAR: u32 = 2025;
/// Days of [`YEAR`].
pub(super) const YEAR_DAYS: u32 = 365;
/// 1 January of [`YEAR`].
pub(super) const NEW_YEAR: Date = Date(20_089);
/// Monday, 6 January: the first day of the traffic records.
pub(super) const TRAFFIC_START: Date = Date(20_094);
/// Days of the traffic records: seven whole weeks.
pub(super) const TRAFFIC_DAYS: u32 = 49;
/// 28 January to 4 February: the Spring Festival holiday.
pub(super) const FESTIVAL: std::ops::RangeInclusive<Date> = Date(20_116)..=Date(20_123);

impl Date {
    pub(super) fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(i32::try_from(days).unwrap_or(i32::MAX)))
    }

    pub(super) fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX)))
    }

    /// Monday 0 to Sunday 6.
    pub(super) fn weekday(self) -> u32 {
        (self.0 + 3).rem_euclid(7).unsigned_abs()
    }

    pub(super) fn is_weekend(self) -> bool {
        self.weekday() >= 5
    }

    /// Year, month and day, for days from 1600 on.
    pub(super) fn civil(self) -> Civil {
        let days = (self.0 + 719_468).unsigned_abs();
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Civil { year: era * 400 + year_of_era + u32::from(month <= 2), month, day }
    }

    /// The first day of the `nth` quarter (from 0) of [`YEAR`].
    pub(super) fn quarter(nth: u32) -> Self {
        NEW_YEAR.plus(match nth {
            0 => 0,
            1 => 90,
            2 => 181,
            _ => 273,
        })
    }

    /// The first day of the `nth` month (from 0) of [`YEAR`].
    pub(super) fn month(nth: u32) -> Self {
        const STARTS: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        NEW_YEAR.plus(STARTS.get(nth as usize).copied().unwrap_or(0))
    }
}
