//! The database against the log, by command line: a row that is gone or was altered puts nothing older in its place.

use super::*;

const SUM: &str = "select district, sum(cost) as s from hz_health.visits group by district";
const FOLDER: &str = "data/datasets/hz-health/visits";

/// As [`World::sealed`], with a second version of the policy, which admits no sums.
fn with_stricter_policy() -> World {
    let mut world = World::sealed();
    world.query(SUM).must_be(Exit::Done);
    let policy = DATASET.split("---\n").nth(1).unwrap();
    let stricter = policy
        .replace("health-statistics, version: 1", "health-statistics, version: 2")
        .replace("[count, count_distinct, sum, avg]", "[count, count_distinct]");
    let stricter = world.write("stricter.yaml", &stricter);
    world.run(Some("shen"), &["policy", "publish", &stricter]).must_be(Exit::Waits);
    world.run(Some("feng"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Done);
    world.query(SUM).must_be(Exit::Refused);
    world
}

fn is_found(world: &mut World, what: &str) {
    let found = world.run(None, &["audit", "verify"]).must_be(Exit::VerificationFailed);
    assert!(found.err.contains(what), "{}", found.err);
    assert_ne!(world.run(None, &["doctor"]).exit, Exit::Done);
}

fn operator_log(world: &World) -> String {
    fs::read_to_string(world.path("data/log/obscura.log")).unwrap_or_default()
}

fn fails_closed(world: &mut World, what: &str) {
    for sql in [SUM, COUNT] {
        let answer = world.query(sql).must_be(Exit::Failure);
        assert_eq!(answer.out, "");
        assert!(!answer.err.contains("health-statistics"), "{}", answer.err);
    }
    assert!(operator_log(world).contains(what), "{}", operator_log(world));
}

#[test]
fn policy_marked_as_staged_stays_in_force_and_is_found() {
    let mut world = with_stricter_policy();
    let database = world.path("data/obscura.db");
    alter(&database, "UPDATE record SET state = 'staged' WHERE key = 'Policy/health-statistics@2'");
    is_found(&mut world, "health-statistics@2");
    world.query(SUM).must_be(Exit::Refused);
    let log = operator_log(&world);
    assert!(log.contains("document `Policy/health-statistics@2`"), "it was put back with a trace: {log}");
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn policy_whose_row_is_gone_is_not_replaced_by_the_one_before() {
    let mut world = with_stricter_policy();
    let database = world.path("data/obscura.db");
    alter(&database, "DELETE FROM record WHERE key = 'Policy/health-statistics@2'");
    is_found(&mut world, "health-statistics@2");
    fails_closed(&mut world, "document `Policy/health-statistics@2`");
}

#[test]
fn policy_whose_row_was_altered_is_not_replaced_by_the_one_before() {
    for altered in [
        "UPDATE record SET body = replace(body, 'count_distinct', 'sum') WHERE key = 'Policy/health-statistics@2'",
        "UPDATE record SET state = 'ended', ended_index = 3 WHERE key = 'Policy/health-statistics@2'",
        "UPDATE record SET event_index = event_index + 1 WHERE key = 'Policy/health-statistics@2'",
        "UPDATE record SET kind = 'proposal' WHERE key = 'Policy/health-statistics@2'",
        "UPDATE record SET state = 'staged', event_index = NULL, body = replace(body, 'count', 'sum') \
         WHERE key = 'Policy/health-statistics@2'",
    ] {
        let mut world = with_stricter_policy();
        alter(&world.path("data/obscura.db"), altered);
        is_found(&mut world, "health-statistics@2");
        fails_closed(&mut world, "document `Policy/health-statistics@2`");
    }
}

#[test]
fn dataset_version_whose_row_is_gone_is_not_replaced_by_the_one_before() {
    let mut world = World::sealed();
    let rows = world.path("visits.csv").display().to_string();
    world.run(Some("shen"), &["seal", "hz-health.visits", &rows, "--replace"]).must_be(Exit::Done);
    let database = world.path("data/obscura.db");
    alter(&database, "DELETE FROM record WHERE key = 'hz-health.visits@2'");
    is_found(&mut world, "hz-health.visits@2");
    fails_closed(&mut world, "dataset-version `hz-health.visits@2`");
    // The version that the log vouches for stays on disk, and its number is not given again.
    assert!(world.path(FOLDER).join("v0000002").is_dir());
    let sealed = world.run(Some("shen"), &["seal", "hz-health.visits", &rows, "--replace"]);
    let sealed = sealed.must_be(Exit::Done);
    assert!(sealed.err.contains("version 3"), "{}", sealed.err);
    world.query(COUNT).must_be(Exit::Done);
}

#[test]
fn sealed_data_whose_row_is_gone_stays_on_disk() {
    let mut world = World::sealed();
    let folders = |world: &World| {
        let entries = fs::read_dir(world.path(FOLDER)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).count()
    };
    let before = folders(&world);
    let database = world.path("data/obscura.db");
    alter(&database, "DELETE FROM record WHERE key = 'hz-health.visits@1'");
    world.run(Some("gu"), &["audit", "log"]).must_be(Exit::Done);
    world.run(Some("gu"), &["audit", "log"]).must_be(Exit::Done);
    assert_eq!(folders(&world), before);
    let log = operator_log(&world);
    assert!(log.contains("dataset-version `hz-health.visits@1`"), "{log}");
    is_found(&mut world, "hz-health.visits@1");
    let rows = world.path("visits.csv").display().to_string();
    let again = world.run(Some("shen"), &["seal", "hz-health.visits", &rows]);
    again.must_be(Exit::Failure);
    assert_eq!(folders(&world), before, "a first sealing takes nothing away either");
}
