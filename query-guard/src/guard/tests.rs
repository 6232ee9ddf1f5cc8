//! Whole-pipeline tests: which queries are admitted, which are refused and why.

use obscura_policies::effective::EffectiveColumn;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::mask::Mask;
use obscura_policies::vocabulary::DataType;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Review;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;

use crate::finding::Code;
use crate::finding::Finding;
use crate::fixture::admitted;
use crate::fixture::codes;
use crate::fixture::column;
use crate::fixture::policy;
use crate::fixture::review;
use crate::fixture::review_under;
use crate::fixture::variants::named;
use crate::reason::Reason;
use crate::verdict::Decision;

/// Ordinary questions of the corpus: each must be admitted.
pub(crate) const ADMITTED: &[&str] = &[
    "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY n DESC",
    "SELECT p.dept, COUNT(DISTINCT v.person_id) AS visitors, COUNT(*) AS visits FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept",
    "SELECT dept, SUM(salary), AVG(salary) FROM persons GROUP BY dept",
    "SELECT dept, AVG(CASE WHEN sex = 'f' THEN 1.0 ELSE 0.0 END) AS share_f FROM persons GROUP BY dept",
    "SELECT dept, COUNT(*) FILTER (WHERE age >= 60) AS seniors FROM persons GROUP BY dept",
    "SELECT floor(age / 10) * 10 AS band, COUNT(*) FROM persons GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('year', hire) AS y, COUNT(*) FROM persons GROUP BY 1 ORDER BY 1",
    "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept HAVING COUNT(*) > 100",
    "SELECT zip, SUM(salary) AS s FROM persons GROUP BY zip ORDER BY s DESC LIMIT 5",
    "SELECT dept, n, RANK() OVER (ORDER BY n DESC) FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept)",
    "SELECT dept, COUNT(*) * 1.0 / SUM(COUNT(*)) OVER () AS share FROM persons GROUP BY dept",
    "SELECT visits, COUNT(*) AS persons FROM (SELECT person_id, COUNT(*) AS visits FROM visits GROUP BY person_id) GROUP BY visits ORDER BY visits",
    "SELECT AVG(total) FROM (SELECT person_id, SUM(cost) AS total FROM visits GROUP BY person_id)",
    "WITH a AS (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept), b AS (SELECT p.dept, SUM(v.cost) AS c FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept) SELECT a.dept, c / n AS cost_per_person FROM a JOIN b ON a.dept = b.dept",
    "SELECT dept, COUNT(*) FROM persons WHERE dept IN ('tax', 'health') GROUP BY dept",
    "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 2)",
    "SELECT dept, COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3) GROUP BY dept",
    "SELECT dept, AVG(salary) - (SELECT AVG(salary) FROM persons) AS over_mean FROM persons GROUP BY dept",
    "SELECT DISTINCT dept FROM persons",
    "SELECT 'tax' AS k, COUNT(*) FROM persons WHERE dept = 'tax' UNION ALL SELECT 'works', COUNT(*) FROM persons WHERE dept = 'works'",
    "SELECT CASE WHEN age < 30 THEN 'young' WHEN age < 60 THEN 'middle' ELSE 'senior' END AS g, COUNT(*), AVG(salary) FROM persons GROUP BY 1",
    // Further ordinary questions.
    "SELECT COUNT(DISTINCT a.person_id) FROM visits a JOIN visits b ON a.person_id = b.person_id JOIN (SELECT day, AVG(cost) AS m FROM visits GROUP BY day) t ON b.day = t.day WHERE a.day = 3 AND b.cost > t.m",
    "SELECT COUNT(DISTINCT a.person_id) FROM visits a JOIN visits b ON a.person_id = b.person_id WHERE b.day = 3 AND b.cost > (SELECT AVG(cost) FROM visits WHERE day = 3)",
    "SELECT COUNT(*) FROM visits v LEFT JOIN persons p ON v.person_id = p.person_id WHERE v.day = 3 AND v.cost > (SELECT AVG(cost) FROM visits WHERE day = 3)",
    "SELECT age >= 60, COUNT(*) FROM persons GROUP BY age >= 60",
    "SELECT dept, SUM(salary / 60.0) FROM persons GROUP BY dept",
    "SELECT dept, COUNT(*) FROM persons WHERE zip IN (SELECT zip FROM zones WHERE district = 'north') GROUP BY dept",
    "SELECT k, COUNT(*) FROM (SELECT person_id, 'a' AS k FROM visits WHERE day = 1 UNION ALL SELECT person_id, 'b' FROM visits WHERE day = 2) GROUP BY k",
    "SELECT z.district, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip GROUP BY z.district",
    "SELECT zip, district FROM zones ORDER BY zip LIMIT 3",
    "SELECT dept, COUNT(*) FROM persons WHERE salary >= 20000 AND salary < 40000 GROUP BY dept",
    "SELECT dept, COUNT(*) FROM persons WHERE salary > (SELECT AVG(salary) FROM persons) GROUP BY dept",
    "SELECT COUNT(*) FROM persons p JOIN (SELECT dept, AVG(salary) AS mean FROM persons GROUP BY dept) m ON p.dept = m.dept WHERE p.salary > m.mean",
    "SELECT dept, COUNT(*) FROM persons WHERE person_id IN (SELECT person_id FROM visits WHERE day = 2) GROUP BY dept",
    "SELECT p.dept, COUNT(*) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id WHERE v.person_id IS NULL GROUP BY p.dept",
    "SELECT p.dept, COUNT(*) FROM persons p, visits v WHERE p.person_id = v.person_id AND v.day = 1 GROUP BY p.dept",
    "SELECT dept, SUM(salary * 2 + 100) FROM persons GROUP BY dept",
    "SELECT day, COUNT(*), SUM(cost) FROM visits GROUP BY day",
    "SELECT COALESCE(dept, 'unknown'), COUNT(*) FROM persons GROUP BY 1",
    "SELECT extract(year FROM hire) AS y, COUNT(*) FROM persons WHERE hire >= DATE '2001-01-01' GROUP BY 1",
    "SELECT COUNT(*) FROM (SELECT person_id FROM visits WHERE day = 1 UNION ALL SELECT person_id FROM visits WHERE day = 2)",
    "SELECT dept, COUNT(*) FROM persons WHERE zip = '9999' OR dept = 'tax' GROUP BY dept",
    "SELECT k, COUNT(*) FROM (SELECT person_id, 'a' AS k FROM visits WHERE day = 1 UNION ALL SELECT person_id, 'b' FROM visits WHERE day = 2 UNION ALL SELECT person_id, 'c' FROM visits WHERE day = 3) GROUP BY k",
    "SELECT p.dept, COUNT(v.person_id), SUM(v.cost), AVG(v.cost) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept",
    "SELECT p.dept, COUNT(DISTINCT p.person_id) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept",
    "SELECT p.dept, AVG(p.age) FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept",
    "SELECT p.dept, AVG(COALESCE(s.n, 0)) FROM persons p LEFT JOIN (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) s ON p.person_id = s.person_id GROUP BY p.dept",
    "SELECT COUNT(*) FROM (SELECT person_id FROM visits UNION SELECT person_id FROM persons)",
    "SELECT COUNT(*) FROM (SELECT person_id, day, COUNT(*) AS n FROM visits GROUP BY person_id, day)",
    "SELECT SUM(n), COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id)",
    "SELECT dept AS k, dept AS l, COUNT(*) AS n FROM persons GROUP BY 1, 2",
    "SELECT n FROM (SELECT person_id AS a, person_id AS b, COUNT(*) AS n FROM visits GROUP BY 1, 2) t GROUP BY n",
    "SELECT zip AS k, zip AS l, COUNT(*) FROM zones GROUP BY 1, 2",
    "SELECT zip FROM zones WHERE level * 2 > 3",
    "SELECT dept, 1 / (COUNT(*) - 20) FROM persons GROUP BY dept",
    "SELECT COUNT(*) FROM persons WHERE person_id NOT IN (SELECT person_id FROM visits)",
    // A subject's own rows: windows, firsts and lasts, conditions on any of them.
    "SELECT COUNT(*) FROM (SELECT day, ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY day) AS nth FROM visits) WHERE nth = 1",
    "SELECT COUNT(*) FROM (SELECT day, LAG(day) OVER (PARTITION BY person_id ORDER BY day) AS before FROM visits) WHERE before < day",
    "SELECT COUNT(*) FROM (SELECT cost, AVG(cost) OVER (PARTITION BY person_id) AS own FROM visits) WHERE cost > own",
    "SELECT n, COUNT(DISTINCT person_id) FROM (SELECT person_id, COUNT(*) OVER (PARTITION BY person_id) AS n FROM visits) GROUP BY n",
    "SELECT COUNT(*) FROM (SELECT SUM(cost) OVER (PARTITION BY person_id ORDER BY day ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS c FROM visits) WHERE c >= 200",
    "SELECT first, COUNT(*) FROM (SELECT person_id, MIN(day) AS first FROM visits GROUP BY person_id) GROUP BY first",
    "SELECT ever, COUNT(*) FROM (SELECT person_id, BOOL_OR(day = 2) AS ever FROM visits GROUP BY person_id) GROUP BY ever",
    // Subqueries under OR, and those that the planner turns into joins.
    "SELECT dept, COUNT(*) FROM persons p WHERE dept = 'tax' OR EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id) GROUP BY dept",
    "SELECT dept, COUNT(*) FROM persons WHERE dept = 'tax' OR zip IN (SELECT zip FROM zones WHERE district = 'north') GROUP BY dept",
    "SELECT COUNT(*) FROM persons p WHERE (SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id) >= 3",
    "SELECT COUNT(*) FROM persons p WHERE (SELECT SUM(cost) FROM visits v WHERE v.person_id = p.person_id) >= 300",
    "SELECT COUNT(*) FROM visits v WHERE cost >= (SELECT AVG(w.cost) FROM visits w WHERE w.person_id = v.person_id)",
    "SELECT COUNT(*) FROM visits v WHERE EXISTS (SELECT 1 FROM visits w WHERE w.person_id = v.person_id AND w.day < v.day)",
    // Open tables by intervals and by groups.
    "SELECT h.holiday, COUNT(*) FROM visits v JOIN holidays h ON v.day BETWEEN h.first_day AND h.last_day GROUP BY h.holiday",
    "SELECT COUNT(*) FROM visits v, holidays h WHERE v.day >= h.first_day AND v.day <= h.last_day AND h.holiday = 'fair'",
    "SELECT COUNT(*) FROM visits v WHERE v.cost >= 100 OR EXISTS (SELECT 1 FROM holidays h WHERE v.day BETWEEN h.first_day AND h.last_day)",
    "SELECT dept, COUNT(*) FROM persons p JOIN (SELECT zip FROM zones GROUP BY zip) z ON p.zip = z.zip GROUP BY dept",
    "SELECT district, SUM(level) FROM zones GROUP BY district HAVING SUM(level) > 10",
    "SELECT dept, COUNT(*) - (SELECT MAX(level) FROM zones) FROM persons GROUP BY dept",
    "SELECT zip FROM zones WHERE level = (SELECT MAX(level) FROM zones)",
    "SELECT r.rank, COUNT(*), SUM(p.salary) FROM persons p JOIN register r ON p.person_id = r.person_id GROUP BY r.rank",
    "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM register r WHERE r.person_id = p.person_id AND r.rank = 'a')",
    "SELECT office FROM register WHERE person_id = 3",
    // Released results as a set of keys, whole.
    "SELECT COUNT(*) FROM persons WHERE dept IN (SELECT dept FROM persons GROUP BY dept)",
    // Conditions as keys, CASE and COALESCE in conditions, coarser forms.
    "SELECT age >= 60 AND sex = 'f', COUNT(*) FROM persons GROUP BY 1",
    "SELECT NOT (sex = 'f'), COUNT(*) FROM persons GROUP BY 1",
    "SELECT COUNT(*) FROM persons WHERE COALESCE(salary, 0) >= 20000",
    "SELECT COUNT(*) FROM persons WHERE CASE WHEN age >= 60 THEN 'senior' ELSE 'other' END IN ('senior', 'child')",
    "SELECT floor(age_years(birth) / 10) * 10, COUNT(*) FROM persons WHERE age_years(birth) >= 20 GROUP BY 1",
    "SELECT width_bucket(age, 0, 100, 10), COUNT(*) FROM persons WHERE width_bucket(salary, 0, 200000, 10) = 3 GROUP BY 1",
];

