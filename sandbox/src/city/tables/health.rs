//! Health and medical insurance: visits, stays in hospital, and the claims made for them.
//! Claims follow the visits of the same person; a few are billed without a visit, and supervision looks for these.

use super::super::City;
use super::super::dataset::PERIODS;
use super::super::date::Date;
use super::super::date::NEW_YEAR;
use super::super::date::YEAR_DAYS;
use super::super::geography::Geography;
use super::super::person::Person;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;
use super::open::place_code;
use super::work::works;

pub(in super::super) const VISITS: &str = "person_id,visit_date,hospital,clinic,icd10,cost";
pub(in super::super) const STAYS: &str = "person_id,admitted_on,hospital,icd10,nights,cost";
pub(in super::super) const CLAIMS: &str =
    "person_id,claim_date,hospital,setting,fund,amount,reimbursed,district_code";

/// A resident whose dialysis brings more than two hundred visits a year, in every city.
const DIALYSIS_PATIENT: u32 = 77;
/// Residents with a disease that nobody else in the city has.
const RARE_PATIENTS: std::ops::Range<u32> = 40..47;

/// Frequent diagnoses by weight: ICD-10 code, then the clinic that sees it.
static DIAGNOSES: [(u32, &str, &str); 25] = [
    (165, "J06.9", "internal"),
    (95, "I10.x", "internal"),
    (70, "J20.9", "internal"),
    (65, "K29.5", "internal"),
    (60, "E11.9", "endocrine"),
    (55, "M54.5", "orthopaedics"),
    (55, "K02.1", "dental"),
    (50, "L20.9", "dermatology"),
    (45, "J30.4", "ent"),
    (40, "H52.1", "ophthalmology"),
    (40, "M17.9", "orthopaedics"),
    (35, "N39.0", "internal"),
    (35, "I25.1", "cardiology"),
    (30, "G47.0", "neurology"),
    (30, "R51.x", "neurology"),
    (28, "A09.9", "internal"),
    (25, "Z34.9", "obstetrics"),
    (22, "F41.1", "psychiatry"),
    (20, "F32.9", "psychiatry"),
    (4, "N18.5", "internal"),
    (12, "C34.9", "oncology"),
    (12, "C50.9", "oncology"),
    (5, "A16.2", "infectious"),
    (1, "B20.9", "infectious"),
    (1, "G12.2", "neurology"),
];

struct Visit {
    day: Date,
    hospital: [u8; 8],
    clinic: &'static str,
    diagnosis: &'static str,
    cents: u64,
    seen_elsewhere: bool,
}

/// Diagnoses up to this weight come and go; those after it stay with a person.
const PASSING: u32 = 965;
const ANY: u32 = 1000;

fn diagnosis(draws: &mut Draws, end: u32) -> (&'static str, &'static str) {
    let mut left = draws.below(end);
    for (weight, code, clinic) in DIAGNOSES {
        if left < weight {
            return (code, clinic);
        }
        left -= weight;
    }
    ("Z00.0", "internal")
}

/// Visits of a person in the year: most have none or one, a few have two hundred.
fn visit_count(city: &City, person: &Person<'_>) -> u32 {
    if person.home.is_none() {
        return 0;
    }
    let mut draws = person.draws(city, Stream::Illness);
    let mut once = || match draws.below(10_000) {
        0..4300 => 0,
        4300..6900 => 1,
        6900..9450 => draws.between(2, 5),
        9450..9940 => draws.between(6, 20),
        9940..9995 => draws.between(21, 60),
        _ => draws.between(100, 230),
    };
    let count = once();
    match person.index {
        DIALYSIS_PATIENT => 214,
        index if RARE_PATIENTS.contains(&index) => count.max(3),
        _ if person.age < 6 || person.age > 64 => count.max(once()),
        _ => count,
    }
}

/// The day of an event of the year, if it falls into the period that is being written.
fn day_in(draws: &mut Draws, period: u32) -> Option<Date> {
    let day = draws.below(YEAR_DAYS);
    (day * PERIODS / YEAR_DAYS == period).then(|| NEW_YEAR.plus(day))
}

fn visit(city: &City, person: &Person<'_>, nth: u32, period: u32) -> Option<Visit> {
    let mut draws = Draws::event(city.seed, Stream::Visit, person.index, nth);
    let day = day_in(&mut draws, period)?;
    let hospital = hospital(person, &mut draws);
    let mut chronic = person.draws(city, Stream::Illness);
    let (diagnosis, clinic) = match person.index {
        DIALYSIS_PATIENT => ("N18.5", "internal"),
        index if RARE_PATIENTS.contains(&index) => ("E75.2", "neurology"),
        // Half of all visits are for the illness that the person has anyway.
        _ if draws.permille(500) => {
            chronic.bits();
            diagnosis(&mut chronic, ANY)
        }
        _ => diagnosis(&mut draws, PASSING),
    };
    let cents = (draws.heavy(3800) + 500).min(1_000_000);
    Some(Visit { day, hospital, clinic, diagnosis, cents, seen_elsewhere: draws.permille(60) })
}

