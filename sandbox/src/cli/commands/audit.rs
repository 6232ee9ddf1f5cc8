//! `audit log`, `audit prove`, `audit export` and the like, and `release`. Proving needs no token: a public key is enough.

use std::fs;
use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;

use crate::app::log::cosign::Handed;
use crate::app::log::evidence::VerifiedEvidence;
use crate::app::log::evidence::verify_evidence;
use crate::app::log::verify_audit::LogCopy;
use crate::app::log::verify_audit::LogRange;
use crate::app::log::verify_audit::checkpoint;
use crate::app::log::verify_audit::export_log;
use crate::app::log::verify_audit::prove_entry;
use crate::app::log::verify_audit::verify_entry_proof;
use crate::app::log::verify_release::DecisionProof;
use crate::app::log::verify_release::ReleaseSummary;
use crate::app::log::verify_release::verify_release_record;
use crate::app::query::read_question::read_question;
use crate::app::query::shred_question::shred_question;
use crate::cli::args::AuditCommand;
use crate::cli::args::LogArgs;
use crate::cli::args::ReleaseCommand;
use crate::cli::commands::events::events;
use crate::cli::commands::verify::verify;
use crate::cli::commands::witness;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::visible::visible_line;
use crate::error::Class;
use crate::error::PublicError;
use crate::installation::Layout;

/// Entries that are read and written at a time.
const EXPORT_ENTRIES: u64 = 500;

pub(in crate::cli) async fn audit(session: &mut Session<'_>, command: AuditCommand) -> Result<Exit, Ending> {
    match command {
        AuditCommand::Log(args) => events(session, args).await,
        AuditCommand::Verify(args) => match &args.proof {
            Some(proof) => verify_proof(session, proof, &args.log),
            None => verify(session, &args).await,
        },
        AuditCommand::Prove { index, log } => {
            let proof = prove_entry(&copy(session, &log), index)?;
            session.screen.data(proof.as_bytes())?;
            session.screen.say(
                "This proof and the log's public key are all that is needed to verify it.",
                "凭此证明和日志公钥即可校验，无需其他。",
            )?;
            Ok(Exit::Done)
        }
        AuditCommand::Question { job } => {
            let (installation, caller) = session.enter().await?;
            let sql = read_question(&installation, &caller, job).await?;
            session.screen.line(&sql)?;
            Ok(Exit::Done)
        }
        AuditCommand::Export { from, to } => export(session, from, to).await,
        AuditCommand::Checkpoint { since, cosigned, log } => {
            let handed = match since {
                Some(size) => Handed::Since(size),
                None if cosigned => Handed::Cosigned,
                None => Handed::Newest,
            };
            witness::checkpoint(session, &copy(session, &log), handed)
        }
        AuditCommand::Cosign { file } => witness::cosign(session, &read_text(&file)?).await,
        AuditCommand::Witness { request, log_key, state } => {
            witness::witness(session, &read_text(&request)?, &log_key, &state)
        }
        AuditCommand::WitnessKey { name, state } => witness::make_key(session, &name, &state),
        AuditCommand::Shred { job, reason } => {
            let (installation, caller) = session.enter().await?;
            shred_question(&installation, &caller, job, &reason).await?;
            session.screen.say(
                "The key of the question's text is destroyed; the log is whole and says so. Backups of the database hold it until they are gone.",
                "该问题文本的密钥已销毁；日志完整并有记录。数据库备份中的副本须另行销毁。",
            )?;
            Ok(Exit::Done)
        }
    }
}

/// Writes entries as they stand in the log, some at a time, with progress on a terminal.
async fn export(session: &mut Session<'_>, from: u64, to: Option<u64>) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    let size = checkpoint(&installation)?.0;
    let end = to.unwrap_or(size).min(size);
    let bar = if session.screen.is_terminal {
        ProgressBar::new(end.saturating_sub(from))
    } else {
        ProgressBar::hidden()
    };
    let mut next = from;
    loop {
        // Also when there is nothing to write: permission to read is checked first.
        let most = end.saturating_sub(next).min(EXPORT_ENTRIES);
        let lines = export_log(&installation, &caller, LogRange { from: Some(next), most })?;
        session.screen.data(&lines)?;
        next = next.saturating_add(most);
        bar.inc(most);
        if next >= end {
            break;
        }
    }
    bar.finish_and_clear();
    let written = end.saturating_sub(from);
    session.screen.say(&format!("{written} entries."), &format!("共 {written} 条。"))?;
    Ok(Exit::Done)
}

