//! A synthetic register of residents, made from a seed, with the people whose secret bit the programs guess.
//! It knows what is true of everybody; a program is given as much of it as it says that its analyst knows.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Date32Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use chrono::Datelike as _;
use chrono::Days;
use chrono::NaiveDate;
use obscura_tests::guarded::questions::Seeded;

/// Villages and groups: a cell of both has twenty residents, half of whom have the secret.
pub(crate) const VILLAGES: usize = 20;
pub(crate) const GROUPS: usize = 10;
/// Residents, but for the isolated ones.
const RESIDENTS: usize = 4_000;
/// Isolated residents: each is alone in a village and a group.
pub(crate) const ISOLATED: usize = 40;
/// Columns that everybody has a value in and whose values no document lists, such as a street and a telephone number.
pub(crate) const FILLED: usize = 10;

/// The first day of the epoch on which a resident has moved in: the first of 2016.
const FIRST_DAY: i32 = 16_801;
/// Days on which residents have moved in.
const DAYS: usize = 8 * 365;

/// One resident.
#[derive(Debug, Clone)]
pub(crate) struct Resident {
    pub(crate) village: usize,
    pub(crate) group: usize,
    pub(crate) age: i64,
    pub(crate) sex: &'static str,
    /// Day of the epoch.
    pub(crate) moved: i32,
    pub(crate) salary: i64,
    pub(crate) hours: i64,
    pub(crate) secret: bool,
}

impl Resident {
    /// The day on which they moved in.
    pub(crate) fn date(&self) -> NaiveDate {
        NaiveDate::default() + Days::new(u64::try_from(self.moved).expect("a day after 1970"))
    }

    /// The year in which they moved in.
    pub(crate) fn year(&self) -> i32 {
        self.date().year()
    }

    /// The month in which they moved in, as a year and a number.
    pub(crate) fn month(&self) -> String {
        self.date().format("%Y-%m").to_string()
    }

    pub(crate) fn decade(&self) -> i64 {
        self.age / 10 * 10
    }
}

/// The residents, the isolated ones first.
#[derive(Debug, Clone)]
pub(crate) struct Register {
    pub(crate) residents: Vec<Resident>,
}

impl Register {
    /// The register of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut seeded = Seeded(seed);
        let isolated = (0..ISOLATED).map(|number| {
            let place = (number % VILLAGES, (number % VILLAGES * 7 + number / VILLAGES * 5) % GROUPS);
            (place, (number / VILLAGES + number) % 2 == 1)
        });
        let isolated: Vec<((usize, usize), bool)> = isolated.collect();
        let mut residents: Vec<Resident> = isolated
            .iter()
            .map(|((village, group), secret)| Resident {
                village: *village,
                group: *group,
                secret: *secret,
                ..resident(&mut seeded)
            })
            .collect();
        while residents.len() < RESIDENTS {
            let one = resident(&mut seeded);
            if isolated.iter().all(|(place, _)| *place != (one.village, one.group)) {
                residents.push(one);
            }
        }
        Register { residents }
    }

    /// The same residents with one after the other of those who are not isolated first: persons at random.
    pub(crate) fn others_first(&self) -> Self {
        let (isolated, others) = self.residents.split_at(ISOLATED);
        Register { residents: [others, isolated].concat() }
    }

    /// The count that somebody who knows no secret but where everybody lives expects of a village and group: half of the others in it.
    pub(crate) fn expected_beside(&self, number: usize) -> f64 {
        let target = &self.residents[number];
        let here = |one: &&Resident| (one.village, one.group) == (target.village, target.group);
        (self.residents.iter().filter(here).count() - 1) as f64 / 2.0
    }

    /// The number of residents for whom a condition is true and who have the secret.
    pub(crate) fn with_secret(&self, condition: impl Fn(&Resident) -> bool) -> usize {
        self.residents.iter().filter(|one| one.secret && condition(one)).count()
    }

    /// The register without one resident: the version before they came.
    pub(crate) fn without(&self, number: usize) -> Self {
        let others = self.residents.iter().enumerate().filter(|(place, _)| *place != number);
        Register { residents: others.map(|(_, one)| one.clone()).collect() }
    }

    /// The rows.
    pub(crate) fn batch(&self) -> RecordBatch {
        let all = &self.residents;
        let texts = |of: &dyn Fn(&Resident) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(all.iter().map(of)))
        };
        let numbers = |of: &dyn Fn(&Resident) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(all.iter().map(of)))
        };
        let count = i64::try_from(all.len()).expect("few residents");
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("person_id".to_owned(), Arc::new(Int64Array::from_iter_values(1..=count))),
            ("village".to_owned(), texts(&|one| village(one.village))),
            ("grp".to_owned(), texts(&|one| group(one.group))),
            ("age".to_owned(), numbers(&|one| one.age)),
            ("sex".to_owned(), texts(&|one| one.sex.to_owned())),
            ("moved".to_owned(), Arc::new(Date32Array::from_iter_values(all.iter().map(|one| one.moved)))),
            ("secret".to_owned(), texts(&|one| if one.secret { "yes" } else { "no" }.to_owned())),
            ("salary".to_owned(), numbers(&|one| one.salary)),
            ("hours".to_owned(), numbers(&|one| one.hours)),
        ];
        columns.extend((0..FILLED).map(|number| (filled(number), texts(&|_| "there".to_owned()))));
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
    }
}

/// The code of a village.
pub(crate) fn village(number: usize) -> String {
    format!("v{number:02}")
}

/// The code of a group.
pub(crate) fn group(number: usize) -> String {
    format!("g{number}")
}

/// The name of a column that everybody has a value in.
pub(crate) fn filled(number: usize) -> String {
    format!("filled{number}")
}

fn resident(seeded: &mut Seeded) -> Resident {
    let mut below = |bound: usize| i64::try_from(seeded.below(bound)).expect("a small number");
    let salaries = (below(60_000) + below(60_000)) / 2;
    Resident {
        village: usize::try_from(below(VILLAGES)).expect("a village"),
        group: usize::try_from(below(GROUPS)).expect("a group"),
        age: 20 + below(60),
        sex: if below(2) == 0 { "f" } else { "m" },
        moved: FIRST_DAY + i32::try_from(below(DAYS)).expect("a day"),
        salary: 10_000 + salaries,
        hours: 10 + below(40),
        secret: below(2) == 0,
    }
}
