//! `cargo xtask demo`: builds the product, then runs its demo with the arguments given.
//! The story itself is the product's.

use std::process::Command;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::step;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let binary = workspace::binary(workspace::PRODUCT)?;
    if !binary.exists() {
        eprintln!("Building Obscura for the first time. The query engine is most of it:");
        eprintln!("up to 25 minutes on 2 cores, a minute after a change in one crate.");
    }
    let started = Instant::now();
    workspace::build_product()?;
    eprintln!("Built in {}.", step::duration(started.elapsed()));

    let finished = Command::new(&binary)
        .arg("demo")
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    Ok(step::exit_code(finished))
}
