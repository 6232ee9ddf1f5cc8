//! A disk that runs full: every command says so, nothing is lost, and work goes on once there is room.
//!
//! The disk is a small one in memory, mounted in a namespace of the test's own, so that the test needs no rights. Where the
//! system allows no such namespace the test says so and asserts nothing; tests beside the code (`room.rs`, `storage/part`)
//! cover the operating system's error alone.

use std::process::Command;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::AUDITOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;

use crate::QUESTION;
use crate::people;

/// Runs commands in one namespace: an argument list a line, answers as `code`, `out` and `err` files by number.
const SCRIPT: &str = r#"
set -eu
mkdir "$DISK"
mount -t tmpfs -o size=96m tmpfs "$DISK"
cp -a "$OBSCURA_DATA_DIR/." "$DISK"
cp -p "$OBSCURA_DATA_DIR.key" "$DISK.key"
export OBSCURA_DATA_DIR="$DISK"
number=0
run() {
    token=$1; shift
    status=0
    OBSCURA_TOKEN_FILE="$WORLD/$token.token" "$PRODUCT" "$@" > "$WORLD/$number.out" 2> "$WORLD/$number.err" || status=$?
    echo "$status" > "$WORLD/$number.code"
    number=$((number + 1))
}
everything() {
    run ana query --purpose "$PURPOSE" --output csv "$QUESTION"
    run "$STEWARD" seal corpus.persons "$ROWS" --replace
    run "$STEWARD" grant create --person ben --purpose "$PURPOSE" --dataset corpus.visits:person_id,day --until 2099-01-01
}
proofs() {
    run "$AUDITOR" audit verify
    run "$AUDITOR" doctor
    run "$STEWARD" dataset verify corpus.persons
}
fill() {
    dd if=/dev/zero of="$DISK/left" bs=1k count="$1" 2> /dev/null
    dd if=/dev/zero of="$DISK/filler" bs=64k 2> /dev/null || true
    dd if=/dev/zero of="$DISK/crumbs" bs=512 2> /dev/null || true
    rm "$DISK/left"
}
for kilobytes in $ROOM; do
    fill "$kilobytes"
    everything
    rm "$DISK/filler" "$DISK/crumbs"
    proofs
done
everything
proofs
"#;

/// Kilobytes that are left, from nothing to what one command needs.
const ROOM: [usize; 5] = [0, 32, 96, 160, 512];
/// Number of commands of a round that do something, and of commands that check the installation.
const COMMANDS: usize = 3;

/// The outcome of one command of the script.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

fn answer(world: &World, number: usize) -> Answer {
    let read = |kind: &str| std::fs::read_to_string(world.root().join(format!("{number}.{kind}"))).unwrap();
    Answer { code: read("code").trim().parse().unwrap(), out: read("out"), err: read("err") }
}

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-Urm", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
#[expect(clippy::print_stderr, reason = "who reads the test's output learns that it asserted nothing")]
fn a_full_disk_is_told_and_nothing_is_lost() {
    if !may_mount() {
        eprintln!("not run: this system lets nobody mount a disk in a namespace of their own");
        return;
    }
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let plain = tempfile::tempdir().unwrap();
    let rows = people(plain.path(), None);
    let right = world.query("ana", QUESTION).unwrap().done().unwrap().stdout;
    let mut shell = Command::new("unshare");
    shell
        .args(["-Urm", "sh", "-c", SCRIPT])
        .env("NO_COLOR", "1")
        .env("TMPDIR", world.root().join("tmp"))
        .env("OBSCURA_DATA_DIR", world.data())
        .env("DISK", world.root().join("disk"))
        .env("WORLD", world.root())
        .env("PRODUCT", environment::product().unwrap())
        .env("ROWS", &rows)
        .env("ROOM", ROOM.map(|kilobytes| kilobytes.to_string()).join(" "))
        .envs([("PURPOSE", PURPOSE), ("QUESTION", QUESTION), ("STEWARD", STEWARD), ("AUDITOR", AUDITOR)]);
    world.finish(shell, "the script on a full disk").unwrap().done().unwrap();
    let mut stopped = 0;
    for round in 0..=ROOM.len() {
        for number in (0..COMMANDS).map(|command| round * 2 * COMMANDS + command) {
            let Answer { code, out, err } = answer(&world, number);
            let is_full = err.contains("error[disk-full]");
            assert!(
                (is_full && code == 1 && out.is_empty()) || code == 0,
                "{round} {number}: {code}\n{out}\n{err}"
            );
            let must_be_full = ROOM.get(round).map(|kilobytes| *kilobytes == 0);
            assert!(must_be_full.is_none_or(|must| is_full || !must), "{round} {number}: {out}\n{err}");
            assert!(round < ROOM.len() || code == 0, "{number}: there is room again\n{err}");
            stopped += usize::from(is_full);
        }
        for number in (COMMANDS..2 * COMMANDS).map(|command| round * 2 * COMMANDS + command) {
            let Answer { code, out, err } = answer(&world, number);
            assert_eq!(code, 0, "{round} {number}: {out}\n{err}");
        }
    }
    assert!(stopped > COMMANDS, "the disk was full in the midst of no command");
    assert_eq!(answer(&world, ROOM.len() * 2 * COMMANDS).out, right);
    assert!(world.sightings().unwrap().is_empty());
}
