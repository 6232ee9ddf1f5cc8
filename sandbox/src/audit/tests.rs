//! Properties of the log that hold whatever is done to its files.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use obscura_crypto::sign::Signer;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::audit::event::ActorName;
use crate::audit::event::Change;
use crate::audit::event::Event;
use crate::audit::event::RecordChange;
use crate::audit::facts::LogFacts;
use crate::audit::proof::prove;
use crate::audit::proof::verify_proof;
use crate::audit::reader::LogReader;
use crate::audit::verify::Against;
use crate::audit::verify::Finding;
use crate::audit::verify::verify;
use crate::clock::Clock as _;
use crate::clock::SteppedClock;
use crate::clock::SystemRandom;

mod anchors;
mod edits;

const ORIGIN: &str = "obscura_test";

fn event(number: usize) -> Event {
    let clock = SteppedClock::at_second(1_800_000_000);
    // Every third event changes a record, so that the chain skips some.
    let record = number.is_multiple_of(3).then(|| RecordChange {
        kind: "grant".to_owned(),
        key: format!("grant_{number}"),
        sha256: format!("{number:064x}"),
        change: Change::Begins,
        body: None,
    });
    Event {
        id: EventId::new(&clock, &SystemRandom).unwrap(),
        time: clock.now(),
        action: if record.is_some() { Action::GrantCreated } else { Action::QueryDecided },
        actor: ActorName { id: None, name: "obscura".to_owned(), door: "test".to_owned(), address: None },
        correlation: Some(format!("job_{number}")),
        record,
        detail: BTreeMap::from([("number".to_owned(), json!(number))]),
    }
}

/// A checkpoint that was kept elsewhere.
fn with(kept: &str) -> Against<'_> {
    Against { kept: Some(kept), ..Against::default() }
}

struct World {
    folder: TempDir,
    log: AuditLog,
}

impl World {
    fn with(events: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let log = AuditLog::create(folder.path(), Signer::generate(ORIGIN).unwrap()).unwrap();
        log.append((0..events).map(event).collect()).unwrap();
        Self { folder, log }
    }

    fn reader(&self) -> LogReader {
        LogReader::new(self.folder.path(), self.log.verifier().clone())
    }

    fn findings(&self) -> Vec<Finding> {
        verify(&self.reader(), Against::default()).unwrap().findings
    }

    /// All files that belong to the log, with their bytes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.folder.path(), &mut files);
        files.retain(|path, _| !path.ends_with(".lock"));
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn appended_events_read_back_in_order_and_verify() {
    let world = World::with(0);
    let mut receipts = Vec::new();
    for number in 0..7 {
        receipts.extend(world.log.append(vec![event(number)]).unwrap());
    }
    assert_eq!(receipts.iter().map(Receipt::index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    for (number, receipt) in receipts.iter().enumerate() {
        assert_eq!(world.log.event(receipt.index()).unwrap().detail["number"], json!(number));
        assert_eq!(receipt.correlation(), Some(format!("job_{number}").as_str()));
    }
    assert_eq!(world.findings(), []);
    assert!(matches!(world.log.event(7), Err(AuditError::NoSuchEntry { size: 7 })));
}

#[test]
fn time_that_goes_back_is_told_with_its_entry_and_alters_nothing() {
    let world = World::with(0);
    let append = |number: usize, second: i64| {
        let clock = SteppedClock::at_second(1_800_000_000 + second);
        world.log.append(vec![Event { time: clock.now(), ..event(number) }]).unwrap();
    };
    // Ahead, back by an hour, on from there, behind by what several processes are apart, and back again.
    for (number, second) in [0, 60, -3540, -3500, -3503, -3600].into_iter().enumerate() {
        append(number, second);
    }
    let verification = verify(&world.reader(), Against::default()).unwrap();
    assert_eq!(verification.findings, []);
    let told: Vec<_> = verification.backwards.iter().map(|back| (back.index, back.seconds)).collect();
    assert_eq!(told, [(2, 3600), (5, 100)]);
}

#[test]
fn one_append_of_many_and_many_appends_of_one_make_the_same_tree_shape() {
    let world = World::with(600);
    assert_eq!(world.findings(), []);
    let one_by_one = World::with(250);
    for number in 250..262 {
        one_by_one.log.append(vec![event(number)]).unwrap();
        assert_eq!(one_by_one.findings(), [], "at {number}");
    }
    let partials: Vec<_> =
        one_by_one.files().into_keys().filter(|path| path.to_string_lossy().contains(".p/")).collect();
    assert_eq!(partials.len(), 3, "superseded partial tiles are gone: {partials:?}");
}

#[test]
fn second_process_continues_where_the_first_one_stopped() {
    let folder = TempDir::new().unwrap();
    let (one, other) = two_handles(folder.path());
    one.append(vec![event(0)]).unwrap();
    other.append(vec![event(1)]).unwrap();
    let receipt = one.append(vec![event(2)]).unwrap().remove(0);
    assert_eq!(receipt.index(), 2);
    assert_eq!(verify(one.reader(), Against::default()).unwrap().findings, []);
}

/// Two logs over one folder with one key, as two processes have. A signer cannot be cloned, so the keyring makes both.
fn two_handles(folder: &Path) -> (AuditLog, AuditLog) {
    use obscura_crypto::kms::KeyFile;
    use obscura_crypto::kms::KeyManagement as _;
    use obscura_crypto::kms::LocalKeyring;
    use obscura_crypto::kms::Secret;
    let key = Secret::KeyFile(KeyFile::create(&folder.join("key")).unwrap());
    let keyring = LocalKeyring::create(&folder.join("keyring"), &key).unwrap();
    let log = folder.join("log");
    let one = AuditLog::create(&log, keyring.signer(ORIGIN).unwrap()).unwrap();
    let other = AuditLog::open(&log, keyring.signer(ORIGIN).unwrap()).unwrap();
    (one, other)
}

#[test]
fn threads_that_append_together_each_get_their_own_receipt() {
    let world = World::with(0);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let log = &world.log;
            scope.spawn(move || {
                for turn in 0..20_usize {
                    let number = thread * 100 + turn;
                    let receipt = log.append(vec![event(number)]).unwrap().remove(0);
                    assert_eq!(log.event(receipt.index()).unwrap().detail["number"], json!(number));
                }
            });
        }
    });
    let verification = verify(&world.reader(), Against::default()).unwrap();
    assert_eq!((verification.size, verification.findings), (160, Vec::new()));
}

