//! The server that commands are sent to, and the login that was made there.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::Format as _;
use figment::providers::Toml;
use serde::Deserialize;
use serde::Serialize;

/// A server, by the scheme, name and port of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    url: String,
    /// Roots of its certificate, when they are not those of the web.
    pub roots: Option<PathBuf>,
}

impl ServerAddress {
    /// Reads an address; a token is sent there, so only TLS will do, except on this machine.
    #[must_use]
    pub fn parse(text: &str, roots: Option<PathBuf>) -> Option<Self> {
        let url = text.trim().trim_end_matches('/');
        let url = url.strip_suffix("/api/v1").unwrap_or(url);
        let (is_safe, authority) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(authority), _) => (true, authority),
            (None, Some(authority)) => (is_loopback(authority), authority),
            (None, None) => return None,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let is_plain = !authority.is_empty() && authority.chars().all(is_plain);
        (is_safe && is_plain).then(|| Self { url: url.to_owned(), roots })
    }

    /// Scheme, name and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The file that `obscura login` writes; a format we keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The server.
    pub server: String,
    /// Copy of the token.
    pub token_file: PathBuf,
    /// Roots of the server's certificate, when they are not those of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_roots_file: Option<PathBuf>,
}

impl Login {
    /// Reads what a login left behind; nothing when there is none, or it is not ours.
    #[must_use]
    pub fn read(file: &Path) -> Option<Self> {
        Figment::from(Toml::string(&fs::read_to_string(file).ok()?)).extract().ok()
    }

    /// Puts a login in the place of one that was there before, with its token beside it, both readable by their owner alone.
    ///
    /// # Errors
    /// When a file cannot be written; the login before stays then.
    pub fn write(mut self, file: &Path, token: &str) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        self.token_file = token_file(file);
        let text = format!(
            "server = {}\ntoken_file = {}\n",
            quoted(&self.server)?,
            quoted(&self.token_file.to_string_lossy())?
        );
        let roots = match &self.server_roots_file {
            Some(roots) => format!("server_roots_file = {}\n", quoted(&roots.to_string_lossy())?),
            None => String::new(),
        };
        replace(&self.token_file, token)?;
        replace(file, &(text + &roots))
    }

    /// Takes a login away, and its token; says whether there was one.
    ///
    /// # Errors
    /// When a file is there and cannot be removed.
    pub fn remove(file: &Path) -> io::Result<bool> {
        let removed = |path: &Path| match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        let token = removed(&token_file(file))?;
        Ok(removed(file)? || token)
    }
}

fn token_file(login: &Path) -> PathBuf {
    login.with_file_name("login.token")
}

/// A basic string of TOML is a JSON string, but for what no path and no address has.
fn quoted(text: &str) -> io::Result<String> {
    Ok(serde_json::to_string(text)?)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    // One that an ended process has left.
    let _left = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn token_goes_over_tls_or_stays_on_this_machine() {
        let url = |text: &str| ServerAddress::parse(text, None).map(|server| server.url().to_owned());
        assert_eq!(url("https://obscura.example/").as_deref(), Some("https://obscura.example"));
        assert_eq!(url("http://127.0.0.1:7200/api/v1").as_deref(), Some("http://127.0.0.1:7200"));
        assert_eq!(url("http://[::1]:7200").as_deref(), Some("http://[::1]:7200"));
        for wrong in [
            "http://obscura.example",
            "http://127.0.0.1.example",
            "http://localhost@obscura.example",
            "http://127.0.0.1:80@obscura.example",
            "ftp://127.0.0.1",
            "127.0.0.1:7200",
            "https://",
            "https://obscura.example/other",
            "https://who:secret@obscura.example",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn login_is_read_as_it_was_written_and_is_gone_when_removed() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("a \"quoted\" folder").join("login.toml");
        let login = Login {
            server: "https://obscura.example".to_owned(),
            token_file: PathBuf::new(),
            server_roots_file: Some(PathBuf::from("/roots.pem")),
        };
        login.clone().write(&file, "first\n").unwrap();
        login.clone().write(&file, "second\n").unwrap();
        let read = Login::read(&file).unwrap();
        assert_eq!(Login { token_file: PathBuf::new(), ..read.clone() }, login);
        assert_eq!(fs::read_to_string(&read.token_file).unwrap(), "second\n");
        for path in [&file, &read.token_file] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(Login::remove(&file).unwrap());
        assert!(!Login::remove(&file).unwrap());
        assert!(!read.token_file.exists());
    }
}
