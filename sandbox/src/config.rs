//! Settings: flag over environment `OBSCURA_*` over `./obscura.toml` over `/etc/obscura/obscura.toml` over defaults.
//! The only place that reads the environment. Secrets are never settings: a setting names the file that holds one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use figment::Error as FigmentError;
use figment::Figment;
use figment::Metadata;
use figment::Profile;
use figment::Provider;
use figment::providers::Format as _;
use figment::providers::Serialized;
use figment::providers::Toml;
use figment::value::Dict;
use figment::value::Map;
use figment::value::Value;
use jiff::tz::TimeZone;
use obscura_policies::Text;
use thiserror::Error;

pub mod identity;
pub mod server;
mod table;

use identity::OidcSettings;
use server::Login;
use server::ServerAddress;
use table::SETTINGS;
use table::Setting;
use table::SettingsFile;

/// File of the machine's administrator.
pub const SYSTEM_FILE: &str = "/etc/obscura/obscura.toml";
/// File of the folder the command runs in.
pub const LOCAL_FILE: &str = "./obscura.toml";

const PREFIX: &str = "OBSCURA_";
/// Variables of the test suites that are no settings.
const NOT_SETTINGS: &[&str] = &["OBSCURA_REAL_DATA"];

/// The language a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

impl Language {
    /// The code used in settings and documents.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }
}

/// The share of the machine that a query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes the engine may hold.
    pub memory_bytes_max: u64,
    /// Longest run of one job.
    pub timeout: Duration,
    /// Threads of one job.
    pub threads: usize,
    /// Ends of jobs of the cheapest plans (class S) are told on a multiple of this after their beginning; those of class M
    /// on one of ten times as much, of class L of a hundred times.
    pub completion_step: Duration,
    /// Rows that a result may have.
    pub result_rows_max: usize,
    /// Bytes that the values of a result may have.
    pub result_bytes_max: usize,
    /// Bytes that all questions together may hold while they wait for their turn.
    pub waiting_bytes_max: usize,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Folder of everything this installation keeps.
    pub data_dir: PathBuf,
    /// File with the token of the person a command acts for.
    pub token_file: Option<PathBuf>,
    /// The file that opens the keyring.
    pub keyring: KeyringSecret,
    /// Language of messages.
    pub language: Language,
    /// Time zone of hours and days in policies.
    pub time_zone: TimeZone,
    /// Limits of one job.
    pub limits: Limits,
    /// Days a result is kept when its policy says nothing.
    pub result_days: u32,
    /// Days that a result waits for its reviewers.
    pub review_days: u32,
    /// Address on which `serve` listens.
    pub listen: SocketAddr,
    /// Address on which `serve` shows operators its metrics; none unless set. Always loopback.
    pub listen_admin: Option<SocketAddr>,
    /// Connections that one address may have at a time.
    pub connections_per_address_max: usize,
    /// Address of this installation for clients, without a slash at the end: addresses in catalogues begin with it.
    pub public_url: Option<String>,
    /// Certificate, key and client roots of `serve`, when it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// The server that commands are sent to; nothing when they act on the installation here.
    pub server: Option<ServerAddress>,
    /// The identity provider that `serve` honours besides its own tokens.
    pub oidc: Option<OidcSettings>,
    /// File of the public keys of the trusted witnesses, who cosign the audit log's checkpoints.
    pub witness_keys_file: Option<PathBuf>,
}

/// The files that TLS needs, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The roots of clients' certificates, when clients must show one.
    pub client_roots: Option<PathBuf>,
}

/// The file that opens the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringSecret {
    /// Random bytes in a file.
    KeyFile(PathBuf),
    /// A passphrase in a file.
    PassphraseFile(PathBuf),
}

/// One setting with where it came from, as `obscura config check` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Name of the setting.
    pub key: &'static str,
    /// Its value as text.
    pub value: String,
    /// Place where the value was found.
    pub origin: String,
}

