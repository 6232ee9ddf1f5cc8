//! Jobs that wait for an approval or for reviewers, gone on with by themselves: when one is given here, and every so often,
//! because it may be given elsewhere. Jobs that were dropped are settled on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::app::query::judge::Submission;
use crate::app::query::pending::circumstances;
use crate::app::query::pending::pending_jobs;
use crate::app::query::pending::resume;
use crate::app::recover::Recovered;
use crate::app::recover::settle_jobs;
use crate::app::reviews::conclude::settle_reviews;
use crate::context::Door;
use crate::error::During as _;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::jobs::JobState;
use crate::service::job_events::JobEvents;
use crate::service::queue::Queue;

/// Time between two looks at jobs that wait for an approval; an approval that is given here leads to a look at once.
const RESUME_EVERY: Duration = Duration::from_secs(20);

/// The jobs that wait for an approval, as one process goes on with them.
#[derive(Debug)]
pub(crate) struct PendingJobs {
    installation: Arc<Installation>,
    queue: Queue,
    events: Arc<JobEvents>,
    /// The circumstances of each when it was last judged.
    looked_at: Mutex<BTreeMap<JobId, String>>,
    /// The jobs that waited for reviewers at the last look, and who asked each.
    in_review: Mutex<BTreeMap<JobId, String>>,
}

impl PendingJobs {
    /// The jobs of an installation; those that may run go into this queue.
    pub(crate) fn new(installation: Arc<Installation>, queue: Queue, events: Arc<JobEvents>) -> Self {
        Self { installation, queue, events, looked_at: Mutex::default(), in_review: Mutex::default() }
    }

    /// Judges the jobs again that wait for an approval, of one person or of all; those that may run now take their permit.
    pub(crate) async fn resume(&self, person: Option<&str>) {
        let installation = &self.installation;
        let pending = match pending_jobs(installation, person).await {
            Ok(pending) => pending,
            Err(error) => return installation.note_failure("pending", &error),
        };
        let mut looked_at = self.looked_at.lock().await;
        looked_at.retain(|job, _| person.is_some() || pending.iter().any(|row| row.id == *job));
        for row in pending {
            match circumstances(installation, &row.person).await {
                Ok(now) if looked_at.get(&row.id) == Some(&now) => continue,
                Ok(now) => drop(looked_at.insert(row.id, now)),
                Err(error) => {
                    installation.note_failure(&row.id.to_string(), &error);
                    continue;
                }
            }
            // A person with as many jobs as one may have gets to this one later.
            let Ok(permit) = self.queue.permit(&row.person) else {
                looked_at.remove(&row.id);
                continue;
            };
            match resume(installation, &row).await {
                Ok(Some(Submission::Admitted(waiting))) => self.queue.enter(permit, *waiting),
                Ok(Some(Submission::Refused { job, .. })) => {
                    self.events.publish(&row.person, job, JobState::Refused)
                }
                Ok(
                    Some(Submission::Explained(_) | Submission::Pending { .. } | Submission::Repeated(_))
                    | None,
                ) => {}
                Err(error) => installation.note_failure(&row.id.to_string(), &error),
            }
        }
    }

    /// Settles jobs that were dropped, here or by a process that died.
    async fn settle(&self) {
        if let Err(error) = settle_jobs(&self.installation, Door::Http, &mut Recovered::default()).await {
            self.installation.note_failure("dropped jobs", &error);
        }
    }

    /// Goes on with jobs whose review is over, and tells of those that ended since the last look, here or at another door.
    async fn settle_reviews(&self) {
        let installation = &self.installation;
        if let Err(error) = settle_reviews(installation, Door::Http).await {
            installation.note_failure("reviews", &error);
        }
        let waiting =
            match installation.jobs.in_review(None).await.during("list jobs that wait for reviewers") {
                Ok(rows) => rows.into_iter().map(|row| (row.id, row.person)).collect(),
                Err(error) => return installation.note_failure("reviews", &error),
            };
        let before = std::mem::replace(&mut *self.in_review.lock().await, waiting);
        for (job, person) in before {
            match installation.jobs.job(job).await.during("find a job") {
                Ok(Some(row)) if row.state != JobState::InReview => {
                    self.events.publish(&person, job, row.state);
                }
                Ok(_) => {}
                Err(error) => installation.note_failure(&job.to_string(), &error),
            }
        }
    }

    /// Tells of the end of a review that was decided here.
    pub(crate) async fn reviewed(&self, person: &str, job: JobId, state: JobState) {
        if state != JobState::InReview {
            self.in_review.lock().await.remove(&job);
            self.events.publish(person, job, state);
        }
    }

    /// Settles jobs that were dropped and goes on with jobs that wait for approvals, now and at intervals: an approval may
    /// be given at another door.
    pub(crate) async fn keep_resuming(&self, mut stopping: watch::Receiver<bool>) {
        let mut times = tokio::time::interval(RESUME_EVERY);
        loop {
            tokio::select! {
                _told = stopping.wait_for(|stopping| *stopping) => return,
                _time = times.tick() => {}
            }
            self.settle().await;
            self.settle_reviews().await;
            self.resume(None).await;
        }
    }
}
