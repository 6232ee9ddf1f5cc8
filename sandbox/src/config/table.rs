//! The settings, a row each: its name and form in a file, its default, and the values that are accepted.
//! Files, variables, checks and `obscura config check` all go by these rows.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;

use obscura_policies::Text;
use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;

/// Fewest megabytes of a job, and fewest seconds: the 100,000 rows that one subject's rows can become in any operator, at 64
/// bytes each, lie a hundred times below nine tenths of it, so that no subject alone decides whether a job meets its limit.
pub(super) const MEMORY_MB_MIN: u64 = 700;
/// As many rows a hundred times over are processed in nine tenths of it by a slow machine.
pub(super) const TIMEOUT_SECONDS_MIN: u64 = 10;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Its name in files and, in capitals behind a prefix, in the environment.
    pub(super) name: &'static str,
    rule: Rule,
}

/// The values that a setting accepts, and who may say them.
#[derive(Debug, Clone, Copy)]
struct Rule {
    accepted: Accepted,
    is_secret: bool,
    is_from_folder: bool,
}

#[derive(Debug, Clone, Copy)]
enum Accepted {
    /// A number of so many at least and at most, of what it counts in English and Chinese.
    Between(u64, u64, [&'static str; 2]),
    /// Described in English and Chinese; the reader of the value knows if it fits.
    Said([&'static str; 2]),
}

const PATH: Rule = said("the path of a file or a folder", "须为文件或目录的路径");

const fn between(least: u64, most: u64, counted: &'static str, counted_zh: &'static str) -> Rule {
    rule(Accepted::Between(least, most, [counted, counted_zh]))
}

const fn said(en: &'static str, zh: &'static str) -> Rule {
    rule(Accepted::Said([en, zh]))
}

const fn rule(accepted: Accepted) -> Rule {
    Rule { accepted, is_secret: false, is_from_folder: true }
}

impl Rule {
    /// It names a file whose contents are never shown.
    const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// It says where a token goes, whose certificate is believed there, or which token: a folder that somebody else made
    /// must not say that.
    const fn not_from_folder(self) -> Self {
        Self { is_from_folder: false, ..self }
    }
}

macro_rules! settings {
    ($($name:ident: $type:ty = $default:expr, $rule:expr;)*) => {
        /// The form of `obscura.toml`. A format we keep: names are never reused with another meaning.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct SettingsFile {
            $(#[serde(skip_serializing_if = "is_unset")] pub(super) $name: $type,)*
        }

        impl SettingsFile {
            /// The default values.
            pub(super) fn defaults() -> Self {
                Self { $($name: $default,)* }
            }

            fn values(&self) -> impl Iterator<Item = &dyn SettingValue> {
                [$(&self.$name as &dyn SettingValue,)*].into_iter()
            }
        }

        impl Setting {
            $(pub(super) const fn $name() -> Self {
                Self { name: stringify!($name), rule: $rule }
            })*
        }

        /// All settings, in the order of the reference.
        pub(super) const SETTINGS: &[Setting] = &[$(Setting::$name(),)*];
    };
}

settings! {
    data_dir: PathBuf = PathBuf::from("./obscura-data"), PATH;
    token_file: Option<PathBuf> = None, PATH.not_from_folder();
    keyring_key_file: Option<PathBuf> = None,
        said("either a key file or a passphrase file, not both", "密钥文件与口令文件只能设置其一").secret();
    keyring_passphrase_file: Option<PathBuf> = None, PATH.secret();
    language: String = "en".to_owned(), said("`en` or `zh`", "须为 `en` 或 `zh`");
    time_zone: String = "Asia/Shanghai".to_owned(), said(
        "a name of the IANA time zone database, such as `Asia/Shanghai`",
        "须为 IANA 时区数据库中的名称，如 `Asia/Shanghai`",
    );
    memory_max_mb: u64 = 2048, between(MEMORY_MB_MIN, 1 << 20, "a number of megabytes", "兆字节数");
    timeout_seconds: u64 = 120, between(TIMEOUT_SECONDS_MIN, 86_400, "a number of seconds", "秒数");
    threads: u16 = processors(), between(1, 1024, "a number of threads", "线程数");
    completion_step_ms: u64 = 5, between(5, 60_000, "milliseconds", "毫秒数");
    result_rows_max: u64 = 100_000, between(1, 10_000_000, "a number of rows", "行数");
    result_max_mb: u64 = 64, between(1, 1024, "a number of megabytes", "兆字节数");
    waiting_max_mb: u64 = 256, between(1, 65_536, "a number of megabytes", "兆字节数");
    result_days: u32 = 365, between(1, 36_500, "a number of days", "天数");
    review_days: u32 = 14, between(1, 365, "a number of days", "天数");
    listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7200)),
        said("an address with a port, such as 127.0.0.1:7200", "须为带端口的地址，如 127.0.0.1:7200");
    listen_admin: Option<SocketAddr> = None,
        said("a loopback address, such as 127.0.0.1:7201", "须为本机回环地址，如 127.0.0.1:7201");
    connections_per_address_max: u16 = 128, between(1, 1024, "a number of connections", "连接数");
    public_url: Option<String> = None, said(
        "an address that begins with http:// or https://, such as `https://data.example.gov`",
        "须为以 http:// 或 https:// 开头的地址，如 `https://data.example.gov`",
    );
    tls_certificate_file: Option<PathBuf> = None, said(
        "a certificate together with its `tls_key_file`, and with both `tls_client_roots_file`",
        "证书须与 `tls_key_file` 一同设置；设置 `tls_client_roots_file` 时两者皆须设置",
    );
    tls_key_file: Option<PathBuf> = None, PATH.secret();
    tls_client_roots_file: Option<PathBuf> = None, PATH;
    server: Option<String> = None, said(
        "an address such as `https://obscura.example`, or `http://127.0.0.1:7200` on this machine",
        "须为形如 `https://obscura.example` 的地址，本机可用 `http://127.0.0.1:7200`",
    ).not_from_folder();
    server_roots_file: Option<PathBuf> = None, PATH.not_from_folder();
    oidc_issuer: Option<String> = None, said(
        "an issuer together with its `oidc_audience`, and with both `oidc_roots_file`",
        "签发方须与 `oidc_audience` 一同设置；设置 `oidc_roots_file` 时两者皆须设置",
    );
    oidc_audience: Option<String> = None,
        said("a name without spaces, at most 256 bytes", "须为不含空格的名称，最多 256 字节");
    oidc_roots_file: Option<PathBuf> = None, PATH;
    witness_keys_file: Option<PathBuf> = None, PATH;
}

fn processors() -> u16 {
    std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(u16::MAX))
}

impl Setting {
    /// The setting of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Says if its value is a number, also where it arrives as text.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.rule.accepted, Accepted::Between(..))
    }

