//! Use cases: a question for which a request for access is open waits for its approval, is judged again when the request is
//! decided on, and can be taken back until then.
//!
//! It waits only if it would be admitted with what was asked for; a question without a request, or for more, is refused. The
//! log tells that it waits and keeps the sealed question, and the job is judged again from there: the decision that follows
//! is as durable as any other, and one process alone makes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use obscura_crypto::sha256_hex;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;

use crate::app::documents::access_requests::open_requests_of;
use crate::app::people::authenticate::in_absence;
use crate::app::query::end::cancel_job;
use crate::app::query::end::never_runs;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::judge::SealedQuestion;
use crate::app::query::judge::Submission;
use crate::app::query::judge::judge;
use crate::app::query::judge::logged_text;
use crate::app::query::judge::never_sealed;
use crate::app::query::question::OnRefusal;
use crate::app::query::question::SubmitQuery;
use crate::app::query::question::names;
use crate::app::query::read_question::LoggedQuestion;
use crate::app::query::read_question::read_logged;
use crate::app::query::review::Parsed;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::parsed;
use crate::app::query::review_context::review_context;
use crate::app::query::review_context::review_context_with;
use crate::app::query::show_job::no_job;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::stories::JobStories;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::grants_in_force;
use crate::installation::library::local_time;
use crate::installation::library::name_of_library;
use crate::installation::library::parse_one;
use crate::installation::records::Note;
use crate::installation::reviews::Judging;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::jobs::ReceivedJob;

/// Most open requests, the newest first, that a question is held against.
const HOPES_MAX: usize = 4;
/// Most jobs of one person that wait for approvals; further ones are refused.
const PENDING_OF_ONE_MAX: usize = 16;

/// Says whether a refused question waits: an open request of the caller would let it in, and not too many wait already.
pub(super) async fn waits_for_approval(
    installation: &Installation,
    caller: &Caller,
    (question, parsed): (&SubmitQuery, &Arc<Parsed>),
) -> Result<bool, AppError> {
    let judging = Judging::Question(&question.presence);
    if question.on_refusal == OnRefusal::End
        || !is_hoped_for(installation, caller, (question, parsed), judging).await?
    {
        return Ok(false);
    }
    let person = caller.person().name.as_str();
    let pending = installation.jobs.pending(Some(person)).await.during("count jobs")?;
    Ok(pending.len() < PENDING_OF_ONE_MAX)
}

