//! Finds the faults of a question: of its end, and of its answer by the witness.
//! A case may be open, with a reason; once it is right, the mark is a finding.

use std::fmt;

use obscura_tests::table::is_missing;
use obscura_tests::world::World;
use obscura_tests::world::code;

use crate::Witness;
use crate::process::Answer;

/// A question and what must become of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'c> {
    /// The question.
    pub(crate) sql: &'c str,
    /// The same for the witness, where it spells something otherwise.
    pub(crate) witness: Option<&'c str>,
    /// The refusal's code; nothing when it must be answered.
    pub(crate) refused: Option<&'c str>,
    /// The reason why it is wrong today; nothing when it must not be.
    pub(crate) open: Option<&'c str>,
}

/// Asks the program and the witness, and returns the fault; a failure to ask one of them is a fault too.
pub(crate) fn ask(
    name: impl fmt::Display,
    question: Question<'_>,
    world: &World,
    witness: &mut Witness,
) -> Option<String> {
    match (question.open, wrong(question, world, witness)) {
        (_, Err(error)) => Some(format!("{name}: {error:#}\n    {}", question.sql)),
        (None, Ok(finding)) => finding.map(|finding| format!("{name}: {finding}\n    {}", question.sql)),
        (Some(_), Ok(None)) => Some(format!("{name}: it is right: take `open` off")),
        (Some(reason), Ok(Some(_))) => {
            eprintln!("{name}: open: {reason}");
            None
        }
    }
}

fn wrong(question: Question<'_>, world: &World, witness: &mut Witness) -> anyhow::Result<Option<String>> {
    let outcome = world.query("ana", question.sql)?;
    let answer = match outcome.code {
        Some(code::DONE) => answer_of(&outcome.stdout)?,
        Some(code::WITHHELD) => Answer { rows: Vec::new(), withheld: true },
        Some(code::REFUSED) => {
            let as_said = question.refused.is_some_and(|slug| outcome.stderr.contains(slug));
            return Ok((!as_said).then(|| format!("it is refused: {}", outcome.stderr)));
        }
        other => return Ok(Some(format!("exit {other:?}: {}", outcome.stderr))),
    };
    if let Some(slug) = question.refused {
        return Ok(Some(format!("it must be refused as `{slug}` and is answered: {}", outcome.stdout)));
    }
    let verdict = witness.judge(question.sql, question.witness, &answer)?;
    Ok((!verdict.findings.is_empty())
        .then(|| format!("{}\n    the witness ran {}", verdict.findings.join("\n    "), verdict.sql)))
}

/// Reads what `--output csv` printed.
fn answer_of(text: &str) -> anyhow::Result<Answer> {
    let mut rows = Vec::new();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        rows.push(record?.iter().map(|cell| (!is_missing(cell)).then(|| cell.to_owned())).collect());
    }
    Ok(Answer { rows, withheld: false })
}
