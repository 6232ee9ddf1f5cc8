//! Statements too large for a file, made here, and names that must not tell whether something exists.
//! Each must be refused quickly and alike, and the program must survive it.

use anyhow::ensure;
use libtest_mimic::Trial;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use obscura_tests::world::code;

/// One test of sizes, one of hidden names.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("size", || sizes().map_err(|error| format!("{error:#}").into())),
        Trial::test("hidden-names", || hidden_names().map_err(|error| format!("{error:#}").into())),
    ]
}

fn sizes() -> anyhow::Result<()> {
    let world = World::with(&Fixture::load()?)?;
    let count = |condition: &str| format!("SELECT COUNT(*) FROM persons WHERE {condition}");
    let statements = [
        ("additions", format!("SELECT {} FROM persons", vec!["1"; 20_000].join("+"))),
        ("parentheses", count(&format!("{}dept = 'tax'{}", "(".repeat(5000), ")".repeat(5000)))),
        ("negations", count(&format!("{} dept = 'tax'", "NOT ".repeat(10_000)))),
        ("alternatives", count(&vec!["dept = 'tax'"; 4000].join(" OR "))),
        ("literals", count(&format!("zip IN ({})", vec!["'1001'"; 5000].join(",")))),
        ("joins", format!("SELECT COUNT(*) FROM persons {}", joins(64))),
        ("columns", format!("SELECT {} FROM persons", vec!["COUNT(*)"; 100].join(","))),
        ("keys", keys(70)),
        ("boundaries", vec!["SELECT COUNT(*) FROM persons"; 40].join(" UNION ALL ")),
        ("nested queries", format!("{}persons{}", "SELECT * FROM (".repeat(2000), ")".repeat(2000))),
        ("long text", count(&format!("dept = '{}'", "x".repeat(100_000)))),
        (
            "cases",
            format!("SELECT {}1{} FROM persons", "CASE WHEN true THEN ".repeat(2000), " END".repeat(2000)),
        ),
    ];
    for (name, sql) in statements {
        let outcome = world.query("ana", &sql)?;
        ensure!(outcome.code == Some(code::REFUSED), "{name}: exit {:?}, {}", outcome.code, outcome.stderr);
        ensure!(outcome.stderr.len() < 20_000, "{name}: the refusal repeats the statement");
    }
    Ok(())
}

fn keys(count: usize) -> String {
    let keys: Vec<String> = (0..count).map(|number| format!("zip = '{number}'")).collect();
    format!("SELECT COUNT(*) FROM persons GROUP BY {}", keys.join(","))
}

fn joins(count: usize) -> String {
    let join = |number| format!("JOIN visits v{number} ON persons.person_id = v{number}.person_id");
    (0..count).map(join).collect::<Vec<_>>().join(" ")
}

fn hidden_names() -> anyhow::Result<()> {
    let world = World::with(&Fixture::load()?)?;
    let pairs = [
        ("SELECT COUNT(*) FROM corpus.secrets", "secrets", "secretz"),
        ("SELECT COUNT(*) FROM corpus.persons WHERE passwort = 1", "passwort", "passwurt"),
        ("SELECT COUNT(*) FROM zz_dept.persons", "zz_dept", "zy_dept"),
    ];
    for (sql, hidden, missing) in pairs {
        let first = world.query("ana", sql)?;
        let second = world.query("ana", &sql.replace(hidden, missing))?;
        ensure!(first.code == Some(code::REFUSED), "{sql}: exit {:?}", first.code);
        let same = first.code == second.code
            && without_job(&first.stderr) == without_job(&second.stderr.replace(missing, hidden));
        ensure!(same, "a hidden name is told from a missing one:\n{}{}", first.stderr, second.stderr);
        ensure!(!first.stderr.contains("hidden_column"), "{}", first.stderr);
    }
    Ok(())
}

/// The text without what differs from job to job.
fn without_job(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.contains("job_")).collect::<Vec<_>>().join(" ")
}
