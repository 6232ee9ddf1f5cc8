//! People and their visits in memory, and the same with one person changed, gone, or with the most visits of all.
//! The numbers are made by arithmetic, so that every run has the same people.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;

use super::policy::HOLIDAYS;
use super::policy::PERSONS_MAX;
use super::policy::VISITS_OF_ONE_MAX;
use super::policy::ZONES;

/// The person in whom the data sets differ.
const VICTIM: i64 = 77;
const MICROSECONDS_OF_A_DAY: i64 = 86_400_000_000;

/// The difference of a data set from the base in its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// Lives alone in `9999`, is alone there with `HIV`, and has three visits.
    Present,
    /// Is not in the data.
    Absent,
    /// Has another department, address, diagnosis, salary, and one visit.
    Changed,
    /// Has as many visits as a person may have.
    Busiest,
}

/// One person.
struct Person {
    id: i64,
    dept: &'static str,
    zip: String,
    age: i64,
    sex: &'static str,
    diag: &'static str,
    salary: i64,
    visits: Vec<Visit>,
}

struct Visit {
    cost: i128,
    day: i64,
}

/// Rows of each dataset by its name, each subject's rows together.
pub type Tables = BTreeMap<String, RecordBatch>;

/// All four tables.
#[must_use]
pub fn tables(victim: Victim) -> Tables {
    of(PERSONS_MAX, victim)
}

/// All four tables with the first few people only.
#[must_use]
pub fn few(count: u64) -> Tables {
    of(count.min(PERSONS_MAX), Victim::Present)
}

fn of(count: u64, victim: Victim) -> Tables {
    let people: Vec<Person> = (1..=i64::try_from(count).expect("a few hundred"))
        .filter(|id| *id != VICTIM || victim != Victim::Absent)
        .map(|id| if id == VICTIM { the_victim(victim) } else { person(id) })
        .collect();
    BTreeMap::from([
        ("corpus.persons".to_owned(), persons(&people)),
        ("corpus.visits".to_owned(), visits(&people)),
        ("corpus.zones".to_owned(), zones()),
        ("corpus.holidays".to_owned(), holidays()),
    ])
}

fn person(id: i64) -> Person {
    let one_of = |all: &[&'static str], by: i64| all[usize::try_from(id / by).unwrap_or(0) % all.len()];
    // One in forty has the most visits that a person may have: no person stands out by their number.
    let count = if id % 40 == 0 { i64::try_from(VISITS_OF_ONE_MAX).unwrap_or(0) } else { id % 7 };
    Person {
        id,
        dept: one_of(&["health", "tax", "police", "school"], 1),
        zip: (1000 + id % 8).to_string(),
        age: 18 + (id * 7) % 70,
        sex: one_of(&["m", "f"], 3),
        diag: one_of(&["none", "A", "none", "B", "none", "C", "none", "HIV"], 5),
        salary: 20_000 + (id * 9973) % 120_000,
        visits: (0..count).map(|nth| visit(id, nth)).collect(),
    }
}

fn visit(id: i64, nth: i64) -> Visit {
    Visit { cost: i128::from((id * 3100 + nth * 1700) % 99_000), day: (id + nth) % 6 }
}

fn the_victim(victim: Victim) -> Person {
    let usual = person(VICTIM);
    let visits = |count| (0..count).map(|nth| visit(VICTIM, nth)).collect();
    match victim {
        Victim::Changed => Person {
            dept: "school",
            zip: "1003".to_owned(),
            diag: "none",
            salary: 150_000,
            visits: visits(1),
            ..usual
        },
        Victim::Present | Victim::Absent => {
            Person { zip: "9999".to_owned(), diag: "HIV", visits: visits(3), ..usual }
        }
        Victim::Busiest => Person {
            zip: "9999".to_owned(),
            diag: "HIV",
            visits: visits(i64::try_from(VISITS_OF_ONE_MAX).unwrap_or(0)),
            ..usual
        },
    }
}

fn persons(people: &[Person]) -> RecordBatch {
    let text = |of: &dyn Fn(&Person) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(people.iter().map(of)))
    };
    let whole = |of: &dyn Fn(&Person) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(people.iter().map(of)))
    };
    let date = |of: &dyn Fn(i64) -> i64| -> ArrayRef {
        let days = people.iter().map(|person| i32::try_from(of(person.id)).unwrap_or(0));
        Arc::new(Date32Array::from_iter_values(days))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("person_id", whole(&|person| person.id), true),
        ("dept", text(&|person| person.dept.to_owned()), true),
        ("zip", text(&|person| person.zip.clone()), true),
        ("age", whole(&|person| person.age), true),
        ("sex", text(&|person| person.sex.to_owned()), true),
        ("diag", text(&|person| person.diag.to_owned()), true),
        ("salary", whole(&|person| person.salary), true),
        ("birth", date(&|id| (id * 37) % 20_000 - 10_000), true),
        ("hire", date(&|id| 10_957 + (id * 11) % 2_000), true),
    ])
    .expect("columns of one length")
}

fn visits(people: &[Person]) -> RecordBatch {
    let all = || people.iter().flat_map(|person| person.visits.iter().map(|visit| (person.id, visit)));
    let days = || all().map(|(_, visit)| visit.day);
    let cost = Decimal128Array::from_iter_values(all().map(|(_, visit)| visit.cost));
    let at = days().map(|day| day * MICROSECONDS_OF_A_DAY);
    RecordBatch::try_from_iter_with_nullable([
        ("person_id", Arc::new(Int64Array::from_iter_values(all().map(|(id, _)| id))) as ArrayRef, true),
        ("cost", Arc::new(cost.with_precision_and_scale(18, 2).expect("a decimal")), true),
        ("day", Arc::new(Int64Array::from_iter_values(days())), true),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(at)), true),
    ])
    .expect("columns of one length")
}

fn zones() -> RecordBatch {
    let zips = (0..ZONES - 1).map(|nth| (1000 + nth).to_string()).chain(["9999".to_owned()]);
    let districts = (0..ZONES).map(|nth| if nth % 2 == 0 { "north" } else { "south" });
    let levels = (0..ZONES).map(|nth| i64::try_from(nth % 3).unwrap_or(0));
    RecordBatch::try_from_iter_with_nullable([
        ("zip", Arc::new(StringArray::from_iter_values(zips)) as ArrayRef, true),
        ("district", Arc::new(StringArray::from_iter_values(districts)), true),
        ("level", Arc::new(Int64Array::from_iter_values(levels)), true),
    ])
    .expect("columns of one length")
}

fn holidays() -> RecordBatch {
    let rows = usize::try_from(HOLIDAYS).unwrap_or(0);
    let days = |days: [i64; 2]| Arc::new(Int64Array::from_iter_values(days.into_iter().take(rows)));
    RecordBatch::try_from_iter_with_nullable([
        ("first_day", days([0, 2]) as ArrayRef, true),
        ("last_day", days([0, 3]), true),
        ("holiday", Arc::new(StringArray::from(vec!["opening", "fair"])), true),
    ])
    .expect("columns of one length")
}
