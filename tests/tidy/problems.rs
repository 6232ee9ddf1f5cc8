//! The problem types: each code that a refusal of a request or a command carries has a page, and each page is of a code.
//! `tests/http/docs.rs` tests that the pages are served at their links.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::tree;

/// The folder of the pages.
const PAGES: &str = "sandbox/docs/problems/";
/// The refusals of policies, a code each.
const REFUSALS: &str = "policies/src/evaluate/refusal.rs";

/// The product code of a crate, by file.
fn product(folder: &str) -> BTreeMap<String, String> {
    let is_product =
        |path: &String| path.starts_with(folder) && !path.ends_with("tests.rs") && !path.contains("/tests/");
    tree::product_of(is_product)
}

/// The codes that a file writes: beside a class, in a finding of a verdict, and as the argument of a function of its own
/// that makes an error of a code.
fn codes(code: &str) -> BTreeSet<String> {
    let mut marks: Vec<String> = vec!["Class::".to_owned(), "FindingView::plain(".to_owned()];
    marks.extend(makers(code).into_iter().map(|name| format!("{name}(")));
    let mut found = BTreeSet::new();
    for mark in &marks {
        for (at, _) in code.match_indices(mark.as_str()) {
            // `public(` is no call of a function `blic`.
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !is_part_of_name(c)) {
                found.extend(first_word(code, &code[at + mark.len()..]));
            }
        }
    }
    found
}

/// The code that is written behind a mark, as a word or as the name of a constant: before it stand names only, or there is
/// none.
fn first_word(code: &str, rest: &str) -> Option<String> {
    let name = rest.split(',').nth(1).unwrap_or_default().trim();
    let is_constant = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let declared = format!("const {name}: &str = \"");
    let word = match code.split(&declared).nth(1).filter(|_| is_constant) {
        Some(constant) => constant,
        None => {
            let passed = |c: char| is_part_of_name(c) || "&:.,".contains(c) || c.is_whitespace();
            rest.trim_start_matches(passed).strip_prefix('"')?
        }
    };
    let slug = word.split('"').next()?;
    let is_slug = !slug.is_empty() && slug.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    is_slug.then(|| slug.to_owned())
}

/// The functions and closures of a file that make an error of the code that they are given.
fn makers(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, mark) in code.match_indices("PublicError::new(") {
        let is_given = code[at + mark.len()..].split(',').take(2).any(|argument| argument.trim() == "code");
        let before = &code[..at];
        let starts = [("fn ", before.rfind("fn ")), ("let ", before.rfind("let "))];
        let nearest = starts.into_iter().filter_map(|(word, at)| Some(at? + word.len())).max();
        if let Some(start) = nearest.filter(|_| is_given) {
            found.insert(before[start..].chars().take_while(|c| is_part_of_name(*c)).collect());
        }
    }
    found
}

fn is_part_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The codes of the refusals of policies.
fn policy_codes() -> BTreeSet<String> {
    let text = tree::text(REFUSALS).unwrap();
    let of_line = |line: &str| {
        let (_, slug) = line.trim().split_once(" = \"")?;
        Some(slug.strip_suffix("\",")?.to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

fn pages() -> Vec<(String, String)> {
    let paths = tree::files_ending(".md").into_iter().filter(|path| path.starts_with(PAGES));
    paths
        .map(|path| {
            let slug = path.trim_start_matches(PAGES).trim_end_matches(".md").to_owned();
            (slug, tree::text(&path).unwrap())
        })
        .collect()
}

#[test]
fn every_problem_type_has_its_page() {
    let pages: BTreeSet<String> = pages().into_iter().map(|(slug, _)| slug).collect();
    let product = product("sandbox/src/");
    let written =
        product.iter().flat_map(|(path, code)| codes(code).into_iter().map(move |slug| (path, slug)));
    let refusals = REFUSALS.to_owned();
    let written: Vec<_> = written.chain(policy_codes().into_iter().map(|slug| (&refusals, slug))).collect();
    assert!(written.len() > 140, "found only {} places with a code", written.len());
    let findings = written.iter().filter(|(_, slug)| !pages.contains(slug));
    let findings: Vec<String> = findings.map(|(path, slug)| format!("{path}: `{slug}`")).collect();
    tree::report("problem types without a page in sandbox/docs/problems", &findings);
}

#[test]
fn no_page_is_of_no_problem_type() {
    let mut code = product("sandbox/src/").into_values().collect::<String>();
    code.push_str(&tree::text(REFUSALS).unwrap());
    let pages = pages().into_iter().map(|(slug, _)| slug);
    let findings: Vec<String> = pages.filter(|slug| !code.contains(&format!("\"{slug}\""))).collect();
    tree::report("a page of no problem type", &findings);
}

#[test]
fn every_page_says_what_happened_why_and_what_to_do_with_an_example() {
    let mut findings = Vec::new();
    for (slug, page) in pages() {
        for part in [
            "\n## What causes it\n\n",
            "\n## What to do\n\n",
            "\n## Example\n\n```",
            "\n## 中文\n\n### ",
            "\n原因：",
            "\n处理方法：",
            "\n示例：\n\n```",
        ] {
            if page.matches(part).count() != 1 {
                findings.push(format!("{slug}: no part `{}`", part.trim()));
            }
        }
        let status = page.lines().nth(2).unwrap_or_default();
        let examples: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
        let wrong = examples.iter().filter(|example| !is_example_of(&slug, status, example)).count();
        if examples.len() != 2 || wrong != 0 {
            findings.push(format!("{slug}: {} examples, {wrong} of them of something else", examples.len()));
        }
    }
    tree::report("pages of problem types", &findings);
}

/// Says if an example is an answer with this code and the status that the page names, or the words of a command with it.
fn is_example_of(slug: &str, status: &str, example: &str) -> bool {
    if let Some(told) = example.strip_prefix("text\n") {
        return status.starts_with("Exit code ") && told.starts_with(&format!("error[{slug}]: "));
    }
    let Some(answer) = example.strip_prefix("json\n") else { return false };
    let Ok(answer) = serde_json::from_str::<Value>(answer) else { return false };
    let leads = match answer["status"].as_u64() {
        Some(number) => {
            answer["type"] == format!("/docs/problems/{slug}") && status.contains(&number.to_string())
        }
        None => answer["docs"] == format!("/docs/refusals/{slug}"),
    };
    leads && answer["code"] == slug && status.ends_with(&format!(" code `{slug}`."))
}

#[test]
fn a_code_is_found_where_it_is_written_and_where_it_is_handed_on() {
    let code = "const FOREIGN: &str = \"key-foreign\";\n\
        fn one() { PublicError::new(Class::Usage, \"one-thing\", \"en\", \"zh\") }\n\
        fn two() { PublicError::new(\n    Class::Failure,\n    FOREIGN,\n    \"en\", \"zh\") }\n\
        fn refused(code: &'static str, en: &str) { PublicError::new(Class::Gone, code, en, en) }\n\
        fn three() { refused(\n    \"log-cut\", \"en\"); let taken = |code, en| PublicError::new(Class::Busy, code, en, en); }\n\
        fn four() { taken(\"too-much\", \"x-y\"); overtaken(\"no-code\"); taken(other(), \"no-code\") }\n";
    let found: Vec<String> = codes(code).into_iter().collect();
    assert_eq!(found, ["key-foreign", "log-cut", "one-thing", "too-much"]);
}
