//! Use case: check an installation. It needs no token, opens no data, changes nothing.
//! Each check is one sentence; a check that fails says what to do.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use obscura_crypto::kms::LocalKeyring;
use obscura_policies::Text;

use crate::app::data::key_generation::foreign_key;
use crate::app::log::verify_audit::LogAgainst;
use crate::app::log::verify_audit::LogCopy;
use crate::app::log::verify_audit::reconcile;
use crate::app::log::verify_audit::verify_log;
use crate::audit::verify::Backwards;
use crate::catalog::Catalog;
use crate::catalog::Missing;
use crate::clock::SystemClock;
use crate::clock::SystemRandom;
use crate::config::KeyringSecret;
use crate::config::Settings;
use crate::config::identity::OidcSettings;
use crate::error::AppError;
use crate::error::operator_log::OperatorLog;
use crate::identity::IdentityProvider;
use crate::installation::AUDIT_KEY_FOREIGN;
use crate::installation::Installation;
use crate::installation::Layout;
use crate::installation::keyring_secret;
use crate::installation::room::Room;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Passed,
    /// Works, but the operator should look.
    Warning,
    /// Broken.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The outcome.
    pub health: Health,
    /// The finding, in a sentence.
    pub finding: Text,
}

/// Runs every check.
pub async fn diagnose(settings: &Settings) -> Vec<Check> {
    let layout = Layout::of(&settings.data_dir);
    let mut checks = vec![settings_check(settings)];
    if !layout.database().exists() {
        let root = layout.root().display();
        checks.push(Check::failed(
            format!("there is no installation in {root}; `obscura init` makes one"),
            format!("{root} 中没有安装，可用 `obscura init` 新建"),
        ));
        return checks;
    }
    checks.push(folder_check(layout.root()));
    checks.push(room_check(&layout));
    checks.push(keyring_check(&layout, &settings.keyring));
    checks.extend(generation_check(settings).await);
    checks.push(database_check(&layout.database()).await);
    checks.extend(log_checks(&layout).await);
    checks.push(core_dump_check());
    if let Some(oidc) = &settings.oidc {
        checks.push(provider_check(oidc, OperatorLog::in_folder(&layout.log())).await);
    }
    checks
}

impl Check {
    fn passed(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { health: Health::Passed, finding: Text::new(en, zh) }
    }

    fn warning(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { health: Health::Warning, finding: Text::new(en, zh) }
    }

    fn failed(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { health: Health::Failed, finding: Text::new(en, zh) }
    }
}

fn settings_check(settings: &Settings) -> Check {
    let threads = settings.limits.threads;
    let megabytes = settings.limits.memory_bytes_max >> 20;
    Check::passed(
        format!("settings are in order: {threads} threads and {megabytes} MB for a query"),
        format!("设置无误：每个查询 {threads} 线程、{megabytes} MB 内存"),
    )
}

fn folder_check(root: &Path) -> Check {
    match fs::metadata(root).map(|metadata| metadata.permissions().mode() & 0o077) {
        Ok(0) => Check::passed("the data directory is closed to other users", "数据目录对其他用户不可见"),
        Ok(_) => Check::warning(
            format!("other users may look into {}; run `chmod 700` on it", root.display()),
            format!("其他用户可访问 {}，请执行 `chmod 700`", root.display()),
        ),
        Err(_) => Check::failed("the data directory cannot be looked at", "无法查看数据目录"),
    }
}

fn room_check(layout: &Layout) -> Check {
    match Room::in_folder(&layout.log()).look() {
        Ok(()) => Check::passed("there is room on the disk", "磁盘有可用空间"),
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Check::failed(
                "the disk is full: nothing can be asked or sealed until there is room",
                "磁盘已满：清理空间之前无法查询或封存",
            )
        }
        Err(error) => Check::failed(
            format!("nothing can be written into the data directory ({})", error.kind()),
            "数据目录无法写入",
        ),
    }
}

fn keyring_check(layout: &Layout, secret: &KeyringSecret) -> Check {
    let beside = match secret {
        KeyringSecret::KeyFile(path) | KeyringSecret::PassphraseFile(path) => path.starts_with(layout.root()),
    };
    let opened =
        keyring_secret(secret).is_ok_and(|secret| LocalKeyring::open(&layout.keyring(), &secret).is_ok());
    if !layout.keyring().exists() {
        return Check::failed(
            "the keyring is gone; put it back from the backup that belongs to this data",
            "密钥环缺失，请从与数据相配的备份中恢复",
        );
    }
    match (opened, beside) {
        (false, _) => Check::failed(
            "the keyring does not open; check `keyring_key_file` or `keyring_passphrase_file`",
            "密钥环无法打开，请检查 `keyring_key_file` 或 `keyring_passphrase_file`",
        ),
        (true, true) => Check::warning(
            "what opens the keyring lies in the data directory, so every copy of it can be opened",
            "打开密钥环的文件位于数据目录内，目录的任何副本都可被打开",
        ),
        (true, false) => Check::passed("the keyring opens", "密钥环可正常打开"),
    }
}

