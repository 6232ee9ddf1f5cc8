//! Group keys and cells: what a boundary has in its SELECT and GROUP BY.

use super::column::Column;
use super::column::Kind;
use super::conditions::condition;
use super::conditions::filled;
use super::conditions::simple;
use super::dice::Dice;
use super::forms::age_years;
use super::forms::mean;
use super::forms::of_somebody;
use super::forms::width_bucket;
use super::results::Type;
use crate::question::Cell;
use crate::question::Text;

/// A group key over some rows.
pub(crate) fn key(d: &mut Dice, columns: &[Column]) -> (Text, Type) {
    let column = d.pick(columns).clone();
    let text = &column.text;
    let one = |d: &mut Dice, forms: &[(&str, Type)]| {
        let (form, of) = *d.pick(forms);
        (filled(form, text), of)
    };
    match d.below(100) {
        0..=5 => return (Text::of("{}", &[&simple(d, columns)]), Type::Truth),
        6..=9 => {
            let (first, second) = (simple(d, columns), simple(d, columns));
            return (
                Text::of("CASE WHEN {} THEN 'a' WHEN {} THEN 'b' ELSE 'c' END", &[&first, &second]),
                Type::Text,
            );
        }
        10 => {
            return (d.one_of(&["person_id", "name", "md5(dept)", "salary", "visit_id"]).into(), Type::Text);
        }
        _ => {}
    }
    match column.kind {
        Kind::Dept | Kind::Sex | Kind::Diag | Kind::District | Kind::Holiday | Kind::Faith | Kind::Label => {
            one(
                d,
                &[
                    ("{}", Type::Text),
                    ("{}", Type::Text),
                    ("{}", Type::Text),
                    ("COALESCE({}, 'unknown')", Type::Text),
                    ("upper({})", Type::Text),
                    ("NULLIF({}, 'tax')", Type::Text),
                    ("{} IS NULL", Type::Truth),
                    ("CASE WHEN {} IS NULL THEN 'none' ELSE {} END", Type::Text),
                ],
            )
        }
        Kind::Zip => one(
            d,
            &[
                ("{}", Type::Text),
                ("{}", Type::Text),
                ("substring({}, 1, 3)", Type::Text),
                ("left({}, 2)", Type::Text),
                ("trim({})", Type::Text),
            ],
        ),
        Kind::Phone => {
            one(d, &[("{}", Type::Text), ("substring({}, 1, 3)", Type::Text), ("left({}, 2)", Type::Text)])
        }
        Kind::Age if d.percent(15) => (width_bucket(text, 100, 10), Type::Int),
        Kind::Age => one(
            d,
            &[
                ("floor({} / 10) * 10", Type::Real),
                ("{}", Type::Int),
                ("{} >= 60", Type::Truth),
                ("floor({} / 20) * 20", Type::Real),
                ("{} - {} % 10", Type::Int),
                ("CASE WHEN {} < 30 THEN 'young' WHEN {} < 60 THEN 'middle' ELSE 'senior' END", Type::Text),
            ],
        ),
        Kind::Salary => one(
            d,
            &[
                ("floor({} / 20000) * 20000", Type::Real),
                ("{} >= 100000", Type::Truth),
                ("{} - {} % 20000", Type::Int),
                ("{} IS NULL", Type::Truth),
            ],
        ),
        Kind::Cost => one(
            d,
            &[
                ("floor({} / 100) * 100", Type::Decimal),
                ("{} >= 500", Type::Truth),
                ("{} IS NULL", Type::Truth),
            ],
        ),
        Kind::Birth if d.percent(40) => {
            let years = age_years(text);
            (Text::of("floor({} / 10) * 10", &[&years]), Type::Real)
        }
        Kind::Birth | Kind::Hire => one(
            d,
            &[
                ("date_trunc('year', {})", Type::Date),
                ("extract(year FROM {})", Type::Int),
                ("date_part('quarter', {})", Type::Int),
                ("extract(month FROM {})", Type::Int),
                ("{} >= DATE '2003-01-01'", Type::Truth),
                ("date_trunc('month', {})", Type::Date),
            ],
        ),
        Kind::At => one(
            d,
            &[("date_trunc('day', {})", Type::Date), ("extract(dow FROM {})", Type::Int), ("{}", Type::Date)],
        ),
        Kind::Day | Kind::OwnDay | Kind::OwnCount | Kind::Level => one(
            d,
            &[("{}", Type::Int), ("{}", Type::Int), ("{} >= 3", Type::Truth), ("COALESCE({}, 0)", Type::Int)],
        ),
        Kind::OwnTotal => one(d, &[("floor({} / 100) * 100", Type::Decimal), ("{} >= 500", Type::Truth)]),
        Kind::OwnFlag => one(d, &[("{}", Type::Truth)]),
    }
}