#[test]
fn facts_learnt_by_the_chain_are_those_of_the_whole_log() {
    let world = World::with(300);
    let mut facts = LogFacts::default();
    facts.learn(&world.log).unwrap();
    world.log.append((300..310).map(event).collect()).unwrap();
    facts.learn(&world.log).unwrap();
    let all = verify(&world.reader(), Against::default()).unwrap().facts;
    assert_eq!(facts.all().collect::<Vec<_>>(), all.all().collect::<Vec<_>>());
    assert_eq!(facts.fact("grant", "grant_306").unwrap().begun, 306);
    assert!(facts.fact("grant", "grant_307").is_none());
}

#[test]
fn changed_byte_of_an_entry_is_named_by_its_index() {
    let world = World::with(20);
    let path = world.folder.path().join("tile/entries/000.p/20");
    let bytes = fs::read(&path).unwrap();
    let place = String::from_utf8_lossy(&bytes).find("\"number\":13").unwrap();
    // Lossy text may shift places, so look for the digits in the bytes themselves.
    let place = bytes.windows(11).position(|window| window == b"\"number\":13").unwrap_or(place) + 9;
    let mut damaged = bytes;
    damaged[place] = b'2';
    fs::write(&path, damaged).unwrap();
    let verification = verify(&world.reader(), Against::default()).unwrap();
    assert_eq!(verification.first_bad_entry(), Some(13));
    assert_eq!(verification.findings, [Finding::Entry { index: 13 }]);
    assert!(matches!(world.reader().entry(13), Err(AuditError::Damaged { index: 13 })));
}

