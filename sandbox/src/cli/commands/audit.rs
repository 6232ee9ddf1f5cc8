//! `audit log`, `audit verify`, `audit prove`. The last two need no token: a public key is enough.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::app::evidence::VerifiedEvidence;
use crate::app::evidence::verify_evidence;
use crate::app::installation::Layout;
use crate::app::read_question::read_question;
use crate::app::verify_audit::LogCopy;
use crate::app::verify_audit::LogRange;
use crate::app::verify_audit::prove_entry;
use crate::app::verify_audit::read_log;
use crate::app::verify_audit::reconcile;
use crate::app::verify_audit::verify_entry_proof;
use crate::app::verify_audit::verify_log;
use crate::app::verify_audit::verify_release;
use crate::audit::verify::Finding;
use crate::audit::verify::Verification;
use crate::cli::args::AuditCommand;
use crate::cli::args::AuditVerifyArgs;
use crate::cli::args::LogArgs;
use crate::cli::args::ReleaseCommand;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::error::Class;
use crate::error::PublicError;

/// Most findings that are listed; the rest is counted.
const FINDINGS_SHOWN: usize = 20;

pub(in crate::cli) async fn audit(session: &mut Session<'_>, command: AuditCommand) -> Result<Exit, Ending> {
    match command {
        AuditCommand::Log { from, limit } => show_log(session, LogRange { from, most: limit }).await,
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
    }
}

