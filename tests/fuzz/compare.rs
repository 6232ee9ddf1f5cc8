//! Compares an answer with that of plain DataFusion: whole, where nothing is withheld, and cell by cell, where something may be.

use arrow::array::Array as _;
use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;

use crate::question;
use crate::question::Meaning;
use crate::question::Select;

/// The relative difference up to which two numbers are the same: sums of floating point depend on the order of the rows.
const EXACT: f64 = 1e-9;
/// Subjects whom a group or cell rests on at the least, under the loosest floor that holds for individuals.
const SUBJECTS_MIN: f64 = 5.0;
/// Subjects who are enough under every floor.
const SUBJECTS_ENOUGH: f64 = 10.0;
/// Base that counts are rounded to.
const ROUNDING: f64 = 5.0;

/// A batch as cells.
pub(crate) fn table(batch: &RecordBatch) -> Table {
    let options = FormatOptions::new();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            (column, ArrayFormatter::try_new(column.as_ref(), &options).expect("a value has a text"))
        })
        .collect();
    let cell = |row: usize| {
        columns
            .iter()
            .map(|(column, text)| {
                if column.is_null(row) {
                    return Cell::Null;
                }
                match Cell::parse(&text.value(row).to_string()) {
                    // Zero has one sign.
                    Cell::Number(number) => Cell::Number(number + 0.0),
                    other => other,
                }
            })
            .collect()
    };
    Table { rows: (0..batch.num_rows()).map(cell).collect() }
}

/// The first differences of two answers that must be the same.
pub(crate) fn differences(answer: &Table, plain: &Table, is_ordered: bool) -> Vec<String> {
    let mut found = answer.differences(plain, EXACT);
    if found.is_empty() && is_ordered {
        let rows = answer.rows.iter().zip(&plain.rows);
        let other = rows.filter(|(a, b)| !a.iter().zip(*b).all(|(a, b)| a.agrees(b, EXACT)));
        found.extend(other.map(|(a, b)| format!("{a:?} stands where {b:?} does")));
    }
    found.truncate(4);
    found
}

/// The faults of an answer to a list of keys and cells, by the plain answer with the numbers of those whom each group and each
/// cell rests on. Where cells have bases, which are not counted here, any of them may be withheld.
pub(crate) fn protected(select: &Select, answer: &Table, counted: &Table, has_bases: bool) -> Vec<String> {
    let width = select.items.len();
    let keys = |row: &[Cell]| -> Vec<Cell> {
        let of_keys = select.items.iter().zip(row).filter(|(item, _)| item.meaning == Meaning::Key);
        of_keys.map(|(_, cell)| cell.clone()).collect()
    };
    let same_keys = |a: &[Cell], b: &[Cell]| keys(a).iter().zip(&keys(b)).all(|(a, b)| a.agrees(b, EXACT));
    let mut found = Vec::new();
    for row in &answer.rows {
        let Some(plain) = counted.rows.iter().find(|plain| same_keys(row, plain)) else {
            found.push(format!("{row:?} is no group of the rows"));
            continue;
        };
        if !select.groups.is_empty() && number(&plain[width]) < SUBJECTS_MIN {
            found.push(format!("{row:?} is a group of {:?} subjects", plain[width]));
        }
        let mut contributors = plain[width + 1..].iter();
        for ((item, cell), plain) in select.items.iter().zip(row).zip(plain) {
            let Meaning::Cell(kind, _) = item.meaning else { continue };
            let of = contributors.next().map_or(0.0, number);
            let is_of_subjects = item.text.on(question::Side::Asked).starts_with("COUNT(DISTINCT");
            if has_bases && *cell == Cell::Null {
                continue;
            }
            found.extend(fault(kind, cell, plain, of, is_of_subjects).map(|fault| {
                format!("{fault}: {} of {row:?}, exactly {plain}, of {of} subjects", item.name)
            }));
        }
    }
    let missing = counted.rows.iter().filter(|plain| {
        number(&plain[width]) >= SUBJECTS_ENOUGH && !answer.rows.iter().any(|row| same_keys(row, plain))
    });
    let missing = missing.filter(|_| !has_bases);
    found.extend(
        missing.map(|plain| format!("the group {:?} of {:?} subjects is missing", keys(plain), plain[width])),
    );
    found.truncate(4);
    found
}

/// The fault of one cell, whose exact value and number of contributors are known.
fn fault(
    kind: question::Cell,
    cell: &Cell,
    plain: &Cell,
    contributors: f64,
    is_of_subjects: bool,
) -> Option<&'static str> {
    let (value, exact) = match (cell, plain) {
        (Cell::Null, _) => {
            // Rows and measures may be dominated; subjects are not.
            return (is_of_subjects && contributors >= SUBJECTS_ENOUGH).then_some("withheld without need");
        }
        (Cell::Number(value), Cell::Number(exact)) => (*value, *exact),
        (_, Cell::Null) => return Some("a value of nothing"),
        _ => return Some("another kind of value"),
    };
    if contributors < SUBJECTS_MIN {
        return Some("a value of few");
    }
    let is_right = match kind {
        question::Cell::Count => (value - (exact / ROUNDING).round() * ROUNDING).abs() < EXACT,
        question::Cell::Quantity => Cell::Number(value).agrees(&Cell::Number(exact), EXACT),
        question::Cell::Share => (value - exact).abs() <= ROUNDING / contributors + 0.005,
        // The parts are rounded each by its own step; that the whole is right is seen where nothing is rounded.
        question::Cell::Combined => value.is_finite(),
    };
    (!is_right).then_some("another value")
}

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(number) => *number,
        Cell::Null | Cell::Text(_) => 0.0,
    }
}
