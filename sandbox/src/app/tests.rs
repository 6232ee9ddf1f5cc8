//! The log settles everything that a killed process leaves behind, at whatever instant it was killed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use obscura_policies::vocabulary::PersonRole;
use serde_json::json;
use sqlx::Connection as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::app::housekeeping::keep_house;
use crate::app::init::Init;
use crate::app::init::init;
use crate::app::log::verify_audit::LogAgainst;
use crate::app::log::verify_audit::LogCopy;
use crate::app::log::verify_audit::reconcile;
use crate::app::log::verify_audit::verify_log;
use crate::app::query::end::Ended;
use crate::app::query::end::Unreleased;
use crate::app::query::end::fail_job;
use crate::app::query::pending;
use crate::app::recover::Recovered;
use crate::app::recover::expire_results;
use crate::app::recover::recover;
use crate::app::recover::settle_jobs;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::event::Change;
use crate::audit::event::RecordChange;
use crate::catalog::OldPages;
use crate::catalog::body;
use crate::catalog::body::Body;
use crate::catalog::body::DocumentBody;
use crate::catalog::body::GrantBody;
use crate::catalog::record::RecordKind;
use crate::catalog::record::RecordState;
use crate::clock::Clock as _;
use crate::clock::SteppedClock;
use crate::clock::SystemRandom;
use crate::config::KeyringSecret;
use crate::config::Language;
use crate::config::Limits;
use crate::config::Settings;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Door;
use crate::context::Person;
use crate::error::AppError;
use crate::error::InternalError;
use crate::ids::JobId;
use crate::ids::PersonId;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::jobs::JobFailure;
use crate::jobs::JobState;
use crate::jobs::QueuedJob;
use crate::jobs::store::NewJob;
use crate::jobs::store::StagedResult;

mod charged;
mod cosigned;
mod epochs;
mod guard_failed;
mod published;
mod replaced;
mod reviews;
mod rotation;
mod truth;

struct World {
    folder: TempDir,
    clock: Arc<SteppedClock>,
    settings: Settings,
}

impl World {
    async fn new() -> (Self, Installation) {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(SteppedClock::at_second(1_800_000_000));
        let settings = Settings {
            data_dir: folder.path().join("data"),
            token_file: None,
            keyring: KeyringSecret::KeyFile(folder.path().join("key")),
            language: Language::En,
            time_zone: TimeZone::UTC,
            limits: Limits {
                memory_bytes_max: 1 << 28,
                timeout: Duration::from_secs(60),
                threads: 1,
                completion_step: Duration::from_millis(1),
                result_rows_max: 100_000,
                result_bytes_max: 64 << 20,
                waiting_bytes_max: 256 << 20,
            },
            result_days: 30,
            review_days: 14,
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            listen_admin: None,
            connections_per_address_max: 128,
            public_url: None,
            tls: None,
            server: None,
            oidc: None,
            witness_keys_file: None,
        };
        let request = Init {
            operator: "operator".parse().unwrap(),
            token_file: folder.path().join("operator.token"),
            door: Door::CommandLine,
        };
        let made =
            init(settings.clone(), Arc::clone(&clock) as _, Arc::new(SystemRandom), request).await.unwrap();
        (Self { folder, clock, settings }, made.installation)
    }

    /// Another process: everything is read anew from disk.
    async fn open(&self) -> Installation {
        let clock = Arc::clone(&self.clock);
        Installation::open(self.settings.clone(), clock as _, Arc::new(SystemRandom)).await.unwrap()
    }
}

/// The document of a department: its kind, its identifier and its text.
const HEALTH: (&str, &str, &str) = (
    "Department",
    "hz-health",
    "api_version: obscura/v1\nkind: Department\n\
         metadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}\nlevel: city\n",
);

