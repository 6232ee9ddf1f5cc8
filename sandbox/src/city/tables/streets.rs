//! Transport and urban management: cars seen at the restriction cameras, fines, and cars parked.
//! Events belong to the car's owner; an event with an unreadable plate has no person.

use super::super::City;
use super::super::dataset::PERIODS;
use super::super::date::Date;
use super::super::date::FESTIVAL;
use super::super::date::NEW_YEAR;
use super::super::date::TRAFFIC_DAYS;
use super::super::date::TRAFFIC_START;
use super::super::date::YEAR_DAYS;
use super::super::geography::Geography;
use super::super::person::Person;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;
use super::open::LOTS_PER_DISTRICT;
use super::open::STATIONS_PER_ZONE;
use super::open::place_code;
use super::open::station_code;
use super::people::car;

pub(in super::super) const PASSAGES: &str = "person_id,station_id,passed_on,passed_at,energy";
pub(in super::super) const FINES: &str = "person_id,station_id,fined_on,amount,points";
pub(in super::super) const SESSIONS: &str = "person_id,lot_id,parked_on,entered_at,minutes,fee";

pub(in super::super) fn passages(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let Some(energy) = car(city, person) else { return 0 };
    let mut draws = person.draws(city, Stream::Passage);
    let count = match draws.below(1000) {
        0..400 => 0,
        400..690 => draws.between(1, 4),
        690..950 => draws.between(5, 14),
        950..996 => draws.between(15, 40),
        _ => draws.between(100, 220),
    };
    let mut rows = 0;
    for nth in 0..count {
        let mut draws = Draws::event(city.seed, Stream::Passage, person.index, nth);
        let Some((day, station)) = passage(&mut draws, person.local, period) else { continue };
        let mut row = Row::new(out);
        if draws.permille(8) {
            row.null()
        } else {
            row.bytes(&person.identity())
        };
        if draws.permille(2) {
            row.null()
        } else {
            row.bytes(&station)
        };
        row.date(day).moment(day, second_of_day(&mut draws, day));
        if draws.permille(5) {
            row.null()
        } else {
            row.text(energy)
        };
        row.end();
        rows += 1;
    }
    rows
}

/// Day and camera of a passage, if it takes place: for Spring Festival those from elsewhere go home and locals go to the
/// lake.
fn passage(draws: &mut Draws, local: bool, period: u32) -> Option<(Date, [u8; 5])> {
    let nth = draws.below(TRAFFIC_DAYS);
    if nth * PERIODS / TRAFFIC_DAYS != period {
        return None;
    }
    let day = TRAFFIC_START.plus(nth);
    let festival = FESTIVAL.contains(&day);
    let (zone, workday, holiday) = match draws.below(100) {
        0..24 => (1, 600, 960),
        24..56 => (2, 860, 420),
        56..84 => (3, 860, 520),
        _ => (4, 780, 740),
    };
    let kept = match (festival, local) {
        (true, true) => holiday,
        (true, false) => holiday * 3 / 10,
        (false, _) if day.is_weekend() => workday * 4 / 5,
        (false, _) => workday,
    };
    draws.permille(kept).then(|| (day, station_code(zone, draws.between(1, STATIONS_PER_ZONE))))
}

fn second_of_day(draws: &mut Draws, day: Date) -> u32 {
    let hour = match draws.below(100) {
        0..30 if !day.is_weekend() => draws.between(7, 8),
        30..60 if !day.is_weekend() => draws.between(16, 18),
        0..92 => draws.between(6, 21),
        _ => draws.between(0, 23),
    };
    hour * 3600 + draws.below(3600)
}

pub(in super::super) fn fines(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    if car(city, person) != Some("fuel") {
        return 0;
    }
    let mut draws = person.draws(city, Stream::Fine);
    let count = match draws.below(1000) {
        0..880 => 0,
        880..980 => 1,
        _ => draws.between(2, 9),
    };
    let mut rows = 0;
    for _ in 0..count {
        let day = TRAFFIC_START.plus(draws.below(TRAFFIC_DAYS));
        // The restriction rests on weekends and over the holiday, so no driver is fined then.
        if day.is_weekend() || FESTIVAL.contains(&day) {
            continue;
        }
        let station = station_code(draws.between(1, 3), draws.between(1, STATIONS_PER_ZONE));
        let second = draws.permille(300);
        Row::new(out)
            .bytes(&person.identity())
            .bytes(&station)
            .date(day)
            .int(if second { 200 } else { 100 })
            .int(if second { 3 } else { 0 })
            .end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn sessions(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    if car(city, person).is_none() {
        return 0;
    }
    let mut draws = person.draws(city, Stream::Parking);
    let count = match draws.below(1000) {
        0..320 => 0,
        320..760 => draws.between(1, 3),
        760..970 => draws.between(4, 10),
        _ => draws.between(20, 70),
    };
    let mut rows = 0;
    for nth in 0..count {
        let mut draws = Draws::event(city.seed, Stream::Parking, person.index, nth);
        let day = draws.below(YEAR_DAYS);
        if day * PERIODS / YEAR_DAYS != period {
            continue;
        }
        let day = NEW_YEAR.plus(day);
        let kind = draws.between(1, LOTS_PER_DISTRICT);
        let district = match person.home {
            Some(village) if draws.permille(520) => village.district,
            _ => Geography::district(&mut draws),
        };
        // Older drivers stay longer: the difference that the parking scene shows.
        let minutes = (draws.heavy(20 + person.age / 3) / 2 + 4).min(2880);
        let mut row = Row::new(out);
        if draws.permille(12) {
            row.null()
        } else {
            row.bytes(&person.identity())
        };
        row.bytes(&place_code(district, kind)).date(day).moment(day, second_of_day(&mut draws, day));
        row.int(minutes);
        if draws.permille(20) {
            row.null()
        } else {
            row.cents(minutes.div_ceil(60).min(20) * 400)
        };
        row.end();
        rows += 1;
    }
    rows
}
