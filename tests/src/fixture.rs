//! The people and visits of the corpora, with canaries added to every column.
//! It writes plaintext for tests to seal; nothing here is sealed or judged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use anyhow::ensure;

use crate::canary::Canary;
use crate::environment;

/// The subject that the attacks are after.
pub const VICTIM: &str = "4711";

/// A table in plain text: the names of its columns and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Name in SQL, without its department.
    pub name: String,
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// The rows; a missing value is an empty text.
    pub rows: Vec<Vec<String>>,
}

impl Plain {
    /// Reads a table from CSV text with a header.
    ///
    /// # Errors
    /// When the text is not CSV of one width.
    pub fn from_csv(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers()?.iter().map(str::to_owned).collect();
        let rows = reader
            .records()
            .map(|record| Ok(record?.iter().map(str::to_owned).collect()))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { name: name.to_owned(), columns, rows })
    }

    /// Writes the table as CSV text with a header.
    ///
    /// # Errors
    /// Never for rows of one width.
    pub fn to_csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    /// Finds a column.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn column(&self, name: &str) -> anyhow::Result<usize> {
        let found = self.columns.iter().position(|column| column == name);
        found.with_context(|| format!("`{}` has no column `{name}`", self.name))
    }

    /// Returns the rows as maps from column to value, for readers that are slow and plain on purpose.
    #[must_use]
    pub fn records(&self) -> Vec<BTreeMap<&str, &str>> {
        self.rows
            .iter()
            .map(|row| self.columns.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect())
            .collect()
    }
}

/// The data of one world: its tables, and what was planted in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// One row a person.
    pub persons: Plain,
    /// One to four rows a person.
    pub visits: Plain,
    /// One row a job: most people have one, the victim has eight, and no one else has a job of that name.
    pub staff: Plain,
    /// The planted values.
    pub canaries: Vec<Canary>,
}

/// The difference of a neighbour from the fixture. Each differs in the victim alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// The victim has another diagnosis, salary, name and costs.
    Changed,
    /// The victim is in neither table.
    Absent,
}

impl Fixture {
    /// Reads the corpus tables and plants three canary people in them, each alone in every group it could form.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn load() -> anyhow::Result<Self> {
        let folder = environment::tests_folder().join("attacks").join("data");
        let read = |name: &str| -> anyhow::Result<Plain> {
            let path = folder.join(format!("{name}.csv"));
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Plain::from_csv(name, &text)
        };
        let persons = read("persons")?;
        let staff = staff(&persons)?;
        let mut fixture = Self { persons, visits: read("visits")?, staff, canaries: Vec::new() };
        for number in 1..=3 {
            fixture.plant(number)?;
        }
        fixture.canaries.push(Canary::new("persons.name of the victim", "Victim Vera"));
        Ok(fixture)
    }

    /// Returns the data that differs from this in the victim only.
    ///
    /// # Errors
    /// When the victim is missing.
    pub fn neighbour(&self, how: Neighbour) -> anyhow::Result<Self> {
        let mut other = self.clone();
        let person = other.persons.column("person_id")?;
        let visitor = other.visits.column("person_id")?;
        let before = other.persons.rows.len();
        match how {
            Neighbour::Absent => {
                other.persons.rows.retain(|row| row[person] != VICTIM);
                other.visits.rows.retain(|row| row[visitor] != VICTIM);
                other.staff.rows.retain(|row| row[0] != VICTIM);
                ensure!(other.persons.rows.len() + 1 == before, "the victim is one row of persons");
            }
            Neighbour::Changed => {
                let (diag, salary, name) = (
                    other.persons.column("diag")?,
                    other.persons.column("salary")?,
                    other.persons.column("name")?,
                );
                for row in other.persons.rows.iter_mut().filter(|row| row[person] == VICTIM) {
                    row[diag] = "none".to_owned();
                    row[salary] = "31415".to_owned();
                    row[name] = "Somebody Else".to_owned();
                }
                let cost = other.visits.column("cost")?;
                for row in other.visits.rows.iter_mut().filter(|row| row[visitor] == VICTIM) {
                    row[cost] = "13.0".to_owned();
                }
                for row in other.staff.rows.iter_mut().filter(|row| row[0] == VICTIM) {
                    row[2] = "driver".to_owned();
                }
                ensure!(other != *self, "the victim is in the data");
            }
        }
        Ok(other)
    }

    /// The tables that are about people.
    #[must_use]
    pub fn tables(&self) -> [&Plain; 3] {
        [&self.persons, &self.visits, &self.staff]
    }

    /// Writes the tables as CSV files into a folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        for table in self.tables() {
            let path = folder.join(format!("{}.csv", table.name));
            fs::write(&path, table.to_csv()?).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Adds one person with one visit whose every value is a canary.
    fn plant(&mut self, number: u32) -> anyhow::Result<()> {
        let id = format!("CANARY-id-{number}-8c51d2");
        let person = [
            ("person_id", id.clone()),
            ("dept", format!("CANARY-dept-{number}-e07b44")),
            ("zip", format!("CANARY-zip-{number}-51f9aa")),
            ("age", format!("91827364{number}")),
            ("sex", format!("CANARY-sex-{number}-a6e3b1")),
            ("diag", format!("CANARY-diag-{number}-3d90fc")),
            ("salary", format!("18394{number}.6173")),
            ("name", format!("CANARY-name-{number}-7f3a9c")),
            ("birth", format!("1869-04-2{number}")),
            ("hire", format!("1871-05-1{number}")),
        ];
        let visit = [
            ("visit_id", format!("CANARY-visit-{number}-b28e07")),
            ("person_id", id),
            ("cost", format!("31{number}.2597")),
            ("day", format!("77312904{number}")),
        ];
        plant_row(&mut self.persons, &person, &mut self.canaries)?;
        plant_row(&mut self.visits, &visit, &mut self.canaries)
    }
}

