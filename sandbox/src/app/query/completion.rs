//! When the end of a job is told: on a grid of steps that begins when the job begins to run, and whose step depends on the
//! cost class of its plan alone. It knows nothing of what the job does, and nothing that depends on data moves it.
//!
//! The time that a question computes depends on its data; rounded up to the step, small differences do not show. Every end
//! of a running job is held to it: released, withheld, failed, stopped.

use std::time::Duration;

use jiff::Timestamp;
use obscura_query_guard::plan::Cost;
use tokio::time::Instant;

/// The moments at which the end of one running job may be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompletionGrid {
    began: Timestamp,
    began_at: Instant,
    step: Duration,
}

impl CompletionGrid {
    /// A grid that begins now; `least` is the step of the cheapest plans.
    pub(crate) fn begin(now: Timestamp, least: Duration, cost: Cost) -> Self {
        Self { began: now, began_at: Instant::now(), step: step_of(least, cost) }
    }

    /// Waits until the next step is over, and gives that moment: every earlier end counts as an end then.
    pub(crate) async fn next(&self) -> Timestamp {
        let after = rounded_up(self.began_at.elapsed(), self.step);
        tokio::time::sleep_until(self.began_at + after).await;
        // A clock at the end of time tells the moment of the beginning.
        self.began.checked_add(after).unwrap_or(self.began)
    }
}

/// The step of a cost class.
fn step_of(least: Duration, cost: Cost) -> Duration {
    match cost {
        Cost::S => least,
        Cost::M => least * 10,
        Cost::L => least * 100,
    }
}

/// The next whole number of steps: never none, and never the moment itself.
fn rounded_up(elapsed: Duration, step: Duration) -> Duration {
    let step = step.max(Duration::from_millis(1));
    let over = elapsed.as_nanos().checked_div(step.as_nanos()).unwrap_or(0);
    step.saturating_mul(u32::try_from(over).unwrap_or(u32::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(5);

    #[test]
    fn a_step_depends_on_the_cost_class_alone() {
        let steps = [Cost::S, Cost::M, Cost::L].map(|cost| step_of(LEAST, cost).as_millis());
        assert_eq!(steps, [5, 50, 500]);
    }

    #[test]
    fn an_end_is_rounded_up_to_a_whole_number_of_steps() {
        let rounded = |millis| rounded_up(Duration::from_micros(millis), LEAST).as_micros();
        assert_eq!([0, 1, 4999].map(rounded), [5000; 3]);
        assert_eq!([5000, 5001, 9999].map(rounded), [10_000; 3]);
        assert_eq!(rounded(1_000_000), 1_005_000);
    }

    #[tokio::test]
    async fn nobody_is_told_before_the_moment_that_is_told() {
        let began = Timestamp::UNIX_EPOCH;
        let grid = CompletionGrid::begin(began, LEAST, Cost::M);
        for _ in 0..3 {
            let told = grid.next().await;
            let after = told.duration_since(began);
            assert_eq!(after.as_millis() % 50, 0, "{after:?}");
            assert!(after.as_millis() > 0 && grid.began_at.elapsed() >= after.unsigned_abs());
        }
    }
}
