//! `cargo xtask bench [arguments]`: builds the benchmarks with optimisation and runs them.
//! The benchmark crate decides what is measured, and prints the table.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::step;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    eprintln!("Building with optimisation; the first time takes about half an hour on 2 cores.");
    let finished = workspace::cargo()?
        .args(["run", "--release", "--locked", "--package", "obscura-benches", "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    Ok(step::exit_code(finished))
}
