//! Conditions on rows of individuals: mostly of the forms that the guard admits, at the edges of masks and bins, and a few
//! others. Some of them ask another table: who has visits, whose zip is in the north, who earns more than the mean.

use super::column::Column;
use super::column::Kind;
use super::dice::Dice;
use super::forms::age_years;
use super::forms::mean;
use super::forms::width_bucket;
use crate::question::Text;

/// A condition on some rows. `unit` is the subject of a row, where another table may be asked for it.
pub(crate) fn condition(d: &mut Dice, columns: &[Column], unit: Option<&str>) -> Text {
    match d.below(100) {
        0..=57 => simple(d, columns),
        58..=65 => Text::of("({} OR {})", &[&simple(d, columns), &simple(d, columns)]),
        66..=70 => Text::of("NOT ({})", &[&simple(d, columns)]),
        71..=74 => Text::of("({} AND {}) IS NOT TRUE", &[&simple(d, columns), &simple(d, columns)]),
        75..=77 => {
            let (first, second) = (simple(d, columns), simple(d, columns));
            Text::of("CASE WHEN {} THEN 'a' WHEN {} THEN 'b' ELSE 'c' END IN ('a', 'c')", &[&first, &second])
        }
        78..=79 => Text::of("({}) IS NULL", &[&simple(d, columns)]),
        80..=91 => match unit {
            Some(unit) => elsewhere(d, columns, unit),
            None => simple(d, columns),
        },
        92..=97 => against_results(d, columns),
        _ => unlisted(d, columns),
    }
}

