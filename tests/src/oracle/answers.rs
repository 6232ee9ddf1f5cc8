//! Right answers that need more than a description: subjects folded first, subqueries, and arithmetic over released values.
//! One function a question; the corpus names it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context as _;
use anyhow::bail;

use super::Controls;
use super::amount;
use super::boundary::Atom;
use super::boundary::Boundary;
use super::boundary::Group;
use super::description::Condition;
use super::description::Record;
use super::description::range;
use super::description::relation;
use crate::fixture::Fixture;
use crate::table::Cell;
use crate::table::Table;

/// A function that computes one right answer.
type Answer = fn(&Fixture) -> anyhow::Result<Table>;

/// One atom and how a row's value for it is found.
type Valued<'a> = (Atom, &'a dyn Fn(&Record<'_>) -> Option<i128>);

/// All of them, by the name that a corpus file uses.
const ANSWERS: &[(&str, Answer)] = &[
    ("age_groups", age_groups),
    ("costs_in_buckets", costs_in_buckets),
    ("cost_of_frequent_visitors", cost_of_frequent_visitors),
    ("cost_per_person", cost_per_person),
    ("costs_over_own_mean", costs_over_own_mean),
    ("days_put_first", days_put_first),
    ("first_visits", first_visits),
    ("mean_of_totals", mean_of_totals),
    ("men_and_all_of_departments", men_and_all_of_departments),
    ("people_above_the_mean", people_above_the_mean),
    ("people_above_the_mean_of_their_department", people_above_the_mean_of_their_department),
    ("people_by_first_day", people_by_first_day),
    ("people_of_tax_or_with_a_visit_on_day_2", people_of_tax_or_with_a_visit_on_day_2),
    ("people_with_a_clerk_s_job", people_with_a_clerk_s_job),
    ("people_with_a_later_visit", people_with_a_later_visit),
    ("people_with_a_visit_on_day_2", people_with_a_visit_on_day_2),
    ("people_with_visit_flags", people_with_visit_flags),
    ("people_with_three_visits", people_with_three_visits),
    ("persons_by_visits", persons_by_visits),
    ("persons_over_an_age_by_sex", persons_over_an_age_by_sex),
    ("persons_that_stayed", persons_that_stayed),
    ("persons_with_a_visit_on_day_2", persons_with_a_visit_on_day_2),
    ("persons_without_a_visit_on_day_3", persons_without_a_visit_on_day_3),
    ("rank_of_departments", rank_of_departments),
    ("rows_on_day_1_or_after_it", rows_on_day_1_or_after_it),
    ("salary_over_mean", salary_over_mean),
    ("share_of_departments", share_of_departments),
    ("share_of_women", share_of_women),
    ("running_total", running_total),
    ("total_cost_bands", total_cost_bands),
    ("visits_by_holiday", visits_by_holiday),
    ("visits_by_last_day", visits_by_last_day),
    ("visits_on_holidays", visits_on_holidays),
    ("two_departments", two_departments),
];

/// Computes the answer with this name.
///
/// # Errors
/// When there is none.
pub fn named(name: &str, fixture: &Fixture) -> anyhow::Result<Table> {
    match ANSWERS.iter().find(|(known, _)| *known == name) {
        Some((_, answer)) => answer(fixture),
        None => bail!("the oracle has no answer `{name}`"),
    }
}

/// The names of all answers, so that a suite can find one that no case uses.
#[must_use]
pub fn names() -> BTreeSet<&'static str> {
    ANSWERS.iter().map(|(name, _)| *name).collect()
}