#[test]
fn ordinary_questions_are_admitted() {
    for sql in ADMITTED {
        let found = codes(sql);
        assert!(found.is_empty(), "{sql}\n{found:?}\n{:#?}", crate::fixture::review(sql).decision);
    }
}

/// Questions that must be refused, and the first reason given.
pub(crate) const REFUSED: &[(&str, Code)] = &[
    ("SELECT dept, name FROM persons", Code::ColumnNotInScope),
    ("SELECT dept, salary FROM persons", Code::RowLevelOutput),
    ("SELECT * FROM persons ORDER BY salary LIMIT 1", Code::OperationOverIndividuals),
    ("SELECT COUNT(*) FROM persons WHERE age <> 107", Code::LiteralOffEdge),
    ("SELECT COUNT(*) FROM persons WHERE salary >= 20001", Code::LiteralOffEdge),
    ("SELECT COUNT(*) FROM persons WHERE salary > 20000", Code::PredicateNotAllowed),
    ("SELECT COUNT(*) FROM persons WHERE salary % 97 = 13", Code::PredicateNotAllowed),
    ("SELECT COUNT(*) FROM persons WHERE person_id = 4711", Code::UnitKeyNotComparable),
    ("SELECT COUNT(*) FROM persons WHERE person_id = '11010519491231002X'", Code::UnitKeyNotComparable),
    ("SELECT COUNT(*) FROM persons WHERE person_id IN (4711, 4712)", Code::UnitKeyNotComparable),
    ("SELECT COUNT(*) FROM persons WHERE person_id + 0 BETWEEN 1 AND 9", Code::UnitKeyNotComparable),
    ("SELECT COUNT(*) FROM persons WHERE CAST(salary AS TINYINT) >= 0", Code::PredicateNotAllowed),
    ("SELECT person_id % 7, COUNT(*) FROM persons GROUP BY 1", Code::GroupKeyNotAllowed),
    ("SELECT salary, COUNT(*) FROM persons GROUP BY salary", Code::UseNotGranted),
    ("SELECT MAX(salary) FROM persons", Code::ControlNotAvailable),
    ("SELECT dept, APPROX_DISTINCT(zip) FROM persons GROUP BY dept", Code::ControlNotAvailable),
    ("SELECT dept, MAX(salary) FROM persons GROUP BY dept", Code::ControlNotAvailable),
    ("SELECT dept, REGR_COUNT(age, salary) FROM persons GROUP BY dept", Code::ControlNotAvailable),
    ("SELECT person_id, COUNT(*) FROM visits GROUP BY ROLLUP (person_id)", Code::ControlNotAvailable),
    ("SELECT array_agg(salary) FROM persons", Code::FunctionNotAllowed),
    ("SELECT SUM(DISTINCT salary) FROM persons", Code::AggregateNotAllowed),
    ("SELECT SUM(power(salary, 2)) FROM persons", Code::AggregateNotDecomposable),
    ("SELECT SUM(salary / 3) FROM persons", Code::AggregateNotDecomposable),
    ("SELECT COUNT(DISTINCT dept) FROM persons", Code::ControlNotAvailable),
    ("SELECT COUNT(*) FROM persons p JOIN persons q ON p.dept = q.dept", Code::JoinNotAllowed),
    ("SELECT COUNT(*) FROM persons p CROSS JOIN persons q", Code::JoinNotAllowed),
    ("SELECT COUNT(*) FROM visits v JOIN holidays h ON v.day >= h.first_day", Code::JoinNotAllowed),
    (
        "SELECT COUNT(*) FROM visits v JOIN holidays h ON v.day >= h.last_day AND v.day <= h.first_day",
        Code::JoinNotAllowed,
    ),
    (
        "SELECT n, COUNT(*) FROM persons p JOIN (SELECT zip, SUM(level) AS n FROM zones GROUP BY zip) z ON p.zip = z.zip GROUP BY n",
        Code::GroupKeyNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT zip, SUM(level) AS n FROM zones GROUP BY zip) z ON p.zip = z.zip WHERE n > 3",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM (SELECT RANK() OVER (ORDER BY cost) AS r FROM visits) WHERE r = 1",
        Code::OperationOverIndividuals,
    ),
    ("SELECT bool_or(day = 2) FROM visits", Code::ControlNotAvailable),
    // Once a row of an open register has met individuals, no query reads whom it is about or chooses individuals by that.
    (
        "SELECT r.office, COUNT(*) FROM persons p JOIN register r ON p.person_id = r.person_id GROUP BY r.office",
        Code::UnitKeyNotComparable,
    ),
    (
        "SELECT r.person_id, COUNT(*) FROM persons p JOIN register r ON p.person_id = r.person_id GROUP BY r.person_id",
        Code::UseNotGranted,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id FROM register WHERE office = 'mayor') r ON p.person_id = r.person_id",
        Code::JoinNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE person_id IN (SELECT person_id FROM register WHERE person_id IN (1, 2))",
        Code::JoinNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id, MAX(office) AS o FROM register GROUP BY person_id) r ON p.person_id = r.person_id WHERE r.o = 'x'",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT person_id FROM register LIMIT 1) r ON p.person_id = r.person_id",
        Code::JoinNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE dept NOT IN (SELECT dept FROM persons GROUP BY dept HAVING COUNT(*) > 20)",
        Code::JoinNotAllowed,
    ),
    // How many rows of an open table have no key is not known, so that NULLs that match could multiply rows.
    ("SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip IS NOT DISTINCT FROM z.zip", Code::JoinNotAllowed),
    ("SELECT COUNT(*) FROM persons p JOIN (VALUES (4711)) t(id) ON p.person_id = t.id", Code::JoinNotAllowed),
    (
        "SELECT COUNT(*) FROM persons WHERE salary >= (SELECT AVG(20001) FROM persons)",
        Code::SubqueryNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE salary >= (SELECT AVG(salary) * 0 + 20001 FROM persons)",
        Code::SubqueryNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE salary >= (SELECT SUM(salary * 2) FROM persons)",
        Code::SubqueryNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p CROSS JOIN (SELECT AVG(20001) AS x FROM persons) m WHERE p.salary >= m.x",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE p.salary >= z.level",
        Code::PredicateNotAllowed,
    ),
    ("SELECT COUNT(*) FROM persons WHERE salary >= (SELECT MAX(33))", Code::SubqueryNotAllowed),
    (
        "SELECT COUNT(*) FROM persons WHERE salary >= (SELECT MAX(x) FROM (VALUES (33)) t(x))",
        Code::SubqueryNotAllowed,
    ),
    (
        "SELECT t, COUNT(*) FROM (SELECT person_id, cost, 33 AS t FROM visits UNION ALL SELECT person_id, cost, 34 FROM visits) WHERE cost = t GROUP BY t",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT dept FROM persons GROUP BY dept HAVING COUNT(*) % 7 = 3) r ON p.dept = r.dept",
        Code::JoinNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT dept, dept IN ('tax') AS f FROM persons GROUP BY dept) r ON p.dept = r.dept WHERE r.f",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(r.f) FROM persons p JOIN (SELECT dept, CASE WHEN dept = 'tax' THEN 1 END AS f FROM persons GROUP BY dept) r ON p.dept = r.dept",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT COUNT(*) FROM persons p JOIN (SELECT dept, CASE WHEN dept = 'tax' THEN 1 END AS f FROM persons GROUP BY dept) r ON p.dept = r.dept WHERE r.f IS NOT NULL",
        Code::PredicateNotAllowed,
    ),
    ("SELECT SUM(CAST(salary * 0.5 AS BIGINT)) FROM persons", Code::AggregateNotDecomposable),
    (
        "SELECT COUNT(*) FROM (SELECT v.person_id, COUNT(*) AS n FROM persons p LEFT JOIN visits v ON v.person_id = p.person_id GROUP BY v.person_id)",
        Code::UnitKeyNotComparable,
    ),
    ("SELECT COUNT(*) FROM persons WHERE salary > (SELECT salary FROM persons)", Code::SubqueryNotAllowed),
    // Rows made several of one weigh chosen people against the others.
    (
        "SELECT COUNT(*) FROM (SELECT person_id FROM persons UNION ALL SELECT person_id FROM persons WHERE diag = 'rare') t",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT SUM(salary) FROM (SELECT person_id, salary FROM persons UNION ALL SELECT person_id, salary FROM persons WHERE diag = 'rare') t",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT SUM(a.cost) FROM visits a LEFT JOIN visits b ON a.person_id = b.person_id AND b.day = 3",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT COUNT(*) FROM persons p LEFT JOIN visits v ON p.person_id = v.person_id AND v.day = 3",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT SUM(p.salary) FROM persons p JOIN (SELECT person_id FROM visits UNION ALL SELECT person_id FROM visits) v ON p.person_id = v.person_id",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT SUM(n) FROM (SELECT person_id, COUNT(*) AS n FROM (SELECT person_id FROM visits UNION ALL SELECT person_id FROM visits WHERE day = 3) t GROUP BY person_id)",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT COUNT(*) FROM (SELECT person_id, 1 AS k FROM visits UNION SELECT person_id, 2 FROM visits WHERE day = 3 UNION SELECT person_id, 3 FROM visits WHERE day = 3) t",
        Code::AggregateNotDecomposable,
    ),
    (
        "SELECT SUM(p.salary * s.n) FROM persons p JOIN (SELECT person_id, COUNT(*) AS n FROM visits WHERE day = 3 GROUP BY person_id) s ON p.person_id = s.person_id",
        Code::AggregateNotDecomposable,
    ),
    ("SELECT SUM(z.level) FROM persons p JOIN zones z ON p.zip = z.zip", Code::UseNotGranted),
    // What is constant for each subject is a literal all the same, and so is what was counted for them.
    (
        "SELECT COUNT(*) FROM (SELECT DISTINCT person_id, 45 AS low FROM visits) a JOIN persons p ON a.person_id = p.person_id WHERE p.salary >= a.low",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) a JOIN persons p ON a.person_id = p.person_id WHERE p.salary >= a.n",
        Code::PredicateNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE salary > (SELECT AVG(CASE WHEN zip >= '2' THEN salary ELSE 0 END) FROM persons)",
        Code::SubqueryNotAllowed,
    ),
    (
        "SELECT COUNT(*) FROM persons WHERE salary > (SELECT SUM(n) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id))",
        Code::SubqueryNotAllowed,
    ),
    ("SELECT AVG(salary * 1e300 * 1e300 * 0) FROM persons", Code::AggregateNotDecomposable),
    (
        "SELECT COUNT(*) FROM (SELECT person_id FROM persons EXCEPT ALL SELECT person_id FROM visits)",
        Code::StatementNotAllowed,
    ),
    ("SELECT replace(dept, 'a', 'b'), COUNT(*) FROM persons GROUP BY 1", Code::FunctionNotAllowed),
    ("SELECT {'a': 1}", Code::QueryNotUnderstood),
    ("SELECT AVG(salary) OVER (PARTITION BY dept) FROM persons", Code::OperationOverIndividuals),
    ("SELECT COUNT(*) FROM nowhere", Code::DatasetNotFound),
    ("SELECT COUNT(*) FROM information_schema.tables", Code::DatasetNotFound),
    ("SELECT COUNT(nope) FROM persons", Code::ColumnNotInScope),
    ("SELECT COUNT(*) FROM persons WHERE random() < 0.5", Code::FunctionNotAllowed),
    ("SELECT COUNT(*) FROM persons WHERE 1 / 0 = 1", Code::ConstantNotEvaluated),
    ("SELECT COUNT(*) FROM persons TABLESAMPLE BERNOULLI (1)", Code::StatementNotAllowed),
    ("DELETE FROM persons", Code::StatementNotAllowed),
    ("SELECT dept FROM )", Code::SqlSyntax),
];

