//! No job ends without its own receipt, and none is lost with the process that ran it.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_crypto::sign::Signer;
use sqlx::Executor as _;
use tempfile::TempDir;

use super::*;
use crate::audit::AuditLog;
use crate::audit::event::ActorName;
use crate::audit::event::Event;
use crate::catalog::Catalog;
use crate::catalog::Missing;
use crate::clock::Clock as _;
use crate::clock::SteppedClock;
use crate::clock::SystemRandom;
use crate::ids::EventId;
use crate::jobs::store::Jobs;
use crate::jobs::store::NewJob;
use crate::jobs::store::Repeatable;
use crate::jobs::store::StagedResult;

struct World {
    folder: TempDir,
    clock: SteppedClock,
    log: AuditLog,
    catalog: Catalog,
    jobs: Jobs,
}

fn keyring(folder: &TempDir) -> LocalKeyring {
    let (file, keyring) = (folder.path().join("key"), folder.path().join("keyring"));
    if keyring.exists() {
        return LocalKeyring::open(&keyring, &Secret::KeyFile(KeyFile::open(&file).unwrap())).unwrap();
    }
    LocalKeyring::create(&keyring, &Secret::KeyFile(KeyFile::create(&file).unwrap())).unwrap()
}

async fn jobs(folder: &TempDir, clock: &SteppedClock) -> Jobs {
    let catalog = Catalog::open(&folder.path().join("obscura.db"), Missing::Create).await.unwrap();
    let keys = keyring(folder);
    Jobs::open(catalog, &folder.path().join("running"), &keys, clock, &SystemRandom).unwrap()
}

async fn world() -> World {
    let folder = TempDir::new().unwrap();
    let clock = SteppedClock::at_second(1_800_000_000);
    let log = AuditLog::create(&folder.path().join("audit"), Signer::generate("test").unwrap()).unwrap();
    let catalog = Catalog::open(&folder.path().join("obscura.db"), Missing::Create).await.unwrap();
    let jobs = jobs(&folder, &clock).await;
    World { folder, clock, log, catalog, jobs }
}

impl World {
    fn receipt(&self, action: Action, job: JobId) -> Receipt {
        let event = Event {
            id: EventId::new(&self.clock, &SystemRandom).unwrap(),
            time: self.clock.now(),
            action,
            actor: ActorName { id: None, name: "obscura".to_owned(), door: "test".to_owned(), address: None },
            correlation: Some(job.to_string()),
            record: None,
            detail: std::collections::BTreeMap::new(),
        };
        self.log.append(vec![event]).unwrap().remove(0)
    }

    fn new_job(&self, person: &str) -> NewJob {
        NewJob {
            id: JobId::new(&self.clock, &SystemRandom).unwrap(),
            person: person.to_owned(),
            purpose: "statistics".to_owned(),
            door: "test",
            received: self.clock.now(),
            sql_key: "key".to_owned(),
            repeatable: None,
        }
    }

    async fn received(&self) -> ReceivedJob {
        self.jobs.receive(self.new_job("lin")).await.unwrap()
    }

    async fn running(&self) -> RunningJob {
        let job = self.received().await;
        let decided = self.receipt(Action::QueryDecided, job.id());
        let queued = self.jobs.queue(job, "{}", "{}", &decided).await.unwrap();
        self.jobs.run(queued).await.unwrap()
    }

    async fn state(&self, job: JobId) -> JobState {
        self.jobs.job(job).await.unwrap().unwrap().state
    }
}

fn result() -> StagedResult {
    StagedResult { sha256: "00".to_owned(), key: "key".to_owned(), release: "{}".to_owned() }
}

#[tokio::test]
async fn released_job_has_its_receipt_and_its_result() {
    let world = world().await;
    let job = world.running().await;
    let id = job.id();
    let job = world.jobs.check(job, &result()).await.unwrap();
    let released = world.receipt(Action::ResultReleased, id);
    world.jobs.release(job, &released, world.clock.now()).await.unwrap();
    let row = world.jobs.job(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.finished_index), (JobState::Released, Some(released.index())));
    assert_eq!(row.result_sha256.as_deref(), Some("00"));
}

#[tokio::test]
async fn receipt_of_another_job_or_another_step_ends_nothing() {
    let world = world().await;
    let other = world.received().await;
    let job = world.received().await;
    let foreign = world.receipt(Action::QueryDecided, other.id());
    let id = job.id();
    assert!(matches!(world.jobs.queue(job, "{}", "{}", &foreign).await, Err(JobError::ForeignReceipt)));
    let job = world.jobs.check(world.running().await, &result()).await.unwrap();
    let wrong_step = world.receipt(Action::QueryExecuted, job.id());
    let refused = world.jobs.release(job, &wrong_step, world.clock.now()).await;
    assert!(matches!(refused, Err(JobError::ForeignReceipt)));
    assert_eq!(world.state(id).await, JobState::Received);
}

#[tokio::test]
async fn job_that_is_cancelled_while_it_is_checked_keeps_no_result() {
    let world = world().await;
    let job = world.jobs.check(world.running().await, &result()).await.unwrap();
    let cancelled = world.receipt(Action::JobCancelled, job.id());
    world.jobs.cancel(job.id(), Some("why"), &cancelled, world.clock.now()).await.unwrap();
    let row = world.jobs.job(job.id()).await.unwrap().unwrap();
    assert_eq!((row.state, row.code.as_deref()), (JobState::Cancelled, Some("why")));
    assert_eq!((row.result_sha256, row.result_key, row.release), (None, None, None));
    let released = world.receipt(Action::ResultReleased, job.id());
    let late = world.jobs.release(job, &released, world.clock.now()).await;
    assert!(matches!(late, Err(JobError::WrongState)));
}

