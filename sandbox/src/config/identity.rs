//! The settings of an identity provider: the issuer of the honoured tokens, and the audience they must name.
//! It judges the form of addresses; nothing is fetched here.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use obscura_policies::Text;
use thiserror::Error;
use ureq::http::Uri;

use crate::config::ConfigError;
use crate::config::table::Setting;

/// Most bytes of an address.
const URL_BYTES_MAX: usize = 1024;
/// Most bytes of an audience.
const AUDIENCE_BYTES_MAX: usize = 256;

/// The identity provider that is honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer, exactly as its tokens name it.
    pub issuer: ProviderUrl,
    /// The audience that tokens for this installation name.
    pub audience: String,
    /// The roots of the issuer's certificate (PEM), and no others; the web's when not given.
    pub roots: Option<PathBuf>,
}

impl OidcSettings {
    /// Takes the three settings: none of them, or at least the first two.
    pub(super) fn of(
        issuer: Option<String>,
        audience: Option<String>,
        roots: Option<PathBuf>,
    ) -> Result<Option<Self>, ConfigError> {
        let (issuer, audience) = match (issuer, audience, &roots) {
            (None, None, None) => return Ok(None),
            (Some(issuer), Some(audience), _) => (issuer, audience),
            _ => return Err(Setting::oidc_issuer().refused()),
        };
        let accepted = Text::new(
            "an https address without query, as in the provider's discovery document; plain http only for 127.0.0.1 or [::1]",
            "须为不含查询参数的 https 地址，与身份提供方发现文档中的一致；仅 127.0.0.1 或 [::1] 可用 http",
        );
        let issuer: Option<ProviderUrl> = issuer.parse().ok();
        let Some(issuer) = issuer.filter(|issuer| !issuer.as_str().contains('?')) else {
            return Err(ConfigError::OutOfRange { key: Setting::oidc_issuer().name, accepted });
        };
        let is_word = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX || !is_word(&audience) {
            return Err(Setting::oidc_audience().refused());
        }
        Ok(Some(Self { issuer, audience, roots }))
    }
}

/// An address that keys may come from: `https`, or plain `http` that does not leave the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUrl {
    text: String,
    wire: Wire,
}

/// The protection of the way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// TLS.
    Tls,
    /// Nothing: it does not leave the machine.
    Loopback,
}

/// An address that keys may not come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an https address, or plain http to a loopback address, was expected")]
pub struct ProviderUrlError;

impl ProviderUrl {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The protection of the way to it.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire
    }
}

impl fmt::Display for ProviderUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ProviderUrl {
    type Err = ProviderUrlError;

    fn from_str(text: &str) -> Result<Self, ProviderUrlError> {
        let odd = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii() || matches!(c, '#' | '\\');
        if text.len() > URL_BYTES_MAX || text.contains(odd) {
            return Err(ProviderUrlError);
        }
        let uri: Uri = text.parse().map_err(|_| ProviderUrlError)?;
        let authority = uri.authority().ok_or(ProviderUrlError)?;
        // A name before the host is a secret in a setting, or an attempt to look like another host.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(ProviderUrlError);
        }
        let wire = match uri.scheme_str() {
            Some("https") => Wire::Tls,
            // Only an address: the machine decides where the name `localhost` leads to.
            Some("http") if is_loopback(authority.host()) => Wire::Loopback,
            _ => return Err(ProviderUrlError),
        };
        Ok(Self { text: text.to_owned(), wire })
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_addresses_are_accepted() {
        for (good, wire) in [
            ("https://login.example/realms/city", Wire::Tls),
            ("https://login.example:8443", Wire::Tls),
            ("https://login.example/keys?p=1", Wire::Tls),
            ("http://127.0.0.1:8080/", Wire::Loopback),
            ("http://[::1]:8080", Wire::Loopback),
        ] {
            assert_eq!(good.parse::<ProviderUrl>().unwrap().wire(), wire, "{good}");
        }
        for bad in [
            "",
            "login.example",
            "http://login.example",
            "http://localhost:8080",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "https://user:secret@login.example",
            "https://login.example/#here",
            "https://login.example/a b",
            "https://login.example\\@evil.example",
            "ftp://login.example",
            "file:///etc/passwd",
            "/etc/passwd",
        ] {
            assert!(bad.parse::<ProviderUrl>().is_err(), "{bad}");
        }
        assert!(format!("https://login.example/{}", "a".repeat(1024)).parse::<ProviderUrl>().is_err());
    }

    #[test]
    fn the_three_settings_come_together() {
        let of = |issuer: Option<&str>, audience: Option<&str>, roots: Option<&str>| {
            OidcSettings::of(issuer.map(str::to_owned), audience.map(str::to_owned), roots.map(PathBuf::from))
        };
        let issuer = Some("https://login.example");
        assert_eq!(of(None, None, None).unwrap(), None);
        assert!(of(issuer, Some("obscura"), None).unwrap().is_some());
        assert!(of(issuer, Some("obscura"), Some("roots.pem")).unwrap().is_some());
        assert!(of(issuer, None, None).is_err());
        assert!(of(None, Some("obscura"), None).is_err());
        assert!(of(None, None, Some("roots.pem")).is_err());
        assert!(of(Some("https://login.example?a=b"), Some("obscura"), None).is_err());
        assert!(of(issuer, Some(""), None).is_err());
        assert!(of(issuer, Some("two words"), None).is_err());
    }
}