/// One comparison.
pub(crate) fn simple(d: &mut Dice, columns: &[Column]) -> Text {
    let column = d.pick(columns).clone();
    let off_edge = d.percent(2);
    let forms: &[&str] = match column.kind {
        Kind::Dept => &[
            "{} = 'tax'",
            "{} IN ('tax', 'health')",
            "{} <> 'police'",
            "{} NOT IN ('police', 'school')",
            "{} IS NOT NULL",
            "{} IS NULL",
            "'health' = {}",
            "lower({}) = 'tax'",
            "{} IS DISTINCT FROM 'tax'",
            "COALESCE({}, 'unknown') <> 'tax'",
            "NULLIF({}, 'tax') = 'health'",
        ],
        Kind::Zip => &[
            "{} = '1003'",
            "{} = '9999'",
            "{} IN ('1001', '1002', '9999')",
            "{} LIKE '10%'",
            "{} LIKE '100%'",
            "{} NOT LIKE '99%'",
            "substring({}, 1, 2) = '10'",
            "left({}, 3) = '100'",
            "{} IS NULL",
            "{} IS NOT NULL",
            "trim({}) = '1004'",
        ],
        Kind::Sex => {
            &["{} = 'f'", "{} = 'm'", "{} <> 'f'", "{} IS NULL", "{} IN ('f', 'm')", "upper({}) = 'F'"]
        }
        Kind::Diag => &["{} = 'A'", "{} = 'HIV'", "{} <> 'none'", "{} IN ('A', 'B')", "{} IS NOT NULL"],
        Kind::Age if off_edge => &["{} = 61", "{} < 25", "{} <> 107"],
        Kind::Age => &[
            "{} >= 30",
            "{} < 60",
            "{} >= 60",
            "{} = 40",
            "{} BETWEEN 30 AND 50",
            "{} IN (20, 30, 40)",
            "floor({} / 10) * 10 = 30",
            "{} IS NULL",
            "COALESCE({}, 0) >= 30",
            "30 <= {}",
        ],
        Kind::Salary if off_edge => &["{} >= 20001", "{} > 20000", "{} % 97 = 13", "{} = 190000"],
        Kind::Salary => &[
            "{} >= 60000",
            "{} < 100000",
            "{} >= 20000 AND {} < 80000",
            "{} IS NOT NULL",
            "COALESCE({}, 0) >= 20000",
            "floor({} / 20000) * 20000 = 40000",
            "NOT ({} >= 140000)",
        ],
        Kind::Cost if off_edge => &["{} >= 150", "{} = 300"],
        Kind::Cost => &[
            "{} >= 100",
            "{} < 500",
            "{} >= 300 AND {} < 800",
            "{} IS NULL",
            "floor({} / 100) * 100 = 400",
            "NOT ({} >= 700)",
        ],
        Kind::Day | Kind::OwnDay => &[
            "{} = 2",
            "{} IN (0, 1)",
            "{} BETWEEN 1 AND 3",
            "{} <> 5",
            "{} >= 2",
            "{} IS NULL",
            "{} % 2 = 0",
            "COALESCE({}, 9) < 4",
        ],
        Kind::At => &[
            "{} >= TIMESTAMP '1970-01-03'",
            "date_trunc('day', {}) = TIMESTAMP '1970-01-02'",
            "{} IS NOT NULL",
            "{} < DATE '1970-01-04'",
        ],
        Kind::Hire => &[
            "{} >= DATE '2002-01-01'",
            "{} < DATE '2004-07-01'",
            "extract(year FROM {}) = 2003",
            "date_trunc('year', {}) = DATE '2001-01-01'",
            "{} BETWEEN DATE '2001-01-01' AND DATE '2003-12-31'",
            "date_part('quarter', {}) = 2",
        ],
        Kind::Birth => &[
            "{} >= DATE '1970-01-01'",
            "extract(year FROM {}) < 1960",
            "{} IS NULL",
            "date_trunc('year', {}) >= DATE '1980-01-01'",
            "extract(month FROM {}) IN (1, 2, 3)",
            "extract(dow FROM {}) = 0",
        ],
        Kind::Phone => {
            &["{} LIKE '13%'", "substring({}, 1, 3) = '131'", "{} = '131-1000003'", "left({}, 2) = '13'"]
        }
        Kind::Faith => &["{} = 'faith-1'", "{} IS NULL"],
        Kind::District => &["{} = 'north'", "{} IN ('north', 'south')", "{} IS NULL", "{} <> 'east'"],
        Kind::Level => &["{} >= 1", "{} = 0", "{} IN (1, 2)", "{} <> 2"],
        Kind::Holiday => &["{} = 'fair'", "{} <> 'fair'", "{} IS NOT NULL"],
        Kind::OwnCount => &["{} >= 2", "{} = 1", "{} < 3", "{} IN (1, 2)", "{} BETWEEN 2 AND 4"],
        Kind::OwnTotal => &["{} >= 300", "{} < 1000", "{} IS NULL", "floor({} / 100) * 100 = 500"],
        Kind::OwnFlag => &["{}", "NOT {}", "{} IS NULL", "{} = true"],
        Kind::Label => &["{} = 'a'", "{} <> 'b'", "{} IN ('a', 'b')"],
    };
    let form = d.one_of(forms);
    match column.kind {
        Kind::Birth if d.percent(35) => {
            let years = age_years(&column.text);
            Text::of(d.one_of(&["{} >= 30", "{} < 60", "floor({} / 10) * 10 = 40"]), &[&years])
        }
        Kind::Salary | Kind::Age if d.percent(10) => {
            let (high, count) = if column.kind == Kind::Age { (100, 10) } else { (200_000, 10) };
            Text::of("{} >= 3", &[&width_bucket(&column.text, high, count)])
        }
        _ => filled(form, &column.text),
    }
}

/// A form whose every gap is the same piece.
pub(crate) fn filled(form: &str, piece: &Text) -> Text {
    Text::of(form, &vec![piece; form.matches("{}").count()])
}