/// Releases counts of rows and, per atom condition, of rows under it.
fn counts(
    records: &[Record<'_>],
    key: impl Fn(&Record<'_>) -> Option<String>,
    atoms: &[Valued<'_>],
) -> Vec<Group> {
    let grouped = records.first().is_some_and(|record| key(record).is_some());
    let mut boundary = Boundary::new(Controls::L3, atoms.iter().map(|(atom, _)| *atom).collect(), grouped);
    for record in records {
        let values: Vec<Option<i128>> = atoms.iter().map(|(_, value)| value(record)).collect();
        boundary.row(record["person_id"], &key(record).into_iter().collect::<Vec<_>>(), &values);
    }
    boundary.release()
}

fn by_dept(record: &Record<'_>) -> Option<String> {
    Some(record["dept"].to_owned())
}

fn by_sex(record: &Record<'_>) -> Option<String> {
    Some(record["sex"].to_owned())
}

fn one(_: &Record<'_>) -> Option<i128> {
    Some(1)
}

fn released(group: &Group, cell: usize) -> Cell {
    group.cells[cell].released.clone()
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(*number),
        Cell::Null | Cell::Text(_) => None,
    }
}

/// Arithmetic over released values: nothing in, nothing out.
fn arithmetic(a: &Cell, b: &Cell, work: impl Fn(f64, f64) -> f64) -> Cell {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => Cell::Number(work(a, b)),
        _ => Cell::Null,
    }
}

/// Three significant digits, which rounded numbers can bear.
fn quotient(a: f64, b: f64) -> f64 {
    format!("{:.2e}", a / b).parse().unwrap_or(f64::NAN)
}

fn departments(fixture: &Fixture) -> Vec<Group> {
    counts(&fixture.persons.records(), by_dept, &[(Atom::Rows, &one)])
}

/// The mean of 1 for women and 0 for others tells what the rounded counts tell: it is their quotient, of three digits.
fn share_of_women(fixture: &Fixture) -> anyhow::Result<Table> {
    let woman = |record: &Record<'_>| (record["sex"] == "f").then_some(1);
    let groups = counts(&fixture.persons.records(), by_dept, &[(Atom::Rows, &woman), (Atom::Rows, &one)]);
    // Rounded counts are whole numbers.
    let whole = |count: f64| format!("{count:.0}").parse().unwrap_or(0_i128);
    let share = |group: &Group| {
        arithmetic(&released(group, 0), &released(group, 1), |women, all| {
            amount::three_digits(whole(women), whole(all)).clamp(0.0, 1.0)
        })
    };
    Ok(Table { rows: groups.iter().map(|group| vec![group.keys[0].clone(), share(group)]).collect() })
}

/// Each department with the number of departments that have more people, plus one.
fn rank_of_departments(fixture: &Fixture) -> anyhow::Result<Table> {
    let groups = departments(fixture);
    let sizes: Vec<f64> = groups.iter().filter_map(|group| number(&released(group, 0))).collect();
    let mut rows = Vec::new();
    for group in &groups {
        let size = released(group, 0);
        let mut rank = 1.0;
        for other in &sizes {
            if number(&size).is_some_and(|size| *other > size) {
                rank += 1.0;
            }
        }
        rows.push(vec![group.keys[0].clone(), size, Cell::Number(rank)]);
    }
    Ok(Table { rows })
}

/// Each department's released count over the sum of all released counts.
fn share_of_departments(fixture: &Fixture) -> anyhow::Result<Table> {
    let groups = departments(fixture);
    let total: f64 = groups.iter().filter_map(|group| number(&released(group, 0))).sum();
    let share = |group: &Group| arithmetic(&released(group, 0), &Cell::Number(total), quotient);
    Ok(Table { rows: groups.iter().map(|group| vec![group.keys[0].clone(), share(group)]).collect() })
}

/// Each department with the released counts up to it, in the order of names.
fn running_total(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut total = 0.0;
    let mut rows = Vec::new();
    for group in departments(fixture) {
        total += number(&released(&group, 0)).unwrap_or(0.0);
        rows.push(vec![group.keys[0].clone(), Cell::Number(total)]);
    }
    Ok(Table { rows })
}

/// Numbers of persons with one visit, two visits, and so on.
fn persons_by_visits(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut visits: BTreeMap<&str, u32> = BTreeMap::new();
    for record in fixture.visits.records() {
        *visits.entry(record["person_id"]).or_default() += 1;
    }
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], true);
    for (person, count) in visits {
        boundary.row(person, &[count.min(20).to_string()], &[Some(1)]);
    }
    Ok(table_of(&boundary.release()))
}

