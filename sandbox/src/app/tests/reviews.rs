//! Reviews of results: who may decide, what the decisions come to, and that a process may be killed at any instant of it.

use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::people::authenticate::in_absence;
use crate::app::reviews::conclude::EXPIRED;
use crate::app::reviews::conclude::REJECTED;
use crate::app::reviews::conclude::RETURNED;
use crate::app::reviews::conclude::cancel_in_review;
use crate::app::reviews::conclude::settle_reviews;
use crate::app::reviews::decide::DecideReview;
use crate::app::reviews::decide::decide_review;
use crate::app::reviews::list_reviews::list_reviews;
use crate::app::reviews::logged::ReviewOutcome;
use crate::app::reviews::of_job::review_of_job;
use crate::app::reviews::show_review::show_review;
use crate::catalog::body::PersonBody;
use crate::catalog::body::ReviewBody;
use crate::catalog::body::ReviewDecisionBody;
use crate::context::Person;
use crate::ids::PersonId;
use crate::jobs::CheckingJob;
use crate::jobs::JobRow;

const VERDICT: &str = r#"{"decision":"admitted","findings":[],"rewrites":[],"output":[],"controls":null,"budget":null,
    "cost":"S","policy":[{"id":"hz-health.visits","version":1,"sha256":"00"}]}"#;

/// A release record as it names its table, before its signature.
const RECORD: &str = "{\"result_sha256\":\"00\"}\n\nsigned";

async fn add(installation: &Installation, name: &str, roles: &[PersonRole], department: &str) {
    let person = Person {
        id: PersonId::new(installation.clock.as_ref(), &SystemRandom).unwrap(),
        name: name.parse().unwrap(),
        department: Some(department.to_owned()),
        district: None,
        roles: roles.iter().copied().collect(),
    };
    let note = Note::new(Action::PersonAdded, program());
    installation.begin(&PersonBody::of(&person, None), note).await.unwrap().unwrap();
}

/// Two stewards, one of another department, an analyst, and the person who asks, who is a steward too.
async fn world() -> (World, Installation) {
    let (world, installation) = World::new().await;
    for (name, roles, department) in [
        ("shen", &[PersonRole::Steward][..], "hz-health"),
        ("gu", &[PersonRole::Steward], "hz-health"),
        ("tao", &[PersonRole::Steward], "hz-tax"),
        ("wang", &[PersonRole::Analyst], "hz-health"),
        ("lin", &[PersonRole::Analyst, PersonRole::Steward], "hz-health"),
    ] {
        add(&installation, name, roles, department).await;
    }
    (world, installation)
}

async fn caller(installation: &Installation, name: &str) -> Caller {
    in_absence(installation, name, Door::Http).await.unwrap().unwrap()
}

/// A job of lin's whose result lies sealed, as far as anybody can see.
async fn checking(installation: &Installation, reviewers: u8) -> CheckingJob {
    let queued = queued_as(installation, VERDICT, |note| note.with("reviewers", reviewers)).await;
    let id = queued.id();
    let running = installation.jobs.run(queued).await.unwrap();
    let result = StagedResult { sha256: "00".to_owned(), key: "key".to_owned(), release: RECORD.to_owned() };
    std::fs::write(file(installation, id), "sealed").unwrap();
    installation.jobs.check(running, &result).await.unwrap()
}

fn file(installation: &Installation, job: JobId) -> PathBuf {
    installation.layout().results().join(format!("{job}.sealed"))
}

fn review(job: JobId, reviewers: u8) -> ReviewBody {
    ReviewBody { job: job.to_string(), person: "lin".to_owned(), reviewers }
}

fn awaited(job: JobId, reviewers: u8) -> Note {
    let note = Note::new(Action::ReviewAwaited, program()).of_job(job).with("reviewers", reviewers);
    note.with("release_sha256", obscura_crypto::sha256_hex(RECORD.as_bytes()))
}

/// A job of lin's that waits for so many reviewers.
async fn in_review(installation: &Installation, reviewers: u8) -> JobId {
    let job = checking(installation, reviewers).await;
    let id = job.id();
    let receipt = installation.begin(&review(id, reviewers), awaited(id, reviewers)).await.unwrap().unwrap();
    installation.jobs.await_review(job, &receipt).await.unwrap();
    id
}

