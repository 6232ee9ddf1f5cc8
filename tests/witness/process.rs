//! The witness's process: one Python answers all questions of a test, a line of JSON each.
//! It judges nothing here; the rules stand in `protection.py` and `compare.py`.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context as _;
use anyhow::bail;
use obscura_tests::environment;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

/// The product's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its rows, as text; a missing value is nothing.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// True if the controls let nothing out, and there is no table at all.
    pub(crate) withheld: bool,
}

/// The witness's verdict on an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    /// The faults; none when the answer is right up to declared protection.
    pub(crate) findings: Vec<String>,
    /// The statement that the witness ran.
    pub(crate) sql: String,
    /// The reason why the witness has no verdict.
    cannot_tell: Option<String>,
}

/// A running witness.
#[derive(Debug)]
pub(crate) struct Witness {
    child: Child,
    questions: Option<ChildStdin>,
    verdicts: BufReader<ChildStdout>,
}

impl Witness {
    /// Starts one over the tables of a setup.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(setup: &Value) -> anyhow::Result<Self> {
        let python = environment::python().context("OBSCURA_PYTHON names no interpreter")?;
        let script = environment::tests_folder().join("witness").join("witness.py");
        // Without `-B` it would leave compiled files in the source tree.
        let mut child = Command::new(python)
            .arg("-B")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the witness")?;
        let questions = child.stdin.take();
        let verdicts = BufReader::new(child.stdout.take().context("the witness has an output")?);
        let mut witness = Self { child, questions, verdicts };
        witness.send(setup)?;
        Ok(witness)
    }

    /// Asks what is wrong with an answer; `spelling` is the question for this engine, where it needs another.
    ///
    /// # Errors
    /// When the witness has ended, or has no verdict.
    pub(crate) fn judge(
        &mut self,
        sql: &str,
        spelling: Option<&str>,
        answer: &Answer,
    ) -> anyhow::Result<Verdict> {
        let Answer { rows, withheld } = answer;
        self.send(&json!({ "sql": sql, "witness": spelling, "rows": rows, "withheld": withheld }))?;
        let mut line = String::new();
        self.verdicts.read_line(&mut line).context("the witness does not answer")?;
        let verdict: Verdict =
            serde_json::from_str(&line).with_context(|| format!("the witness has ended at {sql}"))?;
        match verdict.cannot_tell {
            None => Ok(verdict),
            Some(reason) => bail!("the witness cannot tell: {reason}"),
        }
    }

    fn send(&mut self, line: &Value) -> anyhow::Result<()> {
        let questions = self.questions.as_mut().context("the witness listens")?;
        writeln!(questions, "{line}").context("the witness does not listen")?;
        Ok(())
    }
}

impl Drop for Witness {
    /// It ends when there are no more questions.
    fn drop(&mut self) {
        self.questions = None;
        if self.child.wait().is_err() {
            eprintln!("the witness does not end");
        }
    }
}
