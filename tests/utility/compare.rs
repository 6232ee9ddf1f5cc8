//! Compares an answer with the exact one, row by row of the same groups: what is missing of it, how far its numbers are off,
//! and differences that no declared protection explains.

use std::collections::BTreeMap;

use obscura_tests::table::Cell;
use obscura_tests::table::Table;

/// Base that the city's policies round counts to.
const BASE: f64 = 5.0;
/// Largest relative difference of quotients of counts, which are rounded to three digits.
const THREE_DIGITS: f64 = 0.0051;
/// Rows of a result of which one may be another: the last of a ranking may tie with the next, or be as large once it is rounded.
const ROWS_OF_ONE_SWAPPED: usize = 10;
/// Largest difference of sums and means from the exact ones, as a part of these and of the largest value of their column.
const NEAR_SELF: f64 = 0.05;
const NEAR_LARGEST: f64 = 0.02;
/// Findings of one comparison that are told.
const TOLD_MAX: usize = 5;

/// The nature of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// They name the group.
    Key,
    /// Counts as they are released.
    Count,
    /// Computed from counts.
    OfCounts,
    /// A sum or a mean as it is released: rounded by the range of its measure whatever the policy says.
    Quantity,
    /// Computed from such.
    OfQuantities,
    /// A quantile: the middle of a step.
    Step,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) nature: Nature,
    /// Of a quantile: half the width of a step.
    pub(crate) half_step: f64,
    /// A key whose largest value stands for all larger ones, as its treatment says.
    pub(crate) is_top_coded: bool,
}

/// The part of an exact answer that a protected one lacks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Loss {
    /// Numbers of the exact answer.
    pub(crate) cells: usize,
    /// Those that the protected one does not have; a row that another one displaced is missing too.
    pub(crate) withheld: usize,
    /// Relative differences of the others.
    pub(crate) errors: Vec<f64>,
}

impl Loss {
    /// Adds another question's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.cells += other.cells;
        self.withheld += other.withheld;
        self.errors.extend(&other.errors);
    }

    /// The share of numbers that are missing; nothing where there are none.
    pub(crate) fn share(&self) -> Option<f64> {
        (self.cells > 0).then(|| real(self.withheld) / real(self.cells))
    }

    /// The relative difference that so many of a hundred released numbers do not exceed; nothing where there are none.
    pub(crate) fn error(&self, percent: usize) -> Option<f64> {
        let mut errors = self.errors.clone();
        errors.sort_by(f64::total_cmp);
        errors.get((errors.len() * percent / 100).min(errors.len().saturating_sub(1))).copied()
    }
}

/// Finds the part of the exact answer that a protected one lacks.
pub(crate) fn loss(protected: &Table, exact: &Table, columns: &[Column]) -> Loss {
    let mut loss = Loss::default();
    for (exact, protected) in matched(exact, protected, columns) {
        for (at, _) in figures(columns) {
            let Cell::Number(exact) = exact[at] else { continue };
            loss.cells += 1;
            match protected.map(|row| &row[at]) {
                Some(Cell::Number(released)) => loss.errors.push(relative(*released, exact)),
                Some(Cell::Null | Cell::Text(_)) | None => loss.withheld += 1,
            }
        }
    }
    loss
}

/// The difference of a released number from the exact one, as a part of the exact one.
fn relative(released: f64, exact: f64) -> f64 {
    if exact == 0.0 {
        return if released == 0.0 { 0.0 } else { 1.0 };
    }
    (released - exact).abs() / exact.abs()
}

/// The differences of an answer without controls from the exact one: it must have its groups, and where nothing was rounded
/// its very numbers. A count of nobody is withheld even so.
pub(crate) fn same(found: &Table, exact: &Table, columns: &[Column]) -> Vec<String> {
    let (mut findings, mut others) = (Vec::new(), Vec::new());
    for (exact, found) in matched(exact, found, columns) {
        let Some(found) = found else {
            others.push(format!("without controls: no row {}", shown(exact)));
            continue;
        };
        for (at, column) in figures(columns) {
            let (released, exactly) = (number(&found[at]), number(&exact[at]));
            let agrees = match (released, exactly, column.nature) {
                (None, None, _) => true,
                (None, Some(exactly), _) => exactly == 0.0,
                (Some(_), None, _) => false,
                (Some(released), Some(exactly), Nature::Count) => released == exactly,
                (Some(released), Some(exactly), Nature::OfCounts) => {
                    (released - exactly).abs() <= exactly.abs() * THREE_DIGITS
                }
                // Between two middle values in two steps the exact median may be anywhere.
                (Some(released), Some(exactly), Nature::Step) => {
                    (released - exactly).abs() <= 2.0 * column.half_step
                }
                // Sums of small groups may be rounded to anything.
                (Some(_), Some(_), Nature::Key | Nature::Quantity | Nature::OfQuantities) => true,
            };
            if !agrees {
                let (name, released) = (&column.name, &found[at]);
                findings
                    .push(format!("without controls: {name} is {released} in the row of {}", shown(exact)));
            }
        }
    }
    let made_up = matched(found, exact, columns).into_iter().filter(|(_, exact)| exact.is_none());
    others.extend(made_up.map(|(row, _)| format!("without controls: there is no row {}", shown(row))));
    // A swapped row is told twice: as one that is not there, and as one that is.
    if others.len() > exact.rows.len() / ROWS_OF_ONE_SWAPPED * 2 {
        findings.extend(others);
    }
    findings.truncate(TOLD_MAX);
    findings
}

