//! The rate at which each client may ask: a bucket of tokens each, filled at a steady rate (a leaky bucket as a meter, ITU-T
//! I.371). It keeps no bucket that is full, and no more than so many, so that its size is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// A rate: so many at once, and one more each `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Most at once.
    pub(crate) burst: u32,
    /// Time until one more.
    pub(crate) every: Duration,
}

/// Most buckets that are kept at a time; clients that come when there are so many share one more.
const BUCKETS_MAX: usize = 4096;
/// The name of that one.
const OTHERS: &str = "(others)";

/// Buckets by name.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: Rate,
    /// When each bucket will be full again.
    full_at: Mutex<BTreeMap<String, Duration>>,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Takes one from a bucket at a moment, counted from any fixed one.
    ///
    /// # Errors
    /// The time to wait, when the bucket is empty.
    pub(crate) fn take(&self, name: &str, now: Duration) -> Result<(), Duration> {
        // A panic while the lock was held leaves times that are still times.
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        full_at.retain(|_, full| *full > now);
        let is_kept = full_at.contains_key(name) || full_at.len() < BUCKETS_MAX;
        let name = if is_kept { name } else { OTHERS };
        let empty = self.rate.every * self.rate.burst;
        let full = full_at.get(name).copied().unwrap_or(now) + self.rate.every;
        match (full - now).checked_sub(empty) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                full_at.insert(name.to_owned(), full);
                Ok(())
            }
        }
    }
}

/// A limit of the slow operations that may run at a time under one name.
#[derive(Debug, Clone)]
pub(crate) struct ConcurrencyLimit {
    most: usize,
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// The right to one such operation; given back when dropped.
#[derive(Debug)]
pub(crate) struct ConcurrencyPermit {
    name: String,
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a permit, if there is one.
    pub(crate) fn acquire(&self, name: &str) -> Option<ConcurrencyPermit> {
        // A panic while the lock was held leaves counts that are still counts.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(name.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(ConcurrencyPermit { name: name.to_owned(), taken: Arc::clone(&self.taken) })
    }

    /// The number of permits that are taken, under all names.
    pub(crate) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_empties_at_once_and_fills_with_time() {
        let limiter = Limiter::new(Rate { burst: 3, every: Duration::from_secs(2) });
        let at = Duration::from_secs;
        for _ in 0..3 {
            assert_eq!(limiter.take("lin", at(10)), Ok(()));
        }
        assert_eq!(limiter.take("lin", at(10)), Err(at(2)));
        assert_eq!(limiter.take("wang", at(10)), Ok(()), "everybody has their own");
        assert_eq!(limiter.take("lin", at(12)), Ok(()));
        assert_eq!(limiter.take("lin", at(12)), Err(at(2)));
        assert_eq!(limiter.take("lin", at(100)), Ok(()));
    }

    #[test]
    fn full_buckets_are_not_kept() {
        let limiter = Limiter::new(Rate { burst: 1, every: Duration::from_secs(1) });
        for nth in 0..100 {
            assert_eq!(limiter.take(&nth.to_string(), Duration::from_secs(nth * 2)), Ok(()));
        }
        assert_eq!(limiter.full_at.lock().map(|kept| kept.len()).unwrap_or(usize::MAX), 1);
    }

    #[test]
    fn more_names_than_buckets_share_one() {
        let limiter = Limiter::new(Rate { burst: 1, every: Duration::from_secs(1000) });
        let now = Duration::from_secs(1);
        for nth in 0..BUCKETS_MAX {
            assert_eq!(limiter.take(&nth.to_string(), now), Ok(()));
        }
        assert_eq!(limiter.take("one more", now), Ok(()));
        assert!(limiter.take("another", now).is_err(), "it is the bucket of the one before");
        assert_eq!(limiter.full_at.lock().map(|kept| kept.len()).unwrap_or(0), BUCKETS_MAX + 1);
    }

    #[test]
    fn permits_are_one_persons_and_are_given_back() {
        let permits = ConcurrencyLimit::new(2);
        let first = permits.acquire("lin");
        let second = permits.acquire("lin");
        assert!(first.is_some() && second.is_some() && permits.acquire("lin").is_none());
        assert!(permits.acquire("wang").is_some(), "everybody has their own");
        assert_eq!(permits.taken(), 2);
        drop(first);
        assert!(permits.acquire("lin").is_some());
        drop(second);
        assert_eq!(permits.taken(), 0);
    }
}
