//! The table and `benches/README.md`, made from raw samples and nothing else.
//! It measures nothing and knows no goal but those of the issue that asked for them.

use std::fmt::Write as _;

use crate::control_time;
use crate::samples::QuerySamples;
use crate::samples::Samples;
use crate::samples::median;

/// A ratio that was asked for: variant over base, geometric mean over all queries, and the most it may be.
struct Goal {
    title: &'static str,
    variant: &'static str,
    base: &'static str,
    most: Option<f64>,
    /// The most that the ratio of a single query may be, where that is asked for.
    most_of_one: Option<f64>,
}

impl Goal {
    /// A ratio that is shown and bound by no goal.
    const fn shown(title: &'static str, variant: &'static str, base: &'static str) -> Self {
        Goal { title, variant, base, most: None, most_of_one: None }
    }
}

const GOALS: &[Goal] = &[
    Goal { most: Some(1.10), ..Goal::shown("sealed / plain", "sealed", "plain") },
    Goal::shown("sealed / plain, same reader", "sealed", "plain-reader"),
    Goal {
        most: Some(1.15),
        ..Goal::shown("guarded, threshold only / unguarded, on plaintext", "guarded-plain-threshold", "plain")
    },
    Goal {
        most: Some(1.6),
        ..Goal::shown(
            "guarded, subject fold with dominance / unguarded, on plaintext",
            "guarded-plain-dominance",
            "plain",
        )
    },
    Goal::shown("guarded and sealed, threshold only / plain", "guarded-sealed-threshold", "plain"),
    Goal::shown("guarded and sealed, with dominance / plain", "guarded-sealed-dominance", "plain"),
    Goal {
        most: Some(1.5),
        most_of_one: Some(3.0),
        ..Goal::shown("guarded and sealed, with dominance and noise / plain", "guarded-sealed-noise", "plain")
    },
    Goal::shown("map fold / run fold", "guarded-plain-dominance-map", "guarded-plain-dominance"),
    Goal::shown("threshold written by hand (`HAVING count(DISTINCT ...)`) / plain", "plain-having", "plain"),
];

/// Most milliseconds the guard may take for a plan over ten tables.
const GUARD_MILLISECONDS_MAX: f64 = 5.0;
/// Most milliseconds that names and noise of the control step may take for 10,000 cells.
const NOISE_MILLISECONDS_MAX: f64 = 10.0;
const MIB: f64 = 1024.0 * 1024.0;

/// The whole of `benches/README.md`.
pub(crate) fn page(runs: &[Samples]) -> String {
    let mut page = String::from(
        "# Benches\n\n\
         Ratios, measured side by side in one run: variants take turns, each number is a median.\n\
         The data is TPC-H lineitem with the order as subject.\n\
         `plain` is DataFusion as it comes, over plaintext Parquet with the sealed file's rows in the sealed file's order.\n\
         Its table is registered and its metadata cached before the clock starts.\n\
         A guarded time is that of a whole job: review, unwrapping keys, opening files, execution, controls, release.\n\
         Every run first checks that guarded answers are the plain ones, but for declared rounding and noise, and withheld values.\n\
         This page is made from the raw samples in `samples/` by `cargo xtask bench report`.\n\n\
         ```sh\n\
         cargo xtask bench --sf 0.1              # new samples and this page; the optimised build comes first\n\
         cargo xtask bench --sf 1\n\
         cargo xtask bench --sf 1 --folder DIR   # keeps the prepared data, so that one query can be profiled:\n\
         cargo xtask bench once --folder DIR --query q1 --variant guarded-sealed-dominance --threads 2\n\
         ```\n",
    );
    if runs.is_empty() {
        page.push_str("\nNo samples are committed yet.\n");
    }
    for run in runs.iter().rev() {
        page.push('\n');
        page.push_str(&table(run));
    }
    page
}

