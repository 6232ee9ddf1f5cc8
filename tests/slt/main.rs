//! sqllogictest: small files of questions with the rows or the refusal that must come, one test a file.
//! Answers are those of the program; numbers here are written by hand, next to the oracle's in the near misses.

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::corpus;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::World;
use obscura_tests::world::code;
use sqllogictest::DB;
use sqllogictest::DBOutput;
use sqllogictest::DefaultColumnType;
use sqllogictest::Runner;

/// The command line as a database that answers or refuses.
struct Door {
    world: World,
}

/// The program's message instead of an answer.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl DB for Door {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let outcome = self.world.query("ana", sql).map_err(|error| Refused(error.to_string()))?;
        if outcome.code != Some(code::DONE) {
            return Err(Refused(outcome.stderr));
        }
        let mut reader = csv::Reader::from_reader(outcome.stdout.as_bytes());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| Refused(error.to_string()))?;
            rows.push(
                record.iter().map(|cell| if cell.is_empty() { "NULL" } else { cell }.to_owned()).collect(),
            );
        }
        let width = rows.first().map_or(0, Vec::len);
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows })
    }

    fn engine_name(&self) -> &str {
        "obscura"
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match corpus::files("slt") {
        Ok(files) => files.into_iter().map(trial).collect(),
        Err(error) => vec![Trial::test("the-corpus-is-there", move || Err(format!("{error:#}").into()))],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Trial::test(name, move || judge(&file).map_err(|error| format!("{error:#}").into()))
}

fn judge(file: &PathBuf) -> anyhow::Result<()> {
    let fixture = Fixture::load()?;
    let mut runner = Runner::new(|| async {
        let world = World::with(&fixture).map_err(|error| Refused(format!("{error:#}")))?;
        Ok(Door { world })
    });
    runner.run_file(file).map_err(|error| anyhow::anyhow!("{}", error.display(false)))
}
