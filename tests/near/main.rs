//! Near misses against the built program: ordinary questions must be answered, and every cell must be the oracle's.
//! One test a file; each question is asked over the fixture and over both neighbours of it.

use std::process::ExitCode;

use anyhow::ensure;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::corpus;
use obscura_tests::corpus::NearFile;
use obscura_tests::corpus::NearMiss;
use obscura_tests::fixture::Fixture;
use obscura_tests::fixture::Neighbour;
use obscura_tests::table::parse_order;
use obscura_tests::world::World;
use obscura_tests::world::code;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match corpus::near_misses() {
        Ok(files) => files
            .into_iter()
            .map(|(name, file)| {
                Trial::test(name, move || judge(&file).map_err(|error| format!("{error:#}").into()))
            })
            .collect(),
        Err(error) => {
            vec![Trial::test("the-corpus-is-well-formed", move || Err(format!("{error:#}").into()))]
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn judge(file: &NearFile) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let mut findings = Vec::new();
    let neighbours = [fixture.neighbour(Neighbour::Changed)?, fixture.neighbour(Neighbour::Absent)?];
    for (data, fixture) in
        ["the fixture", "a changed victim", "no victim"].iter().zip([fixture].iter().chain(&neighbours))
    {
        let world = World::with(fixture)?;
        for case in &file.cases {
            let found = judge_case(case, &world, fixture)?;
            findings.extend(
                found
                    .into_iter()
                    .map(|finding| format!("{} over {data}: {finding}\n    {}", case.name, case.sql)),
            );
        }
        findings.extend(
            world
                .sightings()?
                .into_iter()
                .map(|seen| format!("canary of {} in {}", seen.place, seen.seen_in)),
        );
    }
    ensure!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

fn judge_case(case: &NearMiss, world: &World, fixture: &Fixture) -> anyhow::Result<Vec<String>> {
    let outcome = world.query("ana", &case.sql)?;
    if let Some(slug) = &case.refused {
        let as_said = outcome.code == Some(code::REFUSED) && outcome.stderr.contains(slug.as_str());
        return Ok(if as_said {
            Vec::new()
        } else {
            vec![format!("must be `{slug}`, exit {:?}: {}{}", outcome.code, outcome.stdout, outcome.stderr)]
        });
    }
    let Some(answer) = &case.answer else { return Ok(vec!["no answer is stated".to_owned()]) };
    if outcome.code != Some(code::DONE) {
        return Ok(vec![format!(
            "must be answered, exit {:?}: {}{}",
            outcome.code, outcome.stdout, outcome.stderr
        )]);
    }
    let table = outcome.table()?;
    let mut findings = table.differences(&answer.answer(fixture)?, case.tolerance);
    if let Some((column, descending)) = parse_order(&case.ordered)?
        && !table.is_ordered_by(column, descending)
    {
        findings.push(format!("not in the order asked for:\n{}", outcome.stdout));
    }
    Ok(findings)
}
