//! A world to act in: the built program, a data folder of its own, people with tokens, sealed fixture data.
//! It runs the program as users do and keeps every byte that it printed; it judges nothing but canaries.

mod template;

pub use self::template::copy;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::Context as _;
use anyhow::ensure;
use serde::Deserialize;
use tempfile::TempDir;

use crate::canary::Scanner;
use crate::canary::Sighting;
use crate::environment;
use crate::fixture::Fixture;
use crate::table::Table;

/// The purpose that the fixture's grants name.
pub const PURPOSE: &str = "official-statistics";
/// The person who installs and adds people.
pub const OPERATOR: &str = "olga";
/// The person who seals, publishes and grants.
pub const STEWARD: &str = "stella";
/// The person who activates the policies that the other steward proposes.
pub const SECOND_STEWARD: &str = "sven";
/// The person who reads the log.
pub const AUDITOR: &str = "aldo";
/// Tables that are the same in every world: intervals of days and zones, both open, and firms.
const FIXED: [(&str, &str); 3] = [
    ("corpus.holidays", "attacks/data/holidays.csv"),
    ("corpus.zones", "attacks/data/zones.csv"),
    ("corpus.firms", "attacks/data/firms.csv"),
];
/// The people who ask.
pub const ANALYSTS: [&str; 2] = ["ana", "ben"];

/// The outcome of one run of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Exit codes by what they mean (`sandbox/docs/exit-codes.md`).
pub mod code {
    /// Done.
    pub const DONE: i32 = 0;
    /// Something broke.
    pub const FAILURE: i32 = 1;
    /// The command line or a setting is wrong.
    pub const USAGE: i32 = 2;
    /// A rule said no.
    pub const REFUSED: i32 = 3;
    /// It waits for another person.
    pub const WAITS: i32 = 4;
    /// The budget is spent.
    pub const BUDGET_SPENT: i32 = 5;
    /// No valid token.
    pub const AUTHENTICATION: i32 = 6;
    /// Something was altered.
    pub const VERIFICATION: i32 = 7;
    /// The controls let nothing out.
    pub const WITHHELD: i32 = 8;
}

/// A policy or a dataset that waits for a second person, as the program lists it.
#[derive(Deserialize)]
struct Proposal {
    policy: String,
    version: u32,
}

impl Outcome {
    /// Returns itself when the run was done.
    ///
    /// # Errors
    /// With both streams when it was not.
    pub fn done(self) -> anyhow::Result<Self> {
        ensure!(self.code == Some(code::DONE), "exit {:?}\n{}{}", self.code, self.stdout, self.stderr);
        Ok(self)
    }

    /// Reads standard output as a released table.
    ///
    /// # Errors
    /// When it is none.
    pub fn table(&self) -> anyhow::Result<Table> {
        Table::from_csv(&self.stdout)
    }
}

/// The grades of the corpora.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grades {
    /// The shipped ones without noise, from the documents of the corpora.
    Exact,
    /// The shipped ones.
    Shipped,
}

impl Grades {
    /// The datasets of the corpora under these grades.
    fn of(self, documents: &str) -> String {
        match self {
            Grades::Exact => documents.to_owned(),
            // An attack on documents needs a column without a range, and noise one that has it.
            Grades::Shipped => documents
                .replace("scheme: exact-2021", "scheme: db33t2351-2021")
                .replace("{name: age, type: int, ", "{name: age, type: int, range: [0, 120], "),
        }
    }
}

/// An installation in a temporary folder, with what it has printed so far.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    scanner: Scanner,
    sightings: Mutex<BTreeSet<Sighting>>,
}

impl World {
    /// Makes an installation with people, the corpus documents and the fixture sealed, under grades that ask for no noise.
    ///
    /// Such a world is made once for each fixture and build of the program, and copied from then on.
    ///
    /// # Errors
    /// When the program is not built or any step of this fails.
    pub fn with(fixture: &Fixture) -> anyhow::Result<Self> {
        Self::copied(fixture, Grades::Exact)
    }

