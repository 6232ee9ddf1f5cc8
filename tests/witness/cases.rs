//! Cases in files: near misses of the corpora, fifty ordinary questions, and reports of wrong results of the engine.
//! Each is asked of the built program.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Trial;
use obscura_tests::corpus;
use obscura_tests::corpus::NearFile;
use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use serde::Deserialize;

use crate::Witness;
use crate::judge;
use crate::judge::Question;
use crate::tables;
use crate::trial;

/// Reports that the suite holds at the least.
const REPORTS_MIN: usize = 25;
/// Ordinary questions, and how many of them may be refused.
const ORDINARY: usize = 50;
const REFUSED_MAX: usize = ORDINARY / 10;
/// Parts of a file that run side by side.
const PARTS: usize = 2;

/// One file of questions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Unique in its file.
    name: String,
    /// The question.
    sql: String,
    /// Number of the report in the tracker of the product's engine.
    #[serde(default)]
    issue: Option<u32>,
    /// The same question for the witness, where it spells something otherwise.
    #[serde(default)]
    witness: Option<String>,
    /// The refusal's code; nothing when it is answered.
    #[serde(default)]
    refused: Option<String>,
    /// The reason why it is wrong today.
    #[serde(default)]
    open: Option<String>,
}

/// All tests over cases in files.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    match corpus::near_misses() {
        Ok(files) => trials.extend(
            files
                .into_iter()
                .map(|(name, file)| trial(format!("near-misses-{name}"), move || near_misses(&file))),
        ),
        Err(error) => {
            trials.push(Trial::test("the-corpus-is-well-formed", move || Err(format!("{error:#}").into())));
        }
    }
    for (name, file) in [("ordinary-questions", "fifty.toml"), ("reported-wrong-results", "reports.toml")] {
        for part in 0..PARTS {
            trials.push(trial(format!("{name}-{}", part + 1), move || {
                let cases = read(file)?;
                let these: Vec<Case> = cases.into_iter().skip(part).step_by(PARTS).collect();
                let questions = these.iter().map(|case| (case.title(), case.question()));
                ask_all(questions)
            }));
        }
    }
    trials.push(trial("the-files-hold-what-they-should".to_owned(), files_hold_what_they_should));
    trials
}

impl Case {
    fn title(&self) -> String {
        self.issue.map_or_else(|| self.name.clone(), |issue| format!("{} (report {issue})", self.name))
    }

    fn question(&self) -> Question<'_> {
        Question {
            sql: &self.sql,
            witness: self.witness.as_deref(),
            refused: self.refused.as_deref(),
            open: self.open.as_deref(),
        }
    }
}

fn near_misses(file: &NearFile) -> anyhow::Result<()> {
    ask_all(file.cases.iter().filter(|case| case.refused.is_none()).map(|case| {
        let question = Question { sql: &case.sql, witness: None, refused: None, open: None };
        (case.name.clone(), question)
    }))
}

fn ask_all<'c>(questions: impl Iterator<Item = (String, Question<'c>)>) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let world = World::with(&fixture)?;
    let folder = tempfile::tempdir().context("cannot make a folder for plain text")?;
    let mut witness = Witness::start(&tables::of_the_corpora(&fixture, folder.path())?)?;
    let mut findings = Vec::new();
    for (name, question) in questions {
        findings.extend(judge::ask(name, question, &world, &mut witness));
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

fn read(file: &str) -> anyhow::Result<Vec<Case>> {
    let path = environment::tests_folder().join("witness").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: CaseFile = toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
    Ok(file.cases)
}

fn files_hold_what_they_should() -> anyhow::Result<()> {
    let (ordinary, reports) = (read("fifty.toml")?, read("reports.toml")?);
    for cases in [&ordinary, &reports] {
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        ensure!(names.len() == cases.len(), "two cases of a file have one name");
    }
    let refused = ordinary.iter().filter(|case| case.refused.is_some()).count();
    ensure!(ordinary.len() == ORDINARY, "{} ordinary questions", ordinary.len());
    ensure!(refused <= REFUSED_MAX, "{refused} ordinary questions are refused");
    let issues: BTreeSet<u32> = reports.iter().filter_map(|case| case.issue).collect();
    ensure!(reports.iter().all(|case| case.issue.is_some()), "a report has a number");
    ensure!(issues.len() >= REPORTS_MIN, "{} reports", issues.len());
    Ok(())
}
