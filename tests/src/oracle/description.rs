//! Right answers described in a corpus file: a relation, a condition, keys and cells, in words of a few letters.
//! Questions that need more are functions in `answers`. The language is parsed here and by nothing else.

use std::collections::BTreeMap;

use anyhow::Context as _;
use anyhow::bail;
use serde::Deserialize;

use super::Controls;
use super::amount;
use super::boundary::Atom;
use super::boundary::Boundary;
use crate::fixture::Fixture;
use crate::fixture::Plain;
use crate::table::Cell;
use crate::table::Table;
use crate::table::parse_order;

/// The parts of a right answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// `persons`, `visits`, `staff`, or `both`: visits with their persons' columns (joined on the person).
    pub from: String,
    /// Condition on rows: `age >= 60 and dept in tax|health`; all rows when missing.
    #[serde(default)]
    pub rows: String,
    /// Group keys: a column, `band age 10`, `prefix zip 2`, `year hire`, `quarter hire`, `month hire`,
    /// `year_of hire`, `dow hire` (0 is Sunday).
    #[serde(default)]
    pub keys: Vec<String>,
    /// Sets of keys, by their numbers from 0: each is a grouping of its own, and a key that it does not have is missing. What complementary
    /// suppression withholds has no words here.
    #[serde(default)]
    pub sets: Vec<Vec<usize>>,
    /// Cells: `rows`, `subjects`, `sum salary`, `mean salary`, each perhaps with ` where CONDITION`.
    pub cells: Vec<String>,
    /// Keep only groups whose released cell of this number (from 0) is above the value: `0 > 100`.
    #[serde(default)]
    pub having: String,
    /// Order by an output column: `1 desc`. Needed with `limit`.
    #[serde(default)]
    pub order: String,
    /// Keep this many rows.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Output columns to keep, in order: numbers from 0 over keys and then cells; all when missing.
    #[serde(default)]
    pub columns: Vec<usize>,
}

/// A row of a relation: column to value; a missing value is an empty text.
pub type Record<'a> = BTreeMap<&'a str, &'a str>;

/// Says the declared range of a measure, in ten-thousandths.
pub type Ranges<'a> = &'a dyn Fn(&str) -> anyhow::Result<(i128, i128)>;

impl Description {
    /// Computes the answer over the fixture.
    ///
    /// # Errors
    /// When the description uses a word that this language lacks.
    pub fn answer(&self, fixture: &Fixture) -> anyhow::Result<Table> {
        self.answer_over(&relation(&self.from, fixture)?, "person_id", &range)
    }

    /// Computes the answer over any rows, whose subject stands in a column and whose measures have declared ranges.
    ///
    /// # Errors
    /// When the description uses a word that this language lacks.
    pub fn answer_over(
        &self,
        records: &[Record<'_>],
        subject: &str,
        range: Ranges<'_>,
    ) -> anyhow::Result<Table> {
        let rows = Condition::parse(&self.rows)?;
        let cells = self
            .cells
            .iter()
            .map(|cell| DescribedCell::parse(cell, range))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut table = Table::default();
        let all: Vec<usize> = (0..self.keys.len()).collect();
        for set in if self.sets.is_empty() { std::slice::from_ref(&all) } else { &self.sets } {
            let atoms = cells.iter().map(|cell| cell.atom).collect();
            let mut boundary = Boundary::new(Controls::L3, atoms, !set.is_empty());
            for record in records {
                if !rows.holds(record)? {
                    continue;
                }
                let keys = set.iter().map(|key| key_value(&self.keys[*key], record));
                let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
                let values =
                    cells.iter().map(|cell| cell.value(record)).collect::<anyhow::Result<Vec<_>>>()?;
                boundary.row(record[subject], &keys, &values);
            }
            for group in boundary.release() {
                let released: Vec<Cell> = group.cells.into_iter().map(|cell| cell.released).collect();
                if self.keeps(&released)? {
                    let key = |key| {
                        set.iter().position(|own| own == key).map_or(Cell::Null, |at| group.keys[at].clone())
                    };
                    table.rows.push(all.iter().map(key).chain(released).collect());
                }
            }
        }
        self.arrange(&mut table)?;
        Ok(table)
    }

    fn keeps(&self, released: &[Cell]) -> anyhow::Result<bool> {
        if self.having.is_empty() {
            return Ok(true);
        }
        let (cell, bound) = self.having.split_once('>').context("`having` is `CELL > VALUE`")?;
        let bound: f64 = bound.trim().parse()?;
        let cell: usize = cell.trim().parse()?;
        Ok(matches!(released.get(cell), Some(Cell::Number(number)) if *number > bound))
    }

    fn arrange(&self, table: &mut Table) -> anyhow::Result<()> {
        if let Some((column, descending)) = parse_order(&self.order)? {
            table.rows.sort_by(|a, b| {
                let (a, b) = if descending { (b, a) } else { (a, b) };
                a[column].order(&b[column])
            });
        }
        if let Some(limit) = self.limit {
            table.rows.truncate(limit);
        }
        if !self.columns.is_empty() {
            for row in &mut table.rows {
                *row = self.columns.iter().map(|column| row[*column].clone()).collect();
            }
        }
        Ok(())
    }
}

/// The rows of a relation by name.
pub(super) fn relation<'a>(name: &str, fixture: &'a Fixture) -> anyhow::Result<Vec<Record<'a>>> {
    match name {
        "persons" => Ok(fixture.persons.records()),
        "visits" => Ok(fixture.visits.records()),
        "staff" => Ok(fixture.staff.records()),
        "both" => Ok(joined(&fixture.visits, &fixture.persons)),
        other => bail!("there is no relation `{other}`"),
    }
}

