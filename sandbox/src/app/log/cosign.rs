//! Use cases: hand out the log's newest checkpoint for witnesses, and keep what they have cosigned. A cosigned
//! checkpoint is kept only when it is ours, of our log as it is, and newer than the one before.

use jiff::SignedDuration;
use jiff::Timestamp;
use obscura_crypto::add_checkpoint::AddCheckpoint;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::cosignature::Cosignature;
use obscura_crypto::cosignature::Witnesses;
use obscura_policies::vocabulary::PersonRole;
use serde_json::json;

use crate::app::log::verify_audit::LogCopy;
use crate::app::log::verify_audit::log_failure;
use crate::app::log::verify_audit::never_of_this_size;
use crate::app::log::witness_keys::read_witnesses;
use crate::app::people::authorise::must_be;
use crate::audit::cosigned;
use crate::audit::cosigned::Cosigned;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::reader::LogReader;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::Installation;
use crate::installation::records::Note;

/// The most that a witness's clock may differ from ours.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_mins(5);

/// A cosigned checkpoint that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// The number of entries that it covers.
    pub size: u64,
    /// Its cosignatures, each with witness and time.
    pub cosignatures: Vec<Cosignature>,
}

/// A checkpoint to hand out for witnesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// The newest checkpoint alone, to keep or to show to a witness that has seen none.
    Newest,
    /// The newest checkpoint with the proof that it continues the one of this size (C2SP tlog-witness).
    Since(u64),
    /// The newest checkpoint that was cosigned and kept.
    Cosigned,
}

/// Hands out a checkpoint of a log. It needs no token, because it tells sizes and hashes only.
///
/// # Errors
/// Usage when the log was never of that size; not found when none was cosigned.
pub fn hand_out(log: &LogCopy, handed: Handed) -> Result<String, AppError> {
    let reader = log.reader()?;
    match handed {
        Handed::Newest => Ok(reader.checkpoint().map_err(log_failure)?.note.to_string()),
        Handed::Since(0) => {
            let checkpoint = reader.checkpoint().map_err(log_failure)?.note;
            Ok(AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint }.to_string())
        }
        Handed::Since(old_size) => {
            let found = reader.consistency(old_size).map_err(log_failure)?;
            let (proof, newest) = found.ok_or_else(never_of_this_size)?;
            Ok(AddCheckpoint { old_size, proof, checkpoint: newest.note }.to_string())
        }
        Handed::Cosigned => kept_text(&reader),
    }
}

/// The newest cosigned checkpoint, as it is kept.
///
/// # Errors
/// Not found when there is none.
pub fn cosigned_checkpoint(installation: &Installation) -> Result<String, AppError> {
    kept_text(installation.audit.reader())
}

fn kept_text(reader: &LogReader) -> Result<String, AppError> {
    let kept = cosigned::read_kept(reader).map_err(log_failure)?;
    let kept = kept.ok_or_else(|| {
        PublicError::new(
            Class::NotFound,
            "checkpoint-not-cosigned",
            "no checkpoint of this log was cosigned yet",
            "本日志尚无经见证方会签的检查点",
        )
    })?;
    // A file that was put into its place is not handed out as ours.
    reader.verify_checkpoint(&kept).map_err(log_failure)?;
    Ok(kept)
}

/// Keeps a checkpoint that witnesses have cosigned, and says so in the log.
///
/// # Errors
/// Forbidden for all but auditors; conflict when no witnesses are named in the settings, or a newer one is kept;
/// verification failed when it is not ours, not of our log, or not cosigned by a witness that is believed.
pub async fn keep_cosigned(
    installation: &Installation,
    caller: &Caller,
    text: &str,
) -> Result<KeptCheckpoint, AppError> {
    must_be(caller, PersonRole::Auditor)?;
    let file = installation.settings().witness_keys_file.as_deref().ok_or_else(no_witnesses)?;
    let witnesses = read_witnesses(file)?;
    let _alone = installation.change().await?;
    let reader = installation.audit.reader();
    let (note, kept, is_new) = installation.blocking(|| {
        let offered = verified(reader, &witnesses, text)?;
        must_be_of_our_log(installation, &offered)?;
        newer_than_kept(reader, &witnesses, &offered)
    })?;
    if !is_new.0 {
        return Ok(kept);
    }
    // The file first: an entry without it would be a finding, a file without its entry is a checkpoint like any other.
    installation.blocking(|| cosigned::keep(reader, &note)).during("keep a cosigned checkpoint")?;
    let witnesses = kept.cosignatures.iter();
    let witnesses = witnesses.map(|it| json!({ "name": it.witness, "time": it.time })).collect::<Vec<_>>();
    let event = Note::new(Action::CheckpointCosigned, ActorName::of(caller))
        .with("size", kept.size)
        .with("checkpoint_sha256", obscura_crypto::sha256_hex(note.as_bytes()))
        .with("witnesses", witnesses);
    installation.append_one(event).await?;
    Ok(kept)
}

