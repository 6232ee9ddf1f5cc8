//! Tables that meet tables: joins by keys, and joins that multiply.
//! Each statement gives a depth its own meaning.

use super::RESULT;
use super::Statements;
use super::ZIPS;
use super::chained;
use super::joined;
use super::levels;
use super::list;

/// By what nests or multiplies, and how.
pub(super) const STATEMENTS: Statements = &[
    (
        "joins",
        &[
            ("visits", |n| joined(n, "JOIN")),
            ("visits-on-the-left", |n| joined(n, "LEFT JOIN")),
            ("visits-full", |n| joined(n, "FULL JOIN")),
            ("visits-listed", |n| {
                let equal = list(n, " AND ", |k| format!("v0.person_id = v{}.person_id", k + 1));
                format!(
                    "SELECT COUNT(DISTINCT v0.person_id) FROM {} WHERE {equal}",
                    list(n + 1, ", ", |k| format!("visits v{k}"))
                )
            }),
            ("visits-using", |n| {
                format!(
                    "SELECT COUNT(DISTINCT person_id) FROM persons{}",
                    list(n, "", |k| format!(" JOIN (SELECT person_id FROM visits) v{k} USING (person_id)"))
                )
            }),
            ("natural", |n| {
                format!(
                    "SELECT COUNT(DISTINCT person_id) FROM persons{}",
                    list(n, "", |k| format!(" NATURAL JOIN (SELECT person_id FROM visits) v{k}"))
                )
            }),
            ("in-parentheses", |n| {
                format!(
                    "SELECT COUNT(DISTINCT p.person_id) FROM {}persons p{}",
                    "(".repeat(n),
                    list(n, "", |k| format!(" JOIN visits v{k} ON p.person_id = v{k}.person_id)"))
                )
            }),
            ("nested-to-the-right", |n| {
                let mut inner = "visits v".to_owned();
                for k in 0..n {
                    inner = format!("(persons p{k} JOIN {inner} ON p{k}.person_id = v.person_id)");
                }
                format!("SELECT COUNT(DISTINCT v.person_id) FROM {inner}")
            }),
            ("copies", |n| {
                let copies = list(n + 1, " UNION ALL ", |_| "SELECT person_id FROM persons".to_owned());
                format!(
                    "WITH u AS ({copies}) SELECT COUNT(DISTINCT p.person_id) FROM persons p JOIN u a ON p.person_id = a.person_id JOIN u b ON p.person_id = b.person_id"
                )
            }),
            ("zones", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p{}",
                    list(n, "", |k| format!(" JOIN zones z{k} ON p.zip = z{k}.zip"))
                )
            }),
            ("results", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" JOIN ({ZIPS}) r{k} ON z.zip = r{k}.zip"))
                )
            }),
            ("results-full", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" FULL JOIN ({ZIPS}) r{k} ON z.zip = r{k}.zip"))
                )
            }),
            ("released-into-individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p{}",
                    list(n, "", |k| format!(" JOIN ({RESULT}) r{k} ON p.dept = r{k}.dept"))
                )
            }),
            ("released-into-individuals-in-turn", |n| {
                let step = "SELECT p.dept, COUNT(*) AS n FROM persons p JOIN ({}) r ON p.dept = r.dept GROUP BY p.dept";
                levels(n, step, RESULT)
            }),
            ("columns-of-both-sides", |n| {
                let mut inner = "SELECT dept, COUNT(*) AS c0 FROM persons GROUP BY dept".to_owned();
                for k in 0..n {
                    inner = format!(
                        "SELECT l.*, r.n AS c{} FROM ({inner}) l JOIN ({RESULT}) r ON l.dept = r.dept",
                        k + 1
                    );
                }
                inner
            }),
        ],
    ),
    (
        "cross-joins",
        &[
            ("zones", |n| format!("SELECT COUNT(*) FROM {}", list(n + 1, ", ", |k| format!("zones z{k}")))),
            ("zones-selected", |n| {
                format!("SELECT z0.zip FROM {}", list(n + 1, ", ", |k| format!("zones z{k}")))
            }),
            ("zones-cross-join", |n| {
                format!("SELECT COUNT(*) FROM zones z{}", list(n, "", |k| format!(" CROSS JOIN zones z{k}")))
            }),
            ("zones-on-true", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" JOIN zones z{k} ON TRUE"))
                )
            }),
            ("zones-not-equal", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" JOIN zones z{k} ON z.zip <> z{k}.zip"))
                )
            }),
            ("zones-by-a-column-of-few-values", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" JOIN zones z{k} ON z.district = z{k}.district"))
                )
            }),
            ("zones-by-constants", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" JOIN (SELECT 1 AS one, zip FROM zones) z{k} ON z{k}.one = 1"))
                )
            }),
            ("zones-on-the-left", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(" LEFT JOIN zones z{k} ON z.level >= z{k}.level"))
                )
            }),
            ("zones-limited-at-the-end", |n| {
                format!(
                    "SELECT z0.zip FROM {} ORDER BY 1 LIMIT 3",
                    list(n + 1, ", ", |k| format!("zones z{k}"))
                )
            }),
            ("zones-grouped", |n| {
                format!(
                    "SELECT z0.district, COUNT(*) FROM {} GROUP BY z0.district",
                    list(n + 1, ", ", |k| format!("zones z{k}"))
                )
            }),
            ("zones-in-a-window", |n| {
                format!(
                    "SELECT SUM(z0.level) OVER (ORDER BY z0.zip) AS s FROM {}",
                    list(n + 1, ", ", |k| format!("zones z{k}"))
                )
            }),
            ("zones-in-a-scalar", |n| {
                format!(
                    "SELECT COUNT(*) - (SELECT COUNT(*) FROM {}) FROM persons",
                    list(n + 1, ", ", |k| format!("zones z{k}"))
                )
            }),
            ("zones-in-a-condition", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE zip IN (SELECT z0.zip FROM {})",
                    list(n + 1, ", ", |k| format!("zones z{k}"))
                )
            }),
            ("zones-united-and-squared", |n| {
                chained(n, "SELECT x.zip FROM {} x, {} y", "SELECT zip FROM zones", "SELECT COUNT(*) FROM {}")
            }),
            ("zones-united", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({0}) x, ({0}) y",
                    list(n + 1, " UNION ALL ", |_| "SELECT zip FROM zones".to_owned())
                )
            }),
            ("results", |n| {
                format!("SELECT COUNT(*) FROM {}", list(n + 1, ", ", |k| format!("({ZIPS}) r{k}")))
            }),
            ("results-of-one-cte", |n| {
                format!(
                    "WITH r AS ({ZIPS}) SELECT COUNT(*) FROM {}",
                    list(n + 1, ", ", |k| format!("r r{k}"))
                )
            }),
            ("results-and-zones", |n| {
                format!(
                    "WITH r AS ({ZIPS}) SELECT COUNT(*) FROM {}",
                    list(n + 1, ", ", |k| format!("r r{k}, zones z{k}"))
                )
            }),
            ("results-not-equal", |n| {
                format!(
                    "WITH r AS ({ZIPS}) SELECT COUNT(*) FROM r{}",
                    list(n, "", |k| format!(" JOIN r r{k} ON r.zip <> r{k}.zip"))
                )
            }),
            ("results-by-rounded-counts", |n| {
                format!(
                    "WITH r AS ({ZIPS}) SELECT COUNT(*) FROM r{}",
                    list(n, "", |k| format!(" JOIN r r{k} ON r.n = r{k}.n"))
                )
            }),
            ("holidays", |n| {
                format!("SELECT COUNT(*) FROM {}", list(n + 1, ", ", |k| format!("holidays h{k}")))
            }),
            ("individuals-and-zones", |n| {
                format!(
                    "SELECT COUNT(DISTINCT p.person_id) FROM persons p, {}",
                    list(n, ", ", |k| format!("zones z{k}"))
                )
            }),
        ],
    ),
];
