//! Work that keeps a thread busy, done where it stands without keeping others waiting, and only so much of it at a time:
//! judging a hundred questions at once would need the memory of a hundred.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::runtime::Handle;
use tokio::runtime::RuntimeFlavor;
use tokio::task::block_in_place;

/// How much is done at a time.
const TURNS: usize = 4;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// Does work that computes for milliseconds or reads files: the runtime's other tasks move to another thread meanwhile.
/// Such work is never part of other such work.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    blocking_io(|| {
        let _turn = Turn::take();
        work()
    })
}

/// Does work that only waits for a file, or reads a few: the runtime's other tasks move to another thread meanwhile, and it
/// waits for no turn.
pub(crate) fn blocking_io<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) { block_in_place(work) } else { work() }
}

/// The right to work; given back when dropped, also by a panic.
struct Turn;

impl Turn {
    fn take() -> Self {
        let mut taken =
            GIVEN_BACK.wait_while(held(), |taken| *taken >= TURNS).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = held();
        *taken = taken.saturating_sub(1);
        drop(taken);
        GIVEN_BACK.notify_one();
    }
}

/// A panic while the lock was held leaves a number that is still a number.
fn held() -> MutexGuard<'static, usize> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    /// The work waits for what only another task of the same single thread can bring.
    fn others_go_on_meanwhile(work: fn(mpsc::Receiver<()>)) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (bring, brought) = mpsc::channel();
            let (begun, beginning) = tokio::sync::oneshot::channel();
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                begun.send(()).unwrap();
                work(brought);
            });
            tasks.spawn(async move {
                beginning.await.unwrap();
                bring.send(()).unwrap();
            });
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        });
    }

    #[test]
    fn work_keeps_no_other_task_of_its_thread_waiting() {
        others_go_on_meanwhile(|brought| blocking(|| brought.recv().unwrap()));
        others_go_on_meanwhile(|brought| blocking_io(|| brought.recv().unwrap()));
    }
}
