//! The attack corpus against the built program: two tests a family, without named noise and with the grades that are shipped, every
//! statement through the same door as an analyst's.
//! It decides whether an attack taught its attacker anything; `sandbox/docs/how-to/write-a-case.md` tells how to write a
//! case.
#![expect(clippy::indexing_slicing, reason = "tests may panic")]

mod documents;
mod sameness;
mod size;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

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

/// Installations in which an inference must hold, one after the other, to have taught anything under noise.
const INSTALLATIONS: usize = 8;

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
        let file = Arc::new(file);
        let (name, exact) = (file.family.clone(), Arc::clone(&file));
        trials.push(Trial::test(name, move || judge(&exact).map_err(|error| format!("{error:#}").into())));
        let name = format!("{}-under-noise", file.family);
        trials
            .push(Trial::test(name, move || under_noise(&file).map_err(|error| format!("{error:#}").into())));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The same installation over the fixture and over its two neighbours.
struct Worlds {
    base: World,
    neighbours: Vec<World>,
}

/// Asks every case where numbers have no noise: whatever else protects must do so by itself.
fn judge(file: &AttackFile) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let neighbour = |how| World::with(&fixture.neighbour(how)?);
    let worlds = Worlds {
        base: World::with(&fixture)?,
        neighbours: vec![neighbour(Neighbour::Changed)?, neighbour(Neighbour::Absent)?],
    };
    let mut findings = Vec::new();
    for case in &file.cases {
        findings.extend(told(file, case, judge_case(case, &worlds)?));
    }
    for world in worlds.neighbours.iter().chain([&worlds.base]) {
        findings.extend(sightings(world)?);
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

/// Asks every case under the grades that the program ships: what is refused without noise is not answered with it, and cases that
/// need noise are answered and teach nothing.
fn under_noise(file: &AttackFile) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let world = World::under_shipped_grades(&fixture)?;
    let alone = Worlds { base: world, neighbours: Vec::new() };
    let open = corpus::open_attacks()?;
    let mut findings = Vec::new();
    for case in &file.cases {
        let mut outcomes = Vec::new();
        let mut found = Vec::new();
        for step in &case.steps {
            let outcome = alone.base.query(&step.by, &step.sql)?;
            // Which questions have names is not what the corpus is about, but where a case needs them.
            let expect = match step.expect {
                Expectation::Answered if !case.needs_noise() => Expectation::Protected,
                other => other,
            };
            let step = Step { expect, code: None, ..step.clone() };
            found.extend(judge_step(&step, &outcome, &alone)?);
            outcomes.push(outcome);
        }
        let teaches = case.needs_noise() && teaches_everywhere(case, outcomes, &fixture)?;
        let is_open = open.contains(&format!("{}/{}", file.family, case.name));
        if teaches && !is_open {
            found.push("the answers, subtracted, give the victim's value".to_owned());
        }
        if !teaches && is_open {
            found.push("it teaches nothing any more: take it out of open.txt".to_owned());
        }
        findings.extend(told(file, case, found));
    }
    findings.extend(sightings(&alone.base)?);
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

/// True if the attacker's arithmetic comes to the victim's value in every installation that was tried.
///
/// Noise differs from one to the next. A count that is rounded to five hits the value by chance in one of five.
fn teaches_everywhere(case: &Attack, first: Vec<Outcome>, fixture: &Fixture) -> anyhow::Result<bool> {
    let mut outcomes = first;
    for _ in 0..INSTALLATIONS {
        if !infers(case, &outcomes)? {
            return Ok(false);
        }
        let world = World::anew_under_shipped_grades(fixture)?;
        outcomes =
            case.steps.iter().map(|step| world.query(&step.by, &step.sql)).collect::<Result<_, _>>()?;
    }
    Ok(true)
}

fn told(file: &AttackFile, case: &Attack, findings: Vec<String>) -> Vec<String> {
    let taught = case.teaches.as_ref().unwrap_or(&file.teaches);
    let line = |finding| format!("{}/{}: {finding}\n    it would teach {taught}", file.family, case.name);
    findings.into_iter().map(line).collect()
}

fn sightings(world: &World) -> anyhow::Result<Vec<String>> {
    let found = world.sightings()?;
    Ok(found.iter().map(|seen| format!("canary of {} in {}", seen.place, seen.seen_in)).collect())
}

fn judge_case(case: &Attack, worlds: &Worlds) -> anyhow::Result<Vec<String>> {
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
    if !case.needs_noise() && infers(case, &outcomes)? {
        findings.push("the answers, subtracted, give the victim's value".to_owned());
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