fn is_of_quantities(nature: Nature) -> bool {
    matches!(nature, Nature::Quantity | Nature::OfQuantities | Nature::Step)
}

/// The released counts that are not the exact ones to the base that they are rounded to.
pub(crate) fn within_rounding(protected: &Table, exact: &Table, columns: &[Column]) -> Vec<String> {
    let mut findings = Vec::new();
    if columns.iter().any(|column| column.is_top_coded) {
        return findings;
    }
    for (protected, exact) in matched(protected, exact, columns) {
        let Some(exact) = exact else { continue };
        for (at, column) in figures(columns).filter(|(_, column)| column.nature == Nature::Count) {
            if let (Some(released), Some(exactly)) = (number(&protected[at]), number(&exact[at]))
                && (released - exactly).abs() > BASE / 2.0
            {
                findings.push(format!("{} is {released}, exactly {exactly}", column.name));
            }
        }
    }
    findings.truncate(TOLD_MAX);
    findings
}

/// Sums and means of groups above their thresholds that are further from the exact ones than their rounding explains.
///
/// Rounding by the range of a measure is coarse for small sums, so that the largest value of the column bounds it too. Differences of
/// such may be anything; still most of the numbers of a column that is computed rightly are near.
pub(crate) fn near(released: &Table, exact: &Table, columns: &[Column]) -> Vec<String> {
    let mut findings = Vec::new();
    for (at, column) in figures(columns).filter(|(_, column)| is_of_quantities(column.nature)) {
        let sizes = exact.rows.iter().filter_map(|row| number(&row[at]));
        let largest = sizes.fold(0.0, |largest: f64, size| largest.max(size.abs()));
        let (mut far, mut compared) = (Vec::new(), 0);
        for (released, exact) in matched(released, exact, columns) {
            let exact = exact.and_then(|row| number(&row[at]));
            let Some((released, exact)) = number(&released[at]).zip(exact) else { continue };
            compared += 1;
            // Of a quotient one hundredth is as good as nothing.
            let bound = exact.abs() * NEAR_SELF + (largest * NEAR_LARGEST).max(NEAR_LARGEST);
            let bound = if column.nature == Nature::Step { 3.0 * column.half_step } else { bound };
            if (released - exact).abs() > bound {
                far.push(format!("{} is {released} under thresholds, exactly {exact}", column.name));
            }
        }
        if matches!(column.nature, Nature::Quantity | Nature::Step) || far.len() * 2 > compared {
            findings.extend(far);
        }
    }
    findings.truncate(TOLD_MAX);
    findings
}

/// The rows of one table, each with the row of the same group in the other.
fn matched<'t>(
    rows: &'t Table,
    others: &'t Table,
    columns: &[Column],
) -> Vec<(&'t Vec<Cell>, Option<&'t Vec<Cell>>)> {
    let keys = |row: &[Cell]| -> Vec<String> {
        let of_keys = columns.iter().zip(row).filter(|(column, _)| column.nature == Nature::Key);
        of_keys.map(|(_, cell)| cell.to_string()).collect()
    };
    let mut known: BTreeMap<Vec<String>, Vec<&Vec<Cell>>> = BTreeMap::new();
    for row in others.rows.iter().rev() {
        known.entry(keys(row)).or_default().push(row);
    }
    rows.rows.iter().map(|row| (row, known.get_mut(&keys(row)).and_then(Vec::pop))).collect()
}

fn figures(columns: &[Column]) -> impl Iterator<Item = (usize, &Column)> {
    columns.iter().enumerate().filter(|(_, column)| column.nature != Nature::Key)
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(*number),
        Cell::Null | Cell::Text(_) => None,
    }
}

fn shown(row: &[Cell]) -> String {
    row.iter().map(Cell::to_string).collect::<Vec<_>>().join(" | ")
}

#[expect(clippy::cast_precision_loss, reason = "numbers of cells are small")]
fn real(count: usize) -> f64 {
    count as f64
}
