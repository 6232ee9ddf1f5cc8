//! The time that the guard alone takes: SQL text and policy in, verdict out. No data is read.

use std::time::Instant;

use chrono::DateTime;
use chrono::Utc;
use obscura_policies::day::Day;
use obscura_query_guard::guard::Guard;

use crate::lineitem;
use crate::lineitem::Asked;
use crate::lineitem::Proof;
use crate::queries;
use crate::samples::GuardSamples;
use crate::variants::admitted;

/// Times that each review is measured.
const REPETITIONS: usize = 101;

/// Times the review of every query and of one over ten tables.
///
/// # Errors
/// When the guard refuses one.
pub(crate) fn measure() -> anyhow::Result<Vec<GuardSamples>> {
    let policy = lineitem::policy(Asked::Dominance, Proof::Clustered)?;
    let guard = Guard::new(&policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(0));
    let ten = queries::ten_tables();
    let single = queries::QUERIES.iter().map(|query| (query.name, 1, query.sql));
    let mut all = Vec::new();
    for (name, tables, sql) in single.chain([("ten tables", 10, ten.as_str())]) {
        let plan = admitted(&guard, sql)?;
        anyhow::ensure!(!plan.stages().is_empty(), "an admitted query without stage");
        let milliseconds = (0..REPETITIONS)
            .map(|_| {
                let begun = Instant::now();
                let verdict = std::hint::black_box(guard.review(std::hint::black_box(sql)));
                let elapsed = begun.elapsed();
                drop(verdict);
                elapsed.as_secs_f64() * 1e3
            })
            .collect();
        all.push(GuardSamples { name: name.to_owned(), tables, milliseconds });
    }
    Ok(all)
}
