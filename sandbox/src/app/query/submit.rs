//! Use case: ask a question. The one function that every door calls: one guard, one audit trail, one kind of result.
//!
//! Order is everything here: the verdict is durable in the log before anything runs, and the sealed result is durable on
//! disk before its release is logged, so that a kill at any instruction leaves a job that the next start can settle.
//! Judging ([`submit`]) and running ([`run_admitted`]) are apart, so that jobs can wait for room in between.

use crate::app::people::authorise::may_ask;
use crate::app::query::charging::weigh;
use crate::app::query::end::never_runs;
use crate::app::query::judge::SealedQuestion;
use crate::app::query::judge::Submission;
use crate::app::query::judge::judge;
use crate::app::query::judge::never_sealed;
use crate::app::query::outcome::Submitted;
use crate::app::query::pending::pend;
use crate::app::query::pending::waits_for_approval;
use crate::app::query::purpose::check_purpose;
use crate::app::query::question::SubmitQuery;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::parsed;
use crate::app::query::review_context::review_context;
use crate::app::query::run::JobControl;
use crate::app::query::run::Progress;
use crate::app::query::run::run_admitted;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::results;
use crate::installation::results::QuestionText;
use crate::installation::reviews::Judging;
use crate::jobs::JobError;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::jobs::store::NewJob;
use crate::jobs::store::Repeatable;

/// Most results of one person that wait for reviewers: further questions that need some are not taken in.
const IN_REVIEW_OF_ONE_MAX: usize = 64;

