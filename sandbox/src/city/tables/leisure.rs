//! Culture and tourism: tickets to the sights and nights in hotels, of residents and of visitors.
//! Visitors are people with identity numbers from elsewhere who are in no other dataset.

use super::super::City;
use super::super::dataset::PERIODS;
use super::super::date::Date;
use super::super::date::FESTIVAL;
use super::super::date::NEW_YEAR;
use super::super::date::YEAR_DAYS;
use super::super::geography::Geography;
use super::super::person::Person;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;
use super::open::Spot;

pub(in super::super) const SCENIC: &str = "person_id,spot_id,visit_date,ticket,channel";
pub(in super::super) const HOTELS: &str = "person_id,arrived_on,nights,hotel_class,district_code";

static CHANNELS: [(u32, &str); 4] = [(520, "app"), (230, "gate"), (170, "agency"), (80, "hotel")];
static CLASSES: [(u32, &str); 4] = [(420, "economy"), (330, "comfort"), (170, "upscale"), (80, "homestay")];

/// A travel day: the holidays first, the weekends next.
fn travel_day(draws: &mut Draws, period: u32) -> Option<Date> {
    let nth = match draws.below(100) {
        0..10 => FESTIVAL.start().0.abs_diff(NEW_YEAR.0) + draws.below(8),
        10..22 => 120 + draws.below(5),
        22..36 => 273 + draws.below(8),
        _ => draws.below(YEAR_DAYS),
    };
    (nth * PERIODS / YEAR_DAYS == period).then(|| NEW_YEAR.plus(nth))
}

pub(in super::super) fn scenic(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let mut draws = person.draws(city, Stream::Scenic);
    let count = match (person.home.is_some(), draws.below(1000)) {
        (false, 0..850) => draws.between(1, 3),
        (true, 0..180) => draws.between(1, 3),
        // Holders of a year ticket.
        (true, 180..183) => draws.between(20, 60),
        _ => 0,
    };
    let mut rows = 0;
    for nth in 0..count {
        let mut draws = Draws::event(city.seed, Stream::Scenic, person.index, nth);
        let Some(day) = travel_day(&mut draws, period) else { continue };
        let (id, spot) = Spot::draw(&mut draws);
        let yuan = match person.age {
            0..6 => 0,
            6..18 => spot.ticket / 2,
            18..70 => spot.ticket,
            _ => 0,
        };
        let mut row = Row::new(out);
        row.bytes(&person.identity()).int(id).date(day);
        if draws.permille(10) {
            row.null()
        } else {
            row.cents(yuan * 100)
        };
        row.text(draws.weighted(&CHANNELS)).end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn hotels(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let mut draws = person.draws(city, Stream::Hotel);
    let count = match (person.home.is_some(), draws.below(1000)) {
        (false, 0..560) => 1,
        (false, 560..620) => draws.between(2, 6),
        (true, 0..25) => 1,
        _ => 0,
    };
    let mut rows = 0;
    for nth in 0..count {
        let mut draws = Draws::event(city.seed, Stream::Hotel, person.index, nth);
        let Some(day) = travel_day(&mut draws, period) else { continue };
        let nights =
            u64::from(draws.between(1, 3) + if draws.permille(40) { draws.between(2, 20) } else { 0 });
        let district = Geography::district(&mut draws);
        let mut row = Row::new(out);
        row.bytes(&person.identity()).date(day).int(nights);
        if draws.permille(15) {
            row.null()
        } else {
            row.text(draws.weighted(&CLASSES))
        };
        row.int(u64::from(district.code)).end();
        rows += 1;
    }
    rows
}