#[test]
fn what_would_single_out_is_refused_with_its_reason() {
    for (sql, code) in REFUSED {
        assert_eq!(codes(sql).first(), Some(code), "{sql}");
    }
}

#[test]
fn only_the_columns_that_are_read_are_scanned() {
    let plan = admitted("SELECT dept, SUM(salary) FROM persons WHERE age >= 60 GROUP BY dept");
    let columns: Vec<&str> = plan.scans().values().flatten().map(String::as_str).collect();
    assert_eq!(columns, ["age", "dept", "person_id", "salary"]);
}

#[test]
fn keys_alone_are_folded_without_remembering_every_subject() {
    let folds = |sql: &str| format!("{}", admitted(sql).stages()[0].plan().display_indent());
    let joined = "FROM persons p JOIN visits v ON p.person_id = v.person_id";
    let keys = folds(&format!("SELECT DISTINCT p.dept {joined}"));
    assert!(keys.contains("obscura_at_least_subjects") && !keys.contains("obscura_cell_fold"), "{keys}");
    let counted = folds(&format!("SELECT p.dept, COUNT(*) {joined} GROUP BY p.dept"));
    assert!(counted.contains("obscura_cell_fold"), "{counted}");
}

#[test]
fn a_query_that_is_not_understood_says_what_would_be() {
    let help = |sql: &str| match crate::fixture::review(sql).decision {
        crate::verdict::Decision::Refused { findings, .. } => {
            assert!(findings[0].span.is_some(), "{sql} has no place");
            (findings[0].code, findings[0].help.clone().map(|help| help.en).unwrap_or_default())
        }
        crate::verdict::Decision::Admitted(_) => panic!("admitted: {sql}"),
    };
    let (code, ungrouped) = help("SELECT dept, sex, COUNT(*) FROM persons GROUP BY dept");
    assert_eq!(code, Code::QueryNotUnderstood);
    assert!(ungrouped.contains("stands in GROUP BY"), "{ungrouped}");
    let joined = "FROM persons p JOIN visits v ON p.person_id = v.person_id";
    let (code, ambiguous) = help(&format!("SELECT COUNT(DISTINCT person_id) {joined}"));
    assert_eq!(code, Code::QueryNotUnderstood);
    assert!(ambiguous.contains("put the table's name before it"), "{ambiguous}");
}

