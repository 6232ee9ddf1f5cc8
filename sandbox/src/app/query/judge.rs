//! Judging a question: the decision is durable in the log before anything runs. An admitted question waits for its
//! turn, and is judged again before its result leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obscura_policies::Text;
use obscura_policies::vocabulary::Code;
use obscura_query_guard::plan::GuardedPlan;
use serde_json::Value;
use serde_json::json;

use crate::app::query::charging::Charging;
use crate::app::query::charging::reserve;
use crate::app::query::explain_job::PlanView;
use crate::app::query::mask_keys::MaskKeys;
use crate::app::query::noise_keys::NoiseKeys;
use crate::app::query::opening::keys_granted;
use crate::app::query::question::SubmitQuery;
use crate::app::query::question::names;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::ReviewContext;
use crate::app::query::review_context::review_context;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::Verdict;
use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::charges::Reserved;
use crate::installation::records::Note;
use crate::installation::results;
use crate::installation::results::QuestionText;
use crate::installation::reviews::Judging;
use crate::jobs::JobRow;
use crate::jobs::QueuedJob;
use crate::jobs::ReceivedJob;
use crate::jobs::active::ActiveJob;

/// The code of a job that stopped being allowed while it ran.
pub const NO_LONGER_ALLOWED: &str = "no-longer-allowed";
/// Memory of a question that waits for its turn, whatever it says, in bytes: a generous guess.
const WAITING_BYTES: usize = 64 * 1024;
/// The bytes that a plan, a verdict or a manifest takes in memory for each byte of it that is written out.
const WAITING_FACTOR: usize = 32;
/// Longest sealed query text that stands in the event itself, in bytes before base64.
const SEALED_QUERY_BYTES_MAX: usize = 40_000;

