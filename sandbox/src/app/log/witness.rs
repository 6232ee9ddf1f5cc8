//! Use cases of a witness: another department's machine that cosigns a log's checkpoints and remembers the last one.
//! It cosigns only what continues what it has seen, and writes down what it has seen before it gives out the cosignature.

use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use obscura_crypto::add_checkpoint::AddCheckpoint;
use obscura_crypto::checkpoint::Checkpoint;
use obscura_crypto::cosignature::Cosigner;
use obscura_crypto::cosignature::WitnessKey;
use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::KeyManagement as _;
use obscura_crypto::kms::KeyringError;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_crypto::note::SignedNote;
use obscura_crypto::sha256_hex;
use obscura_crypto::sign::Verifier;

use crate::app::log::verify_audit::read_key;
use crate::audit::files;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::InternalError;
use crate::error::PublicError;

const KEY_FILE: &str = "witness.key";
const KEYRING: &str = "witness.keyring";
const PUBLIC_KEY: &str = "witness.pub";
const LOCK: &str = ".lock";

/// A witness's folder: its key, and what it has seen of each log.
#[derive(Debug, Clone)]
pub struct Witness {
    folder: PathBuf,
}

impl Witness {
    /// Takes a folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Makes the key of a new witness and gives the public half, for the settings of the log's installation.
    ///
    /// # Errors
    /// Usage when the name cannot be that of a key; conflict when there is a witness in the folder already.
    pub fn make_key(&self, name: &str) -> Result<String, AppError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder).during("make the witness's folder")?;
        let taken = |error: KeyringError| match error {
            KeyringError::Exists { .. } => AppError::from(PublicError::new(
                Class::Conflict,
                "witness-exists",
                format!("there is a witness in `{}` already", self.folder.display()),
                format!("`{}` 中已有见证方密钥", self.folder.display()),
            )),
            other => InternalError::new("make a witness's key", &other).into(),
        };
        // A name that no key can have is found before anything is written.
        let unusable = |_| {
            PublicError::new(
                Class::Usage,
                "witness-name-unusable",
                "a witness's name has 1 to 128 bytes, no spaces and no `+`",
                "见证方名称须为 1 至 128 字节，且不含空格与 `+`",
            )
        };
        obscura_crypto::sign::Signer::generate(name).map_err(unusable)?;
        let secret = Secret::KeyFile(KeyFile::create(&self.folder.join(KEY_FILE)).map_err(taken)?);
        let keyring = LocalKeyring::create(&self.folder.join(KEYRING), &secret).map_err(taken)?;
        let cosigner = Cosigner::new(keyring.signer(name).during("make a witness's key")?);
        let text = format!("{}\n", cosigner.key());
        files::replace(&self.folder.join(PUBLIC_KEY), text.as_bytes()).during("write a witness's key")?;
        Ok(text)
    }

    /// Cosigns a checkpoint and gives it back with the cosignature on it.
    ///
    /// `request` is a checkpoint of a log that was never seen, or a request of C2SP tlog-witness with the proof that the
    /// checkpoint continues the one that was seen.
    ///
    /// # Errors
    /// Verification failed when the log did not sign it, or it does not continue what was seen; conflict when the proof
    /// begins at another size than the one that was seen.
    pub fn cosign(&self, log_key: &Path, request: &str, now: Timestamp) -> Result<String, AppError> {
        let log = read_key(log_key)?;
        let cosigner = self.cosigner()?;
        let lock = File::options().create(true).truncate(false).write(true).open(self.folder.join(LOCK));
        let lock = lock.during("open the witness's lock")?;
        lock.lock().during("take the witness's lock")?;
        let seen = self.seen(&log, cosigner.key())?;
        let request = read_request(request, seen.as_ref())?;
        let new = Checkpoint::verify(&request.checkpoint, &log, log.name()).map_err(|_| {
            refused(
                "checkpoint-not-verified",
                "it is no checkpoint that this log signed",
                "不是该日志签名的检查点",
            )
        })?;
        must_continue(&request, &new, seen.as_ref())?;
        let time = u64::try_from(now.as_second()).during("tell the time")?;
        let cosigned = cosigner.cosign(&request.checkpoint, &log, time).during("cosign a checkpoint")?;
        let text = cosigned.to_string();
        files::replace(&self.memory_of(&log), text.as_bytes()).during("remember a checkpoint")?;
        Ok(text)
    }

    fn cosigner(&self) -> Result<Cosigner, AppError> {
        let missing = || {
            AppError::from(
                PublicError::new(
                    Class::Usage,
                    "witness-missing",
                    format!("there is no witness in `{}`", self.folder.display()),
                    format!("`{}` 中没有见证方密钥", self.folder.display()),
                )
                .with_help("`obscura audit witness-key` makes one", "用 `obscura audit witness-key` 生成"),
            )
        };
        let text = fs::read_to_string(self.folder.join(PUBLIC_KEY)).map_err(|_| missing())?;
        let key: WitnessKey = text.trim_end().parse().map_err(|_| missing())?;
        let secret = Secret::key_file(&self.folder.join(KEY_FILE)).map_err(|_| missing())?;
        let keyring = LocalKeyring::open(&self.folder.join(KEYRING), &secret).map_err(|_| missing())?;
        let cosigner = Cosigner::new(keyring.signer(key.name()).during("take a witness's key")?);
        // A name that the keyring has no key for would make a new one, under which no log knows this witness.
        if *cosigner.key() == key { Ok(cosigner) } else { Err(missing()) }
    }

    /// The last checkpoint of a log that was cosigned here. A memory that does not verify is no memory: nothing is
    /// cosigned on it.
    fn seen(&self, log: &Verifier, key: &WitnessKey) -> Result<Option<Checkpoint>, AppError> {
        let text = match fs::read_to_string(self.memory_of(log)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).during("read a witness's memory"),
        };
        let damaged = || {
            refused(
                "witness-memory-damaged",
                "what this witness has seen was altered",
                "见证方的留存记录被改动",
            )
        };
        let note: SignedNote = text.parse().map_err(|_| damaged())?;
        let is_ours = key.time_of(&note).map_err(|_| damaged())?.is_some();
        let checkpoint = Checkpoint::verify(&note, log, log.name()).map_err(|_| damaged())?;
        if is_ours { Ok(Some(checkpoint)) } else { Err(damaged()) }
    }

    /// One file for each log; a log's name may hold anything, so its hash names the file.
    fn memory_of(&self, log: &Verifier) -> PathBuf {
        let mut name = String::from("seen-");
        let digits = sha256_hex(log.to_string().as_bytes());
        digits.chars().take(32).for_each(|digit| _ = name.write_char(digit));
        self.folder.join(name)
    }
}