    /// As [`World::with`], under the grades that the program ships: every number has named noise.
    ///
    /// # Errors
    /// When the program is not built or any step of this fails.
    pub fn under_shipped_grades(fixture: &Fixture) -> anyhow::Result<Self> {
        Self::copied(fixture, Grades::Shipped)
    }

    /// As [`World::under_shipped_grades`], made anew: its keys, and so its noise, are its own.
    ///
    /// # Errors
    /// When the program is not built or any step of this fails.
    pub fn anew_under_shipped_grades(fixture: &Fixture) -> anyhow::Result<Self> {
        let world = Self::empty(fixture)?;
        world.furnish(fixture, Grades::Shipped).context("cannot furnish a world")?;
        Ok(world)
    }

    fn copied(fixture: &Fixture, grades: Grades) -> anyhow::Result<Self> {
        let world = Self::empty(fixture)?;
        let template = template::of(fixture, grades)?;
        template::copy(&template, world.root())?;
        Ok(world)
    }

    /// Makes a world with nothing installed in it.
    ///
    /// # Errors
    /// When there is no temporary folder.
    pub fn empty(fixture: &Fixture) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for a world")?;
        fs::create_dir(folder.path().join("tmp"))?;
        let scanner = Scanner::new(fixture.canaries.clone())?;
        Ok(Self { folder, scanner, sightings: Mutex::default() })
    }

    /// The folder that holds everything of this world.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The program's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// The program, set up to act for a person, or for none; nothing of the surroundings reaches it.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn command(&self, person: Option<&str>) -> anyhow::Result<Command> {
        let mut command = Command::new(environment::product()?);
        command
            .env_clear()
            .env("OBSCURA_DATA_DIR", self.data())
            .env("TMPDIR", self.root().join("tmp"))
            .env("NO_COLOR", "1")
            .current_dir(self.root())
            .stdin(Stdio::null());
        if let Some(person) = person {
            command.env("OBSCURA_TOKEN_FILE", self.token_file(person));
        }
        Ok(command)
    }

    /// Runs the program for a person and keeps what it printed.
    ///
    /// # Errors
    /// When it cannot be started or prints what is no text.
    pub fn run(&self, person: &str, arguments: &[&str]) -> anyhow::Result<Outcome> {
        let mut command = self.command(Some(person))?;
        command.args(arguments);
        self.finish(command, &format!("`obscura {}` for {person}", arguments.join(" ")))
    }

    /// Runs a prepared command to its end and keeps what it printed.
    ///
    /// # Errors
    /// When it cannot be started or prints what is no text.
    pub fn finish(&self, mut command: Command, name: &str) -> anyhow::Result<Outcome> {
        let arguments: Vec<u8> =
            command.get_args().flat_map(|argument| argument.as_encoded_bytes().iter().copied()).collect();
        let output = command.output().with_context(|| format!("cannot start {name}"))?;
        self.note(&format!("standard output of {name}"), &output.stdout, &arguments);
        self.note(&format!("standard error of {name}"), &output.stderr, &arguments);
        Ok(Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).context("standard output is no text")?,
            stderr: String::from_utf8(output.stderr).context("standard error is no text")?,
        })
    }

    /// Asks a question for the fixture's purpose and wants the answer as CSV.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn query(&self, person: &str, sql: &str) -> anyhow::Result<Outcome> {
        self.run(person, &["query", "--purpose", PURPOSE, "--output", "csv", "--", sql])
    }

    /// Seals a file as a dataset's new version.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn seal(&self, dataset: &str, file: &Path) -> anyhow::Result<Outcome> {
        let file = file.to_str().context("paths of tests are text")?;
        self.run(STEWARD, &["seal", dataset, file])
    }

    /// Puts a file of documents without policies in force.
    ///
    /// # Errors
    /// When the program refuses them.
    pub fn publish(&self, person: &str, file: &Path) -> anyhow::Result<()> {
        let file = file.to_str().context("paths of tests are text")?;
        self.run(person, &["policy", "publish", file])?.done()?;
        Ok(())
    }

    /// Puts a file of documents in force of which some wait: one steward proposes them, another activates them.
    ///
    /// # Errors
    /// When the program refuses them.
    pub fn enact(&self, author: &str, second: &str, file: &Path) -> anyhow::Result<()> {
        let file = file.to_str().context("paths of tests are text")?;
        let published = self.run(author, &["policy", "publish", file])?;
        ensure!(published.code == Some(code::WAITS), "{}{}", published.stdout, published.stderr);
        let waiting = self.run(second, &["policy", "proposals", "--output", "json"])?.done()?;
        let mut waiting: Vec<Proposal> =
            serde_json::from_str(&waiting.stdout).context("the list of proposals is no JSON")?;
        // Datasets first, whose names have a dot: a policy is checked against those in force.
        waiting.sort_by_key(|proposal| !proposal.policy.contains('.'));
        for Proposal { policy, version } in waiting {
            self.run(second, &["policy", "activate", &format!("{policy}@{version}")])?.done()?;
        }
        Ok(())
    }

    /// Returns every canary that was seen in what the program printed, or is in any file of this world.
    ///
    /// # Errors
    /// When a file cannot be read.
    ///
    /// # Panics
    /// When a thread panicked while it noted a sighting.
    pub fn sightings(&self) -> anyhow::Result<BTreeSet<Sighting>> {
        let mut found = self.scanner.scan_folder(self.root())?;
        found.extend(self.sightings.lock().expect("no thread panicked").iter().cloned());
        Ok(found)
    }

    /// Keeps what is seen in these bytes, except values that the caller wrote: a caller who reads their own words learns
    /// nothing.
    fn note(&self, name: &str, bytes: &[u8], said_by_caller: &[u8]) {
        let said = self.scanner.places_seen("the arguments", said_by_caller);
        let mut found = self.scanner.scan(name, bytes);
        found.retain(|sighting| !said.contains(&sighting.place));
        self.sightings.lock().expect("no thread panicked").extend(found);
    }

    fn token_file(&self, person: &str) -> PathBuf {
        self.root().join(format!("{person}.token"))
    }

    /// Makes the installation, its people, its documents and its sealed data.
    fn furnish(&self, fixture: &Fixture, grades: Grades) -> anyhow::Result<()> {
        let mut init = self.command(None)?;
        init.args(["init", "--operator", OPERATOR, "--token-file"]).arg(self.token_file(OPERATOR));
        self.finish(init, "`obscura init`")?.done()?;
        let documents = environment::tests_folder().join("attacks").join("documents");
        self.publish(OPERATOR, &documents.join("department.yaml"))?;
        self.add_person(STEWARD, "steward", "corpus")?;
        self.add_person(SECOND_STEWARD, "steward", "corpus")?;
        self.add_person(AUDITOR, "auditor", "corpus")?;
        for analyst in ANALYSTS {
            self.add_person(analyst, "analyst", "corpus")?;
        }
        let plain = tempfile::tempdir().context("cannot make a folder for plain text")?;
        let corpus = plain.path().join("corpus.yaml");
        fs::write(&corpus, grades.of(&fs::read_to_string(documents.join("corpus.yaml"))?))?;
        self.enact(STEWARD, SECOND_STEWARD, &corpus)?;
        let grants = documents.join("grants.yaml");
        let grants = grants.to_str().context("paths of tests are text")?;
        self.run(STEWARD, &["grant", "create", "--file", grants])?.done()?;
        fixture.write(plain.path())?;
        for table in fixture.tables() {
            let file = plain.path().join(format!("{}.csv", table.name));
            self.seal(&format!("corpus.{}", table.name), &file)?.done()?;
        }
        for (dataset, file) in FIXED {
            self.seal(dataset, &environment::tests_folder().join(file))?.done()?;
        }
        Ok(())
    }

    /// Adds a person and makes their token.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn add_person(&self, name: &str, role: &str, department: &str) -> anyhow::Result<()> {
        self.run(OPERATOR, &["person", "add", name, "--role", role, "--department", department])?.done()?;
        let file = self.token_file(name);
        let file = file.to_str().context("paths of tests are text")?;
        self.run(OPERATOR, &["token", "create", name, "--file", file])?.done()?;
        Ok(())
    }
}
