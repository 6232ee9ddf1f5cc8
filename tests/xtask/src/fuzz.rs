//! `cargo xtask fuzz`: builds the suite of random questions and asks many more of them than CI does.
//! The grammar, the comparisons and the seed of CI stand in `tests/fuzz`.

use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::bail;

use crate::step;
use crate::workspace;

/// The options and the variables that hand them on.
const OPTIONS: [(&str, &str); 3] = [
    ("--seed", "OBSCURA_FUZZ_SEED"),
    ("--first", "OBSCURA_FUZZ_FIRST"),
    ("--questions", "OBSCURA_FUZZ_QUESTIONS"),
];

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let numbers = numbers(arguments)?;
    let finished = workspace::cargo()?
        // Of the whole workspace, or the engine would be built anew with other features.
        .args(["test", "--workspace", "--locked", "--test", "fuzz"])
        .env("OBSCURA_FUZZ", "1")
        .envs(numbers)
        .status()
        .context("cannot start cargo")?;
    Ok(step::exit_code(finished))
}

/// The variables of the options, each with its number.
fn numbers(arguments: &[String]) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut numbers = Vec::new();
    for pair in arguments.chunks(2) {
        let option = OPTIONS.iter().find(|(option, _)| pair.first().is_some_and(|given| given == option));
        let (Some((option, variable)), Some(number)) = (option, pair.get(1)) else {
            bail!("`fuzz` takes --seed N, --first N and --questions N, got `{}`", pair.join(" "));
        };
        let number: u64 = number.parse().with_context(|| format!("{option} takes a whole number"))?;
        numbers.push((*variable, number.to_string()));
    }
    Ok(numbers)
}