/// Every row of visits with the columns of its person.
fn joined<'a>(visits: &'a Plain, persons: &'a Plain) -> Vec<Record<'a>> {
    let people: BTreeMap<&str, Record<'a>> =
        persons.records().into_iter().map(|person| (person["person_id"], person)).collect();
    let mut rows = Vec::new();
    for mut visit in visits.records() {
        if let Some(person) = people.get(visit["person_id"]) {
            visit.extend(person.clone());
            rows.push(visit);
        }
    }
    rows
}

/// The declared range of a measure of the fixture.
pub(super) fn range(measure: &str) -> anyhow::Result<(i128, i128)> {
    match measure {
        "salary" => Ok((0, 200_000 * amount::ONE)),
        "cost" => Ok((0, 1000 * amount::ONE)),
        other => bail!("`{other}` is no measure of the fixture"),
    }
}

/// The value of one group key, as text.
pub(super) fn key_value(key: &str, record: &Record<'_>) -> anyhow::Result<String> {
    let words: Vec<&str> = key.split_whitespace().collect();
    let value = |column: &str| record.get(column).copied().with_context(|| format!("no column `{column}`"));
    Ok(match words.as_slice() {
        [column] => value(column)?.to_owned(),
        ["band", column, width] => {
            let (value, width) = (amount::parse(value(column)?)?, amount::parse(width)?);
            (value.div_euclid(width) * width / amount::ONE).to_string()
        }
        ["prefix", column, length] => value(column)?.chars().take(length.parse()?).collect(),
        ["year", column] => format!("{}-01-01", &value(column)?[..4]),
        ["month", column] => format!("{}-01", &value(column)?[..7]),
        ["quarter", column] => {
            let date = value(column)?;
            let month: u8 = date[5..7].parse()?;
            format!("{}-{:02}-01", &date[..4], (month - 1) / 3 * 3 + 1)
        }
        ["dow", column] => day_of_week(value(column)?)?.to_string(),
        ["year_of", column] => value(column)?[..4].to_owned(),
        _ => bail!("`{key}` is no key of this language"),
    })
}

/// The day of the week of an ISO date, 0 for Sunday (Sakamoto's method).
fn day_of_week(date: &str) -> anyhow::Result<i64> {
    let (year, month, day): (i64, usize, i64) =
        (date[..4].parse()?, date[5..7].parse()?, date[8..10].parse()?);
    let shifts = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year - 1 } else { year };
    Ok((year + year / 4 - year / 100 + year / 400 + shifts[month - 1] + day) % 7)
}

#[derive(Debug)]
struct DescribedCell {
    atom: Atom,
    measure: Option<String>,
    condition: Condition,
}

impl DescribedCell {
    fn parse(text: &str, range: Ranges<'_>) -> anyhow::Result<Self> {
        let (what, condition) = text.split_once(" where ").unwrap_or((text, ""));
        let condition = Condition::parse(condition)?;
        let words: Vec<&str> = what.split_whitespace().collect();
        let (atom, measure) = match words.as_slice() {
            ["rows"] => (Atom::Rows, None),
            ["rows", column] => (Atom::Rows, Some((*column).to_owned())),
            ["subjects"] => (Atom::Subjects, None),
            ["sum", measure] => (Atom::Sum { range: range(measure)? }, Some((*measure).to_owned())),
            ["mean", measure] => (Atom::Mean { range: range(measure)? }, Some((*measure).to_owned())),
            _ => bail!("`{text}` is no cell of this language"),
        };
        Ok(Self { atom, measure, condition })
    }

