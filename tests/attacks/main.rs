//! The attack corpus against the built program: one test a family, every statement through the same door as an analyst's.
//! It decides whether an attack taught its attacker anything; `sandbox/docs/how-to/write-a-case.md` tells how to write a
//! case.
#![expect(clippy::indexing_slicing, reason = "tests may panic")]

mod documents;
mod sameness;
mod size;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::corpus;
use obscura_tests::corpus::Attack;
use obscura_tests::corpus::AttackFile;
use obscura_tests::corpus::Expectation;
use obscura_tests::corpus::Step;
use obscura_tests::fixture::Fixture;
use obscura_tests::fixture::Neighbour;
use obscura_tests::table::Cell;
use obscura_tests::world::Outcome;
use obscura_tests::world::World;
use obscura_tests::world::code;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = size::trials();
    trials.extend(documents::trials());
    trials.extend(sameness::trials());
    let files = match corpus::attacks() {
        Ok(files) => files,
        Err(error) => {
            trials.push(Trial::test("the-corpus-is-well-formed", move || Err(format!("{error:#}").into())));
            Vec::new()
        }
    };
    for file in files {
        trials.push(Trial::test(file.family.clone(), move || {
            judge(&file).map_err(|error| format!("{error:#}").into())
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The same installation over the fixture and over its two neighbours.
struct Worlds {
    base: World,
    neighbours: Vec<World>,
}

fn judge(file: &AttackFile) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let neighbour = |how| World::with(&fixture.neighbour(how)?);
    let worlds = Worlds {
        base: World::with(&fixture)?,
        neighbours: vec![neighbour(Neighbour::Changed)?, neighbour(Neighbour::Absent)?],
    };
    let open = corpus::open_attacks()?;
    let mut findings = Vec::new();
    for case in &file.cases {
        let name = format!("{}/{}", file.family, case.name);
        let taught = case.teaches.as_ref().unwrap_or(&file.teaches);
        findings.extend(
            judge_case(case, &worlds, open.contains(&name))?
                .into_iter()
                .map(|finding| format!("{name}: {finding}\n    it would teach {taught}")),
        );
    }
    for world in worlds.neighbours.iter().chain([&worlds.base]) {
        for sighting in world.sightings()? {
            findings.push(format!("canary of {} in {}", sighting.place, sighting.seen_in));
        }
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

fn judge_case(case: &Attack, worlds: &Worlds, listed_as_open: bool) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut outcomes = Vec::new();
    for step in &case.steps {
        let outcome = worlds.base.query(&step.by, &step.sql)?;
        findings.extend(
            judge_step(step, &outcome, worlds)?
                .into_iter()
                .map(|finding| format!("{finding}\n    {}", step.sql)),
        );
        outcomes.push(outcome);
    }
    let inferred = infers(case, &outcomes)?;
    if inferred && !listed_as_open {
        findings.push("the answers, subtracted, give the victim's value".to_owned());
    }
    if !inferred && listed_as_open {
        findings.push("it teaches nothing any more: take it out of open.txt".to_owned());
    }
    Ok(findings)
}

fn judge_step(step: &Step, outcome: &Outcome, worlds: &Worlds) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let answered = outcome.code == Some(code::DONE);
    let refused = outcome.code == Some(code::REFUSED);
    let failed = outcome.code == Some(code::FAILURE) && step.expect == Expectation::Failed;
    if !answered && !refused && !failed {
        findings.push(format!("exit {:?}: {}{}", outcome.code, outcome.stdout, outcome.stderr));
        return Ok(findings);
    }
    findings.extend(speaks_like_the_engine(outcome));
    match step.expect {
        Expectation::Refused if answered => findings.push(format!("it is answered: {}", outcome.stdout)),
        Expectation::Answered if refused => findings.push(format!("it is refused: {}", outcome.stderr)),
        Expectation::Failed if !failed => findings.push(format!("it does not fail: exit {:?}", outcome.code)),
        Expectation::Refused | Expectation::Answered | Expectation::Protected | Expectation::Failed => {}
    }
    if let Some(slug) = &step.code
        && !outcome.stderr.contains(slug.as_str())
    {
        findings.push(format!("the refusal is not `{slug}`: {}", outcome.stderr));
    }
    if step.expect == Expectation::Refused {
        return Ok(findings);
    }
    for world in &worlds.neighbours {
        let other = world.query(&step.by, &step.sql)?;
        if other.code != outcome.code {
            findings.push(format!("exit {:?} over a neighbour, {:?} here", other.code, outcome.code));
        }
        let may_differ = step.expect == Expectation::Answered;
        if !may_differ && other.stdout != outcome.stdout {
            findings.push(format!("the answer depends on the victim:\n{}{}", outcome.stdout, other.stdout));
        }
    }
    Ok(findings)
}

/// Words that only the engine or a panic would say.
fn speaks_like_the_engine(outcome: &Outcome) -> Option<String> {
    const WORDS: &[&str] = &[
        "DataFusion",
        "datafusion",
        "Arrow error",
        "ParquetError",
        "Parquet error",
        "panicked at",
        "SchemaError",
        "Internal error",
        "External error",
        "sqlparser",
        "Schema error",
        "Execution error",
        "Cast error",
    ];
    let found: BTreeSet<_> = WORDS
        .iter()
        .filter(|word| outcome.stderr.contains(*word) || outcome.stdout.contains(*word))
        .collect();
    (!found.is_empty()).then(|| format!("the engine speaks ({found:?}): {}", outcome.stderr))
}

/// True if the attacker's arithmetic comes to the victim's value.
fn infers(case: &Attack, outcomes: &[Outcome]) -> anyhow::Result<bool> {
    let Some(inference) = case.infer else { return Ok(false) };
    let (from, minus) = (number(&outcomes[inference.from])?, number(&outcomes[inference.minus])?);
    let (Some(from), Some(minus)) = (from, minus) else { return Ok(false) };
    Ok((from - minus - inference.truth).abs() <= inference.within)
}

/// The one number of an answer; nothing when it was withheld or refused.
fn number(outcome: &Outcome) -> anyhow::Result<Option<f64>> {
    if outcome.code != Some(code::DONE) {
        return Ok(None);
    }
    let table = outcome.table()?;
    let cell = table.rows.first().and_then(|row| row.first()).context("an inference needs one number")?;
    Ok(match cell {
        Cell::Number(number) => Some(*number),
        Cell::Null | Cell::Text(_) => None,
    })
}
