//! Everything that is asked of one question: the guard's decision, the runs over three data sets, the plain answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use arrow::array::RecordBatch;
use chrono::DateTime;
use obscura_policies::effective::EffectivePolicy;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::verdict::Decision;
use obscura_tests::canary::Scanner;
use obscura_tests::guarded::engine::Cut;
use obscura_tests::guarded::engine::End;
use obscura_tests::guarded::engine::Engine;
use obscura_tests::guarded::people::Tables;
use obscura_tests::guarded::policy::TODAY;

use crate::compare;
use crate::people;
use crate::people::Sight;
use crate::people::Victim;
use crate::plain::Failed;
use crate::plain::Plain;
use crate::policy;
use crate::question::Query;
use crate::question::Side;

/// Most rows of one join before a run is given up: no question of the grammar comes near.
const JOIN_ROWS_MAX: u64 = 1_000_000;
/// The cut of the first run; another cut gives the same answer, which is what the others rest on.
const CUT: Cut = Cut { partitions: 2, batch_rows: 64 };
/// The cut of the others, which takes less time.
const WHOLE: Cut = Cut { partitions: 1, batch_rows: 8192 };
/// The refusal by which the guard says that it cannot go on.
const INTERNAL: &str = "internal-error";

/// The kinds of failures; a smaller question is taken only if it fails in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Guard or engine panicked.
    Panic,
    /// The guard could not go on.
    Internal,
    /// The run ends with a failure that plain DataFusion does not have.
    Failure,
    /// The answer is another one than that of plain DataFusion.
    Answer,
    /// A cell, or a group, is protected otherwise than declared.
    Protection,
    /// The verdict depends on numbers of the controls.
    Verdict,
    /// Two neighbours end differently.
    Neighbours,
    /// A planted value is seen.
    Canary,
    /// The grammar wrote what plain DataFusion does not take.
    Grammar,
}

/// A failure.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// The outcome of a question.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Refused, with these codes.
    Refused(BTreeSet<&'static str>),
    /// Admitted, and everything holds.
    Right {
        /// The cells were compared one by one as well.
        by_cells: bool,
    },
    /// Admitted, and nothing could be compared: plain DataFusion fails over these rows.
    Unjudged,
    Failed(Failure),
}

