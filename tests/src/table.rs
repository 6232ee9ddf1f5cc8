//! A released table as the suites compare it: cells that are nothing, text or a number.
//! It reads what the product printed; it rounds and suppresses nothing.

use std::cmp::Ordering;
use std::fmt;

use anyhow::Context as _;
use anyhow::bail;

/// One released value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Withheld, or never there.
    Null,
    /// A number; both exact and floating types are read as one.
    Number(f64),
    /// Any other value, in its printed form.
    Text(String),
}

/// True for a printed cell that has no value: a key that the data lacks is empty, a withheld cell is marked.
#[must_use]
pub fn is_missing(text: &str) -> bool {
    text.is_empty() || text == "*"
}

impl Cell {
    /// Reads one printed value: an empty text is nothing, midnight is its day.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.strip_suffix("T00:00:00").or(text.strip_suffix(" 00:00:00")).unwrap_or(text);
        match text.parse::<f64>() {
            _ if is_missing(text) => Self::Null,
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// True if two cells hold the same value, numbers up to a relative difference.
    #[must_use]
    pub fn agrees(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0),
            (a, b) => a == b,
        }
    }

    /// Orders cells: nothing, then numbers, then texts.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("(nothing)"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// Rows of cells; the order counts only where the query asked for one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Reads what `--output csv` printed.
    ///
    /// # Errors
    /// When it is not CSV with a header.
    pub fn from_csv(text: &str) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.headers().context("a released table has a header")?;
        let rows = reader
            .records()
            .map(|record| Ok(record?.iter().map(Cell::parse).collect()))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { rows })
    }

    /// Returns what differs from an expected table, cell by cell; nothing when they agree.
    #[must_use]
    pub fn differences(&self, expected: &Self, tolerance: f64) -> Vec<String> {
        let (found, wanted) = (self.sorted(), expected.sorted());
        let mut differences = Vec::new();
        if found.len() != wanted.len() {
            differences.push(format!("{} rows, expected {}", found.len(), wanted.len()));
        }
        for (number, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let agree = found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| found.agrees(wanted, tolerance));
            if !agree {
                differences.push(format!("row {number}: found {}, expected {}", show(found), show(wanted)));
            }
        }
        differences
    }

    /// True if a column is in order, as the query asked.
    #[must_use]
    pub fn is_ordered_by(&self, column: usize, descending: bool) -> bool {
        self.rows.windows(2).all(|pair| {
            let order = pair[0][column].order(&pair[1][column]);
            order != if descending { Ordering::Less } else { Ordering::Greater }
        })
    }

    fn sorted(&self) -> Vec<Vec<Cell>> {
        let mut rows = self.rows.clone();
        rows.sort_by(|a, b| {
            let first = a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| *order != Ordering::Equal);
            first.unwrap_or(Ordering::Equal)
        });
        rows
    }
}

/// Reads an order like `1 desc` into a column (from 0) and whether it descends; nothing for an empty text.
///
/// # Errors
/// When it is written otherwise.
pub fn parse_order(text: &str) -> anyhow::Result<Option<(usize, bool)>> {
    let mut words = text.split_whitespace();
    let Some(column) = words.next() else { return Ok(None) };
    let column = column.parse().with_context(|| format!("`{column}` is no column number"))?;
    match words.next() {
        None => Ok(Some((column, false))),
        Some("desc") => Ok(Some((column, true))),
        Some(other) => bail!("`{other}` is no direction"),
    }
}

fn show(row: &[Cell]) -> String {
    row.iter().map(Cell::to_string).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree_in_any_order_and_not_in_other_values() {
        let a = Table::from_csv("dept,n\ntax,400\nhealth,\n").unwrap();
        let b = Table::from_csv("dept,n\nhealth,\ntax,400.0\n").unwrap();
        let c = Table::from_csv("dept,n\nhealth,\ntax,405\n").unwrap();
        assert!(a.differences(&b, 0.0).is_empty());
        assert_eq!(a.differences(&c, 0.0).len(), 1);
    }

    #[test]
    fn a_missing_row_is_a_difference() {
        let a = Table::from_csv("dept,n\ntax,400\n").unwrap();
        let b = Table::from_csv("dept,n\ntax,400\nhealth,5\n").unwrap();
        assert!(!a.differences(&b, 0.0).is_empty() && !b.differences(&a, 0.0).is_empty());
    }

    #[test]
    fn order_is_judged_by_column() {
        let table = Table::from_csv("n\n5\n3\n3\n").unwrap();
        assert!(table.is_ordered_by(0, true) && !table.is_ordered_by(0, false));
    }
}
