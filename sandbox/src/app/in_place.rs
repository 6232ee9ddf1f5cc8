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
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    let in_turn = || {
        let _turn = Turn::take();
        work()
    };
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) { block_in_place(in_turn) } else { in_turn() }
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
