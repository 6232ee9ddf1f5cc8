//! One person of the city, derived from seed and index alone, so that every dataset tells of the same people.
//! Nobody here exists: names, numbers and birth dates are drawn.

use obscura_policies::identifiers::resident_id_digit;

use super::City;
use super::date::Civil;
use super::date::Date;
use super::date::NEW_YEAR;
use super::date::YEAR;
use super::date::YEAR_DAYS;
use super::geography::Geography;
use super::geography::Village;
use super::random::Draws;
use super::random::Stream;
use super::row::push_padded;

/// A resident, or (from index `residents` on) a visitor of the city.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub(super) index: u32,
    pub(super) birth: Date,
    born: Civil,
    /// Full years on the last day of the city's year.
    pub(super) age: u32,
    pub(super) female: bool,
    sequence: u32,
    /// Village of residence; visitors have none.
    pub(super) home: Option<&'a Village>,
    /// Registered in the city, rather than come from elsewhere.
    pub(super) local: bool,
    /// Administrative code of the county of first registration.
    pub(super) region: u32,
}

/// Sequence numbers 001 to 998 that tell people of one region and birthday apart.
const SEQUENCES: u32 = 998;
/// Days of an age band of five years.
const BAND_DAYS: u64 = 1826;
/// People of a thousand in each age band, from 0-4 on.
const PYRAMID: [u64; 20] = [34, 40, 40, 42, 60, 78, 90, 90, 86, 80, 76, 72, 60, 52, 40, 27, 18, 10, 4, 1];

/// Regions that people come from, by weight of their number.
static ELSEWHERE: [(u32, u32); 12] = [
    (22, 341_202),
    (12, 340_802),
    (14, 411_602),
    (12, 361_102),
    (9, 520_302),
    (7, 420_102),
    (6, 510_104),
    (6, 330_302),
    (4, 330_702),
    (3, 310_101),
    (3, 320_102),
    (2, 110_105),
];

static SURNAMES: [&str; 24] = [
    "陈", "王", "李", "张", "徐", "沈", "周", "吴", "朱", "俞", "方", "汪", "余", "叶", "何", "洪", "蒋",
    "章", "来", "宋", "诸葛", "钱", "潘", "姚",
];
static GIVEN_NAMES: [&str; 32] = [
    "晓", "明", "芳", "建国", "秀英", "子涵", "浩", "雨桐", "志强", "丽", "梓轩", "桂花", "国平", "小满",
    "思远", "欣", "文博", "春梅", "立夏", "永康", "静", "佳宁", "水根", "阿毛", "一诺", "宇航", "美玲",
    "金凤", "伟", "若溪", "荷", "松年",
];

impl<'a> Person<'a> {
    pub(super) fn new(city: &'a City, index: u32) -> Self {
        let sequence = 1 + (index % SEQUENCES * 389 + 17) % SEQUENCES;
        let birth = birth_date(city, index, sequence);
        let born = birth.civil();
        let mut draws = Draws::new(city.seed, Stream::Origin, u64::from(index));
        let home = if index < city.residents { city.geography.home(city.seed, index) } else { None };
        let local = home
            .is_some_and(|village| draws.permille(if village.district.code < 330_111 { 580 } else { 820 }));
        let region = match home {
            Some(village) if local && draws.permille(850) => village.district.code,
            _ if local => Geography::district(&mut draws).code,
            _ => elsewhere(&mut draws),
        };
        let age = YEAR.saturating_sub(born.year);
        Self { index, birth, born, age, female: sequence.is_multiple_of(2), sequence, home, local, region }
    }

    /// The resident identity number, with its check character.
    pub(super) fn identity(&self) -> [u8; 18] {
        let mut digits = Vec::with_capacity(18);
        push_padded(&mut digits, u64::from(self.region), 6);
        push_padded(&mut digits, u64::from(self.born.year), 4);
        push_padded(&mut digits, u64::from(self.born.month), 2);
        push_padded(&mut digits, u64::from(self.born.day), 2);
        push_padded(&mut digits, u64::from(self.sequence), 3);
        let check = str::from_utf8(&digits).ok().and_then(resident_id_digit);
        checked(&digits, check)
    }

    pub(super) fn name(&self, city: &City) -> (&'static str, &'static str) {
        let mut draws = Draws::new(city.seed, Stream::Names, u64::from(self.index));
        (draws.word(&SURNAMES), draws.word(&GIVEN_NAMES))
    }

    /// Administrative code of the district of residence; 0 for visitors.
    pub(super) fn district_code(&self) -> u64 {
        self.home.map_or(0, |village| u64::from(village.district.code))
    }

    /// Draws of one stream for this person.
    pub(super) fn draws(&self, city: &City, stream: Stream) -> Draws {
        Draws::new(city.seed, stream, u64::from(self.index))
    }
}

/// Birth dates that follow the age pyramid and never meet twice under one sequence number, which keeps identity numbers unique.
///
/// All people of one sequence number share the pyramid in equal slots. A person's day lies in the first half of their slot, so
/// days of neighbouring slots are at least half a slot apart; [`City::RESIDENTS_MAX`] keeps that at a day or more.
fn birth_date(city: &City, index: u32, sequence: u32) -> Date {
    const ONE: u64 = 1 << 32;
    let slots = u64::from(city.people().div_ceil(SEQUENCES));
    let mut shift = Draws::new(city.seed, Stream::Offset, u64::from(sequence));
    let slot = u64::from(index / SEQUENCES) + shift.bits() % slots;
    let jitter = Draws::new(city.seed, Stream::Birth, u64::from(index)).bits() >> 33;
    let position = (slot % slots * ONE + (shift.bits() >> 32) + jitter) % (slots * ONE);
    let mut thousandths = position / slots * 1000;
    for (band, people) in PYRAMID.iter().enumerate() {
        let width = people * ONE;
        if thousandths < width {
            let days = band as u64 * BAND_DAYS + thousandths / people * BAND_DAYS / ONE;
            return NEW_YEAR.plus(YEAR_DAYS - 1).minus(u32::try_from(days).unwrap_or(0));
        }
        thousandths -= width;
    }
    NEW_YEAR
}

/// Seventeen characters and their check character.
pub(super) fn checked(body: &[u8], check: Option<char>) -> [u8; 18] {
    let mut number = [b'X'; 18];
    let check = check.and_then(|check| u8::try_from(check).ok());
    for (place, character) in number.iter_mut().zip(body.iter().copied().chain(check)) {
        *place = character;
    }
    number
}

fn elsewhere(draws: &mut Draws) -> u32 {
    let total = ELSEWHERE.iter().map(|(weight, _)| weight).sum();
    let mut left = draws.below(total);
    for (weight, region) in ELSEWHERE {
        if left < weight {
            return region;
        }
        left -= weight;
    }
    110_101
}
