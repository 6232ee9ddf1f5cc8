//! The end of a review: released, withheld, cancelled or expired, as the log says.
//!
//! A review is over when as many reviewers have decided as the result needs; until then nobody learns what anybody said. Each
//! end is its entry of the log first, then the sealed bytes where they must go, then the row. All of it may be done again: a
//! process that is killed in between leaves a job that the next look at it goes on with.

use jiff::Timestamp;
use obscura_crypto::sha256_hex;
use serde_json::Value;

use crate::app::people::authenticate::in_absence;
use crate::app::query::judge::NO_LONGER_ALLOWED;
use crate::app::query::judge::is_admitted_alike;
use crate::app::query::question::SubmitQuery;
use crate::app::query::read_question::LoggedQuestion;
use crate::app::query::read_question::read_logged;
use crate::app::query::review_context::parsed;
use crate::app::query::review_context::review_context;
use crate::app::query::verdict::Verdict;
use crate::app::reviews::logged::LoggedReview;
use crate::app::reviews::logged::ReviewOutcome;
use crate::app::reviews::reviewers::still_counts;
use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::stories::StoryEnd;
use crate::catalog::body::DatasetVersionBody;
use crate::catalog::body::ReviewBody;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::blocking::blocking_io;
use crate::installation::library::library;
use crate::installation::records::Note;
use crate::installation::results;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// Code of a job whose result was sent back.
pub const RETURNED: &str = "review-returned";
/// Code of a job whose result was kept in.
pub const REJECTED: &str = "review-rejected";
/// Code of a job whose result waited too long.
pub const EXPIRED: &str = "review-expired";

/// Goes on with every job whose review is over, or whose time is: what a killed process left, decisions that were made at
/// another door, and results that nobody looked at. One that cannot be ended now is tried again the next time.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn settle_reviews(installation: &Installation, door: Door) -> Result<(), AppError> {
    for row in installation.jobs.in_review(None).await.during("list jobs that wait for reviewers")? {
        if let Err(error) = settle(installation, door, &row).await {
            installation.note_failure(&row.id.to_string(), &error);
        }
    }
    Ok(())
}

async fn settle(installation: &Installation, door: Door, row: &JobRow) -> Result<(), AppError> {
    let Some(review) = LoggedReview::of(installation, row.id).await? else { return Ok(()) };
    let is_due =
        review.ended.is_some() || review.said.len() >= review.reviewers || review.is_over_time(installation);
    if is_due {
        let _unchanging = installation.change().await?;
        conclude_while_changing(installation, door, row.id).await?;
    }
    Ok(())
}

/// Ends the review of a job if it is over, for callers that hold the right to change; says how the job stands. A job that the
/// log does not let wait is left as it is.
///
/// # Errors
/// When its end cannot be written down, or its row is not that of the log.
pub(crate) async fn conclude_while_changing(
    installation: &Installation,
    door: Door,
    id: JobId,
) -> Result<JobState, AppError> {
    let row = installation.jobs.job(id).await.during("find a job")?;
    let row = row.ok_or_else(|| InternalError::of_kind("end a review", "no job"))?;
    let Some(review) = LoggedReview::of(installation, id).await? else { return Ok(row.state) };
    if row.state != JobState::InReview {
        return Ok(row.state);
    }
    if let Some(index) = review.ended {
        return finish_as_logged(installation, &row, index).await;
    }
    let ending = Ending { installation, door, row: &row, review: &review };
    match said_together(installation, &row, &review).await? {
        Some(ReviewOutcome::Approved) => ending.release().await,
        Some(ReviewOutcome::Returned) => ending.withhold(RETURNED).await,
        Some(ReviewOutcome::Rejected) => ending.withhold(REJECTED).await,
        None if review.is_over_time(installation) => {
            let note = Note::new(Action::ReviewExpired, ActorName::program(door)).of_job(id);
            installation.append_one(note).await?;
            ending.withhold(EXPIRED).await
        }
        None => Ok(JobState::InReview),
    }
}

/// The outcome that the reviewers come to; nothing as long as some have not decided. A decision against the result always counts, one
/// for it while its reviewer may still review.
async fn said_together(
    installation: &Installation,
    row: &JobRow,
    review: &LoggedReview,
) -> Result<Option<ReviewOutcome>, AppError> {
    let library = library(installation).await?;
    let mut counted = Vec::new();
    for said in &review.said {
        if said.outcome != ReviewOutcome::Approved || still_counts(installation, &library, row, said).await? {
            counted.push(said.outcome);
        }
    }
    Ok(together(&counted, review.reviewers))
}

/// The outcome of decisions that count: none before all have decided, and then the strictest.
fn together(counted: &[ReviewOutcome], reviewers: usize) -> Option<ReviewOutcome> {
    // Nobody let out what nobody looked at.
    if reviewers == 0 || counted.len() < reviewers { None } else { counted.iter().max().copied() }
}

