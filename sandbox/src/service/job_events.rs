//! Events of jobs, for those who follow them: the newest events of this process, numbered, so that a reader can go on from
//! the last one it has read. An event says how far a job has come and nothing that depends on its data.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::watch;

use crate::ids::JobId;
use crate::jobs::JobState;

/// Events that are kept for readers who come back.
const KEPT: usize = 4096;

/// One step of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// The owner of the job.
    pub(crate) person: String,
    /// The job.
    pub(crate) job: JobId,
    /// Its state now.
    pub(crate) state: JobState,
}

/// Events that a reader has not been told are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The number of the oldest event that is.
    pub(crate) before: u64,
}

/// The newest events.
#[derive(Debug)]
pub(crate) struct JobEvents {
    kept: Mutex<VecDeque<Event>>,
    newest: watch::Sender<u64>,
}

impl JobEvents {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Tells all readers.
    pub(crate) fn publish(&self, person: &str, job: JobId, state: JobState) {
        let mut kept = self.kept();
        let number = *self.newest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Event { number, person: person.to_owned(), job, state });
        self.newest.send_replace(number);
    }

    /// The number of the newest event; 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Notices when there are newer ones.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// True if every event after this number is still kept.
    pub(crate) fn reaches_back_to(&self, number: u64) -> bool {
        let oldest = self.kept().front().map_or(1, |event| event.number);
        number <= self.newest() && number + 1 >= oldest
    }

    /// The wanted events after this number, oldest first.
    ///
    /// # Errors
    /// [`Gap`] when not all of them are kept any more.
    pub(crate) fn after(&self, number: u64, wanted: impl Fn(&Event) -> bool) -> Result<Vec<Event>, Gap> {
        let kept = self.kept();
        let oldest = kept.front().map_or(1, |event| event.number);
        if number + 1 < oldest {
            return Err(Gap { before: oldest });
        }
        Ok(kept.iter().filter(|event| event.number > number && wanted(event)).cloned().collect())
    }

    /// A panic while the lock was held leaves events that are still events.
    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;

    #[test]
    fn whoever_comes_back_reads_on_and_whoever_was_away_too_long_is_told() {
        let job = JobId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap();
        let events = JobEvents::new();
        assert!(events.reaches_back_to(0));
        for _ in 0..=KEPT {
            events.publish("lin", job, JobState::Running);
        }
        events.publish("wang", job, JobState::Released);
        let newest = events.newest();
        assert_eq!(newest, KEPT as u64 + 2);
        let of_lin = events.after(newest - 3, |event| event.person == "lin").unwrap();
        assert_eq!(of_lin.iter().map(|event| event.number).collect::<Vec<_>>(), [newest - 2, newest - 1]);
        assert!(events.reaches_back_to(newest - KEPT as u64));
        assert!(!events.reaches_back_to(0), "the first two are gone");
        assert_eq!(events.after(1, |_| true), Err(Gap { before: 3 }), "number 2 would be missing");
        assert_eq!(events.after(2, |_| true).unwrap().len(), KEPT);
        assert!(!events.reaches_back_to(newest + 1), "numbers of another process");
    }
}
