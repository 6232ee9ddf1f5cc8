//! Tokens of an identity provider: the person they act for, all the faults they can have, and the faults of a provider.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use obscura_tests::fixture::Fixture;
use obscura_tests::issuer::Issuer;
use obscura_tests::issuer::IssuerKey;
use obscura_tests::issuer::Manner;
use obscura_tests::issuer::now;
use obscura_tests::issuer::token;
use obscura_tests::issuer::unsigned;
use obscura_tests::server::Answer;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use obscura_tests::world::code;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use serde_json::Value;
use serde_json::json;

/// The provider's name for ana; it must stand nowhere.
const ANA: &str = "subject-of-ana-7f3a91";

/// A server that honours an issuer's tokens, with ana linked.
fn serve(settings: &str) -> Server {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    std::fs::write(world.root().join("obscura.toml"), settings).unwrap();
    take_token(&world, "ana");
    world.run(OPERATOR, &["person", "link", "ana", "--subject", ANA]).unwrap().done().unwrap();
    Server::over(world, &[])
}

/// Takes a person's token away, because a person with a token cannot be linked.
fn take_token(world: &World, person: &str) {
    let file = world.root().join(format!("{person}.token"));
    let text = std::fs::read_to_string(&file).unwrap();
    world.run(OPERATOR, &["token", "revoke", text.split('.').nth(1).unwrap()]).unwrap().done().unwrap();
    std::fs::remove_file(file).unwrap();
}

fn me(server: &Server, token: &str) -> Answer {
    server.send_with("GET", "/api/v1/me", Some(token), &[], None)
}