/// One run as Markdown.
pub(crate) fn table(run: &Samples) -> String {
    let mut text = String::new();
    heading(&mut text, run);
    goals(&mut text, run);
    times(&mut text, run, "Medians in seconds", |query, variant| {
        query.median(variant).map(|seconds| format!("{seconds:.3}"))
    });
    times(&mut text, run, "Over plain", |query, variant| {
        ratio(query, variant, "plain").map(|ratio| format!("{ratio:.2}"))
    });
    times(&mut text, run, "Most memory of a process that runs the query once, in MiB", |query, variant| {
        let samples = query.variants.iter().find(|samples| samples.name == variant)?;
        samples.peak_mib.map(|peak| format!("{peak:.0}"))
    });
    guard(&mut text, run);
    controls(&mut text, run);
    queries(&mut text, run);
    text
}

fn heading(text: &mut String, run: &Samples) {
    let settings = &run.settings;
    let (machine, data) = (&run.machine, &run.preparation);
    let dirty = if run.is_dirty { " with uncommitted changes" } else { "" };
    let profile = if settings.is_release { "" } else { ", WITHOUT optimisation: ratios mean nothing" };
    lines(
        text,
        &[
            format!("## Scale factor {}", data.scale_factor),
            String::new(),
            format!("* Commit {}{dirty}, {}{profile}.", run.commit, run.date),
            format!("* Command: `{}`.", run.command),
            format!(
                "* Machine: {}, {} cores, {} GiB; {} threads; load per core before the run {:.2}.",
                machine.cpu, machine.cores, machine.memory_gib, settings.threads, machine.load_before
            ),
            format!("* {} repetitions of {} rows.", settings.repetitions, data.rows),
            format!(
                "* Files: {:.0} MiB sealed, {:.0} MiB plain in the sealed order, {:.0} MiB plain in the generator's order.",
                mib(data.sealed_bytes),
                mib(data.clustered_bytes),
                mib(data.arrival_bytes)
            ),
            format!(
                "* Sealing took {:.1} s; generating the rows and writing them as plain Parquet took {:.1} s.",
                data.seal_seconds, data.plain_write_seconds
            ),
            String::new(),
        ],
    );
}

fn goals(text: &mut String, run: &Samples) {
    lines(
        text,
        &["| ratio (geometric mean) | measured | goal | |".to_owned(), "|---|---|---|---|".to_owned()],
    );
    for goal in GOALS {
        let Some(measured) = geometric_mean(run, goal.variant, goal.base) else { continue };
        ratio_row(text, goal.title, measured, goal.most);
        if let (Some(most), Some(worst)) = (goal.most_of_one, worst(run, goal.variant, goal.base)) {
            ratio_row(text, &format!("{}, the worst query", goal.title), worst, Some(most));
        }
    }
    if let Some(samples) = run.guard.iter().max_by_key(|samples| samples.tables)
        && let Some(median) = median(&samples.milliseconds)
    {
        let verdict = if median < GUARD_MILLISECONDS_MAX { "met" } else { "**missed**" };
        lines(
            text,
            &[format!(
                "| guard, {} tables | {median:.2} ms | < {GUARD_MILLISECONDS_MAX:.0} ms | {verdict} |",
                samples.tables
            )],
        );
    }
    if let Some((cells, milliseconds)) = noise_of_controls(run) {
        let verdict = if milliseconds < NOISE_MILLISECONDS_MAX { "met" } else { "**missed**" };
        lines(
            text,
            &[format!(
                "| names and noise of {cells} cells | {milliseconds:.1} ms | < {NOISE_MILLISECONDS_MAX:.0} ms | {verdict} |"
            )],
        );
    }
    text.push('\n');
}

fn ratio_row(text: &mut String, title: &str, measured: f64, most: Option<f64>) {
    let (most, verdict) = match most {
        Some(most) => (format!("<= {most:.2}"), if measured <= most { "met" } else { "**missed**" }),
        None => ("-".to_owned(), ""),
    };
    lines(text, &[format!("| {title} | {measured:.2} | {most} | {verdict} |")]);
}

