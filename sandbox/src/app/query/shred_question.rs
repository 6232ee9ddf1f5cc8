//! Use case: destroy the key of a question's text. The log keeps the sealed text, which nothing opens any more, and with
//! it every hash; the decision, its codes and what was released stay as they were.

use obscura_policies::Text;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::query::show_job::no_job;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::Verdict;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::OldPages;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::JobId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::installation::results;
use crate::jobs::JobRow;

/// Longest reason, in characters.
const REASON_CHARACTERS_MAX: usize = 200;

/// Destroys the key of a job's question, and whatever else of its text the database holds. Operators do it, who read no
/// question, and say why; an analyst cannot take back what they asked.
///
/// Killed between log and database it leaves the key, which `audit verify` reports; asked again, it goes on. Asked again
/// when the key is forgotten, it makes sure that no old page of the database holds it.
///
/// # Errors
/// Forbidden for all but operators; not found when there is no such job; conflict while the job has not ended, and while
/// a reader holds a page that still has the key; usage without a reason.
pub async fn shred_question(
    installation: &Installation,
    caller: &Caller,
    id: JobId,
    reason: &str,
) -> Result<(), AppError> {
    must_be(caller, PersonRole::Operator)?;
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS_MAX {
        return Err(PublicError::new(
            Class::Usage,
            "reason-malformed",
            format!("a reason has 1 to {REASON_CHARACTERS_MAX} characters"),
            format!("理由须为 1 至 {REASON_CHARACTERS_MAX} 个字符"),
        )
        .into());
    }
    let _alone = installation.change().await?;
    let job = installation.jobs.job(id).await.during("find a job")?.ok_or_else(no_job)?;
    if !job.state.is_final() {
        return Err(PublicError::new(
            Class::Conflict,
            "job-not-over",
            "the job has not ended yet",
            "任务尚未结束",
        )
        .into());
    }
    if job.sql_key.is_some() {
        let verdict = without_text(&job)?;
        let note =
            Note::new(Action::QuestionShredded, ActorName::of(caller)).of_job(id).with("reason", reason);
        installation.append_one(note).await?;
        installation.jobs.forget_question(id, verdict.as_deref()).await.during("forget a question")?;
    }
    results::remove_long_query(installation, id)?;
    match installation.catalog.clear_old_pages().await.during("clear old pages")? {
        OldPages::Cleared => Ok(()),
        OldPages::Held => Err(not_cleared()),
    }
}

/// The key opens nothing any more by this program; a person who has the files still finds it.
fn not_cleared() -> AppError {
    PublicError::new(
        Class::Conflict,
        "old-pages-not-cleared",
        "the key of the question's text is forgotten, but old pages of the database that hold it are not yet cleared: somebody is reading them",
        "该问题文本的密钥已被遗忘，但数据库中含有它的旧页尚未清除：有程序正在读取",
    )
    .with_help(
        "end what reads the database (a backup, a shell) and run the same command again; a server tries again each hour",
        "请结束正在读取数据库的程序（备份、命令行工具等），再次运行同一命令；服务进程每小时也会重试",
    )
    .into()
}

/// The part of a verdict that stays: its decision with codes, output and controls; no rewritten question, and no name that
/// the asker wrote into a finding. Nothing stays of a verdict that cannot be read.
fn without_text(job: &JobRow) -> Result<Option<String>, AppError> {
    let read = job.verdict.as_deref().and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let Some(mut verdict) = read else { return Ok(None) };
    verdict.rewrites.clear();
    for finding in &mut verdict.findings {
        let message = Text::new("the text of this question was destroyed", "该问题的文本已销毁");
        *finding = FindingView::plain(&finding.code, message, None);
    }
    serde_json::to_string(&verdict).map(Some).during("write a verdict")
}
