//! Questions and jobs.

use axum::http::Method;
use obscura_crypto::sha256_hex;
use serde_json::Value;

use crate::api::jobs::Explanation;
use crate::api::jobs::JobList;
use crate::api::jobs::JobView;
use crate::api::questions::Question;
use crate::app::log::evidence::evidence;
use crate::app::query::explain_job::explain_job;
use crate::app::query::explain_query::explain_query;
use crate::app::query::fetch_result::fetch_result;
use crate::app::query::formats::Format;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::list_jobs::list_jobs;
use crate::app::query::outcome::JobEnd;
use crate::app::query::outcome::ReleasedQuery;
use crate::app::query::outcome::Submitted;
use crate::app::query::question::SubmitQuery;
use crate::app::query::run::Progress;
use crate::app::query::show_job::show_job;
use crate::app::query::submit::submit_query;
use crate::app::query::verdict::Verdict;
use crate::app::reviews::conclude::cancel_in_review;
use crate::app::reviews::of_job::review_of_job;
use crate::cli::client::Answer;
use crate::cli::client::Client;
use crate::cli::client::Refused;
use crate::cli::client::Sent;
use crate::cli::client::read;
use crate::cli::client::unexpected;
use crate::cli::desk::Desk;
use crate::cli::session::Ending;
use crate::error::Class;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::jobs::JobFailure;
use crate::jobs::JobState;

/// Seconds that one request waits for the end of a job; then the next one does.
const WAIT: u32 = 30;

/// The state of a question after it was sent without waiting.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is over.
    Over(Box<Submitted>),
    /// It goes on.
    GoesOn(Box<JobView>),
}

impl Desk {
    /// Asks a question and waits for its outcome.
    pub(crate) async fn submit(
        &self,
        question: SubmitQuery,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Submitted, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(submit_query(installation, caller, question, progress).await?)
            }
            Self::Server(client) => match begin(client, question, WAIT).await? {
                Begun::Over(submitted) => Ok(*submitted),
                Begun::GoesOn(job) => ended(client, *job).await,
            },
        }
    }

    /// Asks a question; a server goes on with it by itself.
    pub(crate) async fn begin(&self, question: SubmitQuery) -> Result<Begun, Ending> {
        match self {
            Self::Here { .. } => Ok(Begun::Over(Box::new(self.submit(question, &|_progress| {}).await?))),
            Self::Server(client) => begin(client, question, 0).await,
        }
    }

    /// Judges a question.
    pub(crate) async fn explain(&self, question: &SubmitQuery) -> Result<Verdict, Ending> {
        match self {
            Self::Here { installation, caller } => Ok(explain_query(installation, caller, question).await?),
            Self::Server(client) => client.post("/queries/check", body(question)?).await,
        }
    }

    /// Lists the newest jobs.
    pub(crate) async fn jobs(&self, limit: u32) -> Result<Vec<JobView>, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let page = list_jobs(installation, caller, None, limit).await?;
                Ok(page.jobs.iter().map(JobView::of).collect())
            }
            Self::Server(client) => Ok(client.get::<JobList>(&format!("/jobs?limit={limit}")).await?.jobs),
        }
    }

    /// Looks at a job.
    pub(crate) async fn job(&self, id: JobId) -> Result<JobView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let row = show_job(installation, caller, id).await?;
                let review = review_of_job(installation, caller, &row).await?;
                Ok(JobView::reviewed(&row, review))
            }
            Self::Server(client) => client.get(&format!("/jobs/{id}")).await,
        }
    }

    /// Stops a job.
    pub(crate) async fn cancel(&self, id: JobId) -> Result<JobView, Ending> {
        match self {
            Self::Here { installation, caller } => {
                // What waits for reviewers runs nowhere.
                if !cancel_in_review(installation, caller, id).await? {
                    return Err(needs_server().into());
                }
                self.job(id).await
            }
            Self::Server(client) => client.post(&format!("/jobs/{id}/cancel"), Sent::default()).await,
        }
    }

    /// Fetches a result again.
    pub(crate) async fn result(&self, id: JobId) -> Result<ReleasedQuery, Ending> {
        match self {
            Self::Here { installation, caller } => Ok(fetch_result(installation, caller, id).await?),
            Self::Server(client) => released(client, &self.job(id).await?).await,
        }
    }

    /// The explanation of a job's end.
    pub(crate) async fn explanation(&self, id: JobId) -> Result<Explanation, Ending> {
        match self {
            Self::Here { installation, caller } => {
                Ok(Explanation::of(explain_job(installation, caller, id).await?))
            }
            Self::Server(client) => client.get(&format!("/jobs/{id}/explain")).await,
        }
    }

    /// The file of evidence of a job.
    pub(crate) async fn evidence(&self, id: JobId) -> Result<Value, Ending> {
        match self {
            Self::Here { installation, caller } => {
                let evidence = evidence(installation, caller, id).await?;
                Ok(serde_json::to_value(evidence).map_err(std::io::Error::other)?)
            }
            Self::Server(client) => client.get(&format!("/jobs/{id}/evidence")).await,
        }
    }

    /// Follows a job to its end and tells each state that it comes to.
    pub(crate) async fn watch(
        &self,
        id: JobId,
        mut tell: impl FnMut(&str) -> std::io::Result<()>,
    ) -> Result<JobView, Ending> {
        let Self::Server(client) = self else {
            // A job that runs here belongs to the command that asked: others find it over.
            let job = self.job(id).await?;
            tell(&job.state)?;
            return Ok(job);
        };
        let mut last = None;
        loop {
            let mut events = client.follow(&format!("/jobs/{id}/events"), last.take()).await?;
            while let Some(event) = events.recv().await {
                let told: Value = serde_json::from_str(&event.data).map_err(|_| unexpected())?;
                let state = told.get("state").and_then(Value::as_str).unwrap_or_default();
                tell(state)?;
                last = Some(event.id);
                if JobState::from_name(state) == Some(JobState::InReview) {
                    // Reviewers take days: who watches is told that it waits.
                    break;
                }
            }
            // The stream has ended: with the job, or with the server; one more request tells which.
            let job: JobView = client.get(&format!("/jobs/{id}?wait=1")).await?;
            if is_over(&job) {
                return Ok(job);
            }
        }
    }
}