/// True if the offered checkpoint has more entries, or more cosignatures, than the one that is kept.
struct IsNew(bool);

fn verified(reader: &LogReader, witnesses: &Witnesses, text: &str) -> Result<Cosigned, AppError> {
    let offered = Cosigned::verify(reader, Some(witnesses), text).map_err(|_| {
        not_kept(
            "checkpoint-not-verified",
            "it is no checkpoint that this log signed, or a cosignature on it does not match",
            "不是本日志签名的检查点，或其上的会签不匹配",
        )
    })?;
    if offered.cosignatures.is_empty() {
        return Err(not_kept(
            "checkpoint-not-witnessed",
            "no witness that the settings name has cosigned it",
            "没有设置中列出的见证方会签",
        ));
    }
    Ok(offered)
}

/// The log as it is must continue what was cosigned, and the witnesses must have seen it after it was written.
fn must_be_of_our_log(installation: &Installation, offered: &Cosigned) -> Result<(), AppError> {
    let checkpoint = &offered.signed.checkpoint;
    let audit = &installation.audit;
    if audit.reader().continues(checkpoint).map_err(log_failure)?.is_err() {
        return Err(not_kept(
            "checkpoint-of-another-log",
            "the log as it is does not continue this checkpoint: it was shortened or rewritten",
            "当前日志不是该检查点的延续：日志被截短或改写",
        ));
    }
    let newest = audit.event(checkpoint.size().saturating_sub(1)).map_err(log_failure)?;
    let outside = |time: &u64| {
        let time = i64::try_from(*time).ok().and_then(|time| Timestamp::from_second(time).ok());
        time.is_none_or(|time| {
            time.duration_since(installation.now()) > CLOCKS_APART_MAX
                || newest.time.duration_since(time) > CLOCKS_APART_MAX
        })
    };
    if offered.cosignatures.iter().any(|cosignature| outside(&cosignature.time)) {
        return Err(not_kept(
            "cosignature-time-wrong",
            "a cosignature is from the future, or older than the entries that it covers",
            "会签时间在未来，或早于其覆盖的日志条目",
        ));
    }
    Ok(())
}

/// Compares with the checkpoint that is kept; the cosignatures of two of the same size are put together.
fn newer_than_kept(
    reader: &LogReader,
    witnesses: &Witnesses,
    offered: &Cosigned,
) -> Result<(String, KeptCheckpoint, IsNew), AppError> {
    let kept = cosigned::read_kept(reader).map_err(log_failure)?;
    let kept = kept.map(|text| Cosigned::verify(reader, Some(witnesses), &text)).transpose();
    let kept = kept.map_err(|_| {
        not_kept(
            "cosigned-checkpoint-damaged",
            "the one that is kept does not verify; look at it with `obscura audit verify` before it is replaced",
            "现存的会签检查点校验失败；请先用 `obscura audit verify` 查明原因",
        )
    })?;
    let (size, log) = (offered.signed.checkpoint.size(), reader.verifier());
    let other = match &kept {
        Some(kept) if kept.signed.checkpoint.size() > size => return Err(not_newer(&kept.signed.checkpoint)),
        Some(kept) if kept.signed.checkpoint.size() == size => kept,
        _ => offered,
    };
    let note = witnesses.gather(log, &offered.signed.note, &other.signed.note);
    let note = note.map_err(|_| not_newer(&other.signed.checkpoint))?;
    let cosignatures = witnesses.cosignatures(&note).during("verify cosignatures")?;
    let is_new = kept.as_ref().is_none_or(|kept| {
        kept.signed.checkpoint.size() < size || kept.cosignatures.len() < cosignatures.len()
    });
    Ok((note.to_string(), KeptCheckpoint { size, cosignatures }, IsNew(is_new)))
}

fn no_witnesses() -> AppError {
    PublicError::new(
        Class::Conflict,
        "witnesses-not-set",
        "this installation knows no witnesses",
        "本安装未设置见证方",
    )
    .with_help(
        "name a file with their keys: `witness_keys_file`",
        "请用 `witness_keys_file` 指定见证方公钥文件",
    )
    .into()
}

fn not_newer(kept: &Checkpoint) -> AppError {
    PublicError::new(
        Class::Conflict,
        "checkpoint-not-newer",
        format!("a cosigned checkpoint of {} entries is kept already", kept.size()),
        format!("已留存覆盖 {} 条的会签检查点", kept.size()),
    )
    .into()
}

fn not_kept(code: &'static str, en: &str, zh: &str) -> AppError {
    PublicError::new(Class::VerificationFailed, code, en, zh).into()
}
