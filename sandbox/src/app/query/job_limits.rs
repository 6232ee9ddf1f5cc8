//! The limits of one job: those of the settings, each moved down by a keyed factor of up to a tenth.
//!
//! A job that meets a limit tells that it did. The most that one subject's rows can become lies a hundred times below every
//! limit, so that one subject decides nothing; the factor hides where the limit lies from an analyst who fills a job up to
//! it with other rows. It depends on the job and a key of the installation, not on the clock, and the same job always has
//! the same limits.

use std::time::Duration;

use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;

use crate::config::Limits;
use crate::engine::EngineLimits;
use crate::engine::ResultLimits;
use crate::ids::JobId;

/// Name of the secret that the factors are drawn with.
const SECRET: &str = "job-limits";
/// A limit is moved down by less than one part in so many.
const PART: u128 = 10;

/// The limits of a job, drawn with the installation's key.
///
/// # Errors
/// When the key service has no key for them.
pub(crate) fn limits_of(
    job: JobId,
    limits: Limits,
    keys: &dyn KeyManagement,
) -> Result<EngineLimits, KmsError> {
    let key = keys.hash_key(SECRET)?;
    Ok(drawn(job, limits, |input| key.hash_bytes(input.as_bytes())))
}

/// The limits of a job; `draw` gives a uniform number for a text.
fn drawn(job: JobId, limits: Limits, draw: impl Fn(&str) -> u64) -> EngineLimits {
    let lowered = |name: &str, most: u64| lowered(most, draw(&format!("{name}/{job}")));
    let milliseconds = u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX);
    EngineLimits {
        memory_bytes: usize::try_from(lowered("memory", limits.memory_bytes_max)).unwrap_or(usize::MAX),
        time: Duration::from_millis(lowered("time", milliseconds)),
        partitions: limits.threads,
        // Of released values there is nothing to hide.
        result: ResultLimits { rows: limits.result_rows_max, bytes: limits.result_bytes_max },
    }
}

/// A limit less up to a tenth of it, in proportion to a number drawn from all that there are.
fn lowered(most: u64, drawn: u64) -> u64 {
    // The product is below 2^128, and what is taken off below a tenth of the limit.
    let off = (u128::from(most) * u128::from(drawn)) >> 64;
    most - u64::try_from(off / PART).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    const LIMITS: Limits = Limits {
        memory_bytes_max: 2 << 30,
        timeout: Duration::from_secs(120),
        threads: 2,
        completion_step: Duration::from_millis(5),
        result_rows_max: 100_000,
        result_bytes_max: 64 << 20,
        waiting_bytes_max: 256 << 20,
    };

    /// Some uniform number for a text: the first bytes of its hash.
    fn hashed(text: &str) -> u64 {
        let digits: String = obscura_crypto::sha256_hex(text.as_bytes()).chars().take(16).collect();
        u64::from_str_radix(&digits, 16).unwrap()
    }

    fn job() -> JobId {
        JobId::new(&SteppedClock::at_second(1_800_000_000), &SystemRandom).unwrap()
    }

    #[test]
    fn a_limit_is_moved_down_by_less_than_a_tenth() {
        assert_eq!(lowered(1000, 0), 1000);
        assert_eq!(lowered(1000, u64::MAX / 2), 951);
        assert_eq!(lowered(1000, u64::MAX), 901);
        assert_eq!(lowered(u64::MAX, u64::MAX), u64::MAX - (u64::MAX - 1) / 10);
        assert_eq!(lowered(0, u64::MAX), 0);
        for _ in 0..1000 {
            let EngineLimits { memory_bytes, time, .. } = drawn(job(), LIMITS, hashed);
            let memory = u64::try_from(memory_bytes).unwrap();
            assert!(memory <= 2 << 30 && memory > (2_u64 << 30) / 10 * 9, "{memory}");
            assert!(time <= LIMITS.timeout && time > LIMITS.timeout * 9 / 10, "{time:?}");
        }
    }

    #[test]
    fn a_job_has_the_same_limits_however_often_they_are_drawn_and_another_job_has_others() {
        let one = job();
        assert_eq!(drawn(one, LIMITS, hashed), drawn(one, LIMITS, hashed));
        let others: BTreeSet<usize> = (0..100).map(|_| drawn(job(), LIMITS, hashed).memory_bytes).collect();
        assert_eq!(others.len(), 100);
        // Under another key the same job has other limits, and memory tells nothing of time.
        let rekeyed = drawn(one, LIMITS, |text| hashed(&format!("another key {text}")));
        assert_ne!(drawn(one, LIMITS, hashed).memory_bytes, rekeyed.memory_bytes);
        let part = |limits: EngineLimits| {
            (limits.memory_bytes as f64 / LIMITS.memory_bytes_max as f64)
                - (limits.time.as_secs_f64() / LIMITS.timeout.as_secs_f64())
        };
        assert!((0..10).any(|_| part(drawn(job(), LIMITS, hashed)).abs() > 0.001));
    }
}