    /// Says if the file of a folder that somebody else may have made can set it.
    pub(super) fn is_from_folder(&self) -> bool {
        self.rule.is_from_folder
    }

    /// The answer to a value that is not accepted, which says what would be.
    pub(super) fn refused(&self) -> ConfigError {
        let accepted = match self.rule.accepted {
            Accepted::Between(least, most, [counted, counted_zh]) => Text::new(
                format!("{counted} from {least} to {most}"),
                format!("须为 {least} 至 {most} 的{counted_zh}"),
            ),
            Accepted::Said([en, zh]) => Text::new(en, zh),
        };
        ConfigError::OutOfRange { key: self.name, accepted }
    }
}

impl SettingsFile {
    /// Checks every number against its bounds.
    pub(super) fn check_bounds(&self) -> Result<(), ConfigError> {
        for (setting, value) in SETTINGS.iter().zip(self.values()) {
            if let (Accepted::Between(least, most, _), Some(number)) = (setting.rule.accepted, value.number())
                && !(least..=most).contains(&number)
            {
                return Err(setting.refused());
            }
        }
        Ok(())
    }

    /// Every setting with its value as `obscura config check` shows it.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'static Setting, String)> {
        SETTINGS.iter().zip(self.values()).map(|(setting, value)| {
            let shown = match value.text() {
                Some(text) if setting.rule.is_secret => format!("{text} (contents hidden)"),
                Some(text) => text,
                None => "not set".to_owned(),
            };
            (setting, shown)
        })
    }
}

/// A value as settings have them.
trait SettingValue {
    /// The value as text; nothing when it is not set.
    fn text(&self) -> Option<String>;

    /// The value, where it is a number.
    fn number(&self) -> Option<u64> {
        None
    }
}

fn is_unset(value: &impl SettingValue) -> bool {
    value.text().is_none()
}

impl SettingValue for String {
    fn text(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl SettingValue for PathBuf {
    fn text(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

impl SettingValue for SocketAddr {
    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn text(&self) -> Option<String> {
        self.as_ref().and_then(SettingValue::text)
    }

    fn number(&self) -> Option<u64> {
        self.as_ref().and_then(SettingValue::number)
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {
        $(impl SettingValue for $type {
            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn number(&self) -> Option<u64> {
                Some(u64::from(*self))
            }
        })*
    };
}

numbers! { u16 u32 u64 }
