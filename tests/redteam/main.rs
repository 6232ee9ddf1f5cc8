//! Programs that play an analyst: each asks the real guard many questions about a synthetic register, and guesses the secret bit of
//! one person at a time. What is measured is how much better than a coin it guesses.
//!
//! ```text
//! register (a seed) ──> desk (guard, execution, keyed noise) ──> program ──> guesses ──> advantage
//!                         └ exact answers; noise drawn anew ┘
//! ```
//!
//! Rows are left out by `IS NOT TRUE`: `NOT` and `<>` leave out missing values too, whose names have noise of their own, so that an
//! analyst who writes those makes the attack weaker than it is.
//!
//! The tests run them small; with `OBSCURA_REDTEAM=1` this suite runs all of them and writes what came of it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "tests may panic, and print what they saw; the numbers are small"
)]

mod desk;
mod exposure;
mod in_lists;
mod partitions;
mod policy;
mod register;
mod rephrasing;
mod report;
mod score;
mod short;
mod trackers;
mod versions;
mod weights;
mod withholding;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use obscura_tests::environment;

use desk::Desk;
use desk::Protection;
use register::Register;
use score::Outcome;

/// Stack of a run: the engine in the development profile needs more than a test has.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// A program: it asks at a desk about a register, and says how well it guessed.
pub(crate) type Program = fn(&Desk, &Register, &Scale) -> anyhow::Result<Vec<Outcome>>;

/// The size of a run.
pub(crate) struct Scale {
    /// Persons whose bits are guessed where each is asked about with many keys, and where there are thresholds alone.
    pub(crate) targets: (usize, usize),
    /// Noise keys.
    pub(crate) keys: usize,
    /// Choices of IN lists, of four cells each.
    pub(crate) choices: Vec<usize>,
    /// Spellings of one question.
    pub(crate) spellings: usize,
    /// Columns with which a tracker is padded.
    pub(crate) filled: Vec<usize>,
    /// Partitions of a total.
    pub(crate) partitions: usize,
    /// Versions, half of them before a person came.
    pub(crate) versions: Vec<usize>,
    /// Cells that show or do not.
    pub(crate) shown: usize,
}

impl Scale {
    /// Persons whose bits are guessed at a desk.
    pub(crate) fn targets(&self, desk: &Desk) -> usize {
        if desk.protection == Protection::Threshold { self.targets.1 } else { self.targets.0 }
    }
}

fn main() -> ExitCode {
    if environment::red_team() {
        return match on_a_large_stack(report::write) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    libtest_mimic::run(&Arguments::from_args(), short::trials()).exit_code()
}

/// Runs on a thread with a stack as large as a run needs.
pub(crate) fn on_a_large_stack(run: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run)?;
        thread.join().map_err(|_| anyhow::anyhow!("the run panicked"))?
    })
}
