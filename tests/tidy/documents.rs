//! The form of documents: one sentence per line, links that lead somewhere.
//! Their contents are for readers to judge.

use std::path::Path;

use crate::tree;

#[test]
fn documents_have_one_sentence_per_line() {
    let mut findings = Vec::new();
    for path in tree::files_ending(".md") {
        let text = tree::text(&path).unwrap();
        let mut in_code = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if !in_code && !line.starts_with('|') && holds_two_sentences(line) {
                findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    tree::report("two sentences on one line", &findings);
}

/// True if a sentence ends inside the line and another begins.
fn holds_two_sentences(line: &str) -> bool {
    // The number of a list's entry or of a heading ends no sentence.
    let line =
        line.trim_start_matches(['#', ' ']).trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let chars: Vec<char> = line.chars().collect();
    chars.windows(4).any(|window| match window {
        [before, '.' | '!' | '?', ' ', after] => {
            (before.is_lowercase() || before.is_ascii_digit() || ")`\"".contains(*before))
                && after.is_uppercase()
        }
        _ => false,
    })
}

#[test]
fn a_second_sentence_is_seen() {
    assert!(holds_two_sentences("One thing. Another thing."));
    assert!(holds_two_sentences("See `x`. Then go."));
    assert!(!holds_two_sentences("One thing, e.g. this one."));
    assert!(!holds_two_sentences("12. Do this."));
    assert!(!holds_two_sentences("### 4.2. Grades and masks"));
    assert!(holds_two_sentences("12. Do this. Do that."));
    assert!(!holds_two_sentences("Rust 1.95 is pinned."));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for path in tree::files_ending(".md") {
        let text = tree::text(&path).unwrap();
        let folder = Path::new(&path).parent().unwrap();
        for (at, _) in text.match_indices("](") {
            let target: String = text[at + 2..].chars().take_while(|c| *c != ')' && *c != '\n').collect();
            let file = target.split('#').next().unwrap_or("");
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !tree::root().join(folder).join(file).exists() {
                findings.push(format!("{path}: {target}"));
            }
        }
    }
    tree::report("a link that leads nowhere", &findings);
}

#[test]
fn commands_of_the_readme_exist() {
    let readme = tree::text("README.md").unwrap();
    let xtask = tree::text("tests/xtask/src/main.rs").unwrap();
    let mut named = 0;
    for (_, rest) in readme.match_indices("cargo xtask ").map(|(at, found)| (at, &readme[at + found.len()..]))
    {
        let command: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        assert!(xtask.contains(&format!("\"{command}\" =>")), "xtask has no command `{command}`");
        named += 1;
    }
    assert!(named >= 4, "the README names only {named} commands");
}
