//! Killed at any instant: sealing, asking and granting leave the old state or the new one, and the log stays true.
//!
//! A failure is: a log that does not verify, a dataset that does not verify, an answer of neither state, a job that
//! never ends, or a command that cannot go on. Not a failure: that the killed command's work is lost.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::fixture::Neighbour;
use obscura_tests::oracle::description::Description;
use obscura_tests::table::Cell;
use obscura_tests::table::Table;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;

mod full;

const QUESTION: &str = "SELECT dept, SUM(salary) FROM persons GROUP BY dept";

/// A small generator of repeatable numbers, printed with every failure.
struct Seeded(u64);

impl Seeded {
    /// The next number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn rounds() -> u32 {
    if environment::run_slow() { 12 } else { 2 }
}

/// Runs a command to its end and says how long it took, then runs it again and again, killed at a random instant.
fn kill_often(name: &str, world: &World, command: impl Fn(u32) -> Command, check: impl Fn(&str)) {
    let begun = Instant::now();
    let whole = world.finish(command(0), name).unwrap().done();
    let took = begun.elapsed();
    assert!(whole.is_ok(), "{name}: {}", whole.unwrap_err());
    let mut seeded = Seeded(20_261_121);
    for round in 1..=rounds() {
        let micros = u64::try_from(took.as_micros()).unwrap() + 1;
        let after = Duration::from_micros(seeded.below(micros));
        let mut child = command(round).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_or_kill(&mut child, after);
        check(&format!("{name}, round {round}, killed after {after:?} of {took:?}"));
    }
}

/// Ends the program with a signal that it cannot catch. Time passing is the very thing under test here.
fn wait_or_kill(child: &mut Child, after: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < after {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Asserts the properties that hold after every kill.
fn is_sound(world: &World, what: &str) {
    for arguments in [&["audit", "verify"][..], &["doctor"]] {
        let outcome = world.run(AUDITOR, arguments).unwrap().done();
        assert!(outcome.is_ok(), "{what}: `obscura {}`: {}", arguments.join(" "), outcome.unwrap_err());
    }
    let verified = world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap().done();
    assert!(verified.is_ok(), "{what}: {}", verified.unwrap_err());
    let jobs = world.run("ana", &["job", "list", "--output", "csv"]).unwrap().done().unwrap();
    let states = jobs.table().unwrap().rows;
    for state in ["running", "received"] {
        let is_stuck = states.iter().any(|row| row.get(1) == Some(&Cell::Text(state.to_owned())));
        assert!(!is_stuck, "{what}: a job never ends\n{}", jobs.stdout);
    }
}

/// The fixture's people in a file, as they are or with another victim.
fn people(folder: &Path, how: Option<Neighbour>) -> PathBuf {
    let fixture = Fixture::load().unwrap();
    let fixture = how.map_or_else(|| fixture.clone(), |how| fixture.neighbour(how).unwrap());
    let name = if how.is_some() { "other" } else { "same" };
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    fixture.write(&folder).unwrap();
    folder.join("persons.csv")
}

/// The oracle's answer over the fixture's people, as they are or with another victim.
fn right(how: Option<Neighbour>) -> Table {
    let fixture = Fixture::load().unwrap();
    let fixture = how.map_or_else(|| fixture.clone(), |how| fixture.neighbour(how).unwrap());
    let described = "from = 'persons'\nkeys = ['dept']\ncells = ['sum salary']";
    toml::from_str::<Description>(described).unwrap().answer(&fixture).unwrap()
}

#[test]
fn a_killed_seal_leaves_one_version_or_the_other() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let plain = tempfile::tempdir().unwrap();
    let files = [people(plain.path(), None), people(plain.path(), Some(Neighbour::Changed))];
    let answers = [right(None), right(Some(Neighbour::Changed))];
    assert_ne!(answers[0], answers[1], "the two states answer alike");
    let seal = |round: u32| {
        let mut command = world.command(Some(STEWARD)).unwrap();
        let file = &files[usize::from(round.is_multiple_of(2))];
        command.args(["seal", "corpus.persons", "--replace"]).arg(file);
        command
    };
    kill_often("seal", &world, seal, |what| {
        is_sound(&world, what);
        let found =
            world.query("ana", QUESTION).unwrap().done().unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = found.table().unwrap();
        let is_one = answers.iter().any(|answer| found.differences(answer, 0.0).is_empty());
        assert!(is_one, "{what}: neither state answers\n{found:?}");
    });
    assert!(world.sightings().unwrap().is_empty());
}

#[test]
fn a_killed_query_is_complete_or_lost() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let right = world.query("ana", QUESTION).unwrap().done().unwrap().stdout;
    let ask = |_| {
        let mut command = world.command(Some("ana")).unwrap();
        command.args(["query", "--purpose", PURPOSE, "--output", "csv", QUESTION]);
        command
    };
    kill_often("query", &world, ask, |what| {
        is_sound(&world, what);
        let again = world.query("ana", QUESTION).unwrap().done();
        assert_eq!(again.unwrap().stdout, right, "{what}");
    });
    assert!(world.sightings().unwrap().is_empty());
}

#[test]
fn a_killed_grant_is_in_force_with_its_event_or_not_at_all() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let grant = |_| {
        let mut command = world.command(Some(STEWARD)).unwrap();
        let granted = ["--person", "ben", "--purpose", PURPOSE, "--dataset", "corpus.visits:person_id,day"];
        command.args(["grant", "create"]).args(granted).args(["--until", "2099-01-01"]);
        command
    };
    kill_often("grant", &world, grant, |what| {
        is_sound(&world, what);
        world
            .run(STEWARD, &["grant", "list"])
            .unwrap()
            .done()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    });
}
