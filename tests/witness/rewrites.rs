//! Rewrites keep their promise: for every question that is refused for its bounds, the offered query is admitted and right,
//! and its names and labels say what it counts.
//!
//! The names of these questions say their bounds (`under_38`, `'20 to 38'`). Where one is still there in the rewrite, it
//! must hold: the rewrite then answers what the question itself would have answered of the raw rows.

use anyhow::Context as _;
use anyhow::ensure;
use chrono::DateTime;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::verdict::Decision;
use obscura_tests::guarded::policy;

use crate::generated::Both;

/// Lower and upper bounds, on and off the edges of bins of ten years and of 20,000.
const AGES: [(i64, i64); 6] = [(20, 38), (15, 65), (18, 60), (33, 47), (20, 40), (1, 99)];
const SALARIES: [(i64, i64); 3] = [(20_000, 50_000), (30_000, 90_000), (35_000, 41_000)];
/// Fewest rewrites that must be offered, or the property holds of nothing.
const OFFERED_MIN: usize = 30;

/// A question, and the name or label in it that says its bounds.
struct Named {
    sql: String,
    name: String,
}

/// Every form of a question with a name that says its bounds.
fn questions() -> Vec<Named> {
    let bounds =
        AGES.map(|bounds| ("age", bounds)).into_iter().chain(SALARIES.map(|bounds| ("salary", bounds)));
    let bounds = bounds.flat_map(|(column, (low, high))| of(column, low, high));
    let others = OTHERS.iter().map(|(sql, name)| Named { sql: (*sql).to_owned(), name: (*name).to_owned() });
    bounds.chain(others).collect()
}

/// Questions that are offered in another form; where it is called the same question, a label that stays says so.
const OTHERS: [(&str, &str); 5] = [
    (
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 2) THEN 'came' ELSE 'stayed' END AS k, COUNT(*) FROM persons p GROUP BY 1",
        "came",
    ),
    (
        "SELECT p.dept AS came, COUNT(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id)) FROM persons p GROUP BY 1",
        "came",
    ),
    (
        "SELECT p.sex AS came, SUM(CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.cost >= 300) THEN 1 ELSE 0 END) FROM persons p GROUP BY 1",
        "came",
    ),
    ("SELECT COUNT(DISTINCT day) AS n FROM visits", "n"),
    (
        "SELECT p.dept, COUNT(DISTINCT v.day) AS n FROM persons p JOIN visits v ON v.person_id = p.person_id GROUP BY 1",
        "n",
    ),
];

fn of(column: &str, low: i64, high: i64) -> Vec<Named> {
    let aliases = [
        (format!("under_{high}"), format!("{column} < {high}")),
        (format!("up_to_{high}"), format!("{column} <= {high}")),
        (format!("from_{low}_to_{high}"), format!("{column} >= {low} AND {column} < {high}")),
        (format!("between_{low}_and_{high}"), format!("{column} BETWEEN {low} AND {high}")),
        (format!("from_{high}"), format!("{column} >= {high} AND dept = 'tax'")),
        ("minors".to_owned(), format!("{column} < {high}")),
        ("n".to_owned(), format!("{column} >= {low}")),
        ("n".to_owned(), format!("{column} < {high} AND sex = 'f'")),
    ];
    let mut all = Vec::new();
    for (name, condition) in aliases {
        for select in [
            format!("SELECT COUNT(*) AS {name} FROM persons WHERE {condition}"),
            format!(
                "SELECT dept, COUNT(*) AS {name} FROM persons WHERE {condition} GROUP BY dept ORDER BY dept"
            ),
            format!(
                "SELECT sex, COUNT(*) AS {name} FROM persons WHERE {condition} GROUP BY sex ORDER BY {name}"
            ),
            format!("SELECT {name} FROM (SELECT COUNT(*) AS {name} FROM persons WHERE {condition}) t"),
            format!("SELECT COUNT(*) FILTER (WHERE {condition}) AS {name} FROM persons"),
        ] {
            all.push(Named { sql: select, name: name.clone() });
        }
        let label = name.replace('_', " ");
        all.push(Named {
            sql: format!("SELECT '{label}' AS k, COUNT(*) AS c FROM persons WHERE {condition}"),
            name: label,
        });
    }
    let bands = format!(
        "CASE WHEN {column} < {low} THEN 'under {low}' WHEN {column} < {high} THEN '{low} to {high}' ELSE 'from {high}' END"
    );
    all.push(Named {
        sql: format!("SELECT {bands} AS band, COUNT(*) AS n FROM persons GROUP BY 1 ORDER BY 1"),
        name: format!("{low} to {high}"),
    });
    all
}

/// Judges what is offered for every refused question.
///
/// # Errors
/// What a rewrite says and does not hold.
pub(crate) fn judge() -> anyhow::Result<()> {
    let mut both = Both::new()?;
    let policy = policy::policy();
    let guard = Guard::new(&policy, DateTime::UNIX_EPOCH, policy::TODAY);
    let (mut offered, mut findings) = (0, Vec::new());
    for Named { sql, name } in questions() {
        let Decision::Refused { rewrites, .. } = guard.review(&sql).decision else { continue };
        for rewrite in rewrites {
            offered += 1;
            let Decision::Admitted(plan) = guard.review(&rewrite.sql).decision else {
                findings.push(format!("refused itself: {}\n    {sql}", rewrite.sql));
                continue;
            };
            let answer = both.answer(&plan).with_context(|| rewrite.sql.clone())?;
            let own = both.witness.judge(&rewrite.sql, None, &answer)?;
            findings.extend(own.findings.iter().map(|finding| format!("{finding}\n    {}", rewrite.sql)));
            // Neutral names say nothing; every other one that is left must still be true.
            if name != "n" && rewrite.sql.contains(&name) {
                let said = both.witness.judge(&sql, None, &answer)?;
                let finding =
                    |finding| format!("`{name}` is false: {finding}\n    {sql}\n    {}", rewrite.sql);
                findings.extend(said.findings.into_iter().map(finding));
            }
        }
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    ensure!(offered >= OFFERED_MIN, "only {offered} rewrites are offered");
    Ok(())
}
