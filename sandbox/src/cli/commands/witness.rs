//! `audit checkpoint`, `audit cosign`, `audit witness`, `audit witness-key`: checkpoints on their way to witnesses and back.

use std::path::Path;

use crate::app::log::cosign::Handed;
use crate::app::log::cosign::hand_out;
use crate::app::log::cosign::keep_cosigned;
use crate::app::log::verify_audit::LogCopy;
use crate::app::log::witness::Witness;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;

pub(super) fn checkpoint(session: &mut Session<'_>, log: &LogCopy, handed: Handed) -> Result<Exit, Ending> {
    let text = hand_out(log, handed)?;
    session.screen.data(text.as_bytes())?;
    Ok(Exit::Done)
}

pub(super) async fn cosign(session: &mut Session<'_>, text: &str) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    let kept = keep_cosigned(&installation, &caller, text).await?;
    let who = kept.cosignatures.iter().map(|it| it.witness.as_str()).collect::<Vec<_>>().join(", ");
    let size = kept.size;
    session.screen.say(
        &format!("The checkpoint of {size} entries is kept, cosigned by {who}. Keep a copy elsewhere too."),
        &format!("已留存覆盖 {size} 条的检查点，会签方：{who}。请另处再留存一份。"),
    )?;
    Ok(Exit::Done)
}

pub(super) fn witness(
    session: &mut Session<'_>,
    request: &str,
    log_key: &Path,
    folder: &Path,
) -> Result<Exit, Ending> {
    let now = session.clock.now();
    let text = Witness::in_folder(folder).cosign(log_key, request, now)?;
    session.screen.data(text.as_bytes())?;
    session.screen.say(
        "Cosigned. The log's auditor takes it with `obscura audit cosign`.",
        "已会签。由日志方审计人员用 `obscura audit cosign` 收存。",
    )?;
    Ok(Exit::Done)
}

pub(super) fn make_key(session: &mut Session<'_>, name: &str, folder: &Path) -> Result<Exit, Ending> {
    let key = Witness::in_folder(folder).make_key(name)?;
    session.screen.data(key.as_bytes())?;
    session.screen.say(
        "This is the witness's public key; the log's operator adds it to the file that `witness_keys_file` names.",
        "这是见证方公钥；由日志方运维人员加入 `witness_keys_file` 所指文件。",
    )?;
    Ok(Exit::Done)
}