/// The mean of the persons' total costs.
fn mean_of_totals(fixture: &Fixture) -> anyhow::Result<Table> {
    let totals = totals(fixture)?;
    let most = 20 * range("cost")?.1;
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Mean { range: (0, most) }], false);
    for (person, total) in totals {
        boundary.row(person, &[], &[Some(total)]);
    }
    Ok(table_of(&boundary.release()))
}

/// Numbers of persons in each hundred of total cost.
fn total_cost_bands(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], true);
    for (person, total) in totals(fixture)? {
        let band = total.div_euclid(100 * amount::ONE) * 100;
        boundary.row(person, &[band.to_string()], &[Some(1)]);
    }
    Ok(table_of(&boundary.release()))
}

fn totals(fixture: &Fixture) -> anyhow::Result<BTreeMap<&str, i128>> {
    let mut totals = BTreeMap::new();
    for record in fixture.visits.records() {
        *totals.entry(record["person_id"]).or_default() += amount::parse(record["cost"])?;
    }
    Ok(totals)
}

/// Released cost of each department's people over the released number of people.
fn cost_per_person(fixture: &Fixture) -> anyhow::Result<Table> {
    let cost = |record: &Record<'_>| amount::parse(record["cost"]).ok();
    let visits = relation("both", fixture)?;
    let costs = counts(&visits, by_dept, &[(Atom::Sum { range: range("cost")? }, &cost)]);
    let mut rows = Vec::new();
    for people in departments(fixture) {
        let Some(spent) = costs.iter().find(|group| group.keys == people.keys) else { continue };
        let each = arithmetic(&released(spent, 0), &released(&people, 0), quotient);
        rows.push(vec![people.keys[0].clone(), each]);
    }
    Ok(Table { rows })
}

fn visitors_on(fixture: &Fixture, day: &str) -> anyhow::Result<BTreeSet<String>> {
    let condition = Condition::parse(&format!("day = {day}"))?;
    let mut visitors = BTreeSet::new();
    for record in fixture.visits.records() {
        if condition.holds(&record)? {
            visitors.insert(record["person_id"].to_owned());
        }
    }
    Ok(visitors)
}

/// Number of persons with a visit on day 2.
fn persons_with_a_visit_on_day_2(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "2")?;
    let mut records = fixture.persons.records();
    records.retain(|record| visitors.contains(record["person_id"]));
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

/// Numbers of persons of each department without a visit on day 3.
fn persons_without_a_visit_on_day_3(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "3")?;
    let mut records = fixture.persons.records();
    records.retain(|record| !visitors.contains(record["person_id"]));
    Ok(table_of(&counts(&records, by_dept, &[(Atom::Rows, &one)])))
}

/// Each department's released mean salary less the released mean of all.
fn salary_over_mean(fixture: &Fixture) -> anyhow::Result<Table> {
    let salary = |record: &Record<'_>| amount::parse(record["salary"]).ok();
    let atom = Atom::Mean { range: range("salary")? };
    let records = fixture.persons.records();
    let all = released(&counts(&records, |_| None, &[(atom, &salary)])[0], 0);
    let groups = counts(&records, by_dept, &[(atom, &salary)]);
    let over = |group: &Group| arithmetic(&released(group, 0), &all, |mean, all| mean - all);
    Ok(Table { rows: groups.iter().map(|group| vec![group.keys[0].clone(), over(group)]).collect() })
}

