//! The corpora: attacks and near misses as TOML files, read into cases. Unknown words in a file are errors.
//! The suites judge what a case expects.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::ensure;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::environment;
use crate::oracle::Expected;

/// One file of attacks: a family with its cases.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackFile {
    /// The common feature of this file's attacks; the file's name too.
    pub family: String,
    /// The source of the attacks.
    pub source: String,
    /// The knowledge that a leak would give the attacker, unless a case says otherwise.
    pub teaches: String,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<Attack>,
}

/// One attack: statements in order, by one or more analysts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Unique in its file.
    pub name: String,
    /// The knowledge that a leak would give the attacker, where it is not that of the whole file.
    #[serde(default)]
    pub teaches: Option<String>,
    /// Controls that stop it; `ledger` and `noise` are not built, and such cases stand in the list of open ones.
    #[serde(default)]
    pub needs: BTreeSet<String>,
    /// The statements.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// The attacker's computation of the victim's value from the answers, where one answer alone says nothing.
    #[serde(default)]
    pub infer: Option<Inference>,
}

/// The arithmetic of an attack: the answer of one step less the answer of another, both single numbers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inference {
    /// Number (from 0) of the step that is subtracted from.
    pub from: usize,
    /// Number of the step that is subtracted.
    pub minus: usize,
    /// The victim's true value.
    pub truth: f64,
    /// Largest distance of the difference from the truth at which the attacker has learned it.
    pub within: f64,
}

/// One statement of an attack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The asker.
    #[serde(default = "first_analyst")]
    pub by: String,
    /// The statement.
    pub sql: String,
    /// The required outcome.
    pub expect: Expectation,
    /// The refusal's code, where it matters.
    #[serde(default)]
    pub code: Option<String>,
}

impl Attack {
    /// True of an attack that nothing but named noise keeps from its aim.
    #[must_use]
    pub fn needs_noise(&self) -> bool {
        self.needs.contains("noise")
    }
}

/// The required outcome of a statement of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The guard says no, whatever the data.
    Refused,
    /// Refused, or answered with an answer that is the same whatever the victim's values are.
    Protected,
    /// Admitted, and fails while it computes with released values: with the same phrase for every victim.
    Failed,
    /// An ordinary question that the attack builds on: answered, and its answer may rest on the victim among many.
    Answered,
}

/// One file of near misses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearFile {
    /// The source of the cases.
    pub source: String,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<NearMiss>,
}

/// An ordinary question that must be answered, and how the answer is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearMiss {
    /// Unique in its file.
    pub name: String,
    /// The question.
    pub sql: String,
    /// The refusal's code for what a later version answers (`control-not-available`); nothing when it is answered.
    #[serde(default)]
    pub refused: Option<String>,
    /// The computation of the right answer; needed unless refused.
    #[serde(default)]
    pub answer: Option<Expected>,
    /// The output column that the answer is ordered by: `1 desc`.
    #[serde(default)]
    pub ordered: String,
    /// Largest relative difference of numbers, for answers that divide released values.
    #[serde(default)]
    pub tolerance: f64,
}

/// Reads every attack file.
///
/// # Errors
/// When a file is malformed, lies about its family, or two cases share a name.
pub fn attacks() -> anyhow::Result<Vec<AttackFile>> {
    let files: Vec<(PathBuf, AttackFile)> = read_all("attacks")?;
    for (path, file) in &files {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        ensure!(stem.as_deref() == Some(&file.family), "{} holds family `{}`", path.display(), file.family);
        unique(path, file.cases.iter().map(|case| case.name.as_str()))?;
        for case in &file.cases {
            ensure!(!case.steps.is_empty(), "{}: `{}` has no step", path.display(), case.name);
        }
    }
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// Reads every near-miss file, with the file's name for naming tests.
///
/// # Errors
/// When a file is malformed, two cases share a name, or an answered case has no answer.
pub fn near_misses() -> anyhow::Result<Vec<(String, NearFile)>> {
    let files: Vec<(PathBuf, NearFile)> = read_all("near")?;
    let mut named = Vec::new();
    for (path, file) in files {
        unique(&path, file.cases.iter().map(|case| case.name.as_str()))?;
        for case in &file.cases {
            let stated = case.refused.is_some() != case.answer.is_some();
            ensure!(stated, "{}: `{}` needs either an answer or a code", path.display(), case.name);
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        named.push((stem, file));
    }
    Ok(named)
}

/// Reads the names of the attacks that still leak, because they need the ledger or noise. The list may only shrink.
///
/// # Errors
/// When the list cannot be read.
pub fn open_attacks() -> anyhow::Result<BTreeSet<String>> {
    let path = environment::tests_folder().join("attacks").join("open.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// Lists the files of a suite's corpus in order.
///
/// # Errors
/// When the folder cannot be listed or is empty.
pub fn files(suite: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = environment::tests_folder().join(suite).join("corpus");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    ensure!(!files.is_empty(), "{} holds no file", folder.display());
    Ok(files)
}

fn read_all<T: DeserializeOwned>(suite: &str) -> anyhow::Result<Vec<(PathBuf, T)>> {
    let mut paths = files(suite)?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    ensure!(!paths.is_empty(), "`{suite}` holds no corpus of `.toml` files");
    paths
        .into_iter()
        .map(|path| {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let file = toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
            Ok((path, file))
        })
        .collect()
}

fn unique<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        ensure!(seen.insert(name), "{}: two cases are named `{name}`", path.display());
    }
    Ok(())
}

fn first_analyst() -> String {
    "ana".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::oracle::answers;

    #[test]
    fn every_near_miss_has_an_answer_that_the_oracle_computes() {
        let fixture = Fixture::load().unwrap();
        let mut used = BTreeSet::new();
        for (file, near) in near_misses().unwrap() {
            for case in near.cases {
                let Some(answer) = &case.answer else { continue };
                let table =
                    answer.answer(&fixture).unwrap_or_else(|error| panic!("{file}/{}: {error}", case.name));
                assert!(!table.rows.is_empty(), "{file}/{}: nothing is expected", case.name);
                if let Expected::Named(name) = answer {
                    used.insert(name.clone());
                }
            }
        }
        let unused: Vec<_> = answers::names().into_iter().filter(|name| !used.contains(*name)).collect();
        assert!(unused.is_empty(), "answers that no case uses: {unused:?}");
    }

    #[test]
    fn open_attacks_exist_and_need_a_control_that_is_missing() {
        let mut known = BTreeSet::new();
        for file in attacks().unwrap() {
            for case in file.cases {
                if case.needs_noise() {
                    known.insert(format!("{}/{}", file.family, case.name));
                }
            }
        }
        let unknown: Vec<_> =
            open_attacks().unwrap().into_iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "open without needing noise: {unknown:?}");
    }
}