/// Checks that the keyring opens the sealed data. It opens no data; other faults are told by other checks.
async fn generation_check(settings: &Settings) -> Option<Check> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let installation = match Installation::open(settings.clone(), clock, random).await {
        Ok(installation) => installation,
        Err(AppError::Public(error)) if error.code() == AUDIT_KEY_FOREIGN => {
            return Some(Check::failed(
                "the keyring is that of another installation; put back the one that belongs to this data",
                "密钥环属于另一个安装，请恢复与数据相配的密钥环",
            ));
        }
        Err(_) => return None,
    };
    let found = foreign_key(&installation).await;
    installation.close().await;
    Some(match found {
        Ok(None) => Check::passed(
            "the keyring is of the same generation as what is sealed",
            "密钥环与已封存的数据属于同一代",
        ),
        Ok(Some(foreign)) => {
            let Text { en, zh } = foreign.message();
            Check::failed(
                format!("{en}; put back the keyring that belongs to this data"),
                format!("{zh}；请恢复与数据相配的密钥环"),
            )
        }
        Err(_) => Check::failed(
            "the keyring cannot be compared with what is sealed",
            "无法比对密钥环与已封存的数据",
        ),
    })
}

/// Checks that the identity provider answers, and with keys that we can use.
async fn provider_check(oidc: &OidcSettings, log: OperatorLog) -> Check {
    let provider = match IdentityProvider::new(oidc, Arc::new(SystemClock), log) {
        Ok(provider) => provider,
        Err(error) => {
            let message = error.public().message().clone();
            return Check::failed(message.en, message.zh);
        }
    };
    match provider.look().await {
        Ok(0) => Check::warning(
            "the identity provider publishes no key that we honour",
            "身份提供方没有发布可用的密钥",
        ),
        Ok(keys) => Check::passed(
            format!("the identity provider answers: {keys} keys"),
            format!("身份提供方应答正常：{keys} 个密钥"),
        ),
        Err(_) => Check::failed(
            "the identity provider does not answer as it should; the operator's log says how",
            "身份提供方应答异常，详情见运维日志",
        ),
    }
}

async fn database_check(path: &Path) -> Check {
    let is_intact = match Catalog::open(path, Missing::Fail).await {
        Ok(catalog) => {
            let is_intact = catalog.is_intact().await.unwrap_or(false);
            catalog.close().await;
            is_intact
        }
        Err(_) => false,
    };
    if is_intact {
        Check::passed("the metadata database is intact", "元数据库完好")
    } else {
        Check::failed(
            "the metadata database is damaged; restore it from a backup",
            "元数据库已损坏，请从备份恢复",
        )
    }
}

async fn log_checks(layout: &Layout) -> Vec<Check> {
    let against = LogAgainst { journal: Some(layout.unwraps()), ..LogAgainst::default() };
    let Ok(verification) = verify_log(&LogCopy::of(layout), &against) else {
        return vec![Check::failed("the audit log cannot be read", "无法读取审计日志")];
    };
    if !verification.findings.is_empty() {
        return vec![Check::failed(
            "the audit log does not verify; `obscura audit verify` says where",
            "审计日志校验失败，可用 `obscura audit verify` 查看位置",
        )];
    }
    let size = verification.size;
    let clock = verification.backwards.iter().max_by_key(|back| back.seconds).map(|back| {
        let Backwards { index, seconds } = back;
        Check::warning(
            format!(
                "time goes back in the audit log, by {seconds} seconds at entry {index}; look after the clock"
            ),
            format!("审计日志中的时间倒退：第 {index} 条处倒退 {seconds} 秒，请检查系统时钟"),
        )
    });
    let log = Check::passed(
        format!("the audit log verifies: {size} entries"),
        format!("审计日志校验通过：{size} 条"),
    );
    let agreement = match reconcile(layout, &verification).await {
        Ok(found) if found.is_empty() => Check::passed("database and log agree", "数据库与审计日志一致"),
        Ok(_) => Check::failed(
            "database and log disagree; `obscura audit verify` says where",
            "数据库与审计日志不一致，可用 `obscura audit verify` 查看",
        ),
        Err(_) => Check::failed("the database cannot be compared with the log", "无法比对数据库与审计日志"),
    };
    [log, agreement].into_iter().chain(clock).collect()
}

/// A core dump would put keys and rows on disk.
fn core_dump_check() -> Check {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find(|line| line.starts_with("Max core file size"));
    match soft.and_then(|line| line.split_whitespace().nth(4)) {
        Some("0") => Check::passed("core dumps are off", "核心转储已关闭"),
        _ => Check::warning(
            "core dumps are not known to be off; run with `ulimit -c 0`",
            "无法确认核心转储已关闭，请使用 `ulimit -c 0` 运行",
        ),
    }
}
