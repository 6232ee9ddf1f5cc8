//! The utility of what leaves: 100 questions as analysts write them, over the demo city, through the guard and beside a plain
//! engine over the rows in clear.
//!
//! ```text
//! question ──> guard ──┬─> refused: its reasons, and what is offered instead (which the guard must admit)
//!                      └─> admitted ──> run under the declared controls, thresholds alone, none ──┐
//!          ──> plain engine over the rows in clear, under the masks ──────────────────────────────┴─> what is missing, and
//!                                                                                                    how far numbers are off
//! ```
//!
//! As tests, the list of refused questions and what each answer lacks must stay as the page says, and no answer may differ from
//! the exact one by more than declared protection. With `OBSCURA_UTILITY=1` this suite writes that list and that page.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic, and print what they saw"
)]

mod city;
mod compare;
mod desk;
mod documents;
mod judge;
mod noise;
mod page;
mod questions;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use obscura_sandbox::city::City;
use obscura_tests::environment;

use desk::Desk;
use desk::Outcome;
use questions::File;

/// Stack of a run: the engine in the development profile needs more than a test has.
const STACK_BYTES: usize = 64 * 1024 * 1024;

fn main() -> ExitCode {
    if environment::utility() {
        return match on_a_large_stack(page::write) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    libtest_mimic::run(&Arguments::from_args(), judge::trials()).exit_code()
}

/// A question with what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) purpose: String,
    pub(crate) title: String,
    pub(crate) outcome: Result<Outcome, String>,
}

/// Asks all questions of a file in a city of so many residents; a run that fails is an outcome too.
pub(crate) fn ask(file: &File, residents: u32) -> anyhow::Result<Vec<Asked>> {
    let desk = Desk::of(&file.purpose, &City::new(City::SEED_DEMO, residents))?;
    let asked = file.questions.iter().map(|question| Asked {
        purpose: file.purpose.clone(),
        title: question.title.clone(),
        outcome: desk.ask(&question.sql).map_err(|error| format!("{error:#}")),
    });
    Ok(asked.collect())
}

/// Runs on a thread with a stack as large as a run needs.
pub(crate) fn on_a_large_stack<T: Send>(run: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run)?;
        thread.join().map_err(|_| anyhow::anyhow!("the run panicked"))?
    })
}