/// Everything that an end of a review needs.
struct Ending<'a> {
    installation: &'a Installation,
    door: Door,
    row: &'a JobRow,
    review: &'a LoggedReview,
}

impl Ending<'_> {
    /// Lets the result out, if its question would be admitted now as it was.
    async fn release(&self) -> Result<JobState, AppError> {
        let Self { installation, row, review, .. } = self;
        let Some(result) = self.logged_result() else {
            let kind = "another result than the log's";
            return Err(InternalError::of_kind("release a reviewed result", kind).into());
        };
        if !self.is_still_allowed().await? {
            return self.cancel(ActorName::program(self.door), Some(NO_LONGER_ALLOWED)).await;
        }
        let mut note = self.note(Action::ResultReleased);
        for fact in ["purpose", "datasets", "release_sha256", "reviewers"] {
            note = note.with(fact, review.awaited.detail.get(fact).cloned().unwrap_or_default());
        }
        note = note.with("result_sha256", result);
        let receipt = self.end(note).await?;
        let done = installation.jobs.release_reviewed(row.id, &receipt, installation.now()).await;
        done.during("release a reviewed result")?;
        Ok(JobState::Released)
    }

    /// The hash of the sealed result, if row and log agree on it: the log holds that of the release record, which names it.
    fn logged_result(&self) -> Option<String> {
        let record = self.row.release.as_deref()?;
        let logged = self.review.awaited.detail.get("release_sha256").and_then(Value::as_str);
        if logged != Some(sha256_hex(record.as_bytes()).as_str()) {
            return None;
        }
        let record: Value = serde_json::from_str(record.split("\n\n").next()?).ok()?;
        let named = record.get("result_sha256").and_then(Value::as_str);
        self.row.result_sha256.clone().filter(|sha256| named == Some(sha256.as_str()))
    }

    /// Keeps the result in, for good: its bytes and their key are removed.
    async fn withhold(&self, code: &'static str) -> Result<JobState, AppError> {
        let Self { installation, row, .. } = self;
        let receipt = self.end(self.note(Action::ResultWithheld).with("code", code)).await?;
        results::remove(installation, row.id)?;
        let done = installation.jobs.withhold(row.id, Some(code), &receipt, installation.now()).await;
        done.during("withhold a reviewed result")?;
        forget_pages(installation).await;
        Ok(JobState::Withheld)
    }

    /// Ends the job without a release, because it is not allowed any more, or its owner takes it back.
    async fn cancel(&self, actor: ActorName, code: Option<&'static str>) -> Result<JobState, AppError> {
        let Self { installation, row, .. } = self;
        let mut note = Note::new(Action::JobCancelled, actor).of_job(row.id);
        if let Some(code) = code {
            note = note.with("code", code);
        }
        let receipt = self.end(note).await?;
        results::remove(installation, row.id)?;
        let done = installation.jobs.cancel(row.id, code, &receipt, installation.now()).await;
        done.during("cancel a job")?;
        forget_pages(installation).await;
        Ok(JobState::Cancelled)
    }

    /// The entry that ends the review and the job.
    async fn end(&self, note: Note) -> Result<Receipt, AppError> {
        let body = ReviewBody {
            job: self.row.id.to_string(),
            person: self.row.person.clone(),
            reviewers: u8::try_from(self.review.reviewers).unwrap_or(u8::MAX),
        };
        self.installation.end_while_changing(&body, note).await
    }

    fn note(&self, action: Action) -> Note {
        let note = Note::new(action, ActorName::program(self.door)).of_job(self.row.id);
        note.with("person", self.row.person.clone())
    }

    /// Says whether the question would be admitted now as it was: its asker is still here, their grants hold, the same policies
    /// apply, and what was read has not been taken out of use. Hours are those in which it was asked: those in which a reviewer
    /// works open and close nothing.
    async fn is_still_allowed(&self) -> Result<bool, AppError> {
        let Self { installation, door, row, .. } = self;
        let Some(caller) = in_absence(installation, &row.person, *door).await? else { return Ok(false) };
        if !self.is_kept().await? {
            return Ok(false);
        }
        let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
        let Some(verdict) = verdict else { return Ok(false) };
        let LoggedQuestion { asked, grants, .. } =
            read_logged(installation, row, ActorName::program(*door)).await?;
        let question = SubmitQuery { grants, ..SubmitQuery::once(asked.sql, row.purpose.clone()) };
        let context = review_context(installation, &caller, &parsed(&question.sql)).await?;
        let context = context.at_the_hour_of(row.received, &installation.settings().time_zone);
        is_admitted_alike(installation, &question, &context, &verdict).await
    }

    /// Says whether every sealed version that the question was decided over is still in use.
    async fn is_kept(&self) -> Result<bool, AppError> {
        let Self { installation, row, .. } = self;
        let Some(decided) = row.decided_index else { return Ok(false) };
        let event = blocking_io(|| installation.audit.event(decided)).during("read the audit log")?;
        let datasets = event.detail.get("datasets").and_then(Value::as_array).cloned().unwrap_or_default();
        for read in datasets {
            let dataset = read.get("dataset").and_then(Value::as_str).unwrap_or_default();
            let version = read.get("version").and_then(Value::as_u64).unwrap_or_default();
            let key = format!("{dataset}@{version}");
            if installation.find_in_force::<DatasetVersionBody>(&key).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Finishes a row that is behind the log.
async fn finish_as_logged(
    installation: &Installation,
    row: &JobRow,
    index: u64,
) -> Result<JobState, AppError> {
    let event = blocking_io(|| installation.audit.event(index)).during("read the audit log")?;
    let state = match StoryEnd::of(&event.action) {
        Some(StoryEnd::Released) => JobState::Released,
        Some(StoryEnd::Withheld) => JobState::Withheld,
        Some(StoryEnd::Cancelled) => JobState::Cancelled,
        Some(StoryEnd::Failed) | None => {
            return Err(InternalError::of_kind("end a review", "the log ends it otherwise").into());
        }
    };
    let logged = event.detail.get("result_sha256").and_then(Value::as_str);
    if state == JobState::Released && logged != row.result_sha256.as_deref() {
        return Err(InternalError::of_kind("end a review", "another result than the log's").into());
    }
    if state != JobState::Released {
        results::remove(installation, row.id)?;
    }
    let code = event.detail.get("code").and_then(Value::as_str);
    installation.jobs.settle(row.id, (state, code), index, event.time).await.during("finish a job")?;
    if state != JobState::Released {
        forget_pages(installation).await;
    }
    Ok(state)
}

/// Takes back a job of one's own whose result waits for reviewers; says whether it still did.
///
/// # Errors
/// When its end cannot be written down.
pub async fn cancel_in_review(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<bool, AppError> {
    let _unchanging = installation.change().await?;
    let row = installation.jobs.job(id).await.during("find a job")?;
    let row = row.filter(|row| caller.asked_as(&row.person) && row.state == JobState::InReview);
    let (Some(row), Some(review)) = (row, LoggedReview::of(installation, id).await?) else {
        return Ok(false);
    };
    if review.ended.is_some() {
        return Ok(false);
    }
    let ending = Ending { installation, door: caller.door(), row: &row, review: &review };
    ending.cancel(ActorName::of(caller), None).await.map(|_| true)
}

/// The moment until which a job waits; nothing where the log does not let it wait.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn waits_until(
    installation: &Installation,
    id: JobId,
) -> Result<Option<Timestamp>, AppError> {
    Ok(LoggedReview::of(installation, id).await?.map(|review| review.until(installation)))
}

/// Clears pages of the database that held the key of a result that stays in. While others read them, the next hour does it.
async fn forget_pages(installation: &Installation) {
    if let Err(error) = installation.catalog.clear_old_pages().await {
        installation.note("old pages of the database", &InternalError::new("clear old pages", &error));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::Strategy;
    use proptest::proptest;
    use proptest::sample::select;

    use super::*;

    fn outcomes() -> impl Strategy<Value = Vec<ReviewOutcome>> {
        proptest::collection::vec(select(ReviewOutcome::ALL.to_vec()), 0..5)
    }

    proptest! {
        /// Nothing leaves before enough have decided, and nothing that one of them turned down.
        #[test]
        fn only_unanimous_and_complete_decisions_let_a_result_out(said in outcomes(), reviewers in 0_usize..4) {
            let all = said.iter().all(|outcome| *outcome == ReviewOutcome::Approved);
            let leaves = together(&said, reviewers) == Some(ReviewOutcome::Approved);
            proptest::prop_assert_eq!(leaves, all && reviewers > 0 && said.len() >= reviewers);
        }

        /// One more decision never lets a result out that was turned down.
        #[test]
        fn a_further_decision_never_undoes_one_against_the_result(
            said in outcomes(),
            more in select(ReviewOutcome::ALL.to_vec()),
            reviewers in 1_usize..4,
        ) {
            let before = together(&said, reviewers);
            let after = together(&[said, vec![more]].concat(), reviewers);
            if before.is_some_and(|outcome| outcome != ReviewOutcome::Approved) {
                proptest::prop_assert!(after >= before);
            }
        }
    }

    #[test]
    fn one_reviewer_is_told_nothing_of_what_another_said() {
        use ReviewOutcome::Approved;
        use ReviewOutcome::Rejected;
        use ReviewOutcome::Returned;
        for first in ReviewOutcome::ALL {
            assert_eq!(together(&[first], 2), None, "it ends only when both have decided");
        }
        assert_eq!(together(&[Approved, Returned], 2), Some(Returned));
        assert_eq!(together(&[Rejected, Returned], 2), Some(Rejected));
        assert_eq!(together(&[Approved, Approved], 2), Some(Approved));
    }
}
