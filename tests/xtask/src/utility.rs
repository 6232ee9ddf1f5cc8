//! `cargo xtask utility`: builds the suite that asks 100 questions over the demo city, and has it write its page and its list of
//! refused questions. The questions and what is said of them stand in `tests/utility`.

use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::bail;

use crate::step;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`utility` takes no arguments, got `{unknown}`");
    }
    let finished = workspace::cargo()?
        // Of the whole workspace, or the engine would be built anew with other features.
        .args(["test", "--workspace", "--locked", "--test", "utility"])
        .env("OBSCURA_UTILITY", "1")
        .status()
        .context("cannot start cargo")?;
    Ok(step::exit_code(finished))
}
