//! Admitted jobs between their decision and their end: so many run at a time, so many of one person, and the person who has
//! waited longest is next. The queue is lost with the process; a job in it is not, and the next start settles it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::query::judge::AdmittedJob;
use crate::app::query::run::JobControl;
use crate::app::query::run::Progress;
use crate::app::query::run::cancel_admitted;
use crate::app::query::run::run_admitted;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::jobs::JobState;
use crate::service::job_events::JobEvents;

/// Most jobs that there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// Jobs that run.
    pub(crate) running: usize,
    /// Jobs of one person that run.
    pub(crate) running_of_one: usize,
    /// Jobs of one person that have not ended.
    pub(crate) open_of_one: usize,
    /// Bytes that waiting jobs hold.
    pub(crate) waiting_bytes: usize,
}

/// The contents of a queue at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Jobs that wait.
    pub(crate) waiting: usize,
    /// Jobs that run.
    pub(crate) running: usize,
    /// Bytes that waiting jobs hold.
    pub(crate) waiting_bytes: usize,
}

/// The jobs of one process.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    installation: Arc<Installation>,
    events: Arc<JobEvents>,
    limits: QueueLimits,
    state: Mutex<State>,
    /// The tasks that run for this queue, and end with it.
    tasks: Mutex<JoinSet<()>>,
    /// The number of jobs that have not ended.
    open: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// People with jobs, in no order.
    lanes: BTreeMap<String, Lane>,
    /// People with waiting jobs; the one who was served longest ago comes first.
    turns: VecDeque<String>,
    running: usize,
    /// Bytes that waiting jobs hold.
    waiting_bytes: usize,
    jobs: BTreeMap<JobId, Handle>,
    closed: bool,
}

/// The jobs of one person.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Permit, AdmittedJob)>,
    running: usize,
    open: usize,
}

/// The means to stop a job that has not ended, and to notice its end.
#[derive(Debug)]
struct Handle {
    cancel: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

/// The right to take in one more job of a person: taken before the question is judged, so that a flood of questions costs
/// only refusals.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    person: String,
    job: Option<JobId>,
    /// Bytes that its question holds while it waits.
    waits: usize,
    runs: bool,
}

