//! Documents that lower a grade without an exception, or that drop a control without a word. A steward's two signatures are
//! not what they read: each is refused with its code before a second steward sees it.

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Trial;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use obscura_tests::world::code;

/// The rule that the documents change.
const AGE: &str = "{match: {name: age}, uses: [filter, group, aggregate], mask: {bin: 10}}";
const METHOD: &str = "  review: none\n";
const VALIDITY: &str = "effective: {from: 2025-01-01}";

/// A name, a text, the text that replaces it, and the code of the refusal.
type Change = (&'static str, &'static str, &'static str, &'static str);

/// Grades lowered by masks that change nothing, by more than a level, or where a unit is carried.
const LOWERED: &[Change] = &[
    (
        "a prefix of everything",
        AGE,
        "{match: {name: zip}, uses: [filter, group], mask: {partial: {keep_first: 255}}, grade_after: L2}",
        "mask-changes-nothing",
    ),
    (
        "bins below a cent",
        AGE,
        "{match: {name: salary}, uses: [filter, aggregate], mask: {bin: 0.000001}, grade_after: L2}",
        "mask-changes-nothing",
    ),
    (
        "a top that nobody reaches",
        AGE,
        "{match: {name: salary}, uses: [filter, aggregate], mask: {top_bottom: {top: 999999999}}, grade_after: L2}",
        "mask-changes-nothing",
    ),
    (
        "rounding to the type's own step",
        AGE,
        "{match: {name: salary}, uses: [filter, aggregate], mask: {round: 0.0001}, grade_after: L2}",
        "mask-changes-nothing",
    ),
    (
        "two levels at once",
        AGE,
        "{match: {name: age}, uses: [filter, group, aggregate], mask: {bin: 10}, grade_after: L1}",
        "grade-after-unfit",
    ),
    (
        "bins of what declares no range",
        AGE,
        "{match: {name: age}, uses: [filter, group, aggregate], mask: {bin: 10}, grade_after: L2}",
        "mask-changes-nothing",
    ),
    (
        "tokens, which stay apart",
        AGE,
        "{match: {name: diag}, uses: [filter, group], mask: {token: corpus}, grade_after: L2}",
        "mask-changes-nothing",
    ),
];

/// Controls that a document seems to set and does not.
const DROPPED: &[Change] = &[
    (
        "a mask on a role that the column has not",
        "{match: {name: age}",
        "{match: {role: dimension, name: age}",
        "rule-covers-nothing",
    ),
    (
        "a mask on a grade that the column has not",
        "{match: {name: age}",
        "{match: {grade: L1, name: age}",
        "rule-covers-nothing",
    ),
    (
        "a mask on a type that the column has not",
        "{match: {name: age}",
        "{match: {type: date, name: age}",
        "rule-covers-nothing",
    ),
    (
        "rows of one subject without end",
        METHOD,
        "  review: none\n  max_rows_per_subject: 4000000000\n",
        "limit-unfit",
    ),
    (
        "one row of a subject too many",
        METHOD,
        "  review: none\n  max_rows_per_subject: 1001\n",
        "limit-unfit",
    ),
    (
        "a strict policy that ends before a lax one",
        VALIDITY,
        "effective: {from: 2025-01-01, until: 2090-01-01}",
        "policy-lapses",
    ),
];

/// One test of each class.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &'static str, changes: &'static [Change]| {
        Trial::test(name, move || refused(changes).map_err(|error| format!("{error:#}").into()))
    };
    vec![trial("documents-that-lower-a-grade", LOWERED), trial("documents-that-drop-a-control", DROPPED)]
}

fn refused(changes: &[Change]) -> anyhow::Result<()> {
    let world = World::with(&Fixture::load()?)?;
    let base = statistics()?;
    let path = world.root().join("attack.yaml");
    let file = path.to_str().context("paths of tests are text")?;
    let check = |text: &str| {
        std::fs::write(&path, text)?;
        world.run("stella", &["policy", "check", file])
    };
    // The near miss: the same document with nothing changed.
    let unchanged = check(&base)?;
    ensure!(unchanged.code == Some(0), "unchanged: exit {:?}, {}", unchanged.code, unchanged.stderr);
    for (name, from, to, finding) in changes {
        ensure!(base.contains(from), "{name}: `{from}` is not in the document");
        let mut text = base.replacen(from, to, 1);
        if *finding == "policy-lapses" {
            // The laxer one is the same without bands of age, and goes on.
            text = format!("{text}\n---\n{}", laxer(&base));
        }
        let outcome = check(&text)?;
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        ensure!(outcome.code != Some(0) && said.contains(finding), "{name}: exit {:?}, {said}", outcome.code);
        let outcome = world.run("stella", &["policy", "publish", file])?;
        ensure!(
            outcome.code != Some(0) && outcome.code != Some(code::WAITS),
            "{name} is before a second steward: {}",
            outcome.stderr
        );
    }
    Ok(())
}

/// The policy of the corpora's statistics, as its next version.
fn statistics() -> anyhow::Result<String> {
    let file = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let text = std::fs::read_to_string(file)?;
    let found = text.split("\n---\n").find(|part| part.contains("id: corpus-statistics,"));
    Ok(found.context("the corpora have their policy")?.replacen("version: 1,", "version: 2,", 1))
}

fn laxer(base: &str) -> String {
    base.replacen("id: corpus-statistics, version: 2", "id: corpus-laxer, version: 1", 1).replacen(
        AGE,
        "{match: {name: age}, uses: [filter, group, aggregate]}",
        1,
    )
}
