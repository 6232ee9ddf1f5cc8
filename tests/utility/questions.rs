//! The corpus: 100 questions as analysts write them, each for one purpose, and the list of those that are refused today.
//! The questions were written before any rule was tuned to them; the list is made by `cargo xtask utility`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::ensure;
use obscura_tests::corpus;
use obscura_tests::environment;
use serde::Deserialize;

/// Number of questions of the corpus.
pub(crate) const QUESTIONS: usize = 100;

/// The first lines of the list of refused questions.
const HEAD: &str = "# The questions that are refused, by their titles, with the codes and reasons of their refusals.\n\
                    # `cargo xtask utility` writes this list; read what changed before you commit it.\n";

/// The questions of one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// The questions.
    #[serde(rename = "question")]
    pub(crate) questions: Vec<Question>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Title, which no other question has.
    pub(crate) title: String,
    /// The statement.
    pub(crate) sql: String,
}

/// Reads all files of the corpus, in the order of their names.
///
/// # Errors
/// When a file is malformed.
pub(crate) fn files() -> anyhow::Result<Vec<File>> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))
    };
    corpus::files("utility")?.into_iter().map(read).collect()
}

/// The corpus has as many questions as it says, each with a title of its own.
pub(crate) fn are_complete() -> anyhow::Result<()> {
    let files = files()?;
    let titles: Vec<&str> =
        files.iter().flat_map(|file| &file.questions).map(|question| question.title.as_str()).collect();
    let different: BTreeSet<&&str> = titles.iter().collect();
    ensure!(titles.len() == QUESTIONS, "there are {} questions", titles.len());
    ensure!(different.len() == QUESTIONS, "two questions have one title");
    let known = refused()?;
    let unknown: Vec<&String> = known.keys().filter(|title| !titles.contains(&title.as_str())).collect();
    ensure!(unknown.is_empty(), "refused questions that the corpus has not: {unknown:?}");
    Ok(())
}

/// The refused questions, by their titles, and the codes and reasons of each.
pub(crate) type Refused = BTreeMap<String, Vec<String>>;

/// Reads the list of refused questions.
///
/// # Errors
/// When it is not there or malformed.
pub(crate) fn refused() -> anyhow::Result<Refused> {
    let text = fs::read_to_string(list()).context("cannot read the list of refused questions")?;
    toml::from_str(&text).context("the list of refused questions is malformed")
}

/// Writes the list of refused questions.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_refused(refused: &Refused) -> anyhow::Result<()> {
    let lines = refused.iter().map(|(title, reasons)| format!("{title:?} = {reasons:?}\n"));
    let text: String = std::iter::once(HEAD.to_owned()).chain(lines).collect();
    fs::write(list(), text).context("cannot write the list of refused questions")
}

fn list() -> PathBuf {
    environment::tests_folder().join("utility").join("refused.toml")
}
