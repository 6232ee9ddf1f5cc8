//! For every construct of SQL that nests or multiplies, at depths from one to far beyond the limits: a review takes little
//! time and memory or refuses the statement as too large, and so do the plans that the engine makes of an admitted one,
//! and running it over a few rows. Nothing panics, overflows a stack or hangs.
//!
//! Each construct is a child process of this program: it reviews and says how long each review took and what memory it
//! grew to; this one waits for every step and ends the child when a step takes too long. The times of a debug build on a
//! busy machine say little: only what is far beyond fails, and the figures are printed (`SLOW` marks more than a second).
//!
//! `RUN_SLOW=1` takes all depths.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic, and print what they saw"
)]

mod child;
mod expressions;
mod parent;
mod served;
mod statements;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use libtest_mimic::Trial;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::ARGUMENT) {
        return child::main(&arguments.collect::<Vec<_>>());
    }
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = constructs()
        .into_iter()
        .map(|construct| {
            let name = construct.name;
            Trial::test(name, move || parent::judge(&construct).map_err(|error| format!("{error:#}").into()))
        })
        .collect();
    trials.push(Trial::test("the-service-answers-throughout", || {
        served::judge().map_err(|error| format!("{error:#}").into())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Something that nests or multiplies, everywhere where it can stand.
pub(crate) struct Construct {
    pub(crate) name: &'static str,
    pub(crate) cases: Vec<Case>,
}

/// One construct at one place.
pub(crate) struct Case {
    pub(crate) place: String,
    /// A condition that narrows the people, when the construct is one; else it is the statement.
    pub(crate) is_row_filter: bool,
    /// The text for a depth; none when it would be far too long.
    pub(crate) text: Box<dyn Fn(usize) -> Option<String> + Send>,
}

/// All of them.
pub(crate) fn constructs() -> Vec<Construct> {
    let mut all = expressions::constructs();
    all.extend(statements::constructs());
    all
}
