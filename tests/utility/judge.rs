//! The tests: all questions, those of each purpose at once. What is refused, and why, is committed; what is answered must be
//! right, and lack as much as the page says.

use anyhow::ensure;
use libtest_mimic::Trial;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;

use crate::Asked;
use crate::ask;
use crate::compare::Column;
use crate::compare::Nature;
use crate::compare::loss;
use crate::compare::near;
use crate::compare::same;
use crate::compare::within_rounding;
use crate::desk::Outcome;
use crate::on_a_large_stack;
use crate::page;
use crate::page::RESIDENTS;
use crate::questions;
use crate::questions::File;
use crate::questions::Refused;

/// Questions whose answers are known to be wrong, with the reason; once one is right, it must be taken off. The list may only
/// shrink.
pub(crate) const OPEN: [(&str, &str); 0] = [];

/// The tests of this suite: one for the questions of each purpose, and those of the suite itself.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: String, run: Box<dyn FnOnce() -> anyhow::Result<()> + Send>| {
        Trial::test(name, move || on_a_large_stack(run).map_err(|error| format!("{error:#}").into()))
    };
    let mut trials = vec![
        trial("the-corpus-is-complete".to_owned(), Box::new(questions::are_complete)),
        trial("the-page-tells-of-every-refusal".to_owned(), Box::new(page::tells_of_every_refusal)),
        trial("a-wrong-answer-is-found".to_owned(), Box::new(a_wrong_answer_is_found)),
    ];
    match questions::files() {
        Ok(files) => trials.extend(files.into_iter().map(|file| {
            let name = format!("questions-for-{}", file.purpose);
            trial(name, Box::new(move || judge(&file)))
        })),
        Err(error) => trials.push(trial("the-corpus-is-read".to_owned(), Box::new(move || Err(error)))),
    }
    trials
}

fn judge(file: &File) -> anyhow::Result<()> {
    let asked = ask(file, RESIDENTS)?;
    let mut findings: Vec<String> = asked.iter().flat_map(faults).collect();
    findings.extend(changes(&asked, &questions::refused()?));
    findings.extend(page::missing_lines(&asked)?);
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

/// The faults of a question's outcome, whatever its verdict is.
pub(crate) fn faults(asked: &Asked) -> Vec<String> {
    let found = match &asked.outcome {
        Err(error) => vec![error.clone()],
        Ok(Outcome::Refused(refusal)) => refusal.findings.clone(),
        Ok(Outcome::Answered(answer)) => answer.findings.clone(),
    };
    let is_open = OPEN.iter().any(|(title, _)| *title == asked.title);
    match (is_open, found.is_empty()) {
        (false, _) => found.into_iter().map(|finding| format!("{}: {finding}", asked.title)).collect(),
        (true, false) => Vec::new(),
        (true, true) => vec![format!("{}: it is right: take it off the list of open ones", asked.title)],
    }
}

/// Questions that are refused now and were not, the other way round, or for other reasons.
fn changes(asked: &[Asked], known: &Refused) -> Vec<String> {
    let of_now = page::refused(asked);
    let of = |reasons: Option<&Vec<String>>| reasons.map_or("admitted".to_owned(), |all| all.join(", "));
    let changed =
        asked.iter().map(|asked| &asked.title).filter(|title| of_now.get(*title) != known.get(*title));
    changed
        .map(|title| {
            format!(
                "{title}: was {} and is {}; if that is meant, run `cargo xtask utility` and commit what it writes",
                of(known.get(title)),
                of(of_now.get(title))
            )
        })
        .collect()
}

/// The comparison finds a number that is off, a row that is not there, and one that was made up.
fn a_wrong_answer_is_found() -> anyhow::Result<()> {
    let column =
        |name: &str, nature| Column { name: name.to_owned(), nature, half_step: 0.0, is_top_coded: false };
    let columns = [column("k", Nature::Key), column("n", Nature::Count), column("s", Nature::Quantity)];
    let row = |key: &str, count: f64, sum: f64| {
        vec![Cell::Text(key.to_owned()), Cell::Number(count), Cell::Number(sum)]
    };
    let exact = Table { rows: vec![row("a", 42.0, 1000.0), row("b", 7.0, 50.0)] };
    ensure!(same(&exact, &exact, &columns).is_empty(), "an answer is like itself");
    let off = Table { rows: vec![row("a", 43.0, 1000.0), row("b", 7.0, 50.0)] };
    let missing = Table { rows: vec![row("a", 42.0, 1000.0)] };
    let far = Table { rows: vec![row("a", 42.0, 1200.0)] };
    let other = Table { rows: vec![row("a", 42.0, 1000.0), row("c", 7.0, 50.0)] };
    for wrong in [&off, &missing, &other] {
        ensure!(!same(wrong, &exact, &columns).is_empty(), "{wrong:?}");
    }
    ensure!(near(&exact, &exact, &columns).is_empty(), "an answer is near itself");
    ensure!(!near(&far, &exact, &columns).is_empty(), "1,200 is not near 1,000");
    let rounded = Table { rows: vec![row("a", 40.0, 1000.0)] };
    ensure!(within_rounding(&rounded, &exact, &columns).is_empty(), "42 is rounded to 40");
    let wrong = Table { rows: vec![row("a", 45.0, 1000.0)] };
    ensure!(!within_rounding(&wrong, &exact, &columns).is_empty(), "42 is not rounded to 45");
    let lost = loss(&rounded, &exact, &columns);
    ensure!((lost.cells, lost.withheld) == (4, 2), "{lost:?}");
    ensure!(lost.error(100).is_some_and(|most| (most - 2.0 / 42.0).abs() < 1e-12), "{lost:?}");
    Ok(())
}
