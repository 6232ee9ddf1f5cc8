//! The threads that jobs are computed on, apart from those that answer requests: while a job keeps them busy, a server still
//! answers. It knows no plan and no table.
//!
//! A job's task is stopped by dropping its waiter: the engine gives way at every batch, and its own tasks end with those
//! that wait for them. Planning does not give way. It is done on one of a few threads that can be left behind; a planning
//! that is left behind ends by itself, because the guard bounds its plan.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::runtime::Handle;
use tokio::runtime::Runtime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::task::spawn_blocking;

/// Most plans that are made at a time, those left behind included.
const PLANNINGS_MAX: usize = 4;

/// Stack of each thread: planning recurses over expressions as deep as the guard's limits let them be.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// The threads of one process's jobs.
pub struct EngineThreads {
    /// There until this is dropped.
    runtime: Option<Runtime>,
    plannings: Plannings,
}

impl fmt::Debug for EngineThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineThreads")
    }
}

/// Places for plans that are being made.
#[derive(Clone)]
pub(super) struct Plannings(Arc<Semaphore>);

/// A task did not come to its end: it panicked, or its threads are gone. A panic's message may quote data, so it is not
/// kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task of the engine was lost")]
pub(super) struct Lost;

impl EngineThreads {
    /// Starts so many threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime), plannings: Plannings(Arc::new(Semaphore::new(PLANNINGS_MAX))) })
    }

    /// Places for plans, shared by all jobs.
    pub(super) fn plannings(&self) -> Plannings {
        self.plannings.clone()
    }

    /// Runs a task to its end, or until its caller no longer waits for it: then it is stopped where it next gives way.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Lost> {
        let runtime = self.runtime.as_ref().ok_or(Lost)?;
        // Dropped with what waits here, the set ends its task.
        let mut tasks = JoinSet::new();
        tasks.spawn_on(task, runtime.handle());
        tasks.join_next().await.ok_or(Lost)?.map_err(|_panicked| Lost)
    }
}

impl Plannings {
    /// Does work that does not give way, on a thread that is left behind when its caller no longer waits. Its place is free
    /// when it has ended, and not before.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Lost> {
        let place: OwnedSemaphorePermit =
            Arc::clone(&self.0).acquire_owned().await.map_err(|_closed| Lost)?;
        let worked = spawn_blocking(move || {
            let _place = place;
            Handle::current().block_on(work)
        });
        worked.await.map_err(|_panicked| Lost)
    }
}

impl Drop for EngineThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A task must not wait for threads, and the caller may be one.
            runtime.shutdown_background();
        }
    }
}
