//! Named steps of a long run: each prints its beginning and its time, and all of them a table at the end.
//! It does not decide what a run consists of.

use std::process::Command;
use std::process::ExitCode;
use std::process::ExitStatus;
use std::time::Duration;
use std::time::Instant;

/// The outcome of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Not tried, because a step that it rests on failed.
    Skipped,
}

/// The steps of one run, in order.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(&'static str, Outcome, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Runs one command as a step. Its output goes to the terminal as it comes.
    pub(crate) fn command(&mut self, name: &'static str, command: &mut Command) -> Outcome {
        self.step(name, || {
            let status = command.status()?;
            anyhow::ensure!(status.success(), "{status}");
            Ok(())
        })
    }

    /// Runs anything as a step.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<()>) -> Outcome {
        println!("==> {name}");
        let started = Instant::now();
        let outcome = match work() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                println!("<== {name} failed: {error:#}");
                Outcome::Failed
            }
        };
        let elapsed = started.elapsed();
        if outcome == Outcome::Passed {
            println!("<== {name} passed after {}", duration(elapsed));
        }
        self.done.push((name, outcome, elapsed));
        outcome
    }

    /// Notes a step that makes no sense any more.
    pub(crate) fn skip(&mut self, name: &'static str) {
        println!("==> {name} skipped: what it rests on failed");
        self.done.push((name, Outcome::Skipped, Duration::ZERO));
    }

    /// Prints the table and says whether everything passed.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        println!("{:<28} {:<8} {:>9}", "step", "result", "time");
        for (name, outcome, elapsed) in &self.done {
            let word = match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            println!("{name:<28} {word:<8} {:>9}", duration(*elapsed));
        }
        let all_passed = self.done.iter().all(|(_, outcome, _)| *outcome == Outcome::Passed);
        let word = if all_passed { "passed" } else { "FAILED" };
        println!("{:<28} {word:<8} {:>9}", "all", duration(self.started.elapsed()));
        if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A duration as a person reads it.
pub(crate) fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// The exit code of a program that ended, as the shell gives it on.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code().map(u8::try_from) {
        Some(Ok(code)) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    }
}
