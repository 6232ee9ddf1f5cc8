//! Altered files: any flipped bit in the files of an installation is found, and no altered file is used.
//! Each test changes one kind of file of a copied world; none changes the program's memory.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

mod database;
mod jobs;
mod states;
mod witness;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::Outcome;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;
use obscura_tests::world::code;
use obscura_tests::world::copy;

const QUESTION: &str = "SELECT dept, COUNT(*) FROM persons GROUP BY dept";

fn world() -> World {
    World::with(&Fixture::load().unwrap()).unwrap()
}

/// The folder of the sealed people.
fn persons(world: &World) -> PathBuf {
    world.data().join("datasets").join("corpus").join("persons")
}

/// Every file below a folder that holds something (locks hold nothing), in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Places to flip: the ends, and some between; more of them in the slow run.
fn places(length: usize) -> Vec<usize> {
    let count = if environment::run_slow() { 24 } else { 5 };
    let mut places: Vec<usize> = (0..count).map(|step| step * (length - 1) / (count - 1)).collect();
    places.dedup();
    places
}

/// Flips one bit at each of several places in turn and hands over what the check found; the file is whole afterwards.
fn flip_each(file: &Path, mut check: impl FnMut(usize)) {
    let whole = fs::read(file).unwrap();
    let mode = fs::metadata(file).unwrap().permissions();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    for place in places(whole.len()) {
        let mut altered = whole.clone();
        altered[place] ^= 1 << (place % 8);
        fs::write(file, altered).unwrap();
        check(place);
    }
    fs::write(file, whole).unwrap();
    fs::set_permissions(file, mode).unwrap();
}

fn must_be_found(outcome: &Outcome, file: &Path, place: usize) {
    let name = file.display();
    assert_eq!(
        outcome.code,
        Some(code::VERIFICATION),
        "{name} at {place}: {}{}",
        outcome.stdout,
        outcome.stderr
    );
}

#[test]
fn a_flipped_bit_of_any_sealed_file_or_manifest_is_found() {
    let world = world();
    let folder = persons(&world);
    let sealed = files(&folder);
    assert!(sealed.len() > 1, "{sealed:?}");
    for file in sealed {
        flip_each(&file, |place| {
            let outcome = world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap();
            must_be_found(&outcome, &file, place);
        });
    }
    world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap().done().unwrap();
}

#[test]
fn a_query_over_altered_files_answers_nothing_wrong() {
    let world = world();
    let right = world.query("ana", QUESTION).unwrap().done().unwrap().stdout;
    for file in files(&persons(&world)) {
        flip_each(&file, |place| {
            let outcome = world.query("ana", QUESTION).unwrap();
            let same = outcome.code == Some(code::DONE) && outcome.stdout == right;
            let failed = outcome.code != Some(code::DONE) && outcome.stdout.is_empty();
            assert!(same || failed, "{} at {place}: {outcome:?}", file.display());
        });
    }
}

#[test]
fn a_plaintext_file_in_place_of_a_sealed_one_is_found() {
    let world = world();
    let folder = persons(&world);
    let sealed = files(&folder).into_iter().find(|file| fs::read(file).unwrap().starts_with(b"PARE"));
    let sealed = sealed.expect("there is a sealed file");
    fs::write(&sealed, b"PAR1 nothing here is encrypted PAR1").unwrap();
    must_be_found(&world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap(), &sealed, 0);
    assert_ne!(world.query("ana", QUESTION).unwrap().code, Some(code::DONE));
}

#[test]
fn an_altered_keyring_opens_nothing() {
    let world = world();
    let keyring = world.data().join("keyring");
    flip_each(&keyring, |place| {
        let outcome = world.query("ana", QUESTION).unwrap();
        assert_ne!(outcome.code, Some(code::DONE), "at {place}");
        assert!(outcome.stdout.is_empty());
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    });
    world.query("ana", QUESTION).unwrap().done().unwrap();
}

#[test]
fn a_flipped_bit_of_the_audit_log_is_found() {
    let world = world();
    world.query("ana", QUESTION).unwrap().done().unwrap();
    world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
    let log = files(&world.data().join("audit"));
    assert!(log.len() > 2, "{log:?}");
    for file in log {
        flip_each(&file, |place| {
            must_be_found(&world.run(AUDITOR, &["audit", "verify"]).unwrap(), &file, place);
        });
    }
    world.run(AUDITOR, &["audit", "verify"]).unwrap().done().unwrap();
}

#[test]
fn an_altered_entry_is_named() {
    let world = world();
    let entries = files(&world.data().join("audit"))
        .into_iter()
        .find(|file| file.to_string_lossy().contains("entries"));
    let entries = entries.expect("the log keeps entries");
    let mut bytes = fs::read(&entries).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&entries, bytes).unwrap();
    let outcome = world.run(AUDITOR, &["audit", "verify"]).unwrap();
    must_be_found(&outcome, &entries, middle);
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains("entry"), "{said}");
}

#[test]
fn a_log_cut_short_is_found_with_a_checkpoint_kept_elsewhere() {
    let world = world();
    let before = world.root().join("before");
    let log = world.data().join("audit");
    copy(&log, &before).unwrap();
    world.query("ana", QUESTION).unwrap().done().unwrap();
    let kept = world.root().join("kept");
    fs::copy(log.join("checkpoint"), &kept).unwrap();
    fs::remove_dir_all(&log).unwrap();
    copy(&before, &log).unwrap();
    let kept = kept.to_str().unwrap();
    let outcome = world.run(AUDITOR, &["audit", "verify", "--checkpoint", kept]).unwrap();
    must_be_found(&outcome, &log, 0);
}

#[test]
fn an_altered_result_is_not_handed_out() {
    let world = world();
    world.query("ana", QUESTION).unwrap().done().unwrap();
    let results = files(&world.data().join("results"));
    assert!(!results.is_empty());
    let job = newest_job(&world);
    let fetch = || world.run("ana", &["job", "result", &job, "--output", "csv"]).unwrap();
    fetch().done().unwrap();
    for file in results {
        flip_each(&file, |place| {
            let outcome = fetch();
            assert_ne!(outcome.code, Some(code::DONE), "{} at {place}", file.display());
            assert!(outcome.stdout.is_empty());
        });
    }
}

#[test]
fn an_old_version_put_back_is_found() {
    let world = world();
    let folder = world.data().join("datasets");
    let before = world.root().join("before");
    copy(&folder, &before).unwrap();
    let plain = tempfile::tempdir().unwrap();
    let fixture = Fixture::load().unwrap();
    fixture.write(plain.path()).unwrap();
    let file = plain.path().join("persons.csv");
    let replaced =
        world.run(STEWARD, &["seal", "corpus.persons", file.to_str().unwrap(), "--replace"]).unwrap();
    replaced.done().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    copy(&before, &folder).unwrap();
    must_be_found(&world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap(), &folder, 0);
    assert_ne!(world.query("ana", QUESTION).unwrap().code, Some(code::DONE));
}

/// The number of the analyst's newest job.
fn newest_job(world: &World) -> String {
    let listed =
        world.run("ana", &["job", "list", "--limit", "1", "--output", "csv"]).unwrap().done().unwrap();
    let found = listed.stdout.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let job = found.into_iter().find(|word| word.starts_with("job_")).expect("a job has a number");
    job.to_owned()
}
