//! Use case: ask a question. The one function that every door calls: one guard, one audit trail, one kind of result.
//!
//! Order is everything here: the verdict is durable in the log before anything runs, and the sealed result is durable on
//! disk before its release is logged, so that a kill at any instruction leaves a job that the next start can settle.
//! Judging ([`submit`]) and running ([`run_admitted`]) are apart, so that jobs can wait for room in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use obscura_policies::Text;
use obscura_policies::vocabulary::Code;
use obscura_query_guard::control::Release;
use obscura_query_guard::plan::GuardedPlan;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;

use crate::app::authorise::may_ask;
use crate::app::blocking::blocking;
use crate::app::completion::CompletionGrid;
use crate::app::compute::compute;
use crate::app::described::described;
use crate::app::explain_job::PlanView;
use crate::app::installation::Installation;
use crate::app::job_end::Ended;
use crate::app::job_end::cancel_job;
use crate::app::job_end::fail_with;
use crate::app::job_end::never_runs;
use crate::app::job_end::withhold_job;
use crate::app::mask_keys::MaskKeys;
use crate::app::opening::keys_granted;
use crate::app::pending::pend;
use crate::app::pending::waits_for_approval;
use crate::app::purpose::check_purpose;
use crate::app::records::Note;
use crate::app::release_record::ReleaseInputs;
use crate::app::release_record::release_record;
use crate::app::results;
use crate::app::results::Asked;
use crate::app::review_context::ReviewContext;
use crate::app::review_context::parsed;
use crate::app::review_context::review_context;
use crate::app::reviews::Judging;
use crate::app::verdict::FindingView;
use crate::app::verdict::Reviewed;
use crate::app::verdict::Verdict;
use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::context::Presence;
use crate::engine::EngineProgress;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::jobs::JobError;
use crate::jobs::JobFailure;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::jobs::QueuedJob;
use crate::jobs::ReceivedJob;
use crate::jobs::RunningJob;
use crate::jobs::hold::Hold;
use crate::jobs::store::NewJob;
use crate::jobs::store::Repeatable;
use crate::jobs::store::StagedResult;

/// The code of a job that stopped being allowed while it ran.
pub const NO_LONGER_ALLOWED: &str = "no-longer-allowed";
/// What a question that waits for its turn holds whatever it says, in bytes: a generous guess.
const WAITING_BYTES: usize = 64 * 1024;
/// How many bytes a plan, a verdict or a manifest takes in memory for each byte of it that is written out.
const WAITING_FACTOR: usize = 32;
/// Longest sealed query text that stands in the event itself, in bytes before base64.
const SEALED_QUERY_BYTES_MAX: usize = 40_000;

/// A question.
#[derive(Debug, Clone)]
pub struct SubmitQuery {
    /// The SQL.
    pub sql: String,
    /// Code of the one purpose it serves.
    pub purpose: String,
    /// The grants to use, where the asker names any.
    pub grants: BTreeSet<Code>,
    /// The asker's own name for this request: asked again under it, it is the same job.
    pub key: Option<String>,
    /// Whether it waits for an approval.
    pub patience: Patience,
    /// Whether the asker still listens.
    pub presence: Presence,
}

/// What becomes of a question that an open request for access would let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is refused.
    None,
    /// It waits until the request is decided on, where a service goes on with it.
    ForApproval,
}

impl SubmitQuery {
    /// A question that is asked once.
    #[must_use]
    pub fn once(sql: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            purpose: purpose.into(),
            grants: BTreeSet::new(),
            key: None,
            patience: Patience::None,
            presence: Presence::default(),
        }
    }

    fn repeatable(&self) -> Result<Option<Repeatable>, AppError> {
        let Some(key) = self.key.clone() else { return Ok(None) };
        let mut asked = json!({ "sql": self.sql, "purpose": self.purpose });
        if let (false, Some(asked)) = (self.grants.is_empty(), asked.as_object_mut()) {
            asked.insert("grants".to_owned(), names(&self.grants));
        }
        let request = serde_json_canonicalizer::to_string(&asked).during("write a request")?;
        Ok(Some(Repeatable { key, request }))
    }
}

