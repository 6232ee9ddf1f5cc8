//! Keys of the issuer in the test, by `ring`: curves drawn at random, RSA from the published test keys of RFC 9500.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use ring::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::EcdsaSigningAlgorithm;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair as _;
use ring::signature::RSA_PKCS1_SHA256;
use ring::signature::RSA_PSS_SHA256;
use ring::signature::RsaKeyPair;
use serde_json::Value;
use serde_json::json;

const RSA_2048: &str = include_str!("rfc9500-rsa-2048.pem");

/// A key that an issuer signs with.
#[derive(Debug)]
pub struct IssuerKey {
    /// Its identifier.
    pub id: String,
    algorithm: &'static str,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl IssuerKey {
    /// A key for RS256, which also signs PS256 when told to.
    ///
    /// # Panics
    /// When the file with the key is damaged.
    #[must_use]
    pub fn rs256(id: &str) -> Self {
        let (_, rest) = RSA_2048.split_once("KEY-----").expect("a first line");
        let (body, _) = rest.split_once("-----END").expect("a last line");
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).expect("base64");
        let pair = RsaKeyPair::from_der(&der).expect("an RSA key");
        Self { id: id.to_owned(), algorithm: "RS256", pair: Pair::Rsa(Box::new(pair)) }
    }

    /// A new key on P-256.
    #[must_use]
    pub fn es256(id: &str) -> Self {
        Self::ecdsa(id, "ES256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    /// A new key on P-384.
    #[must_use]
    pub fn es384(id: &str) -> Self {
        Self::ecdsa(id, "ES384", &ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    /// A new Ed25519 key.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn eddsa(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key that was just made");
        Self { id: id.to_owned(), algorithm: "EdDSA", pair: Pair::Ed25519(Box::new(pair)) }
    }

    fn ecdsa(id: &str, algorithm: &'static str, curve: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).expect("randomness");
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).expect("a new key");
        Self { id: id.to_owned(), algorithm, pair: Pair::Ecdsa(Box::new(pair)) }
    }

    /// The header of its tokens.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.id })
    }

    /// Its public half, as an issuer publishes it.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let common = json!({ "kid": self.id, "use": "sig" });
        let own = match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": text(&n), "e": text(&e) })
            }
            Pair::Ecdsa(pair) => {
                // An uncompressed point: a byte that says so, and both numbers.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                let curve = if self.algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "alg": self.algorithm, "x": text(x), "y": text(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) })
            }
        };
        let mut jwk = common;
        for (name, value) in own.as_object().expect("an object") {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// Its public half as bytes, which everybody knows.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public().as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// Signs as an algorithm says; one that needs another kind of key gets what this key has.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (&self.pair, algorithm) {
            // An attacker does this in the hope that the public key is taken for a shared secret.
            (_, "HS256") => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.public()), message).as_ref().to_vec()
            }
            (_, "none") => Vec::new(),
            (Pair::Rsa(pair), algorithm) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = if algorithm == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                };
                signed.expect("randomness");
                signature
            }
            (Pair::Ecdsa(pair), _) => pair.sign(&random, message).expect("randomness").as_ref().to_vec(),
            (Pair::Ed25519(pair), _) => pair.sign(message).as_ref().to_vec(),
        }
    }
}