#[test]
fn hidden_and_nonexistent_columns_are_refused_alike() {
    let hidden = crate::fixture::review("SELECT name FROM persons");
    let nowhere = crate::fixture::review("SELECT nome FROM persons");
    let text = |verdict: &crate::verdict::Verdict| format!("{:?}", verdict.decision).replace("nome", "name");
    assert_eq!(text(&hidden), text(&nowhere));
}

#[test]
fn an_explained_query_is_marked() {
    assert!(crate::fixture::review("EXPLAIN SELECT COUNT(*) FROM persons").explain);
}

#[test]
fn hostile_text_is_refused_quickly_on_any_stack() {
    let nested = format!("{}SELECT 2 AS b{}", "SELECT 1 AS end, b FROM (".repeat(150), ")".repeat(150));
    let intervals = format!("SELECT {} '1'", "INTERVAL ".repeat(3000));
    let chain = |step: &str, levels: usize, first: &str| {
        let steps: Vec<String> = (1..levels)
            .map(|level| format!("c{level} AS ({})", step.replace('#', &(level - 1).to_string())))
            .collect();
        format!(
            "WITH c0 AS ({first}), {} SELECT COUNT(*) FROM c{} WHERE x >= 0",
            steps.join(", "),
            levels - 1
        )
    };
    let doubled =
        chain("SELECT person_id, x + x AS x FROM c#", 30, "SELECT person_id, salary AS x FROM persons");
    let united = chain(
        "SELECT * FROM c# UNION ALL SELECT * FROM c#",
        30,
        "SELECT person_id, salary AS x FROM persons",
    );
    let product = format!(
        "SELECT SUM({}) FROM persons",
        ["(CASE WHEN sex = 'f' THEN 1 ELSE 2 END + CASE WHEN sex = 'm' THEN 3 ELSE 4 END)"; 12].join(" * ")
    );
    let xor = format!("SELECT 8{}", " XOR 2".repeat(4900));
    let tables = format!(
        "SELECT COUNT(*) FROM zones z0{}",
        (1..300).map(|table| format!(", zones z{table}")).collect::<String>()
    );
    let list = format!("SELECT COUNT(*) FROM persons WHERE age IN (0{})", ",0".repeat(4900));
    let quoted: Vec<String> = (1..20)
        .map(|level| {
            format!("\"c{level}\" AS (SELECT * FROM \"c{0}\" UNION ALL SELECT * FROM \"c{0}\")", level - 1)
        })
        .collect();
    let quoted = format!("WITH \"c0\" AS (SELECT 1 AS x), {} SELECT * FROM \"c19\"", quoted.join(", "));
    let texts = chain("SELECT concat(x, x) AS x FROM c#", 30, "SELECT 'a' AS x");
    for sql in [nested, intervals, doubled, united, product, xor, tables, list, texts, quoted] {
        let sql_start: String = sql.chars().take(60).collect();
        assert!(!codes(&sql).is_empty(), "admitted: {sql_start}");
    }
}