/// How far a job has come; what an observer is told is the same whatever the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It runs.
    Running(EngineProgress),
    /// It has been computed.
    Checking,
}

/// How a door follows a running job, and stops it.
#[derive(Clone, Copy)]
pub struct JobControl<'a> {
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    cancelled: Option<&'a watch::Receiver<bool>>,
}

impl std::fmt::Debug for JobControl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobControl").finish_non_exhaustive()
    }
}

impl<'a> JobControl<'a> {
    /// Follows a job to its end.
    pub fn following(progress: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self { progress, cancelled: None }
    }

    /// Follows a job that may be stopped until its result is sealed.
    pub fn stoppable(
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: &'a watch::Receiver<bool>,
    ) -> Self {
        Self { progress, cancelled: Some(cancelled) }
    }

    async fn cancelled(&self) {
        if let Some(cancelled) = self.cancelled {
            // A sender that is gone will not cancel any more.
            if cancelled.clone().wait_for(|cancelled| *cancelled).await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }
}

/// What came of a question.
#[derive(Debug)]
pub enum Submitted {
    /// The statement was `EXPLAIN`: the verdict, nothing else, and no job.
    Explained(Verdict),
    /// A rule said no.
    Refused {
        /// The job.
        job: JobId,
        /// Why, and what would be admitted.
        verdict: Verdict,
    },
    /// A protected result has left.
    Released(Box<ReleasedQuery>),
    /// Controls let nothing out.
    Withheld {
        /// The job.
        job: JobId,
    },
    /// It met a limit of a job, or something of ours broke.
    Failed {
        /// The job; the operator's log speaks of it by this name.
        job: JobId,
        /// As much as its owner is told of why.
        failure: JobFailure,
    },
    /// It waits for the approval of a request.
    Pending {
        /// The job.
        job: JobId,
    },
    /// It was stopped before anything left.
    Cancelled {
        /// The job.
        job: JobId,
        /// Why, where it was not its owner's wish.
        code: Option<&'static str>,
    },
}

/// A released result with everything that vouches for it.
#[derive(Debug)]
pub struct ReleasedQuery {
    /// The job.
    pub job: JobId,
    /// How it was admitted.
    pub verdict: Verdict,
    /// The table as an Arrow stream.
    pub table: Vec<u8>,
    /// Its SHA-256.
    pub sha256: String,
    /// The signed release record.
    pub release: String,
    /// Index of the decision in the audit log.
    pub decided_index: u64,
    /// Index of the release in the audit log.
    pub released_index: u64,
}

/// Asks a question and waits for what comes of it.
///
/// # Errors
/// Forbidden for all but analysts; failure when the question could not even be written down. Whatever goes wrong later
/// is the job's end, not an error.
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
            run_admitted(installation, *waiting, JobControl::following(progress)).await
        }
        Submission::Repeated(row) => Err(InternalError::of_kind("ask once", row.state.name()).into()),
    }
}

/// A question whose decision is in the log.
#[derive(Debug)]
pub enum Submission {
    /// The statement was `EXPLAIN`: the verdict, nothing else, and no job.
    Explained(Verdict),
    /// A rule said no, and the job has ended.
    Refused {
        /// The job.
        job: JobId,
        /// Why, and what would be admitted.
        verdict: Verdict,
    },
    /// It waits for the approval of a request.
    Pending {
        /// The job.
        job: JobId,
    },
    /// It may run.
    Admitted(Box<AdmittedJob>),
    /// It was asked before under the same key: the job of then.
    Repeated(Box<JobRow>),
}

/// An admitted job that does not run yet. Dropped, it stays behind as queued, until what was dropped is settled.
pub struct AdmittedJob {
    hold: Hold,
    caller: Caller,
    question: SubmitQuery,
    review_context: ReviewContext,
    job: QueuedJob,
    decided_index: u64,
    admitted: Admitted,
    bytes: usize,
}

