//! Reviews under way: so many at a time, each on a thread that no other work waits for. It judges nothing itself.
//!
//! A review computes and does not give way, and hostile questions make it compute for as long as the guard's limits let
//! them. On threads of their own, reviews delay no request that needs no review. A client that finds no seat soon is told to
//! come back, and a client that is gone waits for none. A review that no client waits for any more goes on to its end, and
//! gives its seat back then and not before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::context::Presence;
use crate::error::AppError;
use crate::error::Class;
use crate::error::InternalError;
use crate::error::PublicError;

/// Reviews of questions at a time: judging a hundred at once would need the memory of a hundred.
const QUESTIONS_MAX: usize = 4;
/// Runs of documents' own tests at a time: each is up to a hundred reviews.
const TESTS_MAX: usize = 1;
/// Longest that an asker waits for a seat.
const WAIT: Duration = Duration::from_secs(10);

/// The kinds of reviews, by what is judged and who waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Judging<'a> {
    /// A question, as it is asked: not waited for for long.
    Question(&'a Presence),
    /// A question that was admitted, or waits for an approval, once more: of these the process does few at a time by itself.
    Again,
    /// The tests of documents.
    Tests,
}

/// The seats.
#[derive(Debug)]
pub(crate) struct Reviews {
    questions: Arc<Semaphore>,
    tests: Arc<Semaphore>,
    wait: Duration,
}

impl Default for Reviews {
    fn default() -> Self {
        Self::with(QUESTIONS_MAX, WAIT)
    }
}

impl Reviews {
    fn with(questions: usize, wait: Duration) -> Self {
        let tests = Arc::new(Semaphore::new(TESTS_MAX));
        Self { questions: Arc::new(Semaphore::new(questions)), tests, wait }
    }

    /// The number of questions that are being judged.
    pub(crate) fn under_way(&self) -> usize {
        QUESTIONS_MAX.saturating_sub(self.questions.available_permits())
    }

    /// Judges, once there is a seat.
    ///
    /// # Errors
    /// Busy when no seat became free in time; failure when the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        judging: Judging<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let seat = match judging {
            Judging::Question(presence) => {
                let seat = tokio::time::timeout(self.wait, Arc::clone(&self.questions).acquire_owned());
                tokio::select! {
                    biased;
                    () = presence.gone() => return Err(gone().into()),
                    seat = seat => Some(seat.map_err(|_elapsed| busy())?),
                }
            }
            Judging::Again => None,
            Judging::Tests => Some(Arc::clone(&self.tests).acquire_owned().await),
        };
        let seat = seat.transpose().map_err(|_closed| busy())?;
        let judged = spawn_blocking(move || {
            let _seat = seat;
            work()
        });
        // The message of a panic may quote the question.
        judged.await.map_err(|_panicked| InternalError::of_kind("judge a question", "panic").into())
    }
}

fn busy() -> PublicError {
    PublicError::new(
        Class::Busy,
        "too-many-reviews",
        "as many questions are being judged as can be at a time",
        "正在审查的查询已达上限",
    )
    .with_help("ask again in a few seconds", "请稍后重试")
}

/// The error for a client that is gone, which no client reads.
fn gone() -> PublicError {
    PublicError::new(Class::Busy, "asker-gone", "whoever asked does not listen any more", "提问者已断开连接")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::watch;
    use tokio::task::JoinSet;

    use super::*;

    fn code(outcome: Result<(), AppError>) -> String {
        outcome.unwrap_err().public().code().to_owned()
    }

    #[tokio::test]
    async fn a_review_that_does_not_end_keeps_its_seat_and_nobody_elses_thread() {
        let reviews = Arc::new(Reviews::with(1, Duration::from_millis(50)));
        let (bring, brought) = mpsc::channel();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&reviews);
        tasks.spawn(async move {
            let presence = Presence::default();
            let work = move || {
                begin.send(()).unwrap();
                brought.recv().unwrap();
            };
            shared.run(Judging::Question(&presence), work).await
        });
        begun.await.unwrap();
        // This test has one thread, and is told that there is no seat.
        let presence = Presence::default();
        assert_eq!(code(reviews.run(Judging::Question(&presence), || ()).await), "too-many-reviews");
        // Jobs that were admitted, and tests, need no seat among the questions.
        reviews.run(Judging::Again, || ()).await.unwrap();
        reviews.run(Judging::Tests, || ()).await.unwrap();
        // The clients that waited are gone, and their questions still have their seats.
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        assert_eq!(code(reviews.run(Judging::Question(&presence), || ()).await), "too-many-reviews");
        bring.send(()).unwrap();
        let freed = Reviews {
            wait: Duration::from_secs(300),
            questions: Arc::clone(&reviews.questions),
            ..Reviews::default()
        };
        freed.run(Judging::Question(&presence), || ()).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_gone_waits_for_no_seat() {
        let reviews = Reviews::with(0, Duration::from_secs(300));
        let (listens, listening) = watch::channel(());
        let presence = Presence::of(listening);
        drop(listens);
        assert_eq!(code(reviews.run(Judging::Question(&presence), || ()).await), "asker-gone");
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_that_quotes_nothing_and_gives_the_seat_back() {
        let reviews = Reviews::with(1, Duration::from_secs(300));
        let presence = Presence::default();
        let broken = reviews.run(Judging::Question(&presence), || panic!("zip = '9999'")).await;
        let told = format!("{:?}", broken.unwrap_err());
        assert!(!told.contains("9999"), "{told}");
        reviews.run(Judging::Question(&presence), || ()).await.unwrap();
    }
}