/// Settings, their origins, and values that look like mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// Every setting with its origin, in the order of the reference.
    pub effective: Vec<Effective>,
    /// Environment variables that look like settings and are none.
    pub unknown_variables: Vec<String>,
    /// File that keeps a login; none when the person has no home.
    pub login_file: Option<PathBuf>,
    /// Roots of a server's certificate as the settings name them; those of a login belong to its server alone.
    pub server_roots_file: Option<PathBuf>,
}

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or variable holds something that is no setting, or a value of the wrong form.
    #[error("a setting cannot be read: {0}")]
    Unreadable(String),
    /// A value is outside the accepted ones.
    #[error("setting `{key}`: {}", .accepted.en)]
    OutOfRange {
        /// Name of the setting.
        key: &'static str,
        /// Values that would be accepted.
        accepted: Text,
    },
    /// The file of the folder a command happens to run in names a server or a token.
    #[error(
        "`{key}` in {LOCAL_FILE}: whoever made this folder may not say where your token goes; \
         set it in the environment ({PREFIX}{}), by a flag, in {SYSTEM_FILE}, or with `obscura login`",
        key.to_uppercase()
    )]
    NotFromFolder {
        /// Name of the setting.
        key: &'static str,
    },
}

impl ConfigError {
    /// The error in the reader's language.
    #[must_use]
    pub fn localized(&self, language: Language) -> String {
        match (self, language) {
            (Self::NotFromFolder { key }, Language::Zh) => format!(
                "{LOCAL_FILE} 中的 `{key}`：令牌发往何处不能由当前文件夹决定；\
                 请用环境变量（{PREFIX}{}）、命令行参数、{SYSTEM_FILE} 或 `obscura login` 设置",
                key.to_uppercase()
            ),
            (Self::OutOfRange { key, accepted }, Language::Zh) => format!("设置 `{key}`：{}", accepted.zh),
            // The parser of TOML explains itself in English alone.
            (Self::Unreadable(reason), Language::Zh) => format!("设置无法读取：{reason}"),
            (other, Language::En) => other.to_string(),
        }
    }
}

/// The sources of settings.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Values of command-line flags, by setting name.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// File of the folder the command runs in: it overrides the others, but a stranger may have made the folder, so that it
    /// may not say which server is asked and with which token. One that does not exist counts as empty.
    pub folder_file: Option<PathBuf>,
    /// Other files, the strongest first.
    pub files: Vec<PathBuf>,
    /// File that keeps a login.
    pub login_file: Option<PathBuf>,
}

