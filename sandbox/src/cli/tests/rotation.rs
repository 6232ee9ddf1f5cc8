//! Rotating the keys of questions and results: earlier questions and results open as they did.

use super::*;

fn newest_job(world: &mut World) -> String {
    let jobs = world.run(Some("lin"), &["job", "list", "--output", "json"]).must_be(Exit::Done);
    let jobs: Value = serde_json::from_str(&jobs.out).unwrap();
    jobs[0]["id"].as_str().unwrap().to_owned()
}

/// Rotates the keys of a name at all grades that there are, and says how many data keys were wrapped again.
fn rotate(world: &mut World, name: &str) -> u64 {
    let mut rewrapped = 0;
    for grade in 0..=9 {
        let ran = world.run(Some("operator"), &["key", "rotate", &format!("{name}/L{grade}")]);
        if ran.exit == Exit::Done {
            let (_, count) = ran.err.split_once("; ").unwrap();
            rewrapped += count.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    rewrapped
}

#[test]
fn questions_and_results_open_after_their_keys_were_rotated() {
    let mut world = World::sealed();
    let answer = world.query(COUNT).must_be(Exit::Done).out;
    let released = newest_job(&mut world);
    world.query("select name from hz_health.visits").must_be(Exit::Refused);
    let refused = newest_job(&mut world);
    for _ in 0..2 {
        assert_eq!(rotate(&mut world, "_queries"), 2);
        assert_eq!(rotate(&mut world, "_results"), 1);
        for job in [&released, &refused] {
            world.run(Some("gu"), &["audit", "question", job]).must_be(Exit::Done);
        }
        let again = world.run(Some("lin"), &["job", "result", &released, "--output", "json"]);
        assert_eq!(again.must_be(Exit::Done).out, answer);
    }
    world.query(COUNT).must_be(Exit::Done);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn key_of_a_question_that_does_not_unwrap_stops_a_rotation_and_is_named() {
    let mut world = World::sealed();
    world.query(COUNT).must_be(Exit::Done);
    let altered = newest_job(&mut world);
    alter(
        &world.path("data/obscura.db"),
        "UPDATE job SET sql_key = substr(sql_key, 1, 40) || 'AAAA' || substr(sql_key, 45)",
    );
    world.query("select name from hz_health.visits").must_be(Exit::Refused);
    let other = newest_job(&mut world);
    world.run(Some("operator"), &["key", "rotate", "_queries/L9"]).must_be(Exit::Failure);
    let log = fs::read_to_string(world.path("data/log/obscura.log")).unwrap();
    assert!(log.contains(&altered), "{log}");
    // Nothing that opened before is lost, and shredding the other clears the way.
    world.run(Some("gu"), &["audit", "question", &other]).must_be(Exit::Done);
    let shred = ["audit", "shred", &altered, "--reason", "its key was altered"];
    world.run(Some("operator"), &shred).must_be(Exit::Done);
    world.run(Some("operator"), &["key", "rotate", "_queries/L9"]).must_be(Exit::Done);
    world.run(Some("gu"), &["audit", "question", &other]).must_be(Exit::Done);
}
