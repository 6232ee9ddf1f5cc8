//! Citations: every document that comments, corpora, tests and documents name is a file of the repository, and every section
//! that is cited of one has a heading there. Readers judge whether a document says what it is cited for.
//!
//! A section is cited in one form, on one line: the path, a comma, `section` or `sections`, and numbers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree;

/// Text that is judged line by line. Of Rust, only comments are: a string may name a file that its program writes.
const JUDGED: &[&str] = &[".md", ".py", ".rs", ".slt", ".sql", ".toml", ".txt", ".yaml", ".yml"];

/// Files whose lines name pages in a form of their own, which their own suite checks.
const OWN_FORM: &[&str] = &["tests/how_to/not-run.txt"];

/// Documents with numbered sections, and the words that stand for them where no section is cited.
const BY_WORDS: &[(&str, &str)] = &[
    ("disclosure model", "sandbox/docs/disclosure-model.md"),
    ("reference", "sandbox/docs/reference.md"),
    ("style guide", "sandbox/docs/style-guide.md"),
];

#[test]
fn cited_documents_and_sections_exist() {
    let repository = Repository::read();
    let (mut findings, mut sections) = (Vec::new(), 0);
    for path in &repository.files {
        let is_judged =
            JUDGED.iter().any(|ending| path.ends_with(ending)) && !OWN_FORM.contains(&path.as_str());
        let Some(text) = is_judged.then(|| tree::text(path)).flatten() else { continue };
        for (number, line) in text.lines().enumerate() {
            let Some(line) = judged(path, line) else { continue };
            sections += citations(line).iter().map(|citation| citation.sections.len()).sum::<usize>();
            let faults = faults(path, line, &repository);
            findings.extend(faults.into_iter().map(|fault| format!("{path}:{}: {fault}", number + 1)));
        }
    }
    tree::report("a citation that leads nowhere", &findings);
    assert!(sections > 10, "only {sections} cited sections were found: the form has changed");
}

/// Source files that documents name between back quotes exist: by their path, or by its end.
#[test]
fn source_files_that_documents_name_exist() {
    let repository = Repository::read();
    let mut findings = Vec::new();
    for path in repository.files.iter().filter(|path| path.ends_with(".md")) {
        for (number, line) in tree::text(path).unwrap().lines().enumerate() {
            let named = line.split('`').skip(1).step_by(2).filter(|name| is_source_path(name));
            let unknown = named.filter(|name| !repository.has_ending(name));
            findings.extend(unknown.map(|name| format!("{path}:{}: {name}", number + 1)));
        }
    }
    tree::report("a source file that is not there", &findings);
}

fn is_source_path(name: &str) -> bool {
    let is_path = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    is_path && name.ends_with(".rs")
}

/// The part of a line that may cite: all of it, or a comment of Rust.
fn judged<'l>(path: &str, line: &'l str) -> Option<&'l str> {
    if !path.ends_with(".rs") {
        return Some(line);
    }
    let starts = |at: usize| !line[..at].ends_with(':');
    line.match_indices("//").find(|(at, _)| starts(*at)).map(|(at, _)| &line[at..])
}

/// One document that a line names, and the numbers of the sections that it cites of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Citation<'l> {
    pub(crate) path: &'l str,
    pub(crate) sections: Vec<String>,
    /// The line says `section` behind the path in another form.
    is_malformed: bool,
}

/// The documents that a line names.
pub(crate) fn citations(line: &str) -> Vec<Citation<'_>> {
    let mut found = Vec::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut from = 0;
    while let Some(start) = line[from..].find(is_part).map(|at| from + at) {
        let end = line[start..].find(|c| !is_part(c)).map_or(line.len(), |at| start + at);
        from = end;
        let path = line[start..end].trim_end_matches('.');
        let stem = path.strip_suffix(".md").map(|path| path.rsplit('/').next().unwrap_or(path));
        // An address is no path, and `*.md` names no file.
        if stem.is_none_or(str::is_empty) || path.starts_with("//") {
            continue;
        }
        let rest = line[end..].trim_start_matches(['`', '"']);
        let sections = sections(rest);
        let is_malformed =
            sections.is_none() && rest.trim_start_matches([',', ' ', '(']).starts_with("section");
        found.push(Citation { path, sections: sections.unwrap_or_default(), is_malformed });
    }
    found
}

/// The numbers in `, section 5`, `, sections 3 and 7`, `, sections 3 to 5`; nothing where no section is cited.
fn sections(rest: &str) -> Option<Vec<String>> {
    let rest = rest.strip_prefix(", section")?;
    let mut rest = rest.strip_prefix('s').unwrap_or(rest).strip_prefix(' ')?;
    let mut numbers: Vec<String> = Vec::new();
    let mut is_range = false;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        if number.is_empty() {
            break;
        }
        if let (true, Some(Ok(from)), Ok(to)) =
            (is_range, numbers.last().map(|last| last.parse::<u32>()), number.parse::<u32>())
        {
            numbers.extend((from + 1..to).map(|between| between.to_string()));
        }
        numbers.push(number.to_owned());
        rest = &rest[end..];
        let next = [" to ", " and ", ", "].iter().find_map(|word| Some((*word, rest.strip_prefix(word)?)));
        let Some((word, behind)) = next else { break };
        (is_range, rest) = (word == " to ", behind);
    }
    (!numbers.is_empty()).then_some(numbers)
}