async fn row(installation: &Installation, job: JobId) -> JobRow {
    installation.jobs.job(job).await.unwrap().unwrap()
}

#[expect(clippy::panic, reason = "tests may panic")]
async fn decide(
    installation: &Installation,
    name: &str,
    job: JobId,
    outcome: ReviewOutcome,
) -> Result<JobState, &'static str> {
    let wish = DecideReview { outcome, comment: Some(format!("{name} says so")) };
    let decided = decide_review(installation, &caller(installation, name).await, job, wish).await;
    decided.map_err(|error| match error {
        AppError::Public(error) => {
            let known = ["review-decided", "review-over", "not-oneself", "job-not-found", "role-missing"];
            known.into_iter().find(|code| *code == error.code()).unwrap()
        }
        AppError::Internal(error) => panic!("{error:?}"),
    })
}

/// A decision whose process was killed before anything followed from it.
async fn only_logged(installation: &Installation, name: &str, job: JobId, outcome: &str) {
    let body =
        ReviewDecisionBody { job: job.to_string(), reviewer: name.to_owned(), outcome: outcome.to_owned() };
    let actor = ActorName::of(&caller(installation, name).await);
    let note = Note::new(Action::ReviewDecided, actor).of_job(job).with("outcome", outcome);
    installation.begin(&body, note).await.unwrap().unwrap();
}

/// Asserts that database and log agree, and that nothing of the result is left.
async fn stays_in(installation: &Installation, job: JobId, code: &str) {
    let row = row(installation, job).await;
    assert_eq!((row.state, row.code.as_deref()), (JobState::Withheld, Some(code)));
    assert_eq!((row.result_key, row.result_sha256, row.release), (None, None, None));
    assert!(!file(installation, job).exists(), "its bytes are gone");
    assert_eq!(problems(installation).await, []);
}

