//! The files of the repository as git sees them: tracked, and new ones that no ignore rule hides.
//! It reads files; it judges nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("xtask lies two folders deep")
        .to_path_buf()
}

/// Every file, as a path from the root with forward slashes, in order.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "the repository rules need a git work tree");
    let text = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut files: Vec<String> =
        text.lines().map(str::to_owned).filter(|path| root().join(path).is_file()).collect();
    files.sort();
    files.dedup();
    assert!(files.len() > 20, "git listed only {} files", files.len());
    files
}

/// The files with this ending.
pub(crate) fn files_ending(ending: &str) -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(ending)).collect()
}

/// The text of a file, or nothing for a file that is not text.
pub(crate) fn text(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// A Rust file up to its test module; a file's tests come last.
pub(crate) fn product(text: &str) -> &str {
    let opens_tests = |at: usize| {
        let mut rest = text[at..].lines().skip(1);
        rest.find(|next| !next.starts_with("#[") && !next.starts_with("    ") && !next.starts_with(')'))
            .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    let marks = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at);
    let mut at_line_starts = marks.filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    at_line_starts.find(|at| opens_tests(*at)).map_or(text, |at| &text[..at])
}

/// The product code of the Rust files that are wanted, by path: without their test modules.
pub(crate) fn product_of(is_wanted: impl Fn(&String) -> bool) -> BTreeMap<String, String> {
    let files = files_ending(".rs").into_iter().filter(is_wanted);
    files
        .map(|path| {
            let code = product(&text(&path).unwrap()).to_owned();
            (path, code)
        })
        .collect()
}

/// Fails with every finding on a line of its own.
pub(crate) fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}
