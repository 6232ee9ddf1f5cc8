//! Loops of imports inside a crate: files that need each other in a circle can be read, tested and moved only together.
//! A module and the modules inside it are one for this rule, and the imports of tests do not count.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::tree;

/// Crates by the folder of their sources, with the loops that are left: a loop may lose files, and none may be added.
const CRATES: &[(&str, &[&[&str]])] = &[
    ("query-guard/src", &[]),
    ("policies/src", &[]),
    ("crypto/src", &[&["kms::local::file", "kms::local::format", "kms::local::unlock"]]),
    ("benches/src", &[&["data", "variants"]]),
    (
        "sandbox/src",
        &[
            &["audit::accounted_keys", "audit::unwraps"],
            &["cli::client", "cli::desk", "cli::session"],
            &["cli::commands::audit", "cli::commands::verify"],
            &["cli::commands::data", "cli::commands::dictionary", "cli::commands::suggest"],
            &["storage::append", "storage::seal"],
            &["storage::error", "storage::manifest"],
        ],
    ),
];

#[test]
fn files_of_a_crate_import_in_no_new_circle() {
    let mut findings = Vec::new();
    for (folder, allowed) in CRATES {
        let loops = loops(&imports(folder));
        for found in &loops {
            if !allowed.iter().any(|known| found.iter().all(|module| known.contains(&module.as_str()))) {
                findings.push(format!("{folder}: {} import each other", names(found)));
            }
        }
        for known in *allowed {
            let known: BTreeSet<String> = known.iter().map(|&module| module.to_owned()).collect();
            if !loops.contains(&known) {
                findings.push(format!(
                    "{folder}: {} is a loop no more, or a smaller one: say so here",
                    names(&known)
                ));
            }
        }
    }
    tree::report("a loop of imports", &findings);
}

fn names(modules: &BTreeSet<String>) -> String {
    modules.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The modules of a crate that each of its modules imports from, tests and modules inside one another left out.
fn imports(folder: &str) -> Imports {
    let inside = format!("{folder}/");
    let texts: BTreeMap<String, String> = tree::files_ending(".rs")
        .into_iter()
        .filter_map(|path| {
            let module = path.strip_prefix(&inside)?.strip_suffix(".rs")?.replace('/', "::");
            Some((module, tree::text(&path).unwrap()))
        })
        .filter(|(module, text)| !is_test(module, text))
        .collect();
    let modules: BTreeSet<&str> = texts.keys().map(String::as_str).collect();
    assert!(modules.len() > 5, "{folder}: {modules:?}");
    texts.iter().map(|(module, text)| (module.clone(), imported(module, text, &modules))).collect()
}

/// Modules of tests alone, and the one that says which modules there are.
fn is_test(module: &str, text: &str) -> bool {
    let parts = ["tests", "testing", "fixture", "lib", "main"];
    module.split("::").any(|part| parts.contains(&part)) || text.lines().any(|line| line == "#![cfg(test)]")
}

/// The modules that the code before a file's tests names.
fn imported(module: &str, text: &str, modules: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in tree::product(text).lines() {
        let code = line.split("//").next().unwrap_or(line);
        for marker in ["crate::", "super::"] {
            for (at, _) in code.match_indices(marker) {
                let rest = &code[at + marker.len()..];
                let named: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
                let whole = match (marker, module.rsplit_once("::")) {
                    ("super::", Some((parent, _))) => format!("{parent}::{named}"),
                    _ => named,
                };
                found.extend(longest(&whole, modules).filter(|used| !are_one(used, module)));
            }
        }
    }
    found
}

/// The innermost module that a path goes through.
fn longest(path: &str, modules: &BTreeSet<&str>) -> Option<String> {
    let parts: Vec<&str> = path.split("::").collect();
    (1..=parts.len())
        .rev()
        .map(|count| parts[..count].join("::"))
        .find(|path| modules.contains(path.as_str()))
}

/// True if one of two modules is inside the other.
fn are_one(left: &str, right: &str) -> bool {
    let is_inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    is_inside(left, right) || is_inside(right, left)
}

/// Sets of modules each of which reaches all others of its set.
fn loops(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|module| (module, reachable(module, imports))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (module, reaches) in &reached {
        let is_known = found.iter().any(|set| set.contains(*module));
        if is_known || !reaches.contains(*module) {
            continue;
        }
        let returns = |other: &&String| reached.get(other).is_some_and(|back| back.contains(*module));
        found.push(reaches.iter().copied().filter(returns).cloned().collect());
    }
    found
}

fn reachable<'a>(module: &str, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = imports.get(module).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(imports.get(module).into_iter().flatten());
        }
    }
    found
}

#[test]
fn a_loop_is_found_and_a_chain_is_none() {
    let imports = |pairs: &[(&str, &str)]| -> Imports {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            imports.entry((*to).to_owned()).or_default();
        }
        imports
    };
    assert!(loops(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = loops(&imports(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]));
    assert_eq!(found.iter().map(names).collect::<Vec<_>>(), ["b, c"]);
}

#[test]
fn imports_are_read_from_product_code_and_by_their_innermost_module() {
    let modules = BTreeSet::from(["app", "app::jobs", "app::jobs::end", "clock", "error"]);
    let text = "use crate::clock::Clock;\nuse super::jobs::end::end;\n// crate::error is above\nuse super::Room;\n\
                #[cfg(test)]\nmod tests {\n    use crate::error::Error;\n}\n";
    let found: Vec<String> = imported("app::room", text, &modules).into_iter().collect();
    assert_eq!(found, ["app::jobs::end", "clock"], "`super::Room` is of the module around it");
}