/// The policies, the rows and the engines.
pub(crate) struct World {
    strict: EffectivePolicy,
    open: EffectivePolicy,
    engine: Engine,
    sealed: Vec<(Victim, Tables)>,
    plain: Plain,
    scanner: Scanner,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::with_plain(Victim::Present)
    }

    /// A world whose plain engine has the rows of some data set: of another one, its answers are wrong.
    pub(crate) fn with_plain(victim: Victim) -> anyhow::Result<Self> {
        let victims = [Victim::Present, Victim::Absent, Victim::Changed];
        Ok(Self {
            strict: policy::strict(),
            open: policy::open(),
            engine: Engine::new(JOIN_ROWS_MAX),
            sealed: victims.map(|victim| (victim, people::tables(victim, Sight::Sealed))).into(),
            plain: Plain::new(&people::tables(victim, Sight::Masked)),
            scanner: Scanner::new(people::canaries())?,
        })
    }

    /// Judges a question.
    pub(crate) fn judge(&self, query: &Query) -> Outcome {
        let judged = catch_unwind(AssertUnwindSafe(|| self.judged(query)));
        match judged {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                failed(Kind::Panic, text.unwrap_or_default())
            }
        }
    }

    fn judged(&self, query: &Query) -> Result<Outcome, Failure> {
        let sql = query.sql(Side::Asked);
        let plan = match self.reviewed(&self.strict, &sql)? {
            Ok(plan) => plan,
            Err(codes) => return Ok(Outcome::Refused(codes)),
        };
        let released = self.neighbours(&plan, &sql)?;
        let open = self.reviewed(&self.open, &sql)?.map_err(|codes| Failure {
            kind: Kind::Verdict,
            text: format!("admitted where more is withheld, and refused where less is: {codes:?}"),
        })?;
        let exact = self.released(&open, 0, WHOLE);
        let plain_sql = query.sql(Side::Plain);
        let plain = match self.plain.ask(&plain_sql) {
            Ok(batch) => batch,
            Err(Failed::Unplanned(error)) => return Err(grammar(&error, &plain_sql)),
            // What fails over the rows in clear may fail over released ones, and need not.
            Err(Failed::Ran) => return Ok(Outcome::Unjudged),
        };
        let exact =
            exact.map_err(|end| Failure { kind: Kind::Failure, text: format!("it ends as {end:?}") })?;
        let (exact, plain) = (compare::table(&exact), compare::table(&plain));
        let differences = compare::differences(&exact, &plain, query.is_ordered());
        if !differences.is_empty() {
            let text = format!("{}\n    plain: {plain_sql}", differences.join("\n    "));
            return Err(Failure { kind: Kind::Answer, text });
        }
        let has_bases = plan.stages().iter().any(|stage| stage.controls().homogeneity);
        Ok(Outcome::Right { by_cells: self.protected(query, released.as_ref(), has_bases)? })
    }

    /// The plan of an admitted question, or the codes of a refused one; no text of either holds a canary.
    fn reviewed(
        &self,
        policy: &EffectivePolicy,
        sql: &str,
    ) -> Result<Result<Box<GuardedPlan>, BTreeSet<&'static str>>, Failure> {
        match Guard::new(policy, DateTime::UNIX_EPOCH, TODAY).review(sql).decision {
            Decision::Admitted(plan) => {
                self.without_canary(sql, format!("{:?}", plan.treatments()).as_bytes())?;
                Ok(Ok(plan))
            }
            Decision::Refused { findings, rewrites } => {
                self.without_canary(sql, format!("{findings:?} {rewrites:?}").as_bytes())?;
                let codes: BTreeSet<&'static str> =
                    findings.iter().map(|finding| finding.code.slug()).collect();
                if codes.contains(INTERNAL) {
                    return Err(Failure { kind: Kind::Internal, text: format!("{findings:?}") });
                }
                Ok(Err(codes))
            }
        }
    }

    /// The release over the first data set. All three end alike, and nothing planted is in any release.
    fn neighbours(&self, plan: &GuardedPlan, sql: &str) -> Result<Option<RecordBatch>, Failure> {
        let (mut ends, mut first) = (BTreeMap::new(), None);
        for (number, (victim, _)) in self.sealed.iter().enumerate() {
            let cut = if number == 0 { CUT } else { WHOLE };
            let end = match self.released(plan, number, cut) {
                Ok(batch) => {
                    let text = format!("{:?}", compare::table(&batch).rows);
                    self.without_canary(sql, text.as_bytes())?;
                    self.without_canary(sql, format!("{:?}", batch.schema()).as_bytes())?;
                    if number == 0 {
                        first = Some(batch);
                    }
                    "released".to_owned()
                }
                Err(end) => format!("{end:?}"),
            };
            ends.entry(end).or_insert_with(Vec::new).push(*victim);
        }
        if ends.len() > 1 {
            return Err(Failure { kind: Kind::Neighbours, text: format!("{ends:?}") });
        }
        Ok(first)
    }

    fn released(&self, plan: &GuardedPlan, number: usize, cut: Cut) -> Result<RecordBatch, End> {
        let run = self.engine.run(plan, &self.sealed[number].1, cut);
        run.released.ok_or(run.end)
    }

    /// No canary is seen but one that the analyst wrote.
    fn without_canary(&self, sql: &str, bytes: &[u8]) -> Result<(), Failure> {
        let asked = self.scanner.places_seen("the question", sql.as_bytes());
        let seen = self.scanner.places_seen("an answer", bytes);
        let places: Vec<&String> = seen.difference(&asked).collect();
        if places.is_empty() {
            return Ok(());
        }
        Err(Failure { kind: Kind::Canary, text: format!("{places:?} is seen") })
    }

    /// Compares the cells of a plain list of groups one by one with those of plain DataFusion; false of any other question.
    fn protected(
        &self,
        query: &Query,
        released: Option<&RecordBatch>,
        has_bases: bool,
    ) -> Result<bool, Failure> {
        let Query::Select(select) = query else { return Ok(false) };
        let Some(sql) = select.counted() else { return Ok(false) };
        let counted = match self.plain.ask(&sql) {
            Ok(batch) => compare::table(&batch),
            Err(Failed::Unplanned(error)) => return Err(grammar(&error, &sql)),
            // The engine does not run every list of cells: one of COUNT(*) FILTER beside COUNT(DISTINCT) fails in its planner.
            Err(Failed::Ran) => return Ok(false),
        };
        let Some(released) = released else {
            let text = "nothing is released where less is withheld from nobody".to_owned();
            return Err(Failure { kind: Kind::Failure, text });
        };
        let faults = compare::protected(select, &compare::table(released), &counted, has_bases);
        if faults.is_empty() {
            return Ok(true);
        }
        Err(Failure { kind: Kind::Protection, text: format!("{}\n    plain: {sql}", faults.join("\n    ")) })
    }

    /// The smallest question, by leaving out clauses, that fails in the same way.
    pub(crate) fn smallest(&self, query: &Query, failure: &Failure) -> (Query, Failure) {
        let (mut query, mut failure) = (query.clone(), failure.clone());
        while let Some(smaller) = query.smaller().into_iter().find_map(|smaller| match self.judge(&smaller) {
            Outcome::Failed(found) if found.kind == failure.kind => Some((smaller, found)),
            _ => None,
        }) {
            (query, failure) = smaller;
        }
        (query, failure)
    }
}

fn failed(kind: Kind, text: String) -> Outcome {
    Outcome::Failed(Failure { kind, text })
}

fn grammar(error: &str, sql: &str) -> Failure {
    Failure { kind: Kind::Grammar, text: format!("{error}\n    plain: {sql}") }
}
