//! The database against the log, by command line: a row that is gone or was altered puts nothing older in its place.

use super::*;

const SUM: &str = "select district, sum(cost) as s from hz_health.visits group by district";

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
