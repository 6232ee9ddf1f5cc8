//! Generated questions, by guard and engine over people in memory: each admitted one must be what the witness says.
//! The seed is fixed; a failure prints the statement.

use std::collections::BTreeSet;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use arrow::array::Array as _;
use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use chrono::DateTime;
use libtest_mimic::Trial;
use obscura_policies::vocabulary::Role;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::verdict::Decision;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::End;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::people::Tables;
use obscura_tests::guarded::people::Victim;
use obscura_tests::guarded::people::tables;
use obscura_tests::guarded::policy;
use obscura_tests::guarded::questions::KINDS;
use obscura_tests::guarded::questions::Seeded;

use crate::Witness;
use crate::process::Answer;
use crate::tables::of_people;
use crate::trial;

/// Admitted questions of all parts together.
const QUESTIONS: usize = 500;
/// Parts that run side by side.
const PARTS: usize = 4;
/// Questions asked for one admitted and new one, at the most.
const TRIES: usize = 20;
/// Rows of one join before a run is given up; none of these questions comes near.
const JOIN_ROWS_MAX: u64 = 10_000_000;
const CUT: Cut = Cut { partitions: 3, batch_rows: 64 };

/// One test a part.
pub(crate) fn trials() -> Vec<Trial> {
    (0..PARTS)
        .map(|part| trial(format!("generated-questions-{}", part + 1), move || generated(part)))
        .collect()
}

/// The product as a library, and the witness, over the same people.
pub(crate) struct Both {
    people: Tables,
    engine: Engine,
    pub(crate) witness: Witness,
    /// Holds the witness's files.
    _folder: tempfile::TempDir,
}

impl Both {
    /// # Errors
    /// When the witness cannot be started.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let people = tables(Victim::Present);
        let folder = tempfile::tempdir().context("cannot make a folder for plain text")?;
        let witness = Witness::start(&of_people(&people, folder.path())?)?;
        Ok(Self { people, engine: Engine::new(JOIN_ROWS_MAX), witness, _folder: folder })
    }

    /// The answer of the product.
    ///
    /// # Errors
    /// When the run ends otherwise than with a result.
    pub(crate) fn answer(&self, plan: &GuardedPlan) -> anyhow::Result<Answer> {
        let run = self.engine.run(plan, &self.people, CUT);
        match (run.end, run.released) {
            (End::Released, Some(batch)) => Ok(Answer { rows: rows(&batch)?, withheld: false }),
            (End::Withheld, _) => Ok(Answer { rows: Vec::new(), withheld: true }),
            (end, _) => bail!("it ends as {end:?}"),
        }
    }

    /// The fault of an admitted question.
    fn judge(&mut self, sql: &str, plan: &GuardedPlan) -> Option<String> {
        let answer = match self.answer(plan) {
            Ok(answer) => answer,
            Err(error) => return Some(format!("{error}\n    {sql}")),
        };
        let verdict = match self.witness.judge(sql, None, &answer) {
            Ok(verdict) => verdict,
            Err(error) => return Some(format!("{error:#}\n    {sql}")),
        };
        (!verdict.findings.is_empty()).then(|| {
            format!("{}\n    {sql}\n    the witness ran {}", verdict.findings.join("\n    "), verdict.sql)
        })
    }
}

fn generated(part: usize) -> anyhow::Result<()> {
    let mut both = Both::new()?;
    let wanted = QUESTIONS / PARTS;
    let mut seeded = Seeded(20_261_129 + part as u64);
    let (mut seen, mut asked, mut findings) = (BTreeSet::new(), 0, Vec::new());
    for (_, kind) in KINDS.iter().cycle() {
        if seen.len() == wanted {
            break;
        }
        asked += 1;
        ensure!(asked <= wanted * TRIES, "of {asked} questions only {} are admitted and new", seen.len());
        let sql = kind(&mut seeded);
        if seen.contains(&sql) {
            continue;
        }
        if let Some(plan) = admitted(&sql) {
            findings.extend(both.judge(&sql, &plan));
            seen.insert(sql);
        }
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

/// A witness that finds nothing is worth nothing: every way of being wrong is told from the right answer.
///
/// # Errors
/// When a wrong answer is taken for right, or the right one for wrong.
pub(crate) fn wrong_answers_are_found() -> anyhow::Result<()> {
    let mut both = Both::new()?;
    let sql = "SELECT dept, COUNT(*) AS n, SUM(salary) AS s, AVG(salary) AS m FROM persons GROUP BY dept";
    let plan = admitted(sql).context("the question is admitted")?;
    let right = both.answer(&plan)?;
    let mut judge = |answer: &Answer| Ok::<_, anyhow::Error>(both.witness.judge(sql, None, answer)?.findings);
    let found = judge(&right)?;
    ensure!(found.is_empty(), "the right answer is wrong: {found:?}");
    let changed = |column: usize, value: Option<&str>| {
        let mut wrong = right.clone();
        if let Some(cell) = wrong.rows.first_mut().and_then(|row| row.get_mut(column)) {
            *cell = value.map(str::to_owned);
        }
        wrong
    };
    let mut short = right.clone();
    short.rows.pop();
    let mut twice = right.clone();
    twice.rows.extend(right.rows.last().cloned());
    let nothing = Answer { rows: Vec::new(), withheld: true };
    for (name, wrong) in [
        ("a lost key", changed(0, None)),
        ("another key", changed(0, Some("none"))),
        ("another count", changed(1, Some("105"))),
        ("a withheld count of many", changed(1, None)),
        ("another sum", changed(2, Some("8000000"))),
        ("another mean", changed(3, Some("80100"))),
        ("a row less", short),
        ("a row twice", twice),
        ("nothing at all", nothing),
    ] {
        ensure!(wrong != right && !judge(&wrong)?.is_empty(), "{name} is taken for right");
    }
    Ok(())
}

fn admitted(sql: &str) -> Option<Box<GuardedPlan>> {
    let mut policy = policy::policy();
    // The witness finds no bases of cells; that they hold is tested over worlds of their own (`query-guard/src/base_rows/tests.rs`).
    let columns = policy.datasets.values_mut().flat_map(|dataset| &mut dataset.columns);
    for column in columns.filter(|column| column.role == Role::Sensitive) {
        column.role = Role::QuasiIdentifier;
    }
    let guard = Guard::new(&policy, DateTime::UNIX_EPOCH, policy::TODAY);
    match guard.review(sql).decision {
        Decision::Admitted(plan) => Some(plan),
        Decision::Refused { .. } => None,
    }
}

fn rows(batch: &RecordBatch) -> anyhow::Result<Vec<Vec<Option<String>>>> {
    let options = FormatOptions::new();
    let columns = batch
        .columns()
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok((0..batch.num_rows())
        .map(|row| {
            columns
                .iter()
                .map(|(column, text)| column.is_valid(row).then(|| text.value(row).to_string()))
                .collect()
        })
        .collect())
}
