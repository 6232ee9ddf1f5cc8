//! The right answers to the questions of the story, from the city's rows in clear: loops and maps, no SQL.
//! All questions read data of grade L3, so the same controls apply to each. Noise is not in them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_sandbox::city::City;
use obscura_sandbox::city::CityDataset;
use obscura_tests::fixture::Plain;
use obscura_tests::oracle::Controls;
use obscura_tests::oracle::amount;
use obscura_tests::oracle::boundary::Atom;
use obscura_tests::oracle::boundary::Boundary;
use obscura_tests::oracle::boundary::Group;

/// The groups of ten people and more in one scene.
pub(crate) fn of(scene: &str, city: &City) -> Vec<Group> {
    let city = Rows { city };
    match scene {
        "traffic" => traffic(&city),
        "parking" => parking(&city),
        "tourism" => tourism(&city),
        "villages" => villages(&city),
        "insurance" => insurance(&city),
        "old-age" => old_age(&city),
        "migrants" => migrants(&city),
        "giants" => giants(&city),
        other => panic!("no scene `{other}`"),
    }
}

/// The city's tables as rows of chosen columns.
struct Rows<'a> {
    city: &'a City,
}

impl Rows<'_> {
    fn of<const N: usize>(&self, dataset: CityDataset, columns: [&str; N]) -> Vec<[String; N]> {
        let mut bytes = Vec::new();
        self.city.write_csv(dataset, &mut bytes).unwrap();
        let table = Plain::from_csv(dataset.id(), &String::from_utf8(bytes).unwrap()).unwrap();
        let places = columns.map(|column| table.column(column).unwrap());
        table.rows.into_iter().map(|mut row| places.map(|place| std::mem::take(&mut row[place]))).collect()
    }

    /// From one column of a table to another.
    fn map(&self, dataset: CityDataset, from: &str, to: &str) -> BTreeMap<String, String> {
        self.of(dataset, [from, to]).into_iter().map(|[from, to]| (from, to)).collect()
    }

    /// Everybody in a table.
    fn people(&self, dataset: CityDataset) -> BTreeSet<String> {
        self.of(dataset, ["person_id"]).into_iter().map(|[person]| person).collect()
    }
}

fn boundary(atoms: &[Atom]) -> Boundary {
    Boundary::new(Controls::L3, atoms.to_vec(), true)
}

fn range(low: i128, high: i128) -> (i128, i128) {
    (low * amount::ONE, high * amount::ONE)
}

/// The lower end of a band of ten years.
fn decade(age: &str) -> u32 {
    age.parse::<u32>().unwrap() / 10 * 10
}

fn within(day: &str, first: &str, last: &str) -> Option<i128> {
    (first <= day && day <= last).then_some(1)
}

fn traffic(city: &Rows<'_>) -> Vec<Group> {
    let zones = city.map(CityDataset::Stations, "station_id", "zone");
    let hukou = city.map(CityDataset::Residents, "person_id", "hukou");
    let mut cells = boundary(&[Atom::Rows, Atom::Rows]);
    for [person, station, day] in city.of(CityDataset::Passages, ["person_id", "station_id", "passed_on"]) {
        if let (Some(zone), Some(hukou)) = (zones.get(&station), hukou.get(&person)) {
            let before = within(&day, "2025-01-14", "2025-01-21");
            let festival = within(&day, "2025-01-28", "2025-02-04");
            cells.row(&person, &[zone.clone(), hukou.clone()], &[before, festival]);
        }
    }
    cells.release()
}

fn parking(city: &Rows<'_>) -> Vec<Group> {
    let ages = city.map(CityDataset::Residents, "person_id", "age");
    let atoms = [Atom::Subjects, Atom::Mean { range: range(0, 2880) }, Atom::Mean { range: range(0, 100) }];
    let mut cells = boundary(&atoms);
    for [person, minutes, fee] in city.of(CityDataset::ParkingSessions, ["person_id", "minutes", "fee"]) {
        if let Some(age) = ages.get(&person).filter(|age| !age.is_empty()) {
            let key = decade(age).to_string();
            cells.row(&person, &[key], &[Some(1), amount::parse(&minutes).ok(), amount::parse(&fee).ok()]);
        }
    }
    cells.release()
}

