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

/// Times the review of every query, without noise and with it, and of one over ten tables.
///
/// # Errors
/// When the guard refuses one.
pub(crate) fn measure() -> anyhow::Result<Vec<GuardSamples>> {
    let ten = queries::ten_tables();
    let single =
        |asked| queries::QUERIES.iter().map(move |query| (query.name.to_owned(), asked, 1, query.sql));
    let named =
        single(Asked::Noise).map(|(name, asked, tables, sql)| (format!("{name}, noise"), asked, tables, sql));
    let of_ten = ("ten tables".to_owned(), Asked::Dominance, 10, ten.as_str());
    let mut all = Vec::new();
    for (name, asked, tables, sql) in single(Asked::Dominance).chain(named).chain([of_ten]) {
        let policy = lineitem::policy(asked, Proof::Clustered)?;
        let guard = Guard::new(&policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(0));
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
        all.push(GuardSamples { name, tables, milliseconds });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_admitted_under_every_policy() {
        for asked in [Asked::Threshold, Asked::Dominance, Asked::Noise] {
            for proof in [Proof::Clustered, Proof::Nothing] {
                let policy = lineitem::policy(asked, proof).unwrap();
                let guard = Guard::new(&policy, DateTime::<Utc>::UNIX_EPOCH, Day::from_epoch_days(0));
                for query in queries::QUERIES {
                    let plan = admitted(&guard, query.sql);
                    assert!(plan.is_ok(), "{asked:?} {proof:?} {}: {:?}", query.name, plan.err());
                }
            }
        }
    }
}
