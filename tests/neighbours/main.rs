//! Random admitted plans over data sets that differ in one person. An attacker must not learn which data set it was from the
//! engine's work, the run's end, its stated cost or the order of its rows.
//!
//! Four claims for each plan. **Work**: the rows that a physical operator produces differ between neighbours by at most
//! [`OPERATOR_ROWS_MAX`], and those of all operators together by at most [`WORK_SHARE`] of what the larger data set
//! takes, unless these are few (the engine does not run an operator that gets no person's rows at all: how often that
//! happens is printed). **State**: both end alike, and none with a failure. **Cost**: the class is a function of the
//! plan's shape. **Order**: however a run is cut into partitions and batches, the release has the same bytes.
//! The values of a release are the business of other suites.
//!
//! `RUN_SLOW=1` takes 300 plans. A failure prints the seed and the statement.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic, and print what they saw"
)]

mod attacks;
mod compare;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use anyhow::bail;
use anyhow::ensure;
use chrono::DateTime;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::Cost;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::verdict::Decision;
use obscura_tests::environment;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::people::Tables;
use obscura_tests::guarded::people::Victim;
use obscura_tests::guarded::people::tables;
use obscura_tests::guarded::policy;
use obscura_tests::guarded::questions::KINDS;
use obscura_tests::guarded::questions::Seeded;

use compare::Most;

/// Rows that one person's rows may become in one operator. The guard's own bound of many-to-many joins is to be as small.
pub(crate) const OPERATOR_ROWS_MAX: u64 = 100_000;
/// Largest share of all work that one person may make up. Ten people (one in forty) have the most visits that a person may
/// have, so that an operator that treats subjects alike spends at most a tenth of its work on one of them; a second tenth is
/// for operators that work twice. Work on a condition that leaves one person almost alone is bounded in rows.
pub(crate) const WORK_SHARE: f64 = 0.2;
/// Rows of all operators together that one person may make up in a random plan: none joins visits more than twice with
/// visits (20 x 20 x 20 rows in the last join, and a few operators above it).
const RANDOM_ROWS_MAX: u64 = 20_000;
/// The same in a statement that is made to multiply rows: the rows of the last join, which then pass through a projection,
/// an exchange and the first fold.
pub(crate) const ATTACK_ROWS_MAX: u64 = 4 * OPERATOR_ROWS_MAX;
/// Most rows of one join before a run is given up: a hundred times what one person may come to.
const JOIN_ROWS_MAX: u64 = 100 * OPERATOR_ROWS_MAX;
/// Parts that run side by side.
const PARTS: usize = 4;
/// Tries for one admitted plan, on average; a kind that needs more is refused by mistake.
const TRIES: usize = 20;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = (0..PARTS)
        .map(|part| {
            Trial::test(format!("random-plans-{}", part + 1), move || {
                random_plans(part).map_err(|error| format!("{error:#}").into())
            })
        })
        .collect();
    trials.extend(attacks::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The data sets that are compared, the base first.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) datasets: Vec<(Victim, Tables)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let victims = [Victim::Present, Victim::Absent, Victim::Changed, Victim::Busiest];
        Self {
            engine: Engine::new(JOIN_ROWS_MAX),
            datasets: victims.into_iter().map(|victim| (victim, tables(victim))).collect(),
        }
    }
}

/// The guard's decision on a statement.
pub(crate) enum Reviewed {
    Admitted(Box<GuardedPlan>),
    /// With these codes.
    Refused(Vec<&'static str>),
    /// It never may.
    Panicked,
}

pub(crate) fn review(sql: &str) -> Reviewed {
    let policy = policy::policy();
    let guard = Guard::new(&policy, DateTime::UNIX_EPOCH, policy::TODAY);
    match std::panic::catch_unwind(AssertUnwindSafe(|| guard.review(sql).decision)) {
        Ok(Decision::Admitted(plan)) => Reviewed::Admitted(plan),
        Ok(Decision::Refused { findings, .. }) => {
            Reviewed::Refused(findings.iter().map(|finding| finding.code.slug()).collect())
        }
        Err(_) => Reviewed::Panicked,
    }
}

fn random_plans(part: usize) -> anyhow::Result<()> {
    let world = World::new();
    let wanted = if environment::run_slow() { 300 } else { 2 * KINDS.len() };
    let each = wanted.div_ceil(KINDS.len());
    let seed = 20_260_000 + part as u64;
    let mut seeded = Seeded(seed);
    let (mut findings, mut most, mut costs) = (Vec::new(), Most::default(), Costs::default());
    for (name, kind) in KINDS.iter().skip(part).step_by(PARTS) {
        let (mut admitted, mut asked, mut codes) = (BTreeSet::new(), 0, BTreeMap::<_, usize>::new());
        while admitted.len() < each {
            ensure!(
                asked < each * TRIES,
                "seed {seed}: of {asked} questions of the kind `{name}` only {} are admitted: {codes:?}",
                admitted.len()
            );
            asked += 1;
            let sql = kind(&mut seeded);
            match review(&sql) {
                Reviewed::Admitted(plan) if admitted.insert(sql.clone()) => {
                    let found = compare::judge(&world, &plan, RANDOM_ROWS_MAX, &mut most)
                        .into_iter()
                        .chain(costs.judge(&plan));
                    findings.extend(found.map(|found| format!("{name}: {found}\n    {sql}")));
                }
                Reviewed::Admitted(_) => {}
                Reviewed::Panicked => findings.push(format!("{name}: the guard panics\n    {sql}")),
                Reviewed::Refused(refused) => {
                    for code in refused {
                        *codes.entry(code).or_default() += 1;
                    }
                }
            }
        }
        eprintln!("{name}: {} of {asked} admitted; refused {codes:?}", admitted.len());
    }
    eprintln!("seed {seed}: {most}");
    if !findings.is_empty() {
        bail!("seed {seed}: {} findings\n{}", findings.len(), findings.join("\n"));
    }
    Ok(())
}

/// The cost class of every shape of plan that was seen.
#[derive(Default)]
struct Costs {
    of_shape: BTreeMap<String, Cost>,
}

impl Costs {
    /// Two plans of one shape have one class, whatever their literals are.
    fn judge(&mut self, plan: &GuardedPlan) -> Option<String> {
        let plans = plan.stages().iter().map(|stage| stage.plan()).chain([plan.post()]);
        let shape = plans.map(compare::shape).collect::<Vec<_>>().join("; ");
        let known = *self.of_shape.entry(shape).or_insert(plan.cost());
        (known != plan.cost()).then(|| format!("cost {:?}, and {known:?} for the same shape", plan.cost()))
    }
}
