//! Proof types cannot be made outside their homes: small programs that must not compile, each with the error it must get.
//! It runs the compiler on the built libraries; a program that must compile shows that the setup is right.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use obscura_tests::environment;

const LIBRARIES: &[&str] = &["obscura_query_guard", "obscura_sandbox", "obscura_policies", "obscura_crypto"];

#[test]
fn proof_types_cannot_be_made_outside_their_homes() {
    let mut findings = Vec::new();
    let mut count = 0;
    for path in cases() {
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let header = text.lines().next().unwrap_or_default();
        let messages = compile(&path);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if header.starts_with("//! compiles: ") {
            if messages.contains("error") {
                findings.push(format!("{name} must compile:\n{messages}"));
            }
            continue;
        }
        let code = header.strip_prefix("//! error[").and_then(|rest| rest.split(']').next());
        let code = code.unwrap_or_else(|| panic!("{name} does not begin with the error it must get"));
        if !messages.contains(&format!("error[{code}]")) {
            findings.push(format!("{name} must fail with {code}, and the compiler says:\n{messages}"));
        }
    }
    assert!(count > 3, "only {count} cases");
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn cases() -> Vec<PathBuf> {
    let folder = environment::tests_folder().join("compile_fail").join("cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The compiler's messages about one program.
fn compile(path: &Path) -> String {
    let dependencies = environment::built_libraries().unwrap();
    let output = tempfile::tempdir().unwrap();
    let mut command = Command::new("rustc");
    command
        .current_dir(environment::tests_folder())
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"])
        .arg(output.path())
        .arg("-L")
        .arg(format!("dependency={}", dependencies.display()));
    for library in LIBRARIES {
        command.arg("--extern").arg(format!("{library}={}", newest(&dependencies, library).display()));
    }
    let finished = command.arg(path).output().unwrap();
    String::from_utf8(finished.stderr).unwrap()
}

/// The library as it was built last: several features leave several files.
fn newest(folder: &Path, library: &str) -> PathBuf {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("lib{library}-")) && name.ends_with(".rlib") {
            found.push((entry.metadata().unwrap().modified().unwrap(), entry.path()));
        }
    }
    found.sort();
    let (_, path) = found.pop().unwrap_or_else(|| panic!("{library} is not built; run `cargo xtask test`"));
    path
}