impl Sources {
    /// Takes the real environment and the usual files.
    #[must_use]
    pub fn of_process(flags: BTreeMap<&'static str, String>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(key, _)| {
                key.starts_with(PREFIX) || matches!(key.as_str(), "LANG" | "LC_ALL" | "NO_COLOR")
            })
            .collect();
        Self {
            flags,
            environment,
            folder_file: Some(PathBuf::from(LOCAL_FILE)),
            files: vec![PathBuf::from(SYSTEM_FILE)],
            login_file: login_file(),
        }
    }

    /// Puts a file that the person named in the place of the one in the working folder.
    pub fn name_file(&mut self, file: PathBuf) {
        self.folder_file = None;
        self.files.insert(0, file);
    }

    /// True if the person asked for output without colour (`NO_COLOR`).
    #[must_use]
    pub fn forbids_colour(&self) -> bool {
        self.environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// Reads every source and checks the outcome.
    ///
    /// # Errors
    /// When a file is not TOML, names an unknown setting, or a value has the wrong form or range; and when the working
    /// folder's file holds a setting that decides where a token goes.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.check_folder_file()?;
        let figment = self.layers();
        let file: SettingsFile =
            figment.extract().map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let settings = file.clone().check()?;
        Ok(Loaded {
            effective: effective(&figment, file, &settings),
            settings,
            unknown_variables: self.unknown_variables(),
            login_file: self.login_file.clone(),
            server_roots_file: self.said().extract_inner("server_roots_file").ok(),
        })
    }

    fn check_folder_file(&self) -> Result<(), ConfigError> {
        let Some(file) = self.folder_file.as_deref().filter(|file| file.exists()) else { return Ok(()) };
        let said = Figment::from(Toml::file_exact(file));
        let is_said = |setting: &&Setting| said.find_value(setting.name).is_ok();
        match SETTINGS.iter().filter(|setting| !setting.is_from_folder()).find(is_said) {
            Some(setting) => Err(ConfigError::NotFromFolder { key: setting.name }),
            None => Ok(()),
        }
    }

    fn layers(&self) -> Figment {
        let language = self.locale().code().to_owned();
        let defaults = Serialized::defaults(SettingsFile { language, ..SettingsFile::defaults() });
        let defaults = Figment::from(defaults);
        let said = self.said();
        // A login is one thing: its token is shown to its server, and only if no setting names an installation, a server or
        // a token.
        let says_otherwise =
            ["data_dir", "server", "token_file"].iter().any(|key| said.find_value(key).is_ok());
        let login = self.login_file.as_deref().filter(|_| !says_otherwise).and_then(Login::read);
        let figment = match login {
            Some(login) => defaults.merge(Serialized::defaults(login)),
            None => defaults,
        };
        figment.merge(said)
    }

    /// The settings in files, environment and flags.
    fn said(&self) -> Figment {
        let mut figment = Figment::new();
        // The usual files may be absent; one that the caller named is missed loudly.
        let is_missed = |path: &&PathBuf| path.as_path() != Path::new(SYSTEM_FILE) || path.exists();
        let folder_file = self.folder_file.iter().filter(|path| path.exists());
        for path in self.files.iter().rev().filter(is_missed).chain(folder_file) {
            figment = figment.merge(Toml::file_exact(path));
        }
        let variables = self.environment.iter().filter_map(|(variable, value)| {
            let setting = Setting::named(&variable.strip_prefix(PREFIX)?.to_lowercase())?;
            Some((setting.name, value.clone()))
        });
        figment
            .merge(TextLayer { name: "environment", values: variables.collect() })
            .merge(TextLayer { name: "flag", values: self.flags.clone() })
    }

    /// The language of a reader who has set none.
    #[must_use]
    pub fn locale(&self) -> Language {
        let locale = ["LC_ALL", "LANG"].iter().find_map(|name| self.environment.get(*name));
        match locale {
            Some(locale) if locale.starts_with("zh") => Language::Zh,
            _ => Language::En,
        }
    }

    fn unknown_variables(&self) -> Vec<String> {
        let is_unknown = |variable: &&String| {
            variable.strip_prefix(PREFIX).is_some_and(|name| {
                Setting::named(&name.to_lowercase()).is_none() && !NOT_SETTINGS.contains(&variable.as_str())
            })
        };
        self.environment.keys().filter(is_unknown).cloned().collect()
    }
}

/// The file in a person's own folder of settings (XDG Base Directory Specification).
fn login_file() -> Option<PathBuf> {
    let named = |key: &str| std::env::vars_os().find(|(name, _)| name == key).map(|(_, value)| value);
    let set = |key: &str| named(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("obscura").join("login.toml"))
}