#[test]
fn rows_that_an_order_leaves_equal_are_told_apart_by_what_is_mentioned() {
    let plan = |sql: &str| crate::fixture::admitted(sql).stages()[0].plan().display_indent().to_string();
    let sql = "SELECT SUM(cost) FROM (SELECT cost, ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY day) AS nth FROM visits) WHERE nth = 1";
    assert!(plan(sql).contains("ORDER BY [s1_day ASC NULLS LAST, s1_cost ASC NULLS LAST"), "{}", plan(sql));
    let sql = sql.replace("SUM(cost)", "COUNT(*)").replace("SELECT cost, ROW", "SELECT ROW");
    assert!(!plan(&sql).contains("s1_cost"), "{}", plan(&sql));
}

#[test]
fn a_refusal_of_what_the_planner_rearranged_has_a_place() {
    for sql in [
        "SELECT COUNT(*) FROM persons p CROSS JOIN visits v",
        "SELECT dept, AVG((SELECT COUNT(*) FROM visits v WHERE v.person_id = p.person_id)) FROM persons p GROUP BY dept",
        "SELECT COUNT(*) FROM (SELECT zip FROM persons LIMIT 1) t",
        "SELECT SUM(s) FROM (SELECT SUM(cost) OVER (PARTITION BY person_id) AS s FROM visits) t",
    ] {
        match crate::fixture::review(sql).decision {
            crate::verdict::Decision::Refused { findings, .. } => {
                assert!(findings[0].span.is_some(), "{sql}")
            }
            crate::verdict::Decision::Admitted(_) => panic!("{sql}"),
        }
    }
}

