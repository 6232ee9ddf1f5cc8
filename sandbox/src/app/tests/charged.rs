//! Budgets outlive everything: a kill at any instruction, rows that are gone or altered, jobs that fail, and askers who come
//! at the same time. The charges come from the seam behind the guard, which prices a question; all else is the product's.

use std::collections::BTreeSet;

use obscura_policies::document::PrivacyBudget;
use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::query::charging::Charging;
use crate::app::query::charging::Price;
use crate::app::query::charging::reserve_priced;
use crate::app::query::charging::totals_of;
use crate::audit::Receipt;
use crate::budgets::Charged;
use crate::catalog::body::ChargeBody;
use crate::context::Credential;
use crate::context::Person;
use crate::ids::PersonId;
use crate::installation::charges::Reserved;

const DATASET: &str = "hz-health.visits";

fn budget() -> PrivacyBudget {
    PrivacyBudget { epsilon: 2.0, delta: 1e-8, per_query_max: 0.5, period_days: 90 }
}

/// A third of a share, so that three questions fit and a fourth does not.
fn third() -> u64 {
    totals_of(&budget()).share / 3
}

fn price(dataset: &str, grant: &str, held: &[&str]) -> Price {
    Price {
        dataset: dataset.parse().unwrap(),
        grant: grant.to_owned(),
        budget: budget(),
        nano_rho: third(),
        inputs: held.iter().map(|input| (*input).to_owned()).collect(),
    }
}

fn analyst(name: &str) -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: name.parse().unwrap(),
        department: Some("hz".to_owned()),
        district: None,
        roles: BTreeSet::from([PersonRole::Analyst]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

fn decided(caller: &Caller, job: JobId) -> Note {
    Note::new(Action::QueryDecided, ActorName::of(caller))
        .of_job(job)
        .with("purpose", "official-statistics")
        .with("decision", "admitted")
}

fn job_id(installation: &Installation) -> JobId {
    JobId::new(installation.clock.as_ref(), &SystemRandom).unwrap()
}

async fn taken_in(installation: &Installation, person: &str) -> crate::jobs::ReceivedJob {
    let new = NewJob {
        id: job_id(installation),
        person: person.to_owned(),
        purpose: "official-statistics".to_owned(),
        door: "test",
        received: installation.now(),
        sql_key: "key".to_owned(),
        repeatable: None,
    };
    installation.jobs.receive(new).await.unwrap()
}

/// Decides on a job and charges its prices, as the use case does; nothing where a budget has no room.
async fn charge(
    installation: &Installation,
    person: &str,
    prices: Vec<Price>,
    job: JobId,
) -> Result<Option<Vec<Receipt>>, AppError> {
    let caller = analyst(person);
    let (weighed, charging) = reserve_priced(installation, &caller, prices, job).await?;
    let Some(Charging { changing, charges }) = charging else {
        assert!(weighed.findings.iter().all(|finding| finding.code == "budget-spent"));
        return Ok(None);
    };
    installation.append_charging(&changing, vec![decided(&caller, job)], &charges).await.map(Some)
}

async fn ask(installation: &Installation, person: &str, grant: &str) -> bool {
    let prices = vec![price(DATASET, grant, &["one"])];
    charge(installation, person, prices, job_id(installation)).await.unwrap().is_some()
}

async fn spent(installation: &Installation) -> u64 {
    installation.charges().await.unwrap().values().map(|charge| charge.nano_rho).sum()
}

async fn alter(installation: &Installation, sql: &'static str) {
    let done = sqlx::query(sql).execute(installation.catalog.pool()).await.unwrap();
    assert_ne!(done.rows_affected(), 0, "{sql}");
}

async fn problems(installation: &Installation) -> Vec<&'static str> {
    let layout = installation.layout();
    let verification = verify_log(&LogCopy::of(layout), &LogAgainst::default()).unwrap();
    assert_eq!(verification.findings, []);
    let found = reconcile(layout, &verification).await.unwrap().into_iter();
    // The jobs of these tests have no rows.
    found.filter(|it| it.kind != "job").map(|it| it.problem).collect()
}