/// An answer without its name and its time, which differ between any two.
fn plain(answer: Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id").unwrap();
    let mut headers = answer.headers;
    headers.retain(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    (answer.status, headers, body)
}

/// The answer to a worthless token of ours.
fn refused(server: &Server) -> (u16, Vec<(String, String)>, Value) {
    let secret = "0".repeat(64);
    let unknown = format!("obscura1.token_0198c0de000070008000000000000000.{secret}");
    let plain = plain(me(server, &unknown));
    assert_eq!((plain.0, &plain.2["code"]), (401, &json!("token-not-valid")));
    plain
}

#[test]
fn a_token_of_each_algorithm_acts_for_whom_it_is_linked_to_and_the_log_does_not_name_the_subject() {
    let keys = [
        IssuerKey::rs256("rsa"),
        IssuerKey::es256("p-256"),
        IssuerKey::es384("p-384"),
        IssuerKey::eddsa("ed"),
    ];
    let issuer = Issuer::start(&keys.each_ref(), Manner::Well);
    let server = serve(&issuer.settings());
    let mut tokens: Vec<String> = keys.iter().map(|key| issuer.token(key, ANA)).collect();
    let mut header = keys[0].header();
    header["alg"] = json!("PS256");
    header["typ"] = json!("at+jwt");
    let mut claims = issuer.claims(ANA);
    claims["aud"] = json!(["another", claims["aud"]]);
    tokens.push(token(&keys[0], &header, &claims));
    for token in &tokens {
        let me = me(&server, token).must_be(200).json();
        assert_eq!((&me["name"], &me["roles"]), (&json!("ana"), &json!(["analyst"])), "{token}");
    }
    assert_eq!(issuer.fetched(), 1, "keys are kept");
    let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let headers = [("prefer", "wait=30")];
    let job = server.send_with("POST", "/api/v1/jobs", Some(&tokens[0]), &headers, Some(&question));
    assert_eq!(job.must_be(201).json()["person"], "ana");
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let events = log["events"].as_array().unwrap();
    let logins: Vec<&Value> = events
        .iter()
        .filter(|event| event["action"] == "login.succeeded" && event["actor"] == "ana")
        .collect();
    assert_eq!(logins.len(), 1, "once until they are silent: {logins:?}");
    assert!(logins[0]["detail"]["link"].as_str().unwrap().starts_with("link_"));
    let linked = events.iter().find(|event| event["action"] == "person.linked").unwrap();
    assert_eq!((&linked["actor"], &linked["detail"]["person"]), (&json!(OPERATOR), &json!("ana")));
    for secret in tokens.iter().map(String::as_str).chain([ANA]) {
        assert_eq!(files_with(&server.world.data(), secret), Vec::<String>::new(), "{secret}");
    }
    server.is_clean();
}

/// The files under a folder that hold these bytes.
fn files_with(folder: &std::path::Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, secret));
        } else if std::fs::read(&path).unwrap().windows(secret.len()).any(|part| part == secret.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn whatever_is_wrong_with_a_token_the_answer_is_that_of_any_other() {
    let (rsa, ec, ed) = (IssuerKey::rs256("rsa"), IssuerKey::es256("ec"), IssuerKey::eddsa("ed"));
    let issuer = Issuer::start(&[&rsa, &ec, &ed], Manner::Well);
    let server = serve(&issuer.settings());
    let refused = refused(&server);
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims(ANA);
        claims[name] = value;
        token(&ec, &ec.header(), &claims)
    };
    let headed = |key: &IssuerKey, header: Value| token(key, &header, &issuer.claims(ANA));
    let stranger = IssuerKey::es256("ec");
    let good = issuer.token(&ec, ANA);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut without_exp = issuer.claims(ANA);
    without_exp.as_object_mut().unwrap().remove("exp");
    let mut bad = vec![
        ("another issuer", with("iss", json!("http://127.0.0.1:1/realms/city"))),
        ("another audience", with("aud", json!("another"))),
        ("expired beyond skew", with("exp", json!(now() - 90))),
        ("not begun beyond skew", with("nbf", json!(now() + 90))),
        ("issued in the future", with("iat", json!(now() + 90))),
        ("a life of two days", with("exp", json!(now() + 2 * 24 * 60 * 60))),
        ("without an end", token(&ec, &ec.header(), &without_exp)),
        ("a subject that nobody is linked to", with("sub", json!("somebody-else"))),
        ("a subject in other letters", with("sub", json!(ANA.to_uppercase()))),
        ("without a subject", with("sub", json!(null))),
        ("bound to a key of its holder", with("cnf", json!({ "jkt": "x" }))),
        ("signed by another key of this name", issuer.token(&stranger, ANA)),
        ("a key that is not published", issuer.token(&IssuerKey::es256("other"), ANA)),
        ("HS256 with the public key as secret", headed(&rsa, json!({ "alg": "HS256", "kid": "rsa" }))),
        ("HS256 naming another key", headed(&ec, json!({ "alg": "HS256", "kid": "ec" }))),
        ("ES256 naming the RSA key", headed(&ec, json!({ "alg": "ES256", "kid": "rsa" }))),
        ("RS256 naming the key on P-256", headed(&rsa, json!({ "alg": "RS256", "kid": "ec" }))),
        ("EdDSA naming the key on P-256", headed(&ed, json!({ "alg": "EdDSA", "kid": "ec" }))),
        ("RS512", headed(&rsa, json!({ "alg": "RS512", "kid": "rsa" }))),
        ("none", headed(&ec, json!({ "alg": "none", "kid": "ec" }))),
        ("critical", headed(&ec, json!({ "alg": "ES256", "kid": "ec", "crit": ["exp"] }))),
        ("its own key", headed(&stranger, json!({ "alg": "ES256", "kid": "ec", "jwk": stranger.jwk() }))),
        ("a key elsewhere", headed(&stranger, json!({ "alg": "ES256", "kid": "ec", "jku": issuer.url }))),
        (
            "a message of another kind",
            headed(&ec, json!({ "alg": "ES256", "kid": "ec", "typ": "logout+jwt" })),
        ),
        ("without signature", format!("{message}.")),
        ("another signature", format!("{message}.{}", signature.chars().rev().collect::<String>())),
        ("more than a token", format!("{good}.{signature}")),
        ("less than a token", message.to_owned()),
        ("nothing in it", "..".to_owned()),
        ("no token at all", "x".to_owned()),
        ("huge", with("padding", json!("x".repeat(9000)))),
    ];
    let mut other = issuer.claims(ANA);
    other["sub"] = json!("somebody");
    let changed = unsigned(&ec.header(), &other);
    bad.push(("claims of another", format!("{changed}.{signature}")));
    for (what, token) in &bad {
        assert_eq!(plain(me(&server, token)), refused, "{what}");
    }
    for (name, value) in [("exp", json!(now() - 30)), ("nbf", json!(now() + 30)), ("iat", json!(now() + 30))]
    {
        assert_eq!(me(&server, &with(name, value)).status, 200, "{name} within skew");
    }
    me(&server, &good).must_be(200);
    assert_eq!(issuer.fetched(), 1, "unknown keys do not make us ask again and again");
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let events = log["events"].as_array().unwrap();
    let failed = events.iter().filter(|event| event["action"] == "login.failed").count();
    assert_eq!(failed, bad.len() + 1, "each is in the log");
    server.is_clean();
}

