//! The reasons for refusals: from the link of a finding to its page, from the page to the one place that emits the reason.
//! `query-guard/src/guard/pages.rs` tests that the statements of the pages are refused and admitted.

use std::collections::BTreeMap;

use crate::tree;

/// Folder of the pages.
const PAGES: &str = "sandbox/docs/refusals/";
/// File of the reasons.
const REASONS: &str = "query-guard/src/reason.rs";
/// The list of reasons that no statement is refused for.
const EXCUSED: &str = "query-guard/src/guard/pages.rs";

/// A reason as its file writes it: `Variant = "slug", Code;`.
fn reasons() -> Vec<(String, String)> {
    let text = tree::text(REASONS).unwrap();
    let of_line = |line: &str| {
        let (variant, rest) = line.trim().split_once(" = \"")?;
        let (slug, _) = rest.split_once("\", ")?;
        let is_name = variant.chars().all(|c| c.is_ascii_alphabetic());
        is_name.then(|| (variant.to_owned(), slug.to_owned()))
    };
    let found: Vec<_> = text.lines().filter_map(of_line).collect();
    assert!(found.len() > 60, "found only {} reasons", found.len());
    found
}

/// The product code of the guard, by file: without tests, fixtures and the list of reasons itself.
fn product() -> BTreeMap<String, String> {
    let is_product = |path: &String| {
        let of_tests = ["query-guard/src/fixture", "query-guard/src/guard/"];
        path.starts_with("query-guard/src/")
            && path != REASONS
            && !path.ends_with("tests.rs")
            && !of_tests.iter().any(|start| path.starts_with(start))
    };
    let files = tree::files_ending(".rs").into_iter().filter(is_product);
    files
        .map(|path| {
            let text = tree::text(&path).unwrap();
            (path, tree::product(&text).to_owned())
        })
        .collect()
}

/// The places where a text names a reason: the name of the function that each is in.
fn places(code: &str, variant: &str) -> Vec<String> {
    let mut function = String::new();
    let mut found = Vec::new();
    for line in code.lines() {
        let declared = line.trim_start().trim_start_matches("pub").trim_start_matches(['(', ')']);
        if let Some((_, name)) = declared.split_once("fn ").filter(|(before, _)| !before.contains("//")) {
            function = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        }
        let named = format!("Reason::{variant}");
        for (at, _) in line.match_indices(&named) {
            let after = line[at + named.len()..].chars().next();
            if !after.is_some_and(|c| c.is_ascii_alphanumeric()) {
                found.push(function.clone());
            }
        }
    }
    found
}

#[test]
fn every_reason_has_a_page_that_leads_to_the_one_place_that_emits_it() {
    let product = product();
    let excused = tree::text(EXCUSED).unwrap();
    let mut findings = Vec::new();
    for (variant, slug) in reasons() {
        let emitted: Vec<(&String, String)> = product
            .iter()
            .flat_map(|(path, code)| places(code, &variant).into_iter().map(move |place| (path, place)))
            .collect();
        let Some(page) = tree::text(&format!("{PAGES}{slug}.md")) else {
            findings.push(format!("{slug}: no page"));
            continue;
        };
        let is_excused = excused.contains(&format!("(Reason::{variant}, \""));
        for (part, needed) in [
            ("```sql refused", !is_excused),
            ("```sql admitted", !is_excused),
            ("\n## What would be accepted\n", true),
            ("\n## 中文\n", true),
        ] {
            if needed && !page.contains(part) {
                findings.push(format!("{slug}: no part `{}`", part.trim()));
            }
        }
        let [(path, function)] = emitted.as_slice() else {
            findings.push(format!("{slug}: emitted at {} places: {emitted:?}", emitted.len()));
            continue;
        };
        let place = format!("\n## Where the rule stands\n\n`{path}`, `{function}`\n");
        if !page.contains(&place) {
            findings.push(format!("{slug}: its page does not lead to `{path}`, `{function}`"));
        }
    }
    tree::report("reasons, pages and places", &findings);
}

#[test]
fn no_page_is_of_no_reason() {
    let slugs: Vec<String> = reasons().into_iter().map(|(_, slug)| slug).collect();
    let mut findings = Vec::new();
    for path in tree::files_ending(".md").into_iter().filter(|path| path.starts_with(PAGES)) {
        let slug = path.trim_start_matches(PAGES).trim_end_matches(".md");
        if !slugs.iter().any(|known| known == slug) {
            findings.push(path);
        }
    }
    tree::report("a page of no reason", &findings);
}

#[test]
fn a_place_is_found_by_its_function() {
    let code = "fn one() {\n    Reason::Here\n}\npub(crate) fn two() -> Reason {\n    Reason::Hereafter\n}\n";
    assert_eq!(places(code, "Here"), ["one"]);
    assert_eq!(places(code, "Hereafter"), ["two"]);
    assert!(places(code, "Nowhere").is_empty());
}