/// A cell over some rows: its text, its type, its kind, and the count of those who contribute to it.
pub(crate) struct Figure {
    pub(crate) text: Text,
    pub(crate) of: Type,
    pub(crate) cell: Cell,
    pub(crate) contributors: String,
}

/// A cell. `unit` is the subject of a row.
pub(crate) fn figure(d: &mut Dice, columns: &[Column], unit: &str) -> Figure {
    let everybody = format!("COUNT(DISTINCT {unit})");
    let only = |condition: &Text| {
        let plain = condition.on(crate::question::Side::Plain);
        format!("COUNT(DISTINCT CASE WHEN {plain} THEN {unit} END)")
    };
    let count = |text: Text, contributors| Figure { text, of: Type::Int, cell: Cell::Count, contributors };
    let measures: Vec<&Column> = columns.iter().filter(|column| is_quantity(column.kind)).collect();
    let choice = if measures.is_empty() { d.below(48) } else { d.below(100) };
    match choice {
        0..=15 => count(of_somebody("COUNT(*)"), everybody),
        16..=25 => count(of_somebody(&format!("COUNT(DISTINCT {unit})")), everybody),
        26..=29 => {
            let column = d.pick(columns).text.clone();
            let present = Text::of("{} IS NOT NULL", &[&column]);
            count(nobody_is_missing(&Text::of("COUNT({})", &[&column])), only(&present))
        }
        30..=36 => {
            let condition = condition(d, columns, None);
            count(nobody_is_missing(&Text::of("COUNT(*) FILTER (WHERE {})", &[&condition])), only(&condition))
        }
        37..=40 => {
            let condition = simple(d, columns);
            count(
                nobody_is_missing(&Text::of("SUM(CASE WHEN {} THEN 1 ELSE 0 END)", &[&condition])),
                only(&condition),
            )
        }
        41..=43 => {
            let condition = simple(d, columns);
            let form = format!("COUNT(DISTINCT CASE WHEN {{}} THEN {unit} END)");
            count(nobody_is_missing(&Text::of(&form, &[&condition])), only(&condition))
        }
        44..=47 => {
            let condition = simple(d, columns);
            let share = Text::of("AVG(CASE WHEN {} THEN 1.0 ELSE 0.0 END)", &[&condition]);
            Figure {
                text: mean_of(&share, false),
                of: Type::Real,
                cell: Cell::Share,
                contributors: only(&condition),
            }
        }
        48..=52 => unreleased(d, columns),
        _ => of_measure(d, columns, unit),
    }
}

fn is_quantity(kind: Kind) -> bool {
    matches!(kind, Kind::Salary | Kind::Cost | Kind::Age | Kind::OwnCount | Kind::OwnTotal)
}

fn nobody_is_missing(text: &Text) -> Text {
    super::forms::both(text, &Text::of("NULLIF({}, 0)", &[text]))
}

/// A mean of a piece that has two spellings.
fn mean_of(text: &Text, of_decimals: bool) -> Text {
    let plain = mean(text.on(crate::question::Side::Plain), of_decimals);
    super::forms::both(text, &plain)
}

