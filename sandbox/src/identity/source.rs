//! Fetches an issuer's keys: its discovery document (OpenID Connect Discovery 1.0) and the JWK set that it names.
//! Every fetch is bounded in bytes and seconds, follows no redirect and no proxy, and trusts only the roots it was given.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::Error as HttpError;
use ureq::tls::Certificate;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

use crate::config::identity::OidcSettings;
use crate::config::identity::ProviderUrl;
use crate::config::identity::Wire;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;
use crate::identity::keys::PublishedKeys;

/// Path that is appended to an issuer to find its discovery document.
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Longest discovery document, in bytes.
const DISCOVERY_BYTES_MAX: u64 = 64 * 1024;
/// Longest JWK set, in bytes.
const KEYS_BYTES_MAX: u64 = 256 * 1024;
/// Longest fetch of one document, from the name of its host to its last byte.
const FETCH_WAIT: Duration = Duration::from_secs(5);
/// Longest header of an answer, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Gives the keys of an issuer; blocks while it fetches them.
pub(super) trait KeySource: fmt::Debug + Send + Sync {
    /// Fetches them anew.
    fn fetch(&self) -> Result<PublishedKeys, Fault>;
}

/// The reason why the keys did not come: for the operator's log, which alone tells the reasons apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection, no TLS, or no HTTP.
    Unreached,
    /// It did not answer in time.
    Slow,
    /// Another status than 200.
    Status,
    /// A document that is longer than the limit.
    Long,
    /// The discovery document is none, or the JWK set is none.
    Malformed,
    /// The discovery document is that of another issuer.
    OtherIssuer,
    /// The discovery document names keys at an address that they may not come from.
    KeysElsewhere,
    /// A bug of ours.
    Panicked,
}

impl Fault {
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Unreached => "it cannot be reached, or its certificate is not of a known root",
            Self::Slow => "it did not answer in time",
            Self::Status => "it answered with another status than success",
            Self::Long => "it answered with too long a document",
            Self::Malformed => "it answered with a document of another form",
            Self::OtherIssuer => "its discovery document names another issuer than the setting",
            Self::KeysElsewhere => "its discovery document names keys at an address that is not safe",
            Self::Panicked => "a bug ended it",
        }
    }
}

/// The issuer itself.
#[derive(Debug)]
pub(super) struct Discovery {
    issuer: ProviderUrl,
    agent: Agent,
}

/// The fields of the discovery document that we read.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Discovery {
    /// Takes the settings and the roots that they name.
    ///
    /// # Errors
    /// When the file of roots cannot be used.
    pub(super) fn of(settings: &OidcSettings) -> Result<Self, AppError> {
        let roots = match &settings.roots {
            None => RootCerts::WebPki,
            Some(path) => RootCerts::new_with_certs(&certificates(path)?),
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(settings.issuer.wire() == Wire::Tls)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(FETCH_WAIT))
            .max_response_header_size(HEADER_BYTES_MAX)
            .max_idle_connections(0)
            .accept("application/json")
            .user_agent("obscura")
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .new_agent();
        Ok(Self { issuer: settings.issuer.clone(), agent })
    }

    fn get(&self, url: &str, bytes_max: u64) -> Result<Vec<u8>, Fault> {
        let mut answer = self.agent.get(url).call().map_err(|error| fault(&error))?;
        if answer.status().as_u16() != 200 {
            return Err(Fault::Status);
        }
        answer.body_mut().with_config().limit(bytes_max).read_to_vec().map_err(|error| fault(&error))
    }
}

impl KeySource for Discovery {
    fn fetch(&self) -> Result<PublishedKeys, Fault> {
        let issuer = self.issuer.as_str();
        let url = format!("{}{DISCOVERY_PATH}", issuer.strip_suffix('/').unwrap_or(issuer));
        let document = self.get(&url, DISCOVERY_BYTES_MAX)?;
        let document: Document = serde_json::from_slice(&document).map_err(|_| Fault::Malformed)?;
        if document.issuer != issuer {
            return Err(Fault::OtherIssuer);
        }
        let keys: ProviderUrl = document.jwks_uri.parse().map_err(|_| Fault::KeysElsewhere)?;
        // An issuer that is reached by TLS does not send us to our own machine for its keys.
        if self.issuer.wire() == Wire::Tls && keys.wire() != Wire::Tls {
            return Err(Fault::KeysElsewhere);
        }
        let keys = self.get(keys.as_str(), KEYS_BYTES_MAX)?;
        PublishedKeys::read(&keys).ok_or(Fault::Malformed)
    }
}

/// The kind of the client's error; its text is dropped, because it may quote anything.
fn fault(error: &HttpError) -> Fault {
    match error {
        HttpError::Timeout(_) => Fault::Slow,
        HttpError::BodyExceedsLimit(_) => Fault::Long,
        _ => Fault::Unreached,
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, AppError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all: Vec<_> =
        all.unwrap_or_default().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    if all.is_empty() {
        return Err(PublicError::new(
            Class::Usage,
            "oidc-roots-unusable",
            format!("`oidc_roots_file`: `{}` holds no certificate, or cannot be read", path.display()),
            format!("`oidc_roots_file`：`{}` 中没有证书，或无法读取", path.display()),
        )
        .into());
    }
    Ok(all)
}
