//! `audit verify`: the verified parts, the findings, and the questions left open. Needs no token.

use jiff::Timestamp;

use crate::app::log::verify_audit::LogAgainst;
use crate::app::log::verify_audit::reconcile;
use crate::app::log::verify_audit::verify_log;
use crate::audit::accounts::UnwrapFinding;
use crate::audit::verify::Anchor;
use crate::audit::verify::Backwards;
use crate::audit::verify::Finding;
use crate::audit::verify::Place;
use crate::audit::verify::Verification;
use crate::audit::verify::Witnessing;
use crate::cli::args::AuditVerifyArgs;
use crate::cli::commands::audit::copy;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::installation::Layout;

/// Most findings that are listed; the rest is counted.
const FINDINGS_SHOWN: usize = 20;

pub(super) async fn verify(session: &mut Session<'_>, args: &AuditVerifyArgs) -> Result<Exit, Ending> {
    let log = copy(session, &args.log);
    // A copy of the log is verified alone; the installation's own log also vouches for its database and its keys. The files
    // that are present do not decide between the two, or an attacker could turn a check off by removing a file.
    let layout = Layout::of(&session.loaded.settings.data_dir);
    let is_own = args.log.log.is_none();
    let trusted = session.loaded.settings.witness_keys_file.clone().filter(|_| is_own);
    let against = LogAgainst {
        checkpoint: args.checkpoint.clone(),
        witnesses: args.witness.clone().or(trusted),
        witnessing: if args.witness.is_some() { Witnessing::Demanded } else { Witnessing::Welcome },
        journal: is_own.then(|| layout.unwraps()),
    };
    let verification = verify_log(&log, &against)?;
    let mut exit = show_verification(&mut session.screen, &verification)?;
    if is_own && !layout.database().exists() {
        exit = Exit::VerificationFailed;
        session.screen.say(
            "The database is missing: nothing can be compared with what the log says of it. Name a copy of the log with --log.",
            "数据库缺失：无法与日志核对。如校验的是日志副本，请用 --log 指定。",
        )?;
    } else if is_own {
        let found = reconcile(&layout, &verification).await?;
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

/// Shows the result of verifying a log.
pub(in crate::cli) fn show_verification(
    screen: &mut Screen<'_>,
    verification: &Verification,
) -> std::io::Result<Exit> {
    let size = verification.size;
    if verification.findings.is_empty() {
        let en = format!("The log verifies: {size} entries, none altered.");
        let zh = format!("日志校验通过：{size} 条，无一被改动。");
        let text = screen.paint(screen.either(&en, &zh), Paint::Good);
        screen.show(&text)?;
        show_anchors(screen, &verification.anchors)?;
        show_backwards(screen, &verification.backwards)?;
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
    screen.show(&text)?;
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

/// Names the entries at which time goes back. No entry was altered, so that the log verifies all the same.
fn show_backwards(screen: &mut Screen<'_>, backwards: &[Backwards]) -> std::io::Result<()> {
    for Backwards { index, seconds } in backwards.iter().take(FINDINGS_SHOWN) {
        screen.say(
            &format!("Time goes back by {seconds} seconds at entry {index}: the clock was set back, or had been ahead."),
            &format!("第 {index} 条处时间倒退 {seconds} 秒：系统时钟曾被回调，或此前偏快。"),
        )?;
    }
    let more = backwards.len().saturating_sub(FINDINGS_SHOWN);
    if more > 0 {
        screen.say(&format!("Time goes back {more} more times."), &format!("另有 {more} 处时间倒退。"))?;
    }
    Ok(())
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
            "the kept checkpoint is not signed by the log's key, or a cosignature on it does not match"
                .to_owned(),
            "留存的检查点不是由日志密钥签名，或其会签不匹配".to_owned(),
        ),
        Finding::Cosigned => (
            "the cosigned checkpoint beside the log does not verify".to_owned(),
            "日志旁的会签检查点校验失败".to_owned(),
        ),
        Finding::CosignedMissing { size } => (
            format!("the log says that a cosigned checkpoint of {size} entries was kept; it is gone"),
            format!("日志记载曾留存覆盖 {size} 条的会签检查点，现已缺失"),
        ),
        Finding::NotWitnessed => (
            "no checkpoint at hand was cosigned by one of the witnesses".to_owned(),
            "现有检查点均无所列见证方的会签".to_owned(),
        ),
        Finding::Story { job, problem } => {
            (format!("{job}: {problem}"), format!("{job}：日志中该任务的经历不可能发生（{problem}）"))
        }
        Finding::Unwrap(finding) => unwrap_words(finding),
    }
}

fn unwrap_words(finding: &UnwrapFinding) -> (String, String) {
    match finding {
        UnwrapFinding::Unreadable { line } => (
            format!("line {line} of the journal of keys cannot be read"),
            format!("密钥流水第 {line} 行无法读取"),
        ),
        UnwrapFinding::Chain { line } => (
            format!("line {line} of the journal of keys does not follow the line before it"),
            format!("密钥流水第 {line} 行与前一行不衔接"),
        ),
        UnwrapFinding::Undecided { line, account } => (
            format!(
                "keys were unwrapped for `{account}`, and no decision in the log allows it (line {line})"
            ),
            format!("`{account}` 解开了密钥，而日志中没有相应决定（第 {line} 行）"),
        ),
        UnwrapFinding::Repeated { line, account } => (
            format!("keys were unwrapped for `{account}` once more than the log allows (line {line})"),
            format!("为 `{account}` 解开密钥的次数多于日志所允许（第 {line} 行）"),
        ),
        UnwrapFinding::NotGranted { line, account, key } => (
            format!(
                "the key of `{key}` was unwrapped for `{account}`, to which it was not granted (line {line})"
            ),
            format!("`{account}` 解开了未授予的密钥 `{key}`（第 {line} 行）"),
        ),
        UnwrapFinding::Missing { job } => (
            format!("the journal of keys lacks the line that the log names for `{job}`"),
            format!("密钥流水缺少日志所记 `{job}` 的行"),
        ),
        UnwrapFinding::CutOff { entry } => (
            format!(
                "the journal of keys lacks a line, or has it in another place, that entry {entry} of the log names: lines were cut off"
            ),
            format!("密钥流水缺少日志第 {entry} 条所记的行，或其位置不符：有行被截去"),
        ),
        UnwrapFinding::Count { job, logged, journalled } => (
            format!("for `{job}` the log knows of {logged} unwrapped key(s), the journal of {journalled}"),
            format!("`{job}`：日志记载解开密钥 {logged} 个，流水为 {journalled} 个"),
        ),
        UnwrapFinding::Unadmitted { job } => (
            format!("`{job}` ran, and no decision in the log admits it"),
            format!("`{job}` 已运行，而日志中没有准许它的决定"),
        ),
    }
}

/// Names the checkpoints that the log was compared with; a log alone cannot tell that its end was cut off.
fn show_anchors(screen: &mut Screen<'_>, anchors: &[Anchor]) -> std::io::Result<()> {
    for Anchor { size, place, cosignatures } in anchors {
        let who = cosignatures.iter().map(|it| {
            let time = i64::try_from(it.time).ok().and_then(|time| Timestamp::from_second(time).ok());
            format!("{} ({})", it.witness, time.map(|time| time.to_string()).unwrap_or_default())
        });
        let who = who.collect::<Vec<_>>().join(", ");
        let (by, by_zh) = if who.is_empty() {
            (", whose cosignatures were not verified".to_owned(), "（会签未校验）".to_owned())
        } else {
            (format!(", cosigned by {who}"), format!("，会签方：{who}"))
        };
        match place {
            Place::Elsewhere if cosignatures.is_empty() => screen.say(
                &format!("It continues the checkpoint of {size} entries that was kept elsewhere."),
                &format!("日志延续了另处留存的覆盖 {size} 条的检查点。"),
            )?,
            Place::Elsewhere => screen.say(
                &format!("It continues the checkpoint of {size} entries that was kept elsewhere{by}."),
                &format!("日志延续了另处留存的覆盖 {size} 条的检查点{by_zh}。"),
            )?,
            Place::Beside => screen.say(
                &format!("It continues the checkpoint of {size} entries beside it{by}. Whoever cuts the log could remove that copy: keep one elsewhere too."),
                &format!("日志延续了旁边留存的覆盖 {size} 条的检查点{by_zh}。能截短日志者亦能删除该副本，请另处留存。"),
            )?,
        }
    }
    if anchors.is_empty() {
        screen.prose(
            "Nothing here tells whether entries were cut off at the end: compare with a checkpoint that was kept elsewhere (--checkpoint), or have witnesses cosign.",
            "此处无从判断日志末尾是否被截短：请与另处留存的检查点比较（--checkpoint），或请见证方会签。",
        )?;
    }
    Ok(())
}
