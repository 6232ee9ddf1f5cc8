//! A second engine as witness: what the product answers is compared, cell by cell, with DuckDB over the rows in clear.
//!
//! ```text
//! question ──┬─> product (the program, or guard and engine) ──> answer ─────┐
//!            └─> witness.py: a parser of its own, DuckDB, declared protection ┴─> findings
//! ```
//!
//! Asked are the near misses, 500 generated questions, fifty ordinary ones, what was reported of the product's engine, and
//! what is offered for refused questions. A withheld cell needs a small or dominated group; everything else must be equal up to declared rounding.
//! What an answer tells about one person is the business of other suites.
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