/// Number of people who earn more than the released mean of all.
fn people_above_the_mean(fixture: &Fixture) -> anyhow::Result<Table> {
    let salary = |record: &Record<'_>| amount::parse(record["salary"]).ok();
    let mut records = fixture.persons.records();
    let mean = counts(&records, |_| None, &[(Atom::Mean { range: range("salary")? }, &salary)]);
    let mean = number(&released(&mean[0], 0)).context("the mean of all is released")?;
    records.retain(|record| salary(record).is_some_and(|salary| amount::to_f64(salary) > mean));
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

/// Number of people who earn more than the released mean of their own department.
fn people_above_the_mean_of_their_department(fixture: &Fixture) -> anyhow::Result<Table> {
    let salary = |record: &Record<'_>| amount::parse(record["salary"]).ok();
    let mut records = fixture.persons.records();
    let means = counts(&records, by_dept, &[(Atom::Mean { range: range("salary")? }, &salary)]);
    let mean_of = |group: &Group| match &group.keys[0] {
        Cell::Text(dept) => Some((dept.clone(), number(&released(group, 0))?)),
        Cell::Number(_) | Cell::Null => None,
    };
    let means: BTreeMap<String, f64> = means.iter().filter_map(mean_of).collect();
    records.retain(|record| {
        let mean = means.get(record["dept"]);
        salary(record).zip(mean).is_some_and(|(salary, mean)| amount::to_f64(salary) > *mean)
    });
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

/// Numbers of people of each sex who are clerks somewhere.
fn people_with_a_clerk_s_job(fixture: &Fixture) -> anyhow::Result<Table> {
    let clerks: BTreeSet<&str> =
        fixture.staff.rows.iter().filter(|row| row[2] == "clerk").map(|row| row[0].as_str()).collect();
    let mut records = fixture.persons.records();
    records.retain(|record| clerks.contains(record["person_id"]));
    Ok(table_of(&counts(&records, by_sex, &[(Atom::Subjects, &one)])))
}

/// The mean cost of a visit, over the people with three visits and more.
fn cost_of_frequent_visitors(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut visits: BTreeMap<&str, u32> = BTreeMap::new();
    for record in fixture.visits.records() {
        *visits.entry(record["person_id"]).or_default() += 1;
    }
    let mut records = fixture.visits.records();
    records.retain(|record| visits[record["person_id"]] >= 3);
    let cost = |record: &Record<'_>| amount::parse(record["cost"]).ok();
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Mean { range: range("cost")? }, &cost)])))
}

/// Two ungrouped counts, one under the other.
fn two_departments(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut rows = Vec::new();
    for dept in ["tax", "works"] {
        let mut records = fixture.persons.records();
        records.retain(|record| record["dept"] == dept);
        let group = counts(&records, |_| None, &[(Atom::Rows, &one)]);
        rows.push(vec![Cell::Text(dept.to_owned()), released(&group[0], 0)]);
    }
    Ok(Table { rows })
}

/// The men and all people of each department, and all people: beside a total of two parts one of them is withheld.
fn men_and_all_of_departments(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut rows = Vec::new();
    let depts = ["health", "police", "school", "tax", "works"].map(Some);
    let sets = depts.into_iter().flat_map(|dept| [(dept, Some("m")), (dept, None)]).chain([(None, None)]);
    for (dept, sex) in sets {
        let mut records = fixture.persons.records();
        records.retain(|record| {
            dept.is_none_or(|dept| record["dept"] == dept) && sex.is_none_or(|sex| record["sex"] == sex)
        });
        let group = counts(&records, |_| None, &[(Atom::Rows, &one)]);
        let key = |key: Option<&str>| key.map_or(Cell::Null, |key| Cell::Text(key.to_owned()));
        rows.push(vec![key(dept), key(sex), released(&group[0], 0)]);
    }
    Ok(Table { rows })
}

/// People and mean salary of the young, the middle-aged and seniors.
fn age_groups(fixture: &Fixture) -> anyhow::Result<Table> {
    let label = |record: &Record<'_>| {
        let age: u64 = record["age"].parse().ok()?;
        Some(
            if age < 30 {
                "young"
            } else if age < 60 {
                "middle"
            } else {
                "senior"
            }
            .to_owned(),
        )
    };
    let salary = |record: &Record<'_>| amount::parse(record["salary"]).ok();
    let mean = Atom::Mean { range: range("salary")? };
    Ok(table_of(&counts(&fixture.persons.records(), label, &[(Atom::Rows, &one), (mean, &salary)])))
}

/// The number of visits of each person.
fn visits_each(fixture: &Fixture) -> BTreeMap<&str, u32> {
    let mut visits = BTreeMap::new();
    for record in fixture.visits.records() {
        *visits.entry(record["person_id"]).or_default() += 1;
    }
    visits
}

