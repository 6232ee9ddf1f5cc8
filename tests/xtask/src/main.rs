//! The project's own commands: `cargo xtask demo`, `test`, `bless`, `bench`, `redteam`, `fuzz` and `utility`.
//! It starts cargo and the built binary; it holds no test and no product code.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

mod bench;
mod bless;
mod demo;
mod fuzz;
mod python;
mod redteam;
mod step;
mod test;
mod utility;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

const HELP: &str = "\
usage: cargo xtask <command> [arguments]

  demo [arguments]   build the product and run `obscura demo` (try: demo --once, demo --once --lang zh)
  test               everything that CI runs: formatting, lints, tests, slow tests, documents
  bless [filter]     run the tests and accept the new snapshots; read the difference before you commit it
  bench [arguments]  build with optimisation and measure the product against plain DataFusion
  redteam            have the programs of `tests/redteam` attack the guard, and write sandbox/docs/attack-results.md
  fuzz [numbers]     ask the guard 30,000 random questions (--seed N --questions N --first N)
  utility            ask the 100 questions of `tests/utility` over the demo city, and write sandbox/docs/utility.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    match command.as_str() {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "bless" => bless::run(rest),
        "bench" => bench::run(rest),
        "redteam" => redteam::run(rest),
        "fuzz" => fuzz::run(rest),
        "utility" => utility::run(rest),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`; `cargo xtask help` lists them"),
    }
}