#[test]
fn a_function_with_other_arguments_is_named_and_placed() {
    for (sql, function) in [
        ("SELECT age_years(dept), COUNT(*) FROM persons GROUP BY 1", "age_years"),
        ("SELECT COUNT(*) FROM persons WHERE width_bucket(age, 1) = 2", "width_bucket"),
    ] {
        let crate::verdict::Decision::Refused { findings, .. } = crate::fixture::review(sql).decision else {
            panic!("{sql}")
        };
        assert_eq!(findings[0].code, Code::QueryNotUnderstood, "{sql}");
        assert_eq!(findings[0].params.get("function").map(String::as_str), Some(function));
        assert!(findings[0].span.is_some() && findings[0].help.is_some(), "{sql}");
    }
}

#[test]
fn every_literal_off_its_edges_is_named_with_both_neighbours() {
    let bands = "CASE WHEN age < 15 THEN 'a' WHEN age < 65 THEN 'b' ELSE 'c' END";
    for (sql, expected) in [
        (format!("SELECT {bands} AS k, COUNT(*) FROM persons GROUP BY 1"), vec!["15", "65"]),
        (format!("SELECT COUNT(*) FROM persons WHERE {bands} = 'b'"), vec!["15", "65"]),
        ("SELECT COUNT(*) FROM persons WHERE age BETWEEN 15 AND 64".to_owned(), vec!["15", "64"]),
        (
            "SELECT COUNT(*) FROM persons WHERE age >= 15 AND dept = 'tax' AND age < 65".to_owned(),
            vec!["15", "65"],
        ),
        (
            "SELECT COUNT(*) FILTER (WHERE age < 15), COUNT(*) FILTER (WHERE NOT age < 65) FROM persons"
                .to_owned(),
            vec!["15", "65"],
        ),
        (
            "SELECT SUM(CASE WHEN age < 15 THEN 1 WHEN age < 65 THEN 2 END) FROM persons".to_owned(),
            vec!["15", "65"],
        ),
        (
            "SELECT COUNT(DISTINCT CASE WHEN age < 15 OR age >= 65 THEN person_id END) FROM persons"
                .to_owned(),
            vec!["15", "65"],
        ),
    ] {
        let Decision::Refused { findings, .. } = review(&sql).decision else { panic!("admitted: {sql}") };
        let off_edge: Vec<_> =
            findings.iter().filter(|finding| finding.code == Code::LiteralOffEdge).collect();
        let literals: Vec<&str> = off_edge.iter().map(|finding| finding.params["literal"].as_str()).collect();
        assert_eq!(literals, expected, "{sql}");
        for finding in off_edge {
            let number = |name: &str| finding.params[name].parse::<i64>().unwrap();
            let (below, literal, above) = (number("below"), number("literal"), number("above"));
            assert!(below < literal && literal < above && above - below == 10, "{sql}");
            assert!(finding.span.is_some(), "{sql}");
        }
    }
}