impl std::fmt::Debug for AdmittedJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedJob").field("job", &self.job()).finish_non_exhaustive()
    }
}

impl AdmittedJob {
    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job.id()
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Judges a question and writes the job and its decision down; nothing has run afterwards.
///
/// # Errors
/// Forbidden for all but analysts, and strangers, whom only open data answers; conflict when the question's key belongs to another question, or to one that is being
/// judged right now; failure when the question could not even be written down.
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
        Reviewed::Admitted { verdict, explain_only: true, .. } => return Ok(Submission::Explained(verdict)),
        Reviewed::Admitted { plan, .. } if !review_context.is_sealed(&plan) => {
            Reviewed::Refused(never_sealed())
        }
        other => other,
    };
    let waits = match &reviewed {
        Reviewed::Refused(_) => {
            waits_for_approval(installation, caller, (&question, review_context.parsed())).await?
        }
        Reviewed::Admitted { .. } => false,
    };
    let id = JobId::new(installation.clock.as_ref(), installation.random.as_ref()).during("name a job")?;
    let asked = Asked::new(installation, &question.sql)?;
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
            // Somebody was quicker with the same key.
            let row = repeated(installation, caller, &question).await?;
            let row = row.ok_or_else(|| InternalError::of_kind("take a job in", "repeated"))?;
            return Ok(Submission::Repeated(Box::new(row)));
        }
        received => received.during("take a job in")?,
    };
    let grants = &question.grants.clone();
    let known = Known { caller, purpose: &purpose, grants, asked: &asked, sealed_query: &query.sealed };
    let taken = if waits {
        pend(installation, known, job).await
    } else {
        judge(installation, known, job, reviewed, review_context, question).await
    };
    match taken {
        Ok(taken) => Ok(taken),
        Err(error) => {
            never_runs(installation, id, &error).await;
            Err(error)
        }
    }
}

/// What is known of a question besides its verdict.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) caller: &'a Caller,
    pub(super) purpose: &'a str,
    pub(super) grants: &'a BTreeSet<Code>,
    pub(super) asked: &'a Asked,
    pub(super) sealed_query: &'a [u8],
}