/// The people for whom a condition holds, counted by department.
fn people_where(fixture: &Fixture, holds: impl Fn(&Record<'_>) -> bool) -> anyhow::Result<Table> {
    let mut records = fixture.persons.records();
    records.retain(|record| holds(record));
    Ok(table_of(&counts(&records, by_dept, &[(Atom::Rows, &one)])))
}

/// People of each department who work for the tax office or have a visit on day 2.
fn people_of_tax_or_with_a_visit_on_day_2(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "2")?;
    people_where(fixture, |record| record["dept"] == "tax" || visitors.contains(record["person_id"]))
}

/// People of each department with three visits and more.
fn people_with_three_visits(fixture: &Fixture) -> anyhow::Result<Table> {
    let visits = visits_each(fixture);
    people_where(fixture, |record| visits.get(record["person_id"]).is_some_and(|visits| *visits >= 3))
}

/// Numbers of people with a visit on day 2 and of people with visits on other days only.
fn people_with_a_visit_on_day_2(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "2")?;
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], true);
    for person in visits_each(fixture).keys() {
        boundary.row(person, &[visitors.contains(*person).to_string()], &[Some(1)]);
    }
    Ok(table_of(&boundary.release()))
}

/// Numbers of people with and without a visit on day 3: the label of the others is missing.
fn people_with_visit_flags(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "3")?;
    let label = |record: &Record<'_>| {
        Some(if visitors.contains(record["person_id"]) { "came" } else { "" }.to_owned())
    };
    Ok(table_of(&counts(&fixture.persons.records(), label, &[(Atom::Rows, &one)])))
}

/// The first visits of their persons, by day: their number and cost.
fn first_visits(fixture: &Fixture) -> anyhow::Result<Table> {
    let firsts = first_days(fixture);
    let mut records = fixture.visits.records();
    records.retain(|record| firsts[record["person_id"]] == record["day"]);
    let cost = |record: &Record<'_>| amount::parse(record["cost"]).ok();
    let by_day = |record: &Record<'_>| Some(record["day"].to_owned());
    let sum = Atom::Sum { range: range("cost")? };
    Ok(table_of(&counts(&records, by_day, &[(Atom::Rows, &one), (sum, &cost)])))
}

/// Numbers of people by the day of their first visit.
fn people_by_first_day(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], true);
    for (person, day) in first_days(fixture) {
        boundary.row(person, &[day.to_owned()], &[Some(1)]);
    }
    Ok(table_of(&boundary.release()))
}

/// The first day of everybody's visits; days have one digit.
fn first_days(fixture: &Fixture) -> BTreeMap<&str, &str> {
    let mut firsts: BTreeMap<&str, &str> = BTreeMap::new();
    for record in fixture.visits.records() {
        let first = firsts.entry(record["person_id"]).or_insert(record["day"]);
        *first = (*first).min(record["day"]);
    }
    firsts
}

/// Number of people who have a visit after another one of theirs.
fn people_with_a_later_visit(fixture: &Fixture) -> anyhow::Result<Table> {
    let firsts = first_days(fixture);
    let mut records = fixture.visits.records();
    records.retain(|record| firsts[record["person_id"]] < record["day"]);
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Subjects, &one)])))
}

/// Number of visits that cost more than the mean of the same person's visits.
fn costs_over_own_mean(fixture: &Fixture) -> anyhow::Result<Table> {
    let (totals, visits) = (totals(fixture)?, visits_each(fixture));
    let mut records = fixture.visits.records();
    let mut kept = Vec::new();
    for record in records.drain(..) {
        let person = record["person_id"];
        if amount::parse(record["cost"])? * i128::from(visits[person]) > totals[person] {
            kept.push(record);
        }
    }
    Ok(table_of(&counts(&kept, |_| None, &[(Atom::Rows, &one)])))
}