/// A condition that another table of individuals answers for this subject.
fn elsewhere(d: &mut Dice, columns: &[Column], unit: &str) -> Text {
    let (v, p) = (d.name("v"), d.name("p"));
    let of_visits = simple(d, &Column::of_visits(&format!("{v}.")));
    let of_persons = simple(d, &Column::of_persons(&format!("{p}.")));
    let not = d.one_of(&["", "NOT "]);
    let form = match d.below(10) {
        0..=2 => format!("{not}EXISTS (SELECT 1 FROM visits {v} WHERE {v}.person_id = {unit} AND {{}})"),
        3..=4 => format!("{unit} IN (SELECT {v}.person_id FROM visits {v} WHERE {{}})"),
        5 => format!("{unit} NOT IN (SELECT {v}.person_id FROM visits {v} WHERE {{}})"),
        6 => format!(
            "(SELECT COUNT(*) FROM visits {v} WHERE {v}.person_id = {unit} AND {{}}) >= {}",
            1 + d.below(3)
        ),
        7 => format!("(SELECT SUM({v}.cost) FROM visits {v} WHERE {v}.person_id = {unit} AND {{}}) >= 300"),
        8 => format!("({{}} OR EXISTS (SELECT 1 FROM visits {v} WHERE {v}.person_id = {unit}))"),
        _ => {
            return Text::of(
                &format!("{not}EXISTS (SELECT 1 FROM persons {p} WHERE {p}.person_id = {unit} AND {{}})"),
                &[&of_persons],
            );
        }
    };
    let inner = if form.starts_with("({} OR") { simple(d, columns) } else { of_visits };
    Text::of(&form, &[&inner])
}

/// A condition that an open table or a released result answers.
fn against_results(d: &mut Dice, columns: &[Column]) -> Text {
    let column = d.pick(columns).clone();
    match column.kind {
        Kind::Salary => {
            let filter = if d.percent(40) { " WHERE sex = 'f'" } else { "" };
            let compared = d.one_of(&["{} > (SELECT {}", "{} < (SELECT {}"]);
            Text::of(
                &format!("{compared} FROM persons{filter})"),
                &[&column.text, &mean("AVG(salary)", false)],
            )
        }
        Kind::Cost => Text::of("{} > (SELECT {} FROM visits)", &[&column.text, &mean("AVG(cost)", true)]),
        Kind::Zip => filled(
            d.one_of(&[
                "{} IN (SELECT zip FROM zones WHERE district = 'north')",
                "{} NOT IN (SELECT zip FROM zones WHERE level = 1)",
                "EXISTS (SELECT 1 FROM zones z WHERE z.zip = {} AND z.level >= 1)",
                "{} IN (SELECT zip FROM persons GROUP BY zip)",
                "({} IN (SELECT zip FROM zones WHERE district = 'south') OR {} = '9999')",
            ]),
            &column.text,
        ),
        Kind::Dept => filled("{} IN (SELECT dept FROM persons GROUP BY dept)", &column.text),
        Kind::Day => filled(
            d.one_of(&[
                "EXISTS (SELECT 1 FROM holidays h WHERE {} BETWEEN h.first_day AND h.last_day)",
                "{} IN (SELECT first_day FROM holidays)",
                "{} = (SELECT MAX(last_day) FROM holidays)",
            ]),
            &column.text,
        ),
        _ => simple(d, columns),
    }
}

/// A condition of no form that the guard lists: it must be refused, and nothing else.
fn unlisted(d: &mut Dice, columns: &[Column]) -> Text {
    let column = d.pick(columns).text.clone();
    let forms = [
        "md5(CAST({} AS VARCHAR)) < '8'",
        "random() < 0.5",
        "length(CAST({} AS VARCHAR)) = 4",
        "CAST({} AS VARCHAR) LIKE '%1%'",
        "{} = {}",
        "reverse(CAST({} AS VARCHAR)) = 'x'",
        "person_id % 7 = 1",
        "person_id = 7100000077000231",
        "name = 'Somebody-7-c2d9'",
        "strpos(CAST({} AS VARCHAR), '1') > 0",
        "{} IN (SELECT name FROM persons)",
    ];
    filled(d.one_of(&forms), &column)
}
