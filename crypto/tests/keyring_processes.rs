//! A keyring under several processes and under `kill -9`: nothing acknowledged is lost, and it always opens.
//!
//! The test binary starts itself as the writer. What counts as failure: a keyring that does not open, an acknowledged
//! key that is missing, or an acknowledged destruction that is undone. A key that was never acknowledged may be there.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the writer acknowledges on standard output"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use obscura_crypto::danger::create_keyring_with_cost;
use obscura_crypto::kms::{KekId, KeyManagement, LocalKeyring, PassphraseCost, Secret};

/// First argument that turns this program into a writer.
const WRITER: &str = "keyring-writer";
/// Keys that a writer makes in one pass.
const KEYS_PER_PASS: u8 = 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_program, WRITER, path, department, passes] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        write(Path::new(path), department, passes.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        Trial::test("a_writer_killed_at_any_moment_loses_nothing_it_acknowledged", || {
            killed_writers();
            Ok(())
        }),
        Trial::test("several_processes_keep_each_others_keys", || {
            several_writers();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Makes, rotates and destroys keys, and prints a line for each change once it is durable.
fn write(path: &Path, department: &str, passes: u32) {
    let keyring = LocalKeyring::open(path, &secret()).unwrap();
    let mut output = std::io::stdout();
    for (pass, grade) in (0..passes).flat_map(|pass| (0..KEYS_PER_PASS).map(move |grade| (pass, grade))) {
        let kek = KekId::new(&format!("{department}-{pass}"), grade).unwrap();
        let version = keyring.ensure_key(&kek).unwrap();
        writeln!(output, "has {kek} {version}").unwrap();
        if grade % 3 == 1 {
            let version = keyring.rotate(&kek).unwrap();
            writeln!(output, "has {kek} {version}").unwrap();
        }
        if grade % 3 == 2 {
            keyring.destroy(&kek).unwrap();
            writeln!(output, "gone {kek}").unwrap();
        }
    }
    println!("done");
}

fn killed_writers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    create(&path);
    // Each round lets the writer acknowledge some changes and then kills it in the middle of the next one.
    for (round, acknowledged) in [1, 2, 3, 5, 8, 13, 21, 34].into_iter().enumerate() {
        let mut writer = start(&path, &format!("round-{round}"), u32::MAX);
        let output = BufReader::new(writer.stdout.take().unwrap());
        let mut lines = output.lines();
        let mut seen: Vec<String> = lines.by_ref().take(acknowledged).map(Result::unwrap).collect();
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it still managed to say before it died counts, except a line that was cut.
        seen.extend(lines.map_while(Result::ok));
        check(&path, &seen);
    }
}

fn several_writers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    create(&path);
    let writers = [start(&path, "one", 1), start(&path, "two", 1), start(&path, "three", 1)];
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.last().map(String::as_str), Some("done"));
        check(&path, &lines);
    }
}

/// Compares the keyring with what its writers acknowledged; later lines about a key overrule earlier ones.
fn check(path: &Path, acknowledged: &[String]) {
    let keyring = LocalKeyring::open(path, &secret()).unwrap();
    for (place, line) in acknowledged.iter().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let later = acknowledged.iter().skip(place + 1);
        match words[..] {
            ["has", kek, version] if !later.clone().any(|other| other == &format!("gone {kek}")) => {
                let versions = keyring.versions(&kek.parse().unwrap()).unwrap();
                let is_there = versions.iter().any(|found| found.to_string() == version);
                // The last acknowledged key may already be destroyed: the kill came before that was said.
                assert!(is_there || (later.len() == 0 && versions.is_empty()), "{line}");
            }
            ["gone", kek] => assert!(keyring.versions(&kek.parse().unwrap()).unwrap().is_empty(), "{line}"),
            _ => {}
        }
    }
}

fn start(path: &Path, department: &str, passes: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([WRITER, path.to_str().unwrap(), department, &passes.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn create(path: &Path) {
    let cheap = PassphraseCost { memory_kib: 8, passes: 1, lanes: 1 };
    create_keyring_with_cost(path, &secret(), cheap).unwrap();
}

fn secret() -> Secret {
    Secret::passphrase("correct horse battery".to_owned())
}