/// The reason why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The person has as many unfinished jobs as one may have.
    OfOne,
    /// Waiting jobs hold as much memory as they may.
    OfAll,
    /// The process is about to end.
    Closed,
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(installation: Arc<Installation>, events: Arc<JobEvents>, limits: QueueLimits) -> Self {
        let shared = Shared {
            installation,
            events,
            limits,
            state: Mutex::default(),
            tasks: Mutex::new(JoinSet::new()),
            open: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A permit for one more job of a person.
    ///
    /// # Errors
    /// [`NoPermit`] when they have too many, too much waits, or the process is about to end.
    pub(crate) fn permit(&self, person: &str) -> Result<Permit, NoPermit> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(NoPermit::Closed);
        }
        // Permits that are held already may go beyond it: as many as are judged at a time.
        if state.waiting_bytes >= self.shared.limits.waiting_bytes {
            return Err(NoPermit::OfAll);
        }
        let lane = state.lanes.entry(person.to_owned()).or_default();
        if lane.open >= self.shared.limits.open_of_one {
            return Err(NoPermit::OfOne);
        }
        lane.open += 1;
        self.shared.open.send_modify(|open| *open += 1);
        let (shared, person) = (Arc::clone(&self.shared), person.to_owned());
        Ok(Permit { shared, person, job: None, waits: 0, runs: false })
    }

    /// Runs an admitted job as soon as it is its turn.
    pub(crate) fn enter(&self, mut permit: Permit, waiting: AdmittedJob) {
        let job = waiting.job();
        permit.job = Some(job);
        permit.waits = waiting.bytes();
        let person = permit.person.clone();
        self.shared.events.publish(&person, job, JobState::Queued);
        {
            let mut state = self.shared.state();
            let handle = Handle { cancel: watch::Sender::new(false), ended: watch::Sender::new(false) };
            state.jobs.insert(job, handle);
            state.waiting_bytes = state.waiting_bytes.saturating_add(permit.waits);
            let lane = state.lanes.entry(person.clone()).or_default();
            lane.waiting.push_back((permit, waiting));
            if !state.turns.contains(&person) {
                state.turns.push_back(person);
            }
        }
        Shared::next(&self.shared);
    }

    /// Stops a job that has not ended; says whether this process has it. Its end is to be waited for.
    pub(crate) fn cancel(&self, job: JobId) -> bool {
        let waiting = {
            let mut state = self.shared.state();
            let Some(handle) = state.jobs.get(&job) else { return false };
            handle.cancel.send_replace(true);
            state.lanes.values_mut().find_map(|lane| {
                let at = lane.waiting.iter().position(|(_, waiting)| waiting.job() == job)?;
                lane.waiting.remove(at)
            })
        };
        if let Some((permit, waiting)) = waiting {
            let shared = Arc::clone(&self.shared);
            self.shared.spawn(async move {
                let person = permit.person.clone();
                match cancel_admitted(&shared.installation, waiting).await {
                    Ok(()) => shared.events.publish(&person, job, JobState::Cancelled),
                    Err(error) => shared.installation.note_failure(&job.to_string(), &error),
                }
                drop(permit);
            });
        }
        true
    }

    /// Waits until a job of the queue has ended.
    pub(crate) async fn wait(&self, job: JobId) {
        let ended = self.shared.state().jobs.get(&job).map(|handle| handle.ended.subscribe());
        if let Some(mut ended) = ended {
            // The end of the sender is no failure: the caller looks for itself.
            let _told = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Takes no more jobs, stops those that wait, and gives those that run so long to end.
    pub(crate) async fn close(&self, most: Duration) {
        let waiting: Vec<JobId> = {
            let mut state = self.shared.state();
            state.closed = true;
            let lanes = state.lanes.values();
            lanes.flat_map(|lane| lane.waiting.iter().map(|(_, waiting)| waiting.job())).collect()
        };
        for job in waiting {
            self.cancel(job);
        }
        let mut open = self.shared.open.subscribe();
        // Jobs that still run after that are marked by the next start.
        let _in_time = tokio::time::timeout(most, open.wait_for(|open| *open == 0)).await;
    }

    /// The number of jobs that wait and that run, and the bytes that waiting jobs hold.
    pub(crate) fn load(&self) -> Load {
        let state = self.shared.state();
        let waiting = state.lanes.values().map(|lane| lane.waiting.len()).sum();
        Load { waiting, running: state.running, waiting_bytes: state.waiting_bytes }
    }
}

impl Shared {
    /// Starts as many waiting jobs as there is room for.
    fn next(shared: &Arc<Self>) {
        loop {
            let (permit, waiting) = {
                let mut state = shared.state();
                match state.take_turn(shared.limits) {
                    Some(next) => next,
                    None => return,
                }
            };
            shared.spawn(Self::run(Arc::clone(shared), permit, waiting));
        }
    }

    async fn run(shared: Arc<Self>, permit: Permit, waiting: AdmittedJob) {
        let job = waiting.job();
        let person = permit.person.clone();
        let cancelled = shared.state().jobs.get(&job).map(|handle| handle.cancel.subscribe());
        let tell = |progress: Progress| match progress {
            // The time at which a stage ends depends on its data: no reader is told before the step is over.
            Progress::Running(_) => {}
            Progress::Checking => shared.events.publish(&person, job, JobState::Checking),
        };
        shared.events.publish(&person, job, JobState::Running);
        let control = match &cancelled {
            Some(cancelled) => JobControl::stoppable(&tell, cancelled),
            None => JobControl::following(&tell),
        };
        match run_admitted(&shared.installation, waiting, control).await {
            Ok(end) => shared.events.publish(&person, job, end.state()),
            Err(error) => shared.installation.note_failure(&job.to_string(), &error),
        }
        drop(permit);
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Tasks that have ended are not kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// A panic while the lock was held leaves sets that are still sets.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The job whose turn it is, if there is room for it.
    fn take_turn(&mut self, limits: QueueLimits) -> Option<(Permit, AdmittedJob)> {
        if self.running >= limits.running {
            return None;
        }
        for _ in 0..self.turns.len() {
            let person = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&person) else { continue };
            if lane.running >= limits.running_of_one {
                self.turns.push_back(person);
                continue;
            }
            let Some((mut permit, waiting)) = lane.waiting.pop_front() else { continue };
            permit.runs = true;
            lane.running += 1;
            self.running += 1;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(std::mem::take(&mut permit.waits));
            if !lane.waiting.is_empty() {
                self.turns.push_back(person);
            }
            return Some((permit, waiting));
        }
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.waiting_bytes = state.waiting_bytes.saturating_sub(self.waits);
        if self.runs {
            state.running = state.running.saturating_sub(1);
        }
        if let Some(lane) = state.lanes.get_mut(&self.person) {
            lane.running = lane.running.saturating_sub(usize::from(self.runs));
            lane.open = lane.open.saturating_sub(1);
            if lane.open == 0 {
                state.lanes.remove(&self.person);
            }
        }
        if let Some(handle) = self.job.and_then(|job| state.jobs.remove(&job)) {
            handle.ended.send_replace(true);
        }
        drop(state);
        self.shared.open.send_modify(|open| *open = open.saturating_sub(1));
        // However a job ended, the next one has its turn; unless the whole process is ending.
        if self.runs && tokio::runtime::Handle::try_current().is_ok() {
            Shared::next(&self.shared);
        }
    }
}
