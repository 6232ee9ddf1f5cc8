//! Computing an admitted question over the sealed data: opens what its plan names, and has the engine run it within the
//! job's limits. It writes nothing down and releases nothing.

use std::sync::Arc;

use obscura_query_guard::control::Release;
use obscura_query_guard::execution::ExecutionContext;
use obscura_query_guard::plan::GuardedPlan;

use crate::app::query::end::Ended;
use crate::app::query::job_limits::limits_of;
use crate::app::query::judge::Admitted;
use crate::app::query::opening::Opened;
use crate::app::query::opening::Unwrapped;
use crate::app::query::opening::open_tables;
use crate::app::query::privacy_noise::PrivacyNoise;
use crate::app::query::review_context::ReviewContext;
use crate::engine::EngineError;
use crate::engine::EngineJob;
use crate::engine::EngineLimits;
use crate::engine::EngineProgress;
use crate::engine::EngineThreads;
use crate::engine::Executor;
use crate::engine::execute;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::charges::Reserved;
use crate::jobs::JobFailure;

/// Computes a question whose price is charged; also says which keys were unwrapped for it.
pub(super) async fn compute(
    installation: &Installation,
    id: JobId,
    review_context: &ReviewContext,
    (admitted, charged): (&Admitted, &Reserved),
    progress: &(dyn Fn(EngineProgress) + Send + Sync),
) -> Result<(Release, Unwrapped), Ended> {
    let Admitted { plan, keys, noise, .. } = admitted;
    let prepared = prepare(installation, id, review_context, plan).map_err(Ended::broken)?;
    let Prepared { limits, executor, threads, opened } = prepared;
    let Opened { sealed, versions, unwrapped } = opened;
    let context = ExecutionContext {
        secrets: Some(Arc::clone(keys) as _),
        noise: Some(Arc::clone(noise) as _),
        // Only a question whose price is charged gets its noise, and none runs without it.
        privacy: Some(Arc::new(PrivacyNoise::once(charged)) as _),
        versions,
    };
    let job = EngineJob { plan: Arc::clone(plan), context, sealed: Arc::new(sealed), limits };
    let computed = execute(&executor, &threads, job, progress).await;
    computed.map(|release| (release, unwrapped)).map_err(engine_failure)
}

/// All that running a plan needs besides the plan.
struct Prepared {
    limits: EngineLimits,
    executor: Arc<dyn Executor>,
    threads: Arc<EngineThreads>,
    opened: Opened,
}

fn prepare(
    installation: &Installation,
    id: JobId,
    review_context: &ReviewContext,
    plan: &GuardedPlan,
) -> Result<Prepared, AppError> {
    let limits = limits_of(id, installation.settings().limits, installation.keys.as_ref());
    let limits = limits.during("draw the limits of a job")?;
    let (executor, threads) = installation.executor().during("start the threads of jobs")?;
    let opened = open_tables(review_context, installation, id, plan)?;
    Ok(Prepared { limits, executor, threads, opened })
}

fn engine_failure(error: EngineError) -> Ended {
    let (failure, kind) = match error {
        EngineError::Withheld => return Ended::Withheld,
        EngineError::OutOfMemory => (JobFailure::Limit, "out of memory"),
        EngineError::TooManyRows => (JobFailure::Limit, "too many rows of released tables"),
        EngineError::TimedOut => (JobFailure::Limit, "timed out"),
        EngineError::ResultTooLarge => (JobFailure::Limit, "result too large"),
        EngineError::Recheck(what) => {
            return Ended::Failed(
                JobFailure::Internal,
                InternalError::of_kind("look again at an admitted plan", what).into(),
            );
        }
        EngineError::Failed(failure) => (JobFailure::Execution, failure.kind()),
    };
    Ended::Failed(failure, InternalError::of_kind("run a query", kind).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_job_may_use_is_told_apart_from_other_failures() {
        let told = |error| match engine_failure(error) {
            Ended::Failed(failure, _) => Some(failure.code()),
            Ended::Withheld | Ended::Cancelled(_) => None,
        };
        assert_eq!(told(EngineError::OutOfMemory), Some("limit-exceeded"));
        assert_eq!(told(EngineError::TooManyRows), Some("limit-exceeded"));
        assert_eq!(told(EngineError::TimedOut), Some("limit-exceeded"));
        assert_eq!(told(EngineError::ResultTooLarge), Some("limit-exceeded"));
        assert_eq!(told(EngineError::Recheck("clustering")), Some("internal-error"));
        assert_eq!(told(EngineError::Withheld), None);
    }
}
