//! Checkpoints over HTTP: handed out, cosigned elsewhere, brought back by an auditor, and in the log.

use std::fs;

use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::World;
use serde_json::json;

const COSIGNATURES: &str = "/api/v1/audit/checkpoint/cosignatures";

#[test]
fn cosigned_checkpoint_is_kept_for_the_auditor_and_is_in_the_log() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let state = world.root().join("witness").display().to_string();
    let nobody = |arguments: &[&str]| {
        let mut command = world.command(None).unwrap();
        command.args(arguments);
        world.finish(command, &arguments.join(" ")).unwrap().done().unwrap().stdout
    };
    let key = nobody(&["audit", "witness-key", "witness.example/w1", "--state", &state]);
    let keys = world.root().join("witnesses");
    fs::write(&keys, key).unwrap();
    let settings = format!("witness_keys_file = {:?}\n", keys.display().to_string());
    fs::write(world.root().join("obscura.toml"), settings).unwrap();
    let server = Server::over(world, &[]);
    server.get(Some("ana"), COSIGNATURES, &[]).must_be(404);
    server.ask("ana", COUNT).must_be(201);
    let checkpoint = server.get(Some("aldo"), "/api/v1/audit/checkpoint", &[]).must_be(200).text();
    let file = server.world.root().join("checkpoint");
    fs::write(&file, &checkpoint).unwrap();
    let audit_key = server.world.data().join("audit.pub").display().to_string();
    let file = file.display().to_string();
    let arguments = ["audit", "witness", &file, "--log-key", &audit_key, "--state", &state];
    let cosigned = server.world.run("aldo", &arguments).unwrap().done().unwrap().stdout;
    let bring = |person, text: &str| server.post(Some(person), COSIGNATURES, text, &[]);
    bring("ana", &cosigned).must_be(403);
    for text in [checkpoint.as_str(), "", "no checkpoint", &cosigned.replace("witness", "wetness")] {
        let refused = bring("aldo", text);
        assert!(refused.status >= 400, "{text}");
        assert!(refused.json()["code"].as_str().unwrap().starts_with("checkpoint-not-"), "{text}");
    }
    let kept = bring("aldo", &cosigned).must_be(200).json();
    assert_eq!(kept["witnesses"][0]["name"], "witness.example/w1");
    assert_eq!(json!(checkpoint.lines().nth(1).unwrap()), json!(kept["size"].to_string()));
    bring("aldo", &cosigned).must_be(200);
    assert_eq!(server.get(Some("ana"), COSIGNATURES, &[]).must_be(200).text(), cosigned);
    let log = server.get(Some("aldo"), "/api/v1/audit/export?limit=1000", &[]).must_be(200).text();
    assert_eq!(log.matches("checkpoint.cosigned").count(), 1, "kept once");
    server.is_clean();
}
