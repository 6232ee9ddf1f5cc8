//! Use case: read the SQL of a job as it was asked. It lies sealed in the audit log; its key lies in the database, so that
//! deleting the key shreds the text and leaves the log whole.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::PersonRole;
use serde_json::Value;

use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::installation::results;
use crate::installation::results::QuestionText;
use crate::jobs::JobRow;

/// Reads the SQL of a job: one's own, or anybody's for an auditor.
///
/// # Errors
/// Not found when there is no such job, it is not the caller's to see, or its text was shredded.
pub async fn read_question(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<String, AppError> {
    Ok(read_asked(installation, caller, id).await?.sql)
}

/// As [`read_question`], with what the audit log's commitment to the text was made with.
pub(crate) async fn read_asked(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
) -> Result<QuestionText, AppError> {
    let job = installation.jobs.job(id).await.during("find a job")?.ok_or_else(|| no_question(id))?;
    if !caller.asked_as(&job.person) && !caller.holds(PersonRole::Auditor) {
        return Err(no_question(id));
    }
    Ok(read_logged(installation, &job, ActorName::of(caller)).await?.asked)
}

/// A question as it lies in the log.
pub(crate) struct LoggedQuestion {
    /// Its text, with the salt of its commitment.
    pub(crate) asked: QuestionText,
    /// The grants that it names.
    pub(crate) grants: BTreeSet<Code>,
    /// Its text, sealed.
    pub(crate) sealed: Vec<u8>,
}

/// Reads the question of a job, for callers that have settled that `reader` may see it, or show it to no person.
pub(crate) async fn read_logged(
    installation: &Installation,
    job: &JobRow,
    reader: ActorName,
) -> Result<LoggedQuestion, AppError> {
    let id = job.id;
    let (Some(key), Some(decided)) = (&job.sql_key, job.decided_index) else {
        return Err(no_question(id));
    };
    let event = installation.audit.event(decided).during("read the audit log")?;
    if event.correlation.as_deref() != Some(id.to_string().as_str()) {
        return Err(no_question(id));
    }
    let query = event.detail.get("query");
    let field = |name: &str| query.and_then(|query| query.get(name)).and_then(Value::as_str);
    let sealed = match (field("sealed"), field("sealed_sha256")) {
        (Some(text), _) => STANDARD.decode(text).during("read a sealed question")?,
        (None, Some(sha256)) => results::read_long_query(installation, id, sha256)?,
        (None, None) => {
            return Err(InternalError::of_kind("read a sealed question", "no text in the event").into());
        }
    };
    // The log names the reader before the text is open.
    let note = Note::new(Action::QuestionRead, reader).of_job(id);
    installation.append_one(note).await?;
    let asked = results::open_query(installation, id, key, &sealed, field("commitment").is_some())?;
    let names = event.detail.get("grants").and_then(Value::as_array).into_iter().flatten();
    let grants = names.filter_map(Value::as_str).map(str::parse).collect::<Result<_, _>>();
    Ok(LoggedQuestion { asked, grants: grants.during("read the grants of a question")?, sealed })
}

fn no_question(job: JobId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "job-not-found",
        format!("there is no question `{job}` that you may read"),
        format!("没有您可查看的任务 `{job}`"),
    )
    .into()
}
