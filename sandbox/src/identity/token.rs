//! A token as it was shown: its header is judged before any key is looked for, its claims after the signature.
//! Every check refuses a caller in the same words; only the operator's log has the reason, as a phrase that quotes nothing.

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
/// Largest difference between the issuer's clock and ours, in seconds.
const SKEW_SECONDS: i64 = 60;
/// Longest life of a token, in seconds: a stolen token is useless after that time.
const LIFE_SECONDS_MAX: i64 = 24 * 60 * 60;
/// Farthest time from 1970, in seconds: whole numbers up to here are exact in the floating point of JSON.
const DATE_SECONDS_MAX: f64 = 1e15;
/// Prefix of the words of the scope that narrow roles.
const SCOPE_PREFIX: &str = "obscura:";

/// The algorithms that are honoured: all with a public key, so that what verifies cannot sign.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// The reason why a token is not honoured: for the operator's log, which alone tells the reasons apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenFault {
    /// It is no signed token, or longer than the limit.
    Form,
    /// Its header names no key or a method that is not honoured, asks for more than a signature, or is of another type.
    Header,
    /// The provider publishes no key of the name that it has, or none that fits its method.
    Key,
    /// The signature does not hold, or a claim is missing or has another form.
    Signature,
    /// It is of another issuer than the setting.
    Issuer,
    /// It is for another audience than the setting.
    Audience,
    /// It is bound to a key, and its bearer must prove to have that key.
    Bound,
    /// It has ended.
    Ended,
    /// It has not begun, or was issued later than our clock says it is.
    Early,
    /// It lives longer than a day.
    LongLived,
    /// It is about an account of another form.
    Account,
    /// Its account is linked to no person here.
    Unlinked,
    /// The person that its account is linked to is no longer here.
    PersonGone,
}

impl TokenFault {
    /// One sentence without anything that the token says.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Form => "it is no signed token, or longer than any",
            Self::Header => {
                "its header names no key or a method that is not honoured, asks for more than a signature, or is of another type"
            }
            Self::Key => {
                "the provider publishes no key of the name that it has, or none that fits its method"
            }
            Self::Signature => "its signature does not hold, or a claim is missing or has another form",
            Self::Issuer => "it is of another issuer than oidc_issuer",
            Self::Audience => "it is for another audience than oidc_audience",
            Self::Bound => "it is bound to a key (cnf), and that cannot be asked for",
            Self::Ended => "it has ended (exp)",
            Self::Early => "it has not begun, or was issued later than our clock says it is (nbf, iat)",
            Self::LongLived => "it lives longer than a day (iat, exp)",
            Self::Account => "its account (sub) is none",
            Self::Unlinked => "its account is linked to no person (obscura person link)",
            Self::PersonGone => "the person that its account is linked to is no longer here",
        }
    }
}

/// A token whose header is in order; nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct ShownToken<'a> {
    text: &'a str,
    header: Header,
}

impl<'a> ShownToken<'a> {
    /// Reads a token's header.
    pub(super) fn read(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > TOKEN_BYTES_MAX || !text.is_ascii() {
            return Err(TokenFault::Form);
        }
        let header = decode_header(text).map_err(|_quotes| TokenFault::Form)?;
        if is_in_order(&header) { Ok(Self { text, header }) } else { Err(TokenFault::Header) }
    }

    /// The key that it names.
    pub(super) fn key_id(&self) -> &str {
        self.header.kid.as_deref().unwrap_or_default()
    }

    /// The signature algorithm that it names.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// Verifies the signature and reads the claims.
    pub(super) fn verify(&self, key: &DecodingKey) -> Result<Claims, TokenFault> {
        let mut validation = Validation::new(self.header.alg);
        // Claims are judged below: by the installation's clock, and more strictly.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let verified = decode(self.text, key, &validation).map_err(|_quotes| TokenFault::Signature)?;
        Ok(verified.claims)
    }
}

/// True if a header asks for nothing but a signature by a key of the issuer's own list.
fn is_in_order(header: &Header) -> bool {
    // A token that says where its key is, or brings a key along, is not ours to judge.
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

/// The claims of a token whose signature holds.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    scope: Option<String>,
    /// The token is bound to a key, and its bearer must prove to have that key. We cannot ask for that proof.
    cnf: Option<IgnoredAny>,
}

/// Seconds since 1970. RFC 7519 lets providers write any number of JSON: with a fraction, which is left out, or an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "f64")]
struct NumericDate(i64);

impl TryFrom<f64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if !(-DATE_SECONDS_MAX..=DATE_SECONDS_MAX).contains(&seconds) {
            return Err("no time of this era");
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded above; the fraction is meant to go")]
        Ok(Self(seconds.floor() as i64))
    }
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
    /// The person whom the token names, if the token is meant for this service and valid at this time.
    pub(super) fn judge(&self, issuer: &str, audience: &str, now: Timestamp) -> Result<Identity, TokenFault> {
        if self.iss != issuer {
            return Err(TokenFault::Issuer);
        }
        if !self.aud.names(audience) {
            return Err(TokenFault::Audience);
        }
        if self.cnf.is_some() {
            return Err(TokenFault::Bound);
        }
        self.must_be_for_now(now.as_second())?;
        let account = self.sub.parse().map_err(|_quotes| TokenFault::Account)?;
        let expires = Timestamp::from_second(self.exp.0).map_err(|_quotes| TokenFault::LongLived)?;
        Ok(Identity { account, narrowed_to: self.narrowed_to(), expires })
    }

    fn must_be_for_now(&self, now: i64) -> Result<(), TokenFault> {
        if now.saturating_sub(SKEW_SECONDS) >= self.exp.0 {
            return Err(TokenFault::Ended);
        }
        let latest = now.saturating_add(SKEW_SECONDS);
        if [self.nbf, self.iat].into_iter().flatten().any(|from| from.0 > latest) {
            return Err(TokenFault::Early);
        }
        let begun = self.iat.map_or(latest, |issued| issued.0).min(latest);
        let is_short = self.exp.0.saturating_sub(begun) <= LIFE_SECONDS_MAX;
        if is_short { Ok(()) } else { Err(TokenFault::LongLived) }
    }

    fn narrowed_to(&self) -> Option<BTreeSet<String>> {
        let words = self.scope.as_deref().unwrap_or_default().split(' ');
        let roles: BTreeSet<String> =
            words.filter_map(|word| word.strip_prefix(SCOPE_PREFIX)).map(str::to_owned).collect();
        (!roles.is_empty()).then_some(roles)
    }
}
