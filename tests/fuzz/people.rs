//! The rows that the questions are about: as they are sealed, as somebody sees them through the masks, and what was planted.
//!
//! The numbers are made by arithmetic. Salaries are multiples of 10,000 and costs of 100, ages are seen in tens: sums of them,
//! of their squares and of their products are multiples of what sums are rounded to, so that rounding changes none.
//! Some values are missing. Nobody is without a unit key: such rows are dropped when a table is sealed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use chrono::Datelike as _;
use chrono::Days;
use chrono::NaiveDate;
use obscura_tests::canary::Canary;
use obscura_tests::guarded::people::Tables;

/// Most visits of one person.
pub(crate) const VISITS_OF_ONE_MAX: u64 = 6;
/// People who are in the register, the victim and the planted ones included.
const PERSONS: i64 = 160;
/// People who have visits and are in no register.
const STRANGERS: i64 = 12;
/// The person in whom the data sets differ.
const VICTIM: i64 = 77;
/// People every value of whom is unmistakable.
const PLANTED: [i64; 2] = [50, 131];
const MICROSECONDS_OF_A_DAY: i64 = 86_400_000_000;

/// A data set of three that differ in one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Lives alone in `9999`, is alone with `HIV`, and has three visits.
    Present,
    /// Is not in the data.
    Absent,
    /// Lives among others, and has another salary, diagnosis and number of visits.
    Changed,
}

/// The reader of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Raw values, as they are sealed.
    Sealed,
    /// The values that masks leave, and no column that the analyst has no use of.
    Masked,
}

struct Person {
    id: i64,
    dept: Option<&'static str>,
    zip: Option<String>,
    age: Option<i64>,
    sex: Option<&'static str>,
    diag: Option<String>,
    salary: Option<i64>,
    birth: Option<i32>,
    hire: i32,
    visits: Vec<Visit>,
}

struct Visit {
    cost: Option<i128>,
    day: Option<i64>,
}

/// All four tables.
pub(crate) fn tables(victim: Victim, sight: Sight) -> Tables {
    let people: Vec<Person> = (1..=PERSONS + STRANGERS)
        .filter(|id| *id != VICTIM || victim != Victim::Absent)
        .map(|id| if id == VICTIM { the_victim(victim) } else { person(id) })
        .collect();
    let registered: Vec<&Person> = people.iter().filter(|person| person.id <= PERSONS).collect();
    BTreeMap::from([
        ("corpus.persons".to_owned(), persons(&registered, sight)),
        ("corpus.visits".to_owned(), visits(&people, sight)),
        ("corpus.zones".to_owned(), zones()),
        ("corpus.holidays".to_owned(), holidays()),
    ])
}

/// The values that no answer may hold: every unit key, visit and name, and what was planted.
pub(crate) fn canaries() -> Vec<Canary> {
    let mut canaries = Vec::new();
    for id in 1..=PERSONS + STRANGERS {
        let mut plant = |column: &str, value: String| {
            canaries.push(Canary::new(format!("{column} of {id}"), value));
        };
        plant("person_id", unit_key(id).to_string());
        plant("name", name(id));
        plant("phone", phone(id));
        for nth in 0..VISITS_OF_ONE_MAX {
            plant("visit_id", visit_id(id, nth).to_string());
        }
        if PLANTED.contains(&id) {
            plant("zip", planted("zip", id));
            plant("diag", planted("diag", id));
        }
    }
    canaries
}

fn planted(what: &str, id: i64) -> String {
    format!("CANARY-{what}-{id}-5e1f0a")
}

fn unit_key(id: i64) -> i64 {
    7_100_000_000_000_000 + id * 1_000_003
}

fn visit_id(id: i64, nth: u64) -> i64 {
    8_300_000_000_000_000 + id * 7_000_003 + i64::try_from(nth).unwrap_or(0) * 11
}

fn name(id: i64) -> String {
    format!("Somebody-{id}-c2d9")
}

fn phone(id: i64) -> String {
    format!("13{}-{:07}", id % 4, 1_000_003 + id * 7919)
}