/// A person of that department, in one role.
fn caller(role: PersonRole) -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: "shen".parse().unwrap(),
        department: Some("hz-health".to_owned()),
        district: None,
        roles: BTreeSet::from([role]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

/// Puts documents in force as they are.
async fn publish(installation: &Installation, documents: &[(&str, &str, &str)]) {
    for (kind, id, text) in documents {
        let body = DocumentBody {
            kind: (*kind).to_owned(),
            id: (*id).to_owned(),
            version: 1,
            text: (*text).to_owned(),
            published_by: None,
            proposed_by: None,
        };
        installation.begin(&body, Note::new(Action::DocumentPublished, program())).await.unwrap();
    }
}

fn program() -> ActorName {
    ActorName::program(Door::CommandLine)
}

fn grant() -> GrantBody {
    GrantBody {
        id: "grant-1".to_owned(),
        person: "lin".to_owned(),
        text: "kind: Grant".to_owned(),
        granted_by: "shen".to_owned(),
    }
}

fn change(change: Change) -> RecordChange {
    let text = body::print(&grant()).unwrap();
    RecordChange {
        kind: RecordKind::Grant.name().to_owned(),
        key: grant().key(),
        sha256: obscura_crypto::sha256_hex(text.as_bytes()),
        change,
        body: None,
    }
}

async fn state(installation: &Installation) -> Option<RecordState> {
    installation.catalog.record(RecordKind::Grant, "grant-1").await.unwrap().map(|record| record.state)
}

#[tokio::test]
async fn record_whose_event_never_reached_the_log_is_taken_back() {
    let (world, installation) = World::new().await;
    let text = body::print(&grant()).unwrap();
    installation.catalog.stage(RecordKind::Grant, "grant-1", &text).await.unwrap();
    assert!(installation.find_in_force::<GrantBody>("grant-1").await.unwrap().is_none());
    installation.close().await;
    let next = world.open().await;
    assert_eq!(recover(&next).await.unwrap(), Recovered { discarded: 1, ..Recovered::default() });
    assert_eq!(state(&next).await, None);
}

#[tokio::test]
async fn record_whose_event_is_in_the_log_is_put_in_force() {
    let (world, installation) = World::new().await;
    let text = body::print(&grant()).unwrap();
    installation.catalog.stage(RecordKind::Grant, "grant-1", &text).await.unwrap();
    let note = Note::new(Action::GrantCreated, program());
    let receipt = installation.append(vec![(note, Some(change(Change::Begins)))]).await.unwrap().remove(0);
    installation.close().await;
    let next = world.open().await;
    assert_eq!(recover(&next).await.unwrap(), Recovered { completed: 1, ..Recovered::default() });
    assert_eq!(state(&next).await, Some(RecordState::InForce { event_index: receipt.index() }));
    assert_eq!(next.find_in_force::<GrantBody>("grant-1").await.unwrap(), Some(grant()));
}

#[tokio::test]
async fn revocation_in_the_log_counts_from_then_on_even_if_the_row_was_never_changed() {
    let (world, installation) = World::new().await;
    installation.begin(&grant(), Note::new(Action::GrantCreated, program())).await.unwrap();
    installation.catalog.begin_ending(RecordKind::Grant, "grant-1").await.unwrap();
    let note = Note::new(Action::GrantRevoked, program());
    installation.append(vec![(note, Some(change(Change::Ends)))]).await.unwrap();
    assert_eq!(installation.find_in_force::<GrantBody>("grant-1").await.unwrap(), None);
    installation.close().await;
    let next = world.open().await;
    assert_eq!(recover(&next).await.unwrap(), Recovered { completed: 1, ..Recovered::default() });
    assert!(matches!(state(&next).await, Some(RecordState::Ended { .. })));
}

#[tokio::test]
async fn revocation_that_never_reached_the_log_did_not_happen() {
    let (world, installation) = World::new().await;
    installation.begin(&grant(), Note::new(Action::GrantCreated, program())).await.unwrap();
    installation.catalog.begin_ending(RecordKind::Grant, "grant-1").await.unwrap();
    installation.close().await;
    let next = world.open().await;
    recover(&next).await.unwrap();
    assert_eq!(next.find_in_force::<GrantBody>("grant-1").await.unwrap(), Some(grant()));
}

#[tokio::test]
async fn what_a_crash_leaves_is_no_finding_and_what_a_forger_leaves_is() {
    let (world, installation) = World::new().await;
    let text = body::print(&grant()).unwrap();
    installation.catalog.stage(RecordKind::Grant, "grant-1", &text).await.unwrap();
    let layout = installation.layout().clone();
    let verification = verify_log(&LogCopy::of(&layout), &LogAgainst::default()).unwrap();
    assert_eq!(reconcile(&layout, &verification).await.unwrap(), []);
    installation.catalog.confirm(RecordKind::Grant, "grant-1", 1).await.unwrap();
    let found = reconcile(&layout, &verification).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].problem, "the database has it, the log does not");
    drop(world);
}