#[test]
fn a_flood_of_unknown_keys_reaches_the_issuer_once() {
    let key = IssuerKey::eddsa("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    for number in 0..60 {
        let mut header = key.header();
        header["kid"] = json!(format!("stranger-{number}"));
        me(&server, &token(&key, &header, &issuer.claims(ANA))).must_be(401);
    }
    assert_eq!((issuer.fetched(), issuer.connections()), (1, 2));
    me(&server, &issuer.token(&key, ANA)).must_be(200);
    server.is_clean();
}

#[test]
fn roles_come_from_the_catalogue_and_a_scope_only_narrows_them() {
    let key = IssuerKey::es256("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims(ANA);
        claims[name] = value;
        token(&key, &key.header(), &claims)
    };
    let roles = |token: &str| me(&server, token).must_be(200).json()["roles"].clone();
    for (name, value) in [
        ("roles", json!(["auditor", "operator"])),
        ("groups", json!(["operators"])),
        ("realm_access", json!({ "roles": ["operator"] })),
        ("scope", json!("openid profile obscura:analyst obscura:operator")),
        ("scope", json!("openid profile")),
    ] {
        assert_eq!(roles(&with(name, value.clone())), json!(["analyst"]), "{name} {value}");
    }
    let narrow = with("scope", json!("obscura:auditor"));
    assert_eq!(roles(&narrow), json!([]));
    let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let ask = |token: &str| server.send_with("POST", "/api/v1/jobs", Some(token), &[], Some(&question));
    ask(&narrow).must_be(403);
    ask(&with("scope", json!("obscura:analyst"))).must_be(202);
    // An access token would outlive what the provider says.
    let wish = json!({ "days": 300 }).to_string();
    let token = issuer.token(&key, ANA);
    let own = server.send_with("POST", "/api/v1/tokens", Some(&token), &[], Some(&wish)).must_be(403);
    assert_eq!(own.json()["code"], "provider-token-makes-none");
    server.is_clean();
}

#[test]
fn a_subject_is_linked_to_one_person_and_the_end_of_a_link_works_at_once() {
    let key = IssuerKey::eddsa("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    let by = |person: &str, arguments: &[&str]| {
        let outcome = server.world.run(person, arguments).unwrap();
        assert!(!outcome.stderr.contains(ANA) && !outcome.stdout.contains(ANA), "{outcome:?}");
        outcome
    };
    let fails = |person: &str, arguments: &[&str], wanted: i32, word: &str| {
        let outcome = by(person, arguments);
        assert_eq!(outcome.code, Some(wanted), "{outcome:?}");
        assert!(outcome.stderr.contains(word), "{outcome:?}");
    };
    let link = |name: &'static str| ["person", "link", name, "--subject", ANA];
    let shown = issuer.token(&key, ANA);
    assert_eq!(me(&server, &shown).must_be(200).json()["name"], "ana");
    fails(OPERATOR, &link("ben"), code::FAILURE, "linked-already");
    fails(OPERATOR, &["person", "link", "ana", "--subject", "x"], code::FAILURE, "linked-already");
    fails(OPERATOR, &["person", "link", "nobody", "--subject", "x"], code::FAILURE, "person-not-found");
    fails("ben", &link("ben"), code::REFUSED, "role-missing");
    fails("ben", &["person", "unlink", "ana"], code::REFUSED, "role-missing");
    fails(OPERATOR, &["person", "unlink", "ben"], code::FAILURE, "link-not-found");
    by(OPERATOR, &["person", "unlink", "ana"]).done().unwrap();
    assert_eq!(plain(me(&server, &shown)), refused(&server));
    fails(OPERATOR, &link("ben"), code::FAILURE, "token-in-force");
    take_token(&server.world, "ben");
    by(OPERATOR, &link("ben")).done().unwrap();
    assert_eq!(me(&server, &shown).must_be(200).json()["name"], "ben");
    by(OPERATOR, &["person", "remove", "ben"]).done().unwrap();
    assert_eq!(plain(me(&server, &shown)), refused(&server));
    by(OPERATOR, &link("ana")).done().unwrap();
    assert_eq!(me(&server, &shown).must_be(200).json()["name"], "ana");
    by("aldo", &["audit", "verify"]).done().unwrap();
    server.is_clean();
}