/// Says whether a question would be admitted if one open request of the caller were approved, or all of them were. Each is
/// tried alone, because two that ask for the same access admit nothing together.
async fn is_hoped_for(
    installation: &Installation,
    caller: &Caller,
    (question, parsed): (&SubmitQuery, &Arc<Parsed>),
    judging: Judging<'_>,
) -> Result<bool, AppError> {
    let all = open_requests(installation, caller.person().name.as_str()).await?;
    let one_by_one = all.iter().rev().take(HOPES_MAX).map(|grant| vec![grant.clone()]);
    let together = (all.len() > 1).then(|| all.clone());
    for hoped in one_by_one.chain(together) {
        let review_context = review_context_with(installation, caller, parsed, hoped).await?;
        let reviewed = review_context.review(installation, question, judging).await?;
        if let Reviewed::Admitted { plan, explain_only: false, .. } = reviewed
            && review_context.is_sealed(&plan)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The requests of a person that no steward has decided on, as the grants that they would be.
async fn open_requests(installation: &Installation, person: &str) -> Result<Vec<Grant>, AppError> {
    let today = local_time(installation.now(), &installation.settings().time_zone).day;
    let mut open = Vec::new();
    for body in open_requests_of(installation, person).await? {
        if let Document::Grant(mut grant) = parse_one(&body.text)?.value
            && grant.until >= today
        {
            // Any steward of the department may be the one.
            grant.approved_by = BTreeSet::from([body.department]);
            open.push(grant);
        }
    }
    Ok(open)
}

/// Writes down that a job waits.
pub(super) async fn pend(
    installation: &Installation,
    sealed: SealedQuestion<'_>,
    job: ReceivedJob,
) -> Result<Submission, AppError> {
    let id = job.id();
    let text = logged_text(installation, id, sealed.asked, sealed.sealed_query)?;
    let mut note = Note::new(Action::QueryPending, ActorName::of(sealed.caller))
        .of_job(id)
        .with("purpose", sealed.purpose)
        .with("query", text);
    if !sealed.grants.is_empty() {
        note = note.with("grants", names(sealed.grants));
    }
    let receipt = installation.append_one(note).await?;
    installation.jobs.pend(job, &receipt).await.during("let a job wait for an approval")?;
    Ok(Submission::Pending { job: id })
}

/// The jobs that wait for an approval, of one person or of all.
///
/// # Errors
/// When the database cannot be read.
pub async fn pending_jobs(
    installation: &Installation,
    person: Option<&str>,
) -> Result<Vec<JobRow>, AppError> {
    installation.jobs.pending(person).await.during("list jobs that wait for an approval")
}

/// A name of everything that the judgement of a person's waiting jobs rests on, so far as it changes: while it is the same,
/// there is nothing to judge again, and no reason to read their questions.
///
/// # Errors
/// When the database or the log cannot be read.
pub async fn circumstances(installation: &Installation, person: &str) -> Result<String, AppError> {
    let mut all = vec![name_of_library(installation).await?];
    all.extend(open_requests(installation, person).await?.iter().map(|grant| grant.metadata.id.to_string()));
    all.push("grants".to_owned());
    let grants = grants_in_force(installation, Some(person)).await?;
    all.extend(grants.into_iter().map(|(body, _)| body.id));
    let is_here = installation.find_in_force::<PersonBody>(person).await?;
    all.push(is_here.map_or_else(String::new, |body| body.roles.into_iter().collect::<Vec<_>>().join(" ")));
    Ok(sha256_hex(all.join("\n").as_bytes()))
}

/// Judges a job that waits again; nothing when it goes on waiting, or another process was quicker.
///
/// # Errors
/// When it cannot be judged or its decision not be written down; then the job has failed.
pub async fn resume(installation: &Installation, row: &JobRow) -> Result<Option<Submission>, AppError> {
    let _hold = installation.jobs.hold(row.id);
    if !still_waits(installation, row)? {
        let now = installation.jobs.job(row.id).await.during("find a job")?;
        // Another process was quicker, or the row says what the log does not.
        return match now.is_some_and(|now| now.state == JobState::PendingApproval) {
            false => Ok(None),
            true => Err(InternalError::of_kind("judge a job that waits", "the log has another story").into()),
        };
    }
    let Some(caller) = in_absence(installation, &row.person, Door::Http).await? else {
        return take_back(installation, row.id, ActorName::program(Door::Http), Some(NO_LONGER_ALLOWED))
            .await
            .map(|()| None);
    };
    let LoggedQuestion { asked, grants, sealed } =
        read_logged(installation, row, ActorName::program(Door::Http)).await?;
    let question = SubmitQuery {
        on_refusal: OnRefusal::WaitForApproval,
        grants,
        ..SubmitQuery::once(asked.sql.clone(), row.purpose.clone())
    };
    let review_context = review_context(installation, &caller, &parsed(&question.sql)).await?;
    let reviewed = match review_context.review(installation, &question, Judging::Again).await? {
        Reviewed::Admitted { plan, .. } if !review_context.is_sealed(&plan) => {
            Reviewed::Refused(never_sealed())
        }
        other => other,
    };
    if matches!(reviewed, Reviewed::Refused(_))
        && is_hoped_for(installation, &caller, (&question, review_context.parsed()), Judging::Again).await?
    {
        return Ok(None);
    }
    let Some(job) = installation.jobs.resume(row.id).await.during("take a job in again")? else {
        return Ok(None);
    };
    let grants = &question.grants.clone();
    let sealed = SealedQuestion {
        caller: &caller,
        purpose: &row.purpose,
        grants,
        asked: &asked,
        sealed_query: &sealed,
    };
    match judge(installation, sealed, job, reviewed, review_context, question).await {
        Ok(taken) => Ok(Some(taken)),
        Err(error) => {
            never_runs(installation, Door::Http, row.id, &error).await;
            Err(error)
        }
    }
}

/// Takes back a job of one's own that waits for an approval; says whether it still did.
///
/// # Errors
/// Not found for other persons' jobs; when its end cannot be written down.
pub async fn cancel_pending(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<bool, AppError> {
    let row = installation.jobs.job(id).await.during("find a job")?;
    let row = row.filter(|row| caller.asked_as(&row.person)).ok_or_else(no_job)?;
    if row.state != JobState::PendingApproval || !still_waits(installation, &row)? {
        return Ok(false);
    }
    let _hold = installation.jobs.hold(id);
    take_back(installation, id, ActorName::of(caller), None).await.map(|()| true)
}

/// Says whether a job waits by the log too: the entry that its row names lets it wait, for the same person and purpose, and
/// nothing came after it. INVARIANT(log-is-the-truth): a row alone lets no question be asked.
fn still_waits(installation: &Installation, row: &JobRow) -> Result<bool, AppError> {
    let Some(pending) = row.decided_index else { return Ok(false) };
    let id = row.id.to_string();
    let mut stories = JobStories::default();
    installation.blocking(|| {
        let size = installation.audit.checkpoint().during("read the audit log")?.checkpoint.size();
        for index in pending..size {
            let event = installation.audit.event(index).during("read the audit log")?;
            if event.correlation.as_deref() == Some(&id) {
                stories.take(&event);
            }
        }
        Ok::<(), AppError>(())
    })?;
    Ok(stories.of(&id).is_some_and(|story| {
        let asker = (row.person.clone(), row.purpose.clone());
        story.pending == Some(pending)
            && story.asker == Some(asker)
            && (story.decided, story.ended, story.impossible) == (None, None, None)
    }))
}

/// Ends a job that waits, unless it is being judged already.
async fn take_back(
    installation: &Installation,
    id: JobId,
    actor: ActorName,
    code: Option<&'static str>,
) -> Result<(), AppError> {
    if installation.jobs.resume(id).await.during("take a job in again")?.is_none() {
        return Ok(());
    }
    cancel_job(installation, id, actor, code, installation.now()).await
}