async fn queued_job(installation: &Installation) -> QueuedJob {
    queued_as(installation, "{}", |decided| decided).await
}

/// A job of lin's that waits for its turn, with this verdict; `more` is what its decision says besides.
async fn queued_as(installation: &Installation, verdict: &str, more: impl FnOnce(Note) -> Note) -> QueuedJob {
    let id = JobId::new(installation.clock.as_ref(), &SystemRandom).unwrap();
    let new = NewJob {
        id,
        person: "lin".to_owned(),
        purpose: "official-statistics".to_owned(),
        door: "test",
        received: installation.now(),
        sql_key: "key".to_owned(),
        repeatable: None,
    };
    let received = installation.jobs.receive(new).await.unwrap();
    let lin = ActorName { id: None, name: "lin".to_owned(), door: "test".to_owned(), address: None };
    let note = Note::new(Action::QueryDecided, lin).of_job(id).with("purpose", "official-statistics");
    let decided = installation.append_one(more(note.with("decision", "admitted"))).await.unwrap();
    installation.jobs.queue(received, verdict, "{}", &decided).await.unwrap()
}

async fn running_job(installation: &Installation) -> JobId {
    let queued = queued_job(installation).await;
    let id = queued.id();
    let running = installation.jobs.run(queued).await.unwrap();
    let result = StagedResult { sha256: "00".to_owned(), key: "key".to_owned(), release: "{}".to_owned() };
    installation.jobs.check(running, &result).await.unwrap();
    id
}

