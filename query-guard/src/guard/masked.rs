//! The meaning of a comparison with a masked column: every admitted one has the answer that the raw values give.
//! Every kind of mask, type, operator and literal, in the forms that a condition is written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Date32Array;
use arrow::array::Decimal128Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::Int64Type;
use obscura_policies::day::DatePart;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::fixed::Fixed;
use obscura_policies::hierarchy::HierarchyLevel;
use obscura_policies::mask::Mask;

use crate::fixture::execute::Rows;
use crate::fixture::execute::run;
use crate::fixture::policy;
use crate::fixture::review_under;
use crate::verdict::Decision;

/// Number of people; each value has fifteen of them, so that no threshold hides a difference of one value.
const PEOPLE: i64 = 1800;
const EACH: i64 = 15;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The number of the value that a row has.
fn value_of(row: i64) -> i64 {
    row / EACH
}

fn persons() -> RecordBatch {
    let rows = || 0..PEOPLE;
    let texts = |make: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows().map(|row| make(value_of(row)))))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("person_id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("dept", texts(&|_| "tax".to_owned())),
        ("zip", texts(&|value| format!("{}", 310_000 + value * 7))),
        ("age", Arc::new(Int64Array::from_iter_values(rows().map(|row| value_of(row) - 20)))),
        ("sex", texts(&|_| "f".to_owned())),
        ("diag", texts(&|value| format!("J{}.{}", 10 + value / 4, value % 4))),
        ("salary", Arc::new(Int64Array::from_iter_values(rows().map(|row| value_of(row) * 1000)))),
        ("name", texts(&|_| "somebody".to_owned())),
        (
            "birth",
            Arc::new(Date32Array::from_iter_values(
                rows().map(|row| i32::try_from(value_of(row) * 250).unwrap() - 9000),
            )),
        ),
        (
            "hire",
            Arc::new(Date32Array::from_iter_values(
                rows().map(|row| i32::try_from(value_of(row)).unwrap() + 10_940),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn visits() -> RecordBatch {
    let rows = || 0..PEOPLE;
    let costs = Decimal128Array::from_iter_values(rows().map(|row| i128::from(value_of(row) * 50)));
    let times = rows().map(|row| 946_684_800_000_000 + (value_of(row) - 60) * 6 * MICROS_PER_HOUR);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("visit_id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("person_id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("cost", Arc::new(costs.with_precision_and_scale(18, 2).unwrap())),
        ("day", Arc::new(Int64Array::from_iter_values(rows().map(|row| value_of(row) % 7)))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The policy with one column under a mask, without bins, or as it is.
fn under(table: &str, column: &str, mask: Option<&Mask>) -> EffectivePolicy {
    let mut policy = policy();
    let dataset = policy.datasets.values_mut().find(|dataset| dataset.id.name() == table).unwrap();
    let column = dataset.columns.iter_mut().find(|known| known.name == column).unwrap();
    column.mask = mask.cloned();
    if column.bins.is_some() {
        column.bins = Some(Fixed::from_scaled(1, 2).unwrap());
    }
    // As the rows are: some values lie below zero.
    if column.name == "age" {
        column.range = Some((Fixed::from_i64(-20), Fixed::from_i64(120)));
    }
    column.coded = true;
    policy
}

fn level(name: &str) -> HierarchyLevel {
    let hierarchies = obscura_policies::shipped::hierarchies().unwrap();
    let (hierarchy, level) = name.split_once(' ').unwrap();
    hierarchies.get(hierarchy).unwrap().level(level).unwrap()
}

/// Every kind of mask on a column of each type, and literals on its edges, beside them and between.
fn columns() -> Vec<(&'static str, &'static str, Vec<Mask>, Vec<String>)> {
    let number = |value: i64| Fixed::from_i64(value);
    let numbers = vec![
        Mask::Bin { width: number(10) },
        Mask::Bin { width: Fixed::from_micros(2_500_000) },
        Mask::Round { step: number(10) },
        Mask::TopBottom { bottom: Some(number(0)), top: Some(number(40)) },
        Mask::TopBottom { bottom: None, top: Some(number(10)) },
        Mask::Redact,
    ];
    let dates = vec![
        Mask::DateTrunc { part: DatePart::Month },
        Mask::DateTrunc { part: DatePart::Week },
        Mask::DateTrunc { part: DatePart::Year },
        Mask::DateTrunc { part: DatePart::Day },
        Mask::DateTrunc { part: DatePart::Hour },
        Mask::BinYears { years: 5, top: None },
        Mask::BinYears { years: 1, top: Some(40) },
        Mask::Redact,
    ];
    let texts = vec![
        Mask::Partial { keep_first: 2, keep_last: 0 },
        Mask::Partial { keep_first: 1, keep_last: 2 },
        Mask::Token { domain: "d".to_owned() },
        Mask::Redact,
    ];
    let list = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let whole = list(&["-5", "-4", "0", "5", "9", "10", "11", "14.5", "15", "20", "39", "40", "41"]);
    let days = list(&[
        "DATE '1999-12-31'",
        "DATE '2000-01-01'",
        "DATE '2000-01-03'",
        "DATE '2000-01-31'",
        "DATE '2000-02-01'",
        "TIMESTAMP '2000-01-01 00:00:00'",
        "TIMESTAMP '2000-01-01 06:00:00'",
        "TIMESTAMP '2000-01-02 23:59:59'",
    ]);
    let born = list(&[
        "DATE '1960-01-01'",
        "DATE '1984-12-31'",
        "DATE '1985-01-01'",
        "DATE '1986-06-01'",
        "DATE '1969-12-31'",
    ]);
    let zips = list(&["'310007'", "'31****'", "'3***07'", "'31'", "'9'"]);
    let mut diagnoses = texts.clone();
    diagnoses
        .extend(["icd10 category", "icd10 block", "icd10 chapter"].map(|name| Mask::Hierarchy(level(name))));
    let codes = list(&["'J18'", "'J18.1'", "'J09-J18'", "'J00-J99'", "'J1'", "'J18*'"]);
    vec![
        ("persons", "age", numbers.clone(), whole.clone()),
        ("visits", "cost", numbers, list(&["0", "5", "9.99", "10", "10.01", "12.5", "15", "40", "39.99"])),
        ("persons", "hire", dates.clone(), days.clone()),
        ("visits", "at", dates.clone(), days),
        ("persons", "birth", dates, born),
        ("persons", "zip", texts, zips),
        ("persons", "diag", diagnoses, codes),
    ]
}

/// Conditions on a column, and what each is called.
fn conditions(column: &str, literals: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for (at, literal) in literals.iter().enumerate() {
        let next = &literals[(at + 2) % literals.len()];
        // Each literal meets four of the seven operators, each mask all of them.
        let ops = [">=", "<", ">", "<=", "=", "<>", "IS DISTINCT FROM"];
        for op in ops.into_iter().cycle().skip(at * 4 % 7).take(4) {
            let plain = format!("{column} {op} {literal}");
            // Each in one of the forms that conditions are written in, by turns.
            all.push(match (all.len() + at) % 4 {
                0 => plain,
                1 => format!("NOT ({plain})"),
                2 => format!("CASE WHEN {plain} THEN 1 ELSE 0 END = 1"),
                _ => format!("({plain} OR {column} IS NULL)"),
            });
        }
        all.push(format!("{column} BETWEEN {literal} AND {next}"));
        all.push(format!("{column} NOT BETWEEN {literal} AND {next}"));
        all.push(format!("{column} IN ({literal}, {next})"));
        all.push(format!("{literal} <= {column}"));
    }
    all
}

fn coarser_conditions(column: &str, is_date: bool, is_text: bool) -> Vec<String> {
    if is_date {
        let year = format!("extract(year FROM {column})");
        return vec![
            format!("date_trunc('month', {column}) = DATE '2000-01-01'"),
            format!("date_trunc('week', {column}) > DATE '2000-01-03'"),
            format!("date_trunc('year', {column}) <= DATE '2000-01-01'"),
            format!("{year} = 1999"),
            format!("extract(month FROM {column}) IN (1, 2)"),
            format!("extract(dow FROM {column}) = 1"),
            format!("extract(week FROM {column}) = 1"),
            format!("age_years({column}) >= 40"),
            format!("CAST({column} AS DATE) = DATE '2000-01-01'"),
        ];
    }
    if is_text {
        return vec![
            format!("left({column}, 2) = '31'"),
            format!("left({column}, 3) = 'J18'"),
            format!("{column} LIKE 'J18%'"),
            format!("{column} LIKE 'J1%'"),
            format!("{column} LIKE 'J18.1%'"),
            format!("lower({column}) = 'j18'"),
            format!("{column} LIKE '310%'"),
        ];
    }
    vec![
        format!("floor({column} / 10) * 10 = 10"),
        format!("floor({column} / 10) * 10 > 10"),
        format!("floor({column} / 20) * 20 < 20"),
        format!("floor({column} / 5) * 5 >= 40"),
        format!("floor({column} / 10) <= 1"),
        // Around zero the forms differ: some round down, and some towards it.
        format!("floor({column} / 10) * 10 = 0"),
        format!("floor({column} / 10.0) * 10 = 0"),
        format!("floor({column} / 10.0) * 10 = -10"),
        format!("trunc({column} / 10.0) * 10 = 0"),
        format!("{column} - {column} % 10 = 0"),
        format!("{column} - {column} % 10 >= -10"),
        format!("{column} / 10 = 0"),
        format!("{column} IS NULL"),
    ]
}

fn counted(policy: &EffectivePolicy, sql: &str, rows: &Rows) -> Option<Option<i64>> {
    let Decision::Admitted(plan) = review_under(policy, sql).decision else { return None };
    let result = run(&plan, rows).unwrap_or_else(|error| panic!("{sql}: {error}"));
    Some(result.column(0).as_primitive::<Int64Type>().iter().next().flatten())
}

/// The condition on raw texts that a name of masked ones stands for.
fn spelled_out(condition: &str) -> Option<String> {
    let names = [
        ("= 'J18'", "LIKE 'J18%'"),
        ("= '31****'", "LIKE '31%'"),
        ("= '3***07'", ""),
        ("'J09-J18'", ""),
        ("'J00-J99'", ""),
        ("'J18'", ""),
        ("'31****'", ""),
        ("'3***07'", ""),
        ("'J18*'", ""),
        ("'31'", ""),
    ];
    let Some((name, meant)) = names.into_iter().find(|(name, _)| condition.contains(name)) else {
        return Some(condition.to_owned());
    };
    (!meant.is_empty()).then(|| condition.replace(name, meant))
}

#[test]
fn what_is_admitted_of_a_masked_column_is_the_answer_of_the_raw_one() {
    let rows: Rows =
        BTreeMap::from([("corpus.persons", vec![vec![persons()]]), ("corpus.visits", vec![vec![visits()]])]);
    let mut wrong = Vec::new();
    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    let mut known: BTreeMap<String, Option<Option<i64>>> = BTreeMap::new();
    for (table, column, masks, literals) in columns() {
        let is_date = matches!(column, "hire" | "at" | "birth");
        let is_text = matches!(column, "zip" | "diag");
        let mut asked = conditions(column, &literals);
        asked.extend(coarser_conditions(column, is_date, is_text));
        for mask in &masks {
            let (masked, plain) = (under(table, column, Some(mask)), under(table, column, None));
            for condition in &asked {
                let sql = format!("SELECT COUNT(*) FROM {table} WHERE {condition}");
                let Some(answer) = counted(&masked, &sql, &rows) else { continue };
                *answered.entry(column).or_default() += 1;
                let Some(meant) = spelled_out(condition) else { continue };
                let sql = format!("SELECT COUNT(*) FROM {table} WHERE {meant}");
                let raw = *known.entry(sql.clone()).or_insert_with(|| counted(&plain, &sql, &rows));
                if raw != Some(answer) {
                    wrong.push(format!("{condition} under {mask:?}: {answer:?}, raw {raw:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {answered:?}\n{}", wrong.len(), wrong.join("\n"));
    for column in ["age", "cost", "hire", "at", "birth", "zip", "diag"] {
        assert!(answered.get(column).copied().unwrap_or(0) >= 5, "{column}: {answered:?}");
    }
}

/// Conditions at the edges of masks of tens, months and categories are admitted, and all others are refused.
#[test]
fn edges_are_asked_for_in_every_way_that_means_the_same() {
    let tens = under("persons", "age", Some(&Mask::Bin { width: Fixed::from_i64(10) }));
    let months = under("persons", "hire", Some(&Mask::DateTrunc { part: DatePart::Month }));
    let categories = under("persons", "diag", Some(&Mask::Hierarchy(level("icd10 category"))));
    let refused = |policy: &EffectivePolicy, condition: &str| {
        let sql = format!("SELECT COUNT(*) FROM persons WHERE {condition}");
        matches!(review_under(policy, &sql).decision, Decision::Refused { .. })
    };
    for condition in ["age >= 10", "age < 10", "age > 9", "age <= 9", "NOT age > 9", "age BETWEEN 10 AND 19"]
    {
        assert!(!refused(&tens, condition), "{condition}");
    }
    for condition in [
        "age > 10",
        "age <= 10",
        "age BETWEEN 10 AND 20",
        "age = 15",
        "age = 10",
        "age IN (10)",
        "age < salary",
    ] {
        assert!(refused(&tens, condition), "{condition}");
    }
    for condition in
        ["hire >= DATE '2000-02-01'", "hire > DATE '2000-01-31'", "extract(quarter FROM hire) = 1"]
    {
        assert!(!refused(&months, condition), "{condition}");
    }
    for condition in ["hire > DATE '2000-01-01'", "hire <= DATE '2000-02-01'", "extract(dow FROM hire) = 1"] {
        assert!(refused(&months, condition), "{condition}");
    }
    for condition in ["diag = 'J18'", "diag LIKE 'J18%'", "diag LIKE 'J1%'", "left(diag, 3) = 'J18'"] {
        assert!(!refused(&categories, condition), "{condition}");
    }
    for condition in ["diag = 'J18.1'", "diag LIKE 'J18.1%'", "diag >= 'J18'", "lower(diag) = 'j18'"] {
        assert!(refused(&categories, condition), "{condition}");
    }
}