/// The staff of firms: everybody in one of 40 firms by their place in the list, the victim in eight of them, in a job that
/// no other person has.
fn staff(persons: &Plain) -> anyhow::Result<Plain> {
    const JOBS: [&str; 3] = ["clerk", "driver", "nurse"];
    let person = persons.column("person_id")?;
    let columns = ["person_id", "firm", "job", "site", "pay"].map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for (place, row) in persons.rows.iter().enumerate() {
        let id = &row[person];
        let jobs = if id == VICTIM { 8 } else { 1 };
        for nth in 0..jobs {
            let firm = format!("F{:02}", (place * 7 + nth * 5) % 40);
            let job = if id == VICTIM { "tax" } else { JOBS[place % JOBS.len()] };
            let site = format!("S{}", if id == VICTIM { 9 } else { place % 8 });
            let pay = (20_000 + place * 37 % 60_000).to_string();
            rows.push(vec![id.clone(), firm, job.to_owned(), site, pay]);
        }
    }
    Ok(Plain { name: "staff".to_owned(), columns, rows })
}

fn plant_row(table: &mut Plain, values: &[(&str, String)], canaries: &mut Vec<Canary>) -> anyhow::Result<()> {
    let mut row = vec![String::new(); table.columns.len()];
    for (column, value) in values {
        row[table.column(column)?].clone_from(value);
        canaries.push(Canary::new(format!("{}.{column}", table.name), value.clone()));
    }
    ensure!(row.iter().all(|value| !value.is_empty()), "`{}` has a column without a canary", table.name);
    table.rows.push(row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Scanner;

    #[test]
    fn every_column_carries_a_canary_that_the_scanner_sees_in_csv() {
        let fixture = Fixture::load().unwrap();
        let scanner = Scanner::new(fixture.canaries.clone()).unwrap();
        let text = fixture.persons.to_csv().unwrap() + &fixture.visits.to_csv().unwrap();
        assert_eq!(scanner.places_seen("CSV", text.as_bytes()), scanner.places());
        for table in [&fixture.persons, &fixture.visits] {
            for column in &table.columns {
                assert!(scanner.places().contains(&format!("{}.{column}", table.name)), "{column}");
            }
        }
    }

    #[test]
    fn neighbours_differ_in_the_victim_alone() {
        let fixture = Fixture::load().unwrap();
        let changed = fixture.neighbour(Neighbour::Changed).unwrap();
        let absent = fixture.neighbour(Neighbour::Absent).unwrap();
        let differing =
            fixture.persons.rows.iter().zip(&changed.persons.rows).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 1);
        assert_eq!(fixture.persons.rows.len(), absent.persons.rows.len() + 1);
        assert_eq!(fixture.visits.rows.len(), absent.visits.rows.len() + 4);
    }

    #[test]
    fn csv_round_trips() {
        let persons = Fixture::load().unwrap().persons;
        assert_eq!(Plain::from_csv("persons", &persons.to_csv().unwrap()).unwrap(), persons);
    }
}