    fn value(&self, record: &Record<'_>) -> anyhow::Result<Option<i128>> {
        if !self.condition.holds(record)? {
            return Ok(None);
        }
        let Some(measure) = &self.measure else { return Ok(Some(1)) };
        let text = record.get(measure.as_str()).with_context(|| format!("no column `{measure}`"))?;
        if text.is_empty() {
            return Ok(None);
        }
        if self.atom == Atom::Rows { Ok(Some(1)) } else { amount::parse(text).map(Some) }
    }
}

/// Comparisons joined by `and`; a comparison with a missing value does not hold.
#[derive(Debug, Default)]
pub(super) struct Condition {
    all: Vec<(String, String, String)>,
}

impl Condition {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for part in text.split(" and ").map(str::trim).filter(|part| !part.is_empty()) {
            let mut words = part.splitn(3, ' ');
            let (Some(column), Some(operator), Some(value)) = (words.next(), words.next(), words.next())
            else {
                bail!("`{part}` is no comparison of this language");
            };
            all.push((column.to_owned(), operator.to_owned(), value.to_owned()));
        }
        Ok(Self { all })
    }

    pub(super) fn holds(&self, record: &Record<'_>) -> anyhow::Result<bool> {
        for (column, operator, wanted) in &self.all {
            let value = *record.get(column.as_str()).with_context(|| format!("no column `{column}`"))?;
            if value.is_empty() || !compares(value, operator, wanted)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn compares(value: &str, operator: &str, wanted: &str) -> anyhow::Result<bool> {
    let order = |wanted: &str| match (amount::parse(value), amount::parse(wanted)) {
        (Ok(value), Ok(wanted)) => value.cmp(&wanted),
        _ => value.cmp(wanted),
    };
    Ok(match operator {
        "=" => order(wanted).is_eq(),
        "<>" => order(wanted).is_ne(),
        "<" => order(wanted).is_lt(),
        "<=" => order(wanted).is_le(),
        ">" => order(wanted).is_gt(),
        ">=" => order(wanted).is_ge(),
        "in" => wanted.split('|').any(|one| order(one).is_eq()),
        "begins" => value.starts_with(wanted),
        other => bail!("`{other}` is no operator of this language"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Table {
        let description: Description = toml::from_str(text).unwrap();
        description.answer(&Fixture::load().unwrap()).unwrap()
    }

    #[test]
    fn people_are_counted_by_department() {
        let table = answer("from = 'persons'\nkeys = ['dept']\ncells = ['rows']");
        let expected =
            Table::from_csv("d,n\nhealth,400\npolice,400\nschool,400\ntax,400\nworks,400\n").unwrap();
        assert!(table.differences(&expected, 0.0).is_empty(), "{table:?}");
    }

    #[test]
    fn a_person_of_a_hundred_years_has_no_band() {
        let table = answer("from = 'persons'\nkeys = ['band age 10']\ncells = ['rows']");
        assert_eq!(table.rows.len(), 8);
    }

    #[test]
    fn days_of_the_week_are_those_of_the_calendar() {
        assert_eq!(day_of_week("2026-11-21").unwrap(), 6);
        assert_eq!(day_of_week("2000-01-01").unwrap(), 6);
        assert_eq!(day_of_week("1969-07-20").unwrap(), 0);
    }

    #[test]
    fn conditions_order_and_limit_apply() {
        let table = answer(
            "from = 'persons'\nrows = 'age >= 60 and dept in tax|health'\nkeys = ['dept']\n\
             cells = ['rows', 'mean salary']\norder = '1 desc'\nlimit = 1",
        );
        assert_eq!(table.rows.len(), 1);
    }

    #[test]
    fn unknown_words_are_errors() {
        let fixture = Fixture::load().unwrap();
        for text in ["from = 'x'\ncells = ['rows']", "from = 'persons'\ncells = ['mode age']"] {
            let description: Description = toml::from_str(text).unwrap();
            assert!(description.answer(&fixture).is_err());
        }
    }
}