/// Verifies a signed release record, or a file of evidence.
pub(in crate::cli) fn release(session: &mut Session<'_>, command: &ReleaseCommand) -> Result<Exit, Ending> {
    let own = Layout::of(&session.loaded.settings.data_dir);
    match command {
        ReleaseCommand::Verify { file, key, audit_key } => {
            // A person who brings a key verifies another installation's record: our own log's key would be the wrong one.
            let own_audit_key = key.is_none().then(|| own.audit_key());
            let audit_key = audit_key.clone().or(own_audit_key);
            let key = key.as_deref().map_or_else(|| own.release_key(), Path::to_path_buf);
            let found = verify_release_record(&key, audit_key.as_deref(), &read_text(file)?)?;
            say_summary(session, &found.summary)?;
            session.screen.say("The release record is signed by that key.", "该发布记录确由该密钥签名。")?;
            say_decision(session, found.decision)?;
            session.screen.data(found.text.as_bytes())?;
        }
        ReleaseCommand::Evidence { file, key, audit_key } => {
            let audit_key = audit_key.as_deref().map_or_else(|| own.audit_key(), Path::to_path_buf);
            let key = key.as_deref().map_or_else(|| own.release_key(), Path::to_path_buf);
            let found = verify_evidence(&read_text(file)?, &audit_key, &key)?;
            let VerifiedEvidence { job, state, code, decided_index, finished_index, documents, named } =
                found;
            let state = code.map_or_else(|| state.clone(), |code| format!("{state} ({code})"));
            session.screen.say(
                &format!(
                    "The evidence holds: {job} was decided in entry {decided_index} and ended as {state} in entry {finished_index}; {documents} document(s) with their text, {named} by name and hash."
                ),
                &format!(
                    "证据成立：{job} 的决定见第 {decided_index} 条，以 {state} 结束于第 {finished_index} 条；附文档 {documents} 份，另有 {named} 份仅列名称与哈希。"
                ),
            )?;
        }
    }
    Ok(Exit::Done)
}

/// Says what a verified record is about, before its text.
fn say_summary(session: &mut Session<'_>, summary: &ReleaseSummary) -> std::io::Result<()> {
    let screen = &mut session.screen;
    if let (Some(job), Some(person)) = (&summary.job, &summary.person) {
        let at = summary.asked_at.as_deref().unwrap_or("?");
        screen.say(
            &format!("{job}, asked by `{person}` at {at}"),
            &format!("{job}，由 `{person}` 于 {at} 提交"),
        )?;
    }
    let datasets = summary.datasets.iter().map(|(id, version)| format!("{id} ({version})"));
    let datasets = datasets.collect::<Vec<_>>().join(", ");
    screen.say(&format!("  datasets (version): {datasets}"), &format!("  数据集（版本）：{datasets}"))?;
    // An alias may hold line ends, and is no line of ours.
    let columns = visible_line(&summary.columns.join(", "));
    screen.say(&format!("  columns: {columns}"), &format!("  列：{columns}"))?;
    if let Some(min) = summary.subjects_min {
        screen.say(
            &format!("  every cell rests on at least {min} subjects"),
            &format!("  每个单元格至少涉及 {min} 个主体"),
        )?;
    }
    if let Some(base) = summary.rounding {
        screen.say(&format!("  counts are multiples of {base}"), &format!("  计数取 {base} 的倍数"))?;
    }
    if let Some(deviation) = summary.perturbation {
        screen.say(
            &format!("  counts and sums have noise, of deviation {deviation} subjects a draw"),
            &format!("  计数与求和含噪声，单次抽取的标准差为 {deviation} 个主体"),
        )?;
    }
    if let Some(sha256) = &summary.result_sha256 {
        screen.say(&format!("  result sha256: {sha256}"), &format!("  结果 sha256：{sha256}"))?;
    }
    Ok(())
}

fn say_decision(session: &mut Session<'_>, decision: DecisionProof) -> std::io::Result<()> {
    match decision {
        DecisionProof::InLog { index, size } => session.screen.say(
            &format!("Its decision is entry {index} of the audit log, under a signed checkpoint of {size} entries."),
            &format!("其决定为审计日志第 {index} 条，由覆盖 {size} 条的签名检查点证明。"),
        ),
        DecisionProof::NotVerified => session.screen.say(
            "Not verified: that its decision is in the audit log; give the log's public key with --audit-key.",
            "未校验：其决定是否在审计日志中；请用 --audit-key 指定日志公钥。",
        ),
        DecisionProof::NotInRecord => session.screen.say(
            "Not verified: that its decision is in the audit log; records of this older form hold no proof of it.",
            "未校验：其决定是否在审计日志中；此旧版记录不含证明。",
        ),
    }
}

fn verify_proof(session: &mut Session<'_>, proof: &Path, log: &LogArgs) -> Result<Exit, Ending> {
    let text = read_text(proof)?;
    let proven = verify_entry_proof(&copy(session, log).key_file, &text)?;
    let (event, size) = (&proven.event, proven.checkpoint.size());
    session.screen.say(
        &format!("Entry {} is in the log of {size} entries.", event.index),
        &format!("第 {} 条确在共 {size} 条的日志中。", event.index),
    )?;
    let fields = json!({
        "index": event.index,
        "time": event.time.to_string(),
        "actor": event.actor.name,
        "action": event.action,
        "correlation": event.correlation,
        "record": event.record,
        "detail": event.detail,
    });
    let text = serde_json::to_string_pretty(&fields).map_err(std::io::Error::other)?;
    session.screen.line(&text)?;
    Ok(Exit::Done)
}

fn read_text(path: &Path) -> Result<String, Ending> {
    let text = fs::read_to_string(path).map_err(|error| {
        PublicError::new(
            Class::Usage,
            "file-unreadable",
            format!("`{}` cannot be read ({})", path.display(), error.kind()),
            format!("无法读取 `{}`", path.display()),
        )
    })?;
    Ok(text)
}

pub(super) fn copy(session: &Session<'_>, args: &LogArgs) -> LogCopy {
    let own = LogCopy::of(&Layout::of(&session.loaded.settings.data_dir));
    LogCopy {
        folder: args.log.clone().unwrap_or(own.folder),
        key_file: args.key.clone().unwrap_or(own.key_file),
    }
}
