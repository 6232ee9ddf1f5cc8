//! A token as it was shown: its header is judged before any key is looked for, its claims after the signature.
//! Every check refuses in the same way; a caller learns that a token is not valid and never why.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::Validation;
use jsonwebtoken::decode;
use jsonwebtoken::decode_header;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::identity::Identity;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest name of a key, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;
/// How far the issuer's clock and ours may be apart, in seconds.
const SKEW_SECONDS: i64 = 60;
/// How long a token may live, in seconds: whoever has lost theirs waits this long at most.
const LIFE_SECONDS_MAX: i64 = 24 * 60 * 60;
/// What a word of the scope that narrows roles begins with.
const SCOPE_PREFIX: &str = "obscura:";

/// The algorithms that are honoured: all with a public key, so that what verifies cannot sign.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// A token whose header is in order; nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct ShownToken<'a> {
    text: &'a str,
    header: Header,
}

impl<'a> ShownToken<'a> {
    /// Reads a token's header.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let header = decode_header(text).ok()?;
        is_in_order(&header).then_some(Self { text, header })
    }

    /// The key that it names.
    pub(super) fn key_id(&self) -> &str {
        self.header.kid.as_deref().unwrap_or_default()
    }

    /// How it says that it is signed.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// Verifies the signature and reads the claims.
    pub(super) fn verify(&self, key: &DecodingKey) -> Option<Claims> {
        let mut validation = Validation::new(self.header.alg);
        // Claims are judged below: by the installation's clock, and more strictly.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        decode(self.text, key, &validation).ok().map(|verified| verified.claims)
    }
}

/// Says whether a header asks for nothing but a signature by a key of the issuer's own list.
fn is_in_order(header: &Header) -> bool {
    // What a token says about where its key is, or brings along itself, counts for nothing: such a token is not ours to judge.
    let brings_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some();
    let is_more = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    let is_unencoded = header.extras.inner().contains_key("b64");
    let names_key = header.kid.as_ref().is_some_and(|kid| !kid.is_empty() && kid.len() <= KEY_ID_BYTES_MAX);
    let is_access = header.typ.as_deref().is_none_or(|typ| {
        let typ = typ.to_ascii_lowercase();
        matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
    });
    ALGORITHMS.contains(&header.alg) && names_key && is_access && !brings_key && !is_more && !is_unencoded
}

/// What a token whose signature holds says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    scope: Option<String>,
    /// The token is bound to a key that whoever shows it must prove to have. We cannot ask for that proof.
    cnf: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

impl Claims {
    /// Says whom the token is about, if it is for us and for now.
    pub(super) fn judge(&self, issuer: &str, audience: &str, now: Timestamp) -> Option<Identity> {
        let is_ours = self.iss == issuer && self.aud.names(audience) && self.cnf.is_none();
        if !is_ours || !self.is_for_now(now.as_second()) {
            return None;
        }
        let account = self.sub.parse().ok()?;
        let expires = Timestamp::from_second(self.exp).ok()?;
        Some(Identity { account, narrowed_to: self.narrowed_to(), expires })
    }

    fn is_for_now(&self, now: i64) -> bool {
        let is_past = now.saturating_sub(SKEW_SECONDS) >= self.exp;
        let latest = now.saturating_add(SKEW_SECONDS);
        let is_early = [self.nbf, self.iat].into_iter().flatten().any(|from| from > latest);
        let begun = self.iat.unwrap_or(latest).min(latest);
        let is_short = self.exp.saturating_sub(begun) <= LIFE_SECONDS_MAX;
        !is_past && !is_early && is_short
    }

    fn narrowed_to(&self) -> Option<BTreeSet<String>> {
        let words = self.scope.as_deref().unwrap_or_default().split(' ');
        let roles: BTreeSet<String> =
            words.filter_map(|word| word.strip_prefix(SCOPE_PREFIX)).map(str::to_owned).collect();
        (!roles.is_empty()).then_some(roles)
    }
}
