//! Police: the residents' register and private cars.
//! The owners of cars are decided here; traffic and parking ask for them.

use super::super::City;
use super::super::date::NEW_YEAR;
use super::super::person::Person;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;
use super::super::row::push_padded;

pub(in super::super) const RESIDENTS: &str =
    "person_id,name,mobile,sex,birth_date,age,hukou,district_code,village_code";
pub(in super::super) const VEHICLES: &str = "person_id,plate,energy,registered_on,district_code";

pub(in super::super) fn residents(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    let (surname, given) = person.name(city);
    let mut draws = Draws::event(city.seed, Stream::Names, person.index, 0);
    let mut row = Row::new(out);
    row.bytes(&person.identity()).joined(surname, given);
    let has_mobile = person.age >= 10 && !draws.permille(if person.age > 75 { 250 } else { 20 });
    if has_mobile {
        row.bytes(&mobile(&mut draws))
    } else {
        row.null()
    };
    row.text(if person.female { "f" } else { "m" }).date(person.birth).int(u64::from(person.age));
    row.text(if person.local { "local" } else { "elsewhere" }).int(person.district_code());
    match person.home {
        Some(village) if !draws.permille(8) || person.index < 100 => row.int(village.code),
        _ => row.null(),
    };
    row.end();
    1
}

fn mobile(draws: &mut Draws) -> [u8; 11] {
    let mut digits = Vec::with_capacity(11);
    digits.push(b'1');
    push_padded(&mut digits, u64::from(draws.between(3, 9)), 1);
    push_padded(&mut digits, u64::from(draws.below(1_000_000_000)), 9);
    let mut number = [b'0'; 11];
    for (place, digit) in number.iter_mut().zip(digits) {
        *place = digit;
    }
    number
}

/// `Some` if a person drives a car of their own; the text says whether it is electric.
pub(super) fn car(city: &City, person: &Person<'_>) -> Option<&'static str> {
    let share = match person.age {
        0..18 => return None,
        18..25 => 170,
        25..60 => 520,
        60..70 => 330,
        70..80 => 130,
        _ => return None,
    };
    let mut draws = person.draws(city, Stream::Vehicle);
    (person.home.is_some() && draws.permille(share))
        .then(|| if draws.permille(380) { "electric" } else { "fuel" })
}

pub(in super::super) fn vehicles(city: &City, person: &Person<'_>, out: &mut Vec<u8>) -> u32 {
    let Some(energy) = car(city, person) else { return 0 };
    let mut draws = Draws::event(city.seed, Stream::Vehicle, person.index, 0);
    let cars = if draws.permille(70) { 2 } else { 1 };
    for nth in 0..cars {
        let electric = if nth == 0 { energy == "electric" } else { draws.permille(380) };
        let mut row = Row::new(out);
        row.bytes(&person.identity()).bytes(plate(city, person.index * 2 + nth, electric).as_slice());
        row.text(if electric { "electric" } else { "fuel" });
        if draws.permille(10) {
            row.null()
        } else {
            row.date(NEW_YEAR.minus(draws.between(1, 365 * 9)))
        };
        row.int(person.district_code()).end();
    }
    cars
}

/// A number plate that no other car has: multiplication by an odd number that 17 does not divide permutes the 34^5 endings.
fn plate(city: &City, car: u32, electric: bool) -> Vec<u8> {
    const SIGNS: &[u8; 34] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    const ENDINGS: u64 = 34 * 34 * 34 * 34 * 34;
    let mut plate = "浙A".as_bytes().to_vec();
    if electric {
        plate.push(b'D');
    }
    let mut rest = (u64::from(car) + city.seed % 1000) * 48_271 % ENDINGS;
    for _ in 0..5 {
        plate.push(SIGNS.get((rest % 34) as usize).copied().unwrap_or(b'0'));
        rest /= 34;
    }
    plate
}