#[tokio::test]
async fn request_that_is_repeated_is_found_and_makes_no_second_job() {
    let world = world().await;
    let repeatable = Repeatable { key: "k".to_owned(), request: "select 1".to_owned() };
    let new = |person: &str| NewJob { repeatable: Some(repeatable.clone()), ..world.new_job(person) };
    let first = world.jobs.receive(new("lin")).await.unwrap();
    assert!(matches!(world.jobs.receive(new("lin")).await, Err(JobError::Repeated)));
    world.jobs.receive(new("wang")).await.unwrap();
    let found = world.jobs.job_of_request("lin", "k").await.unwrap().unwrap();
    assert_eq!(found.id, first.id());
    assert!(world.jobs.is_of_request(&found, &repeatable));
    let other = Repeatable { request: "select 2".to_owned(), ..repeatable };
    assert!(!world.jobs.is_of_request(&found, &other));
    assert_eq!(world.jobs.job_of_request("lin", "other").await.unwrap(), None);
}

#[tokio::test]
async fn jobs_of_a_dead_process_are_found_and_those_of_a_living_one_are_not() {
    let world = world().await;
    let mine = world.running().await;
    let other_process = jobs(&world.folder, &world.clock).await;
    assert_eq!(other_process.abandoned().await.unwrap(), [], "the first process still lives");
    let id = mine.id();
    let World { folder, clock, log, catalog, jobs: first } = world;
    drop(first);
    let abandoned = other_process.abandoned().await.unwrap();
    assert_eq!(abandoned.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    drop((folder, clock, log, catalog));
}

#[tokio::test]
async fn a_job_that_was_dropped_is_abandoned_and_one_in_hand_is_not() {
    let world = world().await;
    let job = world.running().await;
    let (hold, again) = (world.jobs.hold(job.id()), world.jobs.hold(job.id()));
    drop(hold);
    assert_eq!(world.jobs.abandoned().await.unwrap(), []);
    drop(again);
    assert_eq!(world.jobs.abandoned().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_row_is_the_job_of_nobody_that_it_was_not_marked_for() {
    let world = world().await;
    let id = world.running().await.id();
    for (change, back) in [
        ("person = 'he'", "person = 'lin'"),
        ("purpose = 'urban-planning'", "purpose = 'statistics'"),
        ("received_ms = received_ms + 1", "received_ms = received_ms - 1"),
        ("idempotency_key = 'k', request_token = 'k'", "idempotency_key = NULL, request_token = NULL"),
    ] {
        let alter = async |change: &str| {
            let statement = sqlx::AssertSqlSafe(format!("UPDATE job SET {change}"));
            sqlx::query(statement).execute(world.catalog.pool()).await.unwrap();
        };
        assert!(world.jobs.job(id).await.unwrap().is_some());
        alter(change).await;
        assert_eq!(world.jobs.job(id).await.unwrap(), None, "{change}");
        assert_eq!(world.jobs.jobs(None, None, 9).await.unwrap(), [], "{change}");
        assert_eq!(world.jobs.abandoned().await.unwrap(), [], "{change}");
        alter(back).await;
    }
}

#[tokio::test]
async fn what_a_row_quotes_is_sealed_and_opens_in_its_place_alone() {
    let world = world().await;
    let [one, other] = [world.received().await, world.received().await];
    let ids = [one.id(), other.id()];
    for job in [one, other] {
        let decided = world.receipt(Action::QueryDecided, job.id());
        world
            .jobs
            .queue(job, "{\"sql\":\"rare disease\"}", "{\"before\":\"rare plan\"}", &decided)
            .await
            .unwrap();
    }
    let row = world.jobs.job(ids[0]).await.unwrap().unwrap();
    assert_eq!(row.verdict.as_deref(), Some("{\"sql\":\"rare disease\"}"));
    let plan = world.jobs.plan(ids[0]).await.unwrap();
    assert_eq!(plan.as_deref(), Some("{\"before\":\"rare plan\"}"));
    for name in ["obscura.db", "obscura.db-wal"] {
        let bytes = std::fs::read(world.folder.path().join(name)).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"rare"), "{name}");
    }
    let pool = world.catalog.pool();
    pool.execute("UPDATE job SET verdict = (SELECT max(verdict) FROM job)").await.unwrap();
    let opened = [world.jobs.job(ids[0]).await, world.jobs.job(ids[1]).await];
    assert_eq!(opened.iter().filter(|job| matches!(job, Err(JobError::Text))).count(), 1);
}

#[tokio::test]
async fn ended_job_stays_ended() {
    let world = world().await;
    let job = world.received().await;
    let id = job.id();
    let decided = world.receipt(Action::QueryDecided, id);
    world.jobs.refuse(job, "row-level-output", "{}", &decided, world.clock.now()).await.unwrap();
    let failed = world.receipt(Action::JobFailed, id);
    assert!(matches!(world.jobs.fail(id, "x", &failed, world.clock.now()).await, Err(JobError::WrongState)));
    assert_eq!(world.state(id).await, JobState::Refused);
}

#[test]
fn every_state_reads_back_from_its_word() {
    for state in JobState::ALL {
        assert_eq!(JobState::from_name(state.name()), Some(state));
    }
}
