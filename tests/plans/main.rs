//! Whole-pipeline snapshots: each statement of the corpus with all that the guard makes of it, without any data:
//! its scans, its results and their treatment, every stage's plan and controls, or the reasons of a refusal.
//! Read a changed snapshot before you bless it; `cargo xtask bless` accepts it.

mod policy;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::DateTime;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_policies::effective::EffectivePolicy;
use obscura_query_guard::finding::Finding;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::plan::Stage;
use obscura_query_guard::verdict::Decision;
use obscura_query_guard::verdict::Rewrite;
use obscura_tests::corpus;
use obscura_tests::environment;
use obscura_tests::guarded::engine::second_look;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match corpus::files("plans") {
        Ok(files) => files.into_iter().map(trial).collect(),
        Err(error) => vec![Trial::test("the-corpus-is-there", move || Err(format!("{error:#}").into()))],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Trial::test(name.clone(), move || judge(&name, &file).map_err(|error| format!("{error:#}").into()))
}

/// One file holds one statement a line; its snapshot holds their verdicts in order.
fn judge(name: &str, file: &PathBuf) -> anyhow::Result<()> {
    let policy = policy::of_the_corpus()?;
    let mut snapshot = String::new();
    let text = fs::read_to_string(file)?;
    for sql in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("--")) {
        verdict(&mut snapshot, &policy, sql)?;
    }
    insta::with_settings!({
        snapshot_path => environment::tests_folder().join("plans").join("snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, snapshot.trim_end());
    });
    Ok(())
}

fn verdict(out: &mut String, policy: &EffectivePolicy, sql: &str) -> anyhow::Result<()> {
    writeln!(out, "-- {sql}")?;
    match Guard::new(policy, DateTime::UNIX_EPOCH, policy::TODAY).review(sql).decision {
        Decision::Admitted(plan) => {
            second_look(&plan).map_err(anyhow::Error::msg)?;
            admitted(out, &plan)?;
        }
        Decision::Refused { findings, rewrites } => refused(out, &findings, &rewrites)?,
    }
    writeln!(out)?;
    Ok(())
}

fn admitted(out: &mut String, plan: &GuardedPlan) -> anyhow::Result<()> {
    writeln!(out, "admitted, cost {:?}", plan.cost())?;
    for (dataset, columns) in plan.scans() {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        writeln!(out, "reads {dataset}: {}", columns.join(", "))?;
    }
    for output in plan.treatments() {
        writeln!(out, "releases {} {}: {}", output.column, output.data_type, output.controls.join(", "))?;
    }
    for stage in plan.stages() {
        describe(out, stage)?;
    }
    writeln!(out, "post\n{}", indented(&plan.post().display_indent().to_string()))?;
    Ok(())
}

fn describe(out: &mut String, stage: &Stage) -> anyhow::Result<()> {
    let controls = stage.controls();
    write!(out, "stage {}: grade {}", stage.name(), controls.grade)?;
    for class in stage.classes() {
        let unit = class.unit.as_ref().map_or_else(|| "row".to_owned(), ToString::to_string);
        write!(out, ", at least {} {unit}", class.subjects_min)?;
    }
    if let Some(rule) = controls.dominance {
        write!(out, ", top {} at most {} permille, p {} %", rule.n, rule.share_max_permille, rule.p_percent)?;
    }
    if let Some(base) = controls.rounding {
        write!(out, ", counts to {base}")?;
    }
    if stage.needs_clustered_input() {
        write!(out, ", one pass over clustered rows")?;
    }
    writeln!(out, "\n{}", indented(&stage.plan().display_indent().to_string()))?;
    Ok(())
}

fn refused(out: &mut String, findings: &[Finding], rewrites: &[Rewrite]) -> anyhow::Result<()> {
    for finding in findings {
        write!(out, "refused {}", finding.code.slug())?;
        if let Some(span) = finding.span {
            write!(out, " at {}:{}", span.line, span.column)?;
        }
        writeln!(out, "\n  {}", finding.code.rule().en)?;
        if let Some(help) = &finding.help {
            writeln!(out, "  help: {}", help.en)?;
        }
    }
    for rewrite in rewrites {
        writeln!(out, "  {}: {}", rewrite.title.en, rewrite.sql)?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
