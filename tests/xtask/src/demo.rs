//! `cargo xtask demo`: builds the product, then runs its demo with the arguments given.
//! The story itself is the product's.

use std::process::Command;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::bail;

use crate::step;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (package, name) = workspace::PRODUCT;
    let binary = workspace::binary(name)?;
    if !binary.exists() {
        eprintln!("Building Obscura for the first time. The query engine is most of it:");
        eprintln!("up to 25 minutes on 2 cores, a minute after a change in one crate.");
    }
    let started = Instant::now();
    let built = workspace::cargo()?
        .args(["build", "--locked", "--package", package, "--bin", name])
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("the product does not build; the compiler's messages stand above");
    }
    eprintln!("Built in {}.", step::duration(started.elapsed()));

    let finished = Command::new(&binary)
        .arg("demo")
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    Ok(step::exit_code(finished))
}