impl SettingsFile {
    fn check(self) -> Result<Settings, ConfigError> {
        self.check_bounds()?;
        let language = match self.language.as_str() {
            "en" => Language::En,
            "zh" => Language::Zh,
            _ => return Err(Setting::language().refused()),
        };
        let time_zone = TimeZone::get(&self.time_zone).map_err(|_| Setting::time_zone().refused())?;
        let keyring = match (self.keyring_key_file, self.keyring_passphrase_file) {
            (Some(_), Some(_)) => return Err(Setting::keyring_key_file().refused()),
            (Some(path), None) => KeyringSecret::KeyFile(path),
            (None, Some(path)) => KeyringSecret::PassphraseFile(path),
            (None, None) => KeyringSecret::KeyFile(beside(&self.data_dir)),
        };
        if self.listen_admin.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(Setting::listen_admin().refused());
        }
        let tls = match (self.tls_certificate_file, self.tls_key_file, self.tls_client_roots_file) {
            (Some(certificate), Some(key), client_roots) => Some(TlsFiles { certificate, key, client_roots }),
            (None, None, None) => None,
            _ => return Err(Setting::tls_certificate_file().refused()),
        };
        let server = match self.server {
            None => None,
            Some(text) => Some(
                ServerAddress::parse(&text, self.server_roots_file)
                    .ok_or_else(|| Setting::server().refused())?,
            ),
        };
        Ok(Settings {
            data_dir: self.data_dir,
            token_file: self.token_file,
            keyring,
            language,
            time_zone,
            limits: Limits {
                memory_bytes_max: self.memory_max_mb.saturating_mul(1 << 20),
                timeout: Duration::from_secs(self.timeout_seconds),
                threads: usize::from(self.threads),
                completion_step: Duration::from_millis(self.completion_step_ms),
                result_rows_max: usize::try_from(self.result_rows_max).unwrap_or(usize::MAX),
                result_bytes_max: usize::try_from(self.result_max_mb << 20).unwrap_or(usize::MAX),
                waiting_bytes_max: usize::try_from(self.waiting_max_mb << 20).unwrap_or(usize::MAX),
            },
            result_days: self.result_days,
            review_days: self.review_days,
            listen: self.listen,
            listen_admin: self.listen_admin,
            connections_per_address_max: usize::from(self.connections_per_address_max),
            public_url: self.public_url.map(|text| public_url(&text)).transpose()?,
            tls,
            server,
            oidc: OidcSettings::of(self.oidc_issuer, self.oidc_audience, self.oidc_roots_file)?,
            witness_keys_file: self.witness_keys_file,
        })
    }
}

/// An address as catalogues begin theirs: `https://data.example.gov`, with a path if need be.
fn public_url(text: &str) -> Result<String, ConfigError> {
    let text = text.trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(is_plain) => {
            Ok(text.to_owned())
        }
        _ => Err(Setting::public_url().refused()),
    }
}

/// The key file stands beside the data directory, so that a copy of the directory does not carry it along.
fn beside(data_dir: &Path) -> PathBuf {
    let mut name = data_dir.file_name().unwrap_or_else(|| "obscura-data".as_ref()).to_owned();
    name.push(".key");
    data_dir.with_file_name(name)
}

/// Every setting, the file of the keyring's key as it is used and the public address as it is shown.
fn effective(figment: &Figment, file: SettingsFile, settings: &Settings) -> Vec<Effective> {
    let origin = |key: &str| match figment.find_metadata(key) {
        None => "default".to_owned(),
        Some(found) if found.name.ends_with("::Login") => "login".to_owned(),
        Some(found) if found.name.starts_with("obscura_sandbox") => "default".to_owned(),
        Some(found) => match &found.source {
            Some(source) => source.to_string(),
            None if found.name == "environment" => format!("environment {PREFIX}{}", key.to_uppercase()),
            None => found.name.to_string(),
        },
    };
    let keyring_key_file = match &settings.keyring {
        KeyringSecret::KeyFile(file) => Some(file.clone()),
        KeyringSecret::PassphraseFile(_) => None,
    };
    let used = SettingsFile { keyring_key_file, public_url: settings.public_url.clone(), ..file };
    let shown = used.shown();
    shown
        .map(|(setting, value)| Effective { key: setting.name, value, origin: origin(setting.name) })
        .collect()
}

/// Values that arrive as text: flags and environment variables.
struct TextLayer {
    name: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Provider for TextLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, FigmentError> {
        let is_number = |key: &str| Setting::named(key).is_some_and(Setting::is_number);
        let value = |key: &str, text: &String| match text.parse::<u64>() {
            Ok(number) if is_number(key) => Value::from(number),
            _ => Value::from(text.clone()),
        };
        let dict = self.values.iter().map(|(key, text)| ((*key).to_owned(), value(key, text))).collect();
        Ok(Profile::Default.collect(dict))
    }
}

#[cfg(test)]
mod tests;
