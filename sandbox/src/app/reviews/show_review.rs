//! Use case: look at a result that waits, as a reviewer: the question, its purpose, the protected result as it would leave, and
//! the controls that it passed. Nothing of the plan, of the documents of other departments, and no count that has not passed
//! its controls.

use jiff::Timestamp;
use obscura_policies::Text;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::query::formats::Format;
use crate::app::query::formats::encode_stream;
use crate::app::query::read_question::read_logged;
use crate::app::query::show_job::no_job;
use crate::app::query::verdict::ControlsView;
use crate::app::query::verdict::OutputView;
use crate::app::query::verdict::Verdict;
use crate::app::reviews::logged::LoggedReview;
use crate::app::reviews::logged::Said;
use crate::app::reviews::reviewers::must_review;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::During as _;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::library::library;
use crate::installation::records::Note;
use crate::installation::results;
use crate::jobs::JobRow;
use crate::jobs::JobState;

/// A result as its reviewer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownReview {
    /// The job.
    pub job: JobId,
    /// Its state.
    pub state: JobState,
    /// The person who asked.
    pub person: String,
    /// Code of the purpose.
    pub purpose: String,
    /// Title of the purpose.
    pub purpose_title: Text,
    /// When it was asked.
    pub asked: Timestamp,
    /// Since when it waits.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The number of people who look at it.
    pub reviewers: usize,
    /// The question.
    pub sql: String,
    /// The treatment of each column.
    pub output: Vec<OutputView>,
    /// The controls that its cells passed.
    pub controls: Option<ControlsView>,
    /// The protected result in CSV, where `*` is a withheld cell; nothing when the review is over.
    pub result: Option<String>,
    /// The decisions: one's own alone, until the review is over.
    pub said: Vec<Said>,
}

/// Shows a result to one of its reviewers. The log says so before they have it.
///
/// # Errors
/// Forbidden for all but stewards, and for the person who asked; not found when there is no such job that the caller may review,
/// or its result never waited.
pub async fn show_review(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<ShownReview, AppError> {
    must_be(caller, PersonRole::Steward)?;
    let row = installation.jobs.job(id).await.during("find a job")?.ok_or_else(no_job)?;
    let library = library(installation).await?;
    must_review(caller, &library, &row)?;
    let Some(review) = LoggedReview::of(installation, id).await? else { return Err(no_job()) };
    let verdict = row.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let verdict = verdict.ok_or_else(|| InternalError::of_kind("read a job's verdict", "json"))?;
    let sql = read_logged(installation, &row, ActorName::of(caller)).await?.asked.sql;
    let waits = review.ended.is_none() && row.state == JobState::InReview;
    let result = if waits { Some(open(installation, caller, &row).await?) } else { None };
    let own = caller.person().name.as_str();
    let (since, until, reviewers) = (review.awaited.time, review.until(installation), review.reviewers);
    // Who has decided before all have, and how, is nobody else's to know.
    let said = review.said.into_iter().filter(|said| !waits || said.reviewer == own).collect();
    let known = library.purposes().values().find(|known| known.metadata.id.as_str() == row.purpose);
    let title = known.map(|known| known.metadata.title.clone());
    Ok(ShownReview {
        job: id,
        state: row.state,
        purpose_title: title.unwrap_or_else(|| Text::new(row.purpose.as_str(), row.purpose.as_str())),
        person: row.person,
        purpose: row.purpose,
        asked: row.received,
        since,
        until,
        reviewers,
        sql,
        output: verdict.output,
        controls: verdict.controls,
        result,
        said,
    })
}

/// Opens the sealed result: the very bytes that would leave.
async fn open(installation: &Installation, caller: &Caller, row: &JobRow) -> Result<String, AppError> {
    let (Some(key), Some(sha256)) = (&row.result_key, &row.result_sha256) else {
        return Err(InternalError::of_kind("open a result for its reviewer", "no key").into());
    };
    let sealed = installation.blocking(|| results::read(installation, row.id))?;
    // In the log before its key leaves, as with every result.
    let note = Note::new(Action::ReviewViewed, ActorName::of(caller)).of_job(row.id);
    installation.append_one(note).await?;
    let table = installation.blocking(|| results::open(installation, row.id, key, sha256, sealed))?;
    let csv = installation.blocking(|| encode_stream(table, Format::Csv))?;
    String::from_utf8(csv).during("write a result for its reviewer")
}
