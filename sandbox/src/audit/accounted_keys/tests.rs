//! Properties of the journal, and of its comparison with the log.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::fs;

use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::LocalKeyring;
use obscura_crypto::kms::Secret;
use obscura_policies::vocabulary::DatasetId;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::audit::accounts::KeyAccounts;
use crate::audit::accounts::UnwrapFinding;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::event::LoggedEvent;
use crate::audit::unwraps::UnwrapLine;
use crate::audit::unwraps::read_journal;
use crate::clock::Clock as _;
use crate::clock::SteppedClock;
use crate::clock::SystemRandom;
use crate::ids::JobId;

/// A keyring behind a journal, and one sealed column of two parts.
struct World {
    folder: TempDir,
    keys: AccountedKeys,
    job: JobId,
}

fn column(name: &str, part: u32) -> WrapContext {
    WrapContext::Column {
        format_version: 1,
        dataset: "hz-health.visits".to_owned(),
        version: 2,
        part: format!("part-{part}"),
        column: name.to_owned(),
    }
}

fn object(kind: &str, id: JobId) -> WrapContext {
    WrapContext::Object { format_version: 1, kind: kind.to_owned(), id: id.to_string() }
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let secret = Secret::KeyFile(KeyFile::create(&folder.path().join("key")).unwrap());
        let keyring = LocalKeyring::create(&folder.path().join("keyring"), &secret).unwrap();
        keyring.ensure_key(&KekId::new("hz-health", 3).unwrap()).unwrap();
        let journal = UnwrapJournal::at(&folder.path().join("unwraps"));
        let job = JobId::new(&SteppedClock::at_second(1_800_000_000), &SystemRandom).unwrap();
        Self { keys: AccountedKeys::new(Arc::new(keyring), journal), folder, job }
    }

    fn wrap(&self, context: &WrapContext) -> WrappedKey {
        let kek = KekId::new("hz-health", 3).unwrap();
        self.keys.wrap(&kek, &DataKey::generate().unwrap(), context).unwrap()
    }

    /// Unwraps the keys of these contexts on an account and gives the line's hash.
    fn unwrap(&self, account: Account, contexts: &[WrapContext]) -> Option<String> {
        let wrapped: Vec<_> = contexts.iter().map(|context| (self.wrap(context), context)).collect();
        let accounted = self.keys.on_account(account, |keys| {
            wrapped.iter().for_each(|(key, context)| drop(keys.unwrap(key, context).unwrap()));
        });
        accounted.unwrap().line_sha256
    }

    fn run(&self, columns: &[&str]) -> Option<String> {
        let contexts: Vec<_> = columns.iter().flat_map(|name| [column(name, 0), column(name, 1)]).collect();
        self.unwrap(Account::Query(self.job), &contexts)
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        read_journal(&self.folder.path().join("unwraps")).unwrap().collect()
    }

    /// The log's accounts of a job that was admitted to these columns, and of its run.
    fn log(&self, columns: &[&str], keys: u64, line: Option<String>) -> KeyAccounts {
        let granted = json!([{ "dataset": "hz-health.visits", "version": 2, "columns": columns }]);
        let mut log = KeyAccounts::default();
        log.take(&self.event(Action::QueryDecided, &[("decision", json!("admitted"))]));
        log.take(&self.event(Action::KeysGranted, &[("datasets", granted)]));
        let run = [("keys_unwrapped", json!(keys)), ("unwraps_sha256", json!(line))];
        log.take(&self.event(Action::QueryExecuted, &run));
        log
    }

    fn event(&self, action: Action, detail: &[(&str, Value)]) -> LoggedEvent {
        LoggedEvent {
            index: 0,
            id: String::new(),
            time: SteppedClock::at_second(1).now(),
            action: action.name().to_owned(),
            actor: ActorName::stranger(),
            correlation: Some(self.job.to_string()),
            record: None,
            previous_change: None,
            detail: detail.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }
}

#[test]
fn no_key_leaves_without_an_account() {
    let world = World::new();
    let context = column("age", 0);
    let wrapped = world.wrap(&context);
    assert!(matches!(world.keys.unwrap(&wrapped, &context), Err(KmsError::Refused)));
    assert!(world.lines().is_empty());
}

#[test]
fn no_key_leaves_that_the_journal_does_not_name() {
    let world = World::new();
    world.run(&["age", "#footer"]).unwrap();
    let lines = world.lines();
    assert_eq!(lines.len(), 1);
    let line: UnwrapLine = serde_json::from_slice(&lines[0]).unwrap();
    assert_eq!((line.keys(), line.columns.len(), line.account), (4, 2, format!("query {}", world.job)));
    // Where the journal cannot be written, nothing is handed out.
    fs::remove_file(world.folder.path().join("unwraps")).unwrap();
    fs::create_dir(world.folder.path().join("unwraps")).unwrap();
    let context = column("age", 0);
    let wrapped = world.wrap(&context);
    let taken = world.keys.on_account(Account::Query(world.job), |keys| keys.unwrap(&wrapped, &context));
    assert!(taken.is_err());
}

