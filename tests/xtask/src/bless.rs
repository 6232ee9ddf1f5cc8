//! `cargo xtask bless [filter]`: runs the tests and accepts what they produced as the new snapshots.
//! Lists that may only shrink are not snapshots: no command grows them.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::step;
use crate::test;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    workspace::build_product()?;
    let finished = test::test_runner()?
        .args(arguments)
        .env("INSTA_UPDATE", "always")
        .env("OBSCURA_BLESS", "1")
        .env("TRYBUILD", "overwrite")
        .status()
        .context("cannot start the test runner")?;
    println!("Read `git diff` before you commit: a snapshot that changed without a reason is a defect.");
    Ok(step::exit_code(finished))
}