/// The findings under a policy that a page calls by this name.
fn findings_under(policy: &str, sql: &str) -> Vec<Finding> {
    match review_under(&named(policy).expect("a policy"), sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings,
    }
}

#[test]
fn an_interval_asks_for_the_use_filter() {
    let sql = "SELECT COUNT(*) FROM visits v JOIN holidays h ON v.day BETWEEN h.first_day AND h.last_day";
    assert!(findings_under("corpus", sql).is_empty());
    let findings = findings_under("day-not-filtered", sql);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.code, finding.reason), (Code::UseNotGranted, Reason::IntervalWithoutFilter));
    let param = |name| finding.params.get(name).map(String::as_str);
    assert_eq!((param("column"), param("use")), (Some("day"), Some("filter")));
}

#[test]
fn a_key_is_refused_for_the_finest_rule_that_it_breaks() {
    for (policy, key, reason) in [
        ("corpus", "salary % 7", Reason::KeyNotListed),
        ("corpus", "CAST(salary AS TINYINT)", Reason::KeyNotListed),
        ("corpus", "salary > age", Reason::MeasureComparedWithOther),
        ("masked", "lower(diag)", Reason::RedactedColumnRead),
    ] {
        let findings = findings_under(policy, &format!("SELECT {key}, COUNT(*) FROM persons GROUP BY 1"));
        assert_eq!(findings.iter().map(|finding| finding.reason).collect::<Vec<_>>(), [reason], "{key}");
    }
}

