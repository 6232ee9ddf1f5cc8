//! A released table as the story's comments read it: cells as text, numbers or nothing.
//! It holds what everybody in the story sees, and knows no engine.

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// Withheld, empty or never there: they look alike.
    Missing,
}

/// The rows of an answer, in the order of its columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    rows: Vec<Vec<Cell>>,
}

impl Answer {
    /// An answer of these rows.
    #[must_use]
    pub fn new(rows: Vec<Vec<Cell>>) -> Self {
        Self { rows }
    }

    /// Number of its rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text of a cell.
    pub(super) fn text(&self, row: usize, column: usize) -> Option<&str> {
        match self.rows.get(row)?.get(column)? {
            Cell::Text(text) => Some(text),
            Cell::Number(_) | Cell::Missing => None,
        }
    }

    /// The number of a cell.
    pub(super) fn number(&self, row: usize, column: usize) -> Option<f64> {
        match self.rows.get(row)?.get(column)? {
            Cell::Number(number) => Some(*number),
            Cell::Text(_) | Cell::Missing => None,
        }
    }

    /// The numbers of some columns of a row, if all of them are there.
    pub(super) fn numbers<const N: usize>(&self, row: usize, columns: [usize; N]) -> Option<[f64; N]> {
        let mut numbers = [0.0; N];
        for (number, column) in numbers.iter_mut().zip(columns) {
            *number = self.number(row, column)?;
        }
        Some(numbers)
    }

    /// The places of all rows.
    pub(super) fn places(&self) -> std::ops::Range<usize> {
        0..self.rows.len()
    }

    /// Number of missing cells in a column.
    pub(super) fn missing(&self, column: usize) -> usize {
        self.rows.iter().filter(|row| row.get(column) == Some(&Cell::Missing)).count()
    }
}
