//! Groups, windows, and everything that is only long.
//! Each statement gives a depth its own meaning.

use super::RESULT;
use super::Statements;
use super::levels;
use super::list;

/// By what nests or multiplies, and how.
pub(super) const STATEMENTS: Statements = &[
    (
        "groups-and-aggregates",
        &[
            ("keys", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons GROUP BY {}",
                    list(n, ", ", |k| format!("CASE WHEN zip = '{k}' THEN 'a' ELSE 'b' END"))
                )
            }),
            ("same-key", |n| {
                format!("SELECT COUNT(*) FROM persons GROUP BY {}", list(n, ", ", |_| "dept".to_owned()))
            }),
            ("same-key-selected", |n| {
                format!(
                    "SELECT {}, COUNT(*) FROM persons GROUP BY {}",
                    list(n, ", ", |k| format!("dept AS d{k}")),
                    list(n, ", ", |k| (k + 1).to_string())
                )
            }),
            ("aggregates", |n| {
                format!("SELECT {} FROM persons", list(n, ", ", |k| format!("SUM(salary) + {k} AS s{k}")))
            }),
            ("filtered-aggregates", |n| {
                format!(
                    "SELECT {} FROM persons",
                    list(n, ", ", |k| format!("COUNT(*) FILTER (WHERE zip = '{k}') AS n{k}"))
                )
            }),
            ("one-long-aggregate", |n| {
                format!("SELECT SUM({}) FROM persons", list(n, " + ", |k| format!("{k} * salary")))
            }),
            ("one-long-sum-of-aggregates", |n| {
                format!("SELECT {} FROM persons", list(n, " + ", |_| "SUM(salary)".to_owned()))
            }),
            ("aggregates-of-many-cases", |n| {
                format!(
                    "SELECT SUM(CASE {} ELSE 0 END) FROM persons",
                    list(n, " ", |k| format!("WHEN zip = '{k}' THEN salary"))
                )
            }),
            ("products-of-sums", |n| {
                format!("SELECT SUM({}) FROM persons", list(n, " * ", |_| "(salary + 1)".to_owned()))
            }),
            ("products-of-cases", |n| {
                format!(
                    "SELECT SUM({}) FROM persons",
                    list(n, " * ", |k| format!("CASE WHEN zip = '{k}' THEN 1 ELSE 2 END"))
                )
            }),
            ("sums-of-cases", |n| {
                format!(
                    "SELECT SUM({}) FROM persons",
                    list(n, " + ", |k| format!("CASE WHEN zip = '{k}' THEN salary ELSE 0 END"))
                )
            }),
            ("sums-of-coalesces", |n| {
                format!("SELECT SUM({}) FROM persons", list(n, " + ", |_| "COALESCE(salary, 0)".to_owned()))
            }),
            ("cases-within-coalesces", |n| {
                let mut inner = "salary".to_owned();
                for k in 0..n {
                    inner = format!("COALESCE(CASE WHEN zip = '{k}' THEN {inner} END, salary)");
                }
                format!("SELECT SUM({inner}) FROM persons")
            }),
            ("averages-of-nullifs", |n| {
                let mut inner = "salary".to_owned();
                for _ in 0..n {
                    inner = format!("NULLIF({inner}, 0)");
                }
                format!("SELECT AVG({inner}) FROM persons")
            }),
            ("cube", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons GROUP BY CUBE ({})",
                    list(n, ", ", |k| format!("zip = '{k}'"))
                )
            }),
            ("rollup", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons GROUP BY ROLLUP ({})",
                    list(n, ", ", |k| format!("zip = '{k}'"))
                )
            }),
            ("cube-above", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones GROUP BY CUBE ({})",
                    list(n, ", ", |k| format!("level + {k}"))
                )
            }),
            ("rollup-above", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones GROUP BY ROLLUP ({})",
                    list(n, ", ", |k| format!("level + {k}"))
                )
            }),
            ("grouping-sets-above", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones GROUP BY GROUPING SETS ({})",
                    list(n, ", ", |_| "(zip), (district, level)".to_owned())
                )
            }),
            ("cubes-side-by-side", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones GROUP BY {}",
                    list(n, ", ", |_| "CUBE (zip, district, level)".to_owned())
                )
            }),
            ("having", |n| format!("{RESULT} HAVING {}", list(n, " AND ", |k| format!("COUNT(*) > {k}")))),
            ("boundaries", |n| {
                list(n, " UNION ALL ", |k| format!("SELECT {k} AS k, COUNT(*) FROM visits WHERE day = {k}"))
            }),
        ],
    ),
    (
        "windows",
        &[
            ("nested", |n| {
                levels(n, "SELECT dept, SUM(n) OVER (PARTITION BY dept ORDER BY n) AS n FROM ({}) t", RESULT)
            }),
            ("side-by-side", |n| {
                format!(
                    "SELECT {} FROM ({RESULT}) t",
                    list(n, ", ", |k| format!("SUM(n) OVER (ORDER BY n ROWS {k} PRECEDING) AS w{k}"))
                )
            }),
            ("of-individuals-nested", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t WHERE n = 1",
                    levels(
                        n,
                        "SELECT person_id, RANK() OVER (PARTITION BY person_id ORDER BY n) AS n FROM ({}) t",
                        "SELECT person_id, day AS n FROM visits"
                    )
                )
            }),
            ("of-individuals-side-by-side", |n| {
                format!(
                    "SELECT COUNT(*) FROM (SELECT {} FROM visits) t",
                    list(n, ", ", |k| format!(
                        "LAG(day, {}) OVER (PARTITION BY person_id ORDER BY day) AS w{k}",
                        k + 1
                    ))
                )
            }),
            ("qualify", |n| {
                levels(n, "SELECT * FROM ({}) t QUALIFY ROW_NUMBER() OVER (ORDER BY n) < 9", RESULT)
            }),
            ("named", |n| {
                format!(
                    "SELECT {} FROM ({RESULT}) t WINDOW w AS (ORDER BY n)",
                    list(n, ", ", |k| format!("SUM(n) OVER w AS w{k}"))
                )
            }),
            ("wide-frames", |n| {
                format!(
                    "SELECT SUM(n) OVER (ORDER BY n ROWS BETWEEN {n} PRECEDING AND {n} FOLLOWING) AS w FROM ({RESULT}) t"
                )
            }),
        ],
    ),
    (
        "length",
        &[
            ("literal", |n| format!("SELECT COUNT(*) FROM persons WHERE dept = '{}'", "x".repeat(n * 64))),
            ("literal-of-wide-characters", |n| {
                format!("SELECT COUNT(*) FROM persons WHERE dept = '{}'", "市".repeat(n * 16))
            }),
            ("pattern", |n| format!("SELECT COUNT(*) FROM persons WHERE zip LIKE '10{}'", "%_".repeat(n))),
            ("pattern-above", |n| format!("SELECT zip FROM zones WHERE zip LIKE '{}0'", "%_".repeat(n))),
            ("number", |n| format!("SELECT COUNT(*) FROM persons WHERE age >= {}", "9".repeat(n))),
            ("decimal", |n| format!("SELECT COUNT(*) FROM persons WHERE age >= 0.{}", "0".repeat(n))),
            ("exponent", |n| format!("SELECT COUNT(*) * 1e{n} FROM persons")),
            ("quoted-name", |n| format!("SELECT COUNT(*) AS \"{}\" FROM persons", "n".repeat(n * 16))),
            ("quoted-names", |n| {
                format!("SELECT {} FROM persons", list(n, ", ", |k| format!("COUNT(*) AS \"a {k}\"")))
            }),
            ("long-names-of-tables", |n| {
                let name = "t".repeat(n * 16);
                format!(
                    "SELECT COUNT(*) FROM persons {name} WHERE {}",
                    list(n.min(40), " OR ", |k| format!("{name}.zip = '{k}'"))
                )
            }),
            ("long-names-through-levels", |n| {
                let name = "c".repeat(n * 16);
                levels(
                    n.min(60),
                    &format!("SELECT {name} FROM ({{}}) t"),
                    &format!("SELECT COUNT(*) AS {name} FROM persons"),
                )
            }),
            ("comments", |n| format!("SELECT COUNT(*) {} FROM persons", "/* c */ ".repeat(n * 16))),
            ("comments-in-comments", |n| {
                format!("SELECT COUNT(*) {}{} FROM persons", "/*".repeat(n), "*/".repeat(n))
            }),
            ("brackets", |n| {
                format!("SELECT COUNT(*) FROM persons WHERE {}dept = 'tax'{}", "(".repeat(n), ")".repeat(n))
            }),
            ("square-brackets", |n| format!("SELECT {}1{} FROM persons", "[".repeat(n), "]".repeat(n))),
            ("braces", |n| format!("SELECT {}1{} FROM persons", "{'a': ".repeat(n), "}".repeat(n))),
            ("columns", |n| {
                format!("SELECT {} FROM ({RESULT}) t", list(n, ", ", |k| format!("n + {k} AS c{k}")))
            }),
            ("orders", |n| {
                format!("SELECT * FROM ({RESULT}) t ORDER BY {}", list(n, ", ", |k| format!("n + {k}")))
            }),
            ("in-list", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE zip IN ({})",
                    list(n * 16, ", ", |k| format!("'{k}'"))
                )
            }),
            ("in-list-above", |n| {
                format!("SELECT zip FROM zones WHERE zip IN ({})", list(n * 16, ", ", |k| format!("'{k}'")))
            }),
            ("in-list-of-expressions", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE zip IN ({})",
                    list(n, ", ", |k| format!("COALESCE(dept, '{k}')"))
                )
            }),
            ("case-of-many-branches", |n| {
                format!(
                    "SELECT CASE {} END AS k, COUNT(*) FROM persons GROUP BY 1",
                    list(n, " ", |k| format!("WHEN zip = '{k}' THEN 'l{k}'"))
                )
            }),
            ("case-operand-of-many-branches", |n| {
                format!(
                    "SELECT CASE zip {} END AS k, COUNT(*) FROM persons GROUP BY 1",
                    list(n, " ", |k| format!("WHEN '{k}' THEN 'l{k}'"))
                )
            }),
            ("coalesce-of-many", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE COALESCE({}) = 'tax'",
                    list(n, ", ", |_| "zip".to_owned())
                )
            }),
            ("coalesce-of-many-conditions", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE COALESCE({})",
                    list(n, ", ", |k| format!("zip = '{k}'"))
                )
            }),
            ("concat-of-many", |n| {
                format!("SELECT concat({}) AS x FROM zones", list(n, ", ", |_| "zip".to_owned()))
            }),
            ("concat-of-many-through-levels", |n| {
                levels(
                    n,
                    "SELECT concat(a, a, a, a, a, a, a, a) AS a FROM ({}) t",
                    "SELECT zip AS a FROM zones",
                )
            }),
            ("padded-above", |n| format!("SELECT repeat(zip, {n}) AS a FROM zones")),
            ("semicolons", |n| format!("SELECT COUNT(*) FROM persons{}", ";".repeat(n))),
            ("unknown-columns", |n| {
                format!("SELECT {} FROM persons", list(n, ", ", |k| format!("nothing{k}")))
            }),
            ("unknown-function-nested", |n| {
                format!("SELECT {}1{} FROM persons", "nothing(".repeat(n), ")".repeat(n))
            }),
            ("lateral", |n| {
                format!(
                    "SELECT COUNT(*) FROM zones z{}",
                    list(n, "", |k| format!(", LATERAL (SELECT z.zip AS x{k}) l{k}"))
                )
            }),
            ("unnest", |n| format!("SELECT unnest(range(0, {})) FROM zones", n * 1000)),
            ("series", |n| format!("SELECT COUNT(*) FROM generate_series(1, {}) t", n * 1_000_000)),
        ],
    ),
];