/// The hospital of the home district mostly, else one anywhere.
fn hospital(person: &Person<'_>, draws: &mut Draws) -> [u8; 8] {
    let kind = if draws.permille(550) { 1 } else { draws.between(2, 3) };
    match person.home {
        Some(village) if draws.permille(650) => place_code(village.district, kind),
        _ => place_code(Geography::district(draws), kind),
    }
}

pub(in super::super) fn visits(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for nth in 0..visit_count(city, person) {
        let Some(visit) = visit(city, person, nth, period) else { continue };
        let mut draws = Draws::event(city.seed, Stream::Illness, person.index, nth);
        let mut row = Row::new(out);
        row.bytes(&person.identity()).date(visit.day).bytes(&visit.hospital);
        if draws.permille(6) {
            row.null()
        } else {
            row.text(visit.clinic)
        };
        if draws.permille(30) {
            row.null()
        } else {
            row.text(visit.diagnosis)
        };
        if draws.permille(10) {
            row.null()
        } else {
            row.cents(visit.cents)
        };
        row.end();
        rows += 1;
    }
    rows
}

struct Stay {
    admitted: Date,
    hospital: [u8; 8],
    diagnosis: &'static str,
    nights: u32,
    cents: u64,
}

fn stay(city: &City, person: &Person<'_>, period: u32) -> Option<Stay> {
    let share = if person.age > 64 { 190 } else { 55 };
    let mut draws = person.draws(city, Stream::Stay);
    if person.home.is_none() || !draws.permille(share) {
        return None;
    }
    let admitted = day_in(&mut draws, period)?;
    let nights = draws.between(1, 6) + if draws.permille(150) { draws.between(5, 40) } else { 0 };
    let cents = (u64::from(nights) * draws.heavy(28_000)).min(20_000_000);
    let hospital = hospital(person, &mut draws);
    Some(Stay { admitted, hospital, diagnosis: diagnosis(&mut draws, ANY).0, nights, cents })
}

pub(in super::super) fn stays(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let Some(stay) = stay(city, person, period) else { return 0 };
    Row::new(out)
        .bytes(&person.identity())
        .date(stay.admitted)
        .bytes(&stay.hospital)
        .text(stay.diagnosis)
        .int(u64::from(stay.nights))
        .cents(stay.cents)
        .end();
    1
}

/// One claim before it is written.
struct Claim {
    day: Date,
    hospital: [u8; 8],
    setting: &'static str,
    cents: u64,
}

pub(in super::super) fn claims(city: &City, person: &Person<'_>, period: u32, out: &mut Vec<u8>) -> u32 {
    let visits = visit_count(city, person);
    let mut rows = 0;
    for nth in 0..visits {
        let insured = Draws::event(city.seed, Stream::Claim, person.index, nth).permille(880);
        let Some(visit) = visit(city, person, nth, period).filter(|visit| insured && !visit.seen_elsewhere)
        else {
            continue;
        };
        let claim =
            Claim { day: visit.day, hospital: visit.hospital, setting: "outpatient", cents: visit.cents };
        rows += write_claim(city, person, &claim, out);
    }
    if let Some(stay) = stay(city, person, period) {
        let day = stay.admitted.plus(stay.nights);
        let claim = Claim { day, hospital: stay.hospital, setting: "inpatient", cents: stay.cents };
        rows += write_claim(city, person, &claim, out);
    }
    let mut phantom = person.draws(city, Stream::Claim);
    if visits == 0 && person.home.is_some() && phantom.permille(24) {
        for _ in 0..phantom.between(1, 3) {
            let Some(day) = day_in(&mut phantom, period) else { continue };
            let hospital = hospital(person, &mut phantom);
            let cents = (phantom.heavy(9000) + 500).min(1_000_000);
            rows += write_claim(city, person, &Claim { day, hospital, setting: "outpatient", cents }, out);
        }
    }
    rows
}

fn write_claim(city: &City, person: &Person<'_>, claim: &Claim, out: &mut Vec<u8>) -> u32 {
    let worker = works(city, person);
    let share = if worker || person.age > 59 { 82 } else { 60 };
    Row::new(out)
        .bytes(&person.identity())
        .date(claim.day)
        .bytes(&claim.hospital)
        .text(claim.setting)
        .text(if worker { "employee" } else { "resident" })
        .cents(claim.cents)
        .cents(claim.cents * share / 100)
        .int(person.district_code())
        .end();
    1
}