/// Verifies a signed release record, or a file of evidence.
pub(in crate::cli) fn release(session: &mut Session<'_>, command: &ReleaseCommand) -> Result<Exit, Ending> {
    let own = Layout::of(&session.loaded.settings.data_dir);
    match command {
        ReleaseCommand::Verify { file, key } => {
            let record = verify_release(key.as_deref().unwrap_or(&own.release_key()), &read_text(file)?)?;
            session.screen.say("The release record is signed by that key.", "该发布记录确由该密钥签名。")?;
            session.screen.data(record.as_bytes())?;
        }
        ReleaseCommand::Evidence { file, key, audit_key } => {
            let audit_key = audit_key.as_deref().map_or_else(|| own.audit_key(), Path::to_path_buf);
            let key = key.as_deref().map_or_else(|| own.release_key(), Path::to_path_buf);
            let found = verify_evidence(&read_text(file)?, &audit_key, &key)?;
            let VerifiedEvidence { job, state, decided_index, finished_index, documents, named } = found;
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

async fn show_log(session: &mut Session<'_>, range: LogRange) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    let mut listing = Listing::new(
        &session.screen,
        &[
            ("index", "entry", "序号"),
            ("time", "time", "时间"),
            ("actor", "who", "人员"),
            ("action", "what", "事件"),
            ("subject", "about", "对象"),
        ],
    );
    for event in read_log(&installation, &caller, range)? {
        let about = event.record.as_ref().map(|record| record.key.clone()).or(event.correlation);
        listing.row(vec![
            json!(event.index),
            json!(event.time.to_string()),
            json!(event.actor.name),
            json!(event.action),
            json!(about),
        ]);
    }
    listing.write(&mut session.screen)?;
    Ok(Exit::Done)
}

async fn verify(session: &mut Session<'_>, args: &AuditVerifyArgs) -> Result<Exit, Ending> {
    let log = copy(session, &args.log);
    let verification = verify_log(&log, args.checkpoint.as_deref())?;
    let mut exit = show_verification(&mut session.screen, &verification)?;
    // A copy of the log is verified alone; the installation's own log also vouches for its database.
    let layout = Layout::of(&session.loaded.settings.data_dir);
    if args.log.log.is_none() && layout.database().exists() {
        let found = reconcile(&layout, &verification.facts).await?;
        let screen = &mut session.screen;
        for disagreement in found.iter().take(FINDINGS_SHOWN) {
            let (kind, key, problem) = (disagreement.kind, &disagreement.key, disagreement.problem);
            screen.tell(&format!("  {kind} `{key}`: {problem}"))?;
        }
        if found.is_empty() {
            screen.say("The database agrees with the log.", "数据库与日志一致。")?;
        } else {
            exit = Exit::VerificationFailed;
            let count = found.len();
            screen.say(
                &format!("{count} row(s) of the database do not agree with the log and are not honoured."),
                &format!("数据库有 {count} 行与日志不一致，这些行不予承认。"),
            )?;
        }
    }
    Ok(exit)
}

/// Shows what came of verifying a log.
pub(in crate::cli) fn show_verification(
    screen: &mut Screen<'_>,
    verification: &Verification,
) -> std::io::Result<Exit> {
    let size = verification.size;
    if verification.findings.is_empty() {
        let en = format!("The log verifies: {size} entries, none altered.");
        let zh = format!("日志校验通过：{size} 条，无一被改动。");
        let text = screen.paint(screen.either(&en, &zh), Paint::Good);
        screen.tell(&text)?;
        return Ok(Exit::Done);
    }
    let (en, zh) = match verification.first_bad_entry() {
        Some(index) => (
            format!("The log does not verify. First bad entry: {index}."),
            format!("日志校验失败。第一条有问题的记录：{index}。"),
        ),
        None => ("The log does not verify.".to_owned(), "日志校验失败。".to_owned()),
    };
    let text = screen.paint(screen.either(&en, &zh), Paint::Bad);
    screen.tell(&text)?;
    for finding in verification.findings.iter().take(FINDINGS_SHOWN) {
        let (en, zh) = words(finding);
        screen.say(&format!("  {en}"), &format!("  {zh}"))?;
    }
    let more = verification.findings.len().saturating_sub(FINDINGS_SHOWN);
    if more > 0 {
        screen.say(&format!("  and {more} more"), &format!("  另有 {more} 处"))?;
    }
    Ok(Exit::VerificationFailed)
}

fn words(finding: &Finding) -> (String, String) {
    match finding {
        Finding::Checkpoint => (
            "the checkpoint is missing or not signed by the log's key".to_owned(),
            "检查点缺失，或不是由日志密钥签名".to_owned(),
        ),
        Finding::Entry { index } => (
            format!("entry {index} is not the one that was logged"),
            format!("第 {index} 条与当初记录的不符"),
        ),
        Finding::Hash { index } => {
            (format!("the hash of entry {index} is gone"), format!("第 {index} 条的哈希缺失"))
        }
        Finding::Tile { path } => {
            (format!("the hashes in `{path}` do not fit the entries"), format!("`{path}` 中的哈希与记录不符"))
        }
        Finding::Root => (
            "entries and hashes agree, but not with the signed root".to_owned(),
            "记录与哈希一致，但与签名的根不符".to_owned(),
        ),
        Finding::Link { index } => (
            format!("entry {index} does not link to the change before it"),
            format!("第 {index} 条未正确链接到前一次变更"),
        ),
        Finding::Truncated { kept, size } => (
            format!("the log has {size} entries, the kept checkpoint covers {kept}: the end was cut off"),
            format!("日志有 {size} 条，而留存的检查点覆盖 {kept} 条：末尾被截断"),
        ),
        Finding::Rewritten { kept } => (
            format!("the first {kept} entries are not those that the kept checkpoint covers"),
            format!("前 {kept} 条与留存的检查点不符，历史被改写"),
        ),
        Finding::KeptCheckpoint => (
            "the kept checkpoint is not signed by the log's key".to_owned(),
            "留存的检查点不是由日志密钥签名".to_owned(),
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

fn copy(session: &Session<'_>, args: &LogArgs) -> LogCopy {
    let own = LogCopy::of(&Layout::of(&session.loaded.settings.data_dir));
    LogCopy {
        folder: args.log.clone().unwrap_or(own.folder),
        key_file: args.key.clone().unwrap_or(own.key_file),
    }
}