fn person(id: i64) -> Person {
    let one_of = |all: &[&'static str], by: i64| all[usize::try_from(id / by).unwrap_or(0) % all.len()];
    let unless = |every: i64| id % every != 0;
    let is_planted = PLANTED.contains(&id);
    let zip = if is_planted { planted("zip", id) } else { (1000 + id % 6).to_string() };
    let diag = one_of(&["none", "A", "none", "B", "none", "C"], 5);
    let visits = if id > PERSONS { 1 + id % 2 } else { id % 5 };
    Person {
        id,
        dept: unless(29).then(|| one_of(&["health", "tax", "police", "school"], 1)),
        zip: unless(31).then_some(zip),
        age: unless(37).then_some(18 + (id * 7) % 70),
        sex: unless(41).then(|| one_of(&["m", "f"], 3)),
        diag: unless(23).then(|| if is_planted { planted("diag", id) } else { diag.to_owned() }),
        salary: unless(19).then_some(10_000 * (2 + (id * 13) % 14)),
        birth: unless(43).then(|| i32::try_from((id * 397) % 20_000 - 10_000).unwrap_or(0)),
        hire: i32::try_from(10_957 + (id * 11) % 2_000).unwrap_or(0),
        visits: (0..visits).map(|nth| visit(id, nth)).collect(),
    }
}

fn visit(id: i64, nth: i64) -> Visit {
    Visit {
        cost: ((id + nth) % 17 != 0).then_some(10_000 * i128::from(1 + (id * 3 + nth * 5) % 9)),
        day: ((id * 3 + nth) % 47 != 0).then_some((id + nth * 2) % 6),
    }
}

fn the_victim(victim: Victim) -> Person {
    let usual = person(VICTIM);
    let visits = |count| (0..count).map(|nth| visit(VICTIM, nth)).collect();
    match victim {
        Victim::Present | Victim::Absent => Person {
            zip: Some("9999".to_owned()),
            diag: Some("HIV".to_owned()),
            salary: Some(190_000),
            visits: visits(3),
            ..usual
        },
        Victim::Changed => Person {
            dept: Some("school"),
            zip: Some("1003".to_owned()),
            diag: Some("none".to_owned()),
            salary: None,
            visits: visits(1),
            ..usual
        },
    }
}

fn persons(people: &[&Person], sight: Sight) -> RecordBatch {
    let is_masked = sight == Sight::Masked;
    let text = |of: &dyn Fn(&Person) -> Option<String>| -> ArrayRef {
        Arc::new(people.iter().map(|person| of(person)).collect::<StringArray>())
    };
    let whole = |of: &dyn Fn(&Person) -> Option<i64>| -> ArrayRef {
        Arc::new(people.iter().map(|person| of(person)).collect::<Int64Array>())
    };
    let date = |of: &dyn Fn(&Person) -> Option<i32>| -> ArrayRef {
        Arc::new(people.iter().map(|person| of(person)).collect::<Date32Array>())
    };
    let mut columns = vec![
        ("person_id", whole(&|person| Some(unit_key(person.id))), true),
        ("dept", text(&|person| person.dept.map(str::to_owned)), true),
        ("zip", text(&|person| person.zip.clone()), true),
        ("age", whole(&|person| person.age.map(|age| if is_masked { age / 10 * 10 } else { age })), true),
        ("sex", text(&|person| person.sex.map(str::to_owned)), true),
        ("diag", text(&|person| person.diag.clone()), true),
        ("salary", whole(&|person| person.salary), true),
        ("birth", date(&|person| person.birth), true),
        (
            "hire",
            date(&|person| Some(if is_masked { first_of_month(person.hire) } else { person.hire })),
            true,
        ),
        (
            "phone",
            text(&|person| {
                let phone = phone(person.id);
                Some(if is_masked { format!("{}********", &phone[..3]) } else { phone })
            }),
            true,
        ),
        ("faith", text(&|person| (!is_masked).then(|| format!("faith-{}", person.id % 3))), true),
    ];
    if !is_masked {
        columns.push(("name", text(&|person| Some(name(person.id))), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn first_of_month(day: i32) -> i32 {
    let epoch = NaiveDate::default();
    let date = epoch.checked_add_days(Days::new(u64::try_from(day).unwrap_or(0))).unwrap_or(epoch);
    day - i32::try_from(date.day0()).unwrap_or(0)
}

fn visits(people: &[Person], sight: Sight) -> RecordBatch {
    let all = || people.iter().flat_map(|person| person.visits.iter().map(|visit| (person.id, visit)));
    let cost: Decimal128Array = all().map(|(_, visit)| visit.cost).collect();
    let at = all().map(|(_, visit)| visit.day.map(|day| day * MICROSECONDS_OF_A_DAY));
    let numbers = people.iter().flat_map(|person| {
        (0_u64..).zip(&person.visits).map(|(nth, _)| visit_id(person.id, nth)).collect::<Vec<_>>()
    });
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(all().map(|(id, _)| unit_key(id)))), true),
        ("cost", Arc::new(cost.with_precision_and_scale(18, 2).expect("a decimal")), true),
        ("day", Arc::new(all().map(|(_, visit)| visit.day).collect::<Int64Array>()), true),
        ("at", Arc::new(at.collect::<TimestampMicrosecondArray>()), true),
    ];
    if sight == Sight::Sealed {
        columns.push(("visit_id", Arc::new(Int64Array::from_iter_values(numbers)), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

/// One zone has no person, and one zip of persons has no zone.
fn zones() -> RecordBatch {
    let zips = ["1000", "1001", "1002", "1003", "1004", "1900", "9999"];
    let districts = ["north", "south", "north", "south", "east", "north", "east"];
    RecordBatch::try_from_iter_with_nullable([
        ("zip", Arc::new(StringArray::from_iter_values(zips)) as ArrayRef, true),
        ("district", Arc::new(StringArray::from_iter_values(districts)), true),
        ("level", Arc::new(Int64Array::from_iter_values([0, 1, 2, 0, 1, 2, 0])), true),
    ])
    .expect("columns of one length")
}

fn holidays() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("first_day", Arc::new(Int64Array::from_iter_values([0, 2])) as ArrayRef, true),
        ("last_day", Arc::new(Int64Array::from_iter_values([0, 3])), true),
        ("holiday", Arc::new(StringArray::from(vec!["opening", "fair"])), true),
    ])
    .expect("columns of one length")
}