/// Writes the decision on a job down, and lets it wait if it may run.
pub(super) async fn judge(
    installation: &Installation,
    known: Known<'_>,
    job: ReceivedJob,
    reviewed: Reviewed,
    review_context: ReviewContext,
    question: SubmitQuery,
) -> Result<Submission, AppError> {
    let decided = decide(installation, known, job, &reviewed, &review_context).await?;
    match reviewed {
        Reviewed::Refused(verdict) => refuse(installation, decided, verdict).await,
        Reviewed::Admitted { plan, policy, verdict, .. } => {
            let keys = MaskKeys::of(&policy, installation.keys.as_ref()).during("take the keys of masks")?;
            let text = serde_json::to_string(&verdict).during("write a verdict")?;
            let explained = serde_json::to_string(&PlanView::of(&plan)).during("write a plan")?;
            let manifests =
                review_context.sealed.values().map(|version| version.manifest().document.text.len());
            let written = question.sql.len() + text.len() + explained.len() + manifests.sum::<usize>();
            let bytes = WAITING_BYTES.saturating_add(written.saturating_mul(WAITING_FACTOR));
            let decided_index = decided.receipt.index();
            let queued = installation.jobs.queue(decided.job, &text, &explained, &decided.receipt).await;
            let admitted = Admitted { plan: Arc::from(plan), keys: Arc::new(keys), verdict };
            let queued = queued.during("queue a job")?;
            Ok(Submission::Admitted(Box::new(AdmittedJob {
                hold: installation.jobs.hold(queued.id()),
                caller: known.caller.clone(),
                question,
                review_context,
                job: queued,
                decided_index,
                admitted,
                bytes,
            })))
        }
    }
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

/// Runs an admitted job to its end.
///
/// # Errors
/// When the job's end could not be written down. Whatever else goes wrong is the job's end, not an error.
pub async fn run_admitted(
    installation: &Installation,
    waiting: AdmittedJob,
    control: JobControl<'_>,
) -> Result<Submitted, AppError> {
    let AdmittedJob { hold: _hold, caller, question, review_context, job, decided_index, admitted, bytes: _ } =
        waiting;
    let id = job.id();
    if !is_still_allowed(installation, &caller, &question, (&review_context, &admitted.verdict)).await? {
        return end(installation, &caller, id, Ended::Cancelled(Some(NO_LONGER_ALLOWED)), installation.now())
            .await;
    }
    let job = installation.jobs.run(job).await.during("run a job")?;
    let least = installation.settings().limits.completion_step;
    let grid = CompletionGrid::begin(installation.now(), least, admitted.plan.cost());
    let computing = async {
        let progress = |progress| (control.progress)(Progress::Running(progress));
        let admitted = (&admitted.plan, &admitted.keys);
        let computed = compute(installation, id, &review_context, admitted, &progress).await;
        (computed, grid.next().await)
    };
    let (computed, finished) = tokio::select! {
        // Until the step is over nobody learns whether it was computed already: whoever cancels by then has cancelled.
        biased;
        () = control.cancelled() => (Err(Ended::Cancelled(None)), grid.next().await),
        computed = computing => computed,
    };
    let (release, unwrapped) = match computed {
        Ok(computed) => computed,
        Err(ended) => return end(installation, &caller, id, ended, finished).await,
    };
    (control.progress)(Progress::Checking);
    let Admitted { plan, verdict, keys } = admitted;
    let inputs = ReleaseInputs {
        caller: &caller,
        question: &question,
        review_context: &review_context,
        plan: &plan,
        verdict: &verdict,
        decided_index,
        unwrapped,
        secrets: keys.names(),
    };
    let concluded = match conclude(installation, &inputs, job, release, finished).await {
        Ok(concluded) => concluded,
        Err(ended) => return end(installation, &caller, id, ended, grid.next().await).await,
    };
    Ok(Submitted::Released(Box::new(ReleasedQuery {
        job: id,
        verdict,
        table: concluded.table,
        sha256: concluded.sha256,
        release: concluded.record,
        decided_index,
        released_index: concluded.released_index,
    })))
}

/// Ends a job that waits, before it ever ran.
///
/// # Errors
/// When its end could not be written down.
pub async fn cancel_admitted(installation: &Installation, waiting: AdmittedJob) -> Result<(), AppError> {
    let (caller, job) = (&waiting.caller, waiting.job.id());
    end(installation, caller, job, Ended::Cancelled(None), installation.now()).await.map(|_| ())
}

/// A job that has been taken in, and the receipt of its decision.
struct Decided {
    job: ReceivedJob,
    receipt: Receipt,
}

/// Writes a job's decision into the log, before anything else happens.
async fn decide(
    installation: &Installation,
    known: Known<'_>,
    job: ReceivedJob,
    reviewed: &Reviewed,
    review_context: &ReviewContext,
) -> Result<Decided, AppError> {
    let Known { caller, purpose, grants, asked, sealed_query } = known;
    let id = job.id();
    let (Reviewed::Admitted { verdict, .. } | Reviewed::Refused(verdict)) = reviewed;
    let versions = review_context.sealed.iter().map(
        |(dataset, version)| json!({ "dataset": dataset.to_string(), "version": version.manifest().version }),
    );
    let text = logged_text(installation, id, asked, sealed_query)?;
    let mut note = Note::new(Action::QueryDecided, ActorName::of(caller))
        .of_job(id)
        .with("purpose", purpose)
        .with("decision", verdict.decision.clone())
        .with("codes", verdict.codes().into_iter().map(Value::from).collect::<Vec<_>>())
        .with("datasets", versions.collect::<Vec<_>>())
        .with("policy", serde_json::to_value(&verdict.policy).during("write a verdict")?)
        .with("verdict", asked.commitment_to(verdict)?)
        .with("query", text);
    if !grants.is_empty() {
        note = note.with("grants", names(grants));
    }
    let mut notes = vec![(note, None)];
    if let Reviewed::Admitted { plan, .. } = reviewed {
        notes.push((keys_granted(caller, id, review_context, plan)?, None));
    }
    let receipts = installation.append(notes).await?;
    let receipt = receipts.into_iter().next();
    let receipt = receipt.ok_or_else(|| InternalError::of_kind("decide on a job", "no receipt"))?;
    Ok(Decided { job, receipt })
}

/// Names of grants, as a question's request and its event carry them.
pub(super) fn names(grants: &BTreeSet<Code>) -> Value {
    grants.iter().map(|grant| Value::from(grant.as_str())).collect()
}

/// A question as an event carries it: sealed, with a commitment to its text.
pub(super) fn logged_text(
    installation: &Installation,
    id: JobId,
    asked: &Asked,
    sealed: &[u8],
) -> Result<Value, AppError> {
    if sealed.len() <= SEALED_QUERY_BYTES_MAX {
        return Ok(json!({ "sealed": STANDARD.encode(sealed), "commitment": asked.commitment() }));
    }
    blocking(|| results::store_long_query(installation, id, sealed))?;
    let sha256 = obscura_crypto::sha256_hex(sealed);
    Ok(json!({ "sealed_sha256": sha256, "commitment": asked.commitment() }))
}

async fn refuse(
    installation: &Installation,
    decided: Decided,
    verdict: Verdict,
) -> Result<Submission, AppError> {
    let id = decided.job.id();
    let code = verdict.findings.first().map_or("refused", |finding| finding.code.as_str());
    let text = serde_json::to_string(&verdict).during("write a verdict")?;
    let now = installation.now();
    installation.jobs.refuse(decided.job, code, &text, &decided.receipt, now).await.during("refuse a job")?;
    Ok(Submission::Refused { job: id, verdict })
}

/// An admitted question, ready to run.
struct Admitted {
    plan: Arc<GuardedPlan>,
    keys: Arc<MaskKeys>,
    verdict: Verdict,
}

/// Ends a job that releases nothing.
async fn end(
    installation: &Installation,
    caller: &Caller,
    job: JobId,
    ended: Ended,
    finished: Timestamp,
) -> Result<Submitted, AppError> {
    match ended {
        Ended::Withheld => {
            withhold_job(installation, caller, job, finished).await?;
            Ok(Submitted::Withheld { job })
        }
        Ended::Cancelled(code) => {
            cancel_job(installation, job, ActorName::of(caller), code, finished).await?;
            Ok(Submitted::Cancelled { job, code })
        }
        Ended::Failed(failure, error) => {
            fail_with(installation, job, (failure, &error), finished).await?;
            Ok(Submitted::Failed { job, failure })
        }
        Ended::Unwritten(error) => Err(error),
    }
}

struct Concluded {
    table: Vec<u8>,
    sha256: String,
    record: String,
    released_index: u64,
}

/// Seals the result, then logs its release: INVARIANT(no-receipt-no-result).
async fn conclude(
    installation: &Installation,
    inputs: &ReleaseInputs<'_>,
    job: RunningJob,
    release: Release,
    finished: Timestamp,
) -> Result<Concluded, Ended> {
    let id = job.id();
    let grade = inputs.plan.stages().iter().map(|stage| stage.controls().grade.0).max().unwrap_or(1);
    let batch = described(release.batch(), id, &inputs.question.purpose, inputs.verdict)?;
    drop(release);
    let stored = blocking(|| results::store(installation, id, grade, batch))?;
    let record = release_record(installation, inputs, id, &stored.sha256)?;
    let staged =
        StagedResult { sha256: stored.sha256.clone(), key: stored.key.to_string(), release: record.clone() };
    let job = installation.jobs.check(job, &staged).await.during("stage a result")?;
    let note = |action| Note::new(action, ActorName::of(inputs.caller)).of_job(id);
    let controls = serde_json::to_value(&inputs.verdict.controls).during("write the controls")?;
    let notes = vec![
        (
            note(Action::QueryExecuted)
                .with("keys_unwrapped", inputs.unwrapped.keys)
                .with("unwraps_sha256", inputs.unwrapped.line_sha256.clone()),
            None,
        ),
        (note(Action::OutputChecked).with("controls", controls), None),
        (
            note(Action::ResultReleased)
                .with("purpose", inputs.question.purpose.clone())
                .with("datasets", inputs.plan.scans().keys().map(ToString::to_string).collect::<Vec<_>>())
                .with("result_sha256", stored.sha256.clone())
                .with("release_sha256", obscura_crypto::sha256_hex(record.as_bytes())),
            None,
        ),
    ];
    // What is revoked before this moment stops the release, what is revoked after it comes after it in the log.
    let unchanged = installation.change().await?;
    let ReleaseInputs { caller, question, verdict, review_context, .. } = inputs;
    if !is_still_allowed(installation, caller, question, (review_context, verdict)).await? {
        results::remove(installation, id)?;
        return Err(Ended::Cancelled(Some(NO_LONGER_ALLOWED)));
    }
    // An append that fails may still have reached the disk: the log decides then, and nothing else may end the job before.
    let receipts = installation.append(notes).await.map_err(Ended::Unwritten)?;
    drop(unchanged);
    let receipt = receipts
        .into_iter()
        .last()
        .ok_or_else(|| InternalError::of_kind("release a result", "no receipt"))?;
    if let Err(error) = installation.jobs.release(job, &receipt, finished).await {
        // The log says that it left, so nothing else may end this job; its row is finished when what was dropped is settled.
        return Err(Ended::Unwritten(InternalError::new("finish a job", &error).into()));
    }
    Ok(Concluded { table: stored.table, sha256: stored.sha256, record, released_index: receipt.index() })
}

/// Says whether the question would be admitted now as it was: the person is still here, their grants still hold, the
/// same policies still apply, and nothing of what was read has been dropped. It is judged again only where something that
/// the verdict rests on is another than it was.
async fn is_still_allowed(
    installation: &Installation,
    caller: &Caller,
    question: &SubmitQuery,
    (judged_on, verdict): (&ReviewContext, &Verdict),
) -> Result<bool, AppError> {
    if !caller.is_stranger() {
        let known = installation.find_in_force::<PersonBody>(caller.person().name.as_str()).await?;
        if known.is_none_or(|known| known.id != caller.person().id.to_string()) {
            return Ok(false);
        }
    }
    let review_context = review_context(installation, caller, judged_on.parsed()).await?;
    if review_context.is_that_of(judged_on, &installation.settings().time_zone) {
        return Ok(true);
    }
    // Under the grants that it was admitted under: one that was given meanwhile changes nothing for it.
    let used = verdict.grants.iter().map(|used| used.grant.parse()).collect::<Result<BTreeSet<Code>, _>>();
    let question = SubmitQuery { grants: used.during("read the grants of a verdict")?, ..question.clone() };
    Ok(match review_context.review(installation, &question, Judging::Again).await? {
        Reviewed::Admitted { plan, verdict: now, .. } => {
            review_context.is_sealed(&plan)
                && now.policy == verdict.policy
                && now.controls == verdict.controls
        }
        Reviewed::Refused(_) => false,
    })
}

pub(super) fn never_sealed() -> Verdict {
    let message =
        Text::new("the dataset has a document but was never sealed", "该数据集已有文档，但尚未封存");
    let help = Text::new("its department seals it with `obscura seal`", "须由所属部门用 `obscura seal` 封存");
    Verdict::refused(vec![FindingView::plain("dataset-not-sealed", message, Some(help))])
}