fn tourism(city: &Rows<'_>) -> Vec<Group> {
    let spots = city.map(CityDataset::Spots, "spot_id", "spot");
    let residents = city.people(CityDataset::Residents);
    let mut cells = boundary(&[Atom::Subjects, Atom::Mean { range: range(0, 200) }]);
    for [person, spot, ticket] in city.of(CityDataset::ScenicVisits, ["person_id", "spot_id", "ticket"]) {
        if let Some(spot) = spots.get(&spot).filter(|_| !residents.contains(&person)) {
            cells.row(&person, std::slice::from_ref(spot), &[Some(1), amount::parse(&ticket).ok()]);
        }
    }
    cells.release()
}

fn insurance(city: &Rows<'_>) -> Vec<Group> {
    let districts = city.map(CityDataset::Districts, "district_code", "district");
    let seen = city.people(CityDataset::OutpatientVisits);
    let mut cells = boundary(&[Atom::Subjects, Atom::Sum { range: range(0, 200_000) }]);
    let columns = ["person_id", "district_code", "setting", "amount"];
    for [person, district, setting, billed] in city.of(CityDataset::Claims, columns) {
        if let Some(district) =
            districts.get(&district).filter(|_| setting == "outpatient" && !seen.contains(&person))
        {
            cells.row(&person, std::slice::from_ref(district), &[Some(1), amount::parse(&billed).ok()]);
        }
    }
    cells.release()
}

fn old_age(city: &Rows<'_>) -> Vec<Group> {
    let districts = city.map(CityDataset::Districts, "district_code", "district");
    let paid = city.people(CityDataset::OldAgeAllowance);
    let mut cells = boundary(&[Atom::Rows]);
    for [person, age, district] in city.of(CityDataset::Residents, ["person_id", "age", "district_code"]) {
        let is_old = !age.is_empty() && decade(&age) >= 80;
        if let Some(district) = districts.get(&district).filter(|_| is_old && !paid.contains(&person)) {
            cells.row(&person, std::slice::from_ref(district), &[Some(1)]);
        }
    }
    cells.release()
}

/// The question that the guard proposes: below forty. Thirty-five lies as near to thirty, and the upper edge is taken.
fn migrants(city: &Rows<'_>) -> Vec<Group> {
    let ages = city.map(CityDataset::Residents, "person_id", "age");
    let mut cells = boundary(&[Atom::Subjects, Atom::Mean { range: range(0, 2000) }]);
    for [person, province, paid] in
        city.of(CityDataset::StaySubsidies, ["person_id", "home_province", "amount"])
    {
        if ages.get(&person).is_some_and(|age| !age.is_empty() && decade(age) < 40) {
            cells.row(&person, &[province], &[Some(1), amount::parse(&paid).ok()]);
        }
    }
    cells.release()
}

fn villages(city: &Rows<'_>) -> Vec<Group> {
    let names = city.map(CityDataset::Divisions, "village_code", "village");
    let mut cells = boundary(&[Atom::Rows, Atom::Rows]);
    for [person, village, age] in city.of(CityDataset::Residents, ["person_id", "village_code", "age"]) {
        if let Some(name) = names.get(&village).filter(|_| village.starts_with("330127107")) {
            let is_old = !age.is_empty() && decade(&age) >= 60;
            cells.row(&person, std::slice::from_ref(name), &[Some(1), is_old.then_some(1)]);
        }
    }
    cells.release()
}

fn giants(city: &Rows<'_>) -> Vec<Group> {
    let sectors = city.map(CityDataset::Enterprises, "enterprise_id", "sector");
    let mut cells = boundary(&[Atom::Subjects, Atom::Sum { range: range(0, 5_000_000) }]);
    for [firm, granted] in city.of(CityDataset::Subsidies, ["enterprise_id", "amount"]) {
        if let Some(sector) = sectors.get(&firm) {
            cells.row(&firm, std::slice::from_ref(sector), &[Some(1), amount::parse(&granted).ok()]);
        }
    }
    cells.release()
}
