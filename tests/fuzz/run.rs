//! A run: questions one after the other, what came of them, and the floor of how many must be admitted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use anyhow::ensure;
use obscura_tests::environment::Fuzz;

use crate::grammar;
use crate::judge::Outcome;
use crate::judge::World;
use crate::on_a_large_stack;
use crate::question::Side;

/// Share of the questions that must be admitted: only these test what is released.
const ADMITTED_MIN_PERCENT: u64 = 30;
/// Share of the admitted that may be left unjudged, because plain DataFusion fails over the rows.
const UNJUDGED_MAX_PERCENT: u64 = 2;
/// Failures after which a run ends: each costs a search for the smallest question.
const FAILURES_MAX: usize = 12;
/// Threads of a large run.
const THREADS: u64 = 2;
/// Questions between two lines that say how far a run is.
const PROGRESS: u64 = 500;
const SEED: u64 = 20_261_131;
const QUESTIONS: u64 = 30_000;

/// Clauses and functions, each of which must stand in an answered question of a run of some hundreds: a form that is never
/// admitted is not tested.
const ANSWERED: [&str; 42] = [
    "WITH ",
    " JOIN ",
    " LEFT JOIN ",
    " FULL JOIN ",
    " RIGHT JOIN ",
    "USING (",
    "CROSS JOIN",
    "EXISTS (",
    "NOT EXISTS",
    " IN (SELECT",
    "SELECT DISTINCT",
    "COUNT(DISTINCT",
    "FILTER (WHERE",
    "CASE WHEN",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "OVER (",
    "PARTITION BY",
    "ROWS BETWEEN",
    "ROLLUP",
    "CUBE",
    "COALESCE",
    "NULLIF",
    "substring(",
    "date_trunc(",
    "extract(",
    "age_years(",
    "width_bucket(",
    "floor(",
    "abs(",
    "ln(",
    "power(",
    "sqrt(",
    "round(",
    "greatest(",
    "phone",
];
/// Questions from which on every one of these must be there.
const ANSWERED_FROM: u64 = 500;

/// Some questions of a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Number of the first.
    pub(crate) first: u64,
    pub(crate) questions: u64,
}

/// The outcomes of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: u64,
    right: u64,
    by_cells: u64,
    unjudged: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Answered questions in which each of [`ANSWERED`] stands.
    answered: BTreeMap<&'static str, u64>,
    pub(crate) failures: Vec<String>,
}

impl Run {
    /// Asks all of them. `asked` is told after each.
    pub(crate) fn judge(self, asked: &dyn Fn(&Tally)) -> anyhow::Result<Tally> {
        // What a question makes panic is caught and reported; the hook would print it once more for each smaller question.
        std::panic::set_hook(Box::new(|_| {}));
        let world = World::new()?;
        let mut tally = Tally::default();
        for number in self.first..self.first + self.questions {
            let query = grammar::question(self.seed, number);
            tally.asked += 1;
            match world.judge(&query) {
                Outcome::Refused(codes) => {
                    for code in codes {
                        *tally.refused.entry(code).or_default() += 1;
                    }
                }
                Outcome::Right { by_cells } => {
                    tally.right += 1;
                    tally.by_cells += u64::from(by_cells);
                    let sql = query.sql(Side::Asked);
                    for clause in ANSWERED.into_iter().filter(|clause| sql.contains(clause)) {
                        *tally.answered.entry(clause).or_default() += 1;
                    }
                }
                Outcome::Unjudged => tally.unjudged += 1,
                Outcome::Failed(failure) => {
                    let (smallest, found) = world.smallest(&query, &failure);
                    tally.failures.push(format!(
                        "--seed {} question {number}: {:?}: {}\n    smallest: {}\n    whole: {}",
                        self.seed,
                        found.kind,
                        found.text,
                        smallest.sql(Side::Asked),
                        query.sql(Side::Asked),
                    ));
                }
            }
            asked(&tally);
            if tally.failures.len() >= FAILURES_MAX {
                break;
            }
        }
        Ok(tally)
    }
}

impl Tally {
    fn admitted(&self) -> u64 {
        self.right + self.unjudged + u64::try_from(self.failures.len()).unwrap_or(0)
    }

    fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.right += other.right;
        self.by_cells += other.by_cells;
        self.unjudged += other.unjudged;
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        for (clause, count) in other.answered {
            *self.answered.entry(clause).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    /// Says what came of it, and whether it is as it must be.
    pub(crate) fn conclude(&self) -> anyhow::Result<()> {
        eprintln!("{self}");
        ensure!(self.failures.is_empty(), "{} failures\n{}", self.failures.len(), self.failures.join("\n"));
        ensure!(
            self.admitted() * 100 >= self.asked * ADMITTED_MIN_PERCENT,
            "only {} of {} questions are admitted",
            self.admitted(),
            self.asked
        );
        ensure!(
            self.unjudged * 100 <= self.admitted() * UNJUDGED_MAX_PERCENT,
            "{} of {} admitted questions are left unjudged",
            self.unjudged,
            self.admitted()
        );
        let missing: Vec<&str> =
            ANSWERED.into_iter().filter(|clause| !self.answered.contains_key(clause)).collect();
        ensure!(missing.is_empty() || self.asked < ANSWERED_FROM, "no answered question holds {missing:?}");
        ensure!(self.by_cells > 0, "no answer was compared cell by cell");
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let admitted = self.admitted();
        write!(
            f,
            "{} questions, {admitted} admitted ({} %), {} of them compared cell by cell, {} unjudged, {} failures; refused {:?}; answered {:?}",
            self.asked,
            admitted * 100 / self.asked.max(1),
            self.by_cells,
            self.unjudged,
            self.failures.len(),
            self.refused,
            self.answered
        )
    }
}

/// A large run on several threads, which says how far it is.
pub(crate) fn side_by_side(asked: &Fuzz) -> anyhow::Result<()> {
    let (seed, questions) = (asked.seed.unwrap_or(SEED), asked.questions.unwrap_or(QUESTIONS));
    let first = asked.first.unwrap_or(0);
    let done = AtomicU64::new(0);
    let progress = |tally: &Tally| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(PROGRESS) {
            eprintln!("{done} of {questions}; this thread: {tally}");
        }
    };
    let threads = THREADS.min(questions.max(1));
    let each = questions.div_ceil(threads);
    let mut whole = Tally::default();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let running: Vec<_> = (0..threads)
            .map(|part| {
                let run = Run {
                    seed,
                    first: first + part * each,
                    questions: each.min(questions.saturating_sub(part * each)),
                };
                let progress = &progress;
                scope.spawn(move || on_a_large_stack(move || run.judge(progress)))
            })
            .collect();
        for thread in running {
            whole.add(thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
        }
        Ok(())
    })?;
    eprintln!("seed {seed}");
    whole.conclude()
}
