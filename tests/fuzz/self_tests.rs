//! The suite against itself: a wrong answer is found by each of its comparisons, a canary is seen, a question is made small,
//! and a seed makes the same question every time.

use anyhow::ensure;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;

use crate::SEED;
use crate::compare;
use crate::grammar;
use crate::judge::Kind;
use crate::judge::Outcome;
use crate::judge::World;
use crate::on_a_large_stack;
use crate::people::Victim;
use crate::question::Cell as OfCell;
use crate::question::Item;
use crate::question::Meaning;
use crate::question::Query;
use crate::question::Select;
use crate::question::Side;
use crate::question::Source;
use crate::question::Sources;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> anyhow::Result<()>| {
        Trial::test(name, move || on_a_large_stack(test).map_err(|error| Failed::from(format!("{error:#}"))))
    };
    vec![
        trial("a-wrong-answer-is-found", wrong_answers_are_found),
        trial("a-wrong-protection-is-found", wrong_protection_is_found),
        trial("a-question-is-made-small", questions_are_made_small),
        trial("a-seed-makes-one-question", seeds_make_one_question),
    ]
}

fn by_department() -> Select {
    let item = |text: &str, name: &str, meaning| Item { text: text.into(), name: name.to_owned(), meaning };
    let contributors = "COUNT(DISTINCT person_id)".to_owned();
    let mut select = Select::of(
        vec![
            item("dept", "k1", Meaning::Key),
            item("COUNT(*)", "n1", Meaning::Cell(OfCell::Count, contributors)),
        ],
        Sources::one(Source::Named("persons"), "persons"),
    );
    select.groups.push("dept".into());
    select.unit = Some("person_id".to_owned());
    select
}

/// Of rows in which one person is other, the plain answers are wrong by one person; that must be seen.
fn wrong_answers_are_found() -> anyhow::Result<()> {
    let query = by_department().query();
    let right = World::new()?.judge(&query);
    ensure!(matches!(right, Outcome::Right { by_cells: true }), "the right answer is {right:?}");
    for victim in [Victim::Absent, Victim::Changed] {
        let wrong = World::with_plain(victim)?.judge(&query);
        let is_found = matches!(&wrong, Outcome::Failed(failure) if failure.kind == Kind::Answer);
        ensure!(is_found, "with the rows of {victim:?} the answer is {wrong:?}");
    }
    Ok(())
}

fn wrong_protection_is_found() -> anyhow::Result<()> {
    let select = by_department();
    let text = |text: &str| Cell::Text(text.to_owned());
    let number = Cell::Number;
    let counted = Table {
        rows: vec![
            vec![text("tax"), number(42.0), number(42.0), number(42.0)],
            vec![text("school"), number(2.0), number(2.0), number(2.0)],
        ],
    };
    let faults = |rows: Vec<Vec<Cell>>| compare::protected(&select, &Table { rows }, &counted, false);
    let right = vec![text("tax"), number(40.0)];
    ensure!(faults(vec![right.clone()]).is_empty(), "the right answer is wrong");
    for (name, rows) in [
        ("an exact count", vec![vec![text("tax"), number(42.0)]]),
        ("another count", vec![vec![text("tax"), number(45.0)]]),
        ("a group of few", vec![right.clone(), vec![text("school"), Cell::Null]]),
        ("a value of few", vec![right.clone(), vec![text("school"), number(0.0)]]),
        ("a group of nobody", vec![right, vec![text("works"), number(40.0)]]),
        ("no group at all", Vec::new()),
    ] {
        ensure!(!faults(rows).is_empty(), "{name} is taken for right");
    }
    Ok(())
}

/// The clauses that do not matter are left out: here all but the one that makes a question a wrong one.
fn questions_are_made_small() -> anyhow::Result<()> {
    let mut select = by_department();
    select.wheres = vec!["sex = 'f'".into(), "age >= 30".into()];
    select.having.push("COUNT(*) > 10".into());
    select.order = vec!["k1".into(), "n1".into()];
    let query = select.query();
    let world = World::with_plain(Victim::Absent)?;
    let Outcome::Failed(failure) = world.judge(&query) else {
        anyhow::bail!("the wrong rows give the right answer")
    };
    let (smallest, found) = world.smallest(&query, &failure);
    let sql = smallest.sql(Side::Asked);
    ensure!(found.kind == failure.kind, "another failure is left");
    ensure!(!sql.contains("HAVING") && !sql.contains("ORDER BY") && !sql.contains("WHERE"), "left is {sql}");
    ensure!(sql.contains("COUNT(*)"), "left is {sql}");
    Ok(())
}

fn seeds_make_one_question() -> anyhow::Result<()> {
    let asked = |query: &Query| query.sql(Side::Asked);
    let questions: Vec<String> = (0..200).map(|number| asked(&grammar::question(SEED, number))).collect();
    let again: Vec<String> = (0..200).map(|number| asked(&grammar::question(SEED, number))).collect();
    ensure!(questions == again, "a seed makes other questions");
    let mut distinct = questions.clone();
    distinct.sort();
    distinct.dedup();
    ensure!(distinct.len() > 190, "of 200 questions {} differ", distinct.len());
    Ok(())
}
