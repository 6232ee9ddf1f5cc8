//! The form of every Rust file: a header, a bounded length, nothing left unfinished, tests that wait for nothing.
//! Names and style inside functions are the business of lints and readers.

use crate::tree;

/// Most lines of a file outside its tests.
const LINES_MAX: usize = 800;

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    let findings: Vec<String> = tree::files_ending(".rs")
        .into_iter()
        .filter(|path| !is_compile_fail_case(path))
        .filter(|path| !tree::text(path).unwrap().starts_with("//! "))
        .collect();
    tree::report("a file without a `//!` header", &findings);
}

#[test]
fn modules_are_files_with_their_own_name() {
    let findings: Vec<String> =
        tree::files_ending(".rs").into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    tree::report("foo.rs and foo/, never mod.rs", &findings);
}

#[test]
fn no_file_is_longer_than_the_ceiling() {
    let mut findings = Vec::new();
    for path in tree::files_ending(".rs") {
        if path.ends_with("/tests.rs") || path.contains("/tests/") {
            continue;
        }
        let lines = tree::product(&tree::text(&path).unwrap()).lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines"));
        }
    }
    tree::report("a file over the ceiling", &findings);
}

#[test]
fn tests_are_not_counted_as_product_lines() {
    let product_lines = |text| tree::product(text).lines().count();
    assert_eq!(product_lines("//! x\nfn a() {}\n#[cfg(test)]\nmod tests {\n}\n"), 2);
    assert_eq!(product_lines("//! x\n#[cfg(test)]\nmod tests;\nfn a() {}\n"), 4);
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together from pieces, so that this file does not find itself.
    let words: Vec<String> = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["FIX", "ME"],
        ["XX", "X"],
        ["not yet ", "implemented"],
        ["not ", "implemented"],
        ["// TO", "DO"],
    ]
    .iter()
    .map(|parts| parts.concat())
    .collect();
    search("unfinished words", |path| path.ends_with(".rs"), &words);
}

#[test]
fn tests_wait_for_nothing_and_skip_nothing() {
    let words: Vec<String> = [
        ["#[ig", "nore"],
        ["#[should_", "panic"],
        ["thread::", "sleep("],
        ["time::", "sleep("],
        ["retr", "ies = 1"],
    ]
    .iter()
    .map(|parts| parts.concat())
    .collect();
    search("a test that sleeps, is skipped or expects a panic", |path| path.ends_with(".rs"), &words);
}

#[test]
fn lints_are_expected_and_never_allowed() {
    let words = vec![["#![al", "low("].concat(), ["#[al", "low("].concat()];
    search("`allow` hides what `expect` would report", |path| path.ends_with(".rs"), &words);
}

#[test]
fn files_end_with_one_newline_and_hold_no_tabs() {
    let mut findings = Vec::new();
    // Inputs of parsers are as somebody may send them.
    for path in tree::files().into_iter().filter(|path| !path.starts_with("tests/fuzz/inputs/")) {
        let judged =
            [".rs", ".toml", ".md", ".yaml", ".yml", ".py", ".sql"].iter().any(|end| path.ends_with(end));
        let Some(text) = judged.then(|| tree::text(&path)).flatten() else { continue };
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            findings.push(format!("{path}: the end of the file"));
        }
        if text.lines().any(|line| line.starts_with('\t') || line.ends_with(' ')) {
            findings.push(format!("{path}: a tab or a space at the end of a line"));
        }
    }
    tree::report("untidy white space", &findings);
}

fn search(rule: &str, judged: impl Fn(&str) -> bool, words: &[String]) {
    let mut findings = Vec::new();
    for path in tree::files().into_iter().filter(|path| judged(path)) {
        let Some(text) = tree::text(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                findings.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    tree::report(rule, &findings);
}

/// Compile-fail cases are programs for the compiler, and their messages name their lines.
fn is_compile_fail_case(path: &str) -> bool {
    path.contains("/compile_fail/")
}