/// Asks a question and waits for what comes of it.
///
/// # Errors
/// Forbidden for all but analysts; failure when the question could not even be written down. Any later fault is the
/// job's end, not an error.
pub async fn submit_query(
    installation: &Installation,
    caller: &Caller,
    question: SubmitQuery,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Submitted, AppError> {
    match submit(installation, caller, question).await? {
        Submission::Explained(verdict) => Ok(Submitted::Explained(verdict)),
        Submission::Refused { job, verdict } => Ok(Submitted::Refused { job, verdict }),
        Submission::Pending { job } => Ok(Submitted::Pending { job }),
        Submission::Admitted(waiting) => {
            run_admitted(installation, *waiting, JobControl::following(progress)).await.map(Submitted::Ended)
        }
        Submission::Repeated(row) => Err(InternalError::of_kind("ask once", row.state.name()).into()),
    }
}

/// Judges a question and writes the job and its decision down; nothing has run afterwards.
///
/// # Errors
/// Forbidden for all but analysts, and strangers, whom only open data answers; conflict when the question's key belongs to
/// another question, or to one that is being judged right now; failure when the question could not even be written down.
pub async fn submit(
    installation: &Installation,
    caller: &Caller,
    question: SubmitQuery,
) -> Result<Submission, AppError> {
    may_ask(caller)?;
    check_purpose(&question.purpose)?;
    if let Some(row) = repeated(installation, caller, &question).await? {
        return Ok(Submission::Repeated(Box::new(row)));
    }
    let review_context = review_context(installation, caller, &parsed(&question.sql)).await?;
    let judging = Judging::Question(&question.presence);
    let reviewed = match review_context.review(installation, &question, judging).await? {
        explained @ Reviewed::Admitted { explain_only: true, .. } => {
            let weighed = weigh(installation, caller, explained, &review_context).await?;
            let (Reviewed::Admitted { verdict, .. } | Reviewed::Refused(verdict)) = weighed;
            return Ok(Submission::Explained(verdict));
        }
        Reviewed::Admitted { plan, .. } if !review_context.is_sealed(&plan) => {
            Reviewed::Refused(never_sealed())
        }
        other => other,
    };
    if let Reviewed::Admitted { verdict, .. } = &reviewed
        && verdict.reviewers > 0
    {
        must_have_few_in_review(installation, caller).await?;
    }
    let waits = match &reviewed {
        Reviewed::Refused(_) => {
            waits_for_approval(installation, caller, (&question, review_context.parsed())).await?
        }
        Reviewed::Admitted { .. } => false,
    };
    let id = JobId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a job")?;
    let asked = QuestionText::new(installation, &question.sql)?;
    let query = results::seal_query(installation, id, &asked)?;
    let new = NewJob {
        id,
        person: caller.person().name.to_string(),
        purpose: question.purpose.chars().take(64).collect(),
        door: caller.door().name(),
        received: review_context.now,
        sql_key: query.key.to_string(),
        repeatable: question.repeatable()?,
    };
    let purpose = new.purpose.clone();
    let _hold = installation.jobs.hold(id);
    let job = match installation.jobs.receive(new).await {
        Err(JobError::Repeated) => {
            // Another request was quicker with the same key.
            let row = repeated(installation, caller, &question).await?;
            let row = row.ok_or_else(|| InternalError::of_kind("take a job in", "repeated"))?;
            return Ok(Submission::Repeated(Box::new(row)));
        }
        received => received.during("take a job in")?,
    };
    let grants = &question.grants.clone();
    let sealed =
        SealedQuestion { caller, purpose: &purpose, grants, asked: &asked, sealed_query: &query.sealed };
    let taken = if waits {
        pend(installation, sealed, job).await
    } else {
        judge(installation, sealed, job, reviewed, review_context, question).await
    };
    match taken {
        Ok(taken) => Ok(taken),
        Err(error) => {
            never_runs(installation, caller.door(), id, &error).await;
            Err(error)
        }
    }
}

/// Refuses somebody as many of whose results wait as reviewers can be asked to look at.
async fn must_have_few_in_review(installation: &Installation, caller: &Caller) -> Result<(), AppError> {
    let person = caller.person().name.as_str();
    let waiting = installation.jobs.in_review(Some(person)).await.during("count jobs")?;
    if waiting.len() < IN_REVIEW_OF_ONE_MAX {
        return Ok(());
    }
    Err(PublicError::new(
        Class::Conflict,
        "too-many-in-review",
        format!("{IN_REVIEW_OF_ONE_MAX} results of yours wait for reviewers, as many as one person may have"),
        format!("您有 {IN_REVIEW_OF_ONE_MAX} 个结果正在等待复核，已达上限"),
    )
    .with_help("wait until one is decided, or cancel one", "请等待复核，或取消其中之一")
    .into())
}

/// The job of a question that the caller has asked before, under the key that it has.
///
/// # Errors
/// As [`submit`].
pub async fn repeated(
    installation: &Installation,
    caller: &Caller,
    question: &SubmitQuery,
) -> Result<Option<JobRow>, AppError> {
    may_ask(caller)?;
    match question.repeatable()? {
        Some(repeatable) => asked_before(installation, caller, &repeatable).await,
        None => Ok(None),
    }
}

/// The job that the caller asked for under this key, whose request must be the same.
async fn asked_before(
    installation: &Installation,
    caller: &Caller,
    repeatable: &Repeatable,
) -> Result<Option<JobRow>, AppError> {
    let person = caller.person().name.as_str();
    let row = installation.jobs.job_of_request(person, &repeatable.key).await.during("find a job")?;
    let Some(row) = row else { return Ok(None) };
    if !installation.jobs.is_of_request(&row, repeatable) {
        return Err(PublicError::new(
            Class::Conflict,
            "idempotency-key-reused",
            "this idempotency key belongs to another request of yours",
            "该幂等键已用于您的另一个请求",
        )
        .with_help("draw a new key for every new request", "请为每个新请求生成新的幂等键")
        .into());
    }
    if row.state == JobState::Received {
        return Err(PublicError::new(
            Class::Conflict,
            "idempotency-in-flight",
            "the same request is being judged right now",
            "相同的请求正在处理中",
        )
        .with_help("ask again in a second", "请稍后重试")
        .into());
    }
    Ok(Some(row))
}
