//! Tests of the age of keys and the rate of fetches, over an issuer in memory and a clock that is set, and of the checks of
//! claims.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::sync::Mutex as StdMutex;
use std::sync::mpsc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use obscura_crypto::sign::Signer;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::clock::SteppedClock;

const NOW: i64 = 1_800_000_000;
const MINUTE_MS: i64 = 60_000;
const UNKNOWN: IdentityError = IdentityError::NotValid(TokenFault::Key);

/// An issuer in memory, with real Ed25519 keys.
#[derive(Debug)]
struct Issuer {
    published: StdMutex<Result<Vec<Value>, Fault>>,
    asked: StdMutex<u32>,
    /// The next fetch waits for this.
    gate: StdMutex<Option<mpsc::Receiver<()>>>,
}

impl KeySource for Issuer {
    fn fetch(&self) -> Result<PublishedKeys, Fault> {
        *self.asked.lock().unwrap() += 1;
        if let Some(gate) = self.gate.lock().unwrap().take() {
            gate.recv().unwrap();
        }
        let keys = self.published.lock().unwrap().clone()?;
        Ok(PublishedKeys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap())
    }
}

fn jwk(id: &str, signer: &Signer) -> Value {
    let x = URL_SAFE_NO_PAD.encode(signer.verifier().public_key());
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x })
}

fn claims() -> Value {
    json!({ "iss": "https://login.example", "sub": "s-1", "aud": "obscura", "exp": NOW + 300, "iat": NOW })
}

fn sign(header: &Value, claims: &Value, signer: &Signer) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = signer.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

struct World {
    folder: TempDir,
    clock: Arc<SteppedClock>,
    issuer: Arc<Issuer>,
    signer: Signer,
    provider: IdentityProvider,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(SteppedClock::at_second(NOW));
        let signer = Signer::generate("issuer").unwrap();
        let issuer = Arc::new(Issuer {
            published: StdMutex::new(Ok(vec![jwk("one", &signer)])),
            asked: StdMutex::default(),
            gate: StdMutex::default(),
        });
        let settings = OidcSettings {
            issuer: "https://login.example".parse().unwrap(),
            audience: "obscura".to_owned(),
            roots: None,
        };
        let log = OperatorLog::in_folder(folder.path());
        let source = Arc::clone(&issuer) as Arc<dyn KeySource>;
        let provider = IdentityProvider::over(&settings, source, Arc::clone(&clock) as _, log);
        Self { folder, clock, issuer, signer, provider }
    }

    fn publish(&self, keys: Result<Vec<Value>, Fault>) {
        *self.issuer.published.lock().unwrap() = keys;
    }

    fn asked(&self) -> u32 {
        *self.issuer.asked.lock().unwrap()
    }

    fn token(&self, id: &str) -> String {
        // Always of this minute, whatever the clock says.
        let now = self.clock.now().as_second();
        let mut claims = claims();
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 300);
        sign(&json!({ "alg": "EdDSA", "kid": id }), &claims, &self.signer)
    }

    async fn shown(&self, id: &str) -> Result<(), IdentityError> {
        self.provider.recognise(&self.token(id)).await.map(|_| ())
    }

    /// True if a token with changed claims is honoured.
    async fn honours(&self, change: impl FnOnce(&mut Value)) -> bool {
        let mut claims = claims();
        change(&mut claims);
        let token = sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims, &self.signer);
        self.provider.recognise(&token).await.is_ok()
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_they_are_old() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(world.shown("one").await, Ok(()));
    }
    assert_eq!(world.asked(), 1);
    world.clock.advance_ms(5 * MINUTE_MS);
    assert_eq!(world.shown("one").await, Ok(()));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_honoured_at_once_and_a_withdrawn_one_no_longer_than_until_the_next_fetch() {
    let world = World::new();
    assert_eq!(world.shown("one").await, Ok(()));
    world.clock.advance_ms(16_000);
    world.publish(Ok(vec![jwk("two", &world.signer)]));
    assert_eq!(world.shown("one").await, Ok(()), "what was fetched just now still counts");
    assert_eq!(world.shown("two").await, Ok(()));
    assert_eq!(world.shown("one").await, Err(UNKNOWN));
    world.publish(Ok(Vec::new()));
    world.clock.advance_ms(5 * MINUTE_MS);
    assert_eq!(world.shown("two").await, Err(UNKNOWN));
}

