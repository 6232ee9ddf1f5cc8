//! Work and welfare: employment, the festival allowance, the old-age allowance, schools and rented homes.
//! One function decides whether a person works, and every dataset asks it.

use super::super::City;
use super::super::date;
use super::super::date::Date;
use super::super::date::NEW_YEAR;
use super::super::date::YEAR_DAYS;
use super::super::firm::employer;
use super::super::person::Person;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;
use super::open::place_code;

pub(in super::super) const EMPLOYMENT: &str =
    "person_id,enterprise_id,since,contract,migrant,monthly_wage,insured_months";
pub(in super::super) const FESTIVAL: &str = "person_id,paid_on,home_province,amount,district_code";
pub(in super::super) const ALLOWANCE: &str = "person_id,month,age_band,amount,district_code";
pub(in super::super) const ENROLMENT: &str = "person_id,school,stage,boarding,migrant_child,district_code";
pub(in super::super) const RENTALS: &str = "person_id,signed_on,area_m2,monthly_rent,district_code";

static CONTRACTS: [(u32, &str); 4] =
    [(560, "fixed-term"), (270, "open-ended"), (120, "dispatched"), (50, "hourly")];

/// True if a person is employed in the city.
pub(super) fn works(city: &City, person: &Person<'_>) -> bool {
    person.home.is_some() && (18..60).contains(&person.age) && person.draws(city, Stream::Work).permille(700)
}

pub(in super::super) fn employment(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    if !works(city, person) {
        return 0;
    }
    let mut draws = Draws::event(city.seed, Stream::Work, person.index, 0);
    let firm = employer(city, &mut draws);
    let adult_days = (person.age - 17) * 300;
    let months = draws.between(1, 12);
    let wage = (draws.heavy(310_000) / 2 + 230_000).min(10_000_000);
    let mut row = Row::new(out);
    row.bytes(&person.identity()).bytes(&firm.credit_code());
    if draws.permille(14) {
        row.null()
    } else {
        row.date(NEW_YEAR.minus(draws.below(adult_days)))
    };
    row.text(draws.weighted(&CONTRACTS)).flag(!person.local);
    if draws.permille(18) {
        row.null()
    } else {
        row.cents(wage)
    };
    row.int(u64::from(if draws.permille(780) { 12 } else { months })).end();
    1
}

/// Provinces whose workers the city invited to stay over Spring Festival, by their code.
fn province(person: &Person<'_>) -> &'static str {
    match person.region / 10_000 {
        34 => "Anhui",
        41 => "Henan",
        36 => "Jiangxi",
        52 => "Guizhou",
        42 => "Hubei",
        51 => "Sichuan",
        33 => "Zhejiang",
        _ => "other",
    }
}

pub(in super::super) fn festival(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    let mut draws = person.draws(city, Stream::Festival);
    if person.local || !works(city, person) || !draws.permille(260) {
        return 0;
    }
    let amount = draws.weighted(&[(500, "500"), (300, "800"), (200, "1000")]);
    let paid_on = date::FESTIVAL.end().plus(draws.between(10, 40));
    Row::new(out)
        .bytes(&person.identity())
        .date(paid_on)
        .text(province(person))
        .text(amount)
        .int(person.district_code())
        .end();
    1
}

/// Three monthly payments a period; about one in eight of those entitled never applied.
pub(in super::super) fn allowance(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let mut draws = person.draws(city, Stream::Allowance);
    if person.age < 80 || person.home.is_none() || !draws.permille(875) {
        return 0;
    }
    let first = if draws.permille(60) { draws.between(1, 9) } else { 0 };
    let (band, yuan) = if person.age < 90 { ("80-89", 60) } else { ("90-99", 120) };
    let mut rows = 0;
    for month in (period * 3..period * 3 + 3).filter(|month| *month >= first) {
        Row::new(out)
            .bytes(&person.identity())
            .date(Date::month(month))
            .text(band)
            .int(yuan)
            .int(person.district_code())
            .end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn enrolment(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    let (stage, letter) = match person.age {
        6..12 => ("primary", b'P'),
        12..15 => ("middle", b'M'),
        15..18 => ("high", b'H'),
        _ => return 0,
    };
    let mut draws = person.draws(city, Stream::School);
    let Some(village) = person.home.filter(|_| draws.permille(965)) else { return 0 };
    let mut school = [0; 9];
    let code = place_code(village.district, 0);
    let number = b'1' + (village.town_code % 9) as u8;
    for (place, sign) in school.iter_mut().zip(code.into_iter().take(7).chain([letter, number])) {
        *place = sign;
    }
    let mut row = Row::new(out);
    row.bytes(&person.identity()).bytes(&school).text(stage);
    if draws.permille(25) {
        row.null()
    } else {
        row.flag(stage == "high" && draws.permille(600))
    };
    row.flag(!person.local).int(u64::from(village.district.code)).end();
    1
}

pub(in super::super) fn rentals(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    let mut draws = person.draws(city, Stream::Rental);
    let share = if person.local { 45 } else { 460 };
    if person.age < 18 || person.home.is_none() || !draws.permille(share) {
        return 0;
    }
    let area = draws.between(9, 130);
    let rent = (u64::from(area) * u64::from(draws.between(22, 95)) / 10 * 10).clamp(400, 20_000);
    let mut row = Row::new(out);
    row.bytes(&person.identity()).date(NEW_YEAR.plus(draws.below(YEAR_DAYS)));
    if draws.permille(70) {
        row.null()
    } else {
        row.int(u64::from(area))
    };
    row.int(rent).int(person.district_code()).end();
    1
}
