//! Statements in which one row is to become very many, so that a state or the time tells whether it is there.
//! Each is refused, or the guard has made it into a plan whose work is bounded.

use anyhow::ensure;
use libtest_mimic::Trial;

use crate::ATTACK_ROWS_MAX;
use crate::Reviewed;
use crate::World;
use crate::compare;
use crate::compare::Most;
use crate::review;

/// One test of all of them.
pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("one-row-becomes-many", || judge().map_err(|error| format!("{error:#}").into()))]
}

fn judge() -> anyhow::Result<()> {
    let world = World::new();
    let (mut findings, mut most) = (Vec::new(), Most::default());
    for (name, sql) in statements() {
        match review(&sql) {
            Reviewed::Refused(codes) => eprintln!("{name}: refused, {codes:?}"),
            Reviewed::Panicked => findings.push(format!("{name}: the guard panics\n    {sql}")),
            Reviewed::Admitted(plan) => {
                let found = compare::neighbours(&world, &plan, ATTACK_ROWS_MAX, &mut most);
                eprintln!("{name}: admitted, {} findings", found.len());
                findings.extend(found.into_iter().map(|found| format!("{name}: {found}\n    {sql}")));
            }
        }
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

fn statements() -> Vec<(&'static str, String)> {
    let copies = |count| vec!["SELECT person_id FROM persons"; count].join(" UNION ALL ");
    let with_copies = format!("WITH u AS ({})", copies(8));
    let joined = |how: &str, table: &str, count| -> String {
        (0..count).map(|n| format!(" {how} {table} u{n} ON p.person_id = u{n}.person_id")).collect()
    };
    let one = "p.zip = '9999' AND p.diag = 'HIV'";
    let count = "SELECT COUNT(DISTINCT p.person_id) FROM persons p";
    let listed = |count| (0..count).map(|n| format!("visits v{n}")).collect::<Vec<_>>().join(", ");
    let equal = |count| {
        (1..count).map(|n| format!("v0.person_id = v{n}.person_id")).collect::<Vec<_>>().join(" AND ")
    };
    let squared = "b AS (SELECT x.person_id FROM a x JOIN a y ON x.person_id = y.person_id), \
                   c AS (SELECT x.person_id FROM b x JOIN b y ON x.person_id = y.person_id), \
                   d AS (SELECT x.person_id FROM c x JOIN c y ON x.person_id = y.person_id)";
    vec![
        ("copies-joined-ten-times", format!("{with_copies} {count}{} WHERE {one}", joined("JOIN", "u", 10))),
        ("copies-joined-seven-times", format!("{with_copies} {count}{} WHERE {one}", joined("JOIN", "u", 7))),
        ("copies-joined-three-times", format!("{with_copies} {count}{} WHERE {one}", joined("JOIN", "u", 3))),
        (
            "copies-joined-on-the-left",
            format!("{with_copies} {count}{} WHERE {one}", joined("LEFT JOIN", "u", 9)),
        ),
        ("visits-joined-fifteen-times", format!("{count}{} WHERE {one}", joined("JOIN", "visits", 15))),
        ("visits-joined-six-times", format!("{count}{} WHERE {one}", joined("JOIN", "visits", 6))),
        ("visits-joined-four-times", format!("{count}{}", joined("JOIN", "visits", 4))),
        (
            "visits-listed-twelve-times",
            format!("SELECT COUNT(DISTINCT v0.person_id) FROM {} WHERE {}", listed(12), equal(12)),
        ),
        ("visits-joined-on-the-left", format!("{count}{} WHERE {one}", joined("LEFT JOIN", "visits", 8))),
        (
            "visits-of-each-on-the-left",
            format!("SELECT COUNT(DISTINCT p.person_id), COUNT(DISTINCT u7.person_id) FROM persons p{} WHERE {one}", joined("LEFT JOIN", "visits", 8)),
        ),
        (
            "visits-joined-full",
            format!("SELECT COUNT(DISTINCT u0.person_id) FROM persons p{}", joined("FULL JOIN", "visits", 6)),
        ),
        (
            "joined-within-exists",
            format!(
                "{count} WHERE {one} AND EXISTS (SELECT 1 FROM persons p{} WHERE u0.person_id = p.person_id)",
                joined("JOIN", "visits", 8)
            ),
        ),
        (
            "joined-within-in",
            format!(
                "{count} WHERE {one} AND p.person_id IN (SELECT v0.person_id FROM {} WHERE {})",
                listed(8),
                equal(8)
            ),
        ),
        (
            "joined-within-in-under-or",
            format!(
                "{count} WHERE p.dept = 'tax' OR p.person_id IN (SELECT v0.person_id FROM {} WHERE {})",
                listed(8),
                equal(8)
            ),
        ),
        (
            "squared-and-squared",
            format!("WITH a AS (SELECT person_id FROM visits), {squared} SELECT COUNT(DISTINCT person_id) FROM d"),
        ),
        (
            "copies-squared-and-squared",
            format!("WITH a AS ({}), {squared} SELECT COUNT(DISTINCT d.person_id) FROM d JOIN persons p ON p.person_id = d.person_id WHERE {one}", copies(8)),
        ),
        (
            "counted-for-each-person",
            format!(
                "SELECT COUNT(*) FROM (SELECT v0.person_id, COUNT(*) AS n FROM {} WHERE {} GROUP BY v0.person_id) t WHERE n >= 3",
                listed(7),
                equal(7)
            ),
        ),
        (
            "made-distinct-after-it-is-joined",
            format!(
                "SELECT COUNT(*) FROM (SELECT DISTINCT v0.person_id FROM {} WHERE {}) t",
                listed(7),
                equal(7)
            ),
        ),
        (
            "united-after-it-is-joined",
            format!(
                "SELECT COUNT(*) FROM (SELECT v0.person_id FROM {0} WHERE {1} UNION SELECT v0.person_id FROM {0} WHERE {1}) t",
                listed(5),
                equal(5)
            ),
        ),
        (
            "copies-of-an-open-table",
            "WITH z AS (SELECT zip FROM zones UNION ALL SELECT zip FROM zones) SELECT COUNT(DISTINCT p.person_id) \
             FROM persons p JOIN z a ON p.zip = a.zip JOIN z b ON p.zip = b.zip JOIN z c ON p.zip = c.zip"
                .to_owned(),
        ),
        (
            "windows-over-what-is-joined",
            format!(
                "SELECT COUNT(*) FROM (SELECT v0.person_id, ROW_NUMBER() OVER (PARTITION BY v0.person_id ORDER BY v0.day) AS n FROM {} WHERE {}) t WHERE n = 1",
                listed(6),
                equal(6)
            ),
        ),
    ]
}