#[test]
fn truncation_is_found_with_a_checkpoint_kept_elsewhere() {
    let world = World::with(5);
    let older = world.files();
    world.log.append(vec![event(5)]).unwrap();
    let kept = fs::read_to_string(world.folder.path().join("checkpoint")).unwrap();
    for path in world.files().into_keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in older {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(
        verify(&world.reader(), Against::default()).unwrap().findings,
        [],
        "an old copy is consistent in itself"
    );
    let findings = verify(&world.reader(), with(&kept)).unwrap().findings;
    assert_eq!(findings, [Finding::Truncated { kept: 6, size: 5 }]);
}

/// Takes the files of a log back to what they were.
fn put_back(folder: &Path, older: &BTreeMap<PathBuf, Vec<u8>>) {
    let mut now = BTreeMap::new();
    collect(folder, &mut now);
    for path in now.keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in older {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn log_that_was_cut_back_under_a_running_process_is_not_continued() {
    let folder = TempDir::new().unwrap();
    let (log, other) = two_handles(folder.path());
    log.append((0..252).map(event).collect()).unwrap();
    let files = || {
        let mut files = BTreeMap::new();
        collect(&folder.path().join("log"), &mut files);
        files
    };
    let older = files();
    log.append((252..258).map(event).collect()).unwrap();
    let whole = files();
    put_back(&folder.path().join("log"), &older);
    // It goes on refusing: a failure does not make it forget what it has seen.
    for _ in 0..2 {
        let refused = log.append(vec![event(252)]);
        assert!(matches!(refused, Err(AuditError::NotContinued { size: 252 })), "{refused:?}");
        assert!(matches!(log.newest_change(), Err(AuditError::NotContinued { size: 252 })));
        assert!(!log.is_continued());
    }
    assert_eq!(verify(log.reader(), Against::default()).unwrap().size, 252, "nothing was signed");
    // An attacker who has seen only the older log makes another one of the same size, and a longer one.
    other.append((300..306).map(event).collect()).unwrap();
    assert!(matches!(log.append(vec![event(258)]), Err(AuditError::NotContinued { size: 258 })));
    other.append((306..400).map(event).collect()).unwrap();
    assert!(matches!(log.append(vec![event(258)]), Err(AuditError::NotContinued { size: 352 })));
    // The log itself, put back, is gone on with.
    put_back(&folder.path().join("log"), &whole);
    let receipt = log.append(vec![event(258)]).unwrap().remove(0);
    assert_eq!(receipt.index(), 258);
    assert!(log.is_continued());
    assert_eq!(verify(log.reader(), Against::default()).unwrap().findings, []);
}

#[test]
fn asking_whether_a_log_goes_on_waits_for_nobody_who_verifies_it() {
    let folder = TempDir::new().unwrap();
    let (log, other) = two_handles(folder.path());
    log.append(vec![event(0)]).unwrap();
    let verifying = log.reader().lock_against_appending().unwrap();
    assert!(log.is_continued() && other.is_continued());
    std::thread::scope(|scope| {
        let (begun, appending) = std::sync::mpsc::channel();
        let log = &log;
        scope.spawn(move || {
            begun.send(()).unwrap();
            log.append(vec![event(1)]).unwrap();
        });
        appending.recv().unwrap();
        for _ in 0..20 {
            assert!(log.is_continued(), "whether or not somebody is about to append");
        }
        drop(verifying);
    });
    assert!(other.is_continued(), "it is longer than the other process knows");
}

#[test]
fn log_that_others_made_longer_is_continued_at_every_size() {
    let folder = TempDir::new().unwrap();
    let (one, other) = two_handles(folder.path());
    for number in 0..12_usize {
        let (first, second) = (100 * number, 100 * number + 50);
        one.append((first..=first + number % 5).map(event).collect()).unwrap();
        other.append((second..=second + number % 23).map(event).collect()).unwrap();
    }
    assert_eq!(verify(one.reader(), Against::default()).unwrap().findings, []);
}

#[test]
fn log_that_grew_since_a_kept_checkpoint_still_verifies_against_it() {
    let world = World::with(5);
    let kept = fs::read_to_string(world.folder.path().join("checkpoint")).unwrap();
    world.log.append((5..300).map(event).collect()).unwrap();
    assert_eq!(verify(&world.reader(), with(&kept)).unwrap().findings, []);
}

#[test]
fn history_rewritten_with_the_log_s_own_key_is_found_with_a_kept_checkpoint() {
    let folder = TempDir::new().unwrap();
    let (log, same_key) = two_handles(folder.path());
    log.append(vec![event(0), event(1)]).unwrap();
    let kept = fs::read_to_string(folder.path().join("log/checkpoint")).unwrap();
    let empty = log.reader().folder().to_owned();
    fs::remove_dir_all(&empty).unwrap();
    let forged = TempDir::new().unwrap();
    drop(same_key);
    let other = World::with(2);
    // Another log under another key does not pass for this one.
    let reader = LogReader::new(other.folder.path(), log.verifier().clone());
    let findings = verify(&reader, with(&kept)).unwrap().findings;
    assert_eq!(findings, [Finding::Checkpoint]);
    drop(forged);
}

#[test]
fn proof_verifies_offline_and_only_as_it_was_made() {
    let world = World::with(300);
    let text = prove(&world.reader(), 257).unwrap();
    let proven = verify_proof(&text, world.log.verifier()).unwrap();
    assert_eq!((proven.event.index, proven.checkpoint.size()), (257, 300));
    assert_eq!(proven.event.detail["number"], json!(257));
    let stranger = Signer::generate(ORIGIN).unwrap();
    assert!(verify_proof(&text, stranger.verifier()).is_err());
    for bit in (0..text.len() * 8).step_by(7) {
        let mut damaged = text.as_bytes().to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let verdict =
            String::from_utf8(damaged).map(|text| verify_proof(&text, world.log.verifier()).is_ok());
        assert_ne!(verdict, Ok(true), "bit {bit}");
    }
}

#[test]
fn event_too_long_for_an_entry_is_refused_and_nothing_is_appended() {
    let world = World::with(1);
    let mut long = event(1);
    long.detail.insert("long".to_owned(), json!("x".repeat(70_000)));
    assert!(matches!(world.log.append(vec![event(2), long]), Err(AuditError::EntryTooLong)));
    assert_eq!(verify(&world.reader(), Against::default()).unwrap().size, 1);
}

#[test]
fn log_is_not_begun_over_another() {
    let world = World::with(1);
    let again = AuditLog::create(world.folder.path(), Signer::generate(ORIGIN).unwrap());
    assert!(matches!(again, Err(AuditError::Exists)));
}

#[test]
fn log_of_another_key_does_not_open() {
    let world = World::with(3);
    let opened = AuditLog::open(world.folder.path(), Signer::generate(ORIGIN).unwrap());
    assert!(matches!(opened, Err(AuditError::Checkpoint)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_flipped_bit_of_any_file_is_found(file in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>()) {
        let world = World::with(12);
        let files = world.files();
        let (path, bytes) = files.iter().nth(file.index(files.len())).unwrap();
        let bit = bit.index(bytes.len() * 8);
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, damaged).unwrap();
        prop_assert_ne!(world.findings(), vec![]);
    }

    #[test]
    fn any_truncated_or_missing_file_is_found(file in any::<prop::sample::Index>(), length in any::<prop::sample::Index>()) {
        let world = World::with(12);
        let files = world.files();
        let (path, bytes) = files.iter().nth(file.index(files.len())).unwrap();
        fs::write(path, &bytes[..length.index(bytes.len())]).unwrap();
        prop_assert_ne!(world.findings(), vec![]);
        fs::remove_file(path).unwrap();
        prop_assert_ne!(world.findings(), vec![]);
    }

    /// A process killed while appending leaves the files it had written; those the checkpoint does not cover may be
    /// there, cut anywhere, or not there at all.
    #[test]
    fn killed_append_leaves_the_old_log_and_the_next_append_succeeds(
        before in 0_usize..300,
        kept in any::<u64>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = TempDir::new().unwrap();
        let (log, next_process) = two_handles(folder.path());
        log.append((0..before).map(event).collect()).unwrap();
        let old_checkpoint = fs::read(folder.path().join("log/checkpoint")).unwrap();
        let mut old = BTreeMap::new();
        collect(&folder.path().join("log"), &mut old);
        log.append(vec![event(before)]).unwrap();
        let mut new = BTreeMap::new();
        collect(&folder.path().join("log"), &mut new);
        // Back to the moment before the checkpoint was replaced: old files are all there, new ones in part.
        for (number, (path, bytes)) in new.iter().filter(|(path, _)| !old.contains_key(*path)).enumerate() {
            match kept >> (2 * number) & 3 {
                0 => fs::remove_file(path).unwrap(),
                1 => fs::write(path, &bytes[..cut.index(bytes.len())]).unwrap(),
                _ => {}
            }
        }
        for (path, bytes) in &old {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(folder.path().join("log/checkpoint"), old_checkpoint).unwrap();
        let size = u64::try_from(before).unwrap();
        let verification = verify(log.reader(), Against::default()).unwrap();
        prop_assert_eq!((verification.size, verification.findings), (size, Vec::new()));
        let receipt = next_process.append(vec![event(before)]).unwrap().remove(0);
        prop_assert_eq!(receipt.index(), size);
        let verification = verify(log.reader(), Against::default()).unwrap();
        prop_assert_eq!((verification.size, verification.findings), (size + 1, Vec::new()));
    }
}
