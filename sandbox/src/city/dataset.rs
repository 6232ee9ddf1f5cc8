//! The list of the city's datasets: identifier, columns, and the table function that writes it.
//! The dataset documents say what the columns mean and how they are graded.

use super::City;
use super::person::Person;
use super::tables::firms;
use super::tables::health;
use super::tables::leisure;
use super::tables::open;
use super::tables::people;
use super::tables::streets;
use super::tables::work;

/// A dataset of the demo city.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CityDataset {
    /// Districts and counties, open.
    Districts,
    /// Villages and neighbourhoods, open.
    Divisions,
    /// The days of the year with holidays, open.
    Calendar,
    /// Everybody who lives in the city.
    Residents,
    /// Private cars by their owner.
    Vehicles,
    /// Hospitals, open.
    Hospitals,
    /// Visits to a doctor.
    OutpatientVisits,
    /// Nights in hospital.
    HospitalStays,
    /// Claims billed to medical insurance.
    Claims,
    /// Camera stations of the restriction zones, open.
    Stations,
    /// Cars seen at the stations around Spring Festival.
    Passages,
    /// Fines for driving on a restricted day.
    Fines,
    /// Public car parks, open.
    ParkingLots,
    /// Cars parked in them.
    ParkingSessions,
    /// Sights, open.
    Spots,
    /// Tickets to the sights.
    ScenicVisits,
    /// Nights in hotels.
    HotelStays,
    /// Employees by enterprise.
    Employment,
    /// The Spring Festival allowance for migrant workers who stayed.
    StaySubsidies,
    /// Monthly allowance from eighty years on.
    OldAgeAllowance,
    /// Grants to enterprises.
    Subsidies,
    /// The enterprise register.
    Enterprises,
    /// Quarterly returns of enterprises.
    EnterpriseTax,
    /// Pupils.
    Enrolment,
    /// Rental contracts.
    Rentals,
}

/// The rows that a step writes.
enum Subjects {
    /// The whole table at once; only the small open ones.
    Whole(fn(&mut Vec<u8>) -> u32),
    /// The division register needs the built territory.
    Territory(fn(&City, &mut Vec<u8>) -> u32),
    /// One resident a step.
    Residents(fn(&City, &Person<'_>, &mut Vec<u8>) -> u32),
    /// One person a step, four times: files arrive by quarter, not by person.
    Events(fn(&City, &Person<'_>, u32, &mut Vec<u8>) -> u32),
    /// One enterprise a step.
    Firms(fn(&City, u32, &mut Vec<u8>) -> u32),
}

/// Parts in which events arrive.
pub(super) const PERIODS: u32 = 4;

impl CityDataset {
    /// All datasets, open tables of a department first.
    pub const ALL: [Self; 25] = [
        Self::Districts,
        Self::Divisions,
        Self::Calendar,
        Self::Residents,
        Self::Vehicles,
        Self::Hospitals,
        Self::OutpatientVisits,
        Self::HospitalStays,
        Self::Claims,
        Self::Stations,
        Self::Passages,
        Self::Fines,
        Self::ParkingLots,
        Self::ParkingSessions,
        Self::Spots,
        Self::ScenicVisits,
        Self::HotelStays,
        Self::Employment,
        Self::StaySubsidies,
        Self::OldAgeAllowance,
        Self::Subsidies,
        Self::Enterprises,
        Self::EnterpriseTax,
        Self::Enrolment,
        Self::Rentals,
    ];

    /// Identifier, `department.name`.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.facts().0
    }

    /// Column names, separated by commas: the first line of the CSV.
    #[must_use]
    pub fn header(self) -> &'static str {
        self.facts().1
    }

    /// Steps that write the whole dataset.
    pub(super) fn steps(self, city: &City) -> u64 {
        match self.facts().2 {
            Subjects::Whole(_) | Subjects::Territory(_) => 1,
            Subjects::Residents(_) => u64::from(city.residents),
            Subjects::Events(_) => u64::from(city.people()) * u64::from(PERIODS),
            Subjects::Firms(_) => u64::from(city.firms),
        }
    }

    /// Appends the rows of one step and returns their number.
    pub(super) fn append(self, city: &City, step: u64, out: &mut Vec<u8>) -> u32 {
        let index = |step: u64| u32::try_from(step).unwrap_or(u32::MAX);
        match self.facts().2 {
            Subjects::Whole(write) => write(out),
            Subjects::Territory(write) => write(city, out),
            Subjects::Residents(write) => write(city, &Person::new(city, index(step)), out),
            Subjects::Events(write) => {
                let people = u64::from(city.people());
                write(city, &Person::new(city, index(step % people)), index(step / people), out)
            }
            Subjects::Firms(write) => write(city, index(step), out),
        }
    }

    fn facts(self) -> (&'static str, &'static str, Subjects) {
        use Subjects::{Events, Firms, Residents, Territory, Whole};
        match self {
            Self::Districts => ("hz-data.districts", open::DISTRICTS, Whole(open::districts)),
            Self::Divisions => ("hz-data.divisions", open::DIVISIONS, Territory(open::divisions)),
            Self::Calendar => ("hz-data.calendar", open::CALENDAR, Whole(open::calendar)),
            Self::Residents => ("hz-police.residents", people::RESIDENTS, Residents(people::residents)),
            Self::Vehicles => ("hz-police.vehicles", people::VEHICLES, Residents(people::vehicles)),
            Self::Hospitals => ("hz-health.hospitals", open::HOSPITALS, Whole(open::hospitals)),
            Self::OutpatientVisits => ("hz-health.outpatient_visits", health::VISITS, Events(health::visits)),
            Self::HospitalStays => ("hz-health.hospital_stays", health::STAYS, Events(health::stays)),
            Self::Claims => ("hz-medins.claims", health::CLAIMS, Events(health::claims)),
            Self::Stations => ("hz-transport.stations", open::STATIONS, Whole(open::stations)),
            Self::Passages => ("hz-transport.passages", streets::PASSAGES, Events(streets::passages)),
            Self::Fines => ("hz-transport.fines", streets::FINES, Residents(streets::fines)),
            Self::ParkingLots => ("hz-urban.parking_lots", open::PARKING_LOTS, Whole(open::parking_lots)),
            Self::ParkingSessions => {
                ("hz-urban.parking_sessions", streets::SESSIONS, Events(streets::sessions))
            }
            Self::Spots => ("hz-culture.spots", open::SPOTS, Whole(open::spots)),
            Self::ScenicVisits => ("hz-culture.scenic_visits", leisure::SCENIC, Events(leisure::scenic)),
            Self::HotelStays => ("hz-culture.hotel_stays", leisure::HOTELS, Events(leisure::hotels)),
            Self::Employment => ("hz-hrss.employment", work::EMPLOYMENT, Residents(work::employment)),
            Self::StaySubsidies => ("hz-hrss.stay_subsidies", work::FESTIVAL, Residents(work::festival)),
            Self::OldAgeAllowance => ("hz-civil.old_age_allowance", work::ALLOWANCE, Events(work::allowance)),
            Self::Subsidies => ("hz-econ.subsidies", firms::SUBSIDIES, Firms(firms::subsidies)),
            Self::Enterprises => ("hz-market.enterprises", firms::ENTERPRISES, Firms(firms::enterprises)),
            Self::EnterpriseTax => ("hz-tax.enterprise_tax", firms::TAX, Firms(firms::tax)),
            Self::Enrolment => ("hz-edu.enrolment", work::ENROLMENT, Residents(work::enrolment)),
            Self::Rentals => ("hz-housing.rentals", work::RENTALS, Residents(work::rentals)),
        }
    }
}
