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
pub(crate) fn reasons() -> Vec<(String, String)> {
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
pub(crate) fn product() -> BTreeMap<String, String> {
    let is_product = |path: &String| {
        let of_tests = ["query-guard/src/fixture", "query-guard/src/guard/"];
        path.starts_with("query-guard/src/")
            && path != REASONS
            && !path.ends_with("tests.rs")
            && !path.contains("/tests/")
            && !of_tests.iter().any(|start| path.starts_with(start))
    };
    tree::product_of(is_product)
}

/// The function that a line of a text is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Its doc comment, line by line.
    pub(crate) doc: String,
}

/// The lines of a text that name a reason, with the function that each is in.
pub(crate) fn lines_with_reasons(code: &str) -> Vec<(&str, Function)> {
    let mut function = Function::default();
    let (mut doc, mut is_attribute) = (String::new(), false);
    let mut found = Vec::new();
    for line in code.lines() {
        let text = line.trim();
        let declared = text.trim_start_matches("pub").trim_start_matches(['(', ')']);
        if let Some((_, name)) = declared.split_once("fn ").filter(|(before, _)| !before.contains("//")) {
            let name = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            function = Function { name, doc: std::mem::take(&mut doc) };
        }
        is_attribute |= text.starts_with("#[");
        match text.strip_prefix("///") {
            Some(words) => doc.extend([words, "\n"]),
            None if is_attribute => {}
            None => doc.clear(),
        }
        is_attribute &= !text.ends_with(']');
        if line.contains("Reason::") {
            found.push((line, function.clone()));
        }
    }
    found
}

/// The number of times that a line names a reason.
pub(crate) fn times(line: &str, variant: &str) -> usize {
    let named = format!("Reason::{variant}");
    let is_whole = |at: &usize| {
        let after = line[at + named.len()..].chars().next();
        !after.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    line.match_indices(&named).map(|(at, _)| at).filter(is_whole).count()
}

/// The places among lines where a reason is named: the name of the function that each is in.
fn places(lines: &[(&str, Function)], variant: &str) -> Vec<String> {
    lines.iter().flat_map(|(line, function)| vec![function.name.clone(); times(line, variant)]).collect()
}

#[test]
fn every_reason_has_a_page_that_leads_to_the_one_place_that_emits_it() {
    let product = product();
    let lines: Vec<_> = product.iter().map(|(path, code)| (path, lines_with_reasons(code))).collect();
    let excused = tree::text(EXCUSED).unwrap();
    let mut findings = Vec::new();
    for (variant, slug) in reasons() {
        let emitted: Vec<(&String, String)> = lines
            .iter()
            .flat_map(|(path, lines)| places(lines, &variant).into_iter().map(move |place| (*path, place)))
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
    let lines = lines_with_reasons(code);
    assert_eq!(places(&lines, "Here"), ["one"]);
    assert_eq!(places(&lines, "Hereafter"), ["two"]);
    assert!(places(&lines, "Nowhere").is_empty());
}

#[test]
fn a_doc_comment_is_that_of_its_function() {
    let code = "/// Of a field.\nfield: u8,\n\n/// One,\n/// and more.\n#[expect(\n    lint,\n    reason = \"why\"\n)]\nfn one() {\n    \
                Reason::Here\n}\n\nfn two() {\n    Reason::Here\n}\n";
    let docs: Vec<String> = lines_with_reasons(code).into_iter().map(|(_, function)| function.doc).collect();
    assert_eq!(docs, [" One,\n and more.\n", ""]);
}