#[tokio::test]
async fn a_share_is_spent_and_comes_back_with_the_period_and_not_with_anything_else() {
    let (world, installation) = World::new().await;
    for _ in 0..3 {
        assert!(ask(&installation, "lin", "grant-1").await);
    }
    assert!(!ask(&installation, "lin", "grant-1").await);
    assert!(
        !ask(&installation, "lin", "grant-2").await,
        "another grant of the same person is no other share"
    );
    assert!(ask(&installation, "wang", "grant-3").await);
    let next = world.open().await;
    assert!(!ask(&next, "lin", "grant-1").await, "another process knows it");
    world.clock.advance_ms(-100 * 24 * 3_600_000);
    assert!(!ask(&next, "lin", "grant-1").await, "a clock that goes back");
    world.clock.advance_ms((100 + 90) * 24 * 3_600_000 - 1);
    assert!(!ask(&next, "lin", "grant-1").await);
    world.clock.advance_ms(1);
    assert!(ask(&next, "lin", "grant-1").await);
    assert_eq!(spent(&next).await, 5 * third(), "the lifetime total forgets nothing");
    assert_eq!(problems(&next).await, Vec::<&str>::new());
}

#[tokio::test]
async fn colluding_accounts_meet_the_lifetime_total() {
    let (_world, installation) = World::new().await;
    let mut asked = 0;
    for number in 0..100 {
        let person = format!("analyst{number}");
        if !ask(&installation, &person, "grant-1").await {
            break;
        }
        asked += 1;
    }
    assert_eq!(asked, totals_of(&budget()).lifetime / third());
    assert!(!ask(&installation, "somebody-else", "grant-1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn questions_that_come_at_once_never_pass_a_budget_that_has_room_for_fewer() {
    let (world, first) = World::new().await;
    // Two processes, each with several questions at a time.
    let (first, second) = (Arc::new(first), Arc::new(world.open().await));
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..12 {
        let installation = Arc::clone(if number % 2 == 0 { &first } else { &second });
        asked.spawn(async move { ask(&installation, "lin", "grant-1").await });
    }
    let passed = asked.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 3);
    assert_eq!((spent(&first).await, spent(&second).await), (3 * third(), 3 * third()));
    assert_eq!(problems(&first).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_job_is_charged_once_however_often_it_is_judged() {
    let (_world, installation) = World::new().await;
    let job = job_id(&installation);
    let prices = || vec![price(DATASET, "grant-1", &["one"])];
    let receipts = charge(&installation, "lin", prices(), job).await.unwrap().unwrap();
    assert!(Reserved::of(&receipts, job, 1).is_ok());
    assert!(Reserved::of(&receipts, job, 2).is_err(), "a price without its charge");
    assert!(Reserved::of(&receipts, job_id(&installation), 1).is_err(), "another job's charge");
    assert!(Reserved::of(&[], job, 1).is_err());
    let size = installation.audit.checkpoint().unwrap().checkpoint.size();
    assert!(charge(&installation, "lin", prices(), job).await.is_err());
    assert_eq!(installation.audit.checkpoint().unwrap().checkpoint.size(), size, "nothing was decided");
    assert_eq!(spent(&installation).await, third());
}

#[tokio::test]
async fn killed_before_the_log_nothing_is_charged_and_behind_it_everything_is() {
    let (world, installation) = World::new().await;
    let caller = analyst("lin");
    let rows = || async { installation.catalog.records(RecordKind::Charge).await.unwrap().len() };
    // Killed with the rows staged.
    let body = ChargeBody {
        dataset: DATASET.to_owned(),
        inputs: BTreeSet::new(),
        job: job_id(&installation).to_string(),
        person: "lin".to_owned(),
        grant: "grant-1".to_owned(),
        nano_rho: third(),
        charged: installation.now(),
    };
    let text = body::print(&body).unwrap();
    installation.catalog.stage(RecordKind::Charge, &body.key(), &text).await.unwrap();
    assert_eq!((spent(&installation).await, rows().await), (0, 1));
    let next = world.open().await;
    assert_eq!(recover(&next).await.unwrap(), Recovered { discarded: 1, ..Recovered::default() });
    assert_eq!((spent(&next).await, rows().await), (0, 0));
    // Killed behind the log, before the row is marked and before the job knows of its decision.
    let received = taken_in(&installation, "lin").await;
    let job = received.id();
    let body = ChargeBody { job: job.to_string(), ..body };
    let text = body::print(&body).unwrap();
    installation.catalog.stage(RecordKind::Charge, &body.key(), &text).await.unwrap();
    let change = RecordChange {
        kind: RecordKind::Charge.name().to_owned(),
        key: body.key(),
        sha256: obscura_crypto::sha256_hex(text.as_bytes()),
        change: Change::Begins,
        body: serde_json::from_str(&text).unwrap(),
    };
    let note = Note::new(Action::BudgetCharged, ActorName::of(&caller)).of_job(job);
    installation.append(vec![(decided(&caller, job), None), (note, Some(change))]).await.unwrap();
    assert_eq!(spent(&installation).await, third(), "it counts before anything is settled");
    drop(installation);
    let next = world.open().await;
    let settled = Recovered { completed: 1, jobs_failed: 1, ..Recovered::default() };
    assert_eq!(recover(&next).await.unwrap(), settled);
    assert_eq!(job_state(&next, job).await, JobState::Failed);
    assert_eq!(spent(&next).await, third(), "a job that was cut off has spent its price");
    assert_eq!(problems(&next).await, Vec::<&str>::new());
    assert_eq!(recover(&next).await.unwrap(), Recovered::default());
}

#[tokio::test]
async fn a_charge_whose_row_is_gone_or_altered_counts_and_is_restored() {
    for altered in [
        "DELETE FROM record WHERE kind = 'charge'",
        "UPDATE record SET body = replace(body, 'lin', 'wen') WHERE kind = 'charge'",
        "UPDATE record SET state = 'ended', ended_index = 1 WHERE kind = 'charge'",
        "UPDATE record SET state = 'ending' WHERE kind = 'charge'",
        "UPDATE record SET key = key || 'x' WHERE kind = 'charge'",
        "UPDATE record SET kind = 'grant' WHERE kind = 'charge'",
    ] {
        let (world, installation) = World::new().await;
        for _ in 0..3 {
            assert!(ask(&installation, "lin", "grant-1").await);
        }
        alter(&installation, altered).await;
        let found = problems(&installation).await;
        // A mark that a crash could have left is no finding, and is put right all the same.
        assert_eq!(found.is_empty(), altered.contains("'ending'"), "{altered}");
        let next = world.open().await;
        assert!(!ask(&next, "lin", "grant-1").await, "{altered}");
        assert_eq!(spent(&next).await, 3 * third(), "{altered}");
        let last = world.open().await;
        recover(&last).await.unwrap();
        assert_eq!(spent(&last).await, 3 * third(), "{altered}");
        let is_forged = altered.contains("key ||") || altered.contains("kind = 'grant'");
        assert_eq!(problems(&last).await.is_empty(), !is_forged, "{altered}");
        let rows = last.catalog.records(RecordKind::Charge).await.unwrap();
        let read = rows.iter().filter_map(|row| body::read::<ChargeBody>(row).ok());
        assert!(read.filter(|charge| charge.person == "lin").count() >= 3, "{altered}");
    }
}

#[tokio::test]
async fn a_database_from_before_the_charges_is_brought_up_to_the_log() {
    let (world, installation) = World::new().await;
    installation.close().await;
    let database = world.folder.path().join("data/obscura.db");
    let before = std::fs::read(&database).unwrap();
    let installation = world.open().await;
    for _ in 0..20 {
        assert!(ask(&installation, &format!("lin{}", spent(&installation).await), "grant-1").await);
    }
    installation.close().await;
    for suffix in ["-wal", "-shm"] {
        let _there_or_not =
            std::fs::remove_file(world.folder.path().join(format!("data/obscura.db{suffix}")));
    }
    std::fs::write(&database, before).unwrap();
    let next = world.open().await;
    assert_eq!(problems(&next).await, ["the log has it, the database does not"; 20]);
    assert_eq!(recover(&next).await.unwrap(), Recovered { charges_restored: 20, ..Recovered::default() });
    assert_eq!(problems(&next).await, Vec::<&str>::new());
    assert_eq!(spent(&next).await, 20 * third());
    let told = std::fs::read_to_string(next.operator_log.path()).unwrap_or_default();
    assert!(told.contains("charge `hz-health.visits/job_"), "the operator is told: {told}");
}

#[tokio::test]
async fn a_row_without_its_event_counts_for_nothing_and_is_a_finding() {
    let (_world, installation) = World::new().await;
    let body = ChargeBody {
        dataset: DATASET.to_owned(),
        inputs: BTreeSet::new(),
        job: job_id(&installation).to_string(),
        person: "lin".to_owned(),
        grant: "grant-1".to_owned(),
        nano_rho: u64::from(u32::MAX),
        charged: installation.now(),
    };
    let text = body::print(&body).unwrap();
    installation.catalog.restore(RecordKind::Charge, &body.key(), &text, 0).await.unwrap();
    assert_eq!(spent(&installation).await, 0);
    assert!(ask(&installation, "lin", "grant-1").await);
    assert_eq!(problems(&installation).await, ["the database has it, the log does not"]);
}

#[tokio::test]
async fn an_event_that_would_end_a_charge_gives_nothing_back() {
    let (world, installation) = World::new().await;
    for _ in 0..3 {
        assert!(ask(&installation, "lin", "grant-1").await);
    }
    let rows = installation.catalog.records(RecordKind::Charge).await.unwrap();
    for row in rows {
        let charge: ChargeBody = body::read(&row).unwrap();
        installation.end(&charge, Note::new(Action::GrantRevoked, program())).await.unwrap();
    }
    for known in [installation, world.open().await] {
        assert_eq!(spent(&known).await, 3 * third());
        assert!(!ask(&known, "lin", "grant-1").await);
    }
}

#[tokio::test]
async fn no_end_of_a_job_gives_anything_back() {
    let (world, installation) = World::new().await;
    let caller = analyst("lin");
    for end in [JobState::Failed, JobState::Cancelled, JobState::Withheld] {
        let received = taken_in(&installation, "lin").await;
        let job = received.id();
        let _hold = installation.jobs.hold(job);
        let prices = vec![price(DATASET, "grant-1", &["one"])];
        let receipts = charge(&installation, "lin", prices, job).await.unwrap().unwrap();
        let queued = installation.jobs.queue(received, "{}", "{}", &receipts[0]).await.unwrap();
        let unreleased = Unreleased::of(&installation, &caller, &queued);
        let ended = match end {
            JobState::Cancelled => Ended::Cancelled(None),
            JobState::Withheld => Ended::Withheld,
            _ => Ended::broken(InternalError::of_kind("run a query", "it broke").into()),
        };
        if end != JobState::Cancelled {
            installation.jobs.run(queued).await.unwrap();
        }
        unreleased.end(ended, installation.now()).await.unwrap();
        assert_eq!(job_state(&installation, job).await, end);
    }
    assert_eq!(spent(&installation).await, 3 * third());
    assert!(!ask(&installation, "lin", "grant-1").await);
    assert_eq!(problems(&installation).await, Vec::<&str>::new());
    drop(world);
}

#[tokio::test]
async fn a_copy_under_another_name_has_no_budget_of_its_own() {
    let (_world, installation) = World::new().await;
    let charge_to = async |dataset: &str, held: &[&str]| {
        let prices = vec![price(dataset, "grant-1", held)];
        charge(&installation, "lin", prices, job_id(&installation)).await.unwrap().is_some()
    };
    assert!(charge_to(DATASET, &["one"]).await);
    assert!(charge_to(DATASET, &["one", "two"]).await);
    assert!(charge_to("hz-health.visits_again", &["two"]).await);
    assert!(!charge_to("hz-health.visits_again", &["two"]).await);
    assert!(!charge_to("hz-health.visits_once_more", &["one"]).await);
    assert!(!charge_to(DATASET, &["all rows anew"]).await, "nor does a new version");
    assert!(charge_to("hz-health.other", &["other"]).await);
}

#[tokio::test]
async fn the_sum_that_budgets_reckon_with_is_that_of_the_log() {
    let (_world, installation) = World::new().await;
    assert!(ask(&installation, "lin", "grant-1").await);
    let known = installation.charges().await.unwrap();
    let charged: Vec<Charged> = crate::app::query::charging::charged(&known);
    let newest = installation.audit.newest_change().unwrap().unwrap();
    let event = installation.audit.event(newest).unwrap();
    assert_eq!(event.action, "budget.charged");
    assert_eq!(event.detail.get("nano_rho"), Some(&json!(charged[0].nano_rho)));
    assert_eq!(event.record.unwrap().key, format!("{DATASET}/{}", event.correlation.unwrap()));
    assert_eq!(event.previous_change.is_some(), newest > 1);
}
