//! The full run: every question, the list of refused ones, and the page that says what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::ensure;
use obscura_tests::environment;

use crate::Asked;
use crate::ask;
use crate::compare::Loss;
use crate::desk::Answer;
use crate::desk::Outcome;
use crate::desk::Refusal;
use crate::judge::OPEN;
use crate::judge::faults;
use crate::noise;
use crate::noise::Noisy;
use crate::questions;
use crate::questions::QUESTIONS;
use crate::questions::Refused;

/// Residents of the city.
pub(crate) const RESIDENTS: u32 = 20_000;
/// Questions of a hundred that are to be answered.
const AIM: usize = 95;

/// Asks everything, and writes the list of refused questions and the page.
///
/// # Errors
/// When an answer is wrong, or something cannot be written.
pub(crate) fn write() -> anyhow::Result<()> {
    let files = questions::files()?;
    let mut asked = Vec::new();
    for file in &files {
        asked.extend(ask(file, RESIDENTS)?);
        eprintln!("{} of {QUESTIONS} questions are asked", asked.len());
    }
    questions::write_refused(&refused(&asked))?;
    let noise = noise::asked(&files, RESIDENTS)?;
    let by_grade = by_grade(&asked);
    eprintln!("\n{by_grade}");
    let page = [head(&asked), by_grade, of_refused(&asked), of_open(), of_noise(&noise), of_answered(&asked)]
        .join("\n");
    fs::write(file(), page).context("cannot write utility.md")?;
    let faults: Vec<String> = asked.iter().flat_map(faults).collect();
    ensure!(faults.is_empty(), "{} findings\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

fn file() -> PathBuf {
    environment::tests_folder().join("..").join("sandbox").join("docs").join("utility.md")
}

/// The page has a line for every refused question and its reasons: it was written when the list was.
///
/// # Errors
/// When one is missing.
pub(crate) fn tells_of_every_refusal() -> anyhow::Result<()> {
    let page = fs::read_to_string(file()).context("cannot read utility.md")?;
    let known = questions::refused()?;
    for (title, reasons) in &known {
        let begin = format!("| {title} | {} |", named(reasons));
        ensure!(
            page.contains(&begin),
            "utility.md has no line `{begin}`: run `cargo xtask utility` and commit what it writes"
        );
    }
    let said = answered_line(QUESTIONS - known.len());
    ensure!(page.contains(&said), "utility.md does not say `{said}`: run `cargo xtask utility`");
    Ok(())
}

/// The refused questions of a run, with their reasons.
pub(crate) fn refused(asked: &[Asked]) -> Refused {
    refusals(asked).map(|(asked, refusal)| (asked.title.clone(), refusal.reasons.clone())).collect()
}

fn refusals(asked: &[Asked]) -> impl Iterator<Item = (&Asked, &Refusal)> {
    asked.iter().filter_map(|asked| match &asked.outcome {
        Ok(Outcome::Refused(refusal)) => Some((asked, refusal)),
        Ok(Outcome::Answered(_)) | Err(_) => None,
    })
}

fn answers(asked: &[Asked]) -> impl Iterator<Item = (&Asked, &Answer)> {
    asked.iter().filter_map(|asked| match &asked.outcome {
        Ok(Outcome::Answered(answer)) => Some((asked, answer)),
        Ok(Outcome::Refused(_)) | Err(_) => None,
    })
}

fn answered_line(answered: usize) -> String {
    format!("**{answered} of {QUESTIONS} questions are answered**; the aim is {AIM}.")
}

fn head(asked: &[Asked]) -> String {
    HEAD.replace("{answered}", &answered_line(answers(asked).count()))
        .replace("{residents}", &format!("{},{:03}", RESIDENTS / 1000, RESIDENTS % 1000))
}

fn by_grade(asked: &[Asked]) -> String {
    let mut grades: BTreeMap<u8, (usize, Loss, Loss, Loss)> = BTreeMap::new();
    for (_, answer) in answers(asked) {
        let (count, declared, without_noise, thresholds) = grades.entry(answer.grade).or_default();
        *count += 1;
        declared.add(&answer.declared);
        without_noise.add(&answer.without_noise);
        thresholds.add(&answer.thresholds);
    }
    let mut text = "| grade | questions | numbers | withheld | median error | error of nine in ten at most | withheld without noise | median error without noise | withheld by thresholds alone |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for (grade, (count, declared, without_noise, thresholds)) in grades {
        text.push_str(&format!(
            "| L{grade} | {count} | {} | {} | {} | {} | {} | {} | {} |\n",
            declared.cells,
            percent(declared.share()),
            percent(declared.error(50)),
            percent(declared.error(90)),
            percent(without_noise.share()),
            percent(without_noise.error(50)),
            percent(thresholds.share()),
        ));
    }
    text
}

fn of_refused(asked: &[Asked]) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, refusal) in refusals(asked) {
        refusal.reasons.iter().for_each(|reason| *reasons.entry(reason).or_default() += 1);
    }
    let mut by_reason: Vec<(&str, usize)> = reasons.into_iter().collect();
    by_reason.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    let mut text = format!("{REFUSED}\n| reason | questions |\n|---|---:|\n");
    for (reason, count) in by_reason {
        text.push_str(&format!("| {} | {count} |\n", linked(reason)));
    }
    text.push_str("\n| question | reasons | instead |\n|---|---|---|\n");
    for (asked, refusal) in refusals(asked) {
        let helps = refusal.helps.iter().map(|help| in_cell(help));
        let rewrites = refusal
            .rewrites
            .iter()
            .map(|rewrite| format!("{}: `{}`", in_cell(&rewrite.title.en), in_cell(&rewrite.sql)));
        let offers: Vec<String> = helps.chain(rewrites).collect();
        text.push_str(&format!(
            "| {} | {} | {} |\n",
            asked.title,
            named(&refusal.reasons),
            offers.join("; ")
        ));
    }
    text
}

