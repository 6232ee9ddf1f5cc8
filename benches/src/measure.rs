//! One run: prepare, check, measure every query in every variant in turns, and take everything down as samples.
//!
//! Turns: repetition after repetition, each runs every variant once, so that a machine that slows down or is disturbed
//! slows all of them. The order is turned by one place each time, so that none always follows the same one.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde::Serialize;

use crate::check;
use crate::control_time;
use crate::data::Data;
use crate::guard_time;
use crate::machine;
use crate::queries;
use crate::queries::Query;
use crate::samples::QuerySamples;
use crate::samples::RunSettings;
use crate::samples::Samples;
use crate::samples::VariantSamples;
use crate::variants;
use crate::variants::Runner;
use crate::variants::VARIANTS;
use crate::variants::Variant;

/// The settings of one measurement.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// TPC-H scale factor.
    #[arg(long, default_value_t = 1.0)]
    sf: f64,
    /// Runs of each variant.
    #[arg(long, default_value_t = 9)]
    repetitions: usize,
    /// Threads that a query is cut into; all cores unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Leave out the peaks of memory, each of which takes a process of its own.
    #[arg(long)]
    no_memory: bool,
    /// Folder to prepare the data in and to leave it; a folder of an earlier run is used as it is. Temporary unless given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// One query, run once in a process of its own.
#[derive(Debug, Args)]
pub(crate) struct Once {
    /// Folder that a run has prepared.
    #[arg(long)]
    folder: PathBuf,
    /// Name of the query.
    #[arg(long)]
    query: String,
    /// Name of the variant.
    #[arg(long)]
    variant: String,
    /// Threads.
    #[arg(long)]
    threads: usize,
    /// Runs of the query; more than one for a profiler.
    #[arg(long, default_value_t = 1)]
    repetitions: usize,
}

/// The measurements of a process of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    seconds: f64,
    peak_mib: f64,
}

/// Runs one query once.
///
/// # Errors
/// When the folder was not prepared or the query fails.
pub(crate) async fn once(once: &Once) -> anyhow::Result<Seen> {
    let runner = Runner::new(Data::open(&once.folder)?.0, once.threads).await?;
    let (query, variant) = (queries::by_name(&once.query)?, variants::by_name(&once.variant)?);
    let mut seconds = f64::INFINITY;
    for _ in 0..once.repetitions.max(1) {
        let answer = runner.run(query, variant).await?.context("the query has no such variant")?;
        seconds = seconds.min(answer.elapsed.as_secs_f64());
    }
    Ok(Seen { seconds, peak_mib: machine::peak_mib()? })
}

/// Measures everything.
///
/// # Errors
/// When something fails, or a guarded answer is not the plain one.
pub(crate) async fn measure(settings: &Settings) -> anyhow::Result<Samples> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (commit, is_dirty) = machine::commit(package)?;
    let threads =
        settings.threads.map_or_else(|| std::thread::available_parallelism().map(usize::from), Ok)?;
    let temporary = tempfile::tempdir()?;
    let folder = settings.folder.as_deref().unwrap_or(temporary.path());
    let (data, preparation) = if Data::is_prepared(folder) {
        Data::open(folder)?
    } else {
        eprintln!("generating and sealing lineitem at scale factor {}", settings.sf);
        Data::prepare(folder, settings.sf).await?
    };
    anyhow::ensure!(
        (preparation.scale_factor - settings.sf).abs() < f64::EPSILON,
        "the folder holds another scale factor"
    );
    let runner = Runner::new(data, threads).await?;
    eprintln!("timing the guard");
    let guard = guard_time::measure()?;
    eprintln!("timing the control step");
    let controls = control_time::measure(&runner).await?;
    let machine = machine::machine()?;
    let mut measured = Vec::new();
    for query in queries::QUERIES {
        eprintln!("running {}", query.name);
        let (groups, withheld) = checked(&runner, query).await?;
        let mut samples = turns(&runner, query, settings.repetitions).await?;
        if !settings.no_memory {
            for variant in &mut samples {
                variant.peak_mib = Some(peak(&runner, query, &variant.name, threads)?);
            }
        }
        measured.push(QuerySamples {
            name: query.name.to_owned(),
            title: query.title.to_owned(),
            sql: query.sql.to_owned(),
            groups,
            withheld,
            variants: samples,
        });
    }
    Ok(Samples {
        commit,
        is_dirty,
        date: today(),
        command: command(settings),
        machine,
        settings: RunSettings {
            repetitions: settings.repetitions,
            threads,
            is_release: !cfg!(debug_assertions),
        },
        preparation,
        queries: measured,
        guard,
        controls,
    })
}

/// Runs every variant once and compares all answers; the caches are warm after it.
async fn checked(runner: &Runner, query: &Query) -> anyhow::Result<(usize, usize)> {
    let plain = runner.run(query, Variant::Plain).await?.context("every query runs plain")?;
    let mut most_withheld = 0;
    for (name, variant) in VARIANTS {
        let Some(answer) =
            runner.run(query, *variant).await.with_context(|| format!("{} {name}", query.name))?
        else {
            continue;
        };
        match variant {
            Variant::Guarded(_, asked, _) => {
                let withheld =
                    check::guarded_is_plain(query, *asked, &plain.batch, &answer.batch).context(*name)?;
                most_withheld = most_withheld.max(withheld);
            }
            Variant::PlainHaving => {}
            Variant::Plain | Variant::PlainArrival | Variant::PlainReader | Variant::Sealed => {
                check::same(query, &plain.batch, &answer.batch).context(*name)?;
            }
        }
    }
    Ok((plain.batch.num_rows(), most_withheld))
}

async fn turns(runner: &Runner, query: &Query, repetitions: usize) -> anyhow::Result<Vec<VariantSamples>> {
    let mut samples: Vec<VariantSamples> = VARIANTS
        .iter()
        .map(|(name, _)| VariantSamples { name: (*name).to_owned(), seconds: Vec::new(), peak_mib: None })
        .collect();
    for repetition in 0..repetitions {
        let places = (0..VARIANTS.len()).map(|place| (place + repetition) % VARIANTS.len());
        for place in places {
            let (Some((_, variant)), Some(samples)) = (VARIANTS.get(place), samples.get_mut(place)) else {
                continue;
            };
            if let Some(answer) = runner.run(query, *variant).await? {
                samples.seconds.push(answer.elapsed.as_secs_f64());
            }
        }
    }
    samples.retain(|samples| !samples.seconds.is_empty());
    Ok(samples)
}

fn peak(runner: &Runner, query: &Query, variant: &str, threads: usize) -> anyhow::Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .arg("once")
        .arg("--folder")
        .arg(runner.data().folder())
        .args(["--query", query.name, "--variant", variant, "--threads", &threads.to_string()])
        .output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Seen = serde_json::from_slice(&output.stdout)?;
    Ok(seen.peak_mib)
}

fn command(settings: &Settings) -> String {
    let mut command =
        format!("cargo xtask bench --sf {} --repetitions {}", settings.sf, settings.repetitions);
    if let Some(threads) = settings.threads {
        command.push_str(&format!(" --threads {threads}"));
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "the date of a run is what samples are named by")]
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
