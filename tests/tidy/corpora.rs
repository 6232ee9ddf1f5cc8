//! The corpora against the guard: each refusal code has an attack, and each kind of answer a near miss.
//! The suites test the cases themselves.

use std::collections::BTreeSet;

use crate::tree;

/// Codes that no statement of the corpora can meet: they need a size beyond a file, another policy or a fault.
/// This list may only shrink.
const UNCOVERED: &[&str] = &["internal-error", "join-not-agreed", "too-many-cells"];

#[test]
fn every_refusal_code_has_an_attack() {
    let text = tree::text("query-guard/src/code.rs").unwrap();
    let codes: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.trim_start().starts_with("Code::"))
        .filter_map(|line| line.split("=> \"").nth(1)?.split('"').next())
        .collect();
    assert!(codes.len() > 10, "found only {} codes in the guard", codes.len());
    let mut covered = BTreeSet::new();
    for path in
        tree::files_ending(".toml").into_iter().filter(|path| path.starts_with("tests/attacks/corpus/"))
    {
        let text = tree::text(&path).unwrap();
        covered.extend(codes.iter().filter(|code| text.contains(&format!("code = \"{code}\""))).copied());
    }
    let mut findings = Vec::new();
    for code in &codes {
        match (covered.contains(code), UNCOVERED.contains(code)) {
            (false, false) => findings.push(format!("`{code}` has no attack")),
            (true, true) => findings.push(format!("`{code}` has an attack: take it off the list")),
            (true, false) | (false, true) => {}
        }
    }
    tree::report("refusal codes and attacks", &findings);
}