#[tokio::test]
async fn while_the_issuer_is_down_known_keys_are_honoured_for_an_hour_and_then_none() {
    let world = World::new();
    assert_eq!(world.shown("one").await, Ok(()));
    world.publish(Err(Fault::Unreached));
    for _ in 0..59 {
        world.clock.advance_ms(MINUTE_MS);
        assert_eq!(world.shown("one").await, Ok(()));
    }
    assert_eq!(world.shown("two").await, Err(IdentityError::Unreachable));
    world.clock.advance_ms(MINUTE_MS);
    assert_eq!(world.shown("one").await, Err(IdentityError::Unreachable));
    world.publish(Ok(vec![jwk("one", &world.signer)]));
    assert_eq!(world.shown("one").await, Err(IdentityError::Unreachable), "it was asked just now");
    world.clock.advance_ms(15_000);
    assert_eq!(world.shown("one").await, Ok(()));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_issuer_once() {
    let world = World::new();
    assert_eq!(world.shown("one").await, Ok(()));
    world.clock.advance_ms(20_000);
    for number in 0..200 {
        let shown = world.shown(&format!("stranger-{number}")).await;
        assert_eq!(shown, Err(UNKNOWN));
    }
    assert_eq!(world.asked(), 2);
    world.clock.advance_ms(15_000);
    assert_eq!(world.shown("stranger").await, Err(UNKNOWN));
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn while_the_issuer_is_slow_it_is_asked_once_and_only_so_many_wait() {
    let world = World::new();
    let (go, gate) = mpsc::channel();
    *world.issuer.gate.lock().unwrap() = Some(gate);
    let tokens: Vec<String> = (0..WAITING_MAX + 6).map(|_| world.token("stranger")).collect();
    let shown = futures::future::join_all(tokens.iter().map(|token| world.provider.recognise(token)));
    let release = async {
        while world.provider.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
    };
    let (answers, ()) = futures::join!(shown, release);
    let of = |error| answers.iter().filter(|answer| **answer == Err(error)).count();
    assert_eq!((of(UNKNOWN), of(IdentityError::Unreachable)), (WAITING_MAX + 1, 5));
    assert_eq!(world.asked(), 1);
    assert_eq!(world.provider.waiting.available_permits(), WAITING_MAX);
}

#[tokio::test]
async fn while_keys_are_fetched_anew_known_ones_are_honoured_without_waiting() {
    let world = World::new();
    assert_eq!(world.shown("one").await, Ok(()));
    world.clock.advance_ms(5 * MINUTE_MS);
    let (go, gate) = mpsc::channel();
    *world.issuer.gate.lock().unwrap() = Some(gate);
    let second = async {
        while world.provider.asked.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        let honoured = world.shown("one").await;
        go.send(()).unwrap();
        honoured
    };
    let (first, second) = futures::join!(world.shown("one"), second);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn what_is_no_token_asks_the_issuer_nothing() {
    let world = World::new();
    let good = world.token("one");
    let with = |header: Value| sign(&header, &claims(), &world.signer);
    let mut bad = vec![
        String::new(),
        "a.b.c".to_owned(),
        good.replace('.', ""),
        format!("{good}.x"),
        format!("x.{good}"),
        format!(" {good}"),
        format!("{good}é"),
        sign(&json!({ "alg": "EdDSA", "kid": "one", "pad": "x".repeat(8192) }), &claims(), &world.signer),
        with(json!({ "alg": "EdDSA" })),
        with(json!({ "alg": "EdDSA", "kid": "" })),
        with(json!({ "alg": "EdDSA", "kid": "x".repeat(257) })),
        with(json!({ "alg": "EdDSA", "kid": 1 })),
        with(json!({ "kid": "one" })),
    ];
    for algorithm in ["none", "None", "HS256", "HS384", "HS512", "RS512", "PS512", "ES512", "eddsa", ""] {
        bad.push(with(json!({ "alg": algorithm, "kid": "one" })));
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/certificate")),
        ("jwk", jwk("one", &world.signer)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("JWE")),
        ("typ", json!("")),
    ] {
        let mut header = json!({ "alg": "EdDSA", "kid": "one" });
        header[name] = value;
        bad.push(with(header));
    }
    for token in &bad {
        let shown = world.provider.recognise(token).await;
        assert!(matches!(shown, Err(IdentityError::NotValid(_))), "{token}");
    }
    assert_eq!(world.asked(), 0);
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let token = with(json!({ "alg": "EdDSA", "kid": "one", "typ": typ }));
        assert!(world.provider.recognise(&token).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn claims_are_for_us_and_for_now() {
    let world = World::new();
    assert!(world.honours(|_| ()).await);
    assert!(world.honours(|claims| claims["aud"] = json!(["other", "obscura"])).await);
    for (name, value) in [
        ("iss", json!("https://login.example/")),
        ("iss", json!(["https://login.example"])),
        ("aud", json!("Obscura")),
        ("aud", json!(["other"])),
        ("aud", json!([])),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!(7)),
        ("exp", json!(NOW - 60)),
        ("exp", json!("2030-01-01")),
        ("exp", json!(1e300)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(-1)),
        ("exp", json!(NOW + 24 * 60 * 60 + 1)),
        ("nbf", json!(NOW + 61)),
        ("iat", json!(NOW + 61)),
        ("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })),
        ("scope", json!(["obscura:analyst"])),
    ] {
        assert!(!world.honours(|claims| claims[name] = value.clone()).await, "{name} {value}");
    }
    for name in ["iss", "sub", "aud", "exp"] {
        let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(name));
        assert!(!world.honours(without).await, "{name}");
    }
    for (name, value) in [
        ("exp", NOW - 59),
        ("exp", NOW + 24 * 60 * 60),
        ("nbf", NOW + 60),
        ("iat", NOW + 60),
        ("iat", NOW - 60 * 60),
    ] {
        assert!(world.honours(|claims| claims[name] = json!(value)).await, "{name} {value}");
    }
    let without_iat = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("iat"));
    assert!(world.honours(without_iat).await);
    let long_without_iat = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("iat");
        claims["exp"] = json!(NOW + 24 * 60 * 60 + 61);
    };
    assert!(!world.honours(long_without_iat).await, "a life without a beginning is counted from now");
}

#[tokio::test]
async fn times_may_have_a_fraction_or_an_exponent() {
    let world = World::new();
    for (name, text) in [
        ("exp", "1800000300.75"),
        ("exp", "1.8000003e+09"),
        ("exp", "18000003e2"),
        ("iat", "1800000000.25"),
        ("iat", "1.8e9"),
        ("iat", "1800000060.9"),
        ("nbf", "1799999998.5"),
    ] {
        let number: Value = serde_json::from_str(text).unwrap();
        assert!(world.honours(|claims| claims[name] = number).await, "{name} {text}");
    }
    for (name, text) in [("exp", "1799999940.9"), ("nbf", "1800000061.0"), ("iat", "1.800000061e9")] {
        let number: Value = serde_json::from_str(text).unwrap();
        assert!(!world.honours(|claims| claims[name] = number).await, "{name} {text}");
    }
}

#[tokio::test]
async fn why_a_token_was_refused_is_in_the_operator_s_log_and_quotes_nothing_of_it() {
    let world = World::new();
    let changes: [(TokenFault, &str, Value); 7] = [
        (TokenFault::Issuer, "iss", json!("https://CANARY.example")),
        (TokenFault::Audience, "aud", json!("CANARY")),
        (TokenFault::Ended, "exp", json!(NOW - 600)),
        (TokenFault::Early, "nbf", json!(NOW + 600)),
        (TokenFault::LongLived, "exp", json!(NOW + 1_000_000)),
        (TokenFault::Account, "sub", json!("")),
        (TokenFault::Bound, "cnf", json!({ "jkt": "CANARY" })),
    ];
    for (fault, name, value) in &changes {
        assert!(!world.honours(|claims| claims[*name] = value.clone()).await, "{fault:?}");
        let path = world.folder.path().join("obscura.log");
        let log = std::fs::read_to_string(path).unwrap();
        let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["subject"], LOG_SUBJECT);
        assert_eq!(last["causes"][0], fault.phrase(), "{fault:?}");
        assert!(!log.contains("CANARY"), "{log}");
    }
}

#[tokio::test]
async fn strangers_fill_the_log_with_no_more_than_a_line_a_minute_for_each_reason() {
    let world = World::new();
    let lines = || {
        let log = std::fs::read_to_string(world.folder.path().join("obscura.log")).unwrap();
        log.lines().count()
    };
    for _ in 0..50 {
        assert!(!world.honours(|claims| claims["aud"] = json!("other")).await);
    }
    assert_eq!(lines(), 1);
    world.clock.advance_ms(MINUTE_MS);
    assert!(!world.honours(|claims| claims["aud"] = json!("other")).await);
    assert_eq!(lines(), 2);
}

#[tokio::test]
async fn only_words_of_ours_in_the_scope_narrow_roles() {
    let world = World::new();
    for (scope, words) in [
        ("openid profile", None),
        ("openid obscura:analyst", Some(vec!["analyst"])),
        ("obscura:analyst obscura:steward", Some(vec!["analyst", "steward"])),
        ("obscura:everything", Some(vec!["everything"])),
        ("obscura:", Some(vec![""])),
    ] {
        let mut claims = claims();
        claims["scope"] = json!(scope);
        let token = sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims, &world.signer);
        let identity = world.provider.recognise(&token).await.unwrap();
        let words = words.map(|words| words.into_iter().map(str::to_owned).collect());
        assert_eq!(identity.narrowed_to, words, "{scope}");
    }
}