/// The cells of the control step that were timed, and the milliseconds by which noise makes it longer.
fn noise_of_controls(run: &Samples) -> Option<(usize, f64)> {
    let of = |name: &str| run.controls.iter().find(|samples| samples.name == name);
    let (without, with) = (of(control_time::DOMINANCE)?, of(control_time::NOISE)?);
    Some((with.cells, median(&with.milliseconds)? - median(&without.milliseconds)?))
}

fn times(
    text: &mut String,
    run: &Samples,
    title: &str,
    cell: impl Fn(&QuerySamples, &str) -> Option<String>,
) {
    let mut rows = Vec::new();
    for variant in variants(run) {
        let cells: Vec<Option<String>> = run.queries.iter().map(|query| cell(query, variant)).collect();
        if cells.iter().any(Option::is_some) {
            let cells: Vec<String> =
                cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect();
            rows.push(format!("| {variant} | {} |", cells.join(" | ")));
        }
    }
    if rows.is_empty() {
        return;
    }
    let names: Vec<&str> = run.queries.iter().map(|query| query.name.as_str()).collect();
    let head = format!("| | {} |", names.join(" | "));
    lines(text, &[format!("{title}:"), String::new(), head, format!("|---|{}", "---|".repeat(names.len()))]);
    lines(text, &rows);
    text.push('\n');
}

fn guard(text: &mut String, run: &Samples) {
    lines(
        text,
        &[
            "The guard alone, in milliseconds:".to_owned(),
            String::new(),
            "| query | tables | median | slowest |".to_owned(),
            "|---|---|---|---|".to_owned(),
        ],
    );
    for samples in &run.guard {
        let slowest = samples.milliseconds.iter().copied().fold(0.0, f64::max);
        let median = median(&samples.milliseconds).unwrap_or_default();
        lines(text, &[format!("| {} | {} | {median:.2} | {slowest:.2} |", samples.name, samples.tables)]);
    }
    text.push('\n');
}

fn controls(text: &mut String, run: &Samples) {
    if run.controls.is_empty() {
        return;
    }
    lines(
        text,
        &[
            "The control step alone, in milliseconds:".to_owned(),
            String::new(),
            "| controls | cells | median | slowest |".to_owned(),
            "|---|---|---|---|".to_owned(),
        ],
    );
    for samples in &run.controls {
        let slowest = samples.milliseconds.iter().copied().fold(0.0, f64::max);
        let median = median(&samples.milliseconds).unwrap_or_default();
        lines(text, &[format!("| {} | {} | {median:.1} | {slowest:.1} |", samples.name, samples.cells)]);
    }
    text.push('\n');
}

fn queries(text: &mut String, run: &Samples) {
    lines(text, &["Queries:".to_owned(), String::new()]);
    for query in &run.queries {
        lines(
            text,
            &[format!(
                "* {}: {}; {} rows of answer, {} values withheld.",
                query.name, query.title, query.groups, query.withheld
            )],
        );
    }
}

fn variants(run: &Samples) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for samples in run.queries.iter().flat_map(|query| &query.variants) {
        if !names.contains(&samples.name.as_str()) {
            names.push(&samples.name);
        }
    }
    names
}

fn ratio(query: &QuerySamples, variant: &str, base: &str) -> Option<f64> {
    Some(query.median(variant)? / query.median(base)?)
}

/// The largest over the queries that have both.
fn worst(run: &Samples, variant: &str, base: &str) -> Option<f64> {
    run.queries.iter().filter_map(|query| ratio(query, variant, base)).max_by(f64::total_cmp)
}

/// Over the queries that have both.
fn geometric_mean(run: &Samples, variant: &str, base: &str) -> Option<f64> {
    let logarithms: Vec<f64> =
        run.queries.iter().filter_map(|query| ratio(query, variant, base)).map(f64::ln).collect();
    let count = u32::try_from(logarithms.len()).ok().filter(|count| *count > 0)?;
    Some((logarithms.iter().sum::<f64>() / f64::from(count)).exp())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^53 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

fn lines(text: &mut String, lines: &[String]) {
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
}
