//! A second engine as witness: the product's answers are compared, cell by cell, with those of DuckDB over the rows in
//! clear.
//!
//! ```text
//! question ──┬─> product (the program, or guard and engine) ──> answer ─────┐
//!            └─> witness.py: a parser of its own, DuckDB, declared protection ┴─> findings
//! ```
//!
//! It asks the near misses, 500 generated questions, fifty ordinary ones, questions from reports about the product's engine,
//! and the rewrites of refused questions. A withheld cell needs a small or dominated group; everything else must be equal up
//! to declared rounding. Other suites judge what an answer tells about one person.
#![expect(clippy::print_stderr, reason = "tests say why they did not run, and which cases are open")]

mod cases;
mod generated;
mod judge;
mod process;
mod rewrites;
mod tables;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::environment;

use process::Witness;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = cases::trials();
    trials.extend(generated::trials());
    trials.push(trial("a-wrong-answer-is-found".to_owned(), generated::wrong_answers_are_found));
    trials.push(trial("rewrites-are-what-their-names-say".to_owned(), rewrites::judge));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that needs the witness's Python; without it, it says so and fails only where everything is to run.
fn trial(name: String, judge: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        if environment::python().is_none() {
            if environment::run_slow() {
                return Err("no Python: OBSCURA_PYTHON names the interpreter with DuckDB".into());
            }
            eprintln!(
                "skipped: OBSCURA_PYTHON names no interpreter with DuckDB; `cargo xtask test` makes one"
            );
            return Ok(());
        }
        judge().map_err(|error| format!("{error:#}").into())
    })
}