async fn job_state(installation: &Installation, id: JobId) -> JobState {
    installation.jobs.job(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn job_of_a_dead_process_has_failed_unless_its_release_was_logged() {
    let (world, installation) = World::new().await;
    let lost = running_job(&installation).await;
    let released = running_job(&installation).await;
    let note = Note::new(Action::ResultReleased, program()).of_job(released).with("result_sha256", "00");
    installation.append_one(note).await.unwrap();
    drop(installation);
    let next = world.open().await;
    let expected = Recovered { jobs_released: 1, jobs_failed: 1, ..Recovered::default() };
    assert_eq!(recover(&next).await.unwrap(), expected);
    assert_eq!(job_state(&next, lost).await, JobState::Failed);
    assert_eq!(job_state(&next, released).await, JobState::Released);
    assert_eq!(recover(&next).await.unwrap(), Recovered::default(), "once is enough");
}

#[tokio::test]
async fn release_of_another_table_does_not_settle_a_job() {
    let (world, installation) = World::new().await;
    let job = running_job(&installation).await;
    let note = Note::new(Action::ResultReleased, program()).of_job(job).with("result_sha256", "11");
    installation.append_one(note).await.unwrap();
    drop(installation);
    let next = world.open().await;
    recover(&next).await.unwrap();
    assert_eq!(job_state(&next, job).await, JobState::Failed);
}

#[tokio::test]
async fn a_job_that_was_dropped_is_settled_while_its_process_lives() {
    let (world, installation) = World::new().await;
    let job = running_job(&installation).await;
    let in_hand = installation.jobs.hold(job);
    let mut recovered = Recovered::default();
    settle_jobs(&installation, Door::Http, &mut recovered).await.unwrap();
    assert_eq!(recovered, Recovered::default());
    drop(in_hand);
    settle_jobs(&installation, Door::Http, &mut recovered).await.unwrap();
    assert_eq!(recovered, Recovered { jobs_failed: 1, ..Recovered::default() });
    assert_eq!(job_state(&installation, job).await, JobState::Failed);
    assert_eq!(door_of_newest_failure(&installation), "http");
    drop(world);
}

/// The door of the entry that is the log's last, a failure of a job.
fn door_of_newest_failure(installation: &Installation) -> String {
    let size = installation.audit.checkpoint().unwrap().checkpoint.size();
    let event = installation.audit.event(size - 1).unwrap();
    assert_eq!((event.action.as_str(), event.actor.name.as_str()), ("job.failed", "obscura"));
    event.actor.door
}

#[tokio::test]
async fn a_job_that_breaks_is_logged_as_the_doors_that_it_was_asked_at() {
    let (world, installation) = World::new().await;
    for door in [Door::Http, Door::CommandLine] {
        let queued = queued_job(&installation).await;
        let (id, caller) = (queued.id(), Caller::stranger(door));
        let broken = AppError::Internal(InternalError::of_kind("run a query", "it broke"));
        let unreleased = Unreleased::of(&installation, &caller, &queued);
        unreleased.end(Ended::broken(broken), installation.now()).await.unwrap();
        assert_eq!(job_state(&installation, id).await, JobState::Failed);
        assert_eq!(door_of_newest_failure(&installation), door.name());
    }
    drop(world);
}

#[tokio::test]
async fn a_row_that_says_it_waits_is_judged_again_by_no_word_but_the_logs() {
    let (world, installation) = World::new().await;
    let id = running_job(&installation).await;
    let alter = |change: &str| {
        let statement = format!("UPDATE job SET {change} WHERE id = '{id}'");
        let pool = installation.catalog.pool().clone();
        async move { sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap() }
    };
    alter("state = 'pending_approval'").await;
    let size = || installation.audit.checkpoint().unwrap().checkpoint.size();
    let before = size();
    let row = installation.jobs.job(id).await.unwrap().unwrap();
    assert!(pending::resume(&installation, &row).await.is_err());
    let waiting = Note::new(Action::QueryPending, program()).of_job(id);
    let late = installation.append_one(waiting).await.unwrap();
    alter(&format!("decided_index = {}", late.index())).await;
    let row = installation.jobs.job(id).await.unwrap().unwrap();
    assert!(pending::resume(&installation, &row).await.is_err(), "it waits for somebody else");
    assert_eq!((size(), job_state(&installation, id).await), (before + 1, JobState::PendingApproval));
    drop(world);
}

#[tokio::test]
async fn job_of_a_living_process_is_left_alone() {
    let (world, installation) = World::new().await;
    let job = running_job(&installation).await;
    let other = world.open().await;
    assert_eq!(recover(&other).await.unwrap(), Recovered::default());
    assert_eq!(job_state(&other, job).await, JobState::Checking);
}

/// A job with a file in the place of its sealed result.
async fn released_job(world: &World, installation: &Installation) -> (JobId, PathBuf) {
    let job = running_job(installation).await;
    let file = installation.layout().results().join(format!("{job}.sealed"));
    std::fs::write(&file, "sealed").unwrap();
    let note = Note::new(Action::ResultReleased, program()).of_job(job).with("result_sha256", "00");
    let receipt = installation.append_one(note).await.unwrap();
    let released = (JobState::Released, None);
    installation.jobs.settle(job, released, receipt.index(), world.clock.now()).await.unwrap();
    (job, file)
}

#[tokio::test]
async fn results_are_forgotten_when_their_time_is_over_and_not_before() {
    let (world, installation) = World::new().await;
    let (job, file) = released_job(&world, &installation).await;
    world.clock.advance_ms(29 * 24 * 3_600_000);
    assert_eq!(expire_results(&installation).await.unwrap(), 0);
    world.clock.advance_ms(2 * 24 * 3_600_000);
    assert_eq!(expire_results(&installation).await.unwrap(), 1);
    assert!(!file.exists());
    assert_eq!(installation.jobs.job(job).await.unwrap().unwrap().result_key, None);
}

#[tokio::test]
async fn events_of_a_record_carry_its_body_and_queries_carry_no_sql() {
    let (world, installation) = World::new().await;
    installation.begin(&grant(), Note::new(Action::GrantCreated, program())).await.unwrap();
    let newest = installation.audit.newest_change().unwrap().unwrap();
    let event = installation.audit.event(newest).unwrap();
    assert_eq!(
        event.record.unwrap().body,
        Some(json!({
            "granted_by": "shen", "id": "grant-1", "person": "lin", "text": "kind: Grant"
        }))
    );
    assert_eq!(event.detail, BTreeMap::new());
    drop(world.folder);
}

#[tokio::test]
async fn keyring_of_another_installation_does_not_open_this_one() {
    let (world, installation) = World::new().await;
    let (stranger, strange) = World::new().await;
    installation.close().await;
    strange.close().await;
    std::fs::copy(stranger.folder.path().join("data/keyring"), world.folder.path().join("data/keyring"))
        .unwrap();
    std::fs::copy(stranger.folder.path().join("key"), world.folder.path().join("key")).unwrap();
    let clock = Arc::clone(&world.clock);
    let opened = Installation::open(world.settings.clone(), clock as _, Arc::new(SystemRandom)).await;
    assert_eq!(opened.unwrap_err().public().code(), "audit-key-foreign");
}

#[tokio::test]
async fn a_serving_process_forgets_results_whose_time_is_over_while_it_serves() {
    let (world, installation) = World::new().await;
    let (job, file) = released_job(&world, &installation).await;
    let installation = Arc::new(installation);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let serving = keep_house(Arc::clone(&installation), Duration::from_millis(5), stopping);
    let watching = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..10 {
            looks.tick().await;
            assert!(file.exists(), "its time is not over");
        }
        world.clock.advance_ms(31 * 24 * 3_600_000);
        while file.exists() {
            looks.tick().await;
        }
        stop.send_replace(true);
    };
    let both = async { tokio::join!(serving, watching) };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert_eq!(job_state(&installation, job).await, JobState::Expired);
}

#[tokio::test]
async fn a_serving_process_clears_the_pages_of_a_forgotten_key_once_nobody_reads_them() {
    let (world, installation) = World::new().await;
    let job = running_job(&installation).await;
    fail_job(&installation, Door::CommandLine, job, JobFailure::Interrupted, installation.now())
        .await
        .unwrap();
    let options = SqliteConnectOptions::new().filename(installation.layout().database());
    let mut reader = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT * FROM job").fetch_all(&mut reader).await.unwrap();
    installation.jobs.forget_question(job, None).await.unwrap();
    assert_eq!(installation.catalog.clear_old_pages().await.unwrap(), OldPages::Held);
    let pages = world.folder.path().join("data/obscura.db-wal");
    assert_ne!(std::fs::metadata(&pages).unwrap().len(), 0);
    reader.close().await.unwrap();
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let serving = keep_house(Arc::new(installation), Duration::from_millis(5), stopping);
    let watching = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while std::fs::metadata(&pages).unwrap().len() > 0 {
            looks.tick().await;
        }
        stop.send_replace(true);
    };
    let both = async { tokio::join!(serving, watching) };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
}
