//! The keys that an identity provider publishes (JWK set), as far as they can verify what we honour.
//! Other keys in the set are passed over: a key for encryption next to ours is no fault.

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::DecodingKeyKind;
use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::KeyAlgorithm;
use jsonwebtoken::jwk::KeyOperations;
use jsonwebtoken::jwk::PublicKeyUse;
use obscura_crypto::foreign::RSA_BITS_MIN;
use obscura_crypto::foreign::rsa_bits;
use serde::Deserialize;
use serde_json::Value;

/// Most keys in a set.
const KEYS_MAX: usize = 100;

/// Keys that may verify tokens.
#[derive(Debug)]
pub(super) struct PublishedKeys(Vec<PublishedKey>);

#[derive(Debug)]
struct PublishedKey {
    id: String,
    /// Algorithms that fit the key's type, curve and own words.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl PublishedKeys {
    /// Reads a set; nothing when it is none, or has more than `KEYS_MAX` keys.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let set: KeySet = serde_json::from_slice(bytes).ok()?;
        if set.keys.len() > KEYS_MAX {
            return None;
        }
        Some(Self(set.keys.into_iter().filter_map(PublishedKey::read).collect()))
    }

    /// The key of this name that fits the algorithm.
    pub(super) fn find(&self, id: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |known: &&PublishedKey| known.id == id && known.algorithms.contains(&algorithm);
        self.0.iter().find(fits).map(|known| &known.key)
    }

    /// Number of keys.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl PublishedKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let is_for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let may_verify =
            common.key_operations.as_ref().is_none_or(|uses| uses.contains(&KeyOperations::Verify));
        if !is_for_signatures || !may_verify {
            return None;
        }
        let mut algorithms = fitting(&jwk.algorithm);
        algorithms.retain(|fits| common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(*fits)));
        let id = common.key_id.clone()?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty() && is_strong(&key)).then_some(Self { id, algorithms, key })
    }
}

/// The algorithms that a key of this type and curve can verify, of those that we honour.
fn fitting(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        // Above all a shared secret (`oct`): a reader of the list could sign with it.
        _ => Vec::new(),
    }
}

fn is_strong(key: &DecodingKey) -> bool {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => rsa_bits(n) >= RSA_BITS_MIN,
        DecodingKeyKind::SecretOrDer(_) => true,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn of(keys: &[Value]) -> PublishedKeys {
        PublishedKeys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn number(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xa5; bytes])
    }

    #[test]
    fn a_key_is_found_by_name_and_only_for_what_fits_it() {
        let keys = of(&[
            json!({ "kty": "RSA", "kid": "r", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "ps", "alg": "PS256", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": number(32), "y": number(32) }),
            json!({ "kty": "EC", "crv": "P-384", "kid": "f", "x": number(48), "y": number(48) }),
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": "o", "use": "sig", "x": number(32) }),
        ]);
        for (id, fitting) in [
            ("r", &[Algorithm::RS256, Algorithm::PS256][..]),
            ("ps", &[Algorithm::PS256]),
            ("e", &[Algorithm::ES256]),
            ("f", &[Algorithm::ES384]),
            ("o", &[Algorithm::EdDSA]),
            ("", &[]),
            ("R", &[]),
        ] {
            for algorithm in [
                Algorithm::HS256,
                Algorithm::RS256,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::ES256,
                Algorithm::ES384,
                Algorithm::EdDSA,
            ] {
                let found = keys.find(id, algorithm).is_some();
                assert_eq!(found, fitting.contains(&algorithm), "{id} {algorithm:?}");
            }
        }
    }

    #[test]
    fn keys_that_cannot_be_used_are_passed_over_and_the_others_are_not() {
        let good = json!({ "kty": "EC", "crv": "P-256", "kid": "good", "x": number(32), "y": number(32) });
        for bad in [
            json!({ "kty": "RSA", "kid": "good-2", "n": number(255), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "enc", "use": "enc", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "ops", "key_ops": ["sign"], "n": number(256), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "alg", "alg": "ES256", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "new", "alg": "ML-DSA-65", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": number(256), "e": "AQAB" }),
            json!({ "kty": "oct", "kid": "oct", "k": number(32) }),
            json!({ "kty": "EC", "crv": "secp256k1", "kid": "k", "x": number(32), "y": number(32) }),
            json!({ "kty": "EC", "crv": "P-521", "kid": "p", "x": number(66), "y": number(66) }),
            json!({ "kty": "AKP", "kid": "akp", "pub": number(32) }),
            json!({ "kty": "RSA", "kid": 7 }),
            json!("no key"),
            json!(null),
        ] {
            let keys = of(&[bad.clone(), good.clone()]);
            assert_eq!(keys.count(), 1, "{bad}");
            assert!(keys.find("good", Algorithm::ES256).is_some(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_set_is_none() {
        for bad in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert!(PublishedKeys::read(bad.as_bytes()).is_none(), "{bad}");
        }
        let many = json!({ "keys": vec![json!({}); KEYS_MAX + 1] });
        assert!(PublishedKeys::read(many.to_string().as_bytes()).is_none());
        assert_eq!(of(&[]).count(), 0);
    }
}