fn of_noise(noise: &[(u32, Noisy)]) -> String {
    let mut text = format!(
        "{NOISE}\n| deviation | admitted | numbers | withheld | median error | reasons of the others, and how many questions have each |\n|---:|---:|---:|---:|---:|---|\n"
    );
    for (deviation, noisy) in noise {
        let mut reasons: Vec<(&String, &usize)> = noisy.reasons.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
        let reasons: Vec<String> =
            reasons.into_iter().map(|(reason, count)| format!("{} {count}", linked(reason))).collect();
        text.push_str(&format!(
            "| {deviation} | {} | {} | {} | {} | {} |\n",
            noisy.admitted,
            noisy.loss.cells,
            percent(noisy.loss.share()),
            percent(noisy.loss.error(50)),
            reasons.join(", ")
        ));
    }
    text
}

fn of_answered(asked: &[Asked]) -> String {
    let mut text = format!(
        "{ANSWERED}\n| question | purpose | grade | numbers | withheld | median error | withheld without noise | withheld by thresholds alone |\n|---|---|---|---:|---:|---:|---:|---:|\n"
    );
    answers(asked).for_each(|(asked, answer)| text.push_str(&line(asked, answer)));
    text
}

/// The line of an answered question.
fn line(asked: &Asked, answer: &Answer) -> String {
    format!(
        "| {} | {} | L{} | {} | {} | {} | {} | {} |\n",
        asked.title,
        asked.purpose,
        answer.grade,
        answer.declared.cells,
        percent(answer.declared.share()),
        percent(answer.declared.error(50)),
        percent(answer.without_noise.share()),
        percent(answer.thresholds.share()),
    )
}

/// The lines of answered questions that the page does not have: more is withheld, or less, or numbers are nearer or further off.
///
/// # Errors
/// When the page cannot be read.
pub(crate) fn missing_lines(asked: &[Asked]) -> anyhow::Result<Vec<String>> {
    let page = fs::read_to_string(file()).context("cannot read utility.md")?;
    let lines = answers(asked).map(|(asked, answer)| line(asked, answer));
    let missing = lines.filter(|line| !page.contains(line.as_str()));
    let told = |line: String| {
        format!("utility.md does not say `{}`; if that is meant, run `cargo xtask utility`", line.trim())
    };
    Ok(missing.map(told).collect())
}

/// The answers that are known to be wrong, with the reasons.
fn of_open() -> String {
    let lines = OPEN.iter().map(|(title, reason)| format!("- {title}: {reason}.\n"));
    std::iter::once(WRONG.to_owned()).chain(lines).collect()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Reasons with links to their pages.
fn named(reasons: &[String]) -> String {
    let linked: Vec<String> = reasons.iter().map(|reason| linked(reason)).collect();
    linked.join(", ")
}

/// `code/reason` as a link to the reason's page.
fn linked(reason: &str) -> String {
    let (_, name) = reason.split_once('/').unwrap_or(("", reason));
    format!("[{name}](refusals/{name}.md)")
}

/// Text that breaks no table.
fn in_cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

const HEAD: &str = "\
# Utility

100 questions as analysts write them are asked over the demo city, and the answers are compared with exact ones.
This page is made by `cargo xtask utility`, which runs `tests/utility` in a city of {residents} residents; the same questions are tests.
The seed is fixed, so that a run of the same code writes the same page.

{answered}

- **The questions** stand in `tests/utility/corpus`, by purpose; they were written before any rule was tuned to them, and none was changed to be admitted.
- **The policies** are those that the demo publishes; the analyst has a grant for everything that a purpose may use.
- **Exact** is the answer of a plain engine over the rows in clear, under the masks of the policy (ages in bands of ten years, diagnoses by category, moments by day).
- **A number** is a figure of the exact answer; names of groups are not counted.
- **Withheld** are numbers that the protected answer does not have, also where a row of a ranking was displaced by another.
- **The error** of a released number is its difference from the exact one, as a part of the exact one.
- **Without noise** the same controls would let numbers out that are rounded and otherwise exact: the difference of two of them tells of one person.
- **Thresholds alone** would withhold cells of fewer subjects than the policy asks for, and let exact numbers out: the error of the others would be nothing, and so would their protection from somebody who asks twice.

The share that is withheld depends on the size of the city: in the demo's, which has more residents, fewer cells are small.

## By grade
";

const REFUSED: &str = "\
## Refused

A question with several reasons counts for each.
";

const WRONG: &str = "\
## Wrong

Answers that are known to differ from the exact ones by more than declared protection:

";

const NOISE: &str = "\
## Under other deviations

The grades ask for named noise of a deviation of 2 subjects at L2 and of 4 at L3; here every number has noise of one deviation.
Noise needs published domains, usual contributions and usual numbers of rows, which the documents of the demo declare.
Questions of open data alone are left out: they have no noise.
";

const ANSWERED: &str = "\
## Answered
";