#[tokio::test]
async fn a_changed_token_is_worth_nothing() {
    let world = World::new();
    let token = world.token("one");
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = Signer::generate("other").unwrap();
    let foreign = sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims(), &other);
    let mut bad = vec![format!("{message}."), foreign, format!("{message}.{}", signature.to_lowercase())];
    let mut claims = claims();
    claims["sub"] = json!("s-2");
    let changed = URL_SAFE_NO_PAD.encode(claims.to_string());
    let (header, _) = message.split_once('.').unwrap();
    bad.push(format!("{header}.{changed}.{signature}"));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        for other in [b'A', b'b', b'.', b'='] {
            bytes[at] = other;
            let changed = String::from_utf8(bytes.clone()).unwrap();
            if changed != token {
                bad.push(changed);
            }
        }
    }
    for token in &bad {
        let shown = world.provider.recognise(token).await;
        assert!(matches!(shown, Err(IdentityError::NotValid(_))), "{token}");
    }
    assert!(world.provider.recognise(&token).await.is_ok());
}

#[test]
fn this_process_signs_no_token() {
    signatures::install();
    let key = EncodingKey::from_secret(b"secret");
    for algorithm in [Algorithm::HS256, Algorithm::EdDSA, Algorithm::RS256] {
        let header = jsonwebtoken::Header::new(algorithm);
        assert!(jsonwebtoken::encode(&header, &json!({}), &key).is_err(), "{algorithm:?}");
    }
}