fn read_request(text: &str, seen: Option<&Checkpoint>) -> Result<AddCheckpoint, AppError> {
    if let Ok(request) = text.parse::<AddCheckpoint>() {
        return Ok(request);
    }
    let checkpoint: SignedNote = text.parse().map_err(|_| {
        AppError::from(PublicError::new(
            Class::Usage,
            "request-malformed",
            "it is neither a checkpoint nor a request to cosign one",
            "既不是检查点，也不是会签请求",
        ))
    })?;
    // A checkpoint that is shown again, or is the first one seen, needs no proof; for any other the proof is missing.
    let is_same = |seen: &&Checkpoint| {
        checkpoint.to_string().starts_with(&format!(
            "{}\n{}\n{}\n",
            seen.origin(),
            seen.size(),
            seen.root().to_base64()
        ))
    };
    let old_size = seen.filter(is_same).map_or(0, Checkpoint::size);
    Ok(AddCheckpoint { old_size, proof: Vec::new(), checkpoint })
}

fn must_continue(
    request: &AddCheckpoint,
    new: &Checkpoint,
    seen: Option<&Checkpoint>,
) -> Result<(), AppError> {
    let size = seen.map_or(0, Checkpoint::size);
    if new.size() == 0 {
        return Err(refused(
            "checkpoint-empty",
            "an empty log has nothing to witness",
            "空日志无可见证的内容",
        ));
    }
    if new.size() < size {
        return Err(refused(
            "log-shortened",
            &format!("this witness has seen {size} entries of this log, which now shows {}", new.size()),
            &format!("见证方已见过该日志的 {size} 条，而现在只有 {} 条", new.size()),
        ));
    }
    if request.old_size != size {
        return Err(PublicError::new(
            Class::Conflict,
            "witness-saw-another-size",
            format!("this witness has last seen {size} entries of this log"),
            format!("见证方上次所见为 {size} 条"),
        )
        .with_help(
            format!("bring the proof: `obscura audit checkpoint --since {size}`"),
            format!("请附上证明：`obscura audit checkpoint --since {size}`"),
        )
        .into());
    }
    request.verify_continues(new, seen).map_err(|_| {
        refused(
            "log-rewritten",
            "the checkpoint does not continue what this witness has seen",
            "该检查点不是见证方所见日志的延续",
        )
    })
}

fn refused(code: &'static str, en: &str, zh: &str) -> AppError {
    PublicError::new(Class::VerificationFailed, code, en, zh).into()
}