/// The faults of the citations of one line.
fn faults(from: &str, line: &str, repository: &Repository) -> Vec<String> {
    let mut faults = Vec::new();
    for citation in citations(line) {
        let path = citation.path;
        let Some(document) = repository.resolve(from, path) else {
            faults.push(format!("there is no document `{path}`"));
            continue;
        };
        if citation.is_malformed {
            faults.push(format!("write `{path}, section N`"));
        }
        let headings = (repository.headings)(&document);
        let missing = citation.sections.iter().filter(|number| !headings.contains(*number));
        faults.extend(missing.map(|number| format!("`{document}` has no section {number}")));
    }
    faults.extend(by_words(line));
    faults
}

/// Sections that are cited of a document by words, without its path: these could not be checked.
fn by_words(line: &str) -> Option<String> {
    let lower = line.to_lowercase().replace("disclosure-model", "disclosure model");
    let (_, path) = BY_WORDS.iter().find(|(words, _)| {
        lower.match_indices(words).any(|(at, _)| {
            let rest = lower[at + words.len()..].trim_start_matches([',', ' ', '(', ':']);
            rest.starts_with("section")
        })
    })?;
    Some(format!("write `{path}, section N`"))
}

/// The files, and the numbers of the headings of a document.
struct Repository {
    files: BTreeSet<String>,
    headings: fn(&str) -> BTreeSet<String>,
}

impl Repository {
    fn read() -> Self {
        Self {
            files: tree::files().into_iter().collect(),
            headings: |path| headings(&tree::text(path).unwrap()),
        }
    }

    /// The file that a citation means: from the root, from the documents' folder, or from the citing file's.
    fn resolve(&self, from: &str, path: &str) -> Option<String> {
        let own = Path::new(from).parent().unwrap_or(Path::new("")).to_str()?;
        ["", "sandbox/docs", own]
            .into_iter()
            .map(|folder| joined(folder, path))
            .find(|path| self.files.contains(path))
    }

    /// True if some file has this path, or a path that ends in it.
    fn has_ending(&self, path: &str) -> bool {
        let ending = format!("/{path}");
        self.files.iter().any(|file| file == path || file.ends_with(&ending))
    }
}

/// A path below a folder, without `.` and `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The numbers of headings: `## 4. Zones`, `### 4.1. Scans`.
pub(crate) fn headings(text: &str) -> BTreeSet<String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let number = |heading: &str| heading.split_once(". ").map(|(number, _)| number.to_owned());
    let is_number = |number: &String| number.split('.').all(|part| part.parse::<u32>().is_ok());
    headings.filter_map(number).filter(is_number).collect()
}

#[test]
fn a_broken_citation_is_found() {
    let files = ["a/src/x.rs", "a/own.md", "sandbox/docs/model.md", "README.md"];
    let repository = Repository {
        files: files.into_iter().map(str::to_owned).collect(),
        headings: |path| {
            let text = if path == "sandbox/docs/model.md" {
                "# Model\n## 3. One\n## 4. Two\n### 4.1. Part\n"
            } else {
                ""
            };
            headings(text)
        },
    };
    let found = |line: &str| faults("a/src/x.rs", line, &repository);
    for held in [
        "see `sandbox/docs/model.md`, section 4",
        "(`sandbox/docs/model.md`, sections 3 and 4.1): model.md, sections 3 to 4.",
        "README.md, ../own.md, ./../own.md and every *.md; https://example.org/other.md; RFC 9162, section 2.1",
        "by the disclosure model a section is public",
    ] {
        assert_eq!(found(held), [""; 0], "{held}");
    }
    assert_eq!(found("see `nowhere.md`"), ["there is no document `nowhere.md`"]);
    assert_eq!(found("docs/model.md."), ["there is no document `docs/model.md`"]);
    assert_eq!(found("`model.md`, section 5"), ["`sandbox/docs/model.md` has no section 5"]);
    assert_eq!(found("model.md, sections 3 to 5"), ["`sandbox/docs/model.md` has no section 5"]);
    assert_eq!(found("model.md, sections 2, 3 and 4.2").len(), 2);
    assert_eq!(found("own.md, section 1"), ["there is no document `own.md`"]);
    assert_eq!(found("../own.md, section 1"), ["`a/own.md` has no section 1"]);
    assert_eq!(found("model.md section 4"), ["write `model.md, section N`"]);
    for by_words in
        ["(disclosure-model, section 5)", "the disclosure model (sections 5 and 6)", "style guide: section 1"]
    {
        assert_eq!(found(by_words).len(), 1, "{by_words}");
    }
    assert!(
        repository.has_ending("src/x.rs")
            && !repository.has_ending("c/x.rs")
            && !repository.has_ending("rc/x.rs")
    );
}

#[test]
fn only_comments_of_rust_cite() {
    assert_eq!(judged("x.rs", "let file = \"made.md\"; // of README.md"), Some("// of README.md"));
    assert_eq!(judged("x.rs", "let page = \"https://example.org/made.md\";"), None);
    assert_eq!(judged("x.toml", "source = \"own.md\""), Some("source = \"own.md\""));
}
