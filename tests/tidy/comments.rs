//! Doc comments are sentences with a subject: none begins with a pronoun that leaves it out.
//! It reads the first word of each doc comment; the sense of the rest is the business of readers.

use crate::tree;

/// The folders whose doc comments are held to the rule; a folder is added once it has no finding.
const FOLDERS: &[&str] = &["benches", "crypto", "policies", "query-guard", "sandbox", "tests"];

/// Words that a doc comment does not begin with: the sentence would describe a thing without naming it.
const PRONOUNS: &[&str] = &[
    "How",
    "What",
    "Whatever",
    "Where",
    "Wherever",
    "Whether",
    "Which",
    "Whichever",
    "Who",
    "Whoever",
    "Whom",
    "Whose",
    "Why",
];

#[test]
fn doc_comments_begin_with_their_subject() {
    let mut findings = Vec::new();
    for folder in FOLDERS {
        let inside = format!("{folder}/");
        let files: Vec<String> =
            tree::files_ending(".rs").into_iter().filter(|path| path.starts_with(&inside)).collect();
        assert!(!files.is_empty(), "{folder}");
        for path in files {
            let text = tree::text(&path).unwrap();
            let found = without_subject(&text);
            findings.extend(found.into_iter().map(|(number, line)| format!("{path}:{number}: {line}")));
        }
    }
    tree::report("a doc comment that begins with a pronoun", &findings);
}

/// The first lines of doc comments that begin with such a pronoun, with their numbers.
fn without_subject(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_continued = false;
    for (number, line) in text.lines().enumerate() {
        let doc = doc(line);
        if let Some(words) = doc.filter(|_| !is_continued)
            && PRONOUNS.contains(&first_word(words))
        {
            found.push((number + 1, line.trim()));
        }
        is_continued = doc.is_some();
    }
    found
}

/// The words of a line of a doc comment.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//!").or_else(|| line.strip_prefix("///").filter(|rest| !rest.starts_with('/')))
}

fn first_word(words: &str) -> &str {
    let words = words.trim_start();
    words.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(words)
}

#[test]
fn a_pronoun_is_seen_at_the_beginning_of_a_doc_comment_only() {
    let text = "//! What this file does.\n//! Whether it does more.\n\n/// Whose rows these are.\nfn a() {\n    /// How far.\n    \
                let b = 1;\n    // What a plain comment says is its own.\n}\n\n\
                /// The rows.\n/// Which of them is not said.\n/// Whichever.\nstruct C;\n\n\
                /// Whole numbers.\nstruct D;\n/// Where, when known.\n#[derive(Debug)]\nstruct E;\n";
    let numbers: Vec<usize> = without_subject(text).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 4, 6, 18]);
    assert_eq!(without_subject("    /// Why.\n"), [(1, "/// Why.")]);
}
