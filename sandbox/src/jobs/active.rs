//! The jobs that this process has in hand. An unfinished job of its own that it has not in hand was dropped, because its end
//! could not be written down, and is settled like one of a dead process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::ids::JobId;

/// Number of holds on each job in hand.
type InHand = BTreeMap<JobId, usize>;

/// The jobs in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct ActiveJobs(Arc<Mutex<InHand>>);

/// A job in hand, until this is dropped.
#[derive(Debug)]
pub struct ActiveJob {
    job: JobId,
    active: ActiveJobs,
}

impl ActiveJobs {
    pub(super) fn hold(&self, job: JobId) -> ActiveJob {
        let mut held = self.held();
        let times = held.entry(job).or_default();
        *times = times.saturating_add(1);
        ActiveJob { job, active: self.clone() }
    }

    pub(super) fn has(&self, job: JobId) -> bool {
        self.held().contains_key(&job)
    }

    fn held(&self) -> MutexGuard<'_, InHand> {
        // A panic while it was locked leaves a map that is still a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ActiveJob {
    fn drop(&mut self) {
        let mut held = self.active.held();
        match held.get_mut(&self.job) {
            Some(times) if *times > 1 => *times -= 1,
            _ => drop(held.remove(&self.job)),
        }
    }
}
