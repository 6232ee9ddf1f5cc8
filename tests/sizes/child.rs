//! The reviewing itself, in a process of its own: says what it begins, and what that took. It judges outcomes that tell by
//! themselves (a panic, a refusal without a place, too much memory); the parent judges the time of a step.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use chrono::DateTime;
use obscura_policies::effective::EffectivePolicy;
use obscura_query_guard::finding::Code;
use obscura_query_guard::finding::Finding;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::verdict::Decision;
use obscura_tests::environment;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::End;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::people::Tables;
use obscura_tests::guarded::people::few;
use obscura_tests::guarded::policy;

use crate::Case;
use crate::constructs;

/// The first argument of a child.
pub(crate) const ARGUMENT: &str = "--review-a-construct";
/// The steps of a statement, in order.
pub(crate) const STEPS: [&str; 3] = ["review", "prepare", "run"];
/// The depths of reviews.
const DEPTHS: [usize; 17] = [1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 21, 34, 60, 63, 200, 400, 2000];
/// Those at which the engine plans and runs what is admitted as well.
const ENGINE_DEPTHS: [usize; 8] = [2, 7, 8, 14, 16, 21, 60, 200];
/// All depths of the fast suite: half of, right below and far beyond the levels that a statement may have.
const FAST_DEPTHS: [usize; 3] = [7, 14, 60];
/// Memory that a step may take, of its stack and of its heap.
const STEP_KIB: u64 = 64 * 1024;
/// A debug build has frames many times as large, on a stack that is as large as the limit.
const STACK_KIB: u64 = if cfg!(debug_assertions) { 64 * 1024 } else { 0 };
/// People in the tables that admitted plans run over.
const PEOPLE: u64 = 40;
/// Rows of one join while a plan runs: what each person's rows may become; released and open rows are to stay far below.
const JOIN_ROWS_MAX: u64 = PEOPLE * 100_000;
const CUT: Cut = Cut { partitions: 2, batch_rows: 8192 };

/// Reviews a construct from a place on.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let [name, from] = arguments else { return ExitCode::FAILURE };
    let (Some(construct), Ok(from)) =
        (constructs().into_iter().find(|construct| construct.name == name), from.parse::<usize>())
    else {
        return ExitCode::FAILURE;
    };
    // The first review also makes things once that later ones reuse.
    let (engine, tables) = (Engine::new(JOIN_ROWS_MAX), few(PEOPLE));
    let _admitted = review(&policy::policy(), "SELECT dept, COUNT(*) FROM persons GROUP BY dept");
    for (number, case) in construct.cases.iter().enumerate().skip(from) {
        println!("place {number}");
        judge(case, &engine, &tables);
    }
    ExitCode::SUCCESS
}

fn judge(case: &Case, engine: &Engine, tables: &Tables) {
    let depths = if environment::run_slow() { DEPTHS.as_slice() } else { FAST_DEPTHS.as_slice() };
    for depth in depths {
        let Some(text) = (case.text)(*depth) else { break };
        let (policy, sql) = if case.is_row_filter {
            (policy::filtered(&text), "SELECT dept, COUNT(*) FROM persons GROUP BY dept")
        } else {
            (policy::policy(), text.as_str())
        };
        let Some(plan) = step(0, *depth, || match review(&policy, sql)? {
            Decision::Admitted(plan) => Ok(("admitted", Some(plan))),
            Decision::Refused { findings, .. } => {
                let first = findings.first().ok_or("a refusal without a reason")?;
                findings.iter().try_for_each(says_where)?;
                Ok((first.code.slug(), None))
            }
        }) else {
            continue;
        };
        if !ENGINE_DEPTHS.contains(depth) {
            continue;
        }
        let prepared = step(1, *depth, || {
            engine.prepare(&plan, tables, CUT).map(|_operators| ("planned", Some(()))).map_err(|error| {
                format!("the engine does not plan it: {}", error.chars().take(200).collect::<String>())
            })
        });
        if prepared.is_some() {
            step(2, *depth, || ran(engine, &plan, tables));
        }
    }
}

fn ran(engine: &Engine, plan: &GuardedPlan, tables: &Tables) -> Result<(&'static str, Option<()>), String> {
    match engine.run(plan, tables, CUT).end {
        End::Released => Ok(("released", None)),
        End::Withheld => Ok(("withheld", None)),
        end => Err(format!("{end:?}").chars().take(200).collect()),
    }
}

fn review(policy: &EffectivePolicy, sql: &str) -> Result<Decision, String> {
    let guard = Guard::new(policy, DateTime::UNIX_EPOCH, policy::TODAY);
    let reviewed = std::panic::catch_unwind(AssertUnwindSafe(|| guard.review(sql).decision));
    reviewed.map_err(|_| "the guard panics".to_owned())
}

/// A statement that is too large says where, or by which limit.
fn says_where(finding: &Finding) -> Result<(), String> {
    let says = finding.span.is_some() || finding.params.contains_key("limit");
    if finding.code == Code::QueryTooLarge && !says {
        return Err("too large, without a place or a limit".to_owned());
    }
    Ok(())
}

/// Does one step and says what it took; returns what the next one needs.
fn step<T>(
    number: usize,
    depth: usize,
    does: impl FnOnce() -> Result<(&'static str, Option<T>), String>,
) -> Option<T> {
    let name = STEPS[number];
    println!("begin {name} at depth {depth}");
    let before = memory::start();
    let begun = Instant::now();
    let done = std::panic::catch_unwind(AssertUnwindSafe(does));
    let time = begun.elapsed().as_millis();
    let grown = memory::peak().saturating_sub(before);
    let (outcome, value) = match done {
        Ok(Ok((outcome, value))) => (outcome, value),
        Ok(Err(finding)) => {
            println!("finding {name} at depth {depth}: {}", finding.replace('\n', " "));
            ("failed", None)
        }
        Err(_) => {
            println!("finding {name} at depth {depth}: a panic");
            ("panicked", None)
        }
    };
    if grown > STEP_KIB + STACK_KIB {
        println!("finding {name} at depth {depth}: {} MiB of memory", grown / 1024);
    }
    println!("done {name} {depth} {outcome} {time} {grown}");
    value
}

/// Memory of this process, where the system tells.
mod memory {
    /// Forgets the peak so far, and returns what is held now, in KiB.
    pub(super) fn start() -> u64 {
        // Where this is not allowed the peak is that of all steps, and only a new one counts.
        let forgotten = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        field(if forgotten { "VmRSS:" } else { "VmHWM:" })
    }

    /// The peak, in KiB.
    pub(super) fn peak() -> u64 {
        field("VmHWM:")
    }

    fn field(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}