fn body(question: &SubmitQuery) -> Result<Sent, Ending> {
    let grants = question.grants.iter().map(ToString::to_string).collect();
    Sent::json(&Question { sql: question.sql.clone(), purpose: question.purpose.clone(), grants })
}

/// True if there is nothing to wait for, now.
fn is_over(job: &JobView) -> bool {
    let state = JobState::from_name(&job.state);
    let waits_for_people = |state| matches!(state, JobState::PendingApproval | JobState::InReview);
    state.is_none_or(|state| state.is_final() || waits_for_people(state))
}

async fn begin(client: &Client, question: SubmitQuery, wait: u32) -> Result<Begun, Ending> {
    let mut sent = body(&question)?.with("prefer", format!("wait={wait}"));
    if let Some(key) = question.key {
        sent = sent.with("idempotency-key", key);
    }
    let answer = match client.ask(Method::POST, "/jobs", sent).await {
        Ok(answer) => answer,
        Err(Refused::Query(job, verdict)) => {
            return Ok(Begun::Over(Box::new(Submitted::Refused { job, verdict: *verdict })));
        }
        Err(Refused::Otherwise(ending)) => return Err(ending),
    };
    if let Ok(verdict) = serde_json::from_slice::<Verdict>(&answer.body) {
        return Ok(Begun::Over(Box::new(Submitted::Explained(verdict))));
    }
    let job: JobView = read(&answer)?;
    if is_over(&job) {
        Ok(Begun::Over(Box::new(ended(client, job).await?)))
    } else {
        Ok(Begun::GoesOn(Box::new(job)))
    }
}

/// Waits for the end of a job, and says how it ended.
async fn ended(client: &Client, mut view: JobView) -> Result<Submitted, Ending> {
    while !is_over(&view) {
        view = client.get(&format!("/jobs/{}?wait={WAIT}", view.id)).await?;
    }
    let job: JobId = view.id.parse().map_err(|_| unexpected())?;
    match JobState::from_name(&view.state) {
        Some(JobState::Released | JobState::Expired) => {
            Ok(Submitted::Ended(JobEnd::Released(Box::new(released(client, &view).await?))))
        }
        Some(JobState::PendingApproval) => Ok(Submitted::Pending { job }),
        Some(JobState::InReview) => {
            let reviewers = view.verdict.map_or(0, |verdict| verdict.reviewers);
            Ok(Submitted::Ended(JobEnd::InReview { job, reviewers }))
        }
        Some(JobState::Withheld) => Ok(Submitted::Ended(JobEnd::Withheld { job })),
        Some(JobState::Failed) => {
            let failure = view.code.as_deref().and_then(JobFailure::from_code);
            Ok(Submitted::Ended(JobEnd::Failed { job, failure: failure.unwrap_or(JobFailure::Execution) }))
        }
        Some(JobState::Cancelled) => {
            let code = view.code.as_deref().filter(|code| *code == NO_LONGER_ALLOWED);
            Ok(Submitted::Ended(JobEnd::Cancelled { job, code: code.map(|_| NO_LONGER_ALLOWED) }))
        }
        Some(JobState::Refused) => {
            let verdict = view.verdict.ok_or_else(unexpected)?;
            Ok(Submitted::Refused { job, verdict })
        }
        Some(JobState::Received | JobState::Queued | JobState::Running | JobState::Checking) | None => {
            Err(unexpected())
        }
    }
}

/// Fetches a released table, which must be the one that the job's row names, and its record.
async fn released(client: &Client, view: &JobView) -> Result<ReleasedQuery, Ending> {
    let path = format!("/jobs/{}/result", view.id);
    let sent = Sent::default().with("accept", Format::Arrow.media_type());
    let Answer { body } = client.ask(Method::GET, &path, sent).await?;
    let release = client.ask(Method::GET, &format!("/jobs/{}/release", view.id), Sent::default()).await?;
    let sha256 = sha256_hex(&body);
    if view.result_sha256.as_deref() != Some(sha256.as_str()) {
        return Err(PublicError::new(
            Class::VerificationFailed,
            "result-tampered",
            format!("the result of `{}` is not the one that was released", view.id),
            format!("任务 `{}` 的结果与发布时不一致", view.id),
        )
        .into());
    }
    let (Some(verdict), Some(decided_index), Some(released_index)) =
        (view.verdict.clone(), view.decided_index, view.finished_index)
    else {
        return Err(unexpected());
    };
    Ok(ReleasedQuery {
        job: view.id.parse().map_err(|_| unexpected())?,
        verdict,
        table: body,
        sha256,
        release: String::from_utf8(release.body).map_err(|_| unexpected())?,
        decided_index,
        released_index,
    })
}

fn needs_server() -> PublicError {
    PublicError::new(
        Class::Usage,
        "needs-server",
        "a job that runs here is stopped by Ctrl-C where it was asked",
        "本机运行的任务请在提交处用 Ctrl-C 中止",
    )
    .with_help(
        "name the server that runs it with `--server` or `obscura login`",
        "请用 `--server` 或 `obscura login` 指定运行该任务的服务",
    )
}
