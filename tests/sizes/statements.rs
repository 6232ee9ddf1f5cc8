//! Statements that nest or multiply otherwise than by an expression within an expression: subqueries, joins, sets, groups,
//! windows, and everything that is only long.

mod joined;
mod nested;
mod wide;

use crate::Case;
use crate::Construct;

/// Longest text that is worth asking: beyond the guard's own limit nothing changes any more.
const BYTES_MAX: usize = 150_000;

/// Makes a statement for a depth.
type Make = fn(usize) -> String;

/// Statements by what nests or multiplies, and how.
type Statements = &'static [(&'static str, &'static [(&'static str, Make)])];

/// A measure of individuals.
const MEASURE: &str = "SELECT salary AS a FROM persons";
/// Released values.
const VALUE: &str = "SELECT COUNT(*) AS a FROM persons GROUP BY dept";
/// A released result.
const RESULT: &str = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept";
/// A released result of some more rows.
const ZIPS: &str = "SELECT zip, COUNT(*) AS n FROM persons GROUP BY zip";

/// Every statement by its kind.
pub(crate) fn constructs() -> Vec<Construct> {
    let of = |(name, cases): &(&'static str, &'static [(&'static str, Make)])| Construct {
        name,
        cases: cases
            .iter()
            .map(|(place, make)| Case {
                place: (*place).to_owned(),
                is_row_filter: false,
                text: Box::new(move |depth| Some(make(depth)).filter(|text| text.len() <= BYTES_MAX)),
            })
            .collect(),
    };
    [nested::STATEMENTS, joined::STATEMENTS, wide::STATEMENTS].into_iter().flatten().map(of).collect()
}

/// A query within the next one, so many times: `{}` stands for the inner one.
fn levels(depth: usize, step: &str, first: &str) -> String {
    let mut text = first.to_owned();
    for _ in 0..depth {
        if text.len() > BYTES_MAX {
            return text;
        }
        text = step.replace("{}", &text);
    }
    text
}

/// Common table expressions, each of the one before it.
fn chained(depth: usize, step: &str, first: &str, last: &str) -> String {
    let steps: String =
        (0..depth).map(|k| format!(", c{} AS ({})", k + 1, step.replace("{}", &format!("c{k}")))).collect();
    format!("WITH c0 AS ({first}){steps} {}", last.replace("{}", &format!("c{depth}")))
}

fn list(count: usize, between: &str, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(between)
}

fn joined(count: usize, how: &str) -> String {
    let joins = list(count, "", |k| format!(" {how} visits v{k} ON p.person_id = v{k}.person_id"));
    format!("SELECT COUNT(DISTINCT p.person_id) FROM persons p{joins}")
}

/// `EXISTS` within `EXISTS`, each about the person of the one outside it.
fn exists(depth: usize, how: &str) -> String {
    let mut inner = format!("p{depth}.dept = 'tax'");
    for k in (0..depth).rev() {
        inner = format!(
            "{how} (SELECT 1 FROM persons p{0} WHERE p{0}.person_id = p{k}.person_id AND {inner})",
            k + 1
        );
    }
    inner
}