#[test]
fn an_admin_puts_no_token_beside_a_link_and_no_link_beside_a_token_and_a_link_is_seen() {
    let key = IssuerKey::eddsa("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    let name = issuer.claims(ANA)["iss"].clone();
    let beside = server.world.run(OPERATOR, &["person", "link", "ben", "--subject", "mine"]).unwrap();
    assert_eq!(beside.code, Some(code::FAILURE), "{beside:?}");
    assert!(beside.stderr.contains("error[token-in-force]"), "{beside:?}");
    let wish = json!({ "days": 1, "person": "ana" }).to_string();
    let refused = server.post(Some(OPERATOR), "/api/v1/tokens", &wish, &[]).must_be(409).json();
    assert_eq!(refused["code"], "link-in-force");
    // The linked person sees the link and its author; so do those who see all tokens.
    let shown = issuer.token(&key, ANA);
    let me = me(&server, &shown).must_be(200).json();
    assert_eq!((&me["link"]["issuer"], &me["link"]["linked_by"]), (&name, &json!(OPERATOR)));
    assert!(me["link"]["since"].is_string(), "{me}");
    let own = server.send_with("GET", "/api/v1/tokens", Some(&shown), &[], None).must_be(200).json();
    assert_eq!((&own["links"][0]["person"], &own["links"][0]["issuer"]), (&json!("ana"), &name));
    assert_eq!(server.get(Some("ben"), "/api/v1/tokens", &[]).must_be(200).json()["links"], json!([]));
    assert_eq!(server.get(Some("ben"), "/api/v1/me", &[]).must_be(200).json()["link"], Value::Null);
    let list = server.world.run(OPERATOR, &["token", "list"]).unwrap().done().unwrap().stderr;
    assert!(list.contains("`ana`") && list.contains(name.as_str().unwrap()), "{list}");
    let log = server.get(Some("aldo"), "/api/v1/audit/events?from=0&limit=1000", &[]).must_be(200).json();
    let linked = log["events"].as_array().unwrap().iter().find(|event| event["action"] == "person.linked");
    let detail = &linked.unwrap()["detail"];
    assert_eq!((&detail["person"], &detail["issuer"]), (&json!("ana"), &name));
    assert!(detail["account"].is_string() && detail["link"] == me["link"]["id"], "{detail}");
    server.is_clean();
}

#[test]
fn a_stream_tells_nothing_more_once_its_link_has_ended() {
    let key = IssuerKey::eddsa("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let token = issuer.token(&key, ANA);
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    assert!(lines.any(|line| line.is_empty()), "headers end");
    let question = json!({ "sql": COUNT, "purpose": PURPOSE }).to_string();
    let wait = [("prefer", "wait=30")];
    server.send_with("POST", "/api/v1/jobs", Some(&token), &wait, Some(&question)).must_be(201);
    assert!(lines.any(|line| line.contains("\"released\"")), "a stream of a link in force tells");
    server.world.run(OPERATOR, &["person", "unlink", "ana"]).unwrap().done().unwrap();
    let file = server.world.root().join("ana.token");
    let create = ["token", "create", "ana", "--file", file.to_str().unwrap()];
    server.world.run(OPERATOR, &create).unwrap().done().unwrap();
    server.ask("ana", COUNT).must_be(201);
    assert!(lines.all(|line| !line.contains("job")), "it ends, and tells nothing before");
    server.is_clean();
}

#[test]
fn while_a_provider_does_wrong_its_tokens_wait_and_ours_do_not() {
    let key = IssuerKey::eddsa("one");
    for manner in [
        Manner::Down,
        Manner::Broken,
        Manner::OtherIssuer,
        Manner::KeysElsewhere,
        Manner::Moved,
        Manner::Long,
        Manner::NoSet,
        Manner::Silent,
    ] {
        let issuer = Issuer::start(&[&key], manner);
        let server = serve(&issuer.settings());
        let begun = Instant::now();
        let answer = me(&server, &issuer.token(&key, ANA));
        assert!(begun.elapsed() < Duration::from_secs(20), "{manner:?}");
        assert_eq!(answer.status, 503, "{manner:?}");
        assert_eq!(answer.json()["code"], "identity-provider-unreachable", "{manner:?}");
        assert_eq!(answer.header("retry-after"), Some("15"), "{manner:?}");
        server.get(Some("ben"), "/api/v1/me", &[]).must_be(200);
        let connections = issuer.connections();
        me(&server, &issuer.token(&key, ANA)).must_be(503);
        assert_eq!(issuer.connections(), connections, "{manner:?}: it is not asked again at once");
        let note = std::fs::read_to_string(server.world.data().join("log").join("obscura.log")).unwrap();
        assert!(note.contains("identity-provider") && !note.contains(ANA), "{manner:?}: {note}");
        server.is_clean();
    }
}

#[test]
fn while_a_provider_is_down_its_known_keys_are_honoured() {
    let key = IssuerKey::eddsa("one");
    let issuer = Issuer::start(&[&key], Manner::Well);
    let server = serve(&issuer.settings());
    me(&server, &issuer.token(&key, ANA)).must_be(200);
    issuer.behave(Manner::Down);
    me(&server, &issuer.token(&key, ANA)).must_be(200);
    server.is_clean();
}

#[test]
fn a_provider_behind_tls_is_believed_by_the_root_that_the_settings_name_and_by_no_other() {
    let authority = || {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, foreign) = (authority(), authority());
    let private = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&private, &ours).unwrap();
    let key = IssuerKey::es384("one");
    let issuer = Issuer::start_with_tls(&[&key], &certificate.pem(), &private.serialize_pem());
    for (root, status) in [(Some(ours.pem()), 200), (Some(foreign.pem()), 503), (None, 503)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.pem");
        let mut settings = issuer.settings();
        if let Some(root) = root {
            std::fs::write(&file, root).unwrap();
            settings.push_str(&format!("oidc_roots_file = \"{}\"\n", file.display()));
        }
        let server = serve(&settings);
        me(&server, &issuer.token(&key, ANA)).must_be(status);
        let doctor = server.world.run(OPERATOR, &["doctor"]).unwrap();
        let well = doctor.stdout.contains("the identity provider answers: 1 keys");
        assert_eq!(well, status == 200, "{doctor:?}");
        server.is_clean();
    }
}

#[test]
fn settings_of_a_provider_are_whole_and_safe_or_refused() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let link = ["person", "link", "ana", "--subject", ANA];
    let outcome = world.run(OPERATOR, &link).unwrap();
    assert!(outcome.stderr.contains("no-identity-provider"), "{outcome:?}");
    let check = |settings: &str| {
        std::fs::write(world.root().join("obscura.toml"), settings).unwrap();
        world.run(OPERATOR, &["config", "check"]).unwrap()
    };
    let shown = check("oidc_issuer = \"https://login.example/city\"\noidc_audience = \"us\"\n");
    assert!(shown.stdout.contains("https://login.example/city"), "{shown:?}");
    for wrong in [
        "oidc_issuer = \"https://login.example\"\n",
        "oidc_audience = \"us\"\n",
        "oidc_roots_file = \"roots.pem\"\n",
        "oidc_issuer = \"http://login.example\"\noidc_audience = \"us\"\n",
        "oidc_issuer = \"https://login.example?x=1\"\noidc_audience = \"us\"\n",
    ] {
        assert_eq!(check(wrong).code, Some(code::USAGE), "{wrong}");
    }
    let missing =
        "oidc_issuer = \"https://login.example\"\noidc_audience = \"us\"\noidc_roots_file = \"none.pem\"\n";
    std::fs::write(world.root().join("obscura.toml"), missing).unwrap();
    let mut command = world.command(None).unwrap();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let outcome = world.finish(command, "`obscura serve`").unwrap();
    assert_eq!(outcome.code, Some(code::USAGE), "{outcome:?}");
    assert!(outcome.stderr.contains("oidc-roots-unusable"), "{outcome:?}");
}
