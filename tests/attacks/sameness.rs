//! Outcomes that are the same for every person and so tell about none: the order of results that the question does not
//! order, and the number of subjects that one key written in several ways makes.

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Trial;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;

/// Results whose rows come from several places at once, in the order in which each is ready.
const UNORDERED: &[&str] = &[
    "SELECT dept AS k, COUNT(*) AS n FROM persons GROUP BY dept UNION ALL SELECT sex, COUNT(*) FROM persons GROUP BY sex",
    "SELECT 'b' AS k, COUNT(*) AS n FROM persons UNION ALL SELECT 'a', COUNT(*) FROM visits",
    "SELECT a.dept, a.n, b.c FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept) a JOIN (SELECT p.dept, COUNT(*) AS c FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept) b ON a.dept = b.dept",
    "SELECT dept, n, RANK() OVER (ORDER BY n DESC) AS r FROM (SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept)",
    "SELECT DISTINCT dept FROM persons",
    "SELECT district, zip FROM zones UNION ALL SELECT holiday, 'z' FROM holidays",
];

/// One key, and the same written otherwise.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("a leading zero", "8888", "08888"),
    ("a decimal that a spreadsheet added", "8888", "8888.0"),
    ("a mark that nobody sees", "8888", "88\u{200b}88"),
    ("a byte order mark in the middle of a file", "8888", "\u{feff}8888"),
    ("a plus sign", "8888", "+8888"),
];

/// One test of each class.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &'static str, judge: fn() -> anyhow::Result<()>| {
        Trial::test(name, move || judge().map_err(|error| format!("{error:#}").into()))
    };
    vec![trial("order-that-nobody-asked-for", are_sorted), trial("one-subject-written-twice", are_found)]
}

fn are_sorted() -> anyhow::Result<()> {
    let world = World::with(&Fixture::load()?)?;
    for sql in UNORDERED {
        let table = world.query("ana", sql)?.done()?.table()?;
        ensure!(table.rows.len() > 1, "{sql}: {} rows", table.rows.len());
        for (one, next) in table.rows.iter().zip(table.rows.iter().skip(1)) {
            let order = one.iter().zip(next).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
            ensure!(order.is_none_or(|order| order.is_lt()), "{sql}: {one:?} stands before {next:?}");
        }
    }
    // The near miss: a question with an order has its rows in that order.
    let sql = "SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept ORDER BY n DESC";
    ensure!(world.query("ana", sql)?.done()?.table()?.is_ordered_by(1, true), "{sql}");
    Ok(())
}

fn are_found() -> anyhow::Result<()> {
    let world = World::with(&Fixture::load()?)?;
    let path = world.root().join("keys.csv");
    let seal = |first: &str, second: &str| {
        std::fs::write(&path, format!("person_id,hidden_column\n{first},x\n{second},y\n7777,z\n"))?;
        world.seal("corpus.secrets", &path)
    };
    for (name, first, second) in SPELLINGS {
        let outcome = seal(first, second)?;
        ensure!(
            outcome.code != Some(0) && outcome.stderr.contains("unit-key-spellings"),
            "{name}: exit {:?}, {}{}",
            outcome.code,
            outcome.stdout,
            outcome.stderr
        );
        ensure!(!outcome.stderr.contains("888"), "{name}: the message quotes the key: {}", outcome.stderr);
    }
    // The near misses: two keys are two subjects, and full width is read as what it is.
    let two = seal("8888", "8889")?.done().context("two keys")?;
    ensure!(two.stderr.contains("3 subjects"), "{}", two.stderr);
    std::fs::write(&path, "person_id,hidden_column\n8888,x\n８８８８,y\n7777,z\n")?;
    let file = path.to_str().context("paths of tests are text")?;
    let one = world.run(STEWARD, &["seal", "corpus.secrets", file, "--replace"])?;
    let one = one.done().context("full width")?;
    ensure!(one.stderr.contains("2 subjects"), "{}", one.stderr);
    Ok(())
}
