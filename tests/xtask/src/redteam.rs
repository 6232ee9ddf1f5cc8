//! `cargo xtask redteam`: builds the programs that attack the guard, runs all of them, and has them write their page.
//! The programs, what they ask and what is said of it stand in `tests/redteam`.

use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::bail;

use crate::step;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`redteam` takes no arguments, got `{unknown}`");
    }
    eprintln!("The programs ask some hundred thousand questions on one core.");
    let finished = workspace::cargo()?
        // Of the whole workspace, or the engine would be built anew with other features.
        .args(["test", "--workspace", "--locked", "--test", "redteam"])
        .env("OBSCURA_REDTEAM", "1")
        .status()
        .context("cannot start cargo")?;
    Ok(step::exit_code(finished))
}