/// A sum or mean of a measure.
fn of_measure(d: &mut Dice, columns: &[Column], unit: &str) -> Figure {
    let measures: Vec<Column> = columns.iter().filter(|column| is_quantity(column.kind)).cloned().collect();
    let measure = d.pick(&measures).clone();
    let is_decimal = matches!(measure.kind, Kind::Cost | Kind::OwnTotal);
    let of = if is_decimal { Type::Decimal } else { Type::Int };
    let text = &measure.text;
    let condition = simple(d, columns);
    let present = Text::of("{} IS NOT NULL", &[text]);
    let both = Text::of("({}) AND {} IS NOT NULL", &[&condition, text]);
    let only = |condition: &Text| {
        let plain = condition.on(crate::question::Side::Plain);
        format!("COUNT(DISTINCT CASE WHEN {plain} THEN {unit} END)")
    };
    // A number of rows or of steps is counted, however it is added up.
    let quantity =
        if matches!(measure.kind, Kind::Age | Kind::OwnCount) { Cell::Combined } else { Cell::Quantity };
    let sum = |form: &str, pieces: &[&Text], of, cell, condition| Figure {
        text: nobody_is_missing(&Text::of(form, pieces)),
        of,
        cell,
        contributors: only(condition),
    };
    let average = |form: &str, pieces: &[&Text], is_decimal, condition| Figure {
        text: mean_of(&Text::of(form, pieces), is_decimal),
        of: if is_decimal { Type::Decimal } else { Type::Real },
        cell: quantity,
        contributors: only(condition),
    };
    match d.below(24) {
        0..=5 => sum("SUM({})", &[text], of, quantity, &present),
        6..=11 => average("AVG({})", &[text], is_decimal, &present),
        12..=13 => sum("SUM(CASE WHEN {} THEN {} END)", &[&condition, text], of, quantity, &both),
        14..=15 => average("AVG(CASE WHEN {} THEN {} END)", &[&condition, text], is_decimal, &both),
        16 => sum("SUM({}) FILTER (WHERE {})", &[text, &condition], of, quantity, &both),
        17 => average("AVG({}) FILTER (WHERE {})", &[text, &condition], is_decimal, &both),
        18 => {
            // Of a sum of two parts each must be somebody's: one who adds nothing but the hundred is in the second alone.
            let parts = "NULLIF(SUM({} * 2), 0) + NULLIF(SUM(CASE WHEN {} IS NOT NULL THEN 100 END), 0)";
            let asked = Text::of("SUM({} * 2 + 100)", &[text]);
            let text = super::forms::both(&asked, &Text::of(parts, &[text, text]));
            Figure { text, of, cell: Cell::Combined, contributors: only(&present) }
        }
        19 => sum("SUM(-{})", &[text], of, Cell::Combined, &present),
        20 => average("AVG({} * 2)", &[text], is_decimal, &present),
        21 => sum("SUM({} * {})", &[text, text], of, Cell::Combined, &present),
        22 => sum("SUM({} / 4.0)", &[text], Type::Real, Cell::Combined, &present),
        _ => sum("SUM(CASE WHEN {} THEN {} ELSE 0 END)", &[&condition, text], of, Cell::Combined, &both),
    }
}

/// A sum in which one person's weight is chosen, where they are alone in their zip.
const WEIGHTED: &str = "SUM(CASE WHEN zip = '9999' THEN 2 * salary ELSE salary END)";

/// An aggregate that is not released over individuals, but for the last: it must be refused, and nothing else.
fn unreleased(d: &mut Dice, columns: &[Column]) -> Figure {
    let column = d.pick(columns).text.clone();
    let forms = [
        "MAX({})",
        "MIN({})",
        "MEDIAN({})",
        "STDDEV({})",
        "COUNT(DISTINCT {})",
        "SUM(DISTINCT {})",
        "array_agg({})",
        "first_value({})",
        "string_agg({}, ',')",
        "bool_or({} IS NULL)",
        "approx_distinct({})",
        "corr({}, {})",
        "SUM(power({}, 2))",
        "MAX(name)",
        "MIN(person_id)",
        "SUM(person_id)",
        WEIGHTED,
    ];
    let form = d.one_of(&forms);
    // This one may be answered: each branch is a cell of its own, and without either of them the whole is missing.
    let parts = "NULLIF(SUM(CASE WHEN zip = '9999' THEN 2 * salary END), 0) \
                 + NULLIF(SUM(CASE WHEN zip = '9999' THEN NULL ELSE salary END), 0)";
    let text = if form == WEIGHTED { Text::new(WEIGHTED, parts) } else { filled(form, &column) };
    Figure { text, of: Type::Real, cell: Cell::Combined, contributors: "COUNT(*)".to_owned() }
}
