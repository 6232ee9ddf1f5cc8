//! `query`, `explain`, `job list`, `job result`.

use std::fs;
use std::io::Read as _;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::json;

use crate::app::evidence::evidence;
use crate::app::explain_query::explain_query;
use crate::app::fetch_result::fetch_result;
use crate::app::list_jobs::list_jobs;
use crate::app::submit_query::Progress;
use crate::app::submit_query::ReleasedQuery;
use crate::app::submit_query::SubmitQuery;
use crate::app::submit_query::Submitted;
use crate::app::submit_query::submit_query;
use crate::app::verdict::Verdict;
use crate::cli::args::JobCommand;
use crate::cli::args::Output;
use crate::cli::args::QueryArgs;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::cli::table::write_batch;
use crate::cli::verdict::draw_admission;
use crate::cli::verdict::draw_notice;
use crate::cli::verdict::draw_refusal;
use crate::error::Class;
use crate::error::PublicError;

/// Longest text that is read from a file or standard input; the guard's own limit is far below.
const SQL_BYTES_MAX: u64 = 1 << 20;

pub(in crate::cli) async fn query(session: &mut Session<'_>, args: QueryArgs) -> Result<Exit, Ending> {
    let question = question(&args)?;
    let (installation, caller) = session.enter().await?;
    let bar = stage_bar(&session.screen);
    let progress = |at: Progress| {
        if let Progress::Running(at) = at {
            bar.set_length(u64::try_from(at.all).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(at.done).unwrap_or(u64::MAX));
        }
    };
    let submitted = submit_query(&installation, &caller, question.clone(), &progress).await;
    bar.finish_and_clear();
    show_submitted(&mut session.screen, &question.sql, submitted?)
}

/// Shows what came of a question.
pub(in crate::cli) fn show_submitted(
    screen: &mut Screen<'_>,
    sql: &str,
    submitted: Submitted,
) -> Result<Exit, Ending> {
    match submitted {
        Submitted::Explained(verdict) => show_verdict(screen, sql, &verdict),
        Submitted::Refused { verdict, .. } => {
            show_verdict(screen, sql, &verdict)?;
            Ok(Exit::Refused)
        }
        Submitted::Released(released) => {
            show_release(screen, &released)?;
            Ok(Exit::Done)
        }
        Submitted::Withheld { job } => {
            screen.say(
                &format!("Nothing of this result may leave under its policy ({job})."),
                &format!("依据策略，该结果不得输出（{job}）。"),
            )?;
            Ok(Exit::Withheld)
        }
        Submitted::Failed { job } => {
            screen.say(
                &format!("Something of ours broke while the question ran; nothing was released ({job})."),
                &format!("查询执行时系统内部出错，没有任何结果流出（{job}）。"),
            )?;
            Ok(Exit::Failure)
        }
        Submitted::Cancelled { job, .. } => {
            screen.say(
                &format!("The question stopped being allowed while it ran; nothing was released ({job})."),
                &format!("查询执行期间授权已变更，没有任何结果流出（{job}）。"),
            )?;
            Ok(Exit::Refused)
        }
    }
}

pub(in crate::cli) async fn explain(session: &mut Session<'_>, args: QueryArgs) -> Result<Exit, Ending> {
    let question = question(&args)?;
    let (installation, caller) = session.enter().await?;
    let verdict = explain_query(&installation, &caller, &question).await?;
    show_verdict(&mut session.screen, &question.sql, &verdict)
}

pub(in crate::cli) async fn job(session: &mut Session<'_>, command: JobCommand) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    match command {
        JobCommand::List { limit } => {
            let mut listing = Listing::new(
                &session.screen,
                &[
                    ("id", "job", "任务"),
                    ("state", "state", "状态"),
                    ("code", "code", "代码"),
                    ("purpose", "purpose", "用途"),
                    ("received", "asked", "提交时间"),
                ],
            );
            for job in list_jobs(&installation, &caller, None, limit).await? {
                listing.row(vec![
                    json!(job.id.to_string()),
                    json!(job.state.name()),
                    json!(job.code),
                    json!(job.purpose),
                    json!(job.received.to_string()),
                ]);
            }
            listing.write(&mut session.screen)?;
        }
        JobCommand::Evidence { id } => {
            let found = evidence(&installation, &caller, id).await?;
            let text = serde_json::to_string_pretty(&found).map_err(std::io::Error::other)?;
            session.screen.line(&text)?;
        }
        JobCommand::Result { id, release } => {
            let released = fetch_result(&installation, &caller, id).await?;
            if release {
                session.screen.data(released.release.as_bytes())?;
            } else {
                show_release(&mut session.screen, &released)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn show_release(screen: &mut Screen<'_>, released: &ReleasedQuery) -> Result<(), Ending> {
    write_batch(screen, &released.batch)?;
    if released.verdict.controls.is_some() {
        draw_notice(screen)?;
    }
    let (job, index) = (released.job, released.released_index);
    screen.say(
        &format!("{job} · entry {index} of the audit log · sha256 {}", released.sha256),
        &format!("{job} · 审计日志第 {index} 条 · sha256 {}", released.sha256),
    )?;
    Ok(())
}

fn show_verdict(screen: &mut Screen<'_>, sql: &str, verdict: &Verdict) -> Result<Exit, Ending> {
    if screen.output == Output::Json {
        let text = serde_json::to_string_pretty(verdict).map_err(std::io::Error::other)?;
        screen.line(&text)?;
    } else if verdict.is_admitted() {
        draw_admission(screen, verdict)?;
    } else {
        draw_refusal(screen, sql, verdict)?;
    }
    Ok(if verdict.is_admitted() { Exit::Done } else { Exit::Refused })
}

fn question(args: &QueryArgs) -> Result<SubmitQuery, Ending> {
    let unreadable = |what: &str| {
        PublicError::new(
            Class::Usage,
            "file-unreadable",
            format!("the SQL cannot be read from {what}"),
            format!("无法从 {what} 读取 SQL"),
        )
    };
    let sql = match (&args.sql, &args.file) {
        (Some(sql), _) if sql == "-" => {
            let mut text = String::new();
            let mut input = std::io::stdin().take(SQL_BYTES_MAX);
            input.read_to_string(&mut text).map_err(|_| unreadable("standard input"))?;
            text
        }
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => {
            fs::read_to_string(file).map_err(|_| unreadable(&file.display().to_string()))?
        }
        (None, None) => return Err(unreadable("nowhere").into()),
    };
    Ok(SubmitQuery::once(sql, args.purpose.to_string()))
}

/// Progress by stage, never by rows, and only where a person looks on.
fn stage_bar(screen: &Screen<'_>) -> ProgressBar {
    if !screen.is_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}
