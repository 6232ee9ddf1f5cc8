//! Admitted jobs between their decision and their run: so many at a time, nobody ahead of everybody else, and news of
//! each that ends. What waits here is lost with the process; the job itself is not, and the next start settles it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::watch;

use crate::app::installation::Installation;
use crate::app::submit_query::Waiting;
use crate::app::submit_query::run_waiting;
use crate::ids::JobId;

/// The jobs of one process.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    installation: Arc<Installation>,
    running: Semaphore,
    of_one_max: usize,
    under_way: Mutex<UnderWay>,
}

/// Jobs that have not ended, by person, and who waits for them.
#[derive(Debug, Default)]
struct UnderWay {
    of: BTreeMap<String, usize>,
    ended: BTreeMap<JobId, watch::Sender<bool>>,
}

/// The right to take in one more job of a person: taken before the question is judged, so that nobody's flood of questions
/// costs more than an answer.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    person: String,
    job: Option<JobId>,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(installation: Arc<Installation>, running_max: usize, of_one_max: usize) -> Self {
        let shared = Shared {
            installation,
            running: Semaphore::new(running_max),
            of_one_max,
            under_way: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A place for one more job of a person, unless they have too many under way.
    pub(super) fn place(&self, person: &str) -> Option<Place> {
        let mut under_way = self.shared.under_way();
        let jobs = under_way.of.entry(person.to_owned()).or_default();
        if *jobs >= self.shared.of_one_max {
            return None;
        }
        *jobs += 1;
        Some(Place { shared: Arc::clone(&self.shared), person: person.to_owned(), job: None })
    }

    /// Runs an admitted job as soon as there is room for it.
    pub(super) fn enter(&self, mut place: Place, waiting: Waiting) {
        let job = waiting.job();
        self.shared.under_way().ended.insert(job, watch::Sender::new(false));
        place.job = Some(job);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            // Waiters are served in the order in which they came.
            let permit = shared.running.acquire().await;
            let submitted = run_waiting(&shared.installation, waiting, &|_progress| {}).await;
            if let Err(crate::error::AppError::Internal(internal)) = submitted {
                shared.installation.note(&job.to_string(), &internal);
            }
            drop(permit);
            drop(place);
        });
    }

    /// Waits until a job of this process has ended, or for so long.
    pub(super) async fn wait(&self, job: JobId, most: Duration) {
        let ended = self.shared.under_way().ended.get(&job).map(watch::Sender::subscribe);
        if let Some(mut ended) = ended {
            // Neither the end of the time nor that of the sender is a failure: the caller looks for itself.
            let _told = tokio::time::timeout(most, ended.wait_for(|ended| *ended)).await;
        }
    }
}

impl Shared {
    /// A panic while the lock was held leaves sets that are still sets.
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.shared.under_way();
        if let Some(jobs) = under_way.of.get_mut(&self.person) {
            *jobs = jobs.saturating_sub(1);
            if *jobs == 0 {
                under_way.of.remove(&self.person);
            }
        }
        if let Some(ended) = self.job.and_then(|job| under_way.ended.remove(&job)) {
            ended.send_replace(true);
        }
    }
}
