//! The tests: the programs in small, with what named noise must hold.

use anyhow::ensure;
use libtest_mimic::Trial;

use crate::Scale;
use crate::desk::Desk;
use crate::desk::Protection;
use crate::exposure::figures;
use crate::in_lists;
use crate::in_lists::ASKED;
use crate::on_a_large_stack;
use crate::register::Register;
use crate::register::group;
use crate::rephrasing;
use crate::report::SEED;
use crate::score::Outcome;
use crate::weights;

/// The size of the tests.
fn small() -> Scale {
    Scale {
        targets: (2, 2),
        keys: 4,
        choices: vec![1, 60],
        spellings: 20,
        filled: vec![3],
        partitions: 10,
        versions: vec![24],
        shown: 10,
    }
}

/// The tests of this suite.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> anyhow::Result<()>| {
        Trial::test(name, move || on_a_large_stack(run).map_err(|error| format!("{error:#}").into()))
    };
    vec![
        trial("in-lists-find-the-bit-without-noise", in_lists_without_noise),
        trial("in-lists-are-samples-of-one-draw", in_lists_are_samples_of_one_draw),
        trial("a-program-wins-no-more-than-the-exposure-that-is-shown", no_more_than_shown),
        trial("every-spelling-has-one-answer", every_spelling_has_one_answer),
        trial("a-released-count-as-a-literal-tells-that-count", literals),
        trial("a-weight-for-one-person-is-withheld", weights_are_withheld),
    ]
}

fn advantage(results: &[Outcome], cells: usize) -> anyhow::Result<f64> {
    let of = results.iter().find(|result| result.cells == cells);
    Ok(of.ok_or_else(|| anyhow::anyhow!("no result at {cells} cells"))?.tally.advantage().0)
}

/// The figure of the columns that a program asks of is computed over everything that they open, of which the program asks a part.
fn no_more_than_shown() -> anyhow::Result<()> {
    let register = Register::of(SEED);
    let (shown, known) = figures(&register, 4, Some(&ASKED))?;
    ensure!(shown.worst() < 0.5, "{} is no bound that a program might pass", shown.worst());
    let results = in_lists::run(&Desk::new(Protection::Named(4), 4, false)?, &register, &small())?;
    for result in results {
        let (_, low, _) = result.tally.advantage();
        let most = shown.worst();
        ensure!(low <= most, "{} cells: {low} against {most} that are shown", result.cells);
    }
    ensure!(shown.random() <= shown.worst() && shown.worst() <= known.stays, "the figures are in order");
    Ok(())
}

/// A program that does not find the bit where nothing hides it shows nothing of what does.
fn in_lists_without_noise() -> anyhow::Result<()> {
    let register = Register::of(SEED);
    for protection in [Protection::Nothing, Protection::Threshold] {
        let results = in_lists::run(&Desk::new(protection, 1, false)?, &register, &small())?;
        let found = advantage(&results, 240)?;
        ensure!((found - 1.0).abs() < 1e-9, "{protection:?}: the advantage is {found} of 1");
    }
    Ok(())
}

/// The mean of many choices is known as closely as one number is: what differs between them is rounding alone.
fn in_lists_are_samples_of_one_draw() -> anyhow::Result<()> {
    let register = Register::of(SEED);
    let spread = |protection| -> anyhow::Result<f64> {
        let desk = Desk::new(protection, 4, false)?;
        let samples = in_lists::samples(&desk, &register, 0, 60)?;
        let of_key = samples.into_iter().map(|mut samples| {
            samples.retain(|one| !one.is_nan());
            let mean = in_lists::mean(&samples).unwrap_or(0.0);
            samples.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / samples.len() as f64
        });
        Ok(of_key.sum::<f64>() / desk.keys() as f64)
    };
    // Four numbers rounded to five differ by 4 * 25 / 12 = 8.3 in their squares, and with a draw each by 4 * 64 more.
    let (named, fresh) = (spread(Protection::Named(8))?, spread(Protection::Fresh(8))?);
    ensure!((4.0..13.0).contains(&named), "the choices differ by {named} in their squares");
    ensure!(fresh > 150.0, "noise that is drawn anew differs by {fresh} in its squares");
    Ok(())
}

/// The advantage after any number of spellings is that of one.
fn every_spelling_has_one_answer() -> anyhow::Result<()> {
    let register = Register::of(SEED);
    for protection in [Protection::Threshold, Protection::Named(4), Protection::Named(8)] {
        let answers = rephrasing::spellings(&Desk::new(protection, 1, false)?, &register, 40)?;
        ensure!(answers.len() == 40 && answers[0].is_some(), "{protection:?}: {answers:?}");
        ensure!(answers.iter().all(|answer| *answer == answers[0]), "{protection:?}: {answers:?}");
    }
    let fresh = rephrasing::spellings(&Desk::new(Protection::Fresh(8), 1, false)?, &register, 40)?;
    ensure!(fresh.iter().any(|answer| *answer != fresh[0]), "noise that is drawn anew is the same");
    Ok(())
}

/// A count that is compared with literals is the released one: bisection finds no digit that rounding took.
fn literals() -> anyhow::Result<()> {
    let (register, desk) = (Register::of(SEED), Desk::new(Protection::Named(8), 1, false)?);
    let rows = register.batch();
    let from = format!("FROM register WHERE secret = 'yes' AND grp = '{}'", group(3));
    let released = desk.ask(&rows, &format!("SELECT COUNT(*) {from}"))?[0].number(0);
    let Some(released) = released else { anyhow::bail!("the count is withheld") };
    for step in -6_i32..=6 {
        let literal = released + f64::from(step);
        let answer = desk.ask(&rows, &format!("SELECT COUNT(*) {from} HAVING COUNT(*) >= {literal}"))?;
        let wanted = (released >= literal).then_some(released);
        ensure!(answer[0].number(0) == wanted, "{literal}: {answer:?}");
    }
    Ok(())
}

fn weights_are_withheld() -> anyhow::Result<()> {
    let register = Register::of(SEED);
    for protection in [Protection::Threshold, Protection::Named(8)] {
        let results = weights::run(&Desk::new(protection, 2, false)?, &register, &small())?;
        let by_case = results.iter().find(|result| result.attack == weights::CASE);
        let found = by_case.map(|result| result.tally.advantage().0);
        ensure!(found == Some(0.0), "{protection:?}: the advantage is {found:?}");
    }
    Ok(())
}
