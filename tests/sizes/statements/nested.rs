//! Queries within queries: subqueries, common table expressions, sets, subqueries of conditions.
//! Each statement gives a depth its own meaning.

use super::MEASURE;
use super::RESULT;
use super::Statements;
use super::VALUE;
use super::chained;
use super::exists;
use super::levels;
use super::list;

/// By what nests or multiplies, and how.
pub(super) const STATEMENTS: Statements = &[
    (
        "aliases-written-out",
        &[
            ("below", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT a + a AS a FROM ({}) t", MEASURE)
                )
            }),
            ("aggregated", |n| {
                format!("SELECT SUM(a) FROM ({}) t", levels(n, "SELECT a + a AS a FROM ({}) t", MEASURE))
            }),
            ("key", |n| {
                format!(
                    "SELECT a, COUNT(*) FROM ({}) t GROUP BY a",
                    levels(n, "SELECT COALESCE(a, a) AS a FROM ({}) t", "SELECT zip AS a FROM persons")
                )
            }),
            ("above", |n| {
                format!(
                    "SELECT a + a AS a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT a + a AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-selected", |n| levels(n, "SELECT a + a AS a FROM ({}) t", VALUE)),
            ("above-case", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT CASE WHEN a > 1 THEN a ELSE a + 1 END AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-coalesce", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT COALESCE(a, a) AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-nullif", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT NULLIF(a, a + 1) AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-text", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a <> ''",
                    levels(n, "SELECT a || a AS a FROM ({}) t", "SELECT zip AS a FROM persons GROUP BY zip")
                )
            }),
            ("above-two-names", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > b",
                    levels(
                        n,
                        "SELECT a + b AS a, a - b AS b FROM ({}) t",
                        "SELECT COUNT(*) AS a, SUM(salary) AS b FROM persons GROUP BY dept"
                    )
                )
            }),
            ("above-having", |n| {
                format!(
                    "SELECT MAX(a) FROM ({}) t GROUP BY a HAVING MIN(a) > 0",
                    levels(n, "SELECT a + a AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-joined", |n| {
                let side = levels(n, "SELECT a + a AS a FROM ({}) t", VALUE);
                format!("SELECT l.a FROM ({side}) l JOIN ({side}) r ON l.a = r.a")
            }),
            ("above-sorted", |n| {
                format!(
                    "SELECT 1 FROM ({}) t ORDER BY a LIMIT 1",
                    levels(n, "SELECT a + a AS a FROM ({}) t", VALUE)
                )
            }),
            ("above-filtered-between", |n| levels(n, "SELECT a + a AS a FROM ({}) t WHERE a > 0", VALUE)),
            ("above-grouped-between", |n| levels(n, "SELECT a + a AS a FROM ({}) t GROUP BY a", VALUE)),
            ("open", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT a + a AS a FROM ({}) t", "SELECT level AS a FROM zones")
                )
            }),
            ("constants", |n| {
                format!(
                    "SELECT a FROM ({}) t WHERE a > 0",
                    levels(n, "SELECT a + a AS a FROM ({}) t", "SELECT 0 AS a")
                )
            }),
            ("per-subject", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t WHERE a >= 3",
                    levels(
                        n,
                        "SELECT person_id, COALESCE(a, a) AS a FROM ({}) t",
                        "SELECT person_id, COUNT(*) AS a FROM visits GROUP BY person_id"
                    )
                )
            }),
            ("as-ctes", |n| {
                let steps: String =
                    (0..n).map(|k| format!(", c{} AS (SELECT a + a AS a FROM c{k})", k + 1)).collect();
                format!("WITH c0 AS ({VALUE}){steps} SELECT a FROM c{n} WHERE a > 0")
            }),
        ],
    ),
    (
        "nested-subqueries",
        &[
            ("individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    levels(n, "SELECT * FROM ({}) t", "SELECT * FROM persons")
                )
            }),
            ("filtered", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    levels(n, "SELECT * FROM ({}) t WHERE zip <> '1'", "SELECT dept, zip FROM persons")
                )
            }),
            ("released", |n| levels(n, "SELECT * FROM ({}) t", RESULT)),
            ("released-filtered", |n| levels(n, "SELECT * FROM ({}) t WHERE n > 1", RESULT)),
            ("released-grouped", |n| levels(n, "SELECT dept, SUM(n) AS n FROM ({}) t GROUP BY dept", RESULT)),
            ("distinct", |n| levels(n, "SELECT DISTINCT * FROM ({}) t", RESULT)),
            ("distinct-individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    levels(n, "SELECT DISTINCT dept FROM ({}) t", "SELECT dept FROM persons")
                )
            }),
            ("sorted-and-limited", |n| levels(n, "SELECT * FROM ({}) t ORDER BY n LIMIT 9", RESULT)),
            ("per-subject", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    levels(
                        n,
                        "SELECT person_id, MAX(n) AS n FROM ({}) t GROUP BY person_id",
                        "SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id"
                    )
                )
            }),
            ("open", |n| levels(n, "SELECT * FROM ({}) t", "SELECT * FROM zones")),
            ("explained", |n| format!("EXPLAIN {}", levels(n, "SELECT * FROM ({}) t", RESULT))),
        ],
    ),
    (
        "ctes",
        &[
            ("a-chain", |n| chained(n, "SELECT * FROM {}", RESULT, "SELECT * FROM {}")),
            ("used-twice-by-joins", |n| {
                chained(
                    n,
                    "SELECT x.dept, x.n + y.n AS n FROM {} x JOIN {} y ON x.dept = y.dept",
                    RESULT,
                    "SELECT * FROM {}",
                )
            }),
            ("used-twice-by-unions", |n| {
                chained(n, "SELECT * FROM {} UNION ALL SELECT * FROM {}", RESULT, "SELECT COUNT(*) FROM {}")
            }),
            ("individuals-used-twice", |n| {
                chained(
                    n,
                    "SELECT * FROM {} UNION ALL SELECT * FROM {}",
                    "SELECT person_id FROM persons",
                    "SELECT COUNT(DISTINCT person_id) FROM {}",
                )
            }),
            ("individuals-joined-twice", |n| {
                chained(
                    n,
                    "SELECT x.person_id FROM {} x JOIN {} y ON x.person_id = y.person_id",
                    "SELECT person_id FROM visits",
                    "SELECT COUNT(DISTINCT person_id) FROM {}",
                )
            }),
            ("used-as-values", |n| {
                chained(
                    n,
                    "SELECT (SELECT MAX(n) FROM {}) + (SELECT MIN(n) FROM {}) AS n",
                    "SELECT COUNT(*) AS n FROM persons",
                    "SELECT n FROM {}",
                )
            }),
            ("used-in-conditions", |n| {
                chained(
                    n,
                    "SELECT dept, n FROM {} WHERE n > (SELECT AVG(n) FROM {}) AND dept IN (SELECT dept FROM {})",
                    RESULT,
                    "SELECT * FROM {}",
                )
            }),
            ("many-of-one-table", |n| {
                let ctes = list(n, ", ", |k| {
                    format!("c{k} AS (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept)")
                });
                format!("WITH {ctes} SELECT * FROM c0")
            }),
            ("recursive", |n| {
                format!(
                    "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < {n}) SELECT COUNT(*) FROM c"
                )
            }),
        ],
    ),
    (
        "sets",
        &[
            ("union-all", |n| list(n + 1, " UNION ALL ", |_| RESULT.to_owned())),
            ("union", |n| list(n + 1, " UNION ", |_| RESULT.to_owned())),
            ("union-nested", |n| {
                levels(n, "SELECT * FROM ({}) t UNION ALL SELECT dept, 1 FROM persons GROUP BY dept", RESULT)
            }),
            ("union-in-parentheses", |n| {
                format!("{}{RESULT}{}", "(".repeat(n), format!(") UNION ALL ({RESULT})").repeat(n))
            }),
            ("except", |n| list(n + 1, " EXCEPT ", |_| RESULT.to_owned())),
            ("intersect", |n| list(n + 1, " INTERSECT ", |_| RESULT.to_owned())),
            ("of-individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    list(n + 1, " UNION ALL ", |k| format!("SELECT person_id FROM visits WHERE day = {k}"))
                )
            }),
            ("of-distinct-individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    list(n + 1, " UNION ", |k| format!("SELECT person_id FROM visits WHERE day = {k}"))
                )
            }),
            ("except-of-individuals", |n| {
                format!(
                    "SELECT COUNT(*) FROM ({}) t",
                    list(n + 1, " EXCEPT ", |k| format!("SELECT person_id FROM visits WHERE day = {k}"))
                )
            }),
            ("of-constants", |n| list(n + 1, " UNION ALL ", |k| format!("SELECT {k} AS x"))),
            ("values", |n| {
                format!("SELECT * FROM (VALUES {}) t", list(n * 16, ", ", |k| format!("({k}, 'a{k}')")))
            }),
            ("values-joined", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p JOIN (VALUES {}) t(z) ON p.zip = t.z",
                    list(n * 4, ", ", |k| format!("('{k}')"))
                )
            }),
            ("values-crossed", |n| {
                format!(
                    "SELECT COUNT(*) FROM {}",
                    list(n, ", ", |k| format!("(VALUES (1), (2), (3), (4), (5), (6), (7), (8)) t{k}(x)"))
                )
            }),
        ],
    ),
    (
        "subqueries-of-conditions",
        &[
            ("exists-in-exists", |n| {
                format!("SELECT COUNT(*) FROM persons p0 WHERE {}", exists(n, "EXISTS"))
            }),
            ("not-exists-in-not-exists", |n| {
                format!("SELECT COUNT(*) FROM persons p0 WHERE {}", exists(n, "NOT EXISTS"))
            }),
            ("in-in-in", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE person_id IN ({})",
                    levels(
                        n,
                        "SELECT person_id FROM persons WHERE person_id IN ({})",
                        "SELECT person_id FROM visits"
                    )
                )
            }),
            ("not-in-not-in", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE person_id NOT IN ({})",
                    levels(
                        n,
                        "SELECT person_id FROM persons WHERE person_id NOT IN ({})",
                        "SELECT person_id FROM visits"
                    )
                )
            }),
            ("exists-side-by-side", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p WHERE {}",
                    list(n, " AND ", |k| format!(
                        "EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = {k})"
                    ))
                )
            }),
            ("marks-side-by-side", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p WHERE {}",
                    list(n, " OR ", |k| format!(
                        "EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = {k})"
                    ))
                )
            }),
            ("marks-under-not", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p WHERE {}",
                    list(n, " OR ", |k| format!(
                        "NOT (p.dept = 'd{k}' OR p.person_id IN (SELECT person_id FROM visits WHERE day = {k}))"
                    ))
                )
            }),
            ("in-a-filter", |n| {
                format!(
                    "SELECT {} FROM persons",
                    list(n, ", ", |k| format!(
                        "COUNT(*) FILTER (WHERE zip IN (SELECT zip FROM zones WHERE level = {k})) AS n{k}"
                    ))
                )
            }),
            ("scalars-in-scalars", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE salary > ({})",
                    levels(
                        n,
                        "SELECT AVG(salary) FROM persons WHERE salary > ({})",
                        "SELECT AVG(salary) FROM persons"
                    )
                )
            }),
            ("scalars-above-in-scalars", |n| {
                levels(n, "SELECT COUNT(*) - ({}) FROM persons", "SELECT COUNT(*) FROM persons")
            }),
            ("scalars-side-by-side", |n| {
                format!(
                    "SELECT {}",
                    list(n, ", ", |k| format!("(SELECT COUNT(*) FROM visits WHERE day = {k}) AS n{k}"))
                )
            }),
            ("benchmarks-side-by-side", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE {}",
                    list(n, " AND ", |_| "salary > (SELECT AVG(salary) FROM persons)".to_owned())
                )
            }),
            ("correlated-scalars", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons p WHERE {}",
                    list(n, " AND ", |k| format!(
                        "(SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id AND v.day = {k}) >= 1"
                    ))
                )
            }),
            ("any-of", |n| {
                format!(
                    "SELECT COUNT(*) FROM persons WHERE {}",
                    list(n, " AND ", |_| "salary > ANY (SELECT AVG(salary) FROM persons)".to_owned())
                )
            }),
        ],
    ),
];
