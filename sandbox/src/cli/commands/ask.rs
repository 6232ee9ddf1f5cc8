//! `query`, `explain`, `job submit`, `list`, `show`, `watch`, `cancel`, `result`, `explain`, `evidence`.

use std::fs;
use std::io::Read as _;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::json;

use crate::api::jobs::Explanation;
use crate::api::jobs::JobView;
use crate::app::query::charging::BUDGET_SPENT;
use crate::app::query::end::limit_exceeded;
use crate::app::query::formats::decode_arrow;
use crate::app::query::outcome::JobEnd;
use crate::app::query::outcome::ReleasedQuery;
use crate::app::query::outcome::Submitted;
use crate::app::query::question::SubmitQuery;
use crate::app::query::run::Progress;
use crate::app::query::verdict::Verdict;
use crate::cli::args::JobCommand;
use crate::cli::args::Output;
use crate::cli::args::QueryArgs;
use crate::cli::args::SubmitArgs;
use crate::cli::commands::job::show_job;
use crate::cli::desk::questions::Begun;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
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
use crate::jobs::JobFailure;
use crate::jobs::JobState;

/// Longest text that is read from a file or standard input; the guard's own limit is far below.
const SQL_BYTES_MAX: u64 = 1 << 20;

pub(in crate::cli) async fn query(session: &mut Session<'_>, args: QueryArgs) -> Result<Exit, Ending> {
    let question = question(&args)?;
    let desk = session.desk().await?;
    let bar = stage_bar(&session.screen);
    let progress = |at: Progress| {
        if let Progress::Running(at) = at {
            bar.set_length(u64::try_from(at.all).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(at.done).unwrap_or(u64::MAX));
        }
    };
    let submitted = desk.submit(question.clone(), &progress).await;
    bar.finish_and_clear();
    show_submitted(&mut session.screen, &question.sql, submitted?)
}

