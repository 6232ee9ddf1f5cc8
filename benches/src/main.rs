//! Measures Obscura against plain DataFusion, side by side in one run, on TPC-H lineitem with the order as subject.
//!
//! It reports ratios; it is not the only check of any behaviour, though it asserts that guarded answers equal plain ones
//! within declared rounding. `measure` writes raw samples and the table, `report` makes the table again from samples.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may panic"))]

mod check;
mod control_time;
mod data;
mod guard_time;
mod lineitem;
mod machine;
mod measure;
mod plain_table;
mod queries;
mod report;
mod samples;
mod variants;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;
use mimalloc::MiMalloc;

// The allocator of the product, so that both sides of every ratio use the one that is shipped.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures Obscura against plain DataFusion on TPC-H lineitem.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: measure::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes `benches/README.md` again from the newest committed samples of each scale factor.
    Report,
    /// Runs one query once and prints how long it took and how much memory the process held at most.
    Once(measure::Once),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Some(Command::Once(once)) => {
            let seen = measure::once(&once).await?;
            println!("{}", serde_json::to_string(&seen)?);
            Ok(())
        }
        Some(Command::Report) => write_report(),
        None => {
            let samples = measure::measure(&arguments.measure).await?;
            // Samples without optimisation say nothing worth keeping.
            if samples.settings.is_release {
                let name = samples.write(&folder().join("samples"))?;
                eprintln!("samples: benches/samples/{name}");
                write_report()?;
            }
            println!("{}", report::table(&samples));
            Ok(())
        }
    }
}

fn write_report() -> anyhow::Result<()> {
    let newest = samples::newest_by_scale(&folder().join("samples"))?;
    std::fs::write(folder().join("README.md"), report::page(&newest))?;
    Ok(())
}

/// The folder of this package.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
