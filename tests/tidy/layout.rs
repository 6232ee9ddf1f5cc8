//! The list of files at the top of the tree, and names that no file may contain.
//! It does not look inside crates beyond that.

use std::collections::BTreeSet;

use crate::tree;

/// The visible root is fixed; everything else goes into one of these folders.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "crypto",
    "policies",
    "query-guard",
    "rust-toolchain.toml",
    "sandbox",
    "tests",
];

#[test]
fn the_top_level_holds_only_what_is_fixed() {
    let found: BTreeSet<String> = tree::files()
        .iter()
        .filter_map(|path| path.split('/').next())
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(str::to_owned)
        .collect();
    tree::report("more at the top level than the map allows", &found.into_iter().collect::<Vec<_>>());
}

#[test]
fn licence_is_the_plain_apache_text() {
    let text = tree::text("LICENSE").expect("there is a licence");
    assert!(text.trim_start().starts_with("Apache License"));
    assert!(text.contains("Version 2.0, January 2004"));
    assert!(text.contains("END OF TERMS AND CONDITIONS"));
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Put together from pieces, so that this file does not find itself.
    let folders: Vec<String> =
        ["work", "root", "farm", "home"].iter().map(|name| format!("/{name}/")).collect();
    let hosts: Vec<String> = [["index.", "crates.io"], ["static.", "crates.io"], ["pypi.", "org/simple"]]
        .iter()
        .map(|parts| parts.concat())
        .collect();
    let mut findings = Vec::new();
    for path in tree::files() {
        if path == "Cargo.lock" {
            continue;
        }
        let Some(text) = tree::text(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = folders.iter().any(|folder| names_folder(line, folder));
            if named || hosts.iter().any(|host| line.contains(host)) {
                findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    tree::report("a path of one machine or the address of a registry", &findings);
}

/// True if the line names something under this folder of the file system's root (and not of a URL or a longer path).
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let starts_path = before.is_none_or(|c| !c.is_ascii_alphanumeric() && !"._:/-*{}".contains(c));
        starts_path && after.is_some_and(|c| c.is_ascii_alphabetic())
    })
}

#[test]
fn a_machine_path_is_told_from_a_url() {
    assert!(names_folder(&["see \"", "/srv/anna/x\""].concat(), "/srv/"));
    assert!(!names_folder("see https://example.org/home/anna", "/home/"));
    assert!(!names_folder("tests/home/anna", "/home/"));
}