/// A question whose decision is in the log.
#[derive(Debug)]
pub enum Submission {
    /// The statement was `EXPLAIN`: the verdict, nothing else, and no job.
    Explained(Verdict),
    /// A rule said no, and the job has ended.
    Refused {
        /// The job.
        job: JobId,
        /// The verdict, with the reasons and what would be admitted.
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
    pub(super) hold: ActiveJob,
    pub(super) caller: Caller,
    pub(super) question: SubmitQuery,
    pub(super) review_context: ReviewContext,
    pub(super) job: QueuedJob,
    pub(super) decided_index: u64,
    pub(super) reserved: Reserved,
    pub(super) admitted: Admitted,
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

/// An admitted question, ready to run.
pub(super) struct Admitted {
    pub(super) plan: Arc<GuardedPlan>,
    pub(super) keys: Arc<MaskKeys>,
    pub(super) noise: Arc<NoiseKeys>,
    pub(super) verdict: Verdict,
}

/// A question apart from its verdict: who asks, for what purpose, and its sealed text.
#[derive(Clone, Copy)]
pub(super) struct SealedQuestion<'a> {
    pub(super) caller: &'a Caller,
    pub(super) purpose: &'a str,
    pub(super) grants: &'a BTreeSet<Code>,
    pub(super) asked: &'a QuestionText,
    pub(super) sealed_query: &'a [u8],
}

/// Writes the decision on a job down, charges what it costs in the same step, and lets it wait if it may run.
pub(super) async fn judge(
    installation: &Installation,
    sealed: SealedQuestion<'_>,
    job: ReceivedJob,
    reviewed: Reviewed,
    review_context: ReviewContext,
    question: SubmitQuery,
) -> Result<Submission, AppError> {
    let (reviewed, charging) =
        reserve(installation, sealed.caller, reviewed, (&review_context, job.id())).await?;
    let decided = decide(installation, sealed, job, (&reviewed, charging), &review_context).await?;
    match reviewed {
        Reviewed::Refused(verdict) => refuse(installation, decided, verdict).await,
        Reviewed::Admitted { plan, policy, verdict, .. } => {
            let keys = MaskKeys::of(&policy, installation.keys.as_ref()).during("take the keys of masks")?;
            let noise = NoiseKeys::of(&plan, &policy, installation.keys.as_ref());
            let noise = noise.during("take the keys of noise")?;
            let text = serde_json::to_string(&verdict).during("write a verdict")?;
            let explained = serde_json::to_string(&PlanView::of(&plan)).during("write a plan")?;
            let manifests =
                review_context.sealed.values().map(|version| version.manifest().document.text.len());
            let written = question.sql.len() + text.len() + explained.len() + manifests.sum::<usize>();
            let bytes = WAITING_BYTES.saturating_add(written.saturating_mul(WAITING_FACTOR));
            let (decided_index, reserved) = (decided.receipt.index(), decided.reserved);
            let queued = installation.jobs.queue(decided.job, &text, &explained, &decided.receipt).await;
            let (keys, noise) = (Arc::new(keys), Arc::new(noise));
            let admitted = Admitted { plan: Arc::from(plan), keys, noise, verdict };
            let queued = queued.during("queue a job")?;
            Ok(Submission::Admitted(Box::new(AdmittedJob {
                hold: installation.jobs.hold(queued.id()),
                caller: sealed.caller.clone(),
                question,
                review_context,
                job: queued,
                decided_index,
                reserved,
                admitted,
                bytes,
            })))
        }
    }
}

/// A job that has been taken in, the receipt of its decision, and the proof that its price is charged.
struct Decided {
    job: ReceivedJob,
    receipt: Receipt,
    reserved: Reserved,
}

/// Writes a job's decision into the log with what it costs, before anything else happens.
async fn decide(
    installation: &Installation,
    sealed: SealedQuestion<'_>,
    job: ReceivedJob,
    (reviewed, charging): (&Reviewed, Option<Charging<'_>>),
    review_context: &ReviewContext,
) -> Result<Decided, AppError> {
    let SealedQuestion { caller, purpose, grants, asked, sealed_query } = sealed;
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
    if verdict.reviewers > 0 {
        note = note.with("reviewers", verdict.reviewers);
    }
    let mut notes = vec![note];
    let mut prices = 0;
    if let Reviewed::Admitted { plan, .. } = reviewed {
        notes.push(keys_granted(caller, id, review_context, plan)?);
        prices = plan.charges().iter().map(|charge| &charge.dataset).collect::<BTreeSet<_>>().len();
    }
    let receipts = match charging {
        Some(Charging { changing, charges }) => {
            installation.append_charging(&changing, notes, &charges).await?
        }
        None => installation.append(notes.into_iter().map(|note| (note, None)).collect()).await?,
    };
    let reserved = Reserved::of(&receipts, id, prices)?;
    let receipt = receipts.into_iter().next();
    let receipt = receipt.ok_or_else(|| InternalError::of_kind("decide on a job", "no receipt"))?;
    Ok(Decided { job, receipt, reserved })
}

/// A question as an event carries it: sealed, with a commitment to its text.
pub(super) fn logged_text(
    installation: &Installation,
    id: JobId,
    asked: &QuestionText,
    sealed: &[u8],
) -> Result<Value, AppError> {
    if sealed.len() <= SEALED_QUERY_BYTES_MAX {
        return Ok(json!({ "sealed": STANDARD.encode(sealed), "commitment": asked.commitment() }));
    }
    installation.blocking(|| results::store_long_query(installation, id, sealed))?;
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

/// Says whether the question would be admitted now as it was: the person is still here, their grants still hold, the
/// same policies still apply, and nothing of what was read has been dropped. It is judged again only where something that
/// the verdict rests on is another than it was.
pub(super) async fn is_still_allowed(
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
    is_admitted_alike(installation, question, &review_context, verdict).await
}

/// Says whether a question is admitted in this context as it was: under the same policies, with the same controls, and for as
/// many reviewers.
pub(in crate::app) async fn is_admitted_alike(
    installation: &Installation,
    question: &SubmitQuery,
    review_context: &ReviewContext,
    verdict: &Verdict,
) -> Result<bool, AppError> {
    // Under the grants that it was admitted under: one that was given meanwhile changes nothing for it.
    let used = verdict.grants.iter().map(|used| used.grant.parse()).collect::<Result<BTreeSet<Code>, _>>();
    let question = SubmitQuery { grants: used.during("read the grants of a verdict")?, ..question.clone() };
    Ok(match review_context.review(installation, &question, Judging::Again).await? {
        Reviewed::Admitted { plan, verdict: now, .. } => {
            review_context.is_sealed(&plan)
                && now.policy == verdict.policy
                && now.controls == verdict.controls
                && now.reviewers == verdict.reviewers
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
