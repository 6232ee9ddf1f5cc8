//! Named invariants: the architecture document lists each with its test, the code marks where it holds, and all agree.
//! Readers judge whether the test is good.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::tree;

const DOCUMENT: &str = "sandbox/docs/architecture.md";

#[test]
fn invariants_in_code_document_and_tests_agree() {
    let listed = listed();
    assert!(!listed.is_empty(), "{DOCUMENT} lists no invariant");
    let mut marked: BTreeSet<String> = BTreeSet::new();
    let mut functions: BTreeSet<String> = BTreeSet::new();
    for path in tree::files_ending(".rs") {
        if path.starts_with("tests/tidy/") {
            continue;
        }
        for line in tree::text(&path).unwrap().lines() {
            if let Some(name) = mark(line) {
                marked.insert(name.to_owned());
            }
            if let Some(name) = line.trim_start().trim_start_matches("async ").strip_prefix("fn ") {
                functions.insert(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    let mut findings = Vec::new();
    for name in &marked {
        if !listed.contains_key(name) {
            findings.push(format!("`{name}` is marked in the code and not listed in {DOCUMENT}"));
        }
    }
    for (name, test) in &listed {
        if !marked.contains(name) {
            findings.push(format!("`{name}` is listed and marked nowhere in the code"));
        }
        if !functions.contains(test) && !corpus_test(test) {
            findings.push(format!("`{name}` names the test `{test}`, which does not exist"));
        }
    }
    tree::report("invariants out of step", &findings);
}

/// The rows of the invariants table: name in back quotes, what holds, test in back quotes.
fn listed() -> BTreeMap<String, String> {
    let text = tree::text(DOCUMENT).expect("there is an architecture document");
    let mut found = BTreeMap::new();
    let section = text.split("\n## ").find(|section| section.starts_with("Invariants")).unwrap_or("");
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let (Some(name), Some(test)) = (quoted.first(), quoted.last()) else { continue };
        let earlier = found.insert((*name).to_owned(), (*test).to_owned());
        assert!(earlier.is_none(), "`{name}` is listed twice");
    }
    found
}

fn mark(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("INVARIANT(")?;
    let (name, _) = rest.split_once(')')?;
    Some(name)
}

/// A test may be a suite whose cases are files: `tests/attacks`.
fn corpus_test(name: &str) -> bool {
    name.starts_with("tests/") && tree::root().join(name).exists()
}

#[test]
fn a_mark_is_read() {
    assert_eq!(mark("// INVARIANT(one-door): only here"), Some("one-door"));
    assert_eq!(mark("// no mark"), None);
}
