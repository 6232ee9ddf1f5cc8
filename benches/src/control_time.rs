//! The time that the control step alone takes: cells in, released table out. The cells are computed once, before the clock starts.

use std::time::Instant;

use chrono::DateTime;
use chrono::Utc;
use obscura_policies::day::Day;
use obscura_query_guard::control::Cells;
use obscura_query_guard::execution::Execution;
use obscura_query_guard::execution::StageDue;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_sandbox::engine::Executor as _;
use std::sync::Arc;

use crate::lineitem;
use crate::lineitem::Asked;
use crate::lineitem::Proof;
use crate::queries;
use crate::samples::ControlSamples;
use crate::variants::Runner;
use crate::variants::Source;
use crate::variants::admitted;

/// Times that the step is measured.
const REPETITIONS: usize = 31;
/// The controls with and without noise, as the report names them.
pub(crate) const NOISE: &str = "threshold, dominance, noise";
pub(crate) const DOMINANCE: &str = "threshold, dominance";

/// Times the controls of one number for each group, with noise and without.
///
/// # Errors
/// When the guard refuses the query, or its cells cannot be computed.
pub(crate) async fn measure(runner: &Runner) -> anyhow::Result<Vec<ControlSamples>> {
    let mut all = Vec::new();
    for (name, asked) in [(DOMINANCE, Asked::Dominance), (NOISE, Asked::Noise)] {
        let policy = lineitem::policy(asked, Proof::Clustered)?;
        let guard = Guard::new(&policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(0));
        let plan = Arc::new(admitted(&guard, queries::CELLS)?);
        let tables = runner.tables(&plan, Source::Plain)?;
        let due = stage_due(runner, &plan)?;
        let cells = runner.executor().run(due.next()?, tables, runner.limits()).await?;
        let mut milliseconds = Vec::with_capacity(REPETITIONS);
        for _ in 0..REPETITIONS {
            let (due, cells) = (stage_due(runner, &plan)?, Cells::new(cells.clone()));
            let begun = Instant::now();
            let released = std::hint::black_box(due.protect(std::hint::black_box(cells)))?;
            milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
            drop(released);
        }
        let cells = cells.iter().map(|batch| batch.num_rows()).sum();
        all.push(ControlSamples { name: name.to_owned(), cells, milliseconds });
    }
    Ok(all)
}

/// The execution of a plan of one stage, before that stage.
fn stage_due(runner: &Runner, plan: &Arc<GuardedPlan>) -> anyhow::Result<StageDue> {
    match plan.begin(runner.context(plan)?)? {
        Execution::Stage(due) => Ok(due),
        Execution::Last(_) => anyhow::bail!("an admitted query without stage"),
    }
}