#[test]
fn what_was_granted_reconciles() {
    let world = World::new();
    let line = world.run(&["age", "#footer"]);
    assert_eq!(world.log(&["age"], 4, line).reconcile(world.lines().into_iter()), []);
}

#[test]
fn a_column_beyond_the_grant_is_found() {
    let world = World::new();
    let line = world.run(&["age", "name", "#footer"]);
    let found = world.log(&["age"], 6, line).reconcile(world.lines().into_iter());
    let [UnwrapFinding::NotGranted { line: 1, key, .. }] = found.as_slice() else {
        unreachable!("{found:?}")
    };
    assert_eq!(key, "hz-health.visits.name");
}

#[test]
fn an_account_that_no_decision_stands_for_is_found() {
    let world = World::new();
    world.run(&["age"]);
    let found = KeyAccounts::default().reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::Undecided { line: 1, .. }]), "{found:?}");
    let world = World::new();
    world.unwrap(Account::Result(world.job), &[object("result", world.job)]);
    let log = world.log(&["age"], 0, None);
    let found = log.reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::Undecided { .. }]), "nothing was released: {found:?}");
}

#[test]
fn a_question_opened_more_often_than_the_log_says_is_found() {
    let world = World::new();
    let mut log = world.log(&["age"], 0, None);
    log.take(&world.event(Action::QuestionRead, &[]));
    world.unwrap(Account::Question(world.job), &[object("query", world.job)]);
    assert_eq!(log.reconcile(world.lines().into_iter()), []);
    world.unwrap(Account::Question(world.job), &[object("query", world.job)]);
    let found = log.reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::Count { logged: 1, journalled: 2, .. }]), "{found:?}");
    // This account does not cover the key of another object.
    let world = World::new();
    let mut log = world.log(&["age"], 0, None);
    log.take(&world.event(Action::QuestionRead, &[]));
    world.unwrap(Account::Question(world.job), &[column("age", 0)]);
    let found = log.reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::NotGranted { .. }]), "{found:?}");
}

#[test]
fn a_result_opened_more_often_than_the_log_says_is_found() {
    let world = World::new();
    let mut log = world.log(&["age"], 0, None);
    log.take(&world.event(Action::ResultReleased, &[]));
    let open = || world.unwrap(Account::Result(world.job), &[object("result", world.job)]);
    open();
    let found = log.reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::Count { logged: 0, journalled: 1, .. }]), "{found:?}");
    log.take(&world.event(Action::ResultDownloaded, &[]));
    assert_eq!(log.reconcile(world.lines().into_iter()), []);
    open();
    assert_ne!(log.reconcile(world.lines().into_iter()), []);
}

#[test]
fn a_second_line_of_a_job_s_run_is_found_also_when_the_run_did_not_end_well() {
    let world = World::new();
    world.run(&["age"]);
    let granted = json!([{ "dataset": "hz-health.visits", "version": 2, "columns": ["age"] }]);
    let mut log = KeyAccounts::default();
    log.take(&world.event(Action::QueryDecided, &[("decision", json!("admitted"))]));
    log.take(&world.event(Action::KeysGranted, &[("datasets", granted)]));
    assert_eq!(log.reconcile(world.lines().into_iter()), []);
    world.run(&["age"]);
    let found = log.reconcile(world.lines().into_iter());
    assert!(matches!(found.as_slice(), [UnwrapFinding::Repeated { line: 2, .. }]), "{found:?}");
}

#[test]
fn a_line_that_was_changed_dropped_or_moved_is_found() {
    let world = World::new();
    let first = world.run(&["age"]);
    let read = || world.unwrap(Account::Question(world.job), &[object("query", world.job)]);
    read();
    let last = read();
    let lines = world.lines();
    let mut log = world.log(&["age"], 2, first);
    log.take(&world.event(Action::QuestionRead, &[]));
    log.take(&world.event(Action::QuestionRead, &[]));
    // The last line is under no hash but the log's.
    log.take(&world.event(Action::JobFailed, &[("journal_sha256", json!(last))]));
    assert_eq!(log.reconcile(lines.clone().into_iter()), []);
    for number in 0..3 {
        let mut dropped = lines.clone();
        dropped.remove(number);
        assert_ne!(log.reconcile(dropped.into_iter()), [], "dropped {number}");
        let mut changed = lines.clone();
        let at = changed[number].iter().position(|byte| *byte == b':').unwrap();
        changed[number].insert(at, b' ');
        assert_ne!(log.reconcile(changed.into_iter()), [], "changed {number}");
    }
    let mut moved = lines;
    moved.swap(0, 1);
    assert_ne!(log.reconcile(moved.into_iter()), []);
    let missing = log.reconcile(std::iter::empty());
    assert!(
        matches!(missing.as_slice(), [UnwrapFinding::Missing { .. }, UnwrapFinding::CutOff { .. }]),
        "{missing:?}"
    );
}

