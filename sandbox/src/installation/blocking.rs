//! Work that keeps a thread busy, done where it stands without keeping others waiting, and only so much of it at a time:
//! judging a hundred questions at once would need the memory of a hundred.

use std::cell::Cell;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::runtime::Handle;
use tokio::runtime::RuntimeFlavor;
use tokio::task::block_in_place;

/// Pieces of such work that are done at a time in one installation.
const PERMITS: usize = 4;

thread_local! {
    /// True while this thread does work that has a permit.
    static HAS_PERMIT: Cell<bool> = const { Cell::new(false) };
}

/// The permits of one installation for work that keeps a thread busy.
#[derive(Debug, Default)]
pub(super) struct BlockingPermits {
    taken: Mutex<usize>,
    given_back: Condvar,
}

/// The right to work; given back when dropped, also by a panic.
struct BlockingPermit<'a>(&'a BlockingPermits);

impl BlockingPermits {
    /// Does work that computes for milliseconds or reads files: the runtime's other tasks move to another thread meanwhile.
    /// Such work is never part of other such work: it would wait for a permit while it holds one.
    pub(super) fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        blocking_io(|| {
            let _permit = self.acquire();
            work()
        })
    }

    fn acquire(&self) -> BlockingPermit<'_> {
        debug_assert!(!HAS_PERMIT.get(), "work within work may wait for itself");
        let mut taken = self
            .given_back
            .wait_while(self.taken(), |taken| *taken >= PERMITS)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        HAS_PERMIT.set(true);
        BlockingPermit(self)
    }

    /// A panic while the lock was held leaves a number that is still a number.
    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BlockingPermit<'_> {
    fn drop(&mut self) {
        HAS_PERMIT.set(false);
        let mut taken = self.0.taken();
        *taken = taken.saturating_sub(1);
        drop(taken);
        self.0.given_back.notify_one();
    }
}

/// Does work that only waits for a file, or reads a few: the runtime's other tasks move to another thread meanwhile, and it
/// waits for no permit.
pub(crate) fn blocking_io<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) { block_in_place(work) } else { work() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::mpsc;

    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    /// The work waits for a message that only another task of the same single thread can send.
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
        others_go_on_meanwhile(|brought| BlockingPermits::default().work(|| brought.recv().unwrap()));
        others_go_on_meanwhile(|brought| blocking_io(|| brought.recv().unwrap()));
    }

    #[test]
    fn a_permit_is_given_back_by_a_panic_and_work_within_work_is_noticed() {
        let permits = BlockingPermits::default();
        let work = |work: fn(&BlockingPermits)| {
            let unwind = AssertUnwindSafe(|| permits.work(|| work(&permits)));
            std::panic::catch_unwind(unwind).is_ok()
        };
        let is_checked = cfg!(debug_assertions);
        for _ in 0..=PERMITS {
            assert!(!work(|_| panic!("the work broke")));
            assert_eq!(work(|permits| permits.work(|| ())), !is_checked);
        }
        assert!(work(|_| ()));
        assert_eq!(*permits.taken(), 0);
    }
}
