//! `cargo xtask test`: everything that CI runs, slow tests included. It takes no shortcut that CI does not take.
//! The crates hold the tests.

use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;

use anyhow::bail;

use crate::python;
use crate::step::Outcome;
use crate::step::Steps;
use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!(
            "`test` takes no arguments, got `{unknown}`; to run a few tests use `cargo nextest run FILTER`"
        );
    }
    let mut steps = Steps::new();
    steps.command("formatting", workspace::cargo()?.args(["fmt", "--all", "--", "--check"]));

    // The lints come before the build: most mistakes show here, and minutes earlier.
    steps.command(
        "lints",
        workspace::cargo()?.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    );

    let mut python = None;
    steps.step("python", || {
        python = Some(python::prepare()?);
        Ok(())
    });

    // One resolution of features for binaries and tests, or the engine would be built twice.
    let built = steps.command(
        "build",
        workspace::cargo()?.args(["build", "--workspace", "--bins", "--tests", "--examples", "--locked"]),
    );
    if built == Outcome::Passed {
        let mut tests = test_runner()?;
        tests.env("RUN_SLOW", "1");
        if let Some(python) = &python {
            tests.env("OBSCURA_PYTHON", python);
        }
        steps.command("tests", &mut tests);
        steps.command(
            "examples in documents",
            // Of the whole workspace, or what the build has made does not fit.
            workspace::cargo()?.args(["test", "--doc", "--workspace", "--locked"]),
        );
    } else {
        steps.skip("tests");
        steps.skip("examples in documents");
    }
    steps.command(
        "documents",
        workspace::cargo()?.env("RUSTDOCFLAGS", "-D warnings").args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ]),
    );
    Ok(steps.finish())
}

/// The test runner: nextest where it is installed, else cargo's own. Both run the same tests.
pub(crate) fn test_runner() -> anyhow::Result<Command> {
    let mut command = workspace::cargo()?;
    if has_nextest()? {
        command.args(["nextest", "run", "--workspace", "--profile", "ci", "--locked"]);
    } else {
        let kinds = ["--lib", "--bins", "--tests", "--examples"];
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(kinds);
    }
    Ok(command)
}

fn has_nextest() -> anyhow::Result<bool> {
    let status = workspace::cargo()?
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}
