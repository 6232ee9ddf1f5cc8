//! A job that meets a limit says so, and offers a way on, in every place that tells of it.

use super::*;

/// Twice the same number.
const TWO_ROWS: &str =
    "select count(*) as n from hz_health.visits union all select count(*) as n from hz_health.visits";

/// The newest job of the analyst.
fn newest(world: &mut World) -> Value {
    let listed = world.run(Some("lin"), &["job", "list", "--limit", "1", "--output", "json"]);
    let jobs: Value = serde_json::from_str(&listed.must_be(Exit::Done).out).unwrap();
    jobs[0].clone()
}

#[test]
fn a_result_of_more_rows_than_one_may_have_is_a_limit_with_what_to_do() {
    let mut world = World::sealed();
    world.query(TWO_ROWS).must_be(Exit::Done);
    world.settings.insert("OBSCURA_RESULT_ROWS_MAX".to_owned(), "1".to_owned());
    let met = world.query(TWO_ROWS).must_be(Exit::LimitExceeded);
    assert_eq!(met.out, "");
    for told in ["error[limit-exceeded]", "nothing was released", "narrow the question", "per subject"] {
        assert!(met.err.contains(told), "{}", met.err);
    }
    world.settings.insert("OBSCURA_LANGUAGE".to_owned(), "zh".to_owned());
    let met = world.query(TWO_ROWS).must_be(Exit::LimitExceeded);
    assert!(met.err.contains("上限") && met.err.contains("建议"), "{}", met.err);
    world.settings.remove("OBSCURA_LANGUAGE");
    let job = newest(&mut world);
    assert_eq!((&job["state"], &job["code"]), (&"failed".into(), &"limit-exceeded".into()));
    let id = job["id"].as_str().unwrap();
    let result = world.run(Some("lin"), &["job", "result", id]).must_be(Exit::Failure);
    assert!(result.err.contains("error[limit-exceeded]"), "{}", result.err);
    world.run(Some("lin"), &["job", "watch", id]).must_be(Exit::LimitExceeded);
    // One row is no more than one.
    world.query("select count(*) from hz_health.visits").must_be(Exit::Done);
}

#[test]
fn the_log_and_evidence_say_that_a_job_met_a_limit() {
    let mut world = World::sealed();
    world.settings.insert("OBSCURA_RESULT_ROWS_MAX".to_owned(), "1".to_owned());
    world.query(TWO_ROWS).must_be(Exit::LimitExceeded);
    let id = newest(&mut world)["id"].as_str().unwrap().to_owned();
    let evidence = world.run(Some("lin"), &["job", "evidence", &id]).must_be(Exit::Done).out;
    let file = world.write("evidence.json", &evidence);
    let verified = world.run(None, &["release", "evidence", &file]).must_be(Exit::Done);
    assert!(verified.err.contains("failed (limit-exceeded)"), "{}", verified.err);
    world.run(Some("gu"), &["audit", "verify"]).must_be(Exit::Done);
    // Another reason in the row than in the log is found.
    let database = world.path("data").join("obscura.db");
    let altered = format!("UPDATE job SET code = 'execution-failed' WHERE id = '{id}'");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(altered)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    let found = world.run(Some("gu"), &["audit", "verify"]).must_be(Exit::VerificationFailed);
    let told = format!("{}{}", found.out, found.err);
    assert!(told.contains("another reason for its end"), "{told}");
}
