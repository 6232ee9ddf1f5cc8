//! TLS: with it the server may listen anywhere, without it only on loopback; with roots for clients no other client gets in.

use obscura_tests::fixture::Fixture;
use obscura_tests::server::Server;
use obscura_tests::world::World;
use obscura_tests::world::code;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use ureq::tls::Certificate;
use ureq::tls::ClientCert;
use ureq::tls::PrivateKey;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

/// An authority, and a certificate with its key that it has signed.
struct Issued {
    root: String,
    certificate: String,
    key: String,
}

fn issue() -> Issued {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Issued { root: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A world whose settings name the files of TLS.
fn world(server: &Issued, clients: Option<&Issued>) -> World {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let mut settings = "tls_certificate_file = \"server.pem\"\ntls_key_file = \"server.key\"\n".to_owned();
    std::fs::write(world.root().join("server.pem"), &server.certificate).unwrap();
    std::fs::write(world.root().join("server.key"), &server.key).unwrap();
    if let Some(clients) = clients {
        settings.push_str("tls_client_roots_file = \"clients.pem\"\n");
        std::fs::write(world.root().join("clients.pem"), &clients.root).unwrap();
    }
    std::fs::write(world.root().join("obscura.toml"), settings).unwrap();
    world
}

/// The status of a request over TLS; nothing when no connection comes about.
fn ask(server: &Server, trusted: &Issued, shown: Option<&Issued>) -> Option<u16> {
    let root = Certificate::from_pem(trusted.root.as_bytes()).unwrap();
    let shown = shown.map(|shown| {
        let certificate = Certificate::from_pem(shown.certificate.as_bytes()).unwrap();
        ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(shown.key.as_bytes()).unwrap())
    });
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).client_cert(shown).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
    agent.get(format!("https://{}/livez", server.address)).call().ok().map(|answer| answer.status().as_u16())
}

#[test]
fn a_server_shows_its_certificate_and_wants_to_see_those_of_clients() {
    let (ours, theirs, foreign) = (issue(), issue(), issue());
    let server = Server::over(world(&ours, None), &[]);
    assert_eq!(ask(&server, &ours, None), Some(200));
    assert_eq!(ask(&server, &foreign, None), None, "a client trusts whom it trusts");
    let plain =
        server.send_bytes(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", std::time::Duration::from_secs(15));
    assert!(!plain.starts_with(b"HTTP"), "without TLS nobody is served");
    let server = Server::over(world(&ours, Some(&theirs)), &[]);
    assert_eq!(ask(&server, &ours, Some(&theirs)), Some(200));
    assert_eq!(ask(&server, &ours, None), None);
    assert_eq!(ask(&server, &ours, Some(&foreign)), None);
}

#[test]
fn a_server_that_anybody_could_reach_needs_a_certificate_that_fits() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let refused = world.run("olga", &["serve", "--listen", "0.0.0.0:0"]).unwrap();
    assert_eq!(refused.code, Some(code::USAGE));
    assert!(refused.stderr.contains("listen-without-tls"), "{}", refused.stderr);
    let (one, other) = (issue(), issue());
    for (certificate, key) in
        [(&one.certificate, &other.key), (&one.key, &one.key), (&one.certificate, &one.certificate)]
    {
        let mixed = Issued { certificate: certificate.clone(), key: key.clone(), root: String::new() };
        let refused = self::world(&mixed, None).run("olga", &["serve"]).unwrap();
        assert_eq!(refused.code, Some(code::USAGE));
        assert!(refused.stderr.contains("tls-file-unusable"), "{}", refused.stderr);
    }
}

#[test]
fn a_command_trusts_the_roots_that_its_settings_name() {
    let (ours, foreign) = (issue(), issue());
    let server = Server::over(world(&ours, None), &[]);
    let root = server.world.root();
    std::fs::write(root.join("ours.pem"), &ours.root).unwrap();
    std::fs::write(root.join("foreign.pem"), &foreign.root).unwrap();
    let url = format!("https://{}", server.address);
    let run = |settings: &[(&str, &str)], arguments: &[&str]| {
        let mut command = server.world.command(None).unwrap();
        command.env_remove("OBSCURA_DATA_DIR").env("HOME", root.join("home")).args(arguments);
        command.envs(settings.iter().copied());
        server.world.finish(command, "a command over TLS").unwrap()
    };
    let trusting = |file| [("OBSCURA_SERVER_ROOTS_FILE", file), ("OBSCURA_TOKEN_FILE", "ana.token")];
    let list = ["--server", &url, "grant", "list"];
    run(&trusting("ours.pem"), &list).done().unwrap();
    for (file, code, error) in
        [("foreign.pem", code::FAILURE, "server-unreachable"), ("none.pem", code::USAGE, "tls-file-unusable")]
    {
        let refused = run(&trusting(file), &list);
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.stderr.contains(error), "{refused:?}");
    }
    let login = ["login", &url, "--token-file", "ana.token"];
    assert_eq!(run(&[], &login).code, Some(code::FAILURE), "the web knows no such root");
    run(&[("OBSCURA_SERVER_ROOTS_FILE", "ours.pem")], &login).done().unwrap();
    run(&[], &["grant", "list"]).done().unwrap();
    // The roots of a login are for its server, and another login begins without them.
    assert_eq!(run(&[], &login).code, Some(code::FAILURE));
    run(&[("OBSCURA_SERVER_ROOTS_FILE", "foreign.pem")], &[&login[..], &["--roots", "ours.pem"]].concat())
        .done()
        .unwrap();
    server.kill_now();
    let seen = server.world.sightings().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