/// Numbers of visits in each of ten intervals of cost up to 1000.
fn costs_in_buckets(fixture: &Fixture) -> anyhow::Result<Table> {
    let bucket = |record: &Record<'_>| {
        let cost = amount::parse(record["cost"]).ok()?;
        Some((cost.div_euclid(100 * amount::ONE) + 1).to_string())
    };
    Ok(table_of(&counts(&fixture.visits.records(), bucket, &[(Atom::Rows, &one)])))
}

/// Everybody's visits in the order of days; days have one digit.
fn days_each(fixture: &Fixture) -> BTreeMap<&str, Vec<&str>> {
    let mut days: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in fixture.visits.records() {
        days.entry(record["person_id"]).or_default().push(record["day"]);
    }
    days.values_mut().for_each(|days| days.sort_unstable());
    days
}

/// Numbers of people by the day they put first: day 1 if they have it, otherwise their last.
fn days_put_first(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], true);
    for (person, days) in days_each(fixture) {
        let first = days.iter().find(|day| **day == "1").or(days.last()).context("a visit")?;
        boundary.row(person, &[(*first).to_owned()], &[Some(1)]);
    }
    Ok(table_of(&boundary.release()))
}

/// Number of visits on day 1 or right after one of the same person on day 1.
fn rows_on_day_1_or_after_it(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut boundary = Boundary::new(Controls::L3, vec![Atom::Rows], false);
    for (person, days) in days_each(fixture) {
        for (at, day) in days.iter().enumerate() {
            if *day == "1" || (at > 0 && days[at - 1] == "1") {
                boundary.row(person, &[], &[Some(1)]);
            }
        }
    }
    Ok(table_of(&boundary.release()))
}

/// Numbers of visits by the last day of the same person.
fn visits_by_last_day(fixture: &Fixture) -> anyhow::Result<Table> {
    let days = days_each(fixture);
    let last = |record: &Record<'_>| Some(days[record["person_id"]].last()?.to_string());
    Ok(table_of(&counts(&fixture.visits.records(), last, &[(Atom::Rows, &one)])))
}

/// Number of persons without a visit on day 3.
fn persons_that_stayed(fixture: &Fixture) -> anyhow::Result<Table> {
    let visitors = visitors_on(fixture, "3")?;
    let mut records = fixture.persons.records();
    records.retain(|record| !visitors.contains(record["person_id"]));
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

/// Number of women in the bands from 60 on and of others in those from 40 on, together.
fn persons_over_an_age_by_sex(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut records = fixture.persons.records();
    records.retain(|record| {
        let age: u32 = record["age"].parse().unwrap_or_default();
        age >= if record["sex"] == "f" { 60 } else { 40 }
    });
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

/// The holiday of a day, as the open table of the corpora says.
fn holiday(day: &str) -> Option<&'static str> {
    match day {
        "0" => Some("opening"),
        "2" | "3" => Some("fair"),
        _ => None,
    }
}

/// Number and cost of visits on each holiday; the other days under a name of their own.
fn visits_by_holiday(fixture: &Fixture) -> anyhow::Result<Table> {
    let label = |record: &Record<'_>| Some(holiday(record["day"]).unwrap_or("none").to_owned());
    let cost = |record: &Record<'_>| amount::parse(record["cost"]).ok();
    let sum = Atom::Sum { range: range("cost")? };
    Ok(table_of(&counts(&fixture.visits.records(), label, &[(Atom::Rows, &one), (sum, &cost)])))
}

/// Number of visits on holidays.
fn visits_on_holidays(fixture: &Fixture) -> anyhow::Result<Table> {
    let mut records = fixture.visits.records();
    records.retain(|record| holiday(record["day"]).is_some());
    Ok(table_of(&counts(&records, |_| None, &[(Atom::Rows, &one)])))
}

fn table_of(groups: &[Group]) -> Table {
    let row = |group: &Group| {
        group.keys.iter().cloned().chain(group.cells.iter().map(|cell| cell.released.clone())).collect()
    };
    Table { rows: groups.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_row() {
        let fixture = Fixture::load().unwrap();
        for name in names() {
            assert!(!named(name, &fixture).unwrap().rows.is_empty(), "{name}");
        }
        assert!(named("nothing", &fixture).is_err());
    }
}
