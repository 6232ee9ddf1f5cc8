//! Documents, keys and sealed data of different ages: every state that they can be in relative to each other has an answer
//! that names it, and nothing is sealed under a keyring that does not belong to the data.

use std::path::Path;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::OPERATOR;

use super::*;

const KEY: &str = "corpus/L3";
const NEW_COLUMN: &str = "SELECT ward, COUNT(*) FROM persons GROUP BY ward";

/// The outcome of a command: its exit code, and words of its messages.
type Said = (i32, &'static str);

/// One state of documents, keys and sealed data, and what is said of it.
struct State {
    name: &'static str,
    /// Brings a world into the state.
    make: fn(&World, &Plain),
    question: Said,
    /// A question about the column that the newer document has.
    new_column: Said,
    /// A question about another dataset, whose data and document are as they were.
    elsewhere: Said,
    doctor: Said,
    verify: Said,
    append: Said,
}

const FINE: Said = (code::DONE, "");
const UNKNOWN_COLUMN: Said = (code::REFUSED, "column-not-in-scope");
const BEHIND: Said = (code::VERIFICATION, "the keyring is older than what is sealed");
const AHEAD: Said = (code::VERIFICATION, "the keyring is newer than what is sealed");
const OTHER: Said = (code::VERIFICATION, "the keyring is another one");
const GONE: Said = (code::VERIFICATION, "the keyring of this installation is gone");
const FOREIGN: Said = (code::VERIFICATION, "audit-key-foreign");

const STATES: &[State] = &[
    State {
        name: "all of one age",
        make: |_, _| {},
        question: FINE,
        new_column: UNKNOWN_COLUMN,
        elsewhere: FINE,
        doctor: FINE,
        verify: FINE,
        append: FINE,
    },
    State {
        name: "the key was rotated, and all followed",
        make: |world, _| rotate(&world.data(), world),
        question: FINE,
        new_column: UNKNOWN_COLUMN,
        elsewhere: FINE,
        doctor: FINE,
        verify: FINE,
        append: FINE,
    },
    State {
        name: "the keyring is one rotation behind",
        make: |world, _| {
            let kept = keep(&world.data().join("keyring"), world);
            rotate(&world.data(), world);
            fs::copy(kept, world.data().join("keyring")).unwrap();
        },
        question: BEHIND,
        new_column: BEHIND,
        elsewhere: BEHIND,
        doctor: (code::FAILURE, BEHIND.1),
        verify: BEHIND,
        append: BEHIND,
    },
    State {
        name: "the keyring is one rotation ahead",
        make: |world, _| {
            let before = keep(&world.data(), world);
            rotate(&world.data(), world);
            let newer = keep(&world.data().join("keyring"), world);
            put_back(&before, world);
            fs::copy(newer, world.data().join("keyring")).unwrap();
        },
        question: AHEAD,
        new_column: AHEAD,
        elsewhere: AHEAD,
        doctor: (code::FAILURE, AHEAD.1),
        verify: AHEAD,
        append: AHEAD,
    },
    State {
        name: "the keyring is that of another copy that was rotated too",
        make: |world, _| {
            let before = keep(&world.data(), world);
            rotate(&world.data(), world);
            let other = keep(&world.data().join("keyring"), world);
            put_back(&before, world);
            rotate(&world.data(), world);
            fs::copy(other, world.data().join("keyring")).unwrap();
        },
        question: OTHER,
        new_column: OTHER,
        elsewhere: OTHER,
        doctor: (code::FAILURE, OTHER.1),
        verify: OTHER,
        append: OTHER,
    },
    State {
        name: "the keyring is gone",
        make: |world, _| fs::remove_file(world.data().join("keyring")).unwrap(),
        question: GONE,
        new_column: GONE,
        elsewhere: GONE,
        doctor: (code::FAILURE, "the keyring is gone"),
        verify: GONE,
        append: GONE,
    },
    State {
        name: "the keyring is that of another installation",
        make: |world, _| {
            let other = super::world();
            // Both, for a keyring opens with its own key file alone.
            for file in ["data/keyring", "data.key"] {
                let (from, to) = (other.root().join(file), world.root().join(file));
                if from.exists() {
                    fs::copy(from, to).unwrap();
                }
            }
            let mut init = other.command(None).unwrap();
            init.env("OBSCURA_DATA_DIR", other.root().join("new")).args(["init", "--operator", "nora"]);
            other.finish(init, "`obscura init`").unwrap().done().unwrap();
            fs::copy(other.root().join("new/keyring"), world.data().join("keyring")).unwrap();
            fs::copy(other.root().join("new.key"), world.root().join("data.key")).unwrap();
        },
        question: FOREIGN,
        new_column: FOREIGN,
        elsewhere: FOREIGN,
        doctor: (code::FAILURE, "another installation"),
        verify: FOREIGN,
        append: FOREIGN,
    },
    State {
        name: "the document is ahead of the sealed data by a column",
        make: |world, _| publish(world, &with_new_column()),
        question: FINE,
        new_column: (code::REFUSED, "column-not-sealed"),
        elsewhere: FINE,
        doctor: FINE,
        verify: FINE,
        append: (code::FAILURE, "append-mismatch"),
    },
    State {
        name: "the document is ahead, and the data was sealed again",
        make: |world, plain| {
            publish(world, &with_new_column());
            world
                .run(STEWARD, &["seal", "corpus.persons", &plain.with_new_column(), "--replace"])
                .unwrap()
                .done()
                .unwrap();
        },
        question: FINE,
        new_column: FINE,
        elsewhere: FINE,
        doctor: FINE,
        verify: FINE,
        append: (code::USAGE, "input-column-missing"),
    },
    State {
        name: "the document has become laxer than the sealed data",
        make: |world, _| {
            let lax = "name: salary, type: decimal, scale: 4, role: measure, grade: L3, range: [0, 200000]";
            let laxer = persons_document(2).replace(lax, &lax.replace("grade: L3", "grade: L2"));
            publish(world, &laxer);
        },
        question: (code::REFUSED, "dataset-relabelled"),
        new_column: UNKNOWN_COLUMN,
        elsewhere: FINE,
        doctor: FINE,
        verify: FINE,
        append: (code::FAILURE, "dataset-relabelled"),
    },
    State {
        name: "the sealed data is gone",
        make: |world, _| fs::remove_dir_all(super::persons(world)).unwrap(),
        question: (code::FAILURE, "version-not-found"),
        new_column: (code::FAILURE, "version-not-found"),
        elsewhere: FINE,
        doctor: (code::FAILURE, "database and log disagree"),
        verify: (code::FAILURE, "version-not-found"),
        append: (code::FAILURE, "version-not-found"),
    },
    State {
        name: "the sealed data is one version behind",
        make: |world, plain| {
            let before = keep(&super::persons(world), world);
            world
                .run(STEWARD, &["seal", "corpus.persons", &plain.persons(), "--replace"])
                .unwrap()
                .done()
                .unwrap();
            fs::remove_dir_all(super::persons(world)).unwrap();
            copy(&before, &super::persons(world)).unwrap();
        },
        question: (code::VERIFICATION, "sealed-data-tampered"),
        new_column: (code::VERIFICATION, "sealed-data-tampered"),
        elsewhere: FINE,
        doctor: (code::FAILURE, "database and log disagree"),
        verify: (code::VERIFICATION, "sealed-data-tampered"),
        append: (code::VERIFICATION, "sealed-data-tampered"),
    },
];

#[test]
fn every_state_of_documents_keys_and_sealed_data_is_named() {
    let mut wrong = Vec::new();
    let plain = Plain::new();
    let file = plain.persons();
    for state in STATES {
        let world = super::world();
        (state.make)(&world, &plain);
        let mut doctor = world.command(None).unwrap();
        doctor.arg("doctor");
        for (command, (code, words), outcome) in [
            ("doctor", state.doctor, world.finish(doctor, "`obscura doctor`").unwrap()),
            ("question", state.question, world.query("ana", QUESTION).unwrap()),
            ("new column", state.new_column, world.query("ana", NEW_COLUMN).unwrap()),
            ("elsewhere", state.elsewhere, world.query("ana", "SELECT COUNT(*) FROM visits").unwrap()),
            ("verify", state.verify, world.run(STEWARD, &["dataset", "verify", "corpus.persons"]).unwrap()),
            (
                "append",
                state.append,
                world.run(STEWARD, &["seal", "corpus.persons", &file, "--append", "--yes"]).unwrap(),
            ),
        ] {
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            if outcome.code != Some(code) || !said.contains(words) || said.contains("of ours broke") {
                wrong.push(format!("{}: {command}: exit {:?}, not {code}: {said}", state.name, outcome.code));
            }
        }
        assert!(world.sightings().unwrap().is_empty(), "{}", state.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_asked_and_sealed_before_opens_again_when_the_right_keyring_is_back() {
    let world = world();
    let kept = keep(&world.data().join("keyring"), &world);
    rotate(&world.data(), &world);
    let right = keep(&world.data().join("keyring"), &world);
    fs::copy(kept, world.data().join("keyring")).unwrap();
    let plain = Plain::new();
    let file = plain.persons();
    for (person, arguments) in [
        (STEWARD, &["seal", "corpus.persons", &file, "--replace"][..]),
        (OPERATOR, &["key", "rotate", KEY]),
        (OPERATOR, &["key", "rotate", "_results/L3"]),
    ] {
        let refused = world.run(person, arguments).unwrap();
        assert_eq!(refused.code, Some(code::VERIFICATION), "{arguments:?}: {}", refused.stderr);
    }
    fs::copy(right, world.data().join("keyring")).unwrap();
    world.query("ana", QUESTION).unwrap().done().unwrap();
    world.run(OPERATOR, &["key", "rotate", KEY]).unwrap().done().unwrap();
    world.query("ana", QUESTION).unwrap().done().unwrap();
}

fn rotate(data: &Path, world: &World) {
    let mut rotate = world.command(Some(OPERATOR)).unwrap();
    rotate.env("OBSCURA_DATA_DIR", data).args(["key", "rotate", KEY]);
    world.finish(rotate, "`obscura key rotate`").unwrap().done().unwrap();
}

/// Copies a file or folder away.
fn keep(what: &Path, world: &World) -> PathBuf {
    let mut number = 0;
    let mut kept = world.root().join("kept-0");
    while kept.exists() {
        number += 1;
        kept = world.root().join(format!("kept-{number}"));
    }
    if what.is_dir() {
        copy(what, &kept).unwrap();
    } else {
        fs::copy(what, &kept).unwrap();
    }
    kept
}

fn put_back(before: &Path, world: &World) {
    fs::remove_dir_all(world.data()).unwrap();
    copy(before, &world.data()).unwrap();
}

/// The document of the corpus's people, as another version of it.
fn persons_document(version: u32) -> String {
    let file = environment::tests_folder().join("attacks").join("documents").join("corpus.yaml");
    let text = fs::read_to_string(file).unwrap();
    let document = text.split("\n---\n").find(|part| part.contains("id: corpus.persons,")).unwrap();
    document.replace("version: 1", &format!("version: {version}"))
}

fn with_new_column() -> String {
    format!(
        "{}\n  - {{name: ward, type: text, role: dimension, grade: L2}}\n",
        persons_document(2).trim_end()
    )
}

fn publish(world: &World, document: &str) {
    let file = world.root().join("persons.yaml");
    fs::write(&file, document).unwrap();
    world.publish(STEWARD, &file).unwrap();
}

/// The people in plain text, outside of the world's folder, which is searched for them.
struct Plain(tempfile::TempDir);

impl Plain {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Fixture::load().unwrap().write(folder.path()).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn persons(&self) -> String {
        self.file("persons.csv")
    }

    fn with_new_column(&self) -> String {
        let file = self.file("persons-with-ward.csv");
        let text = fs::read_to_string(self.persons()).unwrap();
        let mut lines = text.lines();
        let header = format!("{},ward\n", lines.next().unwrap());
        let rows = lines.enumerate().map(|(row, line)| format!("{line},{}\n", ["north", "south"][row % 2]));
        fs::write(&file, header + &rows.collect::<String>()).unwrap();
        file
    }
}