#[test]
fn lines_that_the_log_names_must_be_there_in_its_order() {
    let world = World::new();
    let first = world.run(&["age"]).unwrap();
    let mut log = world.log(&["age"], 2, Some(first.clone()));
    let nothing = obscura_crypto::sha256_hex(b"");
    let name = |log: &mut KeyAccounts, line: &str| {
        log.take(&world.event(Action::JobFailed, &[("journal_sha256", json!(line))]));
    };
    for line in [&nothing, &nothing, &first, &first] {
        name(&mut log, line);
    }
    assert_eq!(log.reconcile(world.lines().into_iter()), []);
    // Once there was a line, there is always one: it was put away, and put back.
    name(&mut log, &nothing);
    assert_eq!(log.reconcile(world.lines().into_iter()), [UnwrapFinding::CutOff { entry: 0 }]);
}

#[test]
fn newest_line_of_a_journal_is_found_however_long_it_is() {
    let world = World::new();
    let path = world.folder.path().join("unwraps");
    let journal = UnwrapJournal::at(&path);
    assert_eq!(journal.newest_line().unwrap(), obscura_crypto::sha256_hex(b""));
    let columns: Vec<String> = (0..400).map(|number| format!("column_{number}")).collect();
    let long: Vec<&str> = columns.iter().map(String::as_str).collect();
    for columns in [&long[..], &["age"], &long[..], &long[..1]] {
        let line = world.run(columns).unwrap();
        assert_eq!(journal.newest_line().unwrap(), line);
        // The part of a line that a killed process left is no line.
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.as_slice(), b"{\"account\":\"que"].concat()).unwrap();
        assert_eq!(journal.newest_line().unwrap(), line);
    }
    assert!(world.lines()[0].len() > 20_000);
}

#[test]
fn a_run_that_was_never_admitted_is_found_in_the_log_alone() {
    let world = World::new();
    let mut log = KeyAccounts::default();
    log.take(&world.event(Action::QueryDecided, &[("decision", json!("refused"))]));
    log.take(&world.event(Action::QueryExecuted, &[("keys_unwrapped", json!(1))]));
    assert_eq!(log.unadmitted(), [UnwrapFinding::Unadmitted { job: world.job.to_string() }]);
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let world = World::new();
    let path = world.folder.path().join("unwraps");
    world.unwrap(Account::Question(world.job), &[object("query", world.job)]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"{\"account\":\"que"].concat()).unwrap();
    assert_eq!(world.lines().len(), 1, "a torn line is none");
    let line = world.run(&["age"]);
    let lines = world.lines();
    assert_eq!(lines.len(), 2);
    let mut log = world.log(&["age"], 2, line);
    log.take(&world.event(Action::QuestionRead, &[]));
    assert_eq!(log.reconcile(lines.into_iter()), []);
}

#[test]
fn stewards_open_what_was_granted_for_it_once_for_each_grant() {
    let visits: DatasetId = "hz-health.visits".parse().unwrap();
    let accounts = [Account::Append(visits.clone()), Account::Exposure(visits)];
    for (account, other) in [(&accounts[0], &accounts[1]), (&accounts[1], &accounts[0])] {
        let world = World::new();
        let keys = [column("person_id", 0), column("#footer", 0), column("person_id", 1)];
        world.unwrap(account.clone(), &keys);
        assert_eq!(world.lines().len(), 1);
        let found = KeyAccounts::default().reconcile(world.lines().into_iter());
        assert!(
            matches!(found.as_slice(), [UnwrapFinding::Undecided { .. }]),
            "nothing stands for it: {found:?}"
        );
        let granted = |account: &Account, columns: &[&str], times: usize| {
            let datasets = json!([{ "dataset": "hz-health.visits", "version": 2, "columns": columns }]);
            let details = [("account", json!(account.to_string())), ("datasets", datasets)];
            let event = world.event(Action::KeysGranted, &details);
            let event = LoggedEvent { correlation: None, ..event };
            let mut log = KeyAccounts::default();
            (0..times).for_each(|_| log.take(&event));
            log.reconcile(world.lines().into_iter())
        };
        assert_eq!(granted(account, &["person_id"], 1), []);
        let of_other = granted(other, &["person_id"], 1);
        assert!(matches!(of_other.as_slice(), [UnwrapFinding::Undecided { .. }]), "{of_other:?}");
        let beyond = granted(account, &["age"], 1);
        assert!(matches!(beyond.as_slice(), [UnwrapFinding::NotGranted { .. }]), "{beyond:?}");
        world.unwrap(account.clone(), &keys);
        let again = granted(account, &["person_id"], 1);
        assert!(matches!(again.as_slice(), [UnwrapFinding::Repeated { line: 2, .. }]), "{again:?}");
        assert_eq!(granted(account, &["person_id"], 2), []);
    }
}
