//! One enterprise of the city, derived from seed and index alone.
//! Two giants rule one sector on purpose: the dominance rule must hide their turnover.

use obscura_policies::identifiers::uscc_digit;

use super::City;
use super::date::Date;
use super::date::NEW_YEAR;
use super::geography::DISTRICTS;
use super::geography::District;
use super::geography::Geography;
use super::person::checked;
use super::random::Draws;
use super::random::Stream;
use super::row::push_padded;

/// An enterprise registered in the city.
#[derive(Debug)]
pub(super) struct Firm {
    pub(super) sector: &'static str,
    pub(super) district: &'static District,
    pub(super) founded: Date,
    pub(super) size: &'static str,
    pub(super) staff: u64,
    /// Turnover of an ordinary quarter, in thousand yuan.
    pub(super) turnover: u64,
    organisation: u64,
}

/// The sector of the two giants.
pub(super) const GIANT_SECTOR: &str = "platform";
/// Ordinary enterprises in [`GIANT_SECTOR`] at most, so that the giants rule it at every scale.
const PLATFORM_MAX: u32 = 300;

static SECTORS: [(u32, &str); 11] = [
    (210, "wholesale-retail"),
    (170, "manufacturing"),
    (120, "software"),
    (100, "catering-lodging"),
    (90, "construction"),
    (80, "business-services"),
    (70, "logistics"),
    (60, "textiles"),
    (40, "biomedicine"),
    (35, "real-estate"),
    (25, "agriculture"),
];

impl Firm {
    pub(super) fn new(city: &City, index: u32) -> Self {
        let mut draws = Draws::new(city.seed, Stream::Firm, u64::from(index));
        let platform = draws.below(city.firms.max(1)) < PLATFORM_MAX.min(city.firms / 25);
        let common = draws.weighted(&SECTORS);
        let sector = if platform || index < 2 { GIANT_SECTOR } else { common };
        let (size, staff, turnover) = match (index, platform) {
            (0, _) => ("large", 48_000, 4_300_000),
            (1, _) => ("large", 21_000, 2_200_000),
            (_, true) => ("small", u64::from(draws.between(3, 60)), draws.heavy(240)),
            _ => ordinary_size(&mut draws),
        };
        let district = if index == 0 { &DISTRICTS[5] } else { Geography::district(&mut draws) };
        let founded = NEW_YEAR.minus(draws.between(40, 365 * 24));
        Self { sector, district, founded, size, staff, turnover, organisation: organisation(city, index) }
    }

    /// The unified social credit code, with both of its check characters.
    pub(super) fn credit_code(&self) -> [u8; 18] {
        let mut characters = Vec::with_capacity(18);
        characters.extend_from_slice(b"91");
        push_padded(&mut characters, u64::from(self.district.code), 6);
        push_padded(&mut characters, self.organisation, 8);
        characters.push(organisation_check(characters.get(8..).unwrap_or_default()));
        let check = str::from_utf8(&characters).ok().and_then(uscc_digit);
        checked(&characters, check)
    }
}

fn ordinary_size(draws: &mut Draws) -> (&'static str, u64, u64) {
    match draws.below(1000) {
        0..8 => ("large", u64::from(draws.between(300, 3000)), draws.heavy(60_000)),
        8..60 => ("medium", u64::from(draws.between(100, 300)), draws.heavy(9000)),
        60..320 => ("small", u64::from(draws.between(10, 99)), draws.heavy(1200)),
        _ => ("micro", u64::from(draws.between(1, 9)), draws.heavy(110)),
    }
}

/// The enterprise of a worker: the giants first, then ever smaller ones.
pub(super) fn employer(city: &City, draws: &mut Draws) -> Firm {
    let index = match draws.below(100) {
        0..6 => 0,
        6..9 => 1,
        _ => {
            let rank = u64::from(draws.below(1 << 16));
            let share = (rank * rank) >> 16;
            u32::try_from((share * u64::from(city.firms)) >> 16).unwrap_or(0)
        }
    };
    Firm::new(city, index)
}

/// Eight digits that no other enterprise has: multiplication by a unit modulo a prime is a permutation.
fn organisation(city: &City, index: u32) -> u64 {
    const PRIME: u64 = 99_999_989;
    (u64::from(index) + 1 + city.seed % 1_000_000) % PRIME * 48_271 % PRIME
}

/// The check character of an organisation code, GB 11714.
fn organisation_check(digits: &[u8]) -> u8 {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        check => b'0' + (check % 10) as u8,
    }
}
