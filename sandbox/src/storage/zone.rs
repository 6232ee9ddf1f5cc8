//! One rule for time in every input: an instant is stored as the clock on the wall shows it in the installation's time zone.
//! A time without zone or offset is that clock already. It knows no calendar and rounds nothing.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND_MICROS: i64 = 1_000_000;

/// The local time of an instant, both in microseconds since 1970.
///
/// Beyond the years that the zone's rules are known for, the first and last of them count.
pub(crate) fn wall_clock(instant_micros: i64, zone: &TimeZone) -> Option<i64> {
    let seconds = instant_micros.div_euclid(SECOND_MICROS);
    let known = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let offset = zone.to_offset(Timestamp::from_second(known).ok()?).seconds();
    instant_micros.checked_add(i64::from(offset).checked_mul(SECOND_MICROS)?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_moved_by_the_offset_of_its_day() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let hour = 3600 * SECOND_MICROS;
        assert_eq!(wall_clock(0, &zone), Some(hour));
        assert_eq!(
            wall_clock(200 * 24 * hour, &zone),
            Some(200 * 24 * hour + hour),
            "no summer time in 1970"
        );
        let summer = 1_720_000_000 * SECOND_MICROS;
        assert_eq!(wall_clock(summer, &zone), Some(summer + 2 * hour));
        assert_eq!(wall_clock(summer, &TimeZone::UTC), Some(summer));
        let far = 253_402_300_799 * SECOND_MICROS;
        assert_eq!(wall_clock(far, &zone), Some(far + hour), "the end of 9999");
        assert_eq!(wall_clock(i64::MAX, &zone), None);
    }
}
