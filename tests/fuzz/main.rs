//! Random SQL by a grammar, asked of the guard and the engine over people in memory, and asked once more of plain DataFusion.
//!
//! ```text
//! seed ──> question ──┬─> guard, engine, controls, over three data sets that differ in one person ──> four claims
//!                     └─> plain DataFusion over the rows that masks leave ──────────────────────────┘
//! ```
//!
//! Four claims for each question:
//!
//! 1. **No panic**, no `internal-error`, no failed run; a run may fail where plain DataFusion fails over the same rows.
//! 2. **The right answer.** Under controls that withhold and round nothing the answer is that of plain DataFusion, cell by cell,
//!    in its order where one is asked for. A list of keys and cells is compared a second time, under the real controls: a group
//!    of enough people is there and one of few is not, a cell is NULL or the exact one, rounded.
//! 3. **Neighbours end alike**: with one person other, or gone, the same question has the same verdict and the same end.
//! 4. **No canary leaves**: no unit key, identifier, masked or planted value is in a verdict, a finding, a rewrite or an answer.
//!
//! CI asks 2,000 questions; `cargo xtask fuzz` asks 30,000, with `--seed` and `--questions` as many others. A failure prints
//! its seed and number and the smallest question that fails like it, found by leaving out clauses.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "tests may panic, and print what they saw"
)]

mod compare;
mod grammar;
mod inputs;
mod judge;
mod people;
mod plain;
mod policy;
mod question;
mod run;
mod self_tests;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::environment;

use run::Run;

/// The seed of CI.
const SEED: u64 = 20_261_130;
/// Questions of CI, all parts together.
const QUESTIONS: u64 = 2_000;
/// Parts that run side by side.
const PARTS: u64 = 4;
/// Stack of a part: the engine in the development profile needs more than a test has.
const STACK_BYTES: usize = 64 * 1024 * 1024;

fn main() -> ExitCode {
    if let Some(asked) = environment::fuzz() {
        return match run::side_by_side(&asked) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let mut trials: Vec<Trial> = (0..PARTS)
        .map(|part| {
            Trial::test(format!("questions-{}", part + 1), move || {
                let each = QUESTIONS / PARTS;
                let run = Run { seed: SEED, first: part * each, questions: each };
                on_a_large_stack(|| run.judge(&|_| {})?.conclude())
                    .map_err(|error| format!("{error:#}").into())
            })
        })
        .collect();
    trials.extend(self_tests::trials());
    trials.extend(inputs::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs on a thread with a stack as large as a run needs.
pub(crate) fn on_a_large_stack<T: Send>(run: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run)?;
        thread.join().map_err(|_| anyhow::anyhow!("the run panicked"))?
    })
}
