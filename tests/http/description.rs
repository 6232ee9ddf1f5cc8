//! The description of the interface: the served one is the committed one, and it names every answer.

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::World;

#[test]
fn the_committed_description_is_the_one_that_is_served() {
    let server = Server::start();
    let served = server.get(None, "/openapi.json", &[]).must_be(200).json();
    let pretty = serde_json::to_string_pretty(&served).unwrap() + "\n";
    let committed = environment::tests_folder().join("../sandbox/docs/openapi.json");
    if environment::bless() {
        std::fs::write(&committed, &pretty).unwrap();
    }
    let known = std::fs::read_to_string(committed).unwrap();
    assert!(
        known == pretty,
        "the interface has changed: `cargo xtask bless` writes sandbox/docs/openapi.json anew"
    );
    assert_eq!(served["openapi"], "3.1.0");
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        }
    }
}

#[test]
fn operators_read_counts_and_nothing_else() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    std::fs::write(world.root().join("obscura.toml"), "listen_admin = \"127.0.0.1:0\"").unwrap();
    let server = Server::over(world, &[]);
    server.ask("ana", COUNT).must_be(201);
    server.get(None, "/metrics", &[]).must_be(404);
    let address = server.admin().unwrap();
    let text = server.get_at(&address, "/metrics").must_be(200).text();
    for line in [
        "obscura_requests_total{status=\"2xx\"} 1",
        "obscura_requests_total{status=\"4xx\"} 0",
        "obscura_jobs{state=\"running\"} 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ana") && !text.contains("persons"), "{text}");
    server.is_clean();
}