/// Shows the outcome of a question.
pub(in crate::cli) fn show_submitted(
    screen: &mut Screen<'_>,
    sql: &str,
    submitted: Submitted,
) -> Result<Exit, Ending> {
    match submitted {
        Submitted::Explained(verdict) => show_verdict(screen, sql, &verdict),
        Submitted::Refused { verdict, .. } => show_verdict(screen, sql, &verdict),
        Submitted::Ended(JobEnd::Released(released)) => {
            show_release(screen, &released)?;
            Ok(Exit::Done)
        }
        Submitted::Pending { job } => {
            screen.say(
                &format!("It waits until your request for access is decided on ({job})."),
                &format!("任务正在等待您的访问申请获批（{job}）。"),
            )?;
            Ok(Exit::Waits)
        }
        Submitted::Ended(JobEnd::InReview { job, reviewers }) => {
            screen.say(
                &format!("The protected result waits for {reviewers} reviewer(s) ({job}); `obscura job show {job}` says how it stands."),
                &format!("受保护的结果正在等待 {reviewers} 人复核（{job}）；用 `obscura job show {job}` 查看进展。"),
            )?;
            Ok(Exit::Waits)
        }
        Submitted::Ended(JobEnd::Withheld { job }) => {
            screen.say(
                &format!("Nothing of this result may leave under its policy ({job})."),
                &format!("依据策略，该结果不得输出（{job}）。"),
            )?;
            Ok(Exit::Withheld)
        }
        Submitted::Ended(JobEnd::Failed { job, failure: JobFailure::Limit }) => {
            draw_limit(screen, &job.to_string())?;
            Ok(Exit::LimitExceeded)
        }
        Submitted::Ended(JobEnd::Failed { job, failure: JobFailure::DiskFull }) => {
            screen.say(
                &format!("The disk of the installation is full; nothing was released ({job}). Ask again once the operator has made room."),
                &format!("系统磁盘已满，没有任何结果流出（{job}）。请待运维人员清理空间后重试。"),
            )?;
            Ok(Exit::Failure)
        }
        Submitted::Ended(JobEnd::Failed {
            job,
            failure: JobFailure::Execution | JobFailure::Interrupted | JobFailure::Internal,
        }) => {
            screen.say(
                &format!("Something of ours broke while the question ran; nothing was released ({job})."),
                &format!("查询执行时系统内部出错，没有任何结果流出（{job}）。"),
            )?;
            Ok(Exit::Failure)
        }
        Submitted::Ended(JobEnd::Cancelled { job, .. }) => {
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
    let verdict = session.desk().await?.explain(&question).await?;
    show_verdict(&mut session.screen, &question.sql, &verdict)
}

pub(in crate::cli) async fn job(session: &mut Session<'_>, command: JobCommand) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    match command {
        JobCommand::Submit(SubmitArgs { question: args, key }) => {
            let question = SubmitQuery { key, ..question(&args)? };
            return match desk.begin(question.clone()).await? {
                Begun::Over(submitted) => show_submitted(&mut session.screen, &question.sql, *submitted),
                Begun::GoesOn(job) => {
                    session.screen.say(
                        &format!("It goes on; `obscura job watch {}` follows it.", job.id),
                        &format!("任务正在执行；用 `obscura job watch {}` 跟踪。", job.id),
                    )?;
                    session.screen.line(&job.id)?;
                    Ok(Exit::Done)
                }
            };
        }
        JobCommand::Watch { id } => {
            let screen = &mut session.screen;
            let job = desk.watch(id, |state| screen.line(state)).await?;
            let exit = exit_of(&job);
            if exit == Exit::LimitExceeded {
                draw_limit(screen, &job.id)?;
            }
            return Ok(exit);
        }
        JobCommand::Cancel { id } => {
            let job = desk.cancel(id).await?;
            session.screen.say(&format!("{} is cancelled", job.id), &format!("已取消 {}", job.id))?;
        }
        JobCommand::List { limit } => {
            let mut listing = Listing::new(
                &session.screen,
                &[
                    ("id", "job", "任务"),
                    ("state", "state", "状态"),
                    ("code", "code", "代码"),
                    ("person", "person", "人员"),
                    ("purpose", "purpose", "用途"),
                    ("received", "asked", "提交时间"),
                ],
            );
            for job in desk.jobs(limit).await? {
                listing.row(vec![
                    json!(job.id),
                    json!(job.state),
                    json!(job.code),
                    json!(job.person),
                    json!(job.purpose),
                    json!(job.received),
                ]);
            }
            listing.write(&mut session.screen)?;
        }
        JobCommand::Show { id } => show_job(&mut session.screen, &desk.job(id).await?)?,
        JobCommand::Explain { id } => {
            let explanation = desk.explanation(id).await?;
            show_explanation(&mut session.screen, &explanation)?;
        }
        JobCommand::Evidence { id } => {
            let found = desk.evidence(id).await?;
            let text = serde_json::to_string_pretty(&found).map_err(std::io::Error::other)?;
            session.screen.line(&text)?;
        }
        JobCommand::Result { id, release } => {
            let released = desk.result(id).await?;
            if release {
                session.screen.data(released.release.as_bytes())?;
            } else {
                show_release(&mut session.screen, &released)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Shows the steps that led to a job's end, in the order in which they were decided.
fn show_explanation(screen: &mut Screen<'_>, explanation: &Explanation) -> Result<(), Ending> {
    if screen.output == Output::Json {
        let text = serde_json::to_string_pretty(explanation).map_err(std::io::Error::other)?;
        return Ok(screen.line(&text)?);
    }
    screen.line(&explanation.sql)?;
    if let Some(verdict) = &explanation.job.verdict {
        show_verdict(screen, &explanation.sql, verdict)?;
    }
    let Some(plan) = &explanation.plan else { return Ok(()) };
    show_plan(screen, "As it was asked", "原查询计划", &plan.before)?;
    for stage in &plan.stages {
        let en = format!("What runs in its place: {} ({})", stage.name, stage.grade);
        let zh = format!("实际执行：{}（{}）", stage.name, stage.grade);
        show_plan(screen, &en, &zh, &stage.plan)?;
        for subjects in &stage.subjects {
            let unit = subjects.unit.as_deref();
            screen.say(
                &format!("  every cell rests on at least {} {}", subjects.min, unit.unwrap_or("rows")),
                &format!("  每个单元格至少涉及 {} 个{}", subjects.min, unit.unwrap_or("行")),
            )?;
        }
    }
    show_plan(screen, "With what they release", "对其输出的后续计算", &plan.after)
}

fn show_plan(screen: &mut Screen<'_>, en: &str, zh: &str, plan: &str) -> Result<(), Ending> {
    screen.say(&format!("{en}:"), &format!("{zh}："))?;
    for line in plan.lines() {
        screen.line(&format!("  {line}"))?;
    }
    Ok(())
}

/// Says that a job met a limit, and gives its asker ways on.
fn draw_limit(screen: &mut Screen<'_>, job: &str) -> Result<(), Ending> {
    let told = limit_exceeded();
    let message = screen.pick(told.message()).to_owned();
    let heading = screen.paint(&format!("error[{}]", told.code()), Paint::Bad);
    screen.show(&heading.then(&format!(": {message} ({job})")))?;
    if let Some(help) = told.help() {
        let help = screen.pick(help).to_owned();
        screen.say(&format!("  help: {help}"), &format!("  建议：{help}"))?;
    }
    Ok(())
}

/// The end of a job as an exit code.
fn exit_of(job: &JobView) -> Exit {
    match JobState::from_name(&job.state) {
        Some(JobState::Released) => Exit::Done,
        Some(JobState::Refused) => exit_of_refusal(job.code.iter().map(String::as_str)),
        Some(JobState::Cancelled) => Exit::Refused,
        Some(JobState::Withheld) => Exit::Withheld,
        Some(JobState::PendingApproval | JobState::InReview) => Exit::Waits,
        Some(JobState::Failed) if job.code.as_deref() == Some(JobFailure::Limit.code()) => {
            Exit::LimitExceeded
        }
        Some(
            JobState::Failed
            | JobState::Expired
            | JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::Checking,
        )
        | None => Exit::Failure,
    }
}

fn show_release(screen: &mut Screen<'_>, released: &ReleasedQuery) -> Result<(), Ending> {
    let batch = decode_arrow(&released.table).map_err(std::io::Error::other)?;
    write_batch(screen, &batch)?;
    if released.verdict.controls.is_some() {
        draw_notice(screen, &released.verdict)?;
    }
    let (job, index) = (released.job, released.released_index);
    screen.prose(
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
    Ok(match verdict.is_admitted() {
        true => Exit::Done,
        false => exit_of_refusal(verdict.codes().into_iter()),
    })
}

/// A question is refused for a spent budget only if nothing else stands against it.
fn exit_of_refusal<'a>(mut codes: impl Iterator<Item = &'a str>) -> Exit {
    match codes.next() {
        Some(BUDGET_SPENT) if codes.all(|code| code == BUDGET_SPENT) => Exit::BudgetSpent,
        _ => Exit::Refused,
    }
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
    let grants = args.grants.iter().cloned().collect();
    Ok(SubmitQuery { grants, ..SubmitQuery::once(sql, args.purpose.to_string()) })
}

/// Progress by stage, never by rows, and only on a terminal.
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
