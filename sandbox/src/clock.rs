//! The two things that never repeat, time and randomness, as parameters.
//! The only place that asks the operating system for either.

use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use thiserror::Error;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Tells what time it is now.
    fn now(&self) -> Timestamp;
}

/// Gives unpredictable bytes.
pub trait Random: fmt::Debug + Send + Sync {
    /// Fills `bytes` with random ones.
    ///
    /// # Errors
    /// When the operating system has no randomness to give; the caller must give up, never go on without.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one module that wraps the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(bytes).map_err(|_| RandomError)
    }
}

/// A clock that moves only when it is told to: for tests and simulations.
#[derive(Debug)]
pub struct SteppedClock {
    millis: AtomicI64,
}

impl SteppedClock {
    /// Makes a clock that stands at this second since 1970.
    #[must_use]
    pub fn at_second(second: i64) -> Self {
        Self { millis: AtomicI64::new(second.saturating_mul(1000)) }
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
