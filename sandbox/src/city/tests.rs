//! Facts about the demo city that the story and the suites rest on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read;

use obscura_policies::document::Document;
use obscura_policies::identifiers::resident_id_check;
use obscura_policies::identifiers::uscc_check;
use obscura_policies::library::Library;
use obscura_policies::parse::parse_documents;
use obscura_policies::vocabulary::Role;

use super::City;
use super::CityDataset;
use super::documents;
use super::story::CHARACTERS;
use super::story::Language;
use super::story::scenes;

fn bytes(city: &City, dataset: CityDataset) -> Vec<u8> {
    let mut out = Vec::new();
    city.write_csv(dataset, &mut out).unwrap();
    out
}

/// The rows of a dataset without its header, each as its fields.
fn rows(city: &City, dataset: CityDataset) -> Vec<Vec<String>> {
    let text = String::from_utf8(bytes(city, dataset)).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn column(dataset: CityDataset, name: &str) -> usize {
    dataset.header().split(',').position(|column| column == name).unwrap()
}

/// Values of one column, missing ones left out.
fn values(city: &City, dataset: CityDataset, name: &str) -> Vec<String> {
    let place = column(dataset, name);
    rows(city, dataset).into_iter().map(|row| row[place].clone()).filter(|value| !value.is_empty()).collect()
}

fn counted(values: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

/// FNV-1a: enough to see that a byte changed, and nothing more is asked of it.
fn fingerprint(bytes: &[u8], seen: u64) -> u64 {
    bytes.iter().fold(seen, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

fn town() -> City {
    City::new(City::SEED_DEMO, 6000)
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_machine() {
    let hash = |seed| {
        let city = City::new(seed, City::RESIDENTS_MIN);
        CityDataset::ALL
            .iter()
            .fold(0xCBF2_9CE4_8422_2325, |hash, dataset| fingerprint(&bytes(&city, *dataset), hash))
    };
    assert_eq!(format!("{:016x}", hash(City::SEED_DEMO)), "ae7de9df37508f54");
    assert_ne!(hash(City::SEED_DEMO), hash(City::SEED_DEMO + 1));
}

#[test]
fn reading_in_small_pieces_gives_what_writing_gives() {
    let city = City::new(7, 300);
    for dataset in CityDataset::ALL {
        let mut reader = city.csv(dataset);
        let (mut read, mut piece) = (Vec::new(), [0; 7]);
        loop {
            let count = reader.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            read.extend_from_slice(&piece[..count]);
        }
        assert_eq!(read, bytes(&city, dataset), "{}", dataset.id());
    }
}

#[test]
fn every_line_has_as_many_fields_as_the_header_and_needs_no_quotes() {
    let city = City::new(11, 2000);
    for dataset in CityDataset::ALL {
        let fields = dataset.header().split(',').count();
        let text = String::from_utf8(bytes(&city, dataset)).unwrap();
        assert!(!text.contains('"'), "{}", dataset.id());
        assert!(text.lines().all(|line| line.split(',').count() == fields), "{}", dataset.id());
        assert!(text.lines().count() > 1, "{} has no rows", dataset.id());
    }
}

#[test]
fn every_identity_number_and_credit_code_is_valid_and_unique_in_its_register() {
    let city = town();
    for dataset in CityDataset::ALL {
        for name in dataset.header().split(',') {
            let check = match name {
                "person_id" => resident_id_check,
                "enterprise_id" => uscc_check,
                _ => continue,
            };
            assert!(values(&city, dataset, name).iter().all(|id| check(id)), "{}.{name}", dataset.id());
        }
    }
    let people: BTreeSet<_> = values(&city, CityDataset::Residents, "person_id").into_iter().collect();
    assert_eq!(people.len(), 6000);
    let firms: BTreeSet<_> = values(&city, CityDataset::Enterprises, "enterprise_id").into_iter().collect();
    assert_eq!(firms.len(), 300);
    let guests: BTreeSet<_> = values(&city, CityDataset::HotelStays, "person_id").into_iter().collect();
    assert!(guests.iter().any(|guest| !people.contains(guest)), "nobody visits the city");
}

#[test]
fn open_tables_have_unique_codes_and_every_reference_finds_its_row() {
    let city = town();
    let references = [
        (CityDataset::Districts, "district_code", "district_code"),
        (CityDataset::Divisions, "village_code", "village_code"),
        (CityDataset::Hospitals, "hospital", "hospital"),
        (CityDataset::Stations, "station_id", "station_id"),
        (CityDataset::ParkingLots, "lot_id", "lot_id"),
        (CityDataset::Spots, "spot_id", "spot_id"),
        (CityDataset::Enterprises, "enterprise_id", "enterprise_id"),
    ];
    for (register, key, name) in references {
        let codes = counted(values(&city, register, key));
        assert!(codes.values().all(|times| *times == 1), "{}.{key} repeats", register.id());
        for dataset in
            CityDataset::ALL.into_iter().filter(|dataset| dataset.header().split(',').any(|c| c == name))
        {
            let strangers =
                values(&city, dataset, name).into_iter().filter(|code| !codes.contains_key(code)).count();
            assert_eq!(strangers, 0, "{}.{name}", dataset.id());
        }
    }
}

#[test]
fn only_visitors_are_missing_from_the_residents_register() {
    let city = town();
    let residents: BTreeSet<_> = values(&city, CityDataset::Residents, "person_id").into_iter().collect();
    for dataset in CityDataset::ALL.into_iter().filter(|dataset| dataset.header().starts_with("person_id")) {
        let tourism = dataset.id().starts_with("hz-culture");
        let strangers =
            values(&city, dataset, "person_id").into_iter().filter(|id| !residents.contains(id)).count();
        assert_eq!(strangers > 0, tourism, "{}", dataset.id());
    }
}

#[test]
fn the_city_is_skewed_as_cities_are() {
    let city = town();
    let visits = counted(values(&city, CityDataset::OutpatientVisits, "person_id"));
    assert!(visits.values().any(|count| *count >= 200));
    assert!(visits.values().filter(|count| **count == 1).count() > 600);

    let villages = counted(values(&city, CityDataset::Residents, "village_code"));
    assert!(villages.values().any(|residents| *residents < 10));

    let patients: BTreeSet<_> = rows(&city, CityDataset::OutpatientVisits)
        .into_iter()
        .filter(|row| row[column(CityDataset::OutpatientVisits, "icd10")] == "E75.2")
        .map(|row| row[0].clone())
        .collect();
    assert!((1..10).contains(&patients.len()), "{} patients", patients.len());
}

/// Share of the two largest enterprises of the giants' sector in one amount, in percent.
fn share_of_giants(city: &City, dataset: CityDataset, amount: &str) -> u64 {
    let sector = column(CityDataset::Enterprises, "sector");
    let platform: BTreeSet<_> = rows(city, CityDataset::Enterprises)
        .into_iter()
        .filter(|row| row[sector] == "platform")
        .map(|row| row[0].clone())
        .collect();
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(city, dataset).into_iter().filter(|row| platform.contains(&row[0])) {
        *totals.entry(row[0].clone()).or_default() += row[column(dataset, amount)].parse::<u64>().unwrap();
    }
    let mut amounts: Vec<_> = totals.into_values().collect();
    amounts.sort_unstable_by(|a, b| b.cmp(a));
    assert!(amounts.len() >= 5, "too few enterprises to be more than small");
    amounts.iter().take(2).sum::<u64>() * 100 / amounts.iter().sum::<u64>()
}

#[test]
fn two_giants_hold_more_than_85_percent_of_one_sector() {
    let city = City::new(City::SEED_DEMO, City::RESIDENTS_DEMO);
    assert!(share_of_giants(&city, CityDataset::Subsidies, "amount") > 85);
    assert!(share_of_giants(&city, CityDataset::EnterpriseTax, "turnover") > 85);
}

#[test]
fn values_are_missing_where_the_world_forgets_them() {
    let city = town();
    for (dataset, name) in [
        (CityDataset::Residents, "mobile"),
        (CityDataset::OutpatientVisits, "icd10"),
        (CityDataset::Passages, "person_id"),
        (CityDataset::ParkingSessions, "fee"),
        (CityDataset::Employment, "monthly_wage"),
    ] {
        let (all, known) = (rows(&city, dataset).len(), values(&city, dataset, name).len());
        assert!(known < all && known > all / 2, "{}.{name}: {known} of {all}", dataset.id());
    }
}

#[test]
fn birth_dates_meet_never_at_the_largest_scale() {
    let city = City::new(1, City::RESIDENTS_MAX);
    // All people of one sequence number: neighbours by index in steps of 998.
    let ids: BTreeSet<_> =
        (0..city.people() / 998).map(|nth| super::person::Person::new(&city, nth * 998 + 5).birth).collect();
    assert_eq!(ids.len(), (city.people() / 998) as usize);
}

fn parsed() -> Vec<Document> {
    documents()
        .iter()
        .flat_map(|(file, text)| parse_documents(file, text).unwrap())
        .map(|located| located.value)
        .collect()
}

#[test]
fn every_reference_between_the_documents_holds() {
    let located = documents().iter().flat_map(|(file, text)| parse_documents(file, text).unwrap()).collect();
    let findings = Library::from_located(located).err().unwrap_or_default();
    assert!(findings.is_empty(), "{}", findings.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn a_document_describes_every_dataset_column_by_column() {
    let documents = parsed();
    let described: BTreeMap<_, _> = documents
        .iter()
        .filter_map(|document| match document {
            Document::Dataset(dataset) => Some((document.id(), dataset)),
            _ => None,
        })
        .collect();
    assert_eq!(described.len(), CityDataset::ALL.len());
    let mut grades = BTreeSet::new();
    for dataset in CityDataset::ALL {
        let columns = &described[dataset.id()].columns;
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.join(","), dataset.header(), "{}", dataset.id());
        grades.extend(columns.iter().filter_map(|column| column.grade.clone()));
    }
    assert_eq!(grades.into_iter().collect::<Vec<_>>(), ["L1", "L2", "L3", "L4"]);
}

#[test]
fn declared_ranges_and_domains_hold() {
    let city = town();
    for document in parsed() {
        let Document::Dataset(described) = &document else { continue };
        let dataset = CityDataset::ALL.into_iter().find(|dataset| dataset.id() == document.id()).unwrap();
        let rows = rows(&city, dataset);
        for (place, column) in described.columns.iter().enumerate() {
            let values: Vec<_> =
                rows.iter().map(|row| row[place].clone()).filter(|value| !value.is_empty()).collect();
            if let Some(domain) = &column.domain {
                assert!(
                    values.iter().all(|value| domain.contains(value)),
                    "{}.{}",
                    dataset.id(),
                    column.name
                );
            }
            if let (Role::Measure, Some(range)) = (column.role, column.range) {
                let inside = |value: &String| {
                    let value = value.parse().unwrap();
                    range.0 <= value && value <= range.1
                };
                assert!(values.iter().all(inside), "{}.{}", dataset.id(), column.name);
            }
        }
    }
}

#[test]
fn at_least_twelve_departments_publish_one_to_three_datasets_each() {
    let departments =
        counted(CityDataset::ALL.iter().map(|d| d.id().split('.').next().unwrap().to_owned()).collect());
    assert!(departments.len() >= 12);
    assert!(departments.values().all(|datasets| *datasets <= 3));
}

#[test]
fn every_question_stays_within_a_grant_of_its_analyst() {
    let documents = parsed();
    for scene in scenes() {
        let grant = documents
            .iter()
            .find_map(|document| match document {
                Document::Grant(grant)
                    if grant.person == scene.analyst && grant.purpose.as_str() == scene.purpose =>
                {
                    Some(grant)
                }
                _ => None,
            })
            .unwrap();
        assert!(CHARACTERS.iter().any(|character| character.id == scene.analyst));
        for language in [Language::English, Language::Chinese] {
            let sql = scene.sql(language);
            assert!(!sql.contains('{'), "{sql}");
            for word in sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
                if word.starts_with("hz_") {
                    let granted = grant.datasets.iter().any(|granted| granted.dataset.sql_name() == word);
                    assert!(granted, "{}: {word}", scene.title.en);
                }
            }
        }
    }
}