async fn problems(installation: &Installation) -> Vec<(String, &'static str)> {
    let layout = installation.layout();
    let verification = verify_log(&LogCopy::of(layout), &LogAgainst::default()).unwrap();
    let mut told: Vec<(String, &'static str)> = Vec::new();
    for (job, story) in verification.stories.all() {
        told.extend(story.impossible.map(|why| (job.to_owned(), why)));
    }
    let found = reconcile(layout, &verification).await.unwrap();
    told.extend(found.into_iter().map(|it| (it.key, it.problem)));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn only_stewards_of_the_data_decide_and_each_once() {
    let (_world, installation) = world().await;
    let job = in_review(&installation, 2).await;
    for (name, code) in [("wang", "role-missing"), ("tao", "job-not-found"), ("lin", "not-oneself")] {
        assert_eq!(decide(&installation, name, job, ReviewOutcome::Approved).await, Err(code), "{name}");
    }
    assert_eq!(decide(&installation, "shen", job, ReviewOutcome::Approved).await, Ok(JobState::InReview));
    for outcome in ReviewOutcome::ALL {
        assert_eq!(decide(&installation, "shen", job, outcome).await, Err("review-decided"));
    }
    assert_eq!(decide(&installation, "gu", job, ReviewOutcome::Returned).await, Ok(JobState::Withheld));
    stays_in(&installation, job, RETURNED).await;
    add(&installation, "ma", &[PersonRole::Steward], "hz-health").await;
    assert_eq!(decide(&installation, "ma", job, ReviewOutcome::Approved).await, Err("review-over"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_blind_to_each_other_until_all_have_decided() {
    let (_world, installation) = world().await;
    let job = in_review(&installation, 2).await;
    let (shen, gu) = (caller(&installation, "shen").await, caller(&installation, "gu").await);
    let before = list_reviews(&installation, &gu, None, 9).await.unwrap().reviews;
    decide(&installation, "shen", job, ReviewOutcome::Rejected).await.unwrap();
    let after = list_reviews(&installation, &gu, None, 9).await.unwrap().reviews;
    assert_eq!(before, after, "one who has decided changes nothing for the other");
    let own = list_reviews(&installation, &shen, None, 9).await.unwrap().reviews;
    assert_eq!(own[0].own, Some(ReviewOutcome::Rejected));
    let lin = caller(&installation, "lin").await;
    let told = review_of_job(&installation, &lin, &row(&installation, job).await).await.unwrap().unwrap();
    assert_eq!((told.comments.len(), told.until.is_some()), (0, true), "nor does the asker learn of it");
    decide(&installation, "gu", job, ReviewOutcome::Approved).await.unwrap();
    stays_in(&installation, job, REJECTED).await;
    let told = review_of_job(&installation, &lin, &row(&installation, job).await).await.unwrap().unwrap();
    assert_eq!(told.comments, ["shen says so", "gu says so"]);
    assert!(list_reviews(&installation, &gu, None, 9).await.unwrap().reviews.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_nobody_looks_at_stays_in() {
    let (world, installation) = world().await;
    let job = in_review(&installation, 1).await;
    world.clock.advance_ms(14 * 24 * 60 * 60 * 1000);
    settle_reviews(&installation, Door::Http).await.unwrap();
    assert_eq!(job_state(&installation, job).await, JobState::InReview, "its last moment is not over");
    world.clock.advance_ms(1_001);
    assert_eq!(decide(&installation, "shen", job, ReviewOutcome::Approved).await, Err("review-over"));
    stays_in(&installation, job, EXPIRED).await;
    let other = in_review(&installation, 2).await;
    decide(&installation, "shen", other, ReviewOutcome::Approved).await.unwrap();
    world.clock.advance_ms(15 * 24 * 60 * 60 * 1000);
    recover(&installation).await.unwrap();
    stays_in(&installation, other, EXPIRED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_account_let_out_does_not_leave() {
    let (_world, installation) = world().await;
    let job = in_review(&installation, 2).await;
    decide(&installation, "shen", job, ReviewOutcome::Approved).await.unwrap();
    let shen = installation.find_in_force::<PersonBody>("shen").await.unwrap().unwrap();
    installation.end(&shen, Note::new(Action::PersonRemoved, program())).await.unwrap();
    assert_eq!(decide(&installation, "gu", job, ReviewOutcome::Approved).await, Ok(JobState::InReview));
    add(&installation, "ma", &[PersonRole::Steward], "hz-health").await;
    // The question itself is not there to be judged again: its asker is removed before it comes to that.
    let lin = installation.find_in_force::<PersonBody>("lin").await.unwrap().unwrap();
    installation.end(&lin, Note::new(Action::PersonRemoved, program())).await.unwrap();
    assert_eq!(decide(&installation, "ma", job, ReviewOutcome::Approved).await, Ok(JobState::Cancelled));
    let row = row(&installation, job).await;
    assert_eq!((row.code.as_deref(), row.result_key), (Some("no-longer-allowed"), None));
    assert!(!file(&installation, job).exists());
    assert_eq!(problems(&installation).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_takes_back_what_waits_and_nothing_else() {
    let (_world, installation) = world().await;
    let job = in_review(&installation, 1).await;
    let (lin, wang) = (caller(&installation, "lin").await, caller(&installation, "wang").await);
    assert!(!cancel_in_review(&installation, &wang, job).await.unwrap());
    assert!(cancel_in_review(&installation, &lin, job).await.unwrap());
    assert!(!cancel_in_review(&installation, &lin, job).await.unwrap());
    assert_eq!(job_state(&installation, job).await, JobState::Cancelled);
    assert!(!file(&installation, job).exists());
    assert_eq!(decide(&installation, "shen", job, ReviewOutcome::Approved).await, Err("review-over"));
    assert_eq!(problems(&installation).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_may_be_killed_at_any_instant_of_a_review() {
    let (world, installation) = world().await;
    // Killed before the log lets it wait; and after, before the row does.
    let lost = checking(&installation, 1).await.id();
    let waiting = checking(&installation, 1).await.id();
    installation.begin(&review(waiting, 1), awaited(waiting, 1)).await.unwrap().unwrap();
    // Killed after a decision was staged, and after it was logged.
    let staged = in_review(&installation, 1).await;
    let body = ReviewDecisionBody {
        job: staged.to_string(),
        reviewer: "shen".to_owned(),
        outcome: "approved".to_owned(),
    };
    let text = body::print(&body).unwrap();
    installation.catalog.stage(RecordKind::ReviewDecision, &body.key(), &text).await.unwrap();
    let decided = in_review(&installation, 2).await;
    only_logged(&installation, "gu", decided, "rejected").await;
    only_logged(&installation, "shen", decided, "approved").await;
    // Killed after an end was logged, before its row was written.
    let withheld = in_review(&installation, 1).await;
    only_logged(&installation, "shen", withheld, "returned").await;
    let note = Note::new(Action::ResultWithheld, program()).of_job(withheld).with("code", RETURNED);
    installation.end(&review(withheld, 1), note).await.unwrap();
    let released = in_review(&installation, 1).await;
    only_logged(&installation, "shen", released, "approved").await;
    let note = Note::new(Action::ResultReleased, program()).of_job(released).with("result_sha256", "00");
    installation.end(&review(released, 1), note).await.unwrap();
    drop(installation);
    let next = world.open().await;
    recover(&next).await.unwrap();
    assert_eq!(job_state(&next, lost).await, JobState::Failed);
    assert_eq!(job_state(&next, waiting).await, JobState::InReview);
    assert_eq!(job_state(&next, staged).await, JobState::InReview);
    stays_in(&next, decided, REJECTED).await;
    stays_in(&next, withheld, RETURNED).await;
    let row = row(&next, released).await;
    assert_eq!((row.state, row.result_key.as_deref()), (JobState::Released, Some("key")));
    assert!(file(&next, released).exists());
    // What never reached the log did not happen: the same person decides now.
    assert_eq!(decide(&next, "shen", staged, ReviewOutcome::Rejected).await, Ok(JobState::Withheld));
    assert_eq!(recover(&next).await.unwrap(), Recovered::default(), "once is enough");
    assert_eq!(problems(&next).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_events_count_for_nothing() {
    let (world, installation) = world().await;
    let alter = async |sql: String| {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(installation.catalog.pool()).await.unwrap();
    };
    let (shen, gu) = (caller(&installation, "shen").await, caller(&installation, "gu").await);
    // A row that says it waits.
    let forged = checking(&installation, 1).await.id();
    alter(format!("UPDATE job SET state = 'in_review', review_index = 3 WHERE id = '{forged}'")).await;
    assert!(list_reviews(&installation, &shen, None, 9).await.unwrap().reviews.is_empty());
    assert!(show_review(&installation, &shen, forged).await.is_err());
    assert_eq!(decide(&installation, "shen", forged, ReviewOutcome::Approved).await, Err("job-not-found"));
    // A decision that somebody wrote into the database.
    let job = in_review(&installation, 2).await;
    for (name, index) in [("shen", 4), ("gu", 5)] {
        let body = format!(r#"{{"job":"{job}","outcome":"approved","reviewer":"{name}"}}"#);
        alter(format!(
            "INSERT INTO record (kind, key, body, state, event_index) \
             VALUES ('review-decision', '{job}/{name}', '{body}', 'in_force', {index})"
        ))
        .await;
    }
    settle_reviews(&installation, Door::Http).await.unwrap();
    assert_eq!(job_state(&installation, job).await, JobState::InReview);
    assert_eq!(list_reviews(&installation, &gu, None, 9).await.unwrap().reviews[0].own, None);
    // One against the result that somebody took out of it.
    let turned_down = in_review(&installation, 2).await;
    decide(&installation, "shen", turned_down, ReviewOutcome::Rejected).await.unwrap();
    alter(format!("DELETE FROM record WHERE key = '{turned_down}/shen'")).await;
    assert_eq!(
        decide(&installation, "shen", turned_down, ReviewOutcome::Approved).await,
        Err("review-decided")
    );
    assert_eq!(
        decide(&installation, "gu", turned_down, ReviewOutcome::Approved).await,
        Ok(JobState::Withheld)
    );
    // A row that says it was released.
    let taken = in_review(&installation, 1).await;
    alter(format!(
        "UPDATE job SET state = 'released', finished_index = 1, finished_ms = 1 WHERE id = '{taken}'"
    ))
    .await;
    let told = problems(&installation).await;
    for job in [forged, taken] {
        assert!(told.iter().any(|(key, _)| *key == job.to_string()), "{told:?}");
    }
    assert!(told.iter().any(|(key, _)| *key == format!("{job}/shen")), "{told:?}");
    drop(world);
}