/// A redacted yes or no is missing in every row: as a condition it would be answered with nobody.
#[test]
fn a_redacted_truth_is_no_condition() {
    let mut policy = policy();
    let persons = policy.datasets.get_mut(&"corpus.persons".parse().unwrap()).unwrap();
    let truth = column("insured", DataType::Bool, Role::Dimension, 2, &[Use::Filter]);
    persons.columns.push(EffectiveColumn { mask: Some(Mask::Redact), ..truth });
    for condition in ["insured", "NOT insured", "insured IS TRUE", "insured IS NULL", "insured = true"] {
        let sql = format!("SELECT COUNT(*) FROM persons WHERE {condition}");
        let Decision::Refused { findings, .. } = review_under(&policy, &sql).decision else {
            panic!("admitted: {sql}")
        };
        assert_eq!(findings.first().map(|finding| finding.reason), Some(Reason::RedactedColumnRead), "{sql}");
    }
}

/// The fixture's clock and day differ, as they do for the first hours of a day east of Greenwich.
#[test]
fn the_current_date_is_the_day_that_ages_count_to() {
    let admitted = |sql: &str| admitted(sql).post().display_indent().to_string();
    let plan = admitted("SELECT dept, COUNT(*), current_date AS day FROM persons GROUP BY dept");
    assert!(plan.contains("2024-10-04"), "{plan}");
    let plan = admitted("SELECT dept, COUNT(*), now() AS at FROM persons GROUP BY dept");
    assert!(plan.contains("1970-01-01") || plan.contains("TimestampNanosecond(0"), "{plan}");
}

#[test]
fn a_count_of_own_rows_is_compared_up_to_its_cap() {
    // The cap of 20 stands for every larger number.
    let of = |condition: &str| {
        codes(&format!(
            "SELECT COUNT(*) FROM (SELECT person_id, COUNT(*) AS n FROM visits GROUP BY person_id) t WHERE {condition}"
        ))
    };
    for right in [
        "n >= 20",
        "n > 19",
        "n < 20",
        "n <= 19",
        "n = 19",
        "n BETWEEN 3 AND 19",
        "n IN (1, 2)",
        "floor(n / 5) * 5 >= 20",
    ] {
        assert_eq!(of(right), [], "{right}");
    }
    for wrong in [
        "n > 20",
        "n <= 20",
        "n = 20",
        "n < 21",
        "n >= 25",
        "n BETWEEN 3 AND 20",
        "n IN (1, 30)",
        "floor(n / 5) * 5 = 20",
        "floor(n / 5) = 4",
    ] {
        assert!(!of(wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn the_strictest_dataset_and_grade_say_how_many_people_look_at_a_result() {
    const BY_DEPT: &str = "SELECT dept, COUNT(*) FROM persons GROUP BY dept";
    const BY_ZIP: &str = "SELECT zip, COUNT(*) FROM persons GROUP BY zip";
    const ZONES: &str = "SELECT zip, district FROM zones ORDER BY zip LIMIT 3";
    const JOINED: &str =
        "SELECT z.district, COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip GROUP BY z.district";
    let reviewers = |policy: &EffectivePolicy, sql: &str| match review_under(policy, sql).decision {
        Decision::Admitted(plan) => plan.review().reviewers(),
        Decision::Refused { findings, .. } => panic!("{sql}: {findings:#?}"),
    };
    // As the evaluator does: only datasets that the question names are in its policy.
    let over = |names: &[&str]| {
        let mut policy = policy();
        policy.datasets.retain(|id, _| names.contains(&id.to_string().as_str()));
        policy
    };
    let (persons, zones) = ("corpus.persons", "corpus.zones");
    assert_eq!(reviewers(&over(&[persons]), BY_DEPT), 0);
    let mut of_grade = over(&[persons]);
    of_grade.floors.get_mut(&Level(3)).unwrap().controls.review = Review::One;
    assert_eq!(
        (reviewers(&of_grade, BY_DEPT), reviewers(&of_grade, BY_ZIP)),
        (0, 1),
        "the grade that is read decides"
    );
    // One that is joined, or whose rows leave as they are, counts like one that is counted.
    let mut of_dataset = over(&[persons, zones]);
    of_dataset.datasets.get_mut(&zones.parse().unwrap()).unwrap().controls.review = Review::Two;
    assert_eq!(reviewers(&of_dataset, JOINED), 2);
    of_dataset.datasets.retain(|id, _| id.to_string() == zones);
    assert_eq!(reviewers(&of_dataset, ZONES), 2);
    let mut both = over(&[persons, zones]);
    both.datasets.get_mut(&zones.parse().unwrap()).unwrap().controls.review = Review::One;
    both.datasets.get_mut(&persons.parse().unwrap()).unwrap().controls.review = Review::Two;
    assert_eq!(reviewers(&both, JOINED), 2);
}
